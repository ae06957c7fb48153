//! Comparisons that have begun and not ended: the process that did them may have ended with them.

use super::{Store, StoreError, VerificationWork};

impl Store {
    /// Takes note that the comparison of a file begins. Says how many have begun in a row that did not end, with this one. A
    /// [verdict](Self::put_verification) ends them all.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn begin_verification(&self, one: VerificationWork) -> Result<u32, StoreError> {
        let mut change = self.begin().await?;
        let attempts = sqlx::query_scalar(
            "INSERT INTO verification_attempts (graph_hash, sha256, attempts) VALUES (?, ?, 1) \
             ON CONFLICT (graph_hash, sha256) DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
        )
        .bind(&one.graph_hash.as_bytes()[..])
        .bind(&one.blob.sha256.as_bytes()[..])
        .fetch_one(&mut *change)
        .await?;
        change.commit().await?;
        Ok(attempts)
    }

    /// Takes back that the comparison of a file has begun: it has ended, or was given up, for no fault of the file. Those
    /// before it count as they did.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn take_back_verification(&self, one: VerificationWork) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for statement in [
            "DELETE FROM verification_attempts WHERE graph_hash = ? AND sha256 = ? AND attempts = 1",
            "UPDATE verification_attempts SET attempts = attempts - 1 WHERE graph_hash = ? AND sha256 = ?",
        ] {
            sqlx::query(statement)
                .bind(&one.graph_hash.as_bytes()[..])
                .bind(&one.blob.sha256.as_bytes()[..])
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }
}
