//! Fetching over HTTP, from one host only.
//!
//! The host is the one the operator named, whatever its address is: a lab's own server is allowed to be private. Its
//! name is looked up once, so that the answer cannot change within a pass; redirects are not followed, and proxies of
//! the environment are not used, because both would let somebody else choose where we connect to.

use std::error::Error as _;
use std::net::SocketAddr;

use futures_util::StreamExt;
use reqwest::header::CONTENT_ENCODING;
use reqwest::{Client, StatusCode, redirect};
use url::{Host, Url};

use super::upstream::FetchError;
use crate::config;

/// A registry on a web server.
pub struct Web {
    document: Url,
    client: Client,
}

/// Memory set aside before anything has arrived.
const FIRST_BYTES: u64 = 1 << 20;

impl Web {
    pub(super) async fn open(document: Url, limits: &config::Mirror) -> Result<Self, String> {
        // Already installed by an earlier pass is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("phasic-hub/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(limits.connect_timeout_ms.duration())
            .read_timeout(limits.idle_timeout_ms.duration())
            .timeout(limits.file_timeout_ms.duration());
        if let Some(Host::Domain(name)) = document.host() {
            let port = document.port_or_known_default().unwrap_or(443);
            let found = tokio::net::lookup_host((name, port)).await.map_err(|error| error.to_string())?;
            builder = builder.resolve_to_addrs(name, &found.collect::<Vec<SocketAddr>>());
        }
        let client = builder.build().map_err(|error| describe(&error))?;
        Ok(Self { document, client })
    }

    pub(super) fn document(&self) -> &Url {
        &self.document
    }

    /// The address of plain segments below the directory of the document.
    pub(super) fn relative(&self, segments: &[String]) -> Url {
        let mut url = self.document.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend(segments);
        }
        url
    }

    /// The body at an address of this host.
    pub(super) async fn get(&self, url: &Url, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        // Whoever made the address has checked this; a mistake there must not open a connection.
        if url.origin() != self.document.origin() {
            return Err(FetchError::Connection("the address is not at the upstream".to_owned()));
        }
        let failed = |error: reqwest::Error| FetchError::Connection(describe(&error.without_url()));
        let response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        if let Some(coding) = response.headers().get(CONTENT_ENCODING).filter(|coding| *coding != "identity")
        {
            return Err(FetchError::Encoding(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
        }
        let too_long = FetchError::TooLong { limit_bytes: max_bytes };
        let announced = response.content_length().unwrap_or(0);
        if announced > max_bytes {
            return Err(too_long);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(announced.min(FIRST_BYTES)).unwrap_or(0));
        let mut body = response.bytes_stream();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(failed)?;
            if (bytes.len() + piece.len()) as u64 > max_bytes {
                return Err(too_long);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// What reqwest says in several layers, in one line.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
