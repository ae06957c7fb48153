//! Computes, browsed.

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::ETAG;
use axum::response::IntoResponse;
use phasic_hub_api::computes::{
    Compute, ComputeArtifact, ComputeOrigin, ComputePage, ComputeStatus, Revision, RevisionPage,
    ServedProgram,
};
use phasic_hub_api::{ComputeId, ProblemCode, RegistryEntry, Search};

use super::error::ApiError;
use super::jobs::header_value;
use super::page::Number;
use super::{Services, graphs, verification};
use crate::auth::Caller;
use crate::registry::Catalogue;
use crate::store::{
    BrowseFilter, DatedCompute, GraphFilter, Origin, RevisionRow, Role, ServedVariant, StoreError, tag,
};
use crate::visibility::Viewer;

/// Items of a page unless told otherwise, and at most.
const PAGE: (u32, u32) = (50, 500);

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ComputesQuery {
    domain: Option<String>,
    model_type: Option<String>,
    tag: Option<String>,
    search: Option<String>,
    origin: Option<ComputeOrigin>,
    status: Option<ComputeStatus>,
    cursor: Option<ComputeId>,
    limit: Option<u32>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    cursor: Option<Number>,
    limit: Option<u32>,
}

/// Computes in the order of their ids.
///
/// ```text
/// curl -s 'http://127.0.0.1:8787/v1/computes?domain=population-genetics&search=kingman&limit=10'
/// ```
#[utoipa::path(
    get,
    path = "/v1/computes",
    tag = "registry",
    params(
        ("domain" = Option<String>, Query, description = "Exactly this domain"),
        ("model_type" = Option<String>, Query, description = "Exactly this model type"),
        ("tag" = Option<String>, Query, description = "With this tag"),
        ("search" = Option<String>, Query, description = "With this text in the id, the description or a tag, whatever the case of its letters"),
        ("origin" = Option<ComputeOrigin>, Query, description = "Published by this hub, mirrored, or computed on demand"),
        ("status" = Option<ComputeStatus>, Query, description = "Only those served, withheld or retracted"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Computes of a page, 1 to 500; 50 where it is missing", minimum = 1, maximum = 500),
    ),
    responses(
        (status = 200, description = "A page", body = ComputePage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn computes(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ComputesQuery>,
) -> Result<Json<ComputePage>, ApiError> {
    let (limit, viewer) = (limit(query.limit)?, caller.viewer());
    let origin = query.origin.map(|origin| match origin {
        ComputeOrigin::Local => Origin::Local,
        ComputeOrigin::Mirror => Origin::Mirror,
        ComputeOrigin::Computed => Origin::Computed,
    });
    let (hub, catalogue) = (&services.hub, services.hub.catalogue());
    let withheld = query.status.map(|_| catalogue.withheld().iter().map(|withheld| withheld.id.clone()));
    let filter = BrowseFilter {
        viewer,
        domain: query.domain,
        model_type: query.model_type,
        tag: query.tag,
        search: query.search.as_deref().map(Search::new),
        origin,
        status: query.status,
        withheld: withheld.map(Iterator::collect).unwrap_or_default(),
        id: None,
        after: query.cursor.map(|id| id.to_string()),
        // One more than asked for tells whether there is another page.
        limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
    };
    let rows = hub.data.store.browse(&filter).await?;
    let describe = |row| describe(hub.public_base(), &catalogue, row);
    let mut computes: Vec<Compute> = rows.iter().map(describe).collect::<Result<_, _>>()?;
    let more = computes.len() > limit;
    computes.truncate(limit);
    let next = computes.last().filter(|_| more).map(|compute| compute.id.to_string());
    Ok(Json(ComputePage { computes, next }))
}

/// A compute: its metadata, files and provenance. Its `ETag` names the entry, for `If-Match` of a publication.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/computes/coal_n5_theta1
/// ```
#[utoipa::path(
    get,
    path = "/v1/computes/{id}",
    tag = "registry",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The compute", body = Compute),
        (status = 404, description = "`compute_not_found`"),
    )
)]
pub(super) async fn compute(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let hub = &services.hub;
    let viewer = caller.viewer();
    let row = found(&services, &id, &viewer).await?;
    let mut compute = describe(hub.public_base(), &hub.catalogue(), &row)?;
    let of = GraphFilter { graph_hash: compute.graph_hash, edge_order_digest: None, viewer: viewer.clone() };
    (compute.variants, compute.variants_next) = graphs::first_artifacts(&services, &of).await?;
    let served = hub.data.store.served_variant(&compute.id, compute.graph_hash).await?;
    compute.served = served.map(|one| program(hub.public_base(), &one));
    compute.verdict = Some(verification::describe(&services, &row, &viewer).await?.verdict);
    let tag = [(ETAG, header_value(&format!("\"{}\"", tag(&row.row.entry))))];
    Ok((tag, Json(compute)))
}

/// A compute of this hub that a viewer sees.
pub(super) async fn found(services: &Services, id: &str, viewer: &Viewer) -> Result<DatedCompute, ApiError> {
    let viewer = viewer.clone();
    let filter = BrowseFilter { viewer, id: Some(id.to_owned()), limit: 1, ..BrowseFilter::default() };
    services.hub.data.store.browse(&filter).await?.pop().ok_or_else(|| unknown(id))
}

/// What an id has stood for, the latest first. An id that was removed has a last revision without an entry.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/computes/coal_n5_theta1/revisions
/// ```
#[utoipa::path(
    get,
    path = "/v1/computes/{id}/revisions",
    tag = "registry",
    params(
        ("id" = String, Path, description = "The id"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before", minimum = 0),
        ("limit" = Option<u32>, Query, description = "Revisions of a page, 1 to 500; 50 where it is missing", minimum = 1, maximum = 500),
    ),
    responses(
        (status = 200, description = "A page", body = RevisionPage),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`compute_not_found`: the id never stood for anything"),
    )
)]
pub(super) async fn revisions(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<RevisionPage>, ApiError> {
    let limit = limit(query.limit)?;
    let name: ComputeId = id.parse().map_err(|_| unknown(&id))?;
    let most = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let store = &services.hub.data.store;
    let mut rows = store.revisions(&name, query.cursor.map(Number::get), most).await?;
    let is_private = store.private_ids().await?.contains(&name);
    // An id that is private and one that never stood for anything are told apart by no page of theirs.
    let has_stood = !rows.is_empty() || !store.revisions(&name, None, 1).await?.is_empty();
    if !has_stood || !caller.viewer().sees_id(&name, is_private) {
        return Err(unknown(&id));
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.number.to_string());
    let mut revisions = Vec::new();
    for row in rows {
        let entry = row.entry.as_deref().map(serde_json::from_str).transpose();
        let entry = entry.map_err(|error| unreadable("revisions", &id, &error))?;
        let origin = origin(row.origin);
        let RevisionRow { number, recorded_at, upstream, commit, reason, .. } = row;
        revisions.push(Revision { number, recorded_at, origin, upstream, commit, reason, entry });
    }
    Ok(Json(RevisionPage { revisions, next }))
}

fn limit(asked: Option<u32>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(PAGE.0);
    if (1..=PAGE.1).contains(&limit) {
        return Ok(limit as usize);
    }
    let detail = format!("limit is {limit}, and must be from 1 to {}.", PAGE.1);
    Err(ApiError::new(ProblemCode::InvalidRequest, detail))
}

pub(super) fn unknown(id: &str) -> ApiError {
    let detail = format!("This hub has no compute {id:?}; GET /v1/computes lists those it has.");
    ApiError::new(ProblemCode::ComputeNotFound, detail)
}

fn unreadable(table: &str, id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Row { place: format!("{table}, id {id:?}"), reason: error.to_string() }
}

const fn origin(origin: Origin) -> ComputeOrigin {
    match origin {
        Origin::Local => ComputeOrigin::Local,
        Origin::Mirror => ComputeOrigin::Mirror,
        Origin::Computed => ComputeOrigin::Computed,
    }
}

fn program(base: &str, one: &ServedVariant) -> ServedProgram {
    let name = Role::Parent.name(one.graph_hash);
    ServedProgram {
        variant: one.variant,
        reason: one.reason.as_str().to_owned(),
        sha256: one.blob.sha256,
        size_bytes: one.blob.size_bytes,
        edge_order_digest: one.edge_order_digest,
        url: format!("{base}/artifacts/{name}?sha256={}", one.blob.sha256),
    }
}

/// A compute as clients see it.
pub(super) fn compute_of(services: &Services, found: &DatedCompute) -> Result<Compute, StoreError> {
    describe(services.hub.public_base(), &services.hub.catalogue(), found)
}

fn describe(base: &str, catalogue: &Catalogue, found: &DatedCompute) -> Result<Compute, StoreError> {
    let row = &found.row;
    let entry: RegistryEntry = row.publication()?.entry;
    let withheld = catalogue.withheld().iter().find(|withheld| withheld.id == row.id);
    let status = if entry.retracted {
        ComputeStatus::Retracted
    } else if withheld.is_some() {
        ComputeStatus::Withheld
    } else {
        ComputeStatus::Served
    };
    let artifacts = row.artifacts.iter().map(|artifact| ComputeArtifact {
        role: match artifact.role {
            Role::Parent => "parent".to_owned(),
            Role::Scc => "scc".to_owned(),
        },
        graph_hash: artifact.graph_hash,
        sha256: artifact.served.sha256,
        size_bytes: artifact.served.size_bytes,
        original_sha256: artifact.original.sha256,
        url: format!(
            "{base}/artifacts/{}?sha256={}",
            artifact.role.name(artifact.graph_hash),
            artifact.served.sha256
        ),
    });
    Ok(Compute {
        id: row.id.clone(),
        origin: origin(row.origin),
        upstream: row.upstream.clone(),
        status,
        graph_hash: entry.graph_hash,
        metadata: entry.metadata,
        private: found.private,
        published_at: found.published_at.clone(),
        artifacts: artifacts.collect(),
        served: None,
        variants: Vec::new(),
        variants_next: None,
        verdict: None,
        withheld: withheld.map(|withheld| withheld.reason.to_string()),
    })
}
