//! Which program of its graph is served of a compute.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::ProblemCode;
use phasic_hub_api::admin::{UnmetVariant, WantVariant};
use phasic_hub_api::jobs::Variant;

use super::error::ApiError;
use super::object;
use super::tokens::actor;
use super::{Services, computes};
use crate::auth::Caller;
use crate::variants::{VariantsError, hindrance};

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
        object::read(&body).map_err(|error| invalid(format!("The body: {error}.")))?;
    if variant == Some(Variant::Plan) {
        return Err(invalid("phasic cannot read plans; say phasic, fast or null.".to_owned()));
    }
    let compute = computes::found(&services, &id, &caller.viewer()).await?;
    // First of all: to find out whether it can be had may take longer than the request may.
    services.hub.data.store.want_variant(&compute.row.id, variant, &actor(caller)).await?;
    let unmet = match variant {
        Some(variant) => {
            let why = hindrance(&services.hub.data, &services.jobs, &compute, variant).await?;
            why.map(|why| (variant, why))
        }
        None => None,
    };
    Ok(match unmet {
        Some((variant, hindrance)) => {
            (StatusCode::ACCEPTED, Json(UnmetVariant { variant, hindrance })).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

impl From<VariantsError> for ApiError {
    fn from(error: VariantsError) -> Self {
        match error {
            VariantsError::Store(error) => error.into(),
            VariantsError::Jobs(error) => error.into(),
            VariantsError::Blobs(_) | VariantsError::Recipe(_) => Self::internal(&error),
        }
    }
}
