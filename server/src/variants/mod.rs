//! Which program of a compute is served, and entries for what was computed on demand.
//!
//! For one graph there may be phasic's own program, ours in phasic's commands, and our plan. What is served is decided
//! here, by [`choice`], whenever something changes that it depends on; the registry only looks it up. Programs that are
//! wanted and not there yet are asked for as jobs. Only what was submitted for everybody counts here: nothing private
//! changes what others see, so of a private compute another program is served only where everybody's is there already.

mod choice;
mod computed;
mod hindrance;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{ComputeId, EdgeOrderDigest, GraphHash, GraphIdentity, Sha256};
use tokio::sync::Mutex;

pub use computed::COMPUTED_PREFIX;
pub use hindrance::hindrance;

use self::choice::{Choice, Facts, choose};
use crate::blobs::{BlobError, read_whole};
use crate::config;
use crate::hub::{DataDirectory, Hub};
use crate::jobs::{Ask, Jobs, SubmitError, Submitted};
use crate::models::{Recipe, identify, reference_recipe};
use crate::reference::known_graph;
use crate::store::{Actor, ComputeRow, EliminationRow, GraphRow, Origin, Role, ServedVariant, StoreError};
use crate::visibility::{Audience, PrivateIds};

/// How long to let changes gather before looking.
const GATHER: Duration = Duration::from_millis(100);

/// How long to wait before what failed, or what the queue had no room for, is looked at again.
const LATER: Duration = Duration::from_secs(5);

/// Decides what is served.
pub struct Variants {
    data: DataDirectory,
    jobs: Arc<Jobs>,
    settings: config::Registry,
    /// Programs that were asked for by this process: a job that failed is not asked for again and again.
    asked: Mutex<HashSet<(Sha256, &'static str)>>,
    /// Whether nothing more could be asked for in this pass.
    is_full: AtomicBool,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VariantsError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A job could not be asked for.
    #[error(transparent)]
    Jobs(#[from] SubmitError),
    /// A recipe is not readable.
    #[error("the recipe of a graph cannot be read: {0}")]
    Recipe(#[from] serde_json::Error),
}

/// All that decisions are made from, as it is at one moment.
struct State {
    /// Computes there may be something to decide about, without their entries: those of whose graph something is known, or
    /// that are served otherwise today, or were computed on demand.
    computes: Vec<ComputeRow>,
    /// The hashes of `graphs` that computes with a name have, private ones apart: nobody is to learn of those from what is
    /// not listed.
    published: HashSet<GraphHash>,
    graphs: HashMap<GraphHash, Vec<GraphRow>>,
    eliminations: HashMap<Sha256, Vec<EliminationRow>>,
    verified: HashMap<(GraphHash, Sha256), (String, Option<EdgeOrderDigest>)>,
    wanted: HashMap<String, Variant>,
    served: Vec<ServedVariant>,
    private_ids: PrivateIds,
}

impl State {
    async fn load(data: &DataDirectory) -> Result<Self, StoreError> {
        let mut snapshot = data.store.snapshot().await?;
        let mut graphs: HashMap<GraphHash, Vec<GraphRow>> = HashMap::new();
        for row in snapshot.all_graphs().await? {
            graphs.entry(row.identity.graph_hash).or_default().push(row);
        }
        let mut eliminations: HashMap<Sha256, Vec<EliminationRow>> = HashMap::new();
        for row in snapshot.all_eliminations().await? {
            eliminations.entry(row.definition).or_default().push(row);
        }
        let served = snapshot.served_variants().await?;
        let mut state = Self {
            computes: Vec::new(),
            published: HashSet::new(),
            graphs,
            eliminations,
            verified: snapshot.verified_files().await?,
            wanted: snapshot.wanted_variants().await?,
            served,
            private_ids: snapshot.private_ids().await?,
        };
        let sizes = snapshot.sizes().await?;
        let mut computes = pin!(snapshot.computes());
        while let Some(packed) = computes.try_next().await? {
            state.add(packed.unpack(&sizes)?);
        }
        Ok(state)
    }

    /// Keeps of a compute what decisions need.
    fn add(&mut self, mut compute: ComputeRow) {
        let is_computed = compute.origin == Origin::Computed;
        let mut files = compute.artifacts.iter();
        // What another hub has listed by itself has no name people know, either.
        let has_name = !compute.id.as_str().starts_with(COMPUTED_PREFIX);
        if has_name && !self.private_ids.contains(&compute.id) {
            let known = files.clone().map(|file| file.graph_hash);
            self.published.extend(known.filter(|hash| self.graphs.contains_key(hash)));
        }
        let is_verified =
            files.any(|file| self.verified.contains_key(&(file.graph_hash, file.served.sha256)));
        if is_computed || is_verified || self.served.iter().any(|one| one.id == compute.id) {
            compute.entry = String::new();
            self.computes.push(compute);
        }
    }

    /// The result of a job for a definition.
    fn made(&self, definition: Sha256, variant: Variant) -> Option<&EliminationRow> {
        self.eliminations.get(&definition)?.iter().find(|row| row.variant == variant)
    }

    /// A program of a graph, phasic's or ours in its commands. Both read weights from the graph they run on: which program
    /// it is depends on content hash and order of edges alone, so another definition may have had it made.
    fn program_of(&self, graph: &GraphIdentity, variant: Variant) -> Option<&EliminationRow> {
        self.made(graph.definition, variant).or_else(|| {
            let same = self.graphs.get(&graph.graph_hash)?.iter().map(|row| &row.identity);
            let mut same = same.filter(|other| other.edge_order_digest == graph.edge_order_digest);
            same.find_map(|other| self.made(other.definition, variant))
        })
    }

    /// The graph a file is for: the first definition that fits what was found of the file, ours before others. Definitions
    /// with the same order of edges differ in weights no parameter changes, and have the same programs and the same
    /// parallel edges.
    fn graph_of(&self, hash: GraphHash, file: Sha256) -> Option<GraphIdentity> {
        let order = self.verified.get(&(hash, file))?.1?;
        let built_in = known_graph(hash).map(identify);
        let submitted = self.graphs.get(&hash).into_iter().flatten().map(|row| row.identity.clone());
        built_in.into_iter().chain(submitted).find(|graph| graph.edge_order_digest == order)
    }
}

impl Variants {
    /// Decisions for a data directory. Nothing is decided until [`run`](Self::run).
    pub fn new(data: DataDirectory, jobs: Arc<Jobs>, settings: config::Registry) -> Self {
        Self { data, jobs, settings, asked: Mutex::default(), is_full: AtomicBool::new(false) }
    }

    /// Decides now, and whenever a job has ended or the registry has changed. Never ends.
    pub async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let (mut jobs, mut renderings) = (self.jobs.changes(), hub.renderings());
        let mut last = None;
        loop {
            jobs.mark_unchanged();
            renderings.mark_unchanged();
            match self.pass(last.as_ref()).await {
                Ok(version) => last = Some(version).filter(|_| !self.is_full.load(Ordering::Relaxed)),
                Err(error) => {
                    last = None;
                    tracing::error!(%error, "could not decide which programs are served");
                }
            }
            // Errors would say that they are gone, which we hold ourselves.
            tokio::select! {
                _ = jobs.changed() => {}
                _ = renderings.changed() => {}
                () = tokio::time::sleep(LATER), if last.is_none() => {}
            }
            tokio::time::sleep(if last.is_none() { LATER } else { GATHER }).await;
        }
    }

    /// Decides, unless nothing has changed since `last`. Gives what the decisions were made from.
    async fn pass(&self, last: Option<&Version>) -> Result<Version, VariantsError> {
        let version = self.data.store.variants_version().await?;
        if last == Some(&version) {
            return Ok(version);
        }
        let state = State::load(&self.data).await?;
        self.choose_all(&state).await?;
        self.list_computed(&state).await?;
        Ok(version)
    }

    async fn choose_all(&self, state: &State) -> Result<(), VariantsError> {
        let (mut serve, mut back) = (Vec::new(), Vec::new());
        self.is_full.store(false, Ordering::Relaxed);
        let mut now: HashMap<&ComputeId, &ServedVariant> =
            state.served.iter().map(|one| (&one.id, one)).collect();
        for compute in state.computes.iter().filter(|compute| compute.origin != Origin::Computed) {
            let before = now.remove(&compute.id);
            match (before, self.chosen(state, compute, before).await) {
                (Some(one), None) => back.push(one.id.clone()),
                (Some(one), Some(other)) if *one == other => {}
                (_, Some(other)) => serve.push(other),
                (None, None) => {}
            }
        }
        if !serve.is_empty() || !back.is_empty() {
            self.data.store.serve_variants(&serve, &back).await?;
        }
        Ok(())
    }

    /// What is to be served of a compute in place of what was published, if anything. What is served so now stays where
    /// nothing better can be had yet, or ever.
    async fn chosen(
        &self,
        state: &State,
        compute: &ComputeRow,
        before: Option<&ServedVariant>,
    ) -> Option<ServedVariant> {
        let parent = compute.artifacts.iter().find(|file| file.role == Role::Parent)?;
        let hash = parent.graph_hash;
        let graph = state.graph_of(hash, parent.served.sha256)?;
        let verdict = state.verified.get(&(hash, parent.served.sha256)).map(|(word, _)| word.as_str());
        let facts = Facts {
            explicit: state.wanted.get(compute.id.as_str()).copied(),
            usual: self.settings.variant.variant(),
            parallel_edges: graph.parallel_edges,
            published: if verdict == Some("equivalent") { Variant::Fast } else { Variant::Phasic },
        };
        let Choice::Other(variant, reason) = choose(facts) else { return None };
        let Some(made) = state.program_of(&graph, variant) else {
            // Everybody sees the job and what it makes, and would learn of the compute that wants it.
            if !state.private_ids.contains(&compute.id) {
                self.ask(state, &graph, variant).await;
            }
            let fits = |one: &&ServedVariant| {
                (one.graph_hash, one.edge_order_digest, one.variant)
                    == (hash, graph.edge_order_digest, variant)
            };
            return before.filter(fits).cloned();
        };
        Some(ServedVariant {
            id: compute.id.clone(),
            graph_hash: hash,
            edge_order_digest: graph.edge_order_digest,
            variant,
            blob: made.blob,
            reason,
        })
    }

    /// Has a program made, once in the life of this process. What cannot be asked for now, as when the queue is full, is
    /// asked for later, and keeps nothing else from being decided.
    async fn ask(&self, state: &State, graph: &GraphIdentity, variant: Variant) {
        let key = (graph.definition, variant.as_str());
        if self.is_full.load(Ordering::Relaxed) || self.asked.lock().await.contains(&key) {
            return;
        }
        let hash = graph.graph_hash;
        match self.submit(state, graph, variant).await {
            Ok(()) => {}
            Err(VariantsError::Jobs(error @ (SubmitError::TooLarge { .. } | SubmitError::Model(_)))) => {
                tracing::warn!(%hash, variant = variant.as_str(), %error, "a program that is to be served cannot be made");
            }
            Err(error) => {
                tracing::warn!(%hash, variant = variant.as_str(), %error, "a program that is to be served is asked for later");
                self.is_full.store(true, Ordering::Relaxed);
                return;
            }
        }
        self.asked.lock().await.insert(key);
    }

    async fn submit(
        &self,
        state: &State,
        graph: &GraphIdentity,
        variant: Variant,
    ) -> Result<(), VariantsError> {
        let Some(submitted) = self.submitted(state, graph).await? else { return Ok(()) };
        let everybody = Audience::Everybody;
        self.jobs.submit(&submitted, variant, &everybody, Ask::of_the_hub(), &Actor::Hub).await?;
        Ok(())
    }

    /// A graph with its forecast; `None` when its recipe is lost.
    async fn submitted(
        &self,
        state: &State,
        graph: &GraphIdentity,
    ) -> Result<Option<Submitted>, VariantsError> {
        let Some(recipe) = self.recipe(state, graph).await? else { return Ok(None) };
        Ok(Some(self.jobs.submit_graph(recipe, &Audience::Everybody, "hub", &Actor::Hub).await?))
    }

    async fn recipe(&self, state: &State, graph: &GraphIdentity) -> Result<Option<Recipe>, VariantsError> {
        let rows = state.graphs.get(&graph.graph_hash).into_iter().flatten();
        let Some(row) = rows.into_iter().find(|row| row.identity.definition == graph.definition) else {
            return Ok(reference_recipe(graph.graph_hash));
        };
        match read_whole(&*self.data.blobs, row.recipe).await {
            Ok(text) => Ok(Some(Recipe::from_json(&String::from_utf8_lossy(&text))?)),
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What decisions were made from.
type Version = (i64, i64, Option<String>);
