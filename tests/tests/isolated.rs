//! Eliminations in processes of their own: what they get, and what their deaths do to the hub.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::{Hub, sync, token, wait_until};
use phasic_hub_tests::registry::{self, kingman};
use serde_json::{Value, json};

const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn start(data: &std::path::Path, settings: &[(&str, &str)]) -> Hub {
    let mut all = vec![EVERYBODY, ("compute_threads", "1")];
    all.extend(settings);
    Hub::start_with(data, &["--isolated"], &all)
}

/// A model whose elimination takes long enough to be caught at it, and a hundred megabytes.
fn large() -> Value {
    json!({"builtin": "rabbits", "constants": {"n": 80}})
}

fn eliminate(hub: &Hub, body: &Value, wait: bool) -> Answer {
    let prefer: &[(&str, &str)] = if wait { &[("Prefer", "wait=50")] } else { &[] };
    http::send(hub.address(), "POST", "/v1/eliminations", prefer, body.to_string().as_bytes())
}

fn submit(hub: &Hub, body: &Value) -> String {
    let answer = eliminate(hub, body, false);
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job"]["id"].as_str().unwrap().to_owned()
}

fn job(hub: &Hub, id: &str) -> Value {
    hub.get(&format!("/v1/jobs/{id}")).json()
}

/// The process of an elimination, as /proc has it; only a path, because it may be gone at any time.
fn child(hub: &Hub) -> Option<PathBuf> {
    child_that(hub, "eliminate")
}

/// A process that does what this word says.
fn child_that(hub: &Hub, word: &str) -> Option<PathBuf> {
    let does_it = |path: &PathBuf| {
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).nth(1) == Some(word.as_bytes())
    };
    let parent = hub.process_id().to_string();
    let is_child = |path: &PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let of = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
        };
        of("PPid:").is_some_and(|id| id == parent)
            && of("State:").is_some_and(|state| !state.starts_with('Z'))
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes.filter(|path| path.join("exe").exists() && does_it(path)).find(is_child)
}

fn await_child(hub: &Hub) -> PathBuf {
    let mut found = None;
    wait_until("a job has a process", || {
        found = child(hub);
        found.is_some()
    });
    found.unwrap()
}

fn signal(child: &std::path::Path, name: &str) {
    let id = child.file_name().unwrap();
    // It may have ended by itself; then the test fails by what the job says.
    let _ = Command::new("kill").arg(format!("-{name}")).arg(id).status().unwrap();
}

/// Waits until a process is gone, and says how long that took.
fn gone(child: &std::path::Path) -> Duration {
    let begun = Instant::now();
    wait_until("the process is gone", || !is_there(child));
    begun.elapsed()
}

fn is_there(child: &std::path::Path) -> bool {
    let status = fs::read_to_string(child.join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn log(job: &Value) -> Vec<String> {
    job["log"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn results_are_those_of_the_hub_itself() {
    let (apart, within) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let isolated = start(apart.path(), &[]);
    let plain = Hub::start_with(within.path(), &[], &[EVERYBODY]);
    for variant in ["phasic", "fast", "plan"] {
        let body = json!({"model": {"builtin": "kingman", "constants": {"n": 9}}, "variant": variant});
        let (one, other) = (eliminate(&isolated, &body, true).json(), eliminate(&plain, &body, true).json());
        assert_eq!(one["job"]["state"], "done", "{one}");
        assert_eq!(one["artifact"]["sha256"], other["artifact"]["sha256"], "{one}");
        let actual = &one["job"]["actual"];
        assert_eq!(actual["commands"], other["job"]["actual"]["commands"], "{one}");
        assert!(actual["peak_memory_bytes"].as_u64().unwrap() > actual["artifact_bytes"].as_u64().unwrap());
    }
    let expected = Sha256::of(&kingman(9).ptdprmc3).to_string();
    let again = eliminate(&isolated, &json!({"model": {"builtin": "kingman", "constants": {"n": 9}}}), true);
    assert_eq!(again.json()["artifact"]["sha256"], expected);
}

#[test]
fn a_child_has_nothing_of_the_hubs_and_dies_with_its_job_and_with_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[]);
    let id = submit(&hub, &json!({"model": large()}));
    let process = await_child(&hub);
    signal(&process, "STOP");
    assert_eq!(fs::read(process.join("environ")).unwrap(), b"", "no secrets");
    for descriptor in fs::read_dir(process.join("fd")).unwrap() {
        let target = fs::read_link(descriptor.unwrap().path()).unwrap();
        // What whoever started the hub has left open for all is not the hub's.
        assert!(
            target.starts_with("/dev/null") || target.to_string_lossy().starts_with("pipe:"),
            "{target:?}"
        );
    }
    let cancelled = hub.request("DELETE", &format!("/v1/jobs/{id}"), &[]);
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    assert!(gone(&process) < Duration::from_secs(1));

    submit(&hub, &json!({"model": large(), "variant": "fast"}));
    let process = await_child(&hub);
    hub.signal("KILL");
    hub.ended();
    assert!(gone(&process) < Duration::from_secs(1));
}

#[test]
fn a_job_whose_process_dies_is_tried_three_times_and_then_kept_with_the_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[]);
    let id = submit(&hub, &json!({"model": large()}));
    for (attempt, (name, _)) in DEATHS.iter().enumerate() {
        wait_until("the attempt runs", || job(&hub, &id)["attempts"] == attempt + 1);
        let process = await_child(&hub);
        // The first SEGV only tells the handler of stack overflows that it was none.
        while is_there(&process) {
            signal(&process, name);
            thread::sleep(Duration::from_millis(5));
        }
    }
    wait_until("it is put away", || job(&hub, &id)["state"] == "quarantined");
    let kept = job(&hub, &id);
    let log = log(&kept).join("\n");
    for (_, said) in DEATHS {
        assert!(log.contains(said), "{said}: {log}");
    }
    let alive = eliminate(&hub, &json!({"model": {"builtin": "kingman", "constants": {"n": 4}}}), true);
    assert_eq!(alive.json()["job"]["state"], "done", "the hub lives");
}

/// Ends that a process does not choose, and how the log names them.
const DEATHS: [(&str, &str); 3] = [("KILL", "signal: 9"), ("SEGV", "signal: 11"), ("ABRT", "signal: 6")];

#[test]
fn a_graph_that_needs_more_memory_than_its_process_may_take_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[("compute_isolated_memory_bytes", "50000000")]);
    let poison = eliminate(&hub, &json!({"model": large()}), true).json();
    let kept = job(&hub, poison["job"]["id"].as_str().unwrap());
    // Where the engine asks for memory with care it says so itself; elsewhere the process is ended by its allocator.
    let expected = match kept["state"].as_str().unwrap() {
        "failed" => "memory",
        "quarantined" => "signal: 6 (SIGABRT) (core dumped): memory allocation of",
        other => panic!("{other}: {kept}"),
    };
    let error = kept["error"].as_str().unwrap();
    assert!(
        error.contains(expected) || error.contains("signal: 6 (SIGABRT): memory allocation of"),
        "{kept}"
    );
    let small = eliminate(&hub, &json!({"model": {"builtin": "kingman", "constants": {"n": 4}}}), true);
    assert_eq!(small.json()["job"]["state"], "done", "{}", small.text());
}

#[test]
fn a_process_that_never_ends_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[]);
    let id = submit(&hub, &json!({"model": large(), "timeout_seconds": 1}));
    let process = await_child(&hub);
    signal(&process, "STOP");
    wait_until("it has failed", || job(&hub, &id)["state"] == "failed");
    gone(&process);
    let ended = job(&hub, &id);
    assert!(ended["error"].as_str().unwrap().contains("longer than the 1 s"), "{ended}");
    assert_eq!((&ended["attempts"], &ended["timeout_seconds"]), (&json!(1), &json!(1)));
}

#[test]
fn a_hub_that_stops_in_good_order_takes_its_processes_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[]);
    let id = submit(&hub, &json!({"model": large()}));
    let process = await_child(&hub);
    signal(&process, "STOP");
    assert!(hub.stop().status.success());
    assert!(gone(&process) < Duration::from_secs(1));
    let hub = start(directory.path(), &[]);
    wait_until("it is done", || {
        thread::sleep(Duration::from_millis(50));
        job(&hub, &id)["state"] == "done"
    });
    assert_eq!(job(&hub, &id)["attempts"], 1, "a stop in good order costs no attempt");
}

#[test]
fn files_are_compared_and_made_again_in_processes_of_their_own_too() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[("verification_busy_percent", "100")]);
    let made = eliminate(&hub, &json!({"model": large()}), true).json();
    let (digest, hash) =
        (made["artifact"]["sha256"].as_str().unwrap(), made["graph"]["graph_hash"].as_str().unwrap());
    let mut process = None;
    wait_until("it is compared in a process", || {
        process = child_that(&hub, "compare");
        process.is_some()
    });
    // One that dies decides nothing about the file, and is followed by another.
    signal(&process.unwrap(), "KILL");
    let id = format!("computed-{}-{}", &hash[..16], made["graph"]["definition"].as_str().unwrap());
    let target = format!("/v1/computes/{id}/verification");
    wait_until("it is listed", || hub.get(&target).status == 200);
    let authorization = format!("Bearer {}", token(directory.path(), "admin"));
    let again = http::send(hub.address(), "POST", &target, &[("Authorization", &authorization)], b"");
    assert!(again.status < 300, "{}", again.text());
    wait_until("it is verified", || hub.get(&target).json()["verdict"] == "reproduced");

    let file = directory.path().join("blobs/sha256").join(&digest[..2]).join(digest);
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let artifact = format!("/artifacts/{hash}.bin?sha256={digest}");
    assert_eq!(hub.get(&artifact).status, 503);
    let process = await_child(&hub);
    assert_eq!(fs::read(process.join("environ")).unwrap_or_default(), b"", "no secrets");
    wait_until("it is made again", || hub.get(&artifact).body == bytes);
}

/// Gives the hub, and with it the processes it starts from now on, so much room for stacks.
fn limit_stacks(hub: &Hub, bytes: &str) {
    let process = hub.process_id().to_string();
    let set =
        Command::new("prlimit").args(["--pid", &process, &format!("--stack={bytes}:")]).status().unwrap();
    assert!(set.success());
}

#[test]
fn a_process_that_overflows_its_stack_costs_three_attempts_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let hub = start(directory.path(), &[]);
    // As little as lets a process begin; an elimination needs more.
    limit_stacks(&hub, "32768");
    let kingman = |n: u32| json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    let poison = eliminate(&hub, &kingman(40), true).json();
    let kept = job(&hub, poison["job"]["id"].as_str().unwrap());
    assert_eq!((&kept["state"], &kept["attempts"]), (&json!("quarantined"), &json!(3)), "{kept}");
    let said = log(&kept).join("\n");
    let is_overflow = said.contains("overflowed its stack") || said.contains("signal: 11");
    assert!(is_overflow, "{said}");
    assert_eq!(hub.get("/healthz").status, 200);
    limit_stacks(&hub, "8388608");
    let done = eliminate(&hub, &kingman(41), true);
    assert_eq!(done.json()["job"]["state"], "done", "{}", done.text());
}

#[test]
fn what_is_mirrored_of_a_graph_of_the_hubs_own_is_compared_in_a_process_of_its_own_too() {
    let directory = tempfile::tempdir().unwrap();
    let (checkout, model) = (directory.path().join("lab"), registry::model("coal_n10_theta1"));
    let document = registry::document(&[("theirs", registry::entry(&model, &model.ptdprmc1))]);
    let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc1[..])];
    registry::write_directory(&checkout, &document, &files);
    let pass = |data: &str, memory_bytes: &str| {
        let settings = [("compute_isolated", "true"), ("compute_isolated_memory_bytes", memory_bytes)];
        let output = sync(&directory.path().join(data), checkout.to_str().unwrap(), &settings);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    // So little that no process can begin: the comparison is made in one, or it would not mind.
    let refused = pass("small", "1000000");
    assert!(refused.contains("unverified theirs") && refused.contains("could not be compared"), "{refused}");
    let taken = pass("usual", "0");
    assert!(!taken.contains("theirs:") && !taken.contains("unverified"), "{taken}");
    let hub = Hub::start(&directory.path().join("usual"));
    assert_eq!(hub.get("/v1/computes/theirs").json()["graph_hash"], model.hash);
}
