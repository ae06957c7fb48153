//! The audit log, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use phasic_hub_api::AuditPage;

use super::error::{ApiError, failed};
use super::page::{Number, PageQuery};
use crate::hub::Hub;

/// The audit log: every change, in order, each line with the digest of the one before.
///
/// To check an export: the `sha256` of a line is that of the line as compact JSON without the member `sha256`, and
/// `previous` is the `sha256` of the line before. `phasic-hub audit verify` does it on the hub's own machine.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/audit?limit=20' -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "access",
    params(
        ("cursor" = Option<i64>, Query, description = "`next` of the page before, or a line number", minimum = 0),
        ("limit" = Option<i64>, Query, description = "Lines on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = AuditPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn audit(
    State(hub): State<Arc<Hub>>,
    query: Query<PageQuery>,
) -> Result<Json<AuditPage>, ApiError> {
    let page = query.read::<Number>()?;
    let mut lines = hub.data.store.audit(page.number(), page.wanted()).await.map_err(failed)?;
    let next = page.cut_numbered(&mut lines, |line| line.number);
    Ok(Json(AuditPage { lines, next }))
}
