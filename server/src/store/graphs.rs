//! Graphs that were submitted, and the eliminations this hub has made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::audit::append;
use super::computes::{digest, put_blob};
use super::privacy::{audience, own};
use super::{Actor, Change, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::{Audience, Viewer};

/// A graph that was submitted.
#[derive(Clone, Debug)]
pub struct GraphRow {
    /// What it is.
    pub identity: GraphIdentity,
    /// The blob that says how it is built.
    pub recipe: StoredBlob,
}

/// An elimination that was made and verified.
#[derive(Clone, Debug)]
pub struct EliminationRow {
    /// Which one.
    pub variant: Variant,
    /// The content hash of the graph.
    pub graph_hash: GraphHash,
    /// Its edge-order digest.
    pub edge_order_digest: EdgeOrderDigest,
    /// The definition it was made from.
    pub definition: Sha256,
    /// The file.
    pub blob: StoredBlob,
    /// The engine that made it.
    pub engine: String,
    /// When.
    pub made_at: String,
    /// For whom it is.
    pub audience: Audience,
}

/// A content hash, as somebody sees what there is of it.
#[derive(Clone, Debug)]
pub struct GraphFilter {
    /// The content hash.
    pub graph_hash: GraphHash,
    /// Of graphs with this order of edges only.
    pub edge_order_digest: Option<EdgeOrderDigest>,
    /// That this viewer sees.
    pub viewer: Viewer,
}

/// A place in the list of eliminations of a graph, by what the one there is or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EliminationPlace {
    /// Its variant.
    pub variant: Variant,
    /// The definition it was made from.
    pub definition: Sha256,
    /// When.
    pub made_at: String,
}

impl fmt::Display for EliminationPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.variant.as_str(), self.definition, self.made_at)
    }
}

impl FromStr for EliminationPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '/');
        let (Some(word), Some(definition), Some(made_at)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(());
        };
        let variant = Variant::ALL.into_iter().find(|variant| variant.as_str() == word).ok_or(())?;
        let definition = definition.parse().map_err(drop)?;
        Ok(Self { variant, definition, made_at: made_at.to_owned() })
    }
}

pub(super) const GRAPHS: &str = "SELECT g.definition, g.graph_hash, g.edge_order_digest, g.vertices, g.edges, g.state_length, \
     g.param_length, g.discrete, g.parallel_edges, g.recipe_sha256, b.size_bytes FROM graphs g \
     JOIN blobs b ON b.sha256 = g.recipe_sha256";

/// Whether one of the audiences of a graph is the viewer's; ?2 says that he sees all, ?3 is his own.
pub(super) const GRAPH_SEEN: &str = "EXISTS (SELECT 1 FROM graph_audiences a WHERE a.definition = g.definition \
     AND (?2 OR a.audience IN ('', ?3)))";

pub(super) const ELIMINATIONS: &str = "SELECT e.subject, e.variant, g.graph_hash, g.edge_order_digest, e.definition, e.sha256, \
     b.size_bytes, e.engine, e.made_at, e.audience FROM eliminations e JOIN graphs g ON g.definition = e.definition \
     JOIN blobs b ON b.sha256 = e.sha256";

impl Store {
    /// Takes note of a graph whose recipe is in the blob store, and that it is for this audience. Says whether it was
    /// not known before to those who see what is for this audience; a graph that everybody has stays everybody's.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn put_graph(
        &self,
        graph: &GraphRow,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let identity = &graph.identity;
        let mut change = self.begin().await?;
        put_blob(&mut change, graph.recipe).await?;
        // Where somebody else has the graph, the recipe that is kept is his, and builds the same; the first one for
        // everybody takes the place of private ones.
        sqlx::query(
            "INSERT OR IGNORE INTO graphs (definition, graph_hash, edge_order_digest, vertices, edges, state_length, \
             param_length, discrete, parallel_edges, recipe_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&identity.definition.as_bytes()[..])
        .bind(&identity.graph_hash.as_bytes()[..])
        .bind(&identity.edge_order_digest.as_bytes()[..])
        .bind(identity.vertices.cast_signed())
        .bind(identity.edges.cast_signed())
        .bind(identity.state_length.cast_signed())
        .bind(identity.param_length.cast_signed())
        .bind(identity.discrete)
        .bind(identity.parallel_edges)
        .bind(&graph.recipe.sha256.as_bytes()[..])
        .execute(&mut *change)
        .await?;
        if audience.is_everybody() {
            // What was written in confidence is not what others build from.
            sqlx::query(
                "UPDATE graphs SET recipe_sha256 = ?2 WHERE definition = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM graph_audiences a WHERE a.definition = ?1 AND a.audience = '')",
            )
            .bind(&identity.definition.as_bytes()[..])
            .bind(&graph.recipe.sha256.as_bytes()[..])
            .execute(&mut *change)
            .await?;
        }
        let known = sqlx::query(
            "INSERT INTO graph_audiences (definition, audience) SELECT ?1, ?2 WHERE NOT EXISTS \
             (SELECT 1 FROM graph_audiences WHERE definition = ?1 AND audience IN ('', ?2))",
        )
        .bind(&identity.definition.as_bytes()[..])
        .bind(audience.text())
        .execute(&mut *change)
        .await?;
        if known.rows_affected() == 0 {
            // Dropping the change forgets the blob, which another graph may not need.
            return Ok(false);
        }
        let private = !audience.is_everybody();
        let detail = serde_json::json!({
            "graph_hash": identity.graph_hash, "recipe": graph.recipe.sha256, "private": private
        });
        let told = Change { action: "graph.submit", subject: identity.definition.to_string(), detail };
        append(&mut change, actor, told).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Has a graph built from another text from now on, one that builds the same and is in the blob store.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn replace_recipe(
        &self,
        definition: Sha256,
        recipe: StoredBlob,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        put_blob(&mut change, recipe).await?;
        sqlx::query("UPDATE graphs SET recipe_sha256 = ?2 WHERE definition = ?1")
            .bind(&definition.as_bytes()[..])
            .bind(&recipe.sha256.as_bytes()[..])
            .execute(&mut *change)
            .await?;
        let detail = serde_json::json!({"recipe": recipe.sha256});
        let told = Change { action: "graph.mend", subject: definition.to_string(), detail };
        append(&mut change, actor, told).await?;
        Ok(change.commit().await?)
    }

    /// Whether a graph is known to those who see what is for this audience, or to everybody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_graph(&self, definition: Sha256, audience: &Audience) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM graph_audiences WHERE definition = ? AND audience IN ('', ?))";
        let known = sqlx::query_scalar(sql).bind(&definition.as_bytes()[..]).bind(audience.text());
        Ok(known.fetch_one(&self.readers).await?)
    }

    /// Bytes of all recipes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recipe_bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(size_bytes), 0) FROM blobs WHERE sha256 IN (SELECT recipe_sha256 FROM graphs)",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(bytes.cast_unsigned())
    }

    /// The graphs with a content hash that a viewer sees, the first submitted first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn graphs(&self, hash: GraphHash, viewer: &Viewer) -> Result<Vec<GraphRow>, StoreError> {
        let sql = format!(
            "{GRAPHS} WHERE g.graph_hash = ?1 AND {GRAPH_SEEN} ORDER BY g.submitted_at, g.definition"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&hash.as_bytes()[..])
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(graph_row).collect()
    }

    /// The graph of a definition, if a viewer sees it.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn graph(&self, definition: Sha256, viewer: &Viewer) -> Result<Option<GraphRow>, StoreError> {
        let sql = format!("{GRAPHS} WHERE g.definition = ?1 AND {GRAPH_SEEN}");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&definition.as_bytes()[..])
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(graph_row).transpose()
    }

    /// All eliminations of graphs with a content hash that a viewer sees.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn eliminations(
        &self,
        hash: GraphHash,
        viewer: &Viewer,
    ) -> Result<Vec<EliminationRow>, StoreError> {
        let sql = format!(
            "{ELIMINATIONS} WHERE g.graph_hash = ?1 AND (?2 OR e.audience IN ('', ?3)) ORDER BY e.variant, e.made_at"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&hash.as_bytes()[..])
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(elimination_row).collect()
    }

    /// A page of the graphs with a content hash that a viewer sees, by definition; of one order of edges, if it is named.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn definitions_page(
        &self,
        of: &GraphFilter,
        after: Option<Sha256>,
        limit: i64,
    ) -> Result<Vec<GraphIdentity>, StoreError> {
        let sql = format!(
            "{GRAPHS} WHERE g.graph_hash = ?1 AND {GRAPH_SEEN} AND (?4 IS NULL OR g.edge_order_digest = ?4) \
             AND (?5 IS NULL OR g.definition > ?5) ORDER BY g.definition LIMIT ?6"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&of.graph_hash.as_bytes()[..])
            .bind(of.viewer.sees_all())
            .bind(own(&of.viewer))
            .bind(of.edge_order_digest.as_ref().map(|order| &order.as_bytes()[..]))
            .bind(after.as_ref().map(|definition| &definition.as_bytes()[..]))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| graph_row(row).map(|row| row.identity)).collect()
    }

    /// A page of the eliminations of graphs with a content hash that a viewer sees, by variant, definition and time; of one
    /// order of edges, if it is named.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn eliminations_page(
        &self,
        of: &GraphFilter,
        after: Option<&EliminationPlace>,
        limit: i64,
    ) -> Result<Vec<EliminationRow>, StoreError> {
        let sql = format!(
            "{ELIMINATIONS} WHERE g.graph_hash = ?1 AND (?2 OR e.audience IN ('', ?3)) \
             AND (?4 IS NULL OR g.edge_order_digest = ?4) \
             AND (?5 IS NULL OR (e.variant, e.definition, e.made_at) > (?5, ?6, ?7)) \
             ORDER BY e.variant, e.definition, e.made_at LIMIT ?8"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&of.graph_hash.as_bytes()[..])
            .bind(of.viewer.sees_all())
            .bind(own(&of.viewer))
            .bind(of.edge_order_digest.as_ref().map(|order| &order.as_bytes()[..]))
            .bind(after.map(|place| place.variant.as_str()))
            .bind(after.map(|place| &place.definition.as_bytes()[..]))
            .bind(after.map(|place| &place.made_at))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(elimination_row).collect()
    }

    /// Which of these blobs are results of jobs, or were served at any time, with the content hashes of their graphs.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn graphs_of_files(
        &self,
        names: &BTreeSet<Sha256>,
    ) -> Result<Vec<(GraphHash, Sha256)>, StoreError> {
        let rows = sqlx::query(
            "WITH names AS (SELECT unhex(value) FROM json_each(?1)) \
             SELECT g.graph_hash, e.sha256 FROM eliminations e JOIN graphs g ON g.definition = e.definition \
             WHERE e.sha256 IN names UNION SELECT graph_hash, sha256 FROM artifact_versions WHERE sha256 IN names",
        )
        .bind(serde_json::json!(names).to_string())
        .fetch_all(&self.readers)
        .await?;
        let place = "eliminations, artifact_versions";
        let pair = |row: &SqliteRow| {
            Ok((
                GraphHash::from_bytes(digest(row, "graph_hash", place)?),
                digest(row, "sha256", place)?.into(),
            ))
        };
        rows.iter().map(pair).collect()
    }

    /// The graphs of these definitions, whoever sees them, in one query.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn identities(
        &self,
        definitions: &BTreeSet<Sha256>,
    ) -> Result<BTreeMap<Sha256, GraphIdentity>, StoreError> {
        let sql = format!("{GRAPHS} WHERE g.definition IN (SELECT unhex(value) FROM json_each(?))");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(serde_json::json!(definitions).to_string())
            .fetch_all(&self.readers)
            .await?;
        let identity = |row| graph_row(row).map(|row| (row.identity.definition, row.identity));
        rows.iter().map(identity).collect()
    }

    /// The eliminations of these subjects, all variants of each, in one query.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn eliminations_of(
        &self,
        subjects: &BTreeSet<Sha256>,
    ) -> Result<HashMap<(Sha256, Variant), EliminationRow>, StoreError> {
        let sql = format!("{ELIMINATIONS} WHERE e.subject IN (SELECT unhex(value) FROM json_each(?))");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(serde_json::json!(subjects).to_string())
            .fetch_all(&self.readers)
            .await?;
        let keyed = |row| {
            let made = elimination_row(row)?;
            Ok(((digest(row, "subject", "eliminations")?.into(), made.variant), made))
        };
        rows.iter().map(keyed).collect()
    }

    /// The elimination of a subject.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn elimination(
        &self,
        subject: Sha256,
        variant: Variant,
    ) -> Result<Option<EliminationRow>, StoreError> {
        let sql = format!("{ELIMINATIONS} WHERE e.subject = ? AND e.variant = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&subject.as_bytes()[..])
            .bind(variant.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(elimination_row).transpose()
    }
}

fn number(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>(column)?.cast_unsigned())
}

pub(super) fn blob(row: &SqliteRow, column: &str, place: &str) -> Result<StoredBlob, StoreError> {
    Ok(StoredBlob { sha256: digest(row, column, place)?.into(), size_bytes: number(row, "size_bytes")? })
}

pub(super) fn graph_row(row: &SqliteRow) -> Result<GraphRow, StoreError> {
    let place = "graphs";
    let identity = GraphIdentity {
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", place)?),
        edge_order_digest: EdgeOrderDigest::from_bytes(digest(row, "edge_order_digest", place)?),
        definition: digest(row, "definition", place)?.into(),
        vertices: number(row, "vertices")?,
        edges: number(row, "edges")?,
        state_length: number(row, "state_length")?,
        param_length: number(row, "param_length")?,
        discrete: row.try_get("discrete")?,
        parallel_edges: row.try_get("parallel_edges")?,
    };
    Ok(GraphRow { identity, recipe: blob(row, "recipe_sha256", place)? })
}

pub(super) fn elimination_row(row: &SqliteRow) -> Result<EliminationRow, StoreError> {
    let place = "eliminations";
    Ok(EliminationRow {
        variant: variant(row, place)?,
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", place)?),
        edge_order_digest: EdgeOrderDigest::from_bytes(digest(row, "edge_order_digest", place)?),
        definition: digest(row, "definition", place)?.into(),
        blob: blob(row, "sha256", place)?,
        engine: row.try_get("engine")?,
        made_at: row.try_get("made_at")?,
        audience: audience(row, place)?,
    })
}

pub(super) fn variant(row: &SqliteRow, place: &str) -> Result<Variant, StoreError> {
    let text: String = row.try_get("variant")?;
    let known = Variant::ALL.into_iter().find(|variant| variant.as_str() == text);
    known.ok_or_else(|| StoreError::Row { place: place.to_owned(), reason: format!("variant {text:?}") })
}
