//! Continuous time with parameters that change at given times.

use super::continuous::sample_limits;
use super::law::{Found, Law, Treatment, joint, rows};
use super::{Function, Model, NoAnswer, Observations, Quantity, States};
use crate::distribution::{Epochs, SampleLimits};
use crate::plan::Plan;

/// The time to absorption when θ is another from each breakpoint on.
pub(super) struct Changing<'m> {
    plan: &'m Plan,
    treatment: &'m Treatment,
    sample_limits: SampleLimits,
    law: Epochs<'m>,
}

impl<'m> Changing<'m> {
    pub(super) fn new(
        model: &'m Model<'_>,
        treatment: &'m Treatment,
        theta: Vec<f64>,
    ) -> Result<Self, NoAnswer> {
        let plan = model.plan()?;
        let sample_limits = sample_limits(model, treatment.jumps_of(plan));
        Ok(Self { plan, treatment, sample_limits, law: epochs(plan, treatment, theta)? })
    }
}

fn epochs<'m>(plan: &'m Plan, treatment: &Treatment, theta: Vec<f64>) -> Result<Epochs<'m>, NoAnswer> {
    let breakpoints: Vec<f64> = treatment.epochs.iter().map(|epoch| epoch.from).collect();
    let later = treatment.epochs.iter().map(|epoch| epoch.theta.clone());
    let thetas: Vec<Vec<f64>> = std::iter::once(theta).chain(later).collect();
    let mut law = plan.epochs(&breakpoints, &thetas)?.start(treatment.start);
    if let Some(limit) = treatment.jumps_of(plan) {
        law = law.with_jump_limit(limit);
    }
    if let Some(tolerance) = treatment.tolerance {
        law = law.tolerance(tolerance)?;
    }
    Ok(law)
}

impl Law for Changing<'_> {
    fn set(&mut self, theta: Option<&[f64]>) -> Result<(), NoAnswer> {
        let ones = || vec![1.0; self.plan.param_length()];
        self.law = epochs(self.plan, self.treatment, theta.map_or_else(ones, <[f64]>::to_vec))?;
        Ok(())
    }

    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        Ok(match (quantity, rewards) {
            (Quantity::Expectation, []) => Found::One(self.law.expectation()?),
            (Quantity::Variance, []) => Found::One(self.law.variance()?),
            (Quantity::Moments(count), []) => Found::Many(self.law.moments(*count as usize)?),
            (Quantity::Expectation, [rewards]) => Found::One(self.law.reward_expectation(rewards)?),
            (Quantity::Variance, [rewards]) => Found::One(self.law.reward_variance(rewards)?),
            (Quantity::Moments(count), [rewards]) => {
                Found::Many(self.law.reward_moments(rewards, *count as usize)?)
            }
            (
                Quantity::Covariance | Quantity::Correlation | Quantity::Covariances | Quantity::Correlations,
                _,
            ) => joint(
                quantity,
                rewards,
                |first, second| Ok(self.law.covariance(first, second)?),
                |rewards| Ok(self.law.reward_variance(rewards)?),
            )?,
            (other, _) => return Err(NoAnswer::unanswered(other)),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoAnswer> {
        Ok(match function {
            Function::Pdf => self.law.pdf(points)?,
            Function::Cdf => self.law.cdf(points)?,
            Function::Survival => self.law.survival(points)?,
            Function::Hazard => self.law.hazard(points)?,
            Function::Quantile => self.law.quantile(points)?,
            Function::Pmf | Function::Laplace => {
                return Err(NoAnswer::Unanswered { quantity: function.name() });
            }
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoAnswer> {
        Ok(rows(&match states {
            States::StopProbability => self.law.stop_probability(times)?,
            States::VisitingTimes => self.law.accumulated_visiting_time(times)?,
        }))
    }

    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoAnswer> {
        Ok(self.law.log_likelihood(&observations.seen, &observations.alive)?)
    }

    fn sample(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let sampler = match self.treatment.alive_at {
            Some(time) => self.law.survivors(time).map_err(|error| NoAnswer::of_survivors(error, time))?,
            None => self.law.sampler()?,
        };
        let (sampler, seed) = (sampler.with_limits(self.sample_limits), self.treatment.seed);
        Ok(match (quantity, rewards) {
            (Quantity::Sample(count), []) => Found::Many(sampler.times(seed, *count)?),
            (Quantity::Sample(count), [rewards, ..]) => Found::Many(sampler.totals(seed, *count, rewards)?),
            (Quantity::JointSample(count), several) => {
                Found::Table(rows(&sampler.joint_totals(seed, *count, several)?))
            }
            (other, _) => return Err(NoAnswer::unanswered(other)),
        })
    }

    /// With respect to the parameters of all epochs, one epoch after the other.
    fn with_gradient(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<(Found, Found), NoAnswer> {
        let (values, slopes) = match quantity {
            Quantity::Function(Function::Pdf, points) => self.law.pdf_gradient(points)?,
            Quantity::Function(Function::Cdf, points) => self.law.cdf_gradient(points)?,
            Quantity::Function(Function::Survival, points) => self.law.survival_gradient(points)?,
            Quantity::LogLikelihood(observations) => {
                let (seen, alive) = (&observations.seen, &observations.alive);
                let (value, slopes) = self.law.log_likelihood_gradient(seen, alive)?;
                return Ok((Found::One(value), Found::Many(slopes.into_iter().collect())));
            }
            other => return Err(NoAnswer::unanswered(other)),
        };
        let by_time = slopes.outer_iter().map(|slopes| slopes.iter().copied().collect()).collect();
        Ok((Found::Many(values), Found::Table(by_time)))
    }
}
