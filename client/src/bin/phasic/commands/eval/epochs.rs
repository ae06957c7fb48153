//! Continuous time with parameters that change at given times.

use phasic_engine::distribution::{Epochs, SampleLimits};

use super::law::{Found, Law, Treatment, joint, table, unanswered};
use super::model::Subject;
use super::no_number::{NoNumber, of_survivors};
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};

/// The time to absorption when θ is another from each breakpoint on.
pub(super) struct Changing<'a> {
    law: Epochs<'a>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(subject: Subject<'a>, treatment: &'a Treatment) -> Result<Self, NoNumber> {
        let breakpoints: Vec<f64> = treatment.epochs.iter().map(|epoch| epoch.from).collect();
        let later = treatment.epochs.iter().map(|epoch| epoch.theta.values.clone());
        let thetas: Vec<Vec<f64>> = std::iter::once(subject.theta()).chain(later).collect();
        let mut law = subject.plan()?.epochs(&breakpoints, &thetas)?.start(treatment.start);
        if let Some(limit) = treatment.max_jumps {
            law = law.with_jump_limit(limit);
        }
        if let Some(tolerance) = treatment.tolerance {
            law = law.tolerance(tolerance)?;
        }
        Ok(Self { law })
    }

    /// Whether there is an answer to a quantity when parameters change.
    pub(super) fn answers(quantity: &Quantity) -> bool {
        match quantity {
            Quantity::Function(function, _) => !matches!(function, Function::Laplace | Function::Pmf),
            Quantity::Expectation
            | Quantity::Variance
            | Quantity::Moments(_)
            | Quantity::Covariance
            | Quantity::Correlation
            | Quantity::States(..)
            | Quantity::LogLikelihood(_)
            | Quantity::Sample(_) => true,
            _ => false,
        }
    }

    /// Whether there is one under rewards then.
    pub(super) fn answers_rewarded(quantity: &Quantity) -> bool {
        matches!(
            quantity,
            Quantity::Expectation
                | Quantity::Variance
                | Quantity::Moments(_)
                | Quantity::Covariance
                | Quantity::Correlation
                | Quantity::Sample(_)
        )
    }

    /// Draws of the time, or of the totals of rewards, of those alive at a time if one is given.
    pub(super) fn sample(
        &self,
        treatment: &Treatment,
        count: usize,
        rewards: &[&[f64]],
        limits: SampleLimits,
    ) -> Result<Found, NoNumber> {
        let sampler = match treatment.alive_at {
            Some(time) => self.law.survivors(time).map_err(|error| of_survivors(error, time))?,
            None => self.law.sampler()?,
        };
        let (sampler, seed) = (sampler.with_limits(limits), treatment.seed);
        let mut totals = rewards
            .iter()
            .map(|rewards| sampler.totals(seed, count, rewards))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(match totals.len() {
            0 => Found::Many(sampler.times(seed, count)?),
            1 => Found::Many(totals.remove(0)),
            _ => {
                Found::Table((0..count).map(|at| totals.iter().map(|totals| totals[at]).collect()).collect())
            }
        })
    }

    /// Whether there is a gradient of it then.
    pub(super) fn has_gradient(quantity: &Quantity) -> bool {
        matches!(quantity, Quantity::Function(..) | Quantity::LogLikelihood(_))
    }
}

impl Law for Changing<'_> {
    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
        Ok(match (quantity, rewards) {
            (Quantity::Expectation, []) => Found::One(self.law.expectation()?),
            (Quantity::Variance, []) => Found::One(self.law.variance()?),
            (Quantity::Moments(count), []) => Found::Many(self.law.moments(*count as usize)?),
            (Quantity::Expectation, [rewards]) => Found::One(self.law.reward_expectation(rewards)?),
            (Quantity::Variance, [rewards]) => Found::One(self.law.reward_variance(rewards)?),
            (Quantity::Moments(count), [rewards]) => {
                Found::Many(self.law.reward_moments(rewards, *count as usize)?)
            }
            (Quantity::Covariance | Quantity::Correlation, _) => joint(
                quantity,
                rewards,
                |first, second| Ok(self.law.covariance(first, second)?),
                |rewards| Ok(self.law.reward_variance(rewards)?),
            )?,
            (other, _) => return Err(unanswered(other.key())),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber> {
        Ok(match function {
            Function::Pdf => self.law.pdf(points)?,
            Function::Cdf => self.law.cdf(points)?,
            Function::Survival => self.law.survival(points)?,
            Function::Hazard => self.law.hazard(points)?,
            Function::Quantile => self.law.quantile(points)?,
            other => return Err(unanswered(other.key())),
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoNumber> {
        let rows = match states {
            States::StopProbability => self.law.stop_probability(times)?,
            States::VisitingTime => self.law.accumulated_visiting_time(times)?,
        };
        Ok(rows.rows().into_iter().map(|row| row.to_vec()).collect())
    }

    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoNumber> {
        Ok(self.law.log_likelihood(&observations.seen, &observations.alive)?)
    }

    /// With respect to the parameters of all epochs, one epoch after the other.
    fn gradient(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<Found, NoNumber> {
        let (_, gradients) = match quantity {
            Quantity::Function(Function::Pdf, points) => self.law.pdf_gradient(points)?,
            Quantity::Function(Function::Cdf, points) => self.law.cdf_gradient(points)?,
            Quantity::Function(Function::Survival, points) => self.law.survival_gradient(points)?,
            Quantity::LogLikelihood(observations) => {
                let (seen, alive) = (&observations.seen, &observations.alive);
                let (_, gradient) = self.law.log_likelihood_gradient(seen, alive)?;
                return Ok(Found::Many(gradient.into_iter().collect()));
            }
            other => return Err(unanswered(other.key())),
        };
        let by_time: Vec<Vec<f64>> =
            gradients.outer_iter().map(|slopes| slopes.iter().copied().collect()).collect();
        Ok(table(by_time.iter()))
    }
}
