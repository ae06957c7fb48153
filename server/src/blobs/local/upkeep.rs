//! What keeps the files in order: listing them, hashing them again, and removing those nobody wants.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

use super::Inner;
use crate::blobs::{BlobError, Quarantined};

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
    pub(super) fn renew(&self, path: &Path) -> Result<bool, BlobError> {
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

fn entries(directory: &Path) -> Result<Vec<std::path::PathBuf>, BlobError> {
    let list = |directory: &Path| -> io::Result<Vec<_>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    };
    list(directory).map_err(BlobError::file("list", directory))
}
