//! Discrete time: numbers of jumps.

use super::continuous::{drawn, sample_limits, started};
use super::law::{Found, Law, Treatment, joint, of_vertices, rows, whole};
use super::{Function, Model, NoAnswer, Observations, Quantity, States};
use crate::distribution::{JumpDistribution, JumpLikelihood, JumpProbability, SampleLimits, Sampler};
use crate::plan::Plan;

/// The number of jumps to absorption.
pub(super) struct Jumps<'m> {
    plan: &'m Plan,
    treatment: &'m Treatment,
    /// Most jumps, if the engine is not to decide.
    most: Option<u64>,
    sample_limits: SampleLimits,
    theta: Vec<f64>,
    ones: Vec<f64>,
    law: JumpDistribution<'m>,
}

impl<'m> Jumps<'m> {
    pub(super) fn new(
        model: &'m Model<'_>,
        treatment: &'m Treatment,
        theta: Vec<f64>,
    ) -> Result<Self, NoAnswer> {
        let plan = model.plan()?;
        let most = treatment.jumps_of(plan);
        let sample_limits = sample_limits(model, most);
        let mut law = plan.jumps(&theta)?;
        if let Some(limit) = most {
            law = law.with_jump_limit(limit);
        }
        let ones = vec![1.0; plan.vertex_count() as usize];
        Ok(Self { plan, treatment, most, sample_limits, theta, ones, law })
    }

    fn likelihood(&self, observations: &Observations) -> Result<JumpLikelihood<'m>, NoAnswer> {
        let (seen, alive) = (whole(&observations.seen), whole(&observations.alive));
        let likelihood = self.plan.jump_likelihood(&seen, &alive)?;
        Ok(match self.most {
            Some(limit) => likelihood.with_jump_limit(limit),
            None => likelihood,
        })
    }

    fn sampler(&self) -> Result<Sampler, NoAnswer> {
        let Some(time) = self.treatment.alive_at else {
            return started(self.plan.sampler(&self.theta)?, self.treatment, self.ones.len());
        };
        let jumps = whole(&[time])[0];
        self.law.survivors(jumps).map_err(|error| NoAnswer::of_survivors(error, time))
    }

    fn first<'r>(&'r self, rewards: &[&'r [f64]]) -> &'r [f64] {
        rewards.first().copied().unwrap_or(&self.ones)
    }

    fn total_gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let total = self.law.rewarded(self.first(rewards))?;
        Ok(match quantity {
            Quantity::Expectation => Found::Many(total.expectation_gradient()),
            Quantity::Moments(1) => Found::Table(vec![total.expectation_gradient()]),
            Quantity::Moments(count) => {
                Found::Table(self.law.reward_moment_gradients(self.first(rewards), *count as usize)?)
            }
            Quantity::Variance => Found::Many(total.variance_gradient()),
            Quantity::Covariance => {
                let second = self.law.rewarded(rewards.get(1).copied().unwrap_or(&self.ones))?;
                Found::Many(total.covariance_gradient(&second))
            }
            other => return Err(NoAnswer::unanswered(other)),
        })
    }
}

impl Law for Jumps<'_> {
    fn set(&mut self, theta: Option<&[f64]>) -> Result<(), NoAnswer> {
        match theta {
            Some(theta) => theta.clone_into(&mut self.theta),
            None => self.theta.fill(1.0),
        }
        Ok(self.law.set(&self.theta)?)
    }

    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let first = self.first(rewards);
        Ok(match quantity {
            Quantity::Expectation => Found::One(self.law.reward_expectation(first)?),
            Quantity::Variance => Found::One(self.law.reward_variance(first)?),
            Quantity::Moments(count) => Found::Many(self.law.reward_moments(first, *count as usize)?),
            Quantity::Covariance | Quantity::Correlation | Quantity::Covariances | Quantity::Correlations => {
                joint(
                    quantity,
                    rewards,
                    |first, second| Ok(self.law.covariance(first, second)?),
                    |rewards| Ok(self.law.reward_variance(rewards)?),
                )?
            }
            Quantity::FactorialMoments(count) => Found::Many(self.law.factorial_moments(*count as usize)?),
            Quantity::WaitingTimes(vertices) => {
                of_vertices(self.law.rewarded(first)?.waiting_times(), vertices.as_deref())
            }
            Quantity::SojournTimes(vertices) => of_vertices(self.law.sojourn_times()?, vertices.as_deref()),
            other => return Err(NoAnswer::unanswered(other)),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoAnswer> {
        let value: fn(JumpProbability) -> f64 = match function {
            Function::Pdf | Function::Pmf => |known| known.pmf,
            Function::Cdf => |known| known.cdf,
            Function::Survival => |known| known.survival,
            Function::Hazard => return Ok(self.law.hazard(&whole(points))?),
            Function::Quantile => {
                let number = |jumps| if jumps == u64::MAX { f64::INFINITY } else { jumps as f64 };
                return Ok(self.law.quantile(points)?.into_iter().map(number).collect());
            }
            Function::Laplace => return Err(NoAnswer::Unanswered { quantity: function.name() }),
        };
        Ok(self.law.probabilities(&whole(points))?.into_iter().map(value).collect())
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoAnswer> {
        Ok(rows(&match states {
            States::StopProbability => self.law.stop_probability(&whole(times))?,
            States::VisitingTimes => self.law.accumulated_visits(&whole(times))?,
        }))
    }

    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoAnswer> {
        Ok(self.likelihood(observations)?.value(&self.theta)?)
    }

    fn sample(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        drawn(&self.sampler()?.with_limits(self.sample_limits), quantity, rewards, self.treatment.seed)
    }

    fn with_gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<(Found, Found), NoAnswer> {
        if let Quantity::LogLikelihood(observations) = quantity {
            let (value, slopes) = self.likelihood(observations)?.value_and_gradient(&self.theta)?;
            return Ok((Found::One(value), Found::Many(slopes)));
        }
        let Quantity::Function(function, points) = quantity else {
            return Ok((self.total(quantity, rewards)?, self.total_gradient(quantity, rewards)?));
        };
        let jumps = whole(points);
        let (values, slopes) = match function {
            Function::Pdf | Function::Pmf => self.law.pmf_gradient(&jumps)?,
            Function::Cdf => self.law.cdf_gradient(&jumps)?,
            Function::Survival => self.law.survival_gradient(&jumps)?,
            _ => return Err(NoAnswer::unanswered(quantity)),
        };
        Ok((Found::Many(values), Found::Table(rows(&slopes))))
    }
}
