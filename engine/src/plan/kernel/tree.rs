//! Components whose elimination fills nothing in: trees, and chains above all.
//!
//! A row that is reduced by another takes nothing from it but what leaves the component, so factors are products of edge
//! weights and reciprocal pivots, and no row needs to be worked out in full. Rows have two or three entries, so what
//! counts is how few instructions go with each.

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
        let (values, exit_forms) = (&values[..], &plan.exit_forms[..range.end]);
        let exits = &mut exits[..range.end];
        let mut lower = &mut lower[plan.lower.start[range.start] as usize - base.lower..];
        let mut upper = &mut upper[plan.upper.start[range.start] as usize - base.upper..];
        let mut lower_rows = plan.lower.rows(range.start, &plan.lower.items);
        let mut outer = plan.outer.rows(range.start, &plan.outer_forms);
        let mut inner = plan.inner.rows(range.start, &plan.inner_forms);
        for at in range {
            let (_, outer) = outer.advance();
            let (_, inner) = inner.advance();
            let (columns, _) = lower_rows.advance();
            let (behind, ahead) = inner.split_at(columns.len());
            let mut outside = values[exit_forms[at] as usize];
            for &form in outer {
                outside = outside + values[form as usize];
            }
            let mut pivot = outside;
            let (kept, rest) = std::mem::take(&mut upper).split_at_mut(ahead.len());
            upper = rest;
            for (kept, &form) in kept.iter_mut().zip(ahead) {
                *kept = values[form as usize];
                pivot = pivot + *kept;
            }
            // Last comes what is waited for: the row eliminated before this one, as often as not.
            let mut exit = outside;
            let (kept, rest) = std::mem::take(&mut lower).split_at_mut(behind.len());
            lower = rest;
            for ((kept, &form), &row) in kept.iter_mut().zip(behind).zip(columns) {
                let factor = values[form as usize] * inverses[row as usize - base.position];
                *kept = factor;
                let passed_on = factor * exits[row as usize];
                exit = exit + passed_on;
                pivot = pivot + passed_on;
            }
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
        let base = self.base(plan, range.start);
        let values = &self.values[..];
        for number in 0..N {
            let mut outer = plan.outer.rows(range.start, &plan.outer_forms);
            let mut lower = plan.lower.rows_kept(range.start, &self.lower, base.lower);
            for at in range.clone() {
                let mut sum = self.earned_for(number, at, source, x);
                let (columns, forms) = outer.advance();
                for (&column, &form) in columns.iter().zip(forms) {
                    sum = sum + values[form as usize] * x[column as usize][number];
                }
                let (rows, factors) = lower.advance();
                for (&row, &factor) in rows.iter().zip(factors) {
                    sum = sum + factor * x[row as usize][number];
                }
                x[at][number] = sum;
            }
            let mut end = plan.upper.start[range.end] as usize;
            for at in range.clone().rev() {
                let start = plan.upper.start[at] as usize;
                let inverse = self.inverse[at - base.position];
                let mut sum = x[at][number] * inverse;
                for entry in start..end {
                    let column = plan.upper.items[entry] as usize;
                    sum = sum + (self.upper[entry - base.upper] * inverse) * x[column][number];
                }
                x[at][number] = sum;
                end = start;
            }
        }
    }
}
