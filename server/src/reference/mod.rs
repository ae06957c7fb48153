//! The reference computes: built, eliminated and published by the hub itself, so that it is useful without a network.
//!
//! Eliminations run on a pool of their own, so that requests are answered meanwhile. Which models there are is the
//! engine's knowledge; a job queue for everybody's models is not this room.

mod care;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

use phasic_engine::artifact::encode_ptdprmc3;
use phasic_engine::document::DocumentError;
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::plan::{AnalysisError, lower};
use phasic_engine::reference::{ReferenceCompute, computes};
use phasic_engine::trace::{EliminationError, Limits, eliminate};
use phasic_hub_api::health::FindingCode;
use phasic_hub_api::identifier::ComputeIdError;
use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{
    ArtifactName, ArtifactRef, Artifacts, ComputeId, GraphHash, Metadata, RegistryEntry, Sha256,
};

pub use self::care::{maintain, publish};
use crate::admission::{Admission, TooLarge};
use crate::blobs::{BlobError, Terms, in_memory};
use crate::hub::{DataDirectory, Hub};
use crate::jobs::{memory_of_program, plan_limits};
use crate::registry::{FORMAT_REVISION, say_variant};
use crate::store::{ArtifactRow, Publication, Role, StoreError, VariantReason};
use crate::workers::BrokeOff;

/// Part of every definition digest: raise it when the same document must be eliminated anew.
const SCHEME: &str = "phasic-trace/ptdprmc3/1";

/// A reference compute that could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Its id is none.
    #[error(transparent)]
    Id(#[from] ComputeIdError),
    /// Its model document builds no graph.
    #[error(transparent)]
    Model(#[from] DocumentError),
    /// Its elimination did not finish.
    #[error(transparent)]
    Elimination(#[from] EliminationError),
    /// Our own elimination did not finish.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// It needs more memory than there may be.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The elimination panicked.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
    /// The artifact could not be stored.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The compute could not be published.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a reference compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was published before, and was served when it was looked at.
    Unchanged,
    /// Somebody has published something under its id, which stays.
    Somebodys,
    Published,
    /// Neither of its programs can be made within the memory eliminations may take.
    TooLarge,
}

/// The graph with this content hash, if it is one that this hub builds itself.
pub fn known_graph(hash: GraphHash) -> Option<&'static Graph> {
    static KNOWN: LazyLock<HashMap<GraphHash, Graph>> = LazyLock::new(|| {
        let built = computes().iter().filter_map(|compute| compute.build(&GraphLimits::default()).ok());
        built.map(|graph| (graph.content_hash(), graph)).collect()
    });
    KNOWN.get(&hash)
}

/// Tells readiness that the reference computes are still to come.
pub fn announce(hub: &Hub) {
    hub.readiness.wait_for(FindingCode::ReferenceComputes, "The reference computes are being eliminated.");
}

/// What somebody has published under the id, and his retraction, stay.
async fn publish_one(
    hub: &Hub,
    admission: &Admission,
    compute: &'static ReferenceCompute,
) -> Result<Outcome, ReferenceError> {
    let id: ComputeId = compute.id.parse()?;
    if hub.data.store.is_by_somebody(&id).await? {
        return Ok(Outcome::Somebodys);
    }
    let withheld = hub.catalogue().withheld().iter().any(|withheld| withheld.id == id);
    let known = if withheld { None } else { hub.data.store.reference_definition(&id).await? };
    if known == Some(definition(compute, Variant::Phasic)?) {
        return Ok(Outcome::Unchanged);
    }
    let max_memory_bytes = admission.max_bytes();
    let chosen = admission.workers().run(move || choose(compute, max_memory_bytes)).await??;
    let Some((variant, needed)) = chosen else {
        tracing::warn!(
            id = compute.id,
            max_memory_bytes,
            "a reference compute is too large for compute.max_memory_bytes"
        );
        return Ok(Outcome::TooLarge);
    };
    let definition = definition(compute, variant)?;
    if known == Some(definition) {
        return Ok(Outcome::Unchanged);
    }
    let _share = admission.take(needed).await?;
    let made = admission.workers().run(move || make(compute, variant, max_memory_bytes)).await??;
    store(&hub.data, id, compute, definition, made).await?;
    Ok(Outcome::Published)
}

/// The digest of all that decides what a reference compute is: while it is unchanged, nothing is eliminated again. Where
/// only our own program could be made it is another one, so that phasic's is made as soon as there is memory for it.
fn definition(compute: &ReferenceCompute, variant: Variant) -> Result<Sha256, ReferenceError> {
    let ReferenceCompute { id, constants, description, author, license, domain, model_type, tags, .. } =
        compute;
    let text = compute.document()?.text().to_owned();
    let scheme = match variant {
        Variant::Phasic => SCHEME.to_owned(),
        other => format!("{SCHEME}/{}", other.as_str()),
    };
    let all = serde_json::json!([
        scheme,
        id,
        text,
        constants,
        description,
        author,
        license,
        domain,
        model_type,
        tags
    ]);
    Ok(Sha256::of(all.to_string().as_bytes()))
}

/// What an elimination gives.
struct Made {
    graph_hash: GraphHash,
    vertices: u64,
    param_length: u64,
    variant: Variant,
    artifact: Vec<u8>,
}

/// Phasic's program, or ours where that one would take too much memory, and what making it takes. `None` when both would.
fn choose(
    compute: &ReferenceCompute,
    max_memory_bytes: u64,
) -> Result<Option<(Variant, u64)>, ReferenceError> {
    let graph = compute.build(&GraphLimits::default())?;
    let needed = |variant| memory_of_program(&graph, variant, max_memory_bytes).map(|bytes| (variant, bytes));
    Ok([Variant::Phasic, Variant::Fast].into_iter().find_map(needed))
}

fn make(compute: &ReferenceCompute, variant: Variant, max_memory_bytes: u64) -> Result<Made, ReferenceError> {
    let graph = compute.build(&GraphLimits::default())?;
    let trace = match variant {
        Variant::Phasic => {
            eliminate(&graph, &Limits::default().with_memory_bytes(max_memory_bytes), &mut ())?
        }
        _ => lower(&graph, &plan_limits(max_memory_bytes))?,
    };
    let mut artifact = Vec::new();
    encode_ptdprmc3(&trace, &mut artifact).expect("writing to memory does not fail");
    Ok(Made {
        graph_hash: graph.content_hash(),
        vertices: graph.vertex_count().into(),
        param_length: graph.param_length() as u64,
        variant,
        artifact,
    })
}

async fn store(
    data: &DataDirectory,
    id: ComputeId,
    compute: &ReferenceCompute,
    definition: Sha256,
    made: Made,
) -> Result<(), ReferenceError> {
    let terms = Terms { max_bytes: made.artifact.len() as u64, sha256: None };
    let blob = data.blobs.put(in_memory(made.artifact), terms).await?;
    let text = |text: &str| Some(text.to_owned());
    let metadata = Metadata {
        description: text(compute.description),
        author: text(compute.author.unwrap_or("unknown")),
        license: text(compute.license),
        vertices: Some(made.vertices),
        param_length: Some(made.param_length),
        domain: text(compute.domain),
        model_type: text(compute.model_type),
        tags: compute.tags.iter().map(|&tag| tag.to_owned()).collect(),
    };
    let parent = ArtifactRef {
        cid_or_path: ArtifactName::Parent(made.graph_hash).registry_path(),
        sha256: blob.sha256,
        size_bytes: blob.size_bytes,
    };
    let artifacts = Artifacts { parent, scc: Vec::new() };
    let mut entry = RegistryEntry::new(made.graph_hash, FORMAT_REVISION, artifacts, metadata);
    if made.variant != Variant::Phasic {
        entry = say_variant(&entry, made.variant, VariantReason::TooLarge);
    }
    let row = ArtifactRow { role: Role::Parent, graph_hash: made.graph_hash, original: blob, served: blob };
    let publication = Publication { id, entry, artifacts: vec![row] };
    data.store.publish_local(&publication, Some(definition)).await?;
    let variant = made.variant.as_str();
    tracing::info!(id = compute.id, variant, graph_hash = %made.graph_hash, bytes = blob.size_bytes, "published a reference compute");
    Ok(())
}
