//! The SDK for programs without an async runtime: the same calls, each of which waits for its result.
//!
//! A thin wrapper that brings its own runtime; everything that happens, happens in `hub`.

use phasic_engine::graph::Graph;

use crate::hub::{self, Compute, HubError, ListFilter, PullError, PullOptions, Pulled, Registry};

/// [`hub::HubClient`] for programs without an async runtime.
///
/// Must not be used inside one: the calls would block it, and Tokio panics rather than allow that.
///
/// ```no_run
/// use phasic_hub_client::blocking::HubClient;
/// use phasic_hub_client::hub::ListFilter;
///
/// let hub = HubClient::new("http://127.0.0.1:8787")?;
/// for compute in hub.list(&ListFilter { domain: Some("queueing".to_owned()), ..ListFilter::default() })? {
///     println!("{}  {}", compute.id, compute.entry.graph_hash);
/// }
/// # Ok::<(), phasic_hub_client::hub::HubError>(())
/// ```
#[derive(Debug)]
pub struct HubClient {
    client: hub::HubClient,
    runtime: tokio::runtime::Runtime,
}

impl HubClient {
    /// A client for the hub at `address` with default settings.
    ///
    /// # Errors
    /// As [`hub::HubClientBuilder::build`].
    pub fn new(address: impl Into<String>) -> Result<Self, HubError> {
        Self::from_client(hub::HubClient::new(address)?)
    }

    /// Wraps a client that was made with other settings.
    ///
    /// # Errors
    /// [`HubError::Setup`] when the operating system refuses what a runtime needs.
    pub fn from_client(client: hub::HubClient) -> Result<Self, HubError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| HubError::Setup { cause: error.to_string() })?;
        Ok(Self { client, runtime })
    }

    /// See [`hub::HubClient::registry`].
    ///
    /// # Errors
    /// Any [`HubError`].
    pub fn registry(&self) -> Result<Registry, HubError> {
        self.runtime.block_on(self.client.registry())
    }

    /// See [`hub::HubClient::list`].
    ///
    /// # Errors
    /// Any [`HubError`].
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<Compute>, HubError> {
        self.runtime.block_on(self.client.list(filter))
    }

    /// See [`hub::HubClient::show`].
    ///
    /// # Errors
    /// Any [`HubError`].
    pub fn show(&self, id_or_hash: &str) -> Result<Option<Compute>, HubError> {
        self.runtime.block_on(self.client.show(id_or_hash))
    }

    /// See [`hub::HubClient::pull`].
    ///
    /// # Errors
    /// Any [`PullError`].
    pub fn pull(&self, graph: &Graph, force: bool) -> Result<bool, PullError> {
        self.runtime.block_on(self.client.pull(graph, force))
    }

    /// See [`hub::HubClient::pull_with`].
    ///
    /// # Errors
    /// Any [`PullError`].
    pub fn pull_with(&self, graph: &Graph, options: PullOptions) -> Result<Pulled, PullError> {
        self.runtime.block_on(self.client.pull_with(graph, options))
    }
}
