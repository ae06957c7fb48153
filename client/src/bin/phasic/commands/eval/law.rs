//! What every kind of model answers at one θ: in continuous or discrete time, or as phasic has it.

use phasic_engine::distribution::Start;

use super::model::Subject;
use super::no_number::NoNumber;
use super::{continuous::Times, discrete::Jumps, epochs::Changing, phasic::Phasic};
use crate::failure::Failure;
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};
use crate::vectors::Vector;

/// One number, or several.
pub(super) enum Found {
    One(f64),
    Many(Vec<f64>),
    Table(Vec<Vec<f64>>),
}

/// How numbers are to be found.
#[derive(Clone, Debug)]
pub(super) struct Treatment {
    pub(super) source: Source,
    pub(super) start: Start,
    pub(super) tolerance: Option<f64>,
    /// Steps per unit of time of phasic's scheme; 0 for its own choice.
    pub(super) granularity: u32,
    pub(super) seed: u64,
    /// Samples of what comes after this time, of those alive then.
    pub(super) alive_at: Option<f64>,
    /// Vertices in which samples begin instead, with their probabilities.
    pub(super) started_in: Vec<(u32, f64)>,
    /// Most jumps of a question, if the engine is not to decide.
    pub(super) max_jumps: Option<u64>,
    /// Other parameters from given times on, the first θ until then.
    pub(super) epochs: Vec<Epoch>,
}

/// Parameters from a time on.
#[derive(Clone, Debug)]
pub(super) struct Epoch {
    pub(super) from: f64,
    pub(super) theta: Vector,
}

/// Whose numbers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Our own plan.
    Plan,
    /// phasic's elimination and its steps.
    Phasic,
    /// The program of a file, which has totals only.
    Program,
}

/// A model at one θ, ready to answer.
pub(super) trait Law {
    /// An expected total, or a moment of totals.
    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber>;

    /// A function at each point.
    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber>;

    /// A list by vertex at each time.
    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoNumber>;

    /// The log-likelihood of observations.
    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoNumber>;

    /// The gradient of a quantity with respect to the parameters.
    fn gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber>;
}

/// The law of a model under a treatment.
pub(super) fn law<'a>(subject: Subject<'a>, treatment: &'a Treatment) -> Result<Box<dyn Law + 'a>, NoNumber> {
    if treatment.source != Source::Plan {
        return Ok(Box::new(Phasic::new(subject, treatment)));
    }
    if subject.model.graph.was_dph() {
        return Ok(Box::new(Jumps::new(subject, treatment)?));
    }
    if !treatment.epochs.is_empty() {
        return Ok(Box::new(Changing::new(subject, treatment)?));
    }
    Ok(Box::new(Times::new(subject, treatment)?))
}

/// A list for each row of an array.
pub(super) fn table<'r, R: IntoIterator<Item = &'r f64>>(rows: impl IntoIterator<Item = R>) -> Found {
    Found::Table(rows.into_iter().map(|row| row.into_iter().copied().collect()).collect())
}

/// Covariances or correlations under several rewards: a number for two of them, else all, row by row.
pub(super) fn joint(
    quantity: &Quantity,
    rewards: &[&[f64]],
    covariance: impl Fn(&[f64], &[f64]) -> Result<f64, NoNumber>,
    variance: impl Fn(&[f64]) -> Result<f64, NoNumber>,
) -> Result<Found, NoNumber> {
    let correlated = *quantity == Quantity::Correlation;
    if let ([first, second], false) = (rewards, correlated) {
        return covariance(first, second).map(Found::One);
    }
    let variances = rewards.iter().map(|rewards| variance(rewards)).collect::<Result<Vec<_>, _>>()?;
    if let Some(index) =
        variances.iter().position(|variance| correlated && (variance.is_nan() || *variance <= 0.0))
    {
        return Err(NoNumber::Here(format!(
            "the total of --rewards number {} does not vary, so its correlations are undefined",
            index + 1
        )));
    }
    let mut matrix = vec![vec![0.0; rewards.len()]; rewards.len()];
    for first in 0..rewards.len() {
        matrix[first][first] = if correlated { 1.0 } else { variances[first] };
        for second in 0..first {
            let covariance = covariance(rewards[second], rewards[first])?;
            let scale = if correlated { variances[first].sqrt() * variances[second].sqrt() } else { 1.0 };
            matrix[first][second] = covariance / scale;
            matrix[second][first] = matrix[first][second];
        }
    }
    Ok(if rewards.len() == 2 { Found::One(matrix[0][1]) } else { Found::Table(matrix) })
}

/// For a question that was let through although nothing answers it.
pub(super) fn unanswered(what: &str) -> NoNumber {
    NoNumber::Failure(Failure::input(format!("{what} cannot be had of this model")))
}
