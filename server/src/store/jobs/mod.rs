//! The queue: jobs, their leases, attempts and log lines.
//!
//! A running job is leased to one attempt of one owner, which is a process: only that attempt may say how it ended, and the
//! lease ends with its owner, of which there is one at a time. What a job does is not known here. Every change of a job's state is one transaction, with its log line.

mod listing;
mod queue;
pub(super) mod subjects;
#[cfg(test)]
mod tests;
mod upkeep;

use phasic_hub_api::Sha256;
use phasic_hub_api::jobs::{JobState, Priority, Variant};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::audit::append;
use super::computes::{digest, put_blob};
use super::graphs::variant;
use super::privacy::audience;
use super::{Actor, Change, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::Audience;

pub use listing::{JobCount, JobFilter, JobPlace};
pub use queue::{FreeMemory, MOST_OVERTAKEN, QueueLimits, Queued};
pub use subjects::{subject, subject_for};

/// How often a job is begun at most.
pub const MOST_ATTEMPTS: u32 = 3;

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

const JOBS: &str = "SELECT number, id, subject, variant, definition, state, priority, attempts, \
     forecast, forecast_memory_bytes, timeout_ms, submitted_at, started_at, finished_at, \
     CAST(round((julianday(finished_at) - julianday(started_at)) * 86400000.0) AS INTEGER) AS duration_ms, \
     commands, peak_memory_bytes, error, audience FROM jobs";

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

impl Store {
    /// Takes back running jobs nobody works on: those of runners that are gone, and those of this one that are not among
    /// `running`. They are queued again, or in quarantine after the last attempt. Gives their ids with their new states.
    ///
    /// Only the one process that holds the data directory may call this: every other runner is dead then.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn take_back_jobs(
        &self,
        owner: &str,
        running: &[i64],
    ) -> Result<Vec<(String, JobState)>, StoreError> {
        let running = serde_json::json!(running).to_string();
        let left = "FROM jobs WHERE state = 'running' AND (lease_owner <> ?1 OR number NOT IN (SELECT value FROM json_each(?2)))";
        // Looked for in every turn, so without a change unless there is one.
        let sql = format!("SELECT EXISTS (SELECT 1 {left})");
        let look = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(owner).bind(&running);
        if !look.fetch_one(&self.readers).await? {
            return Ok(Vec::new());
        }
        let mut change = self.begin().await?;
        let sql = format!("SELECT number, id, attempts, lease_owner <> ?1 AS ended {left} ORDER BY number");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(owner).bind(&running);
        let rows = rows.fetch_all(&mut *change).await?;
        let mut taken = Vec::new();
        for row in rows {
            let (number, attempts): (i64, u32) = (row.try_get("number")?, row.try_get("attempts")?);
            let reason = if row.try_get("ended")? {
                "the hub ended while it ran"
            } else {
                "nobody works on it any more"
            };
            let id: String = row.try_get("id")?;
            let state = broken(&mut change, (number, &id), attempts, reason).await?;
            taken.push((id, state));
        }
        change.commit().await?;
        Ok(taken)
    }

    /// Records the result of a running job. Says whether it was still wanted.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn finish_job(
        &self,
        job: &JobRow,
        owner: &str,
        result: JobResult,
        engine: &str,
    ) -> Result<bool, StoreError> {
        let JobResult { blob, commands, peak_memory_bytes } = result;
        let mut change = self.begin().await?;
        if !is_leased(&mut change, job, owner).await? {
            return Ok(false);
        }
        put_blob(&mut change, blob).await?;
        sqlx::query(
            "INSERT OR REPLACE INTO eliminations (subject, variant, definition, sha256, engine, audience) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&job.subject.as_bytes()[..])
        .bind(job.variant.as_str())
        .bind(&job.definition.as_bytes()[..])
        .bind(&blob.sha256.as_bytes()[..])
        .bind(engine)
        .bind(job.audience.text())
        .execute(&mut *change)
        .await?;
        log(&mut change, job.number, &format!("done: {} bytes, verified", blob.size_bytes)).await?;
        let detail = serde_json::json!({"job": job.id, "variant": job.variant, "sha256": blob.sha256});
        let told = Change { action: "elimination.make", subject: job.definition.to_string(), detail };
        append(&mut change, &Actor::Hub, told).await?;
        set_state(&mut change, job.number, JobState::Done, None).await?;
        sqlx::query("UPDATE jobs SET commands = ?, peak_memory_bytes = ? WHERE number = ?")
            .bind(commands.cast_signed())
            .bind(peak_memory_bytes.map(u64::cast_signed))
            .bind(job.number)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(true)
    }

    /// Ends a running job without a result. Says whether it was still wanted.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn fail_job(&self, job: &JobRow, owner: &str, error: &str) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if !is_leased(&mut change, job, owner).await? {
            return Ok(false);
        }
        failed(&mut change, (job.number, &job.id), error).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Takes note that an attempt broke down: the job is queued again, or in quarantine after the last attempt. Gives
    /// the state it is in then, or nothing if it was not wanted any more.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn break_job(
        &self,
        job: &JobRow,
        owner: &str,
        reason: &str,
    ) -> Result<Option<JobState>, StoreError> {
        let mut change = self.begin().await?;
        if !is_leased(&mut change, job, owner).await? {
            return Ok(None);
        }
        let state = broken(&mut change, (job.number, &job.id), job.attempts, reason).await?;
        change.commit().await?;
        Ok(Some(state))
    }

    /// Puts a running job back that was not at fault, as when the hub is stopping; the attempt does not count.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn put_back_jobs(&self, owner: &str) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let numbers: Vec<i64> = sqlx::query_scalar("SELECT number FROM jobs WHERE lease_owner = ?")
            .bind(owner)
            .fetch_all(&mut *change)
            .await?;
        for number in numbers {
            log(&mut change, number, "the hub was stopped; queued again").await?;
            set_state(&mut change, number, JobState::Queued, None).await?;
            sqlx::query("UPDATE jobs SET attempts = attempts - 1 WHERE number = ?")
                .bind(number)
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Takes back what somebody asked for: when nobody else asks for the job, it is cancelled, and so is one in
    /// quarantine. `asker` `None` cancels it whoever asks. Gives the job as it is then, and what was done.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn cancel_job(
        &self,
        id: &str,
        asker: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<(JobRow, Cancelled)>, StoreError> {
        let mut change = self.begin().await?;
        let Some(row) = find(&mut change, id).await? else { return Ok(None) };
        if row.state.is_final() && row.state != JobState::Quarantined {
            return Ok(Some((row, Cancelled::Ended)));
        }
        if let Some(asker) = asker {
            let withdrawn = sqlx::query("DELETE FROM job_askers WHERE job = ? AND asker = ?")
                .bind(row.number)
                .bind(asker)
                .execute(&mut *change)
                .await?;
            if withdrawn.rows_affected() == 0 {
                return Ok(Some((row, Cancelled::NotAsked)));
            }
        }
        let others: i64 = sqlx::query_scalar("SELECT count(*) FROM job_askers WHERE job = ?")
            .bind(row.number)
            .fetch_one(&mut *change)
            .await?;
        if asker.is_some() && others > 0 {
            log(&mut change, row.number, "one of those who asked for it has withdrawn").await?;
            let detail = serde_json::json!({"state": row.state});
            append(&mut change, actor, Change { action: "job.withdraw", subject: id.to_owned(), detail })
                .await?;
            change.commit().await?;
            return Ok(Some((row, Cancelled::Withdrawn)));
        }
        log(&mut change, row.number, "cancelled").await?;
        let detail = serde_json::json!({"state": row.state});
        append(&mut change, actor, Change { action: "job.cancel", subject: id.to_owned(), detail }).await?;
        set_state(&mut change, row.number, JobState::Cancelled, row.error.as_deref()).await?;
        let row = find(&mut change, id).await?.ok_or_else(|| lost(id))?;
        change.commit().await?;
        Ok(Some((row, Cancelled::Now)))
    }
}

async fn find(change: &mut Transaction<'static, Sqlite>, id: &str) -> Result<Option<JobRow>, StoreError> {
    let sql = format!("{JOBS} WHERE id = ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **change).await?;
    row.as_ref().map(job_row).transpose()
}

/// Whether a job is running still, in this attempt of this owner.
async fn is_leased(
    change: &mut Transaction<'static, Sqlite>,
    job: &JobRow,
    owner: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs \
               WHERE number = ? AND state = 'running' AND lease_owner = ? AND attempts = ?)";
    let leased = sqlx::query_scalar(sql).bind(job.number).bind(owner).bind(job.attempts);
    Ok(leased.fetch_one(&mut **change).await?)
}

/// Ends a job without a result.
async fn failed(
    change: &mut Transaction<'static, Sqlite>,
    (number, id): (i64, &str),
    error: &str,
) -> Result<(), StoreError> {
    log(change, number, &format!("failed: {error}")).await?;
    set_state(change, number, JobState::Failed, Some(error)).await?;
    let detail = serde_json::json!({"error": error});
    append(change, &Actor::Hub, Change { action: "job.fail", subject: id.to_owned(), detail }).await
}

/// Queues a job again whose attempt broke down, or puts it into quarantine after its last one.
async fn broken(
    change: &mut Transaction<'static, Sqlite>,
    (number, id): (i64, &str),
    attempts: u32,
    reason: &str,
) -> Result<JobState, StoreError> {
    if attempts < MOST_ATTEMPTS {
        log(change, number, &format!("{reason}; queued again")).await?;
        set_state(change, number, JobState::Queued, None).await?;
        return Ok(JobState::Queued);
    }
    let error =
        format!("{reason}, at attempt {attempts}; it is not tried again until somebody deletes this job");
    log(change, number, &error).await?;
    set_state(change, number, JobState::Quarantined, Some(&error)).await?;
    let detail = serde_json::json!({"reason": reason, "attempts": attempts});
    append(change, &Actor::Hub, Change { action: "job.quarantine", subject: id.to_owned(), detail }).await?;
    Ok(JobState::Quarantined)
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

/// Whatever else a number may be, it is before or behind 0.
const fn priority(number: i64) -> Priority {
    match number {
        i64::MIN..0 => Priority::Low,
        0 => Priority::Normal,
        1.. => Priority::High,
    }
}

fn job_row(row: &SqliteRow) -> Result<JobRow, StoreError> {
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
