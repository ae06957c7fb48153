//! Moments of numbers of jumps and of rewards collected jump by jump: thin over the plan at one θ.

use ndarray::Array2;

use super::JumpDistribution;
use super::scaled::Scaled;
use crate::distribution::DistributionError;
use crate::distribution::error::of_rewards;
use crate::distribution::totals::{
    check_count, correlations, covariances, from_units, in_units, of_vertices, or_ones,
};
use crate::graph::START;
use crate::plan::{At, EvaluationError, Rewarded};

/// A moment that is a number.
fn in_range(moment: f64, order: usize) -> Result<f64, DistributionError> {
    if moment.is_finite() { Ok(moment) } else { Err(DistributionError::MomentRange { order }) }
}

impl<'p> JumpDistribution<'p> {
    /// Expected number of jumps: `α (I − T)⁻¹ 1` (Kemeny and Snell, Finite Markov Chains, 1960, theorem 3.3.5). One solve.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when absorption is not certain.
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.at()?.expectation())
    }

    /// Variance of the number of jumps: `m₂ − m₁² − m₁` with phasic's (continuous) moments, where phasic itself has
    /// `m₂ − 2m₁` when no rewards are given (numerics specification, section 3; Kemeny and Snell 1960, theorem 3.3.5). Summed
    /// over jumps, without the cancellation of that difference. Two solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::MomentRange`] when it is beyond f64.
    pub fn variance(&self) -> Result<f64, DistributionError> {
        in_range(self.at()?.variance(), 2)
    }

    /// Expected total reward, one reward for each visit of a vertex: `α (I − T)⁻¹ R` (Kemeny and Snell 1960, theorem 3.2.4, for
    /// the visits). One solve.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_expectation(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        in_range(self.at()?.rewarded(rewards)?.expectation(), 1)
    }

    /// Variance of a total reward, one reward for each visit of a vertex: `2W(x∘R) − W(R∘R) − x²` for `x = W(R)`, its
    /// [`covariance`](Self::covariance) with itself. Two solves.
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
    /// `W(x₁∘R₂) + W(x₂∘R₁) − W(R₁∘R₂) − x₁x₂` for `W(R) = (I − T)⁻¹ R` and `x = W(R)`, which in phasic lacks its symmetric half
    /// (numerics specification, section 3). Summed over jumps, without the cancellation of that difference. An empty vector is one of ones, so
    /// that its total is the number of jumps. Three solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation); [`DistributionError::Reward`] for rewards of the wrong length or that are not
    /// finite; [`DistributionError::CovarianceRange`].
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

    /// Covariances of many total rewards, one reward for each visit of a vertex; an empty vector is one of ones.
    ///
    /// With `x = W(R)` from every vertex and expected visits `z`, the covariance of two is
    /// `Σ z (x₁R₂ + x₂R₁ − R₁R₂) − m₁m₂`: one solve for each reward vector and one for `z`. Where that difference has lost more
    /// than a digit, the covariance is found by itself, as [`covariance`](Self::covariance) does.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance), with the places of both totals.
    pub fn covariance_matrix<R: AsRef<[f64]>>(
        &self,
        rewards: &[R],
    ) -> Result<Array2<f64>, DistributionError> {
        let (mut matrix, exponents) = self.covariances_in_units(rewards)?;
        for ((first, second), value) in matrix.indexed_iter_mut() {
            let exponent = exponents[first].saturating_add(exponents[second]);
            *value = from_units(*value, exponent, 1)
                .map_err(|_| DistributionError::CovarianceRange { first, second })?;
        }
        Ok(matrix)
    }

    /// Correlation of two total rewards, one reward for each visit of a vertex: their covariance over the root of the product
    /// of both variances. Two solves each.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance), and [`DistributionError::NoVariance`] when a total does not vary.
    pub fn correlation(&self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        Ok(self.correlation_matrix(&[first, second])?[[0, 1]])
    }

    /// Correlations of many total rewards: their [covariances](Self::covariance_matrix) over the roots of the products of both
    /// variances, and as expensive. They do not depend on units, so no product leaves f64.
    ///
    /// # Errors
    /// As [`correlation`](Self::correlation).
    pub fn correlation_matrix<R: AsRef<[f64]>>(
        &self,
        rewards: &[R],
    ) -> Result<Array2<f64>, DistributionError> {
        correlations(self.covariances_in_units(rewards)?.0)
    }

    /// Covariances of totals in units of the power of two next to the largest reward of each, and these powers.
    fn covariances_in_units<R: AsRef<[f64]>>(
        &self,
        rewards: &[R],
    ) -> Result<(Array2<f64>, Vec<i32>), DistributionError> {
        let at = self.at()?;
        let ones = vec![1.0; at.vertex_count() as usize];
        let scaled: Vec<(Vec<f64>, i32)> =
            rewards.iter().map(|rewards| in_units(or_ones(rewards.as_ref(), &ones))).collect();
        let lists: Vec<&[f64]> = scaled.iter().map(|(rewards, _)| &rewards[..]).collect();
        Ok((covariances(at, &lists, true)?, scaled.iter().map(|&(_, exponent)| exponent).collect()))
    }

    /// Expected number of jumps to absorption from every vertex of the graph, `(I − T)⁻¹ 1` (Kemeny and Snell, Finite Markov
    /// Chains, 1960, theorem 3.3.5): 0 for absorbing vertices, NaN for those the start does not reach by any edge, and infinite
    /// for those from which absorption is not certain at this θ, where the start leads with probability 0. One solve.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn waiting_times(&self) -> Result<Vec<f64>, DistributionError> {
        Ok(self.at()?.waiting_times())
    }

    /// Expected number of jumps to absorption from each of the vertices named: entries of [`waiting_times`](Self::waiting_times), whose cost it
    /// has however few they are.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::Vertex`] for one that does not exist.
    pub fn waiting_times_of(&self, vertices: &[u32]) -> Result<Vec<f64>, DistributionError> {
        of_vertices(&self.waiting_times()?, vertices)
    }

    /// Expected number of visits of every vertex of the graph until absorption, `α (I − T)⁻¹`: the fundamental matrix (Kemeny
    /// and Snell 1960, theorem 3.2.4). One transposed solve.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn sojourn_times(&self) -> Result<Vec<f64>, DistributionError> {
        Ok(self.at()?.sojourn_times())
    }

    /// Expected number of visits of each of the vertices named: entries of [`sojourn_times`](Self::sojourn_times), whose cost it
    /// has however few they are.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::Vertex`] for one that does not exist.
    pub fn sojourn_times_of(&self, vertices: &[u32]) -> Result<Vec<f64>, DistributionError> {
        of_vertices(&self.sojourn_times()?, vertices)
    }

    /// Totals under a reward vector: expectation `α (I − T)⁻¹ R`, variance, gradients (see [`Rewarded`]). One solve; each
    /// question says what it takes beyond that. Its `moments` are the continuous ones; those of the
    /// total itself are [`reward_moments`](Self::reward_moments).
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and for rewards of the wrong length or that are not finite.
    pub fn rewarded(&self, rewards: &[f64]) -> Result<Rewarded<'_, 'p>, DistributionError> {
        Ok(self.at()?.rewarded(rewards)?)
    }

    /// The first `count` raw moments `E[N], E[N²], …` of the number of jumps, [`reward_moments`](Self::reward_moments) for
    /// rewards of 1, by whose recursion they are found. phasic has no right ones beyond the first (numerics specification,
    /// section 6). `count` solves.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation); [`DistributionError::MomentCount`] for more than 1,000;
    /// [`DistributionError::MomentRange`] for the first moment beyond f64.
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        self.reward_moments(&vec![1.0; self.chain.plan().vertex_count() as usize], count)
    }

    /// The first `count` raw moments of a total reward `Y`, one reward for each visit of a vertex, by what the first jump
    /// brings (first-step analysis: Kemeny and Snell 1960, chapter 3): `E[Yᵏ] = W(Rᵏ + Σᵢ C(k,i) Rᵏ⁻ⁱ ∘ T E[Yⁱ])`, `i` from 1 to `k − 1`, with `W` the solve `(I − T)⁻¹`; all sums are of
    /// numbers of one sign where rewards are. `count` solves and `O(count² V)`.
    ///
    /// # Errors
    /// As [`moments`](Self::moments), and for rewards of the wrong length or that are not finite.
    pub fn reward_moments(&self, rewards: &[f64], count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let at = self.at()?;
        at.rewarded(rewards)?;
        let visits = at.sojourn_times();
        // What a vertex earns that is never visited does not matter, however much it is.
        let earned = |&vertex: &u32| {
            let is_visited = visits[vertex as usize] > 0.0;
            if is_visited { Scaled::of(rewards[vertex as usize]) } else { Scaled::ZERO }
        };
        let earned: Vec<Scaled> = self.chain.pattern().vertices.iter().map(earned).collect();
        let mut moments = Vec::new();
        // T·E[Yⁱ] by position, from i = 1.
        let mut ahead: Vec<Ahead> = Vec::new();
        for order in 1..=count {
            let binomials = binomials(order);
            let sources = earned.iter().enumerate();
            let sources = sources.map(|(position, &reward)| source(reward, &binomials, &ahead, position));
            let sources: Vec<Scaled> = sources.collect();
            let unit = sources.iter().filter_map(|source| source.exponent()).max().unwrap_or(0);
            let (value, next) = self.solved(at, |position, _| sources[position].in_units(unit), order)?;
            moments.push(in_ones(Scaled::new(value, unit), order)?);
            ahead.push(Ahead::new(&next, unit));
        }
        Ok(moments)
    }

    /// Gradients with respect to θ of the first `count` raw moments of a total reward, one reward for each visit of a vertex, by
    /// going back over what the first jump brings ([`reward_moments`](Self::reward_moments)). All is done with twice the
    /// digits, so each entry is good by itself, unless more than 19 digits cancel. An elimination that takes some twenty times
    /// as long as the plain one, `2 count` solves, and `O(count² E)` for E edges.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments), whose moments these are of.
    pub fn reward_moment_gradients(
        &self,
        rewards: &[f64],
        count: usize,
    ) -> Result<Vec<Vec<f64>>, DistributionError> {
        self.reward_moments(rewards, count)?;
        Ok(self.at()?.jump_moment_gradients(rewards, count)?)
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

/// Numbers by position, the largest next to 1 in units of 2 to the power of `unit`.
struct Ahead {
    values: Vec<f64>,
    unit: i64,
}

impl Ahead {
    /// Those of other units.
    fn new(values: &[f64], unit: i64) -> Self {
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let more = Scaled::of(largest).exponent().unwrap_or(0);
        let values = values.iter().map(|&value| Scaled::of(value).in_units(more)).collect();
        Self { values, unit: unit + more }
    }

    fn at(&self, position: usize) -> Scaled {
        Scaled::new(self.values[position], self.unit)
    }
}

/// `C(k, j)` from `j = 1` to `k − 1`.
fn binomials(k: usize) -> Vec<Scaled> {
    let mut binomial = 1.0;
    let next = |j: usize| {
        binomial *= (k - j + 1) as f64 / j as f64;
        Scaled::of(binomial)
    };
    (1..k).map(next).collect()
}

/// `Rᵏ + Σⱼ C(k,j) Rʲ T E[Yᵏ⁻ʲ]` at a position.
fn source(reward: Scaled, binomials: &[Scaled], ahead: &[Ahead], at: usize) -> Scaled {
    let (mut power, mut sum) = (reward, Scaled::ZERO);
    for (&binomial, ahead) in binomials.iter().zip(ahead.iter().rev()) {
        sum = sum.plus(binomial.times(power).times(ahead.at(at)));
        power = power.times(reward);
    }
    sum.plus(power)
}

/// A moment, unless it is beyond f64: too large, or not 0 and yet so small that it would be.
fn in_ones(moment: Scaled, order: usize) -> Result<f64, DistributionError> {
    let found = moment.in_units(0);
    if !found.is_finite() || moment.exponent().is_some() && found.abs() < f64::MIN_POSITIVE {
        return Err(DistributionError::MomentRange { order });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
