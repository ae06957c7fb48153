//! Why a pull failed, said so that a person knows what to do next.

use std::path::PathBuf;

use phasic_hub_api::{ArtifactName, ComputeId, EntryFault, Sha256};

use super::NEWEST_REVISION;
use crate::cache::CacheError;
use crate::hub::HubError;
use crate::refusal::Refusal;

/// Why a pull failed. Nothing was installed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The hub could not be asked, or an artifact not be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The registry's entry for this graph is unusable.
    #[error("the hub's entry for this graph cannot be used: {0}; tell the hub's administrator")]
    Entry(EntryFault),
    /// The artifact is in a format from the future.
    #[error(
        "the compute {id} has format revision {found}, newer than the {NEWEST_REVISION} this client knows; update it"
    )]
    Revision {
        /// The compute.
        id: ComputeId,
        /// Its revision.
        found: u32,
    },
    /// The registry points to a place nothing is fetched from.
    #[error(
        "the registry says that {name} is at {location:?}, which is not used: {reason}; tell the hub's administrator"
    )]
    Location {
        /// The file.
        name: ArtifactName,
        /// The place.
        location: String,
        /// Why nothing is fetched from there.
        reason: String,
    },
    /// Larger than this client is willing to fetch.
    #[error(
        "the registry says that {name} has {size_bytes} bytes, more than the {limit_bytes} this client fetches; nothing \
         was fetched"
    )]
    TooLarge {
        /// The file.
        name: ArtifactName,
        /// The size in the registry.
        size_bytes: u64,
        /// The limit in force.
        limit_bytes: u64,
    },
    /// Too few or too many bytes.
    #[error(
        "{url} has {} than the {expected_bytes} bytes the registry promises; nothing was installed, tell the hub's \
         administrator",
        found_bytes.map_or_else(|| "more bytes".to_owned(), |found| format!("{found} bytes rather"))
    )]
    Size {
        /// Where it came from.
        url: String,
        /// The size in the registry.
        expected_bytes: u64,
        /// The size found; `None` when reading stopped beyond the expected one.
        found_bytes: Option<u64>,
    },
    /// Other bytes than the registry promises.
    #[error(
        "{url} has SHA-256 {found}, but the registry promises {expected}; nothing was installed, tell the hub's \
         administrator"
    )]
    Checksum {
        /// Where it came from.
        url: String,
        /// The checksum in the registry.
        expected: Sha256,
        /// The checksum of the bytes.
        found: Sha256,
    },
    /// The bytes are as promised and still must not be used.
    #[error("{name} from {url} was refused: {source}; nothing was installed, tell the hub's administrator")]
    Refused {
        /// The file.
        name: ArtifactName,
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        source: Box<Refusal>,
    },
    /// The cache holds an intact program under this graph's hash that is not this graph's.
    #[error(
        "'{}' in the cache cannot be used for this graph: {source}; the model it was made for may still need it, so it \
         is only replaced when forced (--force)",
        path.display()
    )]
    Conflict {
        /// The file in the cache.
        path: PathBuf,
        /// What does not fit.
        source: Box<Refusal>,
    },
}
