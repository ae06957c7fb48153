//! One large elimination spread over threads: components do not wait for one another, only their solutions do.
//!
//! Each component is eliminated by the same steps as alone, in a workspace of the thread, and copied to its place; the
//! result is bit for bit that of one thread. Segments are halved by their work until a part is worth no further thread.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::{Factors, Outcome, Reduce, Weigh};
use crate::plan::Plan;
use crate::plan::lane::Watch;
use crate::plan::schedule::Segment;

/// Multiply-adds from which on spreading a single elimination is considered; it then takes a millisecond or so.
const WORTH_SPREADING: u64 = 1 << 20;

/// Parts of less work than this are not divided any further.
const SMALLEST_PART: u64 = WORTH_SPREADING / 32;

/// What spreading eliminations takes, kept from one to the next.
#[derive(Debug)]
pub(in crate::plan) struct Spread {
    /// Multiply-adds of all segments before each, and of all.
    work_before: Vec<u64>,
    /// A workspace for each thread of the pool.
    workspaces: Vec<Mutex<Workspace>>,
    /// Which elimination this is.
    round: u64,
}

/// What one thread works in.
#[derive(Debug)]
struct Workspace {
    factors: Factors<f64>,
    /// The elimination whose parameters and weights it has.
    round: u64,
}

impl Spread {
    /// None unless one elimination is long, and no component alone is most of it.
    pub(in crate::plan) fn new(plan: &Plan) -> Option<Self> {
        if plan.multiply_adds < WORTH_SPREADING {
            return None;
        }
        let work = |segment: &Segment| {
            let reduced = plan.lower.start[segment.range.start]..plan.lower.start[segment.range.end];
            let rows = &plan.lower.items[reduced.start as usize..reduced.end as usize];
            rows.iter().map(|&row| plan.upper.range(row as usize).len() as u64).sum::<u64>()
        };
        let mut largest = 0;
        let mut work_before = Vec::with_capacity(plan.schedule.segments.len() + 1);
        work_before.push(0);
        let mut sum = 0;
        for segment in &plan.schedule.segments {
            let work = work(segment);
            largest = largest.max(work);
            sum += work;
            work_before.push(sum);
        }
        let worth = largest <= plan.multiply_adds / 3 * 2;
        worth.then_some(Self { work_before, workspaces: Vec::new(), round: 0 })
    }

    /// How many numbers it keeps, but for the workspaces of threads.
    pub(in crate::plan) fn numbers(&self) -> usize {
        self.work_before.len()
    }

    /// Makes workspaces for the threads there are, but for those that have one.
    fn prepare(&mut self, plan: &Plan) {
        self.round += 1;
        while self.workspaces.len() < rayon::current_num_threads() {
            let factors = Factors::new(plan, false);
            self.workspaces.push(Mutex::new(Workspace { factors, round: 0 }));
        }
    }
}

impl Factors<f64> {
    /// As [`eliminate_all`](Self::eliminate_all), on the threads of the current rayon pool.
    pub(in crate::plan) fn eliminate_spread(&mut self, plan: &Plan, spread: &mut Spread) -> Outcome {
        spread.prepare(plan);
        self.begin();
        Arch::new().dispatch(Weigh { factors: self, plan });
        let Self { theta, values, pivots_seen, inverse, total, lower, upper, .. } = self;
        let task = Task { plan, spread, theta, values };
        let places = Places { inverse, total, lower, upper };
        pivots_seen.join(task.eliminate(0, plan.schedule.segments.len(), places));
        self.outcome()
    }
}

/// The factors of consecutive segments.
struct Places<'a> {
    inverse: &'a mut [f64],
    total: &'a mut [f64],
    lower: &'a mut [f64],
    upper: &'a mut [f64],
}

impl Places<'_> {
    /// The places of the first `segments`, and the rest.
    fn split(self, plan: &Plan, segments: &[Segment]) -> (Self, Self) {
        let (begin, end) = match segments {
            [first, .., last] => (first.range.start, last.range.end),
            [only] => (only.range.start, only.range.end),
            [] => (0, 0),
        };
        let totals = if plan.discrete { end - begin } else { 0 };
        let entries = |start: &[u32]| (start[end] - start[begin]) as usize;
        let (inverse, later_inverse) = self.inverse.split_at_mut(end - begin);
        let (total, later_total) = self.total.split_at_mut(totals);
        let (lower, later_lower) = self.lower.split_at_mut(entries(&plan.lower.start));
        let (upper, later_upper) = self.upper.split_at_mut(entries(&plan.upper.start));
        (
            Places { inverse, total, lower, upper },
            Places { inverse: later_inverse, total: later_total, lower: later_lower, upper: later_upper },
        )
    }
}

/// What threads share.
#[derive(Clone, Copy)]
struct Task<'a> {
    plan: &'a Plan,
    spread: &'a Spread,
    theta: &'a [f64],
    values: &'a [f64],
}

impl Task<'_> {
    /// Eliminates the segments from `begin` to `end`, in two halves at a time while they are worth it.
    fn eliminate(self, begin: usize, end: usize, places: Places<'_>) -> Watch<f64> {
        let work = &self.spread.work_before[begin..=end];
        let (before, after) = (work[0], work[end - begin]);
        if end - begin <= 1 || after - before <= SMALLEST_PART {
            return self.eliminate_here(begin, end, places);
        }
        let half = before + (after - before) / 2;
        let middle = begin + work.partition_point(|&work| work <= half).clamp(1, end - begin - 1);
        let (first, second) = places.split(self.plan, &self.plan.schedule.segments[begin..middle]);
        let (mut seen, other) =
            rayon::join(|| self.eliminate(begin, middle, first), || self.eliminate(middle, end, second));
        seen.join(other);
        seen
    }

    /// Eliminates them on this thread, in its workspace.
    fn eliminate_here(self, begin: usize, end: usize, mut places: Places<'_>) -> Watch<f64> {
        let Self { plan, spread, theta, values } = self;
        let thread = rayon::current_thread_index().unwrap_or_default() % spread.workspaces.len().max(1);
        let mut own = spread.workspaces[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let Workspace { factors, round } = &mut *own;
        if *round != spread.round {
            factors.theta.copy_from_slice(theta);
            factors.values.copy_from_slice(values);
            *round = spread.round;
        }
        factors.begin();
        let arch = Arch::new();
        for segment in &plan.schedule.segments[begin..end] {
            let (place, later) = places.split(plan, std::slice::from_ref(segment));
            factors.eliminate_to(plan, segment, place, arch);
            places = later;
        }
        factors.pivots_seen
    }
}

impl Factors<f64> {
    fn eliminate_to(&mut self, plan: &Plan, segment: &Segment, place: Places<'_>, arch: Arch) {
        if segment.kind.has_long_loops() {
            arch.dispatch(Reduce { factors: self, plan, segment });
        } else {
            self.reduce_segment(plan, segment);
        }
        let Places { inverse, total, lower, upper } = place;
        inverse.copy_from_slice(&self.inverse[..inverse.len()]);
        lower.copy_from_slice(&self.lower[..lower.len()]);
        upper.copy_from_slice(&self.upper[..upper.len()]);
        if !total.is_empty() {
            total.copy_from_slice(&self.total[segment.range.clone()]);
        }
    }
}
