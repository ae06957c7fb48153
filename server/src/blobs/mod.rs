//! Blobs: bytes named by their SHA-256, kept for good or not at all.
//!
//! [`BlobStore`] is the whole interface; the file system is the first backend. Which blobs are wanted, by whom, and
//! what is inside them is not known here.

mod local;
mod quota;
mod stamp;
mod temporary;
mod watched;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use phasic_hub_api::Sha256;

pub use local::LocalBlobs;
pub use quota::Bounded;
pub use watched::{Suspects, Watched};

/// Bytes on their way, in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A stream of bytes that are in memory already.
pub fn in_memory(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    Box::pin(futures_util::stream::once(std::future::ready(Ok(bytes))))
}

/// Reads a whole blob into memory. Its bytes have been hashed against its name.
///
/// # Errors
/// As [`BlobStore::open`], or when reading fails.
pub async fn read_whole(blobs: &dyn BlobStore, blob: StoredBlob) -> Result<Vec<u8>, BlobError> {
    let mut open = blobs.open(blob.sha256, None).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = open.body.next().await {
        bytes.extend_from_slice(&piece.map_err(BlobError::Body)?);
    }
    Ok(bytes)
}

/// Stores and gives back blobs.
///
/// Every implementation passes the suite in `conformance.rs`, which is what these promises mean:
/// a blob is there whole or not at all; what [`BlobStore::open`] gives has been hashed against its name before the
/// first byte leaves; when [`BlobStore::put`] has answered, the bytes survive a loss of power.
pub trait BlobStore: Send + Sync + 'static {
    /// Stores a body under the hash of its bytes, which is computed while they are written.
    ///
    /// Storing bytes that are there already changes nothing, and repairs a copy that was damaged.
    ///
    /// # Errors
    /// When the body breaks its [`Terms`], its stream fails, or the backend does. Nothing is left behind then.
    fn put(&self, body: ByteStream, terms: Terms) -> BoxFuture<'_, Result<StoredBlob, BlobError>>;

    /// Opens a blob, whole or one range of it; bounds beyond the end are cut to it.
    ///
    /// The first opening in the life of a process reads and hashes all of it, later ones only if it may have changed.
    ///
    /// # Errors
    /// [`BlobError::NotFound`]; [`BlobError::Damaged`] when the bytes no longer have their name, which are then set
    /// aside and never served; or a failure of the backend.
    fn open(&self, name: Sha256, range: Option<Range<u64>>) -> BoxFuture<'_, Result<OpenBlob, BlobError>>;

    /// The size in bytes of a blob that seems to be there; a cheap look that proves nothing about the bytes.
    ///
    /// # Errors
    /// When the backend fails.
    fn size_bytes(&self, name: Sha256) -> BoxFuture<'_, Result<Option<u64>, BlobError>>;

    /// The sizes in bytes of all blobs that seem to be there, in one go: for a hundred thousand of them, asking one by
    /// one takes seconds.
    ///
    /// # Errors
    /// When the backend fails.
    fn sizes_bytes(&self) -> BoxFuture<'_, Result<HashMap<Sha256, u64>, BlobError>>;

    /// The names of all blobs, in order.
    ///
    /// # Errors
    /// When the backend fails.
    fn names(&self) -> BoxFuture<'_, Result<Vec<Sha256>, BlobError>>;

    /// Reads and hashes all of a blob, whatever was known about it, and says its size in bytes.
    ///
    /// # Errors
    /// As [`BlobStore::open`].
    fn check(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>>;

    /// Reads and hashes all of a blob as [`BlobStore::check`] does, and makes it as young as if its bytes were stored at
    /// this moment: when this has answered, [`BlobStore::expire`] leaves it alone for as long as any that was just stored.
    ///
    /// # Errors
    /// As [`BlobStore::open`].
    fn renew(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>>;

    /// The size in bytes of a blob whose bytes were last stored at least `age` ago, which is removed then if `remove`
    /// says so. `None` when there is none or it is younger. Whoever stores the same bytes at this moment has them
    /// stored, before or after.
    ///
    /// # Errors
    /// When the backend fails.
    fn expire(
        &self,
        name: Sha256,
        age: Duration,
        remove: bool,
    ) -> BoxFuture<'_, Result<Option<u64>, BlobError>>;

    /// What was set aside because its bytes no longer had their name, by name; whether good bytes stand there now or not.
    ///
    /// # Errors
    /// When the backend fails.
    fn quarantined(&self) -> BoxFuture<'_, Result<Vec<Quarantined>, BlobError>>;

    /// Removes what was set aside under a name, for good. Says whether there was anything.
    ///
    /// # Errors
    /// When the backend fails.
    fn discard(&self, name: Sha256) -> BoxFuture<'_, Result<bool, BlobError>>;
}

/// Hands methods of a store around another one on to that, `self.inner`, as they are.
macro_rules! hand_on {
    ($(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(
            fn $method(
                &self,
                $($argument: $type),*
            ) -> futures_util::future::BoxFuture<'_, Result<$answer, $crate::blobs::BlobError>> {
                self.inner.$method($($argument),*)
            }
        )+
    };
}
pub(crate) use hand_on;

/// Damaged bytes that were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The name they had.
    pub name: Sha256,
    /// Their size in bytes.
    pub size_bytes: u64,
}

/// What a body must keep to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// At most this many bytes are read.
    pub max_bytes: u64,
    /// The hash it must have, if that is known.
    pub sha256: Option<Sha256>,
}

/// A blob that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A blob, or a range of one, that is being read.
pub struct OpenBlob {
    /// Size of the whole blob in bytes.
    pub size_bytes: u64,
    /// The bytes asked for.
    pub body: ByteStream,
}

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no blob {0}")]
    NotFound(Sha256),
    /// The stored bytes have another hash than their name. They have been set aside.
    #[error("the stored bytes of blob {0} are damaged and have been moved to the quarantine directory")]
    Damaged(Sha256),
    /// The body has another hash than announced.
    #[error("the bytes have SHA-256 {found}, not {expected} as announced")]
    WrongHash {
        /// The announced hash.
        expected: Sha256,
        /// That of the bytes.
        found: Sha256,
    },
    /// The body is longer than allowed.
    #[error("there are more than the {limit_bytes} bytes allowed")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// All blobs together take as much as they may.
    #[error(
        "the stored files would take more than the {limit_bytes} bytes they may (storage.max_bytes); phasic-hub gc \
         removes those that nothing refers to"
    )]
    Full {
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// The stream of the body failed.
    #[error("the bytes stopped coming: {0}")]
    Body(io::Error),
    /// The file system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl BlobError {
    /// For `map_err`: the action and the file it failed on.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
