//! From a graph to a plan: what must be done for any θ, found once.
//!
//! Parallel edges are summed, vertices the start does not reach are dropped, components are put sinks first, each is
//! ordered by minimum degree, and the pattern of its elimination is worked out. Nothing here looks at θ.

use super::forms::{Draft, Interner};
use super::ordering::minimum_degree;
use super::{AnalysisError, Limits, Plan};
use crate::graph::{Graph, START, strongly_connected};

const UNREACHED: u32 = u32::MAX;

/// Lists of numbers one after the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Lists {
    pub(super) start: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    fn new() -> Self {
        Self { start: vec![0], items: Vec::new() }
    }

    fn close(&mut self) {
        self.start.push(self.items.len() as u32);
    }

    #[inline(always)]
    pub(super) fn range(&self, at: usize) -> std::ops::Range<usize> {
        self.start[at] as usize..self.start[at + 1] as usize
    }

    #[inline(always)]
    pub(super) fn of(&self, at: usize) -> &[u32] {
        &self.items[self.range(at)]
    }
}

pub(super) fn analyze(graph: &Graph, limits: &Limits) -> Result<Plan, AnalysisError> {
    let Positions { order, component_end, absorbing } = positions(graph);
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
        component_end,
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
    /// Where each component ends.
    component_end: Vec<u32>,
    absorbing: Vec<u32>,
}

fn positions(graph: &Graph) -> Positions {
    let mut reached = vec![false; graph.vertex_count() as usize];
    let mut stack = vec![START];
    reached[START as usize] = true;
    while let Some(vertex) = stack.pop() {
        for &target in graph.targets(vertex) {
            if !std::mem::replace(&mut reached[target as usize], true) {
                stack.push(target);
            }
        }
    }
    let components = strongly_connected(graph);
    let mut order = Vec::new();
    let mut component_end = Vec::new();
    let is_transient = |vertex: u32| vertex == START || !graph.is_absorbing(vertex);
    // Completion order of the component search is sinks first.
    for members in &components.members {
        let live = |&&vertex: &&u32| reached[vertex as usize] && is_transient(vertex);
        let members: Vec<u32> = members.iter().filter(live).copied().collect();
        if members.is_empty() {
            continue;
        }
        order.extend(ordered(graph, members));
        component_end.push(order.len() as u32);
    }
    let absorbing = (0..graph.vertex_count()).filter(|&v| reached[v as usize] && !is_transient(v)).collect();
    Positions { order, component_end, absorbing }
}

/// The members of a component in elimination order.
fn ordered(graph: &Graph, mut members: Vec<u32>) -> Vec<u32> {
    if members.len() <= 2 {
        return members;
    }
    members.sort_unstable();
    let mut neighbours = vec![Vec::new(); members.len()];
    for (&vertex, from) in members.iter().zip(0..) {
        for target in graph.targets(vertex) {
            if let Ok(to) = members.binary_search(target) {
                neighbours[from].push(to as u32);
                neighbours[to].push(from as u32);
            }
        }
    }
    for list in &mut neighbours {
        list.sort_unstable();
        list.dedup();
    }
    minimum_degree(neighbours).into_iter().map(|local| members[local as usize]).collect()
}

/// Edges by position: those inside the component, those to components solved before, and the sum of those that end.
fn collect_edges(graph: &Graph, position: &[u32], plan: &mut Plan) -> Result<(), AnalysisError> {
    let unit = if graph.was_dph() { graph.unit_weights() } else { Vec::new() };
    let mut interner = Interner::default();
    let mut draft = Draft::default();
    let mut bundle: Vec<(u32, u32)> = Vec::new();
    (plan.inner, plan.outer) = (Lists::new(), Lists::new());
    let mut component = 0;
    for at in 0..plan.vertices.len() {
        let vertex = plan.vertices[at];
        component += usize::from(at as u32 == plan.component_end[component]);
        let first = if component == 0 { 0 } else { plan.component_end[component - 1] };
        let edges: Vec<_> = graph.edges(vertex).collect();
        bundle.clear();
        bundle.extend(edges.iter().zip(0..).map(|(edge, number)| (position[edge.target as usize], number)));
        bundle.sort_unstable();
        for group in bundle.chunk_by(|a, b| a.0 == b.0) {
            draft.clear();
            for &(_, number) in group {
                let edge = &edges[number as usize];
                match graph.fixed_weight(edge.index) {
                    Some(_) if graph.was_dph() => draft.add_constant(unit[edge.index as usize]),
                    Some(weight) => draft.add_constant(weight),
                    None if edge.coefficients.len() != graph.param_length() => {
                        let (found, expected) = (edge.coefficients.len(), graph.param_length());
                        return Err(AnalysisError::CoefficientLength {
                            from: vertex,
                            to: edge.target,
                            expected,
                            found,
                        });
                    }
                    None => draft.add_coefficients(edge.coefficients),
                }
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

/// The pattern of the eliminated rows: which earlier positions each row is reduced by, and what remains of it.
///
/// Row by row: what a row reaches through earlier rows of its component (Gilbert and Peierls, SIAM J. Sci. Stat. Comput.
/// 9, 1988). Time is that of the numeric elimination.
fn factor_pattern(plan: &mut Plan, limits: &Limits) -> Result<(), AnalysisError> {
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
        let bytes = 4 * (lower.items.len() + upper.items.len()) as u64;
        if bytes > limits.memory_bytes || upper.items.len() + lower.items.len() > u32::MAX as usize / 2 {
            let (done, vertices) = (at, plan.vertices.len());
            return Err(AnalysisError::Memory { budget_bytes: limits.memory_bytes, done, vertices });
        }
    }
    plan.lower = lower;
    plan.upper = upper;
    Ok(())
}
