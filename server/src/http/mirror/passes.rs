//! What passes have done, left out and changed.

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use phasic_hub_api::ProblemCode;
use phasic_hub_api::mirror::{MirrorPassDetail, MirrorPassPage, PassChangePage, PassFaultPage};

use super::tidy;
use crate::auth::Caller;
use crate::http::Services;
use crate::http::error::ApiError;
use crate::http::page::{Number, Page, PageQuery};
use crate::store::Store;

/// Passes of a page unless told otherwise, and at most.
const PAGE: (u32, u32) = (50, 500);

/// Faults and changes shown with a pass. Pages have the others.
const SHOWN: u32 = 100;

pub(super) async fn detail(services: &Services, number: i64) -> Result<Option<MirrorPassDetail>, ApiError> {
    let mut detail = services.hub.data.store.pass(number, Some(SHOWN)).await?;
    if let Some(detail) = &mut detail {
        tidy(&mut detail.pass);
    }
    Ok(detail)
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PassesQuery {
    upstream: Option<String>,
    cursor: Option<Number>,
    limit: Option<u32>,
}

/// Passes over upstreams, the latest first. Of each upstream some two hundred are kept.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/mirror/passes?upstream=phasic-traces&limit=10'
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror/passes",
    tag = "mirror",
    params(
        ("upstream" = Option<String>, Query, description = "Of this upstream only"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<u32>, Query, description = "Passes of a page, 1 to 500; 50 where it is missing", minimum = 1, maximum = 500),
    ),
    responses(
        (status = 200, description = "A page", body = MirrorPassPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(in crate::http) async fn passes(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PassesQuery>,
) -> Result<Json<MirrorPassPage>, ApiError> {
    let limit = query.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        let detail = format!("limit is {limit}, and must be from 1 to {}.", PAGE.1);
        return Err(ApiError::new(ProblemCode::InvalidRequest, detail));
    }
    let store = &services.hub.data.store;
    let mut passes = store
        .passes(query.upstream.as_deref(), query.cursor.map(Number::get), limit + 1, &caller.viewer())
        .await?;
    let more = passes.len() > limit as usize;
    passes.truncate(limit as usize);
    passes.iter_mut().for_each(tidy);
    let next = passes.last().filter(|_| more).map(|pass| pass.number);
    Ok(Json(MirrorPassPage { passes, next }))
}

/// A pass, with the first hundred of what it left out and changed; `…/faults` and `…/changes` have all of it.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/mirror/passes/12 -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror/passes/{number}",
    tag = "mirror",
    params(("number" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The pass", body = MirrorPassDetail),
        (status = 404, description = "`pass_not_found`"),
    )
)]
pub(in crate::http) async fn pass(
    State(services): State<Services>,
    Path(number): Path<i64>,
) -> Result<Json<MirrorPassDetail>, ApiError> {
    Ok(Json(detail(&services, number).await?.ok_or_else(|| no_pass(number))?))
}

/// What a pass left out, in the order of the document.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/mirror/passes/12/faults -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror/passes/{number}/faults",
    tag = "mirror",
    params(
        ("number" = i64, Path, description = "Its number"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<u32>, Query, description = "Faults of a page, 1 to 1000; 100 where it is missing", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = PassFaultPage),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`pass_not_found`"),
    )
)]
pub(in crate::http) async fn pass_faults(
    State(services): State<Services>,
    Path(number): Path<i64>,
    Query(query): Query<PageQuery>,
) -> Result<Json<PassFaultPage>, ApiError> {
    let (page, store) = (query.read::<Number>()?, &services.hub.data.store);
    let found = store.pass_faults(number, page.after.map(|_| page.number()), page.wanted()).await?;
    let (faults, next) = of_pass(store, number, &page, found).await?;
    Ok(Json(PassFaultPage { faults, next }))
}

/// What a pass changed, in the order of the document.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/mirror/passes/12/changes -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror/passes/{number}/changes",
    tag = "mirror",
    params(
        ("number" = i64, Path, description = "Its number"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<u32>, Query, description = "Changes of a page, 1 to 1000; 100 where it is missing", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = PassChangePage),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`pass_not_found`"),
    )
)]
pub(in crate::http) async fn pass_changes(
    State(services): State<Services>,
    Path(number): Path<i64>,
    Query(query): Query<PageQuery>,
) -> Result<Json<PassChangePage>, ApiError> {
    let (page, store) = (query.read::<Number>()?, &services.hub.data.store);
    let found = store.pass_changes(number, page.after.map(|_| page.number()), page.wanted()).await?;
    let (changes, next) = of_pass(store, number, &page, found).await?;
    Ok(Json(PassChangePage { changes, next }))
}

/// A page of what was found of a pass, each with its place, and where the next one begins; refused if there is no such pass.
async fn of_pass<T>(
    store: &Store,
    number: i64,
    page: &Page<Number>,
    mut found: Vec<(i64, T)>,
) -> Result<(Vec<T>, Option<i64>), ApiError> {
    if found.is_empty() && !store.has_pass(number).await? {
        return Err(no_pass(number));
    }
    let next = page.cut_numbered(&mut found, |(place, _)| *place);
    Ok((found.into_iter().map(|(_, one)| one).collect(), next))
}

fn no_pass(number: i64) -> ApiError {
    let detail = format!("This hub knows no pass of number {number}, or no longer.");
    ApiError::new(ProblemCode::PassNotFound, detail)
}
