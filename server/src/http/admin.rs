//! What administrators do: long actions, pins, quarantine, and the settings in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::admin::{
    BackupRequest, GcRequest, Pin, PinList, PinRequest, Quarantine, QuarantinedBlob, Task, TaskPage,
};
use phasic_hub_api::{ProblemCode, Sha256};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Services;
use super::error::{ApiError, failed};
use super::jobs::header_value;
use super::page::{Number, Page, PageQuery};
use super::tokens::actor;
use crate::auth::Caller;
use crate::config::Config;
use crate::hub::Hub;
use crate::store::{StoreError, TaskRow};
use crate::tasks::{TaskError, TaskRequest};

/// Blobs whose files one page of the quarantine looks for.
const LOOKED_AT: u32 = 10_000;

/// Notes are for people: longer ones fill lists.
const MAX_NOTE: usize = 1000;

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
pub(super) async fn scrub(
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
pub(super) async fn gc(
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
pub(super) async fn backup(
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
        ("cursor" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<i64>, Query, description = "Tasks on a page, from 1 to 1000; 100 if not given"),
    ),
    responses(
        (status = 200, description = "A page", body = TaskPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn tasks(
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
pub(super) async fn task(
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
        ("limit" = Option<i64>, Query, description = "Pins on a page, from 1 to 1000; 100 if not given"),
    ),
    responses(
        (status = 200, description = "A page", body = PinList),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn pins(
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
    params(("digest" = String, Path, description = "SHA-256 of the blob, 64 lower-case hexadecimal digits")),
    request_body(content = PinRequest, description = "May be empty"),
    responses(
        (status = 204, description = "It is pinned"),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`blob_not_found`"),
    )
)]
pub(super) async fn pin(
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
    params(("digest" = String, Path, description = "SHA-256 of the blob, 64 lower-case hexadecimal digits")),
    responses(
        (status = 204, description = "It is not pinned any more"),
        (status = 404, description = "`blob_not_found`: it is not pinned"),
    )
)]
pub(super) async fn unpin(
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
        ("limit" = Option<i64>, Query, description = "Files on a page, from 1 to 1000; 100 if not given"),
    ),
    responses(
        (status = 200, description = "A page: it may be empty and have a next one, because each looks at ten thousand \
         blobs at most", body = Quarantine),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn quarantine(
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
    params(("digest" = String, Path, description = "The name it had, 64 lower-case hexadecimal digits")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`blob_not_found`"),
    )
)]
pub(super) async fn discard(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = named(&digest)?;
    let is_there = hub.data.blobs.quarantined().await.map_err(failed)?.iter().any(|file| file.name == name);
    if is_there {
        // The line first: what cannot be told is not done.
        let detail = serde_json::json!({});
        let told = crate::store::Change { action: "blob.discard", subject: name.to_string(), detail };
        hub.data.store.tell(&actor(caller), told).await?;
        if hub.data.blobs.discard(name).await.map_err(failed)? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    let detail = format!("Nothing of the name {digest:?} is in quarantine.");
    Err(ApiError::new(ProblemCode::BlobNotFound, detail))
}

/// The settings in force, defaults included, without secrets.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/settings -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/settings",
    tag = "admin",
    responses((status = 200, description = "As in hub.toml", body = Object))
)]
pub(super) async fn settings(State(services): State<Services>) -> Result<Json<Value>, ApiError> {
    Ok(Json(in_force(&services.config).map_err(failed)?))
}

fn in_force(config: &Config) -> Result<Value, serde_json::Error> {
    let mut settings = serde_json::to_value(config)?;
    leave_out_secrets(&mut settings);
    Ok(settings)
}

/// Whatever is called a secret is one, whoever adds it to the settings; so is what an address says before its `@`.
fn leave_out_secrets(value: &mut Value) {
    const LEFT_OUT: &str = "(left out)";
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let is_secret = ["token", "secret", "password", "authorization"]
                    .into_iter()
                    .any(|word| name.to_ascii_lowercase().contains(word));
                let is_set = member.as_str().is_some_and(|text| !text.is_empty());
                if is_secret && is_set {
                    *member = LEFT_OUT.into();
                } else {
                    leave_out_secrets(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_secrets),
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((_, place)) = rest.split_once('@')
            {
                *text = format!("{scheme}://{LEFT_OUT}@{place}");
            }
        }
        _ => {}
    }
}

/// A body that may be empty.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ProblemCode::InvalidRequest, format!("The body: {error}.")))
}

fn named(digest: &str) -> Result<Sha256, ApiError> {
    digest.parse().map_err(|_| no_blob(digest))
}

fn no_blob(digest: &str) -> ApiError {
    ApiError::new(ProblemCode::BlobNotFound, format!("This hub has no blob {digest:?}."))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let mut settings = json!({
            "upstreams": [{"url": "https://user:pass@hub.example/x", "bearer_token": "t"}],
            "password": "", "listen": "127.0.0.1:8787", "limit": 3
        });
        super::leave_out_secrets(&mut settings);
        assert_eq!(
            settings,
            json!({
                "upstreams": [{"url": "https://(left out)@hub.example/x", "bearer_token": "(left out)"}],
                "password": "", "listen": "127.0.0.1:8787", "limit": 3
            })
        );
    }
}
