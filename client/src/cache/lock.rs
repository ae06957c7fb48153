//! Advisory locks, one per cache entry, so that many processes wanting one model download it once.
//!
//! Only waiting lives here. A lock is an economy, never what keeps files whole: renames do that.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use phasic_engine::graph::GraphHash;

use super::CacheError;

/// How often a waiting process looks again.
const POLL: Duration = Duration::from_millis(20);

/// The right to install one entry; given up when dropped, also by a killed process.
///
/// Keeps nobody out where this file system or its permissions allow no lock.
#[derive(Debug)]
pub struct EntryLock {
    // Closing the file releases the lock.
    _file: Option<File>,
}

pub(super) async fn acquire(
    hash: &GraphHash,
    path: PathBuf,
    timeout: Duration,
) -> Result<EntryLock, CacheError> {
    let Ok(file) = OpenOptions::new().create(true).append(true).open(&path) else {
        return Ok(EntryLock { _file: None });
    };
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(EntryLock { _file: Some(file) }),
            Err(TryLockError::Error(_)) => return Ok(EntryLock { _file: None }),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = started.elapsed();
        if waited >= timeout {
            return Err(CacheError::Locked { hash: *hash, path, waited });
        }
        tokio::time::sleep(POLL.min(timeout.saturating_sub(waited))).await;
    }
}
