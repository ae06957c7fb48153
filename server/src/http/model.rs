//! The model of a request: what it points to, found.
//!
//! A content hash does not say all about a graph, and anybody may submit another one that has it. So what the hub builds
//! by itself is never taken from what was submitted, and what a compute stands for is never decided by strangers.

use phasic_hub_api::{ComputeId, GraphHash, ModelSource, ProblemCode, Sha256};

use super::aside;
use super::error::ApiError;
use crate::blobs::read_whole;
use crate::hub::Hub;
use crate::models::{ModelError, Named, Recipe, named, reference_definition, reference_recipe};
use crate::registry::definition_of;
use crate::store::{BrowseFilter, GraphRow};
use crate::visibility::{Audience, Viewer};

/// Definitions a refusal names at most.
const NAMED: usize = 10;

/// The recipe of the model a request names, among what its sender sees.
pub(super) async fn recipe(hub: &Hub, source: &ModelSource, viewer: &Viewer) -> Result<Recipe, ApiError> {
    match named(source)? {
        // A long document takes a while to be named.
        Named::Here(recipe) => aside::run(recipe.document_bytes(), move || recipe.named()).await,
        Named::Compute(id, definition) => of_compute(hub, &id, definition, viewer).await,
        Named::Graph(hash, definition) => of_graph(hub, hash, definition, viewer).await,
    }
}

/// The graph a compute is for: the definition the request names, or its entry; or what the hub builds by itself; or what
/// was submitted by those who may speak for the id. Nothing else says with which weights its numbers are.
async fn of_compute(
    hub: &Hub,
    id: &ComputeId,
    definition: Option<Sha256>,
    viewer: &Viewer,
) -> Result<Recipe, ApiError> {
    let unknown = || {
        let detail =
            format!("This hub has no compute {:?}; GET /registry.json lists those it has.", id.as_str());
        ApiError::new(ProblemCode::ComputeNotFound, detail)
    };
    if !hub.catalogue().computes_for(viewer).any(|listed| listed.id == *id) {
        return Err(unknown());
    }
    let store = &hub.data.store;
    let filter = BrowseFilter {
        viewer: viewer.clone(),
        id: Some(id.to_string()),
        limit: 1,
        ..BrowseFilter::default()
    };
    let entry = store.browse(&filter).await?.pop().ok_or_else(unknown)?.row.publication()?.entry;
    let hash = entry.graph_hash;
    let definition = definition.or_else(|| definition_of(&entry));
    if definition.is_some() || reference_recipe(hash).is_some() {
        return of_graph(hub, hash, definition, viewer).await;
    }
    let rows = store.graphs(hash, viewer).await?;
    if rows.is_empty() {
        return Err(undefined(hash, None));
    }
    let audiences = store.graph_audiences(hash).await?;
    let speaks = |audience: &Audience| match audience {
        Audience::Everybody => false,
        Audience::Ids(ids) => ids.any_matches(id),
        Audience::Holders => true,
    };
    let is_theirs = |row: &&GraphRow| {
        let mut audiences = audiences.iter().filter(|(of, _)| *of == row.identity.definition);
        audiences.any(|(_, audience)| speaks(audience) && viewer.sees(audience))
    };
    let mut theirs = rows.iter().filter(is_theirs);
    if let (Some(row), None) = (theirs.next(), theirs.next()) {
        return stored(hub, row).await;
    }
    let about = format!(
        "The compute {:?} does not say which definition of its graph it is for, and anybody may submit others, with other \
         weights",
        id.as_str()
    );
    Err(ambiguous(&about, &rows))
}

async fn of_graph(
    hub: &Hub,
    hash: GraphHash,
    definition: Option<Sha256>,
    viewer: &Viewer,
) -> Result<Recipe, ApiError> {
    let is_built_in = |wanted| reference_definition(hash) == Some(wanted);
    if let Some(recipe) = reference_recipe(hash).filter(|_| definition.is_none_or(is_built_in)) {
        return Ok(recipe);
    }
    let mut rows = hub.data.store.graphs(hash, viewer).await?;
    if let Some(definition) = definition {
        rows.retain(|row| row.identity.definition == definition);
    }
    match &*rows {
        [] => Err(undefined(hash, definition)),
        [row] => stored(hub, row).await,
        rows => {
            let about =
                format!("Several graphs with the hash {hash} were submitted, which differ in weights");
            Err(ambiguous(&about, rows))
        }
    }
}

/// The recipe of a graph that was submitted.
async fn stored(hub: &Hub, row: &GraphRow) -> Result<Recipe, ApiError> {
    if let Err(error) = hub.data.store.use_graph(row.identity.definition).await {
        // No reason not to answer.
        tracing::warn!(%error, "could not take note that a graph is used");
    }
    let bytes = read_whole(&*hub.data.blobs, row.recipe).await.map_err(|error| ApiError::internal(&error))?;
    let read = move || Recipe::from_json(&String::from_utf8_lossy(&bytes)).map(Recipe::named);
    let recipe = aside::run(usize::try_from(row.recipe.size_bytes).unwrap_or(usize::MAX), read).await?;
    recipe.map_err(|error| ApiError::internal(&error))
}

fn undefined(hash: GraphHash, definition: Option<Sha256>) -> ApiError {
    let which = if definition.is_some() { "no such definition" } else { "no definition" };
    let detail = format!(
        "This hub has {which} of the graph {hash}: a hash, and an artifact, do not say what the graph is. Give its document \
         with the request, or POST it to /v1/graphs."
    );
    ApiError::new(ProblemCode::GraphNotFound, detail)
}

fn ambiguous(about: &str, rows: &[GraphRow]) -> ApiError {
    let names: Vec<_> = rows.iter().take(NAMED).map(|row| row.identity.definition.to_string()).collect();
    let more = match rows.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more, which GET /v1/graphs/{{hash}}/definitions lists"),
    };
    let detail = format!("{about}; say which with definition: {}{more}.", names.join(", "));
    ApiError::new(ProblemCode::GraphAmbiguous, detail)
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let code = match &error {
            ModelError::NotOne { .. } | ModelError::Misplaced { .. } | ModelError::Constant { .. } => {
                ProblemCode::InvalidRequest
            }
            error if error.is_limit() => ProblemCode::TooLarge,
            _ => ProblemCode::ModelInvalid,
        };
        Self::new(code, error.to_string())
    }
}
