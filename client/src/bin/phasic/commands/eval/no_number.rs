//! Why there is no number at some θ.

use phasic_engine::distribution::{DistributionError, SamplingError, TransformError};
use phasic_engine::graph::WeightError;
use phasic_engine::plan::EvaluationError;
use phasic_engine::trace::ReplayError;

use crate::failure::Failure;
use crate::limits::{advised, flag_of_distribution, flag_of_sampling, flag_of_transform};

/// Why there is no number.
pub(super) enum NoNumber {
    /// The model has none at this θ; whoever knows which θ that was says so.
    Here(String),
    /// The command has failed, whatever θ is.
    Failure(Failure),
}

impl From<Failure> for NoNumber {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<TransformError> for NoNumber {
    fn from(error: TransformError) -> Self {
        Self::Here(advised(&error, flag_of_transform(&error)))
    }
}

impl From<DistributionError> for NoNumber {
    fn from(error: DistributionError) -> Self {
        Self::Here(advised(&error, flag_of_distribution(&error)))
    }
}

impl From<SamplingError> for NoNumber {
    fn from(error: SamplingError) -> Self {
        Self::Here(advised(&error, flag_of_sampling(&error)))
    }
}

/// Why nobody can be sampled who is alive at a time.
pub(super) fn of_survivors(error: SamplingError, time: f64) -> NoNumber {
    match error {
        SamplingError::NoMass => {
            NoNumber::Here(format!("nothing is alive at {time}; sample at an earlier --alive-at"))
        }
        other => other.into(),
    }
}

macro_rules! from_errors_of_the_engine {
    ($($error:ty),*) => {$(
        impl From<$error> for NoNumber {
            fn from(error: $error) -> Self {
                Self::Here(error.to_string())
            }
        }
    )*};
}

from_errors_of_the_engine!(EvaluationError, ReplayError, WeightError);
