//! Evaluating models for requests: plans in a bounded cache, questions checked before they are asked, numbers from the
//! workers' threads.
//!
//! HTTP and JSON text of whole answers are the handler's business; the mathematics is the engine's.

mod answer;
mod check;
mod epochs;
mod joint;
mod no_number;
mod question;
mod samples;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use phasic_engine::plan::{AnalysisError, Limits, Plan};
use phasic_engine::trace::Progress;
use phasic_hub_api::{EvaluateResult, GraphIdentity};

use crate::cache::{Cache, Weighed};
use crate::config;
use crate::metrics;
use crate::models::{ModelError, Recipe, identify};
use crate::workers::{BrokeOff, Wanted, Workers};

pub use question::{Effort, Question, QuestionError};

/// Work done between two looks at whether anybody still waits, in multiply-adds: about a tenth of a second.
const CHUNK_WORK: u64 = 1 << 27;

/// θ, and bytes of answer, of one chunk at most.
const CHUNK_COUNT: u64 = 1024;
const CHUNK_BYTES: u64 = 1 << 20;

/// A model ready to be asked.
#[derive(Debug)]
pub struct Prepared {
    /// The graph it was made of.
    pub identity: GraphIdentity,
    /// Its plan.
    pub plan: Plan,
}

impl Weighed for Prepared {
    fn size_bytes(&self) -> u64 {
        // The plan shares the states of its graph, 4 bytes for each integer.
        let states = 4 * self.identity.vertices * self.identity.state_length;
        self.plan.cost().plan_bytes + states + size_of::<Self>() as u64
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
    /// The computation broke off.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
}

/// Prepares models and asks them.
#[derive(Debug)]
pub struct Evaluator {
    cache: Cache<Prepared, PrepareError>,
    workers: Workers,
    models: config::Models,
    /// Limits of one request.
    pub limits: config::Evaluate,
}

impl Evaluator {
    /// An evaluator whose work runs on these threads.
    pub fn new(workers: Workers, models: config::Models, limits: config::Evaluate) -> Self {
        Self { cache: Cache::new(limits.cache_bytes.get()), workers, models, limits }
    }

    /// The plan of a model: from the cache, or made now. Once, however many ask at a time.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub async fn prepare(&self, recipe: Recipe) -> Result<Arc<Prepared>, PrepareError> {
        let key = recipe.key();
        let (models, limits) = (self.models.clone(), self.plan_limits());
        let mut was_kept = true;
        let make = async {
            was_kept = false;
            let work = move |wanted: &Wanted| prepare(&recipe, &models, &limits, wanted);
            self.workers.run_while_wanted(work).await?
        };
        let found = self.cache.get(key, make).await;
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
        let work = move |wanted: &Wanted| shape(answer::answer(&prepared.plan, &question, range, wanted));
        self.workers.run_while_wanted(work).await
    }
}

fn prepare(
    recipe: &Recipe,
    models: &config::Models,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Prepared, PrepareError> {
    let graph = recipe.build_watched(models, &mut || wanted.go_on())?;
    let plan = Plan::analyze_watched(&graph, limits, &mut |_: Progress| wanted.go_on())?;
    Ok(Prepared { identity: identify(&graph), plan })
}

impl Question {
    /// The ranges of θ to ask one after the other, so that work, memory and waiting stay bounded.
    pub fn chunks(&self) -> impl Iterator<Item = Range<usize>> + Send + use<> {
        let Effort { multiply_adds, answer_bytes } = self.effort;
        // Sweeps through time are not foreseen: a few θ at a time then.
        let sweeps = if self.sweeps_through_time() { 64 } else { CHUNK_COUNT };
        let most =
            (CHUNK_WORK / multiply_adds.max(1)).min(CHUNK_BYTES / answer_bytes.max(1)).clamp(1, sweeps);
        let (count, most) = (self.count(), usize::try_from(most).unwrap_or(1));
        (0..count).step_by(most).map(move |first| first..count.min(first + most))
    }
}
