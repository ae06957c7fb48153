//! Reconciliation with an upstream: all of a pass in one transaction, and the record of what it left out.

use std::collections::HashSet;

use phasic_hub_api::ComputeId;
use sqlx::Row as _;

use super::computes::{put, put_blob, record};
use super::{Origin, Publication, Store, StoreError};
use crate::blobs::StoredBlob;

/// What a pass found, ready to become the state of the mirror.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Where it read.
    pub upstream: String,
    /// The registry document as it was received.
    pub document: StoredBlob,
    /// Number of entries of that document, usable or not.
    pub entries: usize,
    /// The computes the mirror is to have from now on, in order. Others of its origin disappear.
    pub computes: Vec<Publication>,
    /// What was left out.
    pub faults: Vec<FaultRow>,
}

/// Something a pass left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// The key of the entry as upstream wrote it.
    pub entry: String,
    /// The artifact, when it was not the entry as a whole.
    pub artifact: Option<String>,
    /// The kind of fault for programs.
    pub code: String,
    /// A sentence.
    pub reason: String,
}

impl Store {
    /// Makes the outcome of a pass the state of the mirror, in one transaction.
    ///
    /// Local computes are not touched: a publication whose id has meanwhile been published locally is passed over.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn reconcile(&self, pass: &PassRecord) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let rows = sqlx::query("SELECT id, origin FROM computes").fetch_all(&mut *change).await?;
        let (mut local, mut mirrored) = (HashSet::new(), HashSet::new());
        for row in rows {
            let ids = if row.try_get::<String, _>("origin")? == "local" { &mut local } else { &mut mirrored };
            ids.insert(row.try_get::<String, _>("id")?);
        }
        for (place, publication) in (0_i64..).zip(&pass.computes) {
            mirrored.remove(publication.id.as_str());
            if !local.contains(publication.id.as_str()) {
                put(&mut change, Origin::Mirror, place, publication).await?;
            }
        }
        for id in mirrored {
            sqlx::query("DELETE FROM computes WHERE id = ?").bind(&id).execute(&mut *change).await?;
            record(&mut change, &id, Origin::Mirror, None).await?;
        }
        put_blob(&mut change, pass.document).await?;
        let number = sqlx::query(
            "INSERT INTO mirror_passes (upstream, document_sha256, entries, mirrored) VALUES (?, ?, ?, ?)",
        )
        .bind(&pass.upstream)
        .bind(&pass.document.sha256.as_bytes()[..])
        .bind(pass.entries.cast_signed() as i64)
        .bind(pass.computes.len().cast_signed() as i64)
        .execute(&mut *change)
        .await?
        .last_insert_rowid();
        for (place, fault) in (0_i64..).zip(&pass.faults) {
            sqlx::query(
                "INSERT INTO mirror_faults (pass, place, entry, artifact, code, reason) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(number)
            .bind(place)
            .bind(&fault.entry)
            .bind(&fault.artifact)
            .bind(&fault.code)
            .bind(&fault.reason)
            .execute(&mut *change)
            .await?;
        }
        Ok(change.commit().await?)
    }

    /// What the last finished pass left out, in the order of the document.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mirror_faults(&self) -> Result<Vec<FaultRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry, artifact, code, reason FROM mirror_faults \
             WHERE pass = (SELECT max(number) FROM mirror_passes) ORDER BY place",
        )
        .fetch_all(&self.readers)
        .await?;
        let fault = |row: &sqlx::sqlite::SqliteRow| {
            Ok(FaultRow {
                entry: row.try_get("entry")?,
                artifact: row.try_get("artifact")?,
                code: row.try_get("code")?,
                reason: row.try_get("reason")?,
            })
        };
        rows.iter().map(fault).collect()
    }

    /// The entries an id has had, the oldest first; `None` says that it was gone from then on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn history(&self, id: &ComputeId) -> Result<Vec<Option<String>>, StoreError> {
        Ok(sqlx::query_scalar("SELECT entry FROM revisions WHERE compute_id = ? ORDER BY number")
            .bind(id.as_str())
            .fetch_all(&self.readers)
            .await?)
    }
}
