//! Old jobs go, so that the table of jobs does not grow for ever. Their results stay.

use super::super::audit::append;
use super::super::{Actor, Change, Store, StoreError};

impl Store {
    /// Forgets jobs that ended more than `days` days ago, with their logs; those in quarantine stay until somebody deletes
    /// them. Who asked is forgotten with his last job. Says how many jobs went.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn forget_old_jobs(&self, days: u64) -> Result<u64, StoreError> {
        let mut change = self.begin().await?;
        let gone = sqlx::query(
            "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') \
             AND finished_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)",
        )
        .bind(format!("-{days} days"))
        .execute(&mut *change)
        .await?;
        if gone.rows_affected() > 0 {
            let detail = serde_json::json!({"jobs": gone.rows_affected(), "days": days});
            let told = Change { action: "job.forget", subject: "jobs".to_owned(), detail };
            append(&mut change, &Actor::Hub, told).await?;
        }
        sqlx::query("DELETE FROM job_turns WHERE asker NOT IN (SELECT asker FROM job_askers)")
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(gone.rows_affected())
    }
}
