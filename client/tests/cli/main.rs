//! The `phasic` command as its users meet it: what it prints where, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene has failed")]

mod artifacts;
mod compat;
mod documents;
mod epochs;
mod failures;
mod functions;
mod gradients;
mod help;
mod hubs;
mod laws;
mod models;
mod numbers;
mod pictures;
mod plans;
mod questions;
mod scene;
mod totals;
mod transforms;
