//! Moments of numbers of jumps and of rewards collected jump by jump.
//!
//! All sums are of non-negative numbers when rewards are not negative. With `W` the plan's solve (rates 1) and `T` the
//! probabilities of a jump, `E[Yᵏ] = W(Rᵏ + Σᵢ C(k,i) Rᵏ⁻ⁱ T E[Yⁱ])`, from the first jump (i from 1 to k − 1).

use super::JumpDistribution;
use crate::distribution::DistributionError;
use crate::distribution::error::of_rewards;
use crate::distribution::totals::{check_count, from_units, in_units, or_ones};
use crate::graph::START;
use crate::plan::{At, EvaluationError, Rewarded};

/// A moment that is a number.
fn in_range(moment: f64, order: usize) -> Result<f64, DistributionError> {
    if moment.is_finite() { Ok(moment) } else { Err(DistributionError::MomentRange { order }) }
}

impl<'p> JumpDistribution<'p> {
    /// Expected number of jumps: `α (I − T)⁻¹ 1`. One solve.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when absorption is not certain.
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.at()?.expectation())
    }

    /// Variance of the number of jumps: `m₂ − m₁² − m₁` with phasic's (continuous) moments, where phasic itself has
    /// `m₂ − 2m₁` when no rewards are given. Two solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::MomentRange`] when it is beyond f64.
    pub fn variance(&self) -> Result<f64, DistributionError> {
        in_range(self.at()?.variance(), 2)
    }

    /// Expected total reward, one reward for each visit of a vertex: `α (I − T)⁻¹ R`. One solve.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_expectation(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        in_range(self.at()?.rewarded(rewards)?.expectation(), 1)
    }

    /// Variance of a total reward, one reward for each visit of a vertex: its [`covariance`](Self::covariance) with itself.
    /// Two solves.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_variance(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        let at = self.at()?;
        at.rewarded(rewards)?;
        let (rewards, exponent) = in_units(rewards);
        from_units(at.rewarded(&rewards)?.variance(), exponent, 2)
    }

    /// Covariance of two total rewards, one reward for each visit of a vertex:
    /// `W(x₁∘R₂) + W(x₂∘R₁) − W(R₁∘R₂) − x₁x₂`, which in phasic lacks its symmetric half. An empty vector is one of ones, so
    /// that its total is the number of jumps. Three solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and for rewards of the wrong length or that are not finite.
    pub fn covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        let at = self.at()?;
        let ones = vec![1.0; at.vertex_count() as usize];
        let [first, second] = [first, second].map(|rewards| or_ones(rewards, &ones));
        for (index, rewards) in [first, second].into_iter().enumerate() {
            at.rewarded(rewards).map_err(of_rewards(index))?;
        }
        let ((first, up), (second, more)) = (in_units(first), in_units(second));
        let covariance = at.rewarded(&first)?.covariance(&at.rewarded(&second)?);
        from_units(covariance, up.saturating_add(more), 1)
            .map_err(|_| DistributionError::CovarianceRange { first: 0, second: 1 })
    }

    /// Totals under a reward vector: expectation, variance, gradients. Its `moments` are the continuous ones; those of the
    /// total itself are [`reward_moments`](Self::reward_moments).
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance).
    pub fn rewarded(&self, rewards: &[f64]) -> Result<Rewarded<'_, 'p>, DistributionError> {
        Ok(self.at()?.rewarded(rewards)?)
    }

    /// The first `count` raw moments `E[N], E[N²], …` of the number of jumps. phasic has no right ones beyond the first.
    /// `count` solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation); [`DistributionError::MomentRange`] for the first moment beyond f64.
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        self.reward_moments(&vec![1.0; self.chain.plan().vertex_count() as usize], count)
    }

    /// The first `count` raw moments of a total reward, one reward for each visit of a vertex. `count` solves.
    ///
    /// # Errors
    /// As [`moments`](Self::moments), and for rewards of the wrong length or that are not finite.
    pub fn reward_moments(&self, rewards: &[f64], count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let at = self.at()?;
        at.rewarded(rewards)?;
        let (rewards, exponent) = in_units(rewards);
        let mut moments = Vec::new();
        // T·E[Yⁱ] by position, from i = 1.
        let mut ahead: Vec<Vec<f64>> = Vec::new();
        for order in 1..=count {
            let source = |position: usize, vertex: u32| {
                let reward = rewards[vertex as usize];
                let power = |k: usize| reward.powi(i32::try_from(k).unwrap_or(i32::MAX));
                let mut sum = power(order);
                let mut binomial = 1.0;
                for (i, ahead) in (1..order).zip(&ahead) {
                    binomial *= (order - i + 1) as f64 / i as f64;
                    sum += binomial * power(order - i) * ahead[position];
                }
                sum
            };
            let (value, next) = self.solved(at, source, order)?;
            moments.push(from_units(value, exponent, order)?);
            ahead.push(next);
        }
        Ok(moments)
    }

    /// The first `count` factorial moments `E[N(N−1)…(N−k+1)]` of the number of jumps: `k! W(T W)ᵏ⁻¹ 1` (Neuts 1981,
    /// section 2.2). `count` solves.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn factorial_moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let at = self.at()?;
        let mut moments = Vec::new();
        let mut ahead = vec![1.0; self.chain.len()];
        for order in 1..=count {
            // k! is spread over the solves, so that none overflows before its moment does.
            let (value, next) = self.solved(at, |position, _| order as f64 * ahead[position], order)?;
            moments.push(value);
            ahead = next;
        }
        Ok(moments)
    }

    /// Solves with one source number per position: the value from the start, and `T` applied to the solution.
    fn solved(
        &self,
        at: &At<'p>,
        source: impl Fn(usize, u32) -> f64,
        order: usize,
    ) -> Result<(f64, Vec<f64>), DistributionError> {
        let pattern = self.chain.pattern();
        let mut by_vertex = vec![0.0; at.vertex_count() as usize];
        for (position, &vertex) in pattern.vertices.iter().enumerate() {
            by_vertex[vertex as usize] = source(position, vertex);
        }
        let solution = match at.rewarded(&by_vertex) {
            Ok(rewarded) => rewarded.waiting_times(),
            Err(EvaluationError::RewardNotFinite { .. }) => {
                return Err(DistributionError::MomentRange { order });
            }
            Err(error) => return Err(error.into()),
        };
        let value = solution[START as usize];
        if !value.is_finite() {
            return Err(DistributionError::MomentRange { order });
        }
        // Vertices that the start does not reach at this θ have no numbers, and matter to none that it reaches.
        let known = |position: u32| {
            let value = solution[pattern.vertices[position as usize] as usize];
            if value.is_finite() { value } else { 0.0 }
        };
        let ahead = (0..self.chain.len()).map(|position| {
            let range = pattern.out.range(position);
            let edges = pattern.out.items[range.clone()].iter().zip(&self.chain.rates()[range]);
            let onward: f64 = edges.map(|(&target, rate)| rate * known(target)).sum();
            onward + self.stays[position] * known(position as u32)
        });
        Ok((value, ahead.collect()))
    }
}
