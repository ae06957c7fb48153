//! Discrete time: discretization with auxiliary vertices, and normalisation (numerics specification, section 3).
//!
//! Both return something new; the graph they start from is unchanged.

use hashbrown::HashMap;

use super::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};

/// The outcome of [`Graph::normalize`]: weights that sum to one at each vertex, and what they were divided by.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalized {
    /// One weight per edge, in edge-index order.
    pub weights: Vec<f64>,
    /// One factor per vertex: the reciprocal of its rate, or 1 where the rate is 0.
    pub factors: Vec<f64>,
}

/// What the weights of a vertex may lack to 1, or exceed it by, through rounding.
const LACK: f64 = 1e-7;

impl Graph {
    /// The graph in discrete time with auxiliary vertices that count events of one more kind.
    ///
    /// Every vertex that is neither the start nor absorbing gets a new auxiliary vertex: an edge to it with `rate` as
    /// coefficient of a new, last parameter, and an edge back of weight 1. Graphs without parameters get `rate` as a
    /// plain weight. Linear time.
    ///
    /// # Errors
    /// [`GraphError::DiscretizationRate`] unless 0 < rate < 1, [`GraphError::DuplicateState`] when two vertices of a
    /// parameterized graph share a state, [`GraphError::Limit`].
    pub fn discretize(&self, rate: f64) -> Result<Graph, GraphError> {
        self.discretize_by(|_| rate, GraphLimits::default())
    }

    /// As [`discretize`](Self::discretize), with a rate that depends on the state, under the given limits.
    ///
    /// # Errors
    /// As [`discretize`](Self::discretize).
    pub fn discretize_by(
        &self,
        mut rate: impl FnMut(&[i32]) -> f64,
        limits: GraphLimits,
    ) -> Result<Graph, GraphError> {
        if self.parameterized {
            self.check_distinct_states()?;
        }
        let mut builder = GraphBuilder::with_limits(self.state_length, limits)?;
        let widened = self.param_length + usize::from(self.parameterized);
        builder.set_parameterized(self.parameterized);
        builder.set_was_dph(true);
        for vertex in 1..self.vertex_count() {
            builder.add_vertex(self.state(vertex))?;
        }
        self.copy_edges(&mut builder)?;
        // Only now: while the length is unknown, no start edge is cut to it.
        builder.set_param_length(widened)?;
        let mut tick = vec![0.0; widened];
        for vertex in (1..self.vertex_count()).filter(|&vertex| !self.is_absorbing(vertex)) {
            let rate = rate(self.state(vertex));
            if !(rate > 0.0 && rate < 1.0) {
                return Err(GraphError::DiscretizationRate { vertex, rate });
            }
            let auxiliary = builder.add_auxiliary_vertex()?;
            builder.add_fixed_edge(auxiliary, vertex, 1.0)?;
            if let (true, Some(last)) = (self.parameterized, tick.last_mut()) {
                *last = rate;
                builder.add_edge(vertex, auxiliary, Rate::Coefficients(&tick))?;
            } else {
                builder.add_edge(vertex, auxiliary, Rate::Scalar(rate))?;
            }
        }
        Ok(builder.finish())
    }

    /// Weights divided by the rate of their vertex, so that every vertex that can be left is left at rate 1.
    ///
    /// # Panics
    /// When `weights` does not have one entry per edge.
    pub fn normalize(&self, weights: &[f64]) -> Normalized {
        let factors: Vec<f64> =
            self.rates(weights).into_iter().map(|rate| if rate == 0.0 { 1.0 } else { 1.0 / rate }).collect();
        let mut weights = weights.to_vec();
        self.normalize_each_vertex(&mut weights);
        Normalized { weights, factors }
    }

    /// The scalar graph in discrete time in which what the weights of a vertex lack to 1 returns to it: over an auxiliary
    /// vertex, so that graphs need no loops. Weights sum to 1 everywhere then, but for the start.
    ///
    /// A stay takes two jumps in it, of which one counts under the rewards that come with it: 1 for each vertex, 0 for
    /// each auxiliary one. So totals under these rewards are numbers of jumps of the process with loops. What is lacking up
    /// to 1e-7 is taken for rounding, as in phasic's `normalize_discrete` (numerics specification, section 3). Linear time.
    ///
    /// # Errors
    /// [`GraphError::NotAProbability`] when the weights of a vertex sum to more than 1, [`GraphError::NotFinite`],
    /// [`GraphError::NegativeWeight`], [`GraphError::Limit`].
    ///
    /// # Panics
    /// When `weights` does not have one entry per edge.
    pub fn normalize_discrete(
        &self,
        weights: &[f64],
        limits: GraphLimits,
    ) -> Result<(Graph, Vec<f64>), GraphError> {
        let rates = self.rates(weights);
        let mut builder = GraphBuilder::with_limits(self.state_length, limits)?;
        builder.set_was_dph(true);
        for vertex in 1..self.vertex_count() {
            builder.add_vertex(self.state(vertex))?;
        }
        for vertex in 0..self.vertex_count() {
            for edge in self.edges(vertex) {
                builder.add_edge(vertex, edge.target, Rate::Scalar(weights[edge.index as usize]))?;
            }
            let rate = rates[vertex as usize];
            if rate > 1.0 + LACK {
                return Err(GraphError::NotAProbability { vertex, sum: rate });
            }
            if vertex != START && rate > 0.0 && 1.0 - rate > LACK {
                let auxiliary = builder.add_auxiliary_vertex()?;
                builder.add_edge(vertex, auxiliary, Rate::Scalar(1.0 - rate))?;
                builder.add_edge(auxiliary, vertex, Rate::Scalar(1.0))?;
            }
        }
        let mut rewards = vec![1.0; self.vertex_count() as usize];
        rewards.resize(builder.vertex_count() as usize, 0.0);
        Ok((builder.finish(), rewards))
    }

    /// Copies all edges into a builder that has the same vertices; coefficient lists grow by one zero when the graph
    /// is parameterized.
    fn copy_edges(&self, builder: &mut GraphBuilder) -> Result<(), GraphError> {
        let mut wide = Vec::new();
        for vertex in 0..self.vertex_count() {
            for edge in self.edges(vertex) {
                wide.clear();
                wide.extend_from_slice(edge.coefficients);
                if self.parameterized && !edge.coefficients.is_empty() {
                    wide.push(0.0);
                }
                match self.fixed_weight(edge.index) {
                    Some(weight) if vertex == START => builder.add_start_edge(edge.target, &wide, weight)?,
                    Some(weight) => builder.add_fixed_edge(vertex, edge.target, weight)?,
                    None if self.parameterized => {
                        builder.add_edge(vertex, edge.target, Rate::Coefficients(&wide))?;
                    }
                    None => builder.add_edge(vertex, edge.target, Rate::Scalar(wide[0]))?,
                }
            }
        }
        Ok(())
    }

    fn check_distinct_states(&self) -> Result<(), GraphError> {
        let mut seen = HashMap::with_capacity(self.vertex_count() as usize);
        for vertex in 1..self.vertex_count() {
            if let Some(first) = seen.insert(self.state(vertex), vertex) {
                let state = self.state(vertex).to_vec();
                return Err(GraphError::DuplicateState { first, second: vertex, state });
            }
        }
        Ok(())
    }
}
