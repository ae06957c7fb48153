//! Computes, their artifacts, and the history of both.

use std::collections::HashSet;

use phasic_hub_api::identifier::ComputeIdError;
use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, RegistryEntry, Sha256};
use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use super::audit::append;
use super::{Actor, Change, Store, StoreError};
use crate::blobs::StoredBlob;

/// Who published a compute to this hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This hub itself.
    Local,
    /// An upstream registry.
    Mirror,
    /// This hub itself, of what somebody had it compute. Stored as local; its id says what it is.
    Computed,
}

/// The origin of a row of `computes`, as [`Origin`] has it.
pub(super) const ORIGIN: &str =
    "CASE WHEN origin = 'local' AND substr(id, 1, 9) = 'computed-' THEN 'computed' ELSE origin END";

impl Origin {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mirror => "mirror",
            Self::Computed => "computed",
        }
    }

    /// The word it is stored by.
    const fn stored(self) -> &'static str {
        match self {
            Self::Local | Self::Computed => "local",
            Self::Mirror => "mirror",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Local, Self::Mirror, Self::Computed].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// What part of a compute an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The trace of the whole graph.
    Parent,
    /// The trace of one component.
    Scc,
}

impl Role {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Scc => "scc",
        }
    }

    /// The file name of an artifact of this role.
    pub const fn name(self, graph_hash: GraphHash) -> ArtifactName {
        match self {
            Self::Parent => ArtifactName::Parent(graph_hash),
            Self::Scc => ArtifactName::Scc(graph_hash),
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Parent, Self::Scc].into_iter().find(|role| role.as_str() == text)
    }
}

/// A compute that is to be published: its entry, and the files behind it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Its id.
    pub id: ComputeId,
    /// The entry as its publisher wrote it.
    pub entry: RegistryEntry,
    /// Parent and components. Empty only for a retracted entry whose files are not here.
    pub artifacts: Vec<ArtifactRow>,
}

/// One file of a compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// What part of the compute it is.
    pub role: Role,
    /// The graph it was made for.
    pub graph_hash: GraphHash,
    /// The file as it was published.
    pub original: StoredBlob,
    /// The file as it is served.
    pub served: StoredBlob,
}

/// A compute as it is stored. Its entry stays text until it is asked for: parsed, it takes ten times the memory.
#[derive(Clone, Debug)]
pub struct ComputeRow {
    /// Its id.
    pub id: ComputeId,
    /// Who published it.
    pub origin: Origin,
    /// The upstream it is mirrored from.
    pub upstream: Option<String>,
    /// The entry as its publisher wrote it, in JSON.
    pub entry: String,
    /// Its files.
    pub artifacts: Vec<ArtifactRow>,
}

impl ComputeRow {
    /// The compute with its entry parsed.
    ///
    /// # Errors
    /// When the entry is none, which no version of the hub writes.
    pub fn publication(&self) -> Result<Publication, StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Row {
            place: format!("computes, id {:?}", self.id.as_str()),
            reason: error.to_string(),
        };
        let entry = serde_json::from_str(&self.entry).map_err(unreadable)?;
        Ok(Publication { id: self.id.clone(), entry, artifacts: self.artifacts.clone() })
    }
}

/// One content an artifact name has stood for.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactVersion {
    /// What part of a compute it is.
    pub role: Role,
    /// The graph it was made for.
    pub graph_hash: GraphHash,
    /// The content.
    pub blob: StoredBlob,
}

impl Store {
    /// Publishes a compute of this hub, in place of whatever its id stood for, in one transaction.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn publish_local(
        &self,
        publication: &Publication,
        reference_definition: Option<Sha256>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let place: i64 = sqlx::query_scalar(
            "SELECT coalesce((SELECT place FROM computes WHERE id = ?1 AND origin = 'local'), \
             (SELECT max(place) + 1 FROM computes WHERE origin = 'local'), 0)",
        )
        .bind(publication.id.as_str())
        .fetch_one(&mut *change)
        .await?;
        if put(&mut change, None, place, publication).await? {
            let RegistryEntry { graph_hash, artifacts, .. } = &publication.entry;
            let detail = serde_json::json!({"graph_hash": graph_hash, "sha256": artifacts.parent.sha256});
            let subject = publication.id.to_string();
            // The reference computes are all that is published here today.
            append(&mut change, &Actor::Hub, Change { action: "compute.publish", subject, detail }).await?;
        }
        if let Some(definition) = reference_definition {
            sqlx::query("INSERT OR REPLACE INTO reference_computes (id, definition_sha256) VALUES (?, ?)")
                .bind(publication.id.as_str())
                .bind(&definition.as_bytes()[..])
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Whether somebody, and not the hub itself, has published, retracted or restored last what an id stands for here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_by_somebody(&self, id: &ComputeId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM computes WHERE id = ?1 AND origin = 'local') AND coalesce(\
             (SELECT actor IS NOT NULL FROM revisions WHERE compute_id = ?1 ORDER BY number DESC LIMIT 1), 0)";
        Ok(sqlx::query_scalar(sql).bind(id.as_str()).fetch_one(&self.readers).await?)
    }

    /// The definition a reference compute was made from, if it is published.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn reference_definition(&self, id: &ComputeId) -> Result<Option<Sha256>, StoreError> {
        let row = sqlx::query("SELECT definition_sha256 FROM reference_computes WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| digest(&row, "definition_sha256", "reference_computes").map(Sha256::from)).transpose()
    }
}

/// Puts a compute in place of whatever its id stood for. History is written only when something changes; says whether
/// it did. `upstream` is the one it is mirrored from; without, it is a compute of this hub.
pub(super) async fn put(
    change: &mut Transaction<'static, Sqlite>,
    upstream: Option<&str>,
    place: i64,
    publication: &Publication,
) -> Result<bool, StoreError> {
    let id = publication.id.as_str();
    let entry = publication.entry.to_value().to_string();
    let origin = if upstream.is_some() { Origin::Mirror } else { Origin::Local };
    let before = sqlx::query("SELECT upstream, entry, place FROM computes WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut **change)
        .await?;
    let unchanged = match &before {
        Some(row) => {
            row.try_get::<Option<String>, _>("upstream")?.as_deref() == upstream
                && row.try_get::<String, _>("entry")? == entry
        }
        None => false,
    };
    if let Some(row) = &before
        && unchanged
        && row.try_get::<i64, _>("place")? == place
        && has_artifacts(change, id, &publication.artifacts).await?
    {
        return Ok(false);
    }
    for artifact in &publication.artifacts {
        for blob in [artifact.original, artifact.served] {
            match upstream {
                Some(_) => find_blob(change, blob).await?,
                None => put_blob(change, blob).await?,
            }
        }
    }
    sqlx::query(
        "INSERT INTO computes (id, origin, place, entry, upstream) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET \
         published_at = iif(origin = ?2 AND entry = ?4, published_at, excluded.published_at), \
         origin = ?2, place = ?3, entry = ?4, upstream = ?5",
    )
    .bind(id)
    .bind(origin.stored())
    .bind(place)
    .bind(&entry)
    .bind(upstream)
    .execute(&mut **change)
    .await?;
    if !unchanged {
        record(change, id, origin, upstream, Some(&entry)).await?;
    }
    sqlx::query("DELETE FROM compute_artifacts WHERE compute_id = ?").bind(id).execute(&mut **change).await?;
    for artifact in &publication.artifacts {
        put_artifact(change, id, artifact).await?;
    }
    Ok(!unchanged)
}

/// Whether a compute has these files, and no others.
async fn has_artifacts(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    wanted: &[ArtifactRow],
) -> Result<bool, StoreError> {
    let rows = sqlx::query(
        "SELECT role, graph_hash, original_sha256, served_sha256 FROM compute_artifacts WHERE compute_id = ?",
    )
    .bind(id)
    .fetch_all(&mut **change)
    .await?;
    let mut found = HashSet::new();
    for row in &rows {
        let hash: [u8; 32] = digest(row, "graph_hash", id)?;
        let forms: [[u8; 32]; 2] = [digest(row, "original_sha256", id)?, digest(row, "served_sha256", id)?];
        found.insert((role(row, id)?.as_str(), hash, forms));
    }
    let wanted = wanted.iter().map(|artifact| {
        let forms = [artifact.original, artifact.served].map(|blob| *blob.sha256.as_bytes());
        (artifact.role.as_str(), *GraphHash::as_bytes(&artifact.graph_hash), forms)
    });
    Ok(found == wanted.collect())
}

async fn put_artifact(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    artifact: &ArtifactRow,
) -> Result<(), StoreError> {
    let hash = &artifact.graph_hash.as_bytes()[..];
    sqlx::query(
        "INSERT INTO compute_artifacts (compute_id, role, graph_hash, original_sha256, served_sha256) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(artifact.role.as_str())
    .bind(hash)
    .bind(&artifact.original.sha256.as_bytes()[..])
    .bind(&artifact.served.sha256.as_bytes()[..])
    .execute(&mut **change)
    .await?;
    sqlx::query("INSERT OR IGNORE INTO artifact_versions (role, graph_hash, sha256) VALUES (?, ?, ?)")
        .bind(artifact.role.as_str())
        .bind(hash)
        .bind(&artifact.served.sha256.as_bytes()[..])
        .execute(&mut **change)
        .await?;
    sqlx::query(
        "INSERT OR IGNORE INTO version_computes (role, graph_hash, sha256, compute_id) VALUES (?, ?, ?, ?)",
    )
    .bind(artifact.role.as_str())
    .bind(hash)
    .bind(&artifact.served.sha256.as_bytes()[..])
    .bind(id)
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Sees to it that a blob is known already. A pass takes note of what it fetches at once, and what it found here may have
/// been collected as garbage since: nothing kept it.
async fn find_blob(change: &mut Transaction<'static, Sqlite>, blob: StoredBlob) -> Result<(), StoreError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?)")
        .bind(&blob.sha256.as_bytes()[..]);
    if found.fetch_one(&mut **change).await? { Ok(()) } else { Err(StoreError::Collected(blob.sha256)) }
}

/// Takes note of a blob that has just been stored, or made young: a collection of garbage under way leaves it alone.
pub(super) async fn put_blob(
    change: &mut Transaction<'static, Sqlite>,
    blob: StoredBlob,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO blobs (sha256, size_bytes) VALUES (?, ?)")
        .bind(&blob.sha256.as_bytes()[..])
        .bind(blob.size_bytes.cast_signed())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Appends to the history of an id.
pub(super) async fn record(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    origin: Origin,
    upstream: Option<&str>,
    entry: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO revisions (compute_id, origin, upstream, entry) VALUES (?, ?, ?, ?)")
        .bind(id)
        .bind(origin.stored())
        .bind(upstream)
        .bind(entry)
        .execute(&mut **change)
        .await?;
    Ok(())
}

pub(super) fn compute_row(row: &SqliteRow) -> Result<ComputeRow, StoreError> {
    let id: String = row.try_get("id")?;
    let place = || format!("computes, id {id:?}");
    let unreadable = |reason: String| StoreError::Row { place: place(), reason };
    let origin = read_origin(row, &place())?;
    let (entry, upstream) = (row.try_get("entry")?, row.try_get("upstream")?);
    let id = id.parse().map_err(|error: ComputeIdError| unreadable(error.to_string()))?;
    Ok(ComputeRow { id, origin, upstream, entry, artifacts: Vec::new() })
}

pub(super) fn read_origin(row: &SqliteRow, place: &str) -> Result<Origin, StoreError> {
    let text: String = row.try_get("origin")?;
    origin(&text).map_err(|reason| StoreError::Row { place: place.to_owned(), reason })
}

/// The origin a word stands for, or what is wrong with it.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    Origin::read(text).ok_or_else(|| format!("origin {text:?}"))
}

pub(super) fn artifact_row(row: &SqliteRow, id: &str) -> Result<ArtifactRow, StoreError> {
    let place = format!("compute_artifacts, compute {id:?}");
    Ok(ArtifactRow {
        role: role(row, &place)?,
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", &place)?),
        original: blob(row, "original_sha256", "original_bytes", &place)?,
        served: blob(row, "served_sha256", "served_bytes", &place)?,
    })
}

pub(super) fn role(row: &SqliteRow, place: &str) -> Result<Role, StoreError> {
    let text: String = row.try_get("role")?;
    Role::read(&text)
        .ok_or_else(|| StoreError::Row { place: place.to_owned(), reason: format!("role {text:?}") })
}

pub(super) fn blob(
    row: &SqliteRow,
    sha256: &str,
    size_bytes: &str,
    place: &str,
) -> Result<StoredBlob, StoreError> {
    let size: i64 = row.try_get(size_bytes)?;
    Ok(StoredBlob { sha256: digest(row, sha256, place)?.into(), size_bytes: size.cast_unsigned() })
}

pub(super) fn digest(row: &SqliteRow, column: &str, place: &str) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Row {
        place: place.to_owned(),
        reason: format!("{column} has {} bytes instead of 32", bytes.len()),
    })
}
