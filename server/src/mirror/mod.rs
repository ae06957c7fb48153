//! The mirror: copies an upstream registry, and trusts nothing it says.
//!
//! One pass reads the document, fetches and verifies what it does not have yet, and makes the outcome the state of the
//! mirror in one transaction. Entries and artifacts that fail are left out with a reason; a pass that fails changes
//! nothing. Serving what was mirrored is not done here.

mod again;
mod artifact;
mod location;
mod pass;
mod upstream;
mod web;

use std::fmt;

use phasic_hub_api::RegistryError;

pub use again::fetch_again;
pub use location::{Location, LocationError};
pub use pass::{PassReport, Permissions, sync};
pub use upstream::{FetchError, Upstream, UpstreamError};

use crate::blobs::BlobError;
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
    /// The mirror is of another upstream.
    #[error(
        "this hub mirrors {recorded}; to mirror {upstream} in its place, which removes whatever only the former has, \
         say --replace"
    )]
    OtherUpstream {
        /// The upstream of this pass.
        upstream: String,
        /// That of the last one.
        recorded: String,
    },
    /// Upstream has lost more than it may without somebody having looked.
    #[error(
        "{upstream} no longer has {removed} of the {mirrored} computes that are mirrored, more than \
         {MOST_REMOVED_PERCENT} %; nothing was changed: if that is right, say --remove-many"
    )]
    TooManyRemovals {
        /// The upstream.
        upstream: String,
        /// Computes it has no more.
        removed: usize,
        /// Computes that are mirrored.
        mirrored: usize,
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
            Self::Upstream(_)
            | Self::Registry { .. }
            | Self::OtherUpstream { .. }
            | Self::TooManyRemovals { .. } => 2,
            _ => 3,
        }
    }
}

/// Why an entry or one of its artifacts was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind, for programs.
    pub code: FaultCode,
    /// A sentence, for people.
    pub reason: String,
}

impl Fault {
    fn new(code: FaultCode, reason: impl fmt::Display) -> Self {
        Self { code, reason: reason.to_string() }
    }
}

/// The kinds of faults. The words are stored, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultCode {
    /// The entry is not what a registry entry must be.
    EntryInvalid,
    /// The entry is of a later revision of the format, whose files may mean something else.
    RevisionUnknown,
    /// This hub has published a compute of this id for the same graph itself. Nothing is wrong; the local one stays.
    LocalSame,
    /// This hub has published a compute of this id for another graph. The local one stays.
    LocalConflict,
    /// The location leads away from the upstream, or out of its directory.
    LocationRefused,
    /// The file could not be had.
    FetchFailed,
    /// The file is larger than this hub takes.
    TooLarge,
    /// The file has another size than the entry says.
    WrongSize,
    /// The file has another SHA-256 than the entry says.
    WrongHash,
    /// The bytes are as announced, and no artifact for this graph.
    ArtifactInvalid,
    /// The entry names two files for one component.
    DuplicateScc,
}

impl FaultCode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EntryInvalid => "entry_invalid",
            Self::RevisionUnknown => "revision_unknown",
            Self::LocalSame => "local_same",
            Self::LocalConflict => "local_conflict",
            Self::LocationRefused => "location_refused",
            Self::FetchFailed => "fetch_failed",
            Self::TooLarge => "too_large",
            Self::WrongSize => "wrong_size",
            Self::WrongHash => "wrong_hash",
            Self::ArtifactInvalid => "artifact_invalid",
            Self::DuplicateScc => "duplicate_scc",
        }
    }
}
