//! Processes of a real hub killed (SIGKILL) at random moments: nothing acknowledged is lost, nothing is half there.
//!
//! The short tests are ordinary; `just faults` runs the long ones. A failing test prints the seed that repeats it.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]
#![allow(clippy::print_stdout, reason = "measurements are shown to whoever asks for them with --nocapture")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::hub::{Hub, command, run, sync_with, wait_until};
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};
use phasic_hub_tests::seed::Seeded;
use phasic_hub_tests::{blobs, oracle};
use serde_json::{Value, json};

/// Lets everybody compute, so that only tokens need a token.
const SETTINGS: &[(&str, &str)] = &[("access_anonymous", "compute"), ("compute_threads", "1")];

fn start(data: &Path) -> Hub {
    let begun = Instant::now();
    let hub = Hub::start_with(data, &[], SETTINGS);
    // Shown with --nocapture; a loaded machine has no say in whether the test passes.
    println!("ready after {:?}", begun.elapsed());
    hub
}

fn kill(hub: Hub) {
    hub.signal("KILL");
    hub.ended();
}

/// Runs a command of the hub, and kills it at a moment if it has not ended by then. Says whether it had succeeded.
fn cut_short(arguments: &[&str], moment: Duration) -> bool {
    let mut child: Child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(moment);
    // It may have ended.
    let _ = child.kill();
    child.wait().unwrap().success()
}

/// Two registries of one upstream, and what a mirror of each serves.
struct Versions {
    checkout: tempfile::TempDir,
    documents: [String; 2],
    served: [BTreeMap<String, String>; 2],
}

impl Versions {
    fn new() -> Self {
        let models: Vec<Model> = (10..22).map(kingman).collect();
        let name = |model: &Model| format!("artifacts/{}.bin", model.hash);
        let version = |ids: &[(usize, &str)]| {
            let entries: Vec<_> =
                ids.iter().map(|&(model, id)| (id, entry(&models[model], &models[model].ptdprmc3))).collect();
            let served = ids
                .iter()
                .map(|&(model, id)| (id.to_owned(), Sha256::of(&models[model].ptdprmc3).to_string()));
            (document(&entries), served.collect())
        };
        let (first, served_first) = version(&[(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e"), (5, "f")]);
        let (second, served_second) =
            version(&[(6, "a"), (7, "b"), (8, "c"), (9, "g"), (10, "h"), (11, "i")]);
        let checkout = tempfile::tempdir().unwrap();
        let files: Vec<_> = models.iter().map(|model| (name(model), &model.ptdprmc3[..])).collect();
        write_directory(checkout.path(), &first, &files);
        Self { checkout, documents: [first, second], served: [served_first, served_second] }
    }

    fn offer(&self, version: usize) {
        fs::write(self.checkout.path().join("registry.json"), &self.documents[version]).unwrap();
    }

    fn path(&self) -> &str {
        self.checkout.path().to_str().unwrap()
    }
}

fn mirrored(mut served: BTreeMap<String, String>) -> BTreeMap<String, String> {
    served.retain(|id, _| phasic_engine::reference::find(id).is_none());
    served
}

/// A pass killed at any moment leaves the state of exactly one document.
fn mirror_passes_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let versions = Versions::new();
    let begun = Instant::now();
    assert!(sync_with(data.path(), versions.path(), &["--remove-many"], &[]).status.success());
    let longest = begun.elapsed().mul_f64(1.2);
    let mut state = 0;
    for _ in 0..times {
        let next = 1 - state;
        versions.offer(next);
        let place = data.path().to_str().unwrap();
        let arguments = ["mirror", "sync", "--from", versions.path(), "--data", place, "--remove-many"];
        let acknowledged = cut_short(&arguments, seeded.moment(longest));
        let hub = start(data.path());
        let found = mirrored(oracle::everything_holds(&hub, data.path()));
        if found == versions.served[next] {
            state = next;
        } else {
            assert_eq!(found, versions.served[state], "I6: the state is that of neither document");
            assert!(!acknowledged, "I3: an acknowledged pass is lost");
        }
        kill(hub);
    }
}

/// Jobs that were accepted are done after the restart, and their files are what they should be.
fn hubs_with_jobs_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let mut accepted: Vec<(u64, String)> = Vec::new();
    for round in 0..times as u64 {
        let killing = seeded.moment(Duration::from_millis(400));
        let begun = Instant::now();
        for place in 0..3 {
            let n = 30 + round * 3 + place;
            let asked = json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
            let answer = hub.post("/v1/eliminations", &asked);
            assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
            if let Some(id) = answer.json()["job"]["id"].as_str() {
                accepted.push((n, id.to_owned()));
            }
        }
        thread::sleep(killing.saturating_sub(begun.elapsed()));
        kill(hub);
        hub = start(data.path());
        oracle::everything_holds(&hub, data.path());
        // A job is tried three times in all, so a hub may not be killed in the middle of one for ever.
        for (n, id) in &accepted {
            wait_until("the job is done", || state(&hub, id) == "done");
            let job = hub.get(&format!("/v1/jobs/{id}")).json();
            let digest = job["artifact"]["sha256"].as_str().unwrap();
            let file = hub.get(&format!("/v1/blobs/sha256/{digest}"));
            assert_eq!(Sha256::of(&file.body).to_string(), digest);
            assert_eq!(file.body, kingman(i64::try_from(*n).unwrap()).ptdprmc3, "I3: n = {n}");
        }
        accepted.clear();
    }
}

fn state(hub: &Hub, job: &str) -> String {
    let answer = hub.get(&format!("/v1/jobs/{job}"));
    assert_eq!(answer.status, 200, "I3: an accepted job is lost: {job}");
    let state = answer.json()["state"].as_str().unwrap().to_owned();
    assert!(!matches!(state.as_str(), "failed" | "quarantined" | "cancelled"), "{}", answer.text());
    state
}

/// A collection of garbage killed at any moment has removed nothing that is wanted.
fn collections_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let versions = Versions::new();
    assert!(sync_with(data.path(), versions.path(), &[], &[]).status.success());
    let hub = start(data.path());
    let before = oracle::everything_holds(&hub, data.path());
    let place = data.path().to_str().unwrap();
    let begun = Instant::now();
    assert!(run(&["gc", "--remove", "--grace", "1h", "--data", place]).status.success());
    let longest = begun.elapsed().mul_f64(1.2);
    for round in 0..times {
        for number in 0..40 {
            let garbage = format!("nobody wants this: {round}, {number}");
            let name = blobs::stray(data.path(), garbage.as_bytes());
            blobs::make_old(&blobs::path(data.path(), &name), Duration::from_hours(2));
        }
        cut_short(&["gc", "--remove", "--grace", "1h", "--data", place], seeded.moment(longest));
        oracle::blobs_have_their_bytes(data.path());
        assert_eq!(oracle::served_is_whole(&hub), before, "I2");
    }
    let wanted = oracle::blobs_have_their_bytes(data.path());
    assert!(run(&["gc", "--remove", "--grace", "1h", "--data", place]).status.success());
    assert!(oracle::blobs_have_their_bytes(data.path()) <= wanted);
    kill(hub);
    let hub = start(data.path());
    assert_eq!(oracle::everything_holds(&hub, data.path()), before);
}

/// Tokens that were made are there, those that were revoked are not, whenever the hub was killed.
fn hubs_with_tokens_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let place = data.path().to_str().unwrap().to_owned();
    let made = run(&["token", "create", "--name", "tests", "--scope", "admin", "--data", &place]);
    let admin = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    for _ in 0..times {
        let address = hub.address();
        let authorization = format!("Bearer {admin}");
        let changing = thread::spawn(move || {
            let mut told = Vec::new();
            loop {
                let body = json!({"name": "brief", "scopes": ["read"], "expires_in_seconds": 3600});
                let Some(made) = attempt(address, "POST", "/v1/tokens", &authorization, &body) else { break };
                let id = made["id"].as_str().unwrap().to_owned();
                // Every other one stays valid.
                if told.len() % 2 == 0 {
                    told.push((id, true));
                    continue;
                }
                let target = format!("/v1/tokens/{id}");
                // Of a revocation that was not answered nobody knows whether it was made.
                let Some(_) = attempt(address, "DELETE", &target, &authorization, &Value::Null) else {
                    break;
                };
                told.push((id, false));
            }
            told
        });
        thread::sleep(seeded.moment(Duration::from_millis(300)));
        kill(hub);
        told.extend(changing.join().unwrap());
        hub = start(data.path());
        oracle::everything_holds(&hub, data.path());
        let listing = run(&["token", "list", "--data", &place]).stdout;
        let listing = String::from_utf8(listing).unwrap();
        let column = listing.lines().next().unwrap().split('\t').position(|name| name == "revoked").unwrap();
        for (id, is_valid) in &told {
            let line = listing.lines().find(|line| line.starts_with(id.as_str()));
            let line = line.unwrap_or_else(|| panic!("I3: the token {id} is lost"));
            assert_eq!(line.split('\t').nth(column) == Some("-"), *is_valid, "I3: {line}");
        }
    }
    assert!(!told.is_empty());
}

/// Uploads that were acknowledged are whole after the restart, others are there whole or not at all, and one in parts
/// goes on behind what had arrived.
fn hubs_with_uploads_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let publish = token(data.path(), &["--scope", "publish"]);
    let bytes = |round: usize, place: usize| -> Vec<u8> {
        let line = format!("upload {place} of round {round}\n");
        line.repeat(40_000 / line.len() * (1 + place % 4)).into_bytes()
    };
    let mut acknowledged = 0;
    for round in 0..times {
        let authorization = format!("Bearer {publish}");
        let address = hub.address();
        let whole = thread::spawn({
            let authorization = authorization.clone();
            move || {
                let is_stored = |place: &usize| put(address, &authorization, &bytes(round, *place), None);
                (0..).step_by(2).take_while(|place| is_stored(place) == Some(true)).collect::<Vec<_>>()
            }
        });
        let parted = bytes(round, 1);
        let parts = thread::spawn({
            let parted = parted.clone();
            move || {
                let mut arrived = 0;
                for part in parted.chunks(1000) {
                    if put(address, &authorization, &parted, Some((arrived, part))).is_none() {
                        break;
                    }
                    arrived += part.len();
                }
                arrived
            }
        });
        thread::sleep(seeded.moment(Duration::from_millis(300)));
        kill(hub);
        let (stored, arrived) = (whole.join().unwrap(), parts.join().unwrap());
        hub = start(data.path());
        oracle::everything_holds(&hub, data.path());
        let client = Client { hub: &hub, token: Some(&publish) };
        let path = |bytes: &[u8]| format!("/v1/blobs/sha256/{}", Sha256::of(bytes));
        for &place in &stored {
            let file = client.get(&path(&bytes(round, place)));
            assert_eq!(file.body, bytes(round, place), "I3: an acknowledged upload is lost");
        }
        acknowledged += stored.len();
        // What nobody was told of is there whole or not at all, and can be sent again.
        let next = bytes(round, 2 * stored.len());
        assert!(matches!(client.upload(&next).status, 200 | 201));
        let state = client.send("HEAD", &format!("{}/upload", path(&parted)), &[], b"");
        let offset = match state.status {
            200 | 204 => state.header("upload-offset").unwrap().parse().unwrap(),
            404 if arrived == parted.len() => parted.len(),
            404 => 0,
            other => panic!("{other}"),
        };
        assert!(offset >= arrived, "I3: {offset} of {arrived} acknowledged bytes are left");
        if offset < parted.len() {
            let range = format!("bytes {offset}-{}/{}", parted.len() - 1, parted.len());
            let done = client.send("PUT", &path(&parted), &[("Content-Range", &range)], &parted[offset..]);
            assert_eq!(done.status, 201, "{}", done.text());
        } else if state.status != 404 {
            // All had arrived, and it was no blob yet.
            let range = format!("bytes */{}", parted.len());
            let done = client.send("PUT", &path(&parted), &[("Content-Range", &range)], b"");
            assert!(matches!(done.status, 200 | 201), "{}", done.text());
        }
        assert_eq!(client.get(&path(&parted)).body, parted);
        oracle::blobs_have_their_bytes(data.path());
    }
    assert!(acknowledged > 0);
}

/// Uploads bytes, or the part of them from a place on. Whether all of them are stored; `None` when nobody answered.
fn put(
    address: std::net::SocketAddr,
    authorization: &str,
    bytes: &[u8],
    part: Option<(usize, &[u8])>,
) -> Option<bool> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let range = part.map_or_else(String::new, |(from, part)| {
        format!("Content-Range: bytes {from}-{}/{}\r\n", from + part.len() - 1, bytes.len())
    });
    let body = part.map_or(bytes, |(_, part)| part);
    let head = format!(
        "PUT /v1/blobs/sha256/{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         {range}Content-Length: {}\r\n\r\n",
        Sha256::of(bytes),
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // In pieces, so that a kill finds some of it on its way.
    for piece in body.chunks(4000) {
        stream.write_all(piece).ok()?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?;
    assert!(matches!(status, "200" | "201" | "202"), "{answer}");
    // A head that was cut off says nothing.
    answer.contains("\r\n\r\n").then_some(status != "202")
}

/// What a server answered that may be killed meanwhile; `None` when it was.
fn attempt(
    address: std::net::SocketAddr,
    method: &str,
    target: &str,
    authorization: &str,
    body: &Value,
) -> Option<Value> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
    if body.is_empty() { Some(Value::Null) } else { serde_json::from_str(body).ok() }
}

#[test]
fn a_mirror_pass_that_is_killed_leaves_the_state_of_one_document() {
    mirror_passes_are_killed(3, 1);
}

#[test]
fn accepted_jobs_survive_the_death_of_the_hub() {
    hubs_with_jobs_are_killed(2, 2);
}

#[test]
fn a_collection_that_is_killed_has_removed_nothing_that_is_wanted() {
    collections_are_killed(3, 3);
}

#[test]
fn acknowledged_changes_of_tokens_survive_the_death_of_the_hub() {
    hubs_with_tokens_are_killed(2, 4);
}

#[test]
fn acknowledged_uploads_survive_the_death_of_the_hub_and_others_go_on() {
    hubs_with_uploads_are_killed(3, 5);
}

#[test]
#[ignore = "40 killed passes take minutes: just faults"]
fn forty_killed_mirror_passes() {
    mirror_passes_are_killed(40, 11);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_jobs() {
    hubs_with_jobs_are_killed(40, 12);
}

#[test]
#[ignore = "40 killed collections take minutes: just faults"]
fn forty_killed_collections() {
    collections_are_killed(40, 13);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_changes_of_tokens() {
    hubs_with_tokens_are_killed(40, 14);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_uploads() {
    hubs_with_uploads_are_killed(40, 15);
}
