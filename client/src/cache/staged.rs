//! A file that is written under a temporary name beside its destination and appears there in one step.
//!
//! Used for everything this crate writes, in the cache and where a user says `-o`. It knows bytes and names, not what they mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Marks our temporary names, so that leftovers of killed processes can be told from other people's files.
const MARK: &str = ".phasic-hub-tmp.";
/// A temporary file untouched for so long belongs to nobody any more.
const ABANDONED: Duration = Duration::from_hours(24);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file in the making; removed again when dropped before [`commit`](Self::commit).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::io::Write;
/// use phasic_hub_client::cache::StagedFile;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.bin");
/// let mut file = StagedFile::create(&path)?;
/// file.write_all(b"PTDPRMC3")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"PTDPRMC3");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    temporary: PathBuf,
    destination: PathBuf,
    committed: bool,
}

impl StagedFile {
    /// Starts a file that will appear at `destination`, in the same folder, with the permissions the umask gives.
    ///
    /// # Errors
    /// The operating system's, for example when the folder does not exist or cannot be written to.
    pub fn create(destination: &Path) -> io::Result<Self> {
        let name = destination.file_name().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name")
        })?;
        let mut temporary_name = std::ffi::OsString::from(".");
        temporary_name.push(name);
        // The process id and a counter make the name unique on this machine, the clock on a shared folder.
        let nanoseconds = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |t| t.subsec_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        temporary_name.push(format!("{MARK}{}.{number}.{nanoseconds}", std::process::id()));
        let temporary = destination.with_file_name(temporary_name);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(Self { file, temporary, destination: destination.to_owned(), committed: false })
    }

    /// Where the file will appear.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Makes what has been written so far survive a power loss.
    ///
    /// # Errors
    /// The operating system's.
    pub fn flush_to_disk(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Flushes the file to disk and gives it its name, replacing what was there.
    ///
    /// # Errors
    /// The operating system's; the destination is as before then.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush_to_disk()?;
        std::fs::rename(&self.temporary, &self.destination)?;
        self.committed = true;
        // The new name must survive a power loss too. Not every system can flush a folder; the file is whole anyway.
        if let Some(folder) = self.destination.parent().filter(|folder| !folder.as_os_str().is_empty())
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Removes temporary files of ours that a killed process left in `folder` long ago; failures do not matter.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.contains(MARK));
        let age =
            entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        if is_ours && age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
