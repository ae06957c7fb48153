//! Eliminations on demand: submitted graphs, the queue of jobs, and their results.
//!
//! A request becomes at most one job, however many ask; a job survives the end of the process. [`runner`] does the
//! work. The rows are in the store, the files in the blob store; HTTP is elsewhere.

mod runner;
mod work;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phasic_engine::graph::Graph;
use phasic_hub_api::jobs::{Forecast, JobProgress, Variant, VariantForecast};
use phasic_hub_api::{GraphHash, GraphIdentity, Sha256};
use tokio::sync::{Notify, watch};

use crate::blobs::{BlobError, Terms, in_memory};
use crate::config;
use crate::hub::DataDirectory;
use crate::models::{ModelError, Recipe, identify};
use crate::store::{Actor, EliminationRow, GraphRow, JobRow, NewJob, Queued, StoreError};
use crate::visibility::{Audience, Viewer};
use crate::workers::{BrokeOff, Workers};

/// What makes results; part of what is said about each.
const ENGINE: &str = concat!("phasic-engine ", env!("CARGO_PKG_VERSION"));

/// The queue, and whoever works on it.
pub struct Jobs {
    data: DataDirectory,
    /// Threads of eliminations.
    eliminations: Workers,
    /// Threads of what must be quick: building graphs, forecasts.
    questions: Workers,
    compute: config::Compute,
    models: config::Models,
    /// This process, as leases name it.
    owner: String,
    running: Mutex<HashMap<i64, Arc<Running>>>,
    /// Rings when there may be something to do.
    wake: Notify,
    /// Counts changes of any job's state, for those who wait.
    changes: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

/// A job that is being worked on by this process.
#[derive(Debug, Default)]
pub(crate) struct Running {
    cancelled: AtomicBool,
    vertices_done: AtomicU64,
    vertices: AtomicU64,
    commands: AtomicU64,
    memory_bytes: u64,
}

/// Why a graph or an elimination was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The model builds no graph.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It is larger than this hub allows.
    #[error("{reason}; the forecast is in this answer")]
    TooLarge {
        /// Which limit, and by how much.
        reason: String,
        /// The forecast.
        forecast: Box<VariantForecast>,
    },
    /// There is no room for more graphs.
    #[error(
        "the graphs submitted to this hub take {bytes} bytes, and may take {limit} (models.max_stored_bytes)"
    )]
    Full {
        /// Bytes taken.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The document cannot be written down.
    #[error("the document cannot be stored: {0}")]
    Recipe(#[from] serde_json::Error),
    /// The computation broke off.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes, so there is no job: {0}")]
    NoRandomness(getrandom::Error),
}

/// A graph that was taken.
#[derive(Debug)]
pub struct Submitted {
    /// What it is.
    pub identity: GraphIdentity,
    /// Whether it was not here before.
    pub is_new: bool,
    /// What eliminating it would take.
    pub forecast: Forecast,
}

/// What became of a request for an elimination.
#[derive(Debug)]
pub enum Outcome {
    /// It is there.
    Made(EliminationRow),
    /// A job will make it; whether the job is a new one.
    Job(JobRow, bool),
}

impl Jobs {
    /// The queue of a data directory. Nothing is worked on until [`run`](Self::run).
    ///
    /// # Errors
    /// [`SubmitError::NoRandomness`].
    pub fn new(
        data: DataDirectory,
        eliminations: Workers,
        questions: Workers,
        compute: config::Compute,
        models: config::Models,
    ) -> Result<Self, SubmitError> {
        Ok(Self {
            data,
            eliminations,
            questions,
            compute,
            models,
            owner: random_name("run_")?,
            running: Mutex::default(),
            wake: Notify::new(),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
        })
    }

    /// Stores a graph for an audience, and says what eliminating it would take. Nothing is eliminated.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_graph(
        &self,
        recipe: Recipe,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<Submitted, SubmitError> {
        let (models, compute) = (self.models.clone(), self.compute.clone());
        let building = recipe.clone();
        let (identity, forecast) = self
            .questions
            .run(move || {
                let graph: Graph = building.build(&models)?;
                let identity = identify(&graph);
                let forecast = work::forecast(&graph, &identity, &compute);
                Ok::<_, ModelError>((identity, forecast))
            })
            .await??;
        let is_new = self.keep(&identity, &recipe, audience, actor).await?;
        Ok(Submitted { identity, is_new, forecast })
    }

    async fn keep(
        &self,
        identity: &GraphIdentity,
        recipe: &Recipe,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<bool, SubmitError> {
        if self.data.store.has_graph(identity.definition, audience).await? {
            return Ok(false);
        }
        let text = recipe.to_json()?;
        let (bytes, limit) = (self.data.store.recipe_bytes().await?, self.models.max_stored_bytes.get());
        if bytes.saturating_add(text.len() as u64) > limit {
            return Err(SubmitError::Full { bytes, limit });
        }
        let terms = Terms { max_bytes: text.len() as u64, sha256: None };
        let recipe = self.data.blobs.put(in_memory(text), terms).await?;
        Ok(self
            .data
            .store
            .put_graph(&GraphRow { identity: identity.clone(), recipe }, audience, actor)
            .await?)
    }

    /// Asks for an elimination of a graph that was submitted: its result, or the one job that will make it. What is not
    /// for everybody is made for its audience alone, unless everybody has it already.
    ///
    /// # Errors
    /// [`SubmitError`]; [`SubmitError::TooLarge`] with the forecast when it is refused.
    pub async fn submit(
        &self,
        graph: &Submitted,
        variant: Variant,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<Outcome, SubmitError> {
        let everybodys = subject(&graph.identity, variant);
        if let Some(made) = self.data.store.elimination(everybodys, variant).await? {
            return Ok(Outcome::Made(made));
        }
        let subject = subject_for(everybodys, audience);
        if let Some(made) = self.data.store.elimination(subject, variant).await? {
            return Ok(Outcome::Made(made));
        }
        let forecast = graph.forecast.of(variant);
        if let Some(reason) = &forecast.refused {
            return Err(SubmitError::TooLarge {
                reason: reason.clone(),
                forecast: Box::new(forecast.clone()),
            });
        }
        let job = NewJob {
            id: random_name("job_")?,
            subject,
            variant,
            definition: graph.identity.definition,
            forecast: serde_json::to_string(forecast)?,
            memory_bytes: forecast.memory_bytes.unwrap_or_default(),
            audience: audience.clone(),
        };
        match self.data.store.queue(&job, actor).await? {
            Queued::Joined(row) => Ok(Outcome::Job(row, false)),
            Queued::New(row) => {
                self.changed();
                self.wake.notify_one();
                Ok(Outcome::Job(row, true))
            }
            Queued::Made => {
                let made = self.data.store.elimination(subject, variant).await?;
                let lost =
                    || StoreError::Row { place: "eliminations".to_owned(), reason: "one is gone".to_owned() };
                Ok(Outcome::Made(made.ok_or_else(lost)?))
            }
        }
    }

    /// Cancels a job, or lets one out of quarantine. `None` when the viewer sees none of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(
        &self,
        id: &str,
        viewer: &Viewer,
        actor: &Actor,
    ) -> Result<Option<(JobRow, bool)>, StoreError> {
        if self.data.store.job(id, viewer).await?.is_none() {
            return Ok(None);
        }
        let found = self.data.store.cancel_job(id, actor).await?;
        if let Some((row, true)) = &found {
            if let Some(running) = self.lock().get(&row.number) {
                running.cancelled.store(true, Ordering::Relaxed);
            }
            self.changed();
        }
        Ok(found)
    }

    /// What a job that this process works on has done so far.
    pub fn progress(&self, number: i64) -> Option<JobProgress> {
        let running = self.lock().get(&number).cloned()?;
        Some(JobProgress {
            vertices_done: running.vertices_done.load(Ordering::Relaxed),
            vertices: running.vertices.load(Ordering::Relaxed),
            commands: running.commands.load(Ordering::Relaxed),
        })
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

/// What decides the result of an elimination: for phasic's own program the order of edges, for the others all numbers.
fn subject(identity: &GraphIdentity, variant: Variant) -> Sha256 {
    let GraphIdentity { graph_hash, edge_order_digest, definition, .. } = identity;
    match variant {
        Variant::Phasic => {
            let mut both = GraphHash::as_bytes(graph_hash).to_vec();
            both.extend(edge_order_digest.as_bytes());
            Sha256::of(&both)
        }
        Variant::Fast | Variant::Plan => *definition,
    }
}

/// The subject of what is for some only: with an audience in its name it meets no request of another one.
fn subject_for(subject: Sha256, audience: &Audience) -> Sha256 {
    if audience.is_everybody() {
        return subject;
    }
    let mut both = subject.as_bytes().to_vec();
    both.extend(audience.text().as_bytes());
    Sha256::of(&both)
}

fn random_name(prefix: &str) -> Result<String, SubmitError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(SubmitError::NoRandomness)?;
    Ok(random.iter().fold(prefix.to_owned(), |name, byte| format!("{name}{byte:02x}")))
}
