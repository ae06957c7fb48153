//! The HTTP client: TLS, redirects, timeouts, and the addresses that may be asked at all.
//!
//! Decisions about the connection live here, once. What is fetched over it does not.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
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
pub(super) fn client(index: &Url, timeouts: Timeouts) -> Result<Client, HubError> {
    install_tls_provider();
    let mut builder = Client::builder()
        .user_agent(concat!("phasic-hub-client/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .redirect(redirects(is_loopback(index)));
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

/// A few redirects are followed, but none that gives up protection or turns back to this machine.
fn redirects(hub_is_local: bool) -> Policy {
    Policy::custom(move |attempt| {
        let came_from_https = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
        if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("more than 5 redirects")
        } else if came_from_https && attempt.url().scheme() != "https" {
            attempt.error("it leads from HTTPS to an unprotected address")
        } else if is_loopback(attempt.url()) && !hub_is_local {
            attempt.error("it leads to this very machine")
        } else {
            attempt.follow()
        }
    })
}

/// The address of an artifact the registry at `index` places at `location`, or why nothing is fetched from there.
pub(super) fn locate(index: &Url, location: &str) -> Result<Url, &'static str> {
    let Ok(url) = index.join(location) else { return Err("it is not an address") };
    let is_absolute = location.contains("://");
    let folder = index.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_below = url.origin() == index.origin()
        && url.path().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    check_address(&url)?;
    if !is_absolute && !is_below {
        Err("it leads out of the registry")
    } else if index.scheme() == "https" && url.scheme() != "https" {
        Err("the hub is reached over HTTPS and this is not")
    } else if is_loopback(&url) && !is_loopback(index) {
        Err("it leads to this very machine")
    } else {
        Ok(url)
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

    #[test]
    fn artifacts_are_found_below_the_registry_or_at_a_full_address() {
        let index = Url::parse("https://hub.example/lab/registry.json").unwrap();
        for (location, url) in [
            ("artifacts/x.bin", "https://hub.example/lab/artifacts/x.bin"),
            ("https://other.example/x.bin", "https://other.example/x.bin"),
        ] {
            assert_eq!(locate(&index, location).unwrap().as_str(), url);
        }
    }

    #[test]
    fn places_nothing_is_fetched_from() {
        let index = Url::parse("https://hub.example/lab/registry.json").unwrap();
        for location in [
            "../x.bin",
            "artifacts/../../x.bin",
            "artifacts/%2e%2e/%2e%2e/x.bin",
            "/x.bin",
            "//other.example/lab/x.bin",
            "\\\\other.example\\lab\\x.bin",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "data:,x",
            "http://hub.example/lab/x.bin",
            "ftp://hub.example/x.bin",
            "https://me:secret@hub.example/lab/x.bin",
            "https://127.0.0.1/x.bin",
            "https://localhost:8787/x.bin",
            "https://[::1]/x.bin",
            "https://2130706433/x.bin",
            "https://",
        ] {
            assert!(locate(&index, location).is_err(), "{location}");
        }
    }
}
