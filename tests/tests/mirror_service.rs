//! Mirroring by itself, in a running hub: when upstreams are asked, how often, and what an absence means.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::net::TcpListener;
use std::path::PathBuf;

use phasic_hub_tests::hub::{Hub, run, token, wait_until};
use phasic_hub_tests::registry::{Model, UPSTREAM_V1, document, entry, kingman};
use phasic_hub_tests::upstream::{Cut, Reply, Upstream};
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;

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

    /// Offers a registry below `base`, whose document has an entity tag.
    fn offer(&self, base: &str, models: &[(&str, &Model)]) {
        let entries: Vec<_> = models.iter().map(|(id, model)| (*id, entry(model, &model.ptdprmc1))).collect();
        let body = document(&entries);
        let tag = format!("\"{}\"", phasic_hub_api::Sha256::of(body.as_bytes()));
        self.upstream.set(&format!("{base}/registry.json"), Reply::ok(body).with_header("ETag", &tag));
        for (_, model) in models {
            self.upstream.set(&format!("{base}{}", path(model)), Reply::ok(&model.ptdprmc1[..]));
        }
    }

    /// A hub whose settings name this one upstream, with further settings of it.
    fn hub(&self, more: &str) -> Hub {
        let url = self.upstream.url("/");
        self.hub_of(&format!(r#"[{{name = "lab", url = "{url}", interval_ms = {HOUR_MS}{more}}}]"#))
    }

    fn hub_of(&self, upstreams: &str) -> Hub {
        Hub::start_with(&self.data(), &[], &[("mirror_upstreams", upstreams), ("rate_per_second", "0")])
    }
}

fn path(model: &Model) -> String {
    format!("/artifacts/{}.bin", model.hash)
}

/// The state of the first upstream.
fn state(hub: &Hub) -> Value {
    hub.get("/v1/mirror").json()["upstreams"][0].take()
}

/// The same, as an administrator sees it, with what was sent and may be sent.
fn whole_state(hub: &Hub, admin: &str) -> Value {
    hub.get_as(admin, "/v1/mirror").json()["upstreams"][0].take()
}

fn has_run(hub: &Hub, passes: u64) {
    wait_until("the mirror has run", || {
        state(hub)["last_pass"]["number"].as_u64().is_some_and(|number| number >= passes)
    });
}

/// A pass, now; what became of it.
fn sync(hub: &Hub, token: &str) -> Value {
    let answer = hub.administer(token, "/v1/mirror/sync", &json!({"upstreams": ["lab"]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["passes"][0].take()
}

#[test]
fn a_hub_mirrors_by_itself_and_an_idle_pass_is_one_conditional_request() {
    let place = Place::new();
    place.offer("", &[("a", &kingman(4))]);
    let hub = place.hub("");
    wait_until("it is served", || hub.get("/registry.json").text().contains("\"a\""));
    assert_eq!(place.upstream.take_asked(), ["/registry.json", &path(&kingman(4))]);
    place.upstream.take_heads();
    let admin = token(&place.data(), "admin");
    for _ in 0..2 {
        let pass = sync(&hub, &admin);
        assert_eq!((&pass["outcome"], &pass["requests"]), (&"unmodified".into(), &1.into()), "{pass}");
    }
    assert_eq!(place.upstream.take_asked(), ["/registry.json"; 2]);
    let heads = place.upstream.take_heads();
    assert!(heads.iter().all(|head| head.to_lowercase().contains("if-none-match: \"")), "{heads:?}");
    let state = state(&hub);
    assert_eq!((&state["computes"], &state["failures_in_a_row"]), (&1.into(), &0.into()), "{state}");
    assert!(state["lag_seconds"].as_f64().unwrap() < 30.0 && state["scheduled"] == true, "{state}");
    let metrics = hub.get("/metrics").text().to_owned();
    assert!(metrics.contains("phasic_hub_mirror_lag_seconds{upstream=\"lab\"}"), "{metrics}");
    assert!(hub.get("/").text().contains("up to date at 20"));
}

#[test]
fn passes_come_in_their_interval() {
    let place = Place::new();
    place.offer("", &[("a", &kingman(4))]);
    let url = place.upstream.url("/");
    let hub = place.hub_of(&format!(r#"[{{name = "lab", url = "{url}", interval_ms = 100}}]"#));
    has_run(&hub, 4);
    place.offer("", &[("a", &kingman(4)), ("b", &kingman(5))]);
    wait_until("what is new is served", || hub.get("/registry.json").text().contains("\"b\""));
    let passes = hub.get("/v1/mirror/passes?limit=2").json();
    assert_eq!(passes["passes"].as_array().unwrap().len(), 2, "{passes}");
}

#[test]
fn a_pass_reads_one_commit_and_an_idle_one_asks_for_nothing_else() {
    let place = Place::new();
    let [first, second] = ["1".repeat(40), "2".repeat(40)];
    let head = |commit: &str| {
        let answer = json!({"ref": "refs/heads/master", "object": {"sha": commit}}).to_string();
        place.upstream.set("/head", Reply::ok(answer).with_header("ETag", &format!("\"{commit}\"")));
    };
    place.offer(&format!("/{first}"), &[("a", &kingman(4))]);
    head(&first);
    let url = place.upstream.url("");
    let hub = place.hub_of(&format!(
        r#"[{{name = "lab", url = "{url}/{{commit}}/registry.json", commit_url = "{url}/head", interval_ms = {HOUR_MS}}}]"#
    ));
    has_run(&hub, 1);
    assert_eq!(place.upstream.take_asked().len(), 3);
    let admin = token(&place.data(), "admin");
    assert_eq!(sync(&hub, &admin)["outcome"], "unmodified");
    assert_eq!(place.upstream.take_asked(), ["/head"]);
    place.offer(&format!("/{second}"), &[("a", &kingman(4)), ("b", &kingman(5))]);
    head(&second);
    let pass = sync(&hub, &admin);
    assert_eq!((&pass["commit"], &pass["mirrored"]), (&second.clone().into(), &2.into()), "{pass}");
    assert_eq!(
        place.upstream.take_asked(),
        ["/head", &format!("/{second}/registry.json"), &format!("/{second}{}", path(&kingman(5)))]
    );
    assert_eq!(pass["changes"], json!([{"kind": "new", "id": "b"}]));
    head("no commit");
    let failed = sync(&hub, &admin);
    assert_eq!(failed["error_code"], "document_unavailable", "{failed}");
    assert_eq!(state(&hub)["commit"], second, "a failed pass changes nothing");
}

#[test]
fn an_absent_upstream_is_a_status_and_one_line_of_the_log() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = place.hub_of(&format!(r#"[{{name = "lab", url = "http://{free}/", interval_ms = 100}}]"#));
    has_run(&hub, 3);
    assert_eq!(hub.get("/readyz").status, 200);
    let state = state(&hub);
    assert!(state["failures_in_a_row"].as_u64().unwrap() >= 2, "{state}");
    assert_eq!(state["last_pass"]["error_code"], "unreachable", "{state}");
    assert!(hub.get("/").text().contains("never reached so far"));
    let log = hub.stop().log;
    assert_eq!(log.matches("not mirrored").count(), 1, "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn a_hub_that_is_offline_asks_nobody() {
    let place = Place::new();
    place.offer("", &[("a", &kingman(4))]);
    let upstreams = format!("lab={}", place.upstream.url("/"));
    let hub = Hub::start_with(&place.data(), &["--offline"], &[("mirror_upstreams", &upstreams)]);
    let admin = token(&place.data(), "admin");
    let refused = hub.administer(&admin, "/v1/mirror/sync", &json!({"upstreams": ["lab"]}));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &"hub_offline".into()));
    let all = hub.administer(&admin, "/v1/mirror/sync", &json!({}));
    assert_eq!((all.status, all.json()), (200, json!({"passes": [], "waiting": []})));
    let status = hub.get("/v1/mirror").json();
    assert_eq!((&status["offline"], &status["upstreams"][0]["scheduled"]), (&true.into(), &false.into()));
    drop(hub);
    assert!(place.upstream.take_asked().is_empty());
}

#[test]
fn an_upstream_that_asks_to_wait_is_left_alone_across_restarts() {
    let place = Place::new();
    place.upstream.set("/registry.json", Reply::status(429).with_header("Retry-After", "7200"));
    let hub = place.hub("");
    has_run(&hub, 1);
    let before = state(&hub);
    assert_eq!(before["last_pass"]["error_code"], "later", "{before}");
    drop(hub);
    assert_eq!(place.upstream.take_asked(), ["/registry.json"]);
    place.offer("", &[("a", &kingman(4))]);
    let hub = place.hub("");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(state(&hub)["next_run_at"], before["next_run_at"]);
    assert!(place.upstream.take_asked().is_empty(), "two hours are not over");
    let admin = token(&place.data(), "admin");
    assert_eq!(sync(&hub, &admin)["outcome"], "done", "whoever asks by hand is answered");
}

#[test]
fn of_an_upstream_all_files_of_which_fail_no_more_are_asked_for_until_the_next_pass() {
    let place = Place::new();
    let models: Vec<_> = (4..12).map(kingman).collect();
    let offered: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].into_iter().zip(&models).collect();
    place.offer("", &offered);
    // What upstream does not have says nothing about the others; that it fails or forbids does.
    place.upstream.set(&path(&models[0]), Reply::status(404));
    for (model, status) in models[1..].iter().zip([500, 404, 500, 403, 502, 500, 500]) {
        place.upstream.set(&path(model), Reply::status(status));
    }
    let hub = place.hub("");
    has_run(&hub, 1);
    let admin = token(&place.data(), "admin");
    let number = state(&hub)["last_pass"]["number"].clone();
    let detail = hub.get_as(&admin, &format!("/v1/mirror/passes/{number}")).json();
    let codes: Vec<_> = detail["faults"].as_array().unwrap().iter().map(|fault| &fault["code"]).collect();
    assert_eq!(codes, [&["fetch_failed"; 6][..], &["deferred"; 2]].concat(), "{detail}");
    let mut asked = place.upstream.take_asked();
    asked.retain(|path| path.starts_with("/artifacts/"));
    assert_eq!(asked, models[..6].iter().map(path).collect::<Vec<_>>());
    place.offer("", &offered);
    assert_eq!(sync(&hub, &admin)["mirrored"], 8, "the next pass has all of it");
}

#[test]
fn the_budget_is_kept_to_across_restarts_and_what_is_missing_comes_later() {
    let place = Place::new();
    let models: Vec<_> = (4..9).map(kingman).collect();
    let names = ["a", "b", "c", "d", "e"];
    let offered: Vec<_> = names.into_iter().zip(&models).collect();
    place.offer("", &offered);
    let hub = place.hub(", max_requests_per_hour = 4");
    has_run(&hub, 1);
    let admin = token(&place.data(), "admin");
    let first = whole_state(&hub, &admin);
    assert_eq!(first["computes"], 3, "one request for the document, three for files: {first}");
    assert_eq!(first["requests_left"], 0, "{first}");
    let number = &first["last_pass"]["number"];
    let detail = hub.get_as(&admin, &format!("/v1/mirror/passes/{number}")).json();
    let codes: Vec<_> = detail["faults"].as_array().unwrap().iter().map(|fault| &fault["code"]).collect();
    assert_eq!(codes, ["deferred"; 2], "{detail}");
    assert!(detail.get("faults_next").is_none() && detail.get("changes_next").is_none(), "{detail}");
    for (list, count) in [("faults", 2), ("changes", 3)] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let at = format!("/v1/mirror/passes/{number}/{list}?limit=1{cursor}");
            let page = hub.get_as(&admin, &at).json();
            all.extend(page[list].as_array().unwrap().clone());
            let Some(next) = page.get("next") else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((all.len(), &all), (count, detail[list].as_array().unwrap()), "{list}");
    }
    drop(hub);
    assert_eq!(place.upstream.take_asked().len(), 4);
    let hub = place.hub(", max_requests_per_hour = 4");
    let pass = sync(&hub, &admin);
    assert_eq!((&pass["outcome"], &pass["error_code"]), (&"failed".into(), &"later".into()), "{pass}");
    assert_eq!(state(&hub)["computes"], 3, "a failed pass changes nothing");
    assert!(place.upstream.take_asked().is_empty(), "a restart gives nothing back");
    drop(hub);
    let hub = place.hub(", max_requests_per_hour = 100000");
    wait_until("requests for the document and the two files have grown back", || {
        whole_state(&hub, &admin)["requests_left"].as_u64().is_some_and(|left| left >= 8)
    });
    assert_eq!(sync(&hub, &admin)["mirrored"], 5);
}

#[test]
fn a_hub_that_is_stopped_within_a_pass_has_changed_nothing() {
    let place = Place::new();
    let (one, two) = (kingman(4), kingman(5));
    place.offer("", &[("a", &one), ("b", &two)]);
    place.upstream.set(&path(&two), Reply::ok(&two.ptdprmc1[..]).cut(10, Cut::Stall));
    let hub = place.hub("");
    wait_until("the second file is asked for", || place.upstream.take_asked().contains(&path(&two)));
    let ended = hub.stop();
    assert!(ended.status.success(), "{}", ended.log);
    place.offer("", &[("a", &one), ("b", &two)]);
    let status = run(&["mirror", "status", "--data", place.data().to_str().unwrap()]);
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(said.contains("lab: 0 computes") && said.contains("never"), "{said}");
    let hub = place.hub("");
    wait_until("both are served", || hub.get("/registry.json").text().contains("\"b\""));
}

#[test]
fn an_older_document_and_a_broken_one_are_told_apart() {
    let place = Place::new();
    place.upstream.set("/registry.json", Reply::ok(UPSTREAM_V1));
    let hub = place.hub("");
    has_run(&hub, 1);
    let first = state(&hub)["last_pass"].take();
    assert_eq!(first["error_code"], "registry_version_one", "{first}");
    assert!(first["error"].as_str().unwrap().contains("version 1"), "{first}");
    place.upstream.set("/registry.json", Reply::ok("<html>"));
    let admin = token(&place.data(), "admin");
    assert_eq!(sync(&hub, &admin)["error_code"], "registry_invalid");
    let nobody = hub.administer(&admin, "/v1/mirror/sync", &json!({"upstreams": ["nobody"]}));
    assert_eq!((nobody.status, &nobody.json()["code"]), (404, &"upstream_not_found".into()));
    let nothing = hub.get_as(&admin, "/v1/mirror/passes/999");
    assert_eq!((nothing.status, &nothing.json()["code"]), (404, &"pass_not_found".into()));
    for list in ["faults", "changes"] {
        let nothing = hub.get_as(&admin, &format!("/v1/mirror/passes/999/{list}"));
        assert_eq!((nothing.status, &nothing.json()["code"]), (404, &"pass_not_found".into()), "{list}");
    }
    let hostile = hub.administer(&admin, "/v1/mirror/sync", &json!({"url": "file:///etc/passwd"}));
    assert_eq!((hostile.status, &hostile.json()["code"]), (400, &"invalid_request".into()));
}

#[test]
fn redirects_are_requests_of_the_budget() {
    let place = Place::new();
    let models = [kingman(4), kingman(5)];
    place.offer("", &[("a", &models[0]), ("b", &models[1])]);
    for model in &models {
        let elsewhere = format!("/elsewhere{}", path(model));
        place.upstream.set(&elsewhere, Reply::ok(&model.ptdprmc1[..]));
        let location = place.upstream.url(&elsewhere);
        place.upstream.set(&path(model), Reply::status(302).with_header("Location", &location));
    }
    let hub = place.hub(", max_requests_per_hour = 4");
    has_run(&hub, 1);
    let state = whole_state(&hub, &token(&place.data(), "admin"));
    assert_eq!((&state["computes"], &state["requests_left"]), (&1.into(), &0.into()), "{state}");
    assert_eq!(state["last_pass"]["requests"], 4, "{state}");
    let asked = place.upstream.take_asked();
    let expected =
        ["/registry.json", &path(&models[0]), &format!("/elsewhere{}", path(&models[0])), &path(&models[1])];
    assert_eq!(asked, expected, "the second redirect leads to a request that is not left");
}

#[test]
fn a_server_whose_validators_flap_is_asked_once_a_pass_and_no_file_twice() {
    let place = Place::new();
    let model = kingman(4);
    place.offer("", &[("a", &model)]);
    let hub = place.hub("");
    has_run(&hub, 1);
    let first = place.upstream.take_asked();
    assert_eq!(first, ["/registry.json", &path(&model)]);
    let admin = token(&place.data(), "admin");
    let body = document(&[("a", entry(&model, &model.ptdprmc1))]);
    place.upstream.take_heads();
    // The same bytes under one tag and another, as from two servers behind one name; and now and then a 304.
    for round in 0..6 {
        let tag = ["\"one\"", "\"two\""][round / 2 % 2];
        place.upstream.set("/registry.json", Reply::ok(&body[..]).with_header("ETag", tag));
        let pass = sync(&hub, &admin);
        assert_eq!((&pass["outcome"], &pass["requests"]), (&"unmodified".into(), &1.into()), "{pass}");
        assert_eq!(place.upstream.take_asked(), ["/registry.json"]);
        let head = place.upstream.take_heads().remove(0).to_lowercase();
        if round % 2 == 1 {
            assert!(
                head.contains(&format!("if-none-match: {tag}")),
                "what was said last is asked with: {head}"
            );
        }
    }
    // A 304 of a server that was told of no version says nothing.
    let other = Place::new();
    other.upstream.set("/registry.json", Reply::status(304));
    let hub = other.hub("");
    has_run(&hub, 1);
    assert_eq!(state(&hub)["last_pass"]["outcome"], "failed");
}

#[test]
fn files_a_server_asks_to_wait_for_are_left_until_then_and_nothing_else_is_asked_for_again() {
    let place = Place::new();
    let models = [kingman(4), kingman(5), kingman(6)];
    place.offer("", &[("a", &models[0]), ("b", &models[1]), ("c", &models[2])]);
    place.upstream.once(&path(&models[1]), Reply::status(429).with_header("Retry-After", "3600"));
    let hub = place.hub("");
    has_run(&hub, 1);
    let first = state(&hub);
    assert_eq!(first["computes"], 1, "{first}");
    assert_eq!(
        place.upstream.take_asked(),
        ["/registry.json", &path(&models[0]), &path(&models[1])],
        "after that nothing is asked for"
    );
    drop(hub);
    let hub = place.hub("");
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(state(&hub)["next_run_at"], first["next_run_at"]);
    assert!(place.upstream.take_asked().is_empty(), "the hour is not over");
    let admin = token(&place.data(), "admin");
    let pass = sync(&hub, &admin);
    assert_eq!((&pass["mirrored"], &pass["requests"]), (&3.into(), &3.into()), "{pass}");
    assert_eq!(place.upstream.take_asked(), ["/registry.json", &path(&models[1]), &path(&models[2])]);
}

#[test]
fn a_plain_registry_that_changes_while_it_is_read_is_read_again() {
    let place = Place::new();
    let model = kingman(4);
    let file = |bytes: &[u8]| Reply::ok(bytes);
    let offer = |bytes: &[u8], tag: &str| {
        Reply::ok(document(&[("a", entry(&model, bytes))])).with_header("ETag", tag)
    };
    // The document is that of the old file, which has made room for the new one when it is asked for.
    place.upstream.once("/registry.json", offer(&model.ptdprmc1, "\"old\""));
    place.upstream.set("/registry.json", offer(&model.ptdprmc3, "\"new\""));
    place.upstream.set(&path(&model), file(&model.ptdprmc3));
    let hub = place.hub("");
    has_run(&hub, 1);
    let state = state(&hub);
    assert_eq!((&state["computes"], &state["last_pass"]["outcome"]), (&1.into(), &"done".into()), "{state}");
    assert_eq!(state["last_pass"]["fault_count"], 0, "{state}");
    let asked = place.upstream.take_asked();
    let documents = asked.iter().filter(|path| *path == "/registry.json").count();
    assert!((2..=3).contains(&documents) && asked.len() <= 5, "{asked:?}");
    wait_until("it is served", || hub.get(&path(&model)).body == model.ptdprmc3);
    // One that changes each time is given up, and nothing is changed.
    let admin = token(&place.data(), "admin");
    for round in 0..12 {
        let other = kingman(5 + i64::from(round));
        let body = document(&[("a", entry(&other, &other.ptdprmc1))]);
        place.upstream.once("/registry.json", Reply::ok(body).with_header("ETag", &format!("\"{round}\"")));
        place.upstream.set(&path(&other), file(&model.ptdprmc3));
    }
    let failed = sync(&hub, &admin);
    assert_eq!(failed["outcome"], "failed", "{failed}");
    assert!(failed["requests"].as_u64().unwrap() <= 9, "{failed}");
    assert!(hub.get(&path(&model)).body == model.ptdprmc3);
}
