//! What can be asked of a model at each θ.

use phasic_engine::question::{self, Function, States};
use serde::{Deserialize, Serialize};

/// A quantity: a word, or an object of one word and its argument.
///
/// Under one reward vector, `expectation`, `variance`, `moments` and `waiting_times` are those of the total reward, and so
/// are functions and the log-likelihood, in discrete time of whole numbers as rewards. Lists by vertex have an entry for every vertex of the graph, the start first. Moments in discrete time are those of
/// the number of jumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Expected time to absorption.
    Expectation,
    /// Its variance.
    Variance,
    /// Covariance of two total rewards.
    Covariance,
    /// Correlation of two total rewards.
    Correlation,
    /// Covariances of all total rewards, row by row.
    Covariances,
    /// Their correlations, row by row.
    Correlations,
    /// The first so many raw moments.
    Moments(u32),
    /// The first so many factorial moments of the number of jumps (discrete time).
    FactorialMoments(u32),
    /// Expected time to absorption from each vertex.
    WaitingTimes,
    /// Expected time to absorption from each of these vertices, in this order.
    WaitingTimesOf(Vec<u32>),
    /// Expected time spent in each vertex.
    SojournTimes,
    /// Expected time spent in each of these vertices, in this order.
    SojournTimesOf(Vec<u32>),
    /// Density at these times; in discrete time, the probability of these whole numbers of jumps.
    Pdf(Vec<f64>),
    /// Probability of these numbers of jumps (discrete time).
    Pmf(Vec<u64>),
    /// Distribution function at these times, or whole numbers of jumps.
    Cdf(Vec<f64>),
    /// Survival function at these times, or whole numbers of jumps.
    Survival(Vec<f64>),
    /// Hazard rate at these times; in discrete time the probability of absorption by that jump, given none before.
    Hazard(Vec<f64>),
    /// Quantiles of these probabilities.
    Quantile(Vec<f64>),
    /// Laplace transform at these s (continuous time).
    Laplace(Vec<f64>),
    /// Probability of being in each vertex at these times, or after whole numbers of jumps.
    StopProbability(Vec<f64>),
    /// Expected time, or number of visits, in each vertex until then.
    VisitingTimes(Vec<f64>),
    /// Log-likelihood of observations.
    LogLikelihood(Observations),
    /// So many draws of the time to absorption, the number of jumps, or the total reward; `seed` decides which.
    Sample(u32),
    /// So many draws of all total rewards at once.
    JointSample(u32),
}

/// Observed times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Observations {
    /// Times of absorption; in discrete time, numbers of jumps.
    pub observed: Vec<f64>,
    /// Times at which the process was last seen alive; in discrete time, numbers of jumps.
    pub censored: Vec<f64>,
}

impl From<Quantity> for question::Quantity {
    fn from(quantity: Quantity) -> Self {
        match quantity {
            Quantity::Expectation => Self::Expectation,
            Quantity::Variance => Self::Variance,
            Quantity::Covariance => Self::Covariance,
            Quantity::Correlation => Self::Correlation,
            Quantity::Covariances => Self::Covariances,
            Quantity::Correlations => Self::Correlations,
            Quantity::Moments(count) => Self::Moments(count),
            Quantity::FactorialMoments(count) => Self::FactorialMoments(count),
            Quantity::WaitingTimes => Self::WaitingTimes(None),
            Quantity::WaitingTimesOf(vertices) => Self::WaitingTimes(Some(vertices)),
            Quantity::SojournTimes => Self::SojournTimes(None),
            Quantity::SojournTimesOf(vertices) => Self::SojournTimes(Some(vertices)),
            Quantity::Pdf(at) => Self::Function(Function::Pdf, at),
            // Numbers beyond 2^53 are more jumps than anybody waits for, exact or not.
            Quantity::Pmf(at) => {
                Self::Function(Function::Pmf, at.into_iter().map(|jumps| jumps as f64).collect())
            }
            Quantity::Cdf(at) => Self::Function(Function::Cdf, at),
            Quantity::Survival(at) => Self::Function(Function::Survival, at),
            Quantity::Hazard(at) => Self::Function(Function::Hazard, at),
            Quantity::Quantile(of) => Self::Function(Function::Quantile, of),
            Quantity::Laplace(s) => Self::Function(Function::Laplace, s),
            Quantity::StopProbability(at) => Self::States(States::StopProbability, at),
            Quantity::VisitingTimes(at) => Self::States(States::VisitingTimes, at),
            Quantity::LogLikelihood(Observations { observed, censored }) => {
                Self::LogLikelihood(question::Observations { seen: observed, alive: censored })
            }
            Quantity::Sample(count) => Self::Sample(count as usize),
            Quantity::JointSample(count) => Self::JointSample(count as usize),
        }
    }
}
