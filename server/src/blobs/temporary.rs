//! The directory of unfinished files, one per process, so that each process can tell dead files from living ones.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::BlobError;

/// Name of the lock that stands for a directory in use.
const LOCK: &str = "lock";

/// A directory of this process below `tmp/`. It lives as long as its lock is held, that is as long as the process.
pub(super) struct TemporaryDirectory {
    path: PathBuf,
    next: AtomicU64,
    /// Held, never read.
    _lock: File,
}

impl TemporaryDirectory {
    /// Removes what dead processes have left below `parent`, then makes a directory of our own.
    pub(super) fn claim(parent: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(parent).map_err(BlobError::file("create", parent))?;
        // Held while looking around: between making a directory and locking it nobody may take it for a dead one.
        let gate_path = parent.join(LOCK);
        let gate = File::create(&gate_path).map_err(BlobError::file("create", &gate_path))?;
        gate.lock().map_err(BlobError::file("lock", &gate_path))?;
        sweep(parent).map_err(BlobError::file("sweep", parent))?;
        let path = parent.join(format!("{}-{:016x}", std::process::id(), unlikely_number()));
        fs::create_dir(&path).map_err(BlobError::file("create", &path))?;
        let lock = File::create(path.join(LOCK)).map_err(BlobError::file("create", path.join(LOCK)))?;
        lock.lock().map_err(BlobError::file("lock", path.join(LOCK)))?;
        Ok(Self { path, next: AtomicU64::new(0), _lock: lock })
    }

    /// A fresh name; the file is removed when the value is dropped, if it is still there.
    pub(super) fn file(&self) -> TemporaryFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        TemporaryFile { path: self.path.join(number.to_string()) }
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Failing is harmless: the next process sweeps.
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(super) struct TemporaryFile {
    pub(super) path: PathBuf,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let dead = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if dead {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory, unless its owner is doing that at this moment.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Tells apart two directories of one process id; need not be unpredictable.
fn unlikely_number() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
