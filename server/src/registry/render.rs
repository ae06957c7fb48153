//! From stored computes to a registry document: the entry as published, with the files as they are served.

use std::collections::HashSet;

use phasic_hub_api::{ArtifactName, RegistryEntry, Sha256};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

use super::{FORMAT_REVISION, Paths};
use crate::store::{ArtifactRow, ComputeRow, Publication, Role};

/// The registry document as text. Entries are made one at a time while it is written.
pub(super) fn document(served: &[ComputeRow], paths: Paths, base: &str) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Document { served, paths, base })?;
    text.push('\n');
    Ok(text)
}

struct Document<'a> {
    served: &'a [ComputeRow],
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
        let Document { served, paths, base } = *self.0;
        let mut map = serializer.serialize_map(Some(served.len()))?;
        for row in served {
            let publication = row.publication().map_err(S::Error::custom)?;
            map.serialize_entry(&row.id, &entry(&publication, paths, base))?;
        }
        map.end()
    }
}

fn entry(publication: &Publication, paths: Paths, base: &str) -> RegistryEntry {
    let mut entry = publication.entry.clone();
    let find = |role: Role, graph_hash| {
        publication.artifacts.iter().find(|row| row.role == role && row.graph_hash == graph_hash)
    };
    let location =
        |row: &ArtifactRow| location(row.role.name(row.graph_hash), row.served.sha256, paths, base);
    if let Some(row) = find(Role::Parent, entry.graph_hash) {
        let parent = &mut entry.artifacts.parent;
        parent.cid_or_path = location(row);
        (parent.sha256, parent.size_bytes) = (row.served.sha256, row.served.size_bytes);
    }
    // Files that were refused are not named, and none is named twice.
    let mut named = HashSet::new();
    entry.artifacts.scc.retain(|scc| find(Role::Scc, scc.scc_hash).is_some() && named.insert(scc.scc_hash));
    for scc in &mut entry.artifacts.scc {
        if let Some(row) = find(Role::Scc, scc.scc_hash) {
            scc.cid_or_path = location(row);
            (scc.sha256, scc.size_bytes) = (row.served.sha256, row.served.size_bytes);
        }
    }
    entry.format_revision = Some(FORMAT_REVISION);
    entry
}

/// Absolute locations carry the digest of the bytes, because an artifact's name alone does not say which bytes it
/// stands for today: with it the address never changes its meaning and may be cached for ever.
fn location(name: ArtifactName, sha256: Sha256, paths: Paths, base: &str) -> String {
    match paths {
        Paths::Absolute => format!("{base}/{}?sha256={sha256}", name.registry_path()),
        Paths::Relative => name.registry_path(),
    }
}
