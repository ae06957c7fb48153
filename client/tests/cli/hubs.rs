//! `list`, `show` and `pull` against fake hubs.

use phasic_hub_api::Sha256;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::models::COAL_N5;
use crate::scene::{Ended, Scene};

/// A hub that has the coalescent of five lineages, as the bytes our own command makes.
struct Hub {
    runtime: Runtime,
    server: MockServer,
}

impl Hub {
    fn with_coalescent(scene: &mut Scene, change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Self {
        scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin", "--format", "ptdprmc1"]);
        let mut bytes = scene.read("five.bin");
        let mut entry = json!({
            "graph_hash": COAL_N5, "format_revision": 3,
            "artifacts": {"parent": {"cid_or_path": format!("artifacts/{COAL_N5}.bin"),
                "sha256": Sha256::of(&bytes).to_string(), "size_bytes": bytes.len()}, "scc": []},
            "metadata": {"description": "Kingman coalescent, n=5", "author": "Ada <ada@lab.example>", "license": "MIT",
                "vertices": 6, "param_length": 1, "domain": "population-genetics", "model_type": "coalescent",
                "tags": ["coalescent", "kingman"]}
        });
        change(&mut entry, &mut bytes);
        Self::serving(
            scene,
            &json!({"version": "2.0", "format": "ptd_pcg", "computes": {"coal_n5": entry}}),
            bytes,
        )
    }

    fn serving(scene: &mut Scene, registry: &Value, bytes: Vec<u8>) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(200).set_body_json(registry);
            Mock::given(path("/registry.json")).respond_with(answer).mount(&server).await;
            let answer = ResponseTemplate::new(200).set_body_raw(bytes, "application/octet-stream");
            Mock::given(path(format!("/artifacts/{COAL_N5}.bin"))).respond_with(answer).mount(&server).await;
            server
        });
        scene.hub = server.uri();
        Self { runtime, server }
    }

    fn requests(&self, prefix: &str) -> usize {
        let requests = self.runtime.block_on(self.server.received_requests()).unwrap();
        requests.iter().filter(|request| request.url.path().starts_with(prefix)).count()
    }
}

fn installed(scene: &Scene) -> String {
    scene.path("cache/parameterized_reward_compute").join(format!("{COAL_N5}.bin")).display().to_string()
}

#[test]
fn list_prints_a_table_for_people_and_phasics_own_keys_in_json() {
    let mut scene = Scene::new();
    let _hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let expected = "\
ID       VERTICES  PARAMETERS  DOMAIN               TYPE        DESCRIPTION
coal_n5  6         1           population-genetics  coalescent  Kingman coalescent, n=5
";
    assert_eq!(scene.output(&["list"]), expected);
    assert_eq!(scene.output(&["list", "--tag", "kingman", "--domain", "population-genetics"]), expected);
    assert_eq!(scene.output(&["list", "--search", "KINGMAN", "--model-type", "coalescent"]), expected);
    let listed = scene.json(&["list", "--json"]);
    let keys: Vec<_> = listed[0].as_object().unwrap().keys().collect();
    let phasics =
        ["compute_id", "graph_hash", "format_revision", "description", "author", "license", "vertices"];
    assert_eq!(keys, [&phasics[..], &["param_length", "domain", "model_type", "tags"]].concat());
}

#[test]
fn nothing_that_matches_is_an_empty_list_and_no_failure() {
    let mut scene = Scene::new();
    let _hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let ended = scene.run(&["list", "--domain", "queueing"]);
    assert_eq!((ended.status, ended.out.as_str()), (0, ""));
    assert_eq!(ended.err, "no compute of the hub matches\n");
    assert_eq!(scene.json(&["list", "--domain", "queueing", "--json"]), json!([]));
}

#[test]
fn an_unusable_entry_is_a_note_and_hides_nothing() {
    let mut scene = Scene::new();
    let entry = json!({"graph_hash": COAL_N5});
    let _hub = Hub::serving(&mut scene, &json!({"computes": {"broken": entry}}), Vec::new());
    let ended = scene.run(&["list", "--json"]);
    assert_eq!((ended.status, ended.out.as_str()), (0, "[]\n"));
    assert_eq!(ended.err, "note: the hub's entry \"broken\": artifacts is missing; it is left out\n");
}

#[test]
fn show_tells_what_is_known_by_id_or_hash() {
    let mut scene = Scene::new();
    let hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let sha256 = Sha256::of(&scene.read("five.bin"));
    let expected = format!(
        "\
id           coal_n5
graph hash   {COAL_N5}
description  Kingman coalescent, n=5
domain       population-genetics
model type   coalescent
author       Ada <ada@lab.example>
license      MIT
tags         coalescent, kingman
vertices     6
parameters   1
artifact     artifacts/{COAL_N5}.bin
sha256       {sha256}
size         5064 bytes
"
    );
    assert_eq!(scene.output(&["show", "coal_n5"]), expected);
    assert_eq!(scene.output(&["show", COAL_N5]), expected);
    assert_eq!(scene.json(&["show", "coal_n5", "--json"])["compute_id"], "coal_n5");
    let ended = scene.run(&["show", "other", "--json"]);
    assert_eq!((ended.status, ended.out.as_str()), (1, "null\n"));
    let url = hub.server.uri();
    assert_eq!(
        ended.err,
        format!("the hub at {url} has no compute 'other'; 'phasic list' shows what it has\n")
    );
}

#[test]
fn pull_installs_once_verified_and_in_the_form_phasic_uses() {
    let mut scene = Scene::new();
    let hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let path = installed(&scene);
    let first = scene.output(&["pull", "builtin:kingman", "--set", "n=5"]);
    assert_eq!(first, format!("{path}: installed from coal_n5, verified (reproduced)\n"));
    assert!(scene.read(&path).starts_with(b"PTDPRMC3"));
    assert_eq!(
        scene.output(&["pull", "coal_n5_theta1"]),
        format!("{path}: in the cache already, verified\n")
    );
    assert_eq!(hub.requests("/artifacts"), 1);
    let forced = scene.json(&["pull", "coal_n5_theta1", "--force", "--json"]);
    let expected = json!({
        "available": true, "graph_hash": COAL_N5, "status": "installed", "path": path, "compute_id": "coal_n5",
        "evidence": "reproduced", "received_format": "ptdprmc1", "components": 0
    });
    assert_eq!(forced, expected);
    assert_eq!(hub.requests("/artifacts"), 2);
    let present = scene.json(&["pull", "coal_n5_theta1", "--json"]);
    assert_eq!(present, json!({"available": true, "graph_hash": COAL_N5, "status": "present", "path": path}));
}

#[test]
fn an_unregistered_model_is_a_plain_no() {
    let mut scene = Scene::new();
    let _hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let ended = scene.run(&["pull", "coal_n10_theta1"]);
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("has no artifact for this graph") && ended.err.contains("phasic eliminate"));
    let ended = scene.run(&["pull", "coal_n10_theta1", "--json"]);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&report["available"], &report["status"]), (&json!(false), &json!("unregistered")));
}

#[test]
fn wrong_bytes_end_with_4_and_nothing_in_the_cache() {
    let refused = |change: fn(&mut Value, &mut Vec<u8>)| -> Ended {
        let mut scene = Scene::new();
        let _hub = Hub::with_coalescent(&mut scene, change);
        let ended = scene.run(&["pull", "coal_n5_theta1"]);
        assert!(!std::path::Path::new(&installed(&scene)).exists());
        ended
    };
    for (change, message) in [
        ((|_, bytes| bytes[100] ^= 1) as fn(&mut Value, &mut Vec<u8>), "SHA-256"),
        (|_, bytes| bytes.push(0), "more bytes than the 5064 bytes"),
        (|entry, _| entry["format_revision"] = 4.into(), "newer than the 3"),
        (|entry, _| entry["artifacts"]["parent"]["cid_or_path"] = "file:///etc/passwd".into(), "not used"),
    ] {
        let ended = refused(change);
        assert_eq!((ended.status, ended.out.as_str()), (4, ""), "{message}: {ended:?}");
        assert!(ended.err.contains(message), "{message}: {}", ended.err);
    }
}

#[test]
fn a_hub_that_is_not_there_ends_with_3() {
    let scene = Scene::new();
    for arguments in [&["list"][..], &["show", "x"], &["pull", "coal_n5_theta1"], &["hash", "some_id"]] {
        let ended = scene.run(arguments);
        assert_eq!((ended.status, ended.out.as_str()), (3, ""), "{arguments:?}");
        assert!(ended.err.contains("PHASIC_HUB_URL"), "{}", ended.err);
    }
}

#[test]
fn a_compute_without_a_document_cannot_be_used_as_a_model_yet_and_says_so() {
    let mut scene = Scene::new();
    let hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let ended = scene.run(&["eval", "coal_n5"]);
    assert_eq!(ended.status, 2);
    let url = hub.server.uri();
    assert!(
        ended.err.starts_with(&format!(
            "error: the hub at {url} has the compute 'coal_n5', but no document of its graph"
        )),
        "{}",
        ended.err
    );
    let ended = scene.run(&["eval", "coal_n6"]);
    assert_eq!(ended.status, 2);
    assert!(ended.err.contains("has no such compute"), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn the_users_umask_decides_who_may_use_what_was_installed() {
    use std::os::unix::fs::PermissionsExt as _;
    for (umask, mode) in [("002", 0o664), ("077", 0o600)] {
        let mut scene = Scene::new();
        let _hub = Hub::with_coalescent(&mut scene, |_, _| ());
        let ended = std::process::Command::new("sh")
            .args(["-c", "umask $0 && exec \"$1\" pull coal_n5_theta1", umask, env!("CARGO_BIN_EXE_phasic")])
            .env("HOME", scene.path(""))
            .env("PHASIC_HUB_URL", &scene.hub)
            .env("PHASIC_CACHE_DIR", scene.path("cache"))
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let found = std::fs::metadata(installed(&scene)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "umask {umask}");
    }
}

#[test]
fn many_processes_pulling_one_model_download_it_once_and_one_killed_leaves_no_lock() {
    pull_together(8, 4);
}

#[test]
#[ignore = "takes minutes; the long form of the test before"]
fn a_hundred_times_32_processes_pull_one_model_and_half_of_them_are_killed() {
    (0..100).for_each(|_| pull_together(16, 16));
}

/// Processes that pull one model into one cache at the same time, some of them killed while they do.
fn pull_together(patient: usize, killed: usize) {
    let mut scene = Scene::new();
    let hub = Hub::with_coalescent(&mut scene, |_, _| ());
    let spawn = |_| {
        std::process::Command::new(env!("CARGO_BIN_EXE_phasic"))
            .args(["pull", "coal_n5_theta1"])
            .env("HOME", scene.path(""))
            .env("PHASIC_HUB_URL", &scene.hub)
            .env("PHASIC_CACHE_DIR", scene.path("cache"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut doomed: Vec<_> = (0..killed).map(spawn).collect();
    let whole: Vec<_> = (0..patient).map(spawn).collect();
    for child in &mut doomed {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for mut child in whole {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    // One download, and at most one more for each process killed in the middle of its own.
    let downloads = hub.requests("/artifacts");
    assert!((1..=1 + killed).contains(&downloads), "{downloads} downloads");
    assert_eq!(scene.json(&["pull", "coal_n5_theta1", "--json"])["status"], "present");
}
