//! Gradients of densities and distribution functions with respect to θ.

use ndarray::{Array2, Array3, ArrayView1, Axis};

use super::curve::{ascending, check_finite};
use super::error::of_epoch;
use super::run::Run;
use super::trail::WayBack;
use super::{Distribution, DistributionError};

impl Distribution<'_> {
    /// Densities `α e^{St} s` and their gradients with respect to θ: a row for each time.
    ///
    /// The slope by a rate from `v` to `w` is `∫₀ᵗ p_u(v) (z_{t−u}(w) − z_{t−u}(v)) du` with `p_u = α e^{Su}` and
    /// `z_u = e^{Su} s`, over uniformized jumps `Σ_k p_k(v) (z_{k+1}(w) − z_{k+1}(v)) / λ`: reverse differentiation of the sweep
    /// (Griewank and Walther, Evaluating Derivatives, second edition, 2008, chapter 3).
    ///
    /// One forward sweep, and one reverse sweep for each time, all of whose jumps are held to the limit; see
    /// [`Likelihood::value_and_gradient`](super::Likelihood::value_and_gradient) for their cost, and for what is done where
    /// that is too much.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf), with infinite times refused; [`DistributionError::GradientRange`] for a slope beyond f64;
    /// [`DistributionError::TrailMemory`] where the way back takes more than 1 GiB and leaps are no way out.
    pub fn pdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(times, 0)
    }

    /// Distribution functions `Σα − α e^{St} 1` and their gradients with respect to θ: a row for each time. Method and cost are
    /// those of [`pdf_gradient`](Self::pdf_gradient).
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn cdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(times, 1)
    }

    /// Survival functions `1 − Σα + α e^{St} 1` and their gradients with respect to θ, both accurate where survival is small: a
    /// row for each time. Method and cost are those of [`pdf_gradient`](Self::pdf_gradient).
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn survival_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(times, 2)
    }

    fn gradients(&self, times: &[f64], which: usize) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        let chain = self.chain.clone();
        let (values, gradients) = in_order(times, which, |sorted| {
            Run::new(vec![chain], &[], sorted, Some(WayBack::times(sorted.len())))
        })?;
        Ok((values, gradients.index_axis_move(Axis(1), 0)))
    }
}

/// Refuses slopes beyond the range of f64.
pub(super) fn check_gradient(
    slopes: &ArrayView1<'_, f64>,
    index: Option<usize>,
) -> Result<(), DistributionError> {
    match slopes.iter().position(|slope| !slope.is_finite()) {
        Some(parameter) => Err(DistributionError::GradientRange { index, parameter }),
        None => Ok(()),
    }
}

/// Values and gradients at times in any order: of density (0), distribution function (1) or survival (2).
pub(super) fn in_order<'p>(
    times: &[f64],
    which: usize,
    run: impl FnOnce(&[f64]) -> Result<Run<'p>, DistributionError>,
) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
    check_finite(times)?;
    let order = ascending(times);
    let sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
    let named = |index: usize| order.get(index).map(|&at| at as usize);
    let mut run = run(&sorted).map_err(|error| error.map_index(named))?;
    let (found, slopes) = run.gradients(&sorted, which);
    let epochs = slopes.len_of(Axis(1));
    for (slopes, index) in slopes.outer_iter().zip(0..) {
        for (slopes, epoch) in slopes.rows().into_iter().zip(0..) {
            let checked = check_gradient(&slopes, named(index));
            if epochs > 1 { checked.map_err(of_epoch(epoch))? } else { checked? }
        }
    }
    let mut values = vec![0.0; times.len()];
    let mut gradients = Array3::zeros(slopes.raw_dim());
    for (from, &at) in order.iter().enumerate() {
        values[at as usize] = found[from];
        gradients.index_axis_mut(Axis(0), at as usize).assign(&slopes.index_axis(Axis(0), from));
    }
    Ok((values, gradients))
}
