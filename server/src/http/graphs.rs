//! What a hub has of a graph: all of it in one record, and each list in pages.
//!
//! Submitting graphs is the business of `submit`.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use phasic_engine::graph::ParseDigestError;
use phasic_hub_api::jobs::{
    DefinitionPage, Elimination, EliminationPage, GraphComputePage, GraphRecord, GraphRecordNext,
};
use phasic_hub_api::{ComputeId, ProblemCode, Sha256};

use super::error::ApiError;
use super::page::{Page, PageQuery};
use super::{Services, jobs};
use crate::auth::Caller;
use crate::store::{EliminationPlace, EliminationRow, GraphFilter, JobFilter};

/// Entries of each list in a record. Pages have the others.
const SHOWN: usize = 100;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderQuery {
    edge_order_digest: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    edge_order_digest: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// What this hub has of a content hash: the first definitions, computes, eliminations and jobs, and where the lists go on.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/graphs/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6
/// ```
#[utoipa::path(
    get,
    path = "/v1/graphs/{hash}",
    tag = "compute",
    params(
        ("hash" = String, Path, description = "The content hash, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("edge_order_digest" = Option<String>, Query, description = "Only what is for this order of edges, which the hash \
         does not see; of computes, those whose program is known to be", pattern = "^[0-9a-f]{64}$"),
    ),
    responses(
        (status = 200, description = "What there is", body = GraphRecord),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`graph_not_found`; the detail says how to submit"),
    )
)]
pub(super) async fn graph(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
    Query(query): Query<OrderQuery>,
) -> Result<Json<GraphRecord>, ApiError> {
    let filter = filter(&hash, query.edge_order_digest, &caller)?;
    let first = Page { after: None, limit: SHOWN };
    let DefinitionPage { definitions, next: definitions_next } =
        definitions_page(&services, &filter, &first).await?;
    let GraphComputePage { computes, next: computes_next } =
        computes_page(&services, &filter, &Page { after: None, limit: SHOWN }).await?;
    if definitions.is_empty() && computes.is_empty() && !stands(&services, &filter).await? {
        return Err(unknown(&services, &filter));
    }
    let EliminationPage { artifacts, next: artifacts_next } =
        artifacts_page(&services, &filter, &Page { after: None, limit: SHOWN }).await?;
    let wanted = JobFilter {
        viewer: filter.viewer.clone(),
        graph_hash: Some(filter.graph_hash),
        edge_order_digest: filter.edge_order_digest,
        ..JobFilter::default()
    };
    let jobs = jobs::page(&services, wanted, SHOWN).await?;
    let next = GraphRecordNext {
        definitions: definitions_next,
        computes: computes_next,
        artifacts: artifacts_next,
        jobs: jobs.next,
    };
    let graph_hash = filter.graph_hash;
    Ok(Json(GraphRecord { graph_hash, definitions, computes, artifacts, jobs: jobs.jobs, next }))
}

/// Whether there are computes of a hash though none is listed, such as retracted ones; of an order of edges, those alone
/// that are for everybody, since this is asked where no definition is known.
async fn stands(services: &Services, filter: &GraphFilter) -> Result<bool, ApiError> {
    let (store, catalogue) = (&services.hub.data.store, services.hub.catalogue());
    let ids = store.ids_of_graph(filter.graph_hash, &filter.viewer).await?;
    let Some(order) = filter.edge_order_digest else { return Ok(!ids.is_empty()) };
    let fitting = store.computes_of_order(filter.graph_hash, order).await?;
    Ok(ids.iter().any(|id| fitting.contains(id.as_str()) && !catalogue.is_private(id)))
}

fn unknown(services: &Services, filter: &GraphFilter) -> ApiError {
    let (base, hash) = (services.hub.public_base(), filter.graph_hash);
    let order = filter.edge_order_digest;
    let in_order = order.map(|order| format!(" in the order of edges {order}")).unwrap_or_default();
    let detail = format!(
        "This hub knows nothing of the graph {hash}{in_order}. Submit it: POST its document to {base}/v1/graphs, or ask \
         for its elimination with POST {base}/v1/eliminations and {{\"model\": {{\"document\": …}}}}."
    );
    ApiError::new(ProblemCode::GraphNotFound, detail)
}

/// The graphs with a content hash that were submitted, by definition.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/graphs/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6/definitions
/// ```
#[utoipa::path(
    get,
    path = "/v1/graphs/{hash}/definitions",
    tag = "compute",
    params(
        ("hash" = String, Path, description = "The content hash, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("edge_order_digest" = Option<String>, Query, description = "Only those of this order of edges", pattern = "^[0-9a-f]{64}$"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Graphs of a page, 1 to 1000; 100 where it is missing", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = DefinitionPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn definitions(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<DefinitionPage>, ApiError> {
    let page = PageQuery::new(query.cursor, query.limit).read()?;
    let filter = filter(&hash, query.edge_order_digest, &caller)?;
    Ok(Json(definitions_page(&services, &filter, &page).await?))
}

/// The ids of the computes of a graph.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/graphs/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6/computes
/// ```
#[utoipa::path(
    get,
    path = "/v1/graphs/{hash}/computes",
    tag = "compute",
    params(
        ("hash" = String, Path, description = "The content hash, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("edge_order_digest" = Option<String>, Query, description = "Only those whose program is known to be for this order \
         of edges", pattern = "^[0-9a-f]{64}$"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Ids of a page, 1 to 1000; 100 where it is missing", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = GraphComputePage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn graph_computes(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<GraphComputePage>, ApiError> {
    let page = PageQuery::new(query.cursor, query.limit).read()?;
    let filter = filter(&hash, query.edge_order_digest, &caller)?;
    Ok(Json(computes_page(&services, &filter, &page).await?))
}

/// The eliminations this hub has made of a graph: programs and plans, by variant.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/graphs/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6/artifacts
/// ```
#[utoipa::path(
    get,
    path = "/v1/graphs/{hash}/artifacts",
    tag = "compute",
    params(
        ("hash" = String, Path, description = "The content hash, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("edge_order_digest" = Option<String>, Query, description = "Only those for this order of edges", pattern = "^[0-9a-f]{64}$"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Eliminations of a page, 1 to 1000; 100 where it is missing", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = EliminationPage),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn artifacts(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<EliminationPage>, ApiError> {
    let page = PageQuery::new(query.cursor, query.limit).read()?;
    let filter = filter(&hash, query.edge_order_digest, &caller)?;
    Ok(Json(artifacts_page(&services, &filter, &page).await?))
}

/// The first programs and plans of a graph that a viewer sees, and where the list goes on.
pub(super) async fn first_artifacts(
    services: &Services,
    filter: &GraphFilter,
) -> Result<(Vec<Elimination>, Option<String>), ApiError> {
    let page = artifacts_page(services, filter, &Page { after: None, limit: SHOWN }).await?;
    Ok((page.artifacts, page.next))
}

fn filter(hash: &str, order: Option<String>, caller: &Caller) -> Result<GraphFilter, ApiError> {
    let wrong = |error: ParseDigestError| ApiError::new(ProblemCode::InvalidRequest, format!("{error}."));
    Ok(GraphFilter {
        graph_hash: hash.parse().map_err(wrong)?,
        edge_order_digest: order.map(|digest| digest.parse().map_err(wrong)).transpose()?,
        viewer: caller.viewer(),
    })
}

async fn definitions_page(
    services: &Services,
    filter: &GraphFilter,
    page: &Page<Sha256>,
) -> Result<DefinitionPage, ApiError> {
    let mut definitions = services.hub.data.store.definitions_page(filter, page.after, page.wanted()).await?;
    let next = page.cut(&mut definitions, |identity| identity.definition);
    Ok(DefinitionPage { definitions, next: next.map(|definition| definition.to_string()) })
}

/// The computes of a hash that a viewer sees; of an order of edges, those whose program is known to be for it. Of private
/// ones that is known to those alone who know a definition in that order.
async fn computes_page(
    services: &Services,
    filter: &GraphFilter,
    page: &Page<String>,
) -> Result<GraphComputePage, ApiError> {
    let (store, catalogue) = (&services.hub.data.store, services.hub.catalogue());
    let fitting = match filter.edge_order_digest {
        Some(order) => Some(store.computes_of_order(filter.graph_hash, order).await?),
        None => None,
    };
    let knows_definition = !store.definitions_page(filter, None, 1).await?.is_empty();
    let is_it = |id: &ComputeId| {
        page.after.as_ref().is_none_or(|after| id.as_str() > after.as_str())
            && fitting.as_ref().is_none_or(|fitting| {
                fitting.contains(id.as_str()) && (knows_definition || !catalogue.is_private(id))
            })
    };
    let of_graph = catalogue.computes_for(&filter.viewer);
    let of_graph = of_graph.filter(|listed| listed.graph_hash == filter.graph_hash);
    let mut computes: Vec<_> = of_graph.map(|listed| listed.id.clone()).filter(is_it).collect();
    computes.sort();
    let next = page.cut(&mut computes, ToString::to_string);
    Ok(GraphComputePage { computes, next })
}

async fn artifacts_page(
    services: &Services,
    filter: &GraphFilter,
    page: &Page<EliminationPlace>,
) -> Result<EliminationPage, ApiError> {
    let (hub, wanted) = (&services.hub, page.wanted());
    let mut rows = hub.data.store.eliminations_page(filter, page.after.as_ref(), wanted).await?;
    let place = |row: &EliminationRow| EliminationPlace {
        variant: row.variant,
        definition: row.definition,
        made_at: row.made_at.clone(),
    };
    let next = page.cut(&mut rows, place);
    let artifacts = rows.into_iter().map(|row| jobs::elimination(hub.public_base(), row)).collect();
    Ok(EliminationPage { artifacts, next: next.map(|place| place.to_string()) })
}
