//! Totals once more where the usual arithmetic ends in 0 times infinity.
//!
//! A solution that has left the range of f64 may lie where the start never goes, or where nothing is earned. Then the
//! number asked for is finite, or infinite, but the usual arithmetic gives none. Here all is worked out again with the
//! same kernels, in which 0 times infinity is 0; every other number is the same, bit for bit.

use super::At;
use super::kernel::{Factors, Powers, Source};
use super::lane::Extended;

impl At<'_> {
    /// Raw moments, as many as there is room for: an elimination and a solve for each.
    #[cold]
    pub(super) fn extended_moments(&self, rewards: &[f64], moments: &mut [f64]) {
        let mut factors = self.extended_factors();
        let mut powers = Powers::new();
        powers.resize(moments.len(), self.plan.vertices.len());
        for segment in &self.plan.schedule.segments {
            factors.eliminate(self.plan, segment);
            factors.solve_powers(self.plan, segment, rewards, &mut powers);
        }
        for (moment, x) in moments.iter_mut().zip(powers.at(self.start)) {
            *moment = x.0;
        }
    }

    /// The solutions `x = W(R₁)` and `W(x∘R₂)` by position: an elimination and two solves.
    #[cold]
    pub(super) fn extended_pair(&self, first: &[f64], second: &[f64]) -> [Vec<f64>; 2] {
        let plan = self.plan;
        let mut factors = self.extended_factors();
        let mut x = vec![[Extended(0.0)]; plan.vertices.len()];
        let mut later = x.clone();
        for segment in &plan.schedule.segments {
            factors.eliminate(plan, segment);
            factors.solve(plan, segment, Source { rewards: first, of: None, earlier: 0 }, &mut x);
            factors.solve(plan, segment, Source { rewards: second, of: Some(&x), earlier: 0 }, &mut later);
        }
        [x, later].map(|x| x.iter().map(|[value]| value.0).collect())
    }

    fn extended_factors(&self) -> Factors<Extended> {
        let mut factors = Factors::new(self.plan, false);
        for (slot, &value) in factors.theta.iter_mut().zip(&self.factors.theta) {
            *slot = Extended(value);
        }
        factors.begin();
        factors
    }
}
