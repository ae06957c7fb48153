//! Whether a program from elsewhere may be used for a graph: structure, and then the program itself.
//!
//! The judge of every artifact before it is installed or replayed: the loader's checks show that a program is safe to
//! run, only this shows what it computes (artifact specification, section 10, item 7). Nothing less than making the
//! program anew will do: one that merely gives right results at parameters somebody tried can be made to give wrong ones
//! at others. A program that differs is run all the same, beside the graph's plan at random θ, to say more of it: see
//! [`Trial`].

mod trial;

pub use self::trial::{Disagreement, Trial};

use super::{ArtifactError, Checks, Decoded, decode};
use crate::graph::{EdgeOrderDigest, Graph, GraphHash};
use crate::plan::{self, AnalysisError, lower_watched};
use crate::trace::{EliminationError, Limits, Observer, first_difference};

/// A program that may be used for the graph it was verified against, and for no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The file's content.
    pub decoded: Decoded,
    /// Which program it is.
    pub evidence: Evidence,
}

/// Which program of a graph was made anew and found equal, command for command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// That of phasic's elimination.
    Reproduced,
    /// That of our own elimination, lowered to phasic's commands ([`lower`](plan::lower)).
    Fast,
}

/// Why a program must not be used for a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The file is not an intact program for a graph of this shape.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// An intact program, but neither of those this graph's elimination gives.
    #[error(
        "it holds another program than the elimination of this graph gives, from command {command} on; {trial}"
    )]
    Differs {
        /// The first command that is not the same, counted from 0.
        command: usize,
        /// What came of running it.
        trial: Trial,
    },
    /// Making the program anew would pass the limits, so that nothing can be said about it.
    #[error("it cannot be made anew here to compare: {0}")]
    TooLarge(EliminationError),
    /// The observer cancelled.
    #[error("the verification was cancelled")]
    Cancelled,
}

/// Verifies the bytes of an artifact file against the graph it is to be used for.
///
/// First every check of structure, then the program: the engine makes it anew, in phasic's order or in our own, and it
/// must be equal, command for command. Memory contents of a PTDPRMC1 file are not judged: no reader uses them. A program
/// that is not equal is run beside the graph's plan at random θ, to say more of it; see [`Trial`].
///
/// `hash` must be the content hash of `graph`; a PTDPRMC1 file carries a part of it. Costs about one elimination, and no
/// second copy of the program; an analysis and up to eight replays more where it differs.
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
/// let verified = verify(&bytes, &graph, graph.content_hash(), &Limits::default(), &mut ())?;
/// assert_eq!(verified.evidence, Evidence::Reproduced);
///
/// bytes[40] ^= 1;
/// assert!(verify(&bytes, &graph, graph.content_hash(), &Limits::default(), &mut ()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Verified, VerificationError> {
    let checks = Checks { graph: Some(graph), hash: Some(hash), ..Checks::default() };
    let decoded = decode(bytes, &checks)?;
    match compare(&decoded, graph, limits, observer) {
        Ok(evidence) => Ok(Verified { decoded, evidence }),
        Err(refusal) => Err(tried(refusal, &decoded, bytes, graph, limits, observer)),
    }
}

/// As [`verify`], for a file that may have been made for the same graph with its edges in another order, which the content
/// hash does not see. Says for which order the program is right; for a graph of any other it must not be used.
///
/// The order is read off the program ([`Trace::edge_order_of`](crate::trace::Trace::edge_order_of)), and counts only if
/// the program made anew for it is equal, command for command. Programs of our own elimination are recognised in the
/// order of `graph` only. Costs at most two eliminations, and where it differs what [`verify`] does.
///
/// # Errors
/// [`VerificationError`]: it is a program of this graph in no order of edges.
pub fn verify_in_any_order(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<(Verified, EdgeOrderDigest), VerificationError> {
    let checks = Checks { graph: Some(graph), hash: Some(hash), ..Checks::default() };
    let decoded = decode(bytes, &checks)?;
    let digest = graph.edge_order_digest();
    let refusal = match compare(&decoded, graph, limits, observer) {
        Ok(evidence) => return Ok((Verified { decoded, evidence }, digest)),
        Err(refusal) => refusal,
    };
    let may_be_of_another = matches!(refusal, VerificationError::Differs { .. });
    let other = may_be_of_another.then(|| decoded.trace.edge_order_of(graph)).flatten();
    let other = other.map(|other| (other.edge_order_digest(), other));
    let Some((other_digest, other)) = other.filter(|&(other_digest, _)| other_digest != digest) else {
        return Err(tried(refusal, &decoded, bytes, graph, limits, observer));
    };
    match compare(&decoded, &other, limits, observer) {
        Ok(evidence) => Ok((Verified { decoded, evidence }, other_digest)),
        Err(refusal) => Err(tried(refusal, &decoded, bytes, &other, limits, observer)),
    }
}

/// A refusal with what running the program shows, where there is no more to say of it yet than that it differs.
fn tried(
    refusal: VerificationError,
    decoded: &Decoded,
    bytes: &[u8],
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> VerificationError {
    let VerificationError::Differs { command, .. } = refusal else { return refusal };
    match trial::run(&decoded.trace, bytes, graph, &plan_limits(decoded, limits), observer) {
        Some(trial) => VerificationError::Differs { command, trial },
        None => VerificationError::Cancelled,
    }
}

/// Which of the graph's programs this is. A program that differs is not run.
fn compare(
    decoded: &Decoded,
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Evidence, VerificationError> {
    // A longer program than the file's is another one; there is no need to make all of it.
    let length = decoded.trace.commands().len();
    let limited = limits.with_commands(limits.commands.min(length as u64));
    let differs = |command| VerificationError::Differs { command, trial: Trial::NotRun };
    let refusal = match first_difference(&decoded.trace, graph, &limited, observer) {
        Ok(None) => return Ok(Evidence::Reproduced),
        Ok(Some(command)) => differs(command),
        Err(EliminationError::Cancelled { .. }) => return Err(VerificationError::Cancelled),
        Err(EliminationError::Commands { .. }) if limited.commands < limits.commands => differs(length),
        Err(limit) => VerificationError::TooLarge(limit),
    };
    match lower_watched(graph, &plan_limits(decoded, limits), observer) {
        Ok(own) if own == decoded.trace => Ok(Evidence::Fast),
        Err(AnalysisError::Cancelled { .. }) => Err(VerificationError::Cancelled),
        _ => Err(refusal),
    }
}

/// What our own elimination may take beside a program. It, too, has a command for every multiply-add, so one that takes
/// more is not what the file holds; ordering may take as many steps again. A file from a stranger buys no more work than
/// its own size pays for.
fn plan_limits(decoded: &Decoded, limits: &Limits) -> plan::Limits {
    let length = decoded.trace.commands().len() as u64;
    plan::Limits::default()
        .with_memory_bytes(limits.memory_bytes)
        .with_commands(length)
        .with_multiply_adds(2 * length)
}

#[cfg(test)]
mod tests;
