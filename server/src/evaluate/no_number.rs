//! Why a model has no number at a θ: one sentence, whatever part of the engine says it.

use std::fmt;

use phasic_engine::distribution::{DistributionError, SamplingError};
use phasic_engine::plan::EvaluationError;

/// There is no such number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NoNumber(pub(super) String);

impl fmt::Display for NoNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<DistributionError> for NoNumber {
    fn from(error: DistributionError) -> Self {
        Self(error.to_string())
    }
}

impl From<EvaluationError> for NoNumber {
    fn from(error: EvaluationError) -> Self {
        // In the words of all other numbers.
        DistributionError::from(error).into()
    }
}

impl From<SamplingError> for NoNumber {
    fn from(error: SamplingError) -> Self {
        Self(error.to_string())
    }
}
