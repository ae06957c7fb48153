//! Blobs that were found damaged or lost, until they are whole again.

use std::collections::{BTreeMap, BTreeSet};

use phasic_hub_api::Sha256;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::computes::digest;
use super::{Store, StoreError};

impl Store {
    /// Takes note of blobs that are damaged or lost; of those the database does not know, nothing is.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn note_unhealed(&self, names: &BTreeSet<Sha256>) -> Result<(), StoreError> {
        self.change_unhealed(
            names,
            "INSERT OR IGNORE INTO unhealed (sha256) SELECT sha256 FROM blobs WHERE sha256 = ?",
        )
        .await
    }

    /// Takes note that it was said of these blobs that they cannot be made again.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn note_told(&self, names: &BTreeSet<Sha256>) -> Result<(), StoreError> {
        self.change_unhealed(names, "UPDATE unhealed SET is_told = 1 WHERE sha256 = ?").await
    }

    /// Takes note that these blobs are whole again.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn note_healed(&self, names: &BTreeSet<Sha256>) -> Result<(), StoreError> {
        self.change_unhealed(names, "DELETE FROM unhealed WHERE sha256 = ?").await
    }

    /// The blobs that are known to be bad, each with whether it was said that it cannot be made again.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn unhealed(&self) -> Result<BTreeMap<Sha256, bool>, StoreError> {
        let rows = sqlx::query("SELECT sha256, is_told FROM unhealed").fetch_all(&self.readers).await?;
        let pair = |row: &SqliteRow| {
            Ok((digest(row, "sha256", "unhealed")?.into(), row.try_get::<bool, _>("is_told")?))
        };
        rows.iter().map(pair).collect()
    }

    async fn change_unhealed(
        &self,
        names: &BTreeSet<Sha256>,
        statement: &'static str,
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let mut change = self.begin().await?;
        for name in names {
            sqlx::query(statement).bind(&name.as_bytes()[..]).execute(&mut *change).await?;
        }
        Ok(change.commit().await?)
    }
}
