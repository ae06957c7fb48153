//! Why a distribution has no answer.

use crate::plan::EvaluationError;

/// Wraps an error in the epoch it is of.
pub(super) fn of_epoch<E: Into<DistributionError>>(epoch: usize) -> impl Fn(E) -> DistributionError {
    move |error| DistributionError::Epoch { epoch, error: Box::new(error.into()) }
}

/// Wraps an error in the place of the θ it is of.
pub(super) fn of_row(row: usize) -> impl Fn(DistributionError) -> DistributionError {
    move |error| DistributionError::Row { row, error: Box::new(error) }
}

/// Wraps an error in the place of the reward vector it is of.
pub(super) fn of_rewards<E: Into<DistributionError>>(index: usize) -> impl Fn(E) -> DistributionError {
    move |error| DistributionError::Reward { index, error: Box::new(error.into()) }
}

/// Names an entry of what was asked for.
fn of_entry(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!("entry {index} (counted from 0) is out of reach: "))
}

fn at_entry(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!(" of entry {index} (counted from 0)"))
}

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
    /// The graph is in continuous time, the question is about numbers of jumps.
    #[error("the graph is in continuous time; ask for a time instead of a number of jumps")]
    ContinuousTime,
    /// A question about numbers of jumps goes on for longer than allowed.
    #[error("entry {index} (counted from 0) takes more than the {limit} jumps allowed; raise the limit")]
    JumpLimit {
        /// Which entry, counted from 0.
        index: usize,
        /// The limit.
        limit: u64,
    },
    /// A time is negative or not a number.
    #[error("time {index} (counted from 0) is {value}; times must be numbers from 0 on")]
    Time {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The process is too fast for the times asked for.
    #[error(
        "{}more than the {limit} jumps allowed are needed: at time {time} some vertex is still left {rate} times per unit \
         of time; ask for earlier times, raise the limit, or remove very fast transitions from the model",
        of_entry(*index)
    )]
    Jumps {
        /// Which time or probability of those asked for is the first that needs them, counted from 0, where it is known.
        index: Option<usize>,
        /// The time that was reached.
        time: f64,
        /// The largest rate of leaving a vertex there.
        rate: f64,
        /// The limit.
        limit: u64,
    },
    /// A gradient has to remember more states than there is room for.
    #[error(
        "{}the gradient takes about {bytes} bytes for the way back through all jumps, more than the {limit_bytes} allowed: \
         at time {time} some vertex is still left {rate} times per unit of time; ask for earlier times, or remove very fast \
         transitions from the model",
        of_entry(*index)
    )]
    TrailMemory {
        /// Which time of those asked for is the first that takes too many, counted from 0, where it is known.
        index: Option<usize>,
        /// The time that was reached.
        time: f64,
        /// The largest rate of leaving a vertex there.
        rate: f64,
        /// Bytes it takes.
        bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// A gradient in discrete time has to remember more states than there is room for.
    #[error(
        "the gradient at {jumps} jumps, entry {index} (counted from 0), takes {bytes} bytes for the way back, more than the \
         {limit_bytes} allowed; ask for fewer jumps, or use a smaller model"
    )]
    JumpTrailMemory {
        /// Which entry, counted from 0.
        index: usize,
        /// Its number of jumps.
        jumps: u64,
        /// Bytes it takes.
        bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// Fixed steps are too long for a vertex.
    #[error(
        "granularity {granularity} is too small: vertex {vertex} is left {rate} times per unit of time; it must be at least \
         that rate"
    )]
    Granularity {
        /// Steps per unit of time.
        granularity: u64,
        /// The vertex.
        vertex: u32,
        /// Its rate.
        rate: f64,
    },
    /// A time takes more fixed steps than allowed.
    #[error(
        "time {index} (counted from 0) is {time} and takes {steps} steps of 1/{granularity}, more than the {limit} allowed; use \
         a smaller granularity or the exact method"
    )]
    Steps {
        /// Which one, counted from 0.
        index: usize,
        /// The time.
        time: f64,
        /// Steps per unit of time.
        granularity: u64,
        /// Steps it takes.
        steps: f64,
        /// The limit.
        limit: u64,
    },
    /// A vector of weights has the wrong length.
    #[error("{found} weights were given, but the graph has {expected} edges; give one weight per edge")]
    WeightCount {
        /// Edges of the graph.
        expected: usize,
        /// Weights given.
        found: usize,
    },
    /// A weight is negative, infinite or not a number.
    #[error("the weight of edge {edge} (counted from 0) is {value}; weights must be finite and not negative")]
    Weight {
        /// Which one, counted from 0.
        edge: usize,
        /// Its value.
        value: f64,
    },
    /// There is not one θ more than breakpoints.
    #[error(
        "{thetas} parameter vectors were given for {breakpoints} breakpoints; give one for each epoch, one more than breakpoints"
    )]
    EpochCount {
        /// Breakpoints given.
        breakpoints: usize,
        /// Parameter vectors given.
        thetas: usize,
    },
    /// A breakpoint is out of order, infinite or not a number.
    #[error("breakpoint {index} (counted from 0) is {value}; it must be finite and above {before}")]
    Breakpoint {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
        /// What comes before it.
        before: f64,
    },
    /// A likelihood was asked for without any observation.
    #[error("there are no observations; a likelihood needs at least one")]
    NoObservations,
    /// An observation is negative, infinite or not a number.
    #[error("observation {index} (counted from 0) is {value}; observations must be finite and not negative")]
    Observation {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A tolerance is out of range.
    #[error("the tolerance is {value}; it must be from 1e-14 to 0.01")]
    Tolerance {
        /// Its value.
        value: f64,
    },
    /// A Laplace transform was asked for where it is not defined for certain.
    #[error("s number {index} (counted from 0) is {value}; it must be finite and not negative")]
    Frequency {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A quantile was asked for that is no probability.
    #[error("probability {index} (counted from 0) is {value}; it must be from 0 to 1")]
    Probability {
        /// Which one, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A moment is beyond the range of f64: too large, or not 0 and yet so small that it would be.
    #[error(
        "moment {order} is beyond the range of floating-point numbers; scale the rates or ask for fewer moments"
    )]
    MomentRange {
        /// Its order, from 1.
        order: usize,
    },
    /// More moments are asked for than anybody could want.
    #[error("{count} moments were asked for, more than the {limit} there may be; ask for fewer")]
    MomentCount {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A covariance is beyond the range of f64.
    #[error(
        "the covariance of total rewards {first} and {second} (counted from 0) is beyond the range of floating-point numbers; \
         scale the rates or the rewards"
    )]
    CovarianceRange {
        /// One of the totals, counted from 0.
        first: usize,
        /// The other, or the same.
        second: usize,
    },
    /// A slope is beyond the range of f64.
    #[error(
        "the slope{} with respect to parameter {parameter} (counted from 0) is beyond the range of floating-point numbers; \
         scale the rates or leave out what is next to impossible at these parameters",
        at_entry(*index)
    )]
    GradientRange {
        /// Which of the times asked for, counted from 0; `None` where there is one answer for all.
        index: Option<usize>,
        /// Which parameter, counted from 0.
        parameter: usize,
    },
    /// The numbers of an epoch have no answer.
    #[error("in epoch {epoch} (counted from 0): {error}")]
    Epoch {
        /// Which epoch, counted from 0.
        epoch: usize,
        /// Why not.
        #[source]
        error: Box<DistributionError>,
    },
    /// One of several reward vectors does not fit.
    #[error("reward vector {index} (counted from 0): {error}")]
    Reward {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: Box<DistributionError>,
    },
    /// The numbers at one of many θ have no answer.
    #[error("at parameter vector {row} (counted from 0): {error}")]
    Row {
        /// Which one, counted from 0.
        row: usize,
        /// Why not.
        #[source]
        error: Box<DistributionError>,
    },
    /// A total reward does not vary, so it has no correlations.
    #[error("total reward {index} (counted from 0) has no variance, so its correlations are undefined")]
    NoVariance {
        /// Which one, counted from 0.
        index: usize,
    },
    /// A vertex does not exist.
    #[error(
        "vertex {vertex} (entry {index} of the list, counted from 0) does not exist; the graph has {vertices} vertices, the \
         start is 0"
    )]
    Vertex {
        /// Place in the list, from 0.
        index: usize,
        /// The vertex named.
        vertex: u32,
        /// Vertices of the graph.
        vertices: u32,
    },
}

impl DistributionError {
    /// Whether jumps are too many, in whatever epoch.
    pub(super) fn is_of_jumps(&self) -> bool {
        match self {
            Self::Jumps { .. } => true,
            Self::Epoch { error, .. } => error.is_of_jumps(),
            _ => false,
        }
    }

    /// The same, with the entry that asks for too many jumps, if that is what is wrong.
    pub(super) fn of_index(self, entry: Option<usize>) -> Self {
        self.with_index(|_| entry)
    }

    /// The same, with that entry, if it is known, by its place in another list.
    pub(super) fn map_index(self, place: impl Fn(usize) -> Option<usize>) -> Self {
        self.with_index(|index| index.and_then(&place))
    }

    /// The same, with the entry of numbers of jumps that is at fault by its place in another list.
    pub(super) fn at_place(self, place: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::JumpLimit { index, limit } => Self::JumpLimit { index: place(index), limit },
            Self::JumpTrailMemory { index, jumps, bytes, limit_bytes } => {
                Self::JumpTrailMemory { index: place(index), jumps, bytes, limit_bytes }
            }
            other => other,
        }
    }

    fn with_index(self, of: impl FnOnce(Option<usize>) -> Option<usize>) -> Self {
        match self {
            Self::Jumps { index, time, rate, limit } => Self::Jumps { index: of(index), time, rate, limit },
            Self::TrailMemory { index, time, rate, bytes, limit_bytes } => {
                Self::TrailMemory { index: of(index), time, rate, bytes, limit_bytes }
            }
            Self::Epoch { epoch, error } => Self::Epoch { epoch, error: Box::new(error.with_index(of)) },
            other => other,
        }
    }
}
