//! What is submitted: graphs, forecasts, results, refusals.

use std::thread;

use phasic_engine::artifact::{Evidence, verify};
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{self, Limits};
use phasic_hub_api::Sha256;
use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::registry::{Model, kingman};
use serde_json::{Value, json};

use super::{EVERYBODY, code, eliminate, model, paged, path};

#[test]
fn a_graph_is_stored_once_forecast_and_not_eliminated() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let Model { graph, hash, .. } = kingman(7);
    let unknown = hub.get(&format!("/v1/graphs/{hash}"));
    assert_eq!(code(&unknown), (404, "graph_not_found".to_owned()));
    assert!(unknown.json()["detail"].as_str().unwrap().contains("/v1/eliminations"));

    let first = hub.post("/v1/graphs", &json!({"model": model(7)}));
    assert_eq!(first.status, 201, "{}", first.text());
    let answer = first.json();
    let identity = &answer["graph"];
    assert_eq!((identity["graph_hash"].as_str(), answer["new"].as_bool()), (Some(&hash[..]), Some(true)));
    assert_eq!(identity["edge_order_digest"], graph.edge_order_digest().to_string());
    let expected = trace::forecast(&graph, &Limits::default(), &mut ()).unwrap();
    assert_eq!(answer["forecast"]["phasic"]["commands"], expected.commands);
    assert_eq!(answer["forecast"]["phasic"]["artifact_bytes"], expected.ptdprmc3_bytes());
    let plan = Plan::analyze(&graph, &plan::Limits::default()).unwrap().encode(&graph.content_hash());
    assert_eq!(answer["forecast"]["plan"]["artifact_bytes"], plan.len());

    // The same graph as a document of its own, without `model` around it.
    let document = phasic_engine::document::write_graph(&graph);
    let again = http::send(hub.address(), "POST", "/v1/graphs", &[], document.as_bytes());
    assert_eq!((again.status, &again.json()["graph"]), (200, identity));

    let record = hub.get(&format!("/v1/graphs/{hash}")).json();
    assert_eq!(record["definitions"], json!([identity]));
    assert_eq!((&record["artifacts"], &record["jobs"]), (&json!([]), &json!([])));
    let numbers = hub.post("/v1/evaluate", &json!({"model": {"graph": hash}, "theta": [1.0]}));
    let expectation = numbers.json()["results"][0]["values"]["expectation"].as_f64().unwrap();
    assert!((expectation - 2.0 * (1.0 - 1.0 / 7.0)).abs() < 1e-14);
}

#[test]
fn each_variant_is_made_verified_and_served_by_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let made = kingman(8);
    for variant in ["phasic", "fast", "plan"] {
        let body = json!({"model": model(8), "variant": variant});
        let answer = eliminate(&hub, &body, true);
        assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("wait=25")));
        let artifact = &answer.json()["artifact"];
        let file = hub.get(&path(&hub, &artifact["url"]));
        assert_eq!(file.status, 200, "{}", answer.text());
        assert_eq!(artifact["sha256"], Sha256::of(&file.body).to_string());
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
        match variant {
            "phasic" => assert_eq!(file.body, made.ptdprmc3),
            "fast" => {
                let hash = made.graph.content_hash();
                let verified = verify(&file.body, &made.graph, hash, &Limits::default(), &mut ()).unwrap();
                assert_eq!(verified.evidence, Evidence::Fast);
            }
            _ => drop(Plan::verify(&file.body, &made.graph, &plan::Limits::default()).unwrap()),
        }
        let again = eliminate(&hub, &body, false);
        assert_eq!((again.status, &again.json()["artifact"]), (200, artifact));
        assert!(again.json().get("job").is_none());
    }
    let record = hub.get(&format!("/v1/graphs/{}", made.hash)).json();
    assert_eq!(record["artifacts"].as_array().unwrap().len(), 3);
    for job in record["jobs"].as_array().unwrap() {
        let (forecast, actual) = (&job["forecast"], &job["actual"]);
        assert_eq!(forecast["artifact_bytes"], actual["artifact_bytes"], "{job}");
        assert!(actual["commands"].is_u64(), "{job}");
        assert_eq!(forecast["commands"], actual["commands"], "{job}");
        assert!(actual.get("peak_memory_bytes").is_none(), "it had no process of its own: {job}");
        assert!(actual["duration_ms"].is_u64(), "{job}");
    }
    assert!(record["jobs"].as_array().unwrap().iter().all(|job| job["state"] == "done"), "{record}");

    let of_order = |digest: &str| hub.get(&format!("/v1/graphs/{}?edge_order_digest={digest}", made.hash));
    let digest = made.graph.edge_order_digest().to_string();
    let mine = of_order(&digest).json();
    assert_eq!((&mine["artifacts"], &mine["jobs"]), (&record["artifacts"], &record["jobs"]));
    // What was computed is listed soon, and is none of another order.
    wait_until("it has an entry", || of_order(&digest).json()["computes"] != json!([]));
    let other = of_order(&"0".repeat(64));
    assert_eq!(code(&other), (404, "graph_not_found".to_owned()), "{}", other.text());
    assert!(other.json()["detail"].as_str().unwrap().contains("POST"), "{}", other.text());
    assert_eq!(code(&of_order("0")), (400, "invalid_request".to_owned()));
}

#[test]
fn many_who_ask_for_one_new_graph_get_the_result_of_one_job() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let answers: Vec<Answer> = thread::scope(|scope| {
        // How each of them asks differs; what they ask for does not.
        let ask = |place: usize| {
            let priority = ["low", "normal"][place % 2];
            let mut body = json!({"model": model(30), "priority": priority});
            if !place.is_multiple_of(3) {
                body["timeout_seconds"] = (20 + place).into();
            }
            eliminate(&hub, &body, true)
        };
        let asking: Vec<_> = (0..64).map(|place| scope.spawn(move || ask(place))).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let expected = Sha256::of(&kingman(30).ptdprmc3).to_string();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["artifact"]["sha256"], expected);
    }
    assert_eq!(hub.get("/v1/jobs").json()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_is_refused_with_its_forecast() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [EVERYBODY, ("compute_max_memory_bytes", "1048576"), ("models_max_stored_bytes", "20000")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let rabbits = json!({"builtin": "rabbits", "constants": {"n": 20}});
    let answer = eliminate(&hub, &json!({"model": rabbits, "variant": "phasic"}), false);
    assert_eq!(code(&answer), (422, "too_large".to_owned()));
    let problem = answer.json();
    assert!(problem["forecast"]["memory_bytes"].as_u64().unwrap() > 1_048_576, "{problem}");
    assert!(problem["forecast"]["commands"].as_u64().unwrap() > 0, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("compute.max_memory_bytes"));
    assert_eq!(hub.get("/v1/jobs").json(), json!({"jobs": []}));

    let mut n = 2;
    let full = loop {
        let answer = hub.post("/v1/graphs", &json!({"model": model(n)}));
        if answer.status != 201 {
            break answer;
        }
        n += 1;
        assert!(n < 200, "the limit is never reached");
    };
    assert_eq!(code(&full), (507, "storage_full".to_owned()));
}

#[test]
fn each_mistake_has_its_problem() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let is = |answer: Answer, status: u16, expected: &str| {
        assert_eq!(code(&answer), (status, expected.to_owned()));
    };
    is(eliminate(&hub, &json!({"model": model(3), "variant": "slow"}), false), 400, "invalid_request");
    is(eliminate(&hub, &json!({}), false), 400, "invalid_request");
    is(eliminate(&hub, &json!({"model": {"graph": "0".repeat(64)}}), false), 404, "graph_not_found");
    is(hub.post("/v1/graphs", &json!({"vertices": 3, "edges": []})), 422, "model_invalid");
    is(hub.get("/v1/graphs/xyz"), 400, "invalid_request");
    is(hub.get("/v1/jobs/job_0"), 404, "job_not_found");
    is(hub.get("/v1/jobs/job_0/events"), 404, "job_not_found");
    is(hub.request("DELETE", "/v1/jobs/job_0", &[]), 404, "job_not_found");
    is(hub.get("/v1/jobs?limit=0"), 400, "invalid_request");
    is(hub.get("/v1/jobs?state=tired"), 400, "invalid_request");
    is(hub.get(&format!("/v1/blobs/sha256/{}", "0".repeat(64))), 404, "blob_not_found");
    is(hub.get("/v1/blobs/sha256/short"), 404, "blob_not_found");
    let made = eliminate(&hub, &json!({"model": model(3)}), true).json();
    let id = made["job"]["id"].as_str().unwrap();
    is(hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]), 409, "job_ended");
}

#[test]
fn graphs_that_differ_in_weights_only_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let submit = |first: f64| {
        let edges = json!([[0, 1, [], first], [0, 2, [], 0.5], [1, 3, [1.0]], [2, 3, [2.0]]]);
        let document = json!({"vertices": [[0], [1], [2], [3]], "edges": edges});
        hub.post("/v1/graphs", &document).json()["graph"].clone()
    };
    let (one, two) = (submit(0.5), submit(0.25));
    assert_eq!(one["graph_hash"], two["graph_hash"]);
    let ask = |definition: Option<&Value>| {
        let mut model = json!({"graph": one["graph_hash"]});
        if let Some(definition) = definition {
            model["definition"] = definition.clone();
        }
        hub.post("/v1/evaluate", &json!({"model": model, "theta": [1.0]}))
    };
    let ambiguous = ask(None);
    assert_eq!(code(&ambiguous), (409, "graph_ambiguous".to_owned()));
    assert!(ambiguous.text().contains(two["definition"].as_str().unwrap()));
    let expectation = |answer: Answer| answer.json()["results"][0]["values"]["expectation"].as_f64().unwrap();
    assert!((expectation(ask(Some(&one["definition"]))) - 0.75).abs() < 1e-15);
    assert!((expectation(ask(Some(&two["definition"]))) - 2.0 / 3.0).abs() < 1e-15);
    // phasic's own program is the same for both, and is made once; our own forms are not.
    let job = |definition: &Value, variant: &str| {
        let model = json!({"graph": one["graph_hash"], "definition": definition});
        eliminate(&hub, &json!({"model": model, "variant": variant}), true).json()["artifact"]["sha256"]
            .clone()
    };
    assert_eq!(job(&one["definition"], "phasic"), job(&two["definition"], "phasic"));
    assert_ne!(job(&one["definition"], "plan"), job(&two["definition"], "plan"));
    let jobs = hub.get("/v1/jobs").json()["jobs"].take();
    assert_eq!(jobs.as_array().unwrap().len(), 3);

    // Each list of the graph in pages of one has what the record has.
    let at = format!("/v1/graphs/{}", one["graph_hash"].as_str().unwrap());
    let record = hub.get(&at).json();
    assert!(record.get("next").is_none(), "{record}");
    let jobs_at = format!("/v1/jobs?graph={}&", one["graph_hash"].as_str().unwrap());
    for (list, pages) in [
        ("definitions", format!("{at}/definitions?")),
        ("artifacts", format!("{at}/artifacts?")),
        ("computes", format!("{at}/computes?")),
        ("jobs", jobs_at),
    ] {
        assert_eq!(
            paged(&hub, &format!("{pages}limit=1"), list),
            *record[list].as_array().unwrap(),
            "{list}"
        );
        let wrong = hub.get(&format!("{pages}limit=0"));
        assert_eq!(code(&wrong), (400, "invalid_request".to_owned()), "{list}");
    }
    assert_eq!(record["definitions"].as_array().unwrap().len(), 2);
    assert_eq!(record["artifacts"].as_array().unwrap().len(), 3);
    let wrong = hub.get(&format!("{at}/artifacts?cursor=nowhere"));
    assert_eq!(code(&wrong), (400, "invalid_request".to_owned()));
    let unknown = hub.get(&format!("/v1/graphs/{}/artifacts", "0".repeat(64))).json();
    assert_eq!(unknown, json!({"artifacts": []}));
}
