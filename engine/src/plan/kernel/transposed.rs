//! Transposed solves, for sojourn times and gradients.

use std::ops::Range;

use super::Factors;
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::plan::slopes::Way;

#[inline(always)]
fn add<L: Lane>(sum: &mut L, value: L) {
    *sum = *sum + value;
}

/// Is told of the ways out of positions on the way of a transposed solve. A trait rather than a closure: what is called for
/// every edge must be compiled into the loop.
pub(in crate::plan) trait Follow<L> {
    /// Takes a way, the form of its weight, and the solution at the position it leads away from.
    fn follow(&mut self, way: Way, form: u32, value: L);
}

/// Nobody wants to know.
impl<L> Follow<L> for () {
    #[inline(always)]
    fn follow(&mut self, _: Way, _: u32, _: L) {}
}

impl<L: Lane> Factors<L> {
    /// Solves the transposed equations for a given right-hand side, in place: with a unit at the start, expected
    /// sojourn times (by rate, in discrete time). Needs kept factors; time is that of a solve.
    pub(in crate::plan) fn solve_transposed(&self, plan: &Plan, z: &mut [L]) {
        self.pass_on(plan, z, &mut ());
    }

    /// The same, and tells of every way out of a position as soon as that is solved: from the start on.
    ///
    /// Gradients add up what they are made of here, while indices are at hand and one position waits for the next.
    #[inline(always)]
    pub(in crate::plan) fn pass_on(&self, plan: &Plan, z: &mut [L], follow: &mut impl Follow<L>) {
        debug_assert!(self.keep, "transposed solves need the factors of all components");
        for block in plan.blocks().rev() {
            if !block.cyclic {
                self.spread_singles(plan, block.range, z, follow);
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
                self.spread_outer(plan, at, z, follow);
            }
        }
    }

    /// Edges lead from later positions to earlier ones; what goes to the next one is handed on without a detour through
    /// memory.
    #[inline(always)]
    fn spread_singles(&self, plan: &Plan, range: Range<usize>, z: &mut [L], follow: &mut impl Follow<L>) {
        let starts = &plan.outer.start[range.start..=range.end];
        let exits = &plan.exit_forms[range.clone()];
        let mut end = starts[range.len()] as usize;
        let zero = L::splat(0.0);
        let mut handed_on = zero;
        for ((at, &start), &exit) in range.clone().zip(starts).zip(exits).rev() {
            let start = start as usize;
            let value = (z[at] + handed_on) * self.inverse[at];
            z[at] = value;
            handed_on = zero;
            let ends = Some(exit) != plan.schedule.zero_form;
            let only = end - start + usize::from(ends) == 1;
            if ends {
                follow.follow(Way { at, target: None, only }, exit, value);
            }
            for (&column, &form) in plan.outer.items[start..end].iter().zip(&plan.outer_forms[start..end]) {
                let passed_on = self.values[form as usize] * value;
                if column as usize + 1 == at {
                    handed_on = passed_on;
                } else {
                    add(&mut z[column as usize], passed_on);
                }
                follow.follow(Way { at, target: Some(column as usize), only }, form, value);
            }
            end = start;
        }
        if let Some(before) = range.start.checked_sub(1) {
            add(&mut z[before], handed_on);
        }
    }

    #[inline(always)]
    fn spread_outer(&self, plan: &Plan, at: usize, z: &mut [L], follow: &mut impl Follow<L>) {
        let value = z[at];
        let way = |target: Option<usize>| Way { at, target, only: false };
        let exit = plan.exit_forms[at];
        if Some(exit) != plan.schedule.zero_form {
            follow.follow(way(None), exit, value);
        }
        let inner = plan.inner.range(at);
        for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
            follow.follow(way(Some(column as usize)), form, value);
        }
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            let passed_on = self.values[form as usize] * value;
            add(&mut z[column as usize], passed_on);
            follow.follow(way(Some(column as usize)), form, value);
        }
    }
}
