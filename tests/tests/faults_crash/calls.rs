//! Calls to files that fail while a hub does all kinds of work, and the hub killed after that.

use std::collections::BTreeMap;
use std::path::Path;

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::blobs;
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::oracle::Names;
use phasic_hub_tests::registry::kingman;
use phasic_hub_tests::seed::Seeded;
use serde_json::json;

use super::failing::{Calls, FAILURES, Failure};
use super::passes::Versions;
use super::{SETTINGS, kill, start_with};

/// Larger than all of the work has calls of any kind.
const NEVER: u32 = u32::MAX;

/// What a hub has acknowledged.
#[derive(Default)]
struct Told {
    uploads: Vec<Vec<u8>>,
    /// Samples of a submission, and the digest of its result or the job that makes it.
    results: Vec<(i64, String)>,
    jobs: Vec<(i64, String)>,
    tokens: Vec<String>,
    has_passed: bool,
}

struct Campaign {
    data: tempfile::TempDir,
    versions: Versions,
    /// The document that is mirrored.
    state: usize,
    admin: String,
    calls: Calls,
    names: Names,
    upstreams: String,
}

impl Campaign {
    fn new() -> Self {
        let (data, versions) = (tempfile::tempdir().unwrap(), Versions::new());
        let upstreams = format!(r#"[{{name = "lab", url = "{}", enabled = false}}]"#, versions.path());
        let hub = start_with(data.path(), &[("mirror_upstreams", upstreams.as_str())]);
        let admin = token(data.path(), &["--scope", "admin", "--scope", "publish"]);
        let client = Client { hub: &hub, token: Some(&admin) };
        assert!(pass(&client), "the first pass goes well");
        kill(hub);
        let (calls, names) = (Calls::new(), Names::default());
        Self { data, versions, state: 0, admin, calls, names, upstreams }
    }

    fn path(&self) -> &Path {
        self.data.path()
    }

    fn settings(&self) -> [(&str, &str); 4] {
        let [first, second] = [SETTINGS[0], SETTINGS[1]];
        [first, second, ("mirror_upstreams", &self.upstreams), ("upkeep_collect_interval_seconds", "0")]
    }

    /// All kinds of work, with calls that fail; then the hub is killed, and everything must hold. Gives the calls of the kind
    /// that there were, and how many have failed.
    fn round(&mut self, number: usize, failure: Failure, first: u32, times: u32) -> (u32, u32) {
        let next = 1 - self.state;
        self.versions.offer(next);
        let garbage = blobs::stray(self.path(), format!("nobody wants this: {number}").as_bytes());
        blobs::make_old(&blobs::path(self.path(), &garbage), std::time::Duration::from_hours(2));
        let wrapper = self.calls.wrapper(self.path());
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let hub = Hub::start_within(&wrapper, self.path(), &[], &self.settings());
        let client = Client { hub: &hub, token: Some(&self.admin) };
        self.calls.fail(failure, first, times);
        let told = work(&client, number);
        assert!(hub.get("/livez").status < 500, "it lives on");
        // Before the calls are mended: nobody gets the time to make good what was left undone.
        kill(hub);
        let counted = self.calls.stop();
        let hub = Hub::start_with(self.path(), &[], &self.settings());
        let found = mirrored(self.names.everything_holds(&hub, self.data.path()));
        if found != self.versions.served[next] {
            assert_eq!(found, self.versions.served[self.state], "I6: the state is that of neither document");
            assert!(!told.has_passed, "I3: an acknowledged pass is lost");
        }
        let client = Client { hub: &hub, token: Some(&self.admin) };
        keeps_its_word(&client, &told, true);
        // What could not be done goes well the next time.
        assert!(pass(&client), "a pass without failures goes well");
        assert_eq!(mirrored(self.names.change_by_revision(&hub)), self.versions.served[next]);
        self.state = next;
        let again = work(&client, number);
        assert_eq!(
            (again.uploads.len(), again.jobs.len() + again.results.len(), again.tokens.len()),
            (2, 1, 1)
        );
        keeps_its_word(&client, &again, false);
        assert!(!blobs::path(self.path(), &garbage).exists(), "garbage is collected the next time");
        kill(hub);
        counted
    }
}

/// What is served of what was mirrored: without what this hub has by itself, or has computed.
fn mirrored(served: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut mirrored = super::passes::mirrored(served);
    mirrored.retain(|id, _| !id.starts_with("computed-"));
    mirrored
}

/// Uploads, a submission, a pass, a collection and a token. Whatever becomes of each, it is answered.
fn work(client: &Client<'_>, number: usize) -> Told {
    let mut told = Told::default();
    let whole = format!("in one piece, {number}\n").repeat(2000).into_bytes();
    if is_done(&client.upload(&whole)) {
        told.uploads.push(whole);
    }
    let parted = format!("in two pieces, {number}\n").repeat(2000).into_bytes();
    let path = format!("/v1/blobs/sha256/{}", Sha256::of(&parted));
    let (half, end) = (parted.len() / 2, parted.len());
    let sent = |from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{end}", to - 1);
        is_done(&client.send("PUT", &path, &[("Content-Range", &range)], &parted[from..to]))
    };
    // When it is there already the first half says so.
    if sent(0, half) && sent(half, end) {
        told.uploads.push(parted);
    }
    let samples = 40 + i64::try_from(number).unwrap();
    let asked = json!({"model": {"builtin": "kingman", "constants": {"n": samples}}}).to_string();
    let answer = client.send("POST", "/v1/eliminations", &[("Prefer", "wait=5")], asked.as_bytes());
    if is_done(&answer) {
        let text = |place: &str| answer.json().pointer(place).and_then(|it| it.as_str().map(str::to_owned));
        match text("/artifact/sha256") {
            Some(digest) => told.results.push((samples, digest)),
            None => told.jobs.push((samples, text("/job/id").unwrap())),
        }
    }
    told.has_passed = pass(client);
    let collection = json!({"dry_run": false, "grace_seconds": 3600}).to_string();
    let begun = client.send("POST", "/v1/admin/gc", &[("Prefer", "wait=5")], collection.as_bytes());
    if is_done(&begun) {
        let task = format!("/v1/admin/tasks/{}", begun.json()["id"].as_str().unwrap());
        // Nor can anybody be told, where nothing can be read any more.
        let has_ended = || {
            let told = client.get(&task);
            !is_done(&told) || matches!(told.json()["state"].as_str(), Some("done" | "failed"))
        };
        wait_until("the collection has ended", has_ended);
    }
    let asked = json!({"name": "brief", "scopes": ["read"], "expires_in_seconds": 3600});
    let made = client.json("POST", "/v1/tokens", &asked);
    if is_done(&made) {
        told.tokens.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    told
}

/// Whether a request did what it should. If not, it says so as everything does.
fn is_done(answer: &phasic_hub_tests::http::Answer) -> bool {
    let is_refused = answer.status >= 400;
    assert!(!is_refused || answer.json()["code"].is_string(), "{}: {}", answer.status, answer.text());
    !is_refused
}

/// A pass over the upstream, and whether it went well.
fn pass(client: &Client<'_>) -> bool {
    let asked = json!({"upstreams": ["lab"]}).to_string();
    let answer = client.send("POST", "/v1/mirror/sync", &[("Prefer", "wait=10")], asked.as_bytes());
    let outcome = |answer: serde_json::Value| answer["passes"][0]["outcome"].clone();
    is_done(&answer) && matches!(outcome(answer.json()).as_str(), Some("done" | "unmodified"))
}

/// I3: what was acknowledged is there. A job whose own calls may have failed may have ended with that.
fn keeps_its_word(client: &Client<'_>, told: &Told, may_have_failed: bool) {
    for bytes in &told.uploads {
        let file = client.get(&format!("/v1/blobs/sha256/{}", Sha256::of(bytes)));
        assert_eq!(file.body, *bytes, "I3: an acknowledged upload is lost");
    }
    let mut results = told.results.clone();
    for (samples, id) in &told.jobs {
        let job = || client.get(&format!("/v1/jobs/{id}")).json();
        wait_until("the job is over", || !matches!(job()["state"].as_str(), Some("queued" | "running")));
        if job()["state"] == "failed" && may_have_failed {
            let said = job()["error"].as_str().unwrap_or_default().to_owned();
            assert!(said.contains("inside the hub") || said.contains("no room left"), "{said}");
            continue;
        }
        assert_eq!(job()["state"], "done", "I3: {}", job());
        results.push((*samples, job()["artifact"]["sha256"].as_str().unwrap().to_owned()));
    }
    for (samples, digest) in results {
        let file = client.get(&format!("/v1/blobs/sha256/{digest}"));
        assert_eq!(file.body, kingman(samples).ptdprmc3, "I3: n = {samples}");
    }
    let listed = client.get("/v1/tokens?limit=200").text().to_owned();
    for id in &told.tokens {
        assert!(listed.contains(id), "I3: an acknowledged token is lost");
    }
}

/// Each failure once, `places` times: at calls that are spread over all of the work; every third time until the hub is
/// killed.
pub(crate) fn fail(places: u32, seed: u64) {
    let (mut seeded, mut campaign) = (Seeded::new(seed), Campaign::new());
    let (mut number, mut injections, mut calls) = (0, 0, 0);
    for failure in FAILURES {
        number += 1;
        let (seen, _) = campaign.round(number, failure, NEVER, 0);
        if seen == 0 {
            println!("{}: nothing of the work calls it", failure.call);
            continue;
        }
        for place in 0..places {
            // Spread over what there was the last time, at random within each part of it.
            let part = (seen / places).max(1);
            let first = (place * part + u32::try_from(seeded.below(part.into())).unwrap()).min(seen - 1) + 1;
            let times = if place % 3 == 2 { NEVER } else { 1 };
            let is_patient = failure.error == "EINTR";
            number += 1;
            let (_, hits) =
                campaign.round(number, failure, first, if is_patient { times.min(3) } else { times });
            println!("{}: {}, from call {first} of {seen}: {hits} failed", failure.call, failure.error);
            injections += u32::from(hits > 0);
            calls += hits;
        }
    }
    println!("{injections} injections, {calls} failed calls");
    assert!(injections > places, "hardly anything has failed");
}
