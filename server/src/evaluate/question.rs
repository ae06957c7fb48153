//! What is asked of a model, whether it can be asked, and what it will cost; known before anything is computed.

use phasic_engine::plan::Cost;
use phasic_hub_api::{EvaluateRequest, GraphIdentity, Quantity, StartChoice, Thetas};

use super::check::check;
use crate::config;

/// Samples that share one number of jumps they may take.
const SAMPLES_TOGETHER: u64 = 2048;

/// Jumps that one sweep through time may take, whatever its work.
const MOST_JUMPS: u64 = 1_000_000_000;

/// What a number takes in an answer, in bytes: up to 24 characters and a comma.
const NUMBER_BYTES: u64 = 25;

/// A question that fits its model.
#[derive(Debug)]
pub struct Question {
    /// What to compute.
    pub(super) quantities: Vec<Quantity>,
    /// The reward vectors.
    pub(super) rewards: Vec<Vec<f64>>,
    /// Whether gradients are wanted.
    pub(super) gradients: bool,
    /// What to make of initial probabilities that do not sum to one.
    pub(super) start: StartChoice,
    /// The parameter vectors.
    pub(super) thetas: Thetas,
    /// Other parameters from a time on, in order.
    pub(super) epochs: Vec<(f64, Vec<f64>)>,
    /// Decides which samples are drawn.
    pub(super) seed: u64,
    /// The time after which is sampled.
    pub(super) alive_at: Option<f64>,
    /// Largest error of functions of time.
    pub(super) tolerance: Option<f64>,
    /// Jumps that each sweep through time may take.
    pub(super) jump_limit: u64,
    /// What it costs.
    pub(super) effort: Effort,
}

/// What answering costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Multiply-adds at each θ, sweeps through time not counted: those have a limit of their own.
    pub multiply_adds: u64,
    /// Bytes of the answer at each θ, at most.
    pub answer_bytes: u64,
}

/// Why a question cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// It does not fit the model, or itself.
    #[error("{0}")]
    Invalid(String),
    /// It passes a limit of the hub.
    #[error("{0}")]
    TooLarge(String),
}

/// Numbers a quantity lists.
fn listed(quantity: &Quantity) -> usize {
    match quantity {
        Quantity::Pdf(at)
        | Quantity::Cdf(at)
        | Quantity::Survival(at)
        | Quantity::Hazard(at)
        | Quantity::Quantile(at)
        | Quantity::Laplace(at)
        | Quantity::StopProbability(at)
        | Quantity::VisitingTimes(at) => at.len(),
        Quantity::Pmf(jumps) => jumps.len(),
        Quantity::LogLikelihood(data) => data.observed.len() + data.censored.len(),
        _ => 0,
    }
}

pub(super) fn invalid(text: impl Into<String>) -> QuestionError {
    QuestionError::Invalid(text.into())
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
        check(&request, parameters, model)?;
        let EvaluateRequest { theta, quantities, rewards, gradients, start, .. } = request;
        let EvaluateRequest { epochs, seed, alive_at, tolerance, max_jumps, .. } = request;
        let thetas = theta.unwrap_or_else(|| Thetas::one(vec![1.0; parameters]));
        let mut question = Self {
            quantities,
            rewards,
            gradients,
            start,
            thetas,
            epochs: epochs.into_iter().map(|epoch| (epoch.from, epoch.theta)).collect(),
            seed,
            alive_at,
            tolerance,
            jump_limit: MOST_JUMPS,
            effort: Effort::NONE,
        };
        question.effort = question.effort(model, cost);
        question.check_effort(cost, limits, streamed)?;
        question.jump_limit = question.jump_limit.min(max_jumps.unwrap_or(MOST_JUMPS)).max(1);
        Ok(question)
    }

    /// Bytes the question itself takes for as long as it is being answered: mostly its θ.
    pub fn held_bytes(&self) -> u64 {
        let lists = self.rewards.iter().chain(self.epochs.iter().map(|(_, theta)| theta));
        let rewards: usize = lists.map(Vec::len).sum();
        let numbers = self.thetas.values().len() + rewards;
        let listed: usize = self.quantities.iter().map(listed).sum();
        ((numbers + listed) * size_of::<f64>()) as u64
    }

    /// How many θ there are.
    pub fn count(&self) -> usize {
        self.thetas.count()
    }

    /// Whether there is one θ, which was written as a flat list or not at all.
    pub fn is_single(&self) -> bool {
        self.thetas.is_flat()
    }

    /// Whether some quantity needs the process at times, and not only its totals.
    pub(super) fn sweeps_through_time(&self) -> bool {
        self.sweeps() > 0
    }

    /// Sweeps through time at each θ. Each epoch is one more, and what is alive at a time is found by one.
    fn sweeps(&self) -> u64 {
        let all: u64 = self.quantities.iter().map(|quantity| sweeps(quantity, self.gradients)).sum();
        let all = if self.epochs.is_empty() { all } else { all.max(1) };
        let epochs = 1 + self.epochs.len() as u64;
        all.saturating_mul(epochs).saturating_add(u64::from(self.alive_at.is_some()))
    }

    fn effort(&self, model: &GraphIdentity, cost: &Cost) -> Effort {
        let (vertices, parameters) = (model.vertices, model.param_length);
        let solve = 2 * (cost.factor_entries + cost.edges);
        let mut effort = Effort { multiply_adds: cost.multiply_adds + solve, answer_bytes: 64 };
        effort.answer_bytes += NUMBER_BYTES * parameters;
        for quantity in &self.quantities {
            let numbers = length(quantity, vertices, self.rewards.len() as u64);
            let solves = match quantity {
                Quantity::Moments(count) => u64::from(*count),
                Quantity::Expectation | Quantity::WaitingTimes | Quantity::SojournTimes => 1,
                Quantity::Variance | Quantity::Covariance => 8,
                Quantity::Correlation | Quantity::Covariances | Quantity::Correlations => {
                    let several = self.rewards.len() as u64;
                    8 * several * several
                }
                _ => 0,
            };
            // Each gradient of a moment is a chain of adjoint solves of its own.
            let slopes = match quantity {
                Quantity::Moments(count) => u64::from(*count) * u64::from(*count),
                _ => 2 * solves,
            };
            let transforms = match quantity {
                Quantity::Laplace(s) => s.len().div_ceil(8) as u64 * 8 * (cost.multiply_adds + solve),
                _ => 0,
            };
            let slots = parameters.saturating_mul(1 + self.epochs.len() as u64);
            let (factor, share) = if self.gradients { (1 + slots, slopes) } else { (1, 0) };
            effort.multiply_adds = effort
                .multiply_adds
                .saturating_add(solve.saturating_mul(solves + share))
                .saturating_add(transforms);
            effort.answer_bytes = effort
                .answer_bytes
                .saturating_add(32)
                .saturating_add(NUMBER_BYTES.saturating_mul(numbers).saturating_mul(factor));
        }
        effort.multiply_adds = effort.multiply_adds.saturating_mul(1 + self.epochs.len() as u64);
        effort
    }

    fn check_effort(
        &mut self,
        cost: &Cost,
        limits: &config::Evaluate,
        streamed: bool,
    ) -> Result<(), QuestionError> {
        let count = self.thetas.count() as u64;
        let too_large = |text: String| Err(QuestionError::TooLarge(text));
        if count > limits.max_thetas.get() {
            let most = limits.max_thetas.get();
            return too_large(format!("{count} parameter vectors are more than the {most} of one request"));
        }
        let (work, most) = (self.effort.multiply_adds.saturating_mul(count), limits.max_multiply_adds.get());
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
        let sweeps = self.sweeps();
        // What is left of the work, divided among all sweeps; a jump is a multiply-add per edge and vertex.
        let jump = (cost.edges + cost.vertices).max(1).saturating_mul(count.max(1));
        if let Some(share) = (limits.max_multiply_adds.get() - work).checked_div(sweeps) {
            self.jump_limit = (share / jump).clamp(1, MOST_JUMPS);
        }
        Ok(())
    }
}

impl Effort {
    const NONE: Self = Self { multiply_adds: 0, answer_bytes: 0 };
}

/// Numbers of an answer.
fn length(quantity: &Quantity, vertices: u64, rewards: u64) -> u64 {
    match quantity {
        Quantity::Expectation
        | Quantity::Variance
        | Quantity::Covariance
        | Quantity::Correlation
        | Quantity::LogLikelihood(_) => 1,
        Quantity::Covariances | Quantity::Correlations => rewards.saturating_mul(rewards),
        Quantity::JointSample(count) => u64::from(*count).saturating_mul(rewards),
        Quantity::Moments(count) | Quantity::Sample(count) => u64::from(*count),
        Quantity::WaitingTimes | Quantity::SojournTimes => vertices,
        Quantity::Pmf(jumps) => jumps.len() as u64,
        Quantity::Pdf(at)
        | Quantity::Cdf(at)
        | Quantity::Survival(at)
        | Quantity::Hazard(at)
        | Quantity::Quantile(at)
        | Quantity::Laplace(at) => at.len() as u64,
        Quantity::StopProbability(times) | Quantity::VisitingTimes(times) => {
            (times.len() as u64).saturating_mul(vertices)
        }
    }
}

/// Sweeps through time that a quantity takes.
fn sweeps(quantity: &Quantity, gradients: bool) -> u64 {
    match quantity {
        // A forward sweep, and a reverse one for each time.
        Quantity::Pdf(times) | Quantity::Cdf(times) | Quantity::Survival(times) if gradients => {
            2 + 3 * times.len() as u64
        }
        Quantity::Pmf(jumps) if gradients => 2 + 3 * jumps.len() as u64,
        Quantity::Sample(count) | Quantity::JointSample(count) => {
            u64::from(*count).div_ceil(SAMPLES_TOGETHER)
        }
        Quantity::LogLikelihood(_) => 1 + if gradients { 4 } else { 0 },
        Quantity::Pdf(_)
        | Quantity::Pmf(_)
        | Quantity::Cdf(_)
        | Quantity::Survival(_)
        | Quantity::Hazard(_)
        | Quantity::Quantile(_)
        | Quantity::StopProbability(_)
        | Quantity::VisitingTimes(_) => 1,
        _ => 0,
    }
}
