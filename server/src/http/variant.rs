//! Which program of its graph is served of a compute.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use phasic_hub_api::ProblemCode;
use phasic_hub_api::admin::WantVariant;
use phasic_hub_api::jobs::Variant;

use super::error::ApiError;
use super::tokens::actor;
use super::{Services, computes};
use crate::auth::Caller;

/// Decides which program phasic is given of a compute: `phasic`, its own, or `fast`, ours; `null` leaves it to the settings.
/// A program that is not there yet is made first; until then the published one is served.
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
) -> Result<StatusCode, ApiError> {
    let invalid = |detail: String| ApiError::new(ProblemCode::InvalidRequest, detail);
    let WantVariant { variant } =
        serde_json::from_slice(&body).map_err(|error| invalid(format!("The body: {error}.")))?;
    if variant == Some(Variant::Plan) {
        return Err(invalid("phasic cannot read plans; say phasic, fast or null.".to_owned()));
    }
    let compute = computes::found(&services, &id, &caller.viewer()).await?;
    services.hub.data.store.want_variant(&compute.row.id, variant, &actor(caller)).await?;
    Ok(StatusCode::NO_CONTENT)
}
