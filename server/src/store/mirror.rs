//! Reconciliation with an upstream: all of a pass in one transaction, and the record of what it left out.

use std::collections::BTreeSet;

use sqlx::{Row as _, Sqlite, Transaction};

use super::audit::append;
use super::computes::{put, put_blob, record};
use super::{Actor, Change, Origin, Publication, Store, StoreError};
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
    /// Whether more than [`MOST_REMOVED_PERCENT`] of the mirrored computes may disappear.
    pub may_remove_many: bool,
}

/// How many of a hundred mirrored computes may disappear in a pass that nobody has allowed to remove more.
pub const MOST_REMOVED_PERCENT: usize = 30;

/// What became of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciliation {
    /// It is the state of the mirror now. These ids, in order, are no longer in it.
    Done(Vec<String>),
    /// It would have removed so many computes, and was not allowed to. Nothing was changed.
    TooManyRemovals {
        /// Computes that would have been removed.
        removed: usize,
        /// Computes that are mirrored.
        mirrored: usize,
    },
}

/// A finished pass.
#[derive(Clone, Debug)]
pub struct PassRow {
    /// Where it read.
    pub upstream: String,
    /// Number of entries of the document.
    pub entries: i64,
    /// Number of computes the mirror had then.
    pub mirrored: i64,
    /// When it was finished, UTC.
    pub finished_at: String,
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
    pub async fn reconcile(&self, pass: &PassRecord) -> Result<Reconciliation, StoreError> {
        let mut change = self.begin().await?;
        let rows = sqlx::query("SELECT id, origin FROM computes").fetch_all(&mut *change).await?;
        let (mut local, mut mirrored) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let ids = if row.try_get::<String, _>("origin")? == "local" { &mut local } else { &mut mirrored };
            ids.insert(row.try_get::<String, _>("id")?);
        }
        let before = mirrored.len();
        for publication in &pass.computes {
            mirrored.remove(publication.id.as_str());
        }
        if mirrored.len() * 100 > before * MOST_REMOVED_PERCENT && !pass.may_remove_many {
            return Ok(Reconciliation::TooManyRemovals { removed: mirrored.len(), mirrored: before });
        }
        for (place, publication) in (0_i64..).zip(&pass.computes) {
            if !local.contains(publication.id.as_str()) {
                put(&mut change, Origin::Mirror, place, publication).await?;
            }
        }
        for id in &mirrored {
            sqlx::query("DELETE FROM computes WHERE id = ?").bind(id).execute(&mut *change).await?;
            record(&mut change, id, Origin::Mirror, None).await?;
        }
        record_pass(&mut change, pass).await?;
        tell(&mut change, pass, &mirrored).await?;
        change.commit().await?;
        Ok(Reconciliation::Done(mirrored.into_iter().collect()))
    }

    /// The last finished pass, if there was any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_pass(&self) -> Result<Option<PassRow>, StoreError> {
        let row = sqlx::query(
            "SELECT upstream, entries, mirrored, finished_at FROM mirror_passes ORDER BY number DESC LIMIT 1",
        )
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(PassRow {
            upstream: row.try_get("upstream")?,
            entries: row.try_get("entries")?,
            mirrored: row.try_get("mirrored")?,
            finished_at: row.try_get("finished_at")?,
        }))
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
}

/// One line about a pass. What it did to each compute is in `revisions`.
async fn tell(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
    removed: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let detail = serde_json::json!({
        "document_sha256": pass.document.sha256, "entries": pass.entries, "mirrored": pass.computes.len(),
        "faults": pass.faults.len(), "removed": removed,
    });
    // Passes are run from the command line only.
    append(change, &Actor::Operator, Change { action: "mirror.pass", subject: pass.upstream.clone(), detail })
        .await
}

/// Records a pass and what it left out.
async fn record_pass(change: &mut Transaction<'static, Sqlite>, pass: &PassRecord) -> Result<(), StoreError> {
    put_blob(change, pass.document).await?;
    let number = sqlx::query(
        "INSERT INTO mirror_passes (upstream, document_sha256, entries, mirrored) VALUES (?, ?, ?, ?)",
    )
    .bind(&pass.upstream)
    .bind(&pass.document.sha256.as_bytes()[..])
    .bind(pass.entries.cast_signed() as i64)
    .bind(pass.computes.len().cast_signed() as i64)
    .execute(&mut **change)
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
        .execute(&mut **change)
        .await?;
    }
    Ok(())
}
