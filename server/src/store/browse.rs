//! Browsing computes page by page, and the history of an id.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use phasic_hub_api::computes::ComputeStatus;
use phasic_hub_api::{ComputeId, GraphHash, Search};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::computes::{ORIGIN, artifact_row, compute_row, read_origin};
use super::privacy::patterns;
use super::{ArtifactRow, ComputeRow, Origin, Store, StoreError};
use crate::visibility::Viewer;

/// Which computes to list. Texts are compared as they stand, but for `search`.
#[derive(Clone, Debug, Default)]
pub struct BrowseFilter {
    /// That this viewer sees.
    pub viewer: Viewer,
    /// Of this domain.
    pub domain: Option<String>,
    /// Of this model type.
    pub model_type: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this text in the id, the description or a tag, whatever the case of its letters.
    pub search: Option<Search>,
    /// Of this origin.
    pub origin: Option<Origin>,
    /// In this state only.
    pub status: Option<ComputeStatus>,
    /// The ids whose state is withheld, where states matter: files are looked for elsewhere.
    pub withheld: Vec<ComputeId>,
    /// With exactly this id.
    pub id: Option<String>,
    /// Behind this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl BrowseFilter {
    /// Whether all computes may be read to find those it wants: one is found by its key, and a page in the order of ids.
    fn chooses_among_all(&self) -> bool {
        let Self { domain, model_type, tag, search, origin, status, id, .. } = self;
        let texts = [domain, model_type, tag].into_iter().any(Option::is_some);
        id.is_none() && (texts || search.is_some() || origin.is_some() || status.is_some())
    }
}

/// A compute, and since when its id stands for it.
#[derive(Clone, Debug)]
pub struct DatedCompute {
    /// The compute with its files.
    pub row: ComputeRow,
    /// Since when, UTC.
    pub published_at: String,
    /// Whether its id is private.
    pub private: bool,
}

/// What an id stood for from some time on.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    /// Its place in the history of the id, from 1 on. Numbers of the hub's whole history would count what is private.
    pub number: i64,
    /// Who published it.
    pub origin: Origin,
    /// The upstream it was mirrored from.
    pub upstream: Option<String>,
    /// The commit of the upstream that was read.
    pub commit: Option<String>,
    /// The entry in JSON; `None` where the id was removed.
    pub entry: Option<String>,
    /// When, UTC.
    pub recorded_at: String,
    /// Why, where it was said.
    pub reason: Option<String>,
}

/// Whether the id of a row is private.
const PRIVATE: &str = is_private!("id");

/// Whether the entry of a row is retracted: whatever a Python program would take for true.
pub(super) const RETRACTED: &str = "CASE json_type(entry, '$.retracted') WHEN 'true' THEN 1 \
     WHEN 'integer' THEN json_extract(entry, '$.retracted') <> 0 WHEN 'real' THEN json_extract(entry, '$.retracted') <> 0 \
     WHEN 'text' THEN json_extract(entry, '$.retracted') <> '' WHEN 'array' THEN json_extract(entry, '$.retracted') <> '[]' \
     WHEN 'object' THEN json_extract(entry, '$.retracted') <> '{}' ELSE 0 END";

impl Store {
    /// Computes in the order of their ids, with their files.
    ///
    /// What the viewer does not see is passed over before anything else is looked at, so that neither an answer nor the
    /// time it takes depends on what is in it.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn browse(&self, filter: &BrowseFilter) -> Result<Vec<DatedCompute>, StoreError> {
        let connections = if filter.chooses_among_all() { &self.listers } else { &self.readers };
        let mut snapshot = connections.begin().await?;
        let sql = format!(
            "SELECT id, {ORIGIN} AS origin, upstream, entry, published_at, {PRIVATE} AS private, \
             CAST(json_extract(entry, '$.metadata.description') AS TEXT) AS description, \
             CAST(json_extract(entry, '$.metadata.tags') AS TEXT) AS tags \
             FROM computes WHERE (?1 IS NULL OR id > ?1) AND (?6 IS NULL OR id = ?6) \
             AND CASE WHEN ?8 OR NOT {PRIVATE} OR EXISTS (SELECT 1 FROM json_each(?9) WHERE computes.id GLOB value) THEN \
             (?2 IS NULL OR {ORIGIN} = ?2) \
             AND (?3 IS NULL OR json_extract(entry, '$.metadata.domain') = ?3) \
             AND (?4 IS NULL OR json_extract(entry, '$.metadata.model_type') = ?4) \
             AND (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(entry, '$.metadata.tags') WHERE value = ?5)) \
             AND (?10 IS NULL OR ?10 = CASE WHEN {RETRACTED} THEN 'retracted' \
             WHEN id IN (SELECT value FROM json_each(?11)) THEN 'withheld' ELSE 'served' END) \
             ELSE 0 END ORDER BY id LIMIT ?7",
        );
        let status = filter.status.map(|status| match status {
            ComputeStatus::Served => "served",
            ComputeStatus::Withheld => "withheld",
            ComputeStatus::Retracted => "retracted",
        });
        let mut all = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&filter.after)
            .bind(filter.origin.map(Origin::as_str))
            .bind(&filter.domain)
            .bind(&filter.model_type)
            .bind(&filter.tag)
            .bind(&filter.id)
            // What is searched for is found below, and SQLite knows the letters of ASCII only.
            .bind(if filter.search.is_none() { i64::from(filter.limit) } else { -1 })
            .bind(filter.viewer.sees_all())
            .bind(patterns(&filter.viewer))
            .bind(status)
            .bind(serde_json::json!(filter.withheld).to_string())
            .fetch(&mut *snapshot);
        let mut rows = Vec::new();
        while let Some(row) = all.try_next().await? {
            if filter.search.as_ref().is_none_or(|search| mentions(&row, search)) {
                rows.push(row);
            }
            if rows.len() >= filter.limit as usize {
                break;
            }
        }
        drop(all);
        let mut found: Vec<DatedCompute> = rows.iter().map(dated).collect::<Result<_, _>>()?;
        let mut files = artifacts_of(&mut snapshot, &found).await?;
        for compute in &mut found {
            compute.row.artifacts = files.remove(compute.row.id.as_str()).unwrap_or_default();
        }
        Ok(found)
    }

    /// The ids that stand for a graph and that a viewer sees, retracted and withheld computes too. Found by
    /// the index of files by hash, however many computes there are.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn ids_of_graph(
        &self,
        graph_hash: GraphHash,
        viewer: &Viewer,
    ) -> Result<Vec<ComputeId>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            concat!(
                "SELECT a.compute_id FROM compute_artifacts a WHERE a.role = 'parent' AND a.graph_hash = ?1 AND (?2 \
                 OR NOT ",
                is_private!("a.compute_id"),
                " OR EXISTS (SELECT 1 FROM json_each(?3) WHERE a.compute_id GLOB value)) ORDER BY a.compute_id",
            ),
        )
        .bind(&graph_hash.as_bytes()[..])
        .bind(viewer.sees_all())
        .bind(patterns(viewer))
        .fetch_all(&self.readers)
        .await?;
        let read = |id: String| {
            id.parse().map_err(|_| StoreError::Row {
                place: "compute_artifacts".to_owned(),
                reason: format!("id {id:?}"),
            })
        };
        ids.into_iter().map(read).collect()
    }

    /// What an id stood for, the latest first, before the revision of a number.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn revisions(
        &self,
        id: &ComputeId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<RevisionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT row_number() OVER (ORDER BY number) AS number, \
             CASE WHEN origin = 'local' AND substr(compute_id, 1, 9) = 'computed-' THEN 'computed' \
             ELSE origin END AS origin, upstream, commit_id, entry, recorded_at, reason FROM revisions WHERE compute_id = ?1) \
             WHERE (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
        )
        .bind(id.as_str())
        .bind(before)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(revision_row).collect()
    }
}

/// The files of all these computes, by id: however many there are, it is one query.
async fn artifacts_of(
    connection: &mut SqliteConnection,
    computes: &[DatedCompute],
) -> Result<HashMap<String, Vec<ArtifactRow>>, StoreError> {
    let ids: Vec<_> = computes.iter().map(|compute| compute.row.id.as_str()).collect();
    let files = sqlx::query(
        "SELECT a.compute_id, a.role, a.graph_hash, a.original_sha256, o.size_bytes AS original_bytes, \
         a.served_sha256, s.size_bytes AS served_bytes FROM compute_artifacts a \
         JOIN blobs o ON o.sha256 = a.original_sha256 JOIN blobs s ON s.sha256 = a.served_sha256 \
         WHERE a.compute_id IN (SELECT value FROM json_each(?)) ORDER BY a.compute_id, a.role, a.graph_hash",
    )
    .bind(serde_json::json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    let mut found: HashMap<String, Vec<ArtifactRow>> = HashMap::new();
    for file in &files {
        let id: String = file.try_get("compute_id")?;
        let artifact = artifact_row(file, &id)?;
        found.entry(id).or_default().push(artifact);
    }
    Ok(found)
}

/// A compute without its files.
fn dated(row: &SqliteRow) -> Result<DatedCompute, StoreError> {
    let (published_at, private) = (row.try_get("published_at")?, row.try_get("private")?);
    Ok(DatedCompute { row: compute_row(row)?, published_at, private })
}

/// Whether the id, the description or a tag has a text.
fn mentions(row: &SqliteRow, search: &Search) -> bool {
    let text = |column| row.try_get::<Option<String>, _>(column).ok().flatten().unwrap_or_default();
    let (id, description, tags) = (text("id"), text("description"), text("tags"));
    let tags: Vec<String> = serde_json::from_str(&tags).unwrap_or_default();
    search.finds([&id[..], &description].into_iter().chain(tags.iter().map(String::as_str)))
}

fn revision_row(row: &SqliteRow) -> Result<RevisionRow, StoreError> {
    Ok(RevisionRow {
        number: row.try_get("number")?,
        origin: read_origin(row, "revisions")?,
        upstream: row.try_get("upstream")?,
        commit: row.try_get("commit_id")?,
        entry: row.try_get("entry")?,
        recorded_at: row.try_get("recorded_at")?,
        reason: row.try_get("reason")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use phasic_hub_api::{GraphHash, Search, Sha256};

    use super::BrowseFilter;
    use crate::store::opening::LISTERS;
    use crate::store::tests::{fresh, publication};
    use crate::visibility::Viewer;

    #[tokio::test]
    async fn searches_keep_only_each_other_waiting() {
        let (_directory, store) = fresh().await;
        store.publish_local(&publication("one", "bytes"), None).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..LISTERS {
            held.push(store.listers.acquire().await.unwrap());
        }
        let page = BrowseFilter { viewer: Viewer::All, limit: 9, ..BrowseFilter::default() };
        let search = BrowseFilter { search: Some(Search::new("one")), ..page.clone() };
        let mut search = std::pin::pin!(store.browse(&search));
        let waited = tokio::time::timeout(Duration::from_millis(10), &mut search).await;
        assert!(waited.is_err(), "it waits for those before it");

        let mut passes = std::pin::pin!(store.passes(None, None, 9, &Viewer::Public));
        assert!(
            tokio::time::timeout(Duration::from_millis(10), &mut passes).await.is_err(),
            "it counts all that passes left out"
        );

        assert!(store.find_token(Sha256::of(b"nobody's")).await.unwrap().is_none());
        let hash = GraphHash::from_bytes(*Sha256::of(b"one").as_bytes());
        assert_eq!(store.ids_of_graph(hash, &Viewer::Public).await.unwrap().len(), 1);
        assert_eq!(store.browse(&page).await.unwrap().len(), 1);
        assert!(store.public_counts().await.unwrap().is_empty(), "the state of mirrors waits for no search");
        assert!(store.last_pass("lab", &Viewer::Public).await.unwrap().is_none());
        drop(held);
        assert_eq!(search.await.unwrap().len(), 1);
        assert!(passes.await.unwrap().is_empty());
    }
}
