//! An upstream: a directory, or a place in the web. Both give the document and the files it names, within limits.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use phasic_hub_api::RegistryError;
use url::Url;

use super::location::Location;
use super::web::Web;
use crate::{config, fetch};

/// Name of the document within an upstream.
const DOCUMENT: &str = "registry.json";

/// A place to mirror from.
pub enum Upstream {
    /// A directory of this machine, as a git checkout is.
    Directory {
        /// The directory, without symbolic links.
        root: PathBuf,
        /// Name of the document in it.
        document: PathBuf,
    },
    /// A web server.
    Web(Web),
}

/// What the operator gave is no upstream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// A URL that is not for us.
    #[error("{0:?} is not an http:// or https:// URL without user and password")]
    Url(String),
    /// A path that leads nowhere.
    #[error("{} cannot be mirrored: {source}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host name has no address, or the client cannot be made.
    #[error("{host} cannot be reached: {reason}")]
    Host {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// From the web.
    #[error(transparent)]
    Web(#[from] fetch::FetchError),
    /// A file of a directory is longer than wanted.
    #[error("there are more than {limit_bytes} bytes")]
    TooLong {
        /// What was wanted.
        limit_bytes: u64,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link leads out of the directory.
    #[error("{} leads out of the mirrored directory", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
    },
}

impl FetchError {
    /// The limit that was passed, if that is what happened.
    pub(super) fn passed_bytes(&self) -> Option<u64> {
        match self {
            Self::TooLong { limit_bytes } | Self::Web(fetch::FetchError::TooLong { limit_bytes }) => {
                Some(*limit_bytes)
            }
            _ => None,
        }
    }

    /// Whether the way led to a place that is not fetched from.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Web(fetch::FetchError::Refused(_)))
    }

    pub(super) fn into_too_large(self) -> Result<RegistryError, Self> {
        let Some(limit_bytes) = self.passed_bytes() else { return Err(self) };
        let limit_bytes = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
        Ok(RegistryError::TooLarge { size_bytes: limit_bytes.saturating_add(1), limit_bytes })
    }
}

impl Upstream {
    /// Reads what the operator gave: an http(s) URL of a document (`….json`) or of what it lies in, a directory, or
    /// the path of a document. A host name is looked up here, once: all of a pass talks to these addresses.
    ///
    /// # Errors
    /// When it is none of these, or the host has no address.
    pub async fn open(from: &str, limits: &config::Mirror) -> Result<Self, UpstreamError> {
        match Url::parse(from) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::web(from, url, limits).await,
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| UpstreamError::Url(from.to_owned()))?;
                Self::directory(&path)
            }
            _ if from.contains("://") => Err(UpstreamError::Url(from.to_owned())),
            _ => Self::directory(Path::new(from)),
        }
    }

    async fn web(from: &str, mut url: Url, limits: &config::Mirror) -> Result<Self, UpstreamError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UpstreamError::Url("a URL with user or password".to_owned()));
        }
        let is_document = Path::new(url.path()).extension().is_some_and(|extension| extension == "json");
        if !is_document {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{DOCUMENT}"));
        }
        let Some(host) = url.host_str().map(str::to_owned) else {
            return Err(UpstreamError::Url(from.to_owned()));
        };
        Web::open(url, limits).await.map(Self::Web).map_err(|reason| UpstreamError::Host { host, reason })
    }

    fn directory(path: &Path) -> Result<Self, UpstreamError> {
        let unusable = |source| UpstreamError::Directory { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(unusable)?;
        if path.is_dir() {
            return Ok(Self::Directory { document: DOCUMENT.into(), root: path });
        }
        match (path.parent(), path.file_name()) {
            (Some(root), Some(name)) => Ok(Self::Directory { root: root.to_owned(), document: name.into() }),
            _ => Err(unusable(io::Error::from(io::ErrorKind::NotFound))),
        }
    }

    /// The address of the document, for upstreams that have one.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Directory { .. } => None,
            Self::Web(web) => Some(web.document()),
        }
    }

    /// The registry document, at most `max_bytes` of it.
    ///
    /// # Errors
    /// When it cannot be had or is longer.
    pub async fn document(&self, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::Directory { root, document } => read_file(root, root.join(document), max_bytes).await,
            Self::Web(web) => Ok(web.get(web.document(), max_bytes).await?),
        }
    }

    /// The file at a location, at most `max_bytes` of it.
    ///
    /// # Errors
    /// When it cannot be had or is longer.
    pub async fn file(&self, location: &Location, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        match (self, location) {
            (Self::Directory { root, .. }, Location::Relative(segments)) => {
                read_file(
                    root,
                    segments.iter().fold(root.clone(), |path, segment| path.join(segment)),
                    max_bytes,
                )
                .await
            }
            (Self::Directory { root, .. }, Location::SameOrigin(_)) => {
                Err(FetchError::Outside { path: root.clone() })
            }
            (Self::Web(web), Location::Relative(segments)) => {
                Ok(web.get(&web.relative(segments), max_bytes).await?)
            }
            (Self::Web(web), Location::SameOrigin(url)) => Ok(web.get(url, max_bytes).await?),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { root, document } => root.join(document).display().fmt(out),
            Self::Web(web) => web.document().fmt(out),
        }
    }
}

async fn read_file(root: &Path, path: PathBuf, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let root = root.to_owned();
    let failed = path.clone();
    let work = move || {
        let file_error = |source| FetchError::File { path: path.clone(), source };
        let real = path.canonicalize().map_err(file_error)?;
        if !real.starts_with(&root) {
            return Err(FetchError::Outside { path });
        }
        // Before opening too: to open a pipe is to wait for somebody who writes to it.
        if !real.metadata().map_err(file_error)?.is_file() {
            return Err(file_error(io::Error::other("it is not a file")));
        }
        let file = File::open(&real).map_err(file_error)?;
        if !file.metadata().map_err(file_error)?.is_file() {
            return Err(file_error(io::Error::other("it is not a file")));
        }
        let mut bytes = Vec::new();
        file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(file_error)?;
        if bytes.len() as u64 > max_bytes {
            return Err(FetchError::TooLong { limit_bytes: max_bytes });
        }
        Ok(bytes)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(FetchError::File { path: failed, source: io::Error::other(stopped) }),
    }
}
