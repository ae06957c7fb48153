//! Healing: bytes of a name made again. From the other form of the same artifact, by elimination of a graph that is known
//! here, or fetched again; whichever way, only under the digest they must have.

use std::collections::{BTreeMap, BTreeSet};

use phasic_engine::artifact::{Checks, decode, encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::plan::{self, Plan, lower};
use phasic_engine::trace::{Limits, Trace, eliminate};
use phasic_hub_api::jobs::{Forecast, Variant};
use phasic_hub_api::{GraphHash, Sha256};
use serde_json::json;

use super::{UpkeepError, scrub};
use crate::admission::{Admission, Share};
use crate::blobs::{BlobError, StoredBlob, Terms, in_memory, read_whole};
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::jobs::forecast;
use crate::models::{Recipe, building_bytes, identify, reference_recipe};
use crate::store::{Actor, Change, GraphRow};
use crate::visibility::Viewer;
use crate::workers::BrokeOff;

/// Makes or fetches again what is damaged or lost, and tells what came of it: where nothing did, only if `is_news` says
/// that it has not been told before. Gives the names that are whole again.
///
/// # Errors
/// When the database fails. An upstream that cannot be asked, and a file that cannot be read or stored, are only logged.
pub async fn heal(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
    bad: &BTreeSet<Sha256>,
    is_news: bool,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut restored = remake(data, config, admission, bad).await?;
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

/// Makes files again from what is here, with threads and memory of eliminations. Gives the names that are whole again.
pub(super) async fn remake(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
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
            let made = origin.files(data, config, admission, missing).await?;
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

/// Where bytes can be made from. Read when it comes to it, one at a time: there may be many, and they may be large.
enum Origin {
    /// Another file of the same program.
    File(StoredBlob),
    /// A definition this hub has by itself.
    BuiltIn(Recipe),
    /// A definition of the graph, and the graph's size.
    Submitted(Box<GraphRow>),
}

async fn origins(
    data: &DataDirectory,
    graph_hash: GraphHash,
    wanted: &Wanted,
) -> Result<Vec<Origin>, UpkeepError> {
    let mut origins = Vec::new();
    for &sibling in wanted.siblings.difference(&wanted.names) {
        origins.extend(data.store.blob(sibling).await?.map(Origin::File));
    }
    origins.extend(reference_recipe(graph_hash).map(Origin::BuiltIn));
    let submitted = data.store.graphs(graph_hash, &Viewer::All).await?;
    origins.extend(submitted.into_iter().map(|row| Origin::Submitted(Box::new(row))));
    Ok(origins)
}

/// Memory to read a file and write its program in another form, for each byte of the file.
const CONVERTED: u64 = 4;

impl Origin {
    /// Those of the missing files that can be made from here, once there is memory for it.
    async fn files(
        self,
        data: &DataDirectory,
        config: &Config,
        admission: &Admission,
        missing: BTreeSet<Sha256>,
    ) -> Result<Vec<Vec<u8>>, BrokeOff> {
        match self {
            Self::File(blob) => {
                let Some(_share) = admitted(admission, CONVERTED * blob.size_bytes).await else {
                    return Ok(Vec::new());
                };
                let Some(bytes) = read(data, blob).await else { return Ok(Vec::new()) };
                let convert = move || {
                    let mut wanted = Missing { names: missing, files: Vec::new() };
                    if let Ok(decoded) = decode(&bytes, &Checks::default()) {
                        wanted.offer(ptdprmc3(&decoded.trace));
                    }
                    wanted.files
                };
                admission.workers().run(convert).await
            }
            Self::BuiltIn(recipe) => of_graph(config, admission, recipe, None, missing).await,
            Self::Submitted(row) => {
                let building = building_bytes(&row.identity).saturating_add(2 * row.recipe.size_bytes);
                let Some(share) = admitted(admission, building).await else { return Ok(Vec::new()) };
                let text = read(data, row.recipe).await;
                let recipe = text.and_then(|text| Recipe::from_json(&String::from_utf8_lossy(&text)).ok());
                let Some(recipe) = recipe else { return Ok(Vec::new()) };
                of_graph(config, admission, recipe, Some(share), missing).await
            }
        }
    }
}

/// A whole file, if it can be read; one that is lost or damaged is found by the scrub.
async fn read(data: &DataDirectory, blob: StoredBlob) -> Option<Vec<u8>> {
    match read_whole(&*data.blobs, blob).await {
        Ok(bytes) => Some(bytes),
        Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => None,
        Err(error) => {
            tracing::error!(blob = %blob.sha256, %error, "a stored file cannot be read");
            None
        }
    }
}

/// Those of the missing files that a definition gives. `held` is what of the memory that takes is held already.
async fn of_graph(
    config: &Config,
    admission: &Admission,
    recipe: Recipe,
    held: Option<Share>,
    missing: BTreeSet<Sha256>,
) -> Result<Vec<Vec<u8>>, BrokeOff> {
    let (models, compute) = (config.models.clone(), config.compute.clone());
    let build = move || {
        let graph = recipe.build(&models).ok()?;
        let forecast = forecast(&graph, &identify(&graph), &compute, &mut ());
        Some((graph, forecast))
    };
    let workers = admission.workers();
    let Some((graph, forecast)) = workers.run(build).await? else { return Ok(Vec::new()) };
    let most = most_bytes(&forecast);
    // Waiting for more than there will ever be beside what is held would be waiting for ever.
    let fits = most <= admission.max_bytes();
    let rest = if fits { most.saturating_sub(held.as_ref().map_or(0, Share::bytes)) } else { most };
    let Some(_share) = admitted(admission, rest).await else { return Ok(Vec::new()) };
    let limit = config.compute.max_memory_bytes.get();
    workers.run(move || made_anew(&graph, &forecast, limit, missing)).await
}

/// Memory for something, when there is so much. What needs more than there may be is not made.
async fn admitted(admission: &Admission, bytes: u64) -> Option<Share> {
    let share = admission.take(bytes).await;
    share.inspect_err(|error| tracing::warn!(%error, "a lost file is not made again from this graph")).ok()
}

/// What the largest of those takes that are made: one at a time.
fn most_bytes(forecast: &Forecast) -> u64 {
    let made =
        Variant::ALL.map(|variant| forecast.of(variant)).into_iter().filter(|one| one.refused.is_none());
    // The memory contents of phasic's other form, and what was made before.
    made.map(|one| one.memory_bytes.unwrap_or_default() + one.artifact_bytes.unwrap_or_default())
        .max()
        .unwrap_or_default()
}

/// Files that are missing, and those of them that were made.
struct Missing {
    names: BTreeSet<Sha256>,
    files: Vec<Vec<u8>>,
}

impl Missing {
    /// Keeps what is missing, and nothing else.
    fn offer(&mut self, bytes: Option<Vec<u8>>) {
        self.files.extend(bytes.filter(|bytes| self.names.remove(&Sha256::of(bytes))));
    }

    fn is_done(&self) -> bool {
        self.names.is_empty()
    }
}

/// Every file this hub knows how to make of a graph within its memory, until nothing is missing.
fn made_anew(graph: &Graph, forecast: &Forecast, limit: u64, names: BTreeSet<Sha256>) -> Vec<Vec<u8>> {
    let hash = graph.content_hash();
    let plan_limits = plan::Limits::default().with_memory_bytes(limit);
    let mut missing = Missing { names, files: Vec::new() };
    let fits = |variant, missing: &Missing| !missing.is_done() && forecast.of(variant).refused.is_none();
    if fits(Variant::Phasic, &missing)
        && let Ok(trace) = eliminate(graph, &Limits::default().with_memory_bytes(limit), &mut ())
    {
        missing.offer(ptdprmc3(&trace));
        // The memory contents of this format depend on θ; these are phasic's where nobody has set one.
        if !missing.is_done()
            && let Ok(memory) = trace.final_memory(graph, &graph.unit_weights())
        {
            let mut bytes = Vec::new();
            missing.offer(encode_ptdprmc1(&trace, &hash, &memory, &mut bytes).ok().map(|()| bytes));
        }
    }
    if fits(Variant::Fast, &missing)
        && let Ok(trace) = lower(graph, &plan_limits)
    {
        missing.offer(ptdprmc3(&trace));
    }
    if fits(Variant::Plan, &missing)
        && let Ok(plan) = Plan::analyze(graph, &plan_limits)
    {
        missing.offer(Some(plan.encode(&hash)));
    }
    missing.files
}

fn ptdprmc3(trace: &Trace) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::heal;
    use crate::admission::Admission;
    use crate::config::Config;
    use crate::hub::{DataDirectory, Hub};
    use crate::reference;
    use crate::registry::Former;
    use crate::workers::Workers;

    #[tokio::test]
    async fn a_lost_file_is_made_again_once_there_is_memory_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap());
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
        reference::publish(Arc::clone(&hub), admission.clone()).await;
        let row = hub.data.store.computes().await.unwrap().remove(0);
        let name = row.artifacts[0].served.sha256;
        let digits = name.to_string();
        let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let config = Config { offline: true, ..Config::default() };
        let bad = BTreeSet::from([name]);
        let jobs = admission.take_free().unwrap();
        let mut healing = std::pin::pin!(heal(&hub.data, &config, &admission, &bad, true));
        let waiting = tokio::time::timeout(Duration::from_millis(300), &mut healing).await;
        assert!(waiting.is_err() && !path.exists(), "jobs have all the memory");
        drop(jobs);
        assert_eq!(healing.await.unwrap(), bad);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
