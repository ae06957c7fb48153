//! The mirror: its state, passes that are asked for, and decisions about what was refused.
//!
//! Addresses come from the settings only; a request names upstreams by their names.

pub(in crate::http) mod passes;

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use phasic_hub_api::ProblemCode;
use phasic_hub_api::mirror::{
    DecisionRequest, MirrorPass, MirrorStatus, QuarantineItem, QuarantinePage, SyncAnswer, SyncRequest,
    UpstreamStatus,
};

use self::passes::detail;
use super::Services;
use super::error::{ApiError, failed};
use super::object;
use super::page::{Number, PageQuery};
use super::submit::Patience;
use super::tokens::actor;
use crate::auth::Caller;
use crate::config::is_web;
use crate::mirror::MirrorError;
use crate::store::{Decided, PublicCounts};
use crate::visibility::Viewer;

/// What is mirrored from where, since when, what fails, and when the next passes are due. Counts are of what everybody
/// sees; holders of tokens for all ids see those of everything, how many entries a document has, and how many requests were
/// sent and are left.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/mirror
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror",
    tag = "mirror",
    responses((status = 200, description = "The state", body = MirrorStatus))
)]
pub(in crate::http) async fn status(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<MirrorStatus>, ApiError> {
    Ok(Json(seen_by(&services, &caller.viewer()).await?))
}

/// The state of the mirror as a viewer sees it.
pub(in crate::http) async fn seen_by(services: &Services, viewer: &Viewer) -> Result<MirrorStatus, ApiError> {
    let mut status = services.mirror.status(viewer).await?;
    let public = if viewer.sees_all() { None } else { Some(services.hub.data.store.public_counts().await?) };
    for upstream in &mut status.upstreams {
        if let Some(public) = &public {
            let counts = public.get(&upstream.name).copied().unwrap_or_default();
            keep_public(upstream, counts);
        }
        keep_web(&mut upstream.address);
        if let Some(pass) = &mut upstream.last_pass {
            tidy(pass);
        }
    }
    Ok(status)
}

/// Leaves only what is for everybody to know.
fn keep_public(upstream: &mut UpstreamStatus, counts: PublicCounts) {
    upstream.computes = counts.computes;
    upstream.quarantined = counts.quarantined;
    upstream.alarms = counts.alarms;
    upstream.unfetched = counts.unfetched;
    // What is spent on private files is spent out of it.
    upstream.requests_left = None;
}

/// Places on the hub's own machine are nobody else's business.
fn keep_web(address: &mut Option<String>) {
    address.take_if(|address| !is_web(address));
}

fn tidy(pass: &mut MirrorPass) {
    // Failures of the hub itself name files of its machine, and so does a token that cannot be read.
    let is_of_ours = matches!(pass.error_code.as_deref(), Some("internal" | "token_unavailable"));
    let is_local = is_of_ours || pass.address.as_deref().is_some_and(|address| !is_web(address));
    keep_web(&mut pass.address);
    if is_local && pass.error.is_some() {
        pass.error = Some("the log of the hub, and `phasic-hub mirror status`, have the details".to_owned());
    }
}

/// Asks for passes over upstreams of the settings, now. With `Prefer: wait=N` the answer waits for their end.
///
/// One pass runs at a time; asking again for one that has not ended joins it. The body may be empty.
///
/// ```text
/// curl -s -X POST http://127.0.0.1:8787/v1/mirror/sync -H "Authorization: Bearer $ADMIN" -H 'Prefer: wait=30'
/// ```
#[utoipa::path(
    post,
    path = "/v1/mirror/sync",
    tag = "mirror",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the passes")),
    request_body(content = SyncRequest, description = "Which upstreams; all that are enabled, if it is empty"),
    responses(
        (status = 200, description = "All of them have ended, whatever became of them", body = SyncAnswer),
        (status = 202, description = "Some of them have not", body = SyncAnswer),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`upstream_not_found`"),
        (status = 409, description = "`hub_offline`"),
    )
)]
pub(in crate::http) async fn sync(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<SyncAnswer>), ApiError> {
    let patience = Patience::of(&headers, services.patience);
    let SyncRequest { upstreams } = if body.is_empty() { SyncRequest::default() } else { json(&body)? };
    let all = || services.mirror.scheduled().map(|settings| settings.name.to_string()).collect();
    let actor = actor(caller);
    let mut asked = Vec::new();
    let names = upstreams.unwrap_or_else(all);
    // All of them, or none.
    names.iter().try_for_each(|name| services.mirror.may_ask(name))?;
    for name in names {
        let told = services.mirror.ask(&name, actor.clone())?;
        asked.push((name, told));
    }
    let deadline = tokio::time::Instant::now() + patience.map_or(Duration::ZERO, Patience::left);
    let mut answer = SyncAnswer { passes: Vec::new(), waiting: Vec::new() };
    for (name, told) in asked {
        let number = tokio::time::timeout_at(deadline, told).await;
        match number {
            Ok(Ok(number)) => answer.passes.extend(detail(&services, number).await?),
            // Not yet; or the hub itself failed, and its log says so.
            _ => answer.waiting.push(name),
        }
    }
    let status = if answer.waiting.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(answer)))
}

fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    object::read(body).map_err(|error| {
        let detail = format!("The body is not what this route takes: {error}.");
        ApiError::new(ProblemCode::InvalidRequest, detail)
    })
}

impl From<MirrorError> for ApiError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Unknown { name } => {
                let detail =
                    format!("The settings of this hub name no upstream {name:?}; GET /v1/mirror lists them.");
                Self::new(ProblemCode::UpstreamNotFound, detail)
            }
            MirrorError::Offline { upstream } => {
                let detail = format!("This hub is offline by its settings, so {upstream} is not asked.");
                Self::new(ProblemCode::HubOffline, detail)
            }
            error => Self::internal(&error),
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QuarantineQuery {
    #[serde(default)]
    all: bool,
    #[serde(alias = "after")]
    cursor: Option<String>,
    limit: Option<String>,
}

/// What was refused or is suspicious, and alarms: lines nobody has decided upon, or all.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/mirror/quarantine?all=true' -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/mirror/quarantine",
    tag = "mirror",
    params(
        ("all" = Option<bool>, Query, description = "Decided lines, too"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<i64>, Query, description = "Lines on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = QuarantinePage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(in crate::http) async fn quarantine(
    State(services): State<Services>,
    Query(QuarantineQuery { all, cursor, limit }): Query<QuarantineQuery>,
) -> Result<Json<QuarantinePage>, ApiError> {
    let page = PageQuery::new(cursor, limit).read::<Number>()?;
    let store = &services.hub.data.store;
    let mut items = store.quarantine(page.number(), page.wanted(), all).await.map_err(failed)?;
    let next = page.cut_numbered(&mut items, |item| item.number);
    Ok(Json(QuarantinePage { items, next }))
}

/// Decides about a line of the quarantine. The decision holds until the bytes change, and is acted upon at once.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/mirror/quarantine/3 -H "Authorization: Bearer $ADMIN" -d '{"decision": "accept"}'
/// ```
#[utoipa::path(
    post,
    path = "/v1/mirror/quarantine/{number}",
    tag = "mirror",
    params(("number" = i64, Path, description = "The number of the line")),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "The line as it is now; as it was, if it was forgotten", body = QuarantineItem),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`quarantine_not_found`"),
        (status = 409, description = "`decision_impossible`"),
    )
)]
pub(in crate::http) async fn decide(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<i64>,
    body: Bytes,
) -> Result<Json<QuarantineItem>, ApiError> {
    let DecisionRequest { decision } = json(&body)?;
    match services.hub.data.store.decide(number, decision, &actor(caller)).await? {
        Decided::Done(item) => {
            services.mirror.wake();
            services.hub.refresh().await.map_err(failed)?;
            Ok(Json(*item))
        }
        Decided::Unknown => {
            let detail = format!("Nothing in quarantine has the number {number}.");
            Err(ApiError::new(ProblemCode::QuarantineNotFound, detail))
        }
        Decided::Impossible(item) => {
            let detail = format!(
                "{} cannot be accepted: the bytes are not what their entry says, or no artifact for its graph.",
                item.code
            );
            Err(ApiError::new(ProblemCode::DecisionImpossible, detail))
        }
    }
}
