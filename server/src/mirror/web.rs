//! A registry on a web server: its addresses, and how patiently they are fetched.
//!
//! Where a fetch may lead, and what is done about broken transfers, is [`crate::fetch`]'s.

use url::Url;

use crate::config;
use crate::fetch::{FetchError, Fetcher, Limits};

/// A registry on a web server.
pub struct Web {
    fetcher: Fetcher,
}

impl Web {
    pub(super) async fn open(document: Url, limits: &config::Mirror) -> Result<Self, String> {
        let limits = Limits {
            connect_timeout: limits.connect_timeout_ms.duration(),
            idle_timeout: limits.idle_timeout_ms.duration(),
            file_timeout: limits.file_timeout_ms.duration(),
            min_bytes_per_second: limits.min_bytes_per_second.get(),
            rate_window: limits.rate_window_ms.duration(),
            max_requests: u64::MAX,
        };
        Ok(Self { fetcher: Fetcher::open(document, limits).await? })
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
}
