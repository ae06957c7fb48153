//! The record of passes: how each ended, what it left out and changed, and when the next one is due.

use phasic_hub_api::Sha256;
use phasic_hub_api::mirror::{PassChange, PassOutcome};
use sqlx::{Sqlite, Transaction};

use super::upstreams::AT_ONCE;
use super::{Finding, PassHead, PassRecord, Validators, quarantine};
use crate::store::audit::note;
use crate::store::computes::put_blob;
use crate::store::{Actor, Change, Store, StoreError};

impl Store {
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

    /// Records that a pass has failed, or is held by a finding, and changes nothing else. That is a line of the audit log,
    /// too, unless the pass before has ended in the same way and nobody has asked for this one: an upstream that is away for
    /// a week is told of once.
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
        let is_news = !has_failed_before(&mut change, head, (outcome, code), held_by).await?;
        let number = insert_pass(&mut change, head, outcome, Some((code, error))).await?;
        if is_news || head.actor != Actor::Hub {
            let action = if held_by.is_some() { "mirror.hold" } else { "mirror.fail" };
            let detail = serde_json::json!({
                "pass": number, "address": head.address, "code": code, "error": error,
                "document_sha256": held_by.map(|finding| finding.sha256),
            });
            let told = Change { action, subject: head.upstream.clone(), detail };
            note(&mut change, &head.actor, told).await?;
        }
        if let Some(finding) = held_by {
            sqlx::query("DELETE FROM quarantine WHERE upstream = ? AND code = ? AND sha256 <> ?")
                .bind(&head.upstream)
                .bind(finding.code)
                .bind(&finding.sha256.as_bytes()[..])
                .execute(&mut *change)
                .await?;
            quarantine::put(&mut change, &head.upstream, finding, false).await?;
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

/// Whether the last pass has ended in the same way, and for the same finding where one holds it.
async fn has_failed_before(
    change: &mut Transaction<'static, Sqlite>,
    head: &PassHead,
    (outcome, code): (PassOutcome, &str),
    held_by: Option<&Finding>,
) -> Result<bool, StoreError> {
    let alike: Option<bool> = sqlx::query_scalar(
        "SELECT outcome = ?2 AND error_code IS ?3 AND (?4 IS NULL OR EXISTS (SELECT 1 FROM quarantine q \
         WHERE q.upstream = ?1 AND q.code = ?5 AND q.sha256 = ?4)) FROM passes WHERE upstream = ?1 \
         ORDER BY number DESC LIMIT 1",
    )
    .bind(&head.upstream)
    .bind(outcome.as_str())
    .bind(code)
    .bind(held_by.map(|finding| finding.sha256.as_bytes().to_vec()))
    .bind(held_by.map(|finding| finding.code))
    .fetch_optional(&mut **change)
    .await?;
    Ok(alike.unwrap_or(false))
}

/// Passes of an upstream that are kept.
const KEPT_PASSES: i64 = 200;

/// Records a pass, what it left out and what it changed, and makes its document that of the upstream.
pub(super) async fn record_pass(
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
            "INSERT INTO pass_faults (pass, place, entry, artifact, code, reason, private) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(number)
        .bind(place)
        .bind(&fault.entry)
        .bind(&fault.artifact)
        .bind(&fault.code)
        .bind(&fault.reason)
        .bind(pass.hidden.contains(&fault.entry))
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

/// Upstream was reached, and its document compared with what is mirrored, whether or not all files could be had: those a
/// publisher has lost may never come, and the faults of the pass tell of them.
async fn succeed(change: &mut Transaction<'static, Sqlite>, head: &PassHead) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE upstreams SET failures_in_a_row = 0, checked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
         WHERE name = ?",
    )
    .bind(&head.upstream)
    .execute(&mut **change)
    .await?;
    next_run(change, head).await
}

/// When the next pass is due: at once, if somebody has decided something while this one was under way; in any case not
/// before upstream has been left alone for as long as it has asked.
async fn next_run(change: &mut Transaction<'static, Sqlite>, head: &PassHead) -> Result<(), StoreError> {
    if let Some(seconds) = head.asked_seconds {
        sqlx::query(
            "UPDATE upstreams SET wait_until = \
             strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ?2)) WHERE name = ?1",
        )
        .bind(&head.upstream)
        .bind(seconds)
        .execute(&mut **change)
        .await?;
    }
    let sql = format!(
        "UPDATE upstreams SET next_run_at = \
         iif(EXISTS (SELECT 1 FROM quarantine WHERE upstream = ?1 AND decided_at >= ?3), {AT_ONCE}, \
         max(strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ?2)), coalesce({AT_ONCE}, ''))) \
         WHERE name = ?1",
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&head.upstream)
        .bind(head.next_seconds)
        .bind(&head.started_at)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Forgets old passes, and never the last that has read the document: it tells what could not be had. What they did stays in
/// `revisions` and in the audit log.
async fn prune(change: &mut Transaction<'static, Sqlite>, upstream: &str) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM passes WHERE upstream = ?1 AND number <= \
         (SELECT number FROM passes WHERE upstream = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) \
         AND number IS NOT (SELECT max(number) FROM passes WHERE upstream = ?1 AND outcome = 'done')",
    )
    .bind(upstream)
    .bind(KEPT_PASSES)
    .execute(&mut **change)
    .await?;
    Ok(())
}
