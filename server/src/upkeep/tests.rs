use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::backup::{FORMAT, Manifest, digest_of};
use super::{Rules, UpkeepError, backup, collect, restore};
use crate::blobs::{BlobError, StoredBlob};
use crate::hub::DataDirectory;
use crate::store::tests::publication as compute;
use crate::store::{Actor, Publication, UpstreamIdentity};

/// A backup of a database as it stands there, and of no blobs.
fn backup_of(database: &Path, file: &Path) {
    let mut bytes = File::open(database).unwrap();
    let database_sha256 = digest_of(&mut bytes).unwrap();
    let manifest = Manifest { format: FORMAT.to_owned(), database_sha256, blobs: 0, missing: Vec::new() };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut tar = tar::Builder::new(File::create(file).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    tar.append_data(&mut header, "manifest.json", &manifest[..]).unwrap();
    tar.append_path_with_name(database, "hub.db").unwrap();
    tar.into_inner().unwrap().sync_all().unwrap();
}

#[tokio::test]
async fn a_backup_of_a_later_version_is_refused_and_another_can_be_restored_in_its_place() {
    let place = tempfile::tempdir().unwrap();
    let [good, later, target] = ["good.tar", "later.tar", "target"].map(|name| place.path().join(name));
    let source = place.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let data = DataDirectory::open(&source).await.unwrap();
    backup(&data, &good, &Actor::Operator).await.unwrap();
    data.store.close().await;
    let database = source.join("hub.db");
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'of a later version', 1, x'00', 0)";
    connection.execute(newer).await.unwrap();
    connection.close().await.unwrap();
    backup_of(&database, &later);
    for _ in 0..2 {
        let error = restore(&later, &target).await.unwrap_err();
        assert!(!matches!(error, UpkeepError::Occupied { .. }), "{error}");
        assert!(!target.join("hub.db").exists(), "nothing that could be started");
    }
    restore(&good, &target).await.unwrap();
    let data = DataDirectory::open(&target).await.unwrap();
    assert!(data.store.verify_audit(None).await.unwrap().is_ok());
}

/// Old files that nobody refers to, one of two with a row: what a collection takes.
async fn garbage(data: &DataDirectory, place: &Path, round: usize) -> Vec<StoredBlob> {
    let mut blobs = Vec::new();
    for number in 0..16 {
        let bytes = format!("{round}, {number}").into_bytes();
        let (sha256, size_bytes) = (Sha256::of(&bytes), bytes.len() as u64);
        let digits = sha256.to_string();
        let file = place.join("blobs/sha256").join(&digits[..2]).join(&digits);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let file = File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
        blobs.push(StoredBlob { sha256, size_bytes });
    }
    let known: Vec<_> = blobs.iter().step_by(2).copied().collect();
    data.store
        .name_upstream(&UpstreamIdentity {
            name: "gone".to_owned(),
            address: "http://gone".to_owned(),
            trust: "checked",
            place: 0,
        })
        .await
        .unwrap();
    data.store.hold("gone", &known).await.unwrap();
    data.store.drop_upstream("gone", &Actor::Hub).await.unwrap();
    blobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_published_while_garbage_is_collected_has_its_file_and_all_else_goes() {
    let place = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(place.path()).await.unwrap();
    let rules = Rules { grace: Duration::from_hours(1), keep_submitted_days: 0 };
    let (mut kept, mut gone) = (0, 0);
    for round in 0..24 {
        let blobs = garbage(&data, place.path(), round).await;
        let publishing = async {
            let mut published = Vec::new();
            // From the last to the first, so that the two meet.
            for blob in blobs.iter().rev() {
                match data.blobs.renew(blob.sha256).await {
                    Err(BlobError::NotFound(_)) => continue,
                    renewed => renewed.unwrap(),
                };
                data.store.publish_local(&publication(*blob), None).await.unwrap();
                published.push(*blob);
            }
            published
        };
        let collecting = collect(&data, rules, false, &Actor::Hub);
        let (published, collected) = tokio::join!(publishing, collecting);
        let collected = collected.unwrap().removed;
        for blob in &published {
            let there = data.blobs.size_bytes(blob.sha256).await.unwrap();
            assert_eq!(there, Some(blob.size_bytes), "round {round}: published, and collected as garbage");
        }
        assert_eq!(published.len() + collected.len(), blobs.len(), "round {round}");
        (kept, gone) = (kept + published.len(), gone + collected.len());
    }
    assert!(kept > 0 && gone > 0, "they never met: {kept} were published and {gone} collected");
}

/// A compute of its own for each file.
fn publication(blob: StoredBlob) -> Publication {
    let mut publication = compute(&format!("x{}", blob.sha256), "");
    for artifact in &mut publication.artifacts {
        (artifact.original, artifact.served) = (blob, blob);
    }
    publication
}
