//! From what went wrong to what the client is told.
//!
//! Handlers return [`ApiError`], which is a [`Problem`] attached to a response; `edge` writes it, with the request id,
//! and does the same for every error answer that layers or the router made without one. Internals stay in the log.

use std::any::Any;

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::health::Finding;
use phasic_hub_api::jobs::VariantForecast;
use phasic_hub_api::{Problem, ProblemCode};

use super::guard::refused;
use crate::auth::TokenRefusal;
use crate::store::{self, StoreError, TokenEnded};

/// When to ask again while the database is busy: it was waited for already.
const BUSY_SECONDS: &str = "2";

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

    /// A fault of the hub: the log has it, the client learns that there was one. A disk that is full or read-only, and a
    /// database others are writing to, are said to be what they are, and so is a token that was revoked before what it was shown for was written.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        if is_caused_by(error, <dyn std::error::Error>::is::<TokenEnded>) {
            return refused(TokenRefusal::Ended);
        }
        if has_no_room(error) {
            return Self::full(error);
        }
        if is_caused_by(error, is_read_only) {
            return Self::read_only(error);
        }
        if is_caused_by(error, store::is_busy) {
            return Self::busy(error);
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

    /// The disk became read-only, as disks do that fail. What was asked was not done.
    fn read_only(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "the disk is read-only");
        let detail = "The disk of the hub is read-only, so nothing was changed. Reading still works; try again once its \
                      operator has seen to the disk.";
        Self::new(ProblemCode::StorageReadOnly, detail)
    }

    /// Others write for longer than anybody waits, as a backup, an import or a command beside the hub may.
    fn busy(error: &dyn std::error::Error) -> Self {
        tracing::warn!(%error, "the database is busy");
        let detail = "Others are using the database of the hub, and this request has waited for as long as one may; nothing \
                      was changed. Try again in a moment.";
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(BUSY_SECONDS))]);
        Self::new(ProblemCode::Busy, detail).with_headers(headers)
    }

    /// This problem with what the thing refused would take.
    pub(super) fn with_forecast(mut self, forecast: VariantForecast) -> Self {
        self.0.0.forecast = Some(Box::new(forecast));
        self
    }

    /// This problem with all that is missing.
    pub(super) fn with_reasons(mut self, reasons: Vec<Finding>) -> Self {
        self.0.0.reasons = reasons;
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
    let is_full = |error: &std::io::Error| matches!(error.kind(), StorageFull | QuotaExceeded);
    is_caused_by(error, |error| store::is_full(error) || error.downcast_ref().is_some_and(is_full))
}

/// Whether an error is that of a disk nobody may write to, in the database or beside it.
fn is_read_only(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_it = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem;
    store::is_read_only(error) || error.downcast_ref().is_some_and(is_it)
}

/// Whether an error, or one that led to it, is of a kind.
fn is_caused_by(
    error: &(dyn std::error::Error + 'static),
    is_it: impl Fn(&(dyn std::error::Error + 'static)) -> bool,
) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(is_it)
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

/// The problem of an error answer that was made without one, by the router, an extractor, which says what it cannot read, or a
/// layer.
pub(super) fn problem_of(status: StatusCode, said: Option<&str>) -> Problem {
    const UNREADABLE: &str = "Path, query or body are not in the form this route understands";
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => {
            (ProblemCode::RouteNotFound, "No route of this hub has this path. GET /api lists all there are.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            (ProblemCode::MethodNotAllowed, "This path answers other methods; they are in the Allow header.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            (ProblemCode::BodyTooLarge, "The hub does not read request bodies of this size.")
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            ProblemCode::HeaderTooLarge,
            "The request line and header fields together take more bytes than http.max_header_bytes of this hub, or there \
             are more than 100 fields.",
        ),
        StatusCode::URI_TOO_LONG => {
            (ProblemCode::UriTooLong, "No path of this hub, with its query, has as many as 65534 bytes.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            (ProblemCode::Timeout, "The answer was not ready in time. Try again in a moment.")
        }
        status if status.is_client_error() => {
            let detail = said.map_or_else(
                || format!("{UNREADABLE}."),
                |said| format!("{UNREADABLE}: {}.", said.trim_end_matches('.')),
            );
            return Problem::new(ProblemCode::InvalidRequest, detail);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse as _;
    use phasic_hub_api::IdPatterns;
    use sqlx::{Connection as _, Executor as _, SqliteConnection};

    use super::ApiError;
    use crate::auth::TokenSecret;
    use crate::jobs::SubmitError;
    use crate::mirror::MirrorError;
    use crate::publication::PublishError;
    use crate::store::{Actor, Change, Store};
    use crate::uploads::UploadError;
    use crate::variants::VariantsError;
    use crate::verification::VerifyError;

    #[tokio::test]
    async fn a_database_others_are_writing_to_is_busy_and_no_mistake_of_the_hub() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_within(directory.path(), Duration::from_millis(50)).await.unwrap();
        let path = directory.path().join("hub.db");
        let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let told = || Change { action: "test", subject: String::new(), detail: serde_json::json!({}) };
        for _ in 0..2 {
            // As it comes, and as the cause of another error.
            let error = store.tell(&Actor::Hub, told()).await.unwrap_err();
            let answer = ApiError::from(error).into_response();
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key(RETRY_AFTER)), (503, true));
            let error = SubmitError::Store(store.tell(&Actor::Hub, told()).await.unwrap_err());
            let answer = ApiError::from(error).into_response();
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key(RETRY_AFTER)), (503, true));
        }
        other.execute("ROLLBACK").await.unwrap();
        store.tell(&Actor::Hub, told()).await.unwrap();
        let answer = ApiError::internal(&std::fmt::Error).into_response();
        assert_eq!(answer.status().as_u16(), 500, "what is a mistake is still called one");
    }

    #[tokio::test]
    async fn a_token_that_has_ended_is_refused_through_whatever_error_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let token = TokenSecret::generate().unwrap().row("t", &[], IdPatterns::default(), None);
        store.add_token(&token, &Actor::Hub).await.unwrap();
        assert!(store.revoke_token(&token.id, &Actor::Operator).await.unwrap());
        let (id, actor) = ("some".parse().unwrap(), Actor::Token(token.id));
        let refused = async || store.set_private(&id, true, &actor).await.unwrap_err();
        let answers = [
            ApiError::from(refused().await),
            ApiError::from(SubmitError::Store(refused().await)),
            ApiError::from(UploadError::Store(refused().await)),
            ApiError::from(PublishError::Verify(VerifyError::Store(refused().await))),
            ApiError::from(MirrorError::Store(refused().await)),
            ApiError::from(VariantsError::Jobs(SubmitError::Store(refused().await))),
        ];
        for answer in answers {
            assert_eq!(answer.into_response().status().as_u16(), 401);
        }
    }
}
