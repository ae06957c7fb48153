//! Why there is no plan, or no number.

/// Why a graph cannot be analysed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The analysis, or the program made from it, would pass the memory limit.
    #[error(
        "analysing this graph needs more than the {budget_bytes} bytes of memory allowed ({done} of {vertices} vertices \
         done); raise the limit or use a smaller model"
    )]
    Memory {
        /// The budget.
        budget_bytes: u64,
        /// Vertices done when it ran out.
        done: usize,
        /// Vertices in all.
        vertices: usize,
    },
    /// One elimination would take more multiply-adds than allowed.
    #[error(
        "eliminating this graph takes more than the {limit} multiply-adds allowed ({done} of {vertices} vertices done); \
         raise the limit or use a smaller model"
    )]
    Work {
        /// The limit.
        limit: u64,
        /// Vertices done when it was passed.
        done: usize,
        /// Vertices in all.
        vertices: usize,
    },
    /// Finding an order of elimination would take more steps than the elimination may.
    #[error(
        "ordering this graph takes more steps than the {limit} multiply-adds allowed ({done} of {vertices} vertices done); \
         raise the limit or use a smaller model"
    )]
    Ordering {
        /// The limit.
        limit: u64,
        /// Vertices done when it was passed.
        done: usize,
        /// Vertices in all.
        vertices: usize,
    },
    /// Some list has more entries than can be numbered, whatever memory there is.
    #[error(
        "analysing this graph takes lists of more than the {limit} entries that can be numbered ({done} of {vertices} \
         vertices done); use a smaller model"
    )]
    Entries {
        /// The limit.
        limit: u64,
        /// Vertices done when it was passed.
        done: usize,
        /// Vertices in all.
        vertices: usize,
    },
    /// The program made from the plan would have more commands than allowed.
    #[error(
        "lowering this graph takes more than the {limit} commands allowed ({done} of {vertices} vertices done); raise the \
         limit or use a smaller model"
    )]
    Commands {
        /// The limit.
        limit: u64,
        /// Vertices done when it was passed.
        done: usize,
        /// Vertices in all.
        vertices: usize,
    },
    /// The observer cancelled.
    #[error("the analysis was cancelled ({done} of {vertices} vertices done)")]
    Cancelled {
        /// Vertices that the phase at hand was done with.
        done: usize,
        /// Vertices in all.
        vertices: usize,
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
    /// The coefficients of edges that are summed, because they lead to the same vertex or all absorb, leave the range of
    /// f64.
    #[error(
        "the coefficients of the edges from vertex {from} to vertex {to}, and to all that absorbs if that does, add up to \
         more than double precision can hold; choose units in which the rates are nearer to 1"
    )]
    CoefficientSum {
        /// Source of the edges.
        from: u32,
        /// Target of the last of them.
        to: u32,
    },
}

/// Why a plan yields no number at a θ.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// θ has the wrong length.
    #[error("{found} parameters were given, but the model has {expected}")]
    ThetaLength {
        /// Parameters of the model.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A parameter is infinite or not a number.
    #[error("parameter {index} (counted from 0) is {value}; parameters must be finite")]
    ThetaNotFinite {
        /// Which parameter, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// An edge has a negative or infinite weight at this θ, also where others that lead to the same vertex outweigh it.
    #[error(
        "at these parameters an edge of vertex {vertex}{} has the weight {weight}; weights must be finite and not \
         negative",
        of_state(state.as_deref())
    )]
    InvalidWeight {
        /// The vertex the edge leaves.
        vertex: u32,
        /// Its state, where the plan knows it.
        state: Option<Vec<i32>>,
        /// The weight.
        weight: f64,
    },
    /// The start has no edge of positive probability.
    #[error("all initial probabilities are zero{}", where_to_start(*vertex, state.as_deref()))]
    NoStart {
        /// The first vertex that the start has an edge to; none if it has no edges.
        vertex: Option<u32>,
        /// Its state, where the plan knows it.
        state: Option<Vec<i32>>,
    },
    /// The start reaches a vertex from which absorption is impossible, so the total is infinite.
    #[error(
        "at these parameters nothing leads from vertex {vertex}{} to absorption: its rate is 0, or it lies in a cycle \
         without a way out",
        of_state(state.as_deref())
    )]
    Trapped {
        /// The vertex.
        vertex: u32,
        /// Its state, where the plan knows it.
        state: Option<Vec<i32>>,
    },
    /// The rates of a vertex are such that the expected time, or what else was asked for, is beyond the range of f64.
    #[error(
        "at these parameters the numbers of vertex {vertex}{} leave the range of double precision; choose units in which \
         the rates are nearer to 1",
        of_state(state.as_deref())
    )]
    OutOfRange {
        /// The vertex.
        vertex: u32,
        /// Its state, where the plan knows it.
        state: Option<Vec<i32>>,
    },
    /// More moments are asked for than anybody could want.
    #[error("{count} moments were asked for, more than the {limit} there may be; ask for fewer")]
    MomentCount {
        /// Moments asked for.
        count: usize,
        /// The most that may be.
        limit: usize,
    },
    /// A gradient with respect to edge weights was asked for with another graph than the plan's.
    #[error(
        "this is not the graph of the plan: {}",
        match vertex {
            Some(vertex) => format!("the edges of vertex {vertex} lead elsewhere"),
            None => "it has another number of vertices, or another kind of time".to_owned(),
        }
    )]
    OtherGraph {
        /// The vertex whose edges do not fit; none when the graphs differ in size or kind.
        vertex: Option<u32>,
    },
    /// A reward vector has the wrong length.
    #[error("{found} rewards were given, but the graph has {expected} vertices; give one reward per vertex")]
    RewardLength {
        /// Vertices of the graph.
        expected: usize,
        /// Rewards given.
        found: usize,
    },
    /// A reward is infinite or not a number.
    #[error("the reward of vertex {vertex} is {value}; rewards must be finite")]
    RewardNotFinite {
        /// The vertex.
        vertex: usize,
        /// Its reward.
        value: f64,
    },
}

/// Why a batch has no result: the first θ that has none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("parameter vector {index} (counted from 0): {source}")]
pub struct BatchError {
    /// Row of the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub source: EvaluationError,
}

/// Why a file is no plan that may be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// It does not begin as plan files do, or is too short to be one.
    #[error("this is not a plan file; one begins with PHPLAN02")]
    NotAPlan,
    /// It is a plan file of another version.
    #[error(
        "this is a plan file of version {found}, and version 02 is read here; make the plan anew from its graph \
         (`phasic eliminate --format plan`)"
    )]
    OtherVersion {
        /// The version it names: what follows PHPLAN.
        found: String,
    },
    /// Its bytes are not those its checksum was made of.
    #[error("the plan file is damaged: its checksum does not match")]
    Checksum,
    /// It ends in the middle of a number.
    #[error("the plan file ends within the number at byte {offset}")]
    Truncated {
        /// Where the number begins.
        offset: u64,
    },
    /// A number is longer than 64 bits, or than it need be.
    #[error("the number at byte {offset} of the plan file is too long")]
    Number {
        /// Where the number begins.
        offset: u64,
    },
    /// A number is out of its range, or breaks an order that must hold.
    #[error("the {what} at byte {offset} of the plan file is out of range")]
    OutOfRange {
        /// Where the number begins.
        offset: u64,
        /// What it stands for.
        what: &'static str,
    },
    /// The plan contradicts itself.
    #[error("the plan file contradicts itself: {detail}")]
    Inconsistent {
        /// What does not fit.
        detail: &'static str,
    },
    /// Its elimination is larger than allowed.
    #[error(transparent)]
    Limits(#[from] AnalysisError),
}

fn where_to_start(vertex: Option<u32>, state: Option<&[i32]>) -> String {
    match vertex {
        Some(vertex) => {
            let state = of_state(state);
            format!(", that of vertex {vertex}{state} and those of all others; make one of them larger")
        }
        None => ": the start has no edges; give it one of positive probability".to_owned(),
    }
}

fn of_state(state: Option<&[i32]>) -> String {
    state.map_or_else(String::new, |state| format!(" (state {state:?})"))
}
