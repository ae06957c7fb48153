//! Vertices that are components of their own: nothing to eliminate, only rates to sum and values to pass on.

use std::ops::Range;

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

impl<L: Lane> Factors<L> {
    /// One division for each position; they do not wait for one another. Where the rates lie side by side, so do the
    /// divisions.
    #[inline(always)]
    pub(super) fn eliminate_chain(&mut self, plan: &Plan, range: Range<usize>, forms_run_on: bool) {
        let first = plan.outer.start[range.start] as usize;
        let forms = &plan.outer_forms[first..first + range.len()];
        self.add_totals(plan, range.clone());
        let base = self.base(plan, range.start).position;
        let inverses = &mut self.inverse[range.start - base..range.end - base];
        let mut pivots_seen = self.pivots_seen;
        if let Some(&first) = forms.first().filter(|_| forms_run_on && !L::IS_GROUP) {
            let rates = &self.values[first as usize..first as usize + forms.len()];
            for (inverse, rate) in inverses.iter_mut().zip(rates) {
                *inverse = rate.reciprocal_or_zero();
            }
            pivots_seen.see_all(rates);
        } else {
            for (inverse, &form) in inverses.iter_mut().zip(forms) {
                let rate = self.values[form as usize];
                pivots_seen.see(rate);
                *inverse = rate.reciprocal_or_zero();
            }
        }
        self.pivots_seen = pivots_seen;
    }

    /// The only way out has probability one, so that values add up: one addition's latency for each position.
    ///
    /// What a segment adds is summed apart. Equal terms are rounded alike, so that the error of a plain sum grows with its
    /// length: at a million positions that is 6e-11, and this way 5e-13.
    #[inline(always)]
    pub(super) fn solve_chain<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start).position;
        let before = x[range.start - 1];
        let mut sums = [L::splat(0.0); N];
        let inverses = &self.inverse[range.start - base..range.end - base];
        let rewards = source.rewards[range.clone()].iter();
        let totals = self.total.get(range.clone()).unwrap_or_default();
        let mut of = source.of.map(|of| of[range.clone()].iter());
        let x = x[range].iter_mut();
        if let (false, 1, [], None) = (L::IS_GROUP, N, totals, source.of) {
            // The usual question: products several at a time, and then nothing between one addition and the next.
            let x = x.into_slice();
            for ((x, &inverse), &reward) in x.iter_mut().zip(inverses).zip(rewards) {
                x[0] = L::splat(reward) * inverse;
            }
            for x in x {
                sums[0] = sums[0] + x[0];
                x[0] = before[0] + sums[0];
            }
            return;
        }
        for (link, ((x, &inverse), &reward)) in x.zip(inverses).zip(rewards).enumerate() {
            // Right-hand sides of jumps scale with the rate.
            let reward = totals.get(link).map_or(L::splat(reward), |&total| L::splat(reward) * total);
            let time = reward * inverse;
            let mut earlier = of.as_mut().and_then(Iterator::next).map(|of| of[N - 1]);
            for (number, ((x, sum), &before)) in x.iter_mut().zip(&mut sums).zip(&before).enumerate() {
                let time = time * source.factor(number);
                *sum = *sum + earlier.map_or(time, |earlier| time * earlier);
                *x = before + *sum;
                earlier = Some(*x);
            }
        }
    }

    #[inline(always)]
    pub(super) fn eliminate_singles(&mut self, plan: &Plan, range: Range<usize>) {
        self.add_totals(plan, range.clone());
        let mut pivots_seen = self.pivots_seen;
        let values = &self.values[..];
        let base = self.base(plan, range.start).position;
        let inverses = &mut self.inverse[range.start - base..range.end - base];
        let ends = &plan.outer.start[range.start + 1..=range.end];
        let mut from = plan.outer.start[range.start] as usize;
        for ((inverse, &form), &end) in inverses.iter_mut().zip(&plan.exit_forms[range]).zip(ends) {
            let mut rate = values[form as usize];
            for entry in from..end as usize {
                rate = rate + values[plan.outer_forms[entry] as usize];
            }
            from = end as usize;
            pivots_seen.see(rate);
            *inverse = rate.reciprocal_or_zero();
        }
        self.pivots_seen = pivots_seen;
    }

    /// The value of the position solved last, often the one before, comes in last and multiplied by a probability, so
    /// that a run of positions waits for one product and one sum each.
    #[inline(always)]
    pub(super) fn solve_singles<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start).position;
        let inverses = &self.inverse[range.start - base..range.end - base];
        let ends = &plan.outer.start[range.start + 1..=range.end];
        let (values, columns, forms) = (&self.values[..], &plan.outer.items[..], &plan.outer_forms[..]);
        let mut from = plan.outer.start[range.start] as usize;
        let zero = [L::splat(0.0); N];
        // Kept at hand: reading back together what was written one by one would wait for all of it to arrive.
        let mut before = range.start.checked_sub(1).map_or(zero, |before| x[before]);
        for ((at, &inverse), &end) in range.zip(inverses).zip(ends) {
            let end = end as usize;
            let mut later = zero;
            if from < end {
                for entry in from..end - 1 {
                    let weight = values[forms[entry] as usize];
                    for (sum, &x) in later.iter_mut().zip(&x[columns[entry] as usize]) {
                        *sum = *sum + weight * x;
                    }
                }
                let probability = values[forms[end - 1] as usize] * inverse;
                let last = columns[end - 1] as usize;
                let last = if last + 1 == at { before } else { x[last] };
                for (sum, x) in later.iter_mut().zip(last) {
                    *sum = *sum * inverse + probability * x;
                }
            }
            from = end;
            let time = self.reward(at, source.rewards) * inverse;
            let mut earlier = source.of.map(|of| of[at][N - 1]);
            for (number, (x, later)) in before.iter_mut().zip(later).enumerate() {
                let time = time * source.factor(number);
                *x = earlier.map_or(time, |earlier| time * earlier) + later;
                earlier = Some(*x);
            }
            x[at] = before;
        }
    }
}
