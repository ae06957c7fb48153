//! Publishing computes here, keeping them private, and taking them back.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::computes::{
    ChangeCompute, Compute, Publish, PublishElimination, PublishEntry, PublishedCompute,
};
use phasic_hub_api::{ComputeId, Metadata, ProblemCode, RegistryEntry, Sha256};
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::Instrument as _;

use super::Services;
use super::computes::{compute_of, found, unknown};
use super::error::{ApiError, failed};
use super::jobs::header_value;
use super::object;
use super::tokens::actor;
use crate::auth::{Caller, Scope};
use crate::publication::{self, Checked, Chosen, PublishError};
use crate::store::{Condition, Origin, Published, Retraction, Standing, Wish};

/// What the ids of computed entries begin with.
const COMPUTED: &str = "computed-";

/// Characters of a reason.
const MAX_REASON: usize = 1000;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    private: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetractQuery {
    reason: Option<String>,
}

/// Publishes a compute: from now on the registry lists it, and phasic can pull it.
///
/// The body is what phasic's `push_cache(…, dry_run=True)` prints, `{"<id>": {entry}}`, or the entry alone, or
/// `{"entry": {…}, "private": true}`; the files it names were uploaded before. Or it is `{"graph": "<hash>", "variant":
/// "phasic", "metadata": {"description": …}}`: an elimination this hub has made.
///
/// ```text
/// curl -X PUT http://127.0.0.1:8787/v1/computes/ourlab-kingman -H "Authorization: Bearer $TOKEN" --data-binary @dry-run.json
/// ```
///
/// Every file is hashed and decoded, and held against the program made anew where it is known what the graph is; where that
/// takes too long to be waited for, the `verdict` is `pending`, and it is done in the background. An id
/// that stands for something else is left alone: `If-Match` with the `ETag` of what is there replaces it; `If-None-Match:
/// *` publishes only what is new.
#[utoipa::path(
    put,
    path = "/v1/computes/{id}",
    tag = "publication",
    params(
        ("id" = String, Path, description = "Its id"),
        ("private" = Option<bool>, Query, description = "Whether only holders of tokens for the id see it; as it is \
         where it is missing"),
        ("If-Match" = Option<String>, Header, description = "Entity tags of what may be replaced, or `*`"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the id stands for nothing"),
    ),
    request_body = Publish,
    responses(
        (status = 200, description = "It is published; or it was, and nothing has changed", body = PublishedCompute),
        (status = 201, description = "It is published under a new id", body = PublishedCompute),
        (status = 400, description = "`invalid_request`"),
        (status = 409, description = "`compute_exists`: the id stands for something else; `elimination_missing`; \
         `graph_ambiguous`"),
        (status = 412, description = "`precondition_failed`"),
        (status = 422, description = "`blob_missing`, `artifact_invalid`, `metadata_invalid`"),
        (status = 507, description = "`storage_full`"),
    )
)]
pub(super) async fn publish(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PublishQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let id = id_of(&id)?;
    if id.as_str().starts_with(COMPUTED) {
        return Err(invalid(format!("Ids that begin with {COMPUTED} are for what the hub lists by itself.")));
    }
    let condition = condition(&headers)?;
    let (wanted, private) = read(&id, &body)?;
    let private = query.private.or(private);
    let turns = Arc::clone(&services.publishing);
    in_turn(turns, publish_now(services, caller, id, condition, (wanted, private))).await
}

/// Does work while nobody else does any of this kind: each may hold a large file, and its program, in memory. Whoever stops
/// waiting, because he is gone or has waited for too long, leaves the work at its end and the turn with it: what has begun
/// on a thread that may block goes on in any case.
async fn in_turn<T: Send + 'static>(
    turns: Arc<Mutex<()>>,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let turn = turns.lock_owned().await;
    let work = async move {
        let _turn = turn;
        work.await
    };
    tokio::spawn(work.in_current_span()).await.map_err(|error| ApiError::internal(&error))?
}

async fn publish_now(
    services: Services,
    caller: Caller,
    id: ComputeId,
    condition: Condition,
    (wanted, private): (Wanted, Option<bool>),
) -> Result<Response<Body>, ApiError> {
    let (hub, viewer) = (&services.hub, caller.viewer());
    let Checked { publication, verdict } = match wanted {
        Wanted::Entry(entry) => {
            publication::of_entry(hub, &services.verifier, id.clone(), *entry, &viewer).await?
        }
        Wanted::Elimination(chosen) => publication::of_elimination(hub, id.clone(), *chosen, &viewer).await?,
    };
    let published = hub.data.store.publish(&publication, &condition, private, &actor(caller)).await?;
    let (status, tag) = match published {
        Published::New(tag) => (StatusCode::CREATED, tag),
        Published::Replaced(tag) | Published::Unchanged(tag) => (StatusCode::OK, tag),
        Published::Refused(standing) => return Err(refused(&id, &condition, standing.as_ref())),
    };
    hub.refresh().await.map_err(failed)?;
    services.verifier.wake();
    let compute = found(&services, id.as_str(), &viewer).await?;
    let compute = compute_of(&services, &compute)?;
    let url = format!("{}/v1/computes/{id}", hub.public_base());
    let headers = [(LOCATION, header_value(&url)), (ETAG, header_value(&format!("\"{tag}\"")))];
    Ok((status, headers, Json(PublishedCompute { compute, verdict })).into_response())
}

/// Takes a compute back: listings and pulls no longer show it; its id stays taken, and addresses that carry a digest
/// stay good. `PATCH` with `{"retracted": false}` lets it stand again.
///
/// ```text
/// curl -X DELETE 'http://127.0.0.1:8787/v1/computes/ourlab-kingman?reason=wrong%20rates' -H "Authorization: Bearer $TOKEN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/computes/{id}",
    tag = "publication",
    params(
        ("id" = String, Path, description = "Its id"),
        ("reason" = Option<String>, Query, description = "Why; up to 1000 characters, shown in its history"),
        ("If-Match" = Option<String>, Header, description = "Entity tags of what may be retracted, or `*`"),
    ),
    responses(
        (status = 200, description = "It is retracted", body = Compute),
        (status = 404, description = "`compute_not_found`"),
        (status = 412, description = "`precondition_failed`"),
        (status = 409, description = "`compute_mirrored`: only its upstream can; `compute_of_hub`: only an administrator"),
    )
)]
pub(super) async fn retract(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<RetractQuery>,
    headers: HeaderMap,
) -> Result<Json<Compute>, ApiError> {
    let id = id_of(&id)?;
    let wanted = ChangeCompute { private: None, retracted: Some(true), reason: query.reason };
    apply(&services, caller, id, wanted, condition(&headers)?).await
}

/// Changes who sees a compute, or whether it is retracted; members that are missing stay as they are.
///
/// ```text
/// curl -X PATCH http://127.0.0.1:8787/v1/computes/ourlab-kingman -H "Authorization: Bearer $TOKEN" -d '{"private": true}'
/// ```
#[utoipa::path(
    patch,
    path = "/v1/computes/{id}",
    tag = "publication",
    params(
        ("id" = String, Path, description = "Its id"),
        ("If-Match" = Option<String>, Header, description = "Entity tags of what may be changed, or `*`"),
    ),
    request_body = ChangeCompute,
    responses(
        (status = 200, description = "As it is now", body = Compute),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`compute_not_found`"),
        (status = 409, description = "`compute_mirrored`: only its upstream can retract it; `compute_of_hub`: only an \
         administrator can change it; `private_by_setting`: the setting would have to be changed"),
        (status = 412, description = "`precondition_failed`"),
    )
)]
pub(super) async fn change(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Compute>, ApiError> {
    let id = id_of(&id)?;
    let wanted: ChangeCompute =
        object::read(&body).map_err(|error| invalid(format!("The body: {error}.")))?;
    apply(&services, caller, id, wanted, condition(&headers)?).await
}

async fn apply(
    services: &Services,
    caller: Caller,
    id: ComputeId,
    wanted: ChangeCompute,
    condition: Condition,
) -> Result<Json<Compute>, ApiError> {
    let ChangeCompute { private, retracted, reason } = wanted;
    if private.is_none() && retracted.is_none() {
        return Err(invalid("Say what is to change: private, or retracted.".to_owned()));
    }
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(invalid(format!("A reason has up to {MAX_REASON} characters.")));
    }
    let (store, viewer) = (&services.hub.data.store, caller.viewer());
    let there = found(services, id.as_str(), &viewer).await?;
    if there.row.origin == Origin::Computed && !caller.may(Scope::Admin, None) {
        let detail = format!(
            "The hub lists {:?} by itself, for what was computed on demand; only an administrator changes that. Nothing was \
             changed.",
            id.as_str()
        );
        return Err(ApiError::new(ProblemCode::ComputeOfHub, detail));
    }
    if private == Some(false) && services.config.access.private_ids.patterns().any_matches(&id) {
        let detail = format!(
            "The id {:?} is private by the setting access.private_ids, which holds whatever is said about single ids. Nothing \
             was changed.",
            id.as_str()
        );
        return Err(ApiError::new(ProblemCode::PrivateBySetting, detail));
    }
    let who = actor(caller);
    let wish = Wish { retracted, private };
    match store.change_compute(&id, wish, &condition, reason.as_deref(), &who).await? {
        Retraction::Done | Retraction::Unchanged => {}
        Retraction::Refused(there) => return Err(refused(&id, &condition, Some(&there))),
        Retraction::Unknown => return Err(unknown(id.as_str())),
        Retraction::Mirrored => {
            let detail = format!(
                "The compute {:?} comes from an upstream, which alone can retract it; it can be made private here. Nothing \
                 was changed.",
                id.as_str()
            );
            return Err(ApiError::new(ProblemCode::ComputeMirrored, detail));
        }
    }
    services.hub.refresh().await.map_err(failed)?;
    let compute = found(services, id.as_str(), &viewer).await?;
    Ok(Json(compute_of(services, &compute)?))
}

/// The id of the path. That the token is for it was seen before.
fn id_of(id: &str) -> Result<ComputeId, ApiError> {
    id.parse().map_err(|error| invalid(format!("{id:?} is no id: {error}.")))
}

fn invalid(detail: String) -> ApiError {
    ApiError::new(ProblemCode::InvalidRequest, detail)
}

/// What a body asks for.
enum Wanted {
    Entry(Box<RegistryEntry>),
    Elimination(Box<Chosen>),
}

fn read(id: &ComputeId, body: &[u8]) -> Result<(Wanted, Option<bool>), ApiError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("The body is no JSON: {error}.")))?;
    let wrong = |error: serde_json::Error| invalid(format!("The body is no publication: {error}."));
    let has = |member: &str| value.get(member).is_some();
    // Read again from the text, by readers that refuse what is said twice.
    if has("graph_hash") {
        return Ok((Wanted::Entry(serde_json::from_slice(body).map_err(wrong)?), None));
    }
    if has("graph") {
        let PublishElimination { graph, definition, variant, metadata, private } =
            serde_json::from_slice(body).map_err(wrong)?;
        let metadata = metadata_of(&metadata)?;
        return Ok((Wanted::Elimination(Box::new(Chosen { graph, definition, variant, metadata })), private));
    }
    if has("entry") {
        let PublishEntry { entry, private } = serde_json::from_slice(body).map_err(wrong)?;
        return Ok((Wanted::Entry(Box::new(entry)), private));
    }
    let members = value.as_object().ok_or_else(|| invalid("The body is no JSON object.".to_owned()))?;
    if members.len() != 1 || !has(id.as_str()) {
        let names: Vec<_> = members.keys().take(5).map(String::as_str).collect();
        let detail = format!(
            "The body has the members {names:?}, and must have {:?} alone, as phasic's dry run prints it, or entry, or \
             graph.",
            id.as_str()
        );
        return Err(invalid(detail));
    }
    let mut entries: std::collections::HashMap<String, RegistryEntry> =
        serde_json::from_slice(body).map_err(wrong)?;
    let entry = entries.remove(id.as_str()).ok_or_else(|| invalid("The body has no entry.".to_owned()))?;
    Ok((Wanted::Entry(Box::new(entry)), None))
}

/// Metadata as entries have it, which is read by the reader of entries.
fn metadata_of(metadata: &serde_json::Map<String, Value>) -> Result<Metadata, ApiError> {
    const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let parent = serde_json::json!({"cid_or_path": "", "sha256": ZEROS, "size_bytes": 0});
    let entry = serde_json::json!({
        "graph_hash": ZEROS, "artifacts": {"parent": parent, "scc": []}, "metadata": metadata
    });
    let read = RegistryEntry::from_value(entry).map_err(|error| invalid(format!("{error}.")))?;
    if read.metadata.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Err(invalid("The metadata has a description: one sentence for people.".to_owned()));
    }
    Ok(read.metadata)
}

fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_owned());
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Free),
        (None, Some(star)) if star == "*" => Ok(Condition::Absent),
        (Some(star), None) if star == "*" => Ok(Condition::Present),
        (Some(tags), None) => {
            let tag = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse::<Sha256>().ok();
            // A tag that is none of ours is one nothing has.
            Ok(Condition::Tagged(tags.split(',').filter_map(tag).collect()))
        }
        (None, Some(_)) => {
            Err(invalid("If-None-Match is * here: publish only if the id stands for nothing.".to_owned()))
        }
        (Some(_), Some(_)) => Err(invalid("If-Match and If-None-Match exclude each other.".to_owned())),
    }
}

fn refused(id: &ComputeId, condition: &Condition, standing: Option<&Standing>) -> ApiError {
    let Some(Standing { tag, graph_hash, sha256 }) = standing else {
        let detail = format!("The id {:?} stands for nothing, so it does not match.", id.as_str());
        return ApiError::new(ProblemCode::PreconditionFailed, detail);
    };
    let there = format!(
        "The id {:?} stands for the graph {graph_hash} with the file {sha256} (ETag \"{tag}\")",
        id.as_str()
    );
    let error = match condition {
        Condition::Free => {
            let detail = format!("{there}. To replace it, send that tag in If-Match.");
            ApiError::new(ProblemCode::ComputeExists, detail)
        }
        _ => ApiError::new(ProblemCode::PreconditionFailed, format!("{there}.")),
    };
    error.with_headers(HeaderMap::from_iter([(ETAG, header_value(&format!("\"{tag}\"")))]))
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let text = format!("{error}.");
        match error {
            PublishError::Missing(_) => Self::new(ProblemCode::BlobMissing, text),
            PublishError::File { .. } => Self::new(ProblemCode::ArtifactInvalid, text),
            PublishError::Metadata { .. } => Self::new(ProblemCode::MetadataInvalid, text),
            PublishError::Revision(_) | PublishError::Plan => Self::new(ProblemCode::InvalidRequest, text),
            PublishError::NoElimination { .. } => Self::new(ProblemCode::EliminationMissing, text),
            PublishError::Ambiguous(_) => Self::new(ProblemCode::GraphAmbiguous, text),
            PublishError::Store(error) => error.into(),
            PublishError::Blobs(error) => error.into(),
            error @ PublishError::Verify(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio::sync::{Mutex, oneshot};

    use super::in_turn;

    #[tokio::test]
    async fn who_stops_waiting_gives_his_turn_away_only_when_his_work_has_ended() {
        let turns = Arc::new(Mutex::new(()));
        let (go, gate) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let work = async {
            begin.send(()).unwrap();
            tokio::task::spawn_blocking(move || gate.recv().unwrap()).await.unwrap();
            Ok(())
        };
        let waiting = tokio::spawn(in_turn(Arc::clone(&turns), work));
        begun.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(turns.try_lock().is_err(), "it is being worked on");
        go.send(()).unwrap();
        in_turn(turns, async { Ok(()) }).await.unwrap();
    }
}
