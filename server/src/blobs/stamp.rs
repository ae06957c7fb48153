//! What tells two states of a file apart without reading it.

use std::fs::Metadata;
use std::time::SystemTime;

/// A state of a file. The time of the last change of its record is part of it, because that of the last write can be set
/// by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size_bytes: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

/// Device, number and time of change (seconds and nanoseconds) of a file.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);

/// Nothing more is to be had.
#[cfg(not(unix))]
type Identity = ();

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        Self { size_bytes: metadata.len(), modified, identity: identity(metadata) }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}
