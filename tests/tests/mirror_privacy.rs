//! What becomes private upstream is private here, whatever becomes of its files.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::hub::{Hub, sync, token, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};
use serde_json::json;

#[test]
fn a_compute_that_becomes_private_upstream_is_hidden_although_its_new_file_cannot_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let (data, checkout) = (directory.path().join("hub-data"), directory.path().join("lab"));
    let (model, other) = (kingman(6), kingman(7));
    let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..])];
    write_directory(&checkout, &document(&[("theirs", entry(&model, &model.ptdprmc3))]), &files);
    let hub = Hub::start(&data);
    let pass = || {
        let output = sync(&data, checkout.to_str().unwrap(), &[]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(pass().contains("1 mirrored, 0 notes"));
    wait_until("it is served", || hub.get("/v1/computes/theirs").status == 200);

    let mut hidden = entry(&other, &other.ptdprmc3);
    hidden["metadata"]["hub"] = json!({"private": true});
    write_directory(&checkout, &document(&[("theirs", hidden)]), &[]);
    assert!(pass().contains("fetch_failed theirs"), "its new file is not there");
    wait_until("nobody sees it", || hub.get("/v1/computes/theirs").status == 404);
    assert!(!hub.get("/registry.json").text().contains("theirs"));
    assert_eq!(hub.get(&format!("/artifacts/{}.bin", model.hash)).status, 404);
}

#[test]
fn what_is_private_upstream_and_was_never_mirrored_is_in_no_count_for_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let (data, checkout) = (directory.path().join("hub-data"), directory.path().join("lab"));
    let [open, secret] = [kingman(6), kingman(7)];
    let private = |mut entry: serde_json::Value| {
        entry["metadata"]["hub"] = json!({"private": true});
        entry
    };
    let mut odd = private(entry(&secret, &secret.ptdprmc3));
    odd["graph_hash"] = json!("none");
    let entries = [
        ("open", entry(&open, &open.ptdprmc3)),
        ("secret", private(entry(&secret, &secret.ptdprmc3))),
        ("odd", odd),
    ];
    write_directory(&checkout, &document(&entries), &[]);
    let upstreams = format!(r#"[{{name = "lab", url = "{}", trust = "checked"}}]"#, checkout.display());
    let hub = Hub::start_with(&data, &[], &[("mirror_upstreams", &upstreams), ("rate_per_second", "0")]);
    let counts = |answer: serde_json::Value| {
        let upstream = &answer["upstreams"][0];
        [&upstream["unfetched"], &upstream["quarantined"], &upstream["last_pass"]["fault_count"]]
            .map(|count| count.as_u64().unwrap_or_default())
    };
    let admin = token(&data, "admin");
    let all = || counts(hub.get_as(&admin, "/v1/mirror").json());
    wait_until("a pass is over, of which an administrator sees all", || all() == [2, 1, 3]);
    assert_eq!(counts(hub.get("/v1/mirror").json()), [1, 0, 1]);
    let passes = hub.get("/v1/mirror/passes").json();
    assert_eq!(passes["passes"][0]["fault_count"], 1, "{passes}");
    let sent = |answer: &serde_json::Value| answer["upstreams"][0]["last_pass"].get("requests").is_some();
    let left = |answer: &serde_json::Value| answer["upstreams"][0].get("requests_left").is_some();
    let (everybody, whole) = (hub.get("/v1/mirror").json(), hub.get_as(&admin, "/v1/mirror").json());
    assert!(!sent(&everybody) && !left(&everybody), "files of private entries are asked for: {everybody}");
    assert!(sent(&whole) && left(&whole), "{whole}");
    assert!(passes["passes"][0].get("requests").is_none(), "{passes}");
    let metrics = || hub.get("/metrics").text().to_owned();
    wait_until("it is measured", || metrics().contains("phasic_hub_mirror_unfetched{upstream=\"lab\"} 1\n"));
    assert!(metrics().contains("phasic_hub_mirror_quarantined{upstream=\"lab\"} 0\n"), "{}", metrics());
    assert!(!hub.get("/").text().contains("2 more"));
}

#[test]
fn where_the_token_for_an_upstream_lies_is_nobody_elses_business() {
    let directory = tempfile::tempdir().unwrap();
    let (data, secret) = (directory.path().join("hub-data"), directory.path().join("secret-place"));
    std::fs::write(&secret, "token").unwrap();
    let upstreams = format!(
        r#"[{{name = "lab", url = "http://127.0.0.1:9/registry.json", trust = "checked", token_file = "{}"}}]"#,
        secret.display()
    );
    let hub = Hub::start_with(&data, &[], &[("mirror_upstreams", &upstreams)]);
    let admin = token(&data, "admin");
    std::fs::remove_file(&secret).unwrap();
    hub.administer(&admin, "/v1/mirror/sync", &json!({"upstreams": ["lab"]}));
    wait_until("a pass has failed for that", || {
        hub.get("/v1/mirror/passes").text().contains("token_unavailable")
    });
    for answer in
        [hub.get("/v1/mirror/passes"), hub.get_as(&admin, "/v1/mirror/passes"), hub.get("/v1/mirror")]
    {
        assert!(!answer.text().contains("secret-place"), "{}", answer.text());
    }
}
