//! Garbage collection: let go of what was submitted and nobody has used for long, mark what the database refers to, sweep
//! the rest.
//!
//! A row of `blobs` is wanted while any foreign key of any table refers to it; a file, while it has a row. Both are
//! left alone for a grace period after their bytes were last stored, because a file is stored before its row is.

use std::time::Duration;

use phasic_hub_api::Sha256;
use serde_json::json;

use super::UpkeepError;
use crate::hub::DataDirectory;
use crate::metrics;
use crate::store::{Actor, Change, Expired};

/// How long running hubs may take to see that a compute is gone: until then they list it, and its files are asked for.
const UNTIL_SEEN: Duration = Duration::from_secs(2);

/// What goes.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Blobs nobody refers to whose bytes were last stored at least so long ago.
    pub grace: Duration,
    /// Submitted graphs and results of jobs that were not used for so many days; 0: none.
    pub keep_submitted_days: u64,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// What was submitted and not used for long.
    pub expired: Expired,
    /// The blobs.
    pub removed: Vec<Sha256>,
    /// Their bytes.
    pub bytes: u64,
}

/// Lets go of what was submitted and not used for long, then removes blobs nobody refers to, by the rules; or only says
/// what that would be, for a `dry_run`.
///
/// # Errors
/// When database or blob store fail. What was removed until then stays removed, and was not wanted.
pub async fn collect(
    data: &DataDirectory,
    rules: Rules,
    dry_run: bool,
    actor: &Actor,
) -> Result<Collection, UpkeepError> {
    let Rules { grace, keep_submitted_days: days } = rules;
    let expired = match days {
        0 => Expired { unreferenced: data.store.unreferenced_blobs().await?, ..Expired::default() },
        days => data.store.expire_submissions(days, dry_run, actor).await?,
    };
    if !dry_run {
        metrics::expired("graph", expired.graphs.len());
        metrics::expired("elimination", expired.eliminations.len());
    }
    if !dry_run && !expired.computes.is_empty() {
        tokio::time::sleep(UNTIL_SEEN).await;
    }
    let unwanted = &expired.unreferenced;
    let mut known = data.store.blobs().await?;
    if !dry_run {
        // Rows first: a file without a row is garbage the next time, a row without a file would be a lost blob.
        for &name in unwanted {
            let is_old =
                async { Ok::<_, UpkeepError>(data.blobs.expire(name, grace, false).await?.is_some()) };
            data.store.forget_blob(name, is_old).await?;
        }
        known = data.store.blobs().await?;
    }
    let mut collection = Collection { expired: expired.clone(), ..Collection::default() };
    for name in data.blobs.names().await? {
        let has_row = known.binary_search_by_key(&name, |blob| blob.sha256).is_ok();
        let is_wanted = has_row && !(dry_run && unwanted.contains(&name));
        if is_wanted {
            continue;
        }
        if let Some(bytes) = data.blobs.expire(name, grace, !dry_run).await? {
            collection.removed.push(name);
            collection.bytes += bytes;
        }
    }
    if !dry_run && !collection.removed.is_empty() {
        let detail = json!({"blobs": collection.removed, "bytes": collection.bytes});
        let told = Change { action: "blob.collect", subject: "blobs".to_owned(), detail };
        data.store.tell(actor, told).await?;
    }
    Ok(collection)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::ops::Range;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use futures_util::future::BoxFuture;
    use phasic_hub_api::Sha256;

    use super::{Rules, collect};
    use crate::blobs::{
        BlobError, BlobStore, ByteStream, OpenBlob, Quarantined, StoredBlob, Terms, hand_on, in_memory,
    };
    use crate::hub::DataDirectory;
    use crate::store::{Actor, Store};
    use crate::visibility::{Audience, Viewer};

    const BYTES: &[u8] = b"garbage, and then somebody wants it";
    const TOKEN: &str = "0123456789ab";

    /// Blobs of which somebody stores the same bytes again right after they were found to be old.
    struct Contended {
        inner: Arc<dyn BlobStore>,
        store: Store,
    }

    /// As an upload does.
    async fn upload(blobs: &dyn BlobStore, store: &Store) -> StoredBlob {
        let terms = Terms { max_bytes: 1000, sha256: None };
        let blob = blobs.put(in_memory(BYTES.to_vec()), terms).await.unwrap();
        store.put_upload(blob, TOKEN, &Audience::Everybody).await.unwrap();
        blob
    }

    impl BlobStore for Contended {
        hand_on! {
            fn put(body: ByteStream, terms: Terms) -> StoredBlob;
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
                let found = self.inner.expire(name, age, remove).await;
                if !remove {
                    let (inner, store) = (Arc::clone(&self.inner), self.store.clone());
                    let uploading = tokio::spawn(async move { upload(&*inner, &store).await });
                    // Done now, if nobody keeps it from writing; otherwise afterwards.
                    let _ = tokio::time::timeout(Duration::from_millis(300), uploading).await;
                }
                found
            })
        }
    }

    #[tokio::test]
    async fn an_upload_at_the_moment_its_bytes_are_collected_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let blob = upload(&*data.blobs, &data.store).await;
        let digits = blob.sha256.to_string();
        let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
        let contended = Contended { inner: Arc::clone(&data.blobs), store: data.store.clone() };
        let contended = DataDirectory { blobs: Arc::new(contended), ..data.clone() };
        let rules = Rules { grace: Duration::from_hours(1), keep_submitted_days: 0 };
        let found = collect(&contended, rules, false, &Actor::Hub).await.unwrap();
        assert!(found.removed.is_empty(), "{found:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(path.exists());
        assert_eq!(data.store.uploaded_bytes(TOKEN).await.unwrap(), BYTES.len() as u64);
        assert_eq!(data.store.visible_blob(blob.sha256, &Viewer::All).await.unwrap(), Some(blob));
    }
}
