//! Jobs: listed, shown, waited for and cancelled.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::{Extension, Json};
use phasic_hub_api::jobs::{Elimination, Job, JobActual, JobPage, JobState};
use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, ProblemCode};
use tokio::sync::watch;

use super::Services;
use super::error::ApiError;
use super::rate::Payer;
use super::tokens::actor;
use crate::auth::{Caller, Scope};
use crate::store::{Cancelled, EliminationRow, JobFilter, JobPlace, JobRow, StoreError};
use crate::visibility::Viewer;

/// Jobs of a page unless told otherwise, and at most.
const PAGE: (u32, u32) = (50, 500);

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    state: Option<JobState>,
    graph: Option<GraphHash>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Jobs, the latest first.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/jobs?state=running&limit=10'
/// ```
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "compute",
    params(
        ("state" = Option<JobState>, Query, description = "Only jobs in this state"),
        ("graph" = Option<String>, Query, description = "Only jobs of graphs with this content hash", pattern = "^[0-9a-f]{64}$"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Jobs of a page, 1 to 500; 50 where it is missing", minimum = 1, maximum = 500),
    ),
    responses(
        (status = 200, description = "A page", body = JobPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn jobs(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<JobsQuery>,
) -> Result<Json<JobPage>, ApiError> {
    let limit = query.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        let detail = format!("limit is {limit}, and must be from 1 to {}.", PAGE.1);
        return Err(ApiError::new(ProblemCode::InvalidRequest, detail));
    }
    let JobsQuery { state, graph: graph_hash, cursor, .. } = query;
    let before = cursor.map(|cursor| cursor.parse().map_err(|()| no_cursor(&cursor))).transpose()?;
    let filter = JobFilter { viewer: caller.viewer(), state, before, graph_hash, ..JobFilter::default() };
    Ok(Json(page(&services, filter, limit as usize).await?))
}

/// A page of jobs, in as many queries however many there are.
pub(super) async fn page(services: &Services, filter: JobFilter, limit: usize) -> Result<JobPage, ApiError> {
    // One more than asked for tells whether there is another page.
    let filter = JobFilter { limit: u32::try_from(limit + 1).unwrap_or(u32::MAX), ..filter };
    let mut rows = services.hub.data.store.jobs(&filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let place = |row: &JobRow| JobPlace { submitted_at: row.submitted_at.clone(), id: row.id.clone() };
    let next = rows.last().filter(|_| more).map(|row| place(row).to_string());
    Ok(JobPage { jobs: describe_all(services, &rows, &filter.viewer).await?, next })
}

/// A job: its state, its place in the queue, its progress, forecast, result and log.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/jobs/job_0123456789abcdef
/// ```
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "compute",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(super) async fn job(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Job>, ApiError> {
    let viewer = caller.viewer();
    let row = services.hub.data.store.job(&id, &viewer).await?.ok_or_else(|| unknown(&id))?;
    Ok(Json(with_log(&services, &row, &viewer).await?))
}

/// Cancels a job that waits or runs, and lets one out of quarantine; one that has ended stays as it is.
///
/// Who has asked for a job may cancel it, and so may an administrator. If others have asked for the same, the job goes on
/// for them, and the answer shows it as it is.
///
/// ```text
/// curl -s -X DELETE http://127.0.0.1:8787/v1/jobs/job_0123456789abcdef -H "Authorization: Bearer $TOKEN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "compute",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The job, cancelled; or going on for others", body = Job),
        (status = 403, description = "`job_of_others`"),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`job_ended`"),
    )
)]
pub(super) async fn cancel(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Extension(payer): Extension<Payer>,
    Path(id): Path<String>,
) -> Result<Json<Job>, ApiError> {
    let asker = (!caller.may(Scope::Admin, None)).then(|| payer.to_string());
    let viewer = caller.viewer();
    let found = services.jobs.cancel(&id, &viewer, asker.as_deref(), &actor(caller)).await?;
    let (row, cancelled) = found.ok_or_else(|| unknown(&id))?;
    match cancelled {
        Cancelled::Ended if row.state != JobState::Cancelled => {
            let detail = format!("The job {id:?} has ended already: it is {}.", row.state.as_str());
            return Err(ApiError::new(ProblemCode::JobEnded, detail));
        }
        Cancelled::NotAsked => {
            let detail = format!(
                "You have not asked for the job {id:?}; those who have, and administrators, may cancel it."
            );
            return Err(ApiError::new(ProblemCode::JobOfOthers, detail));
        }
        _ => {}
    }
    Ok(Json(with_log(&services, &row, &viewer).await?))
}

fn no_cursor(text: &str) -> ApiError {
    let detail = format!("The cursor {text:?} is the `next` of no page of jobs; begin again without one.");
    ApiError::new(ProblemCode::InvalidRequest, detail)
}

pub(super) fn unknown(id: &str) -> ApiError {
    ApiError::new(
        ProblemCode::JobNotFound,
        format!("This hub has no job {id:?}; GET /v1/jobs lists those it has."),
    )
}

async fn with_log(services: &Services, row: &JobRow, viewer: &Viewer) -> Result<Job, StoreError> {
    let log = services.hub.data.store.job_log(row.number).await?;
    Ok(Job { log, ..describe(services, row, viewer).await? })
}

/// Waits until a job has ended, for a time, or until the hub stops.
pub(super) async fn wait_for(
    services: &Services,
    mut row: JobRow,
    mut changes: watch::Receiver<u64>,
    most: Duration,
) -> Result<JobRow, StoreError> {
    let mut stopping = services.jobs.stopping();
    let deadline = tokio::time::Instant::now() + most;
    while !row.state.is_final() && !*stopping.borrow_and_update() {
        tokio::select! {
            _ = changes.changed() => {}
            _ = stopping.changed() => {}
            () = tokio::time::sleep_until(deadline) => break,
        }
        if let Some(found) = services.hub.data.store.job(&row.id, &Viewer::All).await? {
            row = found;
        }
    }
    Ok(row)
}

/// A job as a viewer sees it, without its log.
pub(super) async fn describe(services: &Services, row: &JobRow, viewer: &Viewer) -> Result<Job, StoreError> {
    let mut described = describe_all(services, std::slice::from_ref(row), viewer).await?;
    described.pop().ok_or_else(|| StoreError::Row {
        place: format!("jobs, id {:?}", row.id),
        reason: "it has no description".to_owned(),
    })
}

/// Jobs as a viewer sees them, without their logs: two queries for all of them together.
async fn describe_all(services: &Services, rows: &[JobRow], viewer: &Viewer) -> Result<Vec<Job>, StoreError> {
    let store = &services.hub.data.store;
    let done = rows.iter().filter(|row| row.state == JobState::Done);
    let made = store.eliminations_of(&done.map(|row| row.subject).collect()).await?;
    let graphs = store.identities(&rows.iter().map(|row| row.definition).collect()).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let artifact = made.get(&(row.subject, row.variant)).filter(|_| row.state == JobState::Done);
        let position = match row.state {
            JobState::Queued => services.jobs.position(row.number, viewer).await?,
            _ => None,
        };
        jobs.push(job_of(services, row, graphs.get(&row.definition), artifact, position)?);
    }
    Ok(jobs)
}

fn job_of(
    services: &Services,
    row: &JobRow,
    graph: Option<&GraphIdentity>,
    artifact: Option<&EliminationRow>,
    position: Option<u64>,
) -> Result<Job, StoreError> {
    let (graph_hash, edge_order_digest) = graph
        .map_or((GraphHash::from_bytes([0; 32]), EdgeOrderDigest::from_bytes([0; 32])), |graph| {
            (graph.graph_hash, graph.edge_order_digest)
        });
    let unreadable = |error: serde_json::Error| StoreError::Row {
        place: format!("jobs, id {:?}", row.id),
        reason: error.to_string(),
    };
    let running = row.state == JobState::Running;
    let artifact_bytes = artifact.map(|made| made.blob.size_bytes);
    let duration_ms = row.duration_ms.filter(|_| row.state.is_final());
    Ok(Job {
        id: row.id.clone(),
        state: row.state,
        variant: row.variant,
        graph_hash,
        edge_order_digest,
        definition: row.definition,
        position,
        priority: row.priority,
        timeout_seconds: services.jobs.timeout_ms(row.timeout_ms).div_ceil(1000),
        attempts: row.attempts,
        forecast: serde_json::from_str(&row.forecast).map_err(unreadable)?,
        actual: duration_ms.map(|duration_ms| JobActual {
            duration_ms,
            artifact_bytes,
            commands: row.commands,
            peak_memory_bytes: row.peak_memory_bytes,
        }),
        progress: services.jobs.progress(row.number).filter(|_| running),
        submitted_at: row.submitted_at.clone(),
        started_at: row.started_at.clone(),
        finished_at: row.finished_at.clone(),
        artifact: artifact.map(|row| elimination(services.hub.public_base(), row.clone())),
        error: row.error.clone(),
        private: !row.audience.is_everybody(),
        log: Vec::new(),
    })
}

/// An elimination as clients see it.
pub(super) fn elimination(base: &str, row: EliminationRow) -> Elimination {
    Elimination {
        variant: row.variant,
        graph_hash: row.graph_hash,
        edge_order_digest: row.edge_order_digest,
        definition: row.definition,
        sha256: row.blob.sha256,
        size_bytes: row.blob.size_bytes,
        url: format!("{base}/v1/blobs/sha256/{}", row.blob.sha256),
        engine: row.engine,
        made_at: row.made_at,
        private: !row.audience.is_everybody(),
    }
}

/// Header text of our own making.
pub(super) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
