//! Who is next: jobs take turns by those who asked for them, within a priority.
//!
//! Of a priority, the first job of each asker comes before the second of any; among those the one whose asker has
//! waited longest since a job of his was begun. A job that finds too little memory free lets later ones and lower
//! priorities pass, but only [`MOST_OVERTAKEN`] times: then nothing else of its priority, or a lower one, is begun until
//! it fits. The last attempt at a job fits only where nothing else is running: should the hub die of it once more, no
//! other job has been there.

use phasic_hub_api::jobs::{JobState, Priority};
use sqlx::{Row as _, Sqlite, Transaction};

use super::super::audit::append;
use super::super::privacy::own;
use super::super::{Actor, Change, Store, StoreError};
use super::ends::failed;
use super::{JOBS, JobRow, MOST_ATTEMPTS, NOW, NewJob, find, job_row, log, lost};
use crate::visibility::Viewer;

/// How many later jobs, and jobs of lower priorities, are begun at most while one waits for memory.
pub const MOST_OVERTAKEN: u32 = 8;

/// How many jobs may wait.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// In all.
    pub total: u64,
    /// Of one asker.
    pub of_one: u64,
}

/// Memory for the job that is next.
#[derive(Clone, Copy, Debug)]
pub struct FreeMemory {
    /// How much it is.
    pub bytes: u64,
    /// Whether that is all there is: nothing else is running.
    pub is_all: bool,
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
    /// As many jobs wait as may wait in all.
    Full,
    /// As many jobs of this asker wait as may.
    FullForOne,
}

/// All queued jobs in order, once for each asker; their first places count.
const IN_ORDER: &str = "WITH asked AS (SELECT j.number, j.priority, j.overtaken, j.forecast_memory_bytes AS memory, j.audience, \
     a.asker, coalesce(t.turn, 0) AS turn, \
     row_number() OVER (PARTITION BY j.priority, a.asker ORDER BY j.number) AS round, j.attempts \
     FROM jobs j LEFT JOIN job_askers a ON a.job = j.number LEFT JOIN job_turns t ON t.asker = a.asker \
     WHERE j.state = 'queued') SELECT number, asker, priority, memory, attempts FROM asked";

impl Store {
    /// Queues a job, unless there is a result whose file is not lost, or a job for the same, which is joined then: it gets the higher of the two
    /// priorities and the longer of the two times.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn queue(
        &self,
        job: &NewJob,
        limits: QueueLimits,
        actor: &Actor,
    ) -> Result<Queued, StoreError> {
        let mut change = self.begin().await?;
        let made: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM eliminations WHERE subject = ? AND variant = ? AND sha256 IS NOT ?)",
        )
        .bind(&job.subject.as_bytes()[..])
        .bind(job.variant.as_str())
        .bind(job.lost.as_ref().map(|file| &file.as_bytes()[..]))
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
            let row = job_row(&row)?;
            if join(&mut change, &row, job).await? {
                let detail = serde_json::json!({"priority": job.priority, "timeout_ms": job.timeout_ms});
                append(&mut change, actor, Change { action: "job.join", subject: row.id.clone(), detail })
                    .await?;
            }
            let row = find(&mut change, &row.id).await?.ok_or_else(|| lost(&row.id))?;
            change.commit().await?;
            return Ok(Queued::Joined(row));
        }
        if let Some(full) = full(&mut change, &job.asker, limits).await? {
            return Ok(full);
        }
        sqlx::query(
            "INSERT INTO jobs (id, subject, variant, definition, forecast, forecast_memory_bytes, priority, timeout_ms, \
             audience) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&job.id)
        .bind(&job.subject.as_bytes()[..])
        .bind(job.variant.as_str())
        .bind(&job.definition.as_bytes()[..])
        .bind(&job.forecast)
        .bind(job.memory_bytes.cast_signed())
        .bind(number(job.priority))
        .bind(job.timeout_ms.map(u64::cast_signed))
        .bind(job.audience.text())
        .execute(&mut *change)
        .await?;
        let row = find(&mut change, &job.id).await?;
        let row = row.ok_or_else(|| lost(&job.id))?;
        ask(&mut change, row.number, &job.asker).await?;
        log(&mut change, row.number, "submitted").await?;
        let detail = serde_json::json!({"definition": job.definition, "variant": job.variant});
        append(&mut change, actor, Change { action: "job.submit", subject: job.id.clone(), detail }).await?;
        change.commit().await?;
        Ok(Queued::New(row))
    }

    /// Begins the queued job that is next and fits into this memory, if there is one.
    ///
    /// Takes time in proportion to the length of the queue.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn begin_job(&self, owner: &str, free: FreeMemory) -> Result<Option<JobRow>, StoreError> {
        let mut change = self.begin().await?;
        let most = free.bytes.cast_signed();
        let sql = format!(
            "{IN_ORDER} WHERE ({}) OR overtaken >= {MOST_OVERTAKEN} {} LIMIT 1",
            fits("memory"),
            order(&format!("overtaken >= {MOST_OVERTAKEN}"))
        );
        let next = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(most)
            .bind(free.is_all)
            .fetch_optional(&mut *change)
            .await?;
        let Some(next) = next else { return Ok(None) };
        let (number, memory): (i64, i64) = (next.try_get("number")?, next.try_get("memory")?);
        if memory > most || (is_last(next.try_get("attempts")?) && !free.is_all) {
            // It was overtaken often enough: what is running has to end first.
            return Ok(None);
        }
        let sql = format!(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease_owner = ?1, started_at = {NOW} \
             WHERE number = ?2 RETURNING id"
        );
        let id: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(owner)
            .bind(number)
            .fetch_one(&mut *change)
            .await?;
        let sql = format!(
            "UPDATE jobs SET overtaken = overtaken + 1 WHERE state = 'queued' AND NOT ({}) \
             AND (priority > ?4 OR priority = ?4 AND number < ?3)",
            fits("forecast_memory_bytes")
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(most)
            .bind(free.is_all)
            .bind(number)
            .bind(next.try_get::<i64, _>("priority")?)
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "INSERT OR REPLACE INTO job_turns (asker, turn) \
             SELECT ?1, (SELECT coalesce(max(turn), 0) + 1 FROM job_turns) WHERE ?1 IS NOT NULL",
        )
        .bind(next.try_get::<Option<String>, _>("asker")?)
        .execute(&mut *change)
        .await?;
        let row = find(&mut change, &id).await?.ok_or_else(|| lost(&id))?;
        log(&mut change, number, &format!("attempt {} of {MOST_ATTEMPTS} begun", row.attempts)).await?;
        change.commit().await?;
        Ok(Some(row))
    }

    /// The numbers of the queued jobs a viewer sees in the order in which they are begun, as far as that is known now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_order(&self, viewer: &Viewer) -> Result<Vec<i64>, StoreError> {
        let sql = format!(
            "{IN_ORDER} WHERE ?1 OR audience IN ('', ?2) {}",
            order(&format!("overtaken >= {MOST_OVERTAKEN}"))
        );
        let mut seen = std::collections::HashSet::new();
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_all(&self.readers)
            .await?;
        let numbers = rows.iter().map(|row| row.try_get("number")).collect::<Result<Vec<i64>, _>>()?;
        Ok(numbers.into_iter().filter(|&number| seen.insert(number)).collect())
    }

    /// Ends queued jobs that would take more memory than all jobs together may, so that none waits for ever after a
    /// change of the settings. Gives their ids.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn refuse_larger_jobs(&self, most_memory_bytes: u64) -> Result<Vec<String>, StoreError> {
        let mut change = self.begin().await?;
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT number, id, forecast_memory_bytes FROM jobs WHERE state = 'queued' AND forecast_memory_bytes > ?",
        )
        .bind(most_memory_bytes.cast_signed())
        .fetch_all(&mut *change)
        .await?;
        let mut refused = Vec::new();
        for (number, id, bytes) in rows {
            let error = format!(
                "it needs up to {bytes} bytes of memory, and jobs may take {most_memory_bytes} now \
                 (compute.max_memory_bytes)"
            );
            failed(&mut change, (number, &id), &error).await?;
            refused.push(id);
        }
        change.commit().await?;
        Ok(refused)
    }
}

/// Whether the next attempt at a job is its last.
const fn is_last(attempts: u32) -> bool {
    attempts + 1 >= MOST_ATTEMPTS
}

/// Whether a job fits: ?1 are the bytes that are free, ?2 says whether they are all there are.
fn fits(memory: &str) -> String {
    format!("{memory} <= ?1 AND (?2 OR attempts + 1 < {MOST_ATTEMPTS})")
}

/// Jobs that were overtaken often enough are first of their priority, in order of submission.
fn order(is_due: &str) -> String {
    format!("ORDER BY priority DESC, iif({is_due}, number, 9223372036854775807), round, turn, number")
}

const fn number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => -1,
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

/// Takes note of who asks for a job, and says whether he did not before. Who is new is not before those who have waited.
async fn ask(change: &mut Transaction<'static, Sqlite>, job: i64, asker: &str) -> Result<bool, StoreError> {
    let asked = sqlx::query("INSERT OR IGNORE INTO job_askers (job, asker) VALUES (?, ?)")
        .bind(job)
        .bind(asker)
        .execute(&mut **change)
        .await?;
    sqlx::query("INSERT OR IGNORE INTO job_turns (asker, turn) VALUES (?, (SELECT coalesce(max(turn), 0) FROM job_turns))")
        .bind(asker)
        .execute(&mut **change)
        .await?;
    Ok(asked.rows_affected() > 0)
}

/// Joins a job, and says whether that has changed anything.
async fn join(
    change: &mut Transaction<'static, Sqlite>,
    row: &JobRow,
    job: &NewJob,
) -> Result<bool, StoreError> {
    if row.state == JobState::Quarantined {
        return Ok(false);
    }
    let is_new = ask(change, row.number, &job.asker).await?;
    // One that leaves its time to the settings has the longest there is. One that is running keeps both, too: whoever
    // runs it gives it longer, and a later attempt waits by them.
    let raised = sqlx::query(
        "UPDATE jobs SET priority = max(priority, ?1), timeout_ms = max(timeout_ms, ?2) \
         WHERE number = ?3 AND (priority < ?1 OR timeout_ms < ?2 OR timeout_ms IS NOT NULL AND ?2 IS NULL)",
    )
    .bind(number(job.priority))
    .bind(job.timeout_ms.map(u64::cast_signed))
    .bind(row.number)
    .execute(&mut **change)
    .await?;
    Ok(is_new || raised.rows_affected() > 0)
}

/// Whether there is no room for another job.
async fn full(
    change: &mut Transaction<'static, Sqlite>,
    asker: &str,
    limits: QueueLimits,
) -> Result<Option<Queued>, StoreError> {
    let total: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'queued'")
        .fetch_one(&mut **change)
        .await?;
    if total.cast_unsigned() >= limits.total {
        return Ok(Some(Queued::Full));
    }
    let of_one: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM job_askers a JOIN jobs j ON j.number = a.job WHERE a.asker = ? AND j.state = 'queued'",
    )
    .bind(asker)
    .fetch_one(&mut **change)
    .await?;
    Ok((of_one.cast_unsigned() >= limits.of_one).then_some(Queued::FullForOne))
}
