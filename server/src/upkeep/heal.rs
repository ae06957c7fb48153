//! Healing: bytes of a name made again. From the other form of the same artifact, by elimination of a graph that is known
//! here, or fetched again; whichever way, only under the digest they must have.

use std::collections::{BTreeMap, BTreeSet};

use phasic_engine::artifact::{Checks, decode, encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::plan::{self, Plan, lower};
use phasic_engine::trace::{Limits, Trace, eliminate};
use phasic_hub_api::{GraphHash, Sha256};
use serde_json::json;

use super::{UpkeepError, scrub};
use crate::blobs::{BlobError, Terms, in_memory, read_whole};
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::models::{Recipe, reference_recipe};
use crate::store::{Actor, Change};
use crate::visibility::Viewer;

/// Makes or fetches again what is damaged or lost, and tells what came of it: where nothing did, only if `is_news` says
/// that it has not been told before. Gives the names that are whole again.
///
/// # Errors
/// When the database fails. An upstream that cannot be asked, and a file that cannot be read or stored, are only logged.
pub async fn heal(
    data: &DataDirectory,
    config: &Config,
    bad: &BTreeSet<Sha256>,
    is_news: bool,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut restored = remake(data, config, bad).await?;
    let missing: BTreeSet<_> = bad.difference(&restored).copied().collect();
    match scrub::fetch(data, config, &missing).await {
        Ok(fetched) => restored.extend(fetched),
        // What was made again is whole all the same, and is told.
        Err(error) => tracing::error!(%error, "could not fetch again what is damaged or lost"),
    }
    if restored.is_empty() && !is_news {
        return Ok(restored);
    }
    // Also when nothing was restored: what is gone is withdrawn.
    data.store.touch_catalogue().await?;
    let missing: Vec<_> = bad.difference(&restored).collect();
    for name in &restored {
        tracing::warn!(blob = %name, "a stored file was damaged or lost, and is whole again");
    }
    for name in &missing {
        tracing::error!(blob = %name, "a stored file is damaged or lost, and cannot be made again here");
    }
    let detail = json!({"bad": bad, "restored": restored, "missing": missing});
    let told = Change { action: "blob.heal", subject: "blobs".to_owned(), detail };
    data.store.tell(&Actor::Hub, told).await?;
    Ok(restored)
}

/// Makes files again from what is here. Gives the names that are whole again.
pub(super) async fn remake(
    data: &DataDirectory,
    config: &Config,
    bad: &BTreeSet<Sha256>,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut restored = BTreeSet::new();
    if bad.is_empty() {
        return Ok(restored);
    }
    for (graph_hash, wanted) in wanted(data, bad).await? {
        for origin in origins(data, graph_hash, &wanted).await? {
            let missing: BTreeSet<_> = wanted.names.difference(&restored).copied().collect();
            if missing.is_empty() {
                break;
            }
            let config = config.clone();
            let made = tokio::task::spawn_blocking(move || origin.files(&config, &missing)).await?;
            for bytes in made {
                let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
                match data.blobs.put(in_memory(bytes), terms).await {
                    Ok(stored) => drop(restored.insert(stored.sha256)),
                    Err(error) => tracing::error!(%error, "could not store a file that was made again"),
                }
            }
        }
    }
    Ok(restored)
}

/// What is missing of a hash.
#[derive(Default)]
struct Wanted {
    names: BTreeSet<Sha256>,
    /// Files that hold the same program in another form.
    siblings: BTreeSet<Sha256>,
}

async fn wanted(
    data: &DataDirectory,
    bad: &BTreeSet<Sha256>,
) -> Result<BTreeMap<GraphHash, Wanted>, UpkeepError> {
    let mut found: BTreeMap<GraphHash, Wanted> = BTreeMap::new();
    for row in data.store.computes().await? {
        for artifact in row.artifacts {
            let forms = [artifact.original.sha256, artifact.served.sha256];
            for (name, other) in [(forms[0], forms[1]), (forms[1], forms[0])] {
                if bad.contains(&name) {
                    let wanted = found.entry(artifact.graph_hash).or_default();
                    wanted.names.insert(name);
                    wanted.siblings.insert(other);
                }
            }
        }
    }
    for (graph_hash, name) in data.store.files_of_graphs().await? {
        if bad.contains(&name) {
            found.entry(graph_hash).or_default().names.insert(name);
        }
    }
    Ok(found)
}

/// Where bytes can be made from.
enum Origin {
    /// Another file of the same program.
    File(Vec<u8>),
    /// A definition of the graph.
    Graph(Recipe),
}

async fn origins(
    data: &DataDirectory,
    graph_hash: GraphHash,
    wanted: &Wanted,
) -> Result<Vec<Origin>, UpkeepError> {
    let mut origins = Vec::new();
    for &sibling in wanted.siblings.difference(&wanted.names) {
        let Some(blob) = data.store.blob(sibling).await? else { continue };
        match read_whole(&*data.blobs, blob).await {
            Ok(bytes) => origins.push(Origin::File(bytes)),
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => {}
            Err(error) => tracing::error!(blob = %blob.sha256, %error, "a stored file cannot be read"),
        }
    }
    origins.extend(reference_recipe(graph_hash).map(Origin::Graph));
    for row in data.store.graphs(graph_hash, &Viewer::All).await? {
        match read_whole(&*data.blobs, row.recipe).await {
            Ok(text) => {
                let recipe = Recipe::from_json(&String::from_utf8_lossy(&text));
                origins.extend(recipe.ok().map(Origin::Graph));
            }
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => {}
            Err(error) => tracing::error!(blob = %row.recipe.sha256, %error, "a stored file cannot be read"),
        }
    }
    Ok(origins)
}

impl Origin {
    /// Those of the missing files that can be made from here.
    fn files(&self, config: &Config, missing: &BTreeSet<Sha256>) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        match self {
            Self::File(bytes) => {
                if let Ok(decoded) = decode(bytes, &Checks::default()) {
                    files.extend(ptdprmc3(&decoded.trace));
                }
            }
            Self::Graph(recipe) => {
                if let Ok(graph) = recipe.build(&config.models) {
                    made_anew(&graph, config.compute.max_memory_bytes.get(), missing, &mut files);
                }
            }
        }
        files.retain(|bytes| missing.contains(&Sha256::of(bytes)));
        files
    }
}

/// Every file this hub knows how to make of a graph, until nothing is missing.
fn made_anew(graph: &Graph, memory_bytes: u64, missing: &BTreeSet<Sha256>, files: &mut Vec<Vec<u8>>) {
    let hash = graph.content_hash();
    let plan_limits = plan::Limits::default().with_memory_bytes(memory_bytes);
    let is_done = |files: &[Vec<u8>]| {
        let made: BTreeSet<_> = files.iter().map(|bytes| Sha256::of(bytes)).collect();
        missing.is_subset(&made)
    };
    if let Ok(trace) = eliminate(graph, &Limits::default().with_memory_bytes(memory_bytes), &mut ()) {
        files.extend(ptdprmc3(&trace));
        if is_done(files) {
            return;
        }
        // The memory contents of this format depend on θ; these are phasic's where nobody has set one.
        if let Ok(memory) = trace.final_memory(graph, &graph.unit_weights()) {
            let mut bytes = Vec::new();
            files.extend(encode_ptdprmc1(&trace, &hash, &memory, &mut bytes).ok().map(|()| bytes));
        }
    }
    if is_done(files) {
        return;
    }
    if let Ok(trace) = lower(graph, &plan_limits) {
        files.extend(ptdprmc3(&trace));
    }
    if !is_done(files)
        && let Ok(plan) = Plan::analyze(graph, &plan_limits)
    {
        files.push(plan.encode(&hash));
    }
}

fn ptdprmc3(trace: &Trace) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut bytes).ok()?;
    Some(bytes)
}
