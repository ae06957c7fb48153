//! The numbers at each θ.
//!
//! Questions about expectations and moments alone go through the plan sixteen θ at a time; all others one by one, on all
//! threads. Whatever the way, the numbers are the same.

use std::ops::Range;

use ndarray::ArrayView2;
use phasic_engine::distribution::{Distribution, JumpDistribution, JumpProbability, Start};
use phasic_engine::plan::{At, Plan, Rewarded};
use phasic_hub_api::{EvaluateResult, Gradients, Observations, Quantity, Real, StartChoice, Values};
use rayon::prelude::*;

use super::joint::{self, in_range, variance};
use super::no_number::NoNumber;
use super::{Question, epochs, samples};
use crate::workers::Wanted;

/// θ that one thread goes through before it looks for others.
const RUN: usize = 16;

/// The results at a range of θ, in order; fewer when nobody wants them any more. Uses the threads of the pool it runs on.
pub(super) fn answer(
    plan: &Plan,
    question: &Question,
    range: Range<usize>,
    wanted: &Wanted,
) -> Vec<EvaluateResult> {
    if let Some(results) = in_lanes(plan, question, range.clone()) {
        return results;
    }
    let starts: Vec<usize> = range.clone().step_by(RUN).collect();
    let run = |&first: &usize| {
        let mut asked = Asked { plan, question, at: None, distribution: None };
        let run = (first..range.end.min(first + RUN)).take_while(|_| wanted.go_on().is_continue());
        run.map(|index| asked.result(index)).collect::<Vec<_>>()
    };
    starts.par_iter().flat_map_iter(run).collect()
}

/// The results by the plan's own batches, if they suffice and every θ has numbers.
fn in_lanes(plan: &Plan, question: &Question, range: Range<usize>) -> Option<Vec<EvaluateResult>> {
    let width = question.thetas.width();
    let simple = |quantity: &Quantity| match quantity {
        Quantity::Expectation | Quantity::Moments(1) => true,
        Quantity::Moments(_) => !plan.is_discrete(),
        _ => false,
    };
    if question.gradients
        || !question.epochs.is_empty()
        || range.len() < 2
        || !question.quantities.iter().all(simple)
    {
        return None;
    }
    let most =
        |quantity: &Quantity| if let Quantity::Moments(count) = quantity { *count as usize } else { 1 };
    let count = question.quantities.iter().map(most).max()?;
    let numbers = question.thetas.values().get(range.start * width..range.end * width)?;
    let thetas = ArrayView2::from_shape((range.len(), width), numbers).ok()?;
    let mut batch = plan.batch(&thetas).ok()?;
    if let Some(rewards) = question.rewards.first() {
        batch = batch.rewarded(rewards).ok()?;
    }
    let moments =
        batch.moments(count).ok().filter(|moments| moments.iter().all(|moment| moment.is_normal()))?;
    let result = |(index, row): (usize, ndarray::ArrayView1<'_, f64>)| {
        let mut values = Values::default();
        for quantity in &question.quantities {
            match quantity {
                Quantity::Moments(count) => {
                    values.moments =
                        Some(row.iter().take(*count as usize).map(|&value| Real(value)).collect());
                }
                _ => values.expectation = row.first().map(|&value| Real(value)),
            }
        }
        finish(question, index, Ok((values, None)))
    };
    Some(range.zip(moments.rows()).map(result).collect())
}

fn finish(
    question: &Question,
    index: usize,
    found: Result<(Values, Option<Gradients>), NoNumber>,
) -> EvaluateResult {
    let (values, gradients, error) = match found {
        Ok((values, gradients)) => (Some(values), gradients, None),
        Err(error) => (None, None, Some(error.to_string())),
    };
    let theta = question.thetas.get(index).to_vec();
    EvaluateResult { index: index as u64, theta, values, gradients, error }
}

/// A plan that is asked at one θ after the other, and keeps its storage in between.
struct Asked<'a> {
    plan: &'a Plan,
    question: &'a Question,
    /// The factors, and which θ they are for.
    at: Option<(usize, At<'a>)>,
    distribution: Option<Distribution<'a>>,
}

impl<'a> Asked<'a> {
    fn result(&mut self, index: usize) -> EvaluateResult {
        let found = self.find(index, self.question.thetas.get(index));
        if found.is_err() {
            // After an error the numbers are those of no θ.
            (self.at, self.distribution) = (None, None);
        }
        finish(self.question, index, found)
    }

    fn find(&mut self, index: usize, theta: &[f64]) -> Result<(Values, Option<Gradients>), NoNumber> {
        let question = self.question;
        if !question.epochs.is_empty() {
            return epochs::answer(self.plan, question, theta);
        }
        let mut values = Values::default();
        let mut gradients = question.gradients.then(Gradients::default);
        for quantity in &question.quantities {
            if is_total(quantity) {
                let discrete = self.plan.is_discrete();
                let at = self.at(index, theta)?;
                total(at, question, quantity, discrete, &mut values, gradients.as_mut())?;
                if let Quantity::Moments(count @ 2..) = quantity
                    && self.plan.is_discrete()
                {
                    values.moments = Some(jump_moments(self.plan, question, theta, *count as usize)?);
                }
            } else if let Quantity::Sample(_) | Quantity::JointSample(_) = quantity {
                samples::draw(self.plan, question, theta, quantity, &mut values)?;
            } else if let Quantity::LogLikelihood(data) = quantity {
                let (value, slope) = log_likelihood(self.plan, question, data, theta)?;
                values.log_likelihood = Some(Real(value));
                if let Some(gradients) = &mut gradients {
                    gradients.log_likelihood = slope.as_deref().map(list);
                }
            } else if self.plan.is_discrete() {
                let jumps = self.plan.jumps(theta)?.with_jump_limit(question.jump_limit);
                of_jumps(&jumps, quantity, &mut values, gradients.as_mut())?;
            } else {
                let distribution = self.distribution(theta)?;
                of_times(distribution, quantity, &mut values, gradients.as_mut())?;
            }
        }
        Ok((values, gradients))
    }

    fn at(&mut self, index: usize, theta: &[f64]) -> Result<&At<'a>, NoNumber> {
        match &mut self.at {
            // Quantities of one θ share its elimination.
            Some((set, _)) if *set == index => {}
            Some((set, at)) => {
                at.set(theta)?;
                *set = index;
            }
            None => self.at = Some((index, self.plan.at(theta)?)),
        }
        Ok(&self.at.as_ref().expect("it was set in every arm").1)
    }

    fn distribution(&mut self, theta: &[f64]) -> Result<&Distribution<'a>, NoNumber> {
        if let Some(distribution) = &mut self.distribution {
            distribution.set(theta)?;
        } else {
            let mut made = self.plan.distribution(theta)?.start(start(self.question))?;
            if let Some(tolerance) = self.question.tolerance {
                made = made.tolerance(tolerance)?;
            }
            self.distribution = Some(made.with_jump_limit(self.question.jump_limit));
        }
        Ok(self.distribution.as_ref().expect("it was set in either case"))
    }
}

pub(super) fn start(question: &Question) -> Start {
    match question.start {
        StartChoice::AsGiven => Start::AsGiven,
        StartChoice::Conditional => Start::Conditional,
    }
}

/// Whether a quantity follows from an elimination alone.
fn is_total(quantity: &Quantity) -> bool {
    matches!(
        quantity,
        Quantity::Expectation
            | Quantity::Variance
            | Quantity::Covariance
            | Quantity::Correlation
            | Quantity::Covariances
            | Quantity::Correlations
            | Quantity::Moments(_)
            | Quantity::WaitingTimes
            | Quantity::SojournTimes
    )
}

fn total(
    at: &At<'_>,
    question: &Question,
    quantity: &Quantity,
    discrete: bool,
    values: &mut Values,
    gradients: Option<&mut Gradients>,
) -> Result<(), NoNumber> {
    let ones = || vec![1.0; at.vertex_count() as usize];
    let rewarded = |place: usize| match question.rewards.get(place) {
        Some(rewards) => at.rewarded(rewards),
        None => at.rewarded(&ones()),
    };
    let total: Rewarded<'_, '_> = rewarded(0)?;
    match quantity {
        Quantity::Expectation => values.expectation = Some(Real(in_range(total.expectation(), 1)?)),
        Quantity::Variance => values.variance = Some(Real(variance(&total, discrete)?)),
        Quantity::Covariance => values.covariance = Some(Real(in_range(total.covariance(&rewarded(1)?), 2)?)),
        Quantity::Correlation => values.correlation = Some(Real(joint::correlation(at, &question.rewards)?)),
        Quantity::Covariances => {
            values.covariances = Some(table(&joint::matrix(at, &question.rewards, false)?));
        }
        Quantity::Correlations => {
            values.correlations = Some(table(&joint::matrix(at, &question.rewards, true)?));
        }
        Quantity::Moments(count) => {
            // Of rewards of one sign none is 0 unless all are.
            let rewards = question.rewards.first();
            let positive = total.expectation() > 0.0
                && rewards.is_none_or(|rewards| rewards.iter().all(|&reward| reward >= 0.0));
            let moments = total.moments(*count as usize)?.into_iter().zip(1..);
            let known = |(moment, order): (f64, usize)| {
                let vanished = positive && moment < f64::MIN_POSITIVE;
                in_range(if vanished { f64::NAN } else { moment }, order).map(Real)
            };
            values.moments = Some(moments.map(known).collect::<Result<_, _>>()?);
        }
        Quantity::WaitingTimes => values.waiting_times = Some(list(&total.waiting_times())),
        _ => values.sojourn_times = Some(list(&at.sojourn_times())),
    }
    let Some(gradients) = gradients else { return Ok(()) };
    match quantity {
        Quantity::Expectation => gradients.expectation = Some(list(&total.expectation_gradient())),
        Quantity::Variance => gradients.variance = Some(list(&total.variance_gradient())),
        Quantity::Covariance => {
            gradients.covariance = Some(list(&total.covariance_gradient(&rewarded(1)?)));
        }
        Quantity::Moments(count) => {
            let powers = 1..=*count as usize;
            gradients.moments = Some(powers.map(|power| list(&total.moment_gradient(power))).collect());
        }
        _ => {}
    }
    Ok(())
}

/// Moments of the number of jumps, which a plan's own are not.
fn jump_moments(
    plan: &Plan,
    question: &Question,
    theta: &[f64],
    count: usize,
) -> Result<Vec<Real>, NoNumber> {
    let jumps = plan.jumps(theta)?;
    let moments = match question.rewards.first() {
        Some(rewards) => jumps.reward_moments(rewards, count)?,
        None => jumps.moments(count)?,
    };
    Ok(list(&moments))
}

/// A log-likelihood, with its gradient if that is wanted.
fn log_likelihood(
    plan: &Plan,
    question: &Question,
    data: &Observations,
    theta: &[f64],
) -> Result<(f64, Option<Vec<f64>>), NoNumber> {
    let with_slope = |(value, slope)| (value, Some(slope));
    if plan.is_discrete() {
        let likelihood = plan.jump_likelihood(&whole(&data.observed), &whole(&data.censored))?;
        let likelihood = likelihood.with_jump_limit(question.jump_limit);
        return if question.gradients {
            Ok(likelihood.value_and_gradient(theta).map(with_slope)?)
        } else {
            Ok(likelihood.value(theta).map(|value| (value, None))?)
        };
    }
    let likelihood = plan.censored_likelihood(&data.observed, &data.censored)?;
    let likelihood = likelihood.start(start(question)).with_jump_limit(question.jump_limit);
    if question.gradients {
        Ok(likelihood.value_and_gradient(theta).map(with_slope)?)
    } else {
        Ok(likelihood.value(theta).map(|value| (value, None))?)
    }
}

fn of_times(
    distribution: &Distribution<'_>,
    quantity: &Quantity,
    values: &mut Values,
    gradients: Option<&mut Gradients>,
) -> Result<(), NoNumber> {
    match (quantity, gradients) {
        (Quantity::Pdf(times), Some(gradients)) => {
            let (found, slopes) = distribution.pdf_gradient(times)?;
            (values.pdf, gradients.pdf) = (Some(list(&found)), Some(rows(&slopes)));
        }
        (Quantity::Cdf(times), Some(gradients)) => {
            let (found, slopes) = distribution.cdf_gradient(times)?;
            (values.cdf, gradients.cdf) = (Some(list(&found)), Some(rows(&slopes)));
        }
        (Quantity::Pdf(times), None) => values.pdf = Some(list(&distribution.pdf(times)?)),
        (Quantity::Cdf(times), None) => values.cdf = Some(list(&distribution.cdf(times)?)),
        (Quantity::Survival(times), Some(gradients)) => {
            let (found, slopes) = distribution.survival_gradient(times)?;
            (values.survival, gradients.survival) = (Some(list(&found)), Some(rows(&slopes)));
        }
        (Quantity::Survival(times), None) => values.survival = Some(list(&distribution.survival(times)?)),
        (Quantity::Hazard(times), _) => values.hazard = Some(list(&distribution.hazard(times)?)),
        (Quantity::Quantile(of), _) => values.quantile = Some(list(&distribution.quantile(of)?)),
        (Quantity::Laplace(s), _) => values.laplace = Some(list(&distribution.laplace(s)?)),
        (Quantity::StopProbability(times), _) => {
            values.stop_probability = Some(rows(&distribution.stop_probability(times)?));
        }
        (Quantity::VisitingTimes(times), _) => {
            values.visiting_times = Some(rows(&distribution.accumulated_visiting_time(times)?));
        }
        // Totals and likelihoods are answered elsewhere, and numbers of jumps were refused.
        _ => {}
    }
    Ok(())
}

/// Numbers that were checked to be whole and below 2^53.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were checked")]
fn whole(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|&number| number as u64).collect()
}

fn of_jumps(
    jumps: &JumpDistribution<'_>,
    quantity: &Quantity,
    values: &mut Values,
    gradients: Option<&mut Gradients>,
) -> Result<(), NoNumber> {
    match quantity {
        Quantity::Pmf(at) => {
            values.pmf = Some(list(&jumps.pmf(at)?));
            if let Some(gradients) = gradients {
                gradients.pmf = Some(rows(&jumps.pmf_gradient(at)?.1));
            }
        }
        Quantity::Cdf(at) => {
            values.cdf = Some(list(&jumps.cdf(&whole(at))?));
            if let Some(gradients) = gradients {
                gradients.cdf = Some(rows(&jumps.cdf_gradient(&whole(at))?.1));
            }
        }
        Quantity::Survival(at) => {
            values.survival = Some(list(&jumps.survival(&whole(at))?));
            if let Some(gradients) = gradients {
                gradients.survival = Some(rows(&jumps.survival_gradient(&whole(at))?.1));
            }
        }
        Quantity::Hazard(at) => {
            // Of absorption by this jump, given that there was none before.
            let rate = |known: JumpProbability| Real(known.pmf / (known.pmf + known.survival));
            values.hazard = Some(jumps.probabilities(&whole(at))?.into_iter().map(rate).collect());
        }
        Quantity::Quantile(of) => {
            let found = jumps.quantile(of)?;
            let number = |&jumps: &u64| Real(if jumps == u64::MAX { f64::INFINITY } else { jumps as f64 });
            values.quantile = Some(found.iter().map(number).collect());
        }
        Quantity::StopProbability(at) => {
            values.stop_probability = Some(rows(&jumps.stop_probability(&whole(at))?));
        }
        Quantity::VisitingTimes(at) => {
            values.visiting_times = Some(rows(&jumps.accumulated_visits(&whole(at))?));
        }
        // All others were refused.
        _ => {}
    }
    Ok(())
}

pub(super) fn list(values: &[f64]) -> Vec<Real> {
    values.iter().map(|&value| Real(value)).collect()
}

pub(super) fn rows(table: &ndarray::Array2<f64>) -> Vec<Vec<Real>> {
    table.rows().into_iter().map(|row| row.iter().map(|&value| Real(value)).collect()).collect()
}

fn table(rows: &[Vec<f64>]) -> Vec<Vec<Real>> {
    rows.iter().map(|row| list(row)).collect()
}
