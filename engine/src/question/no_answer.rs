//! Why there is no number at some θ.

use super::Quantity;
use crate::distribution::{DistributionError, SamplingError, TransformError};
use crate::graph::WeightError;
use crate::plan::{AnalysisError, EvaluationError};
use crate::trace::{EliminationError, ReplayError};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The law has no such number.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// There are no samples.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The law of a total reward cannot be had.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A program has no such number.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The graph has no weights.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The graph has no plan within the limits.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// phasic's elimination passes a limit.
    #[error(transparent)]
    Elimination(#[from] EliminationError),
    /// Nobody can be sampled who is alive at a time.
    #[error("nothing is alive at {time}; sample at an earlier alive_at")]
    NobodyAlive {
        /// The time, or number of jumps.
        time: f64,
    },
    /// A reward is no number of jumps.
    #[error(
        "the reward of vertex {vertex} is {value}; for the distribution of a total in discrete time rewards are whole \
         numbers from 0 to a million"
    )]
    RewardCount {
        /// The vertex.
        vertex: usize,
        /// Its reward.
        value: f64,
    },
    /// Whoever asked did not want to go on.
    #[error("the answer was given up before it was found")]
    GivenUp,
    /// The rules let a question pass that this way of answering knows nothing of.
    #[error("{quantity} cannot be had of this model")]
    Unanswered {
        /// What was asked.
        quantity: &'static str,
    },
}

impl NoAnswer {
    pub(super) fn unanswered(quantity: &Quantity) -> Self {
        Self::Unanswered { quantity: quantity.name() }
    }

    /// Of those alive at a time.
    pub(super) fn of_survivors(error: SamplingError, time: f64) -> Self {
        match error {
            SamplingError::NoMass => Self::NobodyAlive { time },
            other => other.into(),
        }
    }
}

impl From<EvaluationError> for NoAnswer {
    fn from(error: EvaluationError) -> Self {
        // In the words of all other numbers.
        DistributionError::from(error).into()
    }
}
