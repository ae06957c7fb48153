//! Pulling from a hub that lies, and what must then not happen.

use phasic_engine::graph::Graph;
use phasic_hub_api::Sha256;
use phasic_hub_client::hub::{HubClient, PullError};
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::VerificationError;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::lab::{Lab, entry, forks, kingman, names, ptdprmc3};
use crate::wire::{Wire, announcing};

/// Pulls from a hub that serves `bytes` under the truth of `entry`; the pull must fail and install nothing.
async fn refusal(graph: &Graph, entry: Value, bytes: Vec<u8>) -> PullError {
    let lab = Lab::with(Some(entry)).await;
    lab.serve(&format!("/artifacts/{}.bin", graph.content_hash()), bytes).await;
    let error = lab.client().pull(graph, false).await.unwrap_err();
    assert_eq!(lab.installed().len(), 0, "{error}");
    let text = error.to_string();
    assert!(text.contains("administrator") || text.contains("update it"), "no advice in: {text}");
    error
}

#[tokio::test]
async fn other_bytes_of_the_promised_size_are_refused() {
    let graph = kingman(5);
    let promised = ptdprmc3(&graph);
    for place in [0, 40, promised.len() / 2, promised.len() - 1] {
        let mut bytes = promised.clone();
        bytes[place] ^= 1;
        let error = refusal(&graph, entry(&graph, &promised), bytes.clone()).await;
        let PullError::Checksum { expected, found, .. } = error else { panic!("{error}") };
        assert_eq!((expected, found), (Sha256::of(&promised), Sha256::of(&bytes)));
    }
}

#[tokio::test]
async fn sizes_that_are_not_as_promised_are_refused() {
    let graph = kingman(5);
    let promised = ptdprmc3(&graph);
    let longer = [promised.as_slice(), b"x"].concat();
    let error = refusal(&graph, entry(&graph, &promised), longer).await;
    assert!(matches!(error, PullError::Size { found_bytes: None, .. }), "{error}");
    let error = refusal(&graph, entry(&graph, &promised), promised[1..].to_vec()).await;
    assert!(
        matches!(error, PullError::Size { found_bytes: Some(3295), expected_bytes: 3296, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn no_more_than_promised_is_read_of_an_endless_answer() {
    let graph = kingman(5);
    let promised = ptdprmc3(&graph);
    let chunk = [b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let endless = Wire::answering(vec![[head, chunk.repeat(512)].concat()]);
    let mut entry = entry(&graph, &promised);
    entry["artifacts"]["parent"]["cid_or_path"] = format!("{}/x.bin", endless.url()).into();
    let lab = Lab::with(Some(entry)).await;
    let error = lab.client().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::Size { found_bytes: None, .. }), "{error}");
}

#[tokio::test]
async fn an_absurd_size_is_refused_before_anything_is_asked_for() {
    let graph = kingman(5);
    let mut entry = entry(&graph, &ptdprmc3(&graph));
    entry["artifacts"]["parent"]["size_bytes"] = u64::MAX.into();
    let lab = Lab::with(Some(entry)).await;
    let error = lab.client().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::TooLarge { size_bytes: u64::MAX, .. }), "{error}");
    assert_eq!(lab.requests("/artifacts").await, 0);
}

#[tokio::test]
async fn a_body_cut_short_installs_nothing() {
    let graph = kingman(5);
    let promised = ptdprmc3(&graph);
    let cut = Wire::answering(vec![announcing(promised.len(), &promised[..1000])]);
    let mut entry = entry(&graph, &promised);
    entry["artifacts"]["parent"]["cid_or_path"] = format!("{}/x.bin", cut.url()).into();
    let lab = Lab::with(Some(entry)).await;
    let error = lab.client().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::Hub(_)), "{error}");
    assert_eq!(lab.installed().len(), 0);
}

#[tokio::test]
async fn bytes_as_promised_that_are_no_program_of_the_graph_are_refused() {
    let graph = kingman(5);
    let honest = ptdprmc3(&graph);
    let mut tampered = honest.clone();
    // The first operand slot of the second command: another slot, which makes another program.
    tampered[40 + 80 + 32] ^= 3;
    for bytes in [b"<html>not found</html>".to_vec(), b"PTDPRMC3".to_vec(), tampered, ptdprmc3(&kingman(6))] {
        let error = refusal(&graph, entry(&graph, &bytes), bytes.clone()).await;
        assert!(matches!(error, PullError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_program_for_another_order_of_edges_is_refused() {
    let [graph, other] = forks();
    let error = refusal(&graph, entry(&graph, &ptdprmc3(&other)), ptdprmc3(&other)).await;
    let PullError::Refused { source, .. } = error else { panic!("{error}") };
    assert!(matches!(*source, Refusal::Program(VerificationError::Differs { .. })), "{source}");
}

#[tokio::test]
async fn formats_from_the_future_are_refused_and_missing_revisions_are_not() {
    let graph = kingman(5);
    let mut newer = entry(&graph, &ptdprmc3(&graph));
    newer["format_revision"] = 4.into();
    let error = refusal(&graph, newer, ptdprmc3(&graph)).await;
    assert!(matches!(error, PullError::Revision { found: 4, .. }), "{error}");

    let mut silent = entry(&graph, &ptdprmc3(&graph));
    silent.as_object_mut().unwrap().remove("format_revision");
    let lab = Lab::with(Some(silent)).await;
    lab.serve(&format!("/artifacts/{}.bin", graph.content_hash()), ptdprmc3(&graph)).await;
    assert!(lab.client().pull(&graph, false).await.unwrap());
}

#[tokio::test]
async fn an_entry_without_checksum_or_with_a_hostile_component_name_is_refused_by_name() {
    let graph = kingman(5);
    let honest = entry(&graph, &ptdprmc3(&graph));
    let mut unsigned = honest.clone();
    unsigned["artifacts"]["parent"].as_object_mut().unwrap().remove("sha256");
    let hostile = ["../../../../tmp/x", "..\\x", "/etc/passwd", "%2e%2e%2fx", &"F".repeat(64), "a\0b", ""];
    let traversals = hostile.iter().map(|name| {
        let mut entry = honest.clone();
        entry["artifacts"]["scc"] =
            json!([{"cid_or_path": "artifacts/x.bin", "scc_hash": name, "sha256": "0".repeat(64), "size_bytes": 8}]);
        entry
    });
    for entry in traversals.chain([unsigned]) {
        let error = refusal(&graph, entry, ptdprmc3(&graph)).await;
        assert!(matches!(error, PullError::Entry(_)), "{error}");
        assert!(error.to_string().contains("the_compute"), "{error}");
    }
}

#[tokio::test]
async fn one_bad_component_keeps_everything_out() {
    let graph = kingman(5);
    let program = ptdprmc3(&graph);
    let components = phasic_engine::trace::component_graphs(&graph, &graph.unit_weights()).unwrap();
    let own = components[1].graph.content_hash();
    let mut entry = entry(&graph, &program);
    entry["artifacts"]["scc"] = json!([{
        "cid_or_path": format!("artifacts/scc_{own}.bin"), "scc_hash": own.to_string(),
        "sha256": Sha256::of(&program).to_string(), "size_bytes": program.len()}]);
    let lab = Lab::with(Some(entry)).await;
    lab.serve(&format!("/artifacts/{}.bin", graph.content_hash()), program.clone()).await;
    // An intact program, but the parent's instead of the component's.
    lab.serve(&format!("/artifacts/scc_{own}.bin"), program).await;
    let error = lab.client().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::Refused { .. }), "{error}");
    assert_eq!(lab.installed().len(), 0);
}

#[tokio::test]
async fn places_outside_of_the_registry_are_not_asked() {
    let graph = kingman(5);
    for location in
        ["../x.bin", "//127.0.0.1:1/x.bin", "file:///etc/passwd", "/artifacts/../../x.bin", "data:,x"]
    {
        let mut entry = entry(&graph, &ptdprmc3(&graph));
        entry["artifacts"]["parent"]["cid_or_path"] = location.into();
        let lab = Lab::with(Some(entry)).await;
        let address = format!("{}/lab/registry.json", lab.server.uri());
        let redirect = ResponseTemplate::new(307).insert_header("Location", "/registry.json");
        Mock::given(path("/lab/registry.json")).respond_with(redirect).mount(&lab.server).await;
        let client = HubClient::builder(address).cache(lab.cache()).build().unwrap();
        let error = client.pull(&graph, false).await.unwrap_err();
        assert!(matches!(error, PullError::Location { .. }), "{location}: {error}");
        assert_eq!(lab.server.received_requests().await.unwrap().len(), 2, "{location}");
        assert!(names(lab.root.path()).iter().all(|name| name == "phasic-hub"), "{location}");
    }
}

#[tokio::test]
async fn a_missing_artifact_is_the_hubs_trouble_and_installs_nothing() {
    let graph = kingman(5);
    let lab = Lab::with(Some(entry(&graph, &ptdprmc3(&graph)))).await;
    let error = lab.client().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::Hub(_)) && error.to_string().contains("404"), "{error}");
    assert_eq!(lab.installed().len(), 0);
}
