//! Discrete time: numbers of jumps.

use phasic_engine::distribution::{JumpDistribution, JumpLikelihood, JumpProbability};

use super::law::{Found, Law, Treatment, joint, table, unanswered};
use super::model::Subject;
use super::no_number::NoNumber;
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};

/// The number of jumps to absorption.
pub(super) struct Jumps<'a> {
    subject: Subject<'a>,
    limit: Option<u64>,
    law: JumpDistribution<'a>,
    ones: Vec<f64>,
}

impl<'a> Jumps<'a> {
    pub(super) fn new(subject: Subject<'a>, treatment: &Treatment) -> Result<Self, NoNumber> {
        let (mut law, limit) = (subject.plan()?.jumps(&subject.theta())?, treatment.max_jumps);
        if let Some(limit) = limit {
            law = law.with_jump_limit(limit);
        }
        let ones = vec![1.0; subject.model.graph.vertex_count() as usize];
        Ok(Self { subject, limit, law, ones })
    }

    fn likelihood(&self, observations: &Observations) -> Result<JumpLikelihood<'a>, NoNumber> {
        let (seen, alive) = (whole(&observations.seen), whole(&observations.alive));
        let likelihood = self.subject.plan()?.jump_likelihood(&seen, &alive)?;
        Ok(match self.limit {
            Some(limit) => likelihood.with_jump_limit(limit),
            None => likelihood,
        })
    }

    fn first<'r>(&'r self, rewards: &[&'r [f64]]) -> &'r [f64] {
        rewards.first().copied().unwrap_or(&self.ones)
    }
}

impl Law for Jumps<'_> {
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
            Quantity::FactorialMoments(count) => Found::Many(self.law.factorial_moments(*count as usize)?),
            Quantity::Sojourn(_) => Found::Many(self.law.sojourn_times()?),
            other => return Err(unanswered(other.key())),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber> {
        let value: fn(JumpProbability) -> f64 = match function {
            Function::Pdf | Function::Pmf => |known| known.pmf,
            Function::Cdf => |known| known.cdf,
            Function::Survival => |known| known.survival,
            Function::Hazard => return Ok(self.law.hazard(&whole(points))?),
            Function::Quantile => {
                let jumps = self.law.quantile(points)?.into_iter();
                return Ok(jumps
                    .map(|jumps| if jumps == u64::MAX { f64::INFINITY } else { jumps as f64 })
                    .collect());
            }
            Function::Laplace => return Err(unanswered("laplace")),
        };
        Ok(self.law.probabilities(&whole(points))?.into_iter().map(value).collect())
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoNumber> {
        let rows = match states {
            States::StopProbability => self.law.stop_probability(&whole(times))?,
            States::VisitingTime => self.law.accumulated_visits(&whole(times))?,
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
            Quantity::Moments(1) => Found::Table(vec![total()?.expectation_gradient()]),
            Quantity::Variance => Found::Many(total()?.variance_gradient()),
            Quantity::Covariance => {
                let second = self.law.rewarded(rewards.get(1).copied().unwrap_or(&self.ones))?;
                Found::Many(total()?.covariance_gradient(&second))
            }
            Quantity::Function(function, points) => {
                let jumps = whole(points);
                let (_, gradients) = match function {
                    Function::Pdf | Function::Pmf => self.law.pmf_gradient(&jumps)?,
                    Function::Cdf => self.law.cdf_gradient(&jumps)?,
                    Function::Survival => self.law.survival_gradient(&jumps)?,
                    other => return Err(unanswered(other.key())),
                };
                table(gradients.rows())
            }
            Quantity::LogLikelihood(observations) => {
                Found::Many(self.likelihood(observations)?.value_and_gradient(&self.subject.theta())?.1)
            }
            other => return Err(unanswered(other.key())),
        })
    }
}

/// Numbers that were checked to be whole and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were checked")]
fn whole(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|&number| number as u64).collect()
}
