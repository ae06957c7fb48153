//! Expected totals and their moments: thin over the plan at one θ.

use ndarray::Array2;

use super::error::of_rewards;
use super::{Distribution, DistributionError};
use crate::plan::{At, MOST_MOMENTS, Rewarded};

/// Totals at one θ in continuous time: numbers within the range of f64, or errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals<'a, 'p>(&'a At<'p>);

impl<'a, 'p> Totals<'a, 'p> {
    pub(crate) fn of(at: &'a At<'p>) -> Self {
        Self(at)
    }

    /// See [`Distribution::reward_expectation`].
    pub(crate) fn expectation(self, rewards: &[f64]) -> Result<f64, DistributionError> {
        let mean = self.0.rewarded(rewards)?.expectation();
        if mean.is_finite() { Ok(mean) } else { Err(DistributionError::MomentRange { order: 1 }) }
    }

    /// See [`Distribution::reward_variance`].
    pub(crate) fn variance(self, rewards: &[f64]) -> Result<f64, DistributionError> {
        let rewarded = self.0.rewarded(rewards)?;
        spread(rewarded.expectation(), rewarded.variance())
    }

    /// See [`Distribution::reward_moments`].
    pub(crate) fn moments(self, rewards: &[f64], count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let mut moments = vec![0.0; count];
        self.0.rewarded(rewards)?.moments_into(&mut moments);
        all_in_range(moments, rewards)
    }

    /// See [`Distribution::covariance`].
    pub(crate) fn covariance(self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        let ones = vec![1.0; self.0.vertex_count() as usize];
        let [first, second] = [first, second].map(|rewards| or_ones(rewards, &ones));
        let one = self.0.rewarded(first).map_err(of_rewards(0))?;
        let other = self.0.rewarded(second).map_err(of_rewards(1))?;
        let covariance = told(one.covariance(&other), || [one.expectation(), other.expectation()]);
        covariance_in_range(covariance, [0, 1])
    }
}

impl<'p> Distribution<'p> {
    /// Expected time to absorption, given that the process starts: `−α S⁻¹ 1 / Σα` (Neuts 1981, section 2.2). One elimination,
    /// the first time that anything is asked of this θ that needs one; one solve.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when absorption is not certain.
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.at()?.expectation())
    }

    /// Variance of the time to absorption, given that the process starts: `2 α S⁻² 1 − (α S⁻¹ 1)²` for α divided by its sum
    /// (Neuts 1981, section 2.2), without the cancellation of that difference. Two solves; four where digits are few.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::MomentRange`] when it is beyond f64: too large, or so
    /// small that it would be 0.
    pub fn variance(&self) -> Result<f64, DistributionError> {
        spread(self.at()?.expectation(), self.at()?.variance())
    }

    /// Expected total reward, given that the process starts: `α (−S)⁻¹ R / Σα` (Bladt and Nielsen 2017, section 8.1). One solve.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_expectation(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        Totals::of(self.at()?).expectation(rewards)
    }

    /// Variance of a total reward, given that the process starts: `2 α U diag(R) U R − (α U R)²` for `U = (−S)⁻¹`, its
    /// [`covariance`](Self::covariance) with itself, where nothing cancels (Bladt and Nielsen 2017, section 8.1). Two solves.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments), and [`DistributionError::MomentRange`] as of
    /// [`variance`](Self::variance).
    pub fn reward_variance(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        Totals::of(self.at()?).variance(rewards)
    }

    /// The first `count` raw moments of the time to absorption, given that the process starts: `k! α (−S)⁻ᵏ 1 / Σα` (Neuts 1981,
    /// section 2.2). One solve each.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), [`DistributionError::MomentCount`] for more than 1,000, and [`DistributionError::MomentRange`] for the first moment beyond f64.
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        let at = self.at()?;
        Totals::of(at).moments(&vec![1.0; at.vertex_count() as usize], count)
    }

    /// The first `count` raw moments of a total reward: `k! α ((−S)⁻¹ diag(R))ᵏ 1 / Σα` (Bladt and Nielsen, Matrix-Exponential
    /// Distributions in Applied Probability, 2017, section 8.1). One solve each.
    ///
    /// # Errors
    /// As [`moments`](Self::moments), and for rewards of the wrong length or that are not finite.
    pub fn reward_moments(&self, rewards: &[f64], count: usize) -> Result<Vec<f64>, DistributionError> {
        Totals::of(self.at()?).moments(rewards, count)
    }

    /// Totals under a reward vector: one reward per vertex, earned per unit of time spent there. `(−S)⁻¹ R` from every vertex (Bladt
    /// and Nielsen 2017, section 8.1); see [`Rewarded`] for what can be asked. One solve.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn rewarded(&self, rewards: &[f64]) -> Result<Rewarded<'_, 'p>, DistributionError> {
        Ok(self.at()?.rewarded(rewards)?)
    }

    /// Covariance of two total rewards. An empty vector is one of ones, so that its total is the time.
    ///
    /// `E[XY] − E[X] E[Y]` with `E[XY] = α U diag(R₁) U R₂ + α U diag(R₂) U R₁` for `U = (−S)⁻¹` (Bladt and Nielsen 2017, section
    /// 8.1), as a sum over jumps of products of what each changes of both expectations, in which nothing cancels. Three
    /// solves.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments), with [`DistributionError::Reward`] around what is wrong with one of the
    /// vectors, and [`DistributionError::CovarianceRange`] for a covariance beyond f64: too large, or so small that it would
    /// be 0.
    pub fn covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        Totals::of(self.at()?).covariance(first, second)
    }

    /// Correlation of two total rewards: their [`covariance`](Self::covariance) over the root of the product of both variances,
    /// from −1 to 1. Two solves each.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance), and [`DistributionError::NoVariance`] when a total does not vary.
    pub fn correlation(&self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        let matrix = self.correlation_matrix(&[first, second])?;
        Ok(matrix[[0, 1]])
    }

    /// Covariances of many total rewards; an empty vector is one of ones. The formula of [`covariance`](Self::covariance) (Bladt
    /// and Nielsen 2017, section 8.1) in another order:
    ///
    /// With `x = W(R)` from every vertex and expected sojourn times `z`, the covariance of two is
    /// `Σ z (x₁R₂ + x₂R₁) − m₁m₂`: one solve for each reward vector and one for `z`. Where that difference has lost more than
    /// a digit, the covariance is found by itself, as [`covariance`](Self::covariance) does.
    ///
    /// # Errors
    /// As [`covariance`](Self::covariance).
    pub fn covariance_matrix<R: AsRef<[f64]>>(
        &self,
        rewards: &[R],
    ) -> Result<Array2<f64>, DistributionError> {
        let at = self.at()?;
        let ones = vec![1.0; at.vertex_count() as usize];
        let rewards: Vec<&[f64]> = rewards.iter().map(|rewards| or_ones(rewards.as_ref(), &ones)).collect();
        let matrix = covariances(at, &rewards, false)?;
        for ((first, second), &covariance) in matrix.indexed_iter() {
            covariance_in_range(covariance, [first, second])?;
        }
        Ok(matrix)
    }

    /// Correlations of many total rewards: their [covariances](Self::covariance_matrix) over the roots of the products of both
    /// variances, and as expensive.
    ///
    /// # Errors
    /// As [`correlation`](Self::correlation).
    pub fn correlation_matrix<R: AsRef<[f64]>>(
        &self,
        rewards: &[R],
    ) -> Result<Array2<f64>, DistributionError> {
        // Correlations do not depend on units, and in units of the largest reward no product leaves f64.
        let in_units: Vec<Vec<f64>> = rewards.iter().map(|rewards| in_units(rewards.as_ref()).0).collect();
        correlations(self.covariance_matrix(&in_units)?)
    }

    /// Expected time to absorption from every vertex of the graph, `(−S)⁻¹ 1` (Neuts 1981, section 2.2): 0 for absorbing
    /// vertices, NaN for those the start does not reach by any edge, and infinite for those from which absorption is not
    /// certain at this θ, where the start leads with probability 0. One solve.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn waiting_times(&self) -> Result<Vec<f64>, DistributionError> {
        Ok(self.at()?.waiting_times())
    }

    /// Expected time to absorption from each of the vertices named: entries of [`waiting_times`](Self::waiting_times), whose cost it
    /// has however few they are.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::Vertex`] for one that does not exist.
    pub fn waiting_times_of(&self, vertices: &[u32]) -> Result<Vec<f64>, DistributionError> {
        of_vertices(&self.waiting_times()?, vertices)
    }

    /// Expected time spent in every vertex of the graph, given that the process starts: `α (−S)⁻¹ / Σα`, the row of
    /// Green's matrix (Bladt and Nielsen 2017, section 3.1). One transposed solve.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn sojourn_times(&self) -> Result<Vec<f64>, DistributionError> {
        Ok(self.at()?.sojourn_times())
    }

    /// Expected time spent in each of the vertices named: entries of [`sojourn_times`](Self::sojourn_times), whose cost it has
    /// however few they are.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation), and [`DistributionError::Vertex`] for one that does not exist.
    pub fn sojourn_times_of(&self, vertices: &[u32]) -> Result<Vec<f64>, DistributionError> {
        of_vertices(&self.sojourn_times()?, vertices)
    }
}

/// The numbers of the vertices named.
pub(super) fn of_vertices(all: &[f64], vertices: &[u32]) -> Result<Vec<f64>, DistributionError> {
    let of = |(index, &vertex): (usize, &u32)| {
        let vertices = all.len() as u32;
        all.get(vertex as usize).copied().ok_or(DistributionError::Vertex { index, vertex, vertices })
    };
    vertices.iter().enumerate().map(of).collect()
}

/// Covariances of totals; `per_visit` says that a reward is earned at once at each visit, as in discrete time.
///
/// With `x = W(R)` and expected sojourn times (visits) `z`, `Σ z (x₁R₂ + x₂R₁) − m₁m₂`, less `Σ z R₁R₂` per visit. Where that
/// difference has lost more than a digit, the covariance is found by itself.
pub(super) fn covariances(
    at: &At<'_>,
    rewards: &[&[f64]],
    per_visit: bool,
) -> Result<Array2<f64>, DistributionError> {
    let sojourn = at.sojourn_times();
    let mut earned = Vec::with_capacity(rewards.len());
    for (index, rewards) in rewards.iter().enumerate() {
        let rewarded = at.rewarded(rewards).map_err(of_rewards(index))?;
        let (times, mean) = (rewarded.waiting_times(), rewarded.expectation());
        earned.push((times, mean, rewarded));
    }
    let once = if per_visit { 1.0 } else { 0.0 };
    let mut matrix = Array2::zeros((rewards.len(), rewards.len()));
    for first in 0..rewards.len() {
        for second in 0..=first {
            let ((x, mean_x, one), (y, mean_y, other)) = (&earned[first], &earned[second]);
            let (r, s) = (rewards[first], rewards[second]);
            let visited = (0..sojourn.len()).filter(|&vertex| sojourn[vertex] > 0.0);
            let (mut cross, mut size) = (0.0, 0.0_f64);
            for v in visited {
                let [both, minus] = [x[v] * s[v] + y[v] * r[v], once * r[v] * s[v]];
                cross += sojourn[v] * (both - minus);
                size += sojourn[v] * (both.abs() + minus.abs());
            }
            let product = mean_x * mean_y;
            let cancels = (cross - product).abs() * 16.0 < size + product.abs();
            let covariance = if cancels { one.covariance(other) } else { cross - product };
            matrix[[first, second]] = told(covariance, || [*mean_x, *mean_y]);
            matrix[[second, first]] = matrix[[first, second]];
        }
    }
    Ok(matrix)
}

/// Covariances over the roots of the products of variances.
pub(super) fn correlations(mut matrix: Array2<f64>) -> Result<Array2<f64>, DistributionError> {
    let deviations: Vec<f64> = matrix.diag().iter().map(|variance| variance.sqrt()).collect();
    if let Some(index) = deviations.iter().position(|deviation| deviation.is_nan() || *deviation <= 0.0) {
        return Err(DistributionError::NoVariance { index });
    }
    for ((first, second), value) in matrix.indexed_iter_mut() {
        // Rounding must not lead beyond what a correlation can be.
        let correlation = *value / (deviations[first] * deviations[second]);
        *value = if first == second { 1.0 } else { correlation.clamp(-1.0, 1.0) };
    }
    Ok(matrix)
}

/// A variance that is a number. In continuous time a total that is not always 0 varies.
pub(super) fn spread(mean: f64, variance: f64) -> Result<f64, DistributionError> {
    if mean != 0.0 && variance <= 0.0 {
        return Err(DistributionError::MomentRange { order: 2 });
    }
    in_range(variance)
}

/// A second moment that is a number.
fn in_range(moment: f64) -> Result<f64, DistributionError> {
    if moment.is_finite() { Ok(moment) } else { Err(DistributionError::MomentRange { order: 2 }) }
}

/// A covariance, unless it is next to 0 for being too small: the product of both means is, too, though neither is 0. Then it
/// is not a number.
pub(super) fn told(covariance: f64, means: impl FnOnce() -> [f64; 2]) -> f64 {
    if covariance.abs() >= f64::MIN_POSITIVE {
        return covariance;
    }
    let [mean, other] = means();
    let is_lost = mean != 0.0 && other != 0.0 && (mean * other).abs() < f64::MIN_POSITIVE;
    if is_lost { f64::NAN } else { covariance }
}

/// A covariance that is a number.
pub(super) fn covariance_in_range(
    covariance: f64,
    [first, second]: [usize; 2],
) -> Result<f64, DistributionError> {
    if covariance.is_finite() {
        Ok(covariance)
    } else {
        Err(DistributionError::CovarianceRange { first, second })
    }
}

/// Raw moments that are numbers: of rewards of one sign that earn something none is 0, but for one that is too small.
pub(super) fn all_in_range(moments: Vec<f64>, rewards: &[f64]) -> Result<Vec<f64>, DistributionError> {
    let negative = rewards.iter().any(|&reward| reward < 0.0);
    let one_sign = !(negative && rewards.iter().any(|&reward| reward > 0.0));
    let earned = one_sign && moments.first().is_some_and(|&mean| mean != 0.0);
    let is_lost =
        |moment: &f64| !moment.is_finite() || moment.abs() < f64::MIN_POSITIVE && (earned || *moment != 0.0);
    match moments.iter().position(is_lost) {
        Some(at) => Err(DistributionError::MomentRange { order: at + 1 }),
        None => Ok(moments),
    }
}

/// Refuses more moments than there may be.
pub(super) fn check_count(count: usize) -> Result<(), DistributionError> {
    let limit = MOST_MOMENTS;
    if count > limit { Err(DistributionError::MomentCount { count, limit }) } else { Ok(()) }
}

/// Rewards, or ones if there are none.
pub(super) fn or_ones<'a>(rewards: &'a [f64], ones: &'a [f64]) -> &'a [f64] {
    if rewards.is_empty() { ones } else { rewards }
}

/// Rewards divided by the power of two next to the largest, and its exponent.
pub(crate) fn in_units(rewards: &[f64]) -> (Vec<f64>, i32) {
    let largest = rewards.iter().fold(0.0_f64, |most, reward| most.max(reward.abs()));
    let exponent = if largest.is_normal() { largest.log2() as i32 } else { 0 };
    (rewards.iter().map(|&reward| scaled(reward, -exponent)).collect(), exponent)
}

/// A moment in such units, in those of the rewards, unless it is beyond f64: too large, or not 0 and yet so small that it
/// would be.
pub(super) fn from_units(moment: f64, exponent: i32, order: usize) -> Result<f64, DistributionError> {
    let found = scaled(moment, exponent.saturating_mul(i32::try_from(order).unwrap_or(i32::MAX)));
    if !found.is_finite() || moment != 0.0 && found.abs() < f64::MIN_POSITIVE {
        return Err(DistributionError::MomentRange { order });
    }
    Ok(found)
}

/// `value · 2^exponent`, in two steps so that neither factor leaves f64 before the product does.
fn scaled(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half)
}
