//! The Phasic Hub SDK and the phasic command.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod cache;
pub mod hub;
