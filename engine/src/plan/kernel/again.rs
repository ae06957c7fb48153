//! Eliminations and solves once more in another arithmetic, with the weights that are there already.
//!
//! For what plain numbers cannot tell, seldom and slowly.

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

impl<L: Lane> Factors<L> {
    /// The factors for these values of the plan's forms, all kept.
    pub(in crate::plan) fn again(plan: &Plan, values: &[f64]) -> Self {
        let mut factors = Self::new(plan, true);
        for (slot, &value) in factors.values.iter_mut().zip(values) {
            *slot = L::splat(value);
        }
        factors.begin();
        for segment in &plan.schedule.segments {
            factors.reduce_segment(plan, segment);
        }
        factors
    }

    /// The solution `W(R)`, or `W(x∘R)` of an earlier one.
    pub(in crate::plan) fn solution(&self, plan: &Plan, rewards: &[f64], of: Option<&[L]>) -> Vec<L> {
        let mut x = vec![[L::splat(0.0)]; plan.vertices.len()];
        let of = of.map(|of| of.as_chunks::<1>().0);
        for segment in &plan.schedule.segments {
            self.solve(plan, segment, Source { rewards, of, earlier: 0 }, &mut x);
        }
        x.into_flattened()
    }
}
