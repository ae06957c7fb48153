//! Which bytes an artifact's name stands for, today and with a digest.

use std::collections::HashMap;

use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Sha256};

use crate::blobs::StoredBlob;
use crate::store::{ArtifactRow, ArtifactVersion, VersionKey};
use crate::visibility::{PrivateIds, Viewer};

/// Every content of every name, in a sorted list: for a hundred thousand files a table to hash into takes three times the
/// memory.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<Version>);

/// One content of an artifact name.
#[derive(Debug)]
struct Version {
    name: ArtifactName,
    blob: StoredBlob,
    /// The private computes it was served for; `None` when everybody may have it.
    private_to: Option<Box<[ComputeId]>>,
    /// Which compute everybody sees, counted in the order of the document, has this content; [`NONE`] where none has.
    place: u32,
}

/// The place of what no compute has, or none that everybody sees.
const NONE: u32 = u32::MAX;

impl Version {
    fn key(&self) -> (ArtifactName, Sha256) {
        (self.name, self.blob.sha256)
    }
}

/// A content as [`Files::to_bytes`] writes it.
fn read_record(record: &[u8]) -> Option<Version> {
    let (role, rest) = record.split_first()?;
    let (&graph_hash, rest) = rest.split_first_chunk()?;
    let (&sha256, rest) = rest.split_first_chunk::<32>()?;
    let (&size_bytes, rest) = rest.split_first_chunk()?;
    let graph_hash = GraphHash::from_bytes(graph_hash);
    let name = match role {
        b'p' => ArtifactName::Parent(graph_hash),
        b's' => ArtifactName::Scc(graph_hash),
        _ => return None,
    };
    let blob = StoredBlob { sha256: sha256.into(), size_bytes: u64::from_le_bytes(size_bytes) };
    let place = u32::from_le_bytes(rest.try_into().ok()?);
    Some(Version { name, blob, private_to: None, place })
}

/// Collects [`Files`], compute by compute.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    versions: Vec<Version>,
    computes: u32,
}

impl Collecting {
    /// A content that can be asked for by its digest.
    pub(super) fn add(&mut self, one: &ArtifactVersion) {
        self.push(one.role.name(one.graph_hash), one.blob, NONE);
    }

    /// The files of the next compute everybody sees: their bare names stand for them, unless an earlier compute has one
    /// of that name, as a pull does it.
    pub(super) fn add_compute(&mut self, files: &[ArtifactRow]) {
        for file in files {
            self.push(file.role.name(file.graph_hash), file.served, self.computes);
        }
        self.computes = self.computes.saturating_add(1);
    }

    fn push(&mut self, name: ArtifactName, blob: StoredBlob, place: u32) {
        self.versions.push(Version { name, blob, private_to: None, place });
    }

    /// What was collected. `holders` are the computes each content was served for, where anything is private.
    pub(super) fn finish(
        self,
        holders: &HashMap<VersionKey, Vec<ComputeId>>,
        private_ids: &PrivateIds,
    ) -> Files {
        let Self { mut versions, .. } = self;
        versions.sort_unstable_by_key(|version| (version.key(), version.place));
        // The first compute of those that have it stays.
        versions.dedup_by_key(|version| version.key());
        versions.shrink_to_fit();
        if !holders.is_empty() {
            let holders: HashMap<_, _> = holders
                .iter()
                .map(|(&(role, graph_hash, sha256), ids)| ((role.name(graph_hash), sha256), ids))
                .collect();
            for version in &mut versions {
                let ids = holders.get(&version.key());
                let private_to = ids.filter(|ids| ids.iter().all(|id| private_ids.contains(id)));
                version.private_to = private_to.map(|ids| (*ids).clone().into_boxed_slice());
            }
        }
        Files(versions)
    }
}

/// Bytes of a content of a name as [`Files::to_bytes`] writes it: a letter for its role, two digests, its size and its place.
const RECORD_BYTES: usize = 1 + 32 + 32 + 8 + 4;

impl Files {
    /// All of it as bytes, equally many for each content; nothing where some are not for everybody.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.0.len() * RECORD_BYTES);
        for Version { name, blob, private_to, place } in &self.0 {
            if private_to.is_some() {
                return None;
            }
            bytes.push(if matches!(name, ArtifactName::Parent(_)) { b'p' } else { b's' });
            bytes.extend_from_slice(name.graph_hash().as_bytes());
            bytes.extend_from_slice(blob.sha256.as_bytes());
            bytes.extend_from_slice(&blob.size_bytes.to_le_bytes());
            bytes.extend_from_slice(&place.to_le_bytes());
        }
        Some(bytes)
    }

    /// What [`to_bytes`](Self::to_bytes) has written; nothing where these bytes are something else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let records = bytes.chunks_exact(RECORD_BYTES);
        let is_whole = records.remainder().is_empty();
        let versions = records.map(read_record).collect::<Option<_>>().filter(|_| is_whole);
        versions.map(Self)
    }

    /// The bytes a bare name stands for, for everybody.
    pub(super) fn current(&self, name: ArtifactName) -> Option<StoredBlob> {
        let begin = self.0.partition_point(|version| version.name < name);
        let of_name = self.0[begin..].iter().take_while(|version| version.name == name);
        let first = of_name.filter(|version| version.place != NONE).min_by_key(|version| version.place);
        first.map(|version| version.blob)
    }

    /// The bytes of a name and a digest it has had at any time, to a viewer.
    pub(super) fn version(&self, name: ArtifactName, digest: Sha256, viewer: &Viewer) -> Option<StoredBlob> {
        let place = self.0.binary_search_by_key(&(name, digest), Version::key).ok()?;
        let Version { blob, private_to, .. } = &self.0[place];
        let sees = |ids: &[ComputeId]| ids.iter().any(|id| viewer.sees_id(id, true));
        private_to.as_deref().is_none_or(sees).then_some(*blob)
    }

    /// Whether any name has this content. Looks at all of them.
    pub(super) fn have(&self, blob: Sha256) -> bool {
        self.0.iter().any(|version| version.blob.sha256 == blob)
    }
}
