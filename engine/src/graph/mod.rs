//! Graphs: vertices with integer states and ordered edges with coefficient lists.
//!
//! This room holds the data structure and what follows from it alone: identity, weights, discrete time, components.
//! Nothing here eliminates, replays or reads a document.
#![allow(clippy::cast_possible_truncation, reason = "the builder's limits keep every count below 2^32")]

mod builder;
mod components;
mod discrete;
mod dot;
mod error;
mod identity;
mod limits;
mod parallel;
mod reorder;
mod weights;

pub use builder::{GraphBuilder, Rate};
pub use components::{Components, strongly_connected, strongly_connected_from_start};
pub use discrete::Normalized;
pub use dot::Dot;
pub use error::GraphError;
pub use identity::{EdgeOrderDigest, GraphHash, ParseDigestError, hex_digits};
pub use limits::GraphLimits;
pub use weights::WeightError;

pub(crate) use components::{Numbers, Visitor, visit_components};
pub(crate) use identity::compare_coefficients;

use std::ops::Range;
use std::sync::Arc;

/// The starting vertex of every graph: it takes no time and its edges carry the initial probabilities.
pub const START: u32 = 0;

/// A phase-type graph: vertices with integer states, and for each vertex an ordered list of out-edges.
///
/// An edge has a target and a coefficient list `c`; under parameters θ its weight is `Σ c[k]·θ[k]`. Edges that θ does
/// not change (those of the start, and edges without coefficients) carry a fixed weight instead. Graphs are
/// immutable; a [`GraphBuilder`] makes them, following the rules of artifact specification, sections 1 and 3.
///
/// Edges are numbered by source vertex, then by the order in which they were added ("edge index"); weight vectors are
/// laid out in that order. Storage is flat: 8 bytes an edge beside its coefficients, and 4 bytes and a state a vertex.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
///
/// // Kingman's coalescent for three lineages.
/// let mut builder = GraphBuilder::new(1)?;
/// let three = builder.find_or_add_vertex(&[3])?;
/// let two = builder.find_or_add_vertex(&[2])?;
/// let one = builder.find_or_add_vertex(&[1])?;
/// builder.add_edge(START, three, Rate::Scalar(1.0))?;
/// builder.add_edge(three, two, Rate::Coefficients(&[3.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
/// let graph = builder.finish();
///
/// assert_eq!(graph.weights(&[2.0])?, [1.0, 6.0, 2.0]);
/// assert_eq!(
///     graph.content_hash().to_string(),
///     "ba3496f47d6d1e212ae665323a9a6b7abacbef460beadee0022106054a543429"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    state_length: usize,
    param_length: usize,
    parameterized: bool,
    was_dph: bool,
    /// `vertex_count * state_length` integers; plans of the graph hold them too.
    states: Arc<Vec<i32>>,
    /// Where the edges of each vertex begin; one more entry than vertices.
    edge_start: Vec<u32>,
    targets: Vec<u32>,
    /// Where the coefficients of each edge begin; one more entry than edges.
    coefficient_start: Vec<u32>,
    coefficients: Vec<f64>,
    /// Weights that θ does not change, by ascending edge index.
    fixed: Vec<(u32, f64)>,
}

/// One out-edge of a vertex, borrowed from its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge<'a> {
    /// Index among all edges of the graph; the place of this edge in a weight vector.
    pub index: u32,
    /// The vertex the edge leads to.
    pub target: u32,
    /// Coefficients; empty for an edge that has only a fixed weight.
    pub coefficients: &'a [f64],
}

impl Graph {
    /// Integers per vertex state.
    pub fn state_length(&self) -> usize {
        self.state_length
    }

    /// Number of parameters; 0 when no edge but those of the start was ever added.
    pub fn param_length(&self) -> usize {
        self.param_length
    }

    /// Whether edges were given as coefficient lists rather than as plain numbers.
    pub fn is_parameterized(&self) -> bool {
        self.parameterized
    }

    /// Whether the graph is in discrete time: weights are normalised to probabilities after every change of θ.
    pub fn was_dph(&self) -> bool {
        self.was_dph
    }

    /// Number of vertices, the start included.
    pub fn vertex_count(&self) -> u32 {
        (self.edge_start.len() - 1) as u32
    }

    /// Number of edges, those of the start included.
    pub fn edge_count(&self) -> u32 {
        self.targets.len() as u32
    }

    /// The state of a vertex: `state_length` integers.
    ///
    /// # Panics
    /// When `vertex` is not below [`vertex_count`](Self::vertex_count), like slice indexing.
    pub fn state(&self, vertex: u32) -> &[i32] {
        let from = vertex as usize * self.state_length;
        &self.states[from..from + self.state_length]
    }

    /// The states of all vertices, to be kept by what must name them.
    pub(crate) fn shared_states(&self) -> Arc<Vec<i32>> {
        Arc::clone(&self.states)
    }

    /// Edge indices of the out-edges of a vertex.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn edge_range(&self, vertex: u32) -> Range<usize> {
        self.edge_start[vertex as usize] as usize..self.edge_start[vertex as usize + 1] as usize
    }

    /// Targets of the out-edges of a vertex, in edge order.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn targets(&self, vertex: u32) -> &[u32] {
        &self.targets[self.edge_range(vertex)]
    }

    /// Number of out-edges of a vertex.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn degree(&self, vertex: u32) -> u32 {
        self.edge_range(vertex).len() as u32
    }

    /// Whether a vertex has no out-edges.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn is_absorbing(&self, vertex: u32) -> bool {
        self.degree(vertex) == 0
    }

    /// The out-edges of a vertex, in edge order.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn edges(&self, vertex: u32) -> impl ExactSizeIterator<Item = Edge<'_>> + '_ {
        self.edge_range(vertex).map(|index| self.edge(index as u32))
    }

    /// An edge by its index among all edges.
    ///
    /// # Panics
    /// When `index` is not below [`edge_count`](Self::edge_count), like slice indexing.
    pub fn edge(&self, index: u32) -> Edge<'_> {
        let target = self.targets[index as usize];
        Edge { index, target, coefficients: self.coefficients_of(index as usize) }
    }

    /// The weight of an edge that θ does not change: the initial probability of a start edge, or the constant weight
    /// of an edge without coefficients; `None` for all others.
    pub fn fixed_weight(&self, edge: u32) -> Option<f64> {
        // Where every edge has one, they are found at once.
        match self.fixed.get(edge as usize) {
            Some(&(index, weight)) if index == edge => Some(weight),
            _ => self.fixed.binary_search_by_key(&edge, |&(index, _)| index).ok().map(|at| self.fixed[at].1),
        }
    }

    /// Targets of a range of edges.
    #[inline]
    pub(crate) fn targets_of(&self, edges: Range<usize>) -> &[u32] {
        &self.targets[edges]
    }

    /// The first edge that is not of the start, and the coefficients of all from it on, one list after the other, if each
    /// has one for every parameter.
    pub(crate) fn full_lists(&self) -> Option<(u32, &[f64])> {
        let first = *self.edge_start.get(START as usize + 1)?;
        let starts = &self.coefficient_start[first as usize..];
        let is_full = |pair: &[u32]| (pair[1] - pair[0]) as usize == self.param_length;
        let are_full = starts.windows(2).fold(true, |are, pair| are & is_full(pair));
        are_full.then(|| (first, &self.coefficients[starts[0] as usize..]))
    }

    pub(crate) fn coefficients_of(&self, edge: usize) -> &[f64] {
        &self.coefficients[self.coefficient_start[edge] as usize..self.coefficient_start[edge + 1] as usize]
    }
}

#[cfg(test)]
mod tests;
