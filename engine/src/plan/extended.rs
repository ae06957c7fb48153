//! Totals once more where the usual arithmetic ends in 0 times infinity.
//!
//! A solution that has left the range of f64 may lie where the start never goes, or where nothing is earned. Then the
//! number asked for is finite, or infinite, but the usual arithmetic gives none. Here all is worked out again with the
//! same kernels, in which 0 times infinity is 0; every other number is the same, bit for bit.

use super::At;
use super::kernel::{Factors, Powers};
use super::lane::Extended;

impl At<'_> {
    /// Raw moments, as many as there is room for: an elimination and a solve for each.
    #[cold]
    pub(super) fn extended_moments(&self, rewards: &[f64], moments: &mut [f64]) {
        let factors = Factors::<Extended>::again(self.plan, &self.factors.values);
        let mut powers = Powers::new();
        powers.resize(moments.len(), self.plan.vertices.len());
        factors.solve_long_powers(self.plan, self.start, rewards, &mut powers);
        for (moment, x) in moments.iter_mut().zip(powers.at_start()) {
            *moment = x.0;
        }
    }

    /// The solutions `x = W(R₁)` and `W(x∘R₂)` by position: an elimination and two solves.
    #[cold]
    pub(super) fn extended_pair(&self, first: &[f64], second: &[f64]) -> [Vec<f64>; 2] {
        let factors = Factors::<Extended>::again(self.plan, &self.factors.values);
        let x = factors.solution(self.plan, first, None);
        let later = factors.solution(self.plan, second, Some(&x));
        [x, later].map(|x| x.iter().map(|value| value.0).collect())
    }
}
