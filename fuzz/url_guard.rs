//! What the fuzz target `url_guard` does with its bytes; apart from the others because it needs the server.
//!
//! The server's ordinary tests call this with every committed seed (`server/tests/fetch_seeds.rs`). It must return for
//! any input: a panic is the finding.
#![allow(dead_code, reason = "a target calls it")]

use std::net::IpAddr;
use std::sync::LazyLock;

use phasic_hub::fetch::Guard;
use phasic_hub::fetch::address::{is_public, unmap};
use phasic_hub::mirror::Location;
use url::{Host, Url};

/// Upstreams of every kind: a name, private addresses of both versions, ports that are not the usual ones.
static HOMES: LazyLock<Vec<Guard>> = LazyLock::new(|| {
    let homes = [
        "https://raw.example.org/lab/traces/master/registry.json",
        "http://10.1.2.3:8787/registry.json",
        "http://[fd00::1]:81/registry.json",
        "http://lab/registry.json",
    ];
    homes.iter().map(|home| Guard::new(Url::parse(home).expect("it is a URL"))).collect()
});

/// A text as what a redirect or an entry names: where it may lead, the place is the upstream itself, or of the same
/// scheme and port, without a user, and public as far as its text goes.
pub(crate) fn url_guard(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for guard in HOMES.iter() {
        let home = guard.home();
        if let Ok(url) = guard.follow(home, &text) {
            assert_eq!(url.scheme(), home.scheme(), "{url}");
            assert_eq!(url.port_or_known_default(), home.port_or_known_default(), "{url}");
            assert!(
                url.username().is_empty() && url.password().is_none() && url.fragment().is_none(),
                "{url}"
            );
            let address = match url.host().expect("it is to be dialled") {
                Host::Ipv4(address) => Some(IpAddr::V4(address)),
                Host::Ipv6(address) => Some(IpAddr::V6(address)),
                Host::Domain(name) => name.trim_end_matches('.').parse().ok(),
            };
            let stays = url.origin() == home.origin();
            assert!(
                stays || address.is_none_or(|address| is_public(address) && is_public(unmap(address))),
                "{url}"
            );
            // What one parser has made of it, another reads alike.
            let again = Url::parse(url.as_str()).expect("a URL was written");
            assert_eq!(again, url);
            assert!(guard.check(&again).is_ok(), "{url}");
        }
        match Location::read(&text, Some(home)) {
            Ok(Location::SameOrigin(url)) => assert!(guard.begin(&url).is_ok(), "{url}"),
            Ok(Location::Relative(segments)) => {
                assert!(
                    segments
                        .iter()
                        .all(|segment| !segment.is_empty() && segment != ".." && !segment.contains('/'))
                );
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
