//! Why a fetch failed, in classes that say what to do about it.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::Unpaid;
use super::guard::Refusal;

/// No server may send us away for longer.
pub const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answered, with something else than the file.
    #[error("the upstream answered with status {status} ({}){}", meaning(*status, *class), waiting(*retry_after))]
    Status {
        /// The status.
        status: u16,
        /// What it means for us.
        class: FailureClass,
        /// How long the server wants to be left alone, at most [`LONGEST_WAIT`].
        retry_after: Option<Duration>,
    },
    /// The way leads to a place we do not go.
    #[error("the upstream leads to a place that is not fetched from: {0}")]
    Refused(#[from] Refusal),
    /// The bytes would not be those that were hashed.
    #[error("the upstream sends a transformed body (Content-Encoding {0:?})")]
    Encoding(String),
    /// More bytes than wanted.
    #[error("there are more than {limit_bytes} bytes")]
    TooLong {
        /// What was wanted.
        limit_bytes: u64,
    },
    /// The connection could not be made, or broke off.
    #[error("{0}")]
    Connection(String),
    /// The server said nothing for too long.
    #[error("the upstream sent nothing for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The server sends too slowly.
    #[error("the upstream sent only {received_bytes} bytes in {} s", window.as_secs_f64())]
    TooSlow {
        /// Bytes that came.
        received_bytes: u64,
        /// Within this time.
        window: Duration,
    },
    /// The file took too long altogether.
    #[error("the file did not arrive within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// As many requests as were allowed have been made.
    #[error("the {0} requests that were allowed have been made")]
    Budget(u64),
    /// Whoever counts requests has not let this one be sent.
    #[error("{0}")]
    Unpaid(Unpaid),
}

/// What a failure means, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The file is not there (404, 410).
    Gone,
    /// We may not have it (401, 403, 451).
    Forbidden,
    /// We have asked too often (429, or 403 of a server that says its limit is reached): ask nothing more for a while.
    TooMany,
    /// The server is busy or being repaired (408, 425, 503): later is better.
    TryLater,
    /// The server failed (other 5xx).
    Server,
    /// A status that makes no sense here.
    Unexpected,
    /// The guard refuses the place.
    Refused,
    /// The connection, or its speed.
    Transfer,
    /// The bytes cannot be what was announced.
    Content,
    /// Our own limit on requests.
    Budget,
}

impl FetchError {
    /// What the failure means.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Status { class, .. } => *class,
            Self::Refused(_) => FailureClass::Refused,
            Self::Encoding(_) | Self::TooLong { .. } => FailureClass::Content,
            Self::Connection(_) | Self::Silent(_) | Self::TooSlow { .. } | Self::Deadline(_) => {
                FailureClass::Transfer
            }
            Self::Budget(_) | Self::Unpaid(_) => FailureClass::Budget,
        }
    }

    /// How long the server wants to be left alone, at most [`LONGEST_WAIT`].
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What an answer means that is not the file.
    pub(super) fn of(response: &Response) -> Self {
        Self::of_parts(response.status(), response.headers(), SystemTime::now())
    }

    /// A 304 to a question that named no version.
    pub(super) fn unchanged() -> Self {
        Self::of_parts(StatusCode::NOT_MODIFIED, &HeaderMap::new(), SystemTime::now())
    }

    fn of_parts(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        let retry_after = retry_after(headers, now);
        let class = match status.as_u16() {
            404 | 410 => FailureClass::Gone,
            // GitHub's way to say 429.
            403 if retry_after.is_some() => FailureClass::TooMany,
            401 | 403 | 451 => FailureClass::Forbidden,
            429 => FailureClass::TooMany,
            408 | 425 | 503 => FailureClass::TryLater,
            500..=599 => FailureClass::Server,
            _ => FailureClass::Unexpected,
        };
        Self::Status { status: status.as_u16(), class, retry_after }
    }
}

/// The wait an answer asks for: `Retry-After` in seconds or as a date, or the end of a spent limit as GitHub tells it.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = |moment: SystemTime| moment.duration_since(now).unwrap_or_default();
    let asked = text(RETRY_AFTER.as_str())
        .and_then(|text| whole_seconds(text).or_else(|| httpdate::parse_http_date(text).ok().map(until)));
    let spent = || {
        let reset = text("x-ratelimit-reset").filter(|_| text("x-ratelimit-remaining") == Some("0"))?;
        SystemTime::UNIX_EPOCH.checked_add(whole_seconds(reset)?).map(until)
    };
    asked.or_else(spent).map(|wait| wait.min(LONGEST_WAIT))
}

/// Digits as seconds; more of them than a number holds are a very long time.
fn whole_seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

fn meaning(status: u16, class: FailureClass) -> &'static str {
    match class {
        FailureClass::Gone => "it is not there",
        FailureClass::Forbidden => "it may not be read",
        FailureClass::TooMany => "too many requests",
        FailureClass::TryLater => "try again later",
        FailureClass::Server => "the server failed",
        _ if (300..400).contains(&status) => "a redirect without a plain destination",
        _ => "which is no answer to a GET",
    }
}

fn waiting(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!("; it asks to wait {} s", wait.as_secs()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: Duration = Duration::from_hours(500_000);

    fn failure(status: u16, headers: &[(&'static str, &str)]) -> FetchError {
        let header = |&(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let headers = headers.iter().map(header).collect();
        FetchError::of_parts(StatusCode::from_u16(status).unwrap(), &headers, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn every_status_has_a_class() {
        use FailureClass::{Forbidden, Gone, Server, TooMany, TryLater, Unexpected};
        for (status, class) in [
            (404, Gone),
            (410, Gone),
            (401, Forbidden),
            (403, Forbidden),
            (451, Forbidden),
            (429, TooMany),
            (408, TryLater),
            (425, TryLater),
            (503, TryLater),
            (500, Server),
            (502, Server),
            (504, Server),
            (204, Unexpected),
            (206, Unexpected),
            (300, Unexpected),
            (409, Unexpected),
            (418, Unexpected),
        ] {
            assert_eq!(failure(status, &[]).class(), class, "{status}");
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date_and_never_believed_beyond_a_day() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Fri, 15 Jan 2027 08:01:40 GMT", Some(100)),
            ("Fri, 15 Jan 2027 07:00:00 GMT", Some(0)),
            ("Fri, 15 Jan 2100 08:01:40 GMT", Some(86_400)),
            ("Friday, 15-Jan-27 08:01:40 GMT", Some(100)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = failure(429, &[("retry-after", text)]).retry_after();
            assert_eq!(wait, seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_spent_limit_of_github_is_too_many() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000060")];
        let failed = failure(403, &spent);
        assert_eq!(failed.class(), FailureClass::TooMany);
        assert_eq!(failed.retry_after(), Some(Duration::from_mins(1)));
        let left = [("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "1800000060")];
        assert_eq!(failure(403, &left).class(), FailureClass::Forbidden);
        assert_eq!(failure(403, &[("retry-after", "5")]).class(), FailureClass::TooMany);
    }
}
