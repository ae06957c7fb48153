//! The healing of the service: what is found bad, here or by whoever stumbled over it, is put right at once, and tried
//! again for as long as it is not.
//!
//! What is bad is a row before anything is done about it, so a restart goes on with it. What takes little time is not kept
//! waiting by what has to be eliminated anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use serde_json::json;
use tokio::sync::Notify;

use super::{UpkeepError, heal};
use crate::admission::Admission;
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::store::{Actor, Change};

/// How often it is looked whether another process has found something.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How long to wait before healing is tried again.
const TRY_AGAIN: Duration = Duration::from_mins(10);

/// How long at most, before an elimination that did not help is tried again.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// How long to wait after a failure of the database.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Puts bad blobs right.
pub(super) struct Healer {
    data: DataDirectory,
    config: Arc<Config>,
    admission: Admission,
    /// What only an elimination can bring back.
    rest: Mutex<BTreeSet<Sha256>>,
    ring: Notify,
}

/// When something was tried last, and how often it was.
type Tried = BTreeMap<Sha256, (Instant, u32)>;

impl Healer {
    pub(super) fn new(data: DataDirectory, config: Arc<Config>, admission: Admission) -> Self {
        Self { data, config, admission, rest: Mutex::default(), ring: Notify::new() }
    }

    /// Heals whatever is bad, now and whenever something is found. Never ends.
    pub(super) async fn run(&self) {
        tokio::join!(self.keep_looking(), self.keep_eliminating());
    }

    async fn keep_looking(&self) {
        let mut tried = Tried::new();
        loop {
            if let Err(error) = self.look(&mut tried).await {
                tracing::error!(%error, "healing was interrupted; it goes on in a moment");
                tokio::time::sleep(AFTER_A_FAILURE).await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY.min(self.pause())) => {}
                () = self.data.suspects.news() => {}
            }
        }
    }

    /// How long to wait before it is tried again: no longer than until the scrub would come by.
    fn pause(&self) -> Duration {
        match self.config.upkeep.scrub_interval_seconds.get() {
            0 => TRY_AGAIN,
            seconds => TRY_AGAIN.min(Duration::from_secs(seconds)),
        }
    }

    /// Takes note of what was found, and does what takes little time about all whose turn it is.
    async fn look(&self, tried: &mut Tried) -> Result<(), UpkeepError> {
        let DataDirectory { store, suspects, .. } = &self.data;
        let found = suspects.take();
        if let Err(error) = store.note_unhealed(&found).await {
            for &name in &found {
                suspects.trust(name);
            }
            suspects.report(found);
            return Err(error.into());
        }
        let unhealed = store.unhealed().await?;
        // Nobody wants them: they need not be there.
        for &name in found.iter().filter(|name| !unhealed.contains_key(name)) {
            suspects.trust(name);
        }
        tried.retain(|name, _| unhealed.contains_key(name));
        let pause = self.pause();
        let is_due = |name: &&Sha256| {
            let is_over = |&(at, _): &(Instant, u32)| at.elapsed() >= pause;
            found.contains(name) || tried.get(name).is_none_or(is_over)
        };
        let due: BTreeSet<_> = unhealed.keys().filter(is_due).copied().collect();
        let whole = heal::whole(&self.data, &due).await;
        // Others may have put them right.
        store.note_healed(&whole).await?;
        for &name in &whole {
            suspects.trust(name);
        }
        let bad: BTreeSet<_> = due.difference(&whole).copied().collect();
        if bad.is_empty() {
            return Ok(());
        }
        if bad.iter().any(|name| !tried.contains_key(name)) {
            // What is gone is withdrawn, however long it takes to bring it back.
            store.touch_catalogue().await?;
        }
        tried.extend(bad.iter().map(|&name| (name, (Instant::now(), 0))));
        let restored = heal::quickly(&self.data, &self.config, &self.admission, &bad).await?;
        settle(&self.data, &restored, &restored).await?;
        self.rest().extend(bad.difference(&restored));
        self.ring.notify_one();
        Ok(())
    }

    async fn keep_eliminating(&self) {
        let mut tried = Tried::new();
        loop {
            let rest = std::mem::take(&mut *self.rest());
            if rest.is_empty() {
                self.ring.notified().await;
            } else if let Err(error) = self.eliminate(&rest, &mut tried).await {
                tracing::error!(%error, "healing was interrupted; it is tried again later");
                tokio::time::sleep(AFTER_A_FAILURE).await;
            }
        }
    }

    /// Makes programs anew, less and less often where that does not help.
    async fn eliminate(&self, rest: &BTreeSet<Sha256>, tried: &mut Tried) -> Result<(), UpkeepError> {
        let pause = self.pause();
        let is_due = |name: &&Sha256| {
            tried.get(name).is_none_or(|&(at, times)| {
                let doubled = pause.saturating_mul(1 << times.saturating_sub(1).min(16));
                at.elapsed() >= doubled.min(LONGEST_PAUSE)
            })
        };
        let due: BTreeSet<_> = rest.iter().filter(is_due).copied().collect();
        if due.is_empty() {
            return Ok(());
        }
        let restored = heal::eliminating(&self.data, &self.config, &self.admission, &due).await?;
        settle(&self.data, &due, &restored).await?;
        for name in due {
            if restored.contains(&name) {
                tried.remove(&name);
            } else {
                let times = tried.get(&name).map_or(0, |&(_, times)| times);
                tried.insert(name, (Instant::now(), times + 1));
            }
        }
        Ok(())
    }

    fn rest(&self) -> MutexGuard<'_, BTreeSet<Sha256>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes note of what became of bad blobs, and tells it: of those that are still bad only what is news.
///
/// # Errors
/// When the database fails.
async fn settle(
    data: &DataDirectory,
    bad: &BTreeSet<Sha256>,
    restored: &BTreeSet<Sha256>,
) -> Result<(), UpkeepError> {
    let told = data.store.unhealed().await?;
    // Those others have put right and told of are no news.
    let restored: BTreeSet<_> = restored.iter().filter(|name| told.contains_key(name)).copied().collect();
    let is_news = |name: &&Sha256| !restored.contains(name) && told.get(name) == Some(&false);
    let missing: BTreeSet<_> = bad.iter().filter(is_news).copied().collect();
    if restored.is_empty() && missing.is_empty() {
        return Ok(());
    }
    data.store.touch_catalogue().await?;
    for name in &restored {
        tracing::warn!(blob = %name, "a stored file was damaged or lost, and is whole again");
    }
    for name in &missing {
        tracing::error!(blob = %name, "a stored file is damaged or lost, and cannot be made again here");
    }
    let bad: BTreeSet<_> = restored.union(&missing).collect();
    let detail = json!({"bad": bad, "restored": restored, "missing": missing});
    let told = Change { action: "blob.heal", subject: "blobs".to_owned(), detail };
    data.store.tell(&Actor::Hub, told).await?;
    data.store.note_told(&missing).await?;
    data.store.note_healed(&restored).await?;
    for name in restored {
        data.suspects.trust(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::Healer;
    use crate::admission::Admission;
    use crate::config::Config;
    use crate::hub::{DataDirectory, Hub};
    use crate::reference;
    use crate::registry::Former;
    use crate::workers::Workers;

    #[tokio::test]
    async fn what_must_wait_for_memory_keeps_nothing_else_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Hub::new(data.clone(), "http://hub.example".to_owned(), Former::default()).await.unwrap();
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
        reference::publish(Arc::new(hub), admission.clone()).await;
        let rows = data.store.computes().await.unwrap();
        let [lost, whole] = [0, 1].map(|place| rows[place].artifacts[0].served.sha256);
        let digits = lost.to_string();
        let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
        std::fs::remove_file(&path).unwrap();
        let unhealed = async || -> BTreeSet<_> { data.store.unhealed().await.unwrap().into_keys().collect() };
        let wait_for = async |expected: &[_]| {
            let expected = expected.iter().copied().collect();
            while unhealed().await != expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let config = Config { offline: true, ..Config::default() };
        let healer = Healer::new(data.clone(), Arc::new(config), admission.clone());
        let jobs = admission.take_free().unwrap();
        let told = async {
            data.suspects.report([lost]);
            wait_for(&[lost]).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            // As if another process had found it, and it was put right since.
            data.store.note_unhealed(&BTreeSet::from([whole])).await.unwrap();
            data.suspects.report([whole]);
            wait_for(&[lost]).await;
            assert!(!path.exists(), "jobs have all the memory");
            drop(jobs);
            wait_for(&[]).await;
            assert!(path.exists());
        };
        tokio::select! {
            () = healer.run() => {}
            ended = tokio::time::timeout(Duration::from_secs(30), told) => ended.unwrap(),
        }
    }
}
