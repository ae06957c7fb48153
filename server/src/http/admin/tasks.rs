//! Long actions: scrub, collection of garbage, backup; and how each of them goes.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::ProblemCode;
use phasic_hub_api::admin::{BackupRequest, GcRequest, Task, TaskPage};

use super::read;
use crate::auth::Caller;
use crate::http::Services;
use crate::http::error::{ApiError, failed};
use crate::http::jobs::header_value;
use crate::http::page::{Number, PageQuery};
use crate::http::tokens::actor;
use crate::hub::Hub;
use crate::store::{StoreError, TaskRow};
use crate::tasks::{TaskError, TaskRequest};

/// Hashes every stored file again now, and restores what is damaged or lost. One scrub runs, however many ask.
///
/// ```text
/// curl -s -X POST http://127.0.0.1:8787/v1/admin/scrub -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    post,
    path = "/v1/admin/scrub",
    tag = "admin",
    responses((status = 202, description = "The task; `Location` tells how it goes", body = Task))
)]
pub(in crate::http) async fn scrub(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
) -> Result<Response<Body>, ApiError> {
    begin(&services, TaskRequest::Scrub, caller).await
}

/// Finds blobs nobody refers to and no pin keeps; removes them if `dry_run` is false.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/gc -H "Authorization: Bearer $ADMIN" -d '{"dry_run": false}'
/// ```
#[utoipa::path(
    post,
    path = "/v1/admin/gc",
    tag = "admin",
    request_body(content = GcRequest, description = "May be empty: a dry run with a day of grace"),
    responses(
        (status = 202, description = "The task; its report says which blobs", body = Task),
        (status = 400, description = "`invalid_request`"),
        (status = 409, description = "`task_running`: it was asked for differently; `Location` is that one"),
    )
)]
pub(in crate::http) async fn gc(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    begin(&services, TaskRequest::Gc(read::<GcRequest>(&body)?), caller).await
}

/// Writes database and blobs to one file in the hub's directory for backups (`upkeep.backup_dir`), and reads it again.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/backup -H "Authorization: Bearer $ADMIN" -d '{"name": "monday.tar"}'
/// ```
#[utoipa::path(
    post,
    path = "/v1/admin/backup",
    tag = "admin",
    request_body(content = BackupRequest, description = "May be empty"),
    responses(
        (status = 202, description = "The task; its report says where the file is", body = Task),
        (status = 400, description = "`invalid_request`"),
        (status = 409, description = "`task_running`: it was asked for differently; `Location` is that one"),
    )
)]
pub(in crate::http) async fn backup(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    begin(&services, TaskRequest::Backup(read::<BackupRequest>(&body)?), caller).await
}

async fn begin(
    services: &Services,
    request: TaskRequest,
    caller: Caller,
) -> Result<Response<Body>, ApiError> {
    let base = services.hub.public_base();
    let location = |row: &TaskRow| [(LOCATION, header_value(&format!("{base}/v1/admin/tasks/{}", row.id)))];
    let (row, _) = services.tasks.begin(request, &actor(caller)).await.map_err(|error| match error {
        TaskError::Name(_) | TaskError::Grace(_) => {
            ApiError::new(ProblemCode::InvalidRequest, format!("{error}."))
        }
        TaskError::Running { ref running } => {
            let headers = HeaderMap::from_iter(location(running));
            ApiError::new(ProblemCode::TaskRunning, format!("{error}.")).with_headers(headers)
        }
        error => failed(error),
    })?;
    let headers = location(&row);
    Ok((StatusCode::ACCEPTED, headers, Json(task_of(row)?)).into_response())
}

/// Long actions, in the order they were begun in.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/admin/tasks?limit=20' -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/tasks",
    tag = "admin",
    params(
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<i64>, Query, description = "Tasks on a page, from 1 to 1000; 100 if not given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = TaskPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(in crate::http) async fn tasks(
    State(hub): State<Arc<Hub>>,
    query: Query<PageQuery>,
) -> Result<Json<TaskPage>, ApiError> {
    let page = query.read::<Number>()?;
    let mut rows = hub.data.store.tasks(page.number(), page.wanted()).await?;
    let next = page.cut_numbered(&mut rows, |row| row.number);
    Ok(Json(TaskPage { tasks: rows.into_iter().map(task_of).collect::<Result<_, _>>()?, next }))
}

/// A long action: how far it is, and what it found.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/tasks/task_0123456789abcdef -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/tasks/{id}",
    tag = "admin",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The task", body = Task),
        (status = 404, description = "`task_not_found`"),
    )
)]
pub(in crate::http) async fn task(
    State(hub): State<Arc<Hub>>,
    Path(id): Path<String>,
) -> Result<Json<Task>, ApiError> {
    let unknown = || {
        let detail = format!("This hub has no task {id:?}; GET /v1/admin/tasks lists those it has.");
        ApiError::new(ProblemCode::TaskNotFound, detail)
    };
    let row = hub.data.store.task(&id).await?.ok_or_else(unknown)?;
    Ok(Json(task_of(row)?))
}

fn task_of(row: TaskRow) -> Result<Task, StoreError> {
    let read = |text: &str| {
        serde_json::from_str(text).map_err(|error| StoreError::Row {
            place: format!("tasks, id {:?}", row.id),
            reason: error.to_string(),
        })
    };
    let (asked, report) = (read(&row.asked)?, row.report.as_deref().map(read).transpose()?);
    Ok(Task {
        id: row.id,
        kind: row.kind,
        state: row.state,
        asked,
        report,
        error: row.error,
        started_at: row.started_at,
        finished_at: row.finished_at,
    })
}
