//! Whether the hub lives, and whether it is ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use phasic_hub_api::{Problem, ProblemCode};

use super::error::ApiError;
use crate::hub::Hub;

/// A health answer.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It does", body = Health))
)]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// The hub has everything it should have; if not, the problem says what is missing.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It has", body = Health),
        (status = 503, description = "`not_ready`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(hub): State<Arc<Hub>>) -> Result<Json<Health>, ApiError> {
    let reasons = hub.readiness.reasons();
    if reasons.is_empty() {
        return Ok(Json(Health { status: "ready" }));
    }
    Err(ApiError::new(ProblemCode::NotReady, reasons.join(" ")))
}
