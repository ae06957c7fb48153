//! What a mirror does not take, or takes with an alarm, and what administrators decide about it.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::{Path, PathBuf};
use std::process::Output;

use phasic_hub_tests::hub::{Hub, command, token, wait_until};
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};
use phasic_hub_tests::upstream::{Cut, Reply, Upstream};
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

    fn checkout(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a registry in which each entry has one of the files of its model.
    fn offer(&self, name: &str, entries: &[(&str, &Model, &[u8])]) {
        let files: Vec<_> = entries
            .iter()
            .map(|(_, model, bytes)| (format!("artifacts/{}.bin", model.hash), *bytes))
            .collect();
        let entries: Vec<_> = entries.iter().map(|(id, model, bytes)| (*id, entry(model, bytes))).collect();
        write_directory(&self.checkout(name), &document(&entries), &files);
    }

    /// Settings that name directories with their trust, the first to be believed first.
    fn upstreams(&self, list: &[(&str, &str)]) -> String {
        let one = |(name, trust): &(&str, &str)| {
            let url = self.checkout(name);
            format!(r#"{{name = "{name}", url = "{}", trust = "{trust}"}}"#, url.display())
        };
        format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    fn hub(&self, upstreams: &[(&str, &str)]) -> Hub {
        Hub::start_with(&self.data(), &[], &[("mirror_upstreams", &self.upstreams(upstreams))])
    }
}

fn served(hub: &Hub) -> Vec<String> {
    let registry = hub.get("/registry.json").json();
    let ids = registry["computes"].as_object().unwrap().keys();
    ids.filter(|id| phasic_engine::reference::find(id).is_none()).cloned().collect()
}

fn sync(hub: &Hub, token: &str, name: &str) -> Value {
    let answer = hub.administer(token, "/v1/mirror/sync", &json!({"upstreams": [name]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["passes"][0].take()
}

fn codes(pass: &Value) -> Vec<&str> {
    pass["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect()
}

fn lines(hub: &Hub, token: &str) -> Vec<Value> {
    let answer = hub.get_as(token, "/v1/mirror/quarantine");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

fn decide(hub: &Hub, token: &str, line: &Value, decision: &str) -> (u16, Value) {
    let target = format!("/v1/mirror/quarantine/{}", line["number"]);
    let answer = hub.administer(token, &target, &json!({"decision": decision}));
    (answer.status, answer.json())
}

#[test]
fn the_first_of_several_upstreams_wins_and_the_next_takes_over_what_it_gives_up() {
    let place = Place::new();
    let (one, two, three) = (kingman(4), kingman(5), kingman(6));
    place.offer("first", &[("x", &one, &one.ptdprmc3)]);
    place.offer("second", &[("x", &two, &two.ptdprmc3), ("y", &three, &three.ptdprmc3)]);
    let hub = place.hub(&[("first", "checked"), ("second", "checked")]);
    wait_until("both are mirrored", || served(&hub) == ["x", "y"]);
    let admin = token(&place.data(), "admin");
    let graph = |hub: &Hub| hub.get("/v1/computes/x").json()["graph_hash"].as_str().unwrap().to_owned();
    assert_eq!(graph(&hub), one.hash);
    let pass = sync(&hub, &admin, "second");
    assert_eq!(pass["outcome"], "unmodified", "{pass}");
    place.offer("first", &[]);
    // The only one of one is many: somebody has to say so.
    assert_eq!(sync(&hub, &admin, "first")["outcome"], "held");
    assert_eq!(graph(&hub), one.hash);
    let held = lines(&hub, &admin).remove(0);
    assert_eq!((&held["code"], &held["alarm"]), (&"mass_deletion".into(), &true.into()), "{held}");
    assert_eq!(decide(&hub, &admin, &held, "accept").0, 200);
    wait_until("the second has taken over", || {
        hub.get("/v1/computes/x").json()["graph_hash"] == two.hash.as_str()
    });
    let revisions = hub.get("/v1/computes/x/revisions").json();
    let from: Vec<_> =
        revisions["revisions"].as_array().unwrap().iter().map(|one| &one["upstream"]).collect();
    assert_eq!(from, ["second", "first", "first"], "taken over, removed, mirrored: {revisions}");
    place.offer("first", &[("x", &one, &one.ptdprmc3), ("coal_n5_theta1", &one, &one.ptdprmc3)]);
    assert_eq!(codes(&sync(&hub, &admin, "first")), ["local_conflict"], "a local compute always wins");
    assert_eq!(graph(&hub), one.hash, "and the first is the first again");
    place.offer("second", &[("y", &three, &three.ptdprmc3), ("x", &two, &two.ptdprmc3)]);
    assert_eq!(codes(&sync(&hub, &admin, "second")), ["shadowed_conflict"]);
}

#[test]
fn of_an_upstream_trusted_with_verified_computes_nothing_else_is_served_until_somebody_decides() {
    let place = Place::new();
    let (known, unknown) = (kingman(10), kingman(6));
    place.offer("lab", &[("mine", &known, &known.ptdprmc1), ("theirs", &unknown, &unknown.ptdprmc3)]);
    let hub = place.hub(&[("lab", "verified-only")]);
    wait_until("the known graph is mirrored", || served(&hub) == ["mine"]);
    let admin = token(&place.data(), "admin");
    let line = lines(&hub, &admin).remove(0);
    assert_eq!((&line["code"], &line["entry"]), (&"unverified".into(), &"theirs".into()), "{line}");
    let reader = token(&place.data(), "read");
    assert_eq!(hub.get_as(&reader, "/v1/mirror/quarantine").status, 403);
    assert_eq!(decide(&hub, &reader, &line, "accept").0, 403);

    assert_eq!(decide(&hub, &admin, &line, "accept").0, 200);
    wait_until("what was accepted is served", || served(&hub) == ["mine", "theirs"]);
    assert!(lines(&hub, &admin).is_empty());
    drop(hub);
    let hub = place.hub(&[("lab", "verified-only")]);
    assert_eq!(sync(&hub, &admin, "lab")["outcome"], "unmodified", "decisions outlive restarts");
    assert_eq!(served(&hub), ["mine", "theirs"]);

    let all = hub.get_as(&admin, "/v1/mirror/quarantine?all=true").json();
    let line = &all["items"][0];
    assert!(line["decided_by"].as_str().unwrap().starts_with("token:"), "{line}");
    assert_eq!(decide(&hub, &admin, line, "reject").0, 200);
    assert_eq!(served(&hub), ["mine"], "withdrawn in the same moment");
    assert_eq!(codes(&sync(&hub, &admin, "lab")), ["rejected"]);
    assert_eq!(decide(&hub, &admin, line, "forget").0, 200);
    wait_until("it is judged anew", || lines(&hub, &admin).len() == 1);

    let submitted = json!({"model": {"builtin": "kingman", "constants": {"n": 6}}});
    assert_eq!(hub.administer(&admin, "/v1/graphs", &submitted).status, 201);
    assert_eq!(codes(&sync(&hub, &admin, "lab")), Vec::<&str>::new(), "now the hub knows the graph");
    assert_eq!(served(&hub), ["mine", "theirs"]);
    let told = hub.get_as(&admin, "/v1/audit?limit=1000").json();
    let decisions = told["lines"].as_array().unwrap().iter().filter(|line| line["action"] == "mirror.decide");
    assert_eq!(decisions.count(), 3);
}

#[test]
fn other_bytes_under_a_name_are_an_alarm_that_stays_until_somebody_looks() {
    let place = Place::new();
    let model = kingman(4);
    place.offer("lab", &[("x", &model, &model.ptdprmc1)]);
    let hub = place.hub(&[("lab", "checked")]);
    wait_until("it is mirrored", || served(&hub) == ["x"]);
    let admin = token(&place.data(), "admin");
    place.offer("lab", &[("x", &model, &model.ptdprmc3)]);
    let pass = sync(&hub, &admin, "lab");
    assert_eq!(pass["changes"], json!([{"kind": "changed", "id": "x"}]), "{pass}");
    let alarm = lines(&hub, &admin).remove(0);
    assert_eq!((&alarm["code"], &alarm["alarm"]), (&"bytes_changed".into(), &true.into()), "{alarm}");
    assert!(alarm["reason"].as_str().unwrap().contains("the program in it is the same"), "{alarm}");
    assert!(hub.get("/metrics").text().contains("phasic_hub_mirror_alarms{upstream=\"lab\"} 1"));
    assert_eq!(hub.get("/v1/mirror").json()["upstreams"][0]["alarms"], 1);
    assert_eq!(sync(&hub, &admin, "lab")["outcome"], "unmodified");
    assert_eq!(lines(&hub, &admin).len(), 1, "it stays");
    assert_eq!(decide(&hub, &admin, &alarm, "accept").0, 200);
    assert!(lines(&hub, &admin).is_empty() && served(&hub) == ["x"]);
    let revisions = hub.get("/v1/computes/x/revisions").json();
    assert_eq!(revisions["revisions"].as_array().unwrap().len(), 2, "{revisions}");
}

#[test]
fn other_bytes_are_an_alarm_also_when_the_entry_was_away_or_retracted_meanwhile() {
    let place = Place::new();
    let (model, other) = (kingman(4), kingman(5));
    let with = |bytes: &[u8], retracted: bool| {
        let mut entry = entry(&model, bytes);
        entry["retracted"] = retracted.into();
        let files = [(format!("artifacts/{}.bin", model.hash), bytes)];
        write_directory(&place.checkout("lab"), &document(&[("x", entry)]), &files);
    };
    let hub = place.hub(&[("lab", "checked")]);
    let admin = token(&place.data(), "admin");
    let alarms = || {
        let found = lines(&hub, &admin);
        found.iter().filter(|line| line["code"] == "bytes_changed").count()
    };
    let many = || {
        if let Some(held) = lines(&hub, &admin).iter().find(|line| line["code"] == "mass_deletion") {
            assert_eq!(decide(&hub, &admin, held, "accept").0, 200);
            sync(&hub, &admin, "lab");
        }
    };
    with(&model.ptdprmc1, false);
    sync(&hub, &admin, "lab");
    assert_eq!((served(&hub), alarms()), (vec!["x".to_owned()], 0));
    with(&model.ptdprmc3, true);
    sync(&hub, &admin, "lab");
    many();
    with(&model.ptdprmc3, false);
    sync(&hub, &admin, "lab");
    wait_until("an alarm for what was retracted and changed in one pass", || alarms() == 1);
    place.offer("lab", &[("y", &other, &other.ptdprmc3)]);
    sync(&hub, &admin, "lab");
    many();
    wait_until("it is away", || served(&hub) == ["y"]);
    with(&model.ptdprmc1, false);
    sync(&hub, &admin, "lab");
    many();
    wait_until("an alarm for what was away", || alarms() == 2);
}

#[test]
fn what_was_rejected_is_not_taken_either_after_upstream_has_hidden_it_for_a_while() {
    let place = Place::new();
    let model = kingman(4);
    place.offer("lab", &[("x", &model, &model.ptdprmc1)]);
    let hub = place.hub(&[("lab", "checked")]);
    wait_until("it is mirrored", || served(&hub) == ["x"]);
    let admin = token(&place.data(), "admin");
    place.offer("lab", &[("x", &model, &model.ptdprmc3)]);
    sync(&hub, &admin, "lab");
    let alarm = lines(&hub, &admin).remove(0);
    assert_eq!(decide(&hub, &admin, &alarm, "reject").0, 200);
    assert!(served(&hub).is_empty());
    let with = |field: &str, value: Value| {
        let mut entry = entry(&model, &model.ptdprmc3);
        entry[field] = value;
        let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..])];
        write_directory(&place.checkout("lab"), &document(&[("x", entry)]), &files);
    };
    with("retracted", true.into());
    assert_eq!(sync(&hub, &admin, "lab")["outcome"], "done");
    with("format_revision", 9.into());
    assert_eq!(codes(&sync(&hub, &admin, "lab")), ["revision_unknown"]);
    place.offer("lab", &[("x", &model, &model.ptdprmc3)]);
    assert_eq!(codes(&sync(&hub, &admin, "lab")), ["rejected"]);
    assert!(served(&hub).is_empty());
}

#[test]
fn a_rejection_is_not_undone_by_the_pass_that_was_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let (model, slow) = (kingman(4), kingman(7));
    let path = |model: &Model| format!("/artifacts/{}.bin", model.hash);
    let offer = |bytes: &[u8], more: &[&Model]| {
        let mut entries: Vec<_> = more.iter().map(|other| ("slow", entry(other, &other.ptdprmc3))).collect();
        entries.push(("x", entry(&model, bytes)));
        upstream.set("/registry.json", Reply::ok(document(&entries)));
        upstream.set(&path(&model), Reply::ok(bytes));
    };
    offer(&model.ptdprmc1, &[]);
    let upstreams = format!(r#"[{{name = "lab", url = "{}"}}]"#, upstream.url("/registry.json"));
    let settings = [
        ("mirror_upstreams", upstreams.as_str()),
        ("mirror_idle_timeout_ms", "3000"),
        ("rate_per_second", "0"),
    ];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    wait_until("it is mirrored", || served(&hub) == ["x"]);
    let admin = token(directory.path(), "admin");
    offer(&model.ptdprmc3, &[]);
    sync(&hub, &admin, "lab");
    let alarm = lines(&hub, &admin).remove(0);
    // A pass that has read what was decided before, and waits for a file; afterwards upstream answers nothing for an hour.
    upstream.set(&path(&slow), Reply::ok(&slow.ptdprmc3[..]).cut(0, Cut::Stall));
    offer(&model.ptdprmc3, &[&slow]);
    upstream.take_asked();
    let body = json!({"upstreams": ["lab"]}).to_string();
    let headers = [("Authorization", format!("Bearer {admin}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let asked =
        phasic_hub_tests::http::send(hub.address(), "POST", "/v1/mirror/sync", &headers, body.as_bytes());
    assert_eq!(asked.status, 202, "{}", asked.text());
    wait_until("it waits for the file", || upstream.take_asked().contains(&path(&slow)));
    upstream.set("/registry.json", Reply::status(429).with_header("Retry-After", "3600"));
    assert_eq!(decide(&hub, &admin, &alarm, "reject").0, 200);
    wait_until("the pass has ended", || {
        hub.get_as(&admin, "/v1/mirror").json()["upstreams"][0]["last_pass"]["number"].as_i64() > Some(2)
    });
    let pass = hub.get_as(&admin, "/v1/mirror/passes/3").json();
    let mut found = codes(&pass);
    found.sort_unstable();
    assert_eq!(found, ["fetch_failed", "rejected"], "{pass}");
    assert!(served(&hub).is_empty());
    let digest = phasic_hub_api::Sha256::of(&model.ptdprmc3);
    assert_eq!(hub.get(&format!("{}?sha256={digest}", path(&model))).status, 404);
}

#[test]
fn what_is_not_what_its_entry_says_cannot_be_accepted_by_anybody() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(7));
    place.offer("lab", &[("good", &good, &good.ptdprmc3), ("bad", &bad, &bad.ptdprmc3)]);
    std::fs::write(place.checkout("lab").join(format!("artifacts/{}.bin", bad.hash)), b"else").unwrap();
    let hub = place.hub(&[("lab", "checked")]);
    wait_until("the good one is mirrored", || served(&hub) == ["good"]);
    let admin = token(&place.data(), "admin");
    let line = lines(&hub, &admin).remove(0);
    assert_eq!((&line["code"], &line["can_accept"]), (&"wrong_size".into(), &false.into()), "{line}");
    let (status, problem) = decide(&hub, &admin, &line, "accept");
    assert_eq!((status, &problem["code"]), (409, &"decision_impossible".into()), "{problem}");
    let (status, problem) = decide(&hub, &admin, &json!({"number": 999}), "reject");
    assert_eq!((status, &problem["code"]), (404, &"quarantine_not_found".into()), "{problem}");
    let (status, problem) = decide(&hub, &admin, &line, "burn");
    assert_eq!((status, &problem["code"]), (400, &"invalid_request".into()), "{problem}");
    assert_eq!(served(&hub), ["good"]);
}

fn mirror(data: &Path, upstreams: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command(&["mirror"]);
    command.env("PHASIC_HUB_MIRROR_UPSTREAMS", upstreams).args(arguments).arg("--data").arg(data);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn the_command_line_says_and_does_the_same() {
    let place = Place::new();
    let (known, unknown) = (kingman(10), kingman(6));
    place.offer("lab", &[("mine", &known, &known.ptdprmc1), ("theirs", &unknown, &unknown.ptdprmc3)]);
    let upstreams = place.upstreams(&[("lab", "verified-only")]);
    let run = |arguments: &[&str]| mirror(&place.data(), &upstreams, arguments);
    let (status, said) = run(&["sync"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("2 entries, 1 mirrored, 1 notes, 1 changes\n  unverified theirs"), "{said}");
    assert!(run(&["sync", "lab"]).1.contains("1 mirrored"));
    assert_eq!(run(&["sync", "nobody"]).0, Some(2));
    assert_eq!(run(&["sync", "--from", "/tmp", "--as", "lab"]).0, Some(2), "the settings say where it is");
    let (_, said) = run(&["quarantine"]);
    assert!(said.starts_with("1 lab unverified theirs"), "{said}");
    assert_eq!(run(&["accept", "7"]).0, Some(2));
    assert!(run(&["accept", "1"]).1.contains("accepted by operator"));
    assert!(run(&["sync"]).1.contains("2 mirrored, 0 notes"));
    assert!(run(&["quarantine"]).1.starts_with("Nothing waits"));
    assert!(run(&["quarantine", "--all"]).1.contains("accepted by operator"));
    assert!(run(&["reject", "1"]).1.contains("rejected by operator"));
    let (_, said) = run(&["status"]);
    assert!(said.contains("lab: 1 computes, trust verified-only") && said.contains("requests"), "{said}");
    let json: Value = serde_json::from_str(&run(&["status", "--json"]).1).unwrap();
    assert_eq!(json["upstreams"][0]["computes"], 1, "{json}");
    assert!(run(&["drop", "lab"]).1.contains("dropped, 1 computes removed"));
    assert_eq!(run(&["drop", "lab"]).0, Some(2));
}
