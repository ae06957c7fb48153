//! One body on its way: how much of it may come, how fast it must come, and where it goes on after a break.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Response;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, RANGE,
};
use tokio::time::{Instant, timeout_at};

use super::failure::FetchError;
use super::{Limits, describe};

/// Memory set aside before anything has arrived.
const FIRST_BYTES: u64 = 1 << 20;

/// What has arrived of a file.
pub(super) struct Transfer<'a> {
    limits: &'a Limits,
    max_bytes: u64,
    bytes: Vec<u8>,
    /// Of the version that is arriving; `None` when it cannot be gone on with.
    resume: Option<HeaderValue>,
}

/// How reading a body ended, when it did not end well.
pub(super) enum Stop {
    /// The connection broke; more may be had by another request.
    Broken(FetchError),
    /// For good.
    Failed(FetchError),
}

impl<'a> Transfer<'a> {
    pub(super) fn new(limits: &'a Limits, max_bytes: u64) -> Self {
        Self { limits, max_bytes, bytes: Vec::new(), resume: None }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The header fields that ask for the rest, when the server has offered to send it and something has arrived.
    pub(super) fn rest(&self) -> Option<[(HeaderName, HeaderValue); 2]> {
        let version = self.resume.clone().filter(|_| !self.bytes.is_empty())?;
        let range = HeaderValue::from_str(&format!("bytes={}-", self.bytes.len())).ok()?;
        Some([(RANGE, range), (IF_RANGE, version)])
    }

    /// A 206 that goes on exactly where we are.
    pub(super) fn continues(&self, response: &Response) -> bool {
        let headers = response.headers();
        let text = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let begin =
            text.strip_prefix("bytes ").and_then(|range| range.split_once('-')).map(|(begin, _)| begin);
        let same =
            self.resume.is_some() && headers.get(ETAG).is_none_or(|etag| Some(etag) == self.resume.as_ref());
        same && begin == Some(self.bytes.len().to_string().as_str())
    }

    /// Forgets what has arrived, because the answer begins anew.
    pub(super) fn begin(&mut self, headers: &HeaderMap) {
        self.bytes.clear();
        self.resume = strong(headers);
    }

    /// Reads a body to its end, behind what has arrived before.
    pub(super) async fn read(&mut self, response: Response) -> Result<(), Stop> {
        let announced = response.content_length().unwrap_or(0);
        let too_long = || Stop::Failed(FetchError::TooLong { limit_bytes: self.max_bytes });
        if let Some(coding) = coding(response.headers()) {
            return Err(Stop::Failed(FetchError::Encoding(coding)));
        }
        if announced.saturating_add(self.bytes.len() as u64) > self.max_bytes {
            return Err(too_long());
        }
        self.bytes.reserve(usize::try_from(announced.min(FIRST_BYTES)).unwrap_or(0));
        let mut pace = Pace::begin(self.limits);
        let mut body = pin!(response.bytes_stream());
        loop {
            let silent_at = Instant::now() + self.limits.idle_timeout;
            let piece = match timeout_at(silent_at.min(pace.end), body.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => {
                    return Err(Stop::Broken(FetchError::Connection(describe(&error.without_url()))));
                }
                Err(_) if Instant::now() >= pace.end => {
                    pace.turn().map_err(Stop::Failed)?;
                    continue;
                }
                Err(_) => return Err(Stop::Failed(FetchError::Silent(self.limits.idle_timeout))),
            };
            if (self.bytes.len() + piece.len()) as u64 > self.max_bytes {
                return Err(Stop::Failed(FetchError::TooLong { limit_bytes: self.max_bytes }));
            }
            self.bytes.extend_from_slice(&piece);
            pace.received(piece.len()).map_err(Stop::Failed)?;
        }
    }
}

/// The coding of a body, when it has one.
fn coding(headers: &HeaderMap) -> Option<String> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let coded = codings.find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))?;
    Some(String::from_utf8_lossy(coded.as_bytes()).into_owned())
}

/// The validator by which a body can be gone on with: a strong one, of a server that does not say it has no ranges.
fn strong(headers: &HeaderMap) -> Option<HeaderValue> {
    let no_ranges =
        headers.get(ACCEPT_RANGES).is_some_and(|units| units.as_bytes().eq_ignore_ascii_case(b"none"));
    headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"") && !no_ranges).cloned()
}

/// The least speed: so many bytes within each window of time, one after another. The last one, cut short by the end of
/// the body, is not judged.
struct Pace {
    window: Duration,
    least_bytes: u64,
    end: Instant,
    received_bytes: u64,
}

impl Pace {
    fn begin(limits: &Limits) -> Self {
        let window = limits.rate_window;
        let least_bytes = (limits.min_bytes_per_second as f64 * window.as_secs_f64()).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let least_bytes = least_bytes as u64;
        Self { window, least_bytes, end: Instant::now() + window, received_bytes: 0 }
    }

    fn received(&mut self, bytes: usize) -> Result<(), FetchError> {
        // What came late counts for the window it came in.
        if Instant::now() >= self.end {
            self.turn()?;
        }
        self.received_bytes += bytes as u64;
        Ok(())
    }

    fn turn(&mut self) -> Result<(), FetchError> {
        let Self { window, received_bytes, .. } = *self;
        if received_bytes < self.least_bytes {
            return Err(FetchError::TooSlow { received_bytes, window });
        }
        (self.end, self.received_bytes) = (Instant::now() + window, 0);
        Ok(())
    }
}
