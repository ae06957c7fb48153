//! Edge weights under given parameters (artifact specification, section 3).
//!
//! Weights are vectors beside the graph, one number per edge in edge-index order; the graph itself never changes.

use super::Graph;

/// Why a graph has no weights under the given parameters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// θ has the wrong length.
    #[error("{found} parameters were given, but the graph has {expected}")]
    ThetaLength {
        /// Parameters of the graph.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A parameter is infinite or not a number.
    #[error("parameter {index} (counted from 0) is {value}; parameters must be finite")]
    NotFinite {
        /// Which parameter, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// An edge has more coefficients than the graph has parameters, so θ cannot weigh it.
    #[error("the edge {from} -> {to} has {found} coefficients, but the graph has {expected} parameters")]
    CoefficientLength {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
        /// Parameters of the graph.
        expected: usize,
        /// Coefficients of the edge.
        found: usize,
    },
}

impl Graph {
    /// The weights every edge has before any parameters were set, θ = (1, …, 1): one per edge, in edge-index order.
    ///
    /// An edge not leaving the start weighs the sum of its first `param_length` coefficients. In discrete time each
    /// vertex's weights are divided by their sum.
    pub fn unit_weights(&self) -> Vec<f64> {
        let mut weights: Vec<f64> = (0..self.targets.len())
            .map(|edge| self.coefficients_of(edge).iter().take(self.param_length).fold(0.0, |sum, c| sum + c))
            .collect();
        self.put_fixed(&mut weights);
        if self.was_dph {
            self.normalize_each_vertex(&mut weights);
        }
        weights
    }

    /// The weights under θ: one per edge, in edge-index order.
    ///
    /// `w = Σ c[k]·θ[k]`, summed from k = 0 up without fused multiply-add, so that every bit agrees with phasic; the
    /// start's edges and edges without coefficients keep their fixed weight. In discrete time each vertex's weights are
    /// then divided by their sum. Linear in the number of coefficients.
    ///
    /// # Errors
    /// [`WeightError`] when θ has the wrong length or a non-finite entry, or an edge has surplus coefficients.
    pub fn weights(&self, theta: &[f64]) -> Result<Vec<f64>, WeightError> {
        if theta.len() != self.param_length {
            return Err(WeightError::ThetaLength { expected: self.param_length, found: theta.len() });
        }
        if let Some(index) = theta.iter().position(|value| !value.is_finite()) {
            return Err(WeightError::NotFinite { index, value: theta[index] });
        }
        let mut weights = if self.was_dph {
            // The fixed weights were normalised once when the graph was made, and are now again.
            self.unit_weights()
        } else {
            let mut weights = vec![0.0; self.targets.len()];
            self.put_fixed(&mut weights);
            weights
        };
        for vertex in 1..self.vertex_count() {
            for edge in self.edges(vertex) {
                if edge.coefficients.is_empty() {
                    continue;
                }
                if edge.coefficients.len() != self.param_length {
                    let (expected, found) = (self.param_length, edge.coefficients.len());
                    return Err(WeightError::CoefficientLength {
                        from: vertex,
                        to: edge.target,
                        expected,
                        found,
                    });
                }
                weights[edge.index as usize] =
                    edge.coefficients.iter().zip(theta).fold(0.0, |sum, (c, t)| sum + c * t);
            }
        }
        if self.was_dph {
            self.normalize_each_vertex(&mut weights);
        }
        Ok(weights)
    }

    /// The rate of every vertex: the sum of its out-edges' weights, in edge order. 0 for absorbing vertices.
    ///
    /// # Panics
    /// When `weights` does not have one entry per edge.
    pub fn rates(&self, weights: &[f64]) -> Vec<f64> {
        assert_eq!(weights.len(), self.targets.len(), "one weight per edge");
        (0..self.vertex_count()).map(|vertex| self.rate(weights, vertex)).collect()
    }

    pub(super) fn rate(&self, weights: &[f64], vertex: u32) -> f64 {
        weights[self.edge_range(vertex)].iter().fold(0.0, |sum, w| sum + w)
    }

    pub(super) fn normalize_each_vertex(&self, weights: &mut [f64]) {
        for vertex in 0..self.vertex_count() {
            let total = self.rate(weights, vertex);
            if total > 0.0 {
                for weight in &mut weights[self.edge_range(vertex)] {
                    *weight /= total;
                }
            }
        }
    }

    fn put_fixed(&self, weights: &mut [f64]) {
        for &(edge, weight) in &self.fixed {
            weights[edge as usize] = weight;
        }
    }
}
