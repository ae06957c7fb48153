//! What every kind of model answers at one θ: in continuous or discrete time, with changing parameters, or as phasic has
//! it.

use std::ops::ControlFlow;

use super::continuous::Times;
use super::discrete::Jumps;
use super::epochs::Changing;
use super::phasic::Phasic;
use super::{Function, Model, NoAnswer, Observations, Quantity, States};
use crate::distribution::{DistributionError, Start, in_units};
use crate::plan::Plan;

/// One number, or several.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A number.
    One(f64),
    /// A list.
    Many(Vec<f64>),
    /// A list of lists: by time and then by vertex or parameter, by draw and then by reward vector, or a matrix.
    Table(Vec<Vec<f64>>),
}

/// How numbers are to be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Treatment {
    /// Whose numbers are wanted.
    pub source: Source,
    /// What initial probabilities that do not sum to one mean for functions of time.
    pub start: Start,
    /// Largest error of functions of time, if it is not to be 1e-10; see
    /// [`Distribution::tolerance`](crate::distribution::Distribution::tolerance).
    pub tolerance: Option<f64>,
    /// Steps per unit of time of phasic's scheme; 0 for its own choice.
    pub granularity: u32,
    /// Decides which samples are drawn: the same ones for the same seed, at every θ.
    pub seed: u64,
    /// Samples of what comes after this time, of processes that are alive then.
    pub alive_at: Option<f64>,
    /// Samples that begin in these vertices instead, with these probabilities, which need not sum to one.
    pub started_in: Vec<(u32, f64)>,
    /// Most jumps, or fixed steps, of a question, or of 2048 samples together, if the engine is not to decide.
    pub max_jumps: Option<u64>,
    /// Most multiply-adds of the jumps or steps of a question, whatever model it turns out to be about; each takes one for
    /// every edge and vertex.
    pub max_work: Option<u64>,
    /// Other parameters from given times on, the first θ until then.
    pub epochs: Vec<Epoch>,
}

impl Treatment {
    /// Most jumps of a process with so many edges and vertices, if the engine is not to decide.
    pub(super) fn jumps(&self, edges_and_vertices: u64) -> Option<u64> {
        let by_work = self.max_work.map(|work| (work / edges_and_vertices.max(1)).max(1));
        match (self.max_jumps, by_work) {
            (Some(jumps), Some(by_work)) => Some(jumps.min(by_work)),
            (jumps, by_work) => jumps.or(by_work),
        }
    }

    /// Most jumps of the process of a plan.
    pub(super) fn jumps_of(&self, plan: &Plan) -> Option<u64> {
        let cost = plan.cost();
        self.jumps(cost.edges + cost.vertices)
    }
}

/// Parameters from a time on.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// When they begin to hold, above 0.
    pub from: f64,
    /// The parameters.
    pub theta: Vec<f64>,
}

/// Whose numbers are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Our own plan.
    #[default]
    Plan,
    /// phasic's elimination and its fixed steps.
    Phasic,
    /// A program of phasic's form made by anybody, which has totals only, and the right ones.
    Program,
}

/// Says whether to go on, asked now and then on the way to an answer.
pub(super) type Watch<'m> = &'m dyn Fn() -> ControlFlow<()>;

/// Whether to go on.
pub(super) fn go_on(watch: Watch<'_>) -> Result<(), NoAnswer> {
    if watch().is_break() { Err(NoAnswer::GivenUp) } else { Ok(()) }
}

/// What is found part by part.
pub(super) fn in_parts(
    parts: impl Iterator<Item = Vec<f64>>,
    watch: Watch<'_>,
) -> Result<Vec<f64>, NoAnswer> {
    let mut found = Vec::new();
    for part in parts {
        found.extend(part);
        go_on(watch)?;
    }
    Ok(found)
}

/// A model at one θ, ready to answer.
pub(super) trait Law {
    /// Moves to another θ. After an error the numbers are those of none.
    fn set(&mut self, theta: Option<&[f64]>) -> Result<(), NoAnswer>;

    /// An expected total, or a moment of totals.
    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer>;

    /// A function at each point.
    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoAnswer>;

    /// A list by vertex at each time.
    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoAnswer>;

    /// The log-likelihood of observations.
    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoAnswer>;

    /// Samples of the time, or of total rewards, a row for each draw if they are asked for together.
    fn sample(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer>;

    /// A quantity, and its gradient with respect to the parameters.
    fn with_gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<(Found, Found), NoAnswer>;

    /// A quantity.
    fn value(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        Ok(match quantity {
            Quantity::Function(function, points) => Found::Many(self.function(*function, points)?),
            Quantity::States(states, times) => Found::Table(self.states(*states, times)?),
            Quantity::LogLikelihood(observations) => Found::One(self.log_likelihood(observations)?),
            Quantity::Sample(_) | Quantity::JointSample(_) => self.sample(quantity, rewards)?,
            _ => self.total(quantity, rewards)?,
        })
    }
}

/// The law of a model under a treatment, at θ; without one, with all parameters 1, as it was built.
pub(super) fn law<'m>(
    model: &'m Model<'_>,
    treatment: &'m Treatment,
    theta: Option<&[f64]>,
    watch: Watch<'m>,
) -> Result<Box<dyn Law + 'm>, NoAnswer> {
    if treatment.source != Source::Plan {
        return Ok(Box::new(Phasic::new(model, treatment, theta, watch)));
    }
    let (plan, theta) = (model.plan()?, model.numbers(theta));
    if plan.is_discrete() {
        return Ok(Box::new(Jumps::new(model, treatment, theta)?));
    }
    if !treatment.epochs.is_empty() {
        return Ok(Box::new(Changing::new(model, treatment, theta)?));
    }
    Ok(Box::new(Times::new(model, treatment, theta, watch)?))
}

/// Covariances or correlations of total rewards: a number of two, or all of them, row by row.
///
/// A variance for each and a covariance for each two. Correlations do not depend on units, and are found in those of the
/// largest reward of each total, so that no variance leaves f64 for rewards that are all large or all small.
pub(super) fn joint(
    quantity: &Quantity,
    rewards: &[&[f64]],
    covariance: impl Fn(&[f64], &[f64]) -> Result<f64, NoAnswer>,
    variance: impl Fn(&[f64]) -> Result<f64, NoAnswer>,
) -> Result<Found, NoAnswer> {
    let is_one = matches!(quantity, Quantity::Covariance | Quantity::Correlation);
    let correlated = matches!(quantity, Quantity::Correlation | Quantity::Correlations);
    let rewards = if is_one { &rewards[..rewards.len().min(2)] } else { rewards };
    if let ([first, second], false, true) = (rewards, correlated, is_one) {
        return covariance(first, second).map(Found::One);
    }
    let in_own_units: Vec<Vec<f64>> = rewards.iter().map(|rewards| in_units(rewards).0).collect();
    let own_units: Vec<&[f64]> = in_own_units.iter().map(Vec::as_slice).collect();
    let rewards = if correlated { &own_units[..] } else { rewards };
    let variances = rewards.iter().map(|rewards| variance(rewards)).collect::<Result<Vec<_>, _>>()?;
    let is_constant = |variance: &f64| correlated && (variance.is_nan() || *variance <= 0.0);
    if let Some(index) = variances.iter().position(is_constant) {
        return Err(DistributionError::NoVariance { index }.into());
    }
    let mut matrix = vec![vec![0.0; rewards.len()]; rewards.len()];
    for first in 0..rewards.len() {
        matrix[first][first] = if correlated { 1.0 } else { variances[first] };
        for second in 0..first {
            let covariance = covariance(rewards[second], rewards[first]).map_err(of_pair([second, first]))?;
            // The roots first: products of variances leave the range of numbers sooner. And rounding must not lead
            // beyond what a correlation can be.
            let scale = variances[first].sqrt() * variances[second].sqrt();
            matrix[first][second] =
                if correlated { (covariance / scale).clamp(-1.0, 1.0) } else { covariance };
            matrix[second][first] = matrix[first][second];
        }
    }
    match (is_one, &matrix[..]) {
        (true, [first, _]) => Ok(Found::One(first[1])),
        (true, _) => Err(NoAnswer::unanswered(quantity)),
        _ => Ok(Found::Table(matrix)),
    }
}

/// The same error, of two among many totals.
fn of_pair([first, second]: [usize; 2]) -> impl Fn(NoAnswer) -> NoAnswer {
    move |error| match error {
        NoAnswer::Distribution(DistributionError::CovarianceRange { .. }) => {
            DistributionError::CovarianceRange { first, second }.into()
        }
        other => other,
    }
}

/// Those of the vertices named, in the order they are named, or all.
pub(super) fn of_vertices(all: Vec<f64>, vertices: Option<&[u32]>) -> Found {
    Found::Many(match vertices {
        Some(vertices) => vertices.iter().filter_map(|&vertex| all.get(vertex as usize).copied()).collect(),
        None => all,
    })
}

/// The rows of a table as lists.
pub(super) fn rows(table: &ndarray::Array2<f64>) -> Vec<Vec<f64>> {
    table.rows().into_iter().map(|row| row.to_vec()).collect()
}

/// Numbers of jumps that the rules have found to be whole and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rules let no other pass")]
pub(super) fn whole(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|&number| number as u64).collect()
}
