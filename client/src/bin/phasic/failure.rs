//! How a command ends when it cannot do what was asked: a sentence for people and an exit status for scripts.
//!
//! Every error of the libraries is sorted into one of a few kinds here and nowhere else.

use std::fmt;
use std::io;

use phasic_engine::document::DocumentError;
use phasic_engine::plan::AnalysisError;
use phasic_engine::trace::EliminationError;
use phasic_hub_client::PullError;
use phasic_hub_client::cache::CacheError;
use phasic_hub_client::hub::HubError;

use crate::limits::{advised, flag_of_analysis, flag_of_elimination, flag_of_problem, flag_of_refusal};
use crate::output::printable;

/// Why a command ended without its result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage, or input that cannot be read: 2.
    Input(String),
    /// The hub or the network: 3.
    Hub(String),
    /// Bytes that were refused: 4.
    Refused(String),
    /// The reader of our output has gone, as in `phasic list | head -1`: nothing to say.
    BrokenPipe,
}

impl Failure {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// For a model whose document cannot be read or built.
    pub(crate) fn unusable(model: &str) -> impl Fn(DocumentError) -> Self {
        move |error| {
            let advice = advised(&error, flag_of_problem(error.problem()));
            Self::Input(format!("cannot use '{}': {advice}", printable(model)))
        }
    }

    /// The status the process ends with.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Input(_) => 2,
            Self::Hub(_) => 3,
            Self::Refused(_) => 4,
        }
    }

    /// For failing writes to `target`.
    pub(crate) fn writing(target: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Input(format!("cannot write {target}: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(message) | Self::Hub(message) | Self::Refused(message) => out.write_str(message),
            Self::BrokenPipe => Ok(()),
        }
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Address { .. } | HubError::Token => Self::Input(error.to_string()),
            _ => Self::Hub(error.to_string()),
        }
    }
}

impl From<EliminationError> for Failure {
    fn from(error: EliminationError) -> Self {
        Self::Input(advised(&error, flag_of_elimination(&error)))
    }
}

impl From<AnalysisError> for Failure {
    fn from(error: AnalysisError) -> Self {
        Self::Input(advised(&error, flag_of_analysis(&error)))
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Hub(error) => error.into(),
            PullError::Cache(error) => error.into(),
            PullError::Refused { ref source, .. } | PullError::Conflict { ref source, .. } => {
                Self::Refused(advised(&error, flag_of_refusal(source)))
            }
            refused => Self::Refused(refused.to_string()),
        }
    }
}
