//! Cancelled jobs stop computing within a second: each variant, on the threads of the hub and in a process of its own.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::thread;
use std::time::{Duration, Instant};

use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::{Hub, wait_until};
use serde_json::{Value, json};

const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn ask(hub: &Hub, body: &Value) -> Answer {
    http::send(hub.address(), "POST", "/v1/eliminations", &[], body.to_string().as_bytes())
}

fn job(hub: &Hub, id: &str) -> Value {
    hub.get(&format!("/v1/jobs/{id}")).json()
}

/// Cancels a job of each variant some time after it was begun, and sees how soon its thread is there for another one.
fn cancels(arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), arguments, &[EVERYBODY, ("compute_threads", "1")]);
    // Sizes that take each of them a second or more.
    for (place, (variant, size)) in [("phasic", 80), ("fast", 260), ("plan", 500)].into_iter().enumerate() {
        for after in [20, 400] {
            let large = json!({"builtin": "rabbits", "constants": {"n": size}});
            let body = json!({"model": large, "variant": variant});
            let submitted = ask(&hub, &body);
            assert_eq!(submitted.status, 202, "{}", submitted.text());
            let id = submitted.json()["job"]["id"].as_str().unwrap().to_owned();
            wait_until("it runs", || job(&hub, &id)["state"] == "running");
            let n = 3 + 2 * place + usize::from(after > 100);
            let small = json!({"model": {"builtin": "kingman", "constants": {"n": n}}, "variant": "plan"});
            let next = ask(&hub, &small).json()["job"]["id"].as_str().unwrap().to_owned();
            thread::sleep(Duration::from_millis(after));
            let begun = Instant::now();
            let cancelled = hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]);
            assert_eq!(
                cancelled.json()["state"],
                "cancelled",
                "{variant} after {after} ms: {}",
                cancelled.text()
            );
            wait_until("the next one is begun", || job(&hub, &next)["state"] != "queued");
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{variant} after {after} ms: {:?}",
                begun.elapsed()
            );
            wait_until("it is done", || job(&hub, &next)["state"] == "done");
            assert!(job(&hub, &id).get("artifact").is_none());
        }
    }
}

#[test]
fn on_the_threads_of_the_hub() {
    cancels(&[]);
}

#[test]
fn in_a_process_of_its_own() {
    cancels(&["--isolated"]);
}
