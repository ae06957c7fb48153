//! One task done where the settings say: on the threads of this process, or by a process of its own. Either way the
//! result was verified before anybody has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use phasic_hub_api::GraphIdentity;
use phasic_hub_api::jobs::Variant;

use super::running::Running;
use super::task::{Task, TaskError};
use super::work::{self, Made, WorkError};
use crate::isolated::{self, Assignment, ChildError, Work};
use crate::workers::{BrokeOff, Workers};

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PerformError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("what its process made is withheld: {0}")]
    Unverified(#[from] WorkError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("it took longer than the {0} s this job may take")]
    TooLong(f64),
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
}

impl PerformError {
    /// Whether it broke down, and may fare better another time.
    pub(crate) fn is_breakdown(&self) -> bool {
        matches!(self, Self::BrokeOff(_) | Self::Child(ChildError::Broke(_) | ChildError::NotStarted(_)))
    }
}

/// As a job would do it, for somebody who has no job: with so much memory, in so much time. Whoever stops waiting stops it.
///
/// # Errors
/// [`PerformError`].
pub(crate) async fn eliminate(
    task: Task,
    memory_bytes: u64,
    limit: Duration,
    workers: &Workers,
) -> Result<Vec<u8>, PerformError> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let running = Arc::new(Running::new(memory_bytes, limit_ms));
    let _wanted = running.cancelled.clone().drop_guard();
    Ok(perform(task, running, workers).await?.made.bytes)
}

/// The verified result of a task, and what it took.
pub(super) struct Performed {
    pub(super) made: Made,
    /// The most memory its process had at a time, where it had one of its own.
    pub(super) peak_memory_bytes: Option<u64>,
}

/// Does a task, and verifies its result.
pub(super) async fn perform(
    task: Task,
    running: Arc<Running>,
    workers: &Workers,
) -> Result<Performed, PerformError> {
    if task.compute.isolated {
        elsewhere(task, &running, workers).await
    } else {
        here(task, running, workers).await
    }
}

/// On the threads of this process.
async fn here(task: Task, running: Arc<Running>, workers: &Workers) -> Result<Performed, PerformError> {
    let work = move || {
        let begun = Instant::now();
        let made = task.perform(|progress| running.note(progress, begun));
        if made.is_err() && begun.elapsed() > running.limit() {
            return Err(PerformError::TooLong(running.limit().as_secs_f64()));
        }
        // In one process with the hub, whose memory it is cannot be told.
        Ok(Performed { made: made?, peak_memory_bytes: None })
    };
    workers.run(work).await?
}

/// By a process of its own, and its file verified once more here.
async fn elsewhere(task: Task, running: &Running, workers: &Workers) -> Result<Performed, PerformError> {
    let (identity, variant): (GraphIdentity, Variant) = (task.identity.clone(), task.variant);
    let compute = task.compute.clone();
    let begun = tokio::time::Instant::now();
    let stop = async {
        tokio::select! {
            () = running.cancelled.cancelled() => ChildError::Cancelled,
            () = running.overdue(begun) => ChildError::TooLong,
        }
    };
    let assignment =
        Assignment { work: Work::Eliminate(task), input: &[], memory_bytes: running.memory_bytes };
    let said = match isolated::perform(assignment, &compute, |made| running.set(made), stop).await {
        Err(ChildError::TooLong) => return Err(PerformError::TooLong(running.limit().as_secs_f64())),
        said => said?,
    };
    let work = move || {
        let made = work::check(said.bytes, &identity, variant, &compute)?;
        Ok(Performed { made, peak_memory_bytes: said.peak_memory_bytes })
    };
    workers.run(work).await?
}
