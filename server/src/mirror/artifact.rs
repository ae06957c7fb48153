//! One file: from what an entry says about it to two blobs, the original and the served form, or a fault.

use std::sync::Arc;

use phasic_engine::artifact::{Checks, Decoded, Format, decode, encode_ptdprmc3};
use phasic_hub_api::{ArtifactName, GraphHash, Metadata, Sha256};

use super::{Fault, FaultCode, Location, Upstream};
use crate::blobs::{BlobError, BlobStore, StoredBlob, Terms, in_memory, read_whole};
use crate::hub::DataDirectory;
use crate::reference::known_graph;
use crate::store::{ArtifactRow, Role, StoreError};
use crate::verification::{Limits, fits_submitted, misfit_of_built_in};
use crate::visibility::Viewer;

/// What an entry says about a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced<'a> {
    pub(crate) role: Role,
    pub(crate) graph_hash: GraphHash,
    pub(super) location: &'a str,
    pub(crate) sha256: Sha256,
    pub(crate) size_bytes: u64,
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
    pub(crate) fn all(entry: &'a phasic_hub_api::RegistryEntry) -> impl Iterator<Item = Self> {
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
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
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

/// What a file is judged by.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) data: &'a DataDirectory,
    /// What comparisons are made under.
    pub(super) limits: Limits<'a>,
    /// Whether only the program this hub makes itself will do.
    pub(super) must_be_known: bool,
}

/// Fetches a file, checks everything that can be checked, and keeps it: as it is, and as PTDPRMC3.
pub(super) async fn take(
    announced: Announced<'_>,
    location: &Location,
    upstream: &Upstream,
    judge: Judge<'_>,
) -> Result<ArtifactRow, Stop> {
    let bytes = fetch(announced, location, upstream).await?;
    keep_checked(announced, bytes, judge).await
}

/// Judges anew a file that is here already.
pub(super) async fn judge_again(
    announced: Announced<'_>,
    row: ArtifactRow,
    judge: Judge<'_>,
) -> Result<ArtifactRow, Stop> {
    let bytes = read_whole(&*judge.data.blobs, row.original).await?;
    keep_checked(announced, bytes, judge).await
}

async fn keep_checked(
    announced: Announced<'_>,
    bytes: Vec<u8>,
    judge: Judge<'_>,
) -> Result<ArtifactRow, Stop> {
    let (served, mut bytes) = check_sent(announced, bytes).await?;
    let hash = announced.graph_hash;
    bytes = judge.check_built_in(bytes, hash).await?;
    if judge.must_be_known && known_graph(hash).is_none() {
        bytes = judge.made_anew(bytes, hash).await?;
    }
    let blobs = &*judge.data.blobs;
    let original = keep(bytes, blobs).await?;
    let served = match served {
        Some(served) => keep(served, blobs).await?,
        None => original,
    };
    Ok(ArtifactRow { role: announced.role, graph_hash: announced.graph_hash, original, served })
}

/// Where a file is to be had, as far as it may be asked for.
pub(super) fn locate(
    announced: Announced<'_>,
    upstream: &Upstream,
    max_bytes: u64,
) -> Result<Location, Fault> {
    let size_bytes = announced.size_bytes;
    if size_bytes > max_bytes {
        let reason =
            format!("it has {size_bytes} bytes, and this hub takes {max_bytes} (mirror.max_artifact_bytes)");
        return Err(Fault::new(FaultCode::TooLarge, reason));
    }
    Location::read(announced.location, upstream.url())
        .map_err(|error| Fault::new(FaultCode::LocationRefused, error))
}

async fn fetch(announced: Announced<'_>, location: &Location, upstream: &Upstream) -> Result<Vec<u8>, Fault> {
    let size_bytes = announced.size_bytes;
    let bytes = upstream.file(location, size_bytes).await.map_err(|error| {
        if let Some(limit_bytes) = error.passed_bytes() {
            let reason = format!("the file is longer than the {limit_bytes} bytes its entry says");
            return Fault::new(FaultCode::WrongSize, reason);
        }
        if error.is_later() {
            return Fault { wait_seconds: error.wait_seconds(), ..Fault::new(FaultCode::Deferred, error) };
        }
        let code = if error.is_refusal() { FaultCode::LocationRefused } else { FaultCode::FetchFailed };
        Fault { is_trouble: error.is_trouble(), ..Fault::new(code, error) }
    })?;
    if bytes.len() as u64 != size_bytes {
        let reason = format!("the file has {} bytes, its entry says {size_bytes}", bytes.len());
        return Err(Fault::new(FaultCode::WrongSize, reason));
    }
    Ok(bytes)
}

impl Judge<'_> {
    /// Whether this hub can make the program of a graph itself.
    pub(super) async fn is_known(&self, hash: GraphHash) -> Result<bool, StoreError> {
        Ok(known_graph(hash).is_some() || !self.data.store.graphs(hash, &Viewer::Public).await?.is_empty())
    }

    /// Makes the program of a graph of this hub's own anew; for another order of edges, which the hash does not see, it is
    /// another one, and as right. Anything else is a fault. Gives the bytes back.
    async fn check_built_in(&self, bytes: Vec<u8>, hash: GraphHash) -> Result<Vec<u8>, Fault> {
        let bytes = Arc::new(bytes);
        match misfit_of_built_in(hash, &bytes, self.limits).await {
            Ok(None) => Ok(Arc::unwrap_or_clone(bytes)),
            Ok(Some(difference)) => Err(Fault::new(FaultCode::ArtifactInvalid, difference)),
            // Nothing is known against the file, and another pass may get further.
            Err(error) => Err(Fault::new(FaultCode::Unverified, error)),
        }
    }

    /// Makes a program anew from the definitions that were submitted under its hash. Gives the bytes back. A graph that
    /// somebody has submitted can only speak for a file: weights that no parameter changes are not in the hash, either.
    async fn made_anew(&self, bytes: Vec<u8>, hash: GraphHash) -> Result<Vec<u8>, Fault> {
        // A graph that cannot be read makes nothing worse: the file is then not verified.
        let rows = self.data.store.graphs(hash, &Viewer::Public).await.unwrap_or_default();
        if rows.is_empty() {
            return Err(unverified(false));
        }
        let bytes = Arc::new(bytes);
        let fits = fits_submitted((hash, rows), &bytes, &*self.data.blobs, self.limits).await;
        if fits { Ok(Arc::unwrap_or_clone(bytes)) } else { Err(unverified(true)) }
    }
}

/// The fault of a file that only trust could let in.
pub(super) fn unverified(is_graph_known: bool) -> Fault {
    let reason = if is_graph_known {
        "it is another program than this hub makes of the graphs it knows by this hash"
    } else {
        "this hub does not know the graph, so it cannot make the program itself; POST /v1/graphs makes it known"
    };
    Fault::new(FaultCode::Unverified, reason)
}

/// Hash, structure and header. Gives the bytes back, and those to serve instead if they are others. Whoever takes the file
/// compares it with the graphs there are of its hash.
pub(crate) async fn check_sent(
    announced: Announced<'_>,
    bytes: Vec<u8>,
) -> Result<(Option<Vec<u8>>, Vec<u8>), Fault> {
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
