//! From stored computes to a registry document: the entry as published, with the files as they are served.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::{ArtifactName, RegistryEntry};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

use super::{FORMAT_REVISION, Paths};
use crate::blobs::StoredBlob;
use crate::store::{ArtifactRow, ComputeRow, Publication, Role};

/// The registry document as text. Entries are made one at a time while it is written.
///
/// `current` says which bytes each name stands for: a relative location carries no digest, so these are the bytes it
/// promises, also for a second compute of one graph that was published with other ones.
pub(super) fn document(
    served: &[ComputeRow],
    current: &HashMap<ArtifactName, StoredBlob>,
    paths: Paths,
    base: &str,
) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Document { served, current, paths, base })?;
    text.push('\n');
    Ok(text)
}

/// Puts the computes of a document in front of those of another. Both are as [`document`] writes them.
pub(super) fn in_front(first: String, second: &str) -> String {
    const OPEN: &str = "\"computes\": {\n";
    const CLOSE: &str = "\n  }\n}\n";
    match (first.strip_suffix(CLOSE), second.split_once(OPEN)) {
        (Some(entries), Some((_, rest))) => format!("{entries},\n{rest}"),
        // Without computes the object is written as `{}`.
        (Some(_), None) => first,
        (None, _) => second.to_owned(),
    }
}

struct Document<'a> {
    served: &'a [ComputeRow],
    current: &'a HashMap<ArtifactName, StoredBlob>,
    paths: Paths,
    base: &'a str,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("version", "2.0")?;
        map.serialize_entry("format", "ptd_pcg")?;
        map.serialize_entry("computes", &Computes(self))?;
        map.end()
    }
}

struct Computes<'a>(&'a Document<'a>);

impl Serialize for Computes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let served = self.0.served;
        let mut map = serializer.serialize_map(Some(served.len()))?;
        for row in served {
            let publication = row.publication().map_err(S::Error::custom)?;
            map.serialize_entry(&row.id, &self.0.entry(&publication))?;
        }
        map.end()
    }
}

impl Document<'_> {
    fn entry(&self, publication: &Publication) -> RegistryEntry {
        let mut entry = publication.entry.clone();
        let find = |role: Role, graph_hash| {
            publication.artifacts.iter().find(|row| row.role == role && row.graph_hash == graph_hash)
        };
        if let Some(row) = find(Role::Parent, entry.graph_hash) {
            let parent = &mut entry.artifacts.parent;
            let (location, blob) = self.location(row);
            parent.cid_or_path = location;
            (parent.sha256, parent.size_bytes) = (blob.sha256, blob.size_bytes);
        }
        // Files that were refused are not named, and none is named twice.
        let mut named = HashSet::new();
        let scc = &mut entry.artifacts.scc;
        scc.retain(|scc| find(Role::Scc, scc.scc_hash).is_some() && named.insert(scc.scc_hash));
        for scc in scc {
            if let Some(row) = find(Role::Scc, scc.scc_hash) {
                let (location, blob) = self.location(row);
                scc.cid_or_path = location;
                (scc.sha256, scc.size_bytes) = (blob.sha256, blob.size_bytes);
            }
        }
        entry.format_revision = Some(FORMAT_REVISION);
        entry
    }

    /// Absolute locations carry the digest of the bytes, because an artifact's name alone does not say which bytes it
    /// stands for today: with it the address never changes its meaning and may be cached for ever.
    fn location(&self, row: &ArtifactRow) -> (String, StoredBlob) {
        let name = row.role.name(row.graph_hash);
        let path = name.registry_path();
        match self.paths {
            Paths::Absolute => (format!("{}/{path}?sha256={}", self.base, row.served.sha256), row.served),
            Paths::Blobs => (format!("blobs/{}", row.served.sha256), row.served),
            Paths::Relative => (path, self.current.get(&name).copied().unwrap_or(row.served)),
        }
    }
}
