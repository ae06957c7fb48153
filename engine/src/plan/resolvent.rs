//! Elimination at `s` instead of 0: Laplace transforms, for eight `s ≥ 0` side by side.
//!
//! Solves `(s − S) x = b` over the plan's own pattern: every pivot is `s` plus the sum of what leaves the vertex. Nothing is
//! subtracted, so `x` is accurate entry by entry, as at 0, as long as what leaves the range of f64 on the way does not count:
//! by no more than `n η (1 + R) (1 + max x) T` (see [`range`](super::range)), where the longest time `T` is that of a process
//! that is killed at rate `s`. What may be off by more is worked out again with exponents that do not end.

use pulp::{Arch, NullaryFnOnce};

use super::bounds::{Extent, LOST};
use super::lane::{Lane, Lanes};
use super::wide::Wide;
use super::{EvaluationError, Plan};

/// How many `s` one elimination takes.
const WIDTH: usize = 8;

/// What is added to no ordinary number.
const NEGLIGIBLE: f64 = 1e-200;

/// What solutions are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Exit rates: transforms.
    Exits,
    /// 1 for every vertex that can be absorbed, whatever its exit rate: phasic's convention.
    OfPhasic,
    /// 1 for every vertex but the start: expected times until absorption or until the process is killed.
    Times,
}

/// What an elimination writes to.
#[derive(Debug, Clone)]
struct Space<L> {
    work: Vec<L>,
    exit: Vec<L>,
    inverse: Vec<L>,
    upper: Vec<L>,
    x: Vec<L>,
    /// The lowest pivot. 0 is one of a trap at `s = 0`, or of rates whose product is below the range.
    lowest: L,
}

impl<L: Lane> Space<L> {
    fn new(plan: &Plan) -> Self {
        let zeros = |count: usize| vec![L::splat(0.0); count];
        let positions = plan.vertices.len();
        Self {
            work: zeros(positions),
            exit: zeros(positions),
            inverse: zeros(positions),
            upper: zeros(plan.upper.items.len()),
            x: zeros(positions),
            lowest: L::splat(f64::INFINITY),
        }
    }
}

/// What transforms at one θ are worked out in.
#[derive(Debug, Clone)]
pub(crate) struct Resolvent<'p> {
    plan: &'p Plan,
    right: Right,
    values: Vec<f64>,
    /// No less than any rate of leaving a vertex, and how much is multiplied.
    fastest: f64,
    products: f64,
    space: Space<Lanes<WIDTH>>,
}

impl Plan {
    /// Room for eliminations at eight `s`: 64 bytes for each entry of the factors.
    ///
    /// # Errors
    /// As [`Plan::chain`].
    pub(crate) fn resolvent(&self, theta: &[f64]) -> Result<Resolvent<'_>, EvaluationError> {
        let mut padded = vec![0.0; self.param_length().max(1)];
        let mut values = vec![0.0; self.form_count()];
        self.weigh(theta, &mut padded, &mut values)?;
        let of_row = |at: usize| {
            let forms = self.outer_forms[self.outer.range(at)].iter();
            let forms = forms.chain(&self.inner_forms[self.inner.range(at)]).chain([&self.exit_forms[at]]);
            forms.map(|&form| values[form as usize]).sum::<f64>()
        };
        let fastest = (0..self.vertices.len()).map(of_row).fold(0.0, f64::max);
        let (products, space) = (Extent::new(self).products(), Space::new(self));
        Ok(Resolvent { plan: self, right: Right::Exits, values, fastest, products, space })
    }
}

impl<'p> Resolvent<'p> {
    /// This, with 1 in place of each exit rate on the right-hand side, and 0 for what is absorbed at once.
    pub(crate) fn of_phasic(mut self) -> Self {
        self.right = Right::OfPhasic;
        self
    }

    /// The transform `E[e^{−sT}]` of the time to absorption from the start, at each `s ≥ 0`; of those that never start, the
    /// share `kept_back` is counted as never absorbed. Those of eight `s` at a time, each when it is asked for.
    ///
    /// One elimination for eight `s`, another one where these say too little about times, and one with endless exponents for
    /// each `s` at which f64 is not enough.
    pub(crate) fn transforms<'s>(
        mut self,
        s: &'s [f64],
        kept_back: f64,
    ) -> impl Iterator<Item = Vec<f64>> + use<'s, 'p> {
        s.chunks(WIDTH).map(move |group| self.transform(group, kept_back))
    }

    /// Those of up to eight `s`.
    fn transform(&mut self, group: &[f64], kept_back: f64) -> Vec<f64> {
        let (start, mut lanes) = (self.plan.start(), [0.0; WIDTH]);
        lanes[..group.len()].copy_from_slice(group);
        self.solve(&lanes, self.right, kept_back);
        let found = self.space.x[start].0;
        let is_sure = |lane: usize, lost: f64| {
            let value: f64 = found[lane];
            value.is_finite() && value > 0.0 && value >= lost
        };
        let lost = self.lost(group, &lanes, kept_back, is_sure);
        let value = |(lane, &s): (usize, &f64)| {
            if is_sure(lane, lost[lane]) { found[lane] } else { self.wide(s, kept_back)[start] }
        };
        group.iter().enumerate().map(value).collect()
    }

    /// The probability of ever being absorbed from every vertex of the graph, 0 for absorbing vertices and those that the
    /// start does not reach; of those that never start, the share `kept_back` is counted as never absorbed.
    pub(crate) fn absorption(&mut self, kept_back: f64) -> Vec<f64> {
        let lanes = [0.0; WIDTH];
        self.solve(&lanes, self.right, kept_back);
        let mut found: Vec<f64> = self.space.x.iter().map(|x| x.0[0]).collect();
        let lost = self.lost(&lanes[..1], &lanes, kept_back, |_, _| false)[0];
        let is_sure = |&x: &f64| x.is_finite() && if x == 0.0 { lost <= NEGLIGIBLE } else { x >= lost };
        if !found.iter().all(is_sure) {
            found = self.wide(0.0, kept_back);
        }
        let mut by_vertex = vec![0.0; self.plan.vertex_count as usize];
        for (&vertex, x) in self.plan.vertices.iter().zip(found) {
            by_vertex[vertex as usize] = x;
        }
        by_vertex
    }

    fn solve(&mut self, s: &[f64; WIDTH], right: Right, kept_back: f64) {
        let Self { plan, values, space, .. } = self;
        Arch::new().dispatch(Task { plan, values, space, s: Lanes(*s), right, kept_back });
    }

    /// Solutions by position, worked out with exponents that do not end.
    #[cold]
    fn wide(&self, s: f64, kept_back: f64) -> Vec<f64> {
        let (plan, values) = (self.plan, &self.values[..]);
        let mut space = Space::<Wide>::new(plan);
        Task { plan, values, space: &mut space, s: Wide::splat(s), right: self.right, kept_back }.run();
        space.x.into_iter().map(Wide::value).collect()
    }

    /// What solutions that were just found at a group of `s` must be larger than; infinite where they say nothing. Where that
    /// is not enough for all of them, once more with times that are looked up.
    fn lost(
        &mut self,
        group: &[f64],
        lanes: &[f64; WIDTH],
        kept_back: f64,
        is_enough: impl Fn(usize, f64) -> bool,
    ) -> [f64; WIDTH] {
        let Self { right, fastest, products, .. } = *self;
        let lowest = self.space.lowest.0;
        let limit = |lane: usize, time: f64| {
            let largest = if right == Right::Exits { 1.0 } else { time };
            let lost = LOST * products * (1.0 + fastest + lanes[lane]) * (1.0 + largest) * time;
            // A pivot of less has no reciprocal; of 0, nobody knows why.
            let is_broken = lowest[lane] < f64::MIN_POSITIVE || lost.is_nan();
            if is_broken { f64::INFINITY } else { lost }
        };
        let at_once = std::array::from_fn(|lane| limit(lane, 1.0 / lanes[lane]));
        if (0..group.len()).all(|lane| is_enough(lane, at_once[lane])) {
            return at_once;
        }
        self.solve(lanes, Right::Times, kept_back);
        let larger = |most: f64, time: f64| if most.is_nan() || time <= most { most } else { time };
        let longest = |lane: usize| self.space.x.iter().fold(0.0, |most, x| larger(most, x.0[lane]));
        std::array::from_fn(|lane| limit(lane, longest(lane)).min(at_once[lane]))
    }
}

/// One elimination and solve, as a task for the widest instruction set of the machine.
struct Task<'a, L> {
    plan: &'a Plan,
    values: &'a [f64],
    space: &'a mut Space<L>,
    s: L,
    right: Right,
    kept_back: f64,
}

impl NullaryFnOnce for Task<'_, Lanes<WIDTH>> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.run();
    }
}

impl<L: Lane> Task<'_, L> {
    #[inline(always)]
    fn run(mut self) {
        let plan = self.plan;
        self.space.lowest = L::splat(f64::INFINITY);
        for block in plan.blocks() {
            for at in block.range.clone() {
                self.eliminate_row(at);
                if !block.cyclic {
                    self.space.x[at] = self.space.x[at] * self.space.inverse[at];
                }
            }
            if !block.cyclic {
                continue;
            }
            for at in block.range.rev() {
                let mut sum = self.space.x[at];
                for entry in plan.upper.range(at) {
                    sum = sum + self.space.upper[entry] * self.space.x[plan.upper.items[entry] as usize];
                }
                self.space.x[at] = sum * self.space.inverse[at];
            }
        }
    }

    /// The right-hand side of a row, and what kills the process there.
    #[inline(always)]
    fn row(&self, at: usize, absorbed: f64) -> (f64, L) {
        let is_start = at == self.plan.start();
        let known = match self.right {
            Right::Exits => absorbed,
            Right::OfPhasic if is_start || self.plan.is_zero_form(self.plan.exit_forms[at]) => 0.0,
            Right::Times if is_start => 0.0,
            Right::OfPhasic | Right::Times => 1.0,
        };
        // No time passes in the start.
        (known, if is_start { L::splat(self.kept_back) } else { self.s })
    }

    /// Eliminates one row and carries its right-hand side along; `x` holds what is known behind the row's edges.
    #[inline(always)]
    fn eliminate_row(&mut self, at: usize) {
        let (plan, values) = (self.plan, self.values);
        let absorbed = values[plan.exit_forms[at] as usize];
        let (known, shift) = self.row(at, absorbed);
        let space = &mut *self.space;
        let (mut known, mut exit) = (L::splat(known), shift + L::splat(absorbed));
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            let rate = L::splat(values[form as usize]);
            known = known + space.x[column as usize] * rate;
            exit = exit + rate;
        }
        let inner = plan.inner.range(at);
        for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
            space.work[column as usize] = L::splat(values[form as usize]);
        }
        for entry in plan.lower.range(at) {
            let row = plan.lower.items[entry] as usize;
            let factor = space.work[row] * space.inverse[row];
            space.work[row] = L::splat(0.0);
            exit = exit + factor * space.exit[row];
            known = known + factor * space.x[row];
            for of in plan.upper.range(row) {
                let column = plan.upper.items[of] as usize;
                space.work[column] = space.work[column] + factor * space.upper[of];
            }
        }
        let mut pivot = exit;
        for entry in plan.upper.range(at) {
            let column = plan.upper.items[entry] as usize;
            let value = std::mem::replace(&mut space.work[column], L::splat(0.0));
            space.upper[entry] = value;
            pivot = pivot + value;
        }
        space.work[at] = L::splat(0.0);
        space.exit[at] = exit;
        space.inverse[at] = pivot.reciprocal_or_zero();
        space.lowest = pivot.lower(space.lowest);
        space.x[at] = known;
    }
}
