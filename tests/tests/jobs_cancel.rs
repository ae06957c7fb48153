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
    // Sizes that take a second or more on most machines, and larger ones for others.
    let mut samples = 3_u64..;
    for (variant, size) in [("phasic", 80), ("fast", 260), ("plan", 500)] {
        for (size, after) in [(size, 20), (size + 1, 250)] {
            let sizes = [size, size * 5 / 4, size * 3 / 2];
            let was_cancelled = sizes.into_iter().zip(&mut samples).any(|(size, n)| {
                let large = json!({"builtin": "rabbits", "constants": {"n": size}});
                is_cancelled(&hub, variant, &large, n, after)
            });
            assert!(was_cancelled, "{variant}: whatever its size, it was done within {after} ms");
        }
    }
}

/// Cancels a job so many milliseconds after it was begun, while a small one waits for its thread. Whether it was not done
/// by then.
fn is_cancelled(hub: &Hub, variant: &str, large: &Value, small: u64, after: u64) -> bool {
    let submit = |model: &Value, variant: &str| {
        let submitted = ask(hub, &json!({"model": model, "variant": variant}));
        assert_eq!(submitted.status, 202, "{}", submitted.text());
        submitted.json()["job"]["id"].as_str().unwrap().to_owned()
    };
    let id = submit(large, variant);
    wait_until("it runs", || job(hub, &id)["state"] != "queued");
    let next = submit(&json!({"builtin": "kingman", "constants": {"n": small}}), "plan");
    thread::sleep(Duration::from_millis(after));
    let begun = Instant::now();
    let cancelled = hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]);
    if cancelled.status == 409 {
        assert_eq!(job(hub, &id)["state"], "done", "{variant} after {after} ms: {}", cancelled.text());
        return false;
    }
    assert_eq!(cancelled.json()["state"], "cancelled", "{variant} after {after} ms: {}", cancelled.text());
    wait_until("the next one is begun", || job(hub, &next)["state"] != "queued");
    assert!(begun.elapsed() < Duration::from_secs(1), "{variant} after {after} ms: {:?}", begun.elapsed());
    wait_until("it is done", || job(hub, &next)["state"] == "done");
    assert!(job(hub, &id).get("artifact").is_none());
    true
}

#[test]
fn on_the_threads_of_the_hub() {
    cancels(&[]);
}

#[test]
fn in_a_process_of_its_own() {
    cancels(&["--isolated"]);
}
