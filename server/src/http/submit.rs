//! Submitting graphs and asking for eliminations.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::jobs::{
    EliminationAnswer, GraphSubmission, Priority, SubmitElimination, SubmitGraph, VariantForecast,
};
use phasic_hub_api::{ModelSource, ProblemCode};

use super::Services;
use super::account::Share;
use super::body::{Budget, Received};
use super::error::ApiError;
use super::rate::Payer;
use super::tokens::actor;
use super::{jobs, model};
use crate::auth::{Caller, Scope};
use crate::jobs::{Ask, Outcome, SubmitError, Submitted};
use crate::visibility::Audience;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphQuery {
    #[serde(default)]
    private: bool,
}

/// Stores a graph, and says what eliminating it would take; nothing is eliminated.
///
/// The body is `{"model": …}` as for `/v1/evaluate`, or simply a document. A graph that is here already is not stored
/// again. 201 says that it is new.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/graphs -H "Authorization: Bearer $TOKEN" -d '{"model": {"builtin": "kingman", "constants": {"n": 7}}}'
/// curl -s http://127.0.0.1:8787/v1/graphs -H "Authorization: Bearer $TOKEN" --data-binary @model.json
/// ```
#[utoipa::path(
    post,
    path = "/v1/graphs",
    tag = "compute",
    params(("private" = Option<bool>, Query, description = "As the member of the body, for bodies that are documents")),
    request_body = SubmitGraph,
    responses(
        (status = 200, description = "It was here already", body = GraphSubmission),
        (status = 201, description = "It is stored", body = GraphSubmission),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`compute_not_found`, `graph_not_found`"),
        (status = 409, description = "`graph_ambiguous`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`model_invalid`, `too_large`"),
        (status = 507, description = "`storage_full`"),
    )
)]
pub(super) async fn submit_graph(
    State(services): State<Services>,
    State(budget): State<Budget>,
    Extension(caller): Extension<Caller>,
    Extension(payer): Extension<Payer>,
    Query(query): Query<GraphQuery>,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let received = budget.receive(request).await?;
    let (SubmitGraph { model, private }, _share) = source(received).await?;
    let audience = audience(&caller, private || query.private)?;
    let Submitted { identity, is_new, forecast } =
        submit(&services, &model, &audience, caller, &payer).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = GraphSubmission { graph: identity, new: is_new, forecast };
    Ok((status, Json(answer)).into_response())
}

/// A body that names a model, or is a document itself.
async fn source(received: Received) -> Result<(SubmitGraph, Share), ApiError> {
    if received.is_document().await? {
        let (document, share) = received.json().await?;
        let model = ModelSource { document: Some(document), ..ModelSource::default() };
        return Ok((SubmitGraph { model, private: false }, share));
    }
    received.json().await
}

/// For whom a submission is. Somebody without a token can keep nothing for himself.
fn audience(caller: &Caller, private: bool) -> Result<Audience, ApiError> {
    if !private {
        return Ok(Audience::Everybody);
    }
    let audience = caller.viewer().audience();
    if audience.is_everybody() {
        let detail = "Without a token nobody could be let in to it again: send one, or leave out private.";
        return Err(ApiError::new(ProblemCode::TokenRequired, detail));
    }
    Ok(audience)
}

async fn submit(
    services: &Services,
    source: &ModelSource,
    audience: &Audience,
    caller: Caller,
    payer: &Payer,
) -> Result<Submitted, ApiError> {
    let recipe = model::recipe(&services.hub, source, &caller.viewer()).await?;
    let submitted = services.jobs.submit_graph(recipe, audience, &payer.to_string(), &actor(caller)).await?;
    if submitted.is_new {
        // Files of its hash can be compared now.
        services.verifier.wake();
    }
    Ok(submitted)
}

/// An elimination of a model: the artifact if it is there, or else the one job that will make it.
///
/// Asking again is asking for the same: however many ask, one job runs. With `Prefer: wait=N` the answer comes when the
/// job has ended, or after N seconds. Jobs of different clients take turns within a `priority`. 202 says that the artifact is not there yet; `Location` is the job. A job that
/// would not fit into this hub is refused at once, with its forecast in the problem; where no `variant` is named and phasic's
/// own program would not fit, ours is made instead (`fast`), which phasic replays as well.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/eliminations -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=10' -d '{
///   "model": {"builtin": "rabbits", "constants": {"n": 10}}, "variant": "phasic"}'
/// ```
#[utoipa::path(
    post,
    path = "/v1/eliminations",
    tag = "compute",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: wait for up to N seconds")),
    request_body = SubmitElimination,
    responses(
        (status = 200, description = "The artifact, or a job that has ended without one", body = EliminationAnswer),
        (status = 202, description = "A job that has not ended", body = EliminationAnswer),
        (status = 400, description = "`invalid_request`"),
        (status = 403, description = "`scope_missing`: for the priority `high`"),
        (status = 404, description = "`compute_not_found`, `graph_not_found`"),
        (status = 409, description = "`graph_ambiguous`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`model_invalid`, `too_large`"),
        (status = 429, description = "`too_many_jobs`"),
        (status = 503, description = "`queue_full`"),
        (status = 507, description = "`storage_full`"),
    )
)]
pub(super) async fn submit_elimination(
    State(services): State<Services>,
    State(budget): State<Budget>,
    Extension(caller): Extension<Caller>,
    Extension(payer): Extension<Payer>,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let patience = Patience::of(request.headers(), services.patience);
    // Subscribed before the job is submitted, so that no change is missed.
    let changes = services.jobs.changes();
    let (submitted, share) = budget.receive(request).await?.json().await?;
    let SubmitElimination { model, variant, private, priority, timeout_seconds } = submitted;
    if priority == Priority::High && !caller.may(Scope::Admin, None) {
        let detail = "The priority high asks for a token of scope admin; without it, ask for normal or low.";
        return Err(ApiError::new(ProblemCode::ScopeMissing, detail));
    }
    if timeout_seconds == Some(0) {
        return Err(ApiError::new(ProblemCode::InvalidRequest, "timeout_seconds is at least 1."));
    }
    let timeout_ms =
        timeout_seconds.map(|seconds| services.jobs.timeout_ms(Some(seconds.saturating_mul(1000))));
    let audience = audience(&caller, private)?;
    let ask = Ask { asker: payer.to_string(), priority, timeout_ms };
    let (who, viewer) = (actor(caller.clone()), caller.viewer());
    let graph = submit(&services, &model, &audience, caller, &payer).await?;
    drop((model, share));
    let variant = variant.unwrap_or_else(|| graph.forecast.usual());
    let base = services.hub.public_base();
    let mut row = match services.jobs.submit(&graph, variant, &audience, ask, &who).await? {
        Outcome::Made(made) => {
            let artifact = Some(jobs::elimination(base, made));
            let answer = EliminationAnswer { graph: graph.identity, artifact, job: None };
            return Ok(Json(answer).into_response());
        }
        Outcome::Job(row, _) => row,
    };
    let mut headers = HeaderMap::new();
    if let Some(patience) = patience {
        row = jobs::wait_for(&services, row, changes, patience.left()).await?;
        headers.extend(patience.applied());
    }
    headers.insert(LOCATION, jobs::header_value(&format!("{base}/v1/jobs/{}", row.id)));
    let status = if row.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let job = jobs::describe(&services, &row, &viewer).await?;
    let answer = EliminationAnswer { graph: graph.identity, artifact: job.artifact.clone(), job: Some(job) };
    Ok((status, headers, Json(answer)).into_response())
}

/// How long a request waits for what it asks for: as long as it prefers (RFC 7240), within what it may take, counted from
/// its arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    since: Instant,
    seconds: u64,
    most: Duration,
}

impl Patience {
    /// That of a request that has arrived now, of which `most` may go by; `None` when it does not want to wait.
    pub(super) fn of(headers: &HeaderMap, most: Duration) -> Option<Self> {
        wait(headers).map(|seconds| Self { since: Instant::now(), seconds, most })
    }

    /// What is left of it.
    pub(super) fn left(self) -> Duration {
        self.most.saturating_sub(self.since.elapsed()).min(Duration::from_secs(self.seconds))
    }

    /// Says what was applied of the preference.
    pub(super) fn applied(self) -> HeaderMap {
        let seconds = self.seconds.min(self.most.as_secs());
        HeaderMap::from_iter([(PREFERENCE_APPLIED, jobs::header_value(&format!("wait={seconds}")))])
    }
}

/// The seconds of `Prefer: wait=N`.
fn wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("wait");
        is_it.then(|| value.trim().trim_matches('"').parse().ok())?
    })
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let text = error.to_string();
        match error {
            SubmitError::Model(error) => error.into(),
            SubmitError::TooLarge { forecast, .. } => {
                Self::new(ProblemCode::TooLarge, text).with_forecast(VariantForecast::clone(&forecast))
            }
            SubmitError::Full { .. } => Self::new(ProblemCode::StorageFull, text),
            SubmitError::QueueFull { .. } => {
                Self::new(ProblemCode::QueueFull, text).with_headers(retry_later())
            }
            SubmitError::TooManyJobs { .. } => {
                Self::new(ProblemCode::TooManyJobs, text).with_headers(retry_later())
            }
            SubmitError::BrokeOff(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

/// A guess: when a job ends is not known.
fn retry_later() -> HeaderMap {
    HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("10"))])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PREFERENCE_APPLIED, Patience, wait};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_request_waits_within_its_time_which_began_when_it_came() {
        let asks = |text| HeaderMap::from_iter([("prefer".parse().unwrap(), HeaderValue::from_static(text))]);
        let minute = Duration::from_mins(1);
        let patience = Patience::of(&asks("wait=3600"), minute).unwrap();
        assert_eq!(patience.applied()[PREFERENCE_APPLIED], "wait=60");
        let arrived = patience.since.checked_sub(Duration::from_secs(50)).unwrap();
        assert!(Patience { since: arrived, ..patience }.left() <= Duration::from_secs(10));
        let short = Patience::of(&asks("wait=5"), minute).unwrap();
        assert_eq!(
            (short.left(), &short.applied()[PREFERENCE_APPLIED]),
            (Duration::from_secs(5), &"wait=5".parse::<HeaderValue>().unwrap())
        );
        assert!(Patience::of(&HeaderMap::new(), minute).is_none());
    }

    #[test]
    fn the_seconds_to_wait_are_found_among_other_preferences() {
        let read = |text: &'static str| {
            wait(&HeaderMap::from_iter([("prefer".parse().unwrap(), HeaderValue::from_static(text))]))
        };
        for text in
            ["wait=5", "respond-async, wait=5", "wait=\"5\"", "return=minimal; wait=5", "Wait=5", "wait = 5"]
        {
            assert_eq!(read(text), Some(5), "{text}");
        }
        for text in ["", "wait", "wait=", "wait=-1", "wait=soon", "await=5"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
