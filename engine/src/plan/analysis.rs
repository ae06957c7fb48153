//! From a graph to a plan: what must be done for any θ, found once.
//!
//! Parallel edges are summed, vertices the start does not reach are dropped, components are put sinks first, each is
//! ordered by minimum degree, and the pattern of its elimination is worked out. Nothing here looks at θ.

use super::forms::{Draft, Interner};
use super::ordering::eliminate_order;
use super::schedule::Schedule;
use super::{AnalysisError, Limits, Plan};
use crate::graph::{Graph, START, strongly_connected, strongly_connected_from_start};

const UNREACHED: u32 = u32::MAX;

/// Lists of numbers one after the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Lists {
    pub(super) start: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    pub(super) fn new() -> Self {
        Self { start: vec![0], items: Vec::new() }
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

pub(super) fn analyze(graph: &Graph, limits: &Limits, scope: Scope) -> Result<Plan, AnalysisError> {
    let Positions { order, component_count, block_end, absorbing } = positions(graph, scope);
    let mut position = vec![UNREACHED; graph.vertex_count() as usize];
    for (&vertex, at) in order.iter().zip(0..) {
        position[vertex as usize] = at;
    }
    let mut plan = Plan {
        vertex_count: graph.vertex_count(),
        param_length: graph.param_length() as u32,
        discrete: graph.was_dph(),
        states: order.iter().flat_map(|&vertex| graph.state(vertex)).copied().collect(),
        state_length: graph.state_length(),
        vertices: order,
        absorbing,
        component_count,
        block_end,
        ..Plan::empty()
    };
    collect_edges(graph, &position, &mut plan)?;
    factor_pattern(&mut plan, limits)?;
    Ok(plan)
}

/// What the start reaches.
struct Positions {
    /// Transient vertices in order of elimination, sinks first.
    order: Vec<u32>,
    component_count: u32,
    /// Where each block ends, and whether it is a component with cycles.
    block_end: Vec<(u32, bool)>,
    absorbing: Vec<u32>,
}

fn positions(graph: &Graph, scope: Scope) -> Positions {
    let components = match scope {
        Scope::FromStart => strongly_connected_from_start(graph),
        Scope::Whole => strongly_connected(graph),
    };
    let mut found =
        Positions { order: Vec::new(), component_count: 0, block_end: Vec::new(), absorbing: Vec::new() };
    let mut local = vec![0; graph.vertex_count() as usize];
    // Completion order of the component search is sinks first.
    for members in components.iter() {
        match *members {
            [vertex] if vertex != START && graph.is_absorbing(vertex) => {
                found.absorbing.push(vertex);
                continue;
            }
            [_] | [_, _] => found.order.extend_from_slice(members),
            _ => found.order.extend(ordered(graph, members, &mut local)),
        }
        found.component_count += 1;
        let (end, cyclic) = (found.order.len() as u32, members.len() > 1);
        match found.block_end.last_mut() {
            Some(last) if !last.1 && !cyclic => last.0 = end,
            _ => found.block_end.push((end, cyclic)),
        }
    }
    found
}

/// The members of a component in elimination order.
fn ordered(graph: &Graph, members: &[u32], local: &mut [u32]) -> Vec<u32> {
    let mut members = members.to_vec();
    members.sort_unstable();
    for (&vertex, at) in members.iter().zip(0..) {
        local[vertex as usize] = at;
    }
    let within =
        |vertex: u32| members.get(local[vertex as usize] as usize).is_some_and(|&member| member == vertex);
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for (&vertex, from) in members.iter().zip(0_u32..) {
        let inside = graph.targets(vertex).iter().filter(|&&target| within(target));
        pairs.extend(
            inside.map(|&target| (from.min(local[target as usize]), from.max(local[target as usize]))),
        );
    }
    pairs.sort_unstable();
    pairs.dedup();
    eliminate_order(members.len(), &pairs).into_iter().map(|at| members[at as usize]).collect()
}

/// Edges by position: those inside the component, those to components solved before, and the sum of those that end.
fn collect_edges(graph: &Graph, position: &[u32], plan: &mut Plan) -> Result<(), AnalysisError> {
    let unit = if graph.was_dph() { graph.unit_weights() } else { Vec::new() };
    let mut interner = Interner::default();
    let mut draft = Draft::default();
    let mut bundle: Vec<(u32, u32)> = Vec::new();
    (plan.inner, plan.outer) = (Lists::new(), Lists::new());
    let mut block = 0;
    for at in 0..plan.vertices.len() {
        let vertex = plan.vertices[at];
        block += usize::from(at as u32 == plan.block_end[block].0);
        // Edges to positions from here on stay in the component; a single vertex has none.
        let cyclic = plan.block_end[block].1;
        let first = if !cyclic {
            UNREACHED
        } else if block == 0 {
            0
        } else {
            plan.block_end[block - 1].0
        };
        bundle.clear();
        bundle.extend(graph.edges(vertex).map(|edge| (position[edge.target as usize], edge.index)));
        bundle.sort_unstable();
        for group in bundle.chunk_by(|a, b| a.0 == b.0) {
            draft.clear();
            for &(_, edge) in group {
                add_edge(graph, vertex, edge, &unit, &mut draft)?;
            }
            let form = interner.number(&draft);
            match group[0].0 {
                UNREACHED => plan.exit_forms.push(form),
                target if target >= first => {
                    plan.inner.items.push(target);
                    plan.inner_forms.push(form);
                }
                target => {
                    plan.outer.items.push(target);
                    plan.outer_forms.push(form);
                }
            }
        }
        plan.inner.close();
        plan.outer.close();
        if plan.exit_forms.len() == at {
            draft.clear();
            plan.exit_forms.push(interner.number(&draft));
        }
    }
    plan.forms = interner.finish();
    Ok(())
}

/// Adds the weight of one edge to a form.
fn add_edge(
    graph: &Graph,
    vertex: u32,
    edge: u32,
    unit: &[f64],
    draft: &mut Draft,
) -> Result<(), AnalysisError> {
    let edge = graph.edge(edge);
    if vertex == START || edge.coefficients.is_empty() {
        // In discrete time fixed weights were normalised when the graph was made.
        let weight = unit.get(edge.index as usize).copied().or_else(|| graph.fixed_weight(edge.index));
        draft.add_constant(weight.unwrap_or_default());
    } else if edge.coefficients.len() == graph.param_length() {
        draft.add_coefficients(edge.coefficients);
    } else {
        let (found, expected) = (edge.coefficients.len(), graph.param_length());
        return Err(AnalysisError::CoefficientLength { from: vertex, to: edge.target, expected, found });
    }
    Ok(())
}

/// The pattern of the eliminated rows: which earlier positions each row is reduced by, and what remains of it.
///
/// Row by row: what a row reaches through earlier rows of its component (Gilbert and Peierls, SIAM J. Sci. Stat. Comput.
/// 9, 1988). Time is that of the numeric elimination.
pub(super) fn factor_pattern(plan: &mut Plan, limits: &Limits) -> Result<(), AnalysisError> {
    let (mut lower, mut upper) = (Lists::new(), Lists::new());
    let mut mark = vec![u32::MAX; plan.vertices.len()];
    let (mut below, mut above, mut stack) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..plan.vertices.len() {
        let row = at as u32;
        below.clear();
        above.clear();
        mark[at] = row;
        stack.extend_from_slice(plan.inner.of(at));
        while let Some(column) = stack.pop() {
            if std::mem::replace(&mut mark[column as usize], row) == row {
                continue;
            }
            if column > row {
                above.push(column);
            } else {
                below.push(column);
                let reached = upper.of(column as usize);
                plan.multiply_adds += reached.len() as u64;
                stack.extend(reached.iter().filter(|&&c| mark[c as usize] != row));
            }
        }
        below.sort_unstable();
        above.sort_unstable();
        lower.items.extend_from_slice(&below);
        upper.items.extend_from_slice(&above);
        lower.close();
        upper.close();
        if plan.multiply_adds > limits.multiply_adds {
            let (done, vertices) = (at, plan.vertices.len());
            return Err(AnalysisError::Work { limit: limits.multiply_adds, done, vertices });
        }
        let bytes = 4 * (lower.items.len() + upper.items.len()) as u64;
        if bytes > limits.memory_bytes || upper.items.len() + lower.items.len() > u32::MAX as usize / 2 {
            let (done, vertices) = (at, plan.vertices.len());
            return Err(AnalysisError::Memory { budget_bytes: limits.memory_bytes, done, vertices });
        }
    }
    plan.lower = lower;
    plan.upper = upper;
    plan.schedule = Schedule::new(plan);
    Ok(())
}
