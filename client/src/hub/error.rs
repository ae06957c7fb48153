//! What can go wrong between this process and a hub, said so that a person knows what to do next.
//!
//! Transport and index only; the fate of a pulled artifact is in `pull`.

use std::error::Error;
use std::time::Duration;

use phasic_hub_api::RegistryError;

/// A hub could not be reached, or did not answer as a hub does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The address is not one of a hub.
    #[error(
        "'{given}' is not the address of a hub: {reason}; give one like http://127.0.0.1:8787 (--hub, PHASIC_HUB_URL)"
    )]
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token cannot be sent in a header.
    #[error("the hub token has characters no token has; check PHASIC_HUB_TOKEN for line breaks and quotes")]
    Token,
    /// The HTTP client could not be made, for want of root certificates as a rule.
    #[error("cannot set up HTTPS: {cause}; install the system's root certificates (package ca-certificates)")]
    Setup {
        /// The innermost cause.
        cause: String,
    },
    /// No connection, or one that broke before the whole answer had come.
    #[error("no complete answer from {url} ({}): {cause}; is the hub running there (--hub, PHASIC_HUB_URL)?", times(*tries))]
    Connection {
        /// What was asked for.
        url: String,
        /// The innermost cause.
        cause: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The answer did not come, or not completely, in the time allowed.
    #[error("{url} did not answer in time ({}); the hub or the network is slow or stuck, try again later", times(*tries))]
    TimedOut {
        /// What was asked for.
        url: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The hub said no.
    #[error("{url} answered {status} ({}){}{}", times(*tries), detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default(), advice(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The hub's own explanation.
        detail: Option<String>,
        /// How long the hub asks to wait before the next try.
        retry_after: Option<Duration>,
        /// How often it was tried.
        tries: u32,
    },
    /// A redirect that must not be followed.
    #[error(
        "{url} redirects in a way that is not followed: {cause}; use the final address as the hub's address"
    )]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why it is not followed.
        cause: String,
    },
    /// The answer is longer than it may be.
    #[error("{url} sends more than the {limit_bytes} bytes allowed; nothing of it was used")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The answer came in a content coding, which nothing asked for.
    #[error(
        "{url} answers with content coding '{coding}', which was not asked for; a proxy on the way may be rewriting answers"
    )]
    Coded {
        /// What was asked for.
        url: String,
        /// The `Content-Encoding`.
        coding: String,
    },
    /// The index is not a registry document.
    #[error("{url} is not a usable registry document: {source}{}", index_advice(source))]
    Index {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        source: RegistryError,
    },
}

impl HubError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// How long the hub asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn after_tries(mut self, count: u32) -> Self {
        if let Self::Connection { tries, .. } | Self::TimedOut { tries, .. } | Self::Status { tries, .. } =
            &mut self
        {
            *tries = count;
        }
        self
    }

    /// Classifies what reqwest reports for a request to `url`.
    pub(super) fn from_transport(url: &str, error: &reqwest::Error) -> Self {
        let (url, cause) = (url.to_owned(), innermost(error));
        if error.is_timeout() {
            Self::TimedOut { url, tries: 1 }
        } else if error.is_redirect() {
            Self::Redirect { url, cause }
        } else if error.is_builder() {
            Self::Address { given: url, reason: cause }
        } else {
            Self::Connection { url, cause, tries: 1 }
        }
    }
}

/// The text of the last error in the chain, which is the one that says what happened.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn times(tries: u32) -> String {
    if tries == 1 { "tried once".to_owned() } else { format!("tried {tries} times") }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; the hub wants a token: set PHASIC_HUB_TOKEN",
        403 => "; the token does not allow this: ask the hub's administrator for one with the right scope",
        404 => "; check the hub's address (--hub, PHASIC_HUB_URL) or tell its administrator",
        408 | 429 | 500..=599 => "; try again later",
        _ => "",
    }
}

fn index_advice(error: &RegistryError) -> &'static str {
    match error {
        RegistryError::Malformed { .. } | RegistryError::NoComputes => {
            "; is this the address of a hub (--hub, PHASIC_HUB_URL)?"
        }
        _ => "",
    }
}
