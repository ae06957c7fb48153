//! Garbage collected by a running hub, and beside one.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::time::Duration;

use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::hub::{Hub, run, wait_until};
use phasic_hub_tests::{blobs, oracle};
use serde_json::json;

const TWO_HOURS: Duration = Duration::from_hours(2);

#[test]
fn a_hub_collects_garbage_by_itself_and_leaves_what_is_young_pinned_or_referred_to() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let settings = [("upkeep_collect_interval_seconds", "1"), ("upkeep_collect_grace_seconds", "3600")];
    let mut hub = Hub::start(data);
    let admin = token(data, &["--scope", "admin", "--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&admin) };
    let uploaded = b"uploaded, and then pinned".as_slice();
    assert_eq!(client.upload(uploaded).status, 201);
    let pinned = phasic_hub_api::Sha256::of(uploaded).to_string();
    assert_eq!(client.json("PUT", &format!("/v1/admin/pins/{pinned}"), &json!({"note": "kept"})).status, 204);
    let served = oracle::served_is_whole(&hub);
    drop(hub);
    let [old, young] = [blobs::stray(data, b"old"), blobs::stray(data, b"young")];
    for digest in [&old, &pinned].into_iter().chain(served.values()) {
        blobs::make_old(&blobs::path(data, digest), TWO_HOURS);
    }
    hub = Hub::start_with(data, &[], &settings);
    let client = Client { hub: &hub, token: Some(&admin) };
    wait_until("the garbage is gone", || !blobs::path(data, &old).exists());
    // Twice, so that one has begun after the first has ended.
    let collections = || {
        let tasks = client.get("/v1/admin/tasks").json();
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        tasks.into_iter().filter(|task| task["kind"] == "gc" && task["state"] == "done").collect::<Vec<_>>()
    };
    wait_until("it was collected twice", || collections().len() > 1);
    assert_eq!(collections()[0]["asked"], json!({"dry_run": false, "grace_seconds": 3600}));
    assert_eq!(collections()[0]["report"]["blobs"], json!([old]));
    assert!(blobs::path(data, &young).exists() && blobs::path(data, &pinned).exists());
    assert_eq!(oracle::served_is_whole(&hub), served);
    oracle::audit_is_whole(data);
}

#[test]
fn garbage_is_not_collected_without_grace_beside_a_hub_that_stores_files() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let digest = blobs::stray(data, b"stored, and about to be referred to");
    let place = data.to_str().unwrap();
    for grace in ["0", "59m"] {
        let refused = run(&["gc", "--remove", "--grace", grace, "--data", place]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(place) && said.contains("--grace 1h"), "{said}");
        assert!(run(&["gc", "--grace", grace, "--data", place]).status.success(), "looking harms nobody");
    }
    assert!(run(&["gc", "--remove", "--grace", "1h", "--data", place]).status.success());
    assert!(blobs::path(data, &digest).exists());
    hub.stop();
    assert!(run(&["gc", "--remove", "--grace", "0", "--data", place]).status.success());
    assert!(!blobs::path(data, &digest).exists());
}
