//! What can be asked of a model at each θ.

use serde::{Deserialize, Serialize};

/// A quantity: a word, or an object of one word and its argument.
///
/// Under one reward vector, `expectation`, `variance`, `moments` and `waiting_times` are those of the total reward.
/// Lists by vertex have an entry for every vertex of the graph, the start first. Moments in discrete time are those of
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
    /// Expected time to absorption from each vertex.
    WaitingTimes,
    /// Expected time spent in each vertex.
    SojournTimes,
    /// Density at these times (continuous time).
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

impl Quantity {
    /// The word for it, which is its key in answers.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Variance => "variance",
            Self::Covariance => "covariance",
            Self::Correlation => "correlation",
            Self::Covariances => "covariances",
            Self::Correlations => "correlations",
            Self::Moments(_) => "moments",
            Self::WaitingTimes => "waiting_times",
            Self::SojournTimes => "sojourn_times",
            Self::Pdf(_) => "pdf",
            Self::Pmf(_) => "pmf",
            Self::Cdf(_) => "cdf",
            Self::Survival(_) => "survival",
            Self::Hazard(_) => "hazard",
            Self::Quantile(_) => "quantile",
            Self::Laplace(_) => "laplace",
            Self::StopProbability(_) => "stop_probability",
            Self::VisitingTimes(_) => "visiting_times",
            Self::LogLikelihood(_) => "log_likelihood",
            Self::Sample(_) => "sample",
            Self::JointSample(_) => "joint_sample",
        }
    }

    /// Whether there is a gradient of it with respect to θ.
    pub const fn has_gradient(&self) -> bool {
        matches!(
            self,
            Self::Expectation
                | Self::Variance
                | Self::Covariance
                | Self::Moments(_)
                | Self::Pdf(_)
                | Self::Pmf(_)
                | Self::Cdf(_)
                | Self::Survival(_)
                | Self::LogLikelihood(_)
        )
    }
}
