//! The HTTP client: TLS, redirects, timeouts, and the addresses that may be asked at all.
//!
//! Decisions about the connection live here, once. What is fetched over it does not.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Url};

use super::HubError;
use super::error::innermost;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;

/// One TLS implementation for the whole process: rustls needs to be told which before the first client is made.
fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    // A program that embeds this crate may have chosen already; its choice stands.
    INSTALLED.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Makes the client used for everything asked of the hub at `index`.
pub(super) fn client(index: &Url, timeout_scale: Timeouts) -> Result<Client, HubError> {
    install_tls_provider();
    let mut builder = Client::builder()
        .user_agent(concat!("phasic-hub-client/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout_scale.connect)
        .read_timeout(timeout_scale.read)
        .redirect(Policy::custom(judge_redirect));
    if is_loopback(index) {
        // A proxy in the environment is for the world outside; it cannot reach this machine's own hub.
        builder = builder.no_proxy();
    }
    if index.scheme() == "http" {
        // Everything may then be plain HTTP, and a bare container without root certificates must do. With an HTTPS
        // artifact address in the index the handshake fails, and says so.
        builder = match Client::builder().build() {
            Ok(_) => builder,
            Err(_) => builder.tls_certs_only([]),
        };
    }
    builder.build().map_err(|error| HubError::Setup { cause: innermost(&error) })
}

/// How long to wait for a connection, and for the next bytes of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, read: READ_TIMEOUT }
    }
}

fn judge_redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let downgrade = attempt.previous().last().is_some_and(|from| from.scheme() == "https")
        && attempt.url().scheme() != "https";
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("more than 5 redirects")
    } else if downgrade {
        attempt.error("it leads from HTTPS to an unprotected address")
    } else {
        attempt.follow()
    }
}

/// The address of the index for what a user calls the address of a hub: the address itself when it names a
/// `.json` document, else `registry.json` below it.
pub(super) fn index_url(given: &str) -> Result<Url, HubError> {
    let refuse = |reason: &str| HubError::Address { given: given.to_owned(), reason: reason.to_owned() };
    let mut url = Url::parse(given.trim()).map_err(|error| refuse(&error.to_string()))?;
    check_address(&url).map_err(refuse)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    if Path::new(url.path()).extension().is_some_and(|kind| kind == "json") {
        return Ok(url);
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.join("registry.json").map_err(|error| refuse(&error.to_string()))
}

/// What is wrong with an address, if anything: only HTTP(S) to a named host, without a password inside.
pub(super) fn check_address(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// addresses are used");
    }
    if url.host().is_none() {
        return Err("it has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password in it; use a token");
    }
    Ok(())
}

/// The header that carries the token, marked so that it is never printed.
pub(super) fn authorization(token: &str) -> Result<HeaderMap, HubError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| HubError::Token)?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_address_leads_to_its_registry_document() {
        for (given, index) in [
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/registry.json"),
            ("https://hub.example/lab/", "https://hub.example/lab/registry.json"),
            ("https://hub.example/lab", "https://hub.example/lab/registry.json"),
            ("https://raw.example/o/r/master/registry.json", "https://raw.example/o/r/master/registry.json"),
        ] {
            assert_eq!(index_url(given).unwrap().as_str(), index);
        }
    }

    #[test]
    fn what_is_not_a_web_address_is_refused_by_name() {
        for given in [
            "hub.example",
            "file:///etc/passwd",
            "ftp://hub.example",
            "http://",
            "http://me:pw@hub.example",
            "http://h/?x=1",
        ] {
            let error = index_url(given).unwrap_err();
            assert!(matches!(error, HubError::Address { .. }), "{given}: {error}");
            assert!(error.to_string().contains(given), "{error}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        assert!(matches!(authorization("hub_abc\ndef"), Err(HubError::Token)));
        assert!(authorization(" hub_abc \n").is_ok());
    }

    #[test]
    fn loopback_hosts_are_recognised_in_every_spelling() {
        for url in [
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://127.9.9.9/",
            "http://[::1]:8787/",
            "http://2130706433/",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(!is_loopback(&Url::parse("http://hub.example/").unwrap()));
    }
}
