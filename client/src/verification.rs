//! Whether bytes from elsewhere may be used for a graph: the engine decides, see [`verify`].

pub use phasic_engine::artifact::{Evidence, VerificationError, Verified, verify};
