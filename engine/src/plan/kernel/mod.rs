//! The numeric work at one θ or at several: elimination and triangular solves, segment by segment.
//!
//! Elimination is the subtraction-free one of Grassmann, Taksar and Heyman (Operations Research 33, 1985): the pivot of a
//! vertex is the sum of what leaves it, never a difference, so every entry is accurate to a few units in the last place
//! whatever the rates. Nothing is allocated.

mod again;
mod cyclic;
mod fans;
mod parallel;
mod powers;
mod reverse;
mod singles;
mod transposed;
mod tree;

use std::ops::Range;

pub(super) use fans::GROUP;
pub(super) use parallel::Spread;
pub(super) use powers::Powers;
use pulp::{Arch, NullaryFnOnce};
pub(super) use reverse::{Seeded, WeightSlopes};
pub(super) use transposed::{Follow, FollowSome};

use super::Plan;
use super::analysis::Lists;
use super::lane::{Lane, Watch};
use super::schedule::{Kind, Segment};
use super::slopes::Way;

/// What an elimination needs to write to, and leaves behind for solves.
#[derive(Debug, Clone)]
pub(super) struct Factors<L> {
    /// Parameters, at least one.
    pub(super) theta: Vec<L>,
    /// Values of the plan's linear forms.
    pub(super) values: Vec<L>,
    /// A row being reduced, by position up to the last that fills in; all zero between rows.
    work: Vec<L>,
    /// What leaves each position's component, directly and through positions eliminated before; by position up to the last
    /// in a component with cycles.
    exit: Vec<L>,
    /// Reciprocal pivots; 0 for a pivot without one within range.
    pub(super) inverse: Vec<L>,
    /// Sum of each position's weights; discrete time only.
    pub(super) total: Vec<L>,
    lower: Vec<L>,
    upper: Vec<L>,
    /// Whether factors and pivots of all segments are kept, or only those of the current one.
    keep: bool,
    weights_seen: Watch<L>,
    pivots_seen: Watch<L>,
}

/// Right-hand sides of `N` solves, each of the solution before times the rewards; the first of the last of an earlier
/// `N`, or of ones if there is none. Where there are several they are times their number, too, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a, L, const N: usize> {
    /// By position; the start's is 0.
    pub(super) rewards: &'a [f64],
    pub(super) of: Option<&'a [[L; N]]>,
    /// How many solutions came before; only where there are several.
    pub(super) earlier: usize,
}

impl<L: Lane, const N: usize> Source<'_, L, N> {
    /// Solutions that are worked out together are raw moments: the j-th is j times the total of the one before. A factorial
    /// at the end would multiply what has left the range of f64 long before the moment does.
    #[inline(always)]
    fn factor(&self, number: usize) -> L {
        L::splat(if N == 1 { 1.0 } else { (self.earlier + number + 1) as f64 })
    }
}

/// The first index of what is kept: of the entries of both factors, and of positions.
#[derive(Debug, Clone, Copy)]
struct Base {
    lower: usize,
    upper: usize,
    position: usize,
}

/// What may be wrong after an elimination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    /// Some edge weight is negative or not finite.
    InvalidWeight,
    /// Some pivot is not above zero, or so little that its reciprocal may leave the range of f64.
    Stuck,
}

/// How many numbers the lists of [`Factors`] have, of the same names.
struct Room {
    theta: usize,
    values: usize,
    work: usize,
    exit: usize,
    inverse: usize,
    total: usize,
    lower: usize,
    upper: usize,
}

impl Room {
    fn new(plan: &Plan, keep: bool) -> Self {
        let positions = plan.vertices.len();
        let longest =
            |length: &dyn Fn(&Segment) -> usize| plan.schedule.segments.iter().map(length).max().unwrap_or(0);
        let needed = |lists: &Lists| {
            let of_segment = |segment: &Segment| {
                (lists.start[segment.range.end] - lists.start[segment.range.start]) as usize
            };
            if keep { lists.items.len() } else { longest(&of_segment) }
        };
        Self {
            theta: plan.param_length().max(1),
            values: plan.forms.count(),
            work: plan.schedule.filling(),
            exit: plan.schedule.cyclic(),
            inverse: if keep { positions } else { longest(&|segment| segment.range.len()) },
            total: if plan.discrete { positions } else { 0 },
            lower: needed(&plan.lower),
            upper: needed(&plan.upper),
        }
    }
}

impl Plan {
    /// How many numbers [`Factors::new`] makes room for. Linear in the segments.
    pub(super) fn factor_numbers(&self, keep: bool) -> usize {
        let Room { theta, values, work, exit, inverse, total, lower, upper } = Room::new(self, keep);
        theta + values + work + exit + inverse + total + lower + upper
    }
}

impl<L: Lane> Factors<L> {
    /// Room for one evaluation; with `keep`, factors stay for later solves.
    pub(super) fn new(plan: &Plan, keep: bool) -> Self {
        let room = Room::new(plan, keep);
        let numbers = |count| vec![L::splat(0.0); count];
        Self {
            theta: numbers(room.theta),
            values: numbers(room.values),
            work: numbers(room.work),
            exit: numbers(room.exit),
            inverse: numbers(room.inverse),
            total: numbers(room.total),
            lower: numbers(room.lower),
            upper: numbers(room.upper),
            keep,
            weights_seen: Watch::new(),
            pivots_seen: Watch::new(),
        }
    }

    /// Forgets what the elimination before has seen. To be called once θ is in place.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.weights_seen = Watch::new();
        self.pivots_seen = Watch::new();
    }

    /// Whether the elimination went well, once all segments are done.
    pub(super) fn outcome(&self) -> Outcome {
        if !self.weights_seen.are_all_finite_and(|lowest| lowest >= 0.0) {
            Outcome::InvalidWeight
        } else if !self.pivots_seen.are_all_finite_and(|lowest| lowest >= f64::MIN_POSITIVE) {
            Outcome::Stuck
        } else {
            Outcome::Good
        }
    }

    /// The lowest and the highest pivot, and the highest weight that an elimination has seen.
    #[inline(always)]
    pub(super) fn seen(&self) -> [L; 3] {
        let (lowest, highest) = self.pivots_seen.bounds();
        [lowest, highest, self.weights_seen.bounds().1]
    }

    /// What to subtract from indices where only the current segment's numbers are kept.
    #[inline(always)]
    fn base(&self, plan: &Plan, start: usize) -> Base {
        if self.keep {
            return Base { lower: 0, upper: 0, position: 0 };
        }
        Base {
            lower: plan.lower.start[start] as usize,
            upper: plan.upper.start[start] as usize,
            position: start,
        }
    }

    /// Eliminates the vertices of one segment; those before must be done.
    #[inline(always)]
    pub(super) fn eliminate(&mut self, plan: &Plan, segment: &Segment) {
        let Self { theta, values, weights_seen, .. } = self;
        // Those that it is the first to use.
        plan.forms.evaluate(segment.forms.clone(), segment.further.clone(), theta, values, weights_seen);
        self.reduce_segment(plan, segment);
    }

    /// The same, once all linear forms are evaluated.
    #[inline(always)]
    fn reduce_segment(&mut self, plan: &Plan, segment: &Segment) {
        match segment.kind {
            Kind::Chain { forms_run_on } => self.eliminate_chain(plan, segment.range.clone(), forms_run_on),
            Kind::Singles { many_ways: false } => self.eliminate_singles(plan, segment.range.clone()),
            Kind::Singles { many_ways: true } => self.eliminate_fans(plan, segment.range.clone()),
            Kind::Tree => self.eliminate_tree(plan, segment.range.clone()),
            Kind::Cyclic { .. } => self.eliminate_component(plan, segment.range.clone()),
        }
    }

    /// Solves for one segment; the solutions of those before it must be in `x`.
    #[inline(always)]
    pub(super) fn solve<const N: usize>(
        &self,
        plan: &Plan,
        segment: &Segment,
        source: Source<'_, L, N>,
        x: &mut [[L; N]],
    ) {
        match segment.kind {
            Kind::Chain { .. } => self.solve_chain(plan, segment.range.clone(), source, x),
            Kind::Singles { many_ways: false } => self.solve_singles(plan, segment.range.clone(), source, x),
            Kind::Singles { many_ways: true } => self.solve_fans(plan, segment.range.clone(), source, x),
            Kind::Tree => self.solve_tree(plan, segment.range.clone(), source, x),
            Kind::Cyclic { .. } => self.solve_component(plan, segment.range.clone(), source, x),
        }
    }

    /// What each unit of an earlier solution earns at a position.
    #[inline(always)]
    fn reward(&self, at: usize, rewards: &[f64]) -> L {
        let reward = L::splat(rewards[at]);
        // Right-hand sides of jumps scale with the rate.
        self.total.get(at).map_or(reward, |&total| reward * total)
    }

    /// What is earned at a position, before its outer edges are followed: for the first of the solutions.
    #[inline(always)]
    fn earned<const N: usize>(&self, at: usize, source: Source<'_, L, N>) -> L {
        let reward = self.reward(at, source.rewards) * source.factor(0);
        source.of.map_or(reward, |of| reward * of[at][N - 1])
    }

    /// The same for any of the solutions, once those before it are known.
    #[inline(always)]
    fn earned_for<const N: usize>(
        &self,
        number: usize,
        at: usize,
        source: Source<'_, L, N>,
        x: &[[L; N]],
    ) -> L {
        match number.checked_sub(1) {
            None => self.earned(at, source),
            Some(before) => self.reward(at, source.rewards) * source.factor(number) * x[at][before],
        }
    }

    /// In discrete time, the sum of each position's weights.
    #[inline(always)]
    fn add_totals(&mut self, plan: &Plan, range: Range<usize>) {
        if self.total.is_empty() {
            return;
        }
        for at in range {
            let stay = plan.inner_forms[plan.inner.range(at)].iter();
            self.total[at] = stay.fold(self.outside(plan, at), |sum, &form| sum + self.values[form as usize]);
        }
    }

    /// Calls `visit` with every way out of a position, and its weight, if that is above 0.
    pub(in crate::plan) fn each_weight(&self, plan: &Plan, at: usize, mut visit: impl FnMut(Way, L)) {
        let mut positive = |target, form: u32| {
            let weight = self.values[form as usize];
            // Zero times infinity is no number.
            if weight.lowest() > 0.0 {
                visit(Way { at, target, only: false }, weight);
            }
        };
        positive(None, plan.exit_forms[at]);
        for (lists, forms) in [(&plan.inner, &plan.inner_forms), (&plan.outer, &plan.outer_forms)] {
            for entry in lists.range(at) {
                positive(Some(lists.items[entry] as usize), forms[entry]);
            }
        }
    }

    /// Total weight of the edges that leave the component.
    #[inline(always)]
    pub(super) fn outside(&self, plan: &Plan, at: usize) -> L {
        let forms = plan.outer_forms[plan.outer.range(at)].iter();
        forms.fold(self.values[plan.exit_forms[at] as usize], |sum, &form| sum + self.values[form as usize])
    }
}

impl Factors<f64> {
    /// Eliminates everything, each segment with the instructions that suit it: where rows are short, wide ones cost more
    /// than they save.
    pub(super) fn eliminate_all(&mut self, plan: &Plan) -> Outcome {
        self.begin();
        let arch = Arch::new();
        arch.dispatch(Weigh { factors: self, plan });
        for segment in &plan.schedule.segments {
            if segment.kind.has_long_loops() {
                arch.dispatch(Reduce { factors: self, plan, segment });
            } else {
                self.reduce_segment(plan, segment);
            }
        }
        self.outcome()
    }
}

impl<L: Lane> Factors<L> {
    /// Solves for everything.
    pub(super) fn solve_all<const N: usize>(&self, plan: &Plan, source: Source<'_, L, N>, x: &mut [[L; N]]) {
        let arch = Arch::new();
        for segment in &plan.schedule.segments {
            if segment.kind.has_long_rows() {
                arch.dispatch(Solve { factors: self, plan, segment, source, x });
            } else {
                self.solve(plan, segment, source, x);
            }
        }
    }
}

impl Kind {
    /// Whether an elimination at a single θ has loops that are worth wide instructions.
    fn has_long_loops(self) -> bool {
        matches!(self, Self::Chain { .. }) || self.has_long_rows()
    }

    /// Whether solves have, too.
    fn has_long_rows(self) -> bool {
        self == Self::Cyclic { dense: true }
    }
}

/// The evaluation of all linear forms as a task for the widest instruction set the machine has. A type rather than a
/// closure: closures cannot be made to inline, and what is not inlined is compiled for the narrowest.
struct Weigh<'a> {
    factors: &'a mut Factors<f64>,
    plan: &'a Plan,
}

impl NullaryFnOnce for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Factors { theta, values, weights_seen, .. } = self.factors;
        let further = 0..self.plan.forms.further().len();
        self.plan.forms.evaluate(0..values.len(), further, theta, values, weights_seen);
    }
}

/// A segment's elimination, likewise.
struct Reduce<'a> {
    factors: &'a mut Factors<f64>,
    plan: &'a Plan,
    segment: &'a Segment,
}

impl NullaryFnOnce for Reduce<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.factors.reduce_segment(self.plan, self.segment);
    }
}

/// A segment's solve, likewise.
struct Solve<'a, L, const N: usize> {
    factors: &'a Factors<L>,
    plan: &'a Plan,
    segment: &'a Segment,
    source: Source<'a, L, N>,
    x: &'a mut [[L; N]],
}

impl<L: Lane, const N: usize> NullaryFnOnce for Solve<'_, L, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.factors.solve(self.plan, self.segment, self.source, self.x);
    }
}
