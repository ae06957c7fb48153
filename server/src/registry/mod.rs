//! The registry as it is served: rendered once per change, and then only read.
//!
//! A [`Catalogue`] is one consistent moment of store and blobs. Requests are answered from it without the database;
//! how an answer looks on the wire is the business of `http`.

mod render;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Write as _;

use bytes::Bytes;
use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Metadata, Sha256};

use crate::blobs::{BlobError, BlobStore, StoredBlob};
use crate::store::{ComputeRow, Store, StoreError};

/// Everything that can be asked for at one moment.
#[derive(Debug)]
pub struct Catalogue {
    absolute: Representation,
    relative: Representation,
    computes: Vec<Listed>,
    withheld: Vec<Withheld>,
    current: HashMap<ArtifactName, StoredBlob>,
    versions: HashMap<(ArtifactName, Sha256), StoredBlob>,
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

/// A compute that is stored and not served, because a file of it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Its id.
    pub id: ComputeId,
    /// The blob that is not there.
    pub missing: Sha256,
}

/// How the document names artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Catalogue {
    /// Reads and renders the present state. `base` is what absolute URLs begin with, without a final slash.
    ///
    /// A compute is served only if all its files seem to be there, and is withheld otherwise. Takes time in
    /// proportion to the number of computes, about 20 µs for each.
    ///
    /// # Errors
    /// When the database or the blob store fails.
    pub async fn load(store: &Store, blobs: &dyn BlobStore, base: &str) -> Result<Self, CatalogueError> {
        let versions = store.artifact_versions().await?;
        let (mut served, mut withheld) = (Vec::new(), Vec::new());
        for row in store.computes().await? {
            match missing_blob(&row, blobs).await? {
                Some(missing) => withheld.push(Withheld { id: row.publication.id, missing }),
                None if row.publication.artifacts.is_empty() => {}
                None => served.push(row.publication),
            }
        }
        let mut current = HashMap::new();
        for publication in served.iter().filter(|publication| !publication.entry.retracted) {
            for artifact in &publication.artifacts {
                // As a pull does it: the first one wins.
                current.entry(artifact.role.name(artifact.graph_hash)).or_insert(artifact.served);
            }
        }
        let document = |paths| render::document(&served, paths, base).to_json();
        Ok(Self {
            absolute: Representation::of(document(Paths::Absolute)),
            relative: Representation::of(document(Paths::Relative)),
            withheld,
            current,
            versions: versions
                .into_iter()
                .map(|version| ((version.name, version.blob.sha256), version.blob))
                .collect(),
            computes: served
                .into_iter()
                .filter(|publication| !publication.entry.retracted)
                .map(|publication| Listed {
                    id: publication.id,
                    graph_hash: publication.entry.graph_hash,
                    metadata: publication.entry.metadata,
                })
                .collect(),
        })
    }

    /// The registry document.
    pub fn document(&self, paths: Paths) -> &Representation {
        match paths {
            Paths::Absolute => &self.absolute,
            Paths::Relative => &self.relative,
        }
    }

    /// The computes a listing shows, in order.
    pub fn computes(&self) -> &[Listed] {
        &self.computes
    }

    /// What is stored and not served.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// The bytes a name stands for: today's, or those of a digest it has had at any time.
    pub fn artifact(&self, name: ArtifactName, digest: Option<Sha256>) -> Option<StoredBlob> {
        match digest {
            None => self.current.get(&name).copied(),
            Some(digest) => self.versions.get(&(name, digest)).copied(),
        }
    }
}

async fn missing_blob(row: &ComputeRow, blobs: &dyn BlobStore) -> Result<Option<Sha256>, BlobError> {
    for artifact in &row.publication.artifacts {
        if blobs.size_bytes(artifact.served.sha256).await? != Some(artifact.served.size_bytes) {
            return Ok(Some(artifact.served.sha256));
        }
    }
    Ok(None)
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
