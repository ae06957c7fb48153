//! Making a graph edge by edge, under phasic's rules (artifact specification, section 1).
//!
//! The builder logs edges in the order they come and sorts them by source once, at the end.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::{Graph, GraphError, GraphLimits, START};

/// What an edge is given as. The first edge that does not leave the start decides which of the two the graph uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate<'a> {
    /// A plain number, stored as a coefficient list of length one; the graph is not parameterized.
    Scalar(f64),
    /// One coefficient per parameter; the graph is parameterized.
    Coefficients(&'a [f64]),
}

/// Builds a [`Graph`]; vertex 0, the start, exists from the beginning.
///
/// Adding a vertex or an edge takes amortised constant time; [`finish`](Self::finish) is linear.
#[derive(Debug)]
pub struct GraphBuilder {
    limits: GraphLimits,
    state_length: usize,
    param_length: Option<usize>,
    parameterized: Option<bool>,
    was_dph: bool,
    states: Vec<i32>,
    /// Vertices that can be found by their state; the first one added wins.
    lookup: HashTable<u32>,
    hasher: DefaultHashBuilder,
    sources: Vec<u32>,
    targets: Vec<u32>,
    coefficient_end: Vec<u32>,
    coefficients: Vec<f64>,
    /// Weights that θ does not change, by number of the edge in order of arrival.
    fixed: Vec<(u32, f64)>,
    /// Bytes of the limit that are somebody else's.
    aside: u64,
}

impl GraphBuilder {
    /// A builder for states of `state_length` integers, under the default limits.
    ///
    /// # Errors
    /// [`GraphError::EmptyState`] when `state_length` is 0.
    pub fn new(state_length: usize) -> Result<Self, GraphError> {
        Self::with_limits(state_length, GraphLimits::default())
    }

    /// A builder under the given limits.
    ///
    /// # Errors
    /// [`GraphError::EmptyState`] when `state_length` is 0, [`GraphError::Limit`] when one state is already too much.
    pub fn with_limits(state_length: usize, limits: GraphLimits) -> Result<Self, GraphError> {
        if state_length == 0 {
            return Err(GraphError::EmptyState);
        }
        let mut builder = Self {
            limits,
            state_length,
            param_length: None,
            parameterized: None,
            was_dph: false,
            states: Vec::new(),
            lookup: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            sources: Vec::new(),
            targets: Vec::new(),
            coefficient_end: Vec::new(),
            coefficients: Vec::new(),
            fixed: Vec::new(),
            aside: 0,
        };
        builder.push_zero_state()?;
        Ok(builder)
    }

    /// Fixes the number of parameters before the first edge that does not leave the start.
    ///
    /// # Errors
    /// [`GraphError::ParamLengthFixed`] when another number is already in force.
    pub fn set_param_length(&mut self, param_length: usize) -> Result<(), GraphError> {
        match self.param_length {
            Some(current) if current != param_length => {
                Err(GraphError::ParamLengthFixed { current, wanted: param_length })
            }
            _ => {
                self.param_length = Some(param_length);
                Ok(())
            }
        }
    }

    /// Fixes whether the graph is parameterized before an edge decides it, as a document does.
    pub fn set_parameterized(&mut self, parameterized: bool) {
        self.parameterized = Some(parameterized);
    }

    /// Marks the graph as one in discrete time.
    pub fn set_was_dph(&mut self, was_dph: bool) {
        self.was_dph = was_dph;
    }

    /// Keeps that many bytes of the limit on memory for what is held beside the graph while it is made.
    pub(crate) fn set_aside(&mut self, bytes: u64) {
        self.aside = bytes;
    }

    /// Bytes that are left of the limit.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.limits.memory_bytes.saturating_sub(self.aside.saturating_add(self.held() as u64))
    }

    /// Number of vertices so far, the start included.
    pub fn vertex_count(&self) -> u32 {
        (self.states.len() / self.state_length) as u32
    }

    /// Number of edges so far.
    pub fn edge_count(&self) -> u32 {
        self.targets.len() as u32
    }

    /// The state of a vertex.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn state(&self, vertex: u32) -> &[i32] {
        let from = vertex as usize * self.state_length;
        &self.states[from..from + self.state_length]
    }

    /// Adds a vertex, even if one with this state exists already.
    ///
    /// # Errors
    /// [`GraphError::StateLength`], [`GraphError::Limit`].
    pub fn add_vertex(&mut self, state: &[i32]) -> Result<u32, GraphError> {
        let hash = self.check_and_hash(state)?;
        let vertex = self.push_state(state)?;
        if self.find_hashed(hash, state).is_none() {
            self.insert_hashed(hash, vertex);
        }
        Ok(vertex)
    }

    /// The first vertex with this state; never the start and never an auxiliary vertex.
    pub fn find_vertex(&self, state: &[i32]) -> Option<u32> {
        self.find_hashed(self.hasher.hash_one(state), state)
    }

    /// The first vertex with this state, made if there is none.
    ///
    /// # Errors
    /// [`GraphError::StateLength`], [`GraphError::Limit`].
    pub fn find_or_add_vertex(&mut self, state: &[i32]) -> Result<u32, GraphError> {
        let hash = self.check_and_hash(state)?;
        if let Some(vertex) = self.find_hashed(hash, state) {
            return Ok(vertex);
        }
        let vertex = self.push_state(state)?;
        self.insert_hashed(hash, vertex);
        Ok(vertex)
    }

    /// Adds a vertex with the zero state that cannot be found by its state.
    ///
    /// # Errors
    /// [`GraphError::Limit`].
    pub fn add_auxiliary_vertex(&mut self) -> Result<u32, GraphError> {
        self.push_zero_state()
    }

    /// Adds an edge. Edges of the start hold initial probabilities: their weight is the sum of their coefficients (of
    /// the first `param_length` ones if that is known by now), whatever θ becomes.
    ///
    /// # Errors
    /// Every edge that phasic would refuse, and non-finite coefficients: see [`GraphError`].
    pub fn add_edge(&mut self, from: u32, to: u32, rate: Rate<'_>) -> Result<(), GraphError> {
        let scalar;
        let (coefficients, is_list) = match rate {
            Rate::Scalar(value) => {
                scalar = [value];
                (&scalar[..], false)
            }
            Rate::Coefficients(list) => (list, true),
        };
        self.check_edge(from, to, coefficients)?;
        if coefficients.is_empty() {
            return Err(GraphError::NoCoefficients { from, to });
        }
        let known = if from == START {
            self.param_length
        } else {
            Some(self.lock(from, to, is_list, coefficients.len())?)
        };
        let counted = known.unwrap_or(coefficients.len()).min(coefficients.len());
        let weight = coefficients[..counted].iter().fold(0.0, |sum, c| sum + c);
        check_weight(from, to, weight)?;
        self.push_edge(from, to, coefficients, (from == START).then_some(weight))
    }

    /// Adds an edge of the start whose weight is not the sum of its coefficients.
    ///
    /// # Errors
    /// As [`add_edge`](Self::add_edge).
    pub fn add_start_edge(&mut self, to: u32, coefficients: &[f64], weight: f64) -> Result<(), GraphError> {
        self.check_edge(START, to, coefficients)?;
        check_weight(START, to, weight)?;
        self.push_edge(START, to, coefficients, Some(weight))
    }

    /// Adds an edge without coefficients: it keeps its weight whatever θ is.
    ///
    /// # Errors
    /// As [`add_edge`](Self::add_edge).
    pub fn add_fixed_edge(&mut self, from: u32, to: u32, weight: f64) -> Result<(), GraphError> {
        self.check_edge(from, to, &[])?;
        check_weight(from, to, weight)?;
        self.push_edge(from, to, &[], Some(weight))
    }

    /// The finished graph. Linear in its size.
    pub fn finish(self) -> Graph {
        let (edge_start, rank) = self.sorted_by_source();
        let edges = rank.len();
        let mut targets = vec![0_u32; edges];
        let mut coefficient_start = vec![0_u32; edges + 1];
        let begin = |k: usize| if k == 0 { 0 } else { self.coefficient_end[k - 1] };
        for (k, &edge) in rank.iter().enumerate() {
            targets[edge as usize] = self.targets[k];
            coefficient_start[edge as usize + 1] = self.coefficient_end[k] - begin(k);
        }
        for edge in 0..edges {
            coefficient_start[edge + 1] += coefficient_start[edge];
        }
        let mut coefficients = vec![0.0; self.coefficients.len()];
        for (k, &edge) in rank.iter().enumerate() {
            let from = &self.coefficients[begin(k) as usize..self.coefficient_end[k] as usize];
            let start = coefficient_start[edge as usize] as usize;
            coefficients[start..start + from.len()].copy_from_slice(from);
        }
        let mut fixed: Vec<(u32, f64)> = self.fixed.iter().map(|&(k, w)| (rank[k as usize], w)).collect();
        fixed.sort_unstable_by_key(|&(edge, _)| edge);
        Graph {
            state_length: self.state_length,
            param_length: self.param_length.unwrap_or(0),
            parameterized: self.parameterized.unwrap_or(false),
            was_dph: self.was_dph,
            states: Arc::new(self.states),
            edge_start,
            targets,
            coefficient_start,
            coefficients,
            fixed,
        }
    }

    /// Where the edges of each vertex begin, and the edge index of the k-th edge added: a stable counting sort by source.
    fn sorted_by_source(&self) -> (Vec<u32>, Vec<u32>) {
        let vertices = self.vertex_count() as usize;
        let mut edge_start = vec![0_u32; vertices + 1];
        for &source in &self.sources {
            edge_start[source as usize + 1] += 1;
        }
        for vertex in 0..vertices {
            edge_start[vertex + 1] += edge_start[vertex];
        }
        let mut next = edge_start.clone();
        let place = |&source: &u32| {
            let slot = &mut next[source as usize];
            *slot += 1;
            *slot - 1
        };
        let rank = self.sources.iter().map(place).collect();
        (edge_start, rank)
    }

    /// Fixes mode and parameter count at the first edge that does not leave the start; holds later edges to them.
    fn lock(&mut self, from: u32, to: u32, is_list: bool, length: usize) -> Result<usize, GraphError> {
        if self.parameterized.is_some_and(|mode| mode != is_list) {
            return Err(GraphError::MixedRates { from, to });
        }
        let expected = self.param_length.unwrap_or(length);
        if length < expected {
            return Err(GraphError::TooFewCoefficients { from, to, expected, found: length });
        }
        self.parameterized = Some(is_list);
        self.param_length = Some(expected);
        Ok(expected)
    }

    fn check_edge(&self, from: u32, to: u32, coefficients: &[f64]) -> Result<(), GraphError> {
        let vertices = self.vertex_count();
        for vertex in [from, to] {
            if vertex >= vertices {
                return Err(GraphError::NoSuchVertex { vertex, vertices });
            }
        }
        if from == to {
            return Err(GraphError::SelfLoop { vertex: from });
        }
        match coefficients.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(GraphError::NotFinite { from, to, value }),
            None => Ok(()),
        }
    }

    fn push_edge(
        &mut self,
        from: u32,
        to: u32,
        coefficients: &[f64],
        fixed: Option<f64>,
    ) -> Result<(), GraphError> {
        if self.edge_count() >= self.limits.edges {
            return Err(GraphError::Limit { what: "edges", limit: u64::from(self.limits.edges) });
        }
        self.check_memory(12 + 8 * coefficients.len() + if fixed.is_some() { 16 } else { 0 })?;
        let Ok(end) = u32::try_from(self.coefficients.len() + coefficients.len()) else {
            return Err(GraphError::Limit { what: "coefficients", limit: u64::from(u32::MAX) });
        };
        if let Some(weight) = fixed {
            self.fixed.push((self.edge_count(), weight));
        }
        self.sources.push(from);
        self.targets.push(to);
        self.coefficients.extend_from_slice(coefficients);
        self.coefficient_end.push(end);
        Ok(())
    }

    fn check_and_hash(&self, state: &[i32]) -> Result<u64, GraphError> {
        if state.len() != self.state_length {
            return Err(GraphError::StateLength { expected: self.state_length, found: state.len() });
        }
        Ok(self.hasher.hash_one(state))
    }

    fn find_hashed(&self, hash: u64, state: &[i32]) -> Option<u32> {
        self.lookup.find(hash, |&vertex| self.state(vertex) == state).copied()
    }

    fn insert_hashed(&mut self, hash: u64, vertex: u32) {
        let Self { lookup, states, hasher, state_length, .. } = self;
        let length = *state_length;
        lookup.insert_unique(hash, vertex, |&other| {
            hasher.hash_one(&states[other as usize * length..(other as usize + 1) * length])
        });
    }

    fn push_state(&mut self, state: &[i32]) -> Result<u32, GraphError> {
        let vertex = self.check_vertex_limit()?;
        self.states.extend_from_slice(state);
        Ok(vertex)
    }

    fn push_zero_state(&mut self) -> Result<u32, GraphError> {
        let vertex = self.check_vertex_limit()?;
        self.states.resize(self.states.len() + self.state_length, 0);
        Ok(vertex)
    }

    fn check_vertex_limit(&self) -> Result<u32, GraphError> {
        let vertex = self.vertex_count();
        let limit = self.limits.vertices.min(GraphLimits::MOST_VERTICES);
        if vertex >= limit {
            return Err(GraphError::Limit { what: "vertices", limit: u64::from(limit) });
        }
        self.check_memory(4 * self.state_length + 9)?;
        Ok(vertex)
    }

    /// Bytes of the flat arrays.
    fn held(&self) -> usize {
        4 * self.states.len()
            + 9 * self.lookup.len()
            + 12 * self.targets.len()
            + 8 * self.coefficients.len()
            + 16 * self.fixed.len()
    }

    /// Holds the flat arrays to the memory limit; `more` is what the next push adds.
    fn check_memory(&self, more: usize) -> Result<(), GraphError> {
        if more as u64 > self.bytes_left() {
            return Err(GraphError::Limit { what: GraphError::MEMORY, limit: self.limits.memory_bytes });
        }
        Ok(())
    }
}

fn check_weight(from: u32, to: u32, weight: f64) -> Result<(), GraphError> {
    if !weight.is_finite() {
        return Err(GraphError::NotFinite { from, to, value: weight });
    }
    if weight < 0.0 {
        return Err(GraphError::NegativeWeight { from, to, weight });
    }
    Ok(())
}
