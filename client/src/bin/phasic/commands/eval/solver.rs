//! Where the numbers of `phasic eval` come from: a plan, or the very program of a file.

use phasic_engine::graph::Graph;
use phasic_engine::plan::{At, EvaluationError, Plan};
use phasic_engine::trace::{Replay, ReplayError, Trace};

use crate::quantity::Quantity;

/// A model ready to be asked.
pub(super) enum Solver {
    /// Our own elimination.
    Plan(Box<Plan>),
    /// A file's program and the graph whose edges it reads.
    Program(Box<(Graph, Trace)>),
}

/// A model at one θ.
pub(super) enum Numbers<'a> {
    Plan(Box<At<'a>>),
    Program(Replay),
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoNumber {
    #[error(transparent)]
    Plan(#[from] EvaluationError),
    #[error(transparent)]
    Program(#[from] ReplayError),
    #[error("{0}")]
    Weights(String),
}

/// One number, or several.
pub(super) enum Found {
    One(f64),
    Many(Vec<f64>),
    Table(Vec<Vec<f64>>),
}

impl Solver {
    /// The model at θ; without one, with all parameters 1, as it was built.
    pub(super) fn at(&self, theta: Option<&[f64]>) -> Result<Numbers<'_>, NoNumber> {
        match self {
            Self::Plan(plan) => {
                let ones = vec![1.0; plan.param_length()];
                Ok(Numbers::Plan(Box::new(plan.at(theta.unwrap_or(&ones))?)))
            }
            Self::Program(program) => {
                let (graph, trace) = &**program;
                let weights = match theta {
                    Some(theta) => {
                        graph.weights(theta).map_err(|error| NoNumber::Weights(error.to_string()))?
                    }
                    None => graph.unit_weights(),
                };
                Ok(Numbers::Program(trace.replay(graph, &weights)?))
            }
        }
    }
}

impl Numbers<'_> {
    pub(super) fn find(&self, quantity: Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
        match self {
            Self::Plan(at) => by_plan(at, quantity, rewards),
            Self::Program(replay) => by_program(replay, quantity, rewards),
        }
    }

    /// The gradient of a quantity; none of a replayed program, and none of lists by vertex.
    pub(super) fn gradient(&self, quantity: Quantity, rewards: &[&[f64]]) -> Result<Option<Found>, NoNumber> {
        let Self::Plan(at) = self else { return Ok(None) };
        let ones = vec![1.0; at.vertex_count() as usize];
        let total = at.rewarded(rewards.first().copied().unwrap_or(&ones))?;
        Ok(Some(match quantity {
            Quantity::Expectation => Found::Many(total.expectation_gradient()),
            Quantity::Variance => Found::Many(total.variance_gradient()),
            Quantity::Moments(count) => {
                Found::Table((1..=count as usize).map(|power| total.moment_gradient(power)).collect())
            }
            Quantity::Covariance => {
                let other = at.rewarded(rewards.get(1).copied().unwrap_or(&ones))?;
                Found::Many(total.covariance_gradient(&other))
            }
            Quantity::WaitingTime | Quantity::Sojourn => return Ok(None),
        }))
    }
}

fn by_plan(at: &At<'_>, quantity: Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
    let ones = vec![1.0; at.vertex_count() as usize];
    let total = at.rewarded(rewards.first().copied().unwrap_or(&ones))?;
    Ok(match quantity {
        Quantity::Expectation => Found::One(total.expectation()),
        Quantity::Variance => Found::One(total.variance()),
        Quantity::Moments(count) => Found::Many(total.moments(count as usize)),
        Quantity::Covariance => {
            Found::One(total.covariance(&at.rewarded(rewards.get(1).copied().unwrap_or(&ones))?))
        }
        Quantity::WaitingTime => Found::Many(total.waiting_times()),
        Quantity::Sojourn => Found::Many(at.sojourn_times()),
    })
}

fn by_program(replay: &Replay, quantity: Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
    let (first, second) = (rewards.first().copied(), rewards.get(1).copied());
    Ok(match quantity {
        Quantity::Expectation => Found::One(replay.expectation(first)?),
        Quantity::Variance => Found::One(replay.variance(first)?),
        Quantity::Moments(count) => Found::Many(replay.moments(count as usize, first)?),
        Quantity::Covariance => Found::One(replay.covariance(first, second)?),
        Quantity::WaitingTime => Found::Many(replay.waiting_times(first)?),
        Quantity::Sojourn => Found::Many(replay.sojourn_times()?),
    })
}
