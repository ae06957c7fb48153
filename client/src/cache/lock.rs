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
#[derive(Debug)]
pub struct EntryLock {
    // Closing the file releases the lock. `None` where this file system or its permissions allow no lock.
    file: Option<File>,
}

impl EntryLock {
    /// Whether other processes are really kept out.
    pub fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }
}

pub(super) async fn acquire(
    hash: &GraphHash,
    path: PathBuf,
    timeout: Duration,
) -> Result<EntryLock, CacheError> {
    let Ok(file) = OpenOptions::new().create(true).append(true).open(&path) else {
        return Ok(EntryLock { file: None });
    };
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(EntryLock { file: Some(file) }),
            Err(TryLockError::Error(_)) => return Ok(EntryLock { file: None }),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = started.elapsed();
        if waited >= timeout {
            return Err(CacheError::Locked { hash: *hash, path, waited });
        }
        tokio::time::sleep(POLL.min(timeout.saturating_sub(waited))).await;
    }
}
