//! Vertices that are components of their own and have very many ways out.
//!
//! Added one by one, equal terms are rounded alike, so that a start that leads to a million places would lose 2e-11; in
//! groups it is 1e-13 at most for each 2^18 ways. In segments and loops of their own, as ordinary rows are faster without.

use std::array;
use std::ops::Range;

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;

/// More than this are added up in groups of so many.
pub(in crate::plan) const GROUP: usize = 512;

impl<L: Lane> Factors<L> {
    #[cold]
    pub(super) fn eliminate_fans(&mut self, plan: &Plan, range: Range<usize>) {
        self.add_totals(plan, range.clone());
        let base = self.base(plan, range.start).position;
        for at in range {
            let forms = &plan.outer_forms[plan.outer.range(at)];
            let exit = self.values[plan.exit_forms[at] as usize];
            let rate = exit + in_groups(forms.len(), |way| self.values[forms[way] as usize]);
            self.pivots_seen.see(rate);
            self.inverse[at - base] = rate.reciprocal_or_zero();
        }
    }

    #[cold]
    pub(super) fn solve_fans<const N: usize>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        let base = self.base(plan, range.start).position;
        for at in range {
            let (columns, forms) = (plan.outer.of(at), &plan.outer_forms[plan.outer.range(at)]);
            let later: [L; N] = array::from_fn(|number| {
                in_groups(forms.len(), |way| {
                    self.values[forms[way] as usize] * x[columns[way] as usize][number]
                })
            });
            let inverse = self.inverse[at - base];
            let time = self.reward(at, source.rewards) * inverse;
            let mut earlier = source.of.map(|of| of[at][N - 1]);
            for (number, (x, later)) in x[at].iter_mut().zip(later).enumerate() {
                let time = time * source.factor(number);
                *x = earlier.map_or(time, |earlier| time * earlier) + later * inverse;
                earlier = Some(*x);
            }
        }
    }
}

/// The sum of so many terms.
#[inline(always)]
fn in_groups<L: Lane>(count: usize, term: impl Fn(usize) -> L) -> L {
    let add = |sum: L, way| sum + term(way);
    let group = |first: usize| (first..count.min(first + GROUP)).fold(L::splat(0.0), add);
    (0..count).step_by(GROUP).map(group).fold(L::splat(0.0), |sum, group| sum + group)
}
