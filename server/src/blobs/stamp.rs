//! What tells two states of a file apart without reading it.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// Clocks of files tick more slowly than files can change; no tick takes so long.
const TICK: Duration = Duration::from_millis(100);

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

    /// Whether a change from now on is sure to give another stamp: the last one lies a tick back.
    pub(super) fn is_settled(&self) -> bool {
        let changed = self.changed();
        changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > TICK)
    }

    #[cfg(unix)]
    fn changed(&self) -> Option<SystemTime> {
        let (_, _, seconds, nanoseconds) = self.identity;
        let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    #[cfg(not(unix))]
    fn changed(&self) -> Option<SystemTime> {
        self.modified
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}
