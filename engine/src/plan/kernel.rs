//! The numeric work at one θ or at eight: elimination and triangular solves, block by block.
//!
//! Elimination is the subtraction-free one of Grassmann, Taksar and Heyman (Operations Research 33, 1985): the pivot of a
//! vertex is the sum of what leaves it, never a difference, so every entry is accurate to a few units in the last place
//! whatever the rates. A row takes one multiply-add for every entry of the rows it is reduced by; nothing is allocated.

use std::ops::Range;

use super::analysis::Lists;
use super::lane::Lane;
use super::{Block, Plan};

/// What an elimination needs to write to, and leaves behind for solves.
#[derive(Debug, Clone)]
pub(super) struct Factors<L> {
    /// Parameters, at least one.
    pub(super) theta: Vec<L>,
    /// Values of the plan's linear forms.
    pub(super) values: Vec<L>,
    /// A row being reduced, by position; all zero between rows.
    work: Vec<L>,
    /// What leaves each position's component, directly and through positions eliminated before.
    exit: Vec<L>,
    /// Reciprocal pivots; 0 for a pivot of 0.
    pub(super) inverse: Vec<L>,
    /// Sum of each position's weights; discrete time only.
    pub(super) total: Vec<L>,
    lower: Vec<L>,
    upper: Vec<L>,
    /// Whether factors of all components are kept, or only those of the current one.
    keep: bool,
}

/// Right-hand side of a solve: rewards (ones if none) times an earlier solution (ones if none).
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a, L> {
    /// By position; the start's is 0.
    pub(super) rewards: &'a [f64],
    pub(super) of: Option<&'a [L]>,
}

impl<L: Lane> Factors<L> {
    /// Room for one evaluation; with `keep`, factors stay for later solves.
    pub(super) fn new(plan: &Plan, keep: bool) -> Self {
        let zero = L::splat(0.0);
        let positions = plan.vertices.len();
        let needed = |lists: &Lists| {
            let of_block =
                |block: Block| (lists.start[block.range.end] - lists.start[block.range.start]) as usize;
            if keep { lists.items.len() } else { plan.blocks().map(of_block).max().unwrap_or(0) }
        };
        Self {
            theta: vec![zero; plan.param_length().max(1)],
            values: vec![zero; plan.forms.count()],
            work: vec![zero; positions],
            exit: vec![zero; positions],
            inverse: vec![zero; positions],
            total: vec![zero; if plan.discrete { positions } else { 0 }],
            lower: vec![zero; needed(&plan.lower)],
            upper: vec![zero; needed(&plan.upper)],
            keep,
        }
    }

    /// Sets the linear forms for the θ in place.
    #[inline(always)]
    pub(super) fn prepare(&mut self, plan: &Plan) {
        plan.forms.evaluate(&self.theta, &mut self.values);
    }

    /// Whether some pivot is not above zero, or none at all.
    pub(super) fn is_stuck(&self) -> bool {
        self.inverse.iter().any(|inverse| inverse.any_not_positive())
    }

    /// Where the factors of a block lie.
    #[inline(always)]
    fn bases(&self, plan: &Plan, start: usize) -> (usize, usize) {
        if self.keep { (0, 0) } else { (plan.lower.start[start] as usize, plan.upper.start[start] as usize) }
    }

    /// Eliminates the vertices of one block.
    #[inline(always)]
    pub(super) fn eliminate(&mut self, plan: &Plan, block: &Block) {
        if !block.cyclic {
            return self.eliminate_singles(plan, block.range.clone());
        }
        let (lower_base, upper_base) = self.bases(plan, block.range.start);
        let zero = L::splat(0.0);
        for at in block.range.clone() {
            let mut exit = self.outside(plan, at);
            let inner = plan.inner.range(at);
            if plan.discrete {
                let stay = plan.inner_forms[inner.clone()].iter();
                self.total[at] = stay.fold(exit, |sum, &form| sum + self.values[form as usize]);
            }
            for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
                self.work[column as usize] = self.values[form as usize];
            }
            for entry in plan.lower.range(at) {
                let row = plan.lower.items[entry] as usize;
                let factor = self.work[row] * self.inverse[row];
                self.work[row] = zero;
                self.lower[entry - lower_base] = factor;
                exit = exit + factor * self.exit[row];
                self.add_row(plan, row, upper_base, factor);
            }
            let mut pivot = exit;
            for entry in plan.upper.range(at) {
                let column = plan.upper.items[entry] as usize;
                let value = std::mem::replace(&mut self.work[column], zero);
                self.upper[entry - upper_base] = value;
                pivot = pivot + value;
            }
            // Paths that return to where they began take no part.
            self.work[at] = zero;
            self.exit[at] = exit;
            self.inverse[at] = pivot.reciprocal_or_zero();
        }
    }

    /// Adds a multiple of an eliminated row to the row in work: the innermost loop.
    #[inline(always)]
    fn add_row(&mut self, plan: &Plan, row: usize, upper_base: usize, factor: L) {
        let (range, tail) = (plan.upper.range(row), plan.tails[row] as usize);
        let columns = &plan.upper.items[range.start..tail];
        for (&column, &value) in columns.iter().zip(&self.upper[range.start - upper_base..tail - upper_base])
        {
            let sum = &mut self.work[column as usize];
            *sum = *sum + factor * value;
        }
        if tail < range.end {
            let first = plan.upper.items[tail] as usize;
            let sums = &mut self.work[first..first + range.end - tail];
            for (sum, &value) in sums.iter_mut().zip(&self.upper[tail - upper_base..range.end - upper_base]) {
                *sum = *sum + factor * value;
            }
        }
    }

    /// A run of vertices that are components of their own: nothing to eliminate, only rates to sum.
    #[inline(always)]
    fn eliminate_singles(&mut self, plan: &Plan, range: Range<usize>) {
        for at in range {
            let rate = self.outside(plan, at);
            if plan.discrete {
                self.total[at] = rate;
            }
            self.inverse[at] = rate.reciprocal_or_zero();
        }
    }

    /// Total weight of the edges that leave the component.
    #[inline(always)]
    fn outside(&self, plan: &Plan, at: usize) -> L {
        let forms = plan.outer_forms[plan.outer.range(at)].iter();
        forms.fold(self.values[plan.exit_forms[at] as usize], |sum, &form| sum + self.values[form as usize])
    }

    /// Solves for one block; the solutions of those before it must be in `x`.
    #[inline(always)]
    pub(super) fn solve(&self, plan: &Plan, block: &Block, source: Source<'_, L>, x: &mut [L]) {
        if !block.cyclic {
            for at in block.range.clone() {
                x[at] = self.known(plan, at, source, x) * self.inverse[at];
            }
            return;
        }
        let (lower_base, upper_base) = self.bases(plan, block.range.start);
        for at in block.range.clone() {
            let mut sum = self.known(plan, at, source, x);
            for entry in plan.lower.range(at) {
                sum = sum + self.lower[entry - lower_base] * x[plan.lower.items[entry] as usize];
            }
            x[at] = sum;
        }
        for at in block.range.clone().rev() {
            let mut sum = x[at];
            for entry in plan.upper.range(at) {
                sum = sum + self.upper[entry - upper_base] * x[plan.upper.items[entry] as usize];
            }
            x[at] = sum * self.inverse[at];
        }
    }

    /// The right-hand side at a position: what is earned there, and what is known behind its outer edges.
    #[inline(always)]
    fn known(&self, plan: &Plan, at: usize, source: Source<'_, L>, x: &[L]) -> L {
        let mut sum = L::splat(source.rewards[at]);
        if let Some(of) = source.of {
            sum = sum * of[at];
        }
        if plan.discrete {
            sum = sum * self.total[at];
        }
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            sum = sum + self.values[form as usize] * x[column as usize];
        }
        sum
    }
}

impl Factors<f64> {
    /// Solves the transposed equations for a given right-hand side, in place: with a unit at the start, expected
    /// sojourn times (by rate, in discrete time). Needs kept factors; time is that of a solve.
    pub(super) fn solve_transposed(&self, plan: &Plan, z: &mut [f64]) {
        debug_assert!(self.keep, "transposed solves need the factors of all components");
        for block in plan.blocks().rev() {
            if !block.cyclic {
                // Edges lead from later positions to earlier ones.
                for at in block.range.rev() {
                    z[at] *= self.inverse[at];
                    self.spread_outer(plan, at, z);
                }
                continue;
            }
            for at in block.range.clone() {
                let value = z[at] * self.inverse[at];
                z[at] = value;
                for entry in plan.upper.range(at) {
                    z[plan.upper.items[entry] as usize] += self.upper[entry] * value;
                }
            }
            for at in block.range.rev() {
                let value = z[at];
                for entry in plan.lower.range(at) {
                    z[plan.lower.items[entry] as usize] += self.lower[entry] * value;
                }
                self.spread_outer(plan, at, z);
            }
        }
    }

    fn spread_outer(&self, plan: &Plan, at: usize, z: &mut [f64]) {
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            z[column as usize] += self.values[form as usize] * z[at];
        }
    }
}
