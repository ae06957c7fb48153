//! Verification in the background: whenever it is known what a graph is, every file of its hash is held against the
//! program made anew.
//!
//! One file at a time, on a thread of its own, or in a process of its own where the settings say so, that rests as long as it works, longer while jobs run, and gives way to those
//! who publish and wait for their own comparison. What was found is
//! a row, so a new process goes on where the last one ended, and another engine begins anew. What is done about a file
//! that fits no graph is the registry's business. What everybody may have is held against what everybody may know only:
//! a private definition has no say in it, and cannot be found out by it.

mod arriving;
mod comparison;
mod findings;
mod judge;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::graph::GraphLimits;
use phasic_engine::reference::computes;
use phasic_hub_api::GraphHash;
use phasic_hub_api::jobs::JobState;
use phasic_hub_api::verification::Verdict;
use tokio::sync::watch;

pub(crate) use self::arriving::{fits_submitted, misfit_of_built_in};
use self::comparison::Turn;
pub(crate) use self::judge::Comparison;
pub(crate) use self::limits::Limits;
use crate::blobs::BlobError;
use crate::config::{self, Config};
use crate::hub::{DataDirectory, Hub};
use crate::isolated::ChildError;
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

/// How much longer than usually the background rests at most because jobs run: a hub that is never idle is verified, too.
const BESIDE_JOBS: u32 = 10;

/// How long the background waits for jobs to end before it goes on beside them.
#[derive(Clone, Copy, Debug)]
struct Patience {
    at_first: Duration,
    longest: Duration,
}

impl Patience {
    const USUAL: Self = Self { at_first: Duration::from_mins(1), longest: Duration::from_mins(10) };

    /// After a file that took so long, with the rest.
    fn after(self, taken: Duration) -> Duration {
        taken.saturating_mul(BESIDE_JOBS).clamp(self.at_first.min(LOOK_EVERY), self.longest)
    }
}

/// How often in a row the comparison of a file is begun that does not end, because its process does.
const MOST_ATTEMPTS: u32 = 3;

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
    compute: config::Compute,
    settings: config::Verification,
    patience: Patience,
    /// Counts how often there may have been something new to do.
    news: watch::Sender<u64>,
    /// Counts files that were compared, for those who wait.
    compared: watch::Sender<u64>,
    stopping: Arc<AtomicBool>,
    /// Held while a file is compared in the background.
    under_way: tokio::sync::Mutex<()>,
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
    #[error("a definition of the graph, or what came of it, cannot be read: {0}")]
    Recipe(#[from] serde_json::Error),
    /// The comparison broke off.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
    /// It cannot be told within the limits of a comparison.
    #[error("the file could not be compared: {0}")]
    Undecided(String),
    /// The process that compared has ended without a result.
    #[error("the file could not be compared: {0}")]
    Process(String),
    /// There was no process to compare it, or no time.
    #[error("the file was not compared: {0}")]
    NotBegun(String),
}

impl From<ChildError> for VerifyError {
    fn from(error: ChildError) -> Self {
        let said = error.to_string();
        match error {
            ChildError::NotStarted(_) | ChildError::TooLong | ChildError::Cancelled => Self::NotBegun(said),
            ChildError::Failed(_) | ChildError::Broke(_) => Self::Process(said),
        }
    }
}

impl VerifyError {
    /// Whether it may be the file that has ended the comparison: a process of its own that has died, or work that has
    /// panicked. Whatever else is in the way says nothing of the file.
    fn may_be_due_to_the_file(&self) -> bool {
        matches!(self, Self::Process(_) | Self::BrokeOff(_))
    }
}

impl Verifier {
    /// A verifier of a data directory. Nothing is compared until [`run`](Self::run).
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(data: DataDirectory, config: &Config) -> Result<Self, rayon::ThreadPoolBuildError> {
        let workers = Workers::new("verify", 1)?;
        let at_once = Workers::new("verify-now", 1)?;
        Ok(Self {
            data,
            workers,
            at_once,
            waiting: Arc::default(),
            models: config.models.clone(),
            compute: config.compute.clone(),
            settings: config.verification.clone(),
            patience: Patience::USUAL,
            news: watch::Sender::new(0),
            compared: watch::Sender::new(0),
            stopping: Arc::new(AtomicBool::new(false)),
            under_way: tokio::sync::Mutex::default(),
        })
    }

    /// Says that there may be something to do: a graph was submitted, or somebody asks.
    pub fn wake(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Counts files that were compared.
    pub fn compared(&self) -> watch::Receiver<u64> {
        self.compared.subscribe()
    }

    /// Stops what is being compared, when the hub stops; it is begun anew the next time.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until nothing is compared in the background any more, once that was stopped.
    pub async fn settled(&self) {
        drop(self.under_way.lock().await);
    }

    /// Compares whatever is to be compared, now and after every change of the registry. Never ends.
    pub async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let mut renderings = hub.renderings();
        let mut news = self.news.subscribe();
        loop {
            renderings.mark_unchanged();
            let passed = self.pass(&mut news).await;
            if let Err(error) = &passed {
                tracing::error!(%error, "could not look for files to verify; it is tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(AFTER_A_FAILURE), if passed.is_err() => {}
                // An error would say that the hub is gone, or this, which we hold ourselves.
                _ = news.changed() => {}
                _ = renderings.changed() => {}
            }
        }
    }

    /// Compares all there is to compare. What there is is looked up again whenever there may be something new: what
    /// somebody asks for comes first, and does not wait for the end of a list of thousands.
    async fn pass(&self, news: &mut watch::Receiver<u64>) -> Result<(), StoreError> {
        news.mark_unchanged();
        let mut work = self.work().await?;
        let mut failed = HashSet::new();
        let mut patience = self.patience.at_first;
        while !work.is_empty() {
            self.wait_for_jobs(patience).await?;
            if news.has_changed().is_ok_and(|is_so| is_so) {
                news.mark_unchanged();
                work = self.work().await?;
            }
            work.retain(|one| !failed.contains(&(one.graph_hash, one.blob.sha256)));
            let Some(one) = work.pop_front() else { return Ok(()) };
            let begun = Instant::now();
            match self.compare(one).await? {
                Compared::Done => self.compared.send_modify(|count| *count += 1),
                Compared::Failed => drop(failed.insert((one.graph_hash, one.blob.sha256))),
                Compared::Stopping => return Ok(()),
            }
            pending(&work);
            let rest = begun.elapsed().mul_f64(self.settings.rest()).min(LONGEST_REST);
            tokio::time::sleep(rest).await;
            patience = self.patience.after(begun.elapsed());
        }
        Ok(())
    }

    async fn work(&self) -> Result<VecDeque<VerificationWork>, StoreError> {
        let work = VecDeque::from(
            self.data.store.verification_work(ENGINE, &self.limits().to_string(), &built_in()).await?,
        );
        pending(&work);
        Ok(work)
    }

    async fn compare(&self, one: VerificationWork) -> Result<Compared, StoreError> {
        let _under_way = self.under_way.lock().await;
        let viewer = if one.is_public { Viewer::Public } else { Viewer::All };
        let store = &self.data.store;
        // Noted before it begins: what ends this process is to be found when the next one looks.
        if store.begin_verification(one).await? > MOST_ATTEMPTS {
            let row = self.given_up(one, &viewer).await?;
            tracing::error!(
                sha256 = %one.blob.sha256, graph_hash = %one.graph_hash,
                "comparing a file has ended the process that did {MOST_ATTEMPTS} times in a row; it is not tried any more"
            );
            store.put_verification(&row).await?;
            return Ok(Compared::Done);
        }
        match self.verify(one.graph_hash, one.blob, &viewer, Turn::Background).await {
            Ok(Some(row)) => {
                if row.verdict == Verdict::Mismatch
                    && store.retire_eliminations(row.sha256, ENGINE).await? > 0
                {
                    tracing::info!(sha256 = %row.sha256, "retired a result of another engine");
                }
                report(&row);
                store.put_verification(&row).await?;
                Ok(Compared::Done)
            }
            Ok(None) => {
                store.take_back_verification(one).await?;
                Ok(Compared::Stopping)
            }
            Err(VerifyError::Store(error)) => {
                // The comparison is not what has failed.
                store.take_back_verification(one).await?;
                Err(error)
            }
            // Lost and rotten files are healed, and come again then.
            Err(error) => {
                if !error.may_be_due_to_the_file() {
                    store.take_back_verification(one).await?;
                }
                tracing::warn!(sha256 = %one.blob.sha256, %error, "could not verify a file");
                Ok(Compared::Failed)
            }
        }
    }

    /// Jobs are what people wait for, so they are waited for, but not for ever.
    async fn wait_for_jobs(&self, patience: Duration) -> Result<(), StoreError> {
        let filter = JobFilter {
            viewer: Viewer::All,
            state: Some(JobState::Running),
            limit: 1,
            ..JobFilter::default()
        };
        let begun = Instant::now();
        while !self.data.store.jobs(&filter).await?.is_empty() {
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY.min(left)).await;
        }
        Ok(())
    }
}

/// What became of the comparison of a file.
enum Compared {
    Done,
    Failed,
    /// The hub is stopping.
    Stopping,
}

/// Says how much of what everybody may have is still to be compared.
fn pending(work: &VecDeque<VerificationWork>) {
    metrics::Level::VerificationsPending.set(work.iter().filter(|one| one.is_public).count() as f64);
}

fn report(row: &VerificationRow) {
    let VerificationRow { sha256, graph_hash, duration_ms, .. } = row;
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
