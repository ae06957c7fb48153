//! What is asked of a model, whether it can be asked, and what it will cost; known before anything is computed.

use std::collections::HashSet;

use phasic_engine::plan::Cost;
use phasic_hub_api::{EvaluateRequest, GraphIdentity, Quantity, StartChoice, Thetas};

use crate::config;

/// Raw moments that may be asked for.
const MOST_MOMENTS: u32 = 1000;

/// Jumps that one sweep through time may take, whatever its work.
const MOST_JUMPS: u64 = 1_000_000_000;

/// What a number takes in an answer, in bytes: up to 24 characters and a comma.
const NUMBER_BYTES: u64 = 25;

/// A question that fits its model.
#[derive(Debug)]
pub struct Question {
    /// What to compute.
    pub(super) quantities: Vec<Quantity>,
    /// None, one or two reward vectors.
    pub(super) rewards: Vec<Vec<f64>>,
    /// Whether gradients are wanted.
    pub(super) gradients: bool,
    /// What to make of initial probabilities that do not sum to one.
    pub(super) start: StartChoice,
    /// The parameter vectors.
    pub(super) thetas: Thetas,
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

fn invalid(text: impl Into<String>) -> QuestionError {
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
        let EvaluateRequest { theta, quantities, rewards, gradients, start, .. } = request;
        let parameters = usize::try_from(model.param_length).unwrap_or(usize::MAX);
        let thetas = theta.unwrap_or_else(|| Thetas::one(vec![1.0; parameters]));
        check_thetas(&thetas, parameters)?;
        check_rewards(&rewards, model)?;
        let mut keys = HashSet::new();
        if quantities.is_empty() {
            return Err(invalid("quantities is empty; leave it out for expectation and variance"));
        }
        for quantity in &quantities {
            let key = quantity.key();
            if !keys.insert(key) {
                return Err(invalid(format!("the quantity {key} is asked for twice")));
            }
            check_quantity(quantity, &rewards, gradients, model)?;
        }
        let mut question = Self {
            quantities,
            rewards,
            gradients,
            start,
            thetas,
            jump_limit: MOST_JUMPS,
            effort: Effort::NONE,
        };
        question.effort = question.effort(model, cost);
        question.check_effort(cost, limits, streamed)?;
        Ok(question)
    }

    /// Bytes the question itself takes for as long as it is being answered: mostly its θ.
    pub fn held_bytes(&self) -> u64 {
        let rewards: usize = self.rewards.iter().map(Vec::len).sum();
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
        self.quantities.iter().any(|quantity| sweeps(quantity, self.gradients) > 0)
    }

    fn effort(&self, model: &GraphIdentity, cost: &Cost) -> Effort {
        let (vertices, parameters) = (model.vertices, model.param_length);
        let solve = 2 * (cost.factor_entries + cost.edges);
        let mut effort = Effort { multiply_adds: cost.multiply_adds + solve, answer_bytes: 64 };
        effort.answer_bytes += NUMBER_BYTES * parameters;
        for quantity in &self.quantities {
            let numbers = length(quantity, vertices);
            let solves = match quantity {
                Quantity::Moments(count) => u64::from(*count),
                Quantity::Expectation | Quantity::WaitingTimes | Quantity::SojournTimes => 1,
                Quantity::Variance | Quantity::Covariance => 8,
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
            let (factor, share) = if self.gradients { (1 + parameters, slopes) } else { (1, 0) };
            effort.multiply_adds = effort
                .multiply_adds
                .saturating_add(solve.saturating_mul(solves + share))
                .saturating_add(transforms);
            effort.answer_bytes = effort
                .answer_bytes
                .saturating_add(32)
                .saturating_add(NUMBER_BYTES.saturating_mul(numbers).saturating_mul(factor));
        }
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
        let sweeps = self.quantities.iter().map(|quantity| sweeps(quantity, self.gradients)).sum::<u64>();
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
fn length(quantity: &Quantity, vertices: u64) -> u64 {
    match quantity {
        Quantity::Expectation | Quantity::Variance | Quantity::Covariance | Quantity::LogLikelihood(_) => 1,
        Quantity::Moments(count) => u64::from(*count),
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
        Quantity::Pdf(times) | Quantity::Cdf(times) if gradients => 2 + 3 * times.len() as u64,
        Quantity::Pmf(jumps) if gradients => 2 + 3 * jumps.len() as u64,
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

fn check_thetas(thetas: &Thetas, parameters: usize) -> Result<(), QuestionError> {
    if thetas.count() > 0 && thetas.width() != parameters {
        let found = thetas.width();
        return Err(invalid(format!("theta has {found} numbers, and the model has {parameters} parameters")));
    }
    Ok(())
}

fn check_rewards(rewards: &[Vec<f64>], model: &GraphIdentity) -> Result<(), QuestionError> {
    if rewards.len() > 2 {
        return Err(invalid(format!("{} reward vectors are given; two are the most", rewards.len())));
    }
    match rewards.iter().find(|rewards| rewards.len() as u64 != model.vertices) {
        None => Ok(()),
        Some(wrong) => Err(invalid(format!(
            "a reward vector has {} numbers, and the model has {} vertices, the start included",
            wrong.len(),
            model.vertices
        ))),
    }
}

fn check_quantity(
    quantity: &Quantity,
    rewards: &[Vec<f64>],
    gradients: bool,
    model: &GraphIdentity,
) -> Result<(), QuestionError> {
    let key = quantity.key();
    let (fits, takes) = match quantity {
        Quantity::Covariance => (rewards.len() == 2, "exactly two reward vectors"),
        Quantity::Expectation | Quantity::Variance | Quantity::Moments(_) | Quantity::WaitingTimes => {
            (rewards.len() <= 1, "at most one reward vector")
        }
        _ => (rewards.is_empty(), "no rewards: it is about the time to absorption"),
    };
    if !fits {
        return Err(invalid(format!("{key} takes {takes}, but {} are given", rewards.len())));
    }
    if gradients && !quantity.has_gradient() {
        return Err(invalid(format!(
            "there are no gradients of {key}; ask for it in a request without gradients"
        )));
    }
    match quantity {
        Quantity::Moments(count) if !(1..=MOST_MOMENTS).contains(count) => {
            return Err(invalid(format!("moments takes a number from 1 to {MOST_MOMENTS}, not {count}")));
        }
        Quantity::Moments(2..) if gradients && model.discrete => {
            return Err(invalid("in discrete time there are gradients of the first moment only"));
        }
        _ => {}
    }
    check_time(quantity, model)
}

/// Whether a quantity belongs to the model's kind of time.
fn check_time(quantity: &Quantity, model: &GraphIdentity) -> Result<(), QuestionError> {
    let key = quantity.key();
    let (continuous_only, discrete_only) = match quantity {
        Quantity::Pdf(_) | Quantity::Hazard(_) | Quantity::Laplace(_) => (true, false),
        Quantity::Pmf(_) => (false, true),
        _ => (false, false),
    };
    if continuous_only && model.discrete {
        let hint = if key == "pdf" { "; ask for pmf" } else { "" };
        return Err(invalid(format!("the model is in discrete time, where there is no {key}{hint}")));
    }
    if discrete_only && !model.discrete {
        return Err(invalid(format!(
            "the model is in continuous time, where there is no {key}; ask for pdf"
        )));
    }
    let numbers: Vec<f64> = match quantity {
        Quantity::Cdf(at)
        | Quantity::Survival(at)
        | Quantity::StopProbability(at)
        | Quantity::VisitingTimes(at) => at.clone(),
        Quantity::LogLikelihood(data) => [&data.observed[..], &data.censored].concat(),
        _ => Vec::new(),
    };
    let wrong = numbers.iter().find(|at| !(0.0..9e15).contains(*at) || at.fract() != 0.0);
    if let Some(wrong) = wrong.filter(|_| model.discrete) {
        return Err(invalid(format!("{key} takes whole numbers of jumps in discrete time, not {wrong}")));
    }
    Ok(())
}
