//! How many vertices are passed one after another: roundings of plain numbers add up from each to the next.
//!
//! There are two bounds, and each is good by itself. An expectation is no further from the exact one than its edges are,
//! as often as they are followed; so one bound is the number of edges that are followed until absorption, of which those
//! of chains are summed apart. And a component is eliminated row by row, each of which is rounded a few times and handed on
//! to later ones only along the elimination tree (Liu, SIAM J. Matrix Anal. Appl. 11, 1990), or along what stands for it
//! where edges go one way only; so the other is the sum of the heights of these trees, however often edges within a
//! component are followed.
//!
//! The heights alone bound all θ; where they say too little, both are looked up at θ: one solve each.

use std::ops::Range;

use super::analysis::Lists;
use super::kernel::Factors;
use super::lane::Lane;
use super::range::{Room, largest};
use super::schedule::{Kind, Segment};
use super::{At, Block, Plan};

/// A vertex adds at most 1.5e-16: so many may be passed.
pub(super) const LONGEST_PATH: u32 = 1 << 12;

/// What counts as a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// An edge that is followed.
    Edges,
    /// A row of an elimination tree that is passed.
    Rows,
}

impl Plan {
    /// Most rows of elimination trees one after another, whatever θ is. Linear in the edges between components and in the
    /// entries.
    pub(super) fn longest_path(&self, segments: &[Segment]) -> u32 {
        self.longest(segments, |kind, range| self.rows_passed(kind, range))
    }

    /// Most components one after another; a chain counts as one. Linear in the edges between components.
    pub(super) fn components_passed(&self, segments: &[Segment]) -> u32 {
        self.longest(segments, |_, _| 1)
    }

    /// The longest path between components, of which each counts for what `own` says.
    fn longest(&self, segments: &[Segment], own: impl Fn(Kind, &Range<usize>) -> u32) -> u32 {
        let mut depths = vec![0; self.vertices.len()];
        for Segment { range, kind, .. } in segments {
            let behind = |at: usize, depths: &[u32]| {
                self.outer.of(at).iter().map(|&to| depths[to as usize]).max().unwrap_or(0)
            };
            if let Kind::Singles { .. } = kind {
                for at in range.clone() {
                    depths[at] = 1 + behind(at, &depths);
                }
                continue;
            }
            let first =
                if let Kind::Chain { .. } = kind { range.start..range.start + 1 } else { range.clone() };
            let behind = first.map(|at| behind(at, &depths)).max().unwrap_or(0);
            depths[range.clone()].fill(own(*kind, range) + behind);
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// Most terms that are added up one by one for a row: entries of the factors, and ways out of its component. Those of single
    /// vertices are added up in groups, but not their totals in discrete time. Linear in the vertices.
    pub(super) fn most_summed(&self) -> u32 {
        let length = |lists: &Lists, at: usize| lists.start[at + 1] - lists.start[at];
        let summed = |block: Block| {
            let has_outer = block.cyclic || self.discrete;
            block.range.map(move |at| {
                let outer = if has_outer { length(&self.outer, at) } else { 0 };
                outer.max(length(&self.lower, at)).max(length(&self.upper, at))
            })
        };
        self.blocks().flat_map(summed).max().unwrap_or(0)
    }

    /// Most ways that lead to one position. Linear in the edges.
    pub(super) fn most_ways_in(&self) -> u32 {
        let mut ways = vec![0_u32; self.vertices.len()];
        for &target in self.outer.items.iter().chain(&self.inner.items) {
            ways[target as usize] += 1;
        }
        ways.into_iter().max().unwrap_or(0)
    }

    /// Rows that are passed one after another in a segment other than one of single vertices.
    fn rows_passed(&self, kind: Kind, range: &Range<usize>) -> u32 {
        match kind {
            Kind::Chain { .. } | Kind::Singles { .. } => 1,
            Kind::Tree => range.len() as u32,
            Kind::Cyclic { .. } => self.tree_height(range),
        }
    }

    /// Most rows of a component that one is reduced by after another, or that one is solved for after another, whichever
    /// are more. Where each row is reduced by those that reach it, both are the height of the elimination tree; where ways
    /// go one way only, as around a ring, there is no such tree. Linear in the entries.
    fn tree_height(&self, range: &Range<usize>) -> u32 {
        let mut heights = vec![0_u32; range.len()];
        let mut most = 0;
        let mut pass = |at: usize, entries: &[u32], heights: &mut [u32]| {
            let before = entries.iter().map(|&other| heights[other as usize - range.start]).max();
            heights[at - range.start] = 1 + before.unwrap_or(0);
            most = most.max(heights[at - range.start]);
        };
        range.clone().for_each(|at| pass(at, self.lower.of(at), &mut heights));
        range.clone().rev().for_each(|at| pass(at, self.upper.of(at), &mut heights));
        most
    }
}

impl<L: Lane> Factors<L> {
    /// The steps from each position of a segment for each unit of time that is spent there; in discrete time for each
    /// jump. Needs the weights only.
    pub(super) fn steps(&self, plan: &Plan, segment: &Segment, measure: Measure, steps: &mut [L]) {
        let Segment { range, kind, .. } = segment;
        let rows = match (kind, measure) {
            (Kind::Chain { .. }, _) => 1.0 / range.len() as f64,
            (_, Measure::Edges) => 1.0,
            (_, Measure::Rows) => f64::from(plan.rows_passed(*kind, range)),
        };
        for at in range.clone() {
            let mut rate = self.outside(plan, at);
            if measure == Measure::Edges {
                let inner = plan.inner_forms[plan.inner.range(at)].iter();
                rate = inner.fold(rate, |rate, &form| rate + self.values[form as usize]);
            }
            let rate = rate * L::splat(rows);
            // Right-hand sides of jumps scale with the rate.
            steps[at] = self.total.get(at).map_or(rate, |&total| rate / total);
        }
    }
}

impl At<'_> {
    /// Whether more steps are taken from some vertex than plain numbers are good for.
    #[cold]
    pub(super) fn has_many_steps(&self) -> bool {
        let is_many = |steps: f64| steps.is_nan() || steps > f64::from(LONGEST_PATH);
        // Where no component has cycles, both count the same.
        is_many(self.most_steps(Measure::Edges))
            && (self.plan.schedule.cyclic() == 0 || is_many(self.most_steps(Measure::Rows)))
    }

    /// The largest expected number of steps to absorption from any vertex.
    fn most_steps(&self, measure: Measure) -> f64 {
        let Self { plan, factors, range, .. } = self;
        let mut room = range.room.borrow_mut();
        let Room { steps, solution } = &mut *room;
        steps.resize(plan.vertices.len(), 0.0);
        for segment in &plan.schedule.segments {
            factors.steps(plan, segment, measure, steps);
        }
        factors.solve_into(plan, steps, None, solution);
        largest(solution)
    }
}
