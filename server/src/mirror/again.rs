//! Fetching once more what was mirrored and has been lost since.

use std::collections::BTreeSet;
use std::sync::Arc;

use phasic_hub_api::Sha256;

use super::artifact::{Announced, Judge, Stop, take};
use super::budget::Requests;
use super::{FaultCode, MirrorError, Upstream};
use crate::config::{COMMIT, Config, UpstreamSettings, is_web};
use crate::hub::DataDirectory;
use crate::store::{Publication, UpstreamRow};

/// Fetches those files of mirrored computes whose blobs are `missing`, in either form, each from the upstream it came
/// from, with the checks of every pass. Entries stay as they are: what upstream has put in the place of a file is refused
/// by its digest. An upstream that cannot be asked is only logged; a hub that is offline asks directories only.
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
        let mut lost = Vec::new();
        for compute in computes.iter().filter(|compute| compute.upstream.as_ref() == Some(&row.name)) {
            let is_missing = |blob: &Sha256| missing.contains(blob);
            if compute
                .artifacts
                .iter()
                .any(|file| is_missing(&file.original.sha256) || is_missing(&file.served.sha256))
            {
                lost.push(compute.publication()?);
            }
        }
        if lost.is_empty() || (config.offline && is_web(&row.address)) {
            continue;
        }
        if row.due_seconds.is_some_and(|seconds| seconds > 0.0) && row.failures_in_a_row > 0 {
            // It has failed or asked for time, and healing is no reason to come back sooner.
            tracing::info!(
                upstream = row.name,
                "the upstream is not asked for what is missing before its next pass is due"
            );
            continue;
        }
        let requests = Arc::new(requests(data, config, &row));
        match open(config, &row, Arc::clone(&requests)).await {
            Ok(upstream) => {
                let fetched = fetch_from(data, config, &upstream, &lost, missing).await;
                requests.settle().await?;
                fetched?;
            }
            Err(error) => {
                tracing::warn!(upstream = row.name, %error, "could not ask the upstream for what is missing");
            }
        }
    }
    Ok(())
}

/// The same budget its passes have.
fn requests(data: &DataDirectory, config: &Config, row: &UpstreamRow) -> Requests {
    match config.mirror.upstreams.find(&row.name) {
        Some((_, settings)) => {
            let per_hour = settings.max_requests_per_hour.get();
            Requests::limited(data.store.clone(), row.name.clone(), per_hour)
        }
        None => Requests::unlimited(),
    }
}

async fn open(config: &Config, row: &UpstreamRow, requests: Arc<Requests>) -> Result<Upstream, MirrorError> {
    let settings = config.mirror.upstreams.find(&row.name).map(|(_, settings)| settings);
    let token = settings.map(UpstreamSettings::token).transpose()?.flatten();
    // The commit that is mirrored, which has the files as they were.
    let address = row.address.replace(COMMIT, row.commit.as_deref().unwrap_or_default());
    Ok(Upstream::open(&address, token.as_ref(), &config.mirror, requests).await?)
}

async fn fetch_from(
    data: &DataDirectory,
    config: &Config,
    upstream: &Upstream,
    lost: &[Publication],
    missing: &BTreeSet<Sha256>,
) -> Result<(), MirrorError> {
    let judge =
        Judge { data, models: &config.models, verification: &config.verification, must_be_known: false };
    for publication in lost {
        for announced in Announced::all(&publication.entry) {
            let is_missing = publication.artifacts.iter().any(|file| {
                file.original.sha256 == announced.sha256
                    && (missing.contains(&file.original.sha256) || missing.contains(&file.served.sha256))
            });
            if !is_missing {
                continue;
            }
            match take(announced, upstream, judge, config.mirror.max_artifact_bytes.get()).await {
                Ok(_) => {}
                Err(Stop::Blobs(error)) => return Err(error.into()),
                Err(Stop::Store(error)) => return Err(error.into()),
                Err(Stop::Fault(fault)) if fault.code == FaultCode::Deferred => {
                    tracing::warn!(reason = fault.reason, "the upstream is to be asked for lost files later");
                    return Ok(());
                }
                Err(Stop::Fault(fault)) => {
                    tracing::warn!(id = %publication.id, reason = fault.reason, "could not fetch a lost file again");
                }
            }
        }
    }
    Ok(())
}
