//! Transposed solves, for sojourn times and gradients.

use std::ops::Range;

use super::Factors;
use super::fans::GROUP;
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::plan::schedule::{Kind, Segment};

#[inline(always)]
fn add<L: Lane>(sum: &mut L, value: L) {
    *sum = *sum + value;
}

/// Is told of the ways out of positions on the way of a transposed solve. A trait rather than a closure: what is called for
/// every edge must be compiled into the loop.
pub(in crate::plan) trait Follow<L> {
    /// What is told of some of them.
    type Some: FollowSome<L>;

    /// At most so many ways follow.
    fn begin(&mut self, ways: usize) -> Self::Some;

    /// Those have followed.
    fn end(&mut self, some: Self::Some);
}

/// Is told of some ways. In the hands of a loop, so that its numbers stay in registers.
pub(in crate::plan) trait FollowSome<L> {
    /// What the ways out of one position have in common.
    type Row: Copy;

    /// Begins with those out of a position, of which the solution is known. Whether there is an only one, taken for certain.
    fn row(&self, at: usize, only: bool, value: L) -> Self::Row;

    /// Takes one of them, and the form of its weight. It leads nowhere for absorption.
    fn follow(&mut self, row: Self::Row, target: Option<usize>, form: u32);
}

/// Nobody wants to know.
impl<L> Follow<L> for () {
    type Some = ();

    #[inline(always)]
    fn begin(&mut self, _: usize) {}

    #[inline(always)]
    fn end(&mut self, (): ()) {}
}

impl<L> FollowSome<L> for () {
    type Row = ();

    #[inline(always)]
    fn row(&self, _: usize, _: bool, _: L) {}

    #[inline(always)]
    fn follow(&mut self, (): (), _: Option<usize>, _: u32) {}
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
        for Segment { range, kind, .. } in plan.schedule.segments.iter().rev() {
            match kind {
                Kind::Chain { .. } | Kind::Singles { many_ways: false } => {
                    let mut some = follow.begin(plan.ways(range.clone()));
                    self.spread_singles(plan, range.clone(), z, &mut some);
                    follow.end(some);
                }
                Kind::Singles { many_ways: true } => {
                    range.clone().rev().for_each(|at| self.spread_fan(plan, at, z, follow));
                }
                Kind::Tree | Kind::Cyclic { .. } => self.spread_component(plan, range.clone(), z, follow),
            }
        }
    }

    #[inline(always)]
    fn spread_component(&self, plan: &Plan, range: Range<usize>, z: &mut [L], follow: &mut impl Follow<L>) {
        for at in range.clone() {
            let value = z[at] * self.inverse[at];
            z[at] = value;
            for entry in plan.upper.range(at) {
                add(&mut z[plan.upper.items[entry] as usize], self.upper[entry] * value);
            }
        }
        let mut end = range.end;
        while end > range.start {
            let rows = plan.few(end - range.start, |count| end - count..end);
            end = rows.start;
            let mut some = follow.begin(plan.ways(rows.clone()));
            for at in rows.rev() {
                let value = z[at];
                for entry in plan.lower.range(at) {
                    add(&mut z[plan.lower.items[entry] as usize], self.lower[entry] * value);
                }
                self.spread_outer(plan, at, z, &mut some);
            }
            follow.end(some);
        }
    }

    /// A single vertex with very many ways out.
    #[cold]
    fn spread_fan(&self, plan: &Plan, at: usize, z: &mut [L], follow: &mut impl Follow<L>) {
        let value = z[at] * self.inverse[at];
        z[at] = value;
        let mut some = follow.begin(1);
        let row = some.row(at, false, value);
        some.follow(row, None, plan.exit_forms[at]);
        follow.end(some);
        let (columns, forms) = (plan.outer.of(at), &plan.outer_forms[plan.outer.range(at)]);
        for (columns, forms) in columns.chunks(GROUP).zip(forms.chunks(GROUP)) {
            let mut some = follow.begin(columns.len());
            for (&column, &form) in columns.iter().zip(forms) {
                add(&mut z[column as usize], self.values[form as usize] * value);
                some.follow(row, Some(column as usize), form);
            }
            follow.end(some);
        }
    }

    /// Edges lead from later positions to earlier ones; what goes to the next one is handed on without a detour through
    /// memory.
    #[inline(always)]
    fn spread_singles(&self, plan: &Plan, range: Range<usize>, z: &mut [L], some: &mut impl FollowSome<L>) {
        let starts = &plan.outer.start[range.start..=range.end];
        let end = starts[range.len()] as usize;
        let (mut columns, mut forms) = (&plan.outer.items[..end], &plan.outer_forms[..end]);
        let rows = starts.iter().zip(&starts[1..]).zip(&plan.exit_forms[range.clone()]);
        let rows = rows.zip(&self.inverse[range.clone()]);
        let zero_form = plan.schedule.zero_form.unwrap_or(u32::MAX);
        let zero = L::splat(0.0);
        let mut handed_on = zero;
        for (at, (((start, end), &exit), &inverse)) in range.clone().zip(rows).rev() {
            let value = (z[at] + handed_on) * inverse;
            z[at] = value;
            handed_on = zero;
            let ends = exit != zero_form;
            let row = some.row(at, end - start + u32::from(ends) == 1, value);
            if ends {
                some.follow(row, None, exit);
            }
            let (earlier_columns, columns_here) = columns.split_at(*start as usize);
            let (earlier_forms, forms_here) = forms.split_at(*start as usize);
            (columns, forms) = (earlier_columns, earlier_forms);
            for (&column, &form) in columns_here.iter().zip(forms_here) {
                let passed_on = self.values[form as usize] * value;
                if column as usize + 1 == at {
                    handed_on = passed_on;
                } else {
                    add(&mut z[column as usize], passed_on);
                }
                some.follow(row, Some(column as usize), form);
            }
        }
        if let Some(before) = range.start.checked_sub(1) {
            add(&mut z[before], handed_on);
        }
    }

    #[inline(always)]
    fn spread_outer(&self, plan: &Plan, at: usize, z: &mut [L], some: &mut impl FollowSome<L>) {
        let value = z[at];
        let row = some.row(at, false, value);
        let exit = plan.exit_forms[at];
        if Some(exit) != plan.schedule.zero_form {
            some.follow(row, None, exit);
        }
        let (inner, outer) = (plan.inner.range(at), plan.outer.range(at));
        for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
            some.follow(row, Some(column as usize), form);
        }
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            let passed_on = self.values[form as usize] * value;
            add(&mut z[column as usize], passed_on);
            some.follow(row, Some(column as usize), form);
        }
    }
}
