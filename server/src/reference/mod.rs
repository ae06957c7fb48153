//! The reference computes: built, eliminated and published by the hub itself, so that it is useful without a network.
//!
//! Eliminations run on a pool of their own, so that requests are answered meanwhile. Which models there are is the
//! engine's knowledge; a job queue for everybody's models is not this room.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

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
use tokio::sync::watch;

use crate::admission::{Admission, TooLarge};
use crate::blobs::{BlobError, Terms, in_memory};
use crate::hub::{DataDirectory, Hub};
use crate::jobs::{memory_of_program, plan_limits};
use crate::registry::{FORMAT_REVISION, WithheldReason, say_variant};
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
    /// It is as it was: published before, or somebody's.
    Unchanged,
    Published,
    /// Neither of its programs can be made within the memory eliminations may take.
    TooLarge,
}

/// Publishes every reference compute that is not published yet, and tells the hub's readiness about it.
///
/// A compute that fails is logged and keeps the hub from being ready; the others are published all the same. One that is
/// too large for the settings is none the hub waits for: it does without, and says so. Gives the ids of those that failed.
pub async fn publish(hub: Arc<Hub>, admission: Admission) -> Vec<&'static str> {
    let (mut changed, mut failed, mut too_large) = (false, Vec::new(), Vec::new());
    for compute in computes() {
        match publish_one(&hub, &admission, compute).await {
            Ok(Outcome::Unchanged) => {}
            Ok(Outcome::Published) => changed = true,
            Ok(Outcome::TooLarge) => too_large.push(compute.id),
            Err(error) => {
                tracing::error!(id = compute.id, %error, "could not publish a reference compute");
                failed.push(compute.id);
            }
        }
    }
    if changed && let Err(error) = hub.refresh().await {
        // Whoever follows changes will try again.
        tracing::error!(%error, "could not render the registry");
    }
    let served = hub.catalogue();
    let is_missing = |id: &&str| served.computes().iter().all(|compute| compute.id.as_str() != *id);
    hub.readiness.goes_without(too_large.into_iter().filter(is_missing).collect());
    if failed.is_empty() {
        hub.readiness.done(FindingCode::ReferenceComputes);
    } else {
        let failed = failed.join(", ");
        let reason = format!("Reference computes that could not be published: {failed} (see the log).");
        hub.readiness.wait_for(FindingCode::ReferenceComputes, reason);
    }
    failed
}

/// Publishes the reference computes, and again whichever of them loses a file, or has one that was found wrong: another
/// release may have made that. What is found wrong though this one has made it is left alone. Never ends. `tried` becomes
/// true when all were tried for the first time.
pub async fn maintain(hub: Arc<Hub>, admission: Admission, tried: watch::Sender<bool>) {
    let mut renderings = hub.renderings();
    loop {
        renderings.mark_unchanged();
        let failed = publish(Arc::clone(&hub), admission.clone()).await;
        tried.send_replace(true);
        let is_in_vain = |(id, reason): &(&str, WithheldReason)| {
            matches!(reason, WithheldReason::Mismatch(_)) && !failed.contains(id)
        };
        let in_vain: Vec<_> = withheld(&hub).into_iter().filter(is_in_vain).collect();
        // What could not be published is tried again after the next change, not at once.
        let again = loop {
            // An error would say that the hub is gone, which we hold ourselves.
            let _ = renderings.changed().await;
            let again = withheld(&hub).into_iter().filter(|one| !in_vain.contains(one));
            let again: Vec<_> = again.map(|(id, _)| id).collect();
            if !again.is_empty() {
                break again.join(", ");
            }
        };
        tracing::warn!(again, "eliminating reference computes again: their files are lost or wrong");
        let reason =
            format!("Reference computes whose files were lost or wrong are being eliminated again: {again}.");
        hub.readiness.wait_for(FindingCode::ReferenceComputes, reason);
    }
}

/// The reference computes that should be served and are not, and why, without those that cannot be made here anyway.
fn withheld(hub: &Hub) -> Vec<(&'static str, WithheldReason)> {
    let (catalogue, without) = (hub.catalogue(), hub.readiness.without());
    let reason =
        |id: &str| catalogue.withheld().iter().find(|one| one.id.as_str() == id).map(|one| one.reason);
    let ids = computes().iter().map(|compute| compute.id).filter(|id| !without.contains(id));
    ids.filter_map(|id| Some((id, reason(id)?))).collect()
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
        return Ok(Outcome::Unchanged);
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
