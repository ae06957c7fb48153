//! Whether a question can be asked of a model at all. What it costs is not known here.

use std::collections::HashSet;

use phasic_hub_api::{EvaluateRequest, GraphIdentity, Quantity, Thetas};

use super::epochs;
use super::question::{QuestionError, invalid};

/// Raw moments that may be asked for.
const MOST_MOMENTS: u32 = 1000;

/// Checks a question against the model it is about, and against itself.
pub(super) fn check(
    request: &EvaluateRequest,
    parameters: usize,
    model: &GraphIdentity,
) -> Result<(), QuestionError> {
    if let Some(thetas) = &request.theta {
        check_thetas(thetas, parameters)?;
    }
    check_rewards(&request.rewards, model)?;
    if request.quantities.is_empty() {
        return Err(invalid("quantities is empty; leave it out for expectation and variance"));
    }
    let mut keys = HashSet::new();
    for quantity in &request.quantities {
        let key = quantity.key();
        if !keys.insert(key) {
            return Err(invalid(format!("the quantity {key} is asked for twice")));
        }
        check_quantity(quantity, &request.rewards, request.gradients, model)?;
    }
    check_options(request, model)?;
    check_epochs(request, parameters, model)
}

fn check_options(request: &EvaluateRequest, model: &GraphIdentity) -> Result<(), QuestionError> {
    if let Some(tolerance) = request.tolerance.filter(|tolerance| !(1e-14..=0.01).contains(tolerance)) {
        return Err(invalid(format!("tolerance is from 1e-14 to 0.01, not {tolerance}")));
    }
    let Some(time) = request.alive_at else { return Ok(()) };
    let is_sampled = |quantity: &Quantity| matches!(quantity, Quantity::Sample(_) | Quantity::JointSample(_));
    if !request.quantities.iter().any(is_sampled) {
        return Err(invalid("alive_at is for sample and joint_sample"));
    }
    let is_whole = (0.0..9e15).contains(&time) && time.fract() == 0.0;
    if model.discrete && !is_whole {
        return Err(invalid(format!("alive_at is a number of jumps of this model, and {time} is none")));
    }
    if !(0.0..f64::INFINITY).contains(&time) {
        return Err(invalid(format!("alive_at is a time from 0 on, not {time}")));
    }
    Ok(())
}

fn check_epochs(
    request: &EvaluateRequest,
    parameters: usize,
    model: &GraphIdentity,
) -> Result<(), QuestionError> {
    if request.epochs.is_empty() {
        return Ok(());
    }
    if model.discrete || !request.rewards.is_empty() || request.tolerance.is_some() {
        return Err(invalid("epochs are for continuous time, without rewards and without tolerance"));
    }
    let refused = |quantity: &&Quantity| !epochs::answers(quantity, request.gradients);
    if let Some(quantity) = request.quantities.iter().find(refused) {
        let key = quantity.key();
        let what = if request.gradients { "gradients" } else { "numbers" };
        return Err(invalid(format!(
            "there are no {what} of {key} with epochs; there are of {}",
            epochs::answered(request.gradients)
        )));
    }
    let mut before = 0.0;
    for epoch in &request.epochs {
        let from = epoch.from;
        if !(from > before && from.is_finite()) {
            return Err(invalid(format!("an epoch begins at {from}, which is no time later than {before}")));
        }
        let found = epoch.theta.len();
        if found != parameters {
            return Err(invalid(format!(
                "the theta of the epoch from {from} has {found} numbers, and the model has {parameters} parameters"
            )));
        }
        before = from;
    }
    Ok(())
}

fn check_thetas(thetas: &Thetas, parameters: usize) -> Result<(), QuestionError> {
    if thetas.count() > 0 && thetas.width() != parameters {
        let found = thetas.width();
        return Err(invalid(format!("theta has {found} numbers, and the model has {parameters} parameters")));
    }
    Ok(())
}

fn check_rewards(rewards: &[Vec<f64>], model: &GraphIdentity) -> Result<(), QuestionError> {
    match rewards.iter().find(|rewards| rewards.len() as u64 != model.vertices) {
        None => Ok(()),
        Some(wrong) => Err(invalid(format!(
            "a reward vector has {} numbers, and the model has {} vertices, the start included",
            wrong.len(),
            model.vertices
        ))),
    }
}

fn check_quantity(
    quantity: &Quantity,
    rewards: &[Vec<f64>],
    gradients: bool,
    model: &GraphIdentity,
) -> Result<(), QuestionError> {
    let key = quantity.key();
    let (fits, takes) = match quantity {
        Quantity::Covariance | Quantity::Correlation => (rewards.len() == 2, "exactly two reward vectors"),
        Quantity::Covariances | Quantity::Correlations | Quantity::JointSample(_) => {
            (rewards.len() >= 2, "at least two reward vectors")
        }
        Quantity::Expectation
        | Quantity::Variance
        | Quantity::Moments(_)
        | Quantity::WaitingTimes
        | Quantity::Sample(_) => (rewards.len() <= 1, "at most one reward vector"),
        _ => (rewards.is_empty(), "no rewards: it is about the time to absorption"),
    };
    if !fits {
        return Err(invalid(format!("{key} takes {takes}, but {} are given", rewards.len())));
    }
    if gradients && !quantity.has_gradient() {
        return Err(invalid(format!(
            "there are no gradients of {key}; ask for it in a request without gradients"
        )));
    }
    match quantity {
        Quantity::Moments(count) if !(1..=MOST_MOMENTS).contains(count) => {
            return Err(invalid(format!("moments takes a number from 1 to {MOST_MOMENTS}, not {count}")));
        }
        Quantity::Sample(0) | Quantity::JointSample(0) => {
            return Err(invalid(format!("{key} takes a number of draws from 1 on")));
        }
        Quantity::Moments(2..) if gradients && model.discrete => {
            return Err(invalid("in discrete time there are gradients of the first moment only"));
        }
        _ => {}
    }
    check_time(quantity, model)
}

/// Whether a quantity belongs to the model's kind of time.
fn check_time(quantity: &Quantity, model: &GraphIdentity) -> Result<(), QuestionError> {
    let key = quantity.key();
    let (continuous_only, discrete_only) = match quantity {
        Quantity::Pdf(_) | Quantity::Laplace(_) => (true, false),
        Quantity::Pmf(_) => (false, true),
        _ => (false, false),
    };
    if continuous_only && model.discrete {
        let hint = if key == "pdf" { "; ask for pmf" } else { "" };
        return Err(invalid(format!("the model is in discrete time, where there is no {key}{hint}")));
    }
    if discrete_only && !model.discrete {
        return Err(invalid(format!(
            "the model is in continuous time, where there is no {key}; ask for pdf"
        )));
    }
    let numbers: Vec<f64> = match quantity {
        Quantity::Cdf(at)
        | Quantity::Survival(at)
        | Quantity::Hazard(at)
        | Quantity::StopProbability(at)
        | Quantity::VisitingTimes(at) => at.clone(),
        Quantity::LogLikelihood(data) => [&data.observed[..], &data.censored].concat(),
        _ => Vec::new(),
    };
    let wrong = numbers.iter().find(|at| !(0.0..9e15).contains(*at) || at.fract() != 0.0);
    if let Some(wrong) = wrong.filter(|_| model.discrete) {
        return Err(invalid(format!("{key} takes whole numbers of jumps in discrete time, not {wrong}")));
    }
    Ok(())
}
