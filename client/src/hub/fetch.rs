//! One GET, read to its end under a byte limit, and not at any speed.
//!
//! Bytes and status only: nothing here knows what is being fetched.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::HubError;

/// An explanation longer than this is not read.
const PROBLEM_BYTES: u64 = 64 * 1024;
/// No judgement of speed before this much time.
const GRACE: Duration = Duration::from_secs(30);
/// An answer that comes more slowly than this on the whole, in bytes per second, counts as stuck.
const SLOWEST: f64 = 16.0 * 1024.0;

/// Fetches `url` completely, calling `progress` with the number of bytes so far.
///
/// Reading stops with the chunk that passes `limit_bytes`.
pub(super) async fn get(
    client: &Client,
    url: &Url,
    headers: &HeaderMap,
    limit_bytes: u64,
    progress: impl FnMut(u64),
) -> Result<Vec<u8>, HubError> {
    let response = client
        .get(url.clone())
        .headers(headers.clone())
        .send()
        .await
        .map_err(|error| HubError::from_transport(url.as_str(), &error))?;
    if !response.status().is_success() {
        return Err(refusal(url, response).await);
    }
    let coding =
        response.headers().get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(HubError::Coded { url: url.to_string(), coding: coding.into_owned() });
    }
    read_body(url, response, limit_bytes, progress).await
}

async fn read_body(
    url: &Url,
    mut response: Response,
    limit_bytes: u64,
    mut progress: impl FnMut(u64),
) -> Result<Vec<u8>, HubError> {
    let too_large = || HubError::TooLarge { url: url.to_string(), limit_bytes };
    if response.content_length().is_some_and(|length| length > limit_bytes) {
        return Err(too_large());
    }
    // Grows with what really arrives: a length that was only announced allocates nothing.
    let mut body = Vec::new();
    let started = Instant::now();
    loop {
        let chunk = response.chunk().await.map_err(|error| HubError::from_transport(url.as_str(), &error))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if (body.len() + chunk.len()) as u64 > limit_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
        // Silence is bounded by the read timeout; this bounds an answer that comes drop by drop.
        let judged = started.elapsed().saturating_sub(GRACE).as_secs_f64();
        if (body.len() as f64) < judged * SLOWEST {
            return Err(HubError::TimedOut { url: url.to_string(), tries: 1 });
        }
        progress(body.len() as u64);
    }
}

/// Turns an unsuccessful answer into an error, with the hub's own explanation when it is a problem document.
async fn refusal(url: &Url, response: Response) -> HubError {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let is_problem = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
    let body = if is_problem { read_body(url, response, PROBLEM_BYTES, |_| ()).await.ok() } else { None };
    let detail =
        body.and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok()).and_then(|problem| {
            let text = problem.get("detail").or_else(|| problem.get("title"))?.as_str()?;
            // What the hub says ends on a terminal: no control characters, no novels.
            let text = text.trim().trim_end_matches('.');
            Some(text.chars().filter(|character| !character.is_control()).take(500).collect())
        });
    HubError::Status { url: url.to_string(), status, detail, retry_after, tries: 1 }
}
