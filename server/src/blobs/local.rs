//! Blobs as files: `blobs/sha256/<first two digits>/<64 digits>`, and `quarantine/` for those that went bad.
//!
//! A body is written to a temporary file, synced, and linked under its name, which can neither overwrite nor be seen
//! half done; then the directory is synced.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use phasic_hub_api::Sha256;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::stamp::Stamp;
use super::temporary::{TemporaryDirectory, TemporaryFile};
use super::{BlobError, BlobStore, ByteStream, OpenBlob, StoredBlob, Terms};

/// Bytes read from a file at a time.
const PIECE_BYTES: usize = 64 << 10;

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
        let verified = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { root, quarantine, temporary, verified }) })
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
            let (file, size_bytes) = self.blocking(move |inner| inner.open_verified(name)).await?;
            let range = range.unwrap_or(0..size_bytes);
            let range = range.start.min(size_bytes)..range.end.min(size_bytes);
            let mut file = tokio::fs::File::from_std(file);
            if range.start > 0 {
                let path = self.inner.path(name);
                file.seek(io::SeekFrom::Start(range.start))
                    .await
                    .map_err(BlobError::file("seek in", path))?;
            }
            let length = range.end.saturating_sub(range.start);
            let body = ReaderStream::with_capacity(file.take(length), PIECE_BYTES);
            Ok(OpenBlob { size_bytes, body: Box::pin(body) })
        })
    }

    fn size_bytes(&self, name: Sha256) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        Box::pin(self.blocking(move |inner| {
            let path = inner.path(name);
            match fs::metadata(&path) {
                Ok(metadata) => Ok(Some(metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(BlobError::file("look at", path)(error)),
            }
        }))
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

    /// Gives a written and synced file its name.
    fn keep(&self, file: &TemporaryFile, blob: StoredBlob) -> Result<(), BlobError> {
        let path = self.path(blob.sha256);
        let directory = path.parent().unwrap_or(&self.root);
        if !directory.exists() {
            fs::create_dir_all(directory).map_err(BlobError::file("create", directory))?;
            sync_directory(&self.root)?;
        }
        match fs::hard_link(&file.path, &path) {
            // Now, because losing a name changes the stamp.
            Ok(()) => drop(fs::remove_file(&file.path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.open_verified(blob.sha256).is_ok() {
                    return Ok(());
                }
                // What stood there was damaged, and is in quarantine now.
                fs::rename(&file.path, &path).map_err(BlobError::file("rename to", &path))?;
            }
            // A file system without links: the worst a rename can do is to replace equal bytes.
            Err(_) => fs::rename(&file.path, &path).map_err(BlobError::file("rename to", &path))?,
        }
        sync_directory(directory)?;
        let metadata = fs::metadata(&path).map_err(BlobError::file("look at", &path))?;
        self.remember(blob.sha256, Stamp::of(&metadata));
        Ok(())
    }

    /// Opens a blob whose bytes have been hashed, now or earlier.
    fn open_verified(&self, name: Sha256) -> Result<(File, u64), BlobError> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BlobError::NotFound(name)),
            opened => opened.map_err(BlobError::file("open", &path))?,
        };
        let metadata = file.metadata().map_err(BlobError::file("look at", &path))?;
        let stamp = Stamp::of(&metadata);
        let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
        if known == Some(stamp) {
            return Ok((file, stamp.size_bytes));
        }
        if hash(&mut file).map_err(BlobError::file("read", &path))? != name {
            self.set_aside(name, &path)?;
            return Err(BlobError::Damaged(name));
        }
        io::Seek::rewind(&mut file).map_err(BlobError::file("seek in", &path))?;
        self.remember(name, stamp);
        Ok((file, stamp.size_bytes))
    }

    fn remember(&self, name: Sha256, stamp: Stamp) {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stamp);
    }

    fn set_aside(&self, name: Sha256, path: &Path) -> Result<(), BlobError> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        let aside = self.quarantine.join(name.to_string());
        fs::rename(path, &aside).map_err(BlobError::file("move to quarantine", path))?;
        sync_directory(path.parent().unwrap_or(&self.root))?;
        sync_directory(&self.quarantine)
    }
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

fn sync_directory(path: &Path) -> Result<(), BlobError> {
    // Directories cannot be opened, and need not be synced, on Windows.
    if cfg!(unix) {
        File::open(path).and_then(|directory| directory.sync_all()).map_err(BlobError::file("sync", path))?;
    }
    Ok(())
}
