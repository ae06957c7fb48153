//! Works on the queue: begins what fits into memory, one job a thread, and records how each ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::GraphIdentity;

use super::work::{self, WorkError};
use super::{ENGINE, Jobs, Running};
use crate::blobs::{BlobError, StoredBlob, Terms, in_memory, read_whole};
use crate::models::{ModelError, Recipe};
use crate::store::{JobRow, StoreError};
use crate::visibility::Viewer;
use crate::workers::BrokeOff;

/// How often the queue is looked at when nobody rings, and leases are renewed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("its graph is not known any more")]
    NoGraph,
    #[error("its graph cannot be read any more: {0}")]
    Recipe(#[from] serde_json::Error),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("its graph is built as another one by this version of the hub")]
    OtherGraph,
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("it took longer than the {0} seconds a job may take (compute.job_timeout_ms)")]
    TooLong(u64),
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Jobs {
    /// Works on the queue. Never ends.
    ///
    /// Only one process may do so for a data directory: it begins by taking back what others have left.
    pub async fn run(self: Arc<Self>) {
        match self.data.store.take_back_jobs(&self.owner).await {
            Ok(taken) => {
                for (id, state) in taken {
                    tracing::warn!(id, state = state.as_str(), "took back a job: the hub ended while it ran");
                }
            }
            Err(error) => tracing::error!(%error, "could not take back the jobs of the last process"),
        }
        loop {
            if let Err(error) = self.begin_what_fits().await {
                tracing::error!(%error, "could not look at the queue of jobs");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if !self.lock().is_empty()
                && let Err(error) = self.data.store.renew_leases(&self.owner).await
            {
                tracing::error!(%error, "could not renew the leases of jobs");
            }
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
            running.cancelled.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn begin_what_fits(self: &Arc<Self>) -> Result<(), StoreError> {
        loop {
            let (count, taken) = {
                let running = self.lock();
                (running.len(), running.values().map(|running| running.memory_bytes).sum())
            };
            let most = self.compute.max_memory_bytes.get().saturating_sub(taken);
            if count >= self.eliminations.count() || most == 0 {
                return Ok(());
            }
            let Some(job) = self.data.store.begin_job(&self.owner, most).await? else { return Ok(()) };
            let running = Arc::new(Running { memory_bytes: job.memory_bytes, ..Running::default() });
            self.lock().insert(job.number, Arc::clone(&running));
            self.changed();
            let jobs = Arc::clone(self);
            tokio::spawn(async move {
                jobs.work_on(&job, running).await;
                jobs.lock().remove(&job.number);
                jobs.changed();
                jobs.wake.notify_one();
            });
        }
    }

    /// Does a job, and records how it ended.
    async fn work_on(&self, job: &JobRow, running: Arc<Running>) {
        tracing::info!(id = job.id, variant = job.variant.as_str(), attempt = job.attempts, "began a job");
        let begun = Instant::now();
        let recorded = match self.result(job, running).await {
            Ok(blob) => self.data.store.finish_job(job, &self.owner, blob, ENGINE).await,
            Err(error) => self.data.store.fail_job(job, &self.owner, &error.to_string()).await,
        };
        let elapsed_ms = begun.elapsed().as_millis();
        match recorded {
            Ok(true) => tracing::info!(id = job.id, elapsed_ms, "a job has ended"),
            Ok(false) => tracing::info!(
                id = job.id,
                elapsed_ms,
                "dropped the result of a job that nobody wants any more"
            ),
            Err(error) => tracing::error!(id = job.id, %error, "could not record how a job ended"),
        }
    }

    async fn result(&self, job: &JobRow, running: Arc<Running>) -> Result<StoredBlob, JobError> {
        let graph = self.data.store.graph(job.definition, &Viewer::All).await?.ok_or(JobError::NoGraph)?;
        let recipe = read_whole(&*self.data.blobs, graph.recipe).await?;
        let recipe = Recipe::from_json(&String::from_utf8_lossy(&recipe))?;
        let (compute, models, variant) = (self.compute.clone(), self.models.clone(), job.variant);
        let limit = compute.job_timeout_ms.duration();
        let bytes = self
            .eliminations
            .run(move || {
                let begun = Instant::now();
                let graph_built = recipe.build(&models)?;
                let identity: GraphIdentity = crate::models::identify(&graph_built);
                if identity != graph.identity {
                    return Err(JobError::OtherGraph);
                }
                let watch = |progress: Progress| running.note(progress, begun, limit);
                let made = work::make(&graph_built, &identity, variant, &compute, watch);
                if made.is_err() && begun.elapsed() > limit {
                    return Err(JobError::TooLong(limit.as_secs()));
                }
                Ok(made?)
            })
            .await??;
        let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
        Ok(self.data.blobs.put(in_memory(bytes), terms).await?)
    }
}

impl Running {
    /// Takes note of progress, and says whether to go on.
    fn note(&self, progress: Progress, begun: Instant, limit: Duration) -> ControlFlow<()> {
        self.vertices_done.store(progress.vertices_done, Ordering::Relaxed);
        self.vertices.store(progress.vertices, Ordering::Relaxed);
        self.commands.store(progress.commands, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) || begun.elapsed() > limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
