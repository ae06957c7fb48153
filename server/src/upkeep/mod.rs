//! Upkeep of a data directory: scrub, healing, garbage collection, backup and restore.
//!
//! One of those people ask for at a time, beside a running hub if there is one; restore is for a directory nobody serves. What a blob
//! is for is not known here, only who refers to it.

mod backup;
mod collect;
mod heal;
mod healer;
mod restore;
mod schedule;
mod scrub;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub use backup::{BackupReport, Manifest, backup};
pub use collect::{Collection, Rules, collect};
pub use restore::restore;
pub use schedule::keep_whole;
pub use scrub::{ScrubReport, scrub};

use crate::blobs::BlobError;
use crate::hub::{DataError, ServeLock};
use crate::mirror::{MirrorError, MirrorLock};
use crate::store::StoreError;
use crate::workers::BrokeOff;

/// Why upkeep was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// Something else of this kind is at work.
    #[error("scrub, gc or a backup is at work on {}; one at a time", path.display())]
    Busy {
        /// The data directory.
        path: PathBuf,
    },
    /// Somebody stores files, and garbage should be collected without grace.
    #[error(
        "a hub or a mirror pass is at work on {}, and nothing but the grace period keeps what it has stored and not yet \
         taken note of: stop it, or give --grace 1h or more", path.display()
    )]
    NotAlone {
        /// The data directory.
        path: PathBuf,
    },
    /// There is a hub already where one should be restored.
    #[error("{} holds a hub already, or what is left of one ({}); restore into a new or empty directory",
        path.display(), file.display())]
    Occupied {
        /// The data directory.
        path: PathBuf,
        /// The file of a database that is there.
        file: PathBuf,
    },
    /// The file is no backup, or not whole.
    #[error("{} is no whole backup: {reason}", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The work was cut short.
    #[error("the work broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
    /// A computation was cut short.
    #[error(transparent)]
    BrokeOff(#[from] BrokeOff),
    /// There are no threads to compute with.
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The upstream cannot be asked.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

impl UpkeepError {
    /// For `map_err`: the file it failed on.
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// 2 for what was asked wrongly, 4 for refused bytes, 3 for all else.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Occupied { .. } | Self::NotAlone { .. } => 2,
            Self::NoBackup { .. } => 4,
            _ => 3,
        }
    }
}

/// Keeps everybody who stores files out of a data directory for as long as it lives: hubs and mirror passes.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
pub struct Alone(ServeLock, MirrorLock);

impl Alone {
    /// Takes both locks.
    ///
    /// # Errors
    /// [`UpkeepError::NotAlone`] when somebody has one of them.
    pub fn take(data_dir: &Path) -> Result<Self, UpkeepError> {
        let not_alone = || UpkeepError::NotAlone { path: data_dir.to_owned() };
        let serve = ServeLock::take(data_dir).map_err(|error| match error {
            DataError::InUse { .. } => not_alone(),
            error => error.into(),
        })?;
        let mirror = MirrorLock::take_if_free(data_dir)?.ok_or_else(not_alone)?;
        Ok(Self(serve, mirror))
    }
}

/// Keeps other upkeep out of a data directory for as long as it lives.
#[derive(Debug)]
pub struct UpkeepLock(#[expect(dead_code, reason = "held, never read")] File);

impl UpkeepLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`UpkeepError::Busy`] when somebody has it.
    pub fn take(data_dir: &Path) -> Result<Self, UpkeepError> {
        fs::create_dir_all(data_dir).map_err(UpkeepError::file(data_dir))?;
        let path = data_dir.join("upkeep.lock");
        let file = File::create(&path).map_err(UpkeepError::file(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(UpkeepError::Busy { path: data_dir.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(UpkeepError::File { path, source }),
        }
    }
}
