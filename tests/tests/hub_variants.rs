//! Which program of a graph a real hub serves, and entries of what was computed on demand.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::Path;

use phasic_engine::artifact::{Evidence, verify};
use phasic_engine::document::Document;
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::trace::Limits;
use phasic_hub_tests::access::{self, Client};
use phasic_hub_tests::http;
use phasic_hub_tests::hub::{Hub, run, token, wait_until};
use phasic_hub_tests::registry;
use phasic_hub_tests::registry::{kingman, model};
use serde_json::{Value, json};

const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn eliminate(hub: &Hub, body: &Value) -> Value {
    let headers = [("Prefer", "wait=25")];
    let answer = http::send(hub.address(), "POST", "/v1/eliminations", &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn computes(hub: &Hub) -> Value {
    hub.get("/registry.json").json()["computes"].clone()
}

/// The first entry of a graph, which a pull takes, with its id.
fn entry(hub: &Hub, hash: &str) -> Option<(String, Value)> {
    let computes = computes(hub);
    let mut found = computes.as_object().unwrap().iter().filter(|(_, entry)| entry["graph_hash"] == hash);
    found.next().map(|(id, entry)| (id.clone(), entry.clone()))
}

/// The bytes an entry names.
fn file(hub: &Hub, entry: &Value) -> Vec<u8> {
    let url = entry["artifacts"]["parent"]["cid_or_path"].as_str().unwrap();
    let answer = hub.get(url.strip_prefix(&format!("http://{}", hub.address())).unwrap());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body
}

fn evidence(bytes: &[u8], graph: &Graph) -> Evidence {
    verify(bytes, graph, graph.content_hash(), &Limits::default(), &mut ()).unwrap().evidence
}

fn admin(data: &Path) -> String {
    let words = ["token", "create", "--name", "a", "--scope", "admin", "--data", data.to_str().unwrap()];
    format!("Bearer {}", String::from_utf8(run(&words).stdout).unwrap().trim())
}

#[test]
fn what_one_had_computed_everybody_pulls_unless_the_settings_say_otherwise() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let made = kingman(6);
    assert!(entry(&hub, &made.hash).is_none());
    let kingman = |n: i64| json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    let answer = eliminate(&hub, &kingman(6));
    wait_until("it has an entry", || entry(&hub, &made.hash).is_some());
    let (id, listed) = entry(&hub, &made.hash).unwrap();
    let definition = answer["graph"]["definition"].as_str().unwrap();
    assert_eq!(id, format!("computed-{}-{definition}", &made.hash[..16]), "no two definitions share an id");
    assert_eq!(file(&hub, &listed), made.ptdprmc3);
    let about = &listed["metadata"];
    let description = about["description"].as_str().unwrap();
    assert!(!description.contains("kingman"), "what the submitter's document says is his: {description}");
    assert_eq!((&about["hub"]["origin"], &about["hub"]["variant"]), (&json!("computed"), &json!("phasic")));
    assert_eq!(about["hub"]["edge_order_digest"], made.graph.edge_order_digest().to_string());
    let page = hub.get("/v1/computes?origin=computed").json();
    assert_eq!((&page["computes"][0]["id"], page["computes"].as_array().unwrap().len()), (&json!(id), 1));
    let one = hub.get(&format!("/v1/computes/{id}")).json();
    assert_eq!((&one["origin"], &one["variants"][0]["variant"]), (&json!("computed"), &json!("phasic")));
    wait_until("it is verified", || {
        hub.get(&format!("/v1/computes/{id}/verification")).json()["verdict"] == "reproduced"
    });
    // It is the hub's own, and no publisher's to hide or to take back.
    let send = |method: &str, scope: &str, body: &Value| {
        let authorization = format!("Bearer {}", token(data.path(), scope));
        let headers = [("Authorization", authorization.as_str())];
        let path = format!("/v1/computes/{id}");
        http::send(hub.address(), method, &path, &headers, body.to_string().as_bytes())
    };
    let patch = json!({"private": true});
    for refused in [send("PATCH", "publish", &patch), send("DELETE", "publish", &json!({}))] {
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("compute_of_hub")));
    }
    assert_eq!(send("PATCH", "admin", &json!({"private": false})).status, 200);
    // A graph that has a name people know gets no second one.
    eliminate(&hub, &kingman(5));
    eliminate(&hub, &kingman(8));
    wait_until("the next", || entry(&hub, &kingman_hash(8)).is_some());
    assert_eq!(hub.get("/v1/computes?origin=computed").json()["computes"].as_array().unwrap().len(), 2);
    hub.stop();

    let settings = [EVERYBODY, ("registry_computed", "false")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    wait_until("they are gone", || {
        entry(&hub, &made.hash).is_none() && entry(&hub, &kingman_hash(8)).is_none()
    });
    let history = hub.get(&format!("/v1/computes/{id}/revisions")).json();
    assert_eq!(history["revisions"].as_array().unwrap().len(), 2, "{history}");
    assert_eq!(history["revisions"][0]["origin"], "computed");
}

fn kingman_hash(n: i64) -> String {
    kingman(n).hash
}

#[test]
fn where_phasic_would_be_wrong_it_is_given_our_program_which_says_so() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let text = phasic_engine::model::find("stepping_stone").unwrap().text;
    let text = text.replace("\"parallel\": \"merge\"", "\"parallel\": \"keep\"");
    let document: Value = serde_json::from_str(&text).unwrap();
    let answer = eliminate(&hub, &json!({"model": {"document": document, "constants": {"demes": 3}}}));
    assert_eq!(answer["graph"]["parallel_edges"], true);
    let hash = answer["graph"]["graph_hash"].as_str().unwrap().to_owned();
    wait_until("it has an entry", || entry(&hub, &hash).is_some());
    let (_, listed) = entry(&hub, &hash).unwrap();
    let about = &listed["metadata"]["hub"];
    assert_eq!((&about["variant"], &about["variant_reason"]), (&json!("fast"), &json!("parallel_edges")));
    let Document::Model(document) = phasic_engine::document::read(&text).unwrap() else { panic!("a model") };
    let graph = document.with_constant("demes", 3).unwrap().build(&GraphLimits::default()).unwrap();
    assert_eq!(evidence(&file(&hub, &listed), &graph), Evidence::Fast);
}

#[test]
fn where_phasics_program_exceeds_the_limits_ours_is_made_and_served_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    // phasic's program of these rabbits takes 20 MB, ours 2.
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY, ("compute_max_memory_bytes", "10000000")]);
    let rabbits = |more: &str| {
        let text = format!(r#"{{"model": {{"builtin": "rabbits", "constants": {{"n": 40}}}}{more}}}"#);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let refused = hub.post("/v1/eliminations", &rabbits(r#", "variant": "phasic""#));
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("too_large")), "{}", refused.text());
    let answer = eliminate(&hub, &rabbits(""));
    assert_eq!(answer["artifact"]["variant"], "fast", "{answer}");
    let hash = answer["graph"]["graph_hash"].as_str().unwrap().to_owned();
    wait_until("it has an entry", || entry(&hub, &hash).is_some());
    let (id, listed) = entry(&hub, &hash).unwrap();
    assert!(id.starts_with("computed-"), "{id}");
    let about = &listed["metadata"]["hub"];
    assert_eq!((&about["variant"], &about["variant_reason"]), (&json!("fast"), &json!("too_large")));
    let small = eliminate(&hub, &json!({"model": {"builtin": "kingman", "constants": {"n": 6}}}));
    assert_eq!(small["artifact"]["variant"], "phasic", "{small}");
    hub.stop();

    // With more memory phasic's is made for whoever asks, and served from then on.
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    assert_eq!(eliminate(&hub, &rabbits(""))["artifact"]["variant"], "phasic");
    wait_until("phasic's is served", || {
        entry(&hub, &hash).is_some_and(|(_, listed)| listed["metadata"]["hub"]["variant"] == "phasic")
    });
    let (_, listed) = entry(&hub, &hash).unwrap();
    assert_eq!(listed["metadata"]["hub"].get("variant_reason"), None, "{listed}");
}

#[test]
fn which_program_is_served_is_a_setting_and_an_administrators_word_about_one_compute() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("registry_variant", "fast")]);
    let coal = model("coal_n5_theta1");
    let is = |variant: Evidence| {
        let computes = computes(&hub);
        let listed = &computes["coal_n5_theta1"];
        !listed.is_null() && evidence(&file(&hub, listed), &coal.graph) == variant
    };
    wait_until("ours is served", || is(Evidence::Fast));
    let about = computes(&hub)["coal_n5_theta1"]["metadata"]["hub"].clone();
    assert_eq!((&about["variant"], &about["variant_reason"]), (&json!("fast"), &json!("requested")));
    let one = hub.get("/v1/computes/coal_n5_theta1").json();
    assert_eq!((&one["served"]["variant"], &one["served"]["reason"]), (&json!("fast"), &json!("requested")));
    let before = one["artifacts"][0]["url"].as_str().unwrap().to_owned();
    let before = before.strip_prefix(&format!("http://{}", hub.address())).unwrap();
    assert_eq!(hub.get(before).body, coal.ptdprmc3, "the published file stays good");

    let token = admin(data.path());
    let want = |id: &str, body: &str| {
        let path = format!("/v1/admin/computes/{id}/variant");
        http::send(hub.address(), "PUT", &path, &[("Authorization", &token)], body.as_bytes()).status
    };
    assert_eq!(want("coal_n5_theta1", "{\"variant\": \"phasic\"}"), 204);
    wait_until("phasic's is served", || is(Evidence::Reproduced));
    assert_eq!(want("coal_n5_theta1", "{\"variant\": null}"), 204);
    wait_until("ours is served again", || is(Evidence::Fast));
    assert_eq!(want("coal_n5_theta1", "{\"variant\": \"plan\"}"), 400);
    assert_eq!(want("nobody", "{\"variant\": \"fast\"}"), 404);
    let audit = run(&["audit", "export", "--data", data.path().to_str().unwrap()]);
    let audit = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.contains("compute.variant") && audit.contains("compute.serve"), "{audit}");
}

#[test]
fn a_wish_that_cannot_be_met_is_kept_and_says_what_is_in_the_way() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let lab = access::token(data.path(), &["--scope", "publish", "--scope", "compute", "--ids", "lab-*"]);
    let lab = Client { hub: &hub, token: Some(&lab) };
    let nine = kingman(9);
    assert_eq!(lab.upload(&nine.ptdprmc1).status, 201);
    let published = lab.json("PUT", "/v1/computes/lab-k9", &registry::entry(&nine, &nine.ptdprmc1));
    assert_eq!(published.status, 201, "{}", published.text());
    let token = admin(data.path());
    let want = |variant: Value| {
        let (path, body) = ("/v1/admin/computes/lab-k9/variant", json!({"variant": variant}).to_string());
        http::send(hub.address(), "PUT", path, &[("Authorization", &token)], body.as_bytes())
    };
    let unmet = want(json!("fast"));
    assert_eq!((unmet.status, &unmet.json()["variant"]), (202, &json!("fast")), "{}", unmet.text());
    assert!(unmet.json()["hindrance"].as_str().unwrap().contains("/v1/graphs"), "{}", unmet.text());
    let command = || {
        let directory = data.path().to_str().unwrap();
        let output = run(&["compute", "variant", "lab-k9", "fast", "--data", directory]);
        String::from_utf8(output.stdout).unwrap()
    };
    let said = command();
    assert!(said.contains(unmet.json()["hindrance"].as_str().unwrap()), "{said}");
    assert_eq!(want(json!(null)).status, 204, "nothing is wanted");
    assert_eq!(want(json!("fast")).status, 202);
    // Once the graph is known it is met without another word, also where two definitions fit.
    for start in [1.0, 0.5] {
        let mut document: Value =
            serde_json::from_str(&phasic_engine::document::write_graph(&nine.graph)).unwrap();
        document["edges"][0].as_array_mut().unwrap().truncate(3);
        document["edges"][0].as_array_mut().unwrap().push(start.into());
        assert_eq!(lab.json("POST", "/v1/graphs", &document).status, 201);
    }
    wait_until("ours is served", || {
        computes(&hub)["lab-k9"]["metadata"]["hub"]["variant_reason"] == "requested"
    });
    let listed = computes(&hub)["lab-k9"].clone();
    assert_eq!(evidence(&file(&hub, &listed), &nine.graph), Evidence::Fast);
    for variant in [json!("fast"), json!("phasic"), json!("fast")] {
        assert_eq!(want(variant.clone()).status, 204, "{variant}");
    }
    let said = command();
    assert!(said.ends_with("A program that is not there yet is made first.\n"), "{said}");
}
