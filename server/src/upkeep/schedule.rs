//! The scrub of the service: hashes stored files again at leisure, the longest unseen first, and heals at once what is
//! found bad, here or by whoever stumbled over it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use phasic_hub_api::Sha256;

use super::{UpkeepError, heal};
use crate::blobs::{BlobError, StoredBlob};
use crate::config::Config;
use crate::hub::Hub;
use crate::metrics;
use crate::store::StoreError;

/// Blobs that are looked up, and taken note of, at a time.
const BATCH: u32 = 64;

/// The longest time between two looks for blobs that are due.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How long to wait before healing is tried again.
const TRY_AGAIN: Duration = Duration::from_mins(10);

/// How long to wait after a failure of database or disk.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Keeps stored files whole. Never ends.
///
/// Which blob was hashed when is a row, so a restart does not begin anew.
pub async fn keep_whole(hub: Arc<Hub>, config: Arc<Config>) {
    let mut unhealed = BTreeSet::new();
    loop {
        let wait = match round(&hub, &config, &mut unhealed).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the scrub was interrupted; it goes on in a moment");
                AFTER_A_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = hub.suspected() => {}
        }
    }
}

/// Heals what is known to be bad, and hashes a batch of what is due. Says how long there is nothing to do.
async fn round(hub: &Hub, config: &Config, unhealed: &mut BTreeSet<Sha256>) -> Result<Duration, UpkeepError> {
    let mut bad = hub.take_suspects();
    let interval = config.upkeep.scrub_interval_seconds.get();
    let due = if interval == 0 { Vec::new() } else { hub.data.store.blobs_due(interval, BATCH).await? };
    let rate = config.upkeep.scrub_bytes_per_second.get() as f64;
    let mut seen = Vec::new();
    for &blob in &due {
        match hub.data.blobs.check(blob.sha256).await {
            Ok(size_bytes) if size_bytes == blob.size_bytes => metrics::scrubbed("good"),
            Ok(_) | Err(BlobError::Damaged(_)) => {
                metrics::scrubbed("rotten");
                bad.insert(blob.sha256);
            }
            Err(BlobError::NotFound(_)) => {
                if is_lost(hub, blob).await? {
                    metrics::scrubbed("lost");
                    bad.insert(blob.sha256);
                }
            }
            Err(error) => return Err(error.into()),
        }
        seen.push(blob.sha256);
        if !bad.is_empty() {
            // What is known to be bad does not wait for the rest.
            break;
        }
        tokio::time::sleep(Duration::from_secs_f64(blob.size_bytes as f64 / rate)).await;
    }
    hub.data.store.note_checks(&seen).await?;
    if bad.is_empty() && due.is_empty() {
        bad.append(unhealed);
    }
    if !bad.is_empty() {
        let bad = confirmed(hub, bad).await?;
        let restored = heal(&hub.data, config, &bad).await?;
        unhealed.extend(bad.difference(&restored));
    }
    Ok(match (due.is_empty(), unhealed.is_empty()) {
        (false, _) => Duration::ZERO,
        (true, true) => LOOK_EVERY.min(Duration::from_secs(interval.max(1))),
        (true, false) => TRY_AGAIN.min(Duration::from_secs(interval.max(60))),
    })
}

/// Whether a blob that has no file should have one: garbage collection removes rows first, then files.
async fn is_lost(hub: &Hub, blob: StoredBlob) -> Result<bool, StoreError> {
    Ok(hub.data.store.blob(blob.sha256).await?.is_some())
}

/// Those that are still wanted, and still bad: others may have put them right.
async fn confirmed(hub: &Hub, bad: BTreeSet<Sha256>) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut confirmed = BTreeSet::new();
    for name in bad {
        if hub.data.store.blob(name).await?.is_none() {
            continue;
        }
        match hub.data.blobs.check(name).await {
            Ok(_) => {}
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => drop(confirmed.insert(name)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(confirmed)
}
