//! The queue: jobs, their leases, attempts and log lines.
//!
//! A running job is leased to one attempt of one owner, which is a process: only that attempt may say how it ended, and the
//! lease ends with its owner, of which there is one at a time. What a job does is not known here. Every change of a job's state is one transaction, with its log line.

mod ends;
mod listing;
mod queue;
mod rows;
pub(super) mod subjects;
#[cfg(test)]
mod tests;
mod upkeep;

use phasic_hub_api::jobs::JobState;
use sqlx::{Sqlite, Transaction};

use super::StoreError;
use rows::{JOBS, job_row};

pub use listing::{JobCount, JobFilter, JobPlace};
pub use queue::{FreeMemory, MOST_OVERTAKEN, QueueLimits, Queued};
pub use rows::{Cancelled, JobResult, JobRow, NewJob};
pub use subjects::{subject, subject_for};

/// How often a job is begun at most.
pub const MOST_ATTEMPTS: u32 = 3;

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

async fn find(change: &mut Transaction<'static, Sqlite>, id: &str) -> Result<Option<JobRow>, StoreError> {
    let sql = format!("{JOBS} WHERE id = ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **change).await?;
    row.as_ref().map(job_row).transpose()
}

/// Sets a state other than running.
async fn set_state(
    change: &mut Transaction<'static, Sqlite>,
    number: i64,
    state: JobState,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE jobs SET state = ?1, error = ?2, lease_owner = NULL, \
         finished_at = iif(?1 = 'queued', NULL, {NOW}) WHERE number = ?3"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(state.as_str())
        .bind(error)
        .bind(number)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Lines that are kept of the log of a job, from its beginning and from its end: however often somebody joins and withdraws,
/// it is no longer than both together.
pub(super) const KEPT_LINES: i64 = 50;

async fn log(change: &mut Transaction<'static, Sqlite>, number: i64, text: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO job_log (job, line, text) \
         SELECT ?1, coalesce(max(line), 0) + 1, ?2 FROM job_log WHERE job = ?1",
    )
    .bind(number)
    .bind(text)
    .execute(&mut **change)
    .await?;
    sqlx::query(
        "DELETE FROM job_log WHERE job = ?1 AND line > ?2 \
         AND line <= (SELECT max(line) FROM job_log WHERE job = ?1) - ?2",
    )
    .bind(number)
    .bind(KEPT_LINES)
    .execute(&mut **change)
    .await?;
    Ok(())
}

fn lost(id: &str) -> StoreError {
    StoreError::Row { place: format!("jobs, id {id:?}"), reason: "it is gone".to_owned() }
}
