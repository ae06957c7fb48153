//! Fetching once more what was mirrored and has been lost since.

use std::collections::BTreeSet;
use std::sync::Arc;

use phasic_hub_api::{RegistryEntry, Sha256};

use super::artifact::{Announced, Judge, Stop, locate, take};
use super::budget::Requests;
use super::documents::{self, LostDocument};
use super::errand::AD_HOC_PLACE;
use super::schedule::Timing;
use super::{FaultCode, MirrorError, Upstream};
use crate::config::{COMMIT, Config, UpstreamSettings, is_web, usual_requests};
use crate::hub::DataDirectory;
use crate::store::{ArtifactRow, ComputeRow, UpstreamRow};
use crate::verification::Limits;

/// An entry some of whose files are missing.
struct Lost {
    entry: RegistryEntry,
    /// The digests of those files, as upstream had them.
    files: BTreeSet<Sha256>,
    /// The commit that has them, where upstream has commits.
    commit: Option<String>,
}

/// Fetches those files of mirrored computes whose blobs are `missing`, in either form, each from the upstream it came
/// from, with the checks of every pass; what a name stood for formerly, and its documents, too, where upstream can still be
/// asked for them.
/// Entries stay as they are: what upstream has put in the place of a file is refused by its digest. An upstream that cannot
/// be asked is only logged; a hub that is offline asks directories only, and none asks what the settings do not name, or no
/// longer name so, or have switched off, unless it was mirrored by hand.
///
/// # Errors
/// When the hub itself fails.
pub async fn fetch_again(
    data: &DataDirectory,
    config: &Config,
    missing: &BTreeSet<Sha256>,
) -> Result<(), MirrorError> {
    if missing.is_empty() {
        return Ok(());
    }
    let computes = data.store.computes().await?;
    for row in data.store.upstreams().await? {
        if config.offline && is_web(&row.address) {
            continue;
        }
        let mut lost = current(&computes, &row, missing)?;
        lost.extend(former(data, &computes, &row, missing).await?);
        let documents = documents::lost(data, &row, missing).await?;
        if lost.is_empty() && documents.is_empty() {
            continue;
        }
        if !may_be_asked(config, &row) {
            let upstream = row.name;
            tracing::info!(
                upstream,
                "the upstream is not asked for what is missing: it is switched off in the settings, or not what they name"
            );
            continue;
        }
        let is_ahead = |seconds: Option<f64>| seconds.is_some_and(Timing::is_ahead);
        if is_ahead(row.wait_seconds) || is_ahead(row.due_seconds) && row.failures_in_a_row > 0 {
            // It has asked for time, or failed, and healing is no reason to come back sooner.
            tracing::info!(
                upstream = row.name,
                "the upstream is not asked for what is missing before it wants to be, or its next pass is due"
            );
            continue;
        }
        let requests = Arc::new(requests(data, config, &row));
        let fetched = fetch_from(data, config, &row, &requests, (&lost, &documents)).await;
        requests.settle().await?;
        match fetched {
            Ok(None) => {}
            Ok(Some(seconds)) => data.store.ask_to_wait(&row.name, Timing::asked(seconds)).await?,
            Err(error @ (MirrorError::Store(_) | MirrorError::Blobs(_))) => return Err(error),
            Err(error) => {
                tracing::warn!(upstream = row.name, %error, "could not ask the upstream for what is missing");
            }
        }
    }
    Ok(())
}

/// Whether somebody wants an upstream to be asked: by the settings of today, or because it was mirrored by hand.
fn may_be_asked(config: &Config, row: &UpstreamRow) -> bool {
    match config.mirror.upstreams.find(&row.name) {
        Some((_, settings)) => settings.enabled && settings.url == row.address,
        None => row.place == AD_HOC_PLACE,
    }
}

/// What is missing of the computes that are mirrored from an upstream.
fn current(
    computes: &[ComputeRow],
    row: &UpstreamRow,
    missing: &BTreeSet<Sha256>,
) -> Result<Vec<Lost>, MirrorError> {
    let mut lost = Vec::new();
    for compute in computes.iter().filter(|compute| compute.upstream.as_ref() == Some(&row.name)) {
        let is_missing = |file: &&ArtifactRow| {
            missing.contains(&file.original.sha256) || missing.contains(&file.served.sha256)
        };
        let files: BTreeSet<_> =
            compute.artifacts.iter().filter(is_missing).map(|file| file.original.sha256).collect();
        if !files.is_empty() {
            lost.push(Lost { entry: compute.publication()?.entry, files, commit: row.commit.clone() });
        }
    }
    Ok(lost)
}

/// What is missing of that which names of an upstream stood for formerly, the latest first: where a commit has it, or its
/// address carries its digest.
async fn former(
    data: &DataDirectory,
    computes: &[ComputeRow],
    row: &UpstreamRow,
    missing: &BTreeSet<Sha256>,
) -> Result<Vec<Lost>, MirrorError> {
    let files = computes.iter().flat_map(|compute| &compute.artifacts);
    let current: BTreeSet<_> = files.flat_map(|file| [file.original.sha256, file.served.sha256]).collect();
    let missing: BTreeSet<_> = missing.difference(&current).copied().collect();
    let hashes: BTreeSet<_> =
        data.store.graphs_of_files(&missing).await?.into_iter().map(|(hash, _)| hash).collect();
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let has_commits = row.address.contains(COMMIT);
    let mut seen = BTreeSet::new();
    let mut lost = Vec::new();
    for (compute, commit) in data.store.former_parents(&row.name, &hashes).await? {
        let entry = compute.publication()?.entry;
        let parent = &entry.artifacts.parent;
        let commit = commit.filter(|_| has_commits);
        let is_there = commit.is_some() || parent.cid_or_path.contains(&parent.sha256.to_string());
        if is_there && !current.contains(&parent.sha256) && seen.insert(parent.sha256) {
            lost.push(Lost { files: BTreeSet::from([parent.sha256]), entry, commit });
        }
    }
    Ok(lost)
}

/// The same budget its passes have; for what was mirrored by hand, whose passes have none, the usual one.
fn requests(data: &DataDirectory, config: &Config, row: &UpstreamRow) -> Requests {
    let settings = config.mirror.upstreams.find(&row.name).map(|(_, settings)| settings);
    let per_hour = settings.map_or_else(usual_requests, |settings| settings.max_requests_per_hour).get();
    Requests::limited(data.store.clone(), row.name.clone(), per_hour)
}

async fn open(
    config: &Config,
    row: &UpstreamRow,
    commit: Option<&str>,
    requests: Arc<Requests>,
) -> Result<Upstream, MirrorError> {
    let settings = config.mirror.upstreams.find(&row.name).map(|(_, settings)| settings);
    let token = settings.map(UpstreamSettings::token).transpose()?.flatten();
    let address = row.address.replace(COMMIT, commit.unwrap_or_default());
    Ok(Upstream::open(&address, token.as_ref(), &config.mirror, requests).await?)
}

/// Says for how many seconds the upstream wants to be left alone, if it does.
async fn fetch_from(
    data: &DataDirectory,
    config: &Config,
    row: &UpstreamRow,
    requests: &Arc<Requests>,
    (lost, documents): (&[Lost], &[LostDocument]),
) -> Result<Option<f64>, MirrorError> {
    let judge = Judge { data, limits: Limits::of(config), must_be_known: false };
    for some in lost.chunk_by(|one, next| one.commit == next.commit) {
        let commit = some.first().and_then(|one| one.commit.as_deref());
        let upstream = open(config, row, commit, Arc::clone(requests)).await?;
        for Lost { entry, files, .. } in some {
            for announced in Announced::all(entry).filter(|one| files.contains(&one.sha256)) {
                let most_bytes = config.mirror.max_artifact_bytes.get();
                let taken = match locate(announced, &upstream, most_bytes) {
                    Ok(location) => take(announced, &location, &upstream, judge).await,
                    Err(fault) => Err(fault.into()),
                };
                match taken {
                    Ok(_) => {}
                    Err(Stop::Blobs(error)) => return Err(error.into()),
                    Err(Stop::Store(error)) => return Err(error.into()),
                    Err(Stop::Fault(fault)) if fault.code == FaultCode::Deferred => {
                        tracing::warn!(
                            reason = fault.reason,
                            "the upstream is to be asked for lost files later"
                        );
                        return Ok(fault.wait_seconds);
                    }
                    Err(Stop::Fault(fault)) => {
                        let (blob, reason) = (announced.sha256, fault.reason);
                        tracing::warn!(%blob, reason, "could not fetch a lost file again");
                    }
                }
            }
        }
    }
    for document in documents {
        let upstream = open(config, row, document.commit.as_deref(), Arc::clone(requests)).await?;
        let wait_seconds = documents::fetch(data, config, &upstream, document).await?;
        if wait_seconds.is_some() {
            return Ok(wait_seconds);
        }
    }
    Ok(None)
}
