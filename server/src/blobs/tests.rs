use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;

use super::{BlobError, BlobStore, LocalBlobs, Terms, conformance, in_memory};

const ANY: Terms = Terms { max_bytes: 1 << 20, sha256: None };

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

fn path_of(data: &Path, name: Sha256) -> PathBuf {
    let digits = name.to_string();
    data.join("blobs/sha256").join(&digits[..2]).join(digits)
}

#[tokio::test]
async fn local_blobs_keep_every_promise_of_a_blob_store() {
    let directories = RefCell::new(Vec::new());
    let fresh = || {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalBlobs::open(directory.path()).unwrap();
        directories.borrow_mut().push(directory);
        store
    };
    conformance::all(fresh).await;
    for directory in directories.borrow().iter() {
        let left: Vec<_> = files_below(&directory.path().join("tmp"));
        assert!(left.iter().all(|path| path.ends_with("lock")), "unfinished files: {left:?}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_at_the_first_opening_and_never_served() {
    let data = tempfile::tempdir().unwrap();
    let name = LocalBlobs::open(data.path()).unwrap().put(in_memory("good bytes"), ANY).await.unwrap().sha256;
    fs::write(path_of(data.path(), name), "goof bytes").unwrap();
    let store = LocalBlobs::open(data.path()).unwrap();
    assert!(matches!(store.open(name, Some(0..1)).await, Err(BlobError::Damaged(bad)) if bad == name));
    assert!(matches!(store.open(name, None).await, Err(BlobError::NotFound(_))));
    assert_eq!(fs::read(data.path().join("quarantine").join(name.to_string())).unwrap(), b"goof bytes");
}

#[tokio::test]
async fn a_file_that_changes_under_a_running_hub_is_hashed_again() {
    let data = tempfile::tempdir().unwrap();
    let store = LocalBlobs::open(data.path()).unwrap();
    let name = store.put(in_memory("good bytes"), ANY).await.unwrap().sha256;
    assert!(store.open(name, None).await.is_ok());
    fs::write(path_of(data.path(), name), "short").unwrap();
    assert!(matches!(store.open(name, None).await, Err(BlobError::Damaged(_))));
}

#[tokio::test]
async fn a_file_altered_without_a_trace_in_size_and_time_of_writing_is_hashed_again() {
    let data = tempfile::tempdir().unwrap();
    let store = LocalBlobs::open(data.path()).unwrap();
    let name = store.put(in_memory("good bytes"), ANY).await.unwrap().sha256;
    let path = path_of(data.path(), name);
    // Long enough for the store to trust the stamp of the file.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(store.open(name, None).await.is_ok());
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "evil bytes").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert!(matches!(store.open(name, None).await, Err(BlobError::Damaged(_))));
}

#[tokio::test]
async fn storing_the_right_bytes_again_repairs_a_damaged_blob() {
    let data = tempfile::tempdir().unwrap();
    let name = LocalBlobs::open(data.path()).unwrap().put(in_memory("good bytes"), ANY).await.unwrap().sha256;
    fs::write(path_of(data.path(), name), "").unwrap();
    let store = LocalBlobs::open(data.path()).unwrap();
    store.put(in_memory("good bytes"), ANY).await.unwrap();
    assert_eq!(fs::read(path_of(data.path(), name)).unwrap(), b"good bytes");
    assert!(store.open(name, None).await.is_ok());
}

#[tokio::test]
async fn unfinished_files_of_a_dead_process_are_swept_and_those_of_a_living_one_are_not() {
    let data = tempfile::tempdir().unwrap();
    let dead = data.path().join("tmp/1-dead");
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join("lock"), "").unwrap();
    fs::write(dead.join("0"), "half a blo").unwrap();
    let living = LocalBlobs::open(data.path()).unwrap();
    assert!(!dead.exists());
    let mine: Vec<_> = files_below(&data.path().join("tmp"));
    drop(LocalBlobs::open(data.path()).unwrap());
    assert_eq!(files_below(&data.path().join("tmp")), mine);
    drop(living);
    assert_eq!(files_below(&data.path().join("tmp")), [data.path().join("tmp/lock")]);
}
