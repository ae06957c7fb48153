//! Entries of what was computed on demand, so that an unmodified phasic pulls what somebody else has had computed.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{ArtifactName, ComputeId, GraphIdentity, RegistryEntry};
use serde_json::json;

use super::{State, Variants, VariantsError};
use crate::registry::FORMAT_REVISION;
use crate::store::{ArtifactRow, ComputeRow, EliminationRow, Origin, Publication, Role, VariantReason};

/// How ids of computed entries begin; nobody else may publish under such an id.
pub const COMPUTED_PREFIX: &str = "computed-";

impl Variants {
    /// Publishes entries for results of jobs, and removes those that are none any more.
    pub(super) async fn list_computed(&self, state: &State) -> Result<(), VariantsError> {
        let listed: HashMap<&ComputeId, &ComputeRow> = state
            .computes
            .iter()
            .filter(|compute| compute.origin == Origin::Computed)
            .map(|compute| (&compute.id, compute))
            .collect();
        let (mut keep, mut publications) = (HashSet::new(), Vec::new());
        if self.settings.computed {
            // Never beside a compute with a name people know, whatever is thought of that one today: phasic looks up by
            // hash alone, and what anybody submits must not take the place of what somebody stands for.
            let free = state.graphs.iter().filter(|(hash, _)| !state.published.contains(hash));
            for row in free.flat_map(|(_, rows)| rows) {
                let graph = &row.identity;
                let id = id_of(graph);
                let Some((made, reason)) = self.program(state, graph, &id).await? else { continue };
                let is_there = listed
                    .get(&id)
                    .is_some_and(|compute| compute.artifacts.iter().any(|file| file.served == made.blob));
                if !is_there {
                    let reason = match reason {
                        None if made.variant == Variant::Fast => self.why_fast(state, graph).await?,
                        reason => reason,
                    };
                    publications.push(publication(id.clone(), graph, made, reason)?);
                }
                keep.insert(id);
            }
        }
        let gone: Vec<ComputeId> =
            listed.keys().filter(|id| !keep.contains(**id)).map(|id| (*id).clone()).collect();
        if !publications.is_empty() || !gone.is_empty() {
            for publication in &publications {
                tracing::info!(id = %publication.id, "listed what was computed on demand");
            }
            self.data.store.publish_computed(&publications, &gone).await?;
        }
        Ok(())
    }

    /// The program to list of a graph, and why it is ours if something forces it. `None` as long as there is none.
    async fn program<'a>(
        &self,
        state: &'a State,
        graph: &GraphIdentity,
        id: &ComputeId,
    ) -> Result<Option<(&'a EliminationRow, Option<VariantReason>)>, VariantsError> {
        let (phasic, fast) =
            (state.program_of(graph, Variant::Phasic), state.program_of(graph, Variant::Fast));
        let explicit = state.wanted.get(id.as_str()).copied();
        let (wanted, reason) = match explicit {
            Some(variant) => (variant, Some(VariantReason::Requested)),
            None if graph.parallel_edges => (Variant::Fast, Some(VariantReason::ParallelEdges)),
            None if self.settings.variant.variant() == Variant::Fast => {
                (Variant::Fast, Some(VariantReason::Requested))
            }
            None => (Variant::Phasic, None),
        };
        Ok(match (wanted, phasic, fast) {
            (Variant::Fast, _, Some(fast)) => Some((fast, reason)),
            // Nobody has asked for anything that phasic can use.
            (_, None, None) => None,
            (Variant::Fast, Some(_), None) => {
                self.ask(state, graph, Variant::Fast).await;
                // Rather nothing than wrong numbers.
                None
            }
            (_, Some(phasic), _) => Some((phasic, None)),
            (_, None, Some(fast)) => Some((fast, None)),
        })
    }

    /// Why there is only our own program of a graph.
    async fn why_fast(
        &self,
        state: &State,
        graph: &GraphIdentity,
    ) -> Result<Option<VariantReason>, VariantsError> {
        let submitted = self.submitted(state, graph).await?;
        let is_too_large =
            submitted.is_some_and(|submitted| submitted.forecast.of(Variant::Phasic).refused.is_some());
        Ok(Some(if is_too_large { VariantReason::TooLarge } else { VariantReason::Requested }))
    }
}

/// `computed-`, the first digits of the content hash, and the definition: the same on every hub. The whole definition,
/// because definitions of one hash can be made at will until two of them share their first digits.
fn id_of(graph: &GraphIdentity) -> ComputeId {
    let (hash, definition) = (graph.graph_hash.to_string(), graph.definition.to_string());
    let id = format!("{COMPUTED_PREFIX}{}-{definition}", &hash[..16]);
    id.parse().expect("letters, digits and dashes, fewer than 128")
}

fn publication(
    id: ComputeId,
    graph: &GraphIdentity,
    made: &EliminationRow,
    reason: Option<VariantReason>,
) -> Result<Publication, VariantsError> {
    let mut hub = json!({
        "origin": "computed",
        "variant": made.variant,
        "edge_order_digest": graph.edge_order_digest,
        "definition": graph.definition,
    });
    if let Some(reason) = reason {
        hub["variant_reason"] = reason.as_str().into();
    }
    let entry: RegistryEntry = serde_json::from_value(json!({
        "graph_hash": graph.graph_hash,
        "format_revision": FORMAT_REVISION,
        "artifacts": {
            "parent": {
                "cid_or_path": ArtifactName::Parent(graph.graph_hash).registry_path(),
                "sha256": made.blob.sha256,
                "size_bytes": made.blob.size_bytes,
            },
            "scc": [],
        },
        "metadata": {
            // Nothing a submitter has written: he need not be allowed to publish, and may have told it in confidence.
            "description": "An elimination that was computed on demand by this hub",
            "author": "Phasic Hub",
            "license": null,
            "vertices": graph.vertices,
            "param_length": graph.param_length,
            "tags": ["computed"],
            "hub": hub,
        },
    }))?;
    let row = ArtifactRow {
        role: Role::Parent,
        graph_hash: graph.graph_hash,
        original: made.blob,
        served: made.blob,
    };
    Ok(Publication { id, entry, artifacts: vec![row] })
}
