//! The numeric work at one θ or at eight: elimination and triangular solves, component by component.
//!
//! Elimination is the subtraction-free one of Grassmann, Taksar and Heyman (Operations Research 33, 1985): the pivot of a
//! vertex is the sum of what leaves it, never a difference, so every entry is accurate to a few units in the last place
//! whatever the rates. A row takes one multiply-add for every entry of the rows it is reduced by; nothing is allocated.

use std::ops::Range;

use super::Plan;
use super::lane::Lane;

/// What an elimination needs to write to, and leaves behind for solves.
#[derive(Debug, Clone)]
pub(super) struct Factors<L> {
    pub(super) theta: Vec<L>,
    /// Values of the plan's linear forms.
    pub(super) values: Vec<L>,
    /// A row being reduced, by position; all zero between rows.
    work: Vec<L>,
    /// What leaves each position's component, directly and through positions eliminated before.
    exit: Vec<L>,
    /// Reciprocal pivots.
    pub(super) inverse: Vec<L>,
    /// Sum of each position's weights; discrete time only.
    pub(super) total: Vec<L>,
    pub(super) lower: Vec<L>,
    pub(super) upper: Vec<L>,
    /// Whether factors of all components are kept, or only those of the current one.
    keep: bool,
    /// Whether a pivot was not above zero.
    pub(super) stuck: bool,
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
        let (lower, upper) = if keep {
            (plan.lower.items.len(), plan.upper.items.len())
        } else {
            let longest = |lists: &super::analysis::Lists| {
                let lengths = plan.components().map(|c| lists.start[c.end] - lists.start[c.start]);
                lengths.max().unwrap_or(0) as usize
            };
            (longest(&plan.lower), longest(&plan.upper))
        };
        Self {
            theta: vec![zero; plan.param_length as usize],
            values: vec![zero; plan.forms.count()],
            work: vec![zero; positions],
            exit: vec![zero; positions],
            inverse: vec![zero; positions],
            total: vec![zero; if plan.discrete { positions } else { 0 }],
            lower: vec![zero; lower],
            upper: vec![zero; upper],
            keep,
            stuck: false,
        }
    }

    /// Sets the linear forms for the θ in place.
    #[inline(always)]
    pub(super) fn prepare(&mut self, plan: &Plan) {
        plan.forms.evaluate(&self.theta, &mut self.values);
        self.stuck = false;
    }

    /// Where the factors of a component lie.
    #[inline(always)]
    fn bases(&self, plan: &Plan, component: &Range<usize>) -> (usize, usize) {
        if self.keep {
            (0, 0)
        } else {
            (plan.lower.start[component.start] as usize, plan.upper.start[component.start] as usize)
        }
    }

    /// Eliminates the vertices of one component.
    #[inline(always)]
    pub(super) fn eliminate(&mut self, plan: &Plan, component: Range<usize>) {
        let (lower_base, upper_base) = self.bases(plan, &component);
        let zero = L::splat(0.0);
        for at in component {
            let mut exit = self.values[plan.exit_forms[at] as usize];
            for &form in &plan.outer_forms[plan.outer.range(at)] {
                exit = exit + self.values[form as usize];
            }
            let inner = plan.inner.range(at);
            if plan.discrete {
                let stay = plan.inner_forms[inner.clone()].iter();
                self.total[at] = stay.fold(exit, |sum, &form| sum + self.values[form as usize]);
            }
            if inner.is_empty() {
                self.finish(at, exit, exit);
                continue;
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
                let from = plan.upper.range(row);
                let values = &self.upper[from.start - upper_base..from.end - upper_base];
                for (&column, &value) in plan.upper.items[from].iter().zip(values) {
                    let sum = &mut self.work[column as usize];
                    *sum = *sum + factor * value;
                }
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
            self.finish(at, exit, pivot);
        }
    }

    #[inline(always)]
    fn finish(&mut self, at: usize, exit: L, pivot: L) {
        self.stuck |= pivot.any_not_positive();
        self.exit[at] = exit;
        self.inverse[at] = pivot.reciprocal_or_zero();
    }

    /// Solves for one component; the solutions of those before it must be in `x`.
    #[inline(always)]
    pub(super) fn solve(&self, plan: &Plan, component: Range<usize>, source: Source<'_, L>, x: &mut [L]) {
        let (lower_base, upper_base) = self.bases(plan, &component);
        for at in component.clone() {
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
            for entry in plan.lower.range(at) {
                sum = sum + self.lower[entry - lower_base] * x[plan.lower.items[entry] as usize];
            }
            x[at] = sum;
        }
        for at in component.rev() {
            let mut sum = x[at];
            for entry in plan.upper.range(at) {
                sum = sum + self.upper[entry - upper_base] * x[plan.upper.items[entry] as usize];
            }
            x[at] = sum * self.inverse[at];
        }
    }
}

impl Factors<f64> {
    /// Solves the transposed equations for a given right-hand side, in place: with a unit at the start, expected
    /// sojourn times over pivots. Needs kept factors; time is that of a solve.
    pub(super) fn solve_transposed(&self, plan: &Plan, z: &mut [f64]) {
        debug_assert!(self.keep, "transposed solves need the factors of all components");
        for component in plan.components().rev() {
            for at in component.clone() {
                let value = z[at] * self.inverse[at];
                z[at] = value;
                for entry in plan.upper.range(at) {
                    z[plan.upper.items[entry] as usize] += self.upper[entry] * value;
                }
            }
            for at in component.rev() {
                let value = z[at];
                for entry in plan.lower.range(at) {
                    z[plan.lower.items[entry] as usize] += self.lower[entry] * value;
                }
                let outer = plan.outer.range(at);
                for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
                    z[column as usize] += self.values[form as usize] * value;
                }
            }
        }
    }
}
