//! A disk that is full, a disk that is read-only, and a database that is not what it should be.
//!
//! Small and read-only disks are mounted in a namespace of the hub's own, which needs Linux and `unshare`. Where nobody may
//! do that, these tests fail unless `PHASIC_TESTS_WITHOUT_NAMESPACES` is set: then they say what they have not tried.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]
#![allow(clippy::print_stderr, reason = "who runs the tests must see what was not tried")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use phasic_hub_tests::access::{Client, refusal};
use phasic_hub_tests::http::{Answer, send};

use phasic_hub_tests::hub::{Hub, command, run, wait_until, within};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};
use phasic_hub_tests::{database, oracle};
use serde_json::{Value, json};

/// Runs a command in a mount namespace of its own, after this shell script.
fn namespace(script: &str) -> Option<Vec<String>> {
    let words = ["unshare", "-Urm", "sh", "-c"].map(str::to_owned);
    let tried = Command::new("unshare").args(["-Urm", "sh", "-c", script]).output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        let allowed = std::env::var_os("PHASIC_TESTS_WITHOUT_NAMESPACES").is_some();
        assert!(allowed, "nobody may mount here; PHASIC_TESTS_WITHOUT_NAMESPACES=1 leaves out what needs it");
        eprintln!("not tried: this machine lets nobody mount anything in a namespace of their own");
        return None;
    }
    Some(words.into_iter().chain([format!("{script} && exec \"$@\""), "sh".to_owned()]).collect())
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

const SETTINGS: &[(&str, &str)] = &[("access_anonymous", "compute")];

/// A file as large as there is room for, in a directory as the hub sees it.
fn fill(hub: &Hub, data: &Path) -> PathBuf {
    let seen = format!("/proc/{}/root{}", hub.process_id(), data.display());
    let path = Path::new(&seen).join("filler");
    let mut file = File::create(&path).unwrap();
    let mut piece = vec![7; 1 << 16];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
    path
}

#[test]
fn a_full_disk_is_said_so_reading_goes_on_and_room_is_noticed_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=16m tmpfs {}", directory.path().display());
    let Some(wrapper) = namespace(&mount) else { return };
    let data = directory.path().join("hub-data");
    let hub = Hub::start_within(&as_words(&wrapper), &data, &[], SETTINGS);
    let kingman = |n: u32| json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    let graph = |n: u32| hub.post("/v1/graphs", &kingman(n));
    let served = oracle::served_is_whole(&hub);
    assert_eq!(graph(11).status, 201);
    for round in 0..2 {
        let filler = fill(&hub, &data);
        // The write-ahead log may have room left in itself.
        let mut number = 100 * (round + 1);
        let mut refused = None;
        wait_until("there is no room", || {
            number += 1;
            let answer = graph(number);
            assert!(matches!(answer.status, 201 | 507), "{}", answer.text());
            refused = (answer.status == 507).then_some(answer);
            refused.is_some()
        });
        let refused = refused.unwrap();
        assert_eq!(refused.json()["code"], "storage_full");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        let elimination = hub.post("/v1/eliminations", &kingman(number));
        assert_eq!(elimination.status, 507, "{}", elimination.text());
        assert_eq!(oracle::served_is_whole(&hub), served, "reading goes on");
        assert_eq!(hub.get("/healthz").status, 200);
        wait_until("it is said to whoever asks", || {
            let ready = hub.get("/readyz");
            ready.status == 503 && ready.json()["reasons"][0]["code"] == "disk"
        });
        let numbers = hub.post("/v1/evaluate", &json!({"model": {"builtin": "kingman"}, "theta": [1.0]}));
        assert_eq!(numbers.status, 200, "computing writes nothing: {}", numbers.text());
        fs::remove_file(filler).unwrap();
        wait_until("there is room", || matches!(graph(number).status, 200 | 201));
        wait_until("it is ready again", || hub.get("/readyz").status == 200);
        let done = send(
            hub.address(),
            "POST",
            "/v1/eliminations",
            &[("Prefer", "wait=25")],
            kingman(number).to_string().as_bytes(),
        );
        assert_eq!(done.status, 200, "{}", done.text());
    }
    hub.signal("KILL");
}

/// A token, made where the hub sees its disk.
fn token_within(hub: &Hub, data: &Path, scopes: &[&str]) -> String {
    let process = hub.process_id().to_string();
    let enter = ["nsenter", "-t", &process, "-U", "-m", "--preserve-credentials"];
    let words = ["token", "create", "--name", "t", "--data", data.to_str().unwrap()];
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let made = within(&enter, &words.into_iter().chain(scopes).collect::<Vec<_>>()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Changes of a few words each, which the write-ahead log may have room for when there is none for anything else.
fn write_little(client: &Client<'_>, pinned: &str) -> Vec<(&'static str, Answer)> {
    let token = json!({"name": "more", "scopes": ["read"]});
    vec![
        ("token", client.json("POST", "/v1/tokens", &token)),
        ("pin", client.json("PUT", &format!("/v1/admin/pins/{pinned}"), &json!({"note": "n"}))),
        ("privacy", client.json("PATCH", "/v1/computes/coal_n5_theta1", &json!({"private": false}))),
        (
            "variant",
            client.json("PUT", "/v1/admin/computes/coal_n5_theta1/variant", &json!({"variant": "phasic"})),
        ),
        ("scrub", client.json("POST", "/v1/admin/scrub", &json!({}))),
        ("gc", client.json("POST", "/v1/admin/gc", &json!({}))),
    ]
}

/// What else writes: uploads in one piece and in parts, a publication, a mirror pass, a backup. Gives the answers, and
/// the states of what was begun.
fn write_everything(client: &Client<'_>, round: u8) -> Vec<(&'static str, Answer)> {
    let bytes = vec![round; 1 << 20];
    let path = format!("/v1/blobs/sha256/{}", phasic_hub_api::Sha256::of(&bytes));
    let part = [("Content-Range", "bytes 0-524287/1048576")];
    let published = json!({"graph": kingman(9).hash, "metadata": {"description": "nine"}});
    let wait = [("Prefer", "wait=25")];
    vec![
        ("part", client.send("PUT", &path, &part, &bytes[..1 << 19])),
        ("upload", client.upload(&bytes)),
        ("publication", client.json("PUT", &format!("/v1/computes/nine-{round}"), &published)),
        ("pass", client.send("POST", "/v1/mirror/sync", &wait, b"{\"upstreams\": [\"lab\"]}")),
        ("backup", client.send("POST", "/v1/admin/backup", &wait, b"{}")),
    ]
}

#[test]
fn whatever_writes_finds_the_disk_full_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=24m tmpfs {}", directory.path().display());
    let Some(wrapper) = namespace(&mount) else { return };
    let (data, checkout) = (directory.path().join("hub-data"), tempfile::tempdir().unwrap());
    let upstreams = format!(r#"[{{name = "lab", url = "{}", enabled = false}}]"#, checkout.path().display());
    let settings = [SETTINGS, &[("mirror_upstreams", upstreams.as_str())]].concat();
    let hub = Hub::start_within(&as_words(&wrapper), &data, &[], &settings);
    let admin = token_within(&hub, &data, &["admin", "publish"]);
    let client = Client { hub: &hub, token: Some(&admin) };
    let model = json!({"model": {"builtin": "kingman", "constants": {"n": 9}}}).to_string();
    let made = client.send("POST", "/v1/eliminations", &[("Prefer", "wait=25")], model.as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    let mirrored = kingman(300);
    let files = [(format!("artifacts/{}.bin", mirrored.hash), &mirrored.ptdprmc3[..])];
    write_directory(checkout.path(), &document(&[("far", entry(&mirrored, &mirrored.ptdprmc3))]), &files);
    let mut served = oracle::served_is_whole(&hub);
    served.retain(|id, _| !id.starts_with("computed-"));
    let filler = fill(&hub, &data);
    // Until the write-ahead log has no room left in itself, either.
    let mut number = 500;
    wait_until("there is no room", || {
        number += 1;
        let graph = json!({"model": {"builtin": "kingman", "constants": {"n": number}}});
        hub.post("/v1/graphs", &graph).status == 507
    });
    for (what, answer) in write_everything(&client, 1) {
        let text = answer.text();
        match what {
            // What was begun goes on until there is room, or says itself how it ended.
            "pass" if answer.status == 200 => {
                assert_eq!(answer.json()["passes"][0]["outcome"], "failed", "{text}");
            }
            "pass" if answer.status == 202 => {
                assert_eq!(answer.json()["waiting"], json!(["lab"]), "{text}");
            }
            "backup" if answer.status == 202 || answer.status == 200 => {
                let task = format!("/v1/admin/tasks/{}", answer.json()["id"].as_str().unwrap());
                wait_until("the backup has failed", || client.get(&task).json()["state"] == "failed");
            }
            _ => assert_eq!(refusal(&answer), (507, "storage_full".to_owned()), "{what}: {text}"),
        }
    }
    let pinned = served["coal_n5_theta1"].clone();
    for (what, answer) in write_little(&client, &pinned) {
        let is_done = answer.status < 300;
        assert!(is_done || refusal(&answer) == (507, "storage_full".to_owned()), "{what}: {}", answer.text());
    }
    let mut now = oracle::served_is_whole(&hub);
    now.retain(|id, _| !id.starts_with("computed-"));
    assert_eq!(now, served, "reading goes on, and nothing has changed");
    fs::remove_file(filler).unwrap();
    wait_until("there is room", || {
        let answers = write_everything(&client, 2);
        answers.iter().all(|(_, answer)| answer.status < 300)
    });
    for (what, answer) in write_little(&client, &pinned) {
        assert!(answer.status < 300, "{what}: {}", answer.text());
    }
    wait_until("the pass is served", || oracle::served_is_whole(&hub).contains_key("far"));
    let seen = format!("/proc/{}/root{}", hub.process_id(), data.display());
    oracle::blobs_have_their_bytes(Path::new(&seen));
    hub.signal("KILL");
}

#[test]
fn a_job_that_finds_no_room_for_its_result_fails_and_can_be_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size=16m tmpfs {}", directory.path().display());
    let Some(wrapper) = namespace(&mount) else { return };
    let data = directory.path().join("hub-data");
    let hub = Hub::start_within(&as_words(&wrapper), &data, &[], SETTINGS);
    // Its file takes more than 16 MB.
    let large = json!({"model": {"builtin": "kingman", "constants": {"n": 40_000}}});
    let answer = hub.post("/v1/eliminations", &large);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let target = format!("/v1/jobs/{}", answer.json()["job"]["id"].as_str().unwrap());
    let mut job = Value::Null;
    wait_until("the job has ended", || {
        job = hub.get(&target).json();
        !matches!(job["state"].as_str(), Some("queued" | "running"))
    });
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job["error"].as_str().unwrap().contains("there is no room left for its result"), "{job}");
    let small = json!({"model": {"builtin": "kingman", "constants": {"n": 40}}});
    let prefer = [("Prefer", "wait=25")];
    let done = send(hub.address(), "POST", "/v1/eliminations", &prefer, small.to_string().as_bytes());
    assert_eq!(done.status, 200, "the unfinished file was removed: {}", done.text());
    assert_eq!(hub.post("/v1/eliminations", &large).status, 202);
}

#[test]
fn a_read_only_disk_is_said_so_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("hub-data");
    Hub::start(&data).stop();
    let place = data.display();
    let mount = format!("mount --bind {place} {place} && mount -o remount,bind,ro {place}");
    let Some(wrapper) = namespace(&mount) else { return };
    let before = oracle::snapshot(&data);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["gc", "--remove"], &["token", "list"]] {
        let arguments = [arguments, &["--data", data.to_str().unwrap()]].concat();
        let output = within(&as_words(&wrapper), &arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !said.contains("panicked"), "{arguments:?}: {said}");
        assert!(said.contains(data.to_str().unwrap()), "names the place: {said}");
        assert!(said.to_lowercase().contains("read-only") || said.contains("readonly"), "{said}");
    }
    assert_eq!(oracle::snapshot(&data), before);
}

/// What must hold of a hub that can write nothing: reading goes on, and it says so to whoever asks.
fn assert_reads_and_says_so(hub: &Hub, served: &BTreeMap<String, String>) {
    wait_until("it is said to whoever asks", || {
        let ready = hub.get("/readyz");
        ready.status == 503 && ready.json()["reasons"][0]["code"] == "disk"
    });
    assert_eq!(oracle::served_is_whole(hub), *served, "reading goes on");
    assert_eq!(hub.get("/healthz").status, 200);
    let numbers = hub.post("/v1/evaluate", &json!({"model": {"builtin": "kingman"}, "theta": [1.0]}));
    assert_eq!(numbers.status, 200, "computing writes nothing: {}", numbers.text());
}

#[test]
fn a_disk_that_becomes_read_only_under_a_hub_is_said_so_and_writing_goes_on_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let Some(wrapper) = namespace("true") else { return };
    let data = directory.path().join("hub-data");
    let hub = Hub::start_within(&as_words(&wrapper), &data, &[], SETTINGS);
    let kingman = |n: u32| json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    assert_eq!(hub.post("/v1/graphs", &kingman(11)).status, 201);
    let served = oracle::served_is_whole(&hub);
    let within_hub = |script: &str| {
        let process = hub.process_id().to_string();
        let enter = ["-t", &process, "-U", "-m", "--preserve-credentials", "sh", "-c", script];
        assert!(Command::new("nsenter").args(enter).status().unwrap().success(), "{script}");
    };
    let place = data.display();
    within_hub(&format!("mount --bind {place} {place} && mount -o remount,bind,ro {place}"));
    let refused = hub.post("/v1/graphs", &kingman(12));
    assert_eq!(refusal(&refused), (507, "storage_read_only".to_owned()), "{}", refused.text());
    let refused = hub.post("/v1/eliminations", &kingman(13));
    assert_eq!(refusal(&refused), (507, "storage_read_only".to_owned()), "{}", refused.text());
    assert_reads_and_says_so(&hub, &served);
    within_hub(&format!("umount {place}"));
    wait_until("it is ready again", || hub.get("/readyz").status == 200);
    let wait = [("Prefer", "wait=25")];
    let done = send(hub.address(), "POST", "/v1/eliminations", &wait, kingman(12).to_string().as_bytes());
    assert_eq!(done.status, 200, "{}", done.text());
    let ended = hub.stop();
    assert!(ended.status.success() && !ended.log.contains("panicked"), "{}", ended.log);
}

/// Has every write of a running hub that goes beyond so many bytes of a file fail, whatever was opened before.
fn limit_files(hub: &Hub, bytes: &str) {
    let process = hub.process_id().to_string();
    let set =
        Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}:")]).status().unwrap();
    assert!(set.success());
}

#[test]
fn writes_that_fail_in_the_middle_of_everything_change_nothing_and_end_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Without the signal, which would end the process, such a write is an error like any other.
    let wrapper = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let hub = Hub::start_within(&wrapper, directory.path(), &[], SETTINGS);
    let kingman = |n: u32| json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    let wait = [("Prefer", "wait=25")];
    let eliminate =
        |n: u32| send(hub.address(), "POST", "/v1/eliminations", &wait, kingman(n).to_string().as_bytes());
    assert_eq!(eliminate(10).status, 200);
    assert_eq!(hub.post("/v1/graphs", &kingman(14)).status, 201);
    let listed = || {
        let mut served = oracle::served_is_whole(&hub);
        served.retain(|id, _| !id.starts_with("computed-"));
        served
    };
    let served = listed();
    limit_files(&hub, "0");
    for answer in [
        hub.post("/v1/graphs", &kingman(15)),
        // Its recipe is here, so it is the database that cannot write.
        hub.post("/v1/eliminations", &kingman(14)),
    ] {
        assert_eq!(refusal(&answer), (500, "internal".to_owned()), "{}", answer.text());
        assert!(!answer.text().contains(directory.path().to_str().unwrap()), "{}", answer.text());
    }
    wait_until("it is said to whoever asks", || {
        let ready = hub.get("/readyz");
        ready.status == 503 && ready.json()["reasons"][0]["code"] == "disk"
    });
    assert_eq!(listed(), served, "reading goes on");
    limit_files(&hub, "unlimited");
    wait_until("it is ready again", || hub.get("/readyz").status == 200);
    assert_eq!(eliminate(14).status, 200);
    assert_eq!(eliminate(15).status, 200);
    oracle::blobs_have_their_bytes(directory.path());
    let ended = hub.stop();
    assert!(ended.status.success() && !ended.log.contains("panicked"), "{}", ended.log);
    oracle::rows_have_their_files(directory.path());
}

/// Ways to spoil a database of so many bytes.
fn spoil(bytes: &[u8], way: &str) -> Vec<u8> {
    let mut spoilt = bytes.to_vec();
    match way {
        "other bytes" => spoilt = b"this is no database at all. ".repeat(400),
        "a spoilt head" => spoilt[..100].fill(0xff),
        "half of it" => spoilt.truncate(bytes.len() / 2),
        "one page" => spoilt.truncate(4096),
        "zeros behind the first page" => spoilt[4096..].fill(0),
        "noise in each page" => {
            for page in spoilt.chunks_mut(4096).skip(1) {
                page[..64].fill(0xa5);
            }
        }
        // Not read at a start: found by the look at all of it, while the hub answers already.
        "noise in its last page" => spoilt[bytes.len() - 4096..][..64].fill(0xa5),
        way => unreachable!("{way}"),
    }
    spoilt
}

#[test]
fn a_database_that_is_spoilt_is_refused_with_advice_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("hub-data");
    Hub::start(&data).stop();
    let file = data.join("hub.db");
    let good = fs::read(&file).unwrap();
    let ways = [
        "other bytes",
        "a spoilt head",
        "half of it",
        "one page",
        "zeros behind the first page",
        "noise in each page",
        "noise in its last page",
    ];
    for way in ways {
        let spoilt = spoil(&good, way);
        fs::write(&file, &spoilt).unwrap();
        for extra in ["hub.db-wal", "hub.db-shm"] {
            // What an attempt before has left.
            let _ = fs::remove_file(data.join(extra));
        }
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let output = command(&arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !said.contains("panicked"), "{way}: {said}");
        assert!(said.contains("hub.db") && said.contains("backup"), "{way}: names file and way out: {said}");
        assert_eq!(fs::read(&file).unwrap(), spoilt, "{way}: the file was changed");
    }
    fs::write(&file, &good).unwrap();
    oracle::everything_holds(&Hub::start(&data), &data);
}

#[test]
fn a_database_of_a_later_version_is_refused_with_advice_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("hub-data");
    Hub::start(&data).stop();
    let later = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '', 1, x'00', 0)";
    database::execute(&data, later);
    let before = fs::read(data.join("hub.db")).unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["gc", "--remove"], &["token", "list"]] {
        let output = run(&[arguments, &["--data", data.to_str().unwrap()]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("use the version that wrote it last, or a backup"), "{said}");
    }
    assert_eq!(fs::read(data.join("hub.db")).unwrap(), before);
}
