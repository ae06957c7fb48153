//! Blobs by their digest: the results of jobs.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response};
use phasic_hub_api::{ProblemCode, Sha256};

use super::artifacts;
use super::error::ApiError;
use crate::auth::Caller;
use crate::hub::Hub;

/// The file of an elimination, by the SHA-256 of its bytes. Answers HEAD, `Range` and `If-None-Match` as `/artifacts`
/// does, and may be kept for ever.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/blobs/sha256/$digest -o plan.bin
/// ```
#[utoipa::path(
    get,
    path = "/v1/blobs/sha256/{digest}",
    tag = "compute",
    params(
        ("digest" = String, Path, description = "64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "Entity tag the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags the client has"),
    ),
    responses(
        (status = 200, description = "The whole file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 404, description = "`blob_not_found`"),
        (status = 416, description = "`range_not_satisfiable`"),
        (status = 503, description = "`artifact_unavailable`"),
    )
)]
pub(super) async fn blob(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let unknown = || {
        let detail = format!("No elimination of this hub has a file of the digest {digest:?}.");
        ApiError::new(ProblemCode::BlobNotFound, detail)
    };
    let sha256: Sha256 = digest.parse().map_err(|_| unknown())?;
    let blob = hub.data.store.visible_blob(sha256, &caller.viewer()).await?.ok_or_else(unknown)?;
    artifacts::send(&hub, blob, true, &method, &headers).await
}
