use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

use super::{Appended, Part, UploadError, Uploader, Uploads};
use crate::blobs::{BlobError, Bounded, StoredBlob, in_memory};
use crate::config;
use crate::hub::DataDirectory;
use crate::store::Actor;
use crate::upkeep::{Rules, collect};
use crate::visibility::Audience;

const RULES: Rules = Rules { grace: Duration::from_hours(1), keep_submitted_days: 0 };

const BYTES: &[u8] = b"bytes that arrive in two parts";

fn who() -> Uploader {
    Uploader { token: "0123456789ab".to_owned(), audience: Audience::Everybody }
}

fn part(from: usize, to: usize) -> Part {
    let total_bytes = BYTES.len() as u64;
    Part { offset_bytes: from as u64, length_bytes: (to - from) as u64, total_bytes }
}

async fn send(uploads: &Uploads, from: usize, to: usize) -> Result<Appended, UploadError> {
    let body = in_memory(BYTES[from..to].to_vec());
    uploads.part(&who(), Sha256::of(BYTES), part(from, to), body).await
}

/// The one file of an unfinished upload.
fn unfinished(data: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(data.join("partial")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

fn make_old(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(24 * 365)).unwrap();
}

#[tokio::test]
async fn an_upload_that_is_complete_and_did_not_become_a_blob_can_be_finished() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let uploads_of = |data| Uploads::open(data, directory.path(), config::Config::default().uploads).unwrap();
    // There is no room when the last part has arrived.
    let full = DataDirectory { blobs: Arc::new(Bounded::new(Arc::clone(&data.blobs), 1)), ..data.clone() };
    let uploads = uploads_of(full);
    assert!(matches!(send(&uploads, 0, 10).await, Ok(Appended::Partial(_))));
    let refused = send(&uploads, 10, BYTES.len()).await.map(|_| ());
    assert!(matches!(refused, Err(UploadError::Blobs(BlobError::Full { .. }))), "{refused:?}");

    // As after a crash: another process finds what had arrived, and whoever sent it asks for the rest.
    let uploads = uploads_of(data.clone());
    let name = Sha256::of(BYTES);
    let state = uploads.state(&who(), name).unwrap().unwrap();
    assert_eq!((state.offset_bytes, state.total_bytes), (BYTES.len() as u64, BYTES.len() as u64));
    let blob = uploads.finish(&who(), name, BYTES.len() as u64).await.unwrap();
    assert_eq!(blob, StoredBlob { sha256: name, size_bytes: BYTES.len() as u64 });
    assert!(data.store.has_uploaded(&who().token, name).await.unwrap());
    assert_eq!(uploads.state(&who(), name).unwrap(), None);
    let again = uploads.finish(&who(), name, BYTES.len() as u64).await.map(|_| ());
    assert!(matches!(again, Err(UploadError::Offset { expected: 0, .. })), "{again:?}");
}

#[tokio::test]
async fn what_is_not_complete_is_not_finished_and_says_where_to_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let uploads = Uploads::open(data, directory.path(), config::Config::default().uploads).unwrap();
    send(&uploads, 0, 10).await.map(|_| ()).unwrap();
    let early = uploads.finish(&who(), Sha256::of(BYTES), BYTES.len() as u64).await.map(|_| ());
    assert!(matches!(early, Err(UploadError::Offset { expected: 10, .. })), "{early:?}");
    assert!(matches!(send(&uploads, 10, BYTES.len()).await, Ok(Appended::Stored(_))));
}

#[tokio::test]
async fn a_part_that_was_forgotten_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let uploads = Uploads::open(data, directory.path(), config::Config::default().uploads).unwrap();
    send(&uploads, 0, 10).await.map(|_| ()).unwrap();
    make_old(&unfinished(directory.path()));
    uploads.sweep().unwrap();
    let late = send(&uploads, 10, BYTES.len()).await.map(|_| ());
    assert!(matches!(late, Err(UploadError::Offset { expected: 0, .. })), "{late:?}");
}

#[tokio::test]
async fn a_part_that_is_arriving_is_not_swept_however_long_it_is_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let uploads = Arc::new(Uploads::open(data, directory.path(), config::Config::default().uploads).unwrap());
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let quiet = Box::pin(futures_util::stream::once(async move {
        receiver.await.unwrap();
        Ok(BYTES.into())
    }));
    let sending = tokio::spawn({
        let uploads = Arc::clone(&uploads);
        async move { uploads.part(&who(), Sha256::of(BYTES), part(0, BYTES.len()), quiet).await.map(|_| ()) }
    });
    while uploads.state(&who(), Sha256::of(BYTES)).unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    make_old(&unfinished(directory.path()));
    uploads.sweep().unwrap();
    sender.send(()).unwrap();
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_need_not_be_sent_is_as_good_as_sent() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let uploads = Uploads::open(data.clone(), directory.path(), config::Config::default().uploads).unwrap();
    let name = Sha256::of(BYTES);
    let blob = uploads.whole(&who(), name, None, in_memory(BYTES)).await.unwrap();
    let digits = name.to_string();
    make_old(&directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits));
    let other = Uploader { token: "ba9876543210".to_owned(), ..who() };
    assert_eq!(uploads.known(&other, blob).await.unwrap(), Some(blob));
    assert!(data.store.has_uploaded(&other.token, name).await.unwrap());
    let collected = collect(&data, RULES, false, &Actor::Hub).await.unwrap();
    assert!(collected.removed.is_empty(), "an acknowledged upload is lost: {collected:?}");

    make_old(&directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits));
    collect(&data, RULES, false, &Actor::Hub).await.unwrap();
    assert_eq!(uploads.known(&who(), blob).await.unwrap(), None, "it has to be sent");
}

#[tokio::test]
async fn what_nobody_went_on_with_for_too_long_takes_nothing_from_its_token_and_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let length = BYTES.len();
    let settings = toml::from_str(&format!("max_token_bytes = {length}\npartial_age_ms = 200")).unwrap();
    let uploads = Arc::new(Uploads::open(data, directory.path(), settings).unwrap());
    assert!(matches!(send(&uploads, 0, 10).await, Ok(Appended::Partial(_))));
    let file = unfinished(directory.path());
    make_old(&file);
    let other = b"another file, as long as that";
    let body = in_memory(other.to_vec());
    let announced = Some(other.len() as u64);
    let taken = uploads.whole(&who(), Sha256::of(other), announced, body).await;
    assert!(taken.is_ok(), "{:?}", taken.err());
    assert!(file.exists());
    let sweeping = tokio::spawn(Arc::clone(&uploads).keep_swept());
    let gone = async {
        while file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it is never removed");
    sweeping.abort();
}

#[tokio::test]
async fn what_is_stored_already_can_be_sent_again_though_nothing_else_has_room() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let length = BYTES.len() as u64;
    let settings = toml::from_str(&format!("max_token_bytes = {length}")).unwrap();
    let uploads = Uploads::open(data, directory.path(), settings).unwrap();
    let name = Sha256::of(BYTES);
    let stored = StoredBlob { sha256: name, size_bytes: length };
    for announced in [Some(length), Some(length), None] {
        let sent = uploads.whole(&who(), name, announced, in_memory(BYTES)).await;
        assert_eq!(sent.unwrap(), stored, "{announced:?}");
    }
    let last = send(&uploads, 10, BYTES.len()).await.map(|_| ());
    assert!(matches!(last, Err(UploadError::Offset { expected: 0, .. })), "as ever: {last:?}");
    send(&uploads, 0, 10).await.map(|_| ()).unwrap();
    assert!(matches!(send(&uploads, 10, BYTES.len()).await, Ok(Appended::Stored(blob)) if blob == stored));
    let other = uploads.whole(&who(), Sha256::of(b"x"), Some(1), in_memory(b"x".to_vec())).await;
    assert!(matches!(other, Err(UploadError::TokenFull { .. })), "{other:?}");
}
