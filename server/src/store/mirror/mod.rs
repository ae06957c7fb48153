//! Reconciliation with an upstream: all of a pass in one transaction.

mod changes;
mod passes;
mod quarantine;
mod record;
#[cfg(test)]
mod tests;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet};

use phasic_hub_api::ComputeId;
use phasic_hub_api::mirror::{ChangeKind, PassChange, PassFault, QuarantineDecision};
use sqlx::{Row as _, Sqlite, Transaction};

use super::audit::note;
use super::browse::RETRACTED;
use super::computes::{compute_row, put, put_blob};
use super::privacy::{is_hidden_by_id, set_private};
use super::{Actor, Change, ComputeRow, Publication, Store, StoreError};
use crate::blobs::StoredBlob;

pub use quarantine::{Decided, Finding};
pub(super) use upstreams::read_again;
pub use upstreams::{Allowance, Due, PublicCounts, UpstreamIdentity, UpstreamRow, Validators};

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
    /// Keys of entries that are not for everybody and are not mirrored: what is left out of them, and what is found of them,
    /// is not counted for everybody. Of what is mirrored the ids that are private here tell.
    pub hidden: BTreeSet<String>,
    /// Computes upstream still has, which this hub does not take any more by its own rules and decisions.
    pub withdrawn: BTreeSet<ComputeId>,
    /// Ids that are private upstream now and were not, whatever becomes of their files.
    pub private: BTreeSet<ComputeId>,
    /// Whether the document is to be read again though it may not change: something may be had later.
    pub must_read: bool,
    /// Whether upstream may remove or retract more than [`MOST_REMOVED_PERCENT`] of its computes.
    pub may_remove_many: bool,
    /// What had been decided when the pass was made, by the numbers of the lines.
    pub decisions: Vec<(i64, QuarantineDecision)>,
    /// The last revision there was when the pass looked at what this hub has.
    pub last_revision: i64,
}

/// How many of a hundred computes an upstream may remove or retract in a pass that nobody has allowed to remove more.
pub const MOST_REMOVED_PERCENT: usize = 30;

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

    /// The number of the last revision of any compute; 0 when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_revision(&self) -> Result<i64, StoreError> {
        let last = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM revisions");
        Ok(last.fetch_one(&self.readers).await?)
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
        let is_outdated = has_lost_others(&mut change, pass).await?;
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
        let mut private = Vec::new();
        for (place, publication) in (0_i64..).zip(mine()) {
            let is_news = put(&mut change, Some(upstream), place, publication).await?;
            // With a token one sees more than everybody; that makes nothing everybody's.
            private.extend(Some(&publication.id).filter(|_| is_news && publication.entry.is_private()));
        }
        private.extend(pass.private.iter().filter(|id| !before.taken.contains(id.as_str())));
        private.extend(hidden_before(&mut change, &changes, mine()).await?);
        let mut hidden = BTreeSet::new();
        for id in private {
            if set_private(&mut change, id, true).await? {
                hidden.insert(id);
            }
        }
        upstreams::remove(&mut change, &vanished, upstream).await?;
        sqlx::query("UPDATE revisions SET commit_id = ?, actor = ? WHERE number > ?")
            .bind(&pass.commit)
            .bind(pass.head.actor.text())
            .bind(last_revision.unwrap_or_default())
            .execute(&mut *change)
            .await?;
        let number = record::record_pass(&mut change, pass, &changes).await?;
        if is_outdated {
            // It was asked to read again while it was reading; that is still to be done.
            upstreams::read_one_again(&mut change, upstream).await?;
        }
        sqlx::query("DELETE FROM held_files WHERE upstream = ?").bind(upstream).execute(&mut *change).await?;
        quarantine::settle(&mut change, pass).await?;
        tell(&mut change, pass, &changes, &hidden).await?;
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
}

/// New names of computes that somebody has hidden under the names they had.
async fn hidden_before<'a>(
    change: &mut Transaction<'static, Sqlite>,
    changes: &[PassChange],
    publications: impl Iterator<Item = &'a Publication>,
) -> Result<Vec<&'a ComputeId>, StoreError> {
    let former = |change: &PassChange| Some((change.id.clone(), change.previous_id.clone()?));
    let former: BTreeMap<String, String> = changes.iter().filter_map(former).collect();
    let mut hidden = Vec::new();
    for id in publications.map(|publication| &publication.id) {
        if let Some(former) = former.get(id.as_str())
            && is_hidden_by_id(change, former).await?
        {
            hidden.push(id);
        }
    }
    Ok(hidden)
}

/// Whether computes that are not of this upstream have gone since the pass looked at what this hub has: it may have passed
/// over an entry for one of them.
async fn has_lost_others(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
) -> Result<bool, StoreError> {
    let gone = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM revisions WHERE number > ? AND entry IS NULL AND upstream IS NOT ?)",
    );
    Ok(gone.bind(pass.last_revision).bind(&pass.head.upstream).fetch_one(&mut **change).await?)
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

/// One line about a pass, with the ids it has made private. What it did to each compute is in `revisions`.
async fn tell(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
    changes: &[PassChange],
    hidden: &BTreeSet<&ComputeId>,
) -> Result<(), StoreError> {
    let of = |kind| -> Vec<&str> {
        changes.iter().filter(|change| change.kind == kind).map(|change| change.id.as_str()).collect()
    };
    let detail = serde_json::json!({
        "address": pass.head.address, "commit": pass.commit, "document_sha256": pass.document.sha256,
        "entries": pass.entries, "mirrored": pass.computes.len(), "faults": pass.faults.len(),
        "changes": changes.len(), "removed": of(ChangeKind::Vanished), "private": hidden,
    });
    let subject = pass.head.upstream.clone();
    note(change, &pass.head.actor, Change { action: "mirror.pass", subject, detail }).await
}
