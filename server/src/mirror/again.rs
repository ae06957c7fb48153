//! Fetching once more what was mirrored and has been lost since.

use std::collections::BTreeSet;

use phasic_hub_api::Sha256;

use super::artifact::{Announced, Stop, take};
use super::{MirrorError, Upstream};
use crate::config;
use crate::hub::DataDirectory;
use crate::store::Origin;

/// Fetches those files of mirrored computes whose blobs are `missing`, in either form, with the checks of every pass.
/// The entries stay as they are: what upstream has put in the place of a file is refused by its digest, and logged.
///
/// # Errors
/// When the hub itself fails.
pub async fn fetch_again(
    data: &DataDirectory,
    upstream: &Upstream,
    limits: &config::Mirror,
    missing: &BTreeSet<Sha256>,
) -> Result<(), MirrorError> {
    for row in data.store.computes().await?.into_iter().filter(|row| row.origin == Origin::Mirror) {
        let publication = row.publication()?;
        for announced in Announced::all(&publication.entry) {
            let is_missing = publication.artifacts.iter().any(|file| {
                file.original.sha256 == announced.sha256
                    && (missing.contains(&file.original.sha256) || missing.contains(&file.served.sha256))
            });
            if !is_missing {
                continue;
            }
            match take(announced, upstream, &*data.blobs, limits.max_artifact_bytes.get()).await {
                Ok(_) => {}
                Err(Stop::Blobs(error)) => return Err(error.into()),
                Err(Stop::Fault(fault)) => {
                    tracing::warn!(id = %publication.id, reason = fault.reason, "could not fetch a lost file again");
                }
            }
        }
    }
    Ok(())
}
