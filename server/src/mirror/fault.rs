//! Why an entry or one of its files was left out of a pass.

use std::fmt;

/// Why an entry or one of its artifacts was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The kind, for programs.
    pub code: FaultCode,
    /// A sentence, for people.
    pub reason: String,
    /// Seconds the upstream wants us to wait, where it is that.
    pub wait_seconds: Option<f64>,
    /// Whether it says more about the upstream, or the way there, than about the file: other files will fare no better.
    pub(super) is_trouble: bool,
}

impl Fault {
    pub(super) fn new(code: FaultCode, reason: impl fmt::Display) -> Self {
        Self { code, reason: reason.to_string(), wait_seconds: None, is_trouble: false }
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
    /// An upstream that goes first offers the same compute. Nothing is wrong.
    ShadowedSame,
    /// An upstream that goes first offers another graph under this id.
    ShadowedConflict,
    /// The location leads away from the upstream, or out of its directory.
    LocationRefused,
    /// The file could not be had.
    FetchFailed,
    /// The file was not asked for: the upstream, or the budget of requests, wants us to wait. It comes later.
    Deferred,
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
    /// The upstream is trusted with verified computes only, and this hub does not know the graph.
    Unverified,
    /// Somebody has decided that these bytes are not taken.
    Rejected,
}

impl FaultCode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EntryInvalid => "entry_invalid",
            Self::RevisionUnknown => "revision_unknown",
            Self::LocalSame => "local_same",
            Self::LocalConflict => "local_conflict",
            Self::ShadowedSame => "shadowed_same",
            Self::ShadowedConflict => "shadowed_conflict",
            Self::LocationRefused => "location_refused",
            Self::FetchFailed => "fetch_failed",
            Self::Deferred => "deferred",
            Self::TooLarge => "too_large",
            Self::WrongSize => "wrong_size",
            Self::WrongHash => "wrong_hash",
            Self::ArtifactInvalid => "artifact_invalid",
            Self::DuplicateScc => "duplicate_scc",
            Self::Unverified => "unverified",
            Self::Rejected => "rejected",
        }
    }

    /// Whether it is about the bytes, so that it goes to quarantine. The others are about us, or about this moment.
    pub const fn is_suspicious(self) -> bool {
        !matches!(
            self,
            Self::LocalSame
                | Self::LocalConflict
                | Self::ShadowedSame
                | Self::ShadowedConflict
                | Self::FetchFailed
                | Self::Deferred
                | Self::Rejected
        )
    }

    /// Whether another pass over the same document may have it: upstream may mend a file, or where it is.
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::FetchFailed
                | Self::Deferred
                | Self::LocationRefused
                | Self::WrongSize
                | Self::WrongHash
                | Self::Unverified
        )
    }

    /// Whether the files may have changed while they were read.
    pub const fn may_be_a_race(self) -> bool {
        matches!(self, Self::FetchFailed | Self::WrongSize | Self::WrongHash)
    }
}
