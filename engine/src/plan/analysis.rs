//! From a graph to a plan: what must be done for any θ, found once.
//!
//! Parallel edges are summed, vertices the start does not reach are dropped, components are put sinks first, each is
//! ordered by minimum degree, and the pattern of its elimination is worked out. Nothing here looks at θ.

use super::forms::{Draft, Interner};
use super::ordering::Ordering;
use super::pace::Pace;
use super::pattern::{Tails, factor_pattern};
use super::watched::Watchers;
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
///
/// Linear in the edges and their coefficients, but for sorting the edges of each vertex.
#[inline(never)]
fn collect_edges(
    graph: &Graph,
    numbers: &Numbers,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    pace.begin(Phase::Collecting);
    let mut collector = Collector::new(graph, plan.vertices.len());
    let mut bundle: Vec<u64> = Vec::new();
    let (mut at, mut begin) = (0, 0);
    for &(end, cyclic) in &plan.block_end {
        // Edges to positions from here on stay in the component; a single vertex has none.
        let first = if cyclic { begin } else { ABSORBING };
        for (&vertex, position) in plan.vertices[at..end as usize].iter().zip(at..) {
            let targets = graph.targets(vertex);
            pace.step(targets.len() * (1 + graph.param_length()), position)?;
            pace.check_memory(collector.weigher.memory_bytes(), position)?;
            let distinct = bundle_up(targets, graph.edge_range(vertex).start, numbers, &mut bundle);
            if distinct && vertex != START {
                collector.add(vertex, first, &bundle)?;
            } else {
                collector.add_sums(vertex, first, &bundle)?;
            }
            collector.close();
        }
        at = end as usize;
        begin = end;
    }
    collector.finish(plan);
    Ok(())
}

/// The edges of a vertex by where they lead: the position in the higher half, the edge's index in the lower. Whether no
/// two lead to the same.
#[inline(always)]
fn bundle_up(targets: &[u32], first_edge: usize, numbers: &Numbers, bundle: &mut Vec<u64>) -> bool {
    bundle.clear();
    bundle.resize(targets.len(), 0);
    let mut after = 0;
    let mut ascend = true;
    for ((item, &target), edge) in bundle.iter_mut().zip(targets).zip(first_edge as u64..) {
        let position = numbers.get(target).unwrap_or(ABSORBING);
        ascend &= after <= position;
        after = position + 1;
        *item = u64::from(position) << 32 | edge;
    }
    if ascend {
        return true;
    }
    if bundle.len() > 16 {
        bundle.sort_unstable();
    } else {
        // A few are put in place one by one; a call would take as long.
        for at in 1..bundle.len() {
            let item = bundle[at];
            let mut to = at;
            while to > 0 && bundle[to - 1] > item {
                bundle[to] = bundle[to - 1];
                to -= 1;
            }
            bundle[to] = item;
        }
    }
    bundle.windows(2).all(|pair| pair[0] >> 32 != pair[1] >> 32)
}

/// The lists of edges that a plan will have.
struct Collector<'a> {
    weigher: Weigher<'a>,
    inner: Lists,
    inner_forms: Vec<u32>,
    outer: Lists,
    outer_forms: Vec<u32>,
    exit_forms: Vec<u32>,
    /// Of the vertex at hand.
    exit: Option<u32>,
}

impl<'a> Collector<'a> {
    fn new(graph: &'a Graph, positions: usize) -> Self {
        let unit = if graph.was_dph() { graph.unit_weights() } else { Vec::new() };
        let room = graph.edge_count() as usize / 2;
        let lists = || {
            let mut lists = Lists::with_room(positions);
            lists.items.reserve_exact(room);
            lists
        };
        Self {
            weigher: Weigher {
                graph,
                unit,
                draft: Draft::default(),
                interner: Interner::default(),
                watchers: Watchers::default(),
                nothing: None,
            },
            inner: lists(),
            inner_forms: Vec::with_capacity(room),
            outer: lists(),
            outer_forms: Vec::with_capacity(room),
            exit_forms: Vec::with_capacity(positions),
            exit: None,
        }
    }

    /// Adds the edges of a vertex, which come as [`bundle_up`] leaves them and lead to different positions. Those to
    /// positions from `first` on stay in its component.
    #[inline(always)]
    fn add(&mut self, vertex: u32, first: u32, bundle: &[u64]) -> Result<(), AnalysisError> {
        for edge in bundle {
            let form = match self.weigher.term(*edge as u32) {
                Some((parameter, coefficient)) => self.weigher.interner.term(parameter, coefficient),
                None => self.weigher.sum(vertex, std::slice::from_ref(edge))?,
            };
            self.put((edge >> 32) as u32, first, form);
        }
        Ok(())
    }

    /// Adds the edges of any vertex: parallel ones as their sum.
    #[inline(never)]
    fn add_sums(&mut self, vertex: u32, first: u32, bundle: &[u64]) -> Result<(), AnalysisError> {
        for group in bundle.chunk_by(|a, b| a >> 32 == b >> 32) {
            let form = self.weigher.sum(vertex, group)?;
            if group.len() > 1 {
                self.weigher.watch(self.exit_forms.len(), vertex, group)?;
            }
            self.put((group[0] >> 32) as u32, first, form);
        }
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, target: u32, first: u32, form: u32) {
        if target == ABSORBING {
            self.exit = Some(form);
        } else if target >= first {
            self.inner.items.push(target);
            self.inner_forms.push(form);
        } else {
            self.outer.items.push(target);
            self.outer_forms.push(form);
        }
    }

    /// Ends the edges of a vertex.
    #[inline(always)]
    fn close(&mut self) {
        self.inner.close();
        self.outer.close();
        let exit = self.exit.take().unwrap_or_else(|| self.weigher.nothing());
        self.exit_forms.push(exit);
    }

    fn finish(self, plan: &mut Plan) {
        let Weigher { mut interner, watchers, .. } = self.weigher;
        plan.watched = watchers.finish(&mut interner);
        plan.forms = interner.finish();
        (plan.inner, plan.inner_forms) = (self.inner, self.inner_forms);
        (plan.outer, plan.outer_forms) = (self.outer, self.outer_forms);
        plan.exit_forms = self.exit_forms;
        for list in
            [&mut plan.inner.items, &mut plan.inner_forms, &mut plan.outer.items, &mut plan.outer_forms]
        {
            list.shrink_to_fit();
        }
    }
}

/// Finds the linear forms of edges.
struct Weigher<'a> {
    graph: &'a Graph,
    /// In discrete time, the weight of every edge under θ = 1.
    unit: Vec<f64>,
    draft: Draft,
    interner: Interner,
    watchers: Watchers,
    /// The form that is 0, once it was needed.
    nothing: Option<u32>,
}

impl Weigher<'_> {
    /// The parameter and the coefficient of an edge, not of the start, whose weight is that product.
    #[inline(always)]
    fn term(&self, edge: u32) -> Option<(u32, f64)> {
        let coefficients = self.graph.coefficients_of(edge as usize);
        if coefficients.len() != self.graph.param_length() {
            return None;
        }
        let Some((parameter, &coefficient)) =
            coefficients.iter().enumerate().find(|(_, coefficient)| **coefficient != 0.0)
        else {
            return (!coefficients.is_empty()).then_some((0, 0.0));
        };
        let single = coefficients[parameter + 1..].iter().all(|&coefficient| coefficient == 0.0);
        single.then_some((parameter as u32, coefficient))
    }

    /// The form of the sum of some parallel edges, whose indices are the lower halves.
    #[inline(never)]
    fn sum(&mut self, vertex: u32, edges: &[u64]) -> Result<u32, AnalysisError> {
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

    /// Has the edges of a sum looked at one by one, if the sum does not tell of them.
    fn watch(&mut self, position: usize, vertex: u32, edges: &[u64]) -> Result<(), AnalysisError> {
        if self.sum_tells(vertex, edges) {
            return Ok(());
        }
        for &edge in edges {
            self.draft.clear();
            self.add(vertex, edge as u32)?;
            self.watchers.see(position as u32, &self.draft);
        }
        Ok(())
    }

    /// Whether some edges are positive multiples of one another, so that none is negative unless their sum is.
    fn sum_tells(&self, vertex: u32, edges: &[u64]) -> bool {
        let sole = |list: &[f64]| {
            let mut terms = list.iter().enumerate().filter(|&(_, &coefficient)| coefficient != 0.0);
            let (first, second) = (terms.next(), terms.next());
            first.filter(|_| second.is_none()).map(|(parameter, &coefficient)| (parameter, coefficient > 0.0))
        };
        let mut lists = edges.iter().map(|&edge| self.graph.edge(edge as u32).coefficients);
        let Some(first) = lists.next() else { return true };
        let of_first = sole(first);
        // Those of the start are probabilities, which no graph has below 0.
        vertex == START || lists.all(|list| list == first || of_first.is_some() && sole(list) == of_first)
    }

    /// Bytes held at most.
    fn memory_bytes(&self) -> u64 {
        self.interner.memory_bytes() + self.watchers.memory_bytes()
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
