//! Graphs that share a content hash and differ in weights: what strangers submit decides about nothing but itself.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_engine::document::write_graph;
use phasic_hub_tests::access::{Client, refusal, token};
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::registry::{Model, entry, kingman, model};
use serde_json::{Value, json};

const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

/// The document of a graph whose start gets to its first vertex with this probability.
fn with_start(model: &Model, probability: f64) -> Value {
    let mut document: Value = serde_json::from_str(&write_graph(&model.graph)).unwrap();
    let start = document["edges"].as_array_mut().unwrap().iter_mut().find(|edge| edge[0] == 0).unwrap();
    let members = start.as_array_mut().unwrap();
    members.truncate(3);
    members.push(probability.into());
    document
}

/// Submits a graph for everybody, and gives its definition.
fn submit(client: Client<'_>, document: &Value) -> Value {
    let answer = client.json("POST", "/v1/graphs", document);
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
    answer.json()["graph"]["definition"].clone()
}

/// The probability to be absorbed at all, nearly.
fn absorbed(client: Client<'_>, model: &Value) -> f64 {
    let answer =
        client.json("POST", "/v1/evaluate", &json!({"model": model, "quantities": [{"cdf": [1000.0]}]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["results"][0]["values"]["cdf"][0].as_f64().unwrap()
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn what_the_hub_builds_by_itself_is_not_for_others_to_define() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let anybody = Client { hub: &hub, token: None };
    let built_in = model("coal_n5_theta1");
    let own = anybody.json("POST", "/v1/evaluate", &json!({"model": {"compute": "coal_n5_theta1"}})).json();
    let definition = own["model"]["definition"].clone();
    for probability in [0.5, 0.25] {
        let theirs = submit(anybody, &with_start(&built_in, probability));
        assert_ne!(theirs, definition);
        let named = json!({"compute": "coal_n5_theta1", "definition": theirs});
        assert!(is_near(absorbed(anybody, &named), probability), "what is asked for by name");
        for model in [
            json!({"compute": "coal_n5_theta1"}),
            json!({"graph": built_in.hash}),
            json!({"graph": built_in.hash, "definition": definition}),
        ] {
            assert!(is_near(absorbed(anybody, &model), 1.0), "{model}");
        }
    }
    let body = json!({"model": {"compute": "coal_n5_theta1"}, "variant": "fast"});
    let eliminated = anybody.json("POST", "/v1/eliminations", &body);
    assert_eq!(eliminated.json()["graph"]["definition"], definition, "{}", eliminated.text());
}

#[test]
fn each_entry_of_what_was_computed_has_its_own_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let anybody = Client { hub: &hub, token: None };
    let six = kingman(6);
    let halves = [1.0, 0.5].map(|probability| {
        let model = json!({"document": with_start(&six, probability)});
        let body = json!({"model": model, "variant": "fast"}).to_string();
        let made = anybody.send("POST", "/v1/eliminations", &[("Prefer", "wait=25")], body.as_bytes());
        let definition = made.json()["graph"]["definition"].as_str().unwrap().to_owned();
        (format!("computed-{}-{definition}", &six.hash[..16]), probability)
    });
    for (id, probability) in halves {
        wait_until("it is listed", || hub.get(&format!("/v1/computes/{id}")).status == 200);
        wait_until("it is served", || hub.get("/registry.json").text().contains(&id));
        assert!(is_near(absorbed(anybody, &json!({"compute": id})), probability), "{id}");
    }
    let by_hash = anybody.json("POST", "/v1/evaluate", &json!({"model": {"graph": six.hash}}));
    assert_eq!(refusal(&by_hash), (409, "graph_ambiguous".to_owned()));
}

#[test]
fn what_a_compute_stands_for_is_its_publishers_to_say() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[EVERYBODY]);
    let ours = token(data, &["--scope", "publish", "--scope", "compute", "--ids", "ourlab-*"]);
    let (ours, anybody) = (Client { hub: &hub, token: Some(&ours) }, Client { hub: &hub, token: None });
    let (seven, eight) = (kingman(7), kingman(8));

    // A stranger was first, and had the program made.
    let stranger = json!({"model": {"document": with_start(&seven, 0.5)}, "variant": "phasic"}).to_string();
    let made = anybody.send("POST", "/v1/eliminations", &[("Prefer", "wait=25")], stranger.as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    let definition = submit(ours, &with_start(&seven, 1.0));
    let publication =
        json!({"graph": seven.hash, "definition": definition, "metadata": {"description": "ours"}});
    let published = ours.json("PUT", "/v1/computes/ourlab-k7", &publication);
    assert_eq!(published.status, 201, "{}", published.text());
    assert_eq!(
        hub.get("/registry.json").json()["computes"]["ourlab-k7"]["metadata"]["hub"]["definition"],
        definition
    );
    assert!(is_near(absorbed(anybody, &json!({"compute": "ourlab-k7"})), 1.0));

    // A publisher who brings the file says nothing of the graph; then nobody says it for him.
    assert_eq!(ours.upload(&eight.ptdprmc1).status, 201);
    assert_eq!(ours.json("PUT", "/v1/computes/ourlab-k8", &entry(&eight, &eight.ptdprmc1)).status, 201);
    let ask = json!({"model": {"compute": "ourlab-k8"}});
    assert_eq!(refusal(&anybody.json("POST", "/v1/evaluate", &ask)), (404, "graph_not_found".to_owned()));
    let theirs = submit(anybody, &with_start(&eight, 0.5));
    let refused = anybody.json("POST", "/v1/evaluate", &ask);
    assert_eq!(refusal(&refused), (409, "graph_ambiguous".to_owned()));
    assert!(refused.text().contains(theirs.as_str().unwrap()), "{}", refused.text());
    let kept = json!({"model": {"document": with_start(&eight, 1.0)}, "private": true});
    assert_eq!(ours.json("POST", "/v1/graphs", &kept).status, 201);
    assert!(
        is_near(absorbed(ours, &json!({"compute": "ourlab-k8"})), 1.0),
        "what was kept with a token for the id"
    );
    assert_eq!(anybody.json("POST", "/v1/evaluate", &ask).status, 409, "which others do not see");
}
