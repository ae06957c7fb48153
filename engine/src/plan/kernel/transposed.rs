//! Transposed solves, for sojourn times and gradients.

use std::ops::Range;

use super::Factors;
use crate::plan::Plan;
use crate::plan::lane::Lane;

#[inline(always)]
fn add<L: Lane>(sum: &mut L, value: L) {
    *sum = *sum + value;
}

impl<L: Lane> Factors<L> {
    /// Solves the transposed equations for a given right-hand side, in place: with a unit at the start, expected
    /// sojourn times (by rate, in discrete time). Needs kept factors; time is that of a solve.
    pub(in crate::plan) fn solve_transposed(&self, plan: &Plan, z: &mut [L]) {
        debug_assert!(self.keep, "transposed solves need the factors of all components");
        for block in plan.blocks().rev() {
            if !block.cyclic {
                self.spread_singles(plan, block.range, z);
                continue;
            }
            for at in block.range.clone() {
                let value = z[at] * self.inverse[at];
                z[at] = value;
                for entry in plan.upper.range(at) {
                    add(&mut z[plan.upper.items[entry] as usize], self.upper[entry] * value);
                }
            }
            for at in block.range.rev() {
                let value = z[at];
                for entry in plan.lower.range(at) {
                    add(&mut z[plan.lower.items[entry] as usize], self.lower[entry] * value);
                }
                self.spread_outer(plan, at, z);
            }
        }
    }

    /// Edges lead from later positions to earlier ones; what goes to the next one is handed on without a detour through
    /// memory.
    fn spread_singles(&self, plan: &Plan, range: Range<usize>, z: &mut [L]) {
        let starts = &plan.outer.start[range.start..=range.end];
        let mut end = starts[range.len()] as usize;
        let zero = L::splat(0.0);
        let mut handed_on = zero;
        for (at, &start) in range.clone().zip(starts).rev() {
            let start = start as usize;
            let value = (z[at] + handed_on) * self.inverse[at];
            z[at] = value;
            handed_on = zero;
            for (&column, &form) in plan.outer.items[start..end].iter().zip(&plan.outer_forms[start..end]) {
                let passed_on = self.values[form as usize] * value;
                if column as usize + 1 == at {
                    handed_on = passed_on;
                } else {
                    add(&mut z[column as usize], passed_on);
                }
            }
            end = start;
        }
        if let Some(before) = range.start.checked_sub(1) {
            add(&mut z[before], handed_on);
        }
    }

    fn spread_outer(&self, plan: &Plan, at: usize, z: &mut [L]) {
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            let passed_on = self.values[form as usize] * z[at];
            add(&mut z[column as usize], passed_on);
        }
    }
}
