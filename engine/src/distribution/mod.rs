//! Distributions: what users ask of a plan at one θ beyond expected totals.
//!
//! Densities, distribution functions, state probabilities, transforms and likelihoods, in continuous and discrete time.
//! Everything starts from a plan or from a graph; nothing here reads a document, eliminates by itself or knows a file.
#![allow(
    clippy::cast_possible_truncation,
    reason = "positions and entries are numbered in 32 bits, held by limits"
)]

mod chain;
mod continuous;
mod error;
mod matrices;
mod pattern;
mod reward_transform;
mod rows;
mod subgraph;
mod totals;
mod transform_error;

pub use chain::Start;
pub use continuous::Distribution;
pub use error::DistributionError;
pub use matrices::{
    Deficit, Listing, Matrices, MatrixError, MatrixOptions, SparseMatrix, graph_from_matrices, matrices,
};
pub use reward_transform::{RewardOptions, ZeroPaths, reward_transform, reward_transform_discrete};
pub use rows::frozen;
pub use subgraph::{first_passage, settle_deficit, started_at, time_in};
pub use transform_error::TransformError;

#[cfg(test)]
mod random_graphs;
#[cfg(test)]
mod tests;
