//! Whether a program from elsewhere may be used for a graph: structure, and then the program itself.
//!
//! The judge of every artifact before it is served, installed or replayed: the loader's checks show that a program is
//! safe to run, only this shows what it computes (artifact specification, section 10, item 7).

mod equations;

use super::{ArtifactError, Checks, Decoded, decode};
use crate::graph::{Graph, GraphHash};
use crate::trace::{EliminationError, Limits, Observer, ReplayError, Trace, eliminate};

/// A program that may be used for the graph it was verified against, and for no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The file's content.
    pub decoded: Decoded,
    /// What shows that it computes what the graph asks for.
    pub evidence: Evidence,
}

/// What shows that a program is right for a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// Our own engine made the same program, command for command.
    Reproduced,
    /// It is another program than phasic's elimination of the graph (one with another order of elimination), or making
    /// that anew would have passed the limits. At random parameters and rewards, its results solve the graph's own linear
    /// equations from every vertex.
    Solved,
}

/// Why a program must not be used for a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The file is not an intact program for a graph of this shape.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// An intact program, but neither the one this graph's elimination gives nor one with the same results.
    #[error(
        "it holds another program than the elimination of this graph gives, from command {command} on, and wrong \
         numbers follow; it was made for another order of edges, or tampered with"
    )]
    Differs {
        /// The first command that is not the same, counted from 0.
        command: usize,
    },
    /// Its results are wrong.
    #[error(
        "replayed at random parameters, it gives vertex {vertex} an expected total that does not solve the graph's \
         equations (relative error {relative_error:.1e})"
    )]
    Wrong {
        /// The first vertex with a wrong result.
        vertex: u32,
        /// How far the equation of that vertex is from being solved, in relation to its terms.
        relative_error: f64,
    },
    /// It cannot be replayed, so that nothing can be said about it.
    #[error("it is too large to be made anew here, and replaying it gives no number: {0}")]
    Unverifiable(#[from] ReplayError),
    /// The observer cancelled.
    #[error("the verification was cancelled")]
    Cancelled,
}

/// Verifies the bytes of an artifact file against the graph it is to be used for.
///
/// First every check of structure, then the program: the engine makes it anew and both should be equal, command for
/// command. When they are not, or when that passes `limits`, the program is replayed at random parameters, and its results
/// must solve the graph's linear equations. Memory contents of a PTDPRMC1 file are not judged: no reader uses them.
///
/// `hash` must be the content hash of `graph`; a PTDPRMC1 file carries a part of it. Random parameters are drawn from
/// `seed`, which whoever made the file must not be able to foresee. Costs about one elimination.
///
/// # Errors
/// [`VerificationError`], with what is wrong with the bytes.
///
/// ```
/// use phasic_engine::artifact::{Evidence, encode_ptdprmc3, verify};
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::trace::{Limits, eliminate};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (two, one) = (builder.find_or_add_vertex(&[2])?, builder.find_or_add_vertex(&[1])?);
/// builder.add_edge(START, two, Rate::Scalar(1.0))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
/// let graph = builder.finish();
///
/// let mut bytes = Vec::new();
/// encode_ptdprmc3(&eliminate(&graph, &Limits::default(), &mut ())?, &mut bytes)?;
/// let verified = verify(&bytes, &graph, graph.content_hash(), &Limits::default(), 7, &mut ())?;
/// assert_eq!(verified.evidence, Evidence::Reproduced);
///
/// bytes[40] ^= 1;
/// assert!(verify(&bytes, &graph, graph.content_hash(), &Limits::default(), 7, &mut ()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    limits: &Limits,
    seed: u64,
    observer: &mut impl Observer,
) -> Result<Verified, VerificationError> {
    let checks = Checks { graph: Some(graph), hash: Some(hash), ..Checks::default() };
    let decoded = decode(bytes, &checks)?;
    // A longer program than the file's is another one; there is no need to make all of it.
    let length = decoded.trace.commands().len();
    let limited = limits.with_commands(limits.commands.min(length as u64));
    let differs = match eliminate(graph, &limited, observer) {
        Ok(own) => first_difference(&decoded.trace, &own),
        Err(EliminationError::Cancelled { .. }) => return Err(VerificationError::Cancelled),
        Err(EliminationError::Commands { .. }) if limited.commands < limits.commands => Some(length),
        Err(_) => {
            equations::check(&decoded.trace, graph, seed)?;
            return Ok(Verified { decoded, evidence: Evidence::Solved });
        }
    };
    let evidence = match differs {
        None => Evidence::Reproduced,
        Some(_) if equations::check(&decoded.trace, graph, seed).is_ok() => Evidence::Solved,
        Some(command) => return Err(VerificationError::Differs { command }),
    };
    Ok(Verified { decoded, evidence })
}

/// The first command that is not the same, if any. Equal commands over different inputs count as different.
fn first_difference(found: &Trace, own: &Trace) -> Option<usize> {
    if found == own {
        return None;
    }
    let pairs = found.commands().iter().zip(own.commands());
    let same = pairs.take_while(|(found, own)| found == own).count();
    Some(if found.inputs() == own.inputs() { same } else { 0 })
}

#[cfg(test)]
mod tests;
