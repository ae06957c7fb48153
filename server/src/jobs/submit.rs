//! Taking graphs and requests for eliminations: forecast, refused or queued.

use std::ops::ControlFlow;
use std::sync::Arc;

use phasic_engine::trace::Progress;
use phasic_hub_api::jobs::{Forecast, Priority, Variant, VariantForecast};
use phasic_hub_api::{GraphIdentity, Sha256};

use super::{Jobs, random_name, work};
use crate::blobs::{BlobError, Terms, in_memory};
use crate::cache::Weighed;
use crate::config;
use crate::models::{ModelError, Recipe, identify_watched};
use crate::preparing::{Room, Tried, Turn};
use crate::store::{
    self, Actor, EliminationRow, GraphRow, JobRow, NewJob, QueueLimits, Queued, StoreError, subject_for,
};
use crate::visibility::{Audience, Viewer};
use crate::workers::{BrokeOff, Wanted};

/// A graph that was built once, and what eliminating it would take.
#[derive(Debug)]
pub(super) struct Known {
    identity: GraphIdentity,
    forecast: Forecast,
}

impl Weighed for Known {
    fn size_bytes(&self) -> u64 {
        // Their texts are sentences; what is around them is counted, too.
        2048
    }
}

/// Memory for graphs that were asked for lately: some two thousand of them.
pub(super) const KNOWN_BYTES: u64 = 4 << 20;

/// Who asks for an elimination, and how.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Jobs take turns by this.
    pub asker: String,
    /// Its place before or behind those of others; whether that may be asked for is decided before.
    pub priority: Priority,
    /// How long it may run, if not as long as the hub allows.
    pub timeout_ms: Option<u64>,
}

impl Ask {
    /// What the hub asks of itself: when nobody else wants anything.
    pub fn of_the_hub() -> Self {
        Self { asker: "hub".to_owned(), priority: Priority::Low, timeout_ms: None }
    }
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

/// Why a model could not be forecast.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotKnown {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
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
        "the graphs submitted to this hub would take more than the {limit} bytes they may (models.max_stored_bytes); \
         phasic-hub gc --remove lets go of those nobody has used for upkeep.keep_submitted_days"
    )]
    Full {
        /// Bytes allowed.
        limit: u64,
    },
    /// Too many jobs wait.
    #[error(
        "{limit} jobs are waiting, which is as many as may (compute.max_queued); ask again when some have ended"
    )]
    QueueFull {
        /// How many may.
        limit: u64,
    },
    /// Too many jobs of this client wait.
    #[error(
        "{limit} jobs of yours are waiting, which is as many as may (compute.max_queued_per_client); ask again when some \
         have ended, or cancel some"
    )]
    TooManyJobs {
        /// How many may.
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

impl Jobs {
    /// Stores a graph for an audience, and says what eliminating it would take. Nothing is eliminated. `payer` has one graph
    /// built at a time.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_graph(
        &self,
        recipe: Recipe,
        audience: &Audience,
        payer: &str,
        actor: &Actor,
    ) -> Result<Submitted, SubmitError> {
        let known = self.known(&recipe, audience, payer).await?;
        let Known { identity, forecast } = &*known;
        let is_new = self.keep(identity, &recipe, audience, actor).await?;
        self.mend(identity.definition, &recipe, audience, actor).await?;
        Ok(Submitted { identity: identity.clone(), is_new, forecast: forecast.clone() })
    }

    /// Builds a graph and forecasts its eliminations: once, however many of an audience ask for it at a time.
    async fn known(
        &self,
        recipe: &Recipe,
        audience: &Audience,
        payer: &str,
    ) -> Result<Arc<Known>, SubmitError> {
        let make = |turn: Turn| async move {
            let (models, compute) = (self.models.clone(), self.compute.clone());
            let building = Arc::new(recipe.clone());
            let work = move |wanted: &Wanted, room: Room| know(&building, &models, &compute, room, wanted);
            self.preparing.run(turn, work).await?
        };
        let key = subject_for(recipe.key(), audience);
        let known = self.known.get_after(key, self.preparing.turn(payer), make).await;
        known.map_err(|error| match error {
            NotKnown::Model(error) => error.into(),
            NotKnown::BrokeOff(error) => error.into(),
        })
    }

    async fn keep(
        &self,
        identity: &GraphIdentity,
        recipe: &Recipe,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<bool, SubmitError> {
        let store = &self.data.store;
        // Used from now on, so that it does not go before what is asked of it; it may have gone just now.
        if store.has_graph(identity.definition, audience).await?
            && store.use_graph(identity.definition).await?
        {
            return Ok(false);
        }
        let text = recipe.to_json()?;
        let (bytes, limit) = (self.data.store.recipe_bytes().await?, self.models.max_stored_bytes.get());
        if bytes.saturating_add(text.len() as u64) > limit {
            // How much is taken is not for everybody: it grows with what others submit in private.
            return Err(SubmitError::Full { limit });
        }
        let terms = Terms { max_bytes: text.len() as u64, sha256: None };
        let recipe = self.data.blobs.put(in_memory(text), terms).await?;
        let row = GraphRow { identity: identity.clone(), recipe };
        Ok(self.data.store.put_graph(&row, audience, actor).await?)
    }

    /// Puts the text that was just sent in the place of a recipe that is lost or damaged. It builds the same graph; but
    /// what somebody has sent in confidence is not what everybody builds from, unless it is the same text.
    async fn mend(
        &self,
        definition: Sha256,
        recipe: &Recipe,
        audience: &Audience,
        actor: &Actor,
    ) -> Result<(), SubmitError> {
        let Some(graph) = self.data.store.graph(definition, &Viewer::All).await? else { return Ok(()) };
        match self.data.blobs.open(graph.recipe.sha256, None).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::warn!(%definition, %error, "the recipe of a graph is gone, and sent again");
            }
        }
        let text = recipe.to_json()?;
        let is_same = Sha256::of(text.as_bytes()) == graph.recipe.sha256;
        let is_everybodys = self.data.store.graph(definition, &Viewer::Public).await?.is_some();
        if is_same || audience.is_everybody() || !is_everybodys {
            let terms = Terms { max_bytes: text.len() as u64, sha256: None };
            let blob = self.data.blobs.put(in_memory(text), terms).await?;
            self.data.store.replace_recipe(definition, blob, actor).await?;
        }
        Ok(())
    }

    /// An elimination that is there, with its file as far as a cheap look tells; and the file of one that has lost it.
    async fn made(&self, subject: Sha256, variant: Variant) -> Result<Made, SubmitError> {
        let Some(row) = self.data.store.elimination(subject, variant).await? else { return Ok(Made::Never) };
        let size_bytes = self.data.blobs.size_bytes(row.blob.sha256).await?;
        let is_there = size_bytes == Some(row.blob.size_bytes);
        // Used from now on; it may have gone just now.
        if is_there && !self.data.store.use_elimination(subject, variant).await? {
            return Ok(Made::Never);
        }
        Ok(if is_there { Made::There(row) } else { Made::Lost(row.blob.sha256) })
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
        ask: Ask,
        actor: &Actor,
    ) -> Result<Outcome, SubmitError> {
        let everybodys = store::subject(&graph.identity, variant);
        if let Made::There(row) = self.made(everybodys, variant).await? {
            return Ok(Outcome::Made(row));
        }
        let subject = subject_for(everybodys, audience);
        let lost = match self.made(subject, variant).await? {
            Made::There(row) => return Ok(Outcome::Made(row)),
            Made::Lost(file) => Some(file),
            Made::Never => None,
        };
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
            asker: ask.asker,
            priority: ask.priority,
            timeout_ms: ask.timeout_ms,
            lost,
        };
        let (total, of_one) = (self.compute.max_queued.get(), self.compute.max_queued_per_client.get());
        match self.data.store.queue(&job, QueueLimits { total, of_one }, actor).await? {
            Queued::Full => Err(SubmitError::QueueFull { limit: total }),
            Queued::FullForOne => Err(SubmitError::TooManyJobs { limit: of_one }),
            Queued::Joined(row) => {
                // It may have another place now, or longer to run.
                self.extend(&row);
                self.changed();
                Ok(Outcome::Job(row, false))
            }
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
}

/// Builds a graph and forecasts its eliminations.
pub(super) fn know(
    recipe: &Recipe,
    models: &config::Models,
    compute: &config::Compute,
    room: Room,
    wanted: &Wanted,
) -> Tried<Result<Known, NotKnown>> {
    let most = models.max_memory_bytes.get();
    let graph = match recipe.build_watched(&models.within_memory(room.of(most)), &mut || wanted.go_on()) {
        Ok(graph) => graph,
        Err(error) => {
            let lacks_memory = error.lacks_memory();
            return room.tried(most, Err(error.into()), lacks_memory);
        }
    };
    let ControlFlow::Continue(identity) = identify_watched(&graph, &mut || wanted.go_on()) else {
        // Nobody hears of it.
        return Tried::Done(Err(BrokeOff.into()));
    };
    let most = compute.max_memory_bytes.get();
    let watch = &mut |_: Progress| wanted.go_on();
    let forecast = work::forecast(&graph, &identity, compute, room.of(most), watch);
    // What was not counted to its end has no number.
    let counted = Variant::ALL.into_iter().all(|variant| forecast.of(variant).memory_bytes.is_some());
    room.tried(most, Ok(Known { identity, forecast }), !counted)
}

/// What is known of an elimination before anything is queued.
enum Made {
    There(EliminationRow),
    /// It was made, and this file of it is gone.
    Lost(Sha256),
    Never,
}
