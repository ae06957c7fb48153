//! Distributions: what users ask of a plan at one θ beyond expected totals.
//!
//! Densities, distribution functions, state probabilities, transforms and likelihoods, in continuous and discrete time.
//! Everything starts from a plan or from a graph; nothing here reads a document, eliminates by itself or knows a file.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions and counts of jumps are held by limits, and never negative"
)]
#![allow(clippy::inline_always, reason = "kernels must be compiled with the instruction set of their caller")]

mod adjoint;
mod batch;
mod chain;
mod compat;
mod composition;
mod continuous;
mod curve;
mod discrete;
mod epochs;
mod error;
mod gradient;
mod kernel;
mod leaps;
mod likelihood;
mod matrices;
mod observations;
mod order;
mod pattern;
mod poisson;
mod quantile;
mod reward_transform;
mod rows;
mod run;
mod sampling;
mod slices;
mod states;
mod subgraph;
mod sums;
mod sweep;
mod totals;
mod trail;
mod transform_error;

pub use chain::Start;
pub use compat::StepScheme;
pub use composition::{
    Parameters, maximum, minimum, mixture, order_statistic, order_statistic_of_copies, sum,
};
pub use continuous::Distribution;
pub use curve::Curve;
pub use discrete::{JumpDistribution, JumpLikelihood, JumpProbability};
pub use epochs::Epochs;
pub use error::DistributionError;
pub use likelihood::Likelihood;
pub use matrices::{
    Deficit, Listing, Matrices, MatrixError, MatrixOptions, SparseMatrix, graph_from_matrices, matrices,
};
pub(crate) use reward_transform::check_law_of_rewards;
pub use reward_transform::{
    RewardOptions, ZeroPaths, reward_transform, reward_transform_discrete, reward_transform_parameterized,
};
pub use rows::{frozen, normalized};
pub use sampling::{EpochSampler, SampleLimits, Sampler, SamplingError, Visit};
pub use subgraph::{first_passage, settle_deficit, started_at, time_in};
pub(crate) use totals::{Totals, in_units};
pub use transform_error::TransformError;

#[cfg(test)]
mod closed_forms;
#[cfg(test)]
mod deep;
#[cfg(test)]
mod double_double;
#[cfg(test)]
mod exactness;
#[cfg(test)]
mod extremes;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod late;
#[cfg(test)]
mod random_graphs;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod stiff;
#[cfg(test)]
mod tails;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tolerances;
