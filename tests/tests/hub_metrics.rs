//! What a real hub tells Prometheus, and its readers of logs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::hub::{Hub, sync, token};
use phasic_hub_tests::registry;
use serde_json::Value;

/// The value of a sample, named with its labels as they are written.
fn sample(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(rest.parse().unwrap())
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
    let sent = sample(after, &format!("phasic_hub_http_sent_bytes_total{{{route}}}")).unwrap();
    assert!(sent >= 2.0 * model.ptdprmc3.len() as f64, "{sent}");
    let lost = "phasic_hub_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}";
    assert_eq!(sample(after, lost), Some(1.0), "methods and paths of clients are no labels");
    assert_eq!(sample(after, "phasic_hub_http_requests_in_flight"), Some(1.0), "this one");
    let openings = "phasic_hub_blob_openings_total{digest=\"hashed\"}";
    assert_eq!(sample(after, openings), None, "they count what is private, too");
    let all = hub.get_as(&token(data.path(), "read"), "/metrics");
    assert!(sample(all.text(), openings).unwrap() >= 1.0);
    assert!(after.contains("phasic_hub_http_request_seconds_bucket{route=\"/readyz\",le=\"0.001\"}"));
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
