//! One pass at a time, whatever process makes it.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::MirrorError;

/// Keeps other passes out of a data directory, those of other processes too.
#[derive(Debug)]
pub struct MirrorLock(#[expect(dead_code, reason = "held, never read")] File);

impl MirrorLock {
    /// Takes the lock as soon as it is free.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub async fn take(data_dir: &Path) -> Result<Self, MirrorError> {
        let path = data_dir.join("mirror.lock");
        let failed = |source| MirrorError::Lock { path: path.clone(), source };
        let file = File::create(&path).map_err(failed)?;
        let mut has_told = false;
        // Asked for again and again: a thread that waits for a lock cannot be told to stop.
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
                Err(fs::TryLockError::WouldBlock) if has_told => {}
                Err(fs::TryLockError::WouldBlock) => {
                    tracing::info!("waiting for the mirror pass that is under way");
                    has_told = true;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
