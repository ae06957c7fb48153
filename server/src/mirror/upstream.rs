//! An upstream: a directory, or a place in the web. Both give the document and the files it names, within limits.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use phasic_hub_api::{RegistryError, Sha256};
use url::Url;

use super::budget::Requests;
use super::location::Location;
use super::web::Web;
use crate::bundle::{Bundle, BundleError};
use crate::config::{self, UpstreamToken};
use crate::fetch::{self, FailureClass};
use crate::store::{StoreError, Validators};

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
    /// A bundle on this machine.
    Bundle(Bundle),
    /// A web server.
    Web {
        /// How to speak to it.
        web: Web,
        /// How often.
        requests: Arc<Requests>,
    },
}

/// A document that was asked for on condition that it has changed.
pub enum Fetched {
    /// It has not.
    Unmodified,
    /// It has, to these bytes; and what to send the next time.
    Changed(Vec<u8>, Validators),
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
    /// A file that begins as a bundle and is none.
    #[error(transparent)]
    Bundle(#[from] BundleError),
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
    Web(fetch::FetchError),
    /// Our own count of requests says: not now.
    #[error("the {per_hour} requests of this hour are used up")]
    Spent {
        /// Requests of an hour.
        per_hour: u32,
        /// Seconds until there is another one.
        seconds: f64,
    },
    /// The count of requests could not be kept.
    #[error("the requests cannot be counted: {0}")]
    Uncounted(StoreError),
    /// The answer to the question for a commit has none. The digest is that of the answer.
    #[error("the answer of commit_url names no commit (its SHA-256 is {0})")]
    NoCommit(Sha256),
    /// The server says that nothing has changed since a commit this hub has forgotten.
    #[error("the answer of commit_url is that nothing has changed, which this hub has not asked")]
    NoChange,
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

impl From<fetch::FetchError> for FetchError {
    fn from(error: fetch::FetchError) -> Self {
        match error {
            // What our own count has said comes back as it was.
            fetch::FetchError::Unpaid(reason) => match reason.downcast() {
                Ok(ours) => *ours,
                Err(reason) => Self::Web(fetch::FetchError::Unpaid(reason)),
            },
            error => Self::Web(error),
        }
    }
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

    /// Whether it says: not now.
    pub(super) fn is_later(&self) -> bool {
        match self {
            Self::Spent { .. } => true,
            Self::Web(error) => match error.class() {
                FailureClass::TooMany => true,
                FailureClass::TryLater => error.retry_after().is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    /// In how many seconds, where that is known.
    pub(super) fn wait_seconds(&self) -> Option<f64> {
        match self {
            Self::Spent { seconds, .. } => Some(*seconds),
            Self::Web(error) => error.retry_after().map(|wait| wait.as_secs_f64()),
            _ => None,
        }
    }

    /// Whether there was nobody to answer.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Web(error) if error.class() == FailureClass::Transfer)
    }

    /// Whether the upstream, or the way there, is in trouble, or wants nothing of us: the next file will fare no better.
    pub(super) fn is_trouble(&self) -> bool {
        use FailureClass::{Forbidden, Server, Transfer, TryLater};
        matches!(self, Self::Web(error) if matches!(error.class(), Transfer | Server | Forbidden | TryLater))
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

/// What an operator's words point to.
enum Place {
    Path(PathBuf),
    /// The document.
    Web(Url),
}

impl Place {
    fn read(from: &str) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Url(from.to_owned());
        match Url::parse(from) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::web(url),
            Ok(url) if url.scheme() == "file" => Ok(Self::Path(url.to_file_path().map_err(|()| wrong())?)),
            _ if from.contains("://") => Err(wrong()),
            _ => Ok(Self::Path(from.into())),
        }
    }

    fn web(mut url: Url) -> Result<Self, UpstreamError> {
        if !url.username().is_empty() || url.password().is_some() || url.host_str().is_none() {
            return Err(UpstreamError::Url("a URL with user or password, or without a host".to_owned()));
        }
        let is_document = Path::new(url.path()).extension().is_some_and(|extension| extension == "json");
        if !is_document {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{DOCUMENT}"));
        }
        Ok(Self::Web(url))
    }
}

impl Upstream {
    /// Opens what the operator gave: an http(s) URL of a document (`….json`) or of what it lies in, a directory, or the
    /// path of a document or bundle. A host name is looked up here, once: all of a pass talks to these addresses.
    ///
    /// # Errors
    /// When it is none of these, or the host has no address.
    pub async fn open(
        from: &str,
        token: Option<&UpstreamToken>,
        limits: &config::Mirror,
        requests: Arc<Requests>,
    ) -> Result<Self, UpstreamError> {
        let url = match Place::read(from)? {
            Place::Path(path) => return Self::directory(&path),
            Place::Web(url) => url,
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let web = Web::open(url, limits, token, Arc::clone(&requests)).await;
        let web = web.map_err(|reason| UpstreamError::Host { host, reason })?;
        Ok(Self::Web { web, requests })
    }

    /// What the operator gave in the one form in which an upstream is recorded. Opens no connection.
    ///
    /// # Errors
    /// When it is no upstream.
    pub fn address(from: &str) -> Result<String, UpstreamError> {
        match Place::read(from)? {
            Place::Path(path) => Ok(Self::directory(&path)?.to_string()),
            Place::Web(url) => Ok(url.to_string()),
        }
    }

    fn directory(path: &Path) -> Result<Self, UpstreamError> {
        let unusable = |source| UpstreamError::Directory { path: path.to_owned(), source };
        let path = match (path.canonicalize(), path.parent(), path.file_name()) {
            (Ok(path), ..) => path,
            // A document that is not there now: the place is known, and a pass over it fails.
            (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                let root = parent.canonicalize().map_err(|_| unusable(error))?;
                return Ok(Self::Directory { root, document: name.into() });
            }
            (Err(error), ..) => return Err(unusable(error)),
        };
        if path.is_dir() {
            return Ok(Self::Directory { document: DOCUMENT.into(), root: path });
        }
        if Bundle::is_one(&path) {
            return Ok(Self::Bundle(Bundle::open(&path)?));
        }
        match (path.parent(), path.file_name()) {
            (Some(root), Some(name)) => Ok(Self::Directory { root: root.to_owned(), document: name.into() }),
            _ => Err(unusable(io::Error::from(io::ErrorKind::NotFound))),
        }
    }

    /// The address of the document, for upstreams that have one.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Directory { .. } | Self::Bundle(_) => None,
            Self::Web { web, .. } => Some(web.document()),
        }
    }

    /// The registry document, at most `max_bytes` of it, if it has changed since `known` was told. Without that, and in
    /// a directory, it is always read.
    ///
    /// # Errors
    /// When it cannot be had or is longer.
    pub async fn document(&self, max_bytes: u64, known: &Validators) -> Result<Fetched, FetchError> {
        match self {
            Self::Directory { root, document } => {
                let bytes = read_file(root, root.join(document), max_bytes).await?;
                Ok(Fetched::Changed(bytes, Validators::default()))
            }
            Self::Bundle(bundle) => {
                let bytes = read_bundle(bundle, move |bundle| bundle.document(max_bytes), max_bytes).await?;
                Ok(Fetched::Changed(bytes, Validators::default()))
            }
            Self::Web { web, .. } => Ok(web.get_if_changed(web.document(), max_bytes, known).await?),
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
            (Self::Bundle(bundle), Location::Relative(segments)) => {
                let name = match segments.as_slice() {
                    [directory, name] if directory == "blobs" => name.parse::<Sha256>().ok(),
                    _ => None,
                };
                let outside = || FetchError::Outside { path: bundle.path().to_owned() };
                let name = name.ok_or_else(outside)?;
                read_bundle(bundle, move |bundle| bundle.blob(name, max_bytes), max_bytes).await
            }
            (Self::Directory { root: path, .. }, Location::SameOrigin(_)) => {
                Err(FetchError::Outside { path: path.clone() })
            }
            (Self::Bundle(bundle), Location::SameOrigin(_)) => {
                Err(FetchError::Outside { path: bundle.path().to_owned() })
            }
            (Self::Web { web, requests }, Location::Relative(segments)) => {
                requests.expect_more();
                Ok(web.get(&web.relative(segments), max_bytes).await?)
            }
            (Self::Web { web, requests }, Location::SameOrigin(url)) => {
                requests.expect_more();
                Ok(web.get(url, max_bytes).await?)
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { root, document } => root.join(document).display().fmt(out),
            Self::Bundle(bundle) => bundle.path().display().fmt(out),
            Self::Web { web, .. } => web.document().fmt(out),
        }
    }
}

/// Reads a member of a bundle; `None` of the reading is that it is longer than wanted.
async fn read_bundle(
    bundle: &Bundle,
    read: impl FnOnce(&Bundle) -> io::Result<Option<Vec<u8>>> + Send + 'static,
    limit_bytes: u64,
) -> Result<Vec<u8>, FetchError> {
    let (bundle, path) = (bundle.clone(), bundle.path().to_owned());
    let failed = |source| FetchError::File { path, source };
    match tokio::task::spawn_blocking(move || read(&bundle)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(FetchError::TooLong { limit_bytes }),
        Ok(Err(error)) => Err(failed(error)),
        Err(stopped) => Err(failed(io::Error::other(stopped))),
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
