//! The mirror: copies an upstream registry, and trusts nothing it says.
//!
//! One pass reads the document, fetches and verifies what it does not have yet, and makes the outcome the state of the
//! mirror in one transaction. Entries and artifacts that fail are left out with a reason; a pass that fails changes
//! nothing. Serving what was mirrored is not done here.

mod again;
mod artifact;
mod budget;
mod documents;
mod errand;
mod fault;
mod head;
mod known;
mod location;
mod lock;
mod pass;
mod run;
mod schedule;
mod service;
mod status;
#[cfg(test)]
mod tests;
mod upstream;
mod web;

use std::path::PathBuf;

use phasic_hub_api::{RegistryError, Sha256};

pub(crate) use artifact::{Announced, check_sent};

pub use again::fetch_again;
pub use budget::Requests;
pub use errand::{AD_HOC_PLACE, Errand, Permissions, identity};
pub use fault::{Fault, FaultCode};
pub use location::{Location, LocationError};
pub use lock::MirrorLock;
pub use run::{Ended, run};
pub use schedule::Timing;
pub use service::Mirror;
pub use status::status;
pub use upstream::{FetchError, Fetched, Upstream, UpstreamError};

use crate::blobs::BlobError;
use crate::config::TokenError;
use crate::store::{MOST_REMOVED_PERCENT, StoreError};

/// A pass that failed as a whole. The mirror is what it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// What was given as upstream cannot be one.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The registry document cannot be had.
    #[error("the registry document of {upstream} cannot be read: {source}")]
    Fetch {
        /// The upstream.
        upstream: String,
        /// Why.
        source: FetchError,
    },
    /// It can be had and is no registry document of version 2.
    #[error("{upstream}: {source}")]
    Registry {
        /// The upstream.
        upstream: String,
        /// Why.
        source: RegistryError,
    },
    /// What is mirrored under this name is from another address.
    #[error(
        "what this hub mirrors as {name} is from {recorded}; to mirror {upstream} in its place, which removes whatever \
         only the former has, say --replace, or give it another name with --as"
    )]
    OtherUpstream {
        /// The name.
        name: String,
        /// The upstream of this pass.
        upstream: String,
        /// That of the last one.
        recorded: String,
    },
    /// Upstream has lost more than it may without somebody having looked.
    #[error(
        "{upstream} has removed or retracted {removed} of the {mirrored} computes that are mirrored, more than \
         {MOST_REMOVED_PERCENT} %; nothing was changed: if that is right, say --remove-many, or accept it \
         (phasic-hub mirror quarantine lists it)"
    )]
    TooManyRemovals {
        /// The upstream.
        upstream: String,
        /// The document that would do it.
        document: Sha256,
        /// Computes it has no more.
        removed: usize,
        /// Computes that are mirrored.
        mirrored: usize,
    },
    /// The document changes faster than its files can be read.
    #[error(
        "{upstream} has changed each time its files were read; nothing was changed, and it is tried again later"
    )]
    Restless {
        /// The upstream.
        upstream: String,
    },
    /// There is no upstream of this name.
    #[error("the settings name no upstream {name}; phasic-hub mirror status lists those there are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Somebody has dropped the upstream at this moment.
    #[error("the upstream {name} has been dropped meanwhile")]
    Dropped {
        /// The name.
        name: String,
    },
    /// The token of the upstream cannot be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The file that keeps other passes out cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The hub is offline by its settings.
    #[error(
        "this hub is offline by its settings, so {upstream} was not asked; directories can still be mirrored"
    )]
    Offline {
        /// The upstream.
        upstream: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

impl MirrorError {
    /// 2 for unreadable input, 3 for the network and the hub itself.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Upstream(UpstreamError::Bundle(error)) => error.exit_status(),
            Self::Upstream(_)
            | Self::Registry { .. }
            | Self::OtherUpstream { .. }
            | Self::Unknown { .. }
            | Self::Token(_)
            | Self::TooManyRemovals { .. } => 2,
            _ => 3,
        }
    }

    /// The kind of failure for programs. The words are stored, and never change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Upstream(UpstreamError::Host { .. }) => "unreachable",
            Self::Upstream(_) | Self::OtherUpstream { .. } | Self::Unknown { .. } => "upstream_invalid",
            Self::Fetch { source, .. } if source.is_later() => "later",
            Self::Fetch { source, .. } if source.is_unreachable() => "unreachable",
            Self::Fetch { .. } => "document_unavailable",
            Self::Registry { source: RegistryError::VersionOne { .. }, .. } => "registry_version_one",
            Self::Registry { .. } => "registry_invalid",
            Self::TooManyRemovals { .. } => "mass_deletion",
            Self::Restless { .. } => "restless",
            Self::Token(_) => "token_unavailable",
            Self::Offline { .. } => "offline",
            Self::Dropped { .. } | Self::Lock { .. } | Self::Store(_) | Self::Blobs(_) => "internal",
        }
    }

    /// Seconds that upstream wants us to wait.
    pub(crate) fn wait_seconds(&self) -> Option<f64> {
        match self {
            Self::Fetch { source, .. } => source.wait_seconds(),
            _ => None,
        }
    }

    /// Whether it says no more than that upstream is not there, or not now.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.code(), "unreachable" | "later" | "offline")
    }
}
