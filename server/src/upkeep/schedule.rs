//! The scrub of the service: hashes stored files again at leisure, the longest unseen first, and heals at once what is
//! found bad, here or by whoever stumbled over it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use phasic_hub_api::Sha256;

use super::{UpkeepError, heal};
use crate::admission::Admission;
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

/// What is known to be bad.
#[derive(Debug, Default)]
struct Unhealed {
    /// Names that are not whole again. They are here from the moment they are found until they are seen to be whole,
    /// whatever fails in between.
    names: BTreeSet<Sha256>,
    /// Those of them it was said of that they cannot be healed, so that it is not said every time.
    told: BTreeSet<Sha256>,
}

impl Unhealed {
    fn forget<'a>(&mut self, hub: &Hub, names: impl IntoIterator<Item = &'a Sha256>) {
        for name in names {
            self.names.remove(name);
            self.told.remove(name);
            hub.trust(*name);
        }
    }
}

/// Keeps stored files whole. Never ends.
///
/// Which blob was hashed when is a row, so a restart does not begin anew.
pub async fn keep_whole(hub: Arc<Hub>, config: Arc<Config>, admission: Admission) {
    let mut unhealed = Unhealed::default();
    loop {
        let wait = match round(&hub, &config, &admission, &mut unhealed).await {
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
async fn round(
    hub: &Hub,
    config: &Config,
    admission: &Admission,
    unhealed: &mut Unhealed,
) -> Result<Duration, UpkeepError> {
    let used = hub.take_used();
    if !used.is_empty()
        && let Err(error) = hub.data.store.use_files(&used).await
    {
        tracing::warn!(%error, "could not take note of the files that were asked for");
    }
    let mut bad = hub.take_suspects();
    unhealed.names.extend(&bad);
    let interval = config.upkeep.scrub_interval_seconds.get();
    let due = if interval == 0 { Vec::new() } else { hub.data.store.blobs_due(interval, BATCH).await? };
    let rate = config.upkeep.scrub_bytes_per_second.get() as f64;
    let mut seen = Vec::new();
    for &blob in &due {
        let found = look(hub, blob).await?;
        metrics::scrubbed(found.unwrap_or("good"));
        seen.push(blob.sha256);
        if found.is_some() {
            unhealed.names.insert(blob.sha256);
            bad.insert(blob.sha256);
        }
        if !bad.is_empty() {
            // What is known to be bad does not wait for the rest.
            break;
        }
        tokio::time::sleep(Duration::from_secs_f64(blob.size_bytes as f64 / rate)).await;
    }
    hub.data.store.note_checks(&seen).await?;
    if bad.is_empty() && due.is_empty() {
        bad.clone_from(&unhealed.names);
    }
    if !bad.is_empty() {
        let confirmed = confirmed(hub, &bad).await?;
        unhealed.forget(hub, bad.difference(&confirmed));
        if !confirmed.is_empty() {
            let is_news = !confirmed.is_subset(&unhealed.told);
            let restored = heal(&hub.data, config, admission, &confirmed, is_news).await?;
            unhealed.told.extend(confirmed.difference(&restored));
            unhealed.forget(hub, &restored);
        }
    }
    Ok(match (due.is_empty(), unhealed.names.is_empty()) {
        (false, _) => Duration::ZERO,
        (true, true) => LOOK_EVERY.min(Duration::from_secs(interval.max(1))),
        (true, false) => TRY_AGAIN.min(Duration::from_secs(interval.max(60))),
    })
}

/// What is wrong with a blob, in a word, if anything is. A file that cannot be read is as bad as one that is gone, and no
/// reason not to look at the others: that is what a dying disk answers.
async fn look(hub: &Hub, blob: StoredBlob) -> Result<Option<&'static str>, StoreError> {
    Ok(match hub.data.blobs.check(blob.sha256).await {
        Ok(size_bytes) if size_bytes == blob.size_bytes => None,
        Ok(_) | Err(BlobError::Damaged(_)) => Some("rotten"),
        Err(BlobError::NotFound(_)) => is_lost(hub, blob).await?.then_some("lost"),
        Err(error) => {
            tracing::error!(blob = %blob.sha256, %error, "a stored file cannot be read");
            Some("unreadable")
        }
    })
}

/// Whether a blob that has no file should have one: garbage collection removes rows first, then files.
async fn is_lost(hub: &Hub, blob: StoredBlob) -> Result<bool, StoreError> {
    Ok(hub.data.store.blob(blob.sha256).await?.is_some())
}

/// Those that are still wanted, and still bad: others may have put them right.
async fn confirmed(hub: &Hub, bad: &BTreeSet<Sha256>) -> Result<BTreeSet<Sha256>, StoreError> {
    let mut confirmed = BTreeSet::new();
    for &name in bad {
        if hub.data.store.blob(name).await?.is_none() {
            continue;
        }
        if hub.data.blobs.check(name).await.is_err() {
            confirmed.insert(name);
        }
    }
    Ok(confirmed)
}
