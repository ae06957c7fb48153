//! The SDK against a real hub process.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_engine::graph::GraphLimits;
use phasic_engine::reference;
use phasic_hub_client::cache::ArtifactCache;
use phasic_hub_client::hub::{HubClient, HubError, ListFilter, PullError, RetryPolicy};
use phasic_hub_client::{blocking, cache};
use phasic_hub_tests::hub::Hub;

struct Lab {
    hub: Hub,
    folder: tempfile::TempDir,
}

impl Lab {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { hub: Hub::start(&folder.path().join("hub-data")), folder }
    }

    fn cache(&self) -> cache::ArtifactCache {
        ArtifactCache::at(self.folder.path().join("cache"))
    }

    fn client(&self) -> blocking::HubClient {
        let builder = HubClient::builder(format!("http://{}", self.hub.address())).cache(self.cache());
        blocking::HubClient::from_client(builder.retry(RetryPolicy::never()).build().unwrap()).unwrap()
    }
}

#[test]
fn filters_select_from_what_the_hub_publishes() {
    let lab = Lab::open();
    let client = lab.client();
    let ids = |filter: ListFilter| {
        let computes = client.list(&filter).unwrap();
        computes.into_iter().map(|compute| compute.id.to_string()).collect::<Vec<_>>()
    };
    let everything = ListFilter::default();
    assert_eq!(ids(everything.clone()).len(), reference::computes().len());
    let queues = ListFilter { domain: Some("queueing-theory".to_owned()), ..everything.clone() };
    assert_eq!(ids(queues), ["mm1k_k10_start1"]);
    let islands =
        ListFilter { tags: vec!["coalescent".to_owned(), "migration".to_owned()], ..everything.clone() };
    assert_eq!(ids(islands), ["two_island_a4_b4"]);
    let rabbits = ListFilter { search: Some("Flooding".to_owned()), ..everything };
    assert_eq!(ids(rabbits), ["rabbits_n7"]);
}

#[test]
fn every_reference_compute_is_pulled_true_and_its_neighbour_false() {
    let lab = Lab::open();
    let client = lab.client();
    for compute in reference::computes() {
        let graph = compute.build(&GraphLimits::default()).unwrap();
        assert!(client.pull(&graph, false).unwrap(), "{}", compute.id);
        let bytes = lab.cache().read_program(&graph.content_hash()).unwrap().unwrap();
        assert!(bytes.starts_with(b"PTDPRMC3"), "{}", compute.id);
    }
    let document = reference::computes()[0].document().unwrap();
    let unknown = document.with_constant("n", 6).unwrap().build(&GraphLimits::default()).unwrap();
    assert!(!client.pull(&unknown, false).unwrap());
    assert!(lab.cache().read_program(&unknown.content_hash()).unwrap().is_none());
}

#[test]
fn a_hub_that_has_stopped_is_an_error_and_not_a_no() {
    let lab = Lab::open();
    let client = lab.client();
    let graph = reference::computes()[0].build(&GraphLimits::default()).unwrap();
    let Lab { hub, folder: _kept } = lab;
    assert!(hub.stop().status.success());
    let error = client.pull(&graph, false).unwrap_err();
    assert!(matches!(error, PullError::Hub(HubError::Connection { .. })), "{error}");
}
