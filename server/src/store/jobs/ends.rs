//! How an attempt ends, and how a job does: with a result, without one, taken back or cancelled.

use phasic_hub_api::jobs::JobState;
use sqlx::{Row as _, Sqlite, Transaction};

use super::super::audit::append;
use super::super::computes::put_blob;
use super::super::{Actor, Change, Store, StoreError};
use super::{Cancelled, JobResult, JobRow, MOST_ATTEMPTS, find, log, lost, set_state};

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
pub(super) async fn failed(
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
