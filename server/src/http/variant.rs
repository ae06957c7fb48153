//! Which program of its graph is served of a compute.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::admin::{UnmetVariant, WantVariant};
use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{ModelSource, ProblemCode};

use super::error::ApiError;
use super::tokens::actor;
use super::{Services, computes, model};
use crate::auth::Caller;
use crate::reference::known_graph;
use crate::store::{Actor, DatedCompute, Role};
use crate::visibility::{Audience, Viewer};

/// Decides which program phasic is given of a compute: `phasic`, its own, or `fast`, ours; `null` leaves it to the settings.
/// A program that is not there yet is made first; until then the published one is served. 202 says that it cannot be made as
/// things stand, and why; the wish is kept, and met once it can be.
///
/// ```text
/// curl -s -X PUT http://127.0.0.1:8787/v1/admin/computes/coal_n5_theta1/variant \
///   -H "Authorization: Bearer $ADMIN" -d '{"variant": "fast"}'
/// ```
#[utoipa::path(
    put,
    path = "/v1/admin/computes/{id}/variant",
    tag = "admin",
    params(("id" = String, Path, description = "The id of the compute")),
    request_body = WantVariant,
    responses(
        (status = 202, description = "It is wanted from now on, and cannot be had yet", body = UnmetVariant),
        (status = 204, description = "So it shall be"),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`compute_not_found`"),
    )
)]
pub(super) async fn want_variant(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let invalid = |detail: String| ApiError::new(ProblemCode::InvalidRequest, detail);
    let WantVariant { variant } =
        serde_json::from_slice(&body).map_err(|error| invalid(format!("The body: {error}.")))?;
    if variant == Some(Variant::Plan) {
        return Err(invalid("phasic cannot read plans; say phasic, fast or null.".to_owned()));
    }
    let compute = computes::found(&services, &id, &caller.viewer()).await?;
    // First of all: to find out whether it can be had may take longer than the request may.
    services.hub.data.store.want_variant(&compute.row.id, variant, &actor(caller)).await?;
    let unmet = match variant {
        Some(variant) => hindrance(&services, &compute, variant).await?.map(|why| (variant, why)),
        None => None,
    };
    Ok(match unmet {
        Some((variant, hindrance)) => {
            (StatusCode::ACCEPTED, Json(UnmetVariant { variant, hindrance })).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// What keeps a program from being served of a compute, as things stand. Nothing where it is there, or will be made.
async fn hindrance(
    services: &Services,
    compute: &DatedCompute,
    variant: Variant,
) -> Result<Option<String>, ApiError> {
    let (store, row) = (&services.hub.data.store, &compute.row);
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
    let is_built_in = known_graph(hash).is_some_and(|graph| graph.edge_order_digest() == order);
    let submitted = store.graphs(hash, &Viewer::Public).await?;
    let submitted = submitted.iter().map(|row| &row.identity).find(|graph| graph.edge_order_digest == order);
    let definition = submitted.map(|graph| graph.definition).filter(|_| !is_built_in);
    if !is_built_in && definition.is_none() {
        return Ok(Some(OF_NO_GRAPH.to_owned()));
    }
    let source = ModelSource { graph: Some(hash), definition, ..ModelSource::default() };
    let recipe = model::recipe(&services.hub, &source, &Viewer::Public).await?;
    let everybody = Audience::Everybody;
    let graph = services.jobs.submit_graph(recipe, &everybody, "hub", &Actor::Hub).await?;
    let refused = graph.forecast.of(variant).refused.as_ref();
    Ok(refused.map(|reason| format!("The program cannot be made here: {reason}.")))
}

const OF_NO_GRAPH: &str = "Nothing that was submitted for everybody was found to be the graph of the published file, so \
     there is nothing to make another program of: POST the document of the graph to /v1/graphs.";

const PRIVATE: &str = "The compute is private, and what makes a program is for everybody to see: where everybody may know of \
     the graph, ask for the program with POST /v1/eliminations.";
