//! Registry documents as they were received, fetched once more where they are lost: from the commit that has them, or for as
//! long as upstream has not changed its own.

use std::collections::BTreeSet;

use phasic_hub_api::Sha256;

use super::{Fetched, MirrorError, Upstream};
use crate::blobs::{BlobError, Terms, in_memory};
use crate::config::{COMMIT, Config};
use crate::hub::DataDirectory;
use crate::store::{UpstreamRow, Validators};

/// A document that is missing.
pub(super) struct LostDocument {
    sha256: Sha256,
    /// The commit that has it, where upstream has commits.
    pub(super) commit: Option<String>,
}

/// The documents of an upstream that are missing and may still be had.
pub(super) async fn lost(
    data: &DataDirectory,
    row: &UpstreamRow,
    missing: &BTreeSet<Sha256>,
) -> Result<Vec<LostDocument>, MirrorError> {
    let has_commits = row.address.contains(COMMIT);
    let mut lost = Vec::new();
    for (sha256, commit) in data.store.documents(&row.name).await? {
        let commit = commit.filter(|_| has_commits);
        if missing.contains(&sha256) && (commit.is_some() || row.document == Some(sha256)) {
            lost.push(LostDocument { sha256, commit });
        }
    }
    Ok(lost)
}

/// Fetches a document again. Says for how many seconds the upstream wants to be left alone, if it does.
pub(super) async fn fetch(
    data: &DataDirectory,
    config: &Config,
    upstream: &Upstream,
    lost: &LostDocument,
) -> Result<Option<f64>, MirrorError> {
    let (blob, limit) = (lost.sha256, config.mirror.max_registry_bytes.get());
    match upstream.document(limit, &Validators::default()).await {
        Ok(Fetched::Changed(bytes, _)) => {
            let terms = Terms { max_bytes: bytes.len() as u64, sha256: Some(blob) };
            match data.blobs.put(in_memory(bytes), terms).await {
                Err(BlobError::WrongHash { .. }) => {
                    tracing::warn!(%blob, %upstream, "a lost document cannot be fetched again: upstream has another by now");
                }
                stored => drop(stored?),
            }
        }
        Ok(Fetched::Unmodified) => {}
        Err(error) if error.is_later() => return Ok(error.wait_seconds()),
        Err(error) => tracing::warn!(%blob, %error, "could not fetch a lost document again"),
    }
    Ok(None)
}
