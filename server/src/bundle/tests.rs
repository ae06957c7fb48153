use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

use super::{Bundle, BundleError, export};
use crate::blobs::{Terms, in_memory};
use crate::hub::DataDirectory;
use crate::store::tests::publication;
use crate::store::{ArtifactRow, Publication};

async fn publish(data: &DataDirectory, id: &str, content: &'static str) {
    let body = in_memory(content.as_bytes());
    let blob = data.blobs.put(body, Terms { max_bytes: 1 << 20, sha256: None }).await.unwrap();
    let made = publication(id, content);
    let artifacts: Vec<_> =
        made.artifacts.iter().map(|row| ArtifactRow { original: blob, served: blob, ..*row }).collect();
    data.store.publish_local(&Publication { artifacts, ..made }, None).await.unwrap();
}

async fn hub(path: &Path, computes: &[(&str, &'static str)]) -> DataDirectory {
    let data = DataDirectory::open(path).await.unwrap();
    for (id, content) in computes {
        publish(&data, id, content).await;
    }
    data
}

async fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let data = hub(&directory.path().join("hub"), &[("b", "beta"), ("a", "alpha"), ("c", "alpha")]).await;
    let file = directory.path().join("lab.bundle");
    let report = export(&data, &file, &[]).await.unwrap();
    let bytes = fs::read(&file).unwrap();
    assert_eq!((report.computes, report.blobs, report.bytes), (3, 2, bytes.len() as u64));
    assert_eq!(report.sha256, Sha256::of(&bytes));
    (directory, file, bytes)
}

#[tokio::test]
async fn the_same_computes_give_the_same_bytes_whatever_their_history() {
    let (directory, _, bytes) = written().await;
    let other = hub(&directory.path().join("other"), &[("c", "beta"), ("a", "alpha"), ("b", "beta")]).await;
    publish(&other, "c", "alpha").await;
    let file = directory.path().join("other.bundle");
    // What an export left that was killed hours ago, when there were no locks.
    let left = directory.path().join(".phasic-hub-bundle-1");
    fs::write(&left, "half a bundle").unwrap();
    let hours_ago = SystemTime::now() - Duration::from_hours(2);
    fs::File::options().write(true).open(&left).unwrap().set_modified(hours_ago).unwrap();
    export(&other, &file, &[]).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let taken = export(&other, &file, &[]).await.unwrap_err().to_string();
    assert!(taken.contains("there is a file already"), "{taken}");
    let unknown = export(&other, &directory.path().join("x"), &["nobody".parse().unwrap()]).await;
    assert!(matches!(unknown, Err(BundleError::NoCompute(_))));
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 4, "two hubs, two bundles, and nothing unfinished");
}

#[tokio::test]
async fn members_can_be_read_and_a_missing_one_is_named() {
    let (_directory, file, _) = written().await;
    assert!(Bundle::is_one(&file));
    let bundle = Bundle::open(&file).unwrap();
    assert_eq!(bundle.blob(Sha256::of(b"beta"), 4).unwrap().unwrap(), b"beta");
    assert!(bundle.blob(Sha256::of(b"beta"), 3).unwrap().is_none(), "longer than wanted");
    assert!(bundle.blob(Sha256::of(b"gamma"), 9).unwrap_err().to_string().contains("has no blob"));
    let document = String::from_utf8(bundle.document(1 << 20).unwrap().unwrap()).unwrap();
    assert!(document.contains(&format!("blobs/{}", Sha256::of(b"alpha"))), "{document}");
}

/// Every bundle that is cut, longer, or has one other bit in its outline is refused, and none makes the reader panic.
#[tokio::test]
async fn what_was_not_written_here_is_refused() {
    let (directory, _, bytes) = written().await;
    let file = directory.path().join("hostile.bundle");
    let open = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        Bundle::open(&file)
    };
    for length in (0..bytes.len()).step_by(127).chain([bytes.len() - 1, bytes.len() - 512]) {
        assert!(open(&bytes[..length]).is_err(), "cut to {length}");
    }
    for more in [&b"x"[..], &[0; 512], &bytes] {
        assert!(open(&[&bytes, more].concat()).is_err(), "{} bytes behind the end", more.len());
    }
    // All headers and paddings: a flipped bit there may not pass. Contents are the business of their digests.
    let bundle = open(&bytes).unwrap();
    let mut contents: Vec<_> = bundle.contents_for_tests();
    contents.sort_unstable();
    let is_content = |at: u64| contents.iter().any(|&(offset, size)| (offset..offset + size).contains(&at));
    for at in 0..bytes.len() {
        if is_content(at as u64) {
            continue;
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let read = open(&flipped).map(|bundle| bundle.document(1 << 20));
        assert!(!matches!(read, Ok(Ok(_))), "bit at {at}");
    }
    assert!(!Bundle::is_one(&directory.path().join("nowhere")));
    fs::write(&file, b"not a bundle").unwrap();
    assert!(!Bundle::is_one(&file));
}
