//! Gradients that are right entry by entry: the usual derivatives where they are, others where digits or range are lost.
//!
//! The usual derivative of a weight, `λ_v (x_u − x_v)`, is cheap, and good beside the number itself. But where times
//! differ little from each other, or the slopes of one parameter cancel, a small derivative among large ones may have
//! lost its digits. So each comes with the size of what it is a difference of, and where more than three and a half
//! digits have cancelled, fewer on long ways, the gradient is worked out once more with twice the digits, back through the
//! elimination.

use super::kernel::{Factors, WeightSlopes};
use super::lane::Lane;
use super::range::may_lack;
use super::slopes::{ByEdge, ByParameter, Gather, Slope, Way, Weighed};
use super::wide::Wide;
use super::{At, EvaluationError, Plan};
use crate::double_double::Dd;
use crate::graph::Graph;

/// Which way the derivatives of a number are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The usual one, and the precise one where too much cancels.
    Usual,
    /// With twice the digits in any case.
    Precise,
    /// With endless exponents: plain numbers leave the range of f64.
    Wide,
}

/// Derivatives with twice the digits.
pub(super) type PreciseSlopes<'b> = Box<dyn Fn(Way) -> Dd + 'b>;

/// The derivatives of one number with respect to all weights.
pub(super) trait Derivative {
    fn trust(&self) -> Trust;

    /// What a derivative must be larger than to be sure that nothing was lost below the range of f64.
    fn lost(&self) -> f64;

    /// The usual derivative, and its size.
    fn usual(&self, way: Way) -> Weighed;

    /// All of them back through the elimination, with factors in any arithmetic.
    fn back<L: Lane>(&self, plan: &Plan, factors: &Factors<L>) -> WeightSlopes<L>;

    /// The precise ones.
    fn precise<'b>(&'b self, plan: &'b Plan, factors: &'b Factors<Dd>) -> PreciseSlopes<'b> {
        let slopes = self.back(plan, factors);
        Box::new(move |way| slopes.slope(plan, way))
    }
}

impl At<'_> {
    /// The gradient with respect to θ.
    pub(super) fn gradient(&self, of: &impl Derivative) -> Vec<f64> {
        self.gathered(of, &ByParameter)
    }

    /// The gradient with respect to the weights of the graph's edges.
    pub(super) fn weight_gradient(
        &self,
        graph: &Graph,
        of: &impl Derivative,
    ) -> Result<Vec<f64>, EvaluationError> {
        Ok(self.gathered(of, &ByEdge::new(self.plan, graph)?))
    }

    fn gathered(&self, of: &impl Derivative, by: &impl Gather) -> Vec<f64> {
        match of.trust() {
            Trust::Usual => {
                let usual = by.gather(self.plan, self.without_traps(|way| of.usual(way)));
                self.settled(&usual, of, by)
            }
            Trust::Precise => {
                let precise = self.precise(of, by);
                if precise.iter().all(|slope| slope.0.is_finite() && !may_lack(slope.0.abs(), of.lost())) {
                    precise.into_iter().map(|slope| slope.0).collect()
                } else {
                    self.wide_slopes(of, by)
                }
            }
            Trust::Wide => self.wide_slopes(of, by),
        }
    }

    /// The usual slopes, but precise ones where too much has cancelled.
    pub(super) fn settled(&self, usual: &[Weighed], of: &impl Derivative, by: &impl Gather) -> Vec<f64> {
        let mut gradient: Vec<f64> = usual.iter().map(|slope| slope.value).collect();
        let passed = self.plan.schedule.components_passed(self.plan);
        if usual.iter().any(|slope| slope.is_doubtful(passed)) {
            let precise = self.precise(of, by);
            for ((slope, usual), Dd(precise, _)) in gradient.iter_mut().zip(usual).zip(precise) {
                *slope = if usual.is_doubtful(passed) { precise } else { *slope };
            }
        }
        // Of what has cancelled, only the rest is larger than what is lost; and twice the digits have no larger range.
        let lacks = |slope: f64, usual: &Weighed| {
            if usual.is_doubtful(passed) {
                !slope.is_finite() || may_lack(slope.abs(), of.lost())
            } else {
                may_lack(usual.size, of.lost())
            }
        };
        if gradient.iter().zip(usual).any(|(&slope, usual)| lacks(slope, usual)) {
            for ((slope, usual), wide) in gradient.iter_mut().zip(usual).zip(self.wide_slopes(of, by)) {
                *slope = if lacks(*slope, usual) { wide } else { *slope };
            }
        }
        gradient
    }

    #[cold]
    fn precise(&self, of: &impl Derivative, by: &impl Gather) -> Vec<Dd> {
        let factors = Factors::<Dd>::again(self.plan, &self.factors);
        by.gather(self.plan, self.without_traps(of.precise(self.plan, &factors)))
    }

    #[cold]
    fn wide_slopes(&self, of: &impl Derivative, by: &impl Gather) -> Vec<f64> {
        let slopes = of.back(self.plan, self.wide());
        let wide = by.gather(self.plan, self.without_traps(|way| slopes.slope(self.plan, way)));
        wide.into_iter().map(Wide::value).collect()
    }

    /// A weight of zero on the way into a trap has no slope, since any other weight makes the total infinite: NaN.
    pub(super) fn without_traps<S: Slope>(&self, slope: impl Fn(Way) -> S) -> impl Fn(Way) -> S {
        move |way| match (&self.traps, way.target) {
            (Some(traps), Some(target)) if traps.reached[way.at] && traps.lost[target] => S::none(),
            _ => slope(way),
        }
    }
}
