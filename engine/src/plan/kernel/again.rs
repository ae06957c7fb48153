//! Eliminations and solves once more in another arithmetic.
//!
//! For what plain numbers cannot tell, seldom and slowly.

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

impl<L: Lane> Factors<L> {
    /// The factors at the same θ, all kept.
    pub(in crate::plan) fn again(plan: &Plan, others: &Factors<f64>) -> Self {
        let mut factors = Self::new(plan, true);
        factors.follow(plan, others);
        factors
    }

    /// Moves to the θ of others, with all factors kept. Weights are worked out again, too: those of the others are the
    /// nearest f64. Allocates nothing.
    pub(in crate::plan) fn follow(&mut self, plan: &Plan, others: &Factors<f64>) {
        let Self { theta, values, weights_seen, .. } = self;
        for (slot, &value) in theta.iter_mut().zip(&others.theta) {
            *slot = L::splat(value);
        }
        let (all, further) = (0..values.len(), 0..plan.forms.further().len());
        plan.forms.evaluate(all, further, theta, values, weights_seen);
        // Whether an edge is there at all is not a question of digits.
        for (slot, &other) in values.iter_mut().zip(&others.values) {
            if other == 0.0 || slot.lowest() <= 0.0 {
                *slot = L::splat(other);
            }
        }
        self.reduce_all(plan);
    }

    fn reduce_all(&mut self, plan: &Plan) {
        self.begin();
        for segment in &plan.schedule.segments {
            self.reduce_segment(plan, segment);
        }
    }

    /// The solution `W(R)`, or `W(x∘R)` of an earlier one.
    pub(in crate::plan) fn solution(&self, plan: &Plan, rewards: &[f64], of: Option<&[L]>) -> Vec<L> {
        let mut x = Vec::new();
        self.solve_into(plan, rewards, of, &mut x);
        x
    }

    /// The same into a list that allocates only what it never had room for.
    pub(in crate::plan) fn solve_into(&self, plan: &Plan, rewards: &[f64], of: Option<&[L]>, x: &mut Vec<L>) {
        x.resize(plan.vertices.len(), L::splat(0.0));
        let source = Source { rewards, of: of.map(|of| of.as_chunks::<1>().0), earlier: 0 };
        self.solve_all(plan, source, x.as_chunks_mut::<1>().0);
    }
}
