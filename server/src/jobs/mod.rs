//! Eliminations on demand: submitted graphs, the queue of jobs, and their results.
//!
//! [`submit`] makes a request at most one job, however many ask; a job survives the end of the process. [`runner`] has
//! its [`task`] [`perform`]ed, on the threads of this process or in another. The rows are in the store, the files in the blob
//! store; HTTP is elsewhere.

mod perform;
mod runner;
mod running;
mod submit;
mod task;
#[cfg(test)]
mod tests;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phasic_hub_api::jobs::JobProgress;
use tokio::sync::{Notify, watch};

use self::runner::Insistence;
use self::running::Running;
use self::submit::{KNOWN_BYTES, Known, NotKnown};
use crate::admission::Admission;
use crate::cache::Cache;
use crate::config;
use crate::hub::DataDirectory;
use crate::preparing::Preparing;
use crate::store::{Actor, Cancelled, JobRow, StoreError};
use crate::visibility::{Audience, Viewer};

pub(crate) use perform::eliminate;
pub use submit::{Ask, Outcome, SubmitError, Submitted};
pub(crate) use task::Task;
pub(crate) use work::{forecast, memory_of_program, plan_limits};

/// What makes results; part of what is said about each.
const ENGINE: &str = concat!("phasic-engine ", env!("CARGO_PKG_VERSION"));

/// How many queued jobs come before each, by their numbers.
type Places = Arc<HashMap<i64, u64>>;

/// The queue, and whoever works on it.
pub struct Jobs {
    data: DataDirectory,
    /// Threads and memory of eliminations.
    eliminations: Admission,
    /// Where graphs are built and forecast.
    preparing: Preparing,
    compute: config::Compute,
    models: config::Models,
    /// This process, as leases name it.
    owner: String,
    running: Mutex<HashMap<i64, Arc<Running>>>,
    known: Cache<Known, NotKnown>,
    /// The order of the queue as each audience sees it, and how many changes it is as old as.
    order: tokio::sync::Mutex<(u64, HashMap<Audience, Places>)>,
    /// How it is tried again to record what could not be.
    insistence: Insistence,
    /// Rings when there may be something to do.
    wake: Notify,
    /// Counts changes of any job's state, for those who wait.
    changes: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

impl Jobs {
    /// The queue of a data directory. Nothing is worked on until [`run`](Self::run).
    ///
    /// # Errors
    /// [`SubmitError::NoRandomness`].
    pub fn new(
        data: DataDirectory,
        eliminations: Admission,
        preparing: Preparing,
        compute: config::Compute,
        models: config::Models,
    ) -> Result<Self, SubmitError> {
        Ok(Self {
            data,
            eliminations,
            preparing,
            compute,
            models,
            owner: random_name("run_")?,
            running: Mutex::default(),
            known: Cache::new(KNOWN_BYTES),
            order: tokio::sync::Mutex::default(),
            insistence: Insistence::USUAL,
            wake: Notify::new(),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
        })
    }

    /// Cancels a job, or lets one out of quarantine, for somebody who asked for it; `asker` `None` may cancel all. The
    /// inner `None` when the viewer sees none of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(
        &self,
        id: &str,
        viewer: &Viewer,
        asker: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<(JobRow, Cancelled)>, StoreError> {
        if self.data.store.job(id, viewer).await?.is_none() {
            return Ok(None);
        }
        let found = self.data.store.cancel_job(id, asker, actor).await?;
        if let Some((row, Cancelled::Now | Cancelled::Withdrawn)) = &found {
            if row.state.is_final()
                && let Some(running) = self.lock().get(&row.number)
            {
                running.cancelled.cancel();
            }
            self.changed();
        }
        Ok(found)
    }

    /// How many queued jobs come before one, as far as that is known now, of those the viewer sees: from the others' number
    /// he would learn that they are there. The order is asked for once a change, however many look at it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn position(&self, number: i64, viewer: &Viewer) -> Result<Option<u64>, StoreError> {
        let changes = *self.changes.borrow();
        let mut order = self.order.lock().await;
        if order.0 != changes {
            *order = (changes, HashMap::new());
        }
        let places = if let Some(places) = order.1.get(&viewer.audience()) {
            Arc::clone(places)
        } else {
            let numbers = self.data.store.queue_order(viewer).await?;
            let places: Places = Arc::new(numbers.into_iter().zip(0..).collect());
            order.1.insert(viewer.audience(), Arc::clone(&places));
            places
        };
        drop(order);
        Ok(places.get(&number).copied())
    }

    /// How long a job may run that asks for this long.
    pub fn timeout_ms(&self, wanted: Option<u64>) -> u64 {
        let most = self.compute.job_timeout_ms.get();
        wanted.map_or(most, |wanted| wanted.min(most))
    }

    /// What a job that this process works on has done so far.
    pub fn progress(&self, number: i64) -> Option<JobProgress> {
        let running = self.lock().get(&number).cloned()?;
        Some(running.progress())
    }

    /// Counts changes of any job's state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Becomes true when the hub is told to stop: nobody should wait for jobs any more.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Tells everybody who waits for jobs that the hub is stopping.
    pub fn stop_waiting(&self) {
        self.stopping.send_replace(true);
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_name(prefix: &str) -> Result<String, SubmitError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(SubmitError::NoRandomness)?;
    Ok(random.iter().fold(prefix.to_owned(), |name, byte| format!("{name}{byte:02x}")))
}
