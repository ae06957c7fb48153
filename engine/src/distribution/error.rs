//! Why a distribution has no answer.

use crate::plan::EvaluationError;

/// Why a distribution has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// The plan has no number at these parameters.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The graph is in discrete time, the question is about continuous time.
    #[error("the graph is in discrete time; ask for its number of jumps instead of a time")]
    DiscreteTime,
    /// A time is negative or not a number.
    #[error("time {index} (counted from 0) is {value}; times must be numbers from 0 on")]
    Time {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A moment is beyond the range of f64.
    #[error(
        "moment {order} is beyond the range of floating-point numbers; scale the rates or ask for fewer moments"
    )]
    MomentRange {
        /// Its order, from 1.
        order: usize,
    },
    /// A total reward does not vary, so it has no correlations.
    #[error("total reward {index} (counted from 0) has no variance, so its correlations are undefined")]
    NoVariance {
        /// Which one, counted from 0.
        index: usize,
    },
    /// A vertex does not exist.
    #[error("vertex {vertex} (entry {index} of the list) does not exist; the graph has {vertices} vertices")]
    Vertex {
        /// Place in the list, from 0.
        index: usize,
        /// The vertex named.
        vertex: u32,
        /// Vertices of the graph.
        vertices: u32,
    },
}
