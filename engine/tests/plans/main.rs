//! Plans against an independent solver in arithmetic of twice the precision, with dual numbers for derivatives.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may fail loudly")]

mod accuracy;
mod files;
mod gradients;
mod graphs;
mod number;
mod solver;
mod threads;
mod traps;
mod workloads;
