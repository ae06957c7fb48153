//! phasic's artifact cache on disk: where programs lie, who may write one, and how a new one appears whole or not at all.
//!
//! The layout is phasic's own, so both tools profit from one download. Nothing here knows the network or judges
//! the bytes: what is installed has been verified by the caller.

mod lock;
mod staged;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use phasic_engine::graph::GraphHash;

pub use lock::EntryLock;
pub use staged::StagedFile;

/// The folder of elimination programs under the cache root, as phasic names it.
const PROGRAMS: &str = "parameterized_reward_compute";
/// Our own things lie beside phasic's, never among them.
const OWN: &str = "phasic-hub";

/// How long a process waits for another one that installs the same entry, unless told otherwise.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_mins(5);

/// phasic's cache directory, seen as a store of elimination programs.
///
/// Cheap to clone: it holds a path and a duration.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use phasic_hub_client::cache::ArtifactCache;
///
/// let cache = ArtifactCache::at("/home/ada/.phasic_cache");
/// let hash = "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6".parse()?;
/// assert!(cache.program_path(&hash).ends_with(
///     "parameterized_reward_compute/4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6.bin"
/// ));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ArtifactCache {
    root: PathBuf,
    lock_timeout: Duration,
}

/// One entry ready to be installed: a program and the component programs that belong to it.
#[derive(Debug)]
pub struct NewEntry<'a> {
    /// The content hash of the graph the program was made for.
    pub hash: GraphHash,
    /// The bytes of the program's file.
    pub program: &'a [u8],
    /// Hash of the synthetic graph and file bytes of each component program.
    pub components: &'a [(GraphHash, Vec<u8>)],
}

/// Why the cache could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Neither `PHASIC_CACHE_DIR` nor a home directory is known.
    #[error(
        "no cache directory: this user has no home directory; set PHASIC_CACHE_DIR to a folder you can write to"
    )]
    NoHome,
    /// A file or folder of the cache could not be used.
    #[error("cannot {action} '{}': {source}; PHASIC_CACHE_DIR chooses another cache folder", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Another process kept the entry locked for too long.
    #[error(
        "another process has been installing '{hash}' for more than {} s and holds '{}'; \
         wait for it or stop it, or allow more time with PHASIC_HUB_LOCK_TIMEOUT (seconds)",
        waited.as_secs(), path.display()
    )]
    Locked {
        /// The entry both wanted.
        hash: GraphHash,
        /// The lock file.
        path: PathBuf,
        /// How long this process has waited.
        waited: Duration,
    },
}

impl CacheError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl ArtifactCache {
    /// The cache whose root is `root` (made when first written to).
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), lock_timeout: DEFAULT_LOCK_TIMEOUT }
    }

    /// The cache phasic itself would use: `$PHASIC_CACHE_DIR`, or `.phasic_cache` in the home directory.
    ///
    /// # Errors
    /// [`CacheError::NoHome`] when neither is known.
    pub fn from_environment() -> Result<Self, CacheError> {
        if let Some(root) = std::env::var_os("PHASIC_CACHE_DIR").filter(|root| !root.is_empty()) {
            return Ok(Self::at(root));
        }
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        Ok(Self::at(home.ok_or(CacheError::NoHome)?.join(".phasic_cache")))
    }

    /// The same cache with another patience for entries that someone else is installing.
    #[must_use]
    pub fn with_lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the program of the graph with this hash lies, whether or not it is there.
    pub fn program_path(&self, hash: &GraphHash) -> PathBuf {
        self.root.join(PROGRAMS).join(format!("{hash}.bin"))
    }

    /// Where the program of the component with this synthetic hash lies, whether or not it is there.
    pub fn component_path(&self, hash: &GraphHash) -> PathBuf {
        self.root.join(PROGRAMS).join(format!("scc_{hash}.bin"))
    }

    /// The bytes kept for this hash; `None` when there is no such file.
    ///
    /// The hash ignores edge order: verify the bytes against the graph at hand before using them.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the file is there and cannot be read.
    pub fn read_program(&self, hash: &GraphHash) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.program_path(hash);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("read", &path)(error)),
        }
    }

    /// Waits until nobody else installs this entry, and keeps others waiting while the result lives.
    ///
    /// The lock saves duplicate downloads; it is not needed for integrity, since every file appears by one rename.
    /// Where locks do not work (some network file systems, a lock file of another user) the result holds none.
    ///
    /// # Errors
    /// [`CacheError::Locked`] after the lock timeout, [`CacheError::Io`] when the folder cannot be made.
    pub async fn lock(&self, hash: &GraphHash) -> Result<EntryLock, CacheError> {
        let folder = self.root.join(OWN).join("locks");
        std::fs::create_dir_all(&folder).map_err(CacheError::io("create the folder", &folder))?;
        lock::acquire(hash, folder.join(format!("{hash}.lock")), self.lock_timeout).await
    }

    /// Installs a verified entry: all files are written and flushed under temporary names first, then renamed,
    /// components before the program, so that a program is never there without its components.
    ///
    /// Returns the path of the program.
    ///
    /// # Errors
    /// [`CacheError::Io`]; nothing was replaced then, unless a rename itself failed.
    pub fn install(&self, entry: &NewEntry<'_>) -> Result<PathBuf, CacheError> {
        let folder = self.root.join(PROGRAMS);
        std::fs::create_dir_all(&folder).map_err(CacheError::io("create the folder", &folder))?;
        staged::sweep(&folder);
        let program = self.program_path(&entry.hash);
        let components =
            entry.components.iter().map(|(hash, bytes)| (self.component_path(hash), bytes.as_slice()));
        let staged = components
            .chain([(program.clone(), entry.program)])
            .map(|(path, bytes)| stage(&path, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        for file in staged {
            let path = file.destination().to_owned();
            file.commit().map_err(CacheError::io("put in place", &path))?;
        }
        Ok(program)
    }
}

fn stage(path: &Path, bytes: &[u8]) -> Result<StagedFile, CacheError> {
    let mut file = StagedFile::create(path).map_err(CacheError::io("create", path))?;
    file.write_all(bytes).and_then(|()| file.flush_to_disk()).map_err(CacheError::io("write", path))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
