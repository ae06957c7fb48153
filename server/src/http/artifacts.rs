//! Artifacts: the bytes of traces, exactly as their digest says.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::response::IntoResponse;
use base64::Engine as _;
use phasic_hub_api::{ArtifactName, ProblemCode, Sha256};

use super::conditional;
use super::error::ApiError;
use super::range::{self, Selection};
use crate::auth::Caller;
use crate::blobs::{BlobError, StoredBlob};
use crate::hub::Hub;
use crate::visibility::Viewer;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const X_CHECKSUM_SHA256: HeaderName = HeaderName::from_static("x-checksum-sha256");

/// An address that carries the digest never changes its meaning.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A bare name stands for other bytes after the next publication: keep a copy, ask before using it.
const ASK_FIRST: &str = "public, no-cache";

#[derive(Debug, serde::Deserialize)]
pub(super) struct ArtifactQuery {
    sha256: Option<String>,
}

/// An artifact.
///
/// With `sha256`, the bytes of that digest, cacheable for ever; this is the address the registry gives. Without, the
/// bytes the name stands for today. Parents are PTDPRMC3 files. HEAD answers the same without a body. One `Range` is
/// answered with 206; `If-Range` and `If-None-Match` compare the entity tag, which is the SHA-256 of the bytes.
///
/// ```text
/// curl -s http://127.0.0.1:8787/artifacts/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6.bin -o kingman.bin
/// ```
#[utoipa::path(
    get,
    path = "/artifacts/{name}",
    tag = "registry",
    params(
        ("name" = String, Path, description = "`<graph hash>.bin`, or `scc_<hash>.bin` for a component"),
        ("sha256" = Option<String>, Query, description = "SHA-256 of the wanted bytes, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "Entity tag the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags the client has"),
    ),
    responses(
        (status = 200, description = "The whole file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`artifact_not_found`"),
        (status = 416, description = "`range_not_satisfiable`"),
        (status = 503, description = "`artifact_unavailable`"),
    )
)]
pub(super) async fn artifact(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Query<ArtifactQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let blob = find(&hub, &name, &query, &caller.viewer())?;
    send(&hub, blob, query.sha256.is_some(), &method, &headers).await
}

/// The same artifact at the address it has on a raw file host, for clients that keep `{repo}` in their template.
///
/// ```text
/// curl -s http://127.0.0.1:8787/munch-group/phasic-traces/master/artifacts/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6.bin -o kingman.bin
/// ```
#[utoipa::path(
    get,
    path = "/{owner}/{repo}/{reference}/artifacts/{name}",
    tag = "registry",
    params(
        ("owner" = String, Path, description = "Anything"),
        ("repo" = String, Path, description = "Anything"),
        ("reference" = String, Path, description = "Anything"),
        ("name" = String, Path, description = "`<graph hash>.bin`, or `scc_<hash>.bin` for a component"),
        ("sha256" = Option<String>, Query, description = "SHA-256 of the wanted bytes, 64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
    ),
    responses(
        (status = 200, description = "As `/artifacts/{name}`", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`artifact_not_found`"),
        (status = 416, description = "`range_not_satisfiable`"),
        (status = 503, description = "`artifact_unavailable`"),
    )
)]
pub(super) async fn raw_artifact(
    hub: State<Arc<Hub>>,
    caller: Extension<Caller>,
    Path((_, _, _, name)): Path<(String, String, String, String)>,
    query: Query<ArtifactQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    artifact(hub, caller, Path(name), query, method, headers).await
}

/// A blob as an answer; `by_digest` says that its address can never mean other bytes.
pub(super) async fn send(
    hub: &Hub,
    blob: StoredBlob,
    by_digest: bool,
    method: &Method,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    if hub.catalogue().is_lost(blob.sha256) {
        return Err(withheld());
    }
    hub.note_use(blob.sha256);
    let etag = format!("\"{}\"", blob.sha256);
    let mut headers = validators(&etag, by_digest);
    if conditional::none_match(request, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    describe(&mut headers, blob);
    // Ranges are defined for GET only.
    if method == Method::HEAD {
        match hub.data.blobs.size_bytes(blob.sha256).await {
            Ok(Some(size_bytes)) if size_bytes == blob.size_bytes => {}
            Ok(_) => return Err(unavailable(hub, blob.sha256, &BlobError::NotFound(blob.sha256)).await),
            Err(error) => return Err(unavailable(hub, blob.sha256, &error).await),
        }
        headers.insert(CONTENT_LENGTH, blob.size_bytes.into());
        return Ok((StatusCode::OK, headers).into_response());
    }
    let (status, range) = match selection(request, &etag, blob.size_bytes) {
        Selection::Whole => (StatusCode::OK, 0..blob.size_bytes),
        Selection::Part(range) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size_bytes);
            headers.insert(CONTENT_RANGE, header_value(&text));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Selection::Unsatisfiable => return Err(unsatisfiable(blob.size_bytes)),
    };
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    let open = match hub.data.blobs.open(blob.sha256, Some(range)).await {
        Ok(open) => open,
        Err(error) => return Err(unavailable(hub, blob.sha256, &error).await),
    };
    Ok((status, headers, Body::from_stream(open.body)).into_response())
}

fn find(hub: &Hub, name: &str, query: &ArtifactQuery, viewer: &Viewer) -> Result<StoredBlob, ApiError> {
    let unknown = || {
        ApiError::new(
            ProblemCode::ArtifactNotFound,
            "This hub has no such artifact. /registry.json lists the addresses of all it has.",
        )
    };
    let digest = match &query.sha256 {
        None => None,
        Some(text) => Some(text.parse::<Sha256>().map_err(|error| {
            ApiError::new(ProblemCode::InvalidRequest, format!("The parameter sha256: {error}."))
        })?),
    };
    let name: ArtifactName = name.parse().map_err(|_| unknown())?;
    hub.catalogue().artifact(name, digest, viewer).ok_or_else(unknown)
}

fn validators(etag: &str, by_digest: bool) -> HeaderMap {
    let caching = if by_digest { FOR_EVER } else { ASK_FIRST };
    HeaderMap::from_iter([(ETAG, header_value(etag)), (CACHE_CONTROL, HeaderValue::from_static(caching))])
}

fn describe(headers: &mut HeaderMap, blob: StoredBlob) {
    let digest = base64::engine::general_purpose::STANDARD.encode(blob.sha256.as_bytes());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(REPR_DIGEST, header_value(&format!("sha-256=:{digest}:")));
    headers.insert(X_CHECKSUM_SHA256, header_value(&blob.sha256.to_string()));
}

fn selection(request: &HeaderMap, etag: &str, size_bytes: u64) -> Selection {
    let mut ranges = request.get_all(RANGE).iter();
    match (ranges.next().and_then(|value| value.to_str().ok()), ranges.next()) {
        (Some(header), None) if conditional::range_applies(request, etag) => {
            range::select(header, size_bytes)
        }
        _ => Selection::Whole,
    }
}

fn unsatisfiable(size_bytes: u64) -> ApiError {
    let detail = format!("The file has {size_bytes} bytes, and the range begins behind them or is empty.");
    let range = header_value(&format!("bytes */{size_bytes}"));
    ApiError::new(ProblemCode::RangeNotSatisfiable, detail)
        .with_headers(HeaderMap::from_iter([(CONTENT_RANGE, range)]))
}

/// The catalogue promises a blob that cannot be read: say so, and if it is lost, have a catalogue rendered that knows it.
async fn unavailable(hub: &Hub, blob: Sha256, error: &BlobError) -> ApiError {
    tracing::error!(%error, "withheld an artifact");
    let is_lost = matches!(error, BlobError::NotFound(_) | BlobError::Damaged(_));
    if is_lost && let Err(error) = hub.withdraw(blob).await {
        tracing::error!(%error, "could not render the registry anew");
    }
    withheld()
}

fn withheld() -> ApiError {
    ApiError::new(
        ProblemCode::ArtifactUnavailable,
        "The stored bytes of this artifact are damaged or lost, so they are withheld.",
    )
}

/// Header text of our own making: digits, digests and punctuation.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, letters and punctuation are header text")
}
