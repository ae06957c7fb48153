//! `POST /v1/evaluate` of a real hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::http;
use phasic_hub_tests::hub::{Hub, run};
use serde_json::{Value, json};

const ROUTE: &str = "/v1/evaluate";

/// Lets everybody compute. Who else may is the matter of `hub_access`.
const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn problem(hub: &Hub, body: &Value) -> (u16, String, String) {
    let answer = hub.post(ROUTE, body);
    let problem = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{problem}");
    assert_eq!(problem["request_id"], *answer.header("x-request-id").unwrap());
    let text = |member: &str| problem[member].as_str().unwrap().to_owned();
    (answer.status, text("code"), text("detail"))
}

#[test]
fn numbers_of_documents_builtins_computes_and_hashes_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let document: Value = serde_json::from_str(phasic_engine::model::find("kingman").unwrap().text).unwrap();
    let hash = "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6";
    for model in [
        json!({"document": document, "constants": {"n": 5}}),
        json!({"builtin": "kingman"}),
        json!({"compute": "coal_n5_theta1"}),
        json!({"graph": hash}),
    ] {
        let answer = hub.post(ROUTE, &json!({"model": model, "theta": [1.0]}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["model"]["graph_hash"], hash);
        assert_eq!(answer["model"]["vertices"], 6);
        let values = &answer["results"][0]["values"];
        assert_eq!(values["expectation"], 1.6);
        // Σ 1/λ² over the rates 10, 6, 3, 1.
        let variance: f64 = [10.0_f64, 6.0, 3.0, 1.0].iter().map(|rate| 1.0 / (rate * rate)).sum();
        assert!((values["variance"].as_f64().unwrap() - variance).abs() < 1e-14);
    }
}

#[test]
fn each_mistake_has_its_problem() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [EVERYBODY, ("models_max_vertices", "100"), ("models_max_body_bytes", "4096")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let kingman = json!({"builtin": "kingman"});
    let code = |body: Value| {
        let (status, code, _) = problem(&hub, &body);
        (status, code)
    };
    let is = |body: Value, status: u16, expected: &str| assert_eq!(code(body), (status, expected.to_owned()));
    is(json!({}), 400, "invalid_request");
    is(json!([]), 400, "invalid_request");
    is(json!({"model": {}}), 400, "invalid_request");
    is(json!({"model": kingman, "theta": [[1], [1, 2]]}), 400, "invalid_request");
    is(json!({"model": kingman, "surprise": 1}), 400, "invalid_request");
    is(json!({"model": {"compute": "nothing"}}), 404, "compute_not_found");
    is(json!({"model": {"graph": "0".repeat(64)}}), 404, "graph_not_found");
    is(json!({"model": {"builtin": "nothing"}}), 422, "model_invalid");
    is(json!({"model": {"document": {"vertices": [[0]], "edges": [[0, 7, [1]]]}}}), 422, "model_invalid");
    is(json!({"model": {"builtin": "kingman", "constants": {"n": 101}}}), 422, "too_large");
    is(json!({"model": kingman, "theta": [1, 2]}), 422, "question_invalid");
    is(json!({"model": kingman, "theta": [-1]}), 422, "no_number");
    is(json!({"model": kingman, "rewards": [vec![1.0; 2000]]}), 413, "body_too_large");
    let (_, _, detail) =
        problem(&hub, &json!({"model": {"document": {"vertices": [[0], [0, 0]], "edges": []}}}));
    assert!(detail.contains("vertices[1]") && detail.contains("line 1, column"), "{detail}");
    assert_eq!(hub.get(ROUTE).json()["code"], "method_not_allowed");
    let broken = http::send(hub.address(), "POST", ROUTE, &[], b"{\"model\": ");
    assert_eq!((broken.status, broken.json()["code"].as_str()), (400, Some("invalid_request")));
    assert!(broken.json()["detail"].as_str().unwrap().contains("line 1 column"));
}

#[test]
fn a_batch_line_by_line_has_the_numbers_of_one_in_one_piece() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let thetas: Vec<[f64; 1]> = (0..3000).map(|k| [0.5 + f64::from(k)]).chain([[0.0]]).collect();
    let body = json!({"model": {"builtin": "kingman"}, "theta": thetas, "quantities": [{"moments": 2}]});
    let whole = hub.post(ROUTE, &body);
    assert_eq!(whole.header("content-type"), Some("application/json"));
    let whole = whole.json();
    let accept = [("Accept", "application/x-ndjson")];
    let lines = http::send(hub.address(), "POST", ROUTE, &accept, body.to_string().as_bytes());
    assert_eq!((lines.status, lines.header("content-type")), (200, Some("application/x-ndjson")));
    let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3001);
    assert_eq!(&Value::from(lines.clone()), &whole["results"]);
    assert_eq!(lines[1]["theta"], json!([1.5]));
    assert!((lines[1]["values"]["moments"][0].as_f64().unwrap() - 1.6 / 1.5).abs() < 1e-14);
    assert!(lines[3000]["error"].as_str().unwrap().contains("at these parameters"));
}

#[test]
fn a_long_evaluation_is_given_up_and_the_hub_answers_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    // Long enough for the short question on a busy machine, far too short for the long one.
    let settings = [EVERYBODY, ("http_request_timeout_ms", "4000")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let thetas = vec![[1.0, 1.0]; 100_000];
    let body = json!({"model": {"builtin": "mm1k", "constants": {"capacity": 400}}, "theta": thetas,
                      "quantities": ["variance"], "gradients": true});
    let mut stream = http::begin(hub.address(), "POST", ROUTE, &[], body.to_string().as_bytes());
    assert_eq!(hub.get("/healthz").status, 200);
    let answer = http::read_answer(&mut stream, false);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("timeout")));
    // What was begun for it does not keep the next one waiting.
    let next = hub.post(ROUTE, &json!({"model": {"builtin": "kingman"}, "theta": [1.0]}));
    assert_eq!(next.status, 200, "{}", next.text());
}

#[test]
fn the_example_of_the_api_document_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let document: Value = serde_json::from_slice(&run(&["openapi"]).stdout).unwrap();
    let text = document["paths"][ROUTE]["post"]["description"].as_str().unwrap();
    let body = text.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
    let answer = hub.post(ROUTE, &serde_json::from_str(body).unwrap());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["results"][1]["values"]["expectation"], 0.8);
}

#[test]
fn the_examples_of_the_documentation_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let text = include_str!("../../docs/api.md");
    let examples: Vec<&str> = text.split("/v1/evaluate -H").skip(1).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    for example in examples {
        let body = example.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
        let answer = hub.post(ROUTE, &serde_json::from_str(body).unwrap());
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        let answer = answer.json();
        assert!(
            answer["results"].as_array().unwrap().iter().all(|one| one.get("error").is_none()),
            "{answer}"
        );
    }
}
