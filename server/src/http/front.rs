//! What stands in front of the router, and answers the question that is asked most by itself: has the registry changed?
//!
//! Caches and mirrors ask it over and over, and mostly the answer is that it has not. Finding the route and passing its
//! layers takes several times as long as that answer. It is the same answer as theirs: made by the same functions,
//! admitted, paid for, counted and logged by the same rules. Whatever is not exactly this question goes to the router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, IF_NONE_MATCH};
use axum::http::{Method, Response, StatusCode};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk};
use tower::Service;
use tower::ServiceExt as _;
use tower::util::Oneshot;

use super::access;
use super::edge::{self, Attended};
use super::guard::Gate;
use super::registry;
use crate::hub::Hub;
use crate::listen::Answers;
use crate::metrics::Requests;
use crate::registry::Paths;

/// The one route that is answered here.
const ROUTE: &str = "/registry.json";

/// All of a hub over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    router: Router,
    asked: Arc<Asked>,
}

/// What answering the question takes.
pub(super) struct Asked {
    pub(super) hub: Arc<Hub>,
    pub(super) gate: Arc<Gate>,
    pub(super) requests: Arc<Requests>,
}

impl Front {
    pub(super) fn new(router: Router, asked: Asked) -> Self {
        Self { router, asked: Arc::new(asked) }
    }
}

/// An answer of the router.
type Routed = MapOk<Oneshot<Router, Request>, fn(Response<Body>) -> Response<Body>>;

impl Service<Request> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Routed>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.asked.unchanged(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.router.clone().oneshot(request).map_ok(without_length as fn(_) -> _)),
        }
    }
}

impl Answers for Front {
    fn refusal(&self, status: StatusCode) -> Response<String> {
        edge::refuse(&self.asked.requests, status)
    }
}

/// Takes away the length that the router gives an answer that something has not changed: of that answer, which is empty, and
/// not of what has not changed, as it would be read (RFC 9110, section 8.6).
fn without_length(mut response: Response<Body>) -> Response<Body> {
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response
}

impl Asked {
    /// That the registry is what the client has. `None` if it is not, or that is not what was asked.
    fn unchanged(&self, request: &Request) -> Option<Response<Body>> {
        let (uri, headers) = (request.uri(), request.headers());
        if request.method() != Method::GET
            || uri.path() != ROUTE
            || uri.query().is_some()
            || !headers.contains_key(IF_NONE_MATCH)
        {
            return None;
        }
        let catalogue = self.hub.catalogue();
        let mut response = registry::answer(catalogue.rendered(Paths::Absolute)?, headers)
            .filter(|response| response.status() == StatusCode::NOT_MODIFIED)?;
        let (access, cost) = access::required("GET", ROUTE)?;
        self.gate.admit_anybody(request, access, cost)?;
        let attended = Attended::begin(&self.requests, request);
        self.gate.restrict_anybodys(access, response.headers_mut());
        attended.log_at_once(ROUTE, response.status());
        Some(attended.finish(&self.requests, Some(ROUTE), response))
    }
}
