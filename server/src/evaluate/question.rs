//! What is asked of a model, whether it can be asked, and what it will cost; known before anything is computed.

use phasic_engine::distribution::{Epochs, Start};
use phasic_engine::plan::Cost;
use phasic_engine::question::{self, Misfit, Shape, Source, Treatment};
use phasic_hub_api::{EvaluateRequest, GraphIdentity, StartChoice, Thetas};

use super::effort::{Effort, listed};
use super::purse::Purse;
use crate::config;

/// Jumps that one sweep through time may take, whatever its work.
const MOST_JUMPS: u64 = 1_000_000_000;

/// A question that fits its model.
#[derive(Debug)]
pub struct Question {
    /// What to compute.
    pub(super) asked: question::Question,
    /// The parameter vectors.
    pub(super) thetas: Thetas,
    /// Whether none was given: the model is taken as it was built, with all parameters 1.
    pub(super) as_built: bool,
    /// What it costs.
    pub(super) effort: Effort,
    /// Whether there is memory for sixteen θ side by side.
    pub(super) side_by_side: bool,
    /// Multiply-adds that everything together may take.
    pub(super) most_multiply_adds: u64,
    /// Time for them.
    pub(super) purse: Purse,
}

/// Why a question cannot be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// It does not fit the model, or itself.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// Parameter vectors of another length.
    #[error("theta has {found} numbers, and the model has {parameters} parameters")]
    Theta {
        /// Numbers given.
        found: usize,
        /// Parameters of the model.
        parameters: usize,
    },
    /// It passes a limit of the hub.
    #[error("{0}")]
    TooLarge(String),
    /// It has taken far longer than was to be expected.
    #[error(
        "the numbers of this model need more digits than usual at these parameters, and the work that one request may take is \
         used up; ask for fewer parameter vectors or quantities at a time"
    )]
    Spent,
}

impl Question {
    /// Checks a question against the model it is about. `streamed` says that the answer is sent piece by piece.
    ///
    /// # Errors
    /// [`QuestionError`] with what is wrong, or which limit is passed and by how much.
    pub fn new(
        request: EvaluateRequest,
        model: &GraphIdentity,
        cost: &Cost,
        limits: &config::Evaluate,
        streamed: bool,
    ) -> Result<Self, QuestionError> {
        let parameters = usize::try_from(model.param_length).unwrap_or(usize::MAX);
        let (asked, theta) = asked(request);
        if let Some(found) = theta.as_ref().filter(|thetas| thetas.count() > 0).map(Thetas::width)
            && found != parameters
        {
            return Err(QuestionError::Theta { found, parameters });
        }
        asked.check(&Shape { vertices: model.vertices, parameters, discrete: model.discrete })?;
        let effort = Effort::of(&asked, model, cost);
        let as_built = theta.is_none();
        let thetas = theta.unwrap_or_else(|| Thetas::one(vec![1.0; parameters]));
        let most_multiply_adds = limits.max_multiply_adds.get();
        let purse = Purse::new(most_multiply_adds, thetas.count() as u64);
        let moments = asked.quantities.iter().map(moment_count).max().unwrap_or(1);
        check_workspace(&asked, model, cost, limits)?;
        let side_by_side = cost.batch_moment_bytes(moments) <= limits.max_workspace_bytes.get();
        let mut question = Self { asked, thetas, as_built, effort, side_by_side, most_multiply_adds, purse };
        question.check_effort(limits, streamed)?;
        Ok(question)
    }

    /// Whether it has used up what it may take, so that some θ have no answer.
    pub fn is_spent(&self) -> bool {
        self.purse.has_refused()
    }

    /// Bytes the question itself takes for as long as it is being answered: mostly its θ.
    pub fn held_bytes(&self) -> u64 {
        let epochs = self.asked.treatment.epochs.iter().map(|epoch| &epoch.theta);
        let lists: usize = self.asked.rewards.iter().chain(epochs).map(Vec::len).sum();
        let listed: usize = self.asked.quantities.iter().map(listed).sum();
        ((self.thetas.values().len() + lists + listed) * size_of::<f64>()) as u64
    }

    /// How many θ there are.
    pub fn count(&self) -> usize {
        self.thetas.count()
    }

    /// Whether there is one θ, which was written as a flat list or not at all.
    pub fn is_single(&self) -> bool {
        self.thetas.is_flat()
    }

    /// Whether it takes a program of phasic's elimination, beside a plan.
    pub(super) fn needs_program(&self) -> bool {
        let is_phasic = self.asked.treatment.source == Source::Phasic;
        is_phasic && self.asked.quantities.iter().any(question::Quantity::is_total)
    }

    /// Commands a program may have, so that all its replays together stay within the work allowed.
    pub(super) fn most_commands(&self) -> u64 {
        let replays = self.effort.solves.saturating_add(1).saturating_mul(self.thetas.count().max(1) as u64);
        self.most_multiply_adds.saturating_sub(self.work()) / replays
    }

    /// Multiply-adds of all θ together, sweeps through time not counted.
    fn work(&self) -> u64 {
        self.effort.multiply_adds.saturating_mul(self.thetas.count() as u64)
    }

    fn check_effort(&mut self, limits: &config::Evaluate, streamed: bool) -> Result<(), QuestionError> {
        let count = self.thetas.count() as u64;
        let too_large = |text: String| Err(QuestionError::TooLarge(text));
        if count > limits.max_thetas.get() {
            let most = limits.max_thetas.get();
            return too_large(format!("{count} parameter vectors are more than the {most} of one request"));
        }
        let (work, most) = (self.work(), self.most_multiply_adds);
        if work > most {
            return too_large(format!(
                "this takes about {work} multiply-adds, and one request may take {most}; ask for fewer parameter \
                 vectors or quantities at a time"
            ));
        }
        let (bytes, most) = (self.effort.answer_bytes, limits.max_answer_bytes.get());
        if bytes > most {
            return too_large(format!(
                "the answer at one θ has up to {bytes} bytes, and may have {most}; ask for fewer times or quantities"
            ));
        }
        let whole = bytes.saturating_mul(count);
        if !streamed && whole > most {
            return too_large(format!(
                "the answer has up to {whole} bytes, and in one piece it may have {most}; ask for it line by line with \
                 the header Accept: application/x-ndjson, or for less"
            ));
        }
        // What is left of the work, divided among all sweeps.
        let sweeps = self.effort.sweeps.saturating_mul(count.max(1));
        let treatment = &mut self.asked.treatment;
        treatment.max_jumps = Some(treatment.max_jumps.unwrap_or(MOST_JUMPS).clamp(1, MOST_JUMPS));
        treatment.max_work = (self.most_multiply_adds - work).checked_div(sweeps);
        Ok(())
    }
}

/// How many moments a quantity asks for.
fn moment_count(quantity: &question::Quantity) -> usize {
    match quantity {
        question::Quantity::Moments(count) => *count as usize,
        _ => 1,
    }
}

/// How many moments are known of every vertex at a time where they are taken through epochs: all of them, and three for a
/// covariance.
fn moments_at_a_time(quantity: &question::Quantity) -> usize {
    use question::Quantity::{Correlation, Correlations, Covariance, Covariances, Variance};
    match quantity {
        Variance | Covariance | Correlation | Covariances | Correlations => 3,
        other => moment_count(other),
    }
}

/// Bytes that all these moments take beside an evaluation, beyond those that are found one after the other.
fn further_moment_bytes(asked: &question::Question, model: &GraphIdentity, cost: &Cost) -> u64 {
    let most =
        |count: fn(&question::Quantity) -> usize| asked.quantities.iter().map(count).max().unwrap_or(1);
    if !asked.treatment.epochs.is_empty() {
        return Epochs::moment_bytes(model.vertices, most(moments_at_a_time));
    }
    if model.discrete { cost.jump_moment_bytes(most(moment_count)) } else { 0 }
}

/// Whether a thread may take what one θ may need: thrice as much again where numbers need more digits, and the chain of
/// solves that a gradient of a moment is made of.
fn check_workspace(
    asked: &question::Question,
    model: &GraphIdentity,
    cost: &Cost,
    limits: &config::Evaluate,
) -> Result<(), QuestionError> {
    let power = asked.quantities.iter().map(moment_count).max().unwrap_or(1);
    let most = limits.max_workspace_bytes.get();
    let bytes = cost.workspace_bytes.saturating_mul(4);
    let too_large = |what: &str, bytes: u64, instead: &str| {
        Err(QuestionError::TooLarge(format!(
            "{what} may take {bytes} bytes to work with at one θ, and a thread of this hub may take {most}; {instead} on \
             your own machine (phasic eval), or have evaluate.max_workspace_bytes raised"
        )))
    };
    if bytes > most {
        return too_large("the model", bytes, "evaluate it");
    }
    let moments = cost.moment_bytes(power).saturating_add(further_moment_bytes(asked, model, cost));
    let bytes = bytes.saturating_add(moments);
    if bytes > most {
        let what = match power {
            1 => "the moments of the model".to_owned(),
            _ => format!("the first {power} moments of the model"),
        };
        return too_large(&what, bytes, "ask for fewer, or evaluate it");
    }
    if asked.gradients
        && let bytes = bytes.saturating_add(cost.moment_gradient_bytes(power))
        && bytes > most
    {
        let what = format!("the gradient of moment {power} of the model");
        return too_large(&what, bytes, "ask for fewer moments, or evaluate it");
    }
    Ok(())
}

/// The engine's question, and the parameter vectors.
fn asked(request: EvaluateRequest) -> (question::Question, Option<Thetas>) {
    let EvaluateRequest { model: _, theta, quantities, rewards, gradients, start, epochs, .. } = request;
    let EvaluateRequest { seed, alive_at, started_in, tolerance, max_jumps, compat, granularity, .. } =
        request;
    let treatment = Treatment {
        source: if compat { Source::Phasic } else { Source::Plan },
        start: match start {
            StartChoice::AsGiven => Start::AsGiven,
            StartChoice::Conditional => Start::Conditional,
        },
        tolerance,
        granularity,
        seed,
        alive_at,
        started_in,
        max_jumps,
        max_work: None,
        epochs: epochs
            .into_iter()
            .map(|epoch| question::Epoch { from: epoch.from, theta: epoch.theta })
            .collect(),
    };
    let quantities = quantities.into_iter().map(question::Quantity::from).collect();
    (question::Question { quantities, rewards, gradients, treatment }, theta)
}
