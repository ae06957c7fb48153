//! What a question costs at each θ, before anything is computed.

use phasic_engine::plan::Cost;
use phasic_engine::question::{Function, Quantity, Question, Source};
use phasic_hub_api::GraphIdentity;

/// Samples that share one number of jumps they may take.
const SAMPLES_TOGETHER: u64 = 2048;

/// What a number takes in an answer, in bytes: up to 24 characters and a comma.
const NUMBER_BYTES: u64 = 25;

/// What answering costs at each θ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Multiply-adds, those of sweeps through time and of replays not counted: those have a limit of their own.
    pub multiply_adds: u64,
    /// Sweeps through time.
    pub sweeps: u64,
    /// Solves, or sweeps of a program.
    pub solves: u64,
    /// Bytes of the answer, at most.
    pub answer_bytes: u64,
}

impl Effort {
    /// What a question costs of a model with a plan that costs so much.
    pub(super) fn of(question: &Question, model: &GraphIdentity, cost: &Cost) -> Self {
        let epochs = question.treatment.epochs.len() as u64;
        let solve = 2 * (cost.factor_entries + cost.edges);
        let elimination = cost.multiply_adds + solve;
        let mut effort = Self { multiply_adds: elimination, answer_bytes: 64, ..Self::default() };
        effort.answer_bytes += NUMBER_BYTES * model.param_length;
        for quantity in &question.quantities {
            effort.add(question, quantity, model, [solve, elimination]);
        }
        if question.treatment.source == Source::Phasic {
            // Beside the replays, only quantiles and samples are our own.
            effort.multiply_adds = elimination.saturating_add(model.edges);
        }
        if !question.rewards.is_empty() && question.quantities.iter().any(Quantity::is_of_law) {
            // The model of the total is made at each θ: an elimination of what earns nothing, and an analysis.
            effort.multiply_adds = effort.multiply_adds.saturating_add(4 * elimination);
        }
        effort.multiply_adds = effort.multiply_adds.saturating_mul(1 + epochs);
        // Across epochs moments go through time, too: each order, and each product of two totals, by a sweep of its own. What
        // is alive at a time is found by one more.
        let moments = question.quantities.iter().filter(|_| epochs > 0);
        let sweeps = moments.fold(effort.sweeps, |sweeps, quantity| {
            sweeps.saturating_add(moment_sweeps(quantity, question.rewards.len() as u64))
        });
        let alive = u64::from(question.treatment.alive_at.is_some());
        effort.sweeps = sweeps.saturating_mul(1 + epochs).saturating_add(alive);
        effort
    }

    fn add(
        &mut self,
        question: &Question,
        quantity: &Quantity,
        model: &GraphIdentity,
        [solve, elimination]: [u64; 2],
    ) {
        let (gradients, epochs) = (question.gradients, question.treatment.epochs.len() as u64);
        let solves = solves(quantity, question.rewards.len() as u64);
        // Each gradient of a moment is a chain of adjoint solves of its own.
        let slopes = match quantity {
            Quantity::Moments(count) => u64::from(*count) * u64::from(*count),
            _ => 2 * solves,
        };
        let transforms = match quantity {
            Quantity::Function(Function::Laplace, s) => s.len().div_ceil(8) as u64 * 8 * elimination,
            _ => 0,
        };
        let slots = model.param_length.saturating_mul(1 + epochs);
        let (factor, share) = if gradients { (1 + slots, slopes) } else { (1, 0) };
        let work = solve.saturating_mul(solves + share).saturating_add(transforms);
        self.multiply_adds = self.multiply_adds.saturating_add(work);
        self.solves = self.solves.saturating_add(solves);
        let is_phasic = question.treatment.source == Source::Phasic;
        self.sweeps = self.sweeps.saturating_add(sweeps(quantity, gradients, is_phasic));
        let numbers = length(quantity, model.vertices, question.rewards.len() as u64);
        let bytes = NUMBER_BYTES.saturating_mul(numbers).saturating_mul(factor);
        self.answer_bytes = self.answer_bytes.saturating_add(32).saturating_add(bytes);
    }
}

/// Solves with the factors of one elimination.
fn solves(quantity: &Quantity, rewards: u64) -> u64 {
    match quantity {
        Quantity::Moments(count) | Quantity::FactorialMoments(count) => u64::from(*count),
        Quantity::Expectation | Quantity::WaitingTimes(_) | Quantity::SojournTimes(_) => 1,
        Quantity::Variance | Quantity::Covariance => 8,
        Quantity::Correlation | Quantity::Covariances | Quantity::Correlations => {
            8_u64.saturating_mul(rewards).saturating_mul(rewards)
        }
        _ => 0,
    }
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
        Quantity::JointSample(count) => (*count as u64).saturating_mul(rewards),
        Quantity::Moments(count) | Quantity::FactorialMoments(count) => u64::from(*count),
        Quantity::Sample(count) => *count as u64,
        Quantity::WaitingTimes(None) | Quantity::SojournTimes(None) => vertices,
        Quantity::WaitingTimes(Some(named)) | Quantity::SojournTimes(Some(named)) => named.len() as u64,
        Quantity::Function(_, at) => at.len() as u64,
        Quantity::States(_, times) => (times.len() as u64).saturating_mul(vertices),
    }
}

/// Sweeps through time that a quantity takes.
fn sweeps(quantity: &Quantity, gradients: bool, is_phasic: bool) -> u64 {
    match quantity {
        Quantity::Function(Function::Laplace, _) => 0,
        // A forward sweep, and a reverse one for each time.
        Quantity::Function(_, times) if gradients => 2 + 3 * times.len() as u64,
        // phasic's steps begin anew for each time.
        Quantity::States(_, times) if is_phasic => times.len() as u64,
        Quantity::Function(..) | Quantity::States(..) => 1,
        Quantity::Sample(count) | Quantity::JointSample(count) => (*count as u64).div_ceil(SAMPLES_TOGETHER),
        Quantity::LogLikelihood(_) => 1 + if gradients { 4 } else { u64::from(is_phasic) },
        _ => 0,
    }
}

/// Sweeps that a quantity takes beside its [`sweeps`] where parameters change in time: one for each expected product of
/// totals, of which a covariance is made of three.
fn moment_sweeps(quantity: &Quantity, rewards: u64) -> u64 {
    match quantity {
        Quantity::Expectation => 1,
        Quantity::Moments(count) => u64::from(*count),
        Quantity::Variance | Quantity::Covariance | Quantity::Correlation => 3,
        Quantity::Covariances | Quantity::Correlations => {
            rewards.saturating_mul(rewards + 1).saturating_mul(3) / 2
        }
        _ => 0,
    }
}

/// Numbers a quantity lists.
pub(super) fn listed(quantity: &Quantity) -> usize {
    match quantity {
        Quantity::Function(_, at) | Quantity::States(_, at) => at.len(),
        Quantity::LogLikelihood(data) => data.seen.len() + data.alive.len(),
        Quantity::WaitingTimes(Some(named)) | Quantity::SojournTimes(Some(named)) => named.len(),
        _ => 0,
    }
}
