//! Mirroring from a web server that fails, lies and points elsewhere, with real processes.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use phasic_hub_tests::hub::{Hub, command, sync, sync_with};
use phasic_hub_tests::registry::{Model, document, entry, file, kingman};
use phasic_hub_tests::upstream::{Cut, Reply, Upstream};
use serde_json::{Value, json};

/// Short enough for a test, long enough for a busy machine.
const SETTINGS: &[(&str, &str)] = &[
    ("mirror_idle_timeout_ms", "1000"),
    ("mirror_connect_timeout_ms", "5000"),
    ("mirror_file_timeout_ms", "5000"),
];

struct Place {
    directory: tempfile::TempDir,
    upstream: Upstream,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), upstream: Upstream::start() }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("hub-data")
    }

    fn offer(&self, models: &[(&str, &Model)]) {
        let entries: Vec<_> = models.iter().map(|(id, model)| (*id, entry(model, &model.ptdprmc1))).collect();
        self.upstream.set("/registry.json", Reply::ok(document(&entries)));
        for (_, model) in models {
            self.upstream.set(&path(model), Reply::ok(&model.ptdprmc1[..]));
        }
    }

    fn sync(&self) -> (Option<i32>, String) {
        sync_from(&self.data(), &self.upstream.url("/"), SETTINGS)
    }
}

fn sync_from(data: &Path, from: &str, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = sync(data, from, settings);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn path(model: &Model) -> String {
    format!("/artifacts/{}.bin", model.hash)
}

fn served(data: &Path) -> Vec<String> {
    let registry = Hub::start(data).get("/registry.json").json();
    let computes = registry["computes"].as_object().unwrap();
    computes.keys().filter(|id| phasic_engine::reference::find(id).is_none()).cloned().collect()
}

#[test]
fn a_web_registry_is_mirrored_and_a_second_pass_asks_for_the_document_only() {
    let place = Place::new();
    place.offer(&[("a", &kingman(4)), ("b", &kingman(5))]);
    let (status, report) = place.sync();
    assert_eq!(status, Some(0), "{report}");
    assert!(report.contains("2 entries, 2 mirrored, 0 notes"), "{report}");
    assert_eq!(place.upstream.take_asked(), ["/registry.json", &path(&kingman(4)), &path(&kingman(5))]);
    assert!(place.sync().1.contains("not modified, 2 mirrored"));
    assert_eq!(place.upstream.take_asked(), ["/registry.json"]);
    assert_eq!(served(&place.data()), ["a", "b"]);
}

#[test]
fn a_component_that_entries_share_is_asked_for_once() {
    let place = Place::new();
    let (one, two, component) = (kingman(4), kingman(5), kingman(3));
    let scc_path = format!("/artifacts/scc_{}.bin", component.hash);
    let mut scc = file(&scc_path[1..], &component.ptdprmc3);
    scc["scc_hash"] = component.hash.clone().into();
    let entries = [("one", &one), ("two", &two)].map(|(id, model)| {
        let mut entry = entry(model, &model.ptdprmc1);
        entry["artifacts"]["scc"] = json!([scc]);
        (id, entry)
    });
    place.offer(&[("one", &one), ("two", &two)]);
    place.upstream.set("/registry.json", Reply::ok(document(&entries)));
    place.upstream.set(&scc_path, Reply::ok(&component.ptdprmc3[..]));
    let (_, report) = place.sync();
    assert!(report.contains("2 mirrored, 0 notes"), "{report}");
    assert_eq!(place.upstream.take_asked(), ["/registry.json", &path(&one), &scc_path, &path(&two)]);
}

#[test]
fn the_document_may_lie_deeper_and_have_another_name() {
    let place = Place::new();
    let model = kingman(4);
    let body = document(&[("x", entry(&model, &model.ptdprmc1))]);
    place.upstream.set("/lab/master/index.json", Reply::ok(body.clone()));
    place.upstream.set("/lab/master/registry.json", Reply::ok(body));
    place.upstream.set(&format!("/lab/master{}", path(&model)), Reply::ok(&model.ptdprmc1[..]));
    for from in ["/lab/master/index.json", "/lab/master", "/lab/master/"] {
        let data = tempfile::tempdir().unwrap();
        let (_, report) = sync_from(data.path(), &place.upstream.url(from), SETTINGS);
        assert!(report.contains("1 mirrored, 0 notes"), "{from}: {report}");
    }
}

#[test]
fn a_file_that_does_not_arrive_whole_and_right_is_left_out() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(40));
    place.offer(&[("good", &good), ("bad", &bad)]);
    let bytes = &bad.ptdprmc1;
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let mut longer = bytes.clone();
    longer.push(0);
    let half = bytes.len() / 2;
    let faults = [
        ("reset half way", Reply::ok(&bytes[..]).cut(half, Cut::Close), "fetch_failed"),
        ("stalled half way", Reply::ok(&bytes[..]).cut(half, Cut::Stall), "fetch_failed"),
        ("nothing of the body", Reply::ok(&bytes[..]).cut(0, Cut::Stall), "fetch_failed"),
        ("short, honestly", Reply::ok(&bytes[..half]), "wrong_size"),
        ("longer", Reply::ok(longer), "wrong_size"),
        ("one bit", Reply::ok(flipped), "wrong_hash"),
        ("a page", Reply::ok("<html>not found</html>"), "wrong_size"),
        ("compressed", Reply::ok(&bytes[..]).with_header("Content-Encoding", "gzip"), "fetch_failed"),
        ("not found", Reply::status(404), "fetch_failed"),
        ("forbidden", Reply::status(403), "fetch_failed"),
        ("broken", Reply::status(500), "fetch_failed"),
        ("partial", Reply { status: 206, ..Reply::ok(&bytes[..]) }, "fetch_failed"),
    ];
    for (what, reply, code) in faults {
        place.upstream.set(&path(&bad), reply);
        let (status, report) = place.sync();
        assert_eq!(status, Some(0), "{what}: {report}");
        assert!(report.contains("2 entries, 1 mirrored, 1 notes"), "{what}: {report}");
        assert!(report.contains(&format!("\n  {code} bad ")), "{what}: {report}");
    }
    place.upstream.set(&path(&bad), Reply::ok(&bytes[..]));
    assert!(place.sync().1.contains("2 entries, 2 mirrored, 0 notes"), "the next pass heals");
    assert_eq!(served(&place.data()), ["good", "bad"]);
}

#[test]
fn a_document_that_does_not_arrive_changes_nothing() {
    let place = Place::new();
    place.offer(&[("a", &kingman(4))]);
    place.sync();
    let body = document(&[]);
    let half = body.len() / 2;
    let faults = [
        (Reply::ok(body.clone()).cut(half, Cut::Close), 3),
        (Reply::ok(body.clone()).cut(half, Cut::Stall), 3),
        (Reply::status(404), 3),
        (Reply::status(304), 3),
        (Reply::status(429), 3),
        (Reply::status(503), 3),
        (Reply::status(302).with_header("Location", "/elsewhere.json"), 3),
        (Reply::ok(&body[..half]), 2),
    ];
    for (reply, expected) in faults {
        place.upstream.set("/registry.json", reply.clone());
        let (status, said) = place.sync();
        assert_eq!(status, Some(expected), "{reply:?}: {said}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = sync_with(&place.data(), &format!("http://{free}/"), &["--replace"], SETTINGS);
    assert_eq!(nobody.status.code(), Some(3));
    assert_eq!(served(&place.data()), ["a"]);
}

#[test]
fn limits_of_the_settings_hold() {
    let place = Place::new();
    let model = kingman(4);
    place.offer(&[("a", &model)]);
    let with = |name, value: &str| sync_from(&place.data(), &place.upstream.url("/"), &[(name, value)]);
    let (status, said) = with("mirror_max_registry_bytes", "100");
    assert_eq!(status, Some(2));
    assert!(said.contains("more than the 100 allowed"), "{said}");
    let (_, report) = with("mirror_max_artifact_bytes", "100");
    assert!(report.contains("0 mirrored") && report.contains("too_large a"), "{report}");
}

/// A listener nobody may connect to.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn assert_untouched(&self, what: &str) {
        assert!(self.0.accept().is_err(), "somebody was led to the canary by {what:?}");
    }
}

#[test]
fn no_entry_leads_away_from_the_upstream() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(5));
    place.offer(&[("good", &good)]);
    let canary = Canary::new();
    let port = canary.port();
    let home = place.upstream.url("").trim_start_matches("http://").to_owned();
    let locations = [
        format!("http://127.0.0.1:{port}/x.bin"),
        format!("http://localhost:{port}/x.bin"),
        format!("http://2130706433:{port}/x.bin"),
        format!("http://0x7f.1:{port}/x.bin"),
        format!("http://0177.0.0.1:{port}/x.bin"),
        format!("http://127.1:{port}/x.bin"),
        format!("http://127.0.0.1.:{port}/x.bin"),
        format!("http://[::1]:{port}/x.bin"),
        format!("http://[::ffff:127.0.0.1]:{port}/x.bin"),
        format!("http://0.0.0.0:{port}/x.bin"),
        format!("https://{home}/x.bin"),
        format!("http://{home}@127.0.0.1:{port}/x.bin"),
        format!("http://user@{home}/x.bin"),
        format!("http://:secret@{home}/x.bin"),
        format!("http://127.0.0.1:{port}#@{home}/x.bin"),
        format!("http://127.0.0.1:{port}\\@{home}/x.bin"),
        format!("http://127.0.0.1:{port}?@{home}/x.bin"),
        format!("HTTP://127.0.0.1:{port}/x.bin"),
        format!(" http://127.0.0.1:{port}/x.bin"),
        format!("http:\t//127.0.0.1:{port}/x.bin"),
        format!("ht\ntp://127.0.0.1:{port}/x.bin"),
        format!("//127.0.0.1:{port}/x.bin"),
        format!("http:127.0.0.1:{port}/x.bin"),
        format!("\\\\127.0.0.1:{port}\\x.bin"),
        format!("ws://127.0.0.1:{port}/x.bin"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "FILE:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "gopher://127.0.0.1/x".to_owned(),
        "data://text/plain,x".to_owned(),
        "data:text/plain,x".to_owned(),
        "javascript://x".to_owned(),
        "ipfs://bafybei/x".to_owned(),
        "QmVkwhG6dmPR3Mt9DwMLuD3ShAShMGArs3MMoPEkEG7VLK/".to_owned(),
        "../registry.json".to_owned(),
        "artifacts/../../x.bin".to_owned(),
        "artifacts/./x.bin".to_owned(),
        "artifacts//x.bin".to_owned(),
        "/artifacts/x.bin".to_owned(),
        "artifacts/%2e%2e/x.bin".to_owned(),
        "artifacts/x.bin?y".to_owned(),
        "artifacts/x.bin#y".to_owned(),
        "artifacts/x\u{0}.bin".to_owned(),
        "artifacts/\u{202e}nib.x".to_owned(),
        String::new(),
        "a/".repeat(5000),
    ];
    for location in locations {
        let mut spoiled = entry(&bad, &bad.ptdprmc1);
        spoiled["artifacts"]["parent"]["cid_or_path"] = location.clone().into();
        let body = document(&[("good", entry(&good, &good.ptdprmc1)), ("bad", spoiled)]);
        place.upstream.set("/registry.json", Reply::ok(body));
        let (status, report) = place.sync();
        assert_eq!(status, Some(0), "{location:?}: {report}");
        assert!(
            report.contains("1 mirrored, 1 notes") && report.contains("location_refused bad"),
            "{location:?}: {report}"
        );
        canary.assert_untouched(&location);
    }
    let asked = place.upstream.take_asked();
    assert!(asked.iter().all(|asked| *asked == "/registry.json" || *asked == path(&good)), "{asked:?}");
}

#[test]
fn redirects_are_followed_within_the_upstream_and_nowhere_else() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(5));
    place.offer(&[("good", &good), ("bad", &bad)]);
    place.upstream.set("/moved.bin", Reply::ok(&bad.ptdprmc1[..]));
    let canary = Canary::new();
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = format!("http://127.0.0.1:{}/x.bin", canary.port());
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", &elsewhere));
        let (_, report) = place.sync();
        assert!(report.contains("location_refused bad") && report.contains("another port"), "{report}");
        canary.assert_untouched(&elsewhere);
        place.upstream.take_asked();
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", &path(&bad)));
        let (_, report) = place.sync();
        assert!(report.contains("more than 3 redirects"), "{report}");
        assert_eq!(
            place.upstream.take_asked(),
            ["/registry.json", &path(&bad), &path(&bad), &path(&bad), &path(&bad)]
        );
        let hub = tempfile::tempdir().unwrap();
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", "../moved.bin"));
        let (_, report) = sync_from(hub.path(), &place.upstream.url("/"), SETTINGS);
        assert!(report.contains("2 mirrored, 0 notes"), "{report}");
    }
}

#[test]
fn healing_gives_back_requests_it_does_not_send_and_stops_where_it_is_told_to_wait() {
    let place = Place::new();
    let models = [kingman(4), kingman(6)];
    place.offer(&[("a", &models[0]), ("b", &models[1])]);
    let upstreams = format!(
        r#"[{{name = "web", url = "{}", max_requests_per_hour = 50}}]"#,
        place.upstream.url("/registry.json")
    );
    let run = |words: &[&str]| {
        let mut command = command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", &upstreams).arg("--data").arg(place.data());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(run(&["mirror", "sync"]).contains("2 mirrored"));
    for model in &models {
        let digest = phasic_hub_api::Sha256::of(&model.ptdprmc1).to_string();
        std::fs::remove_file(place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
        place.upstream.set(&path(model), Reply::status(429).with_header("Retry-After", "3600"));
    }
    place.upstream.take_asked();
    let said = run(&["scrub"]);
    assert!(said.contains("2 lost") && said.contains("0 restored"), "{said}");
    assert_eq!(place.upstream.take_asked().len(), 1);
    let status: Value = serde_json::from_str(&run(&["mirror", "status", "--json"])).unwrap();
    let left = status["upstreams"][0]["requests_left"].as_u64().unwrap();
    // The document, two files, and one more.
    assert!((45..=47).contains(&left), "{status}");
    // It was told to wait for an hour, and remembers that.
    assert!(run(&["scrub"]).contains("0 restored"));
    assert_eq!(place.upstream.take_asked(), [""; 0]);
}

#[test]
fn healing_waits_as_a_pass_that_went_well_was_told_to() {
    let place = Place::new();
    let (here, more) = (kingman(4), kingman(6));
    place.offer(&[("a", &here), ("b", &more)]);
    place.upstream.set(&path(&more), Reply::status(429).with_header("Retry-After", "3600"));
    assert!(place.sync().1.contains("1 mirrored"));
    let digest = phasic_hub_api::Sha256::of(&here.ptdprmc1).to_string();
    std::fs::remove_file(place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
    place.upstream.take_asked();
    let data = place.data();
    let scrubbed = phasic_hub_tests::hub::run(&["scrub", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(scrubbed.stdout).unwrap();
    assert!(said.contains("1 lost") && said.contains("0 restored"), "{said}");
    assert_eq!(place.upstream.take_asked(), [""; 0]);
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let place = Place::new();
    place.offer(&[("a", &kingman(4))]);
    let canary = Canary::new();
    let proxy = format!("http://127.0.0.1:{}", canary.port());
    let data = place.data();
    let mut command = phasic_hub_tests::hub::command(&[
        "mirror",
        "sync",
        "--from",
        &place.upstream.url("/"),
        "--data",
        data.to_str().unwrap(),
    ]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &proxy);
    }
    assert!(command.output().unwrap().status.success());
    canary.assert_untouched("a proxy variable");
}

#[test]
fn a_hub_can_be_mirrored_from_another_hub() {
    let directory = tempfile::tempdir().unwrap();
    let first = Hub::start(&directory.path().join("first"));
    let second = directory.path().join("second");
    let (status, report) = sync_from(&second, &format!("http://{}", first.address()), SETTINGS);
    assert_eq!(status, Some(0), "{report}");
    let count = phasic_engine::reference::computes().len();
    assert!(report.contains(&format!("{count} entries, {count} mirrored, 0 notes")), "{report}");
    let expected = without_locations(first.get("/registry.json?paths=relative").json());
    // The second one publishes the same computes itself when it starts, and they are the same bytes.
    let second = Hub::start(&second);
    assert_eq!(without_locations(second.get("/registry.json?paths=relative").json()), expected);
}

fn without_locations(mut registry: Value) -> Value {
    for entry in registry["computes"].as_object_mut().unwrap().values_mut() {
        entry["artifacts"]["parent"]["cid_or_path"].take();
    }
    registry
}

#[test]
fn what_a_name_stood_for_formerly_is_healed_from_the_commit_that_had_it_or_made_again() {
    let place = Place::new();
    let models = [kingman(4), kingman(10), kingman(5)];
    let url = place.upstream.url("");
    let upstreams =
        format!(r#"[{{name = "web", url = "{url}/{{commit}}/registry.json", commit_url = "{url}/head"}}]"#);
    let run = |words: &[&str]| {
        let mut command = command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", &upstreams).arg("--data").arg(place.data());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let commits = ["1", "2", "3"].map(|digit| digit.repeat(40));
    for (model, commit) in models.iter().zip(&commits) {
        place.upstream.set("/head", Reply::ok(json!({"object": {"sha": commit}}).to_string()));
        let body = document(&[("x", entry(model, &model.ptdprmc3))]);
        place.upstream.set(&format!("/{commit}/registry.json"), Reply::ok(body));
        place.upstream.set(&format!("/{commit}{}", path(model)), Reply::ok(&model.ptdprmc3[..]));
        assert!(run(&["mirror", "sync"]).contains("1 mirrored"));
    }
    let blob = |model: &Model| {
        let digest = phasic_hub_api::Sha256::of(&model.ptdprmc3).to_string();
        place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)
    };
    place.upstream.take_asked();
    std::fs::remove_file(blob(&models[0])).unwrap();
    assert!(run(&["scrub"]).contains("1 lost, 0 unreadable, 1 restored"));
    assert_eq!(place.upstream.take_asked(), [format!("/{}{}", commits[0], path(&models[0]))]);
    // Of this one the hub knows the graph; upstream has forgotten it.
    place.upstream.set(&format!("/{}{}", commits[1], path(&models[1])), Reply::status(404));
    std::fs::remove_file(blob(&models[1])).unwrap();
    assert!(run(&["scrub"]).contains("1 lost, 0 unreadable, 1 restored"));
    for model in &models {
        assert_eq!(std::fs::read(blob(model)).unwrap(), model.ptdprmc3);
    }
}
