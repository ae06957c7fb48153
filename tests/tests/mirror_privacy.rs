//! What becomes private upstream is private here, whatever becomes of its files.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::hub::{Hub, sync, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};
use serde_json::json;

#[test]
fn a_compute_that_becomes_private_upstream_is_hidden_although_its_new_file_cannot_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let (data, checkout) = (directory.path().join("hub-data"), directory.path().join("lab"));
    let (model, other) = (kingman(6), kingman(7));
    let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..])];
    write_directory(&checkout, &document(&[("theirs", entry(&model, &model.ptdprmc3))]), &files);
    let hub = Hub::start(&data);
    let pass = || {
        let output = sync(&data, checkout.to_str().unwrap(), &[]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(pass().contains("1 mirrored, 0 notes"));
    wait_until("it is served", || hub.get("/v1/computes/theirs").status == 200);

    let mut hidden = entry(&other, &other.ptdprmc3);
    hidden["metadata"]["hub"] = json!({"private": true});
    write_directory(&checkout, &document(&[("theirs", hidden)]), &[]);
    assert!(pass().contains("fetch_failed theirs"), "its new file is not there");
    wait_until("nobody sees it", || hub.get("/v1/computes/theirs").status == 404);
    assert!(!hub.get("/registry.json").text().contains("theirs"));
    assert_eq!(hub.get(&format!("/artifacts/{}.bin", model.hash)).status, 404);
}
