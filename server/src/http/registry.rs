//! The registry document on the wire.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::{ProblemCode, RegistryDocument};

use super::conditional;
use super::error::{ApiError, failed};
use super::pieces::in_pieces;
use crate::auth::Caller;
use crate::hub::Hub;
use crate::registry::{Paths, Sent};

/// Fields of an answer's head, those of the layers around included, so that the table of them need not grow.
const FIELDS: usize = 8;

#[derive(Debug, serde::Deserialize)]
pub(super) struct RegistryQuery {
    paths: Option<String>,
}

/// The registry: every compute of this hub, as phasic reads it.
///
/// Holders of tokens see the private computes that are for them, in front of the others. Artifacts are named by absolute
/// URLs under the hub's public address, which carry the digest of their bytes. With
/// `paths=relative` they are named as they lie in a registry repository.
///
/// ```text
/// curl -s --compressed http://127.0.0.1:8787/registry.json
/// ```
#[utoipa::path(
    get,
    path = "/registry.json",
    tag = "registry",
    params(
        ("paths" = Option<String>, Query, description = "`absolute` (as when it is missing) or `relative`", pattern = "^(absolute|relative)$"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags the client has"),
    ),
    responses(
        (status = 200, description = "The document", body = RegistryDocument, content_type = "application/json"),
        (status = 304, description = "The client has it"),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn registry(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RegistryQuery>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let paths = match query.paths.as_deref() {
        None | Some("absolute") => Paths::Absolute,
        Some("relative") => Paths::Relative,
        Some(other) => {
            let detail = format!("The parameter paths is absolute or relative, not {other:?}.");
            return Err(ApiError::new(ProblemCode::InvalidRequest, detail));
        }
    };
    let (catalogue, viewer) = (hub.catalogue(), caller.viewer());
    let has_own = catalogue.has_more_for(&viewer);
    let rendered = catalogue.rendered(paths).filter(|_| !has_own);
    if let Some(response) = rendered.and_then(|document| answer(document, &headers)) {
        return Ok(response);
    }
    let render = move || {
        let everybodys = catalogue.document(paths);
        if !has_own {
            return answer_anyhow(everybodys, &headers, || {
                everybodys.gzip();
            });
        }
        let own = catalogue.document_for(paths, &viewer).map_err(failed)?;
        answer_anyhow(&*own, &headers, || own.gzip(everybodys))
    };
    tokio::task::spawn_blocking(render).await.map_err(failed)?
}

/// The same registry at the address it has on a raw file host, for clients that keep `{repo}` in their template.
///
/// ```text
/// curl -s http://127.0.0.1:8787/munch-group/phasic-traces/master/registry.json
/// ```
#[utoipa::path(
    get,
    path = "/{owner}/{repo}/{reference}/registry.json",
    tag = "registry",
    params(
        ("owner" = String, Path, description = "Anything"),
        ("repo" = String, Path, description = "Anything"),
        ("reference" = String, Path, description = "Anything"),
        ("paths" = Option<String>, Query, description = "`absolute` (as when it is missing) or `relative`", pattern = "^(absolute|relative)$"),
    ),
    responses(
        (status = 200, description = "As `/registry.json`", body = RegistryDocument, content_type = "application/json"),
        (status = 304, description = "The client has it"),
        (status = 400, description = "`invalid_request`"),
    )
)]
pub(super) async fn raw_registry(
    hub: State<Arc<Hub>>,
    caller: Extension<Caller>,
    query: Query<RegistryQuery>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    registry(hub, caller, query, headers).await
}

/// The answer, for which the document is compressed if need be.
fn answer_anyhow(
    document: &dyn Sent,
    request: &HeaderMap,
    compress: impl FnOnce(),
) -> Result<Response<Body>, ApiError> {
    if let Some(response) = answer(document, request) {
        return Ok(response);
    }
    compress();
    let not_compressed = || failed(std::io::Error::other("the registry document was not compressed"));
    answer(document, request).ok_or_else(not_compressed)
}

/// The answer, unless the document has to be compressed first.
pub(super) fn answer(document: &dyn Sent, request: &HeaderMap) -> Option<Response<Body>> {
    let gzip = accepts_gzip(request);
    let tag = document.tag(gzip);
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::from_maybe_shared(tag.clone()) {
        headers.insert(ETAG, value);
    }
    if std::str::from_utf8(tag).is_ok_and(|tag| conditional::none_match(request, tag)) {
        let mut unchanged = Response::new(Body::empty());
        (*unchanged.status_mut(), *unchanged.headers_mut()) = (StatusCode::NOT_MODIFIED, headers);
        return Some(unchanged);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if !gzip {
        return Some((headers, in_pieces(document.pieces())).into_response());
    }
    let compressed = document.compressed_pieces()?;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Some((headers, in_pieces(compressed)).into_response())
}

/// Whether the client names gzip, or everything, with a weight above zero.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let codings = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for coding in codings.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let wanted =
            weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        if name == "*" {
            any = Some(wanted);
        }
    }
    any.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn gzip_is_sent_only_to_those_who_ask_for_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(
                "accept-encoding".parse().unwrap(),
                HeaderValue::from_static(value),
            )]))
        };
        for value in [
            "gzip",
            "gzip, deflate",
            "br;q=1.0, GZIP;q=0.8",
            "*",
            "x-gzip",
            "deflate, *;q=0.1",
            "gzip; q=0.5",
        ] {
            assert!(accepts(value), "{value}");
        }
        for value in ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzipped", "gzip;q=x"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
