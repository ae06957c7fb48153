//! Numbers of a process whose parameters change at given times.

use ndarray::Array3;
use phasic_engine::distribution::Epochs;
use phasic_engine::plan::Plan;
use phasic_hub_api::{Gradients, Quantity, Real, Values};

use super::Question;
use super::answer::{list, rows, start};
use super::no_number::NoNumber;

/// Whether there is an answer to a quantity when parameters change, or its gradient.
pub(super) fn answers(quantity: &Quantity, gradients: bool) -> bool {
    match quantity {
        Quantity::Pdf(_) | Quantity::Cdf(_) | Quantity::Survival(_) | Quantity::LogLikelihood(_) => true,
        Quantity::Expectation | Quantity::Variance | Quantity::Moments(_) | Quantity::StopProbability(_) => {
            !gradients
        }
        _ => false,
    }
}

/// Their names, for a sentence.
pub(super) fn answered(gradients: bool) -> &'static str {
    if gradients {
        "pdf, cdf, survival and log_likelihood"
    } else {
        "expectation, variance, moments, pdf, cdf, survival, stop_probability and log_likelihood"
    }
}

/// The numbers of all quantities, the first epoch at θ.
pub(super) fn answer(
    plan: &Plan,
    question: &Question,
    theta: &[f64],
) -> Result<(Values, Option<Gradients>), NoNumber> {
    let breakpoints: Vec<f64> = question.epochs.iter().map(|(from, _)| *from).collect();
    let later = question.epochs.iter().map(|(_, theta)| theta.as_slice());
    let thetas: Vec<&[f64]> = std::iter::once(theta).chain(later).collect();
    let law = plan.epochs(&breakpoints, &thetas)?.start(start(question));
    let law = law.with_jump_limit(question.jump_limit);
    let (mut values, mut gradients) = (Values::default(), question.gradients.then(Gradients::default));
    for quantity in &question.quantities {
        value(&law, quantity, &mut values)?;
        if let Some(gradients) = &mut gradients {
            gradient(&law, quantity, gradients)?;
        }
    }
    Ok((values, gradients))
}

fn value(law: &Epochs<'_>, quantity: &Quantity, values: &mut Values) -> Result<(), NoNumber> {
    match quantity {
        Quantity::Expectation => values.expectation = Some(Real(law.expectation()?)),
        Quantity::Variance => values.variance = Some(Real(law.variance()?)),
        Quantity::Moments(count) => values.moments = Some(list(&law.moments(*count as usize)?)),
        Quantity::Pdf(times) => values.pdf = Some(list(&law.pdf(times)?)),
        Quantity::Cdf(times) => values.cdf = Some(list(&law.cdf(times)?)),
        Quantity::Survival(times) => values.survival = Some(list(&law.survival(times)?)),
        Quantity::StopProbability(times) => {
            values.stop_probability = Some(rows(&law.stop_probability(times)?));
        }
        Quantity::LogLikelihood(data) => {
            values.log_likelihood = Some(Real(law.log_likelihood(&data.observed, &data.censored)?));
        }
        // All others were refused.
        _ => {}
    }
    Ok(())
}

fn gradient(law: &Epochs<'_>, quantity: &Quantity, gradients: &mut Gradients) -> Result<(), NoNumber> {
    match quantity {
        Quantity::Pdf(times) => gradients.pdf = Some(by_time(&law.pdf_gradient(times)?.1)),
        Quantity::Cdf(times) => gradients.cdf = Some(by_time(&law.cdf_gradient(times)?.1)),
        Quantity::Survival(times) => {
            gradients.survival = Some(by_time(&law.survival_gradient(times)?.1));
        }
        Quantity::LogLikelihood(data) => {
            let (_, slopes) = law.log_likelihood_gradient(&data.observed, &data.censored)?;
            gradients.log_likelihood = Some(slopes.iter().map(|&slope| Real(slope)).collect());
        }
        // All others were refused.
        _ => {}
    }
    Ok(())
}

/// A row for each time: the slopes by the parameters of the first epoch, of the second, and so on.
fn by_time(slopes: &Array3<f64>) -> Vec<Vec<Real>> {
    slopes.outer_iter().map(|slopes| slopes.iter().map(|&slope| Real(slope)).collect()).collect()
}
