//! Mirroring from a web server that fails, lies and points elsewhere, with real processes.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

mod healing;
mod places;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use phasic_hub_tests::hub::{Hub, sync, sync_with};
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
fn a_pass_that_takes_too_long_leaves_the_rest_to_the_next_one() {
    let place = Place::new();
    let models = [kingman(4), kingman(5), kingman(6)];
    place.offer(&[("a", &models[0]), ("b", &models[1]), ("c", &models[2])]);
    let upstreams = format!("web={}", place.upstream.url("/registry.json"));
    let run = |words: &[&str], limit_ms: &str| {
        let mut command = phasic_hub_tests::hub::command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", &upstreams).arg("--data").arg(place.data());
        command.env("PHASIC_HUB_MIRROR_PASS_TIMEOUT_MS", limit_ms);
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    for mirrored in 1..=2 {
        place.upstream.take_asked();
        let said = run(&["mirror", "sync"], "1");
        assert!(said.contains(&format!("{mirrored} mirrored, {} notes", 3 - mirrored)), "{said}");
        assert!(said.contains("deferred") && said.contains("mirror.pass_timeout_ms"), "{said}");
        assert_eq!(place.upstream.take_asked(), ["/registry.json".to_owned(), path(&models[mirrored - 1])]);
    }
    let said = run(&["mirror", "sync"], "60000");
    assert!(said.contains("3 mirrored, 0 notes"), "{said}");
}
