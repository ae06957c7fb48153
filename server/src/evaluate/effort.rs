//! What a question costs at each θ, before anything is computed.

use phasic_engine::plan::Cost;
use phasic_engine::question::{Function, Quantity, Question, Source};
use phasic_hub_api::GraphIdentity;

/// Samples that share one number of jumps they may take.
const SAMPLES_TOGETHER: u64 = 2048;

/// What a number takes in an answer, in bytes: up to 24 characters and a comma.
const NUMBER_BYTES: u64 = 25;

/// What a multiply-add of numbers with an exponent beside them, and one of numbers with twice the digits as well, takes in
/// plain ones: 13 and 25 nanoseconds where those take 0.8.
const SCALED: u64 = 16;
const WIDE: u64 = 32;

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
        let elimination = elimination(cost);
        let mut effort = Self { multiply_adds: elimination, answer_bytes: 64, ..Self::default() };
        effort.answer_bytes += NUMBER_BYTES * model.param_length;
        for quantity in &question.quantities {
            effort.add(question, quantity, model, cost);
        }
        if question.treatment.source == Source::Phasic {
            // Beside the replays, only quantiles, samples and transforms are our own.
            let transforms = question.quantities.iter().map(|quantity| transforms(quantity, cost));
            let own = elimination.saturating_add(model.edges);
            effort.multiply_adds = transforms.fold(own, u64::saturating_add);
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

    fn add(&mut self, question: &Question, quantity: &Quantity, model: &GraphIdentity, cost: &Cost) {
        let (gradients, epochs) = (question.gradients, question.treatment.epochs.len() as u64);
        let solves = solves(quantity, question.rewards.len() as u64);
        let work = solve(cost)
            .saturating_mul(solves.saturating_add(if gradients { adjoints(quantity, solves) } else { 0 }))
            .saturating_add(transforms(quantity, cost))
            .saturating_add(if model.discrete { jump_moments(quantity, gradients, cost) } else { 0 });
        self.multiply_adds = self.multiply_adds.saturating_add(work);
        self.solves = self.solves.saturating_add(solves);
        let is_phasic = question.treatment.source == Source::Phasic;
        self.sweeps = self.sweeps.saturating_add(sweeps(quantity, gradients, is_phasic));
        let numbers = length(quantity, model.vertices, question.rewards.len() as u64);
        let slots = model.param_length.saturating_mul(1 + epochs);
        let factor = if gradients { 1 + slots } else { 1 };
        let bytes = NUMBER_BYTES.saturating_mul(numbers).saturating_mul(factor);
        self.answer_bytes = self.answer_bytes.saturating_add(32).saturating_add(bytes);
    }
}

/// Multiply-adds of a solve with the factors.
fn solve(cost: &Cost) -> u64 {
    2 * (cost.factor_entries + cost.edges)
}

/// Those of an elimination and a solve.
fn elimination(cost: &Cost) -> u64 {
    cost.multiply_adds + solve(cost)
}

/// Adjoint solves of a gradient: each of a moment is a chain of its own.
fn adjoints(quantity: &Quantity, solves: u64) -> u64 {
    match quantity {
        Quantity::Moments(count) => u64::from(*count) * u64::from(*count),
        _ => 2 * solves,
    }
}

/// Multiply-adds of Laplace transforms: eliminations of eight at a time.
fn transforms(quantity: &Quantity, cost: &Cost) -> u64 {
    match quantity {
        Quantity::Function(Function::Laplace, s) => {
            (s.len().div_ceil(8) as u64 * 8).saturating_mul(elimination(cost))
        }
        _ => 0,
    }
}

/// Multiply-adds of moments that are earned jump by jump, beside solves: each order takes all those before it. Their gradients
/// are found with twice the digits, by an elimination, solves and slopes of their own.
fn jump_moments(quantity: &Quantity, gradients: bool, cost: &Cost) -> u64 {
    let Quantity::Moments(count) = *quantity else { return 0 };
    let count = u64::from(count);
    // Those of the first are plain ones.
    if count < 2 {
        return 0;
    }
    let square = count * count;
    let moments = (square * SCALED / 2).saturating_mul(cost.vertices);
    let slopes = square.saturating_mul(3 * cost.edges + cost.vertices);
    let wide = elimination(cost).saturating_add(count.saturating_mul(solve(cost))).saturating_add(slopes);
    moments.saturating_add(if gradients { wide.saturating_mul(WIDE) } else { 0 })
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
