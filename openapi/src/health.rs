//! Whether a hub lives, whether it is ready, and what is not as it should be.

use serde::{Deserialize, Serialize};

use crate::ComputeId;

/// The ids a finding names at most; it counts all.
pub const MOST_IDS: usize = 100;

/// What may be found. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingCode {
    /// The computes every hub publishes are being made, or could not be.
    ReferenceComputes,
    /// The database cannot be read.
    Database,
    /// Nothing can be written to the disk; what is there can be read.
    Disk,
    /// A change could not be rendered: the registry is that of before.
    Rendering,
    /// A background service has broken down.
    Service,
    /// The hub has just started, and has not looked yet whether all files are there: what lacks some is listed until then.
    FilesUnseen,
    /// Computes are withheld because files of theirs are lost or damaged.
    FilesLost,
    /// Computes are withheld because their files are no programs of their graphs.
    FilesWrong,
    /// Computes are served, and in doubt: what was published fits no graph that was submitted under the same hash.
    FilesDoubtful,
    /// The hub does without reference computes: eliminating them takes more memory than its settings allow.
    ComputesTooLarge,
}

impl FindingCode {
    /// Whether a hub where this was found is not ready.
    pub const fn is_reason(self) -> bool {
        !matches!(self, Self::FilesLost | Self::FilesWrong | Self::FilesDoubtful | Self::ComputesTooLarge)
    }
}

/// Something that is not as it should be. Nothing private is in it.
///
/// ```
/// use phasic_hub_api::health::{Finding, FindingCode};
/// let finding = Finding::new(FindingCode::Disk, "There is no room left on the disk.");
/// assert_eq!(serde_json::to_value(&finding).unwrap()["code"], "disk");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finding {
    /// What, for programs.
    pub code: FindingCode,
    /// What, for people.
    pub detail: String,
    /// How many computes it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub ids: Vec<ComputeId>,
}

impl Finding {
    /// A finding that is about no compute in particular.
    pub fn new(code: FindingCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), count: None, ids: Vec::new() }
    }
}

/// A health answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Health {
    /// `live` or `ready`.
    pub status: String,
    /// What is not as it should be, although the hub can do its work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Finding>,
}
