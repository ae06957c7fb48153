//! The vectors of `tests/golden`, recorded from phasic 0.32.1, against the engine. Every file is used by every test
//! that its fields allow; the tests fail when fewer files were found than were recorded.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may fail loudly")]

mod bytes;
mod densities;
mod discrete;
mod numbers;
mod plans;
mod recorded;
mod transforms;
