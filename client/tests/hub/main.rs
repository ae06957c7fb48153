//! The SDK against hubs of every kind: honest, slow, broken and lying.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene has failed")]

mod lab;
mod lies;
mod listing;
mod pull;
mod transport;
mod wire;
