//! Whoever stumbles over a blob that is damaged, lost or unreadable has it noticed, without having to think of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use phasic_hub_api::Sha256;
use tokio::sync::Notify;

use super::{BlobError, BlobStore, ByteStream, OpenBlob, Quarantined, StoredBlob, Terms, hand_on};

/// Blobs somebody stumbled over.
#[derive(Debug, Default)]
pub struct Suspects {
    names: Mutex<Names>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Names {
    /// Those nobody has looked for yet.
    new: BTreeSet<Sha256>,
    /// Those somebody looks for already: of them nothing new is heard.
    looked_for: BTreeSet<Sha256>,
}

impl Suspects {
    /// Takes note of blobs that could not be read.
    pub fn report(&self, blobs: impl IntoIterator<Item = Sha256>) {
        let mut names = self.names();
        let mut is_news = false;
        for blob in blobs {
            is_news |= !names.looked_for.contains(&blob) && names.new.insert(blob);
        }
        drop(names);
        if is_news {
            self.news.notify_one();
        }
    }

    /// What was reported since the last call. It is not heard of again before it is [trusted](Self::trust).
    pub fn take(&self) -> BTreeSet<Sha256> {
        let mut names = self.names();
        let new = std::mem::take(&mut names.new);
        names.looked_for.extend(&new);
        new
    }

    /// Takes note that a blob is whole, or wanted no longer: whoever stumbles over it next is listened to.
    pub fn trust(&self, blob: Sha256) {
        self.names().looked_for.remove(&blob);
    }

    /// Waits until something is reported.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blob store whose bad blobs are reported, whoever reads them.
pub struct Watched {
    inner: Arc<dyn BlobStore>,
    suspects: Arc<Suspects>,
}

impl Watched {
    /// This store, with somebody who hears of its bad blobs.
    pub fn new(inner: Arc<dyn BlobStore>, suspects: Arc<Suspects>) -> Self {
        Self { inner, suspects }
    }

    fn noting<'a, T: Send + 'a>(
        &'a self,
        name: Sha256,
        reading: BoxFuture<'a, Result<T, BlobError>>,
    ) -> BoxFuture<'a, Result<T, BlobError>> {
        Box::pin(async move {
            reading.await.inspect_err(|error| {
                if let BlobError::NotFound(_) | BlobError::Damaged(_) | BlobError::File { .. } = error {
                    self.suspects.report([name]);
                }
            })
        })
    }
}

impl BlobStore for Watched {
    hand_on! {
        fn put(body: ByteStream, terms: Terms) -> StoredBlob;
        fn size_bytes(name: Sha256) -> Option<u64>;
        fn sizes_bytes() -> HashMap<Sha256, u64>;
        fn names() -> Vec<Sha256>;
        fn expire(name: Sha256, age: Duration, remove: bool) -> Option<u64>;
        fn quarantined() -> Vec<Quarantined>;
        fn discard(name: Sha256) -> bool;
    }

    fn open(&self, name: Sha256, range: Option<Range<u64>>) -> BoxFuture<'_, Result<OpenBlob, BlobError>> {
        self.noting(name, self.inner.open(name, range))
    }

    fn check(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        self.noting(name, self.inner.check(name))
    }

    fn renew(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        self.noting(name, self.inner.renew(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use phasic_hub_api::Sha256;

    use super::{Suspects, Watched};
    use crate::blobs::{BlobStore, LocalBlobs, Terms, conformance, in_memory};

    #[tokio::test]
    async fn a_store_that_is_watched_keeps_the_promises_of_every_store() {
        let directories = std::cell::RefCell::new(Vec::new());
        let fresh = || {
            let directory = tempfile::tempdir().unwrap();
            let store = LocalBlobs::open(directory.path()).unwrap();
            directories.borrow_mut().push(directory);
            Watched::new(Arc::new(store), Arc::default())
        };
        conformance::all(fresh).await;
    }

    #[tokio::test]
    async fn whoever_reads_a_bad_blob_has_it_noticed_once_until_it_is_trusted_again() {
        let directory = tempfile::tempdir().unwrap();
        let suspects = Arc::new(Suspects::default());
        let inner = Arc::new(LocalBlobs::open(directory.path()).unwrap());
        let store = Watched::new(inner, Arc::clone(&suspects));
        let terms = Terms { max_bytes: 9, sha256: None };
        let rotten = store.put(in_memory("rotten"), terms).await.unwrap().sha256;
        let whole = store.put(in_memory("whole"), terms).await.unwrap().sha256;
        let digits = rotten.to_string();
        std::fs::write(directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits), "r").unwrap();
        let lost = [b"1", b"2"].map(|bytes| Sha256::of(bytes));
        assert!(store.check(whole).await.is_ok() && store.open(whole, None).await.is_ok());
        assert!(store.open(rotten, None).await.is_err());
        assert!(store.check(lost[0]).await.is_err() && store.renew(lost[1]).await.is_err());
        suspects.news().await;
        assert_eq!(suspects.take(), BTreeSet::from([rotten, lost[0], lost[1]]));
        assert!(store.check(rotten).await.is_err());
        assert_eq!(suspects.take(), BTreeSet::new(), "somebody looks for it");
        suspects.trust(rotten);
        assert!(store.check(rotten).await.is_err());
        assert_eq!(suspects.take(), BTreeSet::from([rotten]));
    }
}
