//! Components whose elimination fills nothing in: trees, and chains above all.
//!
//! A row that is reduced by another takes nothing from it but what leaves the component, so factors are products of edge
//! weights and reciprocal pivots, and no row needs to be worked out in full. Rows have two or three entries, so what
//! counts is how few instructions go with each: loops count entries, for slices and their ends would cost more than what
//! is done with them.

use std::ops::Range;

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

impl<L: Lane> Factors<L> {
    /// Two multiplications for an edge to a position eliminated before, an addition for any other.
    #[inline(always)]
    pub(super) fn eliminate_tree(&mut self, plan: &Plan, range: Range<usize>) {
        let base = self.base(plan, range.start);
        self.add_totals(plan, range.clone());
        let mut pivots_seen = self.pivots_seen;
        let Self { values, exit: exits, inverse: inverses, lower, upper, .. } = self;
        let (values, inner_forms, lower_rows) = (&values[..], &plan.inner_forms[..], &plan.lower.items[..]);
        let exits = &mut exits[..range.end];
        let inverses = &mut inverses[..range.end - base.position];
        let ends = range.start + 1..range.end + 1;
        let ends = plan.outer.start[ends.clone()]
            .iter()
            .zip(&plan.lower.start[ends.clone()])
            .zip(&plan.upper.start[ends]);
        let rows = range.clone().zip(&plan.exit_forms[range.clone()]).zip(ends);
        let mut outer_from = plan.outer.start[range.start] as usize;
        let mut lower_from = plan.lower.start[range.start] as usize;
        let mut upper_from = plan.upper.start[range.start] as usize;
        // The edges of a row are the entries of its factors: those below the diagonal, then those above.
        let mut edge = plan.inner.start[range.start] as usize;
        for ((at, &exit_form), ((&outer_end, &lower_end), &upper_end)) in rows {
            let (outer_end, lower_end, upper_end) =
                (outer_end as usize, lower_end as usize, upper_end as usize);
            let mut outside = values[exit_form as usize];
            for entry in outer_from..outer_end {
                outside = outside + values[plan.outer_forms[entry] as usize];
            }
            let mut pivot = outside;
            let above = edge + (lower_end - lower_from);
            for entry in upper_from..upper_end {
                let weight = values[inner_forms[above + (entry - upper_from)] as usize];
                upper[entry - base.upper] = weight;
                pivot = pivot + weight;
            }
            // Last comes what is waited for: the row eliminated before this one, as often as not.
            let mut exit = outside;
            for entry in lower_from..lower_end {
                let row = lower_rows[entry] as usize;
                let weight = values[inner_forms[edge + (entry - lower_from)] as usize];
                let factor = weight * inverses[row - base.position];
                lower[entry - base.lower] = factor;
                let passed_on = factor * exits[row];
                exit = exit + passed_on;
                pivot = pivot + passed_on;
            }
            edge = above + (upper_end - upper_from);
            (outer_from, lower_from, upper_from) = (outer_end, lower_end, upper_end);
            exits[at] = exit;
            pivots_seen.see(pivot);
            inverses[at - base.position] = pivot.reciprocal_or_zero();
        }
        self.pivots_seen = pivots_seen;
    }

    /// As for any component, with the value that is waited for multiplied last.
    #[inline(always)]
    pub(super) fn solve_tree<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        for number in 0..N {
            self.collect_tree(plan, range.clone(), number, source, x);
            self.substitute_tree(plan, range.clone(), number, x);
        }
    }

    /// Forward substitution for one of the right-hand sides.
    #[inline(always)]
    fn collect_tree<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        number: usize,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start);
        let (values, lower) = (&self.values[..], &self.lower[..]);
        let x = &mut x[..range.end];
        let ends = range.start + 1..range.end + 1;
        let ends = plan.outer.start[ends.clone()].iter().zip(&plan.lower.start[ends]);
        let mut outer_from = plan.outer.start[range.start] as usize;
        let mut lower_from = plan.lower.start[range.start] as usize;
        for (at, (&outer_end, &lower_end)) in range.zip(ends) {
            let (outer_end, lower_end) = (outer_end as usize, lower_end as usize);
            let mut sum = self.earned_for(number, at, source, x);
            for entry in outer_from..outer_end {
                let weight = values[plan.outer_forms[entry] as usize];
                sum = sum + weight * x[plan.outer.items[entry] as usize][number];
            }
            for entry in lower_from..lower_end {
                sum = sum + lower[entry - base.lower] * x[plan.lower.items[entry] as usize][number];
            }
            (outer_from, lower_from) = (outer_end, lower_end);
            x[at][number] = sum;
        }
    }

    /// Back substitution for one of the right-hand sides.
    #[inline(always)]
    fn substitute_tree<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        number: usize,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start);
        let (upper, columns) = (&self.upper[..], &plan.upper.items[..]);
        let inverses = &self.inverse[range.start - base.position..range.end - base.position];
        let x = &mut x[..range.end];
        let starts = &plan.upper.start[range.clone()];
        let mut end = plan.upper.start[range.end] as usize;
        for ((at, &inverse), &start) in range.zip(inverses).zip(starts).rev() {
            let mut sum = x[at][number] * inverse;
            for entry in start as usize..end {
                sum = sum + (upper[entry - base.upper] * inverse) * x[columns[entry] as usize][number];
            }
            x[at][number] = sum;
            end = start as usize;
        }
    }
}
