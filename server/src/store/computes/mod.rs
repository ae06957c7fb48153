//! Computes, their artifacts, and the history of both.

mod rows;
mod writing;

use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, RegistryEntry, Sha256};

pub(super) use self::rows::{artifact_row, blob, compute_row, digest, origin, read_origin, role};
pub(super) use self::writing::{put, put_blob, record};
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
