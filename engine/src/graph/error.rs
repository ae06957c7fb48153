//! Why a vertex or an edge cannot be part of a graph.

/// Why a vertex or an edge cannot be part of a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// States need at least one integer.
    #[error("a state needs at least one integer, but the state length is 0")]
    EmptyState,
    /// A state has the wrong number of integers.
    #[error("a state of {found} integers was given to a graph whose states have {expected}")]
    StateLength {
        /// Integers per state of this graph.
        expected: usize,
        /// Integers in the state given.
        found: usize,
    },
    /// An edge names a vertex that does not exist.
    #[error("vertex {vertex} does not exist; the graph has {vertices} vertices so far")]
    NoSuchVertex {
        /// The vertex named.
        vertex: u32,
        /// Vertices in the graph.
        vertices: u32,
    },
    /// An edge leads back to where it comes from.
    #[error("the edge from vertex {vertex} to itself is not allowed")]
    SelfLoop {
        /// The vertex.
        vertex: u32,
    },
    /// A coefficient or weight is infinite or not a number.
    #[error("the edge {from} -> {to} has the non-finite number {value}")]
    NotFinite {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
        /// The offending number.
        value: f64,
    },
    /// The weight of an edge under θ = (1, …, 1) is below zero.
    #[error("the edge {from} -> {to} has the negative weight {weight} when all parameters are 1")]
    NegativeWeight {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
        /// The weight.
        weight: f64,
    },
    /// An edge has no coefficients although it was given as a list.
    #[error("the edge {from} -> {to} has an empty coefficient list")]
    NoCoefficients {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
    },
    /// An edge has fewer coefficients than the graph has parameters.
    #[error("the edge {from} -> {to} has {found} coefficients, but the graph has {expected} parameters")]
    TooFewCoefficients {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
        /// Parameters of the graph.
        expected: usize,
        /// Coefficients of the edge.
        found: usize,
    },
    /// Plain numbers and coefficient lists were mixed.
    #[error(
        "the edge {from} -> {to} mixes plain numbers and coefficient lists; use one form for the whole graph"
    )]
    MixedRates {
        /// Source of the edge.
        from: u32,
        /// Target of the edge.
        to: u32,
    },
    /// The number of parameters was set after it was already fixed.
    #[error("the number of parameters is already {current}; it cannot become {wanted}")]
    ParamLengthFixed {
        /// The number of parameters in force.
        current: usize,
        /// The number asked for.
        wanted: usize,
    },
    /// Two vertices share a state where states must tell vertices apart.
    #[error("vertices {first} and {second} have the same state {state:?}; here states must be distinct")]
    DuplicateState {
        /// The earlier vertex.
        first: u32,
        /// The later vertex.
        second: u32,
        /// Their state.
        state: Vec<i32>,
    },
    /// The weights of a vertex sum to more than 1 where they are to be probabilities.
    #[error("the weights of vertex {vertex} sum to {sum}; as probabilities they may sum to 1 at most")]
    NotAProbability {
        /// The vertex.
        vertex: u32,
        /// Their sum.
        sum: f64,
    },
    /// The discretization rate is out of range.
    #[error("the discretization rate must lie strictly between 0 and 1, but is {rate} at vertex {vertex}")]
    DiscretizationRate {
        /// The vertex whose rate it is.
        vertex: u32,
        /// The rate.
        rate: f64,
    },
    /// A limit was reached.
    #[error("the graph needs more than {limit} {what}; raise the limit if that is intended")]
    Limit {
        /// What there would be too many of: "vertices", "edges" or "bytes of memory".
        what: &'static str,
        /// The limit in force.
        limit: u64,
    },
}

impl GraphError {
    /// What a [`Limit`](Self::Limit) on memory says there would be too many of.
    pub(crate) const MEMORY: &str = "bytes of memory";

    /// Whether the limit on memory was reached, so that with more of it there may be a graph.
    #[must_use]
    pub fn lacks_memory(&self) -> bool {
        matches!(self, Self::Limit { what: Self::MEMORY, .. })
    }
}
