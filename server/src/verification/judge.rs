//! One file against one graph. Synchronous and pure; runs on a worker's thread.

use phasic_engine::artifact::{Evidence, VerificationError, verify_in_any_order};
use phasic_engine::graph::{EdgeOrderDigest, Graph, GraphHash};
use phasic_engine::plan::{self, Plan, PlanVerificationError};
use phasic_engine::trace::{Limits, Observer};
use phasic_hub_api::verification::Verdict;

/// How the files of programs begin; those of plans do not.
const PROGRAM: &[u8] = b"PTDPRMC";

/// What a file is for a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// The order of edges it is right for, if it is right for one.
    pub(super) edge_order_digest: Option<EdgeOrderDigest>,
    /// What is different, if it is not.
    pub(super) difference: Option<String>,
}

/// Makes the programs of `graph` anew, and compares. `None` when the observer stopped it.
pub(super) fn judge(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> Option<Judgement> {
    if !bytes.starts_with(PROGRAM) {
        return Some(judge_plan(bytes, graph, memory_bytes));
    }
    let limits = Limits::default().with_memory_bytes(memory_bytes);
    Some(match verify_in_any_order(bytes, graph, hash, &limits, observer) {
        Ok((verified, digest)) => Judgement {
            verdict: match verified.evidence {
                Evidence::Reproduced => Verdict::Reproduced,
                _ => Verdict::Equivalent,
            },
            edge_order_digest: Some(digest),
            difference: None,
        },
        Err(VerificationError::Cancelled) => return None,
        Err(error @ VerificationError::TooLarge(_)) => against(Verdict::TooLarge, &error),
        Err(error) => against(Verdict::Mismatch, &error),
    })
}

fn judge_plan(bytes: &[u8], graph: &Graph, memory_bytes: u64) -> Judgement {
    match Plan::verify(bytes, graph, &plan::Limits::default().with_memory_bytes(memory_bytes)) {
        Ok(_) => Judgement {
            verdict: Verdict::Equivalent,
            edge_order_digest: Some(graph.edge_order_digest()),
            difference: None,
        },
        Err(error @ PlanVerificationError::TooLarge(_)) => against(Verdict::TooLarge, &error),
        Err(error) => against(Verdict::Mismatch, &error),
    }
}

fn against(verdict: Verdict, difference: &dyn std::error::Error) -> Judgement {
    Judgement { verdict, edge_order_digest: None, difference: Some(difference.to_string()) }
}
