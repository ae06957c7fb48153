//! The mathematics of Phasic Hub: graphs, model documents, eliminations, artifacts and numbers; pure and synchronous.
//!
//! No network, clock, environment, global state or files: what goes in are values and byte slices, what comes out
//! are values and byte streams. The hub and the client run this very crate.

mod double_double;
mod kept;
mod limits;

pub mod artifact;
pub mod distribution;
pub mod document;
pub mod graph;
pub mod model;
pub mod plan;
pub mod progress;
pub mod question;
pub mod reference;
pub mod state_space;
pub mod trace;
