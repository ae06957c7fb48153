//! Sums over the tables, for those who watch the hub.

use sqlx::Row as _;

use super::privacy::EVERYBODYS;
use super::{Store, StoreError};

/// What the database holds, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// Blobs everybody may have.
    pub blobs: i64,
    /// Their bytes.
    pub blob_bytes: i64,
}

impl Store {
    /// All blobs, and their bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored(&self) -> Result<(i64, i64), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(size_bytes), 0) FROM blobs";
        Ok(sqlx::query_as(sql).fetch_one(&self.readers).await?)
    }

    /// Sums over the tables, as everybody may know them. Reads the table of blobs, and looks each of them up in an index.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        // Nobody is to learn from a number that somebody has something to himself: it is counted the same way always.
        let sql = format!(
            "SELECT count(*) AS blobs, coalesce(sum(size_bytes), 0) AS blob_bytes FROM blobs b \
             WHERE {EVERYBODYS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.readers).await?;
        Ok(Totals { blobs: row.try_get("blobs")?, blob_bytes: row.try_get("blob_bytes")? })
    }
}
