//! From stored computes to a registry document: the entry as published, with the files as they are served.

use std::collections::HashSet;

use phasic_hub_api::{ArtifactName, RegistryDocument, RegistryEntry, Sha256};

use super::Paths;
use crate::store::{ArtifactRow, Publication, Role};

/// What phasic calls the revision of entries whose files are PTDPRMC3.
const FORMAT_REVISION: u32 = 3;

pub(super) fn document(served: &[Publication], paths: Paths, base: &str) -> RegistryDocument {
    let mut document = RegistryDocument::new();
    for publication in served {
        let entry = entry(publication, paths, base);
        document.push(publication.id.clone(), entry).expect("ids are distinct: they are a primary key");
    }
    document
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
