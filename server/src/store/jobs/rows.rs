//! What is said of a job, and how a row says it.

use phasic_hub_api::Sha256;
use phasic_hub_api::jobs::{JobState, Priority, Variant};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::super::StoreError;
use super::super::computes::digest;
use super::super::graphs::variant;
use super::super::privacy::audience;
use crate::blobs::StoredBlob;
use crate::visibility::Audience;

/// A job that is to be queued.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its public id.
    pub id: String,
    /// What decides the result.
    pub subject: Sha256,
    /// Which elimination.
    pub variant: Variant,
    /// The graph.
    pub definition: Sha256,
    /// The forecast in JSON.
    pub forecast: String,
    /// Memory it is expected to take.
    pub memory_bytes: u64,
    /// For whom it is. The subject of what is not for everybody names the audience, too.
    pub audience: Audience,
    /// Who asks: jobs take turns by this.
    pub asker: String,
    /// Its place before or behind those of others.
    pub priority: Priority,
    /// How long it may run; `None` leaves that to the settings.
    pub timeout_ms: Option<u64>,
    /// The file of an earlier result that is gone: a result with this file is none.
    pub lost: Option<Sha256>,
}

/// A job as it is stored.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its place in the order of submission.
    pub number: i64,
    /// Its public id.
    pub id: String,
    /// What decides the result.
    pub subject: Sha256,
    /// Which elimination.
    pub variant: Variant,
    /// The graph.
    pub definition: Sha256,
    /// How far it is.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// The forecast in JSON.
    pub forecast: String,
    /// Memory it is expected to take.
    pub memory_bytes: u64,
    /// Its place before or behind those of others.
    pub priority: Priority,
    /// How long it may run; `None` leaves that to the settings.
    pub timeout_ms: Option<u64>,
    /// When it was submitted.
    pub submitted_at: String,
    /// When it was begun for the last time.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Milliseconds from the beginning of its last attempt to its end.
    pub duration_ms: Option<u64>,
    /// Commands of its result.
    pub commands: Option<u64>,
    /// The most memory its process had at a time.
    pub peak_memory_bytes: Option<u64>,
    /// Why there is no result.
    pub error: Option<String>,
    /// For whom it is.
    pub audience: Audience,
}

/// The result of a job, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// The file.
    pub blob: StoredBlob,
    /// Commands of its program; of a plan, multiply-adds.
    pub commands: u64,
    /// The most memory its process had at a time, where it had one of its own that could tell.
    pub peak_memory_bytes: Option<u64>,
}

/// What became of the wish to cancel a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled.
    Now,
    /// Others have asked for it, too, so it goes on without this one.
    Withdrawn,
    /// Only who has asked for it may cancel it.
    NotAsked,
    /// It had ended before.
    Ended,
}

/// All of a [`JobRow`].
pub(super) const JOBS: &str = "SELECT number, id, subject, variant, definition, state, priority, attempts, \
     forecast, forecast_memory_bytes, timeout_ms, submitted_at, started_at, finished_at, \
     CAST(round((julianday(finished_at) - julianday(started_at)) * 86400000.0) AS INTEGER) AS duration_ms, \
     commands, peak_memory_bytes, error, audience FROM jobs";

/// Whatever else a number may be, it is before or behind 0.
const fn priority(number: i64) -> Priority {
    match number {
        i64::MIN..0 => Priority::Low,
        0 => Priority::Normal,
        1.. => Priority::High,
    }
}

pub(super) fn job_row(row: &SqliteRow) -> Result<JobRow, StoreError> {
    let id: String = row.try_get("id")?;
    let place = format!("jobs, id {id:?}");
    let state: String = row.try_get("state")?;
    let known = JobState::ALL.into_iter().find(|known| known.as_str() == state);
    let unreadable = || StoreError::Row { place: place.clone(), reason: format!("state {state:?}") };
    let memory: i64 = row.try_get("forecast_memory_bytes")?;
    Ok(JobRow {
        number: row.try_get("number")?,
        subject: digest(row, "subject", &place)?.into(),
        variant: variant(row, &place)?,
        definition: digest(row, "definition", &place)?.into(),
        state: known.ok_or_else(unreadable)?,
        attempts: row.try_get("attempts")?,
        forecast: row.try_get("forecast")?,
        memory_bytes: memory.cast_unsigned(),
        priority: priority(row.try_get("priority")?),
        timeout_ms: row.try_get::<Option<i64>, _>("timeout_ms")?.map(i64::cast_unsigned),
        submitted_at: row.try_get("submitted_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        duration_ms: row
            .try_get::<Option<i64>, _>("duration_ms")?
            .map(|duration| u64::try_from(duration).unwrap_or_default()),
        commands: row.try_get::<Option<i64>, _>("commands")?.map(i64::cast_unsigned),
        peak_memory_bytes: row.try_get::<Option<i64>, _>("peak_memory_bytes")?.map(i64::cast_unsigned),
        error: row.try_get("error")?,
        audience: audience(row, &place)?,
        id,
    })
}
