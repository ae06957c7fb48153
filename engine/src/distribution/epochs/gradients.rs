//! Gradients and likelihoods across epochs.

use ndarray::{Array2, Array3};

use super::super::DistributionError;
use super::super::error::of_epoch;
use super::super::gradient::{self, check_gradient};
use super::super::observations::Observations;
use super::super::run::Run;
use super::super::trail::WayBack;
use super::Epochs;

impl<'p> Epochs<'p> {
    /// Densities `p(t) s` and their gradients with respect to the θ of every epoch: by time, epoch and parameter. Method as
    /// [`Distribution::pdf_gradient`](crate::distribution::Distribution::pdf_gradient), the adjoint carried back over
    /// breakpoints.
    ///
    /// One forward sweep through all epochs, and one reverse sweep for each time.
    ///
    /// # Errors
    /// As [`curve`](Self::curve), with infinite times refused, too. [`DistributionError::Epoch`] around
    /// [`DistributionError::GradientRange`] for a slope beyond f64, with the time and the parameter, and around
    /// [`DistributionError::TrailMemory`] where the way back takes more than 1 GiB and leaps are no way out.
    pub fn pdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
        gradient::in_order(times, 0, |sorted| self.run(sorted, sorted.len()))
    }

    /// Distribution functions `Σα − p(t) 1` and their gradients with respect to the θ of every epoch: by time, epoch and
    /// parameter. Method and cost are those of [`pdf_gradient`](Self::pdf_gradient).
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn cdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
        gradient::in_order(times, 1, |sorted| self.run(sorted, sorted.len()))
    }

    /// Survival functions `1 − Σα + p(t) 1` and their gradients with respect to the θ of every epoch: by time, epoch and
    /// parameter. Method and cost are those of [`pdf_gradient`](Self::pdf_gradient).
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn survival_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
        gradient::in_order(times, 2, |sorted| self.run(sorted, sorted.len()))
    }

    /// The log-likelihood `Σ ln f(tᵢ) + Σ ln P(T > cᵢ)` of observed times to absorption, and of times at which a process was last
    /// seen alive. One sweep through the epochs up to the last time.
    ///
    /// What counts how is told at [`Likelihood`](crate::distribution::Likelihood).
    ///
    /// # Errors
    /// As [`Plan::censored_likelihood`](crate::plan::Plan::censored_likelihood), which refuses infinite times, too;
    /// [`DistributionError::Epoch`] around [`DistributionError::Jumps`], with the place of the observation.
    pub fn log_likelihood(&self, observed: &[f64], censored: &[f64]) -> Result<f64, DistributionError> {
        let observations = Observations::new(observed, censored)?;
        let run = self.run(&observations.times, 0).map_err(|error| observations.place(error))?;
        Ok(run.log_likelihood(&observations))
    }

    /// The log-likelihood and its gradient with respect to the θ of every epoch, a row each.
    ///
    /// `Σ ∇f(tᵢ)/f(tᵢ) + Σ ∇P(T > cᵢ)/P(T > cᵢ)`, one sum that one adjoint goes back for: a forward and a reverse sweep, as for
    /// a θ that does not change; see
    /// [`Likelihood::value_and_gradient`](crate::distribution::Likelihood::value_and_gradient).
    ///
    /// NaN where the log-likelihood is `−∞`.
    ///
    /// # Errors
    /// As [`log_likelihood`](Self::log_likelihood); [`DistributionError::Epoch`] around
    /// [`DistributionError::GradientRange`] for a slope beyond f64, with the parameter, and around
    /// [`DistributionError::TrailMemory`] where the way back takes more than 1 GiB and leaps are no way out.
    pub fn log_likelihood_gradient(
        &self,
        observed: &[f64],
        censored: &[f64],
    ) -> Result<(f64, Array2<f64>), DistributionError> {
        let observations = Observations::new(observed, censored)?;
        let mut run = self.run(&observations.times, 1).map_err(|error| observations.place(error))?;
        let mut gradient = Array2::zeros((self.thetas.len(), self.plan.param_length()));
        let found = run.log_likelihood_gradient(&observations);
        gradient.iter_mut().zip(found.iter().flatten()).for_each(|(slot, &slope)| *slot = slope);
        let value = run.log_likelihood(&observations);
        for (row, epoch) in gradient.rows().into_iter().zip(0..) {
            if value > f64::NEG_INFINITY {
                check_gradient(&row, None).map_err(of_epoch(epoch))?;
            }
        }
        Ok((value, gradient))
    }

    /// With ways back for so many gradients.
    fn run(&self, times: &[f64], gradients: usize) -> Result<Run<'p>, DistributionError> {
        let mut chains = Vec::with_capacity(self.thetas.len());
        for theta in &self.thetas {
            let mut chain = self.plan.chain(theta)?;
            chain.set_start(self.start)?;
            self.limit(&mut chain);
            chains.push(chain);
        }
        Run::new(chains, &self.breakpoints, times, (gradients > 0).then(|| WayBack::times(gradients)))
    }
}
