//! What a real hub tells Prometheus, and its readers of logs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::http;
use phasic_hub_tests::hub::{Hub, run, sync, token, wait_until};
use phasic_hub_tests::registry;
use serde_json::{Value, json};

/// The value of a sample, named with its labels as they are written.
fn sample(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(rest.parse().unwrap())
}

#[test]
fn an_upstream_that_is_dropped_is_no_alarm_for_ever() {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = registry::kingman(4);
    let document = registry::document(&[("away", registry::entry(&model, &model.ptdprmc3))]);
    registry::write_directory(checkout.path(), &document, &[]);
    let hub = Hub::start(data.path());
    let level = |name: &str| {
        let metrics = hub.get("/metrics").text().to_owned();
        sample(&metrics, &format!("phasic_hub_mirror_{name}{{upstream=\"manual\"}}"))
    };
    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    wait_until("it is measured", || level("unfetched") == Some(1.0));
    let dropped = run(&["mirror", "drop", "manual", "--data", data.path().to_str().unwrap()]);
    assert!(dropped.status.success(), "{}", String::from_utf8_lossy(&dropped.stderr));
    wait_until("nothing is missing of it", || level("unfetched") == Some(0.0));
    assert_eq!(level("lag_seconds"), Some(0.0));
}

#[test]
fn metrics_count_requests_bytes_openings_and_the_age_of_the_mirror() {
    let (data, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = registry::kingman(4);
    let path = format!("artifacts/{}.bin", model.hash);
    let document = registry::document(&[("mine", registry::entry(&model, &model.ptdprmc3))]);
    registry::write_directory(checkout.path(), &document, &[(path.clone(), &model.ptdprmc3)]);
    let hub = Hub::start(data.path());
    let before = hub.get("/metrics");
    assert_eq!(before.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let before = before.text();
    assert_eq!(sample(before, "phasic_hub_ready"), Some(1.0));
    assert_eq!(
        sample(before, "phasic_hub_mirror_lag_seconds{upstream=\"manual\"}"),
        None,
        "nothing was mirrored"
    );
    let computes = sample(before, "phasic_hub_computes").unwrap();
    let blobs = sample(before, "phasic_hub_blobs").unwrap();
    assert!(computes >= 5.0 && blobs >= 5.0, "{computes} computes, {blobs} blobs");

    assert!(sync(data.path(), checkout.path().to_str().unwrap(), &[]).status.success());
    phasic_hub_tests::hub::wait_until("the pass is served", || hub.get(&format!("/{path}")).status == 200);
    assert_eq!(hub.get(&format!("/{path}")).body, model.ptdprmc3);
    assert_eq!(hub.request("BREW", "/pot", &[]).status, 404);
    for _ in 0..3 {
        assert_eq!(hub.request("GET", "/registry.json", &[("If-None-Match", "*")]).status, 304);
    }
    let after = hub.get("/metrics");
    let after = after.text();
    assert_eq!(sample(after, "phasic_hub_computes"), Some(computes + 1.0));
    assert!(
        (0.0..600.0).contains(&sample(after, "phasic_hub_mirror_lag_seconds{upstream=\"manual\"}").unwrap())
    );
    assert_eq!(sample(after, "phasic_hub_mirror_quarantined{upstream=\"manual\"}"), Some(0.0));
    let route = "route=\"/artifacts/{name}\"";
    let answered = format!("phasic_hub_http_requests_total{{method=\"GET\",{route},status=\"200\"}}");
    assert_eq!(sample(after, &answered), Some(2.0), "{after}");
    let unchanged = "phasic_hub_http_requests_total{method=\"GET\",route=\"/registry.json\",status=\"304\"}";
    assert_eq!(sample(after, unchanged), Some(3.0), "{after}");
    let timed = "phasic_hub_http_request_seconds_count{route=\"/registry.json\"}";
    assert_eq!(sample(after, timed), Some(3.0), "{after}");
    let lost = "phasic_hub_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}";
    assert_eq!(sample(after, lost), Some(1.0), "methods and paths of clients are no labels");
    assert_eq!(sample(after, "phasic_hub_http_requests_in_flight"), Some(1.0), "this one");
    let openings = "phasic_hub_blob_openings_total{digest=\"hashed\"}";
    let sent_bytes = format!("phasic_hub_http_sent_bytes_total{{{route}}}");
    for hidden in [openings, &sent_bytes] {
        assert_eq!(sample(after, hidden), None, "they count what is private, too");
    }
    let all = hub.get_as(&token(data.path(), "read"), "/metrics");
    assert!(sample(all.text(), openings).unwrap() >= 1.0);
    let sent = sample(all.text(), &sent_bytes).unwrap();
    assert!(sent >= 2.0 * model.ptdprmc3.len() as f64, "{sent}");
    assert!(after.contains("phasic_hub_http_request_seconds_bucket{route=\"/readyz\",le=\"0.001\"}"));
}

#[test]
fn metrics_count_jobs_and_plans_and_tell_everybody_only_of_what_is_everybodys() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("access_anonymous", "compute")]);
    let compute = token(data.path(), "compute");
    let all = token(data.path(), "read");
    let model = |n: u32| json!({"builtin": "kingman", "constants": {"n": n}});
    for (n, private) in [(6, false), (7, false), (8, true)] {
        let body = json!({"model": model(n), "variant": "plan", "private": private}).to_string();
        let bearer = format!("Bearer {compute}");
        let headers = [("Prefer", "wait=60"), ("Authorization", bearer.as_str())];
        let answer = http::send(hub.address(), "POST", "/v1/eliminations", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for _ in 0..3 {
        assert_eq!(hub.post("/v1/evaluate", &json!({"model": model(9), "theta": [1.0]})).status, 200);
    }
    let public = hub.get("/metrics");
    let public = public.text();
    assert_eq!(sample(public, "phasic_hub_jobs{state=\"done\"}"), Some(2.0), "{public}");
    assert_eq!(sample(public, "phasic_hub_jobs{state=\"running\"}"), Some(0.0));
    assert_eq!(sample(public, "phasic_hub_queue_age_seconds"), Some(0.0));
    for hidden in ["phasic_hub_all_jobs", "phasic_hub_plans_total", "phasic_hub_plan_cache_bytes"] {
        assert!(!public.contains(hidden), "{hidden} counts what is private, too");
    }
    let seen = hub.get_as(&all, "/metrics");
    let seen = seen.text();
    assert_eq!(sample(seen, "phasic_hub_all_jobs{state=\"done\"}"), Some(3.0), "{seen}");
    assert_eq!(sample(seen, "phasic_hub_plans_total{found=\"made\"}"), Some(1.0));
    assert_eq!(sample(seen, "phasic_hub_plans_total{found=\"kept\"}"), Some(2.0));
    assert!(sample(seen, "phasic_hub_plan_cache_bytes").unwrap() > 0.0);
}

#[test]
fn json_logs_name_the_request_that_the_problem_names() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("log_format", "json"), ("log_filter", "debug")]);
    let answer = hub.get("/nowhere");
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(answer.json()["request_id"], id.as_str());
    assert_eq!(hub.get("/healthz").header("x-request-id").map(str::is_empty), Some(false));
    let log = hub.stop().log;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["span"]["id"] == id.as_str()).unwrap();
    assert_eq!((&line["fields"]["message"], &line["fields"]["status"]), (&"answered".into(), &404.into()));
}
