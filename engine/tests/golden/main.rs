//! The vectors of `tests/data/golden`, recorded from phasic 0.32.1, against the engine. Every file is used by every test
//! that its fields allow; the tests fail when fewer files were found than were recorded.

mod bytes;
mod numbers;
mod vectors;
