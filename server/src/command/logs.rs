//! Logs: to standard error, for people or machines.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::CommandError;
use crate::config::{Log, LogFormat};

/// Starts logging for this process. A second call leaves the first in force.
pub(super) fn start(log: &Log) -> Result<(), CommandError> {
    let filter: Targets = log.filter.parse().map_err(|error: tracing_subscriber::filter::ParseError| {
        CommandError::LogFilter { filter: log.filter.clone(), reason: error.to_string() }
    })?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = match log.format {
        LogFormat::Pretty => fmt::layer().with_writer(std::io::stderr).with_ansi(colours).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    Ok(())
}
