//! Likelihoods of observed times, as functions of θ.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::error::of_row;
use super::gradient::check_gradient;
use super::observations::Observations;
use super::run::Run;
use super::trail::WayBack;
use super::{DistributionError, Start};
use crate::plan::Plan;

/// The log-likelihood of independent observations of the time to absorption, as a function of θ.
///
/// Made once for a plan and its data, it is asked at any number of θ. An absorption seen at time `t > 0` counts with
/// `ln f(t)`, a time `c` at which the process was still alive (right-censored) with `ln P(T > c)`. An observation of exactly
/// 0 counts with the logarithm of the atom at 0, if initial probabilities make one, and else of the density at 0. Where a
/// density is 0 the log-likelihood is `−∞`, its gradient not a number; that is no error, so that a sampler can move on. So it
/// is below about `e^−10⁶`, and for densities so early that of the whole mass less than `e^−600` has got through by then.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
///
/// // Exponential times: n ln θ − θ Σt, and its derivative n/θ − Σt.
/// let likelihood = plan.likelihood(&[0.5, 1.5, 1.0])?;
/// let (value, gradient) = likelihood.value_and_gradient(&[2.0])?;
/// assert!((value - (3.0 * 2.0_f64.ln() - 6.0)).abs() < 1e-12);
/// assert!((gradient[0] - (1.5 - 3.0)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Likelihood<'p> {
    plan: &'p Plan,
    start: Start,
    observations: Observations,
    back: WayBack,
    jump_limit: Option<u64>,
}

impl Plan {
    /// The likelihood `Π f(tᵢ)` of observed times to absorption: [`censored_likelihood`](Self::censored_likelihood) of none that
    /// is censored. Sorts them, and does no other work yet.
    ///
    /// # Errors
    /// [`DistributionError::NoObservations`], [`DistributionError::Observation`] for a time that is negative, infinite or not
    /// a number, [`DistributionError::DiscreteTime`].
    pub fn likelihood(&self, observed: &[f64]) -> Result<Likelihood<'_>, DistributionError> {
        self.censored_likelihood(observed, &[])
    }

    /// The likelihood of observed times to absorption, and of times at which a process was last seen alive:
    /// `Π f(tᵢ) · Π P(T > cᵢ)` (Lawless, Statistical Models and Methods for Lifetime Data, 2003, section 2.2). Sorts them, and
    /// does no other work yet.
    ///
    /// # Errors
    /// As [`likelihood`](Self::likelihood); a faulty censored time is counted on from the observed ones.
    pub fn censored_likelihood(
        &self,
        observed: &[f64],
        censored: &[f64],
    ) -> Result<Likelihood<'_>, DistributionError> {
        if self.is_discrete() {
            return Err(DistributionError::DiscreteTime);
        }
        let observations = Observations::new(observed, censored)?;
        Ok(Likelihood {
            plan: self,
            start: Start::default(),
            observations,
            back: WayBack::times(1),
            jump_limit: None,
        })
    }
}

impl<'p> Likelihood<'p> {
    /// This likelihood with another treatment of initial probabilities that do not sum to one; see [`Start`], and
    /// [`Distribution::start`](super::Distribution::start) for its source and cost.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// This likelihood with another bound on the jumps that a sweep may take; see
    /// [`Distribution::with_jump_limit`](super::Distribution::with_jump_limit).
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = Some(jump_limit);
        self
    }

    #[cfg(test)]
    pub(super) fn with_room(mut self, room: usize) -> Self {
        self.back.room = room;
        self
    }

    /// The log-likelihood at θ, `Σ ln f(tᵢ) + Σ ln P(T > cᵢ)`. One sweep to the last time, by the method of
    /// [`Distribution::pdf`](super::Distribution::pdf); every density is accurate relative to itself.
    ///
    /// # Errors
    /// As [`Plan::distribution`] and [`Distribution::pdf`](super::Distribution::pdf).
    pub fn value(&self, theta: &[f64]) -> Result<f64, DistributionError> {
        Ok(self.run(theta, false)?.log_likelihood(&self.observations))
    }

    /// The log-likelihood at θ and its gradient `Σ ∇f(tᵢ)/f(tᵢ) + Σ ∇P(T > cᵢ)/P(T > cᵢ)`, one sum that one adjoint goes back for,
    /// as [`Distribution::pdf_gradient`](super::Distribution::pdf_gradient) does for each time (reverse differentiation with
    /// checkpoints: Griewank and Walther, Evaluating Derivatives, second edition, 2008, chapters 3 and 12).
    ///
    /// A forward and a reverse sweep: two to four times a value, whatever the number of parameters and observations.
    /// Beyond 1 MiB of states the forward sweep is run again block by block, from states that are kept: 32 MiB of them for
    /// every million jumps at most, unless blocks as long as the square root of the jumps need more. Where that is too much,
    /// or takes longer, up to 1,024 vertices leap by powers of a dense matrix, whatever the rates: `(1 + 2p) n³ log₂ λt`
    /// multiply-adds for `p` parameters.
    ///
    /// # Errors
    /// As [`value`](Self::value), [`DistributionError::GradientRange`] for a slope beyond f64, and
    /// [`DistributionError::TrailMemory`] where the way back takes more than 1 GiB and leaps are no way out.
    pub fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), DistributionError> {
        let mut run = self.run(theta, true)?;
        let value = run.log_likelihood(&self.observations);
        let gradient = run.log_likelihood_gradient(&self.observations).swap_remove(0);
        if value > f64::NEG_INFINITY {
            check_gradient(&ArrayView1::from(&gradient), None)?;
        }
        Ok((value, gradient))
    }

    /// Log-likelihoods and gradients at many θ, one a row: for each what [`value_and_gradient`](Self::value_and_gradient) gives,
    /// and as expensive; on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`DistributionError::Row`] around that of the first θ without a number, as [`value`](Self::value).
    pub fn batch(&self, thetas: &ArrayView2<'_, f64>) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        batch(thetas, self.plan.param_length(), |theta| self.value_and_gradient(theta))
    }

    fn run(&self, theta: &[f64], trail: bool) -> Result<Run<'p>, DistributionError> {
        let mut chain = self.plan.chain(theta)?;
        chain.set_start(self.start)?;
        if let Some(jump_limit) = self.jump_limit {
            chain.set_jump_limit(jump_limit);
        }
        let run = Run::new(vec![chain], &[], &self.observations.times, trail.then_some(self.back));
        run.map_err(|error| self.observations.place(error))
    }
}

/// Values and gradients at each row, on the threads of the current rayon pool.
pub(super) fn batch(
    thetas: &ArrayView2<'_, f64>,
    parameters: usize,
    at: impl Fn(&[f64]) -> Result<(f64, Vec<f64>), DistributionError> + Sync,
) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
    let rows: Vec<Vec<f64>> = thetas.rows().into_iter().map(|row| row.to_vec()).collect();
    let found: Vec<_> = rows.par_iter().map(|theta| at(theta)).collect();
    let mut values = Vec::with_capacity(rows.len());
    let mut gradients = Array2::zeros((rows.len(), parameters));
    for (row, (mut slots, found)) in gradients.rows_mut().into_iter().zip(found).enumerate() {
        let (value, gradient) = found.map_err(of_row(row))?;
        values.push(value);
        slots.iter_mut().zip(gradient).for_each(|(slot, slope)| *slot = slope);
    }
    Ok((values, gradients))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::super::tests::{erlang, plan};
    use super::*;
    use crate::plan::EvaluationError;

    #[test]
    fn a_batch_has_the_values_and_gradients_of_each_theta_alone() {
        let plan = plan(&erlang(3));
        let likelihood = plan.censored_likelihood(&[0.4, 2.5, 1.0], &[1.5]).unwrap();
        let thetas = Array2::from_shape_fn((50, 1), |(row, _)| 0.1 + 0.07 * row as f64);
        let (values, gradients) = likelihood.batch(&thetas.view()).unwrap();
        assert_eq!((values.len(), gradients.dim()), (50, (50, 1)));
        for (row, theta) in thetas.rows().into_iter().enumerate() {
            let (value, gradient) = likelihood.value_and_gradient(&theta.to_vec()).unwrap();
            assert_eq!((values[row], gradients.row(row).to_vec()), (value, gradient));
        }
        // The gradient leads uphill.
        let best = (0..50).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
        assert!(gradients[[best - 1, 0]] > 0.0 && gradients[[best + 1, 0]] < 0.0, "{best}");
        let (none, empty) = likelihood.batch(&Array2::zeros((0, 1)).view()).unwrap();
        assert!(none.is_empty() && empty.is_empty());
    }

    #[test]
    fn an_impossible_theta_is_no_error_in_a_batch_and_a_wrong_one_is() {
        let plan = plan(&erlang(2));
        let likelihood = plan.likelihood(&[1.0]).unwrap();
        // At 0 nothing is ever absorbed.
        let (values, gradients) = likelihood.batch(&array![[1.0], [0.0]].view()).unwrap();
        assert!(values[0].is_finite() && values[1] == f64::NEG_INFINITY, "{values:?}");
        assert!(gradients[[0, 0]].is_finite() && gradients[[1, 0]].is_nan(), "{gradients}");
        let refused = likelihood.batch(&array![[1.0], [-2.0], [f64::NAN]].view()).unwrap_err();
        let negative = |error: &DistributionError| matches!(error, DistributionError::Evaluation(EvaluationError::InvalidWeight { weight, .. }) if *weight == -2.0);
        assert!(
            matches!(&refused, DistributionError::Row { row: 1, error } if negative(error)),
            "{refused:?}"
        );
        let refused = likelihood.batch(&array![[1.0, 2.0]].view()).unwrap_err();
        let of_length = DistributionError::Evaluation(EvaluationError::ThetaLength { expected: 1, found: 2 });
        assert_eq!(refused, DistributionError::Row { row: 0, error: Box::new(of_length) });
    }
}
