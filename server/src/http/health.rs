//! Whether the hub lives, and whether it is ready.

use axum::Json;
use axum::extract::State;
use phasic_hub_api::health::{Finding, FindingCode, Health, MOST_IDS};
use phasic_hub_api::{ComputeId, ProblemCode};

use super::Services;
use super::error::ApiError;
use crate::auth::Scope;
use crate::config::Config;
use crate::hub::Hub;
use crate::registry::WithheldReason;

/// The process answers.
///
/// ```text
/// curl -s http://127.0.0.1:8787/healthz
/// ```
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It does", body = Health))
)]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "live".to_owned(), notes: Vec::new() })
}

/// The hub has everything it should have; if not, the `reasons` of the problem say what is missing.
///
/// Reasons are `reference_computes`, `database`, `disk`, `rendering`, `service` and `files_unseen`. What does not keep a hub from its work is
/// a note: `files_lost`, `files_wrong`, `files_doubtful` and `computes_too_large`, with the ids of the computes where everybody may read. Database and disk are looked at
/// every five seconds, whoever asks.
///
/// ```text
/// curl -s http://127.0.0.1:8787/readyz
/// ```
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It has", body = Health),
        (status = 503, description = "`not_ready`"),
    )
)]
pub(super) async fn ready(State(services): State<Services>) -> Result<Json<Health>, ApiError> {
    let hub = &services.hub;
    let reasons = hub.readiness.reasons();
    if reasons.is_empty() {
        return Ok(Json(Health {
            status: "ready".to_owned(),
            notes: notes(hub, everybody_reads(&services.config)),
        }));
    }
    let details: Vec<_> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
    Err(ApiError::new(ProblemCode::NotReady, details.join(" ")).with_reasons(reasons))
}

/// Whether names of computes are for everybody. Where they are not, who may read finds them with `/v1/computes?status=withheld`.
pub(super) fn everybody_reads(config: &Config) -> bool {
    config.access.anonymous.scope().is_some_and(|open| open.includes(Scope::Read))
}

/// What is not as it should be, without private computes, because anybody may read this; and without any name, unless they
/// are to be `named`.
pub(super) fn notes(hub: &Hub, named: bool) -> Vec<Finding> {
    let catalogue = hub.catalogue();
    let is_public = |id: &&ComputeId| !catalogue.is_private(id);
    let withheld = |code: FindingCode| -> Vec<&ComputeId> {
        let ids = catalogue.withheld().iter().filter(|one| code_of(one.reason) == code).map(|one| &one.id);
        ids.filter(is_public).collect()
    };
    let (lost, wrong) = (withheld(FindingCode::FilesLost), withheld(FindingCode::FilesWrong));
    let doubtful = catalogue.doubts().iter().filter(is_public).collect();
    let without: Vec<ComputeId> = hub.readiness.without().iter().filter_map(|id| id.parse().ok()).collect();
    let without = without.iter().filter(is_public).collect();
    let found = [
        (FindingCode::FilesLost, lost, "withheld: files of theirs are lost or damaged."),
        (FindingCode::FilesWrong, wrong, "withheld: their files are no programs of their graphs."),
        (
            FindingCode::FilesDoubtful,
            doubtful,
            "in doubt, and served: what was published fits no graph that was submitted under the same hash. \
             /v1/computes/{id}/verification says more.",
        ),
        (
            FindingCode::ComputesTooLarge,
            without,
            "not published: eliminating what every hub publishes takes more memory here than compute.max_memory_bytes.",
        ),
    ];
    let note = |(code, ids, what): (FindingCode, Vec<&ComputeId>, &str)| {
        let computes = if ids.len() == 1 { "compute is" } else { "computes are" };
        let what = if named { what.replace("{id}", ids[0].as_str()) } else { what.to_owned() };
        let shown = if named { MOST_IDS } else { 0 };
        Finding {
            code,
            detail: format!("{} {computes} {what}", ids.len()),
            count: Some(ids.len() as u64),
            ids: ids.into_iter().take(shown).cloned().collect(),
        }
    };
    found.into_iter().filter(|(_, ids, _)| !ids.is_empty()).map(note).collect()
}

const fn code_of(reason: WithheldReason) -> FindingCode {
    match reason {
        WithheldReason::Missing(_) => FindingCode::FilesLost,
        WithheldReason::Mismatch(_) => FindingCode::FilesWrong,
    }
}
