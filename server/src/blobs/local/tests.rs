use std::fs::{self, File};
use std::path::PathBuf;

use phasic_hub_api::Sha256;

use super::{BlobStore as _, LocalBlobs, Terms};
use crate::blobs::{conformance, in_memory};

const ANY: Terms = Terms { max_bytes: 1 << 20, sha256: None };

impl LocalBlobs {
    fn take_synced(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.inner.synced.lock().unwrap())
    }
}

#[tokio::test]
async fn the_slower_of_two_openers_leaves_a_repaired_file_alone() {
    let data = tempfile::tempdir().unwrap();
    let store = LocalBlobs::open(data.path()).unwrap();
    let name = store.put(in_memory("good bytes"), ANY).await.unwrap().sha256;
    let path = store.inner.path(name);
    fs::write(&path, "evil bytes").unwrap();
    // Two openers have the damaged file; the faster one sets it aside, and it is stored again.
    let (fast, slow) = (File::open(&path).unwrap(), File::open(&path).unwrap());
    assert!(store.inner.set_aside(name, &path, &fast).unwrap());
    assert!(!store.inner.set_aside(name, &path, &slow).unwrap(), "nothing stands there");
    store.put(in_memory("good bytes"), ANY).await.unwrap();
    assert!(!store.inner.set_aside(name, &path, &slow).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"good bytes");
    assert!(store.open(name, None).await.is_ok());
}

#[tokio::test]
async fn everything_on_the_way_to_a_blob_is_synced_whoever_made_it() {
    let data = tempfile::tempdir().unwrap();
    let first = LocalBlobs::open(data.path()).unwrap();
    let root = data.path().join("blobs/sha256");
    assert_eq!(first.take_synced(), [data.path().to_owned(), data.path().join("blobs")]);
    let name = Sha256::of(b"bytes").to_string();
    let directory = root.join(&name[..2]);
    first.put(in_memory("bytes"), ANY).await.unwrap();
    assert_eq!(first.take_synced(), [root.clone(), directory.clone()]);
    first.put(in_memory("bytes"), ANY).await.unwrap();
    assert_eq!(
        first.take_synced(),
        std::slice::from_ref(&directory),
        "what is there already may not be on disk"
    );
    // To another process both the directory and the file are there already.
    let second = LocalBlobs::open(data.path()).unwrap();
    second.take_synced();
    second.put(in_memory("bytes"), ANY).await.unwrap();
    assert_eq!(second.take_synced(), [root, directory]);
}

#[test]
fn stores_may_be_opened_and_closed_at_the_same_time() {
    let data = tempfile::tempdir().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..100).for_each(|_| drop(LocalBlobs::open(data.path()).unwrap())));
        }
    });
}

#[tokio::test]
async fn whatever_damages_a_file_it_is_set_aside_until_it_is_stored_again() {
    let whole = b"good bytes".as_slice();
    let damages: [(&str, &[u8]); 4] =
        [("a flipped bit", b"good bytet"), ("cut", b"good"), ("emptied", b""), ("swapped", b"evil bytes")];
    for (what, damaged) in damages {
        let data = tempfile::tempdir().unwrap();
        let store = LocalBlobs::open(data.path()).unwrap();
        let name = store.put(in_memory(whole), ANY).await.unwrap().sha256;
        fs::write(store.inner.path(name), damaged).unwrap();
        println!("{what}");
        let left = damaged.len() as u64;
        conformance::a_damaged_blob_is_set_aside_until_it_is_stored_again(&store, whole, left).await;
    }
}
