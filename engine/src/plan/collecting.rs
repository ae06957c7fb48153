//! The second step of an analysis: the edges by position, and the linear forms of their weights.

use super::analysis::{ABSORBING, Lists};
use super::forms::Draft;
use super::interner::Interner;
use super::pace::Pace;
use super::watched::Watchers;
use super::{AnalysisError, Plan};
use crate::graph::{Graph, Numbers, START};
use crate::progress::Phase;

/// Edges by position: those inside the component, those to components solved before, and the sum of those that end.
///
/// Linear in the edges and their coefficients, but for sorting the edges of each vertex.
#[inline(never)]
pub(super) fn collect_edges(
    graph: &Graph,
    numbers: &Numbers,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    pace.begin(Phase::Collecting);
    let mut collector = Collector::new(graph, plan.vertices.len());
    let mut bundle: Vec<u64> = Vec::new();
    let (mut at, mut begin) = (0, 0);
    // There is room for so many forms; nothing else grows beyond what was asked for at the start, but for sums.
    let mut granted = 0;
    for &(end, cyclic) in &plan.block_end {
        // Edges to positions from here on stay in the component; a single vertex has none.
        let first = if cyclic { begin } else { ABSORBING };
        for (&vertex, position) in plan.vertices[at..end as usize].iter().zip(at..) {
            let targets = graph.targets(vertex);
            pace.step(targets.len() * (1 + graph.param_length()), position)?;
            let distinct = bundle_up(targets, graph.edge_range(vertex).start, numbers, &mut bundle);
            let has_sums = !distinct || vertex == START;
            if has_sums {
                collector.add_sums(vertex, first, &bundle)?;
            } else {
                collector.add(vertex, first, &bundle)?;
            }
            if has_sums || collector.weigher.interner.count() > granted {
                granted = collector.weigher.grant(pace, position)?;
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
        return bundle.windows(2).all(|pair| pair[0] >> 32 != pair[1] >> 32);
    }
    // A few are put in place one by one; a call would take as long.
    let mut distinct = true;
    for at in 1..bundle.len() {
        let item = bundle[at];
        let mut to = at;
        while to > 0 && bundle[to - 1] > item {
            bundle[to] = bundle[to - 1];
            to -= 1;
        }
        bundle[to] = item;
        distinct &= to == 0 || bundle[to - 1] >> 32 != item >> 32;
    }
    distinct
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
        if let [coefficient] = *coefficients {
            // Zeros have no sign here: it would make another form.
            return Some((0, if coefficient == 0.0 { 0.0 } else { coefficient }));
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
        self.draft.settle();
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

    /// How many forms there may be before the next look at the memory, if there may be those so far.
    #[cold]
    fn grant(&self, pace: &Pace<'_>, position: usize) -> Result<usize, AnalysisError> {
        let held = self.interner.memory_bytes() + self.watchers.memory_bytes();
        pace.check_memory(held, position)?;
        let forms = self.interner.count();
        // As many again, of one term each, if there is room for them.
        let further = Interner::bytes_of(forms);
        Ok(if pace.has_room(held + further) { 2 * forms } else { forms })
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
