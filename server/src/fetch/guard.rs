//! Where a fetch may go.
//!
//! The operator has named one place, which may be private: a lab's own server is a fine upstream. Whatever else is
//! reached was named by somebody else, in a redirect, and must be a public place: same scheme, same port, no user or
//! password, and no address of this machine or of a private network, in whatever form it is written. Names are judged
//! twice: here by their text, in [`super::resolver`] by their addresses.

use std::net::{IpAddr, UdpSocket};

use url::{Host, Url};

use super::address::{is_public, unmap};

/// Decides where a fetch may go.
#[derive(Clone, Debug)]
pub struct Guard {
    home: Url,
}

/// Why the guard refuses a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No URL, or one that two parsers may read in two ways.
    #[error("{0:?} is not a plain URL")]
    Url(String),
    /// A fetch that does not begin at the named upstream.
    #[error("{0} is not at the upstream")]
    Elsewhere(String),
    /// Another scheme than that of the upstream.
    #[error("{url} has another scheme than the upstream, {expected}")]
    Scheme {
        /// The place.
        url: String,
        /// The scheme of the upstream.
        expected: String,
    },
    /// Another port than that of the upstream.
    #[error("{url} is at another port than the upstream, {expected}")]
    Port {
        /// The place.
        url: String,
        /// The port of the upstream.
        expected: u16,
    },
    /// A user or a password in the URL.
    #[error("a URL with user or password")]
    User,
    /// A name that stands for something in the own network.
    #[error("the name {0:?} is for use within a network")]
    Name(String),
    /// An address that is not public, or is one of this machine.
    #[error("{host} is at {address}, which is not a public address")]
    Address {
        /// The host as it was named.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// More redirects than are followed.
    #[error("there are more than {0} redirects, one after another")]
    Hops(usize),
}

/// Longer ones only fill logs.
const MAX_BYTES: usize = 8192;

/// Endings of names that never stand for a public host (RFC 6761, 6762, 8375, 9476, and what routers hand out).
const PRIVATE_ENDINGS: [&str; 15] = [
    "localhost",
    "local",
    "localdomain",
    "localdomain4",
    "localdomain6",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "test",
    "invalid",
    "home.arpa",
    "onion",
];

impl Guard {
    /// A guard around the place the operator has named. `home` is an http or https URL with a host.
    pub fn new(home: Url) -> Self {
        Self { home }
    }

    /// The place the operator has named.
    pub fn home(&self) -> &Url {
        &self.home
    }

    /// Whether a fetch may begin at `url`: only at the upstream itself.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn begin(&self, url: &Url) -> Result<(), Refusal> {
        without_user(url)?;
        if self.is_home(url) { Ok(()) } else { Err(Refusal::Elsewhere(shorten(url.as_str()))) }
    }

    /// Where a redirect leads: the `location` of an answer of `from`.
    ///
    /// # Errors
    /// When it is not a place a fetch may go on to.
    pub fn follow(&self, from: &Url, location: &str) -> Result<Url, Refusal> {
        // The parser of URLs repairs these silently, and two parsers may not agree on how.
        let suspicious = |byte: u8| !byte.is_ascii_graphic() || byte == b'\\';
        if location.len() > MAX_BYTES || location.bytes().any(suspicious) {
            return Err(Refusal::Url(shorten(location)));
        }
        let mut url = from.join(location).map_err(|_| Refusal::Url(shorten(location)))?;
        url.set_fragment(None);
        self.check(&url)?;
        Ok(url)
    }

    /// Whether a fetch may go on to `url`. A name that passes must still resolve to public addresses.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        without_user(url)?;
        if url.scheme() != self.home.scheme() {
            let expected = self.home.scheme().to_owned();
            return Err(Refusal::Scheme { url: shorten(url.as_str()), expected });
        }
        if self.is_home(url) {
            return Ok(());
        }
        let expected = self.home.port_or_known_default().unwrap_or_default();
        if url.port_or_known_default() != Some(expected) {
            return Err(Refusal::Port { url: shorten(url.as_str()), expected });
        }
        match url.host() {
            Some(Host::Domain(name)) => check_name(name),
            Some(Host::Ipv4(address)) => check_address(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => check_address(&address.to_string(), address.into()),
            None => Err(Refusal::Url(shorten(url.as_str()))),
        }
    }

    fn is_home(&self, url: &Url) -> bool {
        // An origin without a host is equal to nothing, itself included.
        url.origin() == self.home.origin()
    }
}

/// Whether `address` may be dialled for `host`, which somebody else than the operator has named.
pub(super) fn check_address(host: &str, address: IpAddr) -> Result<(), Refusal> {
    if is_public(address) && !is_this_machine(address) {
        return Ok(());
    }
    Err(Refusal::Address { host: host.to_owned(), address })
}

/// A public address may be one of our own; only those can be bound to. No packet is sent.
fn is_this_machine(address: IpAddr) -> bool {
    [address, unmap(address)].into_iter().any(|address| UdpSocket::bind((address, 0)).is_ok())
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let name = name.trim_end_matches('.');
    let ends_with = |ending: &str| name.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.'));
    // A name of one label is completed by the search list of this machine's own network.
    if !name.contains('.') || PRIVATE_ENDINGS.iter().any(|ending| ends_with(ending)) {
        return Err(Refusal::Name(shorten(name)));
    }
    Ok(())
}

fn without_user(url: &Url) -> Result<(), Refusal> {
    if url.username().is_empty() && url.password().is_none() { Ok(()) } else { Err(Refusal::User) }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(home: &str) -> Guard {
        Guard::new(Url::parse(home).unwrap())
    }

    #[test]
    fn what_release_hosts_do_is_followed() {
        let github = guard("https://github.com/lab/traces/releases/download/v1/registry.json");
        for location in [
            "https://release-assets.githubusercontent.com/github-production-release-asset/1?sp=r&sig=a%2Fb",
            "https://objects.githubusercontent.com:443/x",
            "//codeload.github.com/x",
            "/lab/renamed/releases/download/v1/registry.json",
            "other.json?x=1#here",
        ] {
            let url = github.follow(github.home(), location).unwrap();
            assert_eq!((url.scheme(), url.fragment()), ("https", None), "{location}");
        }
    }

    #[test]
    fn a_named_upstream_may_be_private_and_only_itself() {
        let lab = guard("http://10.1.2.3:8787/registry.json");
        assert!(lab.begin(&Url::parse("http://10.1.2.3:8787/artifacts/x.bin").unwrap()).is_ok());
        assert!(lab.follow(lab.home(), "/elsewhere.json").is_ok());
        assert!(lab.follow(lab.home(), "http://10.1.2.3:8787/x").is_ok());
        for location in ["http://10.1.2.3/x", "http://10.1.2.4:8787/x", "http://10.1.2.3:22/x"] {
            assert!(lab.follow(lab.home(), location).is_err(), "{location}");
        }
        assert!(lab.begin(&Url::parse("http://example.org:8787/x").unwrap()).is_err());
    }

    #[test]
    fn each_rule_has_its_refusal() {
        let home = guard("https://hub.example.org/registry.json");
        let refused = |location: &str| home.follow(home.home(), location).unwrap_err();
        assert!(matches!(refused("http://hub.example.org/x"), Refusal::Scheme { .. }));
        assert!(matches!(refused("https://hub.example.org:8443/x"), Refusal::Port { expected: 443, .. }));
        assert!(matches!(refused("https://me@hub.example.org/x"), Refusal::User));
        assert!(matches!(refused("https://printer/x"), Refusal::Name(_)));
        assert!(matches!(refused("https://a.localhost./x"), Refusal::Name(_)));
        assert!(matches!(refused("https://0x7f.1/x"), Refusal::Address { .. }));
        assert!(matches!(refused("https://[::ffff:127.0.0.1]/x"), Refusal::Address { .. }));
        assert!(matches!(refused("https://a b/x"), Refusal::Url(_)));
    }
}
