//! Components with cycles: rows are reduced by the rows eliminated before them.
//!
//! A row takes one multiply-add for every entry of the rows it is reduced by. Rows of a supernode come four at a time,
//! so that the row in work is read and written once for four of them; the order of additions, and so every bit, is that
//! of one row after the other.

use std::ops::Range;

use super::{Base, Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

/// Rows of a supernode that are added together.
const GROUP: usize = 4;

impl<L: Lane> Factors<L> {
    #[inline(always)]
    pub(super) fn eliminate_component(&mut self, plan: &Plan, range: Range<usize>) {
        let base = self.base(plan, range.start);
        let zero = L::splat(0.0);
        self.add_totals(plan, range.clone());
        for at in range {
            let outside = self.outside(plan, at);
            let inner = plan.inner.range(at);
            for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
                self.work[column as usize] = self.values[form as usize];
            }
            let exit = self.reduce(plan, plan.lower.range(at), base, outside);
            let mut pivot = exit;
            let upper = plan.upper.range(at);
            let kept = &mut self.upper[upper.start - base.upper..upper.end - base.upper];
            for (kept, &column) in kept.iter_mut().zip(&plan.upper.items[upper]) {
                let value = std::mem::replace(&mut self.work[column as usize], zero);
                *kept = value;
                pivot = pivot + value;
            }
            // Paths that return to where they began take no part.
            self.work[at] = zero;
            self.exit[at] = exit;
            self.pivots_seen.see(pivot);
            self.inverse[at - base.position] = pivot.reciprocal_or_zero();
        }
    }

    /// Reduces the row in work by the rows of a lower list, and returns what then leaves the component.
    #[inline(always)]
    fn reduce(&mut self, plan: &Plan, lower: Range<usize>, base: Base, outside: L) -> L {
        let mut exit = outside;
        let rows = &plan.lower.items[lower.clone()];
        let mut next = 0;
        while let Some(&row) = rows.get(next) {
            let row = row as usize;
            let entry = lower.start + next - base.lower;
            let together = rows.get(next + GROUP - 1).is_some_and(|&last| {
                last as usize == row + GROUP - 1 && last < plan.schedule.supernode_end[row]
            });
            if together {
                exit = self.add_four_rows(plan, row, entry, base, exit);
                next += GROUP;
            } else {
                let factor = self.take_factor(row, entry, base);
                exit = exit + factor * self.exit[row];
                self.add_row(plan, row, base, factor);
                next += 1;
            }
        }
        exit
    }

    /// The multiple of an eliminated row that the row in work takes up.
    #[inline(always)]
    fn take_factor(&mut self, row: usize, entry: usize, base: Base) -> L {
        let factor =
            std::mem::replace(&mut self.work[row], L::splat(0.0)) * self.inverse[row - base.position];
        self.lower[entry] = factor;
        factor
    }

    /// Adds a multiple of an eliminated row to the row in work.
    #[inline(always)]
    fn add_row(&mut self, plan: &Plan, row: usize, base: Base, factor: L) {
        let range = plan.upper.range(row);
        let tail = if L::IS_GROUP { range.end } else { plan.schedule.tails[row] as usize };
        let columns = &plan.upper.items[range.start..tail];
        for (&column, &value) in columns.iter().zip(&self.upper[range.start - base.upper..tail - base.upper])
        {
            let sum = &mut self.work[column as usize];
            *sum = *sum + factor * value;
        }
        if tail < range.end {
            let first = plan.upper.items[tail] as usize;
            let sums = &mut self.work[first..first + range.end - tail];
            for (sum, &value) in sums.iter_mut().zip(&self.upper[tail - base.upper..range.end - base.upper]) {
                *sum = *sum + factor * value;
            }
        }
    }

    /// Adds multiples of four rows of one supernode to the row in work: the innermost loop.
    ///
    /// One load of each row and a quarter of a load and a store of the row in work for a multiply-add.
    #[inline(always)]
    fn add_four_rows(&mut self, plan: &Plan, row: usize, entry: usize, base: Base, mut exit: L) -> L {
        let mut factors = [L::splat(0.0); GROUP];
        for (number, kept) in factors.iter_mut().enumerate() {
            let factor = self.take_factor(row + number, entry + number, base);
            exit = exit + factor * self.exit[row + number];
            // The rest of the group.
            let begin = plan.upper.start[row + number] as usize - base.upper;
            let values = &self.upper[begin..begin + GROUP - 1 - number];
            for (sum, &value) in self.work[row + number + 1..row + GROUP].iter_mut().zip(values) {
                *sum = *sum + factor * value;
            }
            *kept = factor;
        }
        let last = plan.upper.range(row + GROUP - 1);
        let tail = if L::IS_GROUP { last.end } else { plan.schedule.tails[row + GROUP - 1] as usize };
        let (scattered, dense) = (tail - last.start, last.end - tail);
        let rows: [&[L]; GROUP] = std::array::from_fn(|number| {
            let end = plan.upper.start[row + number + 1] as usize - base.upper;
            &self.upper[end - last.len()..end]
        });
        let [f, g, h, k] = factors;
        let [a, b, c, d] = rows;
        let columns = &plan.upper.items[last.start..tail];
        for ((((&column, &a), &b), &c), &d) in columns.iter().zip(a).zip(b).zip(c).zip(d) {
            let sum = &mut self.work[column as usize];
            *sum = *sum + f * a + g * b + h * c + k * d;
        }
        if dense > 0 {
            let first = plan.upper.items[tail] as usize;
            let sums = &mut self.work[first..first + dense];
            let [a, b, c, d] = rows.map(|row| &row[scattered..]);
            for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum = *sum + f * a + g * b + h * c + k * d;
            }
        }
        exit
    }

    #[inline(always)]
    pub(super) fn solve_component<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start);
        for number in 0..N {
            for at in range.clone() {
                let outer = plan.outer.range(at);
                let mut sum = self.earned_for(number, at, source, x);
                for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
                    sum = sum + self.values[form as usize] * x[column as usize][number];
                }
                let lower = plan.lower.range(at);
                let factors = &self.lower[lower.start - base.lower..lower.end - base.lower];
                for (&factor, &row) in factors.iter().zip(&plan.lower.items[lower]) {
                    sum = sum + factor * x[row as usize][number];
                }
                x[at][number] = sum;
            }
            for at in range.clone().rev() {
                let mut sum = x[at][number];
                let upper = plan.upper.range(at);
                let values = &self.upper[upper.start - base.upper..upper.end - base.upper];
                for (&value, &column) in values.iter().zip(&plan.upper.items[upper]) {
                    sum = sum + value * x[column as usize][number];
                }
                x[at][number] = sum * self.inverse[at - base.position];
            }
        }
    }
}
