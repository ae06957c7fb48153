//! A real hub that loses stored bytes while it runs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, sync, wait_until};
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
