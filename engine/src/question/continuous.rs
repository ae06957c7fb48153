//! Continuous time, by our own elimination and exact uniformization.

use super::law::{Found, Law, Treatment, Watch, go_on, in_parts, joint, of_vertices, rows};
use super::{Function, Model, NoAnswer, Observations, Quantity, States};
use crate::distribution::{Distribution, Likelihood, SampleLimits, Sampler, Totals};
use crate::kept::Kept;
use crate::plan::{At, Plan};

/// The time to absorption.
pub(super) struct Times<'m> {
    plan: &'m Plan,
    treatment: &'m Treatment,
    watch: Watch<'m>,
    /// Most jumps, if the engine is not to decide.
    most_jumps: Option<u64>,
    sample_limits: SampleLimits,
    theta: Vec<f64>,
    ones: Vec<f64>,
    /// The factors, for totals.
    at: Kept<At<'m>>,
    /// The process, for functions of time.
    process: Kept<Distribution<'m>>,
}

impl<'m> Times<'m> {
    pub(super) fn new(
        model: &'m Model<'_>,
        treatment: &'m Treatment,
        theta: Vec<f64>,
        watch: Watch<'m>,
    ) -> Result<Self, NoAnswer> {
        let plan = model.plan()?;
        let most_jumps = treatment.jumps_of(plan);
        let sample_limits = sample_limits(model, most_jumps);
        let ones = vec![1.0; plan.vertex_count() as usize];
        Ok(Self {
            plan,
            treatment,
            watch,
            most_jumps,
            sample_limits,
            theta,
            ones,
            at: Kept::new(),
            process: Kept::new(),
        })
    }

    fn at(&self) -> Result<&At<'m>, NoAnswer> {
        self.at.get(|before| match before {
            Some(mut at) => at.set(&self.theta).map(|()| at).map_err(NoAnswer::from),
            None => Ok(self.plan.at(&self.theta)?),
        })
    }

    fn totals(&self) -> Result<Totals<'_, 'm>, NoAnswer> {
        Ok(Totals::of(self.at()?))
    }

    fn process(&self) -> Result<&Distribution<'m>, NoAnswer> {
        self.process.get(|before| {
            if let Some(mut process) = before {
                process.set(&self.theta)?;
                return Ok(process);
            }
            let mut process = self.plan.distribution(&self.theta)?.start(self.treatment.start)?;
            if let Some(tolerance) = self.treatment.tolerance {
                process = process.tolerance(tolerance)?;
            }
            if let Some(limit) = self.most_jumps {
                process = process.with_jump_limit(limit);
            }
            Ok(process)
        })
    }

    fn likelihood(&self, observations: &Observations) -> Result<Likelihood<'m>, NoAnswer> {
        let likelihood = self.plan.censored_likelihood(&observations.seen, &observations.alive)?;
        let likelihood = likelihood.start(self.treatment.start);
        Ok(match self.most_jumps {
            Some(limit) => likelihood.with_jump_limit(limit),
            None => likelihood,
        })
    }

    /// Conditional on starting, as all samples.
    fn sampler(&self) -> Result<Sampler, NoAnswer> {
        let Some(time) = self.treatment.alive_at else {
            return started(self.plan.sampler(&self.theta)?, self.treatment, self.ones.len());
        };
        let mut process = self.plan.distribution(&self.theta)?;
        if let Some(limit) = self.most_jumps {
            process = process.with_jump_limit(limit);
        }
        process.survivors(time).map_err(|error| NoAnswer::of_survivors(error, time))
    }

    fn first<'r>(&'r self, rewards: &[&'r [f64]]) -> &'r [f64] {
        rewards.first().copied().unwrap_or(&self.ones)
    }

    fn total_gradient(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let at = self.at()?;
        let total = at.rewarded(self.first(rewards))?;
        Ok(match quantity {
            Quantity::Expectation => Found::Many(total.expectation_gradient()),
            Quantity::Variance => Found::Many(total.variance_gradient()),
            Quantity::Moments(count) => {
                let gradient = |power| {
                    go_on(self.watch)?;
                    Ok(total.moment_gradient(power)?)
                };
                Found::Table((1..=*count as usize).map(gradient).collect::<Result<_, NoAnswer>>()?)
            }
            Quantity::Covariance => {
                let second = at.rewarded(rewards.get(1).copied().unwrap_or(&self.ones))?;
                Found::Many(total.covariance_gradient(&second))
            }
            other => return Err(NoAnswer::unanswered(other)),
        })
    }
}

impl Law for Times<'_> {
    fn set(&mut self, theta: Option<&[f64]>) -> Result<(), NoAnswer> {
        match theta {
            Some(theta) => theta.clone_into(&mut self.theta),
            None => self.theta.fill(1.0),
        }
        self.at.put_aside();
        self.process.put_aside();
        Ok(())
    }

    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let (totals, first) = (self.totals()?, self.first(rewards));
        Ok(match quantity {
            Quantity::Expectation => Found::One(totals.expectation(first)?),
            Quantity::Variance => Found::One(totals.variance(first)?),
            Quantity::Moments(count) => Found::Many(totals.moments(first, *count as usize)?),
            Quantity::Covariance | Quantity::Correlation | Quantity::Covariances | Quantity::Correlations => {
                joint(
                    quantity,
                    rewards,
                    |first, second| Ok(totals.covariance(first, second)?),
                    |rewards| Ok(totals.variance(rewards)?),
                )?
            }
            Quantity::WaitingTimes(vertices) => {
                of_vertices(self.at()?.rewarded(first)?.waiting_times(), vertices.as_deref())
            }
            Quantity::SojournTimes(vertices) => of_vertices(self.at()?.sojourn_times(), vertices.as_deref()),
            other => return Err(NoAnswer::unanswered(other)),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoAnswer> {
        let process = self.process()?;
        Ok(match function {
            Function::Pdf => process.pdf(points)?,
            Function::Cdf => process.cdf(points)?,
            Function::Survival => process.survival(points)?,
            Function::Hazard => process.hazard(points)?,
            Function::Quantile => process.quantile(points)?,
            Function::Laplace => in_parts(process.laplace_by_eight(points)?, self.watch)?,
            Function::Pmf => return Err(NoAnswer::Unanswered { quantity: function.name() }),
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoAnswer> {
        let process = self.process()?;
        Ok(rows(&match states {
            States::StopProbability => process.stop_probability(times)?,
            States::VisitingTimes => process.accumulated_visiting_time(times)?,
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
        let process = self.process()?;
        let (values, slopes) = match function {
            Function::Pdf => process.pdf_gradient(points)?,
            Function::Cdf => process.cdf_gradient(points)?,
            Function::Survival => process.survival_gradient(points)?,
            _ => return Err(NoAnswer::unanswered(quantity)),
        };
        Ok((Found::Many(values), Found::Table(rows(&slopes))))
    }
}

/// A sampler of paths that begin where they are to begin.
pub(super) fn started(sampler: Sampler, treatment: &Treatment, vertices: usize) -> Result<Sampler, NoAnswer> {
    if treatment.started_in.is_empty() {
        return Ok(sampler);
    }
    let mut probabilities = vec![0.0; vertices];
    for &(vertex, probability) in &treatment.started_in {
        if let Some(slot) = probabilities.get_mut(vertex as usize) {
            *slot += probability;
        }
    }
    Ok(sampler.started_in(&probabilities)?)
}

/// What samples of a model may take.
pub(super) fn sample_limits(model: &Model<'_>, jumps: Option<u64>) -> SampleLimits {
    let limits = SampleLimits::default().with_memory_bytes(model.limits().memory_bytes);
    jumps.map_or(limits, |limit| limits.with_steps(limit))
}

/// Draws of the time or number of jumps, of a total reward, or of several, a row for each draw.
pub(super) fn drawn(
    sampler: &Sampler,
    quantity: &Quantity,
    rewards: &[&[f64]],
    seed: u64,
) -> Result<Found, NoAnswer> {
    Ok(match (quantity, rewards) {
        (Quantity::Sample(count), []) => Found::Many(sampler.times(seed, *count)?),
        (Quantity::Sample(count), [rewards, ..]) => Found::Many(sampler.totals(seed, *count, rewards)?),
        (Quantity::JointSample(count), several) => {
            Found::Table(rows(&sampler.joint_totals(seed, *count, several)?))
        }
        (other, _) => return Err(NoAnswer::unanswered(other)),
    })
}
