//! The API document.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;

use super::{artifacts, evaluate, health, home, metrics, registry};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Phasic Hub",
        description = "Eliminations of phase-type graphs, computed once, verified, and served to phasic. The error \
                       answers of all routes are RFC 9457 problems with a stable `code` and the id of the request. \
                       Only what is no HTTP request, or has too large a head, is answered with a bare 400 or 431.",
        license(name = "MIT", identifier = "MIT")
    ),
    paths(
        home::home,
        registry::registry,
        registry::raw_registry,
        artifacts::artifact,
        artifacts::raw_artifact,
        evaluate::evaluate,
        health::live,
        health::ready,
        metrics::metrics,
        openapi
    ),
    tags(
        (name = "registry", description = "What phasic reads."),
        (name = "compute", description = "What the hub computes on demand."),
        (name = "operations", description = "What operators and programs read.")
    )
)]
struct ApiDocument;

/// The API as an OpenAPI document.
pub fn api_document() -> utoipa::openapi::OpenApi {
    ApiDocument::openapi()
}

/// The API document as it is served, printed by `phasic-hub openapi`, and committed.
#[expect(clippy::missing_panics_doc, reason = "a document of texts always serialises")]
pub fn api_document_json() -> String {
    let mut text = api_document().to_pretty_json().expect("an API document is texts");
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], api_document_json())
}
