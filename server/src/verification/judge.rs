//! One file against one graph. Synchronous and pure; runs on a worker's thread, or in a process of its own.

use std::ops::ControlFlow;

use phasic_engine::artifact::{Evidence, VerificationError, verify_in_any_order};
use phasic_engine::graph::{EdgeOrderDigest, Graph, GraphHash};
use phasic_engine::plan::{self, Plan, PlanVerificationError};
use phasic_engine::trace::{Limits, Observer, Progress};
use phasic_hub_api::verification::Verdict;
use serde::{Deserialize, Serialize};

use super::findings::too_large;
use crate::config;
use crate::models::{ModelError, Recipe};

/// How the files of programs begin; those of plans do not.
const PROGRAM: &[u8] = b"PTDPRMC";

/// All that a comparison takes beside the file, for this process or another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// The recipe of the graph, as it is stored.
    pub(crate) recipe: String,
    /// The hash the file is said to be for.
    pub(crate) graph_hash: GraphHash,
    /// Limits of the graph.
    pub(crate) models: config::Models,
    /// Memory programs may take.
    pub(crate) memory_bytes: u64,
}

/// What came of one definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Judged {
    /// Somebody has stopped it.
    Stopped,
    /// It builds another graph than it was submitted as.
    OfAnotherGraph,
    /// A judgement.
    Found(Judgement),
}

impl Comparison {
    /// Builds the graph, makes its programs anew, and compares. `watch` says whether to go on; it is asked every few
    /// milliseconds.
    ///
    /// # Errors
    /// When the recipe cannot be read.
    pub(super) fn perform(
        &self,
        bytes: &[u8],
        mut watch: impl FnMut(Option<Progress>) -> ControlFlow<()>,
    ) -> Result<Judged, serde_json::Error> {
        let recipe = Recipe::from_json(&self.recipe)?;
        let graph = match recipe.build_watched(&self.models, &mut || watch(None)) {
            Err(_) if watch(None).is_break() => return Ok(Judged::Stopped),
            Err(error) => return Ok(Judged::Found(unbuilt(&error))),
            Ok(graph) => graph,
        };
        match graph.content_hash_watched(&mut || watch(None)) {
            ControlFlow::Continue(hash) if hash == self.graph_hash => {}
            ControlFlow::Continue(_) => return Ok(Judged::OfAnotherGraph),
            ControlFlow::Break(()) => return Ok(Judged::Stopped),
        }
        let mut watch = |progress: Progress| watch(Some(progress));
        let judged = judge(bytes, &graph, self.graph_hash, self.memory_bytes, &mut watch);
        Ok(judged.map_or(Judged::Stopped, Judged::Found))
    }

    /// The same, with what comes of it in JSON.
    ///
    /// # Errors
    /// As [`perform`](Self::perform).
    pub(crate) fn perform_in_json(
        &self,
        bytes: &[u8],
        watch: impl FnMut(Option<Progress>) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.perform(bytes, watch)?)
    }
}

/// A definition that builds no graph within today's limits.
fn unbuilt(error: &ModelError) -> Judgement {
    too_large(format!("the graph cannot be built here: {error}"))
}

/// What a file is for a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// The order of edges it is right for, if it is right for one.
    pub(super) edge_order_digest: Option<EdgeOrderDigest>,
    /// What is different, if it is not.
    pub(super) difference: Option<String>,
}

/// Makes the programs of `graph` anew, and compares. `None` when the observer stopped it.
fn judge(
    bytes: &[u8],
    graph: &Graph,
    hash: GraphHash,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> Option<Judgement> {
    if !bytes.starts_with(PROGRAM) {
        return judge_plan(bytes, graph, memory_bytes, observer);
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

fn judge_plan(
    bytes: &[u8],
    graph: &Graph,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> Option<Judgement> {
    let limits = plan::Limits::default().with_memory_bytes(memory_bytes);
    Some(match Plan::verify_watched(bytes, graph, &limits, observer) {
        Ok(_) => Judgement {
            verdict: Verdict::Equivalent,
            edge_order_digest: Some(graph.edge_order_digest()),
            difference: None,
        },
        Err(error) if error.is_cancelled() => return None,
        Err(error @ PlanVerificationError::TooLarge(_)) => against(Verdict::TooLarge, &error),
        Err(error) => against(Verdict::Mismatch, &error),
    })
}

fn against(verdict: Verdict, difference: &dyn std::error::Error) -> Judgement {
    Judgement { verdict, edge_order_digest: None, difference: Some(difference.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use phasic_engine::artifact::encode_ptdprmc3;
    use phasic_engine::graph::GraphLimits;
    use phasic_engine::plan::{self, Plan};
    use phasic_engine::trace::{Limits, eliminate};

    use super::{Comparison, Judged};
    use crate::config;
    use crate::models::reference_recipe;

    #[test]
    fn a_comparison_can_be_stopped_wherever_it_asks_whatever_the_file() {
        let reference = &phasic_engine::reference::computes()[0];
        let graph = reference.build(&GraphLimits::default()).unwrap();
        let hash = graph.content_hash();
        let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap().encode(&hash);
        let mut program = Vec::new();
        encode_ptdprmc3(&eliminate(&graph, &Limits::default(), &mut ()).unwrap(), &mut program).unwrap();
        let comparison = Comparison {
            recipe: reference_recipe(hash).unwrap().to_json().unwrap(),
            graph_hash: hash,
            models: config::Models::default(),
            memory_bytes: 1 << 30,
        };
        for file in [plan, program] {
            let judged = |mut left: u32| {
                let mut asked = 0;
                let found = comparison.perform(&file, |_| {
                    asked += 1;
                    left = left.checked_sub(1).map_or(ControlFlow::Break(()), ControlFlow::Continue)?;
                    ControlFlow::Continue(())
                });
                (found.unwrap(), asked)
            };
            let (whole, asked) = judged(u32::MAX);
            assert!(matches!(whole, Judged::Found(_)) && asked > 1, "{whole:?}, asked {asked} times");
            for place in 0..asked {
                assert_eq!(judged(place).0, Judged::Stopped, "at {place} of {asked}");
            }
        }
    }
}
