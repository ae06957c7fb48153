//! The record of passes, for those who look at it.

use std::collections::BTreeSet;

use phasic_hub_api::mirror::{ChangeKind, MirrorPass, MirrorPassDetail, PassChange, PassFault, PassOutcome};
use phasic_hub_api::{GraphHash, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};

use super::super::computes::{compute_row, digest};
use super::super::{ComputeRow, Store, StoreError};
use crate::visibility::Viewer;

/// Entries that are looked at when bytes of before are missing.
const MOST_FORMER: i64 = 64;

const PASSES: &str = concat!(
    "SELECT number, upstream, address, outcome, actor, started_at, finished_at, requests, commit_id, \
     document_sha256, entries, mirrored, error_code, error, \
     (SELECT count(*) FROM pass_faults f WHERE f.pass = p.number \
     AND (?1 OR NOT (f.private OR ",
    is_private!("f.entry"),
    "))) AS fault_count, \
     (SELECT count(*) FROM pass_changes c WHERE c.pass = p.number \
     AND (?1 OR NOT ",
    is_private!("c.compute_id"),
    ")) AS change_count \
     FROM passes p"
);

impl Store {
    /// Passes, the latest first, before the one of a number; of one upstream, if it is named. Who does not see all is told
    /// only what everybody may know: whatever counts private computes with the others is left out.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn passes(
        &self,
        upstream: Option<&str>,
        before: Option<i64>,
        limit: u32,
        viewer: &Viewer,
    ) -> Result<Vec<MirrorPass>, StoreError> {
        // It counts all that these passes have left out or changed.
        passes(&self.listers, upstream, before, limit, viewer).await
    }

    /// The last pass over an upstream, told likewise.
    ///
    /// # Errors
    /// As [`passes`](Self::passes).
    pub async fn last_pass(&self, upstream: &str, viewer: &Viewer) -> Result<Option<MirrorPass>, StoreError> {
        Ok(passes(&self.counters, Some(upstream), None, 1, viewer).await?.pop())
    }

    /// The entries an upstream has had for these graphs, now or formerly, each with the commit it was read at, where there
    /// was one. The latest first, and no more than [`MOST_FORMER`].
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn former_parents(
        &self,
        upstream: &str,
        hashes: &BTreeSet<GraphHash>,
    ) -> Result<Vec<(ComputeRow, Option<String>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT compute_id AS id, 'mirror' AS origin, entry, upstream, commit_id FROM revisions \
             WHERE upstream = ?1 AND json_extract(entry, '$.graph_hash') IN (SELECT value FROM json_each(?2)) \
             ORDER BY number DESC LIMIT ?3",
        )
        .bind(upstream)
        .bind(serde_json::json!(hashes).to_string())
        .bind(MOST_FORMER)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((compute_row(row)?, row.try_get("commit_id")?))).collect()
    }

    /// The documents of an upstream that are kept, each with the commit that has it, where upstream has commits.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn documents(&self, upstream: &str) -> Result<Vec<(Sha256, Option<String>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT document_sha256, commit_id FROM passes WHERE upstream = ?1 AND document_sha256 IS NOT NULL \
             UNION SELECT document_sha256, commit_id FROM upstreams WHERE name = ?1 AND document_sha256 IS NOT NULL",
        )
        .bind(upstream)
        .fetch_all(&self.readers)
        .await?;
        let pair = |row: &SqliteRow| {
            Ok((digest(row, "document_sha256", "passes")?.into(), row.try_get("commit_id")?))
        };
        rows.iter().map(pair).collect()
    }

    /// Where the last pass that has read the document of an upstream was cut off: the first entry, and the file of it, that was
    /// left to a later one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cut_off(&self, upstream: &str) -> Result<Option<(String, Option<String>)>, StoreError> {
        let first = sqlx::query_as(
            "SELECT entry, artifact FROM pass_faults WHERE pass = \
             (SELECT max(number) FROM passes WHERE upstream = ? AND outcome = 'done') AND code = 'deferred' \
             ORDER BY place LIMIT 1",
        );
        Ok(first.bind(upstream).fetch_optional(&self.readers).await?)
    }

    /// A pass with what it left out and changed: all of it, or the first `most` of each.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn pass(&self, number: i64, most: Option<u32>) -> Result<Option<MirrorPassDetail>, StoreError> {
        let mut snapshot = self.readers.begin().await?;
        let sql = format!("{PASSES} WHERE number = ?2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(true).bind(number);
        let row = row.fetch_optional(&mut *snapshot).await?;
        let Some(row) = row else { return Ok(None) };
        // One more than asked for tells whether there is another page.
        let limit = most.map_or(-1, |most| i64::from(most) + 1);
        let mut faults = faults(&mut *snapshot, number, None, limit).await?;
        let mut changes = changes(&mut *snapshot, number, None, limit).await?;
        let (faults_next, changes_next) = (cut(&mut faults, most), cut(&mut changes, most));
        Ok(Some(MirrorPassDetail {
            pass: pass(&row)?,
            faults: faults.into_iter().map(|(_, fault)| fault).collect(),
            faults_next,
            changes: changes.into_iter().map(|(_, change)| change).collect(),
            changes_next,
        }))
    }

    /// Whether a pass is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_pass(&self, number: i64) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM passes WHERE number = ?)").bind(number);
        Ok(known.fetch_one(&self.readers).await?)
    }

    /// What a pass left out, behind a place, each with its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pass_faults(
        &self,
        number: i64,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(i64, PassFault)>, StoreError> {
        faults(&self.readers, number, after, limit).await
    }

    /// What a pass changed, behind a place, each with its own.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn pass_changes(
        &self,
        number: i64,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(i64, PassChange)>, StoreError> {
        changes(&self.readers, number, after, limit).await
    }
}

async fn passes(
    database: impl SqliteExecutor<'_>,
    upstream: Option<&str>,
    before: Option<i64>,
    limit: u32,
    viewer: &Viewer,
) -> Result<Vec<MirrorPass>, StoreError> {
    let sql = format!(
        "{PASSES} WHERE (?2 IS NULL OR upstream = ?2) AND (?3 IS NULL OR number < ?3) ORDER BY number DESC LIMIT ?4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(viewer.sees_all())
        .bind(upstream)
        .bind(before)
        .bind(limit)
        .fetch_all(database)
        .await?;
    let mut passes: Vec<_> = rows.iter().map(pass).collect::<Result<_, _>>()?;
    if !viewer.sees_all() {
        passes.iter_mut().for_each(keep_public);
    }
    Ok(passes)
}

/// Cuts a list to its first entries, and gives the place where the next ones begin.
fn cut<T>(list: &mut Vec<(i64, T)>, most: Option<u32>) -> Option<i64> {
    let most = most? as usize;
    let more = list.len() > most;
    list.truncate(most);
    list.last().filter(|_| more).map(|(place, _)| *place)
}

async fn faults(
    database: impl SqliteExecutor<'_>,
    number: i64,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, PassFault)>, StoreError> {
    let rows = sqlx::query(
        "SELECT place, entry, artifact, code, reason FROM pass_faults WHERE pass = ? AND place > ? ORDER BY place LIMIT ?",
    )
    .bind(number)
    .bind(after.unwrap_or(i64::MIN))
    .bind(limit)
    .fetch_all(database)
    .await?;
    let fault = |row: &SqliteRow| {
        let fault = PassFault {
            entry: row.try_get("entry")?,
            artifact: row.try_get("artifact")?,
            code: row.try_get("code")?,
            reason: row.try_get("reason")?,
        };
        Ok((row.try_get("place")?, fault))
    };
    rows.iter().map(fault).collect()
}

async fn changes(
    database: impl SqliteExecutor<'_>,
    number: i64,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, PassChange)>, StoreError> {
    let rows = sqlx::query(
        "SELECT place, kind, compute_id, previous_id FROM pass_changes WHERE pass = ? AND place > ? ORDER BY place LIMIT ?",
    )
    .bind(number)
    .bind(after.unwrap_or(i64::MIN))
    .bind(limit)
    .fetch_all(database)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("place")?, pass_change(row, number)?))).collect()
}

/// Leaves out the numbers of all computes together, that of the requests for their files, and sentences with such numbers or
/// with the words of a document, which may be ids.
fn keep_public(pass: &mut MirrorPass) {
    pass.entries = None;
    pass.mirrored = None;
    pass.requests = None;
    let said = match (pass.outcome, pass.error_code.as_deref()) {
        (PassOutcome::Held, _) => "upstream has lost too many entries; an administrator decides",
        (_, Some("registry_invalid")) => {
            "its document is no registry that can be used; administrators see why"
        }
        _ => return,
    };
    pass.error = pass.error.take().map(|_| said.to_owned());
}

fn pass_change(row: &SqliteRow, number: i64) -> Result<PassChange, StoreError> {
    let word: String = row.try_get("kind")?;
    let kind = ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    let unreadable = || StoreError::Row {
        place: format!("pass_changes, pass {number}"),
        reason: format!("kind {word:?}"),
    };
    Ok(PassChange {
        kind: kind.ok_or_else(unreadable)?,
        id: row.try_get("compute_id")?,
        previous_id: row.try_get("previous_id")?,
    })
}

fn pass(row: &SqliteRow) -> Result<MirrorPass, StoreError> {
    let number: i64 = row.try_get("number")?;
    let place = format!("passes, number {number}");
    let word: String = row.try_get("outcome")?;
    let outcome = PassOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    let unreadable = || StoreError::Row { place: place.clone(), reason: format!("outcome {word:?}") };
    let document: Option<&[u8]> = row.try_get("document_sha256")?;
    let document = document.map(|_| digest(row, "document_sha256", &place)).transpose()?;
    let count = |column: &str| -> Result<Option<u64>, sqlx::Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(i64::cast_unsigned))
    };
    Ok(MirrorPass {
        number,
        upstream: row.try_get("upstream")?,
        address: Some(row.try_get("address")?),
        outcome: outcome.ok_or_else(unreadable)?,
        actor: row.try_get("actor")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        requests: count("requests")?,
        commit: row.try_get("commit_id")?,
        document_sha256: document.map(Sha256::from),
        entries: count("entries")?,
        mirrored: count("mirrored")?,
        fault_count: count("fault_count")?.unwrap_or(0),
        change_count: count("change_count")?.unwrap_or(0),
        error_code: row.try_get("error_code")?,
        error: row.try_get("error")?,
    })
}
