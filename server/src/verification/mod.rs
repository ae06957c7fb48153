//! Verification in the background: whenever it is known what a graph is, every file of its hash is held against the
//! program made anew.
//!
//! One file at a time, on a thread of its own that rests as long as it works, waits while jobs run, and gives way to those
//! who publish and wait for their own comparison. What was found is
//! a row, so a new process goes on where the last one ended, and another engine begins anew. What is done about a file
//! that fits no graph is the registry's business. What everybody may have is held against what everybody may know only:
//! a private definition has no say in it, and cannot be found out by it.

mod comparison;
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::graph::GraphLimits;
use phasic_engine::reference::computes;
use phasic_hub_api::GraphHash;
use phasic_hub_api::jobs::JobState;
use phasic_hub_api::verification::Verdict;
use tokio::sync::{Notify, watch};

use self::comparison::Turn;
use crate::blobs::BlobError;
use crate::config;
use crate::hub::{DataDirectory, Hub};
use crate::metrics;
use crate::reference::known_graph;
use crate::store::{JobFilter, StoreError, VerificationRow, VerificationWork};
use crate::visibility::Viewer;
use crate::workers::{BrokeOff, Workers};

/// What makes programs anew; part of what is said about each.
pub const ENGINE: &str = concat!("phasic-engine ", env!("CARGO_PKG_VERSION"));

/// The longest rest between two files.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// How long to wait after a failure of the database.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// How often it is looked whether jobs have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Definitions of one hash that are tried. They differ only in the order of edges and in weights no parameter changes.
pub(crate) const MOST_DEFINITIONS: usize = 64;

/// Compares files in the background.
pub struct Verifier {
    data: DataDirectory,
    workers: Workers,
    /// For those who wait.
    at_once: Workers,
    /// How many wait.
    waiting: Arc<AtomicUsize>,
    models: config::Models,
    settings: config::Verification,
    /// Rings when there may be something to do.
    wake: Notify,
    /// Counts files that were compared, for those who wait.
    compared: watch::Sender<u64>,
    stopping: Arc<AtomicBool>,
}

/// Why a file was not compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A definition cannot be read.
    #[error("a definition of the graph cannot be read: {0}")]
    Recipe(#[from] serde_json::Error),
    /// The comparison broke off.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
}

impl Verifier {
    /// A verifier of a data directory. Nothing is compared until [`run`](Self::run).
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(
        data: DataDirectory,
        models: config::Models,
        settings: config::Verification,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let workers = Workers::new("verify", 1)?;
        let at_once = Workers::new("verify-now", 1)?;
        Ok(Self {
            data,
            workers,
            at_once,
            waiting: Arc::default(),
            models,
            settings,
            wake: Notify::new(),
            compared: watch::Sender::new(0),
            stopping: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Says that there may be something to do: a graph was submitted, or somebody asks.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Counts files that were compared.
    pub fn compared(&self) -> watch::Receiver<u64> {
        self.compared.subscribe()
    }

    /// Stops what is being compared, when the hub stops; it is begun anew the next time.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Compares whatever is to be compared, now and after every change of the registry. Never ends.
    pub async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let mut renderings = hub.renderings();
        loop {
            renderings.mark_unchanged();
            let passed = self.pass().await;
            if let Err(error) = &passed {
                tracing::error!(%error, "could not look for files to verify; it is tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(AFTER_A_FAILURE), if passed.is_err() => {}
                () = self.wake.notified() => {}
                // An error would say that the hub is gone, which we hold ourselves.
                _ = renderings.changed() => {}
            }
        }
    }

    async fn pass(&self) -> Result<(), StoreError> {
        let work = self.data.store.verification_work(ENGINE, &built_in()).await?;
        pending(&work);
        for (done, one) in work.iter().enumerate() {
            self.wait_for_jobs().await?;
            let begun = Instant::now();
            let viewer = if one.is_public { Viewer::Public } else { Viewer::All };
            match self.verify(one.graph_hash, one.blob, &viewer, Turn::Background).await {
                Ok(Some(row)) => {
                    if row.verdict == Verdict::Mismatch
                        && self.data.store.retire_eliminations(row.sha256, ENGINE).await? > 0
                    {
                        tracing::info!(sha256 = %row.sha256, "retired a result of another engine");
                    }
                    report(&row);
                    self.data.store.put_verification(&row).await?;
                    self.compared.send_modify(|count| *count += 1);
                }
                // The hub is stopping.
                Ok(None) => return Ok(()),
                Err(VerifyError::Store(error)) => return Err(error),
                // Lost and rotten files are the scrub's business.
                Err(error) => tracing::warn!(sha256 = %one.blob.sha256, %error, "could not verify a file"),
            }
            pending(&work[done + 1..]);
            let rest = begun.elapsed().mul_f64(self.settings.rest()).min(LONGEST_REST);
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    /// Jobs are what people wait for.
    async fn wait_for_jobs(&self) -> Result<(), StoreError> {
        let filter = JobFilter {
            viewer: Viewer::All,
            state: Some(JobState::Running),
            limit: 1,
            ..JobFilter::default()
        };
        while !self.data.store.jobs(&filter).await?.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// Says how much of what everybody may have is still to be compared.
fn pending(work: &[VerificationWork]) {
    metrics::Level::VerificationsPending.set(work.iter().filter(|one| one.is_public).count() as f64);
}

fn report(row: &VerificationRow) {
    let VerificationRow { sha256, graph_hash, duration_ms, .. } = row;
    metrics::verified(row.verdict.as_str());
    if row.verdict == Verdict::Mismatch {
        let difference = row.difference.as_deref().unwrap_or_default();
        if is_built_in(*graph_hash) {
            tracing::error!(%sha256, %graph_hash, difference, "a file is no program of its graph, and is withdrawn");
        } else {
            tracing::error!(
                %sha256, %graph_hash, difference,
                "a file fits no graph that was submitted under its hash; it stays, because one of another publisher may"
            );
        }
    } else {
        tracing::info!(%sha256, %graph_hash, verdict = row.verdict.as_str(), duration_ms, "verified a file");
    }
}

/// Whether this hub knows by itself what the graph of a hash is, so that a file that does not fit is proven wrong.
fn is_built_in(hash: GraphHash) -> bool {
    known_graph(hash).is_some()
}

/// The hashes of the graphs this hub builds itself.
pub fn built_in() -> Vec<GraphHash> {
    static HASHES: std::sync::OnceLock<Vec<GraphHash>> = std::sync::OnceLock::new();
    let hashes = || {
        let built = computes().iter().filter_map(|compute| compute.build(&GraphLimits::default()).ok());
        built.map(|graph| graph.content_hash()).collect()
    };
    HASHES.get_or_init(hashes).clone()
}
