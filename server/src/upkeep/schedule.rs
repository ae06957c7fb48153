//! The scrub of the service: hashes stored files again at leisure, the longest unseen first. What is found bad is healed
//! beside it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::UpkeepError;
use super::healer::Healer;
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

/// How long to wait after a failure of database or disk.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Keeps stored files whole. Never ends.
///
/// Which blob was hashed when, and which is bad, are rows, so a restart does not begin anew.
pub async fn keep_whole(hub: Arc<Hub>, config: Arc<Config>, admission: Admission) {
    let healer = Healer::new(hub.data.clone(), Arc::clone(&config), admission);
    tokio::join!(healer.run(), keep_scrubbing(&hub, &config));
}

async fn keep_scrubbing(hub: &Hub, config: &Config) {
    loop {
        let wait = match round(hub, config).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the scrub was interrupted; it goes on in a moment");
                AFTER_A_FAILURE
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Hashes a batch of what is due. Says how long there is nothing to do.
async fn round(hub: &Hub, config: &Config) -> Result<Duration, UpkeepError> {
    let used = hub.take_used();
    if !used.is_empty()
        && let Err(error) = hub.data.store.use_files(&used).await
    {
        tracing::warn!(%error, "could not take note of the files that were asked for");
    }
    let interval = config.upkeep.scrub_interval_seconds.get();
    let due = if interval == 0 { Vec::new() } else { hub.data.store.blobs_due(interval, BATCH).await? };
    let rate = config.upkeep.scrub_bytes_per_second.get() as f64;
    let mut good = Vec::new();
    for &blob in &due {
        let found = look(hub, blob).await?;
        metrics::scrubbed(found.unwrap_or("good"));
        if found.is_none() {
            good.push(blob.sha256);
        } else {
            hub.data.store.note_unhealed(&BTreeSet::from([blob.sha256])).await?;
            hub.data.suspects.report([blob.sha256]);
        }
        tokio::time::sleep(Duration::from_secs_f64(blob.size_bytes as f64 / rate)).await;
    }
    hub.data.store.note_checks(&good).await?;
    Ok(if due.is_empty() { LOOK_EVERY.min(Duration::from_secs(interval.max(1))) } else { Duration::ZERO })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::round;
    use crate::admission::Admission;
    use crate::config::Config;
    use crate::hub::{DataDirectory, Hub};
    use crate::reference;
    use crate::registry::Former;
    use crate::upkeep::healer::Healer;
    use crate::workers::Workers;

    async fn hub(directory: &tempfile::TempDir) -> Arc<Hub> {
        let data = DataDirectory::open(directory.path()).await.unwrap();
        Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap())
    }

    #[tokio::test]
    async fn what_the_scrub_has_found_is_bad_until_it_is_healed_whoever_does_that() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config { offline: true, ..Config::default() };
        config.upkeep.scrub_interval_seconds = 1.try_into().unwrap();
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
        let first = hub(&directory).await;
        reference::publish(Arc::clone(&first), admission.clone()).await;
        let row = first.data.store.computes().await.unwrap().remove(0);
        let name = row.artifacts[0].served.sha256;
        let digits = name.to_string();
        let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, b"rot").unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        round(&first, &config).await.unwrap();
        let store = &first.data.store;
        assert!(store.unhealed().await.unwrap().contains_key(&name));
        let due = store.blobs_due(0, 99).await.unwrap();
        assert!(!due.is_empty() && due.iter().all(|blob| blob.sha256 != name), "it is healed, not hashed");
        first.data.store.close().await;
        drop(first);

        // The next process has not come across it: it knows.
        let data = DataDirectory::open(directory.path()).await.unwrap();
        assert!(data.suspects.take().is_empty());
        let healer = Healer::new(data.clone(), Arc::new(config), admission);
        let is_whole = async {
            while !std::fs::read(&path).is_ok_and(|found| found == bytes)
                || !data.store.unhealed().await.unwrap().is_empty()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(30), is_whole);
        tokio::select! {
            () = healer.run() => {}
            ended = within => ended.unwrap(),
        }
        let due = data.store.blobs_due(0, 99).await.unwrap();
        assert!(due.iter().any(|blob| blob.sha256 == name), "and it is hashed with the others");
    }
}
