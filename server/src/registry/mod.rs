//! The registry as it is served: rendered once per change, and then only read.
//!
//! A [`Catalogue`] is one consistent moment of store and blobs. Requests are answered from it without the database;
//! how an answer looks on the wire is the business of `http`.

mod audiences;
mod note;
mod render;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Metadata, RegistryEntry, Sha256};

use self::audiences::Private;
pub(crate) use self::note::{is_private, say_privacy};
use crate::blobs::{BlobError, BlobStore, StoredBlob};
use crate::reference::known_graph;
use crate::store::{ArtifactVersion, ComputeRow, Store, StoreError, VariantReason, VersionKey};
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
    doubts: Vec<ComputeId>,
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
    /// The same, compressed, once somebody wants it so.
    gzip: OnceLock<Bytes>,
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
    /// A file is no program of the graph in any order of edges; the hub knows the graph by itself.
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
    /// Relative to the registry, by digest, as they lie in a bundle.
    Blobs,
}

/// The registry document of a bundle: these computes in this order, with files as `blobs/<sha256>`.
///
/// # Errors
/// When an entry cannot be written.
pub fn bundle_document(rows: &[ComputeRow]) -> Result<String, serde_json::Error> {
    render::document(rows, &HashMap::new(), Paths::Blobs, "")
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
        let (wrong, doubted): (HashSet<_>, HashSet<_>) =
            store.mismatches().await?.into_iter().partition(|&(hash, _)| known_graph(hash).is_some());
        let is_wrong = |row: &ComputeRow| {
            let mut files = row.artifacts.iter().map(|file| (file.graph_hash, file.served.sha256));
            files.find(|file| wrong.contains(file)).map(|(_, sha256)| WithheldReason::Mismatch(sha256))
        };
        let private_ids = store.private_ids().await?;
        // Nobody need know whose they are where nothing is private.
        let holders = if private_ids.is_empty() { HashMap::new() } else { store.version_computes().await? };
        let replaced: HashMap<_, _> =
            store.served_variants().await?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let orders = store.ambiguous_orders().await?;
        let rows = store.computes().await?;
        // Asked for after the computes: what has ceased to be one's in between is there twice, and never not at all.
        let mut versions = store.former_versions().await?;
        versions.extend(rows.iter().flat_map(|row| &row.artifacts).map(|artifact| ArtifactVersion {
            role: artifact.role,
            graph_hash: artifact.graph_hash,
            blob: artifact.served,
        }));
        // Addresses stay good for ever, but not for what was found out to be wrong.
        versions.retain(|version| !wrong.contains(&(version.graph_hash, version.blob.sha256)));
        let named = rows.iter().flat_map(|row| &row.artifacts).map(|artifact| artifact.served);
        let wanted = versions.iter().map(|version| version.blob).chain(named);
        let lost = lost(blobs, wanted.chain(replaced.values().map(|one| one.blob))).await?;
        let is_lost = |row: &ComputeRow| {
            let mut files = row.artifacts.iter().map(|artifact| artifact.served.sha256);
            files.find(|file| lost.contains(file)).map(WithheldReason::Missing)
        };
        let (mut served, mut withheld, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
        for mut row in rows {
            // Where phasic's own program was replaced because it is wrong, it is none to fall back upon.
            if let Some(one) = replaced.get(&row.id)
                && (one.reason != VariantReason::Requested || !lost.contains(&one.blob.sha256))
            {
                note::serve_instead(&mut row, one);
            }
            note::say_edge_order(&mut row, &orders);
            match is_lost(&row).or_else(|| is_wrong(&row)) {
                Some(reason) => withheld.push(Withheld { id: row.id, reason }),
                None if row.artifacts.is_empty() => {}
                None => {
                    let mut files = row.artifacts.iter().map(|file| (file.graph_hash, file.served.sha256));
                    if files.any(|file| doubted.contains(&file)) {
                        doubts.push(row.id.clone());
                    }
                    served.push(row);
                }
            }
        }
        let base = base.to_owned();
        let found = Found { served, withheld, doubts, versions, lost, private_ids, holders, base };
        // Parsing, rendering and compressing ten thousand entries takes longer than a request should wait.
        tokio::task::spawn_blocking(move || Self::render(found)).await?
    }

    fn render(found: Found) -> Result<Self, CatalogueError> {
        let Found { served, withheld, doubts, versions, lost, private_ids, holders, base } = found;
        let (mut private, mut served): (Vec<_>, Vec<_>) =
            served.into_iter().partition(|row| private_ids.contains(&row.id));
        for row in &mut private {
            say_privacy(row, true);
        }
        for row in &mut served {
            say_privacy(row, false);
        }
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
            doubts,
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
            Paths::Relative | Paths::Blobs => &self.relative,
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

    /// What is served although a file of it fits no graph that was submitted under its hash, private computes, too.
    ///
    /// Whoever submits a graph says which one *he* means. The publisher of a compute may have meant another that meets
    /// the hash, or published our program of another order of edges; so what others submit is a reason to look, and
    /// never to withdraw.
    pub fn doubts(&self) -> &[ComputeId] {
        &self.doubts
    }

    /// Whether a blob that should be there was found to be lost.
    pub fn is_lost(&self, blob: Sha256) -> bool {
        self.lost.contains(&blob)
    }

    /// Whether an artifact has this content, as far as is known here. Looks at all of them.
    pub fn promises(&self, blob: Sha256) -> bool {
        !self.is_lost(blob) && self.versions.values().any(|version| version.blob.sha256 == blob)
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
    doubts: Vec<ComputeId>,
    versions: Vec<ArtifactVersion>,
    lost: HashSet<Sha256>,
    private_ids: PrivateIds,
    holders: HashMap<VersionKey, Vec<ComputeId>>,
    base: String,
}

/// Those of these blobs that are not there, or not whole; each is looked for once.
async fn lost(
    blobs: &dyn BlobStore,
    wanted: impl Iterator<Item = StoredBlob>,
) -> Result<HashSet<Sha256>, BlobError> {
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_unstable_by_key(|blob| (blob.sha256, blob.size_bytes));
    wanted.dedup();
    let sizes = blobs.sizes_bytes(wanted.iter().map(|blob| blob.sha256).collect()).await?;
    let lacking = wanted.iter().zip(sizes).filter(|(blob, size_bytes)| *size_bytes != Some(blob.size_bytes));
    Ok(lacking.map(|(blob, _)| blob.sha256).collect())
}

impl Representation {
    fn of(text: String) -> Self {
        Self { sha256: Sha256::of(text.as_bytes()), plain: text.into(), gzip: OnceLock::new() }
    }

    /// The text, compressed, if somebody has asked for that.
    pub fn compressed(&self) -> Option<&Bytes> {
        self.gzip.get()
    }

    /// The text, compressed. The first time that takes a second for ten thousand computes; whoever asks meanwhile waits.
    #[expect(clippy::missing_panics_doc, reason = "writing to memory does not fail")]
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            let gzip = encoder.write_all(&self.plain).and_then(|()| encoder.finish());
            gzip.expect("writing to memory does not fail").into()
        })
    }
}
