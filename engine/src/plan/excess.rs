//! Solutions as what they exceed a constant by, so that differences between them keep their digits.
//!
//! The times from two vertices may hardly differ: where the last stage is the longest by far, or where everything is left
//! at much the same rate. Their difference is what derivatives are made of. Let e be the weights that lead to absorption.
//! For any constant c, `x − c` solves the same equations with `b − e c` on the right, because rows of the generator add up
//! to `−e`; and with the lowest `b / e` of any vertex for c, right-hand sides are not negative. Then nothing is subtracted in
//! that solve either, and what is left of x beside c has all its digits.

use std::borrow::Cow;

use super::Plan;
use super::kernel::{Factors, Source};
use super::lane::Lane;

/// A right-hand side that is so little of what it is a difference of is nothing: the weights are no better, nor is the
/// constant.
const NOTHING: f64 = 2.0 * f64::EPSILON;

/// A solution, taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Excess {
    /// What all of it exceeds.
    pub(super) constant: f64,
    /// By how much, by position. Of absorption it is `−constant`.
    pub(super) beyond: Vec<f64>,
}

impl Excess {
    /// `W(R)`, or `W(x∘R)` of an earlier solution, taken apart: a solve, and two looks at every position.
    ///
    /// The constant is 0 where rewards are negative, where something is absorbed without a reward, and where nothing is.
    pub(super) fn solve(plan: &Plan, factors: &Factors<f64>, rewards: &[f64], of: Option<&[f64]>) -> Self {
        let mut sides = Cow::Borrowed(rewards);
        if let Some(of) = of {
            sides = rewards.iter().zip(of).map(|(reward, x)| reward * x).collect();
        }
        let constant = factors.lowest_ratio(plan, &sides);
        if constant > 0.0 {
            sides = factors.without(plan, constant, &sides).collect();
        }
        let mut beyond = vec![0.0; plan.vertices.len()];
        let source = Source { rewards: &sides, of: None, earlier: 0 };
        factors.solve_all(plan, source, beyond.as_chunks_mut::<1>().0);
        Self { constant, beyond }
    }

    /// The solution itself.
    pub(super) fn whole(&self) -> Vec<f64> {
        self.beyond.iter().map(|beyond| self.constant + beyond).collect()
    }
}

impl Factors<f64> {
    /// The weights that lead from each position to absorption, for each unit of what rewards are multiplied by: of time, in
    /// discrete time of jumps.
    #[inline(always)]
    fn absorptions<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = f64> + 'a {
        plan.exit_forms.iter().enumerate().map(|(at, &form)| {
            let weight = self.values[form as usize];
            self.total.get(at).map_or(weight, |total| weight / total)
        })
    }

    /// The lowest ratio of right-hand sides to weights of absorption; 0 if some side is negative, or there is none.
    fn lowest_ratio(&self, plan: &Plan, sides: &[f64]) -> f64 {
        let (mut lowest, mut seen) = (f64::INFINITY, (0.0, 0.0));
        let mut negative = false;
        for (&side, weight) in sides.iter().zip(self.absorptions(plan)) {
            negative |= side < 0.0;
            // In most models few rates lead to absorption: most divisions were done before.
            if weight > 0.0 && (side, weight) != seen {
                seen = (side, weight);
                lowest = lowest.lower(side / weight);
            }
        }
        if lowest.is_finite() && !negative { lowest } else { 0.0 }
    }

    /// What right-hand sides are without those of a constant.
    fn without<'a>(
        &'a self,
        plan: &'a Plan,
        constant: f64,
        sides: &'a [f64],
    ) -> impl Iterator<Item = f64> + 'a {
        sides.iter().zip(self.absorptions(plan)).map(move |(&side, weight)| {
            let left = side - weight * constant;
            if left > NOTHING * side { left } else { 0.0 }
        })
    }
}
