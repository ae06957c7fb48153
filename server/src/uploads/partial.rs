//! Unfinished uploads: a file each, named by whose it is, what it is to become, and how long it will be.
//!
//! How far one has come is the length of its file, so there is nothing else to keep in step with it. After a loss of
//! power a file may hold bytes that never arrived; its digest tells when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use phasic_hub_api::Sha256;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::UploadError;
use crate::blobs::{BlobError, ByteStream, StoredBlob};
use crate::config;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset_bytes: u64,
    /// Its length.
    pub length_bytes: u64,
    /// The length of the whole file.
    pub total_bytes: u64,
}

/// How far an unfinished upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadState {
    /// Bytes that have arrived.
    pub offset_bytes: u64,
    /// Bytes of the whole file.
    pub total_bytes: u64,
    /// Seconds until it is forgotten, if nobody goes on with it.
    pub expires_in_seconds: u64,
}

/// What became of a part.
pub enum Appended {
    /// There is more to come.
    Partial(UploadState),
    /// All has arrived.
    Complete(CompleteFile),
    /// All has arrived, and is a blob.
    Stored(StoredBlob),
}

/// A file all bytes of which have arrived; locked while the value lives.
pub struct CompleteFile {
    path: PathBuf,
    /// Held, never read.
    _lock: File,
}

/// The directory of unfinished uploads.
pub(super) struct Partials {
    directory: PathBuf,
    most: u64,
    age: Duration,
    /// Held while it is counted whether there is room for another.
    placing: Mutex<()>,
}

/// One of them.
struct Entry {
    path: PathBuf,
    offset_bytes: u64,
    total_bytes: u64,
    idle: Duration,
}

impl Entry {
    fn file(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

impl Partials {
    pub(super) fn open(data_dir: &Path, settings: &config::Uploads) -> Result<Self, BlobError> {
        let directory = data_dir.join("partial");
        fs::create_dir_all(&directory).map_err(BlobError::file("create", &directory))?;
        sync(data_dir)?;
        let (most, age) = (settings.max_partial.get(), settings.partial_age_ms.duration());
        let partials = Self { directory, most, age, placing: Mutex::default() };
        partials.sweep()?;
        Ok(partials)
    }

    /// Names of files begin so: the digest, and whose it is. The id of a token is hexadecimal.
    fn prefix(token: &str, name: Sha256) -> String {
        format!("{name}-{token}-")
    }

    /// Bytes all unfinished uploads of a token will have, but for those of these names, and those whose time is over.
    pub(super) fn announced_bytes(&self, token: &str, but: &[Sha256]) -> Result<u64, BlobError> {
        let of_token = format!("-{token}-");
        let but: Vec<String> = but.iter().map(|&name| Self::prefix(token, name)).collect();
        let others = self.entries("")?.into_iter().filter(|entry| {
            let file = entry.file();
            entry.idle <= self.age
                && file.contains(&of_token)
                && !but.iter().any(|name| file.starts_with(name))
        });
        Ok(others.fold(0, |sum: u64, entry| sum.saturating_add(entry.total_bytes)))
    }

    /// Whether there is room for another one of a token: none may take the last quarter of all places.
    fn has_room(&self, token: &str) -> Result<bool, BlobError> {
        let of_token = format!("-{token}-");
        let all = self.entries("")?;
        let mine = all.iter().filter(|entry| entry.file().contains(&of_token)).count() as u64;
        Ok((all.len() as u64) < self.most && mine < self.most - self.most / 4)
    }

    fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BlobError> {
        let list = || -> io::Result<Vec<Entry>> {
            let mut found = Vec::new();
            for file in fs::read_dir(&self.directory)? {
                let file = file?;
                let name = file.file_name().to_string_lossy().into_owned();
                let total = name.rsplit_once('-').and_then(|(_, total)| total.parse().ok());
                let Some(total_bytes) = total.filter(|_| name.starts_with(prefix)) else { continue };
                let metadata = match file.metadata() {
                    // Somebody has finished it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                let idle = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
                found.push(Entry { path: file.path(), offset_bytes: metadata.len(), total_bytes, idle });
            }
            Ok(found)
        };
        list().map_err(BlobError::file("list", &self.directory))
    }

    pub(super) fn state(&self, token: &str, name: Sha256) -> Result<Option<UploadState>, BlobError> {
        let found = self.entries(&Self::prefix(token, name))?;
        let newest = found.iter().min_by_key(|entry| entry.idle);
        Ok(newest.map(|entry| UploadState {
            offset_bytes: entry.offset_bytes,
            total_bytes: entry.total_bytes,
            expires_in_seconds: self.age.saturating_sub(entry.idle).as_secs(),
        }))
    }

    pub(super) fn discard(&self, token: &str, name: Sha256) -> Result<bool, UploadError> {
        let found = self.entries(&Self::prefix(token, name))?;
        for entry in &found {
            let Some(_lock) = lock(&entry.path, false)? else { return Err(UploadError::Busy) };
            remove(&entry.path)?;
        }
        Ok(!found.is_empty())
    }

    /// How long one is kept that nobody goes on with.
    pub(super) const fn age(&self) -> Duration {
        self.age
    }

    pub(super) fn sweep(&self) -> Result<(), BlobError> {
        for entry in self.entries("")?.iter().filter(|entry| entry.idle > self.age) {
            match lock(&entry.path, false) {
                // Somebody may have gone on with it between the look and the lock.
                Ok(Some(file)) if self.is_old(&file, &entry.path)? => remove(&entry.path)?,
                Err(UploadError::Blobs(error)) => return Err(error),
                // It is being gone on with, or somebody was faster.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn is_old(&self, file: &File, path: &Path) -> Result<bool, BlobError> {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let modified = modified.map_err(BlobError::file("look at", path))?;
        Ok(modified.elapsed().unwrap_or_default() > self.age)
    }

    fn path(&self, token: &str, name: Sha256, total_bytes: u64) -> PathBuf {
        self.directory.join(format!("{}{total_bytes}", Self::prefix(token, name)))
    }

    /// The file of an upload all bytes of which have arrived, but which did not become a blob yet.
    pub(super) fn complete(
        &self,
        token: &str,
        name: Sha256,
        total_bytes: u64,
    ) -> Result<CompleteFile, UploadError> {
        let path = self.path(token, name, total_bytes);
        let found = total_bytes;
        let Some(file) = lock(&path, false)? else {
            return Err(UploadError::Offset { expected: 0, found });
        };
        let expected = file.metadata().map_err(BlobError::file("look at", &path))?.len();
        if expected != total_bytes {
            return Err(UploadError::Offset { expected, found });
        }
        Ok(CompleteFile { path, _lock: file })
    }

    pub(super) async fn append(
        &self,
        token: &str,
        name: Sha256,
        part: Part,
        body: ByteStream,
    ) -> Result<Appended, UploadError> {
        let path = self.path(token, name, part.total_bytes);
        let file = self.begin(&path, token, name, part)?;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(part.offset_bytes)).await.map_err(BlobError::file("seek in", &path))?;
        let written = write(&mut file, body, part, &path).await;
        // What has arrived is kept, however it ended.
        file.flush().await.map_err(BlobError::file("write", &path))?;
        file.sync_all().await.map_err(BlobError::file("sync", &path))?;
        let offset_bytes = match written {
            Ok(offset_bytes) => offset_bytes,
            Err(error) => {
                if matches!(error, UploadError::PartLength { .. }) {
                    file.set_len(part.offset_bytes).await.map_err(BlobError::file("cut", &path))?;
                }
                return Err(error);
            }
        };
        if offset_bytes == part.total_bytes {
            return Ok(Appended::Complete(CompleteFile { path, _lock: file.into_std().await }));
        }
        Ok(Appended::Partial(UploadState {
            offset_bytes,
            total_bytes: part.total_bytes,
            expires_in_seconds: self.age.as_secs(),
        }))
    }

    /// Opens and locks the file of an upload, at the place where the part begins.
    fn begin(&self, path: &Path, token: &str, name: Sha256, part: Part) -> Result<File, UploadError> {
        let found = part.offset_bytes;
        if found == 0 {
            self.sweep()?;
            // The file is there before the next one counts.
            let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = self.entries(&Self::prefix(token, name))?;
            let is_new = mine.iter().all(|entry| entry.path != path);
            if is_new && !self.has_room(token)? {
                return Err(UploadError::TooManyPartial { limit: self.most });
            }
            // Of another length: one of the two was a mistake, and this one is the later.
            for entry in mine.iter().filter(|entry| entry.path != path) {
                if let Some(_lock) = lock(&entry.path, false)? {
                    remove(&entry.path)?;
                }
            }
            if is_new {
                drop(lock(path, true)?);
                sync(&self.directory)?;
            }
        }
        let Some(file) = lock(path, found == 0)? else {
            return Err(UploadError::Offset { expected: 0, found });
        };
        let expected = file.metadata().map_err(BlobError::file("look at", path))?.len();
        if found == 0 {
            // Begun anew.
            file.set_len(0).map_err(BlobError::file("cut", path))?;
        } else if expected != found {
            return Err(UploadError::Offset { expected, found });
        }
        Ok(file)
    }
}

impl CompleteFile {
    /// The bytes.
    pub(super) async fn read(&self) -> Result<ByteStream, BlobError> {
        let file = tokio::fs::File::open(&self.path).await.map_err(BlobError::file("open", &self.path))?;
        Ok(Box::pin(ReaderStream::with_capacity(file, 64 << 10)))
    }

    pub(super) fn remove(&self) -> Result<(), BlobError> {
        remove(&self.path)
    }
}

/// Opens a file for this request alone. `None` when there is none and it is not to be made.
fn lock(path: &Path, create: bool) -> Result<Option<File>, UploadError> {
    loop {
        let opened = File::options().read(true).write(true).create(create).truncate(false).open(path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(BlobError::file("open", path))?,
        };
        match file.try_lock() {
            Ok(()) if is_linked(&file).map_err(BlobError::file("look at", path))? => return Ok(Some(file)),
            // It was removed between opening and locking: what is written to it would be lost.
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(UploadError::Busy),
            Err(fs::TryLockError::Error(source)) => return Err(BlobError::file("lock", path)(source).into()),
        }
    }
}

/// Whether an open file still has a name.
#[cfg(unix)]
fn is_linked(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.nlink() > 0)
}

/// Whether an open file still has a name: elsewhere, opening one that is being removed fails.
#[cfg(not(unix))]
fn is_linked(file: &File) -> io::Result<bool> {
    file.metadata().map(|_| true)
}

/// Sees to it that the names in a directory survive a loss of power.
fn sync(directory: &Path) -> Result<(), BlobError> {
    // Directories cannot be opened, and need not be synced, on Windows.
    if cfg!(unix) {
        let open = File::open(directory);
        open.and_then(|open| open.sync_all()).map_err(BlobError::file("sync", directory))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(BlobError::file("remove", path)),
    }
}

/// Writes a part, and says where the file ends then.
async fn write(
    file: &mut tokio::fs::File,
    mut body: ByteStream,
    part: Part,
    path: &Path,
) -> Result<u64, UploadError> {
    let mut written = 0_u64;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(BlobError::Body)?;
        written += piece.len() as u64;
        if written > part.length_bytes {
            return Err(UploadError::PartLength { expected: part.length_bytes });
        }
        file.write_all(&piece).await.map_err(BlobError::file("write", path))?;
    }
    if written < part.length_bytes {
        return Err(UploadError::PartLength { expected: part.length_bytes });
    }
    Ok(part.offset_bytes + written)
}
