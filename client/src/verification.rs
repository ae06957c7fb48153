//! Whether bytes from elsewhere may be used for a graph: the engine's judgement, with parameters nobody can foresee.
//!
//! Everything is decided in [`phasic_engine::artifact::verify`]; what the engine may not have, randomness, is added here.

use std::hash::{BuildHasher as _, RandomState};

use phasic_engine::artifact;
pub use phasic_engine::artifact::{Evidence, VerificationError, Verified};
use phasic_engine::graph::{Graph, GraphHash};
use phasic_engine::trace::{Limits, Observer};

/// Verifies the bytes of an artifact file against the graph it is to be used for; see [`artifact::verify`].
///
/// # Errors
/// [`VerificationError`], with what is wrong with the bytes.
pub fn verify(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Verified, VerificationError> {
    let seed = RandomState::new().hash_one(hash.as_bytes());
    artifact::verify(bytes, graph, hash, limits, seed, observer)
}
