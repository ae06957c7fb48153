//! Tokens: made, listed and revoked by administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::{NewToken, ProblemCode, TokenInfo, TokenPage, TokenRequest};

use super::error::{ApiError, failed};
use super::object;
use super::page::{Number, PageQuery};
use crate::auth::{Caller, Scope, TokenSecret};
use crate::hub::Hub;
use crate::store::{Actor, TokenRow};

/// Names are for people: longer ones fill lists.
const MAX_NAME: usize = 100;

/// A hundred years, and never is better said by leaving it out.
const MAX_SECONDS: u64 = 3_153_600_000;

/// All tokens, without their secrets, in the order they were made in.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/tokens -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "access",
    params(
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<i64>, Query, description = "Tokens on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = TokenPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    query: Query<PageQuery>,
) -> Result<Json<TokenPage>, ApiError> {
    let page = query.read::<Number>()?;
    let mut rows = hub.data.store.token_page(page.number(), page.wanted()).await.map_err(failed)?;
    let next = page.cut_numbered(&mut rows, |row| row.number);
    Ok(Json(TokenPage { tokens: rows.into_iter().map(info).collect(), next }))
}

fn info(row: TokenRow) -> TokenInfo {
    let TokenRow { id, name, scopes, ids, created_at, expires_at, last_used_at, revoked_at, .. } = row;
    TokenInfo { id, name, scopes, ids, created_at, expires_at, last_used_at, revoked_at }
}

/// Makes a token. The answer holds its secret, which the hub itself does not keep.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/tokens -H "Authorization: Bearer $ADMIN" -d '{"name": "lab", "scopes": ["read"], "expires_in_seconds": 7776000}'
/// ```
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "access",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "It is made", body = NewToken),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn create(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let invalid = |detail: String| ApiError::new(ProblemCode::InvalidRequest, detail);
    let request: TokenRequest =
        object::read(&body).map_err(|error| invalid(format!("The body is no token request: {error}.")))?;
    let TokenRequest { name, scopes, ids, expires_in_seconds } = request;
    if name.trim().is_empty() || name.chars().count() > MAX_NAME {
        return Err(invalid(format!("The name has 1 to {MAX_NAME} characters.")));
    }
    if scopes.is_empty() {
        return Err(invalid("A token has at least one scope: read, compute, publish or admin.".to_owned()));
    }
    if !ids.is_empty() && scopes.contains(&Scope::Admin) {
        return Err(invalid(
            "A token of scope admin is for all ids; leave out ids, or give other scopes.".to_owned(),
        ));
    }
    if expires_in_seconds.is_some_and(|seconds| !(1..=MAX_SECONDS).contains(&seconds)) {
        return Err(invalid(format!("expires_in_seconds is from 1 to {MAX_SECONDS}; without it, never.")));
    }
    let secret = TokenSecret::generate().map_err(failed)?;
    let row = secret.row(&name, &scopes, ids, expires_in_seconds);
    hub.data.store.add_token(&row, &actor(caller)).await.map_err(failed)?;
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (LOCATION, HeaderValue::from_str(&format!("/v1/tokens/{}", row.id)).map_err(failed)?),
    ];
    Ok((StatusCode::CREATED, headers, Json(NewToken { id: row.id, token: secret.to_string() })))
}

/// Revokes a token, from the next request on.
///
/// ```text
/// curl -s -X DELETE http://127.0.0.1:8787/v1/tokens/3b0c44298fc1 -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    tag = "access",
    params(("id" = String, Path, description = "Its public id")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description = "`token_not_found`: there is none, or it was revoked before"),
    )
)]
pub(super) async fn revoke(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if hub.data.store.revoke_token(&id, &actor(caller)).await.map_err(failed)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "No token of this hub that is not revoked has this id. GET /v1/tokens lists all.";
    Err(ApiError::new(ProblemCode::TokenNotFound, detail))
}

/// Who answers for a change. Changes ask for a scope, so there is a token, unless the table of access were wrong.
pub(super) fn actor(caller: Caller) -> Actor {
    match caller {
        Caller::Token { id, .. } => Actor::Token(id),
        Caller::Anonymous => Actor::Anonymous,
    }
}
