//! From what went wrong to what the client is told.
//!
//! Handlers return [`ApiError`], which is a [`Problem`] attached to a response; `edge` writes it, with the request id,
//! and does the same for every error answer that layers or the router made without one. Internals stay in the log.

use std::any::Any;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::jobs::VariantForecast;
use phasic_hub_api::{Problem, ProblemCode};

use crate::store::{self, StoreError};

/// A detail may quote what was sent, and not send all of it back.
const MAX_DETAIL_BYTES: usize = 2000;

/// An error answer: a problem, and header fields that belong to it.
#[derive(Debug)]
pub(super) struct ApiError(Box<(Problem, HeaderMap)>);

impl ApiError {
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
            detail.push('…');
        }
        Self(Box::new((Problem::new(code, detail), HeaderMap::new())))
    }

    /// A fault of the hub: the log has it, the client learns that there was one. A full disk is said to be one.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        if has_no_room(error) {
            return Self::full(error);
        }
        tracing::error!(%error, "a request could not be answered");
        Self::new(ProblemCode::Internal, "Something went wrong inside the hub; its log has the details.")
    }

    /// The disk is full. What was asked was not done, and nothing that is there is in danger.
    fn full(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "there is no room left on the disk");
        let detail = "There is no room left on the disk of the hub, so nothing was changed. Reading still works; try again \
                      once its operator has made room.";
        Self::new(ProblemCode::StorageFull, detail)
    }

    /// This problem with what the thing refused would take.
    pub(super) fn with_forecast(mut self, forecast: VariantForecast) -> Self {
        self.0.0.forecast = Some(Box::new(forecast));
        self
    }

    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.1.extend(headers);
        self
    }
}

/// Whether the cause of an error is a full disk, in the database or beside it.
fn has_no_room(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let mut cause = Some(error);
    while let Some(error) = cause {
        let is_full = |error: &std::io::Error| matches!(error.kind(), StorageFull | QuotaExceeded);
        if store::is_full(error) || error.downcast_ref().is_some_and(is_full) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let (problem, headers) = *self.0;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&problem);
        *response.headers_mut() = headers;
        response.extensions_mut().insert(problem);
        response
    }
}

/// For `map_err`: a failure inside the hub, whose words stay in the log.
pub(super) fn failed(error: impl std::error::Error + 'static) -> ApiError {
    ApiError::internal(&error)
}

pub(super) fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The problem of an error answer that was made without one, by the router, an extractor or a layer.
pub(super) fn problem_of(status: StatusCode) -> Problem {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => {
            (ProblemCode::RouteNotFound, "No route of this hub has this path. GET / lists what is here.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            (ProblemCode::MethodNotAllowed, "This path answers other methods; they are in the Allow header.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            (ProblemCode::BodyTooLarge, "The hub does not read request bodies of this size.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            (ProblemCode::Timeout, "The answer was not ready in time. Try again in a moment.")
        }
        status if status.is_client_error() => {
            (ProblemCode::InvalidRequest, "Path, query or body are not in the form this route understands.")
        }
        _ => (ProblemCode::Internal, "Something went wrong inside the hub; its log has the details."),
    };
    Problem::new(code, detail)
}

/// A panic of a handler, on its way to become an answer.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn caught(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    tracing::error!(message, "a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
