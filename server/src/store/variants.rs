//! Which program of a compute is served, and the entries of what was computed on demand.

use std::collections::HashMap;

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{ComputeId, EdgeOrderDigest, GraphHash, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};

use super::audit::append;
use super::computes::{digest, put, record};
use super::graphs::{ELIMINATIONS, GRAPHS, blob, elimination_row, graph_row, variant};
use super::mirror::read_again;
use super::privacy::EVERYBODYS;
use super::{Actor, Change, EliminationRow, GraphRow, Origin, Publication, Snapshot, Store, StoreError};
use crate::blobs::StoredBlob;

/// The file that is served of a compute in place of the published one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedVariant {
    /// The compute.
    pub id: ComputeId,
    /// The content hash it stood for when this was decided.
    pub graph_hash: GraphHash,
    /// The order of edges the file is for.
    pub edge_order_digest: EdgeOrderDigest,
    /// Which program it is.
    pub variant: Variant,
    /// The file.
    pub blob: StoredBlob,
    /// Why it is served.
    pub reason: VariantReason,
}

/// Why another file than the published one is served. The words are stored, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantReason {
    /// By the settings, or for this compute.
    Requested,
    /// phasic computes wrong numbers with its own program: the graph has parallel edges.
    ParallelEdges,
    /// phasic's own program passes the limits of this hub.
    TooLarge,
}

impl VariantReason {
    const ALL: [Self; 3] = [Self::Requested, Self::ParallelEdges, Self::TooLarge];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ParallelEdges => "parallel_edges",
            Self::TooLarge => "too_large",
        }
    }
}

const SERVED: &str = "SELECT v.compute_id, v.graph_hash, v.edge_order_digest, v.variant, v.sha256, b.size_bytes, v.reason \
     FROM served_variants v JOIN blobs b ON b.sha256 = v.sha256";

impl Store {
    /// Changes whenever something changes that decides what is served. Reads a row each of three tables, and counts one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn variants_version(&self) -> Result<(i64, i64, Option<String>), StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT number FROM catalogue_changes) AS number, \
             (SELECT count(*) FROM eliminations) AS files, (SELECT max(made_at) FROM eliminations) AS latest",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok((row.try_get("number")?, row.try_get("files")?, row.try_get("latest")?))
    }

    /// Every graph that was submitted for everybody, the first one first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn all_graphs(&self) -> Result<Vec<GraphRow>, StoreError> {
        all_graphs(&mut *self.readers.acquire().await?).await
    }

    /// Wants a variant served of a compute, or, with `None`, that of the settings. Says whether that is another wish than
    /// before.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn want_variant(
        &self,
        id: &ComputeId,
        wanted: Option<Variant>,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let statement = match wanted {
            Some(variant) => sqlx::query(
                "INSERT INTO wanted_variants (compute_id, variant) VALUES (?, ?) \
                 ON CONFLICT (compute_id) DO UPDATE SET variant = excluded.variant WHERE variant <> excluded.variant",
            )
            .bind(id.as_str())
            .bind(variant.as_str()),
            None => sqlx::query("DELETE FROM wanted_variants WHERE compute_id = ?").bind(id.as_str()),
        };
        if statement.execute(&mut *change).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let detail = serde_json::json!({"variant": wanted});
        let told = Change { action: "compute.variant", subject: id.to_string(), detail };
        append(&mut change, actor, told).await?;
        change.commit().await?;
        Ok(true)
    }

    /// The file that is served of a compute in place of the one published for this hash, if any.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn served_variant(
        &self,
        id: &ComputeId,
        hash: GraphHash,
    ) -> Result<Option<ServedVariant>, StoreError> {
        let sql = format!("{SERVED} WHERE v.compute_id = ? AND v.graph_hash = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str())
            .bind(&hash.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(served_variant).transpose()
    }

    /// Serves these files in place of published ones, and the published ones again of the computes in `back`. A compute
    /// or a file that is gone meanwhile is passed over.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn serve_variants(
        &self,
        served: &[ServedVariant],
        back: &[ComputeId],
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for id in back {
            let gone = sqlx::query("DELETE FROM served_variants WHERE compute_id = ?").bind(id.as_str());
            gone.execute(&mut *change).await?;
            let detail = serde_json::json!({"serves": "published"});
            let told = Change { action: "compute.serve", subject: id.to_string(), detail };
            append(&mut change, &Actor::Hub, told).await?;
        }
        for one in served {
            if !is_known(&mut change, one.blob.sha256).await? {
                continue;
            }
            let (hash, sha256) = (&one.graph_hash.as_bytes()[..], &one.blob.sha256.as_bytes()[..]);
            let done = sqlx::query(
                "INSERT OR REPLACE INTO served_variants (compute_id, graph_hash, edge_order_digest, variant, sha256, \
                 reason) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM computes WHERE id = ?1)",
            )
            .bind(one.id.as_str())
            .bind(hash)
            .bind(&one.edge_order_digest.as_bytes()[..])
            .bind(one.variant.as_str())
            .bind(sha256)
            .bind(one.reason.as_str())
            .execute(&mut *change)
            .await?;
            if done.rows_affected() == 0 {
                continue;
            }
            sqlx::query(
                "INSERT OR IGNORE INTO artifact_versions (role, graph_hash, sha256) VALUES ('parent', ?, ?)",
            )
            .bind(hash)
            .bind(sha256)
            .execute(&mut *change)
            .await?;
            sqlx::query(
                "INSERT OR IGNORE INTO version_computes (role, graph_hash, sha256, compute_id) \
                 VALUES ('parent', ?, ?, ?)",
            )
            .bind(hash)
            .bind(sha256)
            .bind(one.id.as_str())
            .execute(&mut *change)
            .await?;
            let detail = serde_json::json!({
                "serves": one.variant, "sha256": one.blob.sha256, "reason": one.reason.as_str(),
            });
            let told = Change { action: "compute.serve", subject: one.id.to_string(), detail };
            append(&mut change, &Actor::Hub, told).await?;
        }
        Ok(change.commit().await?)
    }

    /// Publishes entries of what was computed on demand, and removes those in `gone`. A result that has gone meanwhile is
    /// passed over: its file may have gone, too.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn publish_computed(
        &self,
        publications: &[Publication],
        gone: &[ComputeId],
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let mut listed = Vec::new();
        for publication in publications {
            let mut is_here = true;
            for file in &publication.artifacts {
                is_here &= is_known(&mut change, file.served.sha256).await?;
            }
            if is_here {
                put(&mut change, None, 0, publication).await?;
                listed.push(&publication.id);
            }
        }
        let mut removed = Vec::new();
        for id in gone {
            let deleted =
                sqlx::query("DELETE FROM computes WHERE id = ? AND origin = 'local'").bind(id.as_str());
            if deleted.execute(&mut *change).await?.rows_affected() == 0 {
                continue;
            }
            record(&mut change, id.as_str(), Origin::Computed, None, None).await?;
            removed.push(id);
        }
        if listed.is_empty() && removed.is_empty() {
            return Ok(());
        }
        if !removed.is_empty() {
            // An upstream may offer what was hidden so far.
            read_again(&mut change, None).await?;
        }
        let detail = serde_json::json!({"published": listed, "removed": removed});
        let told = Change { action: "compute.computed", subject: "computes".to_owned(), detail };
        append(&mut change, &Actor::Hub, told).await?;
        Ok(change.commit().await?)
    }
}

impl Snapshot {
    /// Every graph that was submitted for everybody, the first one first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn all_graphs(&mut self) -> Result<Vec<GraphRow>, StoreError> {
        all_graphs(self.connection()).await
    }

    /// Every result of a job that is for everybody.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn all_eliminations(&mut self) -> Result<Vec<EliminationRow>, StoreError> {
        let sql = format!("{ELIMINATIONS} WHERE e.audience = ''");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.connection()).await?;
        rows.iter().map(elimination_row).collect()
    }

    /// What administrators want served, by id.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn wanted_variants(&mut self) -> Result<HashMap<String, Variant>, StoreError> {
        let rows = sqlx::query("SELECT compute_id, variant FROM wanted_variants");
        let rows = rows.fetch_all(self.connection()).await?;
        rows.iter().map(|row| Ok((row.try_get("compute_id")?, variant(row, "wanted_variants")?))).collect()
    }

    /// Files that are served in place of published ones.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn served_variants(&mut self) -> Result<Vec<ServedVariant>, StoreError> {
        let sql = format!("{SERVED} ORDER BY v.compute_id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.connection()).await?;
        rows.iter().map(served_variant).collect()
    }

    /// Hashes that everybody may know for graphs with several orders of edges, with the order each verified file is for.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn ambiguous_orders(
        &mut self,
    ) -> Result<HashMap<(GraphHash, Sha256), EdgeOrderDigest>, StoreError> {
        let sql = format!(
            "SELECT graph_hash, sha256, edge_order_digest FROM verifications WHERE edge_order_digest IS NOT NULL \
             AND graph_hash IN (SELECT graph_hash FROM (SELECT graph_hash, edge_order_digest FROM graphs g WHERE EXISTS \
             (SELECT 1 FROM graph_audiences a WHERE a.definition = g.definition AND a.audience = '') UNION \
             SELECT graph_hash, edge_order_digest FROM verifications b WHERE edge_order_digest IS NOT NULL \
             AND {EVERYBODYS}) GROUP BY graph_hash HAVING count(*) > 1)"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.connection()).await?;
        let place = "verifications";
        let order = |row: &SqliteRow| {
            let hash = GraphHash::from_bytes(digest(row, "graph_hash", place)?);
            let order = EdgeOrderDigest::from_bytes(digest(row, "edge_order_digest", place)?);
            Ok(((hash, digest(row, "sha256", place)?.into()), order))
        };
        rows.iter().map(order).collect()
    }

    /// What was found of every file that was compared: the verdict's word, and the order of edges.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn verified_files(
        &mut self,
    ) -> Result<HashMap<(GraphHash, Sha256), (String, Option<EdgeOrderDigest>)>, StoreError> {
        let rows = sqlx::query("SELECT graph_hash, sha256, verdict, edge_order_digest FROM verifications");
        let rows = rows.fetch_all(self.connection()).await?;
        let place = "verifications";
        let file = |row: &SqliteRow| {
            let hash = GraphHash::from_bytes(digest(row, "graph_hash", place)?);
            let order: Option<&[u8]> = row.try_get("edge_order_digest")?;
            let order = order.map(|_| digest(row, "edge_order_digest", place)).transpose()?;
            let verdict = row.try_get("verdict")?;
            Ok((
                (hash, digest(row, "sha256", place)?.into()),
                (verdict, order.map(EdgeOrderDigest::from_bytes)),
            ))
        };
        rows.iter().map(file).collect()
    }
}

async fn all_graphs(connection: &mut SqliteConnection) -> Result<Vec<GraphRow>, StoreError> {
    let sql = format!(
        "{GRAPHS} WHERE EXISTS (SELECT 1 FROM graph_audiences a WHERE a.definition = g.definition \
         AND a.audience = '') ORDER BY g.submitted_at, g.definition"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(graph_row).collect()
}

/// Whether a file is known still: garbage collection forgets it first, and then removes it.
async fn is_known(change: &mut Transaction<'static, Sqlite>, file: Sha256) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?)");
    Ok(found.bind(&file.as_bytes()[..]).fetch_one(&mut **change).await?)
}

fn served_variant(row: &SqliteRow) -> Result<ServedVariant, StoreError> {
    let place = "served_variants";
    let unreadable = |reason: String| StoreError::Row { place: place.to_owned(), reason };
    let (id, word): (String, String) = (row.try_get("compute_id")?, row.try_get("reason")?);
    let reason = VariantReason::ALL.into_iter().find(|reason| reason.as_str() == word);
    Ok(ServedVariant {
        id: id.parse().map_err(|_| unreadable(format!("id {id:?}")))?,
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", place)?),
        edge_order_digest: EdgeOrderDigest::from_bytes(digest(row, "edge_order_digest", place)?),
        variant: variant(row, place)?,
        blob: blob(row, "sha256", place)?,
        reason: reason.ok_or_else(|| unreadable(format!("reason {word:?}")))?,
    })
}
