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
        let mut has_told = false;
        // Asked for again and again: a thread that waits for a lock cannot be told to stop.
        loop {
            if let Some(lock) = Self::take_if_free(data_dir)? {
                return Ok(lock);
            }
            if !has_told {
                tracing::info!("waiting for the mirror pass that is under way");
                has_told = true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes the lock, unless somebody has it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn take_if_free(data_dir: &Path) -> Result<Option<Self>, MirrorError> {
        let path = data_dir.join("mirror.lock");
        let failed = |source| MirrorError::Lock { path: path.clone(), source };
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
