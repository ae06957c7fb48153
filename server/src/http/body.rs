//! Request bodies that are JSON: read within limits, with an error that says where the mistake is.
//!
//! Bodies of documents and parameter vectors may be large, so all of them together are bounded, too.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Request};
use phasic_hub_api::ProblemCode;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::config;

/// What one permit of the budget stands for, in bytes.
const UNIT_BYTES: u64 = 1024;

/// Bytes that the bodies of all requests may take together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    most_bytes: usize,
}

/// A body, and its share of the budget for as long as it lives.
pub(super) struct Received {
    bytes: Bytes,
    share: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(limits: &config::Models) -> Self {
        let most_bytes = limits.max_body_bytes.count();
        // Whatever is set, one body of the largest size must fit.
        let whole = limits.max_bodies_bytes.get().max(most_bytes as u64).div_ceil(UNIT_BYTES);
        let permits = usize::try_from(whole).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)), most_bytes }
    }

    /// Reads a whole body, once there is room for it.
    pub(super) async fn receive(&self, request: Request<Body>) -> Result<Received, ApiError> {
        let announced = announced(request.headers()).unwrap_or(self.most_bytes as u64);
        if announced > self.most_bytes as u64 {
            return Err(self.too_large());
        }
        // A unit more for small bodies, which are not free either.
        let units = u32::try_from(announced / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let closed = || ApiError::new(ProblemCode::Internal, "The hub is stopping.");
        let share = Arc::clone(&self.permits).acquire_many_owned(units).await.map_err(|_| closed())?;
        let bytes = axum::body::to_bytes(request.into_body(), self.most_bytes).await.map_err(|error| {
            if is_limit(&error) {
                return self.too_large();
            }
            ApiError::new(ProblemCode::InvalidRequest, "The request body broke off before its end.")
        })?;
        Ok(Received { bytes, share })
    }

    fn too_large(&self) -> ApiError {
        let detail = format!(
            "The body is larger than the {} bytes this hub reads; the setting is models.max_body_bytes.",
            self.most_bytes
        );
        ApiError::new(ProblemCode::BodyTooLarge, detail)
    }
}

/// Looks for the member that tells a request from a document.
#[derive(serde::Deserialize)]
struct Look {
    model: Option<serde::de::IgnoredAny>,
}

impl Received {
    /// Whether the body is a JSON object without the member `model`.
    pub(super) fn is_document(&self) -> bool {
        serde_json::from_slice::<Look>(&self.bytes).is_ok_and(|look| look.model.is_none())
    }

    /// The body as JSON, and its share of the budget, to be held while the value lives.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<(T, OwnedSemaphorePermit), ApiError> {
        match serde_json::from_slice(&self.bytes) {
            Ok(value) => Ok((value, self.share)),
            Err(error) => Err(ApiError::new(
                ProblemCode::InvalidRequest,
                format!("The body is not what this route takes: {error}."),
            )),
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether reading stopped because the body is too long.
fn is_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.to_string() == "length limit exceeded" {
            return true;
        }
        source = cause.source();
    }
    error.to_string() == "length limit exceeded"
}
