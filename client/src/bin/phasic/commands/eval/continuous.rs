//! Continuous time, by our own elimination and exact uniformization.

use phasic_engine::distribution::{Distribution, Likelihood};

use super::law::{Found, Law, Treatment, joint, table, unanswered};
use super::model::Subject;
use super::no_number::NoNumber;
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};

/// The time to absorption.
pub(super) struct Times<'a> {
    subject: Subject<'a>,
    treatment: &'a Treatment,
    law: Distribution<'a>,
    ones: Vec<f64>,
}

impl<'a> Times<'a> {
    pub(super) fn new(subject: Subject<'a>, treatment: &'a Treatment) -> Result<Self, NoNumber> {
        let mut law = subject.plan()?.distribution(&subject.theta())?.start(treatment.start)?;
        if let Some(tolerance) = treatment.tolerance {
            law = law.tolerance(tolerance)?;
        }
        if let Some(limit) = treatment.max_jumps {
            law = law.with_jump_limit(limit);
        }
        let ones = vec![1.0; subject.model.graph.vertex_count() as usize];
        Ok(Self { subject, treatment, law, ones })
    }

    fn likelihood(&self, observations: &Observations) -> Result<Likelihood<'a>, NoNumber> {
        let plan = self.subject.plan()?;
        let likelihood = plan.censored_likelihood(&observations.seen, &observations.alive)?;
        let likelihood = likelihood.start(self.treatment.start);
        Ok(match self.treatment.max_jumps {
            Some(limit) => likelihood.with_jump_limit(limit),
            None => likelihood,
        })
    }

    fn first<'r>(&'r self, rewards: &[&'r [f64]]) -> &'r [f64] {
        rewards.first().copied().unwrap_or(&self.ones)
    }
}

impl Law for Times<'_> {
    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
        let first = self.first(rewards);
        Ok(match quantity {
            Quantity::Expectation => Found::One(self.law.reward_expectation(first)?),
            Quantity::Variance => Found::One(self.law.reward_variance(first)?),
            Quantity::Moments(count) => Found::Many(self.law.reward_moments(first, *count as usize)?),
            Quantity::Covariance | Quantity::Correlation => joint(
                quantity,
                rewards,
                |first, second| Ok(self.law.covariance(first, second)?),
                |rewards| Ok(self.law.reward_variance(rewards)?),
            )?,
            Quantity::WaitingTime => Found::Many(self.law.rewarded(first)?.waiting_times()),
            Quantity::Sojourn(_) => Found::Many(self.law.sojourn_times()?),
            other => return Err(unanswered(other.key())),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber> {
        Ok(match function {
            Function::Pdf => self.law.pdf(points)?,
            Function::Cdf => self.law.cdf(points)?,
            Function::Survival => self.law.survival(points)?,
            Function::Hazard => self.law.hazard(points)?,
            Function::Quantile => self.law.quantile(points)?,
            Function::Laplace => self.law.laplace(points)?,
            Function::Pmf => return Err(unanswered("pmf")),
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
        Ok(self.likelihood(observations)?.value(&self.subject.theta())?)
    }

    fn gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
        let total = || self.law.rewarded(self.first(rewards));
        Ok(match quantity {
            Quantity::Expectation => Found::Many(total()?.expectation_gradient()),
            Quantity::Variance => Found::Many(total()?.variance_gradient()),
            Quantity::Moments(count) => {
                let total = total()?;
                Found::Table((1..=*count as usize).map(|power| total.moment_gradient(power)).collect())
            }
            Quantity::Covariance => {
                let second = self.law.rewarded(rewards.get(1).copied().unwrap_or(&self.ones))?;
                Found::Many(total()?.covariance_gradient(&second))
            }
            Quantity::Function(function, points) => {
                let (_, gradients) = match function {
                    Function::Pdf => self.law.pdf_gradient(points)?,
                    Function::Cdf => self.law.cdf_gradient(points)?,
                    Function::Survival => self.law.survival_gradient(points)?,
                    other => return Err(unanswered(other.key())),
                };
                table(gradients.rows())
            }
            Quantity::LogLikelihood(observations) => {
                let likelihood = self.likelihood(observations)?;
                Found::Many(likelihood.value_and_gradient(&self.subject.theta())?.1)
            }
            other => return Err(unanswered(other.key())),
        })
    }
}
