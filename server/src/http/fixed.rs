//! Answers that do not change while the process lives: made once, sent with a tag, and with their page's headers.

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use phasic_hub_api::Sha256;

use super::conditional;
use super::jobs::header_value;

/// What every page of this hub is sent with: no scripts, nothing from elsewhere.
pub(super) const PAGE_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// A text, and the headers it is sent with.
pub(super) struct Fixed {
    text: Bytes,
    etag: String,
    headers: HeaderMap,
}

impl Fixed {
    /// A JSON document.
    pub(super) fn json(text: String) -> Self {
        Self::new(text, "application/json", HeaderMap::new())
    }

    /// A page.
    pub(super) fn page(text: String) -> Self {
        Self::new(text, "text/html; charset=utf-8", HeaderMap::from_iter(PAGE_HEADERS))
    }

    fn new(text: String, content_type: &'static str, mut headers: HeaderMap) -> Self {
        let etag = format!("\"{}\"", Sha256::of(text.as_bytes()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
        headers.insert(ETAG, header_value(&etag));
        Self { text: text.into(), etag, headers }
    }

    /// The answer to a request: the text, or 304 for whoever has it.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response<Body> {
        let headers = self.headers.clone();
        if conditional::none_match(request, &self.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.text.clone()).into_response()
    }
}
