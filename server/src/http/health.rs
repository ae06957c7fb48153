//! Whether the hub lives, and whether it is ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use phasic_hub_api::ProblemCode;

use super::error::ApiError;
use crate::hub::Hub;
use crate::registry::WithheldReason;

/// A health answer.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `live` or `ready`.
    status: &'static str,
    /// What is not as it should be, although the hub can do its work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It does", body = Health))
)]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "live", notes: Vec::new() })
}

/// The hub has everything it should have; if not, the problem says what is missing.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It has", body = Health),
        (status = 503, description = "`not_ready`"),
    )
)]
pub(super) async fn ready(State(hub): State<Arc<Hub>>) -> Result<Json<Health>, ApiError> {
    let reasons = hub.readiness.reasons();
    if reasons.is_empty() {
        return Ok(Json(Health { status: "ready", notes: notes(&hub) }));
    }
    Err(ApiError::new(ProblemCode::NotReady, reasons.join(" ")))
}

/// What is not as it should be: counted, and without private computes, because anybody may read this.
pub(super) fn notes(hub: &Hub) -> Vec<String> {
    let catalogue = hub.catalogue();
    let (mut lost, mut wrong) = (0, 0);
    for withheld in catalogue.withheld().iter().filter(|one| !catalogue.is_private(&one.id)) {
        match withheld.reason {
            WithheldReason::Missing(_) => lost += 1,
            WithheldReason::Mismatch(_) => wrong += 1,
        }
    }
    let doubted = catalogue.doubts().iter().filter(|id| !catalogue.is_private(id)).count();
    let mut notes = Vec::new();
    for (count, what) in [
        (lost, "files of theirs are lost or damaged"),
        (wrong, "their files are no programs of their graphs"),
    ] {
        if count > 0 {
            let computes = if count == 1 { "compute is" } else { "computes are" };
            notes.push(format!("{count} {computes} withheld: {what}."));
        }
    }
    if doubted > 0 {
        let computes = if doubted == 1 { "compute is" } else { "computes are" };
        notes.push(format!(
            "{doubted} {computes} in doubt, and served: what was published fits no graph that was submitted under the \
             same hash. /v1/computes/{{id}}/verification says more."
        ));
    }
    notes
}
