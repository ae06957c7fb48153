//! Uploads: a file in one piece, or in parts that go on where the last one ended.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, EXPECT, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::StreamExt as _;
use phasic_hub_api::computes::{UploadProgress, Uploaded};
use phasic_hub_api::{ProblemCode, Sha256};

use super::Services;
use super::error::ApiError;
use super::jobs::header_value;
use crate::auth::Caller;
use crate::blobs::{BlobError, ByteStream};
use crate::uploads::{Appended, Part, UploadError, UploadState, Uploader};

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Stores a file under the SHA-256 of its bytes, which is computed while they arrive.
///
/// ```text
/// digest=$(sha256sum program.bin | cut -d' ' -f1)
/// curl -T program.bin http://127.0.0.1:8787/v1/blobs/sha256/$digest -H "Authorization: Bearer $TOKEN"
/// ```
///
/// With `Content-Range: bytes 0-4095/10000` the body is a part of the file, and what has arrived of it is kept when the
/// connection breaks. `GET …/upload` says in `Upload-Offset` where to go on; `curl -C OFFSET -T FILE` sends the rest. 202
/// says that more is to come. Where all has arrived and the last part was not answered, an empty body with
/// `Content-Range: bytes */10000` finishes it. An upload belongs to its token; until something published refers to the file, only
/// holders of tokens for the same ids can fetch it, and it is removed after the grace period of the garbage collection.
#[utoipa::path(
    put,
    path = "/v1/blobs/sha256/{digest}",
    tag = "publication",
    params(
        ("digest" = String, Path, description = "64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$"),
        ("Content-Range" = Option<String>, Header, description = "`bytes FIRST-LAST/TOTAL`: which part the body is; `bytes */TOTAL`, with an \
         empty body: all parts have arrived"),
    ),
    request_body(content_type = "application/octet-stream", description = "The bytes"),
    responses(
        (status = 200, description = "It was here already, and the sender could see it", body = Uploaded),
        (status = 201, description = "It is stored", body = Uploaded),
        (status = 202, description = "The part is kept; more is to come", body = UploadProgress),
        (status = 400, description = "`invalid_request`: no digest, or a Content-Range that is none"),
        (status = 409, description = "`upload_conflict`: the part is not the next one (`Upload-Offset` says which is), or \
         another request is sending it"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`digest_mismatch`: the bytes have another digest, and nothing is kept"),
        (status = 507, description = "`quota_exceeded`, `storage_full`"),
    )
)]
pub(super) async fn upload(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let name = name(&digest)?;
    let who = uploader(&caller)?;
    let store = &services.hub.data.store;
    let seen = store.visible_blob(name, &caller.viewer()).await?;
    let headers = request.headers();
    if let Some(blob) = seen.filter(|_| headers.contains_key(EXPECT))
        && let Some(blob) = services.uploads.known(&who, blob).await?
    {
        // The client waits to be told to send, and need not.
        return Ok(stored(&services, name, blob.size_bytes, StatusCode::OK));
    }
    let range = headers.get(CONTENT_RANGE).map(range).transpose()?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = body(request.into_body(), services.uploads.idle());
    let blob = match range {
        None => services.uploads.whole(&who, name, announced, body).await?,
        Some(Sent::Nothing { total_bytes }) => {
            if body.next().await.transpose().map_err(BlobError::Body)?.is_some_and(|piece| !piece.is_empty())
            {
                return Err(UploadError::PartLength { expected: 0 }.into());
            }
            services.uploads.finish(&who, name, total_bytes).await?
        }
        Some(Sent::Part(part)) => match services.uploads.part(&who, name, part, body).await? {
            Appended::Stored(blob) => blob,
            Appended::Partial(state) => return Ok(progress(StatusCode::ACCEPTED, state)),
            Appended::Complete(_) => return Err(ApiError::internal(&std::fmt::Error)),
        },
    };
    // Whoever could not see it is told that it is new, whether or not somebody else has it.
    let status = if seen.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok(stored(&services, name, blob.size_bytes, status))
}

/// How far an upload in parts has come: `Upload-Offset` is where to go on.
///
/// ```text
/// curl -sI http://127.0.0.1:8787/v1/blobs/sha256/$digest/upload -H "Authorization: Bearer $TOKEN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/blobs/sha256/{digest}/upload",
    tag = "publication",
    params(("digest" = String, Path, description = "64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "It is unfinished", body = UploadProgress),
        (status = 404, description = "`upload_not_found`: this token has no unfinished upload of it; begin at 0"),
    )
)]
pub(super) async fn upload_state(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Result<Response<Body>, ApiError> {
    let name = digest.parse().map_err(|_| no_upload())?;
    match services.uploads.state(&uploader(&caller)?, name)? {
        Some(state) => Ok(progress(StatusCode::OK, state)),
        None => Err(no_upload()),
    }
}

/// Forgets an unfinished upload.
///
/// ```text
/// curl -s -X DELETE http://127.0.0.1:8787/v1/blobs/sha256/$digest/upload -H "Authorization: Bearer $TOKEN"
/// ```
#[utoipa::path(
    delete,
    path = "/v1/blobs/sha256/{digest}/upload",
    tag = "publication",
    params(("digest" = String, Path, description = "64 lower-case hexadecimal digits", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "`upload_not_found`"),
        (status = 409, description = "`upload_conflict`: a request is sending it"),
    )
)]
pub(super) async fn discard_upload(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = digest.parse().map_err(|_| no_upload())?;
    if services.uploads.discard(&uploader(&caller)?, name)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(no_upload())
}

fn name(digest: &str) -> Result<Sha256, ApiError> {
    digest.parse().map_err(|error| {
        ApiError::new(ProblemCode::InvalidRequest, format!("{digest:?} names no blob: {error}."))
    })
}

fn uploader(caller: &Caller) -> Result<Uploader, ApiError> {
    match caller {
        Caller::Token { id, .. } => Ok(Uploader { token: id.clone(), audience: caller.viewer().audience() }),
        // The table of access asks for a token.
        Caller::Anonymous => Err(ApiError::new(ProblemCode::TokenRequired, "Uploads belong to a token.")),
    }
}

fn no_upload() -> ApiError {
    let detail = "There is no unfinished upload of this file with this token. Begin at byte 0.";
    let headers = HeaderMap::from_iter([(UPLOAD_OFFSET, HeaderValue::from(0))]);
    ApiError::new(ProblemCode::UploadNotFound, detail).with_headers(headers)
}

fn stored(services: &Services, sha256: Sha256, size_bytes: u64, status: StatusCode) -> Response<Body> {
    let url = format!("{}/v1/blobs/sha256/{sha256}", services.hub.public_base());
    let headers = [(LOCATION, header_value(&url))];
    (status, headers, Json(Uploaded { sha256, size_bytes, url })).into_response()
}

fn progress(status: StatusCode, state: UploadState) -> Response<Body> {
    let UploadState { offset_bytes, total_bytes, expires_in_seconds } = state;
    let headers = [(UPLOAD_OFFSET, HeaderValue::from(offset_bytes))];
    (status, headers, Json(UploadProgress { offset_bytes, total_bytes, expires_in_seconds })).into_response()
}

/// What a body with a `Content-Range` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// A part.
    Part(Part),
    /// Nothing: all has been sent.
    Nothing {
        /// The length of the whole file.
        total_bytes: u64,
    },
}

/// Reads `bytes FIRST-LAST/TOTAL` and `bytes */TOTAL`.
fn range(value: &HeaderValue) -> Result<Sent, ApiError> {
    let read = || {
        let (range, total) = value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
        let total_bytes = digits(total)??;
        if range == "*" {
            return (total_bytes > 0).then_some(Sent::Nothing { total_bytes });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (digits(first)??, digits(last)??);
        let is_part = first <= last && last < total_bytes;
        is_part.then(|| Sent::Part(Part { offset_bytes: first, length_bytes: last - first + 1, total_bytes }))
    };
    read().ok_or_else(|| {
        let detail = "Content-Range is \"bytes FIRST-LAST/TOTAL\", such as bytes 0-4095/10000; or \"bytes */TOTAL\" with \
             an empty body, when all has been sent.";
        ApiError::new(ProblemCode::InvalidRequest, detail)
    })
}

/// The pieces of a body, none of which may keep us waiting for too long.
fn body(body: Body, idle: Duration) -> ByteStream {
    let pieces = body.into_data_stream();
    Box::pin(futures_util::stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(idle, pieces.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
        }
    }))
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let text = error.to_string();
        match error {
            UploadError::TooLarge { .. } => Self::new(ProblemCode::BodyTooLarge, text),
            UploadError::TokenFull { .. } | UploadError::TooManyPartial { .. } => {
                Self::new(ProblemCode::QuotaExceeded, text)
            }
            UploadError::Offset { expected, .. } => Self::new(ProblemCode::UploadConflict, text)
                .with_headers(HeaderMap::from_iter([(UPLOAD_OFFSET, HeaderValue::from(expected))])),
            UploadError::Busy => Self::new(ProblemCode::UploadConflict, text),
            UploadError::PartLength { .. } => Self::new(ProblemCode::InvalidRequest, text),
            UploadError::Blobs(error) => error.into(),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        let text = error.to_string();
        match error {
            BlobError::WrongHash { .. } => Self::new(ProblemCode::DigestMismatch, text),
            BlobError::TooLarge { .. } => Self::new(ProblemCode::BodyTooLarge, text),
            BlobError::Full { .. } => Self::new(ProblemCode::StorageFull, text),
            BlobError::Body(_) => Self::new(ProblemCode::InvalidRequest, text),
            BlobError::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                tracing::error!(error = text, "the disk is full");
                Self::new(ProblemCode::StorageFull, "The disk of the hub is full. Nothing was stored.")
            }
            error => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Sent, range};
    use axum::http::HeaderValue;

    #[test]
    fn a_part_says_where_it_begins_and_ends_and_how_long_the_whole_is() {
        let read = |text: &'static str| range(&HeaderValue::from_static(text)).ok();
        let expected = Part { offset_bytes: 10, length_bytes: 10, total_bytes: 20 };
        assert_eq!(read("bytes 10-19/20"), Some(Sent::Part(expected)));
        assert_eq!(read("bytes */20"), Some(Sent::Nothing { total_bytes: 20 }));
        for text in [
            "",
            "bytes",
            "bytes 10-19",
            "bytes 10-19/*",
            "bytes */0",
            "bytes */*",
            "bytes 10-20/20",
            "bytes 11-10/20",
            "bytes +1-2/20",
            "bytes -1-2/20",
            "bytes 0-9, 10-19/20",
            "items 0-9/20",
            "bytes 0-99999999999999999999/20",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
