//! A registry on a web server: its addresses, and how patiently they are fetched.
//!
//! Where a fetch may lead, and what is done about broken transfers, is [`crate::fetch`]'s.

use std::sync::Arc;

use url::Url;

use super::budget::Requests;
use super::upstream::Fetched;
use crate::config::{self, UpstreamToken};
use crate::fetch::{self, FetchError, Fetcher, Limits};
use crate::store::Validators;

/// A registry on a web server.
pub struct Web {
    fetcher: Fetcher,
}

impl Web {
    pub(super) async fn open(
        document: Url,
        limits: &config::Mirror,
        token: Option<&UpstreamToken>,
        requests: Arc<Requests>,
    ) -> Result<Self, String> {
        let limits = Limits {
            connect_timeout: limits.connect_timeout_ms.duration(),
            idle_timeout: limits.idle_timeout_ms.duration(),
            file_timeout: limits.file_timeout_ms.duration(),
            min_bytes_per_second: limits.min_bytes_per_second.get(),
            rate_window: limits.rate_window_ms.duration(),
            max_requests: u64::MAX,
        };
        let fetcher = Fetcher::open(document, limits).await?.with_toll(requests);
        Ok(Self {
            fetcher: match token {
                Some(token) => fetcher.with_authorization(&token.bearer())?,
                None => fetcher,
            },
        })
    }

    pub(super) fn document(&self) -> &Url {
        self.fetcher.home()
    }

    /// The address of plain segments below the directory of the document.
    pub(super) fn relative(&self, segments: &[String]) -> Url {
        let mut url = self.document().clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend(segments);
        }
        url
    }

    /// The body at an address of this host.
    pub(super) async fn get(&self, url: &Url, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        Ok(self.fetcher.get(url, max_bytes).await?.bytes)
    }

    /// The same, if it has changed since `known` was told. Without anything known it has.
    pub(super) async fn get_if_changed(
        &self,
        url: &Url,
        max_bytes: u64,
        known: &Validators,
    ) -> Result<Fetched, FetchError> {
        let found = if *known == Validators::default() {
            Some(self.fetcher.get(url, max_bytes).await?)
        } else {
            let Validators { etag, last_modified } = known.clone();
            self.fetcher.get_if_changed(url, max_bytes, &fetch::Validators { etag, last_modified }).await?
        };
        Ok(found.map_or(Fetched::Unmodified, |found| {
            let fetch::Validators { etag, last_modified } = found.validators;
            Fetched::Changed(found.bytes, Validators { etag, last_modified })
        }))
    }
}
