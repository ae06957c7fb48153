//! Works on the queue: begins what fits into memory, one job a thread, and records how each ends.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phasic_hub_api::jobs::JobState;

use super::perform::{PerformError, Performed, perform};
use super::running::Running;
use super::task::Task;
use super::work::Made;
use super::{ENGINE, Jobs};
use crate::admission::Share;
use crate::blobs::{BlobError, Terms, in_memory, read_whole};
use crate::config::LEAST_GRACE_SECONDS;
use crate::isolated::ChildError;
use crate::store::{FreeMemory, JobResult, JobRow, MOST_ATTEMPTS, StoreError};
use crate::visibility::Viewer;

/// How often the queue is looked at when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How it is tried again to record how a job ended, for as long as the database cannot take it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Insistence {
    /// The first pause, and the longest.
    pub(super) pauses: [Duration; 2],
    /// How often the result is made young meanwhile: far more often than garbage is collected that is as old as that.
    pub(super) renew_every: Duration,
}

impl Insistence {
    pub(super) const USUAL: Self = Self {
        pauses: [Duration::from_millis(100), Duration::from_secs(10)],
        renew_every: Duration::from_secs(LEAST_GRACE_SECONDS / 6),
    };
}

/// How often old jobs are forgotten.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("its graph is not known any more")]
    NoGraph,
    #[error(transparent)]
    Performing(#[from] PerformError),
    #[error("it was cancelled")]
    Cancelled,
    #[error("its result was lost before it could be recorded")]
    Lost,
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    /// Whether the attempt broke down, and another one may fare better.
    fn is_breakdown(&self) -> bool {
        match self {
            Self::Performing(error) => error.is_breakdown(),
            Self::Lost => true,
            _ => false,
        }
    }

    /// What is said of it to everybody who sees the job. Files and the database are places of the hub, which nobody else
    /// needs to know; the log of the hub has the whole of it.
    fn told(&self) -> String {
        match self {
            Self::Blobs(BlobError::Full { .. }) => NO_ROOM.to_owned(),
            Self::Blobs(error) if is_disk_full(error) => NO_ROOM.to_owned(),
            Self::Blobs(_) | Self::Store(_) => {
                "something went wrong inside the hub; its log has the details, under the id of this job"
                    .to_owned()
            }
            Self::Performing(PerformError::Child(ChildError::Broke(_))) => without_places(&self.to_string()),
            error => error.to_string(),
        }
    }
}

const NO_ROOM: &str =
    "there is no room left for its result; once those who run the hub have made some, ask for it again";

/// Whether an error goes back to a file system without room.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut errors = std::iter::successors(Some(error), |error| error.source());
    errors.any(|error| {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    })
}

/// What a dying process has said, without the paths in it.
fn without_places(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains(['/', '\\']) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Says what has come of an attempt that has no result.
fn log(job: &JobRow, result: &Result<JobResult, JobError>) {
    match result {
        Ok(_) => {}
        Err(error) if error.is_breakdown() => {
            tracing::warn!(id = job.id, attempt = job.attempts, %error, "an attempt at a job broke down");
        }
        Err(error) => tracing::warn!(id = job.id, %error, "a job has no result"),
    }
}

/// The place of a job among those this process works on. It is given up however the work ends, if it panics, too: then the
/// job is taken back.
struct Place {
    jobs: Arc<Jobs>,
    number: i64,
    share: Option<Share>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.number);
        // Before anybody is woken, so that its memory is free by then.
        drop(self.share.take());
        self.jobs.changed();
        self.jobs.wake.notify_one();
    }
}

impl Jobs {
    /// Works on the queue. Never ends.
    ///
    /// Only one process may do so for a data directory: it takes back what others have left.
    pub async fn run(self: Arc<Self>) {
        match self.data.store.refuse_larger_jobs(self.compute.max_memory_bytes.get()).await {
            Ok(refused) if refused.is_empty() => {}
            Ok(refused) => {
                tracing::warn!(?refused, "jobs have ended that are too large for the settings of today");
            }
            Err(error) => tracing::error!(%error, "could not look for jobs that are too large by now"),
        }
        let mut tidied = None::<Instant>;
        loop {
            if tidied.is_none_or(|tidied| tidied.elapsed() > TIDY_EVERY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
            if let Err(error) = self.take_back().await {
                tracing::error!(%error, "could not take back jobs that nobody works on");
            }
            if let Err(error) = self.begin_what_fits().await {
                tracing::error!(%error, "could not look at the queue of jobs");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.eliminations.freed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes back jobs that are said to be running and that nobody works on.
    async fn take_back(&self) -> Result<(), StoreError> {
        // Nothing is begun meanwhile, and what ends is taken off this list only once that is recorded.
        let running: Vec<i64> = self.lock().keys().copied().collect();
        for (id, state) in self.data.store.take_back_jobs(&self.owner, &running).await? {
            tracing::warn!(id, state = state.as_str(), "took back a job that nobody worked on any more");
            self.changed();
        }
        Ok(())
    }

    async fn tidy(&self) {
        match self.data.store.forget_old_jobs(self.compute.keep_jobs_days.get()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot jobs that ended long ago"),
            Err(error) => tracing::error!(%error, "could not forget old jobs"),
        }
    }

    /// Puts back what is running, when the hub stops in good order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_back(&self) -> Result<(), StoreError> {
        // First of all, so that what is stopped now is not taken for a failure.
        self.data.store.put_back_jobs(&self.owner).await?;
        for running in self.lock().values() {
            running.cancelled.cancel();
        }
        Ok(())
    }

    async fn begin_what_fits(self: &Arc<Self>) -> Result<(), StoreError> {
        loop {
            if self.lock().len() >= self.eliminations.workers().count() {
                return Ok(());
            }
            // All of it while the queue is asked, so that nobody else takes what a job is begun with.
            let Some(mut share) = self.eliminations.take_free() else { return Ok(()) };
            let is_all = share.bytes() == self.eliminations.max_bytes();
            let free = FreeMemory { bytes: share.bytes(), is_all };
            let Some(job) = self.data.store.begin_job(&self.owner, free).await? else {
                return Ok(());
            };
            if job.attempts < MOST_ATTEMPTS {
                share.keep(job.memory_bytes);
            } else {
                // Beside the last attempt nothing else runs.
                share.keep(share.bytes());
            }
            let running = Arc::new(Running::new(job.memory_bytes, self.timeout_ms(job.timeout_ms)));
            self.lock().insert(job.number, Arc::clone(&running));
            self.changed();
            let place = Place { jobs: Arc::clone(self), number: job.number, share: Some(share) };
            tokio::spawn(async move { place.jobs.work_on(&job, running).await });
        }
    }

    /// Does a job, and records how it ended.
    async fn work_on(&self, job: &JobRow, running: Arc<Running>) {
        tracing::info!(id = job.id, variant = job.variant.as_str(), attempt = job.attempts, "began a job");
        let begun = Instant::now();
        let result = self.result(job, running).await;
        let elapsed_ms = begun.elapsed().as_millis();
        if let Some(state) = self.record(job, result).await {
            tracing::info!(id = job.id, state = state.as_str(), elapsed_ms, "worked on a job");
        } else {
            tracing::info!(id = job.id, elapsed_ms, "dropped the result of a job that nobody wants any more");
        }
    }

    /// Records how a job ended, however long the database cannot take it: what was made is not lost to a full disk, and
    /// who waits does not wait for ever. Gives the state it is in then, if it was still wanted.
    async fn record(&self, job: &JobRow, mut result: Result<JobResult, JobError>) -> Option<JobState> {
        let Insistence { pauses: [mut pause, longest], renew_every } = self.insistence;
        let mut renewed = Instant::now();
        log(job, &result);
        loop {
            match self.try_to_record(job, &result).await {
                Ok(state) => return state,
                Err(error) => {
                    tracing::error!(id = job.id, %error, "could not record how a job ended; it is tried again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = longest.min(pause * 2);
            // Nothing refers to it yet, and what nothing refers to is collected as garbage when it is old enough.
            if let Ok(made) = result
                && renewed.elapsed() >= renew_every
            {
                match self.data.blobs.renew(made.blob.sha256).await {
                    Ok(_) => renewed = Instant::now(),
                    Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => {
                        result = Err(JobError::Lost);
                        log(job, &result);
                    }
                    Err(error) => {
                        tracing::error!(id = job.id, %error, "the result of a job cannot be read");
                    }
                }
            }
        }
    }

    async fn try_to_record(
        &self,
        job: &JobRow,
        result: &Result<JobResult, JobError>,
    ) -> Result<Option<JobState>, StoreError> {
        let store = &self.data.store;
        match result {
            Ok(made) => {
                let wanted = store.finish_job(job, &self.owner, *made, ENGINE).await?;
                Ok(wanted.then_some(JobState::Done))
            }
            Err(error) if error.is_breakdown() => store.break_job(job, &self.owner, &error.told()).await,
            Err(error) => {
                let wanted = store.fail_job(job, &self.owner, &error.told()).await?;
                Ok(wanted.then_some(JobState::Failed))
            }
        }
    }

    async fn result(&self, job: &JobRow, running: Arc<Running>) -> Result<JobResult, JobError> {
        // Somebody may have joined after the row was read, and before anybody could be told.
        if let Some(now) = self.data.store.job(&job.id, &Viewer::All).await? {
            self.extend(&now);
        }
        let graph = self.data.store.graph(job.definition, &Viewer::All).await?.ok_or(JobError::NoGraph)?;
        let recipe = read_whole(&*self.data.blobs, graph.recipe).await?;
        let task = Task {
            recipe: String::from_utf8_lossy(&recipe).into_owned(),
            identity: graph.identity,
            variant: job.variant,
            compute: self.compute.clone(),
            models: self.models.clone(),
        };
        let Performed { made, peak_memory_bytes } =
            perform(task, Arc::clone(&running), self.eliminations.workers()).await?;
        let Made { bytes, commands } = made;
        let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
        // A slow disk keeps nobody waiting either.
        let blob = tokio::select! {
            stored = self.data.blobs.put(in_memory(bytes), terms) => stored?,
            () = running.cancelled.cancelled() => return Err(JobError::Cancelled),
        };
        Ok(JobResult { blob, commands, peak_memory_bytes })
    }

    /// Gives a job that this process works on as long as its row says by now.
    pub(super) fn extend(&self, job: &JobRow) {
        if let Some(running) = self.lock().get(&job.number) {
            running.extend(self.timeout_ms(job.timeout_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JobError, PerformError};
    use crate::blobs::BlobError;
    use crate::isolated::ChildError;

    #[test]
    fn nobody_learns_from_a_job_where_the_hub_keeps_its_files() {
        let path = "/srv/hub/blobs/sha256/aa".into();
        let source = std::io::Error::other("Input/output error");
        let errors = [
            JobError::Blobs(BlobError::File { action: "write", path, source }),
            JobError::Performing(PerformError::Child(ChildError::Broke(
                "ended with signal: 6: thread 'main' panicked at /srv/src/hub.rs:3:1: C:\\hub".to_owned(),
            ))),
        ];
        for error in errors {
            assert!(error.to_string().contains("/srv"), "{error}");
            assert!(!error.told().contains(['/', '\\']), "{}", error.told());
        }
    }
}
