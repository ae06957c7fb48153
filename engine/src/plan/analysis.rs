//! From a graph to a plan: what must be done for any θ, found once.
//!
//! Parallel edges are summed, vertices the start does not reach are dropped, components are put sinks first, each is
//! ordered by minimum degree, and the pattern of its elimination is worked out. Nothing here looks at θ.

use super::forms::{Draft, Interner};
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
const ABSORBING: u32 = (1 << 31) - 1;

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

impl Visitor for Positions<'_, '_> {
    type Stop = AnalysisError;

    fn component(&mut self, members: &[u32], numbers: &mut Numbers) -> Result<(), AnalysisError> {
        let Self { graph, plan, ordering, pace } = self;
        let Plan { vertices: order, absorbing, block_end, component_count, .. } = &mut **plan;
        if let [vertex] = *members
            && vertex != START
            && graph.is_absorbing(vertex)
        {
            numbers.set(vertex, ABSORBING);
            absorbing.push(vertex);
            return Ok(());
        }
        let first = order.len();
        for &vertex in members.iter().rev() {
            numbers.set(vertex, order.len() as u32);
            order.push(vertex);
        }
        let cyclic = members.len() > 1;
        if members.len() > 2 {
            ordering.improve(graph, numbers, first as u32, &mut order[first..], pace)?;
        }
        *component_count += 1;
        let end = order.len() as u32;
        match block_end.last_mut() {
            Some(last) if !last.1 && !cyclic => last.0 = end,
            _ => block_end.push((end, cyclic)),
        }
        Ok(())
    }

    #[inline(always)]
    fn followed(&mut self, edges: u32) -> Result<(), AnalysisError> {
        self.pace.step(edges as usize + 1, self.plan.vertices.len())
    }
}

/// Edges by position: those inside the component, those to components solved before, and the sum of those that end.
fn collect_edges(
    graph: &Graph,
    numbers: &Numbers,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    pace.begin(Phase::Collecting);
    let unit = if graph.was_dph() { graph.unit_weights() } else { Vec::new() };
    let mut weigher =
        Weigher { graph, unit, draft: Draft::default(), interner: Interner::default(), nothing: None };
    let positions = plan.vertices.len();
    (plan.inner, plan.outer) = (Lists::with_room(positions), Lists::with_room(positions));
    plan.exit_forms.reserve_exact(positions);
    let room = graph.edge_count() as usize / 2;
    for list in [&mut plan.inner.items, &mut plan.inner_forms, &mut plan.outer.items, &mut plan.outer_forms] {
        list.reserve_exact(room);
    }
    // Where the edges of a vertex lead, in the higher half, and their indices.
    let mut bundle: Vec<u64> = Vec::new();
    let (mut at, mut begin) = (0, 0);
    for &(end, cyclic) in &plan.block_end {
        // Edges to positions from here on stay in the component; a single vertex has none.
        let first = if cyclic { begin } else { ABSORBING };
        for &vertex in &plan.vertices[at..end as usize] {
            let edges = graph.edge_range(vertex);
            pace.step(edges.len() * (1 + graph.param_length()), plan.exit_forms.len())?;
            pace.check_memory(weigher.interner.memory_bytes(), plan.exit_forms.len())?;
            let begin = edges.start as u64;
            bundle.clear();
            bundle.extend(
                graph
                    .targets(vertex)
                    .iter()
                    .zip(begin..)
                    .map(|(&target, edge)| u64::from(numbers.get(target).unwrap_or(ABSORBING)) << 32 | edge),
            );
            if !bundle.is_sorted() {
                bundle.sort_unstable();
            }
            let mut exit = None;
            for group in bundle.chunk_by(|a, b| a >> 32 == b >> 32) {
                let form = weigher.form(vertex, group)?;
                match (group[0] >> 32) as u32 {
                    ABSORBING => exit = Some(form),
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
            plan.exit_forms.push(exit.unwrap_or_else(|| weigher.nothing()));
        }
        at = end as usize;
        begin = end;
    }
    for list in [&mut plan.inner.items, &mut plan.inner_forms, &mut plan.outer.items, &mut plan.outer_forms] {
        list.shrink_to_fit();
    }
    plan.forms = weigher.interner.finish();
    Ok(())
}

/// Finds the linear forms of edges.
struct Weigher<'a> {
    graph: &'a Graph,
    /// In discrete time, the weight of every edge under θ = 1.
    unit: Vec<f64>,
    draft: Draft,
    interner: Interner,
    /// The form that is 0, once it was needed.
    nothing: Option<u32>,
}

impl Weigher<'_> {
    /// The form of the sum of some parallel edges, whose indices are the lower halves.
    fn form(&mut self, vertex: u32, edges: &[u64]) -> Result<u32, AnalysisError> {
        if let [edge] = *edges {
            let edge = edge as u32;
            let coefficients = self.graph.edge(edge).coefficients;
            if vertex == START || coefficients.is_empty() {
                return Ok(self.interner.single(0.0 + self.fixed(edge), 0, 0.0));
            }
            let mut terms = coefficients.iter().zip(0..).filter(|&(&coefficient, _)| coefficient != 0.0);
            let (first, second) = (terms.next(), terms.next());
            if coefficients.len() == self.graph.param_length() && second.is_none() {
                let (&coefficient, parameter) = first.unwrap_or((&0.0, 0));
                return Ok(self.interner.single(0.0, parameter, coefficient));
            }
        }
        self.draft.clear();
        for &edge in edges {
            self.add(vertex, edge as u32)?;
        }
        if !self.draft.is_finite() {
            let to = edges.last().map_or(vertex, |&edge| self.graph.edge(edge as u32).target);
            return Err(AnalysisError::CoefficientSum { from: vertex, to });
        }
        Ok(self.interner.number(&self.draft))
    }

    /// The form of no edges.
    fn nothing(&mut self) -> u32 {
        *self.nothing.get_or_insert_with(|| self.interner.single(0.0, 0, 0.0))
    }

    /// Adds the weight of one edge to the form at hand.
    fn add(&mut self, vertex: u32, edge: u32) -> Result<(), AnalysisError> {
        let edge = self.graph.edge(edge);
        let expected = self.graph.param_length();
        if vertex == START || edge.coefficients.is_empty() {
            self.draft.add_constant(self.fixed(edge.index));
        } else if edge.coefficients.len() == expected {
            self.draft.add_coefficients(edge.coefficients);
        } else {
            let found = edge.coefficients.len();
            return Err(AnalysisError::CoefficientLength { from: vertex, to: edge.target, expected, found });
        }
        Ok(())
    }

    /// The weight of an edge that θ does not change. In discrete time they were normalised when the graph was made.
    fn fixed(&self, edge: u32) -> f64 {
        let weight = self.unit.get(edge as usize).copied().or_else(|| self.graph.fixed_weight(edge));
        weight.unwrap_or_default()
    }
}
