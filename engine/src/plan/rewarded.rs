//! A plan at one θ, asked about total rewards instead of times.

use super::at::check_moment_count;
use super::chain::Chain;
use super::{At, EvaluationError};
use crate::graph::Graph;

/// Totals under a reward vector, at one θ. Without rewards, the methods of [`At`] itself.
#[derive(Debug)]
pub struct Rewarded<'a, 'p> {
    at: &'a At<'p>,
    rewards: Vec<f64>,
}

impl<'p> At<'p> {
    /// The same questions for a total reward: one reward per vertex, earned per unit of time spent there (per visit, in
    /// discrete time).
    ///
    /// # Errors
    /// [`EvaluationError::RewardLength`], [`EvaluationError::RewardNotFinite`].
    pub fn rewarded(&self, rewards: &[f64]) -> Result<Rewarded<'_, 'p>, EvaluationError> {
        self.plan.check_rewards(rewards)?;
        Ok(Rewarded { at: self, rewards: self.plan.rewards(Some(rewards)) })
    }
}

impl Rewarded<'_, '_> {
    /// Expected total reward.
    pub fn expectation(&self) -> f64 {
        self.at.mean(&self.rewards)
    }

    /// The first `count` raw moments of the total reward; see [`At::moments`].
    ///
    /// # Errors
    /// [`EvaluationError::MomentCount`] for more than 1,000.
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(count)?;
        let mut moments = vec![0.0; count];
        self.moments_into(&mut moments);
        Ok(moments)
    }

    /// As [`moments`](Self::moments), into a slice; see [`At::moments_into`].
    pub fn moments_into(&self, moments: &mut [f64]) {
        self.at.raw_moments(&self.rewards, moments);
    }

    /// Variance of the total reward; see [`At::variance`].
    pub fn variance(&self) -> f64 {
        self.at.covariance(&self.rewards, &self.rewards)
    }

    /// Covariance with another total reward at the same θ: four solves; see [`At::variance`].
    pub fn covariance(&self, other: &Rewarded<'_, '_>) -> f64 {
        self.at.covariance(&self.rewards, &other.rewards)
    }

    /// Expected total reward from every vertex; see [`At::waiting_times`].
    pub fn waiting_times(&self) -> Vec<f64> {
        self.at.every_vertex(&self.rewards)
    }

    /// Gradient of the expectation with respect to θ.
    pub fn expectation_gradient(&self) -> Vec<f64> {
        self.at.expectation_by_parameter(&self.rewards)
    }

    /// Gradient of the `power`-th raw moment with respect to θ.
    ///
    /// # Errors
    /// As [`At::moment_gradient`].
    pub fn moment_gradient(&self, power: usize) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(power)?;
        Ok(self.at.moment_by_parameter(&self.rewards, power))
    }

    /// Gradient of the variance with respect to θ.
    pub fn variance_gradient(&self) -> Vec<f64> {
        self.at.covariance_by_parameter(&self.rewards, &self.rewards)
    }

    /// Gradient of the covariance with another total reward: three adjoint solves.
    pub fn covariance_gradient(&self, other: &Rewarded<'_, '_>) -> Vec<f64> {
        self.at.covariance_by_parameter(&self.rewards, &other.rewards)
    }

    /// Gradient of the expectation with respect to the weight of every edge; see [`At::expectation_weight_gradient`].
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`].
    pub fn expectation_weight_gradient(&self, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        self.moment_weight_gradient(1, graph)
    }

    /// Gradient of the `power`-th raw moment with respect to the weight of every edge.
    ///
    /// # Errors
    /// As [`At::moment_weight_gradient`].
    pub fn moment_weight_gradient(&self, power: usize, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(power)?;
        self.at.weight_gradient(graph, &Chain::of_moment(self.at, &self.rewards, power))
    }

    /// Gradient of the variance with respect to the weight of every edge.
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`].
    pub fn variance_weight_gradient(&self, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        self.covariance_weight_gradient(self, graph)
    }

    /// Gradient of the covariance with another total reward with respect to the weight of every edge.
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`].
    pub fn covariance_weight_gradient(
        &self,
        other: &Rewarded<'_, '_>,
        graph: &Graph,
    ) -> Result<Vec<f64>, EvaluationError> {
        self.at.weight_gradient(graph, &self.at.covariance_slopes(&self.rewards, &other.rewards))
    }
}
