//! Files held against programs made anew, by a real hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_engine::artifact::encode_ptdprmc3;
use phasic_engine::document::write_graph;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{self, lower};
use phasic_engine::trace::{Limits, eliminate};
use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, refusal, token};
use phasic_hub_tests::http;
use phasic_hub_tests::hub::{Hub, sync, wait_until};
use phasic_hub_tests::registry::{self, Model};
use serde_json::{Value, json};

/// Lets everybody submit. Who else may is the matter of `hub_access`.
const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

/// Two states that lead to each other and out; `swapped` turns the order of their edges around, and `rate` is that of one
/// edge.
fn pair(swapped: bool, rate: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let states = [1, 2, 3].map(|state| builder.find_or_add_vertex(&[state]).unwrap());
    let out = builder.find_or_add_vertex(&[0]).unwrap();
    builder.add_edge(START, states[0], Rate::Scalar(1.0)).unwrap();
    for (place, &state) in states.iter().enumerate() {
        let next = states[(place + 1) % states.len()];
        let mut edges = [(next, [rate, 0.0]), (out, [0.0, place as f64 + 1.0])];
        if swapped {
            edges.reverse();
        }
        for (to, coefficients) in edges {
            builder.add_edge(state, to, Rate::Coefficients(&coefficients)).unwrap();
        }
    }
    builder.finish()
}

fn ptdprmc3(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(&eliminate(graph, &Limits::default(), &mut ()).unwrap(), &mut bytes).unwrap();
    bytes
}

fn fast(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(&lower(graph, &plan::Limits::default()).unwrap(), &mut bytes).unwrap();
    bytes
}

/// A data directory that mirrors these bytes as the file of `graph`.
fn mirrored(graph: &Graph, bytes: &[u8]) -> (tempfile::TempDir, String) {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hash = graph.content_hash().to_string();
    let model =
        Model { graph: graph.clone(), hash: hash.clone(), ptdprmc1: Vec::new(), ptdprmc3: bytes.to_vec() };
    let document = registry::document(&[("mine", registry::entry(&model, bytes))]);
    registry::write_directory(checkout.path(), &document, &[(format!("artifacts/{hash}.bin"), bytes)]);
    let synced = sync(data.path(), checkout.path().to_str().unwrap(), &[]);
    assert!(synced.status.success(), "{synced:?}");
    (data, hash)
}

fn verification(hub: &Hub, id: &str) -> Value {
    let answer = hub.get(&format!("/v1/computes/{id}/verification"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until the verdict of a compute is this one.
fn wait_for(hub: &Hub, id: &str, verdict: &str) -> Value {
    wait_until(verdict, || verification(hub, id)["verdict"] == verdict);
    verification(hub, id)
}

fn submit(hub: &Hub, graph: &Graph) {
    let answer = http::send(hub.address(), "POST", "/v1/graphs", &[], write_graph(graph).as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn is_served(hub: &Hub, id: &str) -> bool {
    hub.get("/registry.json").json()["computes"].get(id).is_some()
}

#[test]
fn what_the_hub_publishes_itself_is_reproduced_and_again_when_somebody_asks_and_after_a_restart_is_known() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let model = registry::model("coal_n5_theta1");
    let found = wait_for(&hub, "coal_n5_theta1", "reproduced");
    let file = &found["files"][0];
    assert_eq!(file["sha256"], Sha256::of(&model.ptdprmc3).to_string());
    assert_eq!(file["edge_order_digest"], model.graph.edge_order_digest().to_string());
    assert!(file["engine"].as_str().unwrap().starts_with("phasic-engine "), "{found}");
    let first = file["checked_at"].clone();
    for _ in 0..3 {
        let asked = hub.request("POST", "/v1/computes/coal_n5_theta1/verification", &[]);
        assert_eq!(asked.status, 202, "{}", asked.text());
    }
    wait_until("it is done again", || {
        let file = &verification(&hub, "coal_n5_theta1")["files"][0];
        file["checked_at"] != first && file["again"] == false
    });
    let waited = hub.request("POST", "/v1/computes/coal_n5_theta1/verification", &[("Prefer", "wait=25")]);
    assert_eq!((waited.status, waited.header("preference-applied")), (200, Some("wait=25")));
    let done = waited.json();
    assert_eq!(
        (&done["files"][0]["again"], &done["verdict"]),
        (&json!(false), &json!("reproduced")),
        "{done}"
    );
    let second = verification(&hub, "coal_n5_theta1");
    assert_eq!(second, done);
    wait_until("all are verified", || hub.get("/metrics").text().contains("verifications_pending 0"));
    // What is counted in the database is that of a little while ago.
    wait_until("all are counted", || hub.get("/metrics").text().contains("phasic_hub_files_reproduced 7"));
    hub.stop();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    assert_eq!(verification(&hub, "coal_n5_theta1"), second);
    assert_eq!(hub.get("/v1/computes/nobody/verification").status, 404);
}

#[test]
fn a_publication_is_not_compared_with_graphs_its_publisher_does_not_see() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let (known, secret) = (pair(false, 1.0), pair(true, 1.0));
    submit(&hub, &known);
    let [ours, theirs] = ["ourlab-*", "theirlab-*"]
        .map(|ids| token(data.path(), &["--scope", "publish", "--scope", "compute", "--ids", ids]));
    let [ours, theirs] = [&ours, &theirs].map(|token| Client { hub: &hub, token: Some(token) });
    // Right for another order of edges, and not recognised by whoever does not know that one.
    let file = fast(&secret);
    assert_eq!(ours.upload(&file).status, 201);
    let hash = secret.content_hash().to_string();
    let model = Model { graph: secret.clone(), hash, ptdprmc1: Vec::new(), ptdprmc3: file.clone() };
    let publish = || refusal(&ours.json("PUT", "/v1/computes/ourlab-x", &registry::entry(&model, &file)));
    let before = publish();
    assert_eq!(before, (422, "artifact_invalid".to_owned()));
    let document: Value = serde_json::from_str(&write_graph(&secret)).unwrap();
    let body = serde_json::json!({"model": {"document": document}, "private": true});
    let headers = [("Prefer", "wait=25")];
    let made = theirs.send("POST", "/v1/eliminations", &headers, body.to_string().as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(publish(), before, "it tells nothing of what others have in private");
}

#[test]
fn a_file_is_compared_once_somebody_says_what_the_graph_is() {
    let graph = pair(false, 1.0);
    for (bytes, verdict) in [(ptdprmc3(&graph), "reproduced"), (fast(&graph), "equivalent")] {
        let (data, _) = mirrored(&graph, &bytes);
        let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
        assert_eq!(verification(&hub, "mine")["verdict"], "graph_unknown");
        let asked = hub.request("POST", "/v1/computes/mine/verification", &[]);
        assert_eq!((asked.status, &asked.json()["code"]), (404, &"graph_not_found".into()));
        submit(&hub, &graph);
        let found = wait_for(&hub, "mine", verdict);
        assert_eq!(found["files"][0]["edge_order_digest"], graph.edge_order_digest().to_string());
        assert!(is_served(&hub, "mine"));
    }
}

#[test]
fn a_file_for_another_order_of_edges_is_as_right_and_says_so() {
    let (known, other) = (pair(false, 1.0), pair(true, 1.0));
    assert_eq!(known.content_hash(), other.content_hash());
    let (data, _) = mirrored(&other, &ptdprmc3(&other));
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    submit(&hub, &known);
    let found = wait_for(&hub, "mine", "reproduced");
    assert_eq!(found["files"][0]["edge_order_digest"], other.edge_order_digest().to_string());
    assert!(is_served(&hub, "mine"));
}

/// Intact, for a graph of the same size as `pair`, and of another one: its cycle runs the other way around.
fn foreign() -> Vec<u8> {
    let mut builder = GraphBuilder::new(1).unwrap();
    let states = [1, 2, 3].map(|state| builder.find_or_add_vertex(&[state]).unwrap());
    let out = builder.find_or_add_vertex(&[0]).unwrap();
    builder.add_edge(START, states[0], Rate::Scalar(1.0)).unwrap();
    for (place, &state) in states.iter().enumerate() {
        let next = states[(place + 2) % states.len()];
        builder.add_edge(state, next, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(state, out, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    ptdprmc3(&builder.finish())
}

#[test]
fn what_somebody_submits_never_withdraws_what_another_publishes_nor_takes_its_place() {
    let graph = pair(false, 1.0);
    // A file we cannot make fit, and one that is right for another order of edges and that we do not recognise.
    for bytes in [foreign(), fast(&pair(true, 1.0))] {
        let (data, hash) = mirrored(&graph, &bytes);
        let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
        let address = format!("/artifacts/{hash}.bin?sha256={}", Sha256::of(&bytes));
        let document: Value = serde_json::from_str(&write_graph(&graph)).unwrap();
        let eliminated = serde_json::json!({"model": {"document": document}});
        let other = serde_json::json!({"model": {"builtin": "kingman", "constants": {"n": 6}}});
        for asked in [&eliminated, &other] {
            let headers = [("Prefer", "wait=25")];
            let body = asked.to_string();
            let answer = http::send(hub.address(), "POST", "/v1/eliminations", &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let found = wait_for(&hub, "mine", "mismatch");
        assert!(found["files"][0]["difference"].as_str().is_some(), "{found}");
        let hash_of = |n| registry::kingman(n).hash;
        let entries = || hub.get("/registry.json").json()["computes"].as_object().unwrap().clone();
        wait_until("the other one has an entry", || {
            entries().values().any(|entry| entry["graph_hash"] == hash_of(6))
        });
        wait_until("it is said to be in doubt", || {
            hub.get("/readyz").text().contains("1 compute is in doubt")
        });
        let note = &hub.get("/readyz").json()["notes"][0];
        assert_eq!(
            (&note["code"], &note["count"], &note["ids"]),
            (&json!("files_doubtful"), &json!(1), &json!(["mine"]))
        );
        let of_hash: Vec<String> = entries()
            .into_iter()
            .filter(|(_, entry)| entry["graph_hash"] == hash)
            .map(|(id, _)| id)
            .collect();
        assert_eq!(of_hash, ["mine"]);
        assert_eq!(hub.get(&address).body, bytes);
        assert_eq!(hub.get(&format!("/artifacts/{hash}.bin")).body, bytes);
        assert!(hub.stop().log.contains("fits no graph that was submitted"));
    }
}

#[test]
fn nothing_private_has_a_say_about_what_is_public() {
    let (open, secret) = (pair(false, 1.0), pair(true, 1.0));
    let (data, _) = mirrored(&open, &ptdprmc3(&open));
    let hub = Hub::start_with(data.path(), &[], &[EVERYBODY]);
    let token = token(data.path(), &["--scope", "compute", "--scope", "publish", "--ids", "lab-*"]);
    let lab = Client { hub: &hub, token: Some(&token) };
    let document: Value = serde_json::from_str(&write_graph(&secret)).unwrap();
    let body = json!({"model": {"document": document}, "private": true}).to_string();
    let made = lab.send("POST", "/v1/eliminations", &[("Prefer", "wait=25")], body.as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    let entry = json!({"graph": secret.content_hash().to_string(), "metadata": {"description": "ours"}});
    let published = lab.json("PUT", "/v1/computes/lab-secret?private=true", &entry);
    assert_eq!(published.status, 201, "{}", published.text());
    wait_until("the private file is verified", || {
        lab.get("/v1/computes/lab-secret/verification").json()["verdict"] == "reproduced"
    });
    wait_until("all are verified", || hub.get("/metrics").text().contains("files_reproduced 7"));
    assert_eq!(verification(&hub, "mine")["verdict"], "graph_unknown");
    submit(&hub, &open);
    let found = wait_for(&hub, "mine", "reproduced");
    assert_eq!((&found["definitions"], &found["files"][0]["again"]), (&1.into(), &false.into()));
    // What says so is rendered together with what is listed next.
    let answer = hub.post(
        "/v1/eliminations",
        &serde_json::json!({"model": {"builtin": "kingman", "constants": {"n": 6}}}),
    );
    assert!(answer.status < 300, "{}", answer.text());
    wait_until("the next rendering", || {
        hub.get("/registry.json").text().contains(&registry::kingman(6).hash)
    });
    let listed = hub.get("/registry.json").json()["computes"]["mine"].clone();
    assert_eq!(listed["metadata"]["hub"]["edge_order_digest"], Value::Null, "{listed}");
}
