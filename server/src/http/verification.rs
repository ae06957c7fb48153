//! Whether the files of a compute are what the elimination of its graph gives.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use phasic_hub_api::verification::{ComputeVerification, FileVerification, Verdict};
use phasic_hub_api::{ComputeId, GraphHash, ProblemCode, Sha256};
use tokio::sync::watch;

use super::Services;
use super::computes::found;
use super::error::ApiError;
use super::submit::Patience;
use super::tokens::actor;
use crate::auth::Caller;
use crate::store::{DatedCompute, Role, VerificationRow};
use crate::verification::{ENGINE, built_in};
use crate::visibility::Viewer;

/// What was found when the program of a compute's graph was made anew and held against its files: reproduced,
/// equivalent, mismatch, or that the graph is unknown here.
///
/// Files are compared in the background, as soon as somebody has submitted the graph, and again with every new engine.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/computes/coal_n5_theta1/verification
/// ```
#[utoipa::path(
    get,
    path = "/v1/computes/{id}/verification",
    tag = "registry",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "What is known", body = ComputeVerification),
        (status = 404, description = "`compute_not_found`"),
    )
)]
pub(super) async fn verification(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<ComputeVerification>, ApiError> {
    let viewer = caller.viewer();
    let compute = found(&services, &id, &viewer).await?;
    Ok(Json(describe(&services, &compute, &viewer).await?))
}

/// Compares the files of a compute again, soon. However many ask, it is done once.
///
/// With `Prefer: wait=N` the answer comes when it is done, or after N seconds; 200 says that it is done.
///
/// ```text
/// curl -s -X POST http://127.0.0.1:8787/v1/computes/coal_n5_theta1/verification -H 'Prefer: wait=10' \
///   -H "Authorization: Bearer $TOKEN"
/// ```
#[utoipa::path(
    post,
    path = "/v1/computes/{id}/verification",
    tag = "registry",
    params(
        ("id" = String, Path, description = "Its id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait for up to N seconds"),
    ),
    responses(
        (status = 200, description = "It was waited for, and is done", body = ComputeVerification),
        (status = 202, description = "It will be done; `again` says until when", body = ComputeVerification),
        (status = 404, description = "`compute_not_found`; `graph_not_found` when nobody has said what its graph is"),
    )
)]
pub(super) async fn verify(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let patience = Patience::of(&headers, services.patience);
    // Subscribed before it is asked for, so that nothing is missed.
    let compared = services.verifier.compared();
    let viewer = caller.viewer();
    let compute = found(&services, &id, &viewer).await?;
    let before = describe(&services, &compute, &viewer).await?;
    if before.verdict == Verdict::GraphUnknown {
        let detail = format!(
            "This hub does not know what the graph {} is, so there is nothing to compare with: POST its document to \
             {}/v1/graphs, and its files are compared by themselves.",
            before.graph_hash,
            services.hub.public_base()
        );
        return Err(ApiError::new(ProblemCode::GraphNotFound, detail));
    }
    services.hub.data.store.ask_verification(&compute.row.id, &actor(caller)).await?;
    services.verifier.wake();
    let Some(patience) = patience else {
        return Ok(
            (StatusCode::ACCEPTED, Json(describe(&services, &compute, &viewer).await?)).into_response()
        );
    };
    let found = compared_again(&services, &compute, &viewer, compared, patience.left()).await?;
    let status = if is_open(&found) { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, patience.applied(), Json(found)).into_response())
}

/// Whether a file is still to be compared.
fn is_open(found: &ComputeVerification) -> bool {
    found.files.iter().any(|file| file.again)
}

/// Waits until all files were compared, for a time, or until the hub stops.
async fn compared_again(
    services: &Services,
    compute: &DatedCompute,
    viewer: &Viewer,
    mut compared: watch::Receiver<u64>,
    most: Duration,
) -> Result<ComputeVerification, ApiError> {
    let mut stopping = services.jobs.stopping();
    let deadline = tokio::time::Instant::now() + most;
    loop {
        let found = describe(services, compute, viewer).await?;
        if !is_open(&found) || *stopping.borrow_and_update() {
            return Ok(found);
        }
        tokio::select! {
            _ = compared.changed() => {}
            _ = stopping.changed() => {}
            () = tokio::time::sleep_until(deadline) => return Ok(found),
        }
    }
}

pub(super) async fn describe(
    services: &Services,
    compute: &DatedCompute,
    viewer: &Viewer,
) -> Result<ComputeVerification, ApiError> {
    let id: ComputeId = compute.row.id.clone();
    let graph_hash = compute.row.publication()?.entry.graph_hash;
    let is_private = services.hub.catalogue().is_private(&id);
    // What is public is held against what is public only, whoever asks.
    let viewer = if is_private { viewer } else { &Viewer::Public };
    let store = &services.hub.data.store;
    // However many files there are, as many queries.
    let instead = store.served_variant(&id, graph_hash).await?.map(|one| one.blob.sha256);
    let rows: HashMap<_, _> = store
        .verifications_of(&id)
        .await?
        .into_iter()
        .map(|row| ((row.sha256, row.graph_hash), row))
        .collect();
    let (submitted, built_in) = (store.definitions_of(&id, viewer).await?, built_in());
    let definitions = |hash: GraphHash| Definitions {
        submitted: submitted.get(&hash).copied().unwrap_or_default(),
        built_in: u64::from(built_in.contains(&hash)),
        is_private,
    };
    let (mut files, mut listed) = (Vec::new(), HashSet::new());
    let mut served = instead;
    for artifact in &compute.row.artifacts {
        let definitions = definitions(artifact.graph_hash);
        let instead = instead.filter(|_| artifact.role == Role::Parent);
        let published = [artifact.served.sha256, artifact.original.sha256];
        for sha256 in instead.into_iter().chain(published) {
            let name = (sha256, artifact.graph_hash);
            if !listed.insert(name) {
                continue;
            }
            // Whoever sees no definition is not to learn from a verdict that there is one.
            let row = rows.get(&name).filter(|_| definitions.total() > 0);
            files.push(file(sha256, artifact.graph_hash, row, definitions));
        }
        if artifact.role == Role::Parent {
            served = served.or(Some(artifact.served.sha256));
        }
    }
    let is_served = |file: &&FileVerification| Some(file.sha256) == served && file.graph_hash == graph_hash;
    let verdict = files.iter().find(is_served).map_or(Verdict::GraphUnknown, |file| file.verdict);
    let definitions = definitions(graph_hash).total();
    Ok(ComputeVerification { id, graph_hash, definitions, verdict, files })
}

/// Definitions of a hash.
#[derive(Clone, Copy)]
struct Definitions {
    submitted: u64,
    built_in: u64,
    /// Whether the viewer may not know all of them.
    is_private: bool,
}

impl Definitions {
    const fn total(self) -> u64 {
        self.submitted + self.built_in
    }
}

fn file(
    sha256: Sha256,
    graph_hash: GraphHash,
    row: Option<&VerificationRow>,
    known: Definitions,
) -> FileVerification {
    let unseen = if known.total() == 0 { Verdict::GraphUnknown } else { Verdict::Pending };
    let is_open = |row: &VerificationRow| {
        // Of a private file, definitions count that this viewer may not know of.
        !known.is_private
            && matches!(row.verdict, Verdict::Mismatch | Verdict::TooLarge)
            && row.definitions != known.submitted
    };
    FileVerification {
        sha256,
        graph_hash,
        verdict: row.map_or(unseen, |row| row.verdict),
        again: row
            .map_or(unseen == Verdict::Pending, |row| row.is_asked || row.engine != ENGINE || is_open(row)),
        edge_order_digest: row.and_then(|row| row.edge_order_digest),
        difference: row.and_then(|row| row.difference.clone()),
        engine: row.map(|row| row.engine.clone()),
        checked_at: row.map(|row| row.checked_at.clone()),
        duration_ms: row.map(|row| row.duration_ms),
    }
}
