//! Passes by themselves, in a running hub: when each is due, and what happens when somebody cannot wait.
//!
//! One pass at a time, whoever asks. It can be broken off at any moment: it changes nothing until its one transaction.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phasic_hub_api::mirror::{MirrorStatus, PassOutcome};
use tokio::sync::{Notify, oneshot};

use super::MirrorError;
use super::errand::{Errand, Permissions, identity};
use super::run::{Ended, run};
use super::schedule::Timing;
use super::status::status;
use crate::config::{Config, UpstreamSettings};
use crate::hub::Hub;
use crate::store::{Actor, StoreError};
use crate::visibility::Viewer;

/// How often it is looked whether another process has made a pass due.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long the first passes wait for what the hub publishes itself, whose ids are then known to be taken.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause after a failure of the hub itself.
const PAUSE: Duration = Duration::from_secs(30);

/// The mirror of a running hub.
pub struct Mirror {
    hub: Arc<Hub>,
    config: Arc<Config>,
    state: Mutex<State>,
    /// Rings when somebody has asked, or something may be due.
    wake: Notify,
}

/// Who waits for the number of a pass.
type Waiting = Vec<oneshot::Sender<i64>>;

#[derive(Default)]
struct State {
    /// The upstream of the pass under way, and who waits for its end.
    running: Option<(String, Waiting)>,
    /// Passes that were asked for: by whom first, and who waits.
    asked: BTreeMap<String, (Actor, Waiting)>,
}

impl Mirror {
    /// The mirror of a hub. Nothing is asked of anybody until [`run`](Self::run).
    pub fn new(hub: Arc<Hub>, config: Arc<Config>) -> Self {
        Self { hub, config, state: Mutex::default(), wake: Notify::new() }
    }

    /// The state of the mirror.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self, viewer: &Viewer) -> Result<MirrorStatus, StoreError> {
        let is_running = |name: &str| {
            let state = self.state();
            state.running.as_ref().is_some_and(|(running, _)| running == name)
                || state.asked.contains_key(name)
        };
        status(&self.hub.data.store, &self.config, viewer, &is_running).await
    }

    /// The upstreams of the settings that are mirrored by themselves.
    pub fn scheduled(&self) -> impl Iterator<Item = &UpstreamSettings> {
        let is_allowed = |settings: &&UpstreamSettings| !(self.config.offline && settings.is_web());
        self.config.mirror.upstreams.iter().filter(|settings| settings.enabled).filter(is_allowed)
    }

    /// Says whether a pass over an upstream may be asked for.
    ///
    /// # Errors
    /// When there is no such upstream, or the hub is offline.
    pub fn may_ask(&self, name: &str) -> Result<(), MirrorError> {
        let unknown = || MirrorError::Unknown { name: name.to_owned() };
        let (_, settings) = self.config.mirror.upstreams.find(name).ok_or_else(unknown)?;
        if self.config.offline && settings.is_web() {
            return Err(MirrorError::Offline { upstream: name.to_owned() });
        }
        Ok(())
    }

    /// Asks for a pass over an upstream of the settings, as soon as possible; a pass that is under way will do. What is
    /// received is its number, when it has ended.
    ///
    /// # Errors
    /// As [`may_ask`](Self::may_ask).
    pub fn ask(&self, name: &str, actor: Actor) -> Result<oneshot::Receiver<i64>, MirrorError> {
        self.may_ask(name)?;
        let (tell, told) = oneshot::channel();
        let mut state = self.state();
        match &mut state.running {
            Some((running, waiting)) if running == name => waiting.push(tell),
            _ => state.asked.entry(name.to_owned()).or_insert_with(|| (actor, Vec::new())).1.push(tell),
        }
        drop(state);
        self.wake();
        Ok(told)
    }

    /// Says that something may be due.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs every pass that is due or asked for. Never ends.
    pub async fn run(self: Arc<Self>) {
        self.wait_for_the_hub().await;
        loop {
            if let Err(error) = self.turn().await {
                tracing::error!(%error, "the mirror could not do its work; trying again later");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn wait_for_the_hub(&self) {
        let begun = Instant::now();
        while !self.hub.readiness.reasons().is_empty() && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One pass, or a rest until one may be due.
    async fn turn(&self) -> Result<(), MirrorError> {
        self.name_all().await?;
        let asked = self.state().asked.pop_first();
        if let Some((name, (actor, waiting))) = asked {
            return self.pass(name, actor, waiting).await;
        }
        let due = self.hub.data.store.due().await?;
        let mut rest = LOOK_EVERY;
        for settings in self.scheduled() {
            let timing = Timing::of(settings.interval_ms.duration());
            let found = due.iter().find(|due| due.upstream == settings.name.as_str());
            let seconds = found
                .and_then(|due| Some(timing.due(due.seconds?, due.wait_seconds.unwrap_or(0.0))))
                .unwrap_or(0.0);
            if seconds <= 0.0 {
                return self.pass(settings.name.to_string(), Actor::Hub, Vec::new()).await;
            }
            rest = rest.min(Duration::try_from_secs_f64(seconds).unwrap_or(LOOK_EVERY));
        }
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
        }
        Ok(())
    }

    /// Takes note of the upstreams of the settings; those that are as before are left alone.
    async fn name_all(&self) -> Result<(), StoreError> {
        let known = self.hub.data.store.upstream_identities().await?;
        for (place, settings) in self.config.mirror.upstreams.iter().enumerate() {
            let identity = identity(place, settings);
            if !known.contains(&identity) {
                self.hub.data.store.name_upstream(&identity).await?;
            }
        }
        Ok(())
    }

    async fn pass(&self, name: String, actor: Actor, waiting: Waiting) -> Result<(), MirrorError> {
        self.state().running = Some((name.clone(), waiting));
        let ended = self.errand(&name, actor).await;
        // Before anything else can fail: who asks from here on wants a pass that has not begun yet.
        let waiting = self.state().running.take().map(|(_, waiting)| waiting).unwrap_or_default();
        let ended = ended?;
        let told = match &ended.result {
            Ok(()) => self.tell_success(&name, ended.number).await,
            Err(error) => self.tell_failure(&name, error).await,
        };
        for waiting in waiting {
            // Whoever has gone away need not be told.
            let _ = waiting.send(ended.number);
        }
        told
    }

    async fn errand(&self, name: &str, actor: Actor) -> Result<Ended, MirrorError> {
        let errand = Errand::configured(&self.config.mirror, name, Permissions::default(), actor)?;
        run(&self.hub.data, &self.config, &errand).await
    }

    async fn tell_success(&self, name: &str, number: i64) -> Result<(), MirrorError> {
        let Some(detail) = self.hub.data.store.pass(number, Some(0)).await? else { return Ok(()) };
        let pass = detail.pass;
        if pass.outcome == PassOutcome::Unmodified {
            tracing::debug!(upstream = name, "not modified");
            return Ok(());
        }
        tracing::info!(
            upstream = name,
            entries = pass.entries,
            mirrored = pass.mirrored,
            changes = pass.change_count,
            faults = pass.fault_count,
            "mirrored"
        );
        // Those who asked for the pass see what it did at once.
        if let Err(error) = self.hub.refresh().await {
            tracing::error!(%error, "could not render the registry");
        }
        Ok(())
    }

    /// One line when an upstream begins to be away, and none each time after that.
    async fn tell_failure(&self, name: &str, error: &MirrorError) -> Result<(), MirrorError> {
        let row = self.hub.data.store.upstream(name).await?;
        let failures = row.as_ref().map_or(1, |row| row.failures_in_a_row);
        let seconds = row.and_then(|row| row.due_seconds).unwrap_or(0.0).max(0.0).round();
        if error.is_absence() && failures > 1 {
            tracing::debug!(upstream = name, %error, seconds, failures, "not mirrored");
        } else if error.is_absence() {
            tracing::info!(upstream = name, reason = %error, "not mirrored for now; trying again in {seconds} s");
        } else {
            tracing::warn!(upstream = name, %error, failures, "not mirrored; trying again in {seconds} s");
        }
        Ok(())
    }
}
