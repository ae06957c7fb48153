//! Evaluating a model: what can be asked, and the shape of the answers.
//!
//! One request names a model, any number of parameter vectors θ, and quantities. Computing them is the server's
//! business; what they mean is documented with the engine.

mod number;
mod quantity;
#[cfg(test)]
mod tests;
mod thetas;

use serde::{Deserialize, Serialize};

pub use number::Real;
pub use quantity::{Observations, Quantity};
pub use thetas::Thetas;

use crate::{GraphIdentity, ModelSource};

/// Quantities, or reward vectors, of one request.
const MOST_LISTED: usize = 64;

/// Epochs of one request.
const MOST_EPOCHS: usize = 1000;

/// Vertices in which samples of one request begin.
const MOST_STARTS: usize = 100_000;

/// The media type of answers line by line.
pub const NDJSON_MEDIA_TYPE: &str = "application/x-ndjson";

/// What to compute.
///
/// ```
/// use phasic_hub_api::{EvaluateRequest, Quantity};
/// let request: EvaluateRequest = serde_json::from_str(
///     r#"{"model": {"builtin": "kingman"}, "theta": [1.0], "quantities": ["expectation", {"moments": 3}]}"#,
/// )?;
/// assert_eq!(request.quantities, [Quantity::Expectation, Quantity::Moments(3)]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EvaluateRequest {
    /// The model.
    pub model: ModelSource,
    /// One θ as a list of numbers, or many as a list of lists; all parameters 1 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Vec<Vec<f64>>>, example = json!([[1.0], [2.0]])))]
    pub theta: Option<Thetas>,
    /// What to compute at each θ; `expectation` and `variance` where it is missing.
    #[serde(default = "usual_quantities", deserialize_with = "crate::bounded::list::<_, _, MOST_LISTED>")]
    #[cfg_attr(feature = "schema", schema(example = json!(["expectation", {"moments": 4}, {"cdf": [0.5, 1.0]}])))]
    pub quantities: Vec<Quantity>,
    /// Reward vectors, one number per vertex: none or one, two for `covariance` and `correlation`, and two or more for
    /// `covariances`, `correlations` and `joint_sample`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<_, _, MOST_LISTED>"
    )]
    pub rewards: Vec<Vec<f64>>,
    /// Whether to add gradients with respect to θ; not every quantity has one.
    #[serde(default)]
    pub gradients: bool,
    /// What to make of initial probabilities that do not sum to one, in densities and probabilities.
    #[serde(default)]
    pub start: StartChoice,
    /// Other parameters from a time on, in order; before the first of them θ holds. Continuous time only. Gradients are then with respect to the parameters of all epochs, one epoch after the other.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<_, _, MOST_EPOCHS>"
    )]
    pub epochs: Vec<Epoch>,
    /// Seed of samples: the same one gives the same samples, at every θ.
    #[serde(default)]
    pub seed: u64,
    /// Sample what comes after this time, or number of jumps, of processes that are alive then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive_at: Option<f64>,
    /// Vertices in which samples begin instead, as `[vertex, probability]`; probabilities count in proportion. Without
    /// `alive_at` and `epochs`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<_, _, MOST_STARTS>"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Vec<f64>>, example = json!([[3, 0.5], [4, 0.5]])))]
    pub started_in: Vec<(u32, f64)>,
    /// Largest error of functions of time, as a share of the density's peak (of 1 for probabilities), from 1e-14 to 0.01;
    /// 1e-10 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Most jumps that a question may go through, or 2048 samples together; never more than the hub allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_jumps: Option<u64>,
    /// Whether to give the numbers that phasic itself computes, with its faults; totals to the last bit. Without gradients,
    /// epochs and tolerance.
    #[serde(default)]
    pub compat: bool,
    /// Steps per unit of time of phasic's scheme, with `compat`; 0 leaves the choice to it.
    #[serde(default)]
    pub granularity: u32,
}

/// Parameters that hold from a time on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// When it begins, above 0.
    pub from: f64,
    /// The parameters from then on.
    pub theta: Vec<f64>,
}

fn usual_quantities() -> Vec<Quantity> {
    vec![Quantity::Expectation, Quantity::Variance]
}

/// What to make of initial probabilities that do not sum to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartChoice {
    /// As they were given: what is missing is never absorbed.
    #[default]
    AsGiven,
    /// Divided by their sum.
    Conditional,
}

/// The answer in one piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EvaluateResponse {
    /// The graph that was evaluated.
    pub model: GraphIdentity,
    /// One result for each θ, in order.
    pub results: Vec<EvaluateResult>,
}

/// The numbers at one θ. In an answer line by line, a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EvaluateResult {
    /// Which θ, counted from 0.
    pub index: u64,
    /// θ itself.
    pub theta: Vec<f64>,
    /// The numbers, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// Gradients with respect to θ, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradients: Option<Gradients>,
    /// Why there are no numbers at this θ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Numbers by quantity; only those asked for are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Values {
    /// Expected time to absorption, or expected total reward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Real>,
    /// Its variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<Real>,
    /// Covariance of the two total rewards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covariance: Option<Real>,
    /// Correlation of the two total rewards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Real>,
    /// Covariances of all total rewards: a row for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covariances: Option<Vec<Vec<Real>>>,
    /// Correlations of all total rewards: a row for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlations: Option<Vec<Vec<Real>>>,
    /// Raw moments, the first at index 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moments: Option<Vec<Real>>,
    /// Factorial moments, the first at index 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factorial_moments: Option<Vec<Real>>,
    /// Expected time (or reward) to absorption from each vertex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_times: Option<Vec<Real>>,
    /// Expected time (or reward) to absorption from each vertex named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_times_of: Option<Vec<Real>>,
    /// Expected time spent in each vertex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sojourn_times: Option<Vec<Real>>,
    /// Expected time spent in each vertex named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sojourn_times_of: Option<Vec<Real>>,
    /// Density at each time, or probability of each number of jumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf: Option<Vec<Real>>,
    /// Probability of each number of jumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pmf: Option<Vec<Real>>,
    /// Distribution function at each time or number of jumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdf: Option<Vec<Real>>,
    /// Survival function, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survival: Option<Vec<Real>>,
    /// Hazard rate at each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hazard: Option<Vec<Real>>,
    /// Quantile of each probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Vec<Real>>,
    /// Laplace transform at each s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub laplace: Option<Vec<Real>>,
    /// Probability of being in each vertex: a row for each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_probability: Option<Vec<Vec<Real>>>,
    /// Expected time spent in each vertex until then: a row for each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visiting_times: Option<Vec<Vec<Real>>>,
    /// Log-likelihood of the observations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_likelihood: Option<Real>,
    /// The draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Vec<Real>>,
    /// The draws of all total rewards: a row for each draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joint_sample: Option<Vec<Vec<Real>>>,
}

/// Gradients with respect to θ; only those asked for are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Gradients {
    /// Of the expectation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Vec<Real>>,
    /// Of the variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<Vec<Real>>,
    /// Of the covariance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covariance: Option<Vec<Real>>,
    /// Of each moment: a row for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moments: Option<Vec<Vec<Real>>>,
    /// Of the density: a row for each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf: Option<Vec<Vec<Real>>>,
    /// Of the probability of a number of jumps: a row for each number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pmf: Option<Vec<Vec<Real>>>,
    /// Of the distribution function: a row for each time, or number of jumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdf: Option<Vec<Vec<Real>>>,
    /// Of the survival function, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survival: Option<Vec<Vec<Real>>>,
    /// Of the log-likelihood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_likelihood: Option<Vec<Real>>,
}
