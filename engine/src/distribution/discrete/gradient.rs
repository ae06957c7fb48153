//! Gradients of probabilities of numbers of jumps with respect to θ.

use ndarray::Array2;

use super::reverse::{Functional, check_memory};
use super::walk::Depth;
use super::{JumpDistribution, JumpProbability};
use crate::distribution::DistributionError;

impl JumpDistribution<'_> {
    /// Probabilities `α Tʲ⁻¹ t` of numbers of jumps and their gradients with respect to θ: a row for each number.
    ///
    /// With `z_k = Tʲ⁻ᵏ⁻¹ t`, the slope by the probability of a jump from `v` to `w` is `Σ_k (α Tᵏ)(v) z_{k+1}(w)`: reverse
    /// differentiation, with states made again from checkpoints (Griewank and Walther, Evaluating Derivatives, second edition,
    /// 2008, chapters 3 and 12).
    /// Two passes over the jumps and one back for each number, `O(E)` a jump; states are kept for four times the square root of
    /// the number of jumps. Weights are divided by their sums, so a parameter that all edges of a vertex share has no part
    /// in the slope. NaN where the process can reach a vertex that has no weight at θ: numbers jump there.
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf), and [`DistributionError::JumpTrailMemory`] where those states take more than 1 GiB.
    pub fn pmf_gradient(&self, jumps: &[u64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(jumps, 0, |known| known.pmf)
    }

    /// Distribution functions `1 − α Tʲ 1` of numbers of jumps and their gradients with respect to θ: a row for each number.
    /// Method and cost are those of [`pmf_gradient`](Self::pmf_gradient).
    ///
    /// # Errors
    /// As [`pmf_gradient`](Self::pmf_gradient).
    pub fn cdf_gradient(&self, jumps: &[u64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(jumps, 1, |known| known.cdf)
    }

    /// Probabilities `α Tʲ 1` of more than numbers of jumps and their gradients with respect to θ: a row for each number. Method
    /// and cost are those of [`pmf_gradient`](Self::pmf_gradient).
    ///
    /// # Errors
    /// As [`pmf_gradient`](Self::pmf_gradient).
    pub fn survival_gradient(&self, jumps: &[u64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(jumps, 2, |known| known.survival)
    }

    fn gradients(
        &self,
        jumps: &[u64],
        which: usize,
        value: impl Fn(JumpProbability) -> f64,
    ) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        check_memory(self, jumps)?;
        let values = self.probabilities(jumps)?.into_iter().map(value).collect();
        let mut gradients = Array2::zeros((jumps.len(), self.chain.plan().param_length()));
        let mut coefficients = [0.0; 3];
        coefficients[which] = 1.0;
        for (mut row, &jumps) in gradients.rows_mut().into_iter().zip(jumps) {
            let (jumps, coefficients) = (vec![jumps], vec![coefficients]);
            let functional = Functional { jumps, coefficients, depth: Depth::Ones };
            row.iter_mut().zip(functional.gradient(self)).for_each(|(slot, slope)| *slot = slope);
        }
        Ok((values, gradients))
    }
}
