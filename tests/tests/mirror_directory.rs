//! Mirroring from a directory, as a git checkout is, with real processes.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, run, sync, sync_with, wait_until};
use phasic_hub_tests::registry::{self, Model, document, entry, file, kingman, model, write_directory};
use serde_json::{Value, json};

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("hub-data")
    }

    fn checkout(&self) -> PathBuf {
        self.directory.path().join("checkout")
    }

    fn write(&self, document: &str, files: &[(String, &[u8])]) {
        write_directory(&self.checkout(), document, files);
    }

    fn sync(&self) -> Output {
        sync(&self.data(), self.checkout().to_str().unwrap(), &[])
    }

    /// A pass that must finish; gives what it printed.
    fn mirrored(&self) -> String {
        let output = self.sync();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A pass that must fail with this status; gives what it said.
    fn refused(&self, status: i32) -> String {
        let output = self.sync();
        assert_eq!(output.status.code(), Some(status));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }

    /// The computes a hub on this data serves, reference computes left out.
    fn served(&self) -> serde_json::Map<String, Value> {
        let hub = Hub::start(&self.data());
        let mut registry = hub.get("/registry.json?paths=relative").json();
        let mut computes = std::mem::take(registry["computes"].as_object_mut().unwrap());
        computes.retain(|id, _| phasic_engine::reference::find(id).is_none());
        computes
    }

    fn served_ids(&self) -> Vec<String> {
        self.served().keys().cloned().collect()
    }
}

fn path(model: &Model) -> String {
    format!("artifacts/{}.bin", model.hash)
}

#[test]
fn the_public_registry_is_mirrored_converted_and_served_with_all_its_fields() {
    let place = Place::new();
    let mut upstream: Value = serde_json::from_str(registry::UPSTREAM_V2).unwrap();
    let components: Vec<_> = (2..).take(11).map(|n| kingman(n).ptdprmc3).collect();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut computes = serde_json::Map::new();
    // The ids of the public registry are those of reference computes, which every hub publishes itself.
    for (id, mut entry) in std::mem::take(upstream["computes"].as_object_mut().unwrap()) {
        let bytes = model(&id).ptdprmc1;
        let parent = &mut entry["artifacts"]["parent"];
        assert_eq!(parent["size_bytes"], bytes.len(), "the size does not depend on the run");
        *parent = file(parent["cid_or_path"].as_str().unwrap(), &bytes);
        files.push((parent["cid_or_path"].as_str().unwrap().to_owned(), bytes));
        for (scc, bytes) in entry["artifacts"]["scc"].as_array_mut().unwrap().iter_mut().zip(&components) {
            scc["sha256"] = Sha256::of(bytes).to_string().into();
            scc["size_bytes"] = bytes.len().into();
            files.push((scc["cid_or_path"].as_str().unwrap().to_owned(), bytes.clone()));
        }
        entry["doi"] = "10.1/2".into();
        entry["metadata"]["citation"] = json!({"year": 2026, "by": ["é"]});
        computes.insert(format!("public_{id}"), entry);
    }
    upstream["computes"] = computes.clone().into();
    let slices: Vec<_> = files.iter().map(|(path, bytes)| (path.clone(), &bytes[..])).collect();
    place.write(&upstream.to_string(), &slices);
    let report = place.mirrored();
    assert!(report.contains("3 entries, 3 mirrored, 0 notes"), "{report}");

    let served = place.served();
    for (id, mut entry) in computes {
        let converted = model(id.strip_prefix("public_").unwrap()).ptdprmc3;
        entry["artifacts"]["parent"] =
            file(entry["artifacts"]["parent"]["cid_or_path"].as_str().unwrap(), &converted);
        entry["format_revision"] = 3.into();
        assert_eq!(
            served[&id].to_string(),
            entry.to_string(),
            "nothing else is changed, nor the order of keys"
        );
    }
    let original = Sha256::of(&model("coal_n5_theta1").ptdprmc1).to_string();
    let kept = place.data().join("blobs/sha256").join(&original[..2]).join(&original);
    assert_eq!(fs::read(kept).unwrap(), model("coal_n5_theta1").ptdprmc1, "the original is kept");
}

#[test]
fn components_are_shared_between_entries_and_served_under_their_names() {
    let place = Place::new();
    let (one, two, component) = (kingman(6), kingman(7), kingman(3));
    let scc = |bytes: &[u8]| {
        let mut scc = file(&format!("artifacts/scc_{}.bin", component.hash), bytes);
        scc["scc_hash"] = component.hash.clone().into();
        scc
    };
    let with_scc = |model: &Model| {
        let mut entry = entry(model, &model.ptdprmc3);
        entry["artifacts"]["scc"] = json!([scc(&component.ptdprmc1)]);
        entry
    };
    let document = document(&[("one", with_scc(&one)), ("two", with_scc(&two))]);
    let files = [
        (path(&one), &one.ptdprmc3[..]),
        (path(&two), &two.ptdprmc3[..]),
        (format!("artifacts/scc_{}.bin", component.hash), &component.ptdprmc1[..]),
    ];
    place.write(&document, &files);
    place.mirrored();
    let hub = Hub::start(&place.data());
    let answer = hub.get(&format!("/artifacts/scc_{}.bin", component.hash));
    assert_eq!(answer.body, component.ptdprmc3, "in the form phasic uses");
}

/// One entry with something wrong, beside a good one.
struct Spoiled {
    what: &'static str,
    entry: Value,
    code: &'static str,
    said: &'static str,
}

fn spoiled(model: &Model, checkout: &Path) -> Vec<Spoiled> {
    let case = |what, code, said, change: &dyn Fn(&mut Value)| {
        let mut entry = entry(model, &model.ptdprmc1);
        change(&mut entry);
        Spoiled { what, entry, code, said }
    };
    let parent = |location: &str, bytes: &[u8]| {
        let new = file(location, bytes);
        move |entry: &mut Value| entry["artifacts"]["parent"] = new.clone()
    };
    let lie = |key: &'static str, value: Value| {
        move |entry: &mut Value| entry["artifacts"]["parent"][key] = value.clone()
    };
    let write = |name: &str, bytes: &[u8]| {
        fs::write(checkout.join("artifacts").join(name), bytes).unwrap();
        parent(&format!("artifacts/{name}"), bytes)
    };
    let bytes = &model.ptdprmc1;
    let other = kingman(9).ptdprmc1;
    let at = |location: &str| parent(location, bytes);
    let mut flipped = bytes.clone();
    flipped[57] = 77;
    let size = bytes.len();
    fs::write(checkout.join("artifacts/beyond.bin"), &model.ptdprmc3).unwrap();
    vec![
        case("hash", "wrong_hash", "has SHA-256", &lie("sha256", "0".repeat(64).into())),
        case("short", "wrong_size", "longer than", &lie("size_bytes", (size - 1).into())),
        case("long", "wrong_size", "its entry says", &lie("size_bytes", (size + 1).into())),
        case("huge", "too_large", "max_artifact_bytes", &lie("size_bytes", (1_u64 << 40).into())),
        case("missing", "fetch_failed", "No such file", &at("artifacts/missing.bin")),
        case("directory", "fetch_failed", "not a file", &at("artifacts")),
        case("pipe", "fetch_failed", "not a file", &at("artifacts/pipe.bin")),
        case(
            "magic",
            "artifact_invalid",
            "neither PTDPRMC1 nor PTDPRMC3",
            &write("magic.bin", b"<html>404</html>"),
        ),
        case("truncated", "artifact_invalid", "damaged or hostile", &write("cut.bin", &bytes[..size - 8])),
        case("flipped", "artifact_invalid", "damaged or hostile", &write("flipped.bin", &flipped)),
        case("other graph", "artifact_invalid", "hash", &write("other.bin", &other)),
        case("vertices", "artifact_invalid", "vertices", &|entry| entry["metadata"]["vertices"] = 99.into()),
        case("beyond the graph", "artifact_invalid", "must be from 0 up to", &|entry| {
            entry["artifacts"]["parent"] = file("artifacts/beyond.bin", &model.ptdprmc3);
            // The rows of the file are those of one vertex more.
            entry["metadata"]["vertices"] = (model.graph.vertex_count() - 1).into();
        }),
        case("revision", "revision_unknown", "format_revision is 4", &|entry| {
            entry["format_revision"] = 4.into();
        }),
        case("up", "location_refused", "plain relative path", &at("../secret.bin")),
        case("up within", "location_refused", "plain relative path", &at("artifacts/../../secret.bin")),
        case("absolute", "location_refused", "plain relative path", &at("/etc/passwd")),
        case("encoded", "location_refused", "plain relative path", &at("artifacts/..%2f..%2fsecret.bin")),
        case("backslash", "location_refused", "plain relative path", &at("..\\secret.bin")),
        case("file url", "location_refused", "not at the upstream", &at("file:///etc/passwd")),
        case("web", "location_refused", "not at the upstream", &at("http://127.0.0.1:1/x.bin")),
        case("link", "fetch_failed", "leads out of the mirrored directory", &at("artifacts/link.bin")),
        case("upper case", "entry_invalid", "artifacts.parent.sha256", &lie("sha256", "A".repeat(64).into())),
        case("no parent", "entry_invalid", "artifacts.parent is missing", &lie("", Value::Null)),
        case("traversal", "entry_invalid", "artifacts.scc[0].scc_hash", &|entry| {
            let mut scc = file("artifacts/x.bin", b"");
            scc["scc_hash"] = "../../../../tmp/x".into();
            entry["artifacts"]["scc"] = json!([scc]);
        }),
    ]
}

#[test]
fn one_bad_entry_is_left_out_with_its_reason_and_the_rest_is_mirrored() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(8));
    place.write("{}", &[(path(&good), &good.ptdprmc3), (path(&bad), &bad.ptdprmc1)]);
    let secret = place.directory.path().join("secret.bin");
    fs::write(&secret, &bad.ptdprmc1).unwrap();
    std::os::unix::fs::symlink(&secret, place.checkout().join("artifacts/link.bin")).unwrap();
    let pipe = place.checkout().join("artifacts/pipe.bin");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    for mut case in spoiled(&bad, &place.checkout()) {
        if case.what == "no parent" {
            case.entry["artifacts"].as_object_mut().unwrap().remove("parent");
        }
        let document = document(&[
            ("before", entry(&good, &good.ptdprmc3)),
            ("bad", case.entry),
            ("after", entry(&good, &good.ptdprmc3)),
        ]);
        fs::write(place.checkout().join("registry.json"), document).unwrap();
        let report = place.mirrored();
        let what = case.what;
        assert!(report.contains("3 entries, 2 mirrored, 1 notes"), "{what}: {report}");
        let note = report.lines().nth(1).unwrap();
        assert!(
            note.starts_with(&format!("  {} bad", case.code)) && note.contains(case.said),
            "{what}: {report}"
        );
    }
    assert_eq!(place.served_ids(), ["before", "after"]);
}

#[test]
fn ids_that_are_none_and_keys_that_occur_twice_condemn_their_entry_only() {
    let place = Place::new();
    let good = kingman(4);
    let entry = entry(&good, &good.ptdprmc3).to_string();
    let twice = entry.replacen('{', "{\"retracted\": false, \"retracted\": true, ", 1);
    let document = format!(
        r#"{{"computes": {{"../up": {entry}, "a\u001b[2Jb": {entry}, "twice": {twice}, "good": {entry}}}}}"#
    );
    place.write(&document, &[(path(&good), &good.ptdprmc3)]);
    let report = place.mirrored();
    assert!(report.contains("4 entries, 1 mirrored, 3 notes"), "{report}");
    assert!(report.contains("occurs twice") && !report.contains('\u{1b}'), "{report}");
    assert_eq!(place.served_ids(), ["good"]);
}

#[test]
fn a_bad_component_is_left_out_and_its_parent_stays() {
    let place = Place::new();
    let (parent, good, bad) = (kingman(4), kingman(5), kingman(6));
    let scc = |model: &Model, bytes: &[u8]| {
        let mut scc = file(&format!("artifacts/scc_{}.bin", model.hash), bytes);
        scc["scc_hash"] = model.hash.clone().into();
        scc
    };
    let mut entry = entry(&parent, &parent.ptdprmc3);
    entry["artifacts"]["scc"] =
        json!([scc(&bad, b"announced"), scc(&good, &good.ptdprmc3), scc(&good, &good.ptdprmc3)]);
    let files = [
        (path(&parent), &parent.ptdprmc3[..]),
        (format!("artifacts/scc_{}.bin", bad.hash), b"different"),
        (format!("artifacts/scc_{}.bin", good.hash), &good.ptdprmc3),
    ];
    place.write(&document(&[("x", entry)]), &files);
    let report = place.mirrored();
    assert!(report.contains("1 mirrored, 2 notes"), "{report}");
    assert!(report.contains(&format!("wrong_hash x scc_{}.bin", bad.hash)), "{report}");
    assert!(report.contains(&format!("duplicate_scc x scc_{}.bin", good.hash)), "{report}");
    let served = place.served();
    let named = served["x"]["artifacts"]["scc"].as_array().unwrap();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["scc_hash"], good.hash);
}

#[test]
fn a_document_that_cannot_be_trusted_changes_nothing() {
    let place = Place::new();
    let good = kingman(4);
    let entry = entry(&good, &good.ptdprmc3);
    place.write(&document(&[("good", entry.clone())]), &[(path(&good), &good.ptdprmc3)]);
    place.mirrored();
    let refused = [
        (format!(r#"{{"computes": {{"x": {entry}, "x": {entry}}}}}"#), "twice"),
        (registry::UPSTREAM_V1.to_owned(), "version 1"),
        ("{}".to_owned(), "no object \"computes\""),
        ("[]".to_owned(), "cannot be read"),
        (r#"{"computes": "#.to_owned(), "cannot be read"),
        ("<!DOCTYPE html>".to_owned(), "cannot be read"),
    ];
    for (document, said) in refused {
        fs::write(place.checkout().join("registry.json"), &document).unwrap();
        let message = place.refused(2);
        assert!(message.contains(said), "{message}");
    }
    fs::remove_file(place.checkout().join("registry.json")).unwrap();
    assert!(place.refused(3).contains("registry.json"));
    assert_eq!(place.served_ids(), ["good"]);
    let nowhere = sync(&place.data(), "/nowhere/at/all", &[]);
    assert_eq!(nowhere.status.code(), Some(2));
    let strange = sync(&place.data(), "ftp://upstream.example/", &[]);
    assert_eq!(strange.status.code(), Some(2));
}

#[test]
fn local_computes_stay_whatever_an_upstream_says() {
    let place = Place::new();
    let hub = Hub::start(&place.data());
    let before = hub.get("/registry.json?paths=relative").body;
    drop(hub);
    let (same, other) = (model("coal_n5_theta1"), kingman(7));
    let mut same_entry = entry(&same, &same.ptdprmc1);
    same_entry["metadata"]["description"] = "another description".into();
    let document =
        document(&[("coal_n5_theta1", same_entry), ("coal_n10_theta1", entry(&other, &other.ptdprmc3))]);
    place.write(&document, &[(path(&same), &same.ptdprmc1), (path(&other), &other.ptdprmc3)]);
    let report = place.mirrored();
    assert!(
        report.contains("local_same coal_n5_theta1") && report.contains("local_conflict coal_n10_theta1")
    );
    assert_eq!(Hub::start(&place.data()).get("/registry.json?paths=relative").body, before);
}

#[test]
fn entries_follow_upstream_and_bad_news_never_replaces_good_bytes() {
    let place = Place::new();
    let (one, two, three) = (kingman(4), kingman(5), kingman(6));
    let files =
        [(path(&one), &one.ptdprmc3[..]), (path(&two), &two.ptdprmc3), (path(&three), &three.ptdprmc3)];
    let all = |models: [&Model; 3]| {
        let entries = ["a", "b", "c"].into_iter().zip(models);
        document(&entries.map(|(id, model)| (id, entry(model, &model.ptdprmc3))).collect::<Vec<_>>())
    };
    place.write(&all([&one, &two, &three]), &files);
    place.mirrored();

    // Upstream now has other bytes for b, wrong ones for c, nothing for a, and something new.
    let mut wrong = entry(&one, &one.ptdprmc3);
    wrong["artifacts"]["parent"]["sha256"] = "0".repeat(64).into();
    let next =
        document(&[("c", wrong), ("b", entry(&one, &one.ptdprmc3)), ("d", entry(&two, &two.ptdprmc3))]);
    place.write(&next, &files);
    // One of three is more than a pass may remove by itself.
    let message = place.refused(2);
    assert!(message.contains("1 of the 3") && message.contains("--remove-many"), "{message}");
    let checkout = place.checkout();
    let output = sync_with(&place.data(), checkout.to_str().unwrap(), &["--remove-many"], &[]);
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("3 entries, 3 mirrored, 1 notes, 3 changes"), "{report}");
    assert!(report.ends_with("  changed b\n  new d\n  vanished a\n"), "{report}");
    let served = place.served();
    let hashes: Vec<_> =
        served.iter().map(|(id, entry)| (id.as_str(), entry["graph_hash"].as_str().unwrap())).collect();
    assert_eq!(hashes, [("c", three.hash.as_str()), ("b", &one.hash), ("d", &two.hash)]);
}

#[test]
fn a_retraction_hides_a_compute_and_its_addresses_stay_good() {
    let place = Place::new();
    let model = kingman(4);
    let mut entry = entry(&model, &model.ptdprmc3);
    place.write(&document(&[("x", entry.clone())]), &[(path(&model), &model.ptdprmc3)]);
    place.mirrored();
    entry["retracted"] = true.into();
    // A retracted file is not fetched any more, so it may be gone.
    fs::remove_file(place.checkout().join(path(&model))).unwrap();
    fs::write(place.checkout().join("registry.json"), document(&[("x", entry)])).unwrap();
    // The only compute there is: more than a pass may take away by itself.
    assert!(place.refused(2).contains("removed or retracted 1 of the 1"));
    let output = sync_with(&place.data(), place.checkout().to_str().unwrap(), &["--remove-many"], &[]);
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("1 mirrored, 0 notes"), "{report}");
    assert_eq!(place.served()["x"]["retracted"], true);
    let hub = Hub::start(&place.data());
    let digest = Sha256::of(&model.ptdprmc3);
    assert_eq!(hub.get(&format!("/{}", path(&model))).status, 404);
    assert_eq!(hub.get(&format!("/{}?sha256={digest}", path(&model))).body, model.ptdprmc3);
}

#[test]
fn a_running_hub_shows_what_another_process_has_mirrored() {
    let place = Place::new();
    let hub = Hub::start(&place.data());
    let before = hub.get("/registry.json");
    let model = kingman(4);
    place.write(&document(&[("new", entry(&model, &model.ptdprmc1))]), &[(path(&model), &model.ptdprmc1)]);
    place.mirrored();
    wait_until("the new compute is served", || hub.get("/registry.json").text().contains("\"new\""));
    assert_ne!(hub.get("/registry.json").header("etag"), before.header("etag"));
    assert_eq!(hub.get(&format!("/{}", path(&model))).body, model.ptdprmc3);
}

#[test]
fn the_document_may_be_named_by_itself_and_by_a_file_url() {
    let place = Place::new();
    let model = kingman(4);
    place.write(&document(&[("x", entry(&model, &model.ptdprmc3))]), &[(path(&model), &model.ptdprmc3)]);
    let checkout = place.checkout();
    for from in [format!("{}/registry.json", checkout.display()), format!("file://{}", checkout.display())] {
        let output = sync(&place.data(), &from, &[]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 mirrored"), "{output:?}");
    }
    assert_eq!(run(&["mirror", "sync"]).status.code(), Some(2), "an upstream must be named");
}
