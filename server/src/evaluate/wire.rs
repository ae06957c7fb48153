//! The engine's answers as those of the API.

use phasic_engine::question::{Answer, Found, Function, Quantity, States};
use phasic_hub_api::{Gradients, Real, Values};

/// The answers to these quantities, in order.
pub(super) fn shaped(quantities: &[Quantity], answers: Vec<Answer>) -> (Values, Option<Gradients>) {
    let (mut values, mut gradients) = (Values::default(), None);
    for (quantity, Answer { value, gradient }) in quantities.iter().zip(answers) {
        put(&mut values, quantity, value);
        if let Some(gradient) = gradient {
            put_gradient(gradients.get_or_insert_default(), quantity, gradient);
        }
    }
    (values, gradients)
}

fn put(values: &mut Values, quantity: &Quantity, found: Found) {
    match quantity {
        Quantity::Expectation => values.expectation = number(&found),
        Quantity::Variance => values.variance = number(&found),
        Quantity::Covariance => values.covariance = number(&found),
        Quantity::Correlation => values.correlation = number(&found),
        Quantity::LogLikelihood(_) => values.log_likelihood = number(&found),
        Quantity::Covariances => values.covariances = table(found),
        Quantity::Correlations => values.correlations = table(found),
        Quantity::JointSample(_) => values.joint_sample = table(found),
        Quantity::States(States::StopProbability, _) => values.stop_probability = table(found),
        Quantity::States(States::VisitingTimes, _) => values.visiting_times = table(found),
        Quantity::Moments(_) => values.moments = list(found),
        Quantity::FactorialMoments(_) => values.factorial_moments = list(found),
        Quantity::WaitingTimes(None) => values.waiting_times = list(found),
        Quantity::WaitingTimes(Some(_)) => values.waiting_times_of = list(found),
        Quantity::SojournTimes(None) => values.sojourn_times = list(found),
        Quantity::SojournTimes(Some(_)) => values.sojourn_times_of = list(found),
        Quantity::Sample(_) => values.sample = list(found),
        Quantity::Function(function, _) => {
            let place = match function {
                Function::Pdf => &mut values.pdf,
                Function::Pmf => &mut values.pmf,
                Function::Cdf => &mut values.cdf,
                Function::Survival => &mut values.survival,
                Function::Hazard => &mut values.hazard,
                Function::Quantile => &mut values.quantile,
                Function::Laplace => &mut values.laplace,
            };
            *place = list(found);
        }
    }
}

fn put_gradient(gradients: &mut Gradients, quantity: &Quantity, found: Found) {
    match quantity {
        Quantity::Expectation => gradients.expectation = list(found),
        Quantity::Variance => gradients.variance = list(found),
        Quantity::Covariance => gradients.covariance = list(found),
        Quantity::LogLikelihood(_) => gradients.log_likelihood = list(found),
        Quantity::Moments(_) => gradients.moments = table(found),
        Quantity::Function(Function::Pdf, _) => gradients.pdf = table(found),
        Quantity::Function(Function::Pmf, _) => gradients.pmf = table(found),
        Quantity::Function(Function::Cdf, _) => gradients.cdf = table(found),
        Quantity::Function(Function::Survival, _) => gradients.survival = table(found),
        // The engine has no gradients of others, and the rules refuse them.
        _ => {}
    }
}

fn number(found: &Found) -> Option<Real> {
    if let Found::One(value) = found { Some(Real(*value)) } else { None }
}

fn list(found: Found) -> Option<Vec<Real>> {
    if let Found::Many(values) = found { Some(reals(values)) } else { None }
}

fn table(found: Found) -> Option<Vec<Vec<Real>>> {
    if let Found::Table(rows) = found { Some(rows.into_iter().map(reals).collect()) } else { None }
}

fn reals(values: Vec<f64>) -> Vec<Real> {
    values.into_iter().map(Real).collect()
}
