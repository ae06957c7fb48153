//! HTTP: routes, one file per noun, and the layers around all of them.
//!
//! A handler reads the request, asks the hub, and shapes the answer. No SQL, no files, no mathematics here.

mod artifacts;
mod conditional;
mod document;
mod edge;
mod error;
mod health;
mod home;
mod range;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::config;
use crate::hub::Hub;

pub use document::{api_document, api_document_json};

/// All routes of a hub, with everything around them. The routes are documented where they are handled; a test
/// compares this list with the API document.
pub fn router(hub: Arc<Hub>, limits: &config::Http) -> Router {
    let routes = Router::new()
        .route("/", get(home::home))
        .route("/registry.json", get(registry::registry))
        .route("/{owner}/{repo}/{reference}/registry.json", get(registry::raw_registry))
        .route("/artifacts/{name}", get(artifacts::artifact))
        .route("/{owner}/{repo}/{reference}/artifacts/{name}", get(artifacts::raw_artifact))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(document::openapi))
        .with_state(hub);
    guarded(routes, limits)
}

/// What surrounds every route: limits, and one shape for whatever goes wrong.
fn guarded(routes: Router, limits: &config::Http) -> Router {
    let timeout = limits.request_timeout_ms.duration();
    routes
        .layer(RequestBodyLimitLayer::new(limits.max_body_bytes.count()))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .layer(CatchPanicLayer::custom(error::caught))
        .layer(axum::middleware::from_fn(edge::edge))
}
