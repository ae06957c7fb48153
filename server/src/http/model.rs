//! The model of a request: what it points to, found.

use phasic_hub_api::{ComputeId, GraphHash, ModelSource, ProblemCode, Sha256};

use super::aside;
use super::error::ApiError;
use crate::blobs::read_whole;
use crate::hub::Hub;
use crate::models::{ModelError, Named, Recipe, named, reference_recipe};
use crate::visibility::Viewer;

/// The recipe of the model a request names, among what its sender sees.
pub(super) async fn recipe(hub: &Hub, source: &ModelSource, viewer: &Viewer) -> Result<Recipe, ApiError> {
    match named(source)? {
        // A long document takes a while to be named.
        Named::Here(recipe) => aside::run(recipe.document_bytes(), move || recipe.named()).await,
        Named::Compute(id) => of_compute(hub, &id, viewer).await,
        Named::Graph(hash, definition) => of_graph(hub, hash, definition, viewer).await,
    }
}

async fn of_compute(hub: &Hub, id: &ComputeId, viewer: &Viewer) -> Result<Recipe, ApiError> {
    let catalogue = hub.catalogue();
    let Some(listed) = catalogue.computes_for(viewer).find(|listed| listed.id == *id) else {
        let detail =
            format!("This hub has no compute {:?}; GET /registry.json lists those it has.", id.as_str());
        return Err(ApiError::new(ProblemCode::ComputeNotFound, detail));
    };
    of_graph(hub, listed.graph_hash, None, viewer).await
}

async fn of_graph(
    hub: &Hub,
    hash: GraphHash,
    definition: Option<Sha256>,
    viewer: &Viewer,
) -> Result<Recipe, ApiError> {
    let mut rows = hub.data.store.graphs(hash, viewer).await?;
    if let Some(definition) = definition {
        rows.retain(|row| row.identity.definition == definition);
    }
    if rows.len() > 1 {
        let definitions: Vec<_> = rows.iter().map(|row| row.identity.definition.to_string()).collect();
        let detail = format!(
            "Several graphs with the hash {hash} were submitted, which differ in weights; say which with definition: {}.",
            definitions.join(", ")
        );
        return Err(ApiError::new(ProblemCode::GraphAmbiguous, detail));
    }
    if let Some(row) = rows.first() {
        if let Err(error) = hub.data.store.use_graph(row.identity.definition).await {
            // No reason not to answer.
            tracing::warn!(%error, "could not take note that a graph is used");
        }
        let bytes =
            read_whole(&*hub.data.blobs, row.recipe).await.map_err(|error| ApiError::internal(&error))?;
        let read = move || Recipe::from_json(&String::from_utf8_lossy(&bytes)).map(Recipe::named);
        let recipe = aside::run(usize::try_from(row.recipe.size_bytes).unwrap_or(usize::MAX), read).await?;
        return recipe.map_err(|error| ApiError::internal(&error));
    }
    // A definition tells apart what was submitted; the reference computes were not.
    reference_recipe(hash).filter(|_| definition.is_none()).ok_or_else(|| {
        let detail = format!(
            "This hub has no definition of the graph {hash}: a hash, and an artifact, do not say what the graph is. Give \
             its document with the request, or POST it to /v1/graphs."
        );
        ApiError::new(ProblemCode::GraphNotFound, detail)
    })
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
