//! One file: from what an entry says about it to two blobs, the original and the served form, or a fault.

use phasic_engine::artifact::{Checks, Decoded, Format, decode, encode_ptdprmc3, verify_in_any_order};
use phasic_engine::trace::Limits;
use phasic_hub_api::{ArtifactName, GraphHash, Metadata, Sha256};

use super::{Fault, FaultCode, Location, Upstream};
use crate::blobs::{BlobError, BlobStore, StoredBlob, Terms, in_memory};
use crate::reference::known_graph;
use crate::store::{ArtifactRow, Role};

/// What an entry says about a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced<'a> {
    pub(super) role: Role,
    pub(super) graph_hash: GraphHash,
    pub(super) location: &'a str,
    pub(super) sha256: Sha256,
    pub(super) size_bytes: u64,
    /// Vertices of the graph, when the entry says so.
    pub(super) vertices: Option<u64>,
}

/// What makes two announced files one: the same bytes, checked against the same promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    name: ArtifactName,
    sha256: Sha256,
    size_bytes: u64,
    vertices: Option<u64>,
}

impl<'a> Announced<'a> {
    pub(super) fn name(&self) -> ArtifactName {
        self.role.name(self.graph_hash)
    }

    pub(super) fn key(&self) -> FileKey {
        let Self { sha256, size_bytes, vertices, .. } = *self;
        FileKey { name: self.name(), sha256, size_bytes, vertices }
    }

    /// All files of an entry, the parent first.
    pub(super) fn all(entry: &'a phasic_hub_api::RegistryEntry) -> impl Iterator<Item = Self> {
        let parent = &entry.artifacts.parent;
        let Metadata { vertices, .. } = entry.metadata;
        let parent = Self {
            role: Role::Parent,
            graph_hash: entry.graph_hash,
            location: &parent.cid_or_path,
            sha256: parent.sha256,
            size_bytes: parent.size_bytes,
            vertices,
        };
        let components = entry.artifacts.scc.iter().map(|scc| Self {
            role: Role::Scc,
            graph_hash: scc.scc_hash,
            location: &scc.cid_or_path,
            sha256: scc.sha256,
            size_bytes: scc.size_bytes,
            vertices: None,
        });
        std::iter::once(parent).chain(components)
    }
}

/// A fault of this file, or a failure that ends the pass.
pub(super) enum Stop {
    Fault(Fault),
    Blobs(BlobError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blobs(error)
    }
}

/// Fetches a file, checks everything that can be checked, and keeps it: as it is, and as PTDPRMC3.
pub(super) async fn take(
    announced: Announced<'_>,
    upstream: &Upstream,
    blobs: &dyn BlobStore,
    max_bytes: u64,
) -> Result<ArtifactRow, Stop> {
    let bytes = fetch(announced, upstream, max_bytes).await?;
    let (served, bytes) = check(announced, bytes).await?;
    let original = keep(bytes, blobs).await?;
    let served = match served {
        Some(served) => keep(served, blobs).await?,
        None => original,
    };
    Ok(ArtifactRow { role: announced.role, graph_hash: announced.graph_hash, original, served })
}

async fn fetch(announced: Announced<'_>, upstream: &Upstream, max_bytes: u64) -> Result<Vec<u8>, Fault> {
    let size_bytes = announced.size_bytes;
    if size_bytes > max_bytes {
        let reason =
            format!("it has {size_bytes} bytes, and this hub takes {max_bytes} (mirror.max_artifact_bytes)");
        return Err(Fault::new(FaultCode::TooLarge, reason));
    }
    let location = Location::read(announced.location, upstream.url())
        .map_err(|error| Fault::new(FaultCode::LocationRefused, error))?;
    let bytes = upstream.file(&location, size_bytes).await.map_err(|error| match error.passed_bytes() {
        Some(limit_bytes) => {
            let reason = format!("the file is longer than the {limit_bytes} bytes its entry says");
            Fault::new(FaultCode::WrongSize, reason)
        }
        None if error.is_refusal() => Fault::new(FaultCode::LocationRefused, error),
        None => Fault::new(FaultCode::FetchFailed, error),
    })?;
    if bytes.len() as u64 != size_bytes {
        let reason = format!("the file has {} bytes, its entry says {size_bytes}", bytes.len());
        return Err(Fault::new(FaultCode::WrongSize, reason));
    }
    Ok(bytes)
}

/// Hash, structure and header. Gives the bytes back, and those to serve instead if they are others.
async fn check(announced: Announced<'_>, bytes: Vec<u8>) -> Result<(Option<Vec<u8>>, Vec<u8>), Fault> {
    let (expected, graph_hash, vertices) = (announced.sha256, announced.graph_hash, announced.vertices);
    let work = move || {
        let found = Sha256::of(&bytes);
        if found != expected {
            let reason = format!("the file has SHA-256 {found}, its entry says {expected}");
            return Err(Fault::new(FaultCode::WrongHash, reason));
        }
        let invalid = |reason: &dyn std::fmt::Display| Fault::new(FaultCode::ArtifactInvalid, reason);
        let mut checks = Checks { hash: Some(graph_hash), ..Checks::default() };
        // A PTDPRMC3 file does not say how many vertices there are; its entry does, and no row may lie outside.
        checks.limits.vertices = vertices.unwrap_or(u64::MAX).min(checks.limits.vertices);
        let decoded = decode(&bytes, &checks).map_err(|error| invalid(&error))?;
        check_vertices(&decoded, vertices).map_err(|reason| invalid(&reason))?;
        // Where the graph is known, the program is made anew and must be the same; for another order of edges, which the
        // hash does not see, it is another one, and as right.
        if let Some(graph) = known_graph(graph_hash) {
            verify_in_any_order(&bytes, graph, graph_hash, &Limits::default(), &mut ())
                .map_err(|error| invalid(&error))?;
        }
        if decoded.format == Format::Ptdprmc3 {
            return Ok((None, bytes));
        }
        let mut served = Vec::new();
        encode_ptdprmc3(&decoded.trace, &mut served).map_err(|error| invalid(&error))?;
        Ok((Some(served), bytes))
    };
    let stopped =
        |error| Fault::new(FaultCode::ArtifactInvalid, format!("the check of the file broke off: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// Only PTDPRMC1 says how many vertices the graph has.
fn check_vertices(decoded: &Decoded, announced: Option<u64>) -> Result<(), String> {
    let found = u64::from(decoded.trace.vertex_count());
    match announced {
        Some(vertices) if decoded.format == Format::Ptdprmc1 && vertices != found => {
            Err(format!("the file is for a graph of {found} vertices, its entry says {vertices}"))
        }
        _ => Ok(()),
    }
}

async fn keep(bytes: Vec<u8>, blobs: &dyn BlobStore) -> Result<StoredBlob, BlobError> {
    let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
    blobs.put(in_memory(bytes), terms).await
}
