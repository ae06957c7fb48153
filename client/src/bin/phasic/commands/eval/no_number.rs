//! Why there is no number at some θ: in the words of the command line, with the flag that raises a limit.

use phasic_engine::distribution::DistributionError;
use phasic_engine::question::NoAnswer;

use crate::failure::Failure;
use crate::limits::{advised, flag_of_distribution, flag_of_sampling, flag_of_transform};
use crate::vectors::Vector;

/// The failure of a question at θ.
pub(super) fn failure(error: NoAnswer, theta: Option<&Vector>) -> Failure {
    let why = match error {
        // The command has failed, whatever θ is.
        NoAnswer::Analysis(error) => return error.into(),
        NoAnswer::Elimination(error) => return error.into(),
        NoAnswer::Distribution(DistributionError::NoVariance { index }) => format!(
            "the total of --rewards number {} does not vary, so its correlations are undefined",
            index + 1
        ),
        NoAnswer::NobodyAlive { time } => {
            format!("nothing is alive at {time}; sample at an earlier --alive-at")
        }
        NoAnswer::RewardCount { .. } => return Failure::input(format!("--rewards: {error}")),
        NoAnswer::Distribution(error) => advised(&error, flag_of_distribution(&error)),
        NoAnswer::Sampling(error) => advised(&error, flag_of_sampling(&error)),
        NoAnswer::Transform(error) => advised(&error, flag_of_transform(&error)),
        other => other.to_string(),
    };
    let place =
        theta.map_or_else(|| "with all parameters 1".to_owned(), |theta| format!("at {}", theta.origin));
    Failure::input(format!("the model has no such number {place}: {why}"))
}
