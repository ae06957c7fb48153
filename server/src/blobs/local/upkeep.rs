//! What keeps the files in order: listing them, hashing them again, and removing those nobody wants.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

use super::Inner;
use crate::blobs::{BlobError, Quarantined};

/// Threads that look at files at a time.
const MOST_LOOKING: usize = 4;

impl Inner {
    pub(super) fn names(&self) -> Result<Vec<Sha256>, BlobError> {
        let mut names = Vec::new();
        for directory in entries(&self.root)? {
            if !directory.is_dir() {
                continue;
            }
            let files = entries(&directory)?;
            let name = |file: &std::path::PathBuf| file.file_name()?.to_str()?.parse().ok();
            names.extend(
                files.iter().filter_map(name).filter(|&name| self.path(name).parent() == Some(&directory)),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Looks at every file, on a few threads: the time goes to the kernel, one file at a time.
    pub(super) fn sizes_bytes(&self) -> Result<HashMap<Sha256, u64>, BlobError> {
        let directories = entries(&self.root)?;
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_LOOKING));
        let share = directories.len().div_ceil(threads).max(1);
        let found: Vec<_> = std::thread::scope(|scope| {
            let look = |some: &'_ [PathBuf]| some.iter().map(|directory| sizes_in(directory)).collect();
            let looking: Vec<_> =
                directories.chunks(share).map(|some| scope.spawn(move || look(some))).collect();
            looking.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let mut sizes = HashMap::new();
        for some in found {
            let some: Result<Vec<_>, BlobError> = some;
            sizes.extend(some?.into_iter().flatten());
        }
        Ok(sizes)
    }

    /// Hashes a file, whatever is known about it.
    pub(super) fn check(&self, name: Sha256) -> Result<u64, BlobError> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.open_verified(name).map(|(_, size_bytes)| size_bytes)
    }

    /// The size of a file that was stored so long ago, removed if `remove`.
    pub(super) fn expire(&self, name: Sha256, age: Duration, remove: bool) -> Result<Option<u64>, BlobError> {
        // Held from the look to the removal: whoever stores the same bytes meanwhile waits, and then finds no file.
        let _placing = self.lock()?;
        let path = self.path(name);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(BlobError::file("look at", &path))?,
        };
        let stored = metadata.modified().map_err(BlobError::file("look at", &path))?;
        // A file from the future is young.
        if stored.elapsed().unwrap_or_default() < age {
            return Ok(None);
        }
        if remove {
            self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            fs::remove_file(&path).map_err(BlobError::file("remove", &path))?;
            self.sync(path.parent().unwrap_or(&self.root))?;
        }
        Ok(Some(metadata.len()))
    }

    pub(super) fn quarantined(&self) -> Result<Vec<Quarantined>, BlobError> {
        let mut found = Vec::new();
        for path in entries(&self.quarantine)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
            match fs::metadata(&path) {
                Ok(metadata) => found.push(Quarantined { name, size_bytes: metadata.len() }),
                // Somebody has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::file("look at", path)(error)),
            }
        }
        found.sort_unstable_by_key(|file| file.name);
        Ok(found)
    }

    pub(super) fn discard(&self, name: Sha256) -> Result<bool, BlobError> {
        let path = self.quarantine.join(name.to_string());
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => {
                removed.map_err(BlobError::file("remove", &path))?;
                self.sync(&self.quarantine)?;
                Ok(true)
            }
        }
    }

    /// Makes a file young again, because somebody has just stored its bytes. Says whether it is still there.
    pub(super) fn make_young(&self, path: &Path) -> Result<bool, BlobError> {
        let _placing = self.lock()?;
        match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            opened => {
                let file = opened.map_err(BlobError::file("open", path))?;
                file.set_modified(SystemTime::now()).map_err(BlobError::file("renew", path))?;
                Ok(true)
            }
        }
    }
}

/// The blobs in one directory below the root, and their sizes.
fn sizes_in(directory: &Path) -> Result<Vec<(Sha256, u64)>, BlobError> {
    let look = || -> io::Result<Vec<_>> {
        let mut sizes = Vec::new();
        if !directory.is_dir() {
            return Ok(sizes);
        }
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(name) = file.to_str().filter(|name| is_below(directory, name)) else { continue };
            let Ok(name) = name.parse() else { continue };
            // Relative to the open directory, which is quicker than by path; what is only linked to is rare.
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_symlink() => fs::metadata(entry.path()),
                metadata => metadata,
            };
            match metadata {
                Ok(metadata) => sizes.push((name, metadata.len())),
                // Somebody has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sizes)
    };
    look().map_err(BlobError::file("look at the files in", directory))
}

/// Whether a file is in the directory its name belongs to.
fn is_below(directory: &Path, name: &str) -> bool {
    directory.file_name().is_some_and(|digits| name.get(..2).is_some_and(|first| digits == first))
}

fn entries(directory: &Path) -> Result<Vec<std::path::PathBuf>, BlobError> {
    let list = |directory: &Path| -> io::Result<Vec<_>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    };
    list(directory).map_err(BlobError::file("list", directory))
}
