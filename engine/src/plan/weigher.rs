//! The linear forms of the weights of edges and of sums of them, found while a plan is made.

use super::AnalysisError;
use super::forms::{Draft, Forms};
use super::interner::Interner;
use super::pace::Pace;
use super::watched::Watchers;
use crate::graph::{Graph, START};

/// Finds the linear forms of edges.
pub(super) struct Weigher<'a> {
    graph: &'a Graph,
    /// In discrete time, the weight of every edge under θ = 1.
    unit: Vec<f64>,
    draft: Draft,
    interner: Interner,
    watchers: Watchers,
    /// There is room for so many forms; nothing else grows beyond what was asked for at the start, but for sums.
    granted: usize,
    /// The form that is 0, once it was needed.
    nothing: Option<u32>,
}

impl<'a> Weigher<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self {
            graph,
            unit: if graph.was_dph() { graph.unit_weights() } else { Vec::new() },
            draft: Draft::default(),
            interner: Interner::for_edges(graph.edge_count() as usize),
            watchers: Watchers::default(),
            granted: 0,
            nothing: None,
        }
    }

    /// The form of an edge, not of the start.
    #[inline(never)]
    pub(super) fn weigh(
        &mut self,
        vertex: u32,
        position: usize,
        edge: u64,
        pace: &Pace<'_>,
    ) -> Result<u32, AnalysisError> {
        let further_terms = self.interner.further_terms();
        let form = match self.term(edge as u32) {
            Some((parameter, coefficient)) => self.interner.single(0.0, parameter, coefficient),
            None => self.sum(vertex, &[edge])?,
        };
        if self.interner.count() > self.granted || self.interner.further_terms() > further_terms {
            self.grant(pace, position)?;
        }
        Ok(form)
    }

    /// The form of the sum of the edges of a vertex that lead to the same; also of one edge, and of the start. Whoever asks
    /// for it sees to the [memory](Self::grant).
    pub(super) fn weigh_sum(
        &mut self,
        vertex: u32,
        position: usize,
        edges: &[u64],
    ) -> Result<u32, AnalysisError> {
        let form = self.sum(vertex, edges)?;
        if edges.len() > 1 {
            self.watch(position as u32, vertex, edges)?;
        }
        Ok(form)
    }

    /// The parameter and the coefficient of an edge, not of the start, whose weight is that product.
    fn term(&self, edge: u32) -> Option<(u32, f64)> {
        let coefficients = self.graph.coefficients_of(edge as usize);
        let is_full = !coefficients.is_empty() && coefficients.len() == self.graph.param_length();
        if is_full { sole_term(coefficients) } else { None }
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
    fn watch(&mut self, position: u32, vertex: u32, edges: &[u64]) -> Result<(), AnalysisError> {
        if self.sum_tells(vertex, edges) {
            return Ok(());
        }
        for &edge in edges {
            self.draft.clear();
            self.add(vertex, edge as u32)?;
            self.watchers.see(position, &self.draft);
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

    /// Looks whether there may be as many forms as there are, and how many more until the next look.
    #[cold]
    pub(super) fn grant(&mut self, pace: &Pace<'_>, position: usize) -> Result<(), AnalysisError> {
        let held = self.interner.memory_bytes() + self.watchers.memory_bytes();
        pace.check_memory(held, position)?;
        let forms = self.interner.count();
        // As many again, of one term each, if there is room for them.
        let further = Interner::bytes_of(forms);
        self.granted = if pace.has_room(held + further) { 2 * forms } else { forms };
        Ok(())
    }

    /// The form of no edges.
    pub(super) fn nothing(&mut self) -> u32 {
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

    /// All forms, and what must be looked at beside them.
    pub(super) fn finish(self) -> (Forms, Vec<u32>) {
        let Self { mut interner, watchers, .. } = self;
        let watched = watchers.finish(&mut interner);
        (interner.finish(), watched)
    }
}

/// The parameter and the coefficient of a list with at most one that is not zero.
#[inline(always)]
fn sole_term(coefficients: &[f64]) -> Option<(u32, f64)> {
    if let [coefficient] = *coefficients {
        // Zeros have no sign here: it would make another form.
        return Some((0, if coefficient == 0.0 { 0.0 } else { coefficient }));
    }
    let (mut terms, mut parameter) = (0, 0);
    for (coefficient, at) in coefficients.iter().zip(0..) {
        // All bits but that of the sign.
        let is_zero = coefficient.to_bits() << 1 == 0;
        terms += u32::from(!is_zero);
        parameter = if is_zero { parameter } else { at };
    }
    match terms {
        0 => Some((0, 0.0)),
        1 => Some((parameter, coefficients[parameter as usize])),
        _ => None,
    }
}
