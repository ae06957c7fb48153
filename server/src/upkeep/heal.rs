//! Healing: bytes of a name made again. From the other form of the same artifact, by elimination of a graph that is known
//! here, or fetched again; whichever way, only under the digest they must have.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use phasic_engine::artifact::{Checks, decode, encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::trace::{Progress, Trace};
use phasic_hub_api::jobs::{Forecast, Variant};
use phasic_hub_api::{GraphHash, GraphIdentity, Sha256};

use super::UpkeepError;
use crate::admission::{Admission, Share};
use crate::blobs::{BlobError, StoredBlob, Terms, in_memory, read_whole};
use crate::config::{self, Config};
use crate::hub::DataDirectory;
use crate::jobs::{Task, eliminate, forecast};
use crate::mirror;
use crate::models::{Recipe, building_bytes, identify_watched, recipes_of_builtin, reference_recipe};
use crate::store::GraphRow;
use crate::verification::MOST_DEFINITIONS;
use crate::visibility::Viewer;
use crate::workers::{BrokeOff, Wanted as Wished};

/// Makes or fetches again what takes little time: what another form of the same program gives, recipes of built-in models,
/// and what the upstreams have. Gives the names that are whole again, whoever put them right.
///
/// # Errors
/// When the database fails. An upstream that cannot be asked, and a file that cannot be read or stored, are only logged.
pub(super) async fn quickly(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
    bad: &BTreeSet<Sha256>,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut again = restore(data, config, admission, bad, Way::Conversion).await?;
    again.extend(written_again(data, bad).await?);
    let missing: BTreeSet<_> = bad.difference(&again).copied().collect();
    if let Err(error) = mirror::fetch_again(data, config, &missing).await {
        // What was made again is whole all the same.
        tracing::error!(%error, "could not fetch again what is damaged or lost");
    }
    Ok(whole(data, bad).await)
}

/// Writes recipes of built-in models again. Gives the names that were stored.
async fn written_again(
    data: &DataDirectory,
    bad: &BTreeSet<Sha256>,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let recipes = data.store.all_graphs().await?.into_iter().map(|row| row.recipe.sha256);
    let lost: BTreeSet<_> = recipes.filter(|recipe| bad.contains(recipe)).collect();
    if lost.is_empty() {
        return Ok(lost);
    }
    let texts = tokio::task::spawn_blocking(move || recipes_of_builtin(&lost)).await.unwrap_or_default();
    let mut stored = BTreeSet::new();
    for text in texts {
        stored.extend(keep(data, text.into_bytes()).await);
    }
    Ok(stored)
}

/// Stores a file that was made again, and gives its name; that it could not be stored is only logged.
async fn keep(data: &DataDirectory, bytes: Vec<u8>) -> Option<Sha256> {
    let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
    let stored = data.blobs.put(in_memory(bytes), terms).await;
    let log = |error: &BlobError| tracing::error!(%error, "could not store a file that was made again");
    stored.inspect_err(log).ok().map(|blob| blob.sha256)
}

/// Eliminates what is still missing anew, from the definitions of graphs that are known here, with threads and memory of
/// eliminations. Gives the names that are whole again, whoever put them right.
///
/// At most [`MOST_DEFINITIONS`] of a hash are tried, each within the time a job may take.
///
/// # Errors
/// When the database fails. A file that cannot be read or stored is only logged.
pub(super) async fn eliminating(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
    bad: &BTreeSet<Sha256>,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    restore(data, config, admission, bad, Way::Elimination).await?;
    Ok(whole(data, bad).await)
}

/// Those of these that can be read to the end: an unreadable file still has its size.
pub(super) async fn whole(data: &DataDirectory, names: &BTreeSet<Sha256>) -> BTreeSet<Sha256> {
    let mut whole = BTreeSet::new();
    for &name in names {
        if data.blobs.check(name).await.is_ok() {
            whole.insert(name);
        }
    }
    whole
}

/// How files are made again.
#[derive(Clone, Copy)]
enum Way {
    /// From another form of the same program, if there is memory for that.
    Conversion,
    /// From a definition of the graph, too.
    Elimination,
}

impl Way {
    /// How long memory is waited for, so that what finds none keeps nothing else waiting for long.
    const fn patience(self) -> Duration {
        match self {
            Self::Conversion => Duration::from_secs(5),
            Self::Elimination => Duration::from_mins(10),
        }
    }
}

/// Makes files again in one way. Gives the names that were stored.
async fn restore(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
    bad: &BTreeSet<Sha256>,
    way: Way,
) -> Result<BTreeSet<Sha256>, UpkeepError> {
    let mut restored = BTreeSet::new();
    for (graph_hash, wanted) in wanted(data, bad).await? {
        for origin in origins(data, graph_hash, &wanted, way).await? {
            let missing: BTreeSet<_> = wanted.names.difference(&restored).copied().collect();
            if missing.is_empty() {
                break;
            }
            let made = match origin.files(data, config, admission, missing, way.patience()).await {
                Ok(made) => made,
                Err(error) => {
                    tracing::error!(%graph_hash, %error, "a lost file is not made again from this graph");
                    continue;
                }
            };
            for bytes in made {
                restored.extend(keep(data, bytes).await);
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
    for (graph_hash, name) in data.store.graphs_of_files(bad).await? {
        found.entry(graph_hash).or_default().names.insert(name);
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
    way: Way,
) -> Result<Vec<Origin>, UpkeepError> {
    let mut origins = Vec::new();
    for &sibling in wanted.siblings.difference(&wanted.names) {
        origins.extend(data.store.blob(sibling).await?.map(Origin::File));
    }
    if let Way::Elimination = way {
        origins.extend(reference_recipe(graph_hash).map(Origin::BuiltIn));
        let submitted = data.store.graphs(graph_hash, &Viewer::All).await?;
        let some = submitted.into_iter().take(MOST_DEFINITIONS);
        origins.extend(some.map(|row| Origin::Submitted(Box::new(row))));
    }
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
        patience: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokeOff> {
        match self {
            Self::File(blob) => {
                let Some(_share) = admitted(admission, CONVERTED * blob.size_bytes, patience).await else {
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
                let Some(share) = admitted(admission, building, patience).await else {
                    return Ok(Vec::new());
                };
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
    let (models, compute, building) = (config.models.clone(), config.compute.clone(), recipe.clone());
    let build = move |wanted: &Wished| {
        let (graph, identity) = defined(&building, &models, &mut || wanted.go_on())?;
        let most = compute.max_memory_bytes.get();
        let forecast = forecast(&graph, &identity, &compute, most, &mut |_: Progress| wanted.go_on());
        Some((identity, forecast))
    };
    let built = within(config, admission.workers().run_while_wanted(build)).await?;
    let Some((identity, forecast)) = built.flatten() else { return Ok(Vec::new()) };
    let most = most_bytes(&forecast);
    // Waiting for more than there will ever be beside what is held would be waiting for ever.
    let fits = most <= admission.max_bytes();
    let rest = if fits { most.saturating_sub(held.as_ref().map_or(0, Share::bytes)) } else { most };
    let Some(_share) = admitted(admission, rest, Way::Elimination.patience()).await else {
        return Ok(Vec::new());
    };
    let mut missing = Missing { names: missing, files: Vec::new() };
    let make = async {
        made_anew(config, admission, &recipe, &identity, &forecast, &mut missing).await;
        Ok(())
    };
    within(config, make).await?;
    Ok(missing.files)
}

/// The graph of a definition, and what it is, if it has one and `watch`, which is asked every few milliseconds, goes on.
fn defined(
    recipe: &Recipe,
    models: &config::Models,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Option<(Graph, GraphIdentity)> {
    let graph = recipe.build_watched(models, watch).ok()?;
    let identity = identify_watched(&graph, &mut || watch()).continue_value()?;
    Some((graph, identity))
}

/// The result of some work, if it is done within the time a job may take; nobody works on it any more then.
async fn within<T>(
    config: &Config,
    work: impl Future<Output = Result<T, BrokeOff>>,
) -> Result<Option<T>, BrokeOff> {
    let limit = config.compute.job_timeout_ms.duration();
    let Ok(done) = tokio::time::timeout(limit, work).await else {
        tracing::warn!(?limit, "a lost file is not made again from this graph, which takes too long");
        return Ok(None);
    };
    done.map(Some)
}

/// Memory for something, when there is so much. What needs more than there may be is not made, and what waits too long is
/// made another time.
async fn admitted(admission: &Admission, bytes: u64, patience: Duration) -> Option<Share> {
    let Ok(share) = tokio::time::timeout(patience, admission.take(bytes)).await else {
        tracing::info!(bytes, "there is no memory to make a lost file again for now");
        return None;
    };
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

/// Every file this hub knows how to make of a graph within its memory, until nothing is missing: made as jobs are, in a
/// process of its own where the settings say so. What cannot be made is only logged.
async fn made_anew(
    config: &Config,
    admission: &Admission,
    recipe: &Recipe,
    identity: &GraphIdentity,
    forecast: &Forecast,
    missing: &mut Missing,
) {
    let Ok(text) = recipe.to_json() else { return };
    let limit = config.compute.job_timeout_ms.duration();
    for variant in Variant::ALL {
        let of_it = forecast.of(variant);
        if missing.is_done() || of_it.refused.is_some() {
            continue;
        }
        let task = Task {
            recipe: text.clone(),
            identity: identity.clone(),
            variant,
            compute: config.compute.clone(),
            models: config.models.clone(),
        };
        let memory_bytes = of_it.memory_bytes.unwrap_or_default();
        match eliminate(task, memory_bytes, limit, admission.workers()).await {
            Ok(bytes) => {
                if variant == Variant::Phasic {
                    let other = with_memory(config, admission, recipe, &bytes, missing).await;
                    missing.offer(other);
                }
                missing.offer(Some(bytes));
            }
            Err(error) => {
                let graph_hash = identity.graph_hash;
                let variant = variant.as_str();
                tracing::warn!(%graph_hash, variant, %error, "a lost file is not made again in this form");
            }
        }
    }
}

/// phasic's program in the format that has memory contents, if something else than the program itself is missing. They
/// depend on θ; these are phasic's where nobody has set one.
async fn with_memory(
    config: &Config,
    admission: &Admission,
    recipe: &Recipe,
    program: &[u8],
    missing: &Missing,
) -> Option<Vec<u8>> {
    if missing.names.len() == usize::from(missing.names.contains(&Sha256::of(program))) {
        return None;
    }
    let (models, recipe, program) = (config.models.clone(), recipe.clone(), program.to_owned());
    let work = move |wanted: &Wished| {
        let graph = recipe.build_watched(&models, &mut || wanted.go_on()).ok()?;
        let trace = decode(&program, &Checks::default()).ok()?.trace;
        let memory = trace.final_memory(&graph, &graph.unit_weights()).ok()?;
        let mut bytes = Vec::new();
        encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut bytes).ok()?;
        Some(bytes)
    };
    admission.workers().run_while_wanted(work).await.ok()?
}

fn ptdprmc3(trace: &Trace) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut bytes).ok()?;
    Some(bytes)
}
