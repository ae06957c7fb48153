//! The Phasic Hub service: it keeps eliminations of phase-type graphs, verified, and serves them to phasic.
#![forbid(unsafe_code)]

pub mod auth;
pub mod blobs;
pub mod config;
pub mod store;
