//! Reconciliation with an upstream: all of a pass in one transaction, and the record of what it left out.

mod changes;
mod passes;
mod quarantine;
#[cfg(test)]
mod tests;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet};

use phasic_hub_api::mirror::{ChangeKind, PassChange, PassFault, PassOutcome, QuarantineDecision};
use phasic_hub_api::{ComputeId, Sha256};
use sqlx::{Row as _, Sqlite, Transaction};

use super::audit::append;
use super::browse::RETRACTED;
use super::computes::{compute_row, put, put_blob};
use super::privacy::set_private;
use super::{Actor, Change, ComputeRow, Publication, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::registry::is_private;

pub use quarantine::{Decided, Finding};
pub use upstreams::{Allowance, PublicCounts, UpstreamIdentity, UpstreamRow, Validators};

/// What every record of a pass says.
#[derive(Clone, Debug)]
pub struct PassHead {
    /// The upstream.
    pub upstream: String,
    /// Where it was read.
    pub address: String,
    /// Who asked for the pass.
    pub actor: Actor,
    /// When it began, UTC.
    pub started_at: String,
    /// Requests that were sent.
    pub requests: u64,
    /// Seconds until the next pass is due. `None`: no pass by itself.
    pub next_seconds: Option<f64>,
    /// Seconds for which upstream has asked to be left alone, if it has.
    pub asked_seconds: Option<f64>,
}

/// What a pass found, ready to become the state of the mirror.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Which pass it is.
    pub head: PassHead,
    /// The commit that was read.
    pub commit: Option<String>,
    /// The registry document as it was received.
    pub document: StoredBlob,
    /// What to send to learn whether it has changed.
    pub validators: Validators,
    /// Number of entries of that document, usable or not.
    pub entries: usize,
    /// The computes this upstream is to have from now on, in order.
    pub computes: Vec<Publication>,
    /// Whether computes of this upstream that are not among them stay.
    pub keeps_others: bool,
    /// What was left out.
    pub faults: Vec<PassFault>,
    /// What goes to quarantine.
    pub findings: Vec<Finding>,
    /// Computes upstream still has, which this hub does not take any more by its own rules and decisions.
    pub withdrawn: BTreeSet<ComputeId>,
    /// Whether the document is to be read again though it may not change: something may be had later.
    pub must_read: bool,
    /// Whether upstream may remove or retract more than [`MOST_REMOVED_PERCENT`] of its computes.
    pub may_remove_many: bool,
    /// What had been decided when the pass was made, by the numbers of the lines.
    pub decisions: Vec<(i64, QuarantineDecision)>,
}

/// How many of a hundred computes an upstream may remove or retract in a pass that nobody has allowed to remove more.
pub const MOST_REMOVED_PERCENT: usize = 30;

/// Passes of an upstream that are kept.
const KEPT_PASSES: i64 = 200;

/// What became of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciliation {
    /// It is the state of the mirror now, and this is its number.
    Done(i64),
    /// Somebody has decided something since it was made. Nothing was changed: it is to be made anew.
    Overruled,
    /// It would have removed so many computes, and was not allowed to. Nothing was changed.
    TooManyRemovals {
        /// Computes that would have been removed.
        removed: usize,
        /// Computes that are mirrored.
        mirrored: usize,
    },
}

/// Whether removing so many of so many computes needs somebody's word.
pub fn is_mass_deletion(removed: usize, mirrored: usize) -> bool {
    removed * 100 > mirrored * MOST_REMOVED_PERCENT
}

/// What is there before a pass.
struct Before {
    /// Entries of this upstream by id.
    own: BTreeMap<String, String>,
    /// Ids that are not for this upstream: local ones, and those of upstreams that go first.
    taken: BTreeSet<String>,
}

impl Store {
    /// This moment, as the database writes it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn now(&self) -> Result<String, StoreError> {
        let now = sqlx::query_scalar("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");
        Ok(now.fetch_one(&self.readers).await?)
    }

    /// Makes the outcome of a pass the state of the mirror, in one transaction.
    ///
    /// Local computes and those of upstreams that go first are not touched: a publication whose id has meanwhile been
    /// taken is passed over. What was decided while the pass was made is not overruled by it: it is to be made anew then.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn reconcile(&self, pass: &PassRecord) -> Result<Reconciliation, StoreError> {
        let mut change = self.begin().await?;
        let upstream = pass.head.upstream.as_str();
        if quarantine::decided(&mut change, upstream).await? != pass.decisions {
            return Ok(Reconciliation::Overruled);
        }
        let before = before(&mut change, upstream).await?;
        let mirrored = before.own.len();
        let last_revision: Option<i64> =
            sqlx::query_scalar("SELECT max(number) FROM revisions").fetch_one(&mut *change).await?;
        let mine =
            || pass.computes.iter().filter(|publication| !before.taken.contains(publication.id.as_str()));
        let mut changes = changes::compare(&before.own, mine());
        if pass.keeps_others {
            changes.retain(|change| change.kind != ChangeKind::Vanished);
        }
        let vanished: Vec<String> = changes
            .iter()
            .filter_map(|change| match change.kind {
                ChangeKind::Vanished => Some(change.id.clone()),
                _ => change.previous_id.clone(),
            })
            .collect();
        // Hidden is as good as gone; but what this hub takes out by itself is no deed of upstream's.
        let is_removed = |change: &&PassChange| match change.kind {
            ChangeKind::Vanished => !pass.withdrawn.iter().any(|id| id.as_str() == change.id),
            kind => kind == ChangeKind::Retracted,
        };
        let removed = changes.iter().filter(is_removed).count();
        if is_mass_deletion(removed, mirrored) && !pass.may_remove_many {
            return Ok(Reconciliation::TooManyRemovals { removed, mirrored });
        }
        for (place, publication) in (0_i64..).zip(mine()) {
            let is_news = put(&mut change, Some(upstream), place, publication).await?;
            // With a token one sees more than everybody; that makes nothing everybody's.
            if is_news && is_private(&publication.entry) {
                set_private(&mut change, &publication.id, true).await?;
            }
        }
        upstreams::remove(&mut change, &vanished, upstream).await?;
        sqlx::query("UPDATE revisions SET commit_id = ?, actor = ? WHERE number > ?")
            .bind(&pass.commit)
            .bind(pass.head.actor.text())
            .bind(last_revision.unwrap_or_default())
            .execute(&mut *change)
            .await?;
        let number = record_pass(&mut change, pass, &changes).await?;
        sqlx::query("DELETE FROM held_files WHERE upstream = ?").bind(upstream).execute(&mut *change).await?;
        quarantine::settle(&mut change, upstream, &pass.findings, pass.document.sha256).await?;
        tell(&mut change, pass, &changes).await?;
        change.commit().await?;
        Ok(Reconciliation::Done(number))
    }

    /// The last entries that were no retractions of ids an upstream has no parent file under today.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn former_entries(&self, upstream: &str) -> Result<Vec<ComputeRow>, StoreError> {
        let sql = format!(
            "SELECT r.compute_id AS id, 'mirror' AS origin, r.entry, r.upstream, max(r.number) FROM revisions r \
             WHERE r.upstream = ?1 AND r.entry IS NOT NULL AND NOT {RETRACTED} \
             AND NOT EXISTS (SELECT 1 FROM computes c JOIN compute_artifacts a ON a.compute_id = c.id \
             WHERE c.id = r.compute_id AND c.upstream = ?1 AND a.role = 'parent') GROUP BY r.compute_id",
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(upstream).fetch_all(&self.readers).await?;
        rows.iter().map(compute_row).collect()
    }

    /// Keeps files that have arrived for a pass until it ends, or a later one does: garbage collection sees that they are
    /// wanted, however long that takes.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn hold(&self, upstream: &str, files: &[StoredBlob]) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for &file in files {
            put_blob(&mut change, file).await?;
            sqlx::query("INSERT OR IGNORE INTO held_files (upstream, sha256) VALUES (?, ?)")
                .bind(upstream)
                .bind(&file.sha256.as_bytes()[..])
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Records that upstream has not changed; `told` is what to send the next time, where it has said something new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unmodified(&self, head: &PassHead, told: Option<&Validators>) -> Result<i64, StoreError> {
        let mut change = self.begin().await?;
        let number = insert_pass(&mut change, head, PassOutcome::Unmodified, None).await?;
        // One line says as much as many.
        sqlx::query("DELETE FROM passes WHERE upstream = ? AND outcome = 'unmodified' AND number < ?")
            .bind(&head.upstream)
            .bind(number)
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "UPDATE passes SET (commit_id, document_sha256) = \
             (SELECT commit_id, document_sha256 FROM upstreams WHERE name = ?1), \
             mirrored = (SELECT count(*) FROM computes WHERE upstream = ?1) WHERE number = ?2",
        )
        .bind(&head.upstream)
        .bind(number)
        .execute(&mut *change)
        .await?;
        if let Some(Validators { etag, last_modified }) = told {
            sqlx::query("UPDATE upstreams SET etag = ?, last_modified = ? WHERE name = ?")
                .bind(etag)
                .bind(last_modified)
                .bind(&head.upstream)
                .execute(&mut *change)
                .await?;
        }
        succeed(&mut change, head).await?;
        change.commit().await?;
        Ok(number)
    }

    /// Records that a pass has failed, or is held by a finding, and changes nothing else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fail(
        &self,
        head: &PassHead,
        (code, error): (&str, &str),
        held_by: Option<&Finding>,
    ) -> Result<i64, StoreError> {
        let mut change = self.begin().await?;
        let outcome = if held_by.is_some() { PassOutcome::Held } else { PassOutcome::Failed };
        let number = insert_pass(&mut change, head, outcome, Some((code, error))).await?;
        if let Some(finding) = held_by {
            sqlx::query("DELETE FROM quarantine WHERE upstream = ? AND code = ? AND sha256 <> ?")
                .bind(&head.upstream)
                .bind(finding.code)
                .bind(&finding.sha256.as_bytes()[..])
                .execute(&mut *change)
                .await?;
            quarantine::put(&mut change, &head.upstream, finding).await?;
        }
        sqlx::query("UPDATE upstreams SET failures_in_a_row = failures_in_a_row + 1 WHERE name = ?")
            .bind(&head.upstream)
            .execute(&mut *change)
            .await?;
        next_run(&mut change, head).await?;
        prune(&mut change, &head.upstream).await?;
        change.commit().await?;
        Ok(number)
    }
}

async fn before(change: &mut Transaction<'static, Sqlite>, upstream: &str) -> Result<Before, StoreError> {
    let rows = sqlx::query(
        "SELECT c.id, c.entry, c.upstream IS ?1 AS own, c.upstream IS NULL OR coalesce(o.place <= u.place, 0) AS taken \
         FROM computes c LEFT JOIN upstreams o ON o.name = c.upstream LEFT JOIN upstreams u ON u.name = ?1",
    )
    .bind(upstream)
    .fetch_all(&mut **change)
    .await?;
    let mut before = Before { own: BTreeMap::new(), taken: BTreeSet::new() };
    for row in rows {
        let id: String = row.try_get("id")?;
        if row.try_get("own")? {
            before.own.insert(id, row.try_get("entry")?);
        } else if row.try_get("taken")? {
            before.taken.insert(id);
        }
    }
    Ok(before)
}

/// One line about a pass. What it did to each compute is in `revisions`.
async fn tell(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
    changes: &[PassChange],
) -> Result<(), StoreError> {
    let of = |kind| -> Vec<&str> {
        changes.iter().filter(|change| change.kind == kind).map(|change| change.id.as_str()).collect()
    };
    let detail = serde_json::json!({
        "address": pass.head.address, "commit": pass.commit, "document_sha256": pass.document.sha256,
        "entries": pass.entries, "mirrored": pass.computes.len(), "faults": pass.faults.len(),
        "changes": changes.len(), "removed": of(ChangeKind::Vanished),
    });
    let subject = pass.head.upstream.clone();
    append(change, &pass.head.actor, Change { action: "mirror.pass", subject, detail }).await
}

/// Records a pass, what it left out and what it changed, and makes its document that of the upstream.
async fn record_pass(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
    changes: &[PassChange],
) -> Result<i64, StoreError> {
    put_blob(change, pass.document).await?;
    let document = pass.document.sha256;
    let number = insert_pass(change, &pass.head, PassOutcome::Done, None).await?;
    sqlx::query(
        "UPDATE passes SET commit_id = ?2, document_sha256 = ?3, entries = ?4, mirrored = \
         (SELECT count(*) FROM computes WHERE upstream = ?5) WHERE number = ?1",
    )
    .bind(number)
    .bind(&pass.commit)
    .bind(&document.as_bytes()[..])
    .bind(pass.entries.cast_signed() as i64)
    .bind(&pass.head.upstream)
    .execute(&mut **change)
    .await?;
    for (place, fault) in (0_i64..).zip(&pass.faults) {
        sqlx::query(
            "INSERT INTO pass_faults (pass, place, entry, artifact, code, reason) VALUES (?, ?, ?, ?, ?, ?)",
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
    for (place, made) in (0_i64..).zip(changes) {
        sqlx::query(
            "INSERT INTO pass_changes (pass, place, kind, compute_id, previous_id) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(number)
        .bind(place)
        .bind(made.kind.as_str())
        .bind(&made.id)
        .bind(&made.previous_id)
        .execute(&mut **change)
        .await?;
    }
    keep_document(change, pass, document).await?;
    succeed(change, &pass.head).await?;
    prune(change, &pass.head.upstream).await?;
    Ok(number)
}

async fn keep_document(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
    document: Sha256,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE upstreams SET commit_id = ?2, document_sha256 = ?3, etag = ?4, last_modified = ?5, \
         must_read = ?6, must_verify = 0, address = ?7 WHERE name = ?1",
    )
    .bind(&pass.head.upstream)
    .bind(&pass.commit)
    .bind(&document.as_bytes()[..])
    .bind(&pass.validators.etag)
    .bind(&pass.validators.last_modified)
    .bind(pass.must_read)
    .bind(&pass.head.address)
    .execute(&mut **change)
    .await?;
    Ok(())
}

async fn insert_pass(
    change: &mut Transaction<'static, Sqlite>,
    head: &PassHead,
    outcome: PassOutcome,
    error: Option<(&str, &str)>,
) -> Result<i64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO passes (upstream, address, outcome, actor, started_at, requests, error_code, error) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&head.upstream)
    .bind(&head.address)
    .bind(outcome.as_str())
    .bind(head.actor.text())
    .bind(&head.started_at)
    .bind(head.requests.cast_signed())
    .bind(error.map(|(code, _)| code))
    .bind(error.map(|(_, text)| text))
    .execute(&mut **change)
    .await?;
    Ok(done.last_insert_rowid())
}

/// Upstream was seen to be as it is mirrored.
async fn succeed(change: &mut Transaction<'static, Sqlite>, head: &PassHead) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE upstreams SET failures_in_a_row = 0, checked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE name = ?",
    )
    .bind(&head.upstream)
    .execute(&mut **change)
    .await?;
    next_run(change, head).await
}

/// When the next pass is due: at once, if somebody has decided something while this one was under way. And until when
/// upstream has asked to be left alone.
async fn next_run(change: &mut Transaction<'static, Sqlite>, head: &PassHead) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE upstreams SET next_run_at = \
         iif(EXISTS (SELECT 1 FROM quarantine WHERE upstream = ?1 AND decided_at >= ?3), NULL, \
         strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ?2))), \
         wait_until = iif(?4 IS NULL, wait_until, \
         strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ?4))) WHERE name = ?1",
    )
    .bind(&head.upstream)
    .bind(head.next_seconds)
    .bind(&head.started_at)
    .bind(head.asked_seconds)
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Forgets old passes. What they did stays in `revisions` and in the audit log.
async fn prune(change: &mut Transaction<'static, Sqlite>, upstream: &str) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM passes WHERE upstream = ?1 AND number <= \
         (SELECT number FROM passes WHERE upstream = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(upstream)
    .bind(KEPT_PASSES)
    .execute(&mut **change)
    .await?;
    Ok(())
}
