//! Pulling what an honest hub has.

use std::sync::{Arc, Mutex};

use phasic_engine::artifact::Format;
use phasic_engine::trace::{Limits, component_graphs};
use phasic_hub_api::Sha256;
use phasic_hub_client::hub::{HubClient, PullError, PullEvent, PullOptions, Pulled, RetryPolicy};
use phasic_hub_client::verification::Evidence;
use phasic_hub_client::{blocking, cache::ArtifactCache};
use serde_json::json;

use crate::lab::{Lab, entry, forks, kingman, ptdprmc1, ptdprmc3};

/// What phasic itself writes for the coalescent of five lineages, from the golden vectors.
const COAL_N5_SHA256: &str = "0520a138688863f3797456c40eb1df1a3e0c574202b73fe0f75c0990d1bbf196";

fn forced() -> PullOptions {
    PullOptions { force: true, observer: None }
}

/// Options that write down what happens.
fn watched() -> (PullOptions, Arc<Mutex<Vec<PullEvent>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observer = Arc::new(move |event| seen.lock().unwrap().push(event));
    (PullOptions { force: false, observer: Some(observer) }, events)
}

#[tokio::test]
async fn a_registered_graph_arrives_as_the_file_phasic_would_have_written() {
    let graph = kingman(5);
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    assert!(lab.client().pull(&graph, false).await.unwrap());
    let bytes = lab.cache().read_program(&graph.content_hash()).unwrap().unwrap();
    assert_eq!(Sha256::of(&bytes).to_string(), COAL_N5_SHA256);
    assert_eq!(lab.installed().len(), 1);
}

#[tokio::test]
async fn the_published_form_is_installed_as_the_form_phasic_uses() {
    let graph = kingman(5);
    let lab = Lab::offering(&graph, ptdprmc1(&graph)).await;
    let pulled = lab.client().pull_with(&graph, PullOptions::default()).await.unwrap();
    let path = lab.cache().program_path(&graph.content_hash());
    let id = "the_compute".parse().unwrap();
    let evidence = Evidence::Reproduced;
    assert_eq!(pulled, Pulled::Installed { path, id, evidence, format: Format::Ptdprmc1, components: 0 });
    let bytes = lab.cache().read_program(&graph.content_hash()).unwrap().unwrap();
    assert_eq!(Sha256::of(&bytes).to_string(), COAL_N5_SHA256);
}

#[tokio::test]
async fn an_unregistered_graph_is_false_and_leaves_no_trace() {
    let lab = Lab::with(None).await;
    assert!(!lab.client().pull(&kingman(5), false).await.unwrap());
    assert!(!lab.client().pull(&kingman(5), true).await.unwrap());
    assert_eq!(crate::lab::names(lab.root.path()).len(), 0);
}

#[tokio::test]
async fn a_retracted_compute_counts_as_unregistered() {
    let graph = kingman(5);
    let mut entry = entry(&graph, &ptdprmc3(&graph));
    entry["retracted"] = true.into();
    let lab = Lab::with(Some(entry)).await;
    assert!(!lab.client().pull(&graph, false).await.unwrap());
}

#[tokio::test]
async fn a_second_pull_does_not_touch_the_network_and_a_forced_one_does() {
    let graph = kingman(5);
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    let client = lab.client();
    client.pull(&graph, false).await.unwrap();
    assert_eq!((lab.requests("/registry").await, lab.requests("/artifacts").await), (1, 1));
    let path = lab.cache().program_path(&graph.content_hash());
    let again = client.pull_with(&graph, PullOptions::default()).await.unwrap();
    assert_eq!(again, Pulled::Present { path });
    assert_eq!((lab.requests("/registry").await, lab.requests("/artifacts").await), (1, 1));
    assert!(matches!(client.pull_with(&graph, forced()).await.unwrap(), Pulled::Installed { .. }));
    assert_eq!((lab.requests("/registry").await, lab.requests("/artifacts").await), (2, 2));
}

#[tokio::test]
async fn a_damaged_file_in_the_cache_is_fetched_again() {
    let graph = kingman(5);
    let whole = ptdprmc3(&graph);
    let mut flipped = whole.clone();
    flipped[40] = 9;
    for damaged in [Vec::new(), b"PTDPRMC3".to_vec(), whole[..whole.len() - 1].to_vec(), flipped] {
        let lab = Lab::offering(&graph, whole.clone()).await;
        let path = lab.cache().program_path(&graph.content_hash());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, damaged).unwrap();
        let (options, events) = watched();
        assert!(matches!(lab.client().pull_with(&graph, options).await.unwrap(), Pulled::Installed { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        let replaced = |event: &&PullEvent| matches!(event, PullEvent::Replacing { .. });
        assert_eq!(events.lock().unwrap().iter().filter(replaced).count(), 1, "judged once, told once");
    }
}

#[tokio::test]
async fn an_intact_program_of_another_graph_is_kept_until_forced_whatever_its_size() {
    let graph = kingman(5);
    let whole = ptdprmc3(&graph);
    for (intact, reason) in [
        (ptdprmc3(&kingman(7)), "another graph, one of at least 8 vertices; this graph has 6"),
        (ptdprmc1(&kingman(7)), "another graph, one of at least 8 vertices; this graph has 6"),
        (ptdprmc1(&kingman(4)), "another graph (graph_hash"),
        (ptdprmc3(&kingman(4)), "it names 5 vertices, and this graph has 6"),
    ] {
        let lab = Lab::offering(&graph, whole.clone()).await;
        let path = lab.cache().program_path(&graph.content_hash());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &intact).unwrap();
        let error = lab.client().pull(&graph, false).await.unwrap_err();
        assert!(matches!(error, PullError::Conflict { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("--force") && !text.contains("hostile"), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), intact);
        assert!(lab.client().pull(&graph, true).await.unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

#[tokio::test]
async fn a_file_phasic_pulled_but_cannot_use_is_converted_without_the_network() {
    let graph = kingman(5);
    let lab = Lab::with(None).await;
    let path = lab.cache().program_path(&graph.content_hash());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, ptdprmc1(&graph)).unwrap();
    assert!(lab.client().pull(&graph, false).await.unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), ptdprmc3(&graph));
    assert_eq!(lab.requests("/").await, 0);
}

#[tokio::test]
async fn a_program_for_another_edge_order_is_kept_until_forced() {
    let [graph, other] = forks();
    assert_eq!(graph.content_hash(), other.content_hash());
    assert_ne!(ptdprmc3(&graph), ptdprmc3(&other));
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    assert!(lab.client().pull(&graph, false).await.unwrap());
    let error = lab.client().pull(&other, false).await.unwrap_err();
    assert!(matches!(error, PullError::Conflict { .. }), "{error}");
    // The hub has the other order's program only, which is refused, forced or not.
    let error = lab.client().pull(&other, true).await.unwrap_err();
    assert!(matches!(error, PullError::Refused { .. }), "{error}");
    assert_eq!(lab.cache().read_program(&graph.content_hash()).unwrap().unwrap(), ptdprmc3(&graph));
}

#[tokio::test]
async fn components_of_the_graph_arrive_with_it_and_foreign_ones_are_left_out() {
    let graph = kingman(5);
    let program = ptdprmc3(&graph);
    let components = component_graphs(&graph, &graph.unit_weights()).unwrap();
    let own = &components[1].graph;
    let own_bytes = ptdprmc3(own);
    let foreign = "f".repeat(64);
    let mut entry = entry(&graph, &program);
    entry["artifacts"]["scc"] = json!([
        {"cid_or_path": format!("artifacts/scc_{}.bin", own.content_hash()), "scc_hash": own.content_hash().to_string(),
         "sha256": Sha256::of(&own_bytes).to_string(), "size_bytes": own_bytes.len()},
        {"cid_or_path": format!("artifacts/scc_{foreign}.bin"), "scc_hash": foreign, "sha256": "0".repeat(64),
         "size_bytes": 8},
    ]);
    let lab = Lab::with(Some(entry)).await;
    lab.serve(&format!("/artifacts/{}.bin", graph.content_hash()), program).await;
    lab.serve(&format!("/artifacts/scc_{}.bin", own.content_hash()), own_bytes.clone()).await;
    let (options, events) = watched();
    let pulled = lab.client().pull_with(&graph, options).await.unwrap();
    assert!(matches!(pulled, Pulled::Installed { components: 1, .. }), "{pulled:?}");
    assert_eq!(std::fs::read(lab.cache().component_path(&own.content_hash())).unwrap(), own_bytes);
    assert_eq!(lab.installed().len(), 2);
    let names = vec![format!("scc_{foreign}.bin").parse().unwrap()];
    assert!(events.lock().unwrap().contains(&PullEvent::LeftOut { names }));
}

#[tokio::test]
async fn progress_of_the_download_reaches_its_end() {
    let graph = kingman(20);
    let bytes = ptdprmc3(&graph);
    let size_bytes = bytes.len() as u64;
    let lab = Lab::offering(&graph, bytes).await;
    let (options, events) = watched();
    lab.client().pull_with(&graph, options).await.unwrap();
    let name = format!("{}.bin", graph.content_hash()).parse().unwrap();
    let end = PullEvent::Downloading { name, received_bytes: size_bytes, size_bytes };
    assert!(events.lock().unwrap().contains(&end));
}

#[tokio::test]
async fn a_program_too_large_to_make_anew_is_not_installed() {
    let graph = kingman(20);
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    let builder = HubClient::builder(lab.server.uri()).cache(lab.cache());
    let client = builder.verification_limits(Limits::default().with_commands(10)).build().unwrap();
    let error = client.pull_with(&graph, PullOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be made anew here"), "{error}");
    assert!(!lab.cache().program_path(&graph.content_hash()).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_pulling_one_model_into_one_cache_download_it_once() {
    let graph = Arc::new(kingman(20));
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    let pulls = (0..16).map(|_| {
        // A client of its own for each, as in processes of their own.
        let (client, graph) = (lab.client(), Arc::clone(&graph));
        tokio::spawn(async move { client.pull(&graph, false).await })
    });
    for pull in pulls.collect::<Vec<_>>() {
        assert!(pull.await.unwrap().unwrap());
    }
    assert_eq!(lab.requests("/artifacts").await, 1);
    assert_eq!(lab.installed().len(), 1);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_to_is_named_with_the_setting_that_moves_it() {
    let graph = kingman(5);
    let lab = Lab::offering(&graph, ptdprmc3(&graph)).await;
    let file = lab.root.path().join("not-a-folder");
    std::fs::write(&file, "").unwrap();
    let builder = HubClient::builder(lab.server.uri()).cache(ArtifactCache::at(&file));
    let error = builder.build().unwrap().pull(&graph, false).await.unwrap_err();
    assert!(matches!(error, PullError::Cache(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("PHASIC_CACHE_DIR") && text.contains("not-a-folder"), "{text}");
}

#[test]
fn the_blocking_client_pulls() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let graph = kingman(5);
    let lab = runtime.block_on(Lab::offering(&graph, ptdprmc3(&graph)));
    let client = HubClient::builder(lab.server.uri()).retry(RetryPolicy::never()).cache(lab.cache());
    let client = blocking::HubClient::from_client(client.build().unwrap()).unwrap();
    assert!(client.pull(&graph, false).unwrap());
    assert!(!client.pull(&kingman(6), false).unwrap());
}
