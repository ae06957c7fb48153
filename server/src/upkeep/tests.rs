use std::fs::File;
use std::path::Path;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::backup::{FORMAT, Manifest, digest_of};
use super::{UpkeepError, backup, restore};
use crate::hub::DataDirectory;
use crate::store::Actor;

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
