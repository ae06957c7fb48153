//! What becomes of jobs: their places, events, ends and survival.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::thread;

use phasic_hub_api::Sha256;
use phasic_hub_tests::http::{self};
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::registry::kingman;
use serde_json::{Value, json};

use super::{EVERYBODY, code, eliminate, job, large, model, path};

#[test]
fn a_page_of_jobs_begins_where_the_one_before_ended_though_that_job_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    for n in 2..5 {
        eliminate(&hub, &json!({"model": model(n)}), true);
    }
    let first = hub.get("/v1/jobs?limit=1").json();
    let next = first["next"].as_str().unwrap().to_owned();
    let rest = |hub: &Hub| hub.get(&format!("/v1/jobs?cursor={next}")).json()["jobs"].take();
    let expected = rest(&hub);
    assert_eq!(expected.as_array().unwrap().len(), 2);
    drop(hub);
    let gone = first["jobs"][0]["id"].as_str().unwrap();
    phasic_hub_tests::database::execute(directory.path(), &format!("DELETE FROM jobs WHERE id = '{gone}'"));
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let found = rest(&hub);
    let ids = |jobs: &Value| jobs.as_array().unwrap().iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&expected));
}

#[test]
fn the_events_of_a_job_end_with_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY]);
    let submitted = eliminate(&hub, &json!({"model": large()}), false);
    assert_eq!(submitted.status, 202, "{}", submitted.text());
    let location = submitted.header("location").unwrap().to_owned();
    let target = format!("{}/events", path(&hub, &Value::from(location)));
    let answer = hub.get(&target);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let data = answer.text().lines().filter_map(|line| line.strip_prefix("data: "));
    let jobs: Vec<Value> = data.map(|text| serde_json::from_str(text).unwrap()).collect();
    let last = jobs.last().unwrap();
    assert_eq!(last["state"], "done", "{last}");
    assert_eq!(last["artifact"]["size_bytes"], last["forecast"]["artifact_bytes"], "forecasts are exact");
    assert_eq!(jobs.iter().filter(|job| job["state"] == "done").count(), 1);
}

/// Holds up a job for as long as it lives: the bytes of its result are there already, as those of a reference compute,
/// and the job waits for the lock of the blob store before it makes their file young again.
struct Hold(fs::File);

impl Hold {
    fn take(data: &Path) -> Self {
        let file = fs::File::create(data.join("blobs/lock")).unwrap();
        file.lock().unwrap();
        Self(file)
    }

    fn release(self) {
        self.0.unlock().unwrap();
    }
}

/// A model whose job a [`Hold`] holds up.
fn held() -> Value {
    json!({"model": model(5)})
}

/// Submits the job that is held up, and waits until it is running.
fn running(hub: &Hub) -> String {
    let submitted = eliminate(hub, &held(), false).json();
    let id = submitted["job"]["id"].as_str().unwrap().to_owned();
    wait_until("it runs", || job(hub, &id)["state"] == "running");
    id
}

#[test]
fn a_running_job_is_cancelled_and_others_follow() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY, ("compute_threads", "1")]);
    let hold = Hold::take(directory.path());
    let id = running(&hub);
    let small = eliminate(&hub, &json!({"model": model(4)}), false).json()["job"]["id"].clone();
    let cancelled = hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]);
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    hold.release();
    wait_until("the next one is done", || job(&hub, small.as_str().unwrap())["state"] == "done");
    let after = job(&hub, &id);
    assert_eq!(after["state"], "cancelled");
    assert!(after.get("artifact").is_none());
    let lines: Vec<_> = after["log"].as_array().unwrap().iter().map(|line| line["text"].clone()).collect();
    assert_eq!(lines, ["submitted", "attempt 1 of 3 begun", "cancelled"]);
}

#[test]
fn jobs_survive_a_killed_hub_and_one_that_kills_it_is_put_away() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [EVERYBODY, ("compute_threads", "1")];
    let mut hub = Hub::start_with(directory.path(), &[], &settings);
    let hold = Hold::take(directory.path());
    let id = running(&hub);
    let small = eliminate(&hub, &json!({"model": model(4)}), false).json()["job"]["id"].clone();
    let small = small.as_str().unwrap();
    for attempt in 1..=3 {
        wait_until("it runs again", || {
            let job = job(&hub, &id);
            job["state"] == "running" && job["attempts"] == attempt
        });
        assert_eq!(job(&hub, small)["state"], "queued");
        assert_eq!(job(&hub, small)["position"], 0);
        hub.signal("KILL");
        hub.ended();
        hub = Hub::start_with(directory.path(), &[], &settings);
    }
    wait_until("it is put away", || job(&hub, &id)["state"] == "quarantined");
    assert_eq!(job(&hub, &id)["log"].as_array().unwrap().len(), 7);
    wait_until("the other is done", || job(&hub, small)["state"] == "done");
    let again = eliminate(&hub, &held(), false);
    assert_eq!((again.status, &again.json()["job"]["state"]), (200, &json!("quarantined")));
    assert_eq!(hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]).status, 200);
    hold.release();
    let anew = eliminate(&hub, &held(), true).json();
    assert_eq!(anew["job"]["state"], "done", "{anew}");
}

#[test]
fn a_stopped_hub_lets_go_of_those_who_wait_and_goes_on_later() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [EVERYBODY, ("compute_threads", "1")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let hold = Hold::take(directory.path());
    let id = running(&hub);
    let mut stream = http::begin(hub.address(), "GET", &format!("/v1/jobs/{id}/events"), &[], b"");
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    hub.signal("TERM");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("event: job"));
    hold.release();
    assert!(hub.ended().status.success());
    let hub = Hub::start_with(directory.path(), &[], &settings);
    wait_until("it is done", || job(&hub, &id)["state"] == "done");
    assert_eq!(job(&hub, &id)["attempts"], 1, "a stop in good order costs no attempt");
}

#[test]
fn what_is_asked_of_a_job_is_kept_within_the_askers_right() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [EVERYBODY, ("compute_threads", "1"), ("compute_job_timeout_ms", "5000")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let high = json!({"model": model(4), "priority": "high"});
    assert_eq!(code(&eliminate(&hub, &high, false)), (403, "scope_missing".to_owned()));
    let never = json!({"model": model(4), "timeout_seconds": 0});
    assert_eq!(code(&eliminate(&hub, &never, false)), (400, "invalid_request".to_owned()));
    let hold = Hold::take(directory.path());
    running(&hub);
    let low = json!({"model": model(3), "priority": "low", "timeout_seconds": 3});
    let (low, normal) =
        (eliminate(&hub, &low, false).json(), eliminate(&hub, &json!({"model": model(4)}), false));
    let (low, normal) = (low["job"].clone(), normal.json()["job"].clone());
    assert_eq!((&low["priority"], &low["timeout_seconds"]), (&json!("low"), &json!(3)));
    assert_eq!((&normal["priority"], &normal["timeout_seconds"]), (&json!("normal"), &json!(5)));
    assert_eq!(normal["position"], 0, "before the one that has time");
    assert_eq!(job(&hub, low["id"].as_str().unwrap())["position"], 1);
    hold.release();
}

#[test]
fn who_joins_a_running_job_waits_for_it_and_gives_it_as_long_as_he_would_have() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY, ("compute_threads", "1")]);
    let hold = Hold::take(directory.path());
    let ask = |options: Value| {
        let mut body = held();
        body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        body
    };
    let first = eliminate(&hub, &ask(json!({"priority": "low", "timeout_seconds": 30})), false);
    assert_eq!(first.status, 202, "{}", first.text());
    let id = first.json()["job"]["id"].as_str().unwrap().to_owned();
    wait_until("it runs", || job(&hub, &id)["state"] == "running");
    for (options, seconds) in [(json!({"timeout_seconds": 40}), 40), (json!({"timeout_seconds": 5}), 40)] {
        let joined = eliminate(&hub, &ask(options), false);
        assert_eq!((joined.status, &joined.json()["job"]["id"]), (202, &json!(id)), "{}", joined.text());
        assert_eq!(joined.json()["job"]["timeout_seconds"], seconds);
        assert_eq!(joined.json()["job"]["priority"], "normal", "should it be tried again");
    }
    let other = eliminate(&hub, &ask(json!({"variant": "fast"})), false).json();
    assert_ne!(other["job"]["id"], id.as_str(), "another variant is another elimination");
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| eliminate(&hub, &ask(json!({"timeout_seconds": 7})), true));
        thread::sleep(std::time::Duration::from_millis(200));
        assert!(!waiting.is_finished(), "it is not done yet");
        hold.release();
        waiting.join().unwrap()
    });
    assert_eq!((waiting.status, &waiting.json()["job"]["state"]), (200, &json!("done")));
    assert_eq!(waiting.json()["artifact"]["sha256"], Sha256::of(&kingman(5).ptdprmc3).to_string());
}

#[test]
fn a_full_queue_says_so_and_takes_those_who_ask_for_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let limit = ("compute_max_queued_per_client", "2");
    let hub = Hub::start_with(directory.path(), &[], &[EVERYBODY, ("compute_threads", "1"), limit]);
    let hold = Hold::take(directory.path());
    running(&hub);
    let ask = |n: i64| eliminate(&hub, &json!({"model": model(n)}), false);
    assert_eq!((ask(3).status, ask(4).status), (202, 202));
    let full = ask(6);
    assert_eq!(code(&full), (429, "too_many_jobs".to_owned()));
    assert!(full.json()["detail"].as_str().unwrap().contains("compute.max_queued_per_client"));
    assert!(full.header("retry-after").is_some());
    assert_eq!(ask(3).status, 202, "asking again is asking for the same");
    hold.release();
    wait_until("there is room", || ask(6).status == 202);
}
