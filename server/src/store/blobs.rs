//! The blobs the database knows, and who refers to them.

use std::fmt::Write as _;

use phasic_hub_api::Sha256;
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection, Transaction};

use super::computes::digest;
use super::graphs::blob;
use super::{Store, StoreError};
use crate::blobs::StoredBlob;

impl Store {
    /// Every blob the database knows, by name.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn blobs(&self) -> Result<Vec<StoredBlob>, StoreError> {
        let rows = sqlx::query("SELECT sha256, size_bytes FROM blobs ORDER BY sha256");
        let rows = rows.fetch_all(&self.readers).await?;
        rows.iter().map(|row| blob(row, "sha256", "blobs")).collect()
    }

    /// Blobs by name, behind one, and at most `limit`.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn blobs_after(
        &self,
        after: Option<Sha256>,
        limit: u32,
    ) -> Result<Vec<StoredBlob>, StoreError> {
        let sql = "SELECT sha256, size_bytes FROM blobs WHERE sha256 > ? ORDER BY sha256 LIMIT ?";
        // Nothing is before the empty name.
        let after = after.as_ref().map_or(&[][..], |name| name.as_bytes());
        let rows = sqlx::query(sql).bind(after).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(|row| blob(row, "sha256", "blobs")).collect()
    }

    /// The blobs no foreign key of any table refers to, by name. The tables are asked for their keys, so that one that
    /// is added later is heeded, too.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn unreferenced_blobs(&self) -> Result<Vec<Sha256>, StoreError> {
        unreferenced(&mut *self.readers.acquire().await?).await
    }

    /// Forgets a blob, unless somebody refers to it by now, or its bytes were stored again: `is_old` says whether they
    /// were not. It is asked while nobody else can write, so that whoever has just stored them either was seen, or takes
    /// note of them afterwards.
    ///
    /// # Errors
    /// When the database fails, or the question does.
    pub async fn forget_blob<E: From<StoreError>>(
        &self,
        name: Sha256,
        is_old: impl Future<Output = Result<bool, E>>,
    ) -> Result<(), E> {
        let change = self.begin().await?;
        if is_old.await? {
            forget(change, name).await?;
        }
        Ok(())
    }

    /// Lets every running hub render its registry anew: files have come or gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_catalogue(&self) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("UPDATE catalogue_changes SET number = number + 1").execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// Writes a copy of the database, as it is at one moment, to a new file. Others read and write meanwhile.
    ///
    /// # Errors
    /// When the database fails, or there is a file already.
    pub async fn copy_to(&self, file: &std::path::Path) -> Result<(), StoreError> {
        sqlx::query("VACUUM INTO ?").bind(file.to_string_lossy().into_owned()).execute(&self.readers).await?;
        Ok(())
    }

    /// What SQLite finds wrong with its file; nothing when it is whole.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn faults(&self) -> Result<Vec<String>, StoreError> {
        let mut found: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&self.readers).await?;
        found.retain(|line| line != "ok");
        Ok(found)
    }
}

/// The blobs no foreign key refers to, as a connection, or a change within it, sees them.
pub(super) async fn unreferenced(connection: &mut SqliteConnection) -> Result<Vec<Sha256>, StoreError> {
    let keys = sqlx::query(
        "SELECT t.name AS child, k.\"from\" AS field FROM sqlite_schema t, pragma_foreign_key_list(t.name) k \
         WHERE t.type = 'table' AND k.\"table\" = 'blobs' ORDER BY child, field",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut statement = "SELECT sha256 FROM blobs WHERE 1".to_owned();
    for key in &keys {
        // Names of our own schema, out of our own migrations.
        let (child, field): (String, String) = (key.try_get("child")?, key.try_get("field")?);
        // Writing to a string cannot fail.
        let _ = write!(
            statement,
            " AND sha256 NOT IN (SELECT \"{field}\" FROM \"{child}\" WHERE \"{field}\" IS NOT NULL)"
        );
    }
    statement += " ORDER BY sha256";
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&mut *connection).await?;
    rows.iter().map(|row| Ok(digest(row, "sha256", "blobs")?.into())).collect()
}

async fn forget(mut change: Transaction<'static, Sqlite>, name: Sha256) -> Result<(), StoreError> {
    let deleted = sqlx::query("DELETE FROM blobs WHERE sha256 = ?")
        .bind(&name.as_bytes()[..])
        .execute(&mut *change)
        .await;
    match deleted {
        Err(error) if error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(change.commit().await?),
    }
}
