//! The connection to a hub: what it lists, what it says about one compute, and pulling an artifact.
//!
//! Requests and answers live here. Where files lie is the cache's business, whether bytes may be used the
//! verification's.

mod connect;
mod error;
mod fetch;
mod pull;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use phasic_engine::trace::Limits;
use phasic_hub_api::{
    ComputeFilter, ComputeId, EntryFault, GraphHash, ReadLimits, RegistryDocument, RegistryEntry, Search,
};
use reqwest::Url;
use reqwest::header::HeaderMap;

pub use error::HubError;
pub use pull::{PullError, PullEvent, PullOptions, Pulled};
pub use retry::RetryPolicy;

use crate::cache::{ArtifactCache, CacheError};

/// A connection to one hub, or to anything that serves a registry document the way hubs and phasic's own registry do.
///
/// Cheap to clone; clones share connections. The futures need a Tokio runtime with its timer. Code without one uses
/// [`crate::blocking::HubClient`].
#[derive(Clone, Debug)]
pub struct HubClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    index: Url,
    token: HeaderMap,
    retry: RetryPolicy,
    cache: Option<ArtifactCache>,
    registry_limits: ReadLimits,
    verification_limits: Limits,
    artifact_limit_bytes: u64,
}

/// Settings of a [`HubClient`]; made by [`HubClient::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HubClientBuilder {
    address: String,
    token: Option<Token>,
    retry: RetryPolicy,
    cache: Option<ArtifactCache>,
    timeouts: connect::Timeouts,
    verification_limits: Limits,
    artifact_limit_bytes: u64,
}

/// A secret, which `Debug` must not show.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

/// What to list; nothing given lists every compute that is not retracted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only this domain, compared as it stands.
    pub domain: Option<String>,
    /// Only this model type, compared as it stands.
    pub model_type: Option<String>,
    /// Only computes that have all of these tags.
    pub tags: Vec<String>,
    /// Only computes with this text in their id, description or tags; letter case does not matter.
    pub search: Option<String>,
}

/// One compute of a hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Compute {
    /// Its id.
    pub id: ComputeId,
    /// What the registry says about it.
    pub entry: RegistryEntry,
}

/// A hub's registry as it was at one moment.
#[derive(Clone, Debug)]
pub struct Registry {
    document: RegistryDocument,
    faults: Vec<(EntryFault, Option<GraphHash>)>,
}

impl HubClientBuilder {
    /// Sends this token to the hub, and to nobody else.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token(token.into()));
        self
    }

    /// Uses this cache instead of the one phasic would use.
    pub fn cache(mut self, cache: ArtifactCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Repeats failed requests by this policy instead of the default one.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How much an elimination may use while a pulled program is made anew for comparison. A program that would need more
    /// is not installed, see [`crate::verification::verify`].
    pub fn verification_limits(mut self, limits: Limits) -> Self {
        self.verification_limits = limits;
        self
    }

    /// The largest artifact to fetch, in bytes (4 GiB unless given). A pull holds the whole file in memory.
    pub fn artifact_limit_bytes(mut self, limit_bytes: u64) -> Self {
        self.artifact_limit_bytes = limit_bytes;
        self
    }

    /// How long to wait for a connection (10 s unless given).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// The longest silence in the middle of an answer (30 s unless given).
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = timeout;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HubError::Address`], [`HubError::Token`], or [`HubError::Setup`] when TLS cannot be set up.
    pub fn build(self) -> Result<HubClient, HubError> {
        let index = connect::index_url(&self.address)?;
        let inner = Inner {
            http: connect::client(&index, self.timeouts)?,
            index,
            token: self
                .token
                .map_or_else(|| Ok(HeaderMap::new()), |token| connect::authorization(&token.0))?,
            retry: self.retry,
            cache: self.cache,
            registry_limits: ReadLimits::default(),
            verification_limits: self.verification_limits,
            artifact_limit_bytes: self.artifact_limit_bytes,
        };
        Ok(HubClient { inner: Arc::new(inner) })
    }
}

impl HubClient {
    /// A client for the hub at `address`, such as `http://127.0.0.1:8787`, with default settings. An address that
    /// names a `.json` document is taken as that of the registry document itself.
    ///
    /// # Errors
    /// As [`HubClientBuilder::build`].
    pub fn new(address: impl Into<String>) -> Result<Self, HubError> {
        Self::builder(address).build()
    }

    /// Settings for a client of the hub at `address`.
    pub fn builder(address: impl Into<String>) -> HubClientBuilder {
        HubClientBuilder {
            address: address.into(),
            token: None,
            retry: RetryPolicy::default(),
            cache: None,
            timeouts: connect::Timeouts::default(),
            verification_limits: Limits::default(),
            artifact_limit_bytes: 4 << 30,
        }
    }

    /// The address of the hub's registry document.
    pub fn registry_url(&self) -> &str {
        self.inner.index.as_str()
    }

    /// The cache that [`pull`](Self::pull) installs into.
    ///
    /// # Errors
    /// [`CacheError::NoHome`] when none was given and none can be found.
    pub fn cache(&self) -> Result<ArtifactCache, CacheError> {
        self.inner.cache.clone().map_or_else(ArtifactCache::from_environment, Ok)
    }

    /// Fetches the registry. One request; the document is read strictly and may have at most 64 MiB.
    ///
    /// # Errors
    /// Any [`HubError`].
    pub async fn registry(&self) -> Result<Registry, HubError> {
        let limit_bytes = self.inner.registry_limits.document_bytes as u64;
        let bytes = self.fetch(&self.inner.index, limit_bytes, |_| ()).await?;
        Registry::read(&bytes, &self.inner.registry_limits)
            .map_err(|source| HubError::Index { url: self.inner.index.to_string(), source })
    }

    /// The computes a filter selects, in the registry's order, retracted ones never. One request.
    ///
    /// # Errors
    /// Any [`HubError`].
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<Compute>, HubError> {
        Ok(self.registry().await?.list(filter))
    }

    /// The compute with this id, or the one a pull would take for this graph hash; `None` when the hub has none.
    /// A compute named by its id may be retracted. One request.
    ///
    /// # Errors
    /// Any [`HubError`].
    pub async fn show(&self, id_or_hash: &str) -> Result<Option<Compute>, HubError> {
        Ok(self.registry().await?.find(id_or_hash))
    }

    /// Fetches `url` with retries; the token goes to the hub's own origin only.
    async fn fetch(
        &self,
        url: &Url,
        limit_bytes: u64,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Vec<u8>, HubError> {
        let Inner { http, index, token, retry, .. } = &*self.inner;
        let nothing = HeaderMap::new();
        let headers = if url.origin() == index.origin() { token } else { &nothing };
        let mut tries = 0;
        loop {
            let error = match fetch::get(http, url, headers, limit_bytes, &mut progress).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            tries += 1;
            match retry.delay(tries, &error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error.after_tries(tries)),
            }
        }
    }
}

impl Registry {
    fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Self, phasic_hub_api::RegistryError> {
        let (document, faults) = RegistryDocument::read(bytes, limits)?.into_document();
        let faults = with_hashes(faults, bytes);
        Ok(Self { document, faults })
    }

    /// The document, without the entries that cannot be used.
    pub fn document(&self) -> &RegistryDocument {
        &self.document
    }

    /// The entries that cannot be used, and why.
    pub fn faults(&self) -> impl ExactSizeIterator<Item = &EntryFault> {
        self.faults.iter().map(|(fault, _)| fault)
    }

    /// The computes a filter selects, in order, retracted ones never.
    pub fn list(&self, filter: &ListFilter) -> Vec<Compute> {
        let fields = ComputeFilter {
            domain: filter.domain.clone(),
            model_type: filter.model_type.clone(),
            tags: filter.tags.clone(),
        };
        let wanted = filter.search.as_deref().map(Search::new);
        self.document
            .list(&fields)
            .filter(|(id, entry)| wanted.as_ref().is_none_or(|wanted| mentions(id, entry, wanted)))
            .map(|(id, entry)| Compute { id: id.clone(), entry: entry.clone() })
            .collect()
    }

    /// The compute with this id, else the one a pull would take for this graph hash.
    pub fn find(&self, id_or_hash: &str) -> Option<Compute> {
        let by_id = || {
            let id = id_or_hash.parse().ok()?;
            Some(Compute { id, entry: self.document.get(id_or_hash)?.clone() })
        };
        let by_hash = || {
            let (id, entry) = self.document.find_by_hash(id_or_hash.parse().ok()?)?;
            Some(Compute { id: id.clone(), entry: entry.clone() })
        };
        by_id().or_else(by_hash)
    }

    /// The fault of an entry that claims this graph hash, when no usable entry has it.
    fn fault_for(&self, hash: GraphHash) -> Option<&EntryFault> {
        self.faults.iter().find(|(_, claimed)| *claimed == Some(hash)).map(|(fault, _)| fault)
    }
}

fn mentions(id: &ComputeId, entry: &RegistryEntry, search: &Search) -> bool {
    let metadata = &entry.metadata;
    let tags = metadata.tags.iter().map(String::as_str);
    search.finds([id.as_str()].into_iter().chain(metadata.description.as_deref()).chain(tags))
}

/// Finds which graph each unusable entry claims to be for, so that pulling that graph can say what is wrong instead
/// of calling it unregistered.
fn with_hashes(faults: Vec<EntryFault>, document: &[u8]) -> Vec<(EntryFault, Option<GraphHash>)> {
    // Usually there is no fault and nothing is parsed a second time.
    let Some(_) = faults.first() else { return Vec::new() };
    let parsed: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let claimed = |fault: &EntryFault| {
        parsed.get("computes")?.get(&fault.id)?.get("graph_hash")?.as_str()?.parse().ok()
    };
    faults
        .into_iter()
        .map(|fault| {
            let hash = claimed(&fault);
            (fault, hash)
        })
        .collect()
}
