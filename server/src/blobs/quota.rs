//! A limit on the bytes of all blobs together, whoever stores them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use phasic_hub_api::Sha256;

use super::{BlobError, BlobStore, ByteStream, OpenBlob, Quarantined, StoredBlob, Terms, hand_on};

/// A blob store that takes no more than so many bytes: uploads, mirrored files and results alike.
///
/// Bytes are counted while they arrive. What other processes store and remove meanwhile is noticed when there seems to
/// be no room: before anybody is refused, the files are looked at again.
pub struct Bounded {
    inner: Arc<dyn BlobStore>,
    limit_bytes: u64,
    usage: Arc<Mutex<Usage>>,
}

/// What is known about the room that is taken.
#[derive(Debug, Default)]
struct Usage {
    /// Bytes of the blobs, when they were last added up, and of those stored since.
    stored_bytes: Option<u64>,
    /// Bytes that have arrived for blobs that are not stored yet.
    arriving_bytes: u64,
}

impl Usage {
    fn total(&self) -> u64 {
        self.stored_bytes.unwrap_or_default().saturating_add(self.arriving_bytes)
    }
}

/// Bytes on their way, counted until the value is dropped.
struct Arriving {
    usage: Arc<Mutex<Usage>>,
    bytes: u64,
}

impl Arriving {
    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts further bytes, if there is room. Says whether there is.
    fn add(&mut self, bytes: u64, limit_bytes: u64) -> bool {
        let mut usage = self.lock();
        let fits = usage.total().saturating_add(bytes) <= limit_bytes;
        if fits {
            usage.arriving_bytes += bytes;
            drop(usage);
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.lock().arriving_bytes -= bytes;
    }
}

impl Bounded {
    /// This store within a limit.
    pub fn new(inner: Arc<dyn BlobStore>, limit_bytes: u64) -> Self {
        Self { inner, limit_bytes, usage: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds up all blobs anew: a look at every file.
    async fn count(&self) -> Result<(), BlobError> {
        let sizes = self.inner.sizes_bytes().await?;
        self.lock().stored_bytes = Some(sizes.values().fold(0, |sum, &bytes| sum.saturating_add(bytes)));
        Ok(())
    }

    async fn store(&self, body: ByteStream, terms: Terms) -> Result<StoredBlob, BlobError> {
        // Whoever has little room left counts first, and no body need be broken off that would have fitted.
        let left = self.limit_bytes.saturating_sub(self.lock().total());
        if self.lock().stored_bytes.is_none() || left < terms.max_bytes {
            self.count().await?;
        }
        let limit_bytes = self.limit_bytes;
        let is_full = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&is_full);
        let mut arriving = Arriving { usage: Arc::clone(&self.usage), bytes: 0 };
        let counted = body.map(move |piece| {
            let piece = piece?;
            if arriving.add(piece.len() as u64, limit_bytes) {
                return Ok(piece);
            }
            noted.store(true, Ordering::Relaxed);
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        });
        let known = match terms.sha256 {
            Some(name) => self.inner.size_bytes(name).await?.is_some(),
            None => false,
        };
        let stored = self.inner.put(Box::pin(counted), terms).await;
        match stored {
            Err(BlobError::Body(_)) if is_full.load(Ordering::Relaxed) => {
                Err(BlobError::Full { limit_bytes })
            }
            Ok(blob) => {
                // Where the same bytes were there already this counts them twice, until the next look.
                if let Some(bytes) = self.lock().stored_bytes.as_mut().filter(|_| !known) {
                    *bytes = bytes.saturating_add(blob.size_bytes);
                }
                Ok(blob)
            }
            Err(error) => Err(error),
        }
    }
}

impl BlobStore for Bounded {
    fn put(&self, body: ByteStream, terms: Terms) -> BoxFuture<'_, Result<StoredBlob, BlobError>> {
        Box::pin(self.store(body, terms))
    }

    hand_on! {
        fn open(name: Sha256, range: Option<Range<u64>>) -> OpenBlob;
        fn size_bytes(name: Sha256) -> Option<u64>;
        fn sizes_bytes() -> HashMap<Sha256, u64>;
        fn names() -> Vec<Sha256>;
        fn check(name: Sha256) -> u64;
        fn renew(name: Sha256) -> u64;
        fn quarantined() -> Vec<Quarantined>;
        fn discard(name: Sha256) -> bool;
    }

    fn expire(
        &self,
        name: Sha256,
        age: Duration,
        remove: bool,
    ) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        Box::pin(async move {
            let expired = self.inner.expire(name, age, remove).await?;
            if let Some(stored) = self.lock().stored_bytes.as_mut().filter(|_| remove) {
                *stored = stored.saturating_sub(expired.unwrap_or_default());
            }
            Ok(expired)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{BlobError, BlobStore, Bounded, Terms};
    use crate::blobs::{LocalBlobs, conformance, in_memory};

    fn bounded(limit_bytes: u64) -> (tempfile::TempDir, Bounded, LocalBlobs) {
        let directory = tempfile::tempdir().unwrap();
        let open = || LocalBlobs::open(directory.path()).unwrap();
        let (inner, beside) = (open(), open());
        (directory, Bounded::new(Arc::new(inner), limit_bytes), beside)
    }

    async fn put(store: &dyn BlobStore, content: &str) -> Result<u64, BlobError> {
        let terms = Terms { max_bytes: 100, sha256: None };
        store.put(in_memory(content.to_owned()), terms).await.map(|blob| blob.size_bytes)
    }

    #[tokio::test]
    async fn a_store_within_a_limit_keeps_the_promises_of_every_store() {
        let directories = std::cell::RefCell::new(Vec::new());
        let fresh = || {
            let (directory, store, _) = bounded(u64::MAX);
            directories.borrow_mut().push(directory);
            store
        };
        conformance::all(fresh).await;
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_with_the_limit_and_leaves_nothing() {
        let (directory, store, beside) = bounded(10);
        assert_eq!(put(&store, "12345678").await.unwrap(), 8);
        let refused = put(&store, "abc").await.unwrap_err();
        assert!(matches!(refused, BlobError::Full { limit_bytes: 10 }), "{refused}");
        assert_eq!(store.names().await.unwrap().len(), 1);
        assert_eq!(put(&store, "ab").await.unwrap(), 2, "what fits is still taken");
        // Another process takes and makes room.
        let name = phasic_hub_api::Sha256::of(b"12345678");
        assert_eq!(beside.expire(name, Duration::ZERO, true).await.unwrap(), Some(8));
        assert_eq!(put(&store, "abcdefgh").await.unwrap(), 8);
        assert!(put(&store, "x").await.is_err());
        drop(directory);
    }
}
