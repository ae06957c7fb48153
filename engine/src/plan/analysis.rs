//! From a graph to a plan: what must be done for any θ, found once.
//!
//! Parallel edges are summed, vertices the start does not reach are dropped, components are put sinks first, each is
//! put into an order in which little fills in, and the pattern of its elimination is worked out. Nothing here looks at θ.

use super::collecting::collect_edges;
use super::ordering::Ordering;
use super::pace::Pace;
use super::pattern::{Tails, factor_pattern};
use super::{AnalysisError, Plan};
use crate::graph::{Graph, Numbers, START, Visitor, visit_components};
use crate::progress::Phase;

/// Lists of numbers one after the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Lists {
    pub(super) start: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    /// Room for `count` lists, and none yet.
    pub(super) fn with_room(count: usize) -> Self {
        let mut start = Vec::with_capacity(count + 1);
        start.push(0);
        Self { start, items: Vec::new() }
    }

    pub(super) fn close(&mut self) {
        self.start.push(self.items.len() as u32);
    }

    #[inline(always)]
    pub(super) fn range(&self, at: usize) -> std::ops::Range<usize> {
        self.start[at] as usize..self.start[at + 1] as usize
    }

    /// The lists from some position on, each with as many of `values`, of which there is one for each item.
    #[inline(always)]
    pub(super) fn rows<'a, T>(&'a self, first: usize, values: &'a [T]) -> Rows<'a, T> {
        self.rows_kept(first, values, 0)
    }

    /// The same with values that lack those of the first `dropped` items.
    #[inline(always)]
    pub(super) fn rows_kept<'a, T>(&'a self, first: usize, values: &'a [T], dropped: usize) -> Rows<'a, T> {
        let begin = self.start[first];
        let (items, values) = (&self.items[begin as usize..], &values[begin as usize - dropped..]);
        Rows { begin, starts: &self.start[first + 1..], items, values }
    }

    #[inline(always)]
    pub(super) fn of(&self, at: usize) -> &[u32] {
        &self.items[self.range(at)]
    }
}

/// Lists read one after the other, with what belongs to their items.
pub(super) struct Rows<'a, T> {
    begin: u32,
    starts: &'a [u32],
    items: &'a [u32],
    values: &'a [T],
}

impl<'a, T> Rows<'a, T> {
    /// The next list; empty after the last.
    ///
    /// Not an iterator's `next`: zipped iterators are not always inlined, and that is what this is for.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> (&'a [u32], &'a [T]) {
        let Some((&end, starts)) = self.starts.split_first() else { return (&[], &[]) };
        let length = (end - self.begin) as usize;
        let (items, later_items) = self.items.split_at(length);
        let (values, later_values) = self.values.split_at(length);
        *self = Self { begin: end, starts, items: later_items, values: later_values };
        (items, values)
    }
}

/// Which vertices a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What the start reaches.
    FromStart,
    /// All of them.
    Whole,
}

/// The number of absorbing vertices, which have no position.
pub(super) const ABSORBING: u32 = (1 << 31) - 1;

pub(super) fn analyze(graph: &Graph, scope: Scope, pace: &mut Pace<'_>) -> Result<Plan, AnalysisError> {
    pace.check_memory(0, 0)?;
    let mut plan = Plan {
        vertex_count: graph.vertex_count(),
        param_length: graph.param_length() as u32,
        discrete: graph.was_dph(),
        states: graph.shared_states(),
        state_length: graph.state_length(),
        ..Plan::empty()
    };
    let (numbers, entries) = give_positions(graph, scope, &mut plan, pace)?;
    collect_edges(graph, &numbers, &mut plan, pace)?;
    drop(numbers);
    let tails = match scope {
        Scope::FromStart => Tails::Full,
        // For a program whose every entry is a command.
        Scope::Whole => Tails::Exact,
    };
    factor_pattern(&mut plan, entries, tails, pace)?;
    Ok(plan)
}

/// Finds the order of elimination, sinks first, and the blocks. Vertices are numbered by their positions.
///
/// Beside the numbers: how many entries the factors will have at most above the diagonal.
fn give_positions(
    graph: &Graph,
    scope: Scope,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(Numbers, u64), AnalysisError> {
    let roots = match scope {
        Scope::FromStart => START..START + 1,
        Scope::Whole => START..graph.vertex_count(),
    };
    pace.begin(Phase::Ordering);
    plan.vertices.reserve_exact(graph.vertex_count() as usize);
    let mut positions = Positions { graph, plan, ordering: Ordering::default(), pace };
    let numbers = visit_components(graph, roots, &mut positions)?;
    positions.end_run();
    let entries = positions.ordering.entries();
    plan.vertices.shrink_to_fit();
    Ok((numbers, entries))
}

/// Gives positions to components as they are found.
struct Positions<'a, 'o> {
    graph: &'a Graph,
    plan: &'a mut Plan,
    ordering: Ordering,
    pace: &'a mut Pace<'o>,
}

impl Positions<'_, '_> {
    /// Makes a block of the components of one vertex since the last block.
    fn end_run(&mut self) {
        let Plan { vertices: order, block_end, component_count, .. } = &mut *self.plan;
        let (begin, end) = (block_end.last().map_or(0, |block| block.0), order.len() as u32);
        if end > begin {
            *component_count += end - begin;
            block_end.push((end, false));
        }
    }
}

impl Visitor for Positions<'_, '_> {
    type Stop = AnalysisError;

    fn component(&mut self, members: &[u32], numbers: &mut Numbers) -> Result<(), AnalysisError> {
        self.end_run();
        let Self { graph, plan, ordering, pace } = self;
        let order = &mut plan.vertices;
        let first = order.len();
        for &vertex in members.iter().rev() {
            numbers.set(vertex, order.len() as u32);
            order.push(vertex);
        }
        if members.len() > 2 {
            ordering.improve(graph, numbers, first as u32, &mut order[first..], pace)?;
        }
        plan.component_count += 1;
        plan.block_end.push((order.len() as u32, true));
        Ok(())
    }

    #[inline(always)]
    fn single(&mut self, vertex: u32, edges: u32, numbers: &mut Numbers) -> Result<(), AnalysisError> {
        let Plan { vertices: order, absorbing, .. } = &mut *self.plan;
        if edges == 0 && vertex != START {
            numbers.set(vertex, ABSORBING);
            absorbing.push(vertex);
        } else {
            numbers.set(vertex, order.len() as u32);
            order.push(vertex);
        }
        Ok(())
    }

    #[inline(always)]
    fn followed(&mut self, edges: u32) -> Result<(), AnalysisError> {
        self.pace.step(edges as usize + 1, self.plan.vertices.len())
    }
}
