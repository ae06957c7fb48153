//! The outermost layer: gives each request an id and a log line, and each error answer its one shape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method, Response};
use axum::middleware::Next;
use phasic_hub_api::Problem;
use phasic_hub_api::problem::PROBLEM_MEDIA_TYPE;
use tracing::Instrument;

use super::counted::Counted;
use super::error;
use crate::metrics;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn edge(request: Request, next: Next) -> Response<Body> {
    let request_id = next_request_id();
    let method = request.method().clone();
    let counted_method = method.clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let known = known_route(route.as_deref());
    let (begun, present) = (Instant::now(), metrics::Present::request());
    let span = tracing::info_span!("request", id = request_id);
    let answer = async move {
        let response = next.run(request).await;
        // Debug formatting escapes whatever a client may have put into its path.
        let status = response.status().as_u16();
        let elapsed_ms = begun.elapsed().as_millis();
        // A hub that is not ready says so to every probe; its log has said why.
        if status >= 500 && route.as_deref() != Some("/readyz") {
            tracing::warn!(%method, ?path, route, status, elapsed_ms, "answered");
        } else {
            tracing::debug!(%method, ?path, route, status, elapsed_ms, "answered");
        }
        response
    };
    let response = finish(answer.instrument(span).await, &request_id);
    metrics::answered(known_method(&counted_method), &known, response.status().as_u16(), begun.elapsed());
    drop(present);
    response.map(|body| Body::new(Counted::new(body, metrics::sent_bytes(&known))))
}

/// The route as a label. Paths that lead nowhere share one.
fn known_route(route: Option<&str>) -> String {
    route.unwrap_or("none").to_owned()
}

/// The method as a label. Clients can make up methods, and they share one.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn finish(mut response: Response<Body>, request_id: &str) -> Response<Body> {
    if response.status().is_client_error() || response.status().is_server_error() {
        let problem = response.extensions_mut().remove::<Problem>();
        let mut problem = problem.unwrap_or_else(|| error::problem_of(response.status()));
        problem.request_id = Some(request_id.to_owned());
        *response.status_mut() = error::status(&problem);
        let body = serde_json::to_string(&problem).expect("a problem is texts and numbers");
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        *response.body_mut() = Body::from(body);
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Distinct within a process, and, because of its random beginning, very likely between processes.
fn next_request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) >> 32);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:08x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}
