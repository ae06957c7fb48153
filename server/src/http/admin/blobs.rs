//! Single blobs: what is kept whoever refers to it, and what was damaged or is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use phasic_hub_api::admin::{Pin, PinList, PinRequest, Quarantine, QuarantinedBlob};
use phasic_hub_api::{ProblemCode, Sha256};

use super::read;
use crate::auth::Caller;
use crate::http::error::{ApiError, failed};
use crate::http::page::{Page, PageQuery};
use crate::http::tokens::actor;
use crate::hub::Hub;

/// Blobs whose files one page of the quarantine looks for.
const LOOKED_AT: u32 = 10_000;

/// Notes are for people: longer ones fill lists.
const MAX_NOTE: usize = 1000;

/// Blobs that are kept, whoever else refers to them.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/pins -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/pins",
    tag = "admin",
    params(
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<i64>, Query, description = "Pins on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = PinList),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(in crate::http) async fn pins(
    State(hub): State<Arc<Hub>>,
    query: Query<PageQuery>,
) -> Result<Json<PinList>, ApiError> {
    let page: Page<Sha256> = query.read()?;
    let mut rows = hub.data.store.pins(page.after, page.wanted()).await?;
    let next = page.cut(&mut rows, |row| row.blob.sha256);
    let pin = |row: crate::store::PinRow| Pin {
        sha256: row.blob.sha256,
        size_bytes: row.blob.size_bytes,
        note: row.note,
        pinned_at: row.pinned_at,
    };
    Ok(Json(PinList { pins: rows.into_iter().map(pin).collect(), next }))
}

/// Keeps a blob until it is unpinned.
///
/// ```text
/// curl -s -X PUT http://127.0.0.1:8787/v1/admin/pins/$digest -H "Authorization: Bearer $ADMIN" -d '{"note": "figure 3"}'
/// ```
#[utoipa::path(
    put,
    path = "/v1/admin/pins/{digest}",
    tag = "admin",
    params(("digest" = String, Path, description = "SHA-256 of the blob, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$")),
    request_body(content = PinRequest, description = "May be empty"),
    responses(
        (status = 204, description = "It is pinned"),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`blob_not_found`"),
    )
)]
pub(in crate::http) async fn pin(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let PinRequest { note } = read(&body)?;
    if note.chars().count() > MAX_NOTE {
        let detail = format!("A note has up to {MAX_NOTE} characters.");
        return Err(ApiError::new(ProblemCode::InvalidRequest, detail));
    }
    let name = named(&digest)?;
    if hub.data.store.pin(name, &note, &actor(caller)).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(no_blob(&digest))
}

/// Takes a pin out; the blob is garbage if nobody else refers to it.
///
/// ```text
/// curl -s -X DELETE http://127.0.0.1:8787/v1/admin/pins/$digest -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/admin/pins/{digest}",
    tag = "admin",
    params(("digest" = String, Path, description = "SHA-256 of the blob, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 204, description = "It is not pinned any more"),
        (status = 404, description = "`blob_not_found`: it is not pinned"),
    )
)]
pub(in crate::http) async fn unpin(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Result<StatusCode, ApiError> {
    if hub.data.store.unpin(named(&digest)?, &actor(caller)).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = format!("The blob {digest:?} is not pinned; GET /v1/admin/pins lists those that are.");
    Err(ApiError::new(ProblemCode::BlobNotFound, detail))
}

/// Damaged files that were set aside, and blobs that have no file at all.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/quarantine -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/quarantine",
    tag = "admin",
    params(
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<i64>, Query, description = "Files on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page: it may be empty and have a next one, because each looks at ten thousand \
         blobs at most", body = Quarantine),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(in crate::http) async fn quarantined_files(
    State(hub): State<Arc<Hub>>,
    query: Query<PageQuery>,
) -> Result<Json<Quarantine>, ApiError> {
    let page: Page<Sha256> = query.read()?;
    let is_behind = |name: &Sha256| page.after.is_none_or(|after| *name > after);
    let set_aside = hub.data.blobs.quarantined().await.map_err(failed)?;
    let set_aside = set_aside.into_iter().map(|file| (file.name, file.size_bytes));
    let set_aside: BTreeMap<_, _> = set_aside.filter(|(name, _)| is_behind(name)).collect();
    let known: BTreeSet<_> = hub
        .data
        .store
        .blobs_after(page.after, LOOKED_AT)
        .await?
        .into_iter()
        .map(|blob| blob.sha256)
        .collect();
    // Behind the last one of those that are known there may be more of them, so the page ends with it.
    let end = known.last().copied().filter(|_| known.len() >= LOOKED_AT as usize);
    let names: BTreeSet<_> = known.iter().chain(set_aside.keys()).copied().collect();
    let (mut found, mut last) = (Quarantine { blobs: Vec::new(), lost: Vec::new(), next: None }, None);
    for name in names.into_iter().filter(|name| end.is_none_or(|end| *name <= end)) {
        if found.blobs.len() + found.lost.len() >= page.limit {
            found.next = last;
            return Ok(Json(found));
        }
        last = Some(name);
        let is_here = hub.data.blobs.size_bytes(name).await.map_err(failed)?.is_some();
        if let Some(&size_bytes) = set_aside.get(&name) {
            found.blobs.push(QuarantinedBlob { sha256: name, size_bytes, restored: is_here });
        }
        if !is_here && known.contains(&name) {
            found.lost.push(name);
        }
    }
    found.next = end;
    Ok(Json(found))
}

/// Removes a damaged file from quarantine, for good.
///
/// ```text
/// curl -s -X DELETE http://127.0.0.1:8787/v1/admin/quarantine/$digest -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/admin/quarantine/{digest}",
    tag = "admin",
    params(("digest" = String, Path, description = "The name it had, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`blob_not_found`"),
    )
)]
pub(in crate::http) async fn discard_quarantined(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = named(&digest)?;
    let is_there = hub.data.blobs.quarantined().await.map_err(failed)?.iter().any(|file| file.name == name);
    if is_there {
        let detail = serde_json::json!({});
        let told = crate::store::Change { action: "blob.discard", subject: name.to_string(), detail };
        hub.data.store.tell_first(&actor(caller), told).await?;
        if hub.data.blobs.discard(name).await.map_err(failed)? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    let detail = format!("Nothing of the name {digest:?} is in quarantine.");
    Err(ApiError::new(ProblemCode::BlobNotFound, detail))
}

fn named(digest: &str) -> Result<Sha256, ApiError> {
    digest.parse().map_err(|_| no_blob(digest))
}

fn no_blob(digest: &str) -> ApiError {
    ApiError::new(ProblemCode::BlobNotFound, format!("This hub has no blob {digest:?}."))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Extension;
    use axum::extract::{Path, State};
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use phasic_hub_api::{IdPatterns, Scope, Sha256};

    use super::discard_quarantined;
    use crate::auth::{Caller, TokenSecret};
    use crate::hub::{DataDirectory, Hub};
    use crate::registry::Former;
    use crate::store::Actor;

    #[tokio::test]
    async fn a_damaged_file_is_not_discarded_for_a_token_that_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap());
        let name = Sha256::of(b"damaged").to_string();
        let file = directory.path().join("quarantine").join(&name);
        std::fs::write(&file, "demaged").unwrap();
        let token = TokenSecret::generate().unwrap().row("t", &[Scope::Admin], IdPatterns::default(), None);
        hub.data.store.add_token(&token, &Actor::Operator).await.unwrap();
        let caller =
            Caller::Token { id: token.id.clone(), scopes: vec![Scope::Admin], ids: IdPatterns::default() };
        let discard = async || {
            let (hub, caller) = (State(Arc::clone(&hub)), Extension(caller.clone()));
            discard_quarantined(hub, caller, Path(name.clone())).await.into_response().status()
        };
        hub.data.store.revoke_token(&token.id, &Actor::Operator).await.unwrap();
        assert_eq!(discard().await, StatusCode::UNAUTHORIZED);
        assert!(file.exists());
    }
}
