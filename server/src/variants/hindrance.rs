//! What keeps a program that somebody wishes from being served of a compute.

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;

use super::VariantsError;
use crate::blobs::read_whole;
use crate::hub::DataDirectory;
use crate::jobs::Jobs;
use crate::models::{Recipe, reference_recipe};
use crate::reference::known_graph;
use crate::store::{Actor, DatedCompute, Role};
use crate::visibility::{Audience, Viewer};

const OF_NO_GRAPH: &str = "Nothing that was submitted for everybody was found to be the graph of the published file, so \
     there is nothing to make another program of: POST the document of the graph to /v1/graphs.";

const PRIVATE: &str = "The compute is private, and what makes a program is for everybody to see: where everybody may know of \
     the graph, ask for the program with POST /v1/eliminations.";

/// What keeps a program from being served of a compute, as things stand, in a sentence. Nothing where it is there, or will be
/// made. May build the graph and forecast its eliminations, on the threads of `jobs`.
///
/// # Errors
/// [`VariantsError`].
pub async fn hindrance(
    data: &DataDirectory,
    jobs: &Jobs,
    compute: &DatedCompute,
    variant: Variant,
) -> Result<Option<String>, VariantsError> {
    let (store, row) = (&data.store, &compute.row);
    let Some(parent) = row.artifacts.iter().find(|file| file.role == Role::Parent) else {
        return Ok(Some("The compute has no file.".to_owned()));
    };
    let (hash, published) = (parent.graph_hash, parent.served.sha256);
    let found = store.verifications_of(&row.id).await?;
    let judged = found.iter().find(|one| (one.graph_hash, one.sha256) == (hash, published));
    let Some((order, verdict)) = judged.and_then(|one| Some((one.edge_order_digest?, one.verdict))) else {
        return Ok(Some(OF_NO_GRAPH.to_owned()));
    };
    let is_published = (variant == Variant::Fast) == (verdict == Verdict::Equivalent);
    let made = store.eliminations(hash, &Viewer::Public).await?;
    let is_made = made.iter().any(|one| one.variant == variant && one.edge_order_digest == order);
    if is_published || is_made {
        return Ok(None);
    }
    if compute.private {
        return Ok(Some(PRIVATE.to_owned()));
    }
    let built_in = known_graph(hash).filter(|graph| graph.edge_order_digest() == order);
    let recipe = if let Some(recipe) = built_in.and_then(|_| reference_recipe(hash)) {
        recipe
    } else {
        let submitted = store.graphs(hash, &Viewer::Public).await?;
        let Some(graph) = submitted.iter().find(|row| row.identity.edge_order_digest == order) else {
            return Ok(Some(OF_NO_GRAPH.to_owned()));
        };
        Recipe::from_json(&String::from_utf8_lossy(&read_whole(&*data.blobs, graph.recipe).await?))?
    };
    let graph = jobs.submit_graph(recipe, &Audience::Everybody, "hub", &Actor::Hub).await?;
    let refused = graph.forecast.of(variant).refused.as_ref();
    Ok(refused.map(|reason| format!("The program cannot be made here: {reason}.")))
}
