//! Listing and showing computes.

use phasic_hub_client::blocking;
use phasic_hub_client::hub::{Compute, HubClient, ListFilter};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const HASHES: [&str; 3] = [
    "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6",
    "2c6488c6486ae2d2285f08c0c224dbb72e70c044127fa18acb0c39ea5dd8efd3",
    "3ef62dc537743eaea876cc45b24552befdb28caf72eb943b8e1fd1286bcbd3e2",
];

fn entry(hash: &str, metadata: &serde_json::Value) -> serde_json::Value {
    let parent = serde_json::json!({
        "cid_or_path": format!("artifacts/{hash}.bin"), "sha256": "0".repeat(64), "size_bytes": 5064
    });
    serde_json::json!({
        "graph_hash": hash, "format_revision": 3, "artifacts": {"parent": parent, "scc": []}, "metadata": metadata
    })
}

async fn hub() -> MockServer {
    let mut retracted =
        entry(HASHES[1], &serde_json::json!({"description": "withdrawn", "domain": "queueing"}));
    retracted["retracted"] = true.into();
    let registry = serde_json::json!({"version": "2.0", "format": "ptd_pcg", "computes": {
        "coal_n5": entry(HASHES[0], &serde_json::json!({
            "description": "Kingman coalescent", "domain": "population-genetics", "model_type": "coalescent",
            "tags": ["kingman", "basic"]})),
        "old_queue": retracted,
        "queue": entry(HASHES[1], &serde_json::json!({"description": "One server", "domain": "queueing"})),
        "broken": {"graph_hash": HASHES[2]},
    }});
    let server = MockServer::start().await;
    Mock::given(path("/registry.json"))
        .respond_with(ResponseTemplate::new(200).set_body_json(registry))
        .mount(&server)
        .await;
    server
}

fn ids(computes: &[Compute]) -> Vec<&str> {
    computes.iter().map(|compute| compute.id.as_str()).collect()
}

#[tokio::test]
async fn filters_select_by_domain_type_all_tags_and_text() {
    let server = hub().await;
    let client = HubClient::new(server.uri()).unwrap();
    let some = |text: &str| Some(text.to_owned());
    let all = ListFilter::default();
    for (filter, expected) in [
        (all.clone(), vec!["coal_n5", "queue"]),
        (ListFilter { domain: some("queueing"), ..all.clone() }, vec!["queue"]),
        (ListFilter { model_type: some("coalescent"), ..all.clone() }, vec!["coal_n5"]),
        (ListFilter { tags: vec!["kingman".into(), "basic".into()], ..all.clone() }, vec!["coal_n5"]),
        (ListFilter { tags: vec!["kingman".into(), "other".into()], ..all.clone() }, vec![]),
        (ListFilter { search: some("KINGMAN"), ..all.clone() }, vec!["coal_n5"]),
        (ListFilter { search: some("server"), ..all.clone() }, vec!["queue"]),
        (ListFilter { search: some("basi"), ..all.clone() }, vec!["coal_n5"]),
        (ListFilter { search: some("n5"), domain: some("queueing"), ..all }, vec![]),
    ] {
        assert_eq!(ids(&client.list(&filter).await.unwrap()), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_compute_is_shown_by_id_or_hash_and_a_retracted_one_by_id_only() {
    let server = hub().await;
    let client = HubClient::new(server.uri()).unwrap();
    assert_eq!(client.show("coal_n5").await.unwrap().unwrap().entry.graph_hash.to_string(), HASHES[0]);
    assert_eq!(client.show(HASHES[1]).await.unwrap().unwrap().id.as_str(), "queue");
    assert!(client.show("old_queue").await.unwrap().unwrap().entry.retracted);
    assert_eq!(client.show("nothing").await.unwrap(), None);
}

#[tokio::test]
async fn an_unusable_entry_is_reported_and_hides_nothing_else() {
    let server = hub().await;
    let registry = HubClient::new(server.uri()).unwrap().registry().await.unwrap();
    let faults: Vec<_> = registry.faults().map(ToString::to_string).collect();
    assert_eq!(faults, ["\"broken\": artifacts is missing"]);
    assert_eq!(registry.document().computes().len(), 3);
}

#[test]
fn the_blocking_client_lists_without_a_runtime_of_its_caller() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(hub());
    let client = blocking::HubClient::new(server.uri()).unwrap();
    assert_eq!(ids(&client.list(&ListFilter::default()).unwrap()), ["coal_n5", "queue"]);
    assert!(client.show("queue").unwrap().is_some());
}
