//! Graphs, eliminations and jobs of a real hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::thread;

use phasic_engine::artifact::{Evidence, verify};
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{self, Limits};
use phasic_hub_api::Sha256;
use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::registry::{Model, kingman};
use serde_json::{Value, json};

/// Lets everybody compute. Who else may is the matter of `hub_access`.
const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn model(n: i64) -> Value {
    json!({"builtin": "kingman", "constants": {"n": n}})
}

/// A model whose elimination takes a moment: 180 thousand commands, made, read back, written and synced.
fn large() -> Value {
    json!({"builtin": "rabbits", "constants": {"n": 40}})
}

fn eliminate(hub: &Hub, body: &Value, wait: bool) -> Answer {
    let prefer: &[(&str, &str)] = if wait { &[("Prefer", "wait=25")] } else { &[] };
    http::send(hub.address(), "POST", "/v1/eliminations", prefer, body.to_string().as_bytes())
}

fn job(hub: &Hub, id: &str) -> Value {
    let answer = hub.get(&format!("/v1/jobs/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}

/// The path of an absolute URL of the hub.
fn path(hub: &Hub, url: &Value) -> String {
    url.as_str().unwrap().strip_prefix(&format!("http://{}", hub.address())).unwrap().to_owned()
}

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

/// All items of a list that comes in pages.
fn paged(hub: &Hub, at: &str, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hub.get(&format!("{at}{cursor}")).json();
        items.extend(page[list].as_array().unwrap().clone());
        match page.get("next") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return items,
        }
    }
}

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
