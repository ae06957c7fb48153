//! Stored files that are damaged under a running hub, and what administrators do about files.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::registry::{self, model};
use serde_json::{Value, json};

/// Everybody may compute, and every file is hashed again every second.
const SETTINGS: [(&str, &str); 2] = [("access_anonymous", "compute"), ("upkeep_scrub_interval_seconds", "1")];

fn blob(data: &Path, digest: &str) -> PathBuf {
    data.join("blobs/sha256").join(&digest[..2]).join(digest)
}

fn admin(data: &Path) -> String {
    let words = ["token", "create", "--name", "a", "--scope", "admin", "--data", data.to_str().unwrap()];
    let made = run(&words);
    assert!(made.status.success(), "{made:?}");
    format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim())
}

fn ask(hub: &Hub, token: &str, method: &str, path: &str, body: &str) -> Answer {
    http::send(hub.address(), method, path, &[("Authorization", token)], body.as_bytes())
}

/// Begins a task and waits for its end.
fn task(hub: &Hub, token: &str, kind: &str, body: &Value) -> Value {
    let begun = ask(hub, token, "POST", &format!("/v1/admin/{kind}"), &body.to_string());
    assert_eq!(begun.status, 202, "{}", begun.text());
    let path = format!("/v1/admin/tasks/{}", begun.json()["id"].as_str().unwrap());
    assert!(begun.header("location").unwrap().ends_with(&path));
    wait_until("the task has ended", || ask(hub, token, "GET", &path, "").json()["state"] != "running");
    ask(hub, token, "GET", &path, "").json()
}

#[test]
fn whatever_happens_to_stored_files_they_are_set_aside_made_again_and_served() {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mirrored = registry::kingman(4);
    let document = registry::document(&[("mine", registry::entry(&mirrored, &mirrored.ptdprmc1))]);
    let path = format!("artifacts/{}.bin", mirrored.hash);
    registry::write_directory(checkout.path(), &document, &[(path, &mirrored.ptdprmc1)]);
    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    let hub = Hub::start_with(data.path(), &[], &SETTINGS);
    // A graph that was submitted, and a plan of it, which only its recipe can bring back.
    let request = json!({"model": {"builtin": "kingman", "constants": {"n": 9}}, "variant": "plan"});
    let headers = [("Prefer", "wait=25")];
    let made =
        http::send(hub.address(), "POST", "/v1/eliminations", &headers, request.to_string().as_bytes());
    let plan = made.json()["artifact"]["sha256"].as_str().unwrap().to_owned();

    let reference = ["coal_n5_theta1", "coal_n10_theta1", "coal_n20_theta1"].map(|id| model(id).ptdprmc3);
    let names = reference.clone().map(|bytes| Sha256::of(&bytes).to_string());
    let [flipped, swapped, with] = &names;
    let mut bytes = reference[0].clone();
    bytes[100] ^= 0x40;
    fs::write(blob(data.path(), flipped), &bytes).unwrap();
    fs::write(blob(data.path(), swapped), &reference[2]).unwrap();
    fs::write(blob(data.path(), with), &reference[1]).unwrap();
    let (original, converted) =
        (Sha256::of(&mirrored.ptdprmc1).to_string(), Sha256::of(&mirrored.ptdprmc3).to_string());
    fs::write(blob(data.path(), &converted), b"").unwrap();
    fs::write(blob(data.path(), &original), &mirrored.ptdprmc1[..100]).unwrap();
    fs::remove_file(blob(data.path(), &plan)).unwrap();

    let mut wanted: Vec<(String, Vec<u8>)> = names.iter().cloned().zip(reference).collect();
    wanted.push((converted, mirrored.ptdprmc3.clone()));
    wanted.push((original, mirrored.ptdprmc1.clone()));
    for (name, bytes) in &wanted {
        wait_until("it is whole again", || {
            fs::read(blob(data.path(), name)).is_ok_and(|found| found == *bytes)
        });
    }
    wait_until("the plan is back", || hub.get(&format!("/v1/blobs/sha256/{plan}")).status == 200);
    let served = hub.get(&format!("/v1/blobs/sha256/{plan}"));
    assert_eq!(Sha256::of(&served.body).to_string(), plan);
    wait_until("all is served", || {
        let document = hub.get("/registry.json").json();
        ["mine", "coal_n5_theta1"].iter().all(|id| document["computes"].get(*id).is_some())
    });
    wait_until("the hub is ready", || hub.get("/readyz").status == 200);
    let token = admin(data.path());
    let quarantine = ask(&hub, &token, "GET", "/v1/admin/quarantine", "").json();
    let listed = quarantine["blobs"].as_array().unwrap();
    assert_eq!((listed.len(), &quarantine["lost"]), (5, &json!([])), "{quarantine}");
    assert!(listed.iter().all(|file| file["restored"] == true), "{quarantine}");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(&hub, &token, "GET", &format!("/v1/admin/quarantine?limit=2{cursor}"), "").json();
        let files = page["blobs"].as_array().unwrap();
        assert!(files.len() <= 2 && page["lost"] == json!([]), "{page}");
        paged.extend(files.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(&paged, listed, "each once, in order");
    let one = listed[0]["sha256"].as_str().unwrap();
    let path = format!("/v1/admin/quarantine/{one}");
    assert_eq!(ask(&hub, &token, "DELETE", &path, "").status, 204);
    assert_eq!(ask(&hub, &token, "DELETE", &path, "").status, 404);
    let metrics = |authorization: &[(&str, &str)]| hub.request("GET", "/metrics", authorization);
    assert!(metrics(&[("Authorization", &token)]).text().contains("phasic_hub_blobs_quarantined 4"));
    assert!(!metrics(&[]).text().contains("quarantined 4"), "some of them may be private");
    let log = hub.stop().log;
    assert!(log.contains("is whole again"), "{log}");
}

/// A data directory with the compute `mine`, whose upstream is gone.
fn with_a_mirrored_compute() -> (tempfile::TempDir, registry::Model) {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mirrored = registry::kingman(4);
    let document = registry::document(&[("mine", registry::entry(&mirrored, &mirrored.ptdprmc3))]);
    let path = format!("artifacts/{}.bin", mirrored.hash);
    registry::write_directory(checkout.path(), &document, &[(path, &mirrored.ptdprmc3)]);
    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    drop(checkout);
    (data, mirrored)
}

#[test]
fn a_file_that_cannot_be_made_again_is_lost_and_said_to_be() {
    let (data, mirrored) = with_a_mirrored_compute();
    let hub = Hub::start_with(data.path(), &[], &SETTINGS);
    let name = Sha256::of(&mirrored.ptdprmc3).to_string();
    fs::remove_file(blob(data.path(), &name)).unwrap();
    wait_until("it is withheld", || hub.get("/registry.json").json()["computes"].get("mine").is_none());
    wait_until("the note", || {
        let ready = hub.get("/readyz");
        ready.status == 200 && ready.text().contains("1 compute is withheld")
    });
    // Whoever knows what the graph is brings it back.
    let request = json!({"model": {"builtin": "kingman", "constants": {"n": 4}}});
    assert_eq!(hub.post("/v1/graphs", &request).status, 201);
    let token = admin(data.path());
    let report = task(&hub, &token, "scrub", &json!({}));
    // The service may have been quicker.
    assert_eq!((&report["state"], &report["report"]["missing"]), (&json!("done"), &json!([])), "{report}");
    assert_eq!(fs::read(blob(data.path(), &name)).unwrap(), mirrored.ptdprmc3);
    wait_until("it is served", || hub.get("/registry.json").json()["computes"].get("mine").is_some());
}

#[test]
fn one_file_that_cannot_be_read_keeps_no_other_from_being_healed_or_backed_up() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &SETTINGS);
    let [unreadable, rotten] = ["coal_n5_theta1", "coal_n10_theta1"].map(model);
    let [first, second] = [&unreadable, &rotten].map(|model| Sha256::of(&model.ptdprmc3).to_string());
    wait_until("both are there", || [&first, &second].iter().all(|name| blob(data.path(), name).exists()));
    fs::remove_file(blob(data.path(), &first)).unwrap();
    fs::create_dir_all(blob(data.path(), &first).join("full")).unwrap();
    for _ in 0..2 {
        // Healed, and healed again: the round goes on whatever became of the other one.
        fs::write(blob(data.path(), &second), b"rot").unwrap();
        wait_until("the other is whole", || {
            fs::read(blob(data.path(), &second)).is_ok_and(|found| found == rotten.ptdprmc3)
        });
    }
    let token = admin(data.path());
    let scrubbed = task(&hub, &token, "scrub", &json!({}));
    assert_eq!(scrubbed["report"]["unreadable"], json!([first]), "{scrubbed}");
    // Another process, in another container, has the same id, and is in the middle of a backup.
    let backups = data.path().join("backups");
    let of_other = backups.join(format!(".phasic-hub-backup-{}", hub.process_id()));
    fs::create_dir_all(of_other.join("half")).unwrap();
    let backed_up = task(&hub, &token, "backup", &json!({"name": "first.tar"}));
    assert_eq!((&backed_up["state"], &backed_up["report"]["missing"]), (&json!("done"), &json!([first])));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(backups.join("first.tar")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(of_other.join("half").exists());
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 2, "nothing is left but what is another's");
    // As soon as it can be made again, it is.
    fs::remove_dir_all(blob(data.path(), &first)).unwrap();
    wait_until("it is whole", || {
        fs::read(blob(data.path(), &first)).is_ok_and(|found| found == unreadable.ptdprmc3)
    });
}

#[test]
fn a_lost_result_of_a_job_is_looked_for_once_however_many_ask() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("access_anonymous", "compute")]);
    let request = json!({"model": {"builtin": "kingman", "constants": {"n": 9}}, "variant": "plan"});
    let headers = [("Prefer", "wait=25")];
    let made =
        http::send(hub.address(), "POST", "/v1/eliminations", &headers, request.to_string().as_bytes());
    let plan = made.json()["artifact"]["sha256"].as_str().unwrap().to_owned();
    // Neither the file nor what it could be made of: every recipe is gone.
    for directory in fs::read_dir(data.path().join("blobs/sha256")).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let is_recipe = fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"{\"constants\""));
            if is_recipe || path.ends_with(&plan) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    let token = admin(data.path());
    let heals = || {
        let audit = ask(&hub, &token, "GET", "/v1/audit?limit=1000", "").json();
        let lines = audit["lines"].as_array().unwrap().clone();
        let is_it =
            |line: &&Value| line["action"] == "blob.heal" && line["detail"].to_string().contains(&plan);
        lines.iter().filter(is_it).count()
    };
    let address = format!("/v1/blobs/sha256/{plan}");
    assert_eq!(hub.get(&address).status, 503);
    wait_until("it is told", || heals() == 1);
    for _ in 0..20 {
        assert_eq!(hub.get(&address).status, 503);
    }
    assert_eq!(heals(), 1);
}

#[test]
fn what_is_lost_while_the_hub_is_down_is_made_again_though_nobody_asks_for_it() {
    let (data, mirrored) = with_a_mirrored_compute();
    let settings = [("access_anonymous", "compute")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let request = json!({"model": {"builtin": "kingman", "constants": {"n": 4}}});
    assert_eq!(hub.post("/v1/graphs", &request).status, 201);
    hub.stop();
    let name = Sha256::of(&mirrored.ptdprmc3).to_string();
    fs::remove_file(blob(data.path(), &name)).unwrap();
    // Files are hashed once a week, and this one is not listed any more.
    let hub = Hub::start_with(data.path(), &[], &settings);
    wait_until("it is whole again", || {
        fs::read(blob(data.path(), &name)).is_ok_and(|found| found == mirrored.ptdprmc3)
    });
    wait_until("it is served", || hub.get("/registry.json").json()["computes"].get("mine").is_some());
}

#[test]
fn administrators_collect_garbage_pin_back_up_and_see_the_settings() {
    let (data, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hub = Hub::start(data.path());
    let token = admin(data.path());
    let stray = Sha256::of(b"stray").to_string();
    fs::create_dir_all(blob(data.path(), &stray).parent().unwrap()).unwrap();
    fs::write(blob(data.path(), &stray), b"stray").unwrap();

    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    fs::File::options()
        .write(true)
        .open(blob(data.path(), &stray))
        .and_then(|file| file.set_modified(hours_ago))
        .unwrap();
    // Not what a job may be about to take note of.
    let hasty = ask(&hub, &token, "POST", "/v1/admin/gc", "{\"grace_seconds\": 0}");
    assert_eq!(hasty.status, 400, "{}", hasty.text());
    let looked = task(&hub, &token, "gc", &json!({"grace_seconds": 3600}));
    let expected = json!({
        "dry_run": true, "blobs": [stray], "bytes": 5, "graphs": [], "eliminations": [], "computes": []
    });
    assert_eq!(looked["report"], expected, "{looked}");
    assert!(blob(data.path(), &stray).exists(), "only looked");
    assert_eq!(
        ask(&hub, &token, "PUT", &format!("/v1/admin/pins/{stray}"), "").status,
        404,
        "no blob of ours"
    );
    let removed = task(&hub, &token, "gc", &json!({"grace_seconds": 3600, "dry_run": false}));
    assert_eq!(removed["report"]["blobs"], json!([stray]));
    assert!(!blob(data.path(), &stray).exists());

    let kept = Sha256::of(&model("coal_n5_theta1").ptdprmc3).to_string();
    let pin = format!("/v1/admin/pins/{kept}");
    assert_eq!(ask(&hub, &token, "PUT", &pin, "{\"note\": \"figure 3\"}").status, 204);
    let pins = ask(&hub, &token, "GET", "/v1/admin/pins", "").json();
    assert_eq!((&pins["pins"][0]["sha256"], &pins["pins"][0]["note"]), (&json!(kept), &json!("figure 3")));
    assert_eq!(ask(&hub, &token, "DELETE", &pin, "").status, 204);
    assert_eq!(ask(&hub, &token, "DELETE", &pin, "").status, 404);

    for wrong in ["../x.tar", ".x", "a/b"] {
        let refused = ask(&hub, &token, "POST", "/v1/admin/backup", &json!({"name": wrong}).to_string());
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let backed_up = task(&hub, &token, "backup", &json!({"name": "first.tar"}));
    assert_eq!(backed_up["state"], "done", "{backed_up}");
    let file = data.path().join("backups/first.tar");
    let target = place.path().join("restored");
    let restored = run(&["restore", file.to_str().unwrap(), "--data", target.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    let again = task(&hub, &token, "backup", &json!({"name": "first.tar"}));
    assert_eq!(again["state"], "failed");
    assert!(again["error"].as_str().unwrap().contains("choose another name"), "{again}");

    let settings = ask(&hub, &token, "GET", "/v1/admin/settings", "").json();
    assert_eq!(settings["upkeep"]["scrub_interval_seconds"], 604_800);
    let tasks = ask(&hub, &token, "GET", "/v1/admin/tasks", "").json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 4, "{tasks}");
    assert_eq!(ask(&hub, &token, "GET", "/v1/admin/tasks/task_0", "").json()["code"], "task_not_found");
    let audit = ask(&hub, &token, "GET", "/v1/audit", "").text().to_owned();
    for action in ["task.begin", "blob.collect", "blob.pin", "blob.unpin", "hub.backup"] {
        assert!(audit.contains(&format!("\"{action}\"")), "{action}: {audit}");
    }
    hub.stop();
    // What a killed hub was doing is said to have broken off, and may be asked for again.
    assert!(run(&["audit", "verify", "--data", data.path().to_str().unwrap()]).status.success());
}
