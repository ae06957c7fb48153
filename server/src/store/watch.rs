//! Noticing that something has changed, by this process or another one.

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use super::{Store, StoreError};

impl Store {
    /// A watch on changes of what the registry shows, by this process or another one.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn watch(&self) -> Result<ChangeWatch, StoreError> {
        let mut watch =
            ChangeWatch { connection: self.readers.acquire().await?, version: None, number: None };
        watch.look().await?;
        Ok(watch)
    }
}

/// Notices changes of what the registry shows. Keeps one of the reading connections for itself.
#[derive(Debug)]
pub struct ChangeWatch {
    connection: PoolConnection<Sqlite>,
    /// What SQLite calls this state of the file: a cheap look that says whether to look closer.
    version: Option<i64>,
    /// How often what the registry shows had changed.
    number: Option<i64>,
}

/// What has changed since somebody looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenChanges {
    /// Whether anything has.
    pub anything: bool,
    /// Whether what the registry shows has.
    pub registry: bool,
}

impl ChangeWatch {
    /// What has changed since the last call. Costs microseconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&mut self) -> Result<SeenChanges, StoreError> {
        let version: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *self.connection).await?;
        if self.version == Some(version) {
            return Ok(SeenChanges::default());
        }
        let number: i64 = sqlx::query_scalar("SELECT number FROM catalogue_changes")
            .fetch_one(&mut *self.connection)
            .await?;
        self.version = Some(version);
        Ok(SeenChanges { anything: true, registry: self.number.replace(number) != Some(number) })
    }
}
