//! The queue: jobs, their leases, attempts and log lines.
//!
//! What a job does is not known here. Every change of a job's state is one transaction, with its log line.

mod listing;
#[cfg(test)]
mod tests;

use phasic_hub_api::Sha256;
use phasic_hub_api::jobs::{JobState, Variant};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::audit::append;
use super::computes::{digest, put_blob};
use super::graphs::variant;
use super::privacy::audience;
use super::{Actor, Change, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::Audience;

pub use listing::JobFilter;

/// How often a job is begun at most.
pub const MOST_ATTEMPTS: u32 = 3;

/// How long a runner is believed to be alive without a sign of life.
pub const LEASE_SECONDS: u32 = 30;

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
    /// When it was submitted.
    pub submitted_at: String,
    /// When it was begun for the last time.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Why there is no result.
    pub error: Option<String>,
    /// For whom it is.
    pub audience: Audience,
}

/// What became of a request for a job.
#[derive(Clone, Debug)]
pub enum Queued {
    /// There is a result already.
    Made,
    /// A job for the same waits, runs, or is in quarantine.
    Joined(JobRow),
    /// A new job.
    New(JobRow),
}

const JOBS: &str = "SELECT number, id, subject, variant, definition, state, attempts, forecast, \
     forecast_memory_bytes, submitted_at, started_at, finished_at, error, audience FROM jobs";

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

impl Store {
    /// Queues a job, unless there is a result or a job for the same.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn queue(&self, job: &NewJob, actor: &Actor) -> Result<Queued, StoreError> {
        let mut change = self.begin().await?;
        let made: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM eliminations WHERE subject = ? AND variant = ?)",
        )
        .bind(&job.subject.as_bytes()[..])
        .bind(job.variant.as_str())
        .fetch_one(&mut *change)
        .await?;
        if made {
            return Ok(Queued::Made);
        }
        let sql = format!(
            "{JOBS} WHERE subject = ? AND variant = ? AND state IN ('queued', 'running', 'quarantined') \
             ORDER BY number DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&job.subject.as_bytes()[..])
            .bind(job.variant.as_str())
            .fetch_optional(&mut *change)
            .await?;
        if let Some(row) = row {
            return Ok(Queued::Joined(job_row(&row)?));
        }
        sqlx::query(
            "INSERT INTO jobs (id, subject, variant, definition, forecast, forecast_memory_bytes, audience) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&job.id)
        .bind(&job.subject.as_bytes()[..])
        .bind(job.variant.as_str())
        .bind(&job.definition.as_bytes()[..])
        .bind(&job.forecast)
        .bind(job.memory_bytes.cast_signed())
        .bind(job.audience.text())
        .execute(&mut *change)
        .await?;
        let row = find(&mut change, &job.id).await?;
        let row = row.ok_or_else(|| lost(&job.id))?;
        log(&mut change, row.number, "submitted").await?;
        let detail = serde_json::json!({"definition": job.definition, "variant": job.variant});
        append(&mut change, actor, Change { action: "job.submit", subject: job.id.clone(), detail }).await?;
        change.commit().await?;
        Ok(Queued::New(row))
    }

    /// Begins the next queued job that takes no more memory than this, if there is one.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn begin_job(&self, owner: &str, most_memory_bytes: u64) -> Result<Option<JobRow>, StoreError> {
        let mut change = self.begin().await?;
        let sql = format!(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease_owner = ?1, \
             lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+{LEASE_SECONDS} seconds'), started_at = {NOW} \
             WHERE number = (SELECT number FROM jobs WHERE state = 'queued' AND forecast_memory_bytes <= ?2 \
             ORDER BY priority DESC, number LIMIT 1) RETURNING id"
        );
        let id: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(owner)
            .bind(most_memory_bytes.cast_signed())
            .fetch_optional(&mut *change)
            .await?;
        let Some(id) = id else { return Ok(None) };
        let row = find(&mut change, &id).await?.ok_or_else(|| lost(&id))?;
        log(&mut change, row.number, &format!("attempt {} of {MOST_ATTEMPTS} begun", row.attempts)).await?;
        change.commit().await?;
        Ok(Some(row))
    }

    /// Tells that a runner is alive.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_leases(&self, owner: &str) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let sql = format!(
            "UPDATE jobs SET lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+{LEASE_SECONDS} seconds') \
             WHERE lease_owner = ?"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(owner).execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// Takes back the jobs of runners that are gone: queued again, or in quarantine after the last attempt. Gives their
    /// ids with their new states.
    ///
    /// Only the one process that holds the data directory may call this: every other runner is dead then.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn take_back_jobs(&self, owner: &str) -> Result<Vec<(String, JobState)>, StoreError> {
        let mut change = self.begin().await?;
        let rows = sqlx::query(
            "SELECT number, id, attempts FROM jobs WHERE state = 'running' AND lease_owner <> ? ORDER BY number",
        )
        .bind(owner)
        .fetch_all(&mut *change)
        .await?;
        let mut taken = Vec::new();
        for row in rows {
            let (number, attempts): (i64, u32) = (row.try_get("number")?, row.try_get("attempts")?);
            let ended = "the hub ended while it ran";
            let state = if attempts < MOST_ATTEMPTS {
                log(&mut change, number, &format!("{ended}; queued again")).await?;
                set_state(&mut change, number, JobState::Queued, None).await?;
                JobState::Queued
            } else {
                let error = format!(
                    "{ended}, {attempts} times; it is not tried again until somebody deletes this job"
                );
                log(&mut change, number, &error).await?;
                set_state(&mut change, number, JobState::Quarantined, Some(&error)).await?;
                JobState::Quarantined
            };
            taken.push((row.try_get("id")?, state));
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
        blob: StoredBlob,
        engine: &str,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if !is_running(&mut change, job.number, owner).await? {
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
        change.commit().await?;
        Ok(true)
    }

    /// Ends a running job without a result. Says whether it was still wanted.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn fail_job(&self, job: &JobRow, owner: &str, error: &str) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if !is_running(&mut change, job.number, owner).await? {
            return Ok(false);
        }
        log(&mut change, job.number, &format!("failed: {error}")).await?;
        set_state(&mut change, job.number, JobState::Failed, Some(error)).await?;
        change.commit().await?;
        Ok(true)
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

    /// Cancels a job that waits or runs, or lets one out of quarantine. Gives the job as it is then, and whether anything
    /// changed.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn cancel_job(&self, id: &str, actor: &Actor) -> Result<Option<(JobRow, bool)>, StoreError> {
        let mut change = self.begin().await?;
        let Some(row) = find(&mut change, id).await? else { return Ok(None) };
        if row.state.is_final() && row.state != JobState::Quarantined {
            return Ok(Some((row, false)));
        }
        log(&mut change, row.number, "cancelled").await?;
        let detail = serde_json::json!({"state": row.state});
        append(&mut change, actor, Change { action: "job.cancel", subject: id.to_owned(), detail }).await?;
        set_state(&mut change, row.number, JobState::Cancelled, row.error.as_deref()).await?;
        let row = find(&mut change, id).await?.ok_or_else(|| lost(id))?;
        change.commit().await?;
        Ok(Some((row, true)))
    }
}

async fn find(change: &mut Transaction<'static, Sqlite>, id: &str) -> Result<Option<JobRow>, StoreError> {
    let sql = format!("{JOBS} WHERE id = ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **change).await?;
    row.as_ref().map(job_row).transpose()
}

async fn is_running(
    change: &mut Transaction<'static, Sqlite>,
    number: i64,
    owner: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE number = ? AND state = 'running' AND lease_owner = ?)";
    Ok(sqlx::query_scalar(sql).bind(number).bind(owner).fetch_one(&mut **change).await?)
}

/// Sets a state other than running.
async fn set_state(
    change: &mut Transaction<'static, Sqlite>,
    number: i64,
    state: JobState,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE jobs SET state = ?1, error = ?2, lease_owner = NULL, lease_until = NULL, \
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

async fn log(change: &mut Transaction<'static, Sqlite>, number: i64, text: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO job_log (job, line, text) \
         SELECT ?1, coalesce(max(line), 0) + 1, ?2 FROM job_log WHERE job = ?1",
    )
    .bind(number)
    .bind(text)
    .execute(&mut **change)
    .await?;
    Ok(())
}

fn lost(id: &str) -> StoreError {
    StoreError::Row { place: format!("jobs, id {id:?}"), reason: "it is gone".to_owned() }
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
        submitted_at: row.try_get("submitted_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        error: row.try_get("error")?,
        audience: audience(row, &place)?,
        id,
    })
}
