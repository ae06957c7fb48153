//! Vertices that are components of their own: nothing to eliminate, only rates to sum and values to pass on.

use std::ops::Range;

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

impl<L: Lane> Factors<L> {
    /// One division for each position; they do not wait for one another.
    #[inline(always)]
    pub(super) fn eliminate_chain(&mut self, plan: &Plan, range: Range<usize>) {
        let first = plan.outer.start[range.start] as usize;
        let forms = &plan.outer_forms[first..first + range.len()];
        self.add_totals(plan, range.clone());
        let mut pivots_seen = self.pivots_seen;
        let base = self.base(plan, range.start).position;
        for (inverse, &form) in self.inverse[range.start - base..range.end - base].iter_mut().zip(forms) {
            let rate = self.values[form as usize];
            pivots_seen.see(rate);
            *inverse = rate.reciprocal_or_zero();
        }
        self.pivots_seen = pivots_seen;
    }

    /// The only way out has probability one, so that values add up: one addition's latency for each position.
    ///
    /// What a segment adds is summed apart. Equal terms are rounded alike, so that the error of a plain sum grows with its
    /// length: at a million positions that is 6e-11, and this way 5e-13.
    #[inline(always)]
    pub(super) fn solve_chain(&self, plan: &Plan, range: Range<usize>, source: Source<'_, L>, x: &mut [L]) {
        let base = self.base(plan, range.start).position;
        let (before, mut sum) = (x[range.start - 1], L::splat(0.0));
        for at in range {
            sum = sum + self.earned(at, source) * self.inverse[at - base];
            x[at] = before + sum;
        }
    }

    #[inline(always)]
    pub(super) fn eliminate_singles(&mut self, plan: &Plan, range: Range<usize>) {
        self.add_totals(plan, range.clone());
        let mut pivots_seen = self.pivots_seen;
        let (values, exit_forms) = (&self.values[..], &plan.exit_forms[range.clone()]);
        let mut outer = plan.outer.rows(range.start, &plan.outer_forms);
        let base = self.base(plan, range.start).position;
        let inverses = &mut self.inverse[range.start - base..range.end - base];
        for (inverse, &form) in inverses.iter_mut().zip(exit_forms) {
            let forms = outer.advance().1.iter();
            let rate = forms.fold(values[form as usize], |sum, &form| sum + values[form as usize]);
            pivots_seen.see(rate);
            *inverse = rate.reciprocal_or_zero();
        }
        self.pivots_seen = pivots_seen;
    }

    /// The value of the position solved last, often the one before, comes in last and multiplied by a probability, so
    /// that a run of positions waits for one product and one sum each.
    #[inline(always)]
    pub(super) fn solve_singles(&self, plan: &Plan, range: Range<usize>, source: Source<'_, L>, x: &mut [L]) {
        let base = self.base(plan, range.start).position;
        let mut outer = plan.outer.rows(range.start, &plan.outer_forms);
        for at in range {
            let mut sum = self.earned(at, source);
            let inverse = self.inverse[at - base];
            let (columns, forms) = outer.advance();
            x[at] = if let (Some((&last, columns)), Some((&form, forms))) =
                (columns.split_last(), forms.split_last())
            {
                for (&column, &form) in columns.iter().zip(forms) {
                    sum = sum + self.values[form as usize] * x[column as usize];
                }
                sum * inverse + (self.values[form as usize] * inverse) * x[last as usize]
            } else {
                sum * inverse
            };
        }
    }
}
