//! The upstreams: what is known of each, when it is due, and how much may still be asked of it.

use std::collections::HashMap;

use phasic_hub_api::Sha256;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::super::audit::append;
use super::super::computes::record;
use super::super::{Actor, Change, Origin, Store, StoreError};
use crate::config::Trust;

/// An upstream as the settings, or the words of a command, name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamIdentity {
    /// Its name.
    pub name: String,
    /// Where it is read.
    pub address: String,
    /// How far it is trusted, as a word of the settings.
    pub trust: &'static str,
    /// Who wins an id: the lowest.
    pub place: i64,
}

/// What is known of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamRow {
    /// Its name.
    pub name: String,
    /// Where it was read last.
    pub address: String,
    /// How far it is trusted.
    pub trust: String,
    /// Who wins an id: the lowest.
    pub place: i64,
    /// The commit that is mirrored.
    pub commit: Option<String>,
    /// Digest of the document that is mirrored.
    pub document: Option<Sha256>,
    /// What to send to learn whether it has changed.
    pub validators: Validators,
    /// Whether the document is to be read again, although it may not have changed.
    pub must_read: bool,
    /// Whether files that are here are to be judged anew, because the trust was lowered.
    pub must_verify: bool,
    /// When its document was last compared with what is mirrored, UTC.
    pub checked_at: Option<String>,
    /// Seconds since then.
    pub lag_seconds: Option<f64>,
    /// Passes that have failed since.
    pub failures_in_a_row: i64,
    /// When the next pass is due, UTC.
    pub next_run_at: Option<String>,
    /// Seconds until then; negative when it is over. `None`: at once.
    pub due_seconds: Option<f64>,
    /// Seconds for which it wants to be left alone; negative when they are over.
    pub wait_seconds: Option<f64>,
    /// Requests that were left at some time, and the seconds since.
    pub budget: Option<(f64, f64)>,
    /// Computes that are mirrored from it.
    pub computes: i64,
    /// Lines in quarantine nobody has decided upon, without alarms.
    pub quarantined: i64,
    /// Alarms nobody has decided upon.
    pub alarms: i64,
    /// What the document that is mirrored names and could not be had so far.
    pub unfetched: i64,
}

/// What a server has said about a document, for the question whether it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its entity tag.
    pub etag: Option<String>,
    /// When it was changed last.
    pub last_modified: Option<String>,
}

/// Requests that may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// As many as this.
    pub requests: u32,
    /// When there is none, seconds until there are so many that a pass gets further than to the document: a quarter of
    /// what an hour allows.
    pub wait_seconds: f64,
}

/// When a pass over an upstream is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// The upstream.
    pub upstream: String,
    /// In how many seconds; `None` is at once.
    pub seconds: Option<f64>,
    /// Seconds for which it wants to be left alone, as far as it has ever wanted that; negative when they are over.
    pub wait_seconds: Option<f64>,
}

/// How many requests are waited for at least once there is none: what a pass asks for before any file, and some files.
const WORTHWHILE: u32 = 4;

/// When a pass is due that should be run at once: when the upstream has been left alone for as long as it wants to be. Nobody
/// is left alone for more than a day; a later moment is that of a clock that has been set back since.
pub(super) const AT_ONCE: &str = "iif(wait_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
     AND wait_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 day', '+1 second'), wait_until, NULL)";

/// Of a fault `f` of a pass: it left something out that is to be had with luck, and not for what it is.
const UNFETCHED: &str = "f.code IN ('fetch_failed', 'deferred')";

/// The faults `f` of the last pass over an upstream `u` that has read its document.
const LAST_FAULTS: &str = "FROM pass_faults f WHERE f.pass = \
     (SELECT max(number) FROM passes p WHERE p.upstream = u.name AND p.outcome = 'done')";

const UPSTREAMS: &str = "SELECT name, address, trust, place, commit_id, document_sha256, etag, last_modified, \
     must_read, must_verify, checked_at, (julianday('now') - julianday(checked_at)) * 86400.0 AS lag_seconds, failures_in_a_row, \
     next_run_at, (julianday(next_run_at) - julianday('now')) * 86400.0 AS due_seconds, \
     (julianday(wait_until) - julianday('now')) * 86400.0 AS wait_seconds, budget_left, \
     (julianday('now') - julianday(budget_at)) * 86400.0 AS budget_age, \
     (SELECT count(*) FROM computes c WHERE c.upstream = u.name) AS computes, \
     (SELECT count(*) FROM quarantine q WHERE q.upstream = u.name AND q.decision IS NULL \
      AND q.code NOT IN ('bytes_changed', 'mass_deletion')) AS quarantined, \
     (SELECT count(*) FROM quarantine q WHERE q.upstream = u.name AND q.decision IS NULL \
      AND q.code IN ('bytes_changed', 'mass_deletion')) AS alarms";

fn all_upstreams() -> String {
    format!("{UPSTREAMS}, (SELECT count(*) {LAST_FAULTS} AND {UNFETCHED}) AS unfetched FROM upstreams u")
}

/// What of an upstream is for everybody to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicCounts {
    /// Computes that are mirrored.
    pub computes: u64,
    /// Lines in quarantine nobody has decided upon, without alarms.
    pub quarantined: u64,
    /// Alarms nobody has decided upon.
    pub alarms: u64,
    /// What the document that is mirrored names and could not be had so far.
    pub unfetched: u64,
}

const PUBLIC_COUNTS: &str = concat!(
    "WITH open AS (SELECT upstream, code IN ('bytes_changed', 'mass_deletion') AS is_alarm \
     FROM quarantine WHERE decision IS NULL AND NOT private AND NOT ",
    is_private!("entry"),
    ") \
     SELECT name, (SELECT count(*) FROM computes c WHERE c.upstream = u.name \
     AND NOT ",
    is_private!("c.id"),
    ") AS computes, \
     (SELECT count(*) FROM open WHERE upstream = u.name AND NOT is_alarm) AS quarantined, \
     (SELECT count(*) FROM open WHERE upstream = u.name AND is_alarm) AS alarms"
);

impl Store {
    /// All upstreams, those to be believed first at the front.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn upstreams(&self) -> Result<Vec<UpstreamRow>, StoreError> {
        let sql = format!("{} ORDER BY place, name", all_upstreams());
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.readers).await?;
        rows.iter().map(upstream_row).collect()
    }

    /// What of each upstream is for everybody to know: computes, lines in quarantine, alarms and what could not be
    /// had, without what is private here, or is private upstream and was not mirrored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn public_counts(&self) -> Result<HashMap<String, PublicCounts>, StoreError> {
        const HIDDEN: &str = is_private!("f.entry");
        let sql = format!(
            "{PUBLIC_COUNTS}, (SELECT count(*) {LAST_FAULTS} AND {UNFETCHED} AND NOT f.private \
             AND NOT {HIDDEN}) AS unfetched FROM upstreams u"
        );
        // It holds the ids of all computes against all patterns of private ones.
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.counters).await?;
        let count = |row: &SqliteRow, column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
        let counts = |row: &SqliteRow| {
            let counts = PublicCounts {
                computes: count(row, "computes")?,
                quarantined: count(row, "quarantined")?,
                alarms: count(row, "alarms")?,
                unfetched: count(row, "unfetched")?,
            };
            Ok((row.try_get("name")?, counts))
        };
        rows.iter().map(counts).collect()
    }

    /// What all upstreams are called, as they were named last.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn upstream_identities(&self) -> Result<Vec<UpstreamIdentity>, StoreError> {
        let rows =
            sqlx::query("SELECT name, address, trust, place FROM upstreams").fetch_all(&self.readers).await?;
        let identity = |row: &SqliteRow| {
            let (name, trust): (String, String) = (row.try_get("name")?, row.try_get("trust")?);
            let unreadable = || StoreError::Row {
                place: format!("upstreams, name {name:?}"),
                reason: format!("trust {trust:?}"),
            };
            let trust = Trust::read(&trust).ok_or_else(unreadable)?.as_str();
            Ok(UpstreamIdentity {
                address: row.try_get("address")?,
                place: row.try_get("place")?,
                name,
                trust,
            })
        };
        rows.iter().map(identity).collect()
    }

    /// When a pass over each upstream is due. Cheap.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due(&self) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, (julianday(next_run_at) - julianday('now')) * 86400.0 AS due, \
             (julianday(wait_until) - julianday('now')) * 86400.0 AS wait FROM upstreams ORDER BY place, name",
        )
        .fetch_all(&self.readers)
        .await?;
        let due = |row: &SqliteRow| {
            let (upstream, seconds) = (row.try_get("name")?, row.try_get("due")?);
            Ok(Due { upstream, seconds, wait_seconds: row.try_get("wait")? })
        };
        rows.iter().map(due).collect()
    }

    /// The upstream of a name.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn upstream(&self, name: &str) -> Result<Option<UpstreamRow>, StoreError> {
        let sql = format!("{} WHERE name = ?", all_upstreams());
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).fetch_optional(&self.readers).await?;
        row.as_ref().map(upstream_row).transpose()
    }

    /// Takes note of an upstream as it is named now. Where that is not as before, its document is to be read again at
    /// once; at another address also what the former one said about its document is forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn name_upstream(&self, upstream: &UpstreamIdentity) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let sql = format!(
            "INSERT INTO upstreams (name, address, trust, place) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name) DO UPDATE SET must_read = 1, next_run_at = iif(address = ?2, {AT_ONCE}, NULL), \
             wait_until = iif(address = ?2, wait_until, NULL), \
             must_verify = max(must_verify, trust <> ?3 AND ?3 = 'verified-only'), \
             etag = iif(address = ?2, etag, NULL), last_modified = iif(address = ?2, last_modified, NULL), \
             address = ?2, trust = ?3, place = ?4 \
             WHERE address <> ?2 OR trust <> ?3 OR place <> ?4",
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&upstream.name)
            .bind(&upstream.address)
            .bind(upstream.trust)
            .bind(upstream.place)
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Forgets an upstream with all that was mirrored from it. Says how many computes that were; `None` when there is
    /// no such upstream.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn drop_upstream(&self, name: &str, actor: &Actor) -> Result<Option<usize>, StoreError> {
        let mut change = self.begin().await?;
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM computes WHERE upstream = ? ORDER BY id")
            .bind(name)
            .fetch_all(&mut *change)
            .await?;
        remove(&mut change, &ids, name).await?;
        let gone =
            sqlx::query("DELETE FROM upstreams WHERE name = ?").bind(name).execute(&mut *change).await?;
        if gone.rows_affected() == 0 {
            return Ok(None);
        }
        let detail = serde_json::json!({"removed": ids});
        append(&mut change, actor, Change { action: "mirror.drop", subject: name.to_owned(), detail })
            .await?;
        change.commit().await?;
        Ok(Some(ids.len()))
    }

    /// Takes note that an upstream wants to be left alone for so many seconds: its next pass by itself comes no sooner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_to_wait(&self, name: &str, seconds: f64) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query(
            "UPDATE upstreams SET wait_until = moment, next_run_at = iif(next_run_at < moment, moment, next_run_at) \
             FROM (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ?2)) AS moment) WHERE name = ?1",
        )
        .bind(name)
        .bind(seconds)
        .execute(&mut *change)
        .await?;
        Ok(change.commit().await?)
    }

    /// Takes up to `wanted` requests out of what an upstream may still be asked. What is left grows by `per_hour` in an
    /// hour, and never beyond it; it is written down before a request is sent, so that no restart gives it back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn spend(&self, name: &str, wanted: u32, per_hour: u32) -> Result<Allowance, StoreError> {
        let mut change = self.begin().await?;
        let most = f64::from(per_hour);
        let left: f64 = sqlx::query_scalar(
            "SELECT min(?2, coalesce(budget_left + max(0.0, julianday('now') - julianday(budget_at)) * 24.0 * ?2, ?2)) \
             FROM upstreams WHERE name = ?1",
        )
        .bind(name)
        .bind(most)
        .fetch_one(&mut *change)
        .await?;
        // A little less than one is one: times are in milliseconds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
        let requests = ((left + 1e-3).floor().max(0.0) as u32).min(wanted);
        sqlx::query(
            "UPDATE upstreams SET budget_left = ?2, budget_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE name = ?1",
        )
        .bind(name)
        .bind((left - f64::from(requests)).max(0.0))
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        let worthwhile = (per_hour / 4).max(WORTHWHILE).min(per_hour);
        let wait_seconds =
            if requests > 0 { 0.0 } else { (f64::from(worthwhile) - left).max(0.0) * 3600.0 / most };
        Ok(Allowance { requests, wait_seconds })
    }

    /// Gives requests back that were not sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back(&self, name: &str, requests: u32) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("UPDATE upstreams SET budget_left = budget_left + ? WHERE name = ?")
            .bind(f64::from(requests))
            .bind(name)
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }
}

/// Removes computes, and has all other upstreams read again: one of them may offer what was hidden so far.
pub(super) async fn remove(
    change: &mut Transaction<'static, Sqlite>,
    ids: &[String],
    upstream: &str,
) -> Result<(), StoreError> {
    for id in ids {
        sqlx::query("DELETE FROM computes WHERE id = ?").bind(id).execute(&mut **change).await?;
        record(change, id, Origin::Mirror, Some(upstream), None).await?;
    }
    if !ids.is_empty() {
        read_again(change, Some(upstream)).await?;
    }
    Ok(())
}

/// Has all upstreams but one read again: at once, or when those that want to be left alone have been.
pub(in crate::store) async fn read_again(
    change: &mut Transaction<'static, Sqlite>,
    but: Option<&str>,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE upstreams SET must_read = 1, next_run_at = {AT_ONCE} WHERE name IS NOT ?");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(but).execute(&mut **change).await?;
    Ok(())
}

/// Has one upstream read again, likewise.
pub(super) async fn read_one_again(
    change: &mut Transaction<'static, Sqlite>,
    name: &str,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE upstreams SET must_read = 1, next_run_at = {AT_ONCE} WHERE name = ?");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).execute(&mut **change).await?;
    Ok(())
}

fn upstream_row(row: &SqliteRow) -> Result<UpstreamRow, StoreError> {
    let document: Option<&[u8]> = row.try_get("document_sha256")?;
    let document = document.map(|_| super::super::computes::digest(row, "document_sha256", "upstreams"));
    let left: Option<f64> = row.try_get("budget_left")?;
    let age: Option<f64> = row.try_get("budget_age")?;
    let lag: Option<f64> = row.try_get("lag_seconds")?;
    Ok(UpstreamRow {
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        trust: row.try_get("trust")?,
        place: row.try_get("place")?,
        commit: row.try_get("commit_id")?,
        document: document.transpose()?.map(Sha256::from),
        validators: Validators { etag: row.try_get("etag")?, last_modified: row.try_get("last_modified")? },
        must_read: row.try_get("must_read")?,
        must_verify: row.try_get("must_verify")?,
        checked_at: row.try_get("checked_at")?,
        // A clock that was set back makes nothing younger than now.
        lag_seconds: lag.map(|lag| lag.max(0.0)),
        failures_in_a_row: row.try_get("failures_in_a_row")?,
        next_run_at: row.try_get("next_run_at")?,
        due_seconds: row.try_get("due_seconds")?,
        wait_seconds: row.try_get("wait_seconds")?,
        budget: left.zip(age),
        computes: row.try_get("computes")?,
        quarantined: row.try_get("quarantined")?,
        alarms: row.try_get("alarms")?,
        unfetched: row.try_get("unfetched")?,
    })
}
