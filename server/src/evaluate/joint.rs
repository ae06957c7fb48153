//! Moments of total rewards: within the range of numbers, or refused; covariances and correlations of several.

use phasic_engine::distribution::DistributionError;
use phasic_engine::plan::{At, Rewarded};

use super::no_number::NoNumber;

/// A moment within the range of floating-point numbers.
pub(super) fn in_range(moment: f64, order: usize) -> Result<f64, DistributionError> {
    if moment.is_finite() { Ok(moment) } else { Err(DistributionError::MomentRange { order }) }
}

/// A variance; in continuous time every total varies that is not always 0, and what would be 0 is too small for a number.
pub(super) fn variance(total: &Rewarded<'_, '_>, discrete: bool) -> Result<f64, DistributionError> {
    let variance = total.variance();
    if !discrete && variance <= 0.0 && total.expectation() != 0.0 {
        return Err(DistributionError::MomentRange { order: 2 });
    }
    in_range(variance, 2)
}

/// Correlation of the first two total rewards: Cov(X, Y) / √(Var X Var Y).
pub(super) fn correlation(at: &At<'_>, rewards: &[Vec<f64>]) -> Result<f64, NoNumber> {
    Ok(matrix(at, rewards.get(..2).unwrap_or(rewards), true)?[0][1])
}

/// Covariances of all total rewards, or correlations. One pair of solves for each entry below the diagonal.
pub(super) fn matrix(at: &At<'_>, rewards: &[Vec<f64>], correlated: bool) -> Result<Vec<Vec<f64>>, NoNumber> {
    let totals = rewards.iter().map(|rewards| at.rewarded(rewards)).collect::<Result<Vec<_>, _>>()?;
    let variances: Vec<f64> = totals.iter().map(Rewarded::variance).collect();
    let is_constant = |variance: &f64| variance.is_nan() || *variance <= 0.0;
    if let Some(index) = variances.iter().position(is_constant).filter(|_| correlated) {
        return Err(NoNumber(format!(
            "the total of reward vector {index} (counted from 0) does not vary, so its correlations are undefined"
        )));
    }
    let mut matrix = vec![vec![0.0; rewards.len()]; rewards.len()];
    for first in 0..rewards.len() {
        matrix[first][first] = if correlated { 1.0 } else { in_range(variances[first], 2)? };
        for second in 0..first {
            let covariance = in_range(totals[second].covariance(&totals[first]), 2)?;
            let scale = if correlated { (variances[first] * variances[second]).sqrt() } else { 1.0 };
            matrix[first][second] = covariance / scale;
            matrix[second][first] = matrix[first][second];
        }
    }
    Ok(matrix)
}
