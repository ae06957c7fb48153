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
mod pattern;
mod totals;

pub use chain::Start;
pub use continuous::Distribution;
pub use error::DistributionError;

#[cfg(test)]
mod tests;
