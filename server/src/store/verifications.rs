//! What was found when files were held against programs made anew, and what is still to be compared.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{ComputeId, EdgeOrderDigest, GraphHash, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::audit::append;
use super::computes::digest;
use super::graphs::{GRAPH_SEEN, blob};
use super::privacy::{EVERYBODYS, own};
use super::{Actor, Change, Snapshot, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::Viewer;

/// A file that is to be compared with the graphs of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationWork {
    /// The content hash it is served for.
    pub graph_hash: GraphHash,
    /// The file.
    pub blob: StoredBlob,
    /// Whether everybody may have the file, so that what is found of it must come from what everybody may know.
    pub is_public: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationRow {
    /// The content hash the file is served for.
    pub graph_hash: GraphHash,
    /// The file.
    pub sha256: Sha256,
    /// The verdict: never pending or unknown.
    pub verdict: Verdict,
    /// The order of edges it is right for.
    pub edge_order_digest: Option<EdgeOrderDigest>,
    /// The definition it was found right for, if that was submitted.
    pub definition: Option<Sha256>,
    /// What is different.
    pub difference: Option<String>,
    /// The engine that made the program anew.
    pub engine: String,
    /// Under which limits, in a text that is equal where they are.
    pub limits: String,
    /// How many submitted definitions of the hash there were: for a file everybody may have, those for everybody.
    pub definitions: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// When it was done; written by the store.
    pub checked_at: String,
    /// Whether somebody wants it done again.
    pub is_asked: bool,
    /// Whether it is not compared again because of another definition: its comparison has ended each process that did it.
    pub is_given_up: bool,
}

/// Every file of every hash that `known_hashes` lists: published and served files of computes, and results of jobs.
/// With it, whether everybody may have it.
const FILES: &str = concat!(
    "SELECT graph_hash, sha256, max(is_public) AS is_public FROM ( \
     SELECT graph_hash, original_sha256 AS sha256, NOT ",
    is_private!("compute_id"),
    " AS is_public FROM compute_artifacts WHERE graph_hash IN known_hashes \
     UNION SELECT graph_hash, served_sha256, NOT ",
    is_private!("compute_id"),
    " FROM compute_artifacts WHERE graph_hash IN known_hashes \
     UNION SELECT g.graph_hash, e.sha256, e.audience = '' FROM eliminations e \
     JOIN graphs g ON g.definition = e.definition) GROUP BY graph_hash, sha256"
);

/// How many submitted definitions a file `f` is to be held against: nothing private has a say about what is public.
const DEFINITIONS: &str = "(SELECT count(*) FROM graphs g WHERE g.graph_hash = f.graph_hash AND (NOT f.is_public OR \
     EXISTS (SELECT 1 FROM graph_audiences a WHERE a.definition = g.definition AND a.audience = '')))";

const ROWS: &str = "SELECT graph_hash, sha256, verdict, edge_order_digest, definition, difference, engine, \
     coalesce(limits, '') AS limits, definitions, duration_ms, checked_at, asked_at IS NOT NULL AS is_asked, \
     is_given_up FROM verifications";

/// The hashes of the files of a compute, `?1`.
const HASHES_OF: &str = "SELECT graph_hash FROM compute_artifacts WHERE compute_id = ?1";

/// A row that may say nothing about today: `?1` is the engine, `v` the row. Of those that failed, the count of
/// definitions decides, or the limits.
const STALE: &str = "(v.verdict IS NULL OR v.asked_at IS NOT NULL OR v.engine <> ?1 OR v.verdict IN ('mismatch', \
     'too_large') OR v.is_given_up)";

impl Store {
    /// Files whose graph is known (it was submitted, or is one of `built_in`) and that were not compared yet by this
    /// engine, or are to be again: files that were too large or were given up are, once the `limits` are others. Those somebody asks
    /// for come first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn verification_work(
        &self,
        engine: &str,
        limits: &str,
        built_in: &[GraphHash],
    ) -> Result<Vec<VerificationWork>, StoreError> {
        let own: Vec<_> = built_in.iter().map(|hash| format!("(x'{hash}')")).collect();
        let own = if own.is_empty() { String::new() } else { format!("UNION VALUES {}", own.join(", ")) };
        let sql = format!(
            // Few of a hundred thousand files have a graph that is known, and those are looked up by an index.
            "WITH known_hashes AS (SELECT graph_hash FROM graphs {own}) \
             SELECT graph_hash, sha256, size_bytes, is_public FROM ( \
             SELECT f.*, b.size_bytes, v.verdict, v.asked_at, v.engine, v.limits, v.definitions, v.is_given_up, {DEFINITIONS} AS known \
             FROM ({FILES}) f JOIN blobs b ON b.sha256 = f.sha256 \
             LEFT JOIN verifications v ON v.graph_hash = f.graph_hash AND v.sha256 = f.sha256 WHERE {STALE}) \
             WHERE (verdict IS NULL OR asked_at IS NOT NULL OR engine <> ?1 OR definitions <> known AND NOT is_given_up \
             OR (verdict = 'too_large' OR is_given_up) AND limits IS NOT ?3) \
             AND (known > 0 OR lower(hex(graph_hash)) IN (SELECT value FROM json_each(?2))) \
             ORDER BY asked_at IS NULL, asked_at, graph_hash, sha256"
        );
        let built_in: Vec<String> = built_in.iter().map(ToString::to_string).collect();
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(engine)
            .bind(serde_json::Value::from(built_in).to_string())
            .bind(limits)
            .fetch_all(&self.readers)
            .await?;
        let work = |row: &SqliteRow| {
            let graph_hash = GraphHash::from_bytes(digest(row, "graph_hash", "verifications")?);
            let is_public = row.try_get("is_public")?;
            Ok(VerificationWork { graph_hash, blob: blob(row, "sha256", "verifications")?, is_public })
        };
        rows.iter().map(work).collect()
    }

    /// Takes note of what was found. A mismatch is a line of the audit log as well, the first time.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn put_verification(&self, found: &VerificationRow) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let before: Option<String> =
            sqlx::query_scalar("SELECT verdict FROM verifications WHERE graph_hash = ? AND sha256 = ?")
                .bind(&found.graph_hash.as_bytes()[..])
                .bind(&found.sha256.as_bytes()[..])
                .fetch_optional(&mut *change)
                .await?;
        sqlx::query(
            "INSERT INTO verifications (graph_hash, sha256, verdict, edge_order_digest, definition, difference, engine, \
             limits, definitions, duration_ms, is_given_up) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (graph_hash, sha256) DO UPDATE SET \
             verdict = excluded.verdict, edge_order_digest = excluded.edge_order_digest, \
             definition = excluded.definition, difference = excluded.difference, engine = excluded.engine, \
             limits = excluded.limits, definitions = excluded.definitions, duration_ms = excluded.duration_ms, \
             is_given_up = excluded.is_given_up, checked_at = excluded.checked_at, asked_at = NULL",
        )
        .bind(&found.graph_hash.as_bytes()[..])
        .bind(&found.sha256.as_bytes()[..])
        .bind(found.verdict.as_str())
        .bind(found.edge_order_digest.as_ref().map(|digest| &digest.as_bytes()[..]))
        .bind(found.definition.as_ref().map(|definition| &definition.as_bytes()[..]))
        .bind(&found.difference)
        .bind(&found.engine)
        .bind(&found.limits)
        .bind(found.definitions.cast_signed())
        .bind(found.duration_ms.cast_signed())
        .bind(found.is_given_up)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM verification_attempts WHERE graph_hash = ? AND sha256 = ?")
            .bind(&found.graph_hash.as_bytes()[..])
            .bind(&found.sha256.as_bytes()[..])
            .execute(&mut *change)
            .await?;
        let is_news = before.as_deref() != Some(found.verdict.as_str());
        if is_news && (found.verdict == Verdict::Mismatch || before.as_deref() == Some("mismatch")) {
            let detail = serde_json::json!({
                "graph_hash": found.graph_hash, "verdict": found.verdict, "difference": found.difference,
            });
            let told = Change { action: "artifact.verify", subject: found.sha256.to_string(), detail };
            append(&mut change, &Actor::Hub, told).await?;
        }
        Ok(change.commit().await?)
    }

    /// Forgets results of jobs that another engine made and that this one makes differently: they are made anew when
    /// somebody asks. Says how many there were.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn retire_eliminations(&self, sha256: Sha256, engine: &str) -> Result<u64, StoreError> {
        let mut change = self.begin().await?;
        let retired = sqlx::query("DELETE FROM eliminations WHERE sha256 = ? AND engine <> ?")
            .bind(&sha256.as_bytes()[..])
            .bind(engine)
            .execute(&mut *change)
            .await?
            .rows_affected();
        if retired > 0 {
            let detail = serde_json::json!({"engine": engine});
            let told = Change { action: "elimination.retire", subject: sha256.to_string(), detail };
            append(&mut change, &Actor::Hub, told).await?;
        }
        change.commit().await?;
        Ok(retired)
    }

    /// The ids of computes of a hash whose program is known to be for an order of edges: it was verified, or is the result
    /// of a job that is for everybody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn computes_of_order(
        &self,
        hash: GraphHash,
        order: EdgeOrderDigest,
    ) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT a.compute_id FROM compute_artifacts a JOIN verifications v ON v.graph_hash = a.graph_hash \
             AND v.sha256 = a.served_sha256 WHERE a.graph_hash = ?1 AND v.edge_order_digest = ?2 UNION \
             SELECT a.compute_id FROM graphs g JOIN eliminations e ON e.definition = g.definition AND e.audience = '' \
             JOIN compute_artifacts a ON a.graph_hash = g.graph_hash AND a.served_sha256 = e.sha256 \
             WHERE g.graph_hash = ?1 AND g.edge_order_digest = ?2",
        )
        .bind(&hash.as_bytes()[..])
        .bind(&order.as_bytes()[..])
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().collect())
    }

    /// What was found of a file, if it was compared.
    ///
    /// # Errors
    /// When the database fails or holds what it cannot.
    pub async fn verification(
        &self,
        graph_hash: GraphHash,
        sha256: Sha256,
    ) -> Result<Option<VerificationRow>, StoreError> {
        let sql = format!("{ROWS} WHERE graph_hash = ? AND sha256 = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&graph_hash.as_bytes()[..])
            .bind(&sha256.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(verification_row).transpose()
    }

    /// All that was found of files of the hashes of a compute, however many components it has, in one query.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn verifications_of(&self, id: &ComputeId) -> Result<Vec<VerificationRow>, StoreError> {
        let sql = format!("{ROWS} WHERE graph_hash IN ({HASHES_OF}) ORDER BY graph_hash, sha256");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.as_str()).fetch_all(&self.readers).await?;
        rows.iter().map(verification_row).collect()
    }

    /// How many definitions a viewer sees of each hash of a compute; hashes without any are left out.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn definitions_of(
        &self,
        id: &ComputeId,
        viewer: &Viewer,
    ) -> Result<HashMap<GraphHash, u64>, StoreError> {
        let sql = format!(
            "SELECT g.graph_hash, count(*) AS definitions FROM graphs g WHERE g.graph_hash IN ({HASHES_OF}) \
             AND {GRAPH_SEEN} GROUP BY g.graph_hash"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str())
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_all(&self.readers)
            .await?;
        let count = |row: &SqliteRow| {
            let hash = GraphHash::from_bytes(digest(row, "graph_hash", "graphs")?);
            Ok((hash, row.try_get::<i64, _>("definitions")?.cast_unsigned()))
        };
        rows.iter().map(count).collect()
    }

    /// Lets the files of a compute be compared again. Says how many of them nobody has asked about so far.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn ask_verification(&self, id: &ComputeId, actor: &Actor) -> Result<u64, StoreError> {
        let mut change = self.begin().await?;
        let asked = sqlx::query(
            "UPDATE verifications SET asked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
             WHERE asked_at IS NULL AND (graph_hash, sha256) IN (SELECT graph_hash, original_sha256 FROM compute_artifacts \
             WHERE compute_id = ?1 UNION SELECT graph_hash, served_sha256 FROM compute_artifacts WHERE compute_id = ?1)",
        )
        .bind(id.as_str())
        .execute(&mut *change)
        .await?
        .rows_affected();
        if asked == 0 {
            return Ok(0);
        }
        let told = Change {
            action: "compute.verify",
            subject: id.to_string(),
            detail: serde_json::json!({"files": asked}),
        };
        append(&mut change, actor, told).await?;
        change.commit().await?;
        Ok(asked)
    }

    /// How many files that everybody may have have each verdict.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verdicts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = format!(
            "SELECT verdict, count(*) AS files FROM verifications b WHERE {EVERYBODYS} GROUP BY verdict"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("verdict")?, row.try_get("files")?))).collect()
    }
}

impl Snapshot {
    /// Files that fit no definition of their hash that is known here, with the hash they are for. That is proof only where
    /// it is certain which graph was meant: a hash can be met by other graphs, and our own program of a graph in another
    /// order of edges is not recognised.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn mismatches(&mut self) -> Result<Vec<(GraphHash, Sha256)>, StoreError> {
        let rows = sqlx::query("SELECT graph_hash, sha256 FROM verifications WHERE verdict = 'mismatch'");
        let rows = rows.fetch_all(self.connection()).await?;
        let place = "verifications";
        let pair = |row: &SqliteRow| {
            Ok((
                GraphHash::from_bytes(digest(row, "graph_hash", place)?),
                digest(row, "sha256", place)?.into(),
            ))
        };
        rows.iter().map(pair).collect()
    }
}

fn verification_row(row: &SqliteRow) -> Result<VerificationRow, StoreError> {
    let place = "verifications";
    let word: String = row.try_get("verdict")?;
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word);
    let unreadable = || StoreError::Row { place: place.to_owned(), reason: format!("verdict {word:?}") };
    let optional = |column: &str| -> Result<Option<[u8; 32]>, StoreError> {
        let bytes: Option<&[u8]> = row.try_get(column)?;
        bytes.map(|_| digest(row, column, place)).transpose()
    };
    Ok(VerificationRow {
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", place)?),
        sha256: digest(row, "sha256", place)?.into(),
        verdict: verdict.ok_or_else(unreadable)?,
        edge_order_digest: optional("edge_order_digest")?.map(EdgeOrderDigest::from_bytes),
        definition: optional("definition")?.map(Sha256::from),
        difference: row.try_get("difference")?,
        engine: row.try_get("engine")?,
        limits: row.try_get("limits")?,
        definitions: row.try_get::<i64, _>("definitions")?.cast_unsigned(),
        duration_ms: row.try_get::<i64, _>("duration_ms")?.cast_unsigned(),
        checked_at: row.try_get("checked_at")?,
        is_asked: row.try_get("is_asked")?,
        is_given_up: row.try_get("is_given_up")?,
    })
}
