//! The quarantine: what was refused or is suspicious, and what was decided about it.
//!
//! A decision is about bytes, named by a digest, and holds for them and no others.

use phasic_hub_api::Sha256;
use phasic_hub_api::mirror::{QuarantineDecision, QuarantineItem};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::super::audit::append;
use super::super::computes::digest;
use super::super::{Actor, Change, Store, StoreError};
use super::PassRecord;
use super::upstreams::{read_one_again, remove};

/// Something to be quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry; empty for the document.
    pub entry: String,
    /// The artifact; empty for the entry.
    pub artifact: String,
    /// What it is about.
    pub sha256: Sha256,
    /// The kind.
    pub code: &'static str,
    /// A sentence.
    pub reason: String,
}

/// Codes of what was taken, or could be, and somebody should look at.
const ALARMS: [&str; 2] = ["bytes_changed", "mass_deletion"];

/// Codes of what can be accepted: nothing is wrong with the bytes.
const ACCEPTABLE: [&str; 3] = ["unverified", "bytes_changed", "mass_deletion"];

/// The former contents of names of a compute, `?1`, that may be forms of the bytes `?2`: of versions that did not note what
/// they had converted a file from. The compute's entries say that `?2` was published for the name; it was never served as it
/// was, and the content was published by none of them. Which of several such contents it is cannot be told any more, so all
/// of them go: an address that ends is less than a rejected file that is served.
const FORMS_OF_UNKNOWN: &str = "WITH published AS ( \
     SELECT 'parent' AS role, unhex(entry ->> '$.graph_hash') AS graph_hash, \
     unhex(entry ->> '$.artifacts.parent.sha256') AS sha256 \
     FROM revisions WHERE compute_id = ?1 AND entry IS NOT NULL \
     UNION SELECT 'scc', unhex(scc.value ->> '$.scc_hash'), unhex(scc.value ->> '$.sha256') \
     FROM revisions, json_each(entry, '$.artifacts.scc') AS scc WHERE compute_id = ?1 AND entry IS NOT NULL) \
     SELECT v.sha256 FROM version_computes v JOIN published p ON p.role = v.role AND p.graph_hash = v.graph_hash \
     WHERE v.compute_id = ?1 AND p.sha256 = ?2 \
     AND NOT EXISTS (SELECT 1 FROM version_originals o WHERE o.role = v.role AND o.graph_hash = v.graph_hash \
     AND o.compute_id = ?1 AND (o.sha256 = v.sha256 OR o.original_sha256 = ?2)) \
     AND NOT EXISTS (SELECT 1 FROM version_computes o WHERE o.role = v.role AND o.graph_hash = v.graph_hash \
     AND o.compute_id = ?1 AND o.sha256 = ?2) \
     AND NOT EXISTS (SELECT 1 FROM published q WHERE q.role = v.role AND q.graph_hash = v.graph_hash \
     AND q.sha256 = v.sha256)";

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It holds. The line as it is now; as it was, when it was forgotten.
    Done(Box<QuarantineItem>),
    /// There is no such line.
    Unknown,
    /// These bytes are not what their entry says: nobody can vouch for them.
    Impossible(Box<QuarantineItem>),
}

const LINES: &str = "SELECT number, upstream, entry, artifact, sha256, code, reason, found_at, decision, decided_at, \
     decided_by FROM quarantine";

impl Store {
    /// Lines behind the one of a number, in the order in which they were found: those nobody has decided upon, or all.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn quarantine(
        &self,
        after: i64,
        limit: i64,
        all: bool,
    ) -> Result<Vec<QuarantineItem>, StoreError> {
        let sql = format!("{LINES} WHERE number > ? AND (? OR decision IS NULL) ORDER BY number LIMIT ?");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after)
            .bind(all)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(item).collect()
    }

    /// All lines of an upstream that were decided upon.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn decisions(&self, upstream: &str) -> Result<Vec<QuarantineItem>, StoreError> {
        let sql = format!("{LINES} WHERE upstream = ? AND decision IS NOT NULL ORDER BY number");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(upstream).fetch_all(&self.readers).await?;
        rows.iter().map(item).collect()
    }

    /// Decides about a line. What is rejected and served is withdrawn in the same transaction; in any case the upstream
    /// is read again at once, or when it has been left alone for as long as it wants to be.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn decide(
        &self,
        number: i64,
        decision: QuarantineDecision,
        actor: &Actor,
    ) -> Result<Decided, StoreError> {
        let mut change = self.begin().await?;
        let Some(line) = line(&mut change, number).await? else { return Ok(Decided::Unknown) };
        if decision == QuarantineDecision::Accept && !line.can_accept {
            return Ok(Decided::Impossible(Box::new(line)));
        }
        if decision == QuarantineDecision::Forget {
            sqlx::query("DELETE FROM quarantine WHERE number = ?").bind(number).execute(&mut *change).await?;
        } else {
            sqlx::query(
                "UPDATE quarantine SET decision = ?, decided_by = ?, \
                 decided_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE number = ?",
            )
            .bind(decision.as_str())
            .bind(actor.text())
            .bind(number)
            .execute(&mut *change)
            .await?;
        }
        let withdrawn = match decision {
            QuarantineDecision::Reject => withdraw(&mut change, &line).await?,
            _ => Vec::new(),
        };
        read_one_again(&mut change, &line.upstream).await?;
        let subject = format!("{} {}", line.upstream, line.entry.as_deref().unwrap_or("registry.json"));
        let detail = serde_json::json!({
            "decision": decision, "number": number, "artifact": line.artifact, "sha256": line.sha256,
            "code": line.code, "withdrawn": withdrawn,
        });
        append(&mut change, actor, Change { action: "mirror.decide", subject, detail }).await?;
        let now = if decision == QuarantineDecision::Forget {
            line
        } else {
            self::line(&mut change, number).await?.unwrap_or(line)
        };
        change.commit().await?;
        Ok(Decided::Done(Box::new(now)))
    }
}

/// What has been decided about lines of an upstream, by their numbers.
pub(super) async fn decided(
    change: &mut Transaction<'static, Sqlite>,
    upstream: &str,
) -> Result<Vec<(i64, QuarantineDecision)>, StoreError> {
    let sql = format!("{LINES} WHERE upstream = ? AND decision IS NOT NULL ORDER BY number");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(upstream).fetch_all(&mut **change).await?;
    let items = rows.iter().map(item).collect::<Result<Vec<_>, _>>()?;
    Ok(items.iter().filter_map(|line| Some((line.number, line.decision?))).collect())
}

/// Removes the compute of a line, if these bytes are those it has, and the addresses of the bytes in every form.
async fn withdraw(
    change: &mut Transaction<'static, Sqlite>,
    line: &QuarantineItem,
) -> Result<Vec<String>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT c.id FROM computes c JOIN compute_artifacts a ON a.compute_id = c.id \
         WHERE c.upstream = ?1 AND c.id = ?2 AND a.original_sha256 = ?3",
    )
    .bind(&line.upstream)
    .bind(line.entry.as_deref().unwrap_or_default())
    .bind(&line.sha256.as_bytes()[..])
    .fetch_all(&mut **change)
    .await?;
    let entry = line.entry.as_deref().unwrap_or_default();
    let bytes = &line.sha256.as_bytes()[..];
    let served: Vec<Vec<u8>> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT served_sha256 FROM compute_artifacts WHERE compute_id = ?1 AND original_sha256 = ?2 \
         UNION SELECT sha256 FROM version_originals WHERE compute_id = ?1 AND original_sha256 = ?2 UNION SELECT ?2 \
         UNION SELECT sha256 FROM ({FORMS_OF_UNKNOWN})",
    )))
    .bind(entry)
    .bind(bytes)
    .fetch_all(&mut **change)
    .await?;
    remove(change, &ids, &line.upstream).await?;
    sqlx::query("DELETE FROM version_originals WHERE compute_id = ?1 AND original_sha256 = ?2")
        .bind(entry)
        .bind(bytes)
        .execute(&mut **change)
        .await?;
    for file in served {
        // Addresses stay good for ever, but not for what is rejected; unless the file is another compute's as well, or a
        // form of other bytes.
        sqlx::query(
            "DELETE FROM version_computes WHERE compute_id = ?1 AND sha256 = ?2 AND NOT EXISTS \
             (SELECT 1 FROM compute_artifacts WHERE compute_id = ?1 AND served_sha256 = ?2) AND (sha256 = ?3 \
             OR NOT EXISTS (SELECT 1 FROM version_originals o WHERE o.compute_id = ?1 AND o.sha256 = ?2))",
        )
        .bind(entry)
        .bind(&file)
        .bind(bytes)
        .execute(&mut **change)
        .await?;
        sqlx::query(
            "DELETE FROM artifact_versions WHERE sha256 = ?1 AND NOT EXISTS \
             (SELECT 1 FROM version_computes v WHERE v.sha256 = ?1) AND NOT EXISTS \
             (SELECT 1 FROM compute_artifacts a WHERE a.served_sha256 = ?1)",
        )
        .bind(&file)
        .execute(&mut **change)
        .await?;
    }
    Ok(ids)
}

async fn line(
    change: &mut Transaction<'static, Sqlite>,
    number: i64,
) -> Result<Option<QuarantineItem>, StoreError> {
    let sql = format!("{LINES} WHERE number = ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(number).fetch_optional(&mut **change).await?;
    row.as_ref().map(item).transpose()
}

/// Makes the quarantine of an upstream what a pass has found: new lines are added, and lines go that it has not found
/// again. Alarms nobody has looked at stay, and so do decisions: what a pass did not come across, be it for a failed
/// request or because upstream has taken it away for a while, may be offered again by the next. Only what was said about
/// a document that would remove much ends with that document.
pub(super) async fn settle(
    change: &mut Transaction<'static, Sqlite>,
    pass: &PassRecord,
) -> Result<(), StoreError> {
    let upstream = pass.head.upstream.as_str();
    let mut seen = Vec::with_capacity(pass.findings.len());
    for finding in &pass.findings {
        let is_hidden = pass.hidden.contains(&finding.entry);
        seen.push(put(change, upstream, finding, is_hidden).await?);
    }
    sqlx::query(
        "DELETE FROM quarantine WHERE upstream = ?1 AND number NOT IN (SELECT value FROM json_each(?2)) \
         AND iif(decision IS NULL, code <> 'bytes_changed', code = 'mass_deletion' AND sha256 <> ?3)",
    )
    .bind(upstream)
    .bind(serde_json::json!(seen).to_string())
    .bind(&pass.document.sha256.as_bytes()[..])
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Adds a line, or says anew the reason of one that is there, and whether it is not for everybody. Gives its number.
pub(super) async fn put(
    change: &mut Transaction<'static, Sqlite>,
    upstream: &str,
    finding: &Finding,
    is_hidden: bool,
) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar(
        "INSERT INTO quarantine (upstream, entry, artifact, sha256, code, reason, private) VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (upstream, entry, artifact, sha256, code) DO UPDATE SET reason = excluded.reason, \
         private = excluded.private RETURNING number",
    )
    .bind(upstream)
    .bind(&finding.entry)
    .bind(&finding.artifact)
    .bind(&finding.sha256.as_bytes()[..])
    .bind(finding.code)
    .bind(&finding.reason)
    .bind(is_hidden)
    .fetch_one(&mut **change)
    .await?;
    Ok(number)
}

fn item(row: &SqliteRow) -> Result<QuarantineItem, StoreError> {
    let number: i64 = row.try_get("number")?;
    let place = format!("quarantine, number {number}");
    let text = |column: &str| -> Result<Option<String>, sqlx::Error> {
        Ok(Some(row.try_get::<String, _>(column)?).filter(|text| !text.is_empty()))
    };
    let decision: Option<String> = row.try_get("decision")?;
    let decision = decision.map(|word| word.parse()).transpose();
    let code: String = row.try_get("code")?;
    Ok(QuarantineItem {
        number,
        upstream: row.try_get("upstream")?,
        entry: text("entry")?,
        artifact: text("artifact")?,
        sha256: Sha256::from(digest(row, "sha256", &place)?),
        alarm: ALARMS.contains(&code.as_str()),
        can_accept: ACCEPTABLE.contains(&code.as_str()),
        code,
        reason: row.try_get("reason")?,
        found_at: row.try_get("found_at")?,
        decision: decision.map_err(|reason| StoreError::Row { place, reason })?,
        decided_at: row.try_get("decided_at")?,
        decided_by: row.try_get("decided_by")?,
    })
}
