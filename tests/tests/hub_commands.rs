//! What the operator decides at the command line, beside a running hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::Path;

use phasic_engine::artifact::{Evidence, verify};
use phasic_engine::trace::Limits;
use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, model, write_directory};
use serde_json::{Value, json};

const ID: &str = "coal_n5_theta1";

/// Runs a command on a data directory: its status, and all it says.
fn say(data: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = run(&[words, &["--data", data.to_str().unwrap()]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// What a pull of the compute gives.
fn pulled(hub: &Hub) -> Option<Vec<u8>> {
    let document = hub.get("/registry.json").json();
    let parent = document["computes"].get(ID)?["artifacts"]["parent"].clone();
    let url = parent["cid_or_path"].as_str().unwrap();
    Some(hub.get(url.strip_prefix(&format!("http://{}", hub.address())).unwrap()).body)
}

#[test]
fn the_program_of_a_compute_is_chosen_and_left_to_the_settings_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let made = model(ID);
    wait_until("phasic's own is served", || pulled(&hub).is_some_and(|bytes| bytes == made.ptdprmc3));
    let (status, said) = say(data, &["compute", "variant", ID, "fast"]);
    assert_eq!(status, Some(0), "{said}");
    wait_until("ours is served", || pulled(&hub).is_some_and(|bytes| bytes != made.ptdprmc3));
    let served = pulled(&hub).unwrap();
    let found = verify(&served, &made.graph, made.graph.content_hash(), &Limits::default(), &mut ()).unwrap();
    assert_eq!(found.evidence, Evidence::Fast);
    // Elsewhere, too, by way of a bundle.
    let (place, digest) = (tempfile::tempdir().unwrap(), Sha256::of(&served).to_string());
    let file = place.path().join("lab.bundle");
    assert_eq!(say(data, &["bundle", "export", file.to_str().unwrap(), "--id", ID]).0, Some(0));
    let bundle = String::from_utf8_lossy(&fs::read(&file).unwrap()).replace(' ', "");
    for part in [&format!("blobs/{digest}"), "\"variant\":\"fast\"", "\"variant_reason\":\"requested\""] {
        assert!(bundle.contains(part), "{part} is not in the bundle");
    }
    assert!(!bundle.contains(&Sha256::of(&made.ptdprmc3).to_string()), "what is not served");
    assert_eq!(say(data, &["compute", "variant", ID, "settings"]).0, Some(0));
    wait_until("phasic's own is served again", || pulled(&hub).is_some_and(|bytes| bytes == made.ptdprmc3));
    let (status, said) = say(data, &["compute", "variant", "nobody", "fast"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("there is no compute nobody"), "{said}");
    assert_eq!(say(data, &["compute", "variant", ID, "plan"]).0, Some(2), "phasic reads no plans");
    assert!(say(data, &["audit", "export"]).1.contains("\"compute.variant\""));
}

#[test]
fn a_compute_is_retired_with_a_reason_and_restored() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = directory.path();
    let theirs = kingman(7);
    let files = [(format!("artifacts/{}.bin", theirs.hash), &theirs.ptdprmc3[..])];
    write_directory(place.path(), &document(&[("theirs", entry(&theirs, &theirs.ptdprmc3))]), &files);
    assert!(sync(data, place.path().to_str().unwrap(), &[]).status.success());
    let hub = Hub::start(data);
    let status = || hub.get(&format!("/v1/computes/{ID}")).json()["status"].clone();
    wait_until("it is served", || status() == "served");
    let (code, said) = say(data, &["compute", "retire", ID, "--reason", "wrong rates"]);
    assert_eq!((code, said.as_str()), (Some(0), "coal_n5_theta1 is retired.\n"));
    wait_until("it is retired", || status() == "retracted");
    assert_eq!(say(data, &["compute", "retire", ID]), (Some(0), format!("{ID} was retired already.\n")));
    let latest = hub.get(&format!("/v1/computes/{ID}/revisions")).json()["revisions"][0].clone();
    assert_eq!(latest["reason"], "wrong rates", "{latest}");
    assert_eq!(say(data, &["compute", "restore", ID]).0, Some(0));
    wait_until("it is served again", || status() == "served");
    let (code, said) = say(data, &["compute", "retire", "theirs"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("comes from an upstream"), "{said}");
    assert_eq!(say(data, &["compute", "retire", "nobody"]).0, Some(2));
}

#[test]
fn blobs_are_pinned_and_what_was_set_aside_is_looked_at_and_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let bytes = model(ID).ptdprmc3;
    let name = Sha256::of(&bytes).to_string();
    wait_until("it is served", || pulled(&hub).is_some());
    assert_eq!(say(data, &["pin", "add", &name, "--note", "figure 3"]).0, Some(0));
    let (_, listed) = say(data, &["pin", "list"]);
    assert!(listed.starts_with(&name) && listed.contains("\"figure 3\""), "{listed}");
    assert_eq!(say(data, &["pin", "remove", &name]).0, Some(0));
    let nothing = Sha256::of(b"nothing").to_string();
    for words in [["pin", "remove", &name], ["pin", "add", &nothing], ["quarantine", "discard", &nothing]] {
        let (code, said) = say(data, &words);
        assert_eq!(code, Some(2), "{words:?}: {said}");
    }
    assert_eq!(say(data, &["pin", "list"]).1, "");

    let path = data.join("blobs/sha256").join(&name[..2]).join(&name);
    let mut rotten = bytes;
    rotten[100] ^= 1;
    fs::write(&path, &rotten).unwrap();
    let (code, said) = say(data, &["scrub"]);
    assert!(said.contains(&format!("rotten {name}")), "{code:?} {said}");
    let (_, listed) = say(data, &["quarantine", "list"]);
    assert_eq!(listed, format!("{name}  {} bytes  whole again\n", rotten.len()));
    assert_eq!(say(data, &["quarantine", "discard", &name]).0, Some(0));
    assert_eq!(say(data, &["quarantine", "list"]).1, "");
    let audit: Vec<Value> =
        say(data, &["audit", "export"]).1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |action: &str| audit.iter().any(|line| line["action"] == json!(action));
    assert!(["blob.pin", "blob.unpin", "blob.discard"].into_iter().all(told));
}

#[test]
fn commands_on_a_place_without_a_hub_say_so_and_make_none() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("mistyped");
    let digest = Sha256::of(b"").to_string();
    let commands: &[&[&str]] = &[
        &["scrub"],
        &["gc"],
        &["gc", "--grace", "0", "--remove"],
        &["backup", "/nowhere/hub.tar"],
        &["audit", "export"],
        &["audit", "verify"],
        &["token", "list"],
        &["token", "revoke", "t1"],
        &["pin", "add", &digest],
        &["pin", "list"],
        &["quarantine", "list"],
        &["bundle", "export", "/nowhere/lab.bundle"],
        &["compute", "hide", ID],
        &["compute", "variant", ID, "fast"],
        &["compute", "retire", ID],
        &["mirror", "status"],
        &["mirror", "passes"],
        &["mirror", "quarantine"],
        &["mirror", "accept", "1"],
        &["mirror", "drop", "lab"],
    ];
    for words in commands {
        let (status, said) = say(&place, words);
        assert_eq!(status, Some(2), "{words:?}: {said}");
        assert!(said.contains(&format!("there is no hub in {}", place.display())), "{words:?}: {said}");
        assert!(!place.exists(), "{words:?} made something");
    }
    // What brings something makes a hub of it.
    assert_eq!(say(&place, &["token", "create", "--name", "first", "--scope", "read"]).0, Some(0));
    assert_eq!(say(&place, &["token", "list"]).0, Some(0));
}
