//! Evaluating models for requests: plans in a bounded cache, questions checked before they are asked, numbers from the
//! workers' threads.
//!
//! HTTP and JSON text of whole answers are the handler's business; the mathematics is the engine's.

mod answer;
mod effort;
mod purse;
mod question;
#[cfg(test)]
mod tests;
mod wire;

use std::ops::Range;
use std::sync::Arc;

use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::plan::{AnalysisError, Limits, Plan};
use phasic_engine::question::{Eliminations, Model};
use phasic_engine::trace::{Command, EliminationError, Progress, Trace, eliminate};
use phasic_hub_api::{EvaluateResult, GraphIdentity, Sha256};

use crate::cache::{Cache, Weighed};
use crate::config;
use crate::metrics;
use crate::models::{ModelError, Recipe, building_bytes, identify_watched};
use crate::preparing::{Preparing, Room, Turn};
use crate::workers::{BrokeOff, Wanted, Workers};

pub use effort::Effort;
pub use question::{Question, QuestionError};

/// Work done between two looks at whether anybody still waits, in multiply-adds: about a tenth of a second.
const CHUNK_WORK: u64 = 1 << 27;

/// θ, and bytes of answer, of one chunk at most.
const CHUNK_COUNT: u64 = 1024;
const CHUNK_BYTES: u64 = 1 << 20;

/// A model ready to be asked.
#[derive(Debug)]
pub struct Prepared {
    key: Sha256,
    /// The graph it was made of.
    pub identity: GraphIdentity,
    graph: Arc<Graph>,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// phasic's elimination of it, where that is asked for.
    program: Option<Arc<Trace>>,
}

impl Weighed for Prepared {
    fn size_bytes(&self) -> u64 {
        // Its arrays no longer grow. The plan shares the states of its graph.
        let graph = building_bytes(&self.identity) / 2;
        let commands = self.program.as_ref().map_or(0, |program| program.commands().len());
        let program = (commands * size_of::<Command>()) as u64;
        self.plan.cost().plan_bytes + graph + program + size_of::<Self>() as u64
    }
}

/// Why a model could not be made ready.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// It builds no graph.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its graph has no plan within the limits.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// Its program, phasic's elimination, passes a limit.
    #[error(transparent)]
    Elimination(#[from] EliminationError),
    /// The computation broke off.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
}

impl PrepareError {
    /// Whether more memory might have helped.
    fn lacks_memory(&self) -> bool {
        match self {
            Self::Model(error) => error.lacks_memory(),
            Self::Analysis(error) => matches!(error, AnalysisError::Memory { .. }),
            Self::Elimination(error) => matches!(error, EliminationError::Memory { .. }),
            Self::BrokeOff(_) => false,
        }
    }
}

/// Prepares models and asks them.
#[derive(Debug)]
pub struct Evaluator {
    cache: Cache<Prepared, PrepareError>,
    preparing: Preparing,
    workers: Workers,
    models: config::Models,
    /// Limits of one request.
    pub limits: config::Evaluate,
}

impl Evaluator {
    /// An evaluator whose models are made ready in one place, and asked on these threads.
    pub fn new(
        preparing: Preparing,
        workers: Workers,
        models: config::Models,
        limits: config::Evaluate,
    ) -> Self {
        Self { cache: Cache::new(limits.cache_bytes.get()), preparing, workers, models, limits }
    }

    /// The plan of a model: from the cache, or made now. Once, however many ask at a time; `payer` has one made at a time.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub async fn prepare(&self, recipe: Recipe, payer: &str) -> Result<Arc<Prepared>, PrepareError> {
        let key = recipe.key();
        let (recipe, models, limits) = (Arc::new(recipe), self.models.clone(), self.plan_limits());
        let mut was_kept = true;
        let was_made = &mut was_kept;
        let make = |turn: Turn| async move {
            *was_made = false;
            let work = move |wanted: &Wanted, room: Room| {
                let most = models.max_memory_bytes.get();
                let (models, limits) = (models.within_memory(room.of(most)), within(&limits, room));
                let found = prepare(key, &recipe, &models, &limits, wanted);
                let lacks_memory = found.as_ref().is_err_and(PrepareError::lacks_memory);
                room.tried(most, found, lacks_memory)
            };
            self.preparing.run(turn, work).await?
        };
        let found = self.cache.get_after(key, self.preparing.turn(payer), make).await;
        metrics::plan_asked(was_kept);
        found
    }

    /// Bytes of the plans that are kept.
    pub fn cache_bytes(&self) -> u64 {
        self.cache.size_bytes()
    }

    fn plan_limits(&self) -> Limits {
        Limits::default()
            .with_memory_bytes(self.models.max_memory_bytes.get())
            .with_multiply_adds(self.limits.max_multiply_adds.get())
    }

    /// The model with all that a question needs of it: with a program, if it is about phasic's totals.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub async fn complete(
        &self,
        prepared: Arc<Prepared>,
        question: &Question,
        payer: &str,
    ) -> Result<Arc<Prepared>, PrepareError> {
        if !question.needs_program() {
            return Ok(prepared);
        }
        let key = Sha256::of(format!("program of {}", prepared.key).as_bytes());
        let most_commands = question.most_commands();
        let limits = self.plan_limits().with_commands(Limits::default().commands.min(most_commands));
        let make = |turn: Turn| async move {
            let work = move |wanted: &Wanted, room: Room| {
                let found = with_program(key, &prepared, &within(&limits, room), wanted);
                let lacks_memory = found.as_ref().is_err_and(PrepareError::lacks_memory);
                room.tried(limits.memory_bytes, found, lacks_memory)
            };
            self.preparing.run(turn, work).await?
        };
        let found = self.cache.get_after(key, self.preparing.turn(payer), make).await?;
        // It may have been made for somebody with fewer θ.
        let commands = found.program.as_ref().map_or(0, |program| program.commands().len()) as u64;
        if commands > most_commands {
            let (vertices, limit) = (found.identity.vertices, most_commands);
            return Err(EliminationError::Commands { limit, vertices_done: vertices, vertices }.into());
        }
        Ok(found)
    }

    /// The results at a range of a question's θ, in order, made into something else on the same thread.
    ///
    /// # Errors
    /// [`BrokeOff`] when it panicked.
    pub async fn answer<T: Send + 'static>(
        &self,
        prepared: Arc<Prepared>,
        question: Arc<Question>,
        range: Range<usize>,
        shape: impl FnOnce(Vec<EvaluateResult>) -> T + Send + 'static,
    ) -> Result<T, BrokeOff> {
        let (models, limits) = (self.models.clone(), self.plan_limits());
        let work = move |wanted: &Wanted| {
            let bounded = Bounded { models, limits: question.limits_of_one(limits), wanted };
            let mut model =
                Model::new(Arc::clone(&prepared.graph), &bounded).with_plan(Arc::clone(&prepared.plan));
            if let Some(program) = &prepared.program {
                model = model.with_trace(Arc::clone(program));
            }
            shape(answer::answer(&model, &prepared.plan, &question, range, wanted))
        };
        self.workers.run_while_wanted(work).await
    }
}

/// Eliminations on the way to an answer: within the limits of a request, for as long as somebody waits.
struct Bounded<'w> {
    models: config::Models,
    limits: Limits,
    wanted: &'w Wanted,
}

impl Eliminations for Bounded<'_> {
    fn graph_limits(&self) -> GraphLimits {
        self.models.graph_limits()
    }

    fn analyze(&self, graph: &Graph) -> Result<Plan, AnalysisError> {
        Plan::analyze_watched(graph, &self.limits, &mut |_: Progress| self.wanted.go_on())
    }

    fn eliminate(&self, graph: &Graph) -> Result<Trace, EliminationError> {
        eliminate(graph, &self.limits, &mut |_: Progress| self.wanted.go_on())
    }
}

/// The same limits, with the memory there is room for.
fn within(limits: &Limits, room: Room) -> Limits {
    limits.with_memory_bytes(room.of(limits.memory_bytes))
}

fn prepare(
    key: Sha256,
    recipe: &Recipe,
    models: &config::Models,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Prepared, PrepareError> {
    let graph = recipe.build_watched(models, &mut || wanted.go_on())?;
    // Who does not wait does not hear of it, either.
    let identity = identify_watched(&graph, &mut || wanted.go_on()).continue_value().ok_or(BrokeOff)?;
    let plan = Plan::analyze_watched(&graph, limits, &mut |_: Progress| wanted.go_on())?;
    Ok(Prepared { key, identity, graph: Arc::new(graph), plan: Arc::new(plan), program: None })
}

fn with_program(
    key: Sha256,
    prepared: &Prepared,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Prepared, PrepareError> {
    let program = eliminate(&prepared.graph, limits, &mut |_: Progress| wanted.go_on())?;
    Ok(Prepared {
        key,
        identity: prepared.identity.clone(),
        graph: Arc::clone(&prepared.graph),
        plan: Arc::clone(&prepared.plan),
        program: Some(Arc::new(program)),
    })
}

impl Question {
    /// What the eliminations of one θ may take of what all may take.
    fn limits_of_one(&self, limits: Limits) -> Limits {
        let share = self.most_multiply_adds / self.count().max(1) as u64;
        limits.with_multiply_adds(limits.multiply_adds.min(share)).with_commands(limits.commands.min(share))
    }

    /// Memory that the answer takes at a time: its text, as far as it is kept, and the numbers of the θ that are being
    /// answered, once as the engine finds them and once as they are shaped. A list of one number takes 56 bytes, a little
    /// more than twice the longest text of a number.
    pub fn answer_memory_bytes(&self, streamed: bool) -> u64 {
        let of = |count: usize| self.effort.answer_bytes.saturating_mul(count as u64);
        let together = of(self.together());
        let text = if streamed { together } else { of(self.count()) };
        text.saturating_add(together.saturating_mul(5))
    }

    /// The most that can be.
    pub fn largest_answer_memory_bytes(limits: &config::Evaluate) -> u64 {
        limits.max_answer_bytes.get().max(CHUNK_BYTES).saturating_mul(6)
    }

    /// The ranges of θ to ask one after the other, so that work, memory and waiting stay bounded.
    pub fn chunks(&self) -> impl Iterator<Item = Range<usize>> + Send + use<> {
        let (count, most) = (self.count(), self.together());
        (0..count).step_by(most).map(move |first| first..count.min(first + most))
    }

    /// How many θ are answered together.
    fn together(&self) -> usize {
        let Effort { multiply_adds, answer_bytes, sweeps, .. } = self.effort;
        // Sweeps through time are not foreseen: a few θ at a time then.
        let together = if sweeps > 0 || self.needs_program() { 64 } else { CHUNK_COUNT };
        let most =
            (CHUNK_WORK / multiply_adds.max(1)).min(CHUNK_BYTES / answer_bytes.max(1)).clamp(1, together);
        usize::try_from(most).unwrap_or(1)
    }
}
