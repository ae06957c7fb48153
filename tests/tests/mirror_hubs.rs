//! From hub to hub: over the network, in a chain, and in a bundle.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use phasic_hub_tests::hub::{Hub, run, sync, token, wait_until};
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};
use phasic_hub_tests::{blobs, http};
use serde_json::{Value, json};

/// Computes of a hub by id, but for where they are.
fn computes(hub: &Hub, token: &str) -> Value {
    let mut registry = hub.get_as(token, "/registry.json?paths=relative").json();
    let computes = registry["computes"].as_object_mut().unwrap();
    computes.sort_keys();
    for entry in computes.values_mut() {
        entry["artifacts"]["parent"]["cid_or_path"].take();
    }
    registry["computes"].take()
}

/// Puts a compute into a hub's data, as the mirror of a directory.
fn fill(data: &Path, place: &Path, models: &[(&str, &Model)]) {
    let files: Vec<_> = models
        .iter()
        .map(|(_, model)| (format!("artifacts/{}.bin", model.hash), &model.ptdprmc1[..]))
        .collect();
    let entries: Vec<_> = models.iter().map(|(id, model)| (*id, entry(model, &model.ptdprmc1))).collect();
    write_directory(place, &document(&entries), &files);
    let output = sync(data, place.to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn hubs_are_chained_and_a_hub_that_asks_for_a_token_is_shown_it() {
    let place = tempfile::tempdir().unwrap();
    let data = ["first", "second", "third"].map(|name| place.path().join(name));
    fill(&data[0], &place.path().join("checkout"), &[("x", &kingman(6))]);
    let closed = [("access_anonymous", "nothing")];
    let first = Hub::start_with(&data[0], &[], &closed);
    assert_eq!(first.get("/registry.json").status, 401);
    let secret = token(&data[0], "read");
    let file = place.path().join("token");
    fs::write(&file, format!("{secret}\n")).unwrap();
    let upstreams = format!(
        r#"[{{name = "first", url = "http://{}", token_file = "{}", interval_ms = 200}}]"#,
        first.address(),
        file.display()
    );
    let settings = [("mirror_upstreams", &upstreams[..]), ("rate_per_second", "0")];
    let second = Hub::start_with(&data[1], &[], &settings);
    wait_until("the second has it", || second.get("/registry.json").text().contains("\"x\""));
    let relative = format!("second=http://{}/registry.json?paths=relative", second.address());
    let third = Hub::start_with(&data[2], &[], &[("mirror_upstreams", &relative)]);
    wait_until("the third has it", || third.get("/registry.json").text().contains("\"x\""));
    let expected = computes(&first, &secret);
    assert_eq!(computes(&second, &token(&data[1], "read")), expected);
    assert_eq!(computes(&third, &token(&data[2], "read")), expected);
    assert_eq!(third.get("/v1/computes/x").json()["upstream"], "second");
    let status = second.get("/v1/mirror").text().to_owned();
    assert!(!status.contains(&secret), "{status}");
    // A token that is no longer there is a status, and what was mirrored stays.
    fs::remove_file(&file).unwrap();
    let code = || second.get("/v1/mirror").json()["upstreams"][0]["last_pass"]["error_code"].take();
    wait_until("the token is missed", || code() == "token_unavailable");
    assert_eq!(computes(&second, &token(&data[1], "read")), expected);
    let log = second.stop().log;
    assert!(!log.contains(&secret), "{log}");
}

#[test]
fn what_another_hub_had_computed_outlives_every_collection_of_garbage() {
    let place = Place { directory: tempfile::tempdir().unwrap() };
    let [first_data, second_data] = ["first", "second"].map(|name| place.path(name));
    let first = Hub::start_with(&first_data, &[], &[("access_anonymous", "compute")]);
    let model = kingman(6);
    let request = json!({"model": {"builtin": "kingman", "constants": {"n": 6}}}).to_string();
    let headers = [("Prefer", "wait=25")];
    let made = http::send(first.address(), "POST", "/v1/eliminations", &headers, request.as_bytes()).json();
    let definition = made["graph"]["definition"].as_str().unwrap();
    let id = format!("computed-{}-{definition}", &model.hash[..16]);
    wait_until("it is listed", || first.get("/registry.json").text().contains(&id));
    let upstreams = format!(r#"[{{name = "first", url = "http://{}", interval_ms = 200}}]"#, first.address());
    let mirror = ("mirror_upstreams", upstreams.as_str());
    let second = Hub::start_with(&second_data, &[], &[mirror]);
    wait_until("it is mirrored", || second.get("/registry.json").text().contains(&id));
    let artifact = format!("/artifacts/{}.bin", model.hash);
    assert_eq!(second.get(&artifact).body, model.ptdprmc3);
    second.stop();
    let age_files = || {
        for directory in fs::read_dir(second_data.join("blobs/sha256")).unwrap() {
            for file in fs::read_dir(directory.unwrap().path()).unwrap() {
                blobs::make_old(&file.unwrap().path(), Duration::from_hours(24 * 365));
            }
        }
    };
    age_files();
    let collecting = [
        mirror,
        ("upkeep_collect_interval_seconds", "1"),
        ("upkeep_collect_grace_seconds", "3600"),
        ("upkeep_keep_submitted_days", "1"),
    ];
    let second = Hub::start_with(&second_data, &[], &collecting);
    let admin = token(&second_data, "admin");
    let collections = || {
        let tasks = second.get_as(&admin, "/v1/admin/tasks").json();
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        tasks.iter().filter(|task| task["kind"] == "gc" && task["state"] == "done").count()
    };
    wait_until("garbage was collected twice", || collections() > 1);
    let is_whole = |hub: &Hub| {
        assert!(hub.get("/registry.json").text().contains(&id));
        assert_eq!(hub.get(&artifact).body, model.ptdprmc3);
        assert_eq!(hub.get(&format!("/v1/computes/{id}")).json()["upstream"], "first");
    };
    is_whole(&second);
    second.stop();
    // Upstream is gone as well, and nobody gives any grace.
    drop(first);
    age_files();
    let collected = run(&["gc", "--remove", "--grace", "0", "--data", second_data.to_str().unwrap()]);
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    is_whole(&Hub::start_with(&second_data, &["--offline"], &[]));
}

#[test]
fn what_is_private_there_is_private_here_over_the_network_and_in_a_bundle() {
    let place = Place { directory: tempfile::tempdir().unwrap() };
    let names = ["first", "second", "third"];
    let [first_data, second_data, third_data] = names.map(|name| place.path(name));
    fill(&first_data, &place.path("checkout"), &[("x", &kingman(6)), ("open", &kingman(7))]);
    let settings = [("access_anonymous", "nothing"), ("access_private_ids", "x")];
    let first = Hub::start_with(&first_data, &[], &settings);
    fs::write(place.path("token"), token(&first_data, "read")).unwrap();
    let upstreams = format!(
        r#"[{{name = "first", url = "http://{}", token_file = "{}", interval_ms = 200}}]"#,
        first.address(),
        place.text("token")
    );
    let second = Hub::start_with(&second_data, &[], &[("mirror_upstreams", &upstreams)]);
    let reader = token(&second_data, "read");
    let ids = |registry: Value| -> Vec<String> {
        let ids = registry["computes"].as_object().unwrap().keys();
        ids.filter(|id| ["x", "open"].contains(&id.as_str())).cloned().collect()
    };
    wait_until("it is mirrored", || ids(second.get_as(&reader, "/registry.json").json()).len() == 2);
    assert_eq!(ids(second.get("/registry.json").json()), ["open"]);
    assert_eq!(second.get(&format!("/artifacts/{}.bin", kingman(6).hash)).status, 404);
    assert_eq!(second.get("/v1/computes/x").status, 404);

    assert_eq!(bundle(&first_data, &["export", &place.text("x.bundle"), "--id", "x"]).0, Some(0));
    assert_eq!(bundle(&third_data, &["import", &place.text("x.bundle")]).0, Some(0));
    let third = Hub::start_with(&third_data, &["--offline"], &[]);
    assert_eq!(ids(third.get("/registry.json").json()), [""; 0]);
    assert_eq!(ids(third.get_as(&token(&third_data, "read"), "/registry.json").json()), ["x"]);
}

fn bundle(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["bundle"], arguments, &["--offline", "--data", data.to_str().unwrap()]].concat());
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_bundle_takes_a_registry_to_a_hub_without_any_network_and_back_to_the_same_bytes() {
    let place = Place { directory: tempfile::tempdir().unwrap() };
    let (one, two) = (kingman(6), kingman(7));
    fill(&place.path("first"), &place.path("checkout"), &[("b", &two), ("a", &one)]);
    let (status, said) = bundle(&place.path("first"), &["export", &place.text("all.bundle")]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("2 computes, 2 files"), "{said}");
    assert_eq!(
        bundle(&place.path("first"), &["export", &place.text("all.bundle")]).0,
        Some(3),
        "no overwriting"
    );

    let (status, said) = bundle(&place.path("second"), &["import", &place.text("all.bundle")]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("2 entries, 2 mirrored, 0 notes, 2 changes\n  new a\n  new b\n"), "{said}");
    assert!(bundle(&place.path("second"), &["import", &place.text("all.bundle")]).1.contains("not modified"));
    bundle(&place.path("second"), &["export", &place.text("again.bundle")]);
    let bytes = fs::read(place.path("all.bundle")).unwrap();
    assert_eq!(fs::read(place.path("again.bundle")).unwrap(), bytes, "the same content, the same bytes");

    // One compute is added to what is there; --replace makes the bundle all there is.
    bundle(&place.path("first"), &["export", &place.text("one.bundle"), "--id", "a"]);
    let unknown = bundle(&place.path("first"), &["export", &place.text("x.bundle"), "--id", "nobody"]);
    assert_eq!((unknown.0, place.path("x.bundle").exists()), (Some(2), false), "{}", unknown.1);
    let (_, said) = bundle(&place.path("second"), &["import", &place.text("one.bundle")]);
    assert!(said.contains("1 entries, 2 mirrored, 0 notes, 0 changes"), "{said}");
    let (_, said) = bundle(&place.path("second"), &["import", &place.text("one.bundle"), "--replace"]);
    assert!(said.contains("1 mirrored, 0 notes, 1 changes\n  vanished b\n"), "{said}");
    let hub = Hub::start_with(&place.path("second"), &["--offline"], &[]);
    let served = hub.get(&format!("/artifacts/{}.bin", one.hash));
    assert_eq!(served.body, one.ptdprmc3);
    // Unpacked it is a directory like any other.
    let unpacked = place.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xf").arg(place.path("all.bundle")).arg("-C").arg(&unpacked);
    assert!(tar.status().unwrap().success());
    let output = sync(&place.path("third"), unpacked.to_str().unwrap(), &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 mirrored, 0 notes"), "{output:?}");
}

#[test]
fn a_bundle_that_is_damaged_or_hostile_changes_nothing() {
    let place = Place { directory: tempfile::tempdir().unwrap() };
    let model = kingman(6);
    fill(&place.path("first"), &place.path("checkout"), &[("a", &model)]);
    bundle(&place.path("first"), &["export", &place.text("good.bundle")]);
    let good = fs::read(place.path("good.bundle")).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(place.path("bad.bundle"), bytes).unwrap();
        bundle(&place.path("second"), &["import", &place.text("bad.bundle")])
    };
    let half = good.len() / 2;
    for (what, (status, said)) in [
        ("cut", with(&|bytes| bytes.truncate(half))),
        ("longer", with(&|bytes| bytes.extend(b"more"))),
        ("empty", with(&|bytes| bytes.clear())),
        ("a name", with(&|bytes| bytes[1024] = b'/')),
        ("a page", with(&|bytes| *bytes = b"<html>".to_vec())),
    ] {
        assert_eq!(status, Some(4), "{what}: {said}");
    }
    // The outline is in order, and a file is not what its entry says.
    let at = good.len() - 1024 - 600;
    let (status, said) = with(&|bytes| bytes[at] ^= 1);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 entries, 0 mirrored, 1 notes") && said.contains("wrong_hash a"), "{said}");
    assert_eq!(bundle(&place.path("second"), &["import", "/nowhere.bundle"]).0, Some(3));
    assert_eq!(bundle(&place.path("second"), &["import", &place.text("checkout")]).0, Some(4));
    let (status, said) = bundle(&place.path("second"), &["import", &place.text("good.bundle")]);
    assert!(status == Some(0) && said.contains("1 mirrored, 0 notes"), "{said}");
}
