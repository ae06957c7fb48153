//! Settings of the HTTP side: where the hub is found, who may do what, and how much of it.

use std::net::SocketAddr;

use phasic_hub_api::Scope;
use serde::{Deserialize, Serialize};

use super::{Ids, Millis, Networks, Whole};

/// Limits of the HTTP side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Http {
    pub header_timeout_ms: Millis,
    pub request_timeout_ms: Millis,
    pub write_timeout_ms: Millis,
    pub min_bytes_per_second: Whole<0, 1_073_741_824>,
    pub drain_timeout_ms: Millis,
    pub max_connections: Whole<1, 1_000_000>,
    pub max_connections_per_address: Whole<1, 1_000_000>,
    pub max_header_bytes: Whole<8192, 1_048_576>,
    pub max_body_bytes: Whole<0, 1_073_741_824>,
    pub trusted_proxies: Networks,
}

/// Who may do what without a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Access {
    pub anonymous: Anonymous,
    pub private_ids: Ids,
}

/// What everybody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Nothing but see that there is a hub.
    Nothing,
    /// Read.
    #[default]
    Read,
    /// Read, and have something computed.
    Compute,
}

impl Anonymous {
    /// The scope everybody has, if any.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::Read => Some(Scope::Read),
            Self::Compute => Some(Scope::Compute),
        }
    }
}

/// How much one client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Rate {
    pub per_second: Whole<0, 1_000_000>,
    pub burst: Whole<1, 1_000_000>,
}

/// The base of the URLs the registry names its artifacts by: absolute http(s) without query, fragment or user, and
/// without the final slash; or nothing, and then it follows from the listening address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Option<String>);

impl PublicUrl {
    /// The base, given the address that was really bound. An unspecified address (`0.0.0.0`) becomes the loopback
    /// address, which at least works on the same machine.
    pub fn base(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.0 {
            return url.clone();
        }
        let mut address = bound;
        if bound.ip().is_unspecified() {
            address.set_ip(match bound {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.0.unwrap_or_default()
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url = url::Url::parse(&text).map_err(|error| format!("public_url {text:?}: {error}"))?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(format!(
                "public_url {text:?} must be http:// or https://, without user, query or fragment"
            ));
        }
        Ok(Self(Some(url.as_str().trim_end_matches('/').to_owned())))
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            header_timeout_ms: Millis::of::<10_000>(),
            request_timeout_ms: Millis::of::<60_000>(),
            write_timeout_ms: Millis::of::<30_000>(),
            min_bytes_per_second: Whole::of::<1024>(),
            drain_timeout_ms: Millis::of::<30_000>(),
            max_connections: Whole::of::<1024>(),
            max_connections_per_address: Whole::of::<256>(),
            max_header_bytes: Whole::of::<{ 32 << 10 }>(),
            max_body_bytes: Whole::of::<{ 1 << 20 }>(),
            trusted_proxies: Networks::default(),
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: Whole::of::<1000>(), burst: Whole::of::<10_000>() }
    }
}
