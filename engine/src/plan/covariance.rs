//! Covariances of two totals and their derivatives, each by a way that keeps its digits.
//!
//! The textbook's `W(x₁∘R₂) + W(x₂∘R₁) − x₁x₂`, in discrete time less `W(R₁∘R₂)`, cancels where totals are regular;
//! [`Joint`] loses digits where a process moves a great many times, or sums go over many vertices. Where both would, the textbook's is worked out with
//! twice the digits.

use std::slice;

use super::bounds::{Earned, Scale};
use super::gradients::{Derivative, PreciseSlopes, Trust};
use super::joint::{Adjoints, Joint};
use super::kernel::{Factors, Seeded, Source, WeightSlopes};
use super::lane::Lane;
use super::range::largest;
use super::schedule::Kind;
use super::slopes::{Slope, Way, Weighed};
use super::wide::Wide;
use super::{At, Plan, chain};
use crate::double_double::Dd;

/// Vertices whose times may be added up in plain numbers: each rounds a few times, and perhaps all alike.
const FEW: usize = 1000;

/// Half as many digits as the precise way has, and some more, may cancel.
const LEAST_SHARE: f64 = 1e-16;

/// The textbook's covariance of two totals, in any arithmetic.
struct Textbook<'a, L> {
    plan: &'a Plan,
    factors: &'a Factors<L>,
    first: &'a [f64],
    second: &'a [f64],
    /// `x₁` and `W(x₁∘R₂)`; `x₂` and `W(x₂∘R₁)`.
    ahead: [Vec<L>; 2],
    behind: [Vec<L>; 2],
    /// `W(R₁∘R₂)`; discrete time only.
    jumps: Option<Vec<L>>,
}

impl<'a> Textbook<'a, f64> {
    fn plain(at: &'a At<'_>, first: &'a [f64], second: &'a [f64]) -> Self {
        let (plan, factors) = (at.plan, &at.factors);
        let solve = |rewards: &[f64], of: Option<&[f64]>| {
            let mut x = vec![0.0; plan.vertices.len()];
            let source = Source { rewards, of: of.map(|of| of.as_chunks::<1>().0), earlier: 0 };
            factors.solve_all(plan, source, x.as_chunks_mut::<1>().0);
            x
        };
        Self::new(plan, factors, first, second, solve)
    }
}

impl<'a, L: Lane> Textbook<'a, L> {
    fn again(plan: &'a Plan, factors: &'a Factors<L>, first: &'a [f64], second: &'a [f64]) -> Self {
        Self::new(plan, factors, first, second, |rewards, of| factors.solution(plan, rewards, of))
    }

    fn new(
        plan: &'a Plan,
        factors: &'a Factors<L>,
        first: &'a [f64],
        second: &'a [f64],
        solve: impl Fn(&[f64], Option<&[L]>) -> Vec<L>,
    ) -> Self {
        let pair = |first: &[f64], second: &[f64]| {
            let x = solve(first, None);
            let later = solve(second, Some(&x));
            [x, later]
        };
        let (ahead, behind) = (pair(first, second), pair(second, first));
        let jumps = plan.discrete.then(|| solve(second, Some(&lanes(first))));
        Self { plan, factors, first, second, ahead, behind, jumps }
    }

    /// What is subtracted from what.
    fn terms(&self) -> (L, L) {
        self.terms_at(self.plan.start())
    }

    /// The same for a process that is in a position.
    fn terms_at(&self, at: usize) -> (L, L) {
        let mut cross = self.ahead[1][at] + self.behind[1][at];
        if let Some(jumps) = &self.jumps {
            cross = cross - jumps[at];
        }
        (cross, self.ahead[0][at] * self.behind[0][at])
    }

    fn covariance(&self) -> L {
        let (cross, product) = self.terms();
        cross - product
    }

    /// Whether all solutions are within range.
    fn is_finite(&self) -> bool {
        let solutions = self.ahead.iter().chain(&self.behind).chain(&self.jumps);
        solutions.flatten().all(|x| x.all(f64::is_finite))
    }

    /// The derivatives back through the elimination, of `W(x₁∘R₂) − x₁x₂/2` at the start, of the like with both exchanged,
    /// and in discrete time of `−W(R₁∘R₂)`.
    fn slopes(&self) -> WeightSlopes<L> {
        let Self { plan, factors, ahead, behind, jumps, .. } = self;
        let (first, second) = (self.first, self.second);
        let (zero, one, start) = (L::splat(0.0), L::splat(1.0), plan.start());
        let back = |rewards: &[&[f64]], solutions: &[Vec<L>], seeds: &[L]| {
            factors.reverse(plan, Seeded { rewards, of: None, solutions, seeds })
        };
        let mut slopes = back(&[first, second], ahead, &[zero - behind[0][start], one]);
        slopes.join(&back(&[second, first], behind, &[zero - ahead[0][start], one]));
        if let Some(jumps) = jumps {
            // Of the products, too, no digit is lost.
            let (of, solutions) = (lanes(first), slice::from_ref(jumps));
            let seeded = Seeded { rewards: &[second], of: Some(&of), solutions, seeds: &[zero - one] };
            slopes.join(&factors.reverse(plan, seeded));
        }
        slopes
    }
}

fn lanes<L: Lane>(rewards: &[f64]) -> Vec<L> {
    rewards.iter().map(|&reward| L::splat(reward)).collect()
}

/// Whether a difference has lost more than a digit.
fn cancels(cross: f64, product: f64) -> bool {
    (cross - product).abs() * 16.0 < cross.abs() + product.abs()
}

/// The derivatives of a covariance with respect to weights.
#[derive(Debug)]
pub(super) struct CovarianceSlopes<'a> {
    first: &'a [f64],
    second: &'a [f64],
    /// What the usual ones are made of, where they are good.
    joint: Option<(Joint<'a, f64>, Adjoints<f64>)>,
    is_finite: bool,
    lost: f64,
}

impl Derivative for CovarianceSlopes<'_> {
    fn trust(&self) -> Trust {
        match (&self.joint, self.is_finite) {
            (Some(_), _) => Trust::Usual,
            (None, true) => Trust::Precise,
            (None, false) => Trust::Wide,
        }
    }

    fn lost(&self) -> f64 {
        self.lost
    }

    fn usual(&self, way: Way) -> Weighed {
        self.joint.as_ref().map_or(Weighed::none(), |(joint, adjoints)| joint.slope(adjoints, way))
    }

    fn back<L: Lane>(&self, plan: &Plan, factors: &Factors<L>) -> WeightSlopes<L> {
        Textbook::again(plan, factors, self.first, self.second).slopes()
    }

    /// Where the usual ones are good but for some digits, the same with twice as many is better than the textbook's.
    fn precise<'b>(&'b self, plan: &'b Plan, factors: &'b Factors<Dd>) -> PreciseSlopes<'b> {
        if self.joint.is_none() {
            let slopes = self.back(plan, factors);
            return Box::new(move |way| slopes.slope(plan, way));
        }
        let joint = Joint::new(plan, factors, self.first, self.second);
        let adjoints = joint.adjoints();
        Box::new(move |way| joint.slope(&adjoints, way).value)
    }
}

impl At<'_> {
    /// Covariance of two totals.
    pub(super) fn covariance(&self, first: &[f64], second: &[f64]) -> f64 {
        let (one, other) = (self.earned(first), self.earned(second));
        if one.largest == 0.0 || other.largest == 0.0 {
            // Also where the other total has left the range.
            return 0.0;
        }
        let (found, means) = self.plain_covariance(first, second);
        let is_sure = |scale: Scale| found.abs() >= scale.lost_of_covariances(one, other);
        let longest = || one.are_times.then(|| largest(&means));
        if found.is_finite() && self.passes(longest, is_sure) {
            found
        } else {
            self.wide_covariance(first, second)
        }
    }

    /// The covariance in plain numbers, and the first expectation by position.
    fn plain_covariance(&self, first: &[f64], second: &[f64]) -> (f64, Vec<f64>) {
        let both = |first: &[f64], second: &[f64]| {
            let mut x = [Vec::new(), Vec::new()];
            chain::solve(self.plan, &self.factors, first, &mut x[..1]);
            chain::solve_last(self.plan, &self.factors, second, &mut x);
            x
        };
        let [means, later] = both(first, second);
        let (mean, ahead) = (means[self.start], later[self.start]);
        let (other, behind) = if first == second {
            (mean, ahead)
        } else {
            let [others, later] = both(second, first);
            (others[self.start], later[self.start])
        };
        let mut cross = ahead + behind;
        if self.plan.discrete && cross.is_finite() {
            let products: Vec<f64> = first.iter().zip(second).map(|(a, b)| a * b).collect();
            cross -= self.mean(&products);
        }
        let found = if cross.is_finite() && cancels(cross, mean * other) {
            self.regular_covariance(first, second, cross, mean * other)
        } else {
            cross - mean * other
        };
        (found, means)
    }

    /// Variances of the time to absorption from every vertex of the graph (of the number of jumps, in discrete time), each by
    /// a way that keeps its digits: 0 for absorbing vertices, infinite for those from which absorption is not certain at
    /// this θ, NaN for those the start does not reach by any edge. As the law of total variance over the next step has it
    /// (see [`Joint`]) where the textbook's difference cancels: eight solves, and an elimination with more digits where these
    /// are too few.
    pub(crate) fn variances(&self) -> Vec<f64> {
        let (found, means) = self.plain_variances();
        let right = |scale: Scale| {
            let lost = scale.lost_of_covariances(Earned::TIMES, Earned::TIMES);
            let each = found.iter().enumerate();
            each.into_iter().all(|(at, &found)| self.is_lost(at) || found.is_finite() && found >= lost)
        };
        if self.passes(|| Some(largest(&means)), right) {
            self.by_vertex(&found)
        } else {
            self.by_vertex(&self.wide_variances())
        }
    }

    /// Variances by position in plain numbers, NaN where they do not tell; and expectations.
    fn plain_variances(&self) -> (Vec<f64>, Vec<f64>) {
        let textbook = Textbook::plain(self, self.unit(), self.unit());
        let joint = Joint::new(self.plan, &self.factors, self.unit(), self.unit());
        let variance = |(at, joint): (usize, &Weighed)| {
            let (cross, product) = textbook.terms_at(at);
            if cancels(cross, product) { joint.good().unwrap_or(f64::NAN) } else { cross - product }
        };
        let found = joint.covariances().iter().enumerate().map(variance).collect();
        let [means, _] = textbook.ahead;
        (found, means)
    }

    /// The same with endless exponents.
    #[cold]
    fn wide_variances(&self) -> Vec<f64> {
        let factors = self.wide();
        let textbook = Textbook::again(self.plan, factors, self.unit(), self.unit());
        let joint = Joint::new(self.plan, factors, self.unit(), self.unit());
        let variance = |(at, joint): (usize, &Weighed<Wide>)| {
            let (cross, product) = textbook.terms_at(at);
            let (difference, sum) = (cross - product, cross.abs() + product.abs());
            let cancels = (difference.abs() * Wide::splat(16.0) - sum).is_below_zero();
            let known = (Wide::splat(joint.size) - sum).is_below_zero();
            if cancels && known { joint.value.value() } else { difference.value() }
        };
        joint.covariances().iter().enumerate().map(variance).collect()
    }

    /// The covariance with endless exponents: by deviations where the textbook's cancels and they are known better.
    #[cold]
    fn wide_covariance(&self, first: &[f64], second: &[f64]) -> f64 {
        let factors = self.wide();
        let (cross, product) = Textbook::again(self.plan, factors, first, second).terms();
        let (difference, sum) = (cross - product, cross.abs() + product.abs());
        if (difference.abs() * Wide::splat(16.0) - sum).is_below_zero() {
            let Weighed { value, size } = Joint::new(self.plan, factors, first, second).covariance();
            if (Wide::splat(size) - sum).is_below_zero() {
                return value.value();
            }
        }
        difference.value()
    }

    /// The covariance where the textbook's cancels.
    fn regular_covariance(&self, first: &[f64], second: &[f64], cross: f64, product: f64) -> f64 {
        let joint = Joint::new(self.plan, &self.factors, first, second);
        // Chains add up apart, so that their length does not count.
        let segments = self.plan.schedule.segments.iter();
        let summed = segments.filter(|segment| !matches!(segment.kind, Kind::Chain { .. }));
        let few = summed.map(|segment| segment.range.len()).sum::<usize>() <= FEW;
        if let Some(covariance) = joint.good().filter(|_| few) {
            return covariance;
        }
        let factors = Factors::<Dd>::again(self.plan, &self.factors);
        let Dd(precise, _) = Textbook::again(self.plan, &factors, first, second).covariance();
        if precise.is_finite() && precise.abs() > LEAST_SHARE * (cross.abs() + product.abs()) {
            precise
        } else {
            joint.better(cross, product)
        }
    }

    pub(super) fn covariance_slopes<'a>(
        &'a self,
        first: &'a [f64],
        second: &'a [f64],
    ) -> CovarianceSlopes<'a> {
        let plain = Textbook::plain(self, first, second);
        let (cross, product) = plain.terms();
        let (one, other) = (self.earned(first), self.earned(second));
        let longest = || one.are_times.then(|| largest(&plain.ahead[0]));
        let scale = self.scale(longest);
        let lost = scale.map_or(f64::INFINITY, |scale| scale.lost_of_covariance_slopes(one, other));
        let is_finite = plain.is_finite() && lost.is_finite();
        let mut slopes = CovarianceSlopes { first, second, joint: None, is_finite, lost };
        if slopes.is_finite && !cancels(cross, product) {
            let joint = Joint::new(self.plan, &self.factors, first, second);
            if joint.is_finite() && joint.good().is_some() {
                let adjoints = joint.adjoints();
                slopes.joint = Some((joint, adjoints));
            }
        }
        slopes
    }
}
