//! The care for reference computes in the running hub: which of them are to be made, and when again.
//!
//! What fails is tried again after pauses that grow, and what is wrong however often it is made is left alone, so that
//! nothing that cannot be mended takes more than a moment now and then; the others are made meanwhile as if there were no
//! such one. How one compute is made is not this file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use phasic_engine::reference::{ReferenceCompute, computes};
use phasic_hub_api::health::FindingCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Outcome, publish_one};
use crate::admission::Admission;
use crate::hub::Hub;
use crate::registry::WithheldReason;

/// The pause before what has failed for the first time is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Publishes every reference compute that is not published yet, and tells the hub's readiness about it.
///
/// A compute that fails is logged and keeps the hub from being ready; the others are published all the same. One that is
/// too large for the settings is none the hub waits for: it does without, and says so.
pub async fn publish(hub: Arc<Hub>, admission: Admission) {
    Care::default().publish(&hub, &admission, &all()).await;
}

/// Publishes the reference computes, and again whichever of them loses a file, or has one that was found wrong: another
/// release may have made that. What is found wrong though this one has made it is left alone. Never ends. `tried` becomes
/// true when all were tried for the first time.
pub async fn maintain(hub: Arc<Hub>, admission: Admission, tried: watch::Sender<bool>) {
    let (mut renderings, mut care, mut wanted) = (hub.renderings(), Care::default(), all());
    loop {
        renderings.mark_unchanged();
        care.publish(&hub, &admission, &wanted).await;
        tried.send_replace(true);
        loop {
            wanted = care.wanted(&hub);
            if !wanted.is_empty() {
                break;
            }
            tokio::select! {
                // An error would say that the hub is gone, which we hold ourselves.
                _ = renderings.changed() => {}
                () = care.pause() => {}
            }
        }
        care.announce(&hub, &wanted);
    }
}

fn all() -> Vec<&'static ReferenceCompute> {
    computes().iter().collect()
}

/// What is known of the computes that are not served as they should be.
#[derive(Debug, Default)]
struct Care {
    failures: BTreeMap<&'static str, Failure>,
    /// Those that making them does not bring back, and why they are not served.
    in_vain: BTreeMap<&'static str, WithheldReason>,
    too_large: Vec<&'static str>,
}

/// A compute that could not be made.
#[derive(Debug)]
struct Failure {
    /// In a row.
    times: u32,
    /// When it is tried again.
    again: Instant,
    /// Whether it is served all the same, as it was made before.
    is_served: bool,
}

impl Care {
    /// Makes these computes, and takes note of what has become of each.
    async fn publish(&mut self, hub: &Hub, admission: &Admission, wanted: &[&'static ReferenceCompute]) {
        let mut tried = Vec::new();
        for &compute in wanted {
            match publish_one(hub, admission, compute).await {
                Ok(outcome) => tried.push((compute.id, outcome)),
                Err(error) => self.fails(compute.id, &error.to_string(), is_served(hub, compute.id)),
            }
        }
        if tried.iter().any(|&(_, outcome)| outcome == Outcome::Published)
            && let Err(error) = hub.refresh().await
        {
            // Whoever follows changes will try again.
            tracing::error!(%error, "could not render the registry");
        }
        for (id, outcome) in tried {
            self.note(id, outcome, withheld(hub, id));
        }
        self.tell(hub);
    }

    /// What has become of a compute that did not fail, and why it is not served all the same, if it is not.
    fn note(&mut self, id: &'static str, outcome: Outcome, withheld: Option<WithheldReason>) {
        self.too_large.retain(|&one| one != id);
        self.in_vain.remove(id);
        match (outcome, withheld) {
            (Outcome::TooLarge, _) => self.too_large.push(id),
            (Outcome::Published, Some(reason @ WithheldReason::Missing(_))) => {
                return self.fails(id, &format!("it was made anew, and {reason} all the same"), false);
            }
            // It is wrong although it is made by this release, or it is somebody's, who has to see to it.
            (_, Some(reason)) if outcome != Outcome::Unchanged => drop(self.in_vain.insert(id, reason)),
            // It is in order, or has come to harm since it was looked at: then it is wanted.
            _ => {}
        }
        if self.failures.remove(id).is_some() {
            tracing::info!(id, "a reference compute that could not be published is in order again");
        }
    }

    /// Takes note of a failure, the first of which in a row is logged.
    fn fails(&mut self, id: &'static str, error: &str, is_served: bool) {
        let times = self.failures.get(id).map_or(0, |before| before.times) + 1;
        if times == 1 {
            tracing::error!(id, error, "could not publish a reference compute, and tries now and then");
        } else {
            tracing::debug!(id, error, times, "could not publish a reference compute again");
        }
        let again = Instant::now() + pause_after(times);
        self.failures.insert(id, Failure { times, again, is_served });
    }

    /// The computes that are to be made now: those that are not served any more, and those whose pause is over. A failure is
    /// looked at again as soon as the compute is served, which somebody else may have brought about.
    fn wanted(&mut self, hub: &Hub) -> Vec<&'static ReferenceCompute> {
        let (without, now) = (hub.readiness.without(), Instant::now());
        self.in_vain.retain(|id, reason| withheld(hub, id) == Some(*reason));
        let is_wanted = |id: &'static str| match self.failures.get(id) {
            Some(failure) => failure.again <= now || !failure.is_served && is_served(hub, id),
            None => withheld(hub, id).is_some() && !self.in_vain.contains_key(id) && !without.contains(&id),
        };
        computes().iter().filter(|compute| is_wanted(compute.id)).collect()
    }

    /// Until the first pause is over; for ever, if there is none.
    async fn pause(&self) {
        match self.failures.values().map(|failure| failure.again).min() {
            Some(again) => tokio::time::sleep_until(again).await,
            None => std::future::pending().await,
        }
    }

    /// Says which computes are made again, without those of which it was said before that they fail.
    fn announce(&self, hub: &Hub, wanted: &[&'static ReferenceCompute]) {
        let news = wanted.iter().map(|compute| compute.id).filter(|id| !self.failures.contains_key(id));
        let again: Vec<_> = news.collect();
        if again.is_empty() {
            return;
        }
        let again = again.join(", ");
        tracing::warn!(again, "eliminating reference computes again: their files are lost or wrong");
        let reason =
            format!("Reference computes whose files were lost or wrong are being eliminated again: {again}.");
        hub.readiness.wait_for(FindingCode::ReferenceComputes, reason);
    }

    fn tell(&self, hub: &Hub) {
        let missing = self.too_large.iter().copied().filter(|id| !is_served(hub, id));
        hub.readiness.goes_without(missing.collect());
        if self.failures.is_empty() {
            hub.readiness.done(FindingCode::ReferenceComputes);
        } else {
            let failed = self.failures.keys().copied().collect::<Vec<_>>().join(", ");
            let reason = format!("Reference computes that could not be published: {failed} (see the log).");
            hub.readiness.wait_for(FindingCode::ReferenceComputes, reason);
        }
    }
}

/// How long what has failed so many times in a row is left alone.
fn pause_after(times: u32) -> Duration {
    let doubled = 2_u32.checked_pow(times - 1).and_then(|factor| FIRST_PAUSE.checked_mul(factor));
    doubled.map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

fn is_served(hub: &Hub, id: &str) -> bool {
    hub.catalogue().computes().iter().any(|compute| compute.id.as_str() == id)
}

/// Why a reference compute that should be served is not.
fn withheld(hub: &Hub, id: &str) -> Option<WithheldReason> {
    hub.catalogue().withheld().iter().find(|one| one.id.as_str() == id).map(|one| one.reason)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use phasic_engine::reference::computes;
    use phasic_hub_api::Sha256;
    use phasic_hub_api::jobs::Variant;

    use super::super::tests::{MEMORY_BYTES, admission, hub};
    use super::super::{Outcome, make};
    use super::{Care, pause_after, publish, withheld};

    #[tokio::test]
    async fn what_loses_its_file_while_others_are_made_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let hub = hub(&directory).await;
        publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
        let compute = &computes()[2];
        let sha256 = Sha256::of(&make(compute, Variant::Phasic, MEMORY_BYTES).unwrap().artifact);
        let digits = sha256.to_string();
        std::fs::remove_file(directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits)).unwrap();
        hub.withdraw(sha256).await.unwrap();
        // It was in order when it was looked at.
        let mut care = Care::default();
        care.note(compute.id, Outcome::Unchanged, withheld(&hub, compute.id));
        let wanted = care.wanted(&hub);
        assert_eq!(wanted.iter().map(|compute| compute.id).collect::<Vec<_>>(), [compute.id]);
        care.publish(&hub, &admission(MEMORY_BYTES), &wanted).await;
        assert!(hub.catalogue().withheld().is_empty() && care.wanted(&hub).is_empty());
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let pauses = [1, 2, 3, 6, 7, 100, u32::MAX].map(pause_after);
        assert_eq!(pauses.map(|pause| pause.as_secs()), [1, 2, 4, 32, 60, 60, 60]);
        assert!(pauses.is_sorted() && pauses[0] > Duration::ZERO);
    }
}
