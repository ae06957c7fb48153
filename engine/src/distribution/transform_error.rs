//! Why a graph cannot be rewritten into another.

use crate::graph::{GraphError, WeightError};

/// Why a graph cannot be transformed, composed or listed as matrices.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// The graph has no weights at this θ.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The result would not be a graph, or would pass a limit.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An edge has a negative or infinite weight at this θ.
    #[error(
        "at these parameters the edge {from} -> {to} has the weight {weight}; weights must be finite and not negative"
    )]
    InvalidWeight {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
        /// The weight.
        weight: f64,
    },
    /// The start has no edge of positive probability.
    #[error("all initial probabilities are zero")]
    NoStart,
    /// A vertex is never left, so the total is infinite.
    #[error(
        "at these parameters nothing leads away from vertex {vertex}, although it is not absorbing; give one of its edges a \
         weight above 0"
    )]
    Trapped {
        /// The vertex.
        vertex: u32,
    },
    /// A reward vector has the wrong length.
    #[error("{found} rewards were given, but the graph has {expected} vertices; give one reward per vertex")]
    RewardLength {
        /// Vertices of the graph.
        expected: usize,
        /// Rewards given.
        found: usize,
    },
    /// A reward is negative, infinite or not a number.
    #[error("the reward of vertex {vertex} is {value}; here rewards must be finite and not negative")]
    InvalidReward {
        /// The vertex.
        vertex: u32,
        /// Its reward.
        value: f64,
    },
    /// A vertex earns nothing and several follow it, where weights are to stay linear in the parameters.
    #[error(
        "vertex {vertex} earns nothing and leads to several others, so what follows it is no linear function of the \
         parameters; give it a reward above 0, or transform at one θ and do without gradients"
    )]
    NoRewardOnTheWay {
        /// The vertex.
        vertex: u32,
    },
    /// Every path collects a reward of zero, and the caller asked to leave such paths out.
    #[error(
        "no path collects any reward, so nothing is left under the condition that some is collected; give a vertex that paths \
         visit a reward above 0"
    )]
    NoReward,
    /// The graph is in discrete time where continuous time is needed.
    #[error("the graph is in discrete time; this is for continuous time (see `reward_transform_discrete`)")]
    Discrete,
    /// The graph is in continuous time where discrete time is needed.
    #[error("the graph is in continuous time; this is for discrete time (see `Graph::discretize`)")]
    Continuous,
    /// A vertex number is out of range.
    #[error("entry {index} (counted from 0) names vertex {vertex}; the graph has {vertices} vertices")]
    NoSuchVertex {
        /// Place in the list, counted from 0.
        index: usize,
        /// The vertex named.
        vertex: u32,
        /// Vertices of the graph.
        vertices: u32,
    },
    /// The start was named where another vertex is needed.
    #[error("entry {index} (counted from 0) names the start, which takes no time and cannot stand there")]
    StartNamed {
        /// Place in the list, counted from 0.
        index: usize,
    },
    /// The initial probabilities of a graph do not sum to one.
    #[error(
        "the initial probabilities{} sum to {sum}, not to 1; decide first what becomes of the rest (see `settle_deficit`)",
        of_part(*part)
    )]
    Defective {
        /// Which of the graphs, counted from 0; `None` when there is only one.
        part: Option<usize>,
        /// Their sum.
        sum: f64,
    },
    /// A start that is defective is returned to, and what is lost at each return cannot be told.
    #[error(
        "the initial probabilities sum to {sum}, and vertex {vertex} leads back to the start, where the rest is lost each \
         time: matrices cannot say so; decide first what becomes of it (see `settle_deficit`)"
    )]
    LossyReturn {
        /// The first vertex with an edge into the start.
        vertex: u32,
        /// Sum of the initial probabilities.
        sum: f64,
    },
    /// Nothing was given to compose.
    #[error("at least one distribution is needed, and none was given")]
    Empty,
    /// Graphs in discrete and in continuous time were mixed.
    #[error(
        "graph {part} (counted from 0) differs from the first in its time: one is discrete, one continuous"
    )]
    MixedTime {
        /// The first that differs.
        part: usize,
    },
    /// Parameters are to be shared by graphs that have different numbers of them.
    #[error(
        "graph {part} (counted from 0) has {found} parameters and another {expected}; to be shared they must agree"
    )]
    SharedParameters {
        /// The first that differs.
        part: usize,
        /// Parameters of those before.
        expected: usize,
        /// Parameters of this one.
        found: usize,
    },
    /// The result is not linear in the parameters.
    #[error(
        "graph {part} (counted from 0) is parameterized and in discrete time, where joint jumps are not linear in the \
         parameters; freeze it at one θ first (see `frozen`)"
    )]
    NotLinear {
        /// The first such graph.
        part: usize,
    },
    /// A graph has no absorbing vertex that an atom at 0 could lead to.
    #[error("the graph has no absorbing vertex, so an atom at 0 has nowhere to go; add one")]
    NoAbsorbingVertex,
    /// A graph in discrete time has edges into its start.
    #[error(
        "graph {part} (counted from 0) is in discrete time and vertex {vertex} has an edge into its start, which has no \
         counterpart without loops; lead it to where the start leads"
    )]
    ReturnsToStart {
        /// Which of the graphs, counted from 0.
        part: usize,
        /// The vertex.
        vertex: u32,
    },
    /// An order statistic asks for one that does not exist.
    #[error("number {rank} of {count} was asked for; ranks run from 1 to the number of distributions")]
    Rank {
        /// The rank asked for.
        rank: usize,
        /// How many distributions there are.
        count: usize,
    },
    /// Weights of a mixture, or initial probabilities, are not probabilities.
    #[error("probability {index} (counted from 0) is {value}; probabilities are finite and not negative")]
    Probability {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// Weights of a mixture, or initial probabilities, do not sum to one.
    #[error("the probabilities sum to {sum}, not to 1; divide them by their sum")]
    ProbabilitySum {
        /// Their sum.
        sum: f64,
    },
    /// A list has the wrong length.
    #[error("{found} {what} were given, but {expected} are needed")]
    Length {
        /// What was counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many were given.
        found: usize,
    },
}

fn of_part(part: Option<usize>) -> String {
    part.map_or_else(String::new, |part| format!(" of graph {part} (counted from 0)"))
}
