//! A real hub that loses stored bytes while it runs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::oracle::snapshot;
use phasic_hub_tests::registry::{self, model};

const ID: &str = "coal_n5_theta1";

fn blob(data: &Path, digest: &str) -> PathBuf {
    data.join("blobs/sha256").join(&digest[..2]).join(digest)
}

#[test]
fn damaged_bytes_of_a_reference_compute_are_withheld_and_made_anew() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    let model = model(ID);
    let digest = Sha256::of(&model.ptdprmc3).to_string();
    let mut rotten = model.ptdprmc3.clone();
    rotten[1000] ^= 4;
    fs::write(blob(data.path(), &digest), &rotten).unwrap();
    let target = format!("/artifacts/{}.bin", model.hash);
    let answer = hub.get(&format!("{target}?sha256={digest}"));
    assert_eq!((answer.status, &answer.json()["code"]), (503, &"artifact_unavailable".into()));
    assert_eq!(fs::read(data.path().join("quarantine").join(&digest)).unwrap(), rotten);
    wait_until("it is made anew", || hub.get(&target).body == model.ptdprmc3);
    wait_until("the hub is ready again", || hub.get("/readyz").status == 200);
    assert!(hub.get("/registry.json").json()["computes"].get(ID).is_some());
    assert!(hub.stop().log.contains("eliminating reference computes again"));
}

#[test]
fn a_lost_file_is_promised_neither_by_head_nor_by_the_registry() {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = registry::kingman(4);
    let path = format!("artifacts/{}.bin", model.hash);
    let document = registry::document(&[("mine", registry::entry(&model, &model.ptdprmc3))]);
    registry::write_directory(checkout.path(), &document, &[(path.clone(), &model.ptdprmc3)]);
    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    // Or it would be fetched again at once.
    drop(checkout);
    let hub = Hub::start(data.path());
    let digest = Sha256::of(&model.ptdprmc3).to_string();
    assert_eq!(hub.request("HEAD", &format!("/{path}"), &[]).status, 200);
    fs::remove_file(blob(data.path(), &digest)).unwrap();
    assert_eq!(hub.request("HEAD", &format!("/{path}"), &[]).status, 503);
    assert!(hub.get("/registry.json").json()["computes"].get("mine").is_none());
    for method in ["HEAD", "GET"] {
        let by_digest = hub.request(method, &format!("/{path}?sha256={digest}"), &[]);
        assert_eq!(by_digest.status, 503, "{method}");
        assert_eq!(hub.request(method, &format!("/{path}"), &[]).status, 404, "{method}");
    }
}

/// All that `phasic-hub` says of a data directory it refuses to do something with.
fn refused(data: &Path, words: &[&str]) -> String {
    let output = run(&[words, &["--data", data.to_str().unwrap()]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && !said.contains("panicked"), "{words:?}: {said}");
    said
}

/// What may not be done to a directory that has files and no database.
fn assert_no_hub_begins_anew(data: &Path) {
    let before = snapshot(&data.join("blobs"));
    for words in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["gc", "--grace", "0", "--remove"],
        &["token", "create", "--name", "t", "--scope", "read"],
        &["token", "list"],
    ] {
        let said = refused(data, words);
        for part in ["hub.db", "restore a backup into another directory", "start anew, move"] {
            assert!(said.contains(part), "{words:?}: {said}");
        }
        assert_eq!(snapshot(&data.join("blobs")), before, "{words:?}");
    }
}

#[test]
fn no_hub_begins_anew_where_a_database_was_lost_unless_its_files_are_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Hub::start(&data).stop();
    let database = fs::read(data.join("hub.db")).unwrap();
    fs::remove_file(data.join("hub.db")).unwrap();
    assert_no_hub_begins_anew(&data);
    assert!(!data.join("hub.db").exists());
    fs::write(data.join("hub.db"), "").unwrap();
    assert_no_hub_begins_anew(&data);
    fs::write(data.join("hub.db"), database).unwrap();
    drop(Hub::start(&data));

    for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    fs::rename(data.join("blobs"), directory.path().join("aside")).unwrap();
    assert!(Hub::start(&data).stop().stdout[1].starts_with("Admin token"), "a new hub");
}

#[test]
fn a_young_hub_that_lost_the_log_of_its_database_is_not_begun_anew() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    hub.signal("KILL");
    hub.ended();
    fs::remove_file(data.path().join("hub.db-wal")).unwrap();
    assert_no_hub_begins_anew(data.path());
}

#[test]
fn a_first_start_that_was_interrupted_before_there_were_tables_is_gone_on_with() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir_all(data.path().join("blobs/sha256/00")).unwrap();
    fs::write(data.path().join("hub.db"), "").unwrap();
    assert!(Hub::start(data.path()).stop().stdout[1].starts_with("Admin token"));
}

#[test]
fn whoever_may_not_read_is_told_how_many_computes_lack_files_and_not_which() {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = registry::kingman(4);
    let path = format!("artifacts/{}.bin", model.hash);
    let document = registry::document(&[("secretive", registry::entry(&model, &model.ptdprmc3))]);
    registry::write_directory(checkout.path(), &document, &[(path, &model.ptdprmc3)]);
    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    drop(checkout);
    fs::remove_file(blob(data.path(), &Sha256::of(&model.ptdprmc3).to_string())).unwrap();
    for (anonymous, named) in [("nothing", false), ("read", true)] {
        let hub = Hub::start_with(data.path(), &[], &[("access_anonymous", anonymous)]);
        let ready = hub.get("/readyz");
        let note = &ready.json()["notes"][0];
        assert_eq!((&note["code"], &note["count"]), (&"files_lost".into(), &1.into()), "{}", ready.text());
        assert_eq!(ready.text().contains("secretive"), named, "{}", ready.text());
    }
}
