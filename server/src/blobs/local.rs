//! Blobs as files: `blobs/sha256/<first two digits>/<64 digits>`, and `quarantine/` for those that went bad.
//!
//! A body is written to a temporary file, synced, and linked under its name, which can neither overwrite nor be seen
//! half done; then the directory is synced.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use phasic_hub_api::Sha256;
use sha2::Digest as _;
use tokio::io::AsyncWriteExt;

use super::stamp::Stamp;
use super::temporary::{TemporaryDirectory, TemporaryFile};
use super::{BlobError, BlobStore, ByteStream, OpenBlob, Quarantined, StoredBlob, Terms};
use crate::metrics;

/// Bytes read from a file at a time: each read is a visit to a thread that may block.
const PIECE_BYTES: usize = 256 << 10;

/// How often we look again when others change the files we are looking at.
const ATTEMPTS: usize = 3;

/// Blobs in a directory of the local file system.
pub struct LocalBlobs {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    quarantine: PathBuf,
    temporary: TemporaryDirectory,
    /// Blobs whose bytes this process has hashed, and what their files looked like then.
    verified: Mutex<HashMap<Sha256, Stamp>>,
    /// Directories below the root that are known to be on disk.
    durable: Mutex<HashSet<PathBuf>>,
    /// Every directory that was synced, in order.
    #[cfg(test)]
    synced: Mutex<Vec<PathBuf>>,
}

impl LocalBlobs {
    /// Opens the store below `data_dir`, makes its directories, and removes the unfinished files of dead processes.
    ///
    /// # Errors
    /// When a directory cannot be made, read or locked.
    pub fn open(data_dir: &Path) -> Result<Self, BlobError> {
        let root = data_dir.join("blobs").join("sha256");
        let quarantine = data_dir.join("quarantine");
        for directory in [&root, &quarantine] {
            fs::create_dir_all(directory).map_err(BlobError::file("create", directory))?;
        }
        let temporary = TemporaryDirectory::claim(&data_dir.join("tmp"))?;
        let inner = Inner {
            root,
            quarantine,
            temporary,
            verified: Mutex::default(),
            durable: Mutex::default(),
            #[cfg(test)]
            synced: Mutex::default(),
        };
        // Whoever made these may have died before they were on disk.
        inner.sync(data_dir)?;
        inner.sync(&data_dir.join("blobs"))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether anything is stored below `data_dir`. Makes nothing, and stops at the first file.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn holds_any(data_dir: &Path) -> Result<bool, BlobError> {
        let root = data_dir.join("blobs").join("sha256");
        let entries = match fs::read_dir(&root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries.map_err(BlobError::file("read", &root))?,
        };
        for entry in entries {
            let path = entry.map_err(BlobError::file("read", &root))?.path();
            let is_empty = path.is_dir()
                && fs::read_dir(&path).map_err(BlobError::file("read", &path))?.next().is_none();
            if !is_empty {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl BlobStore for LocalBlobs {
    fn put(&self, body: ByteStream, terms: Terms) -> BoxFuture<'_, Result<StoredBlob, BlobError>> {
        Box::pin(async move {
            let file = self.inner.temporary.file();
            let blob = write(body, &file.path, terms).await?;
            self.blocking(move |inner| inner.keep(&file, blob)).await?;
            Ok(blob)
        })
    }

    fn open(&self, name: Sha256, range: Option<Range<u64>>) -> BoxFuture<'_, Result<OpenBlob, BlobError>> {
        Box::pin(async move {
            let (mut file, size_bytes) = self.blocking(move |inner| inner.open_verified(name)).await?;
            let range = range.unwrap_or(0..size_bytes);
            let range = range.start.min(size_bytes)..range.end.min(size_bytes);
            let path = self.inner.path(name);
            if range.start > 0 {
                io::Seek::seek(&mut file, io::SeekFrom::Start(range.start))
                    .map_err(BlobError::file("seek in", path))?;
            }
            let length = range.end.saturating_sub(range.start);
            Ok(OpenBlob { size_bytes, body: pieces(file, length) })
        })
    }

    fn size_bytes(&self, name: Sha256) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        Box::pin(self.blocking(move |inner| inner.size_bytes(name)))
    }

    fn sizes_bytes(&self) -> BoxFuture<'_, Result<HashMap<Sha256, u64>, BlobError>> {
        Box::pin(self.blocking(Inner::sizes_bytes))
    }

    fn names(&self) -> BoxFuture<'_, Result<Vec<Sha256>, BlobError>> {
        Box::pin(self.blocking(Inner::names))
    }

    fn check(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        Box::pin(self.blocking(move |inner| inner.check(name)))
    }

    fn renew(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        Box::pin(self.blocking(move |inner| {
            let size_bytes = inner.check(name)?;
            if inner.make_young(&inner.path(name))? { Ok(size_bytes) } else { Err(BlobError::NotFound(name)) }
        }))
    }

    fn expire(
        &self,
        name: Sha256,
        age: Duration,
        remove: bool,
    ) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        Box::pin(self.blocking(move |inner| inner.expire(name, age, remove)))
    }

    fn quarantined(&self) -> BoxFuture<'_, Result<Vec<Quarantined>, BlobError>> {
        Box::pin(self.blocking(Inner::quarantined))
    }

    fn discard(&self, name: Sha256) -> BoxFuture<'_, Result<bool, BlobError>> {
        Box::pin(self.blocking(move |inner| inner.discard(name)))
    }
}

impl LocalBlobs {
    /// Runs file work on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => {
                    Err(BlobError::file("work in", &self.inner.root)(io::Error::other(cancelled)))
                }
            },
        }
    }
}

/// The next `length` bytes of a file, a piece at a time. Each is read straight into the memory it is sent from.
fn pieces(file: File, length: u64) -> ByteStream {
    Box::pin(futures_util::stream::try_unfold((file, length), async |(file, left)| {
        let most = left.min(PIECE_BYTES as u64);
        if most == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut piece = Vec::with_capacity(usize::try_from(most).unwrap_or(PIECE_BYTES));
            (&file).take(most).read_to_end(&mut piece)?;
            Ok::<_, io::Error>((file, piece))
        };
        let (file, piece) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        // A file that ends early ends the body early, and whoever counts notices.
        let left = if piece.is_empty() { 0 } else { left - piece.len() as u64 };
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, left))))
    }))
}

/// Writes a body to a new file, hashing on the way, and syncs it.
async fn write(mut body: ByteStream, path: &Path, terms: Terms) -> Result<StoredBlob, BlobError> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(BlobError::file("create", path))?;
    let mut hasher = sha2::Sha256::new();
    let mut size_bytes = 0_u64;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(BlobError::Body)?;
        size_bytes += piece.len() as u64;
        if size_bytes > terms.max_bytes {
            return Err(BlobError::TooLarge { limit_bytes: terms.max_bytes });
        }
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(BlobError::file("write", path))?;
    }
    let sha256 = Sha256::from(<[u8; 32]>::from(hasher.finalize()));
    if let Some(expected) = terms.sha256.filter(|&expected| expected != sha256) {
        return Err(BlobError::WrongHash { expected, found: sha256 });
    }
    file.flush().await.map_err(BlobError::file("write", path))?;
    file.sync_all().await.map_err(BlobError::file("sync", path))?;
    Ok(StoredBlob { sha256, size_bytes })
}

impl Inner {
    fn path(&self, name: Sha256) -> PathBuf {
        let digits = name.to_string();
        self.root.join(&digits[..2]).join(digits)
    }

    fn size_bytes(&self, name: Sha256) -> Result<Option<u64>, BlobError> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::file("look at", path)(error)),
        }
    }

    /// Gives a written and synced file its name, which survives a loss of power when this returns.
    fn keep(&self, file: &TemporaryFile, blob: StoredBlob) -> Result<(), BlobError> {
        let path = self.path(blob.sha256);
        let directory = path.parent().unwrap_or(&self.root);
        self.make_durable(directory)?;
        for _ in 0..ATTEMPTS {
            match fs::hard_link(&file.path, &path) {
                Ok(()) => return self.sync(directory),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // A file system without links: the worst a rename can do is to replace equal bytes.
                Err(_) => break,
            }
            if self.open_verified(blob.sha256).is_ok() && self.make_young(&path)? {
                // Whoever put it there may not have synced the directory yet.
                return self.sync(directory);
            }
            // What stood there was damaged, and is in quarantine now.
        }
        let _placing = self.lock()?;
        fs::rename(&file.path, &path).map_err(BlobError::file("rename to", &path))?;
        self.sync(directory)
    }

    /// Makes a directory below the root, and sees to it that the root has it on disk, whoever made it.
    fn make_durable(&self, directory: &Path) -> Result<(), BlobError> {
        let known = |known: &HashSet<PathBuf>| known.contains(directory);
        if known(&self.durable.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        fs::create_dir_all(directory).map_err(BlobError::file("create", directory))?;
        self.sync(&self.root)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned());
        Ok(())
    }

    /// Opens a blob whose bytes have been hashed, now or earlier.
    fn open_verified(&self, name: Sha256) -> Result<(File, u64), BlobError> {
        let path = self.path(name);
        for _ in 0..ATTEMPTS {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(BlobError::NotFound(name));
                }
                opened => opened.map_err(BlobError::file("open", &path))?,
            };
            let stamp = stamp(&file, &path)?;
            let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
            if known == Some(stamp) {
                metrics::blob_opened(true);
                return Ok((file, stamp.size_bytes));
            }
            // Asked before hashing: what changes from here on will have another stamp.
            let settled = stamp.is_settled();
            metrics::blob_opened(false);
            if hash(&mut file).map_err(BlobError::file("read", &path))? == name {
                io::Seek::rewind(&mut file).map_err(BlobError::file("seek in", &path))?;
                if settled {
                    self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stamp);
                }
                return Ok((file, stamp.size_bytes));
            }
            if self.set_aside(name, &path, &file)? {
                break;
            }
            // Somebody else was faster, and good bytes may stand there now.
        }
        Err(BlobError::Damaged(name))
    }

    /// Moves a damaged file to quarantine, if it is still what its name stands for. Says whether it did.
    fn set_aside(&self, name: Sha256, path: &Path, damaged: &File) -> Result<bool, BlobError> {
        let _placing = self.lock()?;
        let present = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => Stamp::of(&found.map_err(BlobError::file("look at", path))?),
        };
        if present != stamp(damaged, path)? {
            return Ok(false);
        }
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        let aside = self.quarantine.join(name.to_string());
        fs::rename(path, &aside).map_err(BlobError::file("move to quarantine", path))?;
        self.sync(path.parent().unwrap_or(&self.root))?;
        self.sync(&self.quarantine)?;
        Ok(true)
    }

    /// Keeps everybody else, other processes too, from moving files until the value is dropped.
    fn lock(&self) -> Result<File, BlobError> {
        let path = self.root.with_file_name("lock");
        let file = File::create(&path).map_err(BlobError::file("create", &path))?;
        file.lock().map_err(BlobError::file("lock", &path))?;
        Ok(file)
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests see what was synced"))]
    fn sync(&self, directory: &Path) -> Result<(), BlobError> {
        // Directories cannot be opened, and need not be synced, on Windows.
        if cfg!(unix) {
            let open = File::open(directory);
            open.and_then(|open| open.sync_all()).map_err(BlobError::file("sync", directory))?;
        }
        #[cfg(test)]
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).push(directory.to_owned());
        Ok(())
    }
}

fn stamp(file: &File, path: &Path) -> Result<Stamp, BlobError> {
    Ok(Stamp::of(&file.metadata().map_err(BlobError::file("look at", path))?))
}

fn hash(file: &mut File) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(Sha256::from(<[u8; 32]>::from(hasher.finalize())));
        }
        hasher.update(&piece[..count]);
    }
}

#[cfg(test)]
mod tests;
mod upkeep;
