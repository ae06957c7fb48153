//! The outermost layer: gives each request an id and a log line, and each error answer its one shape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware::Next;
use futures_util::FutureExt as _;
use phasic_hub_api::problem::PROBLEM_MEDIA_TYPE;
use phasic_hub_api::{Problem, ProblemCode};
use tracing::{Instrument as _, Span};

use super::counted::Counted;
use super::error;
use crate::metrics::{Present, Requests};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn edge(
    State(requests): State<Arc<Requests>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let attended = Attended::begin(&requests, &request);
    let route = route.as_ref().map(MatchedPath::as_str);
    let answer = async {
        let response = next.run(request).await;
        attended.log(route, response.status());
        response
    };
    let response = answer.instrument(attended.span()).await;
    attended.finish(&requests, route, response)
}

/// A request that is being answered, as logs, counters and its answer tell of it.
pub(super) struct Attended {
    id: String,
    method: Method,
    uri: Uri,
    begun: Instant,
    present: Present,
}

impl Attended {
    pub(super) fn begin(requests: &Requests, request: &Request) -> Self {
        Self {
            id: next_request_id(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            begun: Instant::now(),
            present: requests.begin(),
        }
    }

    /// What all lines of the log about the request are in.
    fn span(&self) -> Span {
        tracing::info_span!("request", id = self.id)
    }

    fn log(&self, route: Option<&str>, status: StatusCode) {
        let Self { method, uri, begun, .. } = self;
        // Debug formatting escapes whatever a client may have put into its path.
        let (path, status) = (uri.path(), status.as_u16());
        let elapsed_ms = begun.elapsed().as_millis();
        // A hub that is not ready says so to every probe; its log has said why.
        if status >= 500 && route != Some("/readyz") {
            tracing::warn!(%method, ?path, route, status, elapsed_ms, "answered");
        } else {
            tracing::debug!(%method, ?path, route, status, elapsed_ms, "answered");
        }
    }

    /// The same, for an answer that was given at once: the span is made only if anybody reads the line.
    pub(super) fn log_at_once(&self, route: &str, status: StatusCode) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.span().in_scope(|| self.log(Some(route), status));
        }
    }

    /// Gives the answer its id and an error its shape, and counts both.
    pub(super) fn finish(
        self,
        requests: &Requests,
        route: Option<&str>,
        response: Response<Body>,
    ) -> Response<Body> {
        let Self { id, method, begun, present, .. } = self;
        let response = finish(response, id);
        // Paths that lead nowhere share one label.
        let (method, route, status) = (known_method(&method), route.unwrap_or("none"), response.status());
        let sent_bytes = requests.answered(method, route, status.as_u16(), begun.elapsed());
        drop(present);
        if response.body().size_hint().exact() == Some(0) {
            return response;
        }
        response.map(|body| Body::new(Counted::new(body, sent_bytes)))
    }
}

/// The answer to what never became a request: counted and logged as all others, and of the same shape.
pub(super) fn refuse(requests: &Requests, status: StatusCode) -> Response<String> {
    let (id, begun) = (next_request_id(), Instant::now());
    let _present = requests.begin();
    let mut problem = match status {
        StatusCode::BAD_REQUEST => Problem::new(
            ProblemCode::InvalidRequest,
            "This is no HTTP/1.1 request: its method, its target, its version or a header field cannot be read.",
        ),
        status => error::problem_of(status, None),
    };
    problem.request_id = Some(id.clone());
    let status = error::status(&problem);
    tracing::debug!(id, status = status.as_u16(), "refused what is no request that can be read");
    let body = serde_json::to_string(&problem).expect("a problem is texts and numbers");
    let sent_bytes = requests.answered("other", "none", status.as_u16(), begun.elapsed());
    sent_bytes.increment(body.len() as u64);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    if let Ok(value) = HeaderValue::try_from(id) {
        headers.insert(X_REQUEST_ID, value);
    }
    response
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

/// Bytes of what an extractor says at most; it quotes the request.
const MOST_SAID: usize = 1024;

fn finish(mut response: Response<Body>, request_id: String) -> Response<Body> {
    if response.status().is_client_error() || response.status().is_server_error() {
        let problem = response.extensions_mut().remove::<Problem>();
        let mut problem =
            problem.unwrap_or_else(|| error::problem_of(response.status(), said(&mut response).as_deref()));
        problem.request_id = Some(request_id.clone());
        *response.status_mut() = error::status(&problem);
        let body = serde_json::to_string(&problem).expect("a problem is texts and numbers");
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        *response.body_mut() = Body::from(body);
    }
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// What an extractor has said of a request that it cannot read: text that is there at once.
fn said(response: &mut Response<Body>) -> Option<String> {
    let body = std::mem::take(response.body_mut());
    let bytes = to_bytes(body, MOST_SAID).now_or_never()?.ok()?;
    String::from_utf8(bytes.into()).ok().filter(|text| !text.is_empty())
}

/// Distinct within a process, and, because of its random beginning, very likely between processes.
fn next_request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) >> 32);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:08x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}
