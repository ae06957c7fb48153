//! The model of a request: what it points to, found.

use phasic_hub_api::{ComputeId, GraphHash, ModelSource, ProblemCode, Sha256};

use super::error::ApiError;
use crate::hub::Hub;
use crate::models::{ModelError, Named, Recipe, named, reference_recipe};

/// The recipe of the model a request names.
pub(super) async fn recipe(hub: &Hub, source: &ModelSource) -> Result<Recipe, ApiError> {
    match named(source)? {
        Named::Here(recipe) => Ok(recipe),
        Named::Compute(id) => of_compute(hub, &id).await,
        Named::Graph(hash, definition) => of_graph(hub, hash, definition).await,
    }
}

async fn of_compute(hub: &Hub, id: &ComputeId) -> Result<Recipe, ApiError> {
    let catalogue = hub.catalogue();
    let Some(listed) = catalogue.computes().iter().find(|listed| listed.id == *id) else {
        let detail =
            format!("This hub has no compute {:?}; GET /registry.json lists those it has.", id.as_str());
        return Err(ApiError::new(ProblemCode::ComputeNotFound, detail));
    };
    of_graph(hub, listed.graph_hash, None).await
}

#[expect(clippy::unused_async, reason = "graphs that were submitted are in the database")]
async fn of_graph(_hub: &Hub, hash: GraphHash, _definition: Option<Sha256>) -> Result<Recipe, ApiError> {
    reference_recipe(hash).ok_or_else(|| {
        let detail = format!(
            "This hub has no definition of the graph {hash}: a hash, and an artifact, do not say what the graph is. Give \
             its document with the request."
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
