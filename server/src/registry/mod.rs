//! The registry as it is served: rendered once per change, and then only read.
//!
//! A [`Catalogue`] is one consistent moment of store and blobs. Requests are answered from it without the database;
//! how an answer looks on the wire is the business of `http`.

mod audiences;
mod note;
mod render;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use bytes::Bytes;
use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Metadata, RegistryEntry, Sha256};

use self::audiences::Private;
use crate::blobs::{BlobError, BlobStore, StoredBlob};
use crate::store::{ArtifactVersion, ComputeRow, Store, StoreError, VersionKey};
use crate::visibility::{PrivateIds, Viewer};

/// What phasic calls the revision of entries whose files are PTDPRMC3. It refuses to pull later ones, and so do we.
pub const FORMAT_REVISION: u32 = 3;

/// Everything that can be asked for at one moment.
#[derive(Debug)]
pub struct Catalogue {
    absolute: Representation,
    relative: Representation,
    base: String,
    computes: Vec<Listed>,
    private: Private,
    private_ids: PrivateIds,
    withheld: Vec<Withheld>,
    current: HashMap<ArtifactName, StoredBlob>,
    versions: HashMap<(ArtifactName, Sha256), Version>,
    /// Blobs that should be there and are not, or not whole.
    lost: HashSet<Sha256>,
}

/// One content of an artifact name.
#[derive(Debug)]
struct Version {
    blob: StoredBlob,
    /// The private computes it was served for; `None` when everybody may have it.
    private_to: Option<Box<[ComputeId]>>,
}

/// A registry document in its content codings.
#[derive(Debug)]
pub struct Representation {
    /// The JSON text.
    pub plain: Bytes,
    /// The same, compressed.
    pub gzip: Bytes,
    /// SHA-256 of the JSON text.
    pub sha256: Sha256,
}

/// A compute of the served document, for listings.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: ComputeId,
    /// Its graph.
    pub graph_hash: GraphHash,
    /// What people should know about it.
    pub metadata: Metadata,
}

/// A compute that is stored and not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Its id.
    pub id: ComputeId,
    /// What is wrong with a file of it.
    pub reason: WithheldReason,
}

/// Why a compute is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithheldReason {
    /// A file is lost or damaged.
    #[error("its file {0} is lost or damaged")]
    Missing(Sha256),
    /// A file is no program of the graph, which is known, in any order of edges.
    #[error("its file {0} is no program of its graph")]
    Mismatch(Sha256),
}

/// How the document names artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paths {
    /// Absolute URLs that carry the digest, which is what an unmodified phasic needs.
    Absolute,
    /// Relative to the registry, as they lie in a git repository.
    Relative,
}

/// The catalogue could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The document could not be written.
    #[error("the registry document cannot be rendered: {0}")]
    Render(#[from] serde_json::Error),
    /// Rendering broke off.
    #[error("rendering the registry document broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl Catalogue {
    /// Reads and renders the present state. `base` is what absolute URLs begin with, without a final slash.
    ///
    /// A compute is served only if all its files seem to be there, and is withheld otherwise. Takes time in
    /// proportion to the number of computes, and memory for little more than the documents.
    ///
    /// # Errors
    /// When the database or the blob store fails.
    pub async fn load(store: &Store, blobs: &dyn BlobStore, base: &str) -> Result<Self, CatalogueError> {
        let mut versions = store.artifact_versions().await?;
        let wrong: HashSet<_> = store.mismatches().await?.into_iter().collect();
        let is_wrong = |row: &ComputeRow| {
            let mut files = row.artifacts.iter().map(|file| (file.graph_hash, file.served.sha256));
            files.find(|file| wrong.contains(file)).map(|(_, sha256)| WithheldReason::Mismatch(sha256))
        };
        // Addresses stay good for ever, but not for what was found out to be wrong.
        versions.retain(|version| !wrong.contains(&(version.graph_hash, version.blob.sha256)));
        let private_ids = store.private_ids().await?;
        // Nobody need know whose they are where nothing is private.
        let holders = if private_ids.is_empty() { HashMap::new() } else { store.version_computes().await? };
        let replaced: HashMap<_, _> =
            store.served_variants().await?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let orders = store.ambiguous_orders().await?;
        let mut presence = Presence { blobs, seen: HashMap::new() };
        let (mut served, mut withheld) = (Vec::new(), Vec::new());
        for mut row in store.computes().await? {
            if let Some(one) = replaced.get(&row.id)
                && !presence.lacks(one.blob).await?
            {
                note::serve_instead(&mut row, one);
            }
            note::say_edge_order(&mut row, &orders);
            let missing = presence.missing(&row).await?.map(WithheldReason::Missing);
            match missing.or_else(|| is_wrong(&row)) {
                Some(reason) => withheld.push(Withheld { id: row.id, reason }),
                None if row.artifacts.is_empty() => {}
                None => served.push(row),
            }
        }
        let mut lost = HashSet::new();
        for version in &versions {
            if presence.lacks(version.blob).await? {
                lost.insert(version.blob.sha256);
            }
        }
        let found = Found { served, withheld, versions, lost, private_ids, holders, base: base.to_owned() };
        // Parsing, rendering and compressing ten thousand entries takes longer than a request should wait.
        tokio::task::spawn_blocking(move || Self::render(found)).await?
    }

    fn render(found: Found) -> Result<Self, CatalogueError> {
        let Found { served, withheld, versions, lost, private_ids, holders, base } = found;
        let (private, served): (Vec<_>, Vec<_>) =
            served.into_iter().partition(|row| private_ids.contains(&row.id));
        let (mut computes, mut current) = (Vec::new(), HashMap::new());
        for row in &served {
            let RegistryEntry { retracted, graph_hash, metadata, .. } = row.publication()?.entry;
            if retracted {
                continue;
            }
            computes.push(Listed { id: row.id.clone(), graph_hash, metadata });
            for artifact in &row.artifacts {
                // As a pull does it: the first one wins.
                current.entry(artifact.role.name(artifact.graph_hash)).or_insert(artifact.served);
            }
        }
        let version = |ArtifactVersion { role, graph_hash, blob }: ArtifactVersion| {
            let computes = holders.get(&(role, graph_hash, blob.sha256));
            let private_to = computes.filter(|computes| computes.iter().all(|id| private_ids.contains(id)));
            let private_to = private_to.map(|computes| computes.clone().into_boxed_slice());
            ((role.name(graph_hash), blob.sha256), Version { blob, private_to })
        };
        Ok(Self {
            absolute: Representation::of(render::document(&served, &current, Paths::Absolute, &base)?),
            relative: Representation::of(render::document(&served, &current, Paths::Relative, &base)?),
            computes,
            private: Private::new(private)?,
            withheld,
            current,
            versions: versions.into_iter().map(version).collect(),
            lost,
            private_ids,
            base,
        })
    }

    /// The registry document everybody gets.
    pub fn document(&self, paths: Paths) -> &Representation {
        match paths {
            Paths::Absolute => &self.absolute,
            Paths::Relative => &self.relative,
        }
    }

    /// The computes a listing shows to everybody, in order.
    pub fn computes(&self) -> &[Listed] {
        &self.computes
    }

    /// The computes a listing shows to a viewer: those that are private first.
    pub fn computes_for<'a>(&'a self, viewer: &'a Viewer) -> impl Iterator<Item = &'a Listed> {
        self.private.listed(viewer).chain(&self.computes)
    }

    /// Whether an id is private.
    pub fn is_private(&self, id: &ComputeId) -> bool {
        self.private_ids.contains(id)
    }

    /// What is stored and not served, private computes, too.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// Whether a blob that should be there was found to be lost.
    pub fn is_lost(&self, blob: Sha256) -> bool {
        self.lost.contains(&blob)
    }

    /// The bytes a name stands for, to a viewer: today's, or those of a digest it has had at any time, even if they are
    /// lost. Without a digest, what everybody sees comes first.
    pub fn artifact(
        &self,
        name: ArtifactName,
        digest: Option<Sha256>,
        viewer: &Viewer,
    ) -> Option<StoredBlob> {
        let Some(digest) = digest else {
            return self.current.get(&name).copied().or_else(|| self.private.artifact(name, viewer));
        };
        let Version { blob, private_to } = self.versions.get(&(name, digest))?;
        let sees = |ids: &[ComputeId]| ids.iter().any(|id| viewer.sees_id(id, true));
        private_to.as_deref().is_none_or(sees).then_some(*blob)
    }
}

/// What a catalogue is made of.
struct Found {
    served: Vec<ComputeRow>,
    withheld: Vec<Withheld>,
    versions: Vec<ArtifactVersion>,
    lost: HashSet<Sha256>,
    private_ids: PrivateIds,
    holders: HashMap<VersionKey, Vec<ComputeId>>,
    base: String,
}

/// Whether blobs are there; each is looked for once, however many computes share it.
struct Presence<'a> {
    blobs: &'a dyn BlobStore,
    seen: HashMap<Sha256, Option<u64>>,
}

impl Presence<'_> {
    /// The first file of a compute that is not there, or not whole.
    async fn missing(&mut self, row: &ComputeRow) -> Result<Option<Sha256>, BlobError> {
        for artifact in &row.artifacts {
            if self.lacks(artifact.served).await? {
                return Ok(Some(artifact.served.sha256));
            }
        }
        Ok(None)
    }

    /// Whether a blob is not there, or not whole.
    async fn lacks(&mut self, StoredBlob { sha256, size_bytes }: StoredBlob) -> Result<bool, BlobError> {
        let found = match self.seen.entry(sha256) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(self.blobs.size_bytes(sha256).await?),
        };
        Ok(found != Some(size_bytes))
    }
}

impl Representation {
    fn of(text: String) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let gzip = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail");
        Self { sha256: Sha256::of(text.as_bytes()), plain: text.into(), gzip: gzip.into() }
    }
}
