//! Fetching over HTTP from a place somebody has named, without being led anywhere else.
//!
//! [`guard`] says where a fetch may go, [`resolver`] sees to it that the checked address is the dialled one, and
//! `transfer` how much may come and how slowly. Redirects are followed here, one by one, each checked; proxies of the
//! environment are not used, because they would let somebody else choose where we connect to. What is fetched, and what
//! it means, is not known here.

pub mod address;
mod failure;
pub mod guard;
pub mod resolver;
mod transfer;

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::{Client, Response, StatusCode, redirect};
use url::{Host, Url};

pub use failure::{FailureClass, FetchError, LONGEST_WAIT};
pub use guard::{Guard, Refusal};

use resolver::{GuardedResolver, Home, Lookup, ResolveError, SystemLookup};
use transfer::{Stop, Transfer};

/// Redirects that are followed, one after another.
const MOST_HOPS: usize = 3;

/// How often a transfer that broke off is gone on with.
const MOST_RESUMPTIONS: usize = 3;

/// How long a connection is kept for the next request.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Limits of a fetcher.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a server may send nothing, and how long it may take to send the head of an answer.
    pub idle_timeout: Duration,
    /// How long one file may take altogether.
    pub file_timeout: Duration,
    /// Bytes that must come in each second on average, judged over each [`Limits::rate_window`]. 0: any speed.
    pub min_bytes_per_second: u64,
    /// The time over which speed is judged.
    pub rate_window: Duration,
    /// Requests of the fetcher while it lives, redirects and resumptions included.
    pub max_requests: u64,
}

/// Who is asked before each request that is sent, redirects and resumptions included.
pub trait Toll: Send + Sync {
    /// One more request is about to be sent.
    ///
    /// # Errors
    /// Why it must not be.
    fn pay(&self) -> BoxFuture<'_, Result<(), Unpaid>>;
}

/// Why a [`Toll`] keeps a request from being sent.
pub type Unpaid = Box<dyn std::error::Error + Send + Sync>;

/// Fetches from one place.
pub struct Fetcher {
    client: Client,
    guard: Guard,
    limits: Limits,
    requests: AtomicU64,
    authorization: Option<HeaderValue>,
    toll: Option<Arc<dyn Toll>>,
}

/// A file that has arrived.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// For asking again.
    pub validators: Validators,
    /// Where it was found, behind all redirects.
    pub url: Url,
}

/// What a server said about the version of a file; goes back to it with the next question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Fetcher {
    /// A fetcher around the place the operator has named, an http or https URL with a host. Its name is looked up once,
    /// here, so that its addresses cannot change while the fetcher lives.
    ///
    /// # Errors
    /// When the name has no address, or the client cannot be made. The text says which.
    pub async fn open(home: Url, limits: Limits) -> Result<Self, String> {
        Self::open_with(home, limits, Arc::new(SystemLookup)).await
    }

    /// The same, with names looked up by `lookup`.
    ///
    /// # Errors
    /// As [`Fetcher::open`].
    pub async fn open_with(home: Url, limits: Limits, lookup: Arc<dyn Lookup>) -> Result<Self, String> {
        // Already installed by an earlier one is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let named = match home.host() {
            Some(Host::Domain(name)) => {
                Some(look_up(name, &limits, &*lookup).await.map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let mut builder = Client::builder()
            .user_agent(concat!("phasic-hub/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Shorter than servers wait before they close: a request sent on a connection that is closing is lost.
            .pool_idle_timeout(IDLE_CONNECTION)
            .connect_timeout(limits.connect_timeout)
            .dns_resolver(Arc::new(GuardedResolver::new(named, lookup)));
        if home.scheme() == "http" {
            // No way leads from here to HTTPS, and a bare container without root certificates must do.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| describe(&error))?;
        let (guard, requests) = (Guard::new(home), AtomicU64::new(0));
        Ok(Self { client, guard, limits, requests, authorization: None, toll: None })
    }

    /// The same fetcher, asking before each request it sends.
    #[must_use]
    pub fn with_toll(self, toll: Arc<dyn Toll>) -> Self {
        Self { toll: Some(toll), ..self }
    }

    /// The same fetcher, showing this value of `Authorization` to the named place, and to no other a redirect leads to.
    ///
    /// # Errors
    /// When it is no header value.
    pub fn with_authorization(self, value: &str) -> Result<Self, String> {
        let mut value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(Self { authorization: Some(value), ..self })
    }

    /// The place the operator has named.
    pub fn home(&self) -> &Url {
        self.guard.home()
    }

    /// Requests made so far, redirects and resumptions included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The file at `url`, which must be at the named place; at most `max_bytes` of it.
    ///
    /// Redirects are followed where the [`Guard`] lets them lead. A transfer that breaks off is gone on with, where the
    /// server has named a version and sends ranges of it.
    ///
    /// # Errors
    /// Says what kind of failure it was, and how long the server wants to be left alone.
    pub async fn get(&self, url: &Url, max_bytes: u64) -> Result<Fetched, FetchError> {
        self.in_time(url, max_bytes, None).await?.ok_or_else(FetchError::unchanged)
    }

    /// The same, if it is another version than the one that is `known`. `None`: it is still that one.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn get_if_changed(
        &self,
        url: &Url,
        max_bytes: u64,
        known: &Validators,
    ) -> Result<Option<Fetched>, FetchError> {
        self.in_time(url, max_bytes, Some(known)).await
    }

    async fn in_time(
        &self,
        url: &Url,
        max_bytes: u64,
        known: Option<&Validators>,
    ) -> Result<Option<Fetched>, FetchError> {
        let deadline = self.limits.file_timeout;
        let fetching = tokio::time::timeout(deadline, self.fetch(url, max_bytes, known));
        fetching.await.unwrap_or(Err(FetchError::Deadline(deadline)))
    }

    async fn fetch(
        &self,
        url: &Url,
        max_bytes: u64,
        known: Option<&Validators>,
    ) -> Result<Option<Fetched>, FetchError> {
        self.guard.begin(url)?;
        let mut transfer = Transfer::new(&self.limits, max_bytes);
        let (mut response, mut place) = self.ask(url, known.map(conditions).unwrap_or_default()).await?;
        match response.status() {
            StatusCode::OK => transfer.begin(response.headers()),
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(None),
            _ => return Err(FetchError::of(&response)),
        }
        let mut validators = Validators::of(response.headers());
        for left in (0..=MOST_RESUMPTIONS).rev() {
            let broken = match transfer.read(response).await {
                Ok(()) => break,
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Broken(error)) => error,
            };
            let rest = transfer.rest().filter(|_| left > 0);
            let Some(rest) = rest else { return Err(broken) };
            (response, place) = self.ask(url, rest.into_iter().collect()).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT if transfer.continues(&response) => {}
                StatusCode::OK => {
                    transfer.begin(response.headers());
                    validators = Validators::of(response.headers());
                }
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => return Err(broken),
                _ => return Err(FetchError::of(&response)),
            }
        }
        Ok(Some(Fetched { bytes: transfer.into_bytes(), validators, url: place }))
    }

    /// The first answer that is no redirect, and where it came from.
    async fn ask(&self, url: &Url, headers: HeaderMap) -> Result<(Response, Url), FetchError> {
        let mut place = url.clone();
        for _ in 0..=MOST_HOPS {
            let response = self.send(&place, headers.clone()).await?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location else { return Ok((response, place)) };
            let text =
                location.to_str().map_err(|_| Refusal::Url("a Location that is not text".to_owned()))?;
            place = self.guard.follow(&place, text)?;
        }
        Err(Refusal::Hops(MOST_HOPS).into())
    }

    async fn send(&self, url: &Url, headers: HeaderMap) -> Result<Response, FetchError> {
        let counted = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < self.limits.max_requests).then_some(count + 1)
        });
        counted.map_err(FetchError::Budget)?;
        if let Some(toll) = &self.toll {
            toll.pay().await.map_err(FetchError::Unpaid)?;
        }
        let mut request = self.client.get(url.clone()).headers(headers);
        if let Some(authorization) = &self.authorization
            && url.origin() == self.home().origin()
        {
            request = request.header(AUTHORIZATION, authorization);
        }
        // Intermediaries are asked, too, to leave the bytes as they were hashed.
        let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match tokio::time::timeout(self.limits.idle_timeout, request.send()).await {
            Ok(answer) => answer.map_err(|error| failed(&error.without_url())),
            Err(_) => Err(FetchError::Silent(self.limits.idle_timeout)),
        }
    }
}

async fn look_up(name: &str, limits: &Limits, lookup: &dyn Lookup) -> io::Result<Home> {
    let addresses = tokio::time::timeout(limits.connect_timeout, lookup.look_up(name)).await??;
    if addresses.is_empty() {
        return Err(io::Error::other("the name has no address"));
    }
    Ok(Home { name: name.to_owned(), addresses })
}

fn conditions(known: &Validators) -> HeaderMap {
    let fields = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
    let field =
        |(name, text): (_, &Option<String>)| Some((name, HeaderValue::from_str(text.as_deref()?).ok()?));
    fields.into_iter().filter_map(field).collect()
}

impl Validators {
    /// Longer ones are not kept.
    const MAX_BYTES: usize = 1024;

    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let text = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
            text.filter(|text| text.len() <= Self::MAX_BYTES).map(str::to_owned)
        };
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }
}

/// A request that got no answer: refused by our own resolver, or a failure of the connection.
fn failed(error: &reqwest::Error) -> FetchError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(ResolveError::Refused(refusal)) = cause.downcast_ref() {
            return refusal.clone().into();
        }
        source = cause.source();
    }
    FetchError::Connection(describe(error))
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
