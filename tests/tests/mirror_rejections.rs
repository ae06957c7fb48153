//! What is rejected after it was mirrored and converted: neither form of it is served, taken again, or left behind.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::{Path, PathBuf};

use phasic_engine::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::plan::{self, lower};
use phasic_hub_api::Sha256;
use phasic_hub_tests::blobs;
use phasic_hub_tests::hub::{Hub, run, token, wait_until};
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};
use serde_json::{Value, json};

fn offer(checkout: &Path, model: &Model, bytes: &[u8]) {
    let files = [(format!("artifacts/{}.bin", model.hash), bytes)];
    write_directory(checkout, &document(&[("x", entry(model, bytes))]), &files);
}

/// Another program of the same graph: as phasic publishes programs, and as a hub serves that.
fn other_program(model: &Model) -> [Vec<u8>; 2] {
    let trace = lower(&model.graph, &plan::Limits::default()).unwrap();
    let memory = trace.final_memory(&model.graph, &model.graph.unit_weights()).unwrap();
    let (mut original, mut converted) = (Vec::new(), Vec::new());
    encode_ptdprmc1(&trace, &model.graph.content_hash(), &memory, &mut original).unwrap();
    encode_ptdprmc3(&trace, &mut converted).unwrap();
    assert_ne!(converted, model.ptdprmc3);
    [original, converted]
}

fn start(data: &Path, checkout: &Path) -> Hub {
    let upstreams = format!(r#"[{{name = "lab", url = "{}", trust = "checked"}}]"#, checkout.display());
    Hub::start_with(data, &[], &[("mirror_upstreams", &upstreams), ("rate_per_second", "0")])
}

fn sync(hub: &Hub, admin: &str) -> Value {
    let answer = hub.administer(admin, "/v1/mirror/sync", &json!({"upstreams": ["lab"]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["passes"][0].take()
}

/// The file of the compute that is served, if it is.
fn served(hub: &Hub) -> Option<String> {
    let registry = hub.get("/registry.json").json();
    registry["computes"]["x"]["artifacts"]["parent"]["sha256"].as_str().map(str::to_owned)
}

fn stored(data: &Path, bytes: &[u8]) -> PathBuf {
    blobs::path(data, &Sha256::of(bytes).to_string())
}

#[test]
fn an_original_that_was_converted_and_is_rejected_leaves_neither_form_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (data, checkout) = (directory.path().join("hub-data"), directory.path().join("lab"));
    let model = kingman(4);
    let [original, converted] = other_program(&model);
    let address = |bytes: &[u8]| format!("/artifacts/{}.bin?sha256={}", model.hash, Sha256::of(bytes));
    offer(&checkout, &model, &model.ptdprmc3);
    let hub = start(&data, &checkout);
    wait_until("it is mirrored", || served(&hub).is_some());
    let admin = token(&data, "admin");

    offer(&checkout, &model, &original);
    sync(&hub, &admin);
    assert_eq!(served(&hub), Some(Sha256::of(&converted).to_string()), "it was taken, and converted");
    assert_eq!(hub.get(&address(&converted)).body, converted);
    assert!(stored(&data, &original).exists() && stored(&data, &converted).exists());
    let alarm = hub.get_as(&admin, "/v1/mirror/quarantine").json()["items"][0].take();
    assert_eq!((&alarm["code"], &alarm["sha256"]), (&json!("bytes_changed"), &json!(Sha256::of(&original))));
    let target = format!("/v1/mirror/quarantine/{}", alarm["number"]);
    assert_eq!(hub.administer(&admin, &target, &json!({"decision": "reject"})).status, 200);

    let nothing_of_it = |hub: &Hub, when: &str| {
        assert_eq!(served(hub), None, "{when}");
        for rejected in [&original, &converted] {
            assert_eq!(hub.get(&address(rejected)).status, 404, "{when}");
        }
        assert_eq!(hub.get(&address(&model.ptdprmc3)).status, 200, "{when}: nobody has rejected this one");
    };
    nothing_of_it(&hub, "at once");
    for _ in 0..2 {
        let pass = sync(&hub, &admin);
        let codes: Vec<_> = pass["faults"].as_array().into_iter().flatten().map(|one| &one["code"]).collect();
        assert!(pass["outcome"] == "unmodified" || codes == ["rejected"], "{pass}");
        nothing_of_it(&hub, "after a pass that is offered it again");
    }
    hub.stop();
    let collected = run(&["gc", "--remove", "--grace", "0", "--data", data.to_str().unwrap()]);
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    assert!(!stored(&data, &original).exists() && !stored(&data, &converted).exists(), "no file is left");
    assert!(stored(&data, &model.ptdprmc3).exists());

    let hub = start(&data, &checkout);
    sync(&hub, &admin);
    nothing_of_it(&hub, "after a restart");
    assert!(!stored(&data, &converted).exists(), "it was not even converted again");
    // Another file of upstream's is another matter.
    offer(&checkout, &model, &model.ptdprmc3);
    sync(&hub, &admin);
    assert_eq!(served(&hub), Some(Sha256::of(&model.ptdprmc3).to_string()));
}

#[test]
fn an_upstream_whose_files_cannot_be_had_is_compared_and_not_complete() {
    let directory = tempfile::tempdir().unwrap();
    let (data, checkout) = (directory.path().join("hub-data"), directory.path().join("lab"));
    let models = [kingman(4), kingman(6)];
    let [here, away] = &models;
    let entries = document(&[("here", entry(here, &here.ptdprmc3)), ("away", entry(away, &away.ptdprmc3))]);
    let file = |model: &Model| format!("artifacts/{}.bin", model.hash);
    write_directory(&checkout, &entries, &[(file(here), &here.ptdprmc3)]);
    let hub = start(&data, &checkout);
    let state = || hub.get("/v1/mirror").json()["upstreams"][0].take();
    let metric = |value: u32| {
        let metrics = hub.get("/metrics").text().to_owned();
        metrics.contains(&format!("phasic_hub_mirror_unfetched{{upstream=\"lab\"}} {value}"))
    };
    wait_until("a pass is over", || state()["computes"] == 1);
    let state_then = state();
    assert_eq!(state_then["unfetched"], 1, "{state_then}");
    assert!(state_then["lag_seconds"].as_f64().is_some_and(|lag| lag < 30.0), "{state_then}");
    wait_until("it is measured", || metric(1));
    assert!(hub.get("/metrics").text().contains("phasic_hub_mirror_lag_seconds{upstream=\"lab\"}"));
    wait_until("the page says so", || hub.get("/").text().contains("1 more could not be had yet"));
    // Every pass compares the document, whether or not the file is ever there.
    let admin = token(&data, "admin");
    sync(&hub, &admin);
    let state_later = state();
    assert!(state_later["checked_at"].as_str() > state_then["checked_at"].as_str(), "{state_later}");
    assert_eq!(state_later["unfetched"], 1, "{state_later}");

    write_directory(&checkout, &entries, &[(file(away), &away.ptdprmc3)]);
    sync(&hub, &admin);
    let state_now = state();
    assert_eq!((&state_now["unfetched"], &state_now["computes"]), (&json!(0), &json!(2)));
    assert!(state_now.get("checked_at").is_some(), "{state_now}");
    wait_until("it is measured", || metric(0));
}
