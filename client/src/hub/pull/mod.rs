//! Pulling: from a graph to its verified artifact in the cache.
//!
//! The order of steps and what each failure means are here. Transport, verification and the cache do their own work.

mod download;
mod error;
mod subject;

use std::path::PathBuf;
use std::sync::Arc;

use phasic_engine::artifact::Format;
use phasic_engine::graph::Graph;
use phasic_engine::trace::Progress;
use phasic_hub_api::{ArtifactName, ComputeId, RegistryEntry};

pub use error::PullError;

use super::HubClient;
use crate::cache::{ArtifactCache, NewEntry};
use crate::verification::Evidence;
use subject::{Fetched, Settled, Subject, compute, settle};

/// phasic refuses anything above, and so do we.
const NEWEST_REVISION: u32 = 3;

/// How to pull.
#[derive(Clone, Default)]
pub struct PullOptions {
    /// Fetch and install again even if the artifact is in the cache.
    pub force: bool,
    /// Hears of progress, from several threads.
    pub observer: Option<Arc<dyn Fn(PullEvent) + Send + Sync>>,
}

/// What happens during a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEvent {
    /// Bytes arrive.
    Downloading {
        /// The file.
        name: ArtifactName,
        /// Bytes so far.
        received_bytes: u64,
        /// Bytes in all.
        size_bytes: u64,
    },
    /// A program is being made anew for comparison.
    Verifying {
        /// The file.
        name: ArtifactName,
        /// How far it has come.
        progress: Progress,
    },
    /// The file in the cache cannot be used and is replaced.
    Replacing {
        /// The file in the cache.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry lists components this graph does not have, as upstream's oldest entries do. They are left out:
    /// nothing could use them, and nothing could vouch for them.
    LeftOut {
        /// The components' files.
        names: Vec<ArtifactName>,
    },
}

/// What became of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulled {
    /// The hub has no artifact for this graph.
    Unregistered,
    /// A usable artifact was in the cache; the network was not touched.
    Present {
        /// The file.
        path: PathBuf,
    },
    /// The artifact was fetched, verified and installed.
    Installed {
        /// The file.
        path: PathBuf,
        /// The compute it came from.
        id: ComputeId,
        /// What shows that it is right.
        evidence: Evidence,
        /// The format it came in; it is always installed as PTDPRMC3, the only one phasic's computation reads.
        format: Format,
        /// Component programs installed beside it.
        components: usize,
    },
}

impl Pulled {
    /// phasic's own answer: whether the artifact is in the cache now.
    pub fn is_available(&self) -> bool {
        !matches!(self, Self::Unregistered)
    }
}

impl HubClient {
    /// Brings the artifact of `graph` into the cache, as phasic's `pull_cache` does: true when it is there afterwards,
    /// false when the hub has none.
    ///
    /// A usable file in the cache is enough unless `force` is set; the network is then not touched. A damaged file there
    /// is replaced; an intact one that is not this graph's is a [`PullError::Conflict`] unless forced. Otherwise the
    /// artifact is fetched, its size and SHA-256 checked while it arrives, its program verified against the graph (see
    /// [`crate::verification::verify`]) and installed atomically in the PTDPRMC3 form, all components with it or nothing.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use phasic_engine::graph::{GraphBuilder, Rate, START};
    /// use phasic_hub_client::hub::HubClient;
    ///
    /// // Kingman's coalescent for two lineages.
    /// let mut builder = GraphBuilder::new(1)?;
    /// let (two, one) = (builder.find_or_add_vertex(&[2])?, builder.find_or_add_vertex(&[1])?);
    /// builder.add_edge(START, two, Rate::Scalar(1.0))?;
    /// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
    ///
    /// let hub = HubClient::new("http://127.0.0.1:8787")?;
    /// if hub.pull(&builder.finish(), false).await? {
    ///     println!("phasic will find it in its cache");
    /// } else {
    ///     println!("the hub does not know this graph");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any [`PullError`]; nothing was installed then.
    pub async fn pull(&self, graph: &Graph, force: bool) -> Result<bool, PullError> {
        let options = PullOptions { force, observer: None };
        Ok(self.pull_with(graph, options).await?.is_available())
    }

    /// [`pull`](Self::pull), watched, and saying what became of it.
    ///
    /// The graph is copied once, since hashing and verification run on threads of their own. Dropping the future stops
    /// them.
    ///
    /// # Errors
    /// Any [`PullError`]; nothing was installed then.
    pub async fn pull_with(&self, graph: &Graph, options: PullOptions) -> Result<Pulled, PullError> {
        let cache = self.cache()?;
        let graph = Arc::new(graph.clone());
        let copy = Arc::clone(&graph);
        let hash = compute(move |_| copy.content_hash()).await;
        let subject = Subject { graph, hash, limits: self.inner.verification_limits, options };
        let damaged = match settle(&subject, &cache, None).await? {
            Settled::Present(path) => return Ok(Pulled::Present { path }),
            Settled::Wanting { damaged } => damaged,
        };
        let registry = self.registry().await?;
        let Some((id, entry)) = registry.document().find_by_hash(hash) else {
            return match registry.fault_for(hash) {
                Some(fault) => Err(PullError::Entry(fault.clone())),
                None => Ok(Pulled::Unregistered),
            };
        };
        if let Some(found) = entry.format_revision.filter(|&revision| revision > NEWEST_REVISION) {
            return Err(PullError::Revision { id: id.clone(), found });
        }
        let _lock = cache.lock(&hash).await?;
        // Whoever held the lock before may have brought it.
        if let Settled::Present(path) = settle(&subject, &cache, damaged).await? {
            return Ok(Pulled::Present { path });
        }
        self.install(subject, &cache, id, entry).await
    }

    async fn install(
        &self,
        subject: Subject,
        cache: &ArtifactCache,
        id: &ComputeId,
        entry: &RegistryEntry,
    ) -> Result<Pulled, PullError> {
        let hash = subject.hash;
        let parent = &entry.artifacts.parent;
        let name = ArtifactName::Parent(hash);
        let program = self
            .fetch_artifact(&subject, name, &parent.cid_or_path, parent.sha256, parent.size_bytes)
            .await?;
        let components = self.fetch_components(&subject, entry).await?;
        let count = components.len();
        let (cache, bytes) = (cache.clone(), program.ptdprmc3);
        let path =
            compute(move |_| cache.install(&NewEntry { hash, program: &bytes, components: &components }))
                .await?;
        let Fetched { evidence, format, .. } = program;
        Ok(Pulled::Installed { path, id: id.clone(), evidence, format, components: count })
    }
}
