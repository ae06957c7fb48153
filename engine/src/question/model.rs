//! What is asked: a graph, and the eliminations of it that questions turn out to need.

use std::sync::{Arc, OnceLock};

use super::{Function, NoAnswer, Question, Source, Treatment};
use crate::distribution::{
    RewardOptions, check_law_of_rewards, reward_transform, reward_transform_discrete,
    reward_transform_parameterized,
};
use crate::graph::{Graph, GraphLimits};
use crate::plan::{AnalysisError, Plan};
use crate::trace::{EliminationError, Trace};

/// How a model comes by its eliminations: within which limits, and who watches them.
pub trait Eliminations: Sync {
    /// What a graph that is made on the way, and samples, may take.
    fn graph_limits(&self) -> GraphLimits;

    /// Our own elimination.
    ///
    /// # Errors
    /// As [`Plan::analyze_watched`].
    fn analyze(&self, graph: &Graph) -> Result<Plan, AnalysisError>;

    /// phasic's elimination.
    ///
    /// # Errors
    /// As [`eliminate`](crate::trace::eliminate).
    fn eliminate(&self, graph: &Graph) -> Result<Trace, EliminationError>;
}

/// A graph with its eliminations, each made when it is first needed or known from elsewhere.
pub struct Model<'e> {
    graph: Arc<Graph>,
    eliminations: &'e dyn Eliminations,
    plan: OnceLock<Arc<Plan>>,
    trace: OnceLock<Arc<Trace>>,
}

impl<'e> Model<'e> {
    /// A model without eliminations.
    pub fn new(graph: Arc<Graph>, eliminations: &'e dyn Eliminations) -> Self {
        Self { graph, eliminations, plan: OnceLock::new(), trace: OnceLock::new() }
    }

    /// This model with a plan of it from elsewhere.
    #[must_use]
    pub fn with_plan(self, plan: Arc<Plan>) -> Self {
        Self { plan: plan.into(), ..self }
    }

    /// This model with a program of it from elsewhere.
    #[must_use]
    pub fn with_trace(self, trace: Arc<Trace>) -> Self {
        Self { trace: trace.into(), ..self }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Makes what a question needs at every θ, so that it is made once, whoever asks first.
    ///
    /// # Errors
    /// [`NoAnswer::Analysis`], [`NoAnswer::Elimination`].
    pub fn prepare(&self, question: &Question) -> Result<(), NoAnswer> {
        let is_drawn = question.quantities.iter().any(super::Quantity::is_sampled);
        let is_total = |quantity: &super::Quantity| quantity.is_total();
        let is_own = |quantity: &super::Quantity| {
            matches!(quantity, super::Quantity::Function(Function::Laplace | Function::Quantile, _))
        };
        if question.treatment.source == Source::Plan || is_drawn || question.quantities.iter().any(is_own) {
            self.plan()?;
        }
        if question.treatment.source != Source::Plan && question.quantities.iter().any(is_total) {
            self.trace()?;
        }
        Ok(())
    }

    pub(super) fn limits(&self) -> GraphLimits {
        self.eliminations.graph_limits()
    }

    /// Our own elimination.
    pub(super) fn plan(&self) -> Result<&Plan, NoAnswer> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let plan = Arc::new(self.eliminations.analyze(&self.graph)?);
        Ok(self.plan.get_or_init(|| plan))
    }

    /// The program from elsewhere, or phasic's own elimination.
    pub(super) fn trace(&self) -> Result<&Trace, NoAnswer> {
        if let Some(trace) = self.trace.get() {
            return Ok(trace);
        }
        let trace = Arc::new(self.eliminations.eliminate(&self.graph)?);
        Ok(self.trace.get_or_init(|| trace))
    }

    /// θ, for our own elimination and everything that comes of it.
    pub(super) fn numbers(&self, theta: Option<&[f64]>) -> Vec<f64> {
        theta.map_or_else(|| vec![1.0; self.graph.param_length()], <[f64]>::to_vec)
    }

    /// The weights of the graph's edges.
    pub(super) fn weights(&self, theta: Option<&[f64]>) -> Result<Vec<f64>, NoAnswer> {
        match theta {
            Some(theta) => Ok(self.graph.weights(theta)?),
            None => Ok(self.graph.unit_weights()),
        }
    }

    /// The model whose time to absorption is the total reward: at this θ or, for gradients, at every one.
    pub(super) fn rewarded(
        &self,
        theta: Option<&[f64]>,
        rewards: &[f64],
        treatment: &Treatment,
        gradients: bool,
    ) -> Result<Model<'e>, NoAnswer> {
        if gradients {
            let graph = reward_transform_parameterized(&self.graph, rewards, self.limits())?;
            // Its weights are right at every θ at which there is such a law.
            check_law_of_rewards(&self.graph, &self.numbers(theta))?;
            return Ok(Model::new(Arc::new(graph), self.eliminations));
        }
        let is_phasic = treatment.source == Source::Phasic;
        let options = if is_phasic { RewardOptions::compat() } else { RewardOptions::default() };
        let (options, theta) = (options.with_limits(self.limits()), self.numbers(theta));
        let graph = if self.graph.was_dph() {
            reward_transform_discrete(&self.graph, &theta, &jump_rewards(rewards)?, &options)?
        } else {
            reward_transform(&self.graph, &theta, rewards, &options)?
        };
        Ok(Model::new(Arc::new(graph), self.eliminations))
    }
}

/// The largest reward of a vertex in discrete time; each takes so many vertices.
const MOST_JUMPS_OF_REWARD: f64 = 1e6;

/// Rewards as numbers of jumps, as the distribution of a total in discrete time needs them: whole numbers from 0 to a
/// million.
///
/// # Errors
/// [`NoAnswer::RewardCount`] with the first that is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are checked")]
pub fn jump_rewards(rewards: &[f64]) -> Result<Vec<u32>, NoAnswer> {
    let fits = |reward: &f64| (0.0..=MOST_JUMPS_OF_REWARD).contains(reward) && reward.fract() == 0.0;
    match rewards.iter().position(|reward| !fits(reward)) {
        Some(vertex) => Err(NoAnswer::RewardCount { vertex, value: rewards[vertex] }),
        None => Ok(rewards.iter().map(|&reward| reward as u32).collect()),
    }
}
