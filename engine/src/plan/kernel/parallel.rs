//! One large elimination spread over threads: components do not wait for one another, only their solutions do.
//!
//! Each component is eliminated by the same steps as alone, in a workspace of the thread, and copied to its place; the
//! result is bit for bit that of one thread.

use pulp::Arch;
use rayon::prelude::*;
use std::iter;
use std::sync::{Mutex, PoisonError};

use super::{Factors, Outcome, Reduce, Weigh};
use crate::plan::Plan;
use crate::plan::lane::Watch;
use crate::plan::schedule::Segment;

/// Multiply-adds from which on spreading a single elimination is considered; it then takes a millisecond or so.
const WORTH_SPREADING: u64 = 1 << 20;

/// A segment, and the place of its factors.
struct Part<'a> {
    segment: &'a Segment,
    inverse: &'a mut [f64],
    total: &'a mut [f64],
    lower: &'a mut [f64],
    upper: &'a mut [f64],
}

impl Plan {
    /// Whether one elimination is long, and no component alone is most of it.
    pub(in crate::plan) fn is_worth_spreading(&self) -> bool {
        if self.multiply_adds < WORTH_SPREADING {
            return false;
        }
        let work = |segment: &Segment| {
            let reduced = self.lower.start[segment.range.start]..self.lower.start[segment.range.end];
            let rows = &self.lower.items[reduced.start as usize..reduced.end as usize];
            rows.iter().map(|&row| self.upper.of(row as usize).len() as u64).sum::<u64>()
        };
        let largest = self.schedule.segments.iter().map(work).max().unwrap_or(0);
        largest <= self.multiply_adds / 3 * 2
    }
}

impl Factors<f64> {
    /// As [`eliminate_all`](Self::eliminate_all), on the threads of the current rayon pool.
    pub(in crate::plan) fn eliminate_spread(&mut self, plan: &Plan) -> Outcome {
        self.begin();
        Arch::new().dispatch(Weigh { factors: self, plan });
        let Self { theta, values, pivots_seen, inverse, total, lower, upper, .. } = self;
        let (theta, values) = (&theta[..], &values[..]);
        let queue = Mutex::new(parts(plan, inverse, total, lower, upper).into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = |_| {
            let mut own = Self::new(plan, false);
            own.theta.copy_from_slice(theta);
            own.values.copy_from_slice(values);
            let arch = Arch::new();
            for part in iter::from_fn(next) {
                own.eliminate_part(plan, part, arch);
            }
            own.pivots_seen
        };
        let threads = 0..rayon::current_num_threads().min(plan.schedule.segments.len());
        let seen: Vec<Watch<f64>> = threads.into_par_iter().with_max_len(1).map(work).collect();
        for other in seen {
            pivots_seen.join(other);
        }
        self.outcome()
    }

    fn eliminate_part(&mut self, plan: &Plan, part: Part<'_>, arch: Arch) {
        let Part { segment, inverse, total, lower, upper } = part;
        if segment.kind.has_long_loops() {
            arch.dispatch(Reduce { factors: self, plan, segment });
        } else {
            self.reduce_segment(plan, segment);
        }
        inverse.copy_from_slice(&self.inverse[..inverse.len()]);
        lower.copy_from_slice(&self.lower[..lower.len()]);
        upper.copy_from_slice(&self.upper[..upper.len()]);
        if !total.is_empty() {
            total.copy_from_slice(&self.total[segment.range.clone()]);
        }
    }
}

/// All segments with their places; they follow one another in every list.
fn parts<'a>(
    plan: &'a Plan,
    mut inverse: &'a mut [f64],
    mut total: &'a mut [f64],
    mut lower: &'a mut [f64],
    mut upper: &'a mut [f64],
) -> Vec<Part<'a>> {
    let part = |segment: &'a Segment| {
        let (range, length) = (&segment.range, segment.range.len());
        let totals = if plan.discrete { length } else { 0 };
        let entries = |start: &[u32]| (start[range.end] - start[range.start]) as usize;
        Part {
            segment,
            inverse: inverse.split_off_mut(..length).unwrap_or_default(),
            total: total.split_off_mut(..totals).unwrap_or_default(),
            lower: lower.split_off_mut(..entries(&plan.lower.start)).unwrap_or_default(),
            upper: upper.split_off_mut(..entries(&plan.upper.start)).unwrap_or_default(),
        }
    };
    plan.schedule.segments.iter().map(part).collect()
}
