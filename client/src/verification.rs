//! Whether bytes from elsewhere may be used for a graph: the engine decides. Programs go to [`verify`], plan files to
//! [`Plan::verify`]; either is made anew from the graph and must be equal.

pub use phasic_engine::artifact::{Disagreement, Evidence, Trial, VerificationError, Verified, verify};
pub use phasic_engine::plan::{Plan, PlanVerificationError};
