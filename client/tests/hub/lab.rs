//! A small registry on a fake server, with graphs and their artifacts, for pulling from.

use std::collections::BTreeSet;
use std::path::Path;

use phasic_engine::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::trace::{Limits, eliminate};
use phasic_hub_api::Sha256;
use phasic_hub_client::cache::ArtifactCache;
use phasic_hub_client::hub::{HubClient, RetryPolicy};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Kingman's coalescent, as `builtin:kingman` and upstream's `coal_n…` build it.
pub(crate) fn kingman(lineages: i32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<_> =
        (1..=lineages).rev().map(|state| builder.find_or_add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    for (pair, state) in vertices.windows(2).zip((2..=lineages).rev()) {
        let rate = f64::from(state * (state - 1)) / 2.0;
        builder.add_edge(pair[0], pair[1], Rate::Coefficients(&[rate])).unwrap();
    }
    builder.finish()
}

/// Two graphs with one content hash whose programs differ, as `edge_order_a` and `edge_order_b` of the golden vectors.
pub(crate) fn forks() -> [Graph; 2] {
    [false, true].map(|swapped| {
        let mut builder = GraphBuilder::new(1).unwrap();
        let [fork, near, far, end] = [1, 2, 3, 0].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.add_edge(START, fork, Rate::Scalar(1.0)).unwrap();
        let mut ways = [(near, 1.0), (far, 2.0)];
        if swapped {
            ways.reverse();
        }
        for (to, rate) in ways {
            builder.add_edge(fork, to, Rate::Coefficients(&[rate])).unwrap();
        }
        builder.add_edge(near, end, Rate::Coefficients(&[1.0])).unwrap();
        builder.add_edge(far, end, Rate::Coefficients(&[3.0])).unwrap();
        builder.finish()
    })
}

pub(crate) fn ptdprmc3(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(&eliminate(graph, &Limits::default(), &mut ()).unwrap(), &mut bytes).unwrap();
    bytes
}

pub(crate) fn ptdprmc1(graph: &Graph) -> Vec<u8> {
    let trace = eliminate(graph, &Limits::default(), &mut ()).unwrap();
    let memory = trace.final_memory(graph, &graph.unit_weights()).unwrap();
    let mut bytes = Vec::new();
    encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut bytes).unwrap();
    bytes
}

/// A registry entry that promises these bytes for this graph.
pub(crate) fn entry(graph: &Graph, bytes: &[u8]) -> Value {
    let hash = graph.content_hash();
    json!({
        "graph_hash": hash.to_string(), "format_revision": 3,
        "artifacts": {"parent": {
            "cid_or_path": format!("artifacts/{hash}.bin"),
            "sha256": Sha256::of(bytes).to_string(), "size_bytes": bytes.len()}, "scc": []},
        "metadata": {"description": "a test"}
    })
}

/// A hub, a cache, and a client between them.
pub(crate) struct Lab {
    pub(crate) server: MockServer,
    pub(crate) root: tempfile::TempDir,
}

impl Lab {
    /// A hub whose only compute is `entry`; without an entry it has none.
    pub(crate) async fn with(entry: Option<Value>) -> Self {
        let computes = entry.map_or_else(|| json!({}), |entry| json!({"the_compute": entry}));
        let registry = json!({"version": "2.0", "format": "ptd_pcg", "computes": computes});
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/registry.json"))
            .respond_with(ResponseTemplate::new(200).set_body_json(registry))
            .mount(&server)
            .await;
        Self { server, root: tempfile::tempdir().unwrap() }
    }

    /// A hub that has `bytes` for `graph` and says so truthfully.
    pub(crate) async fn offering(graph: &Graph, bytes: Vec<u8>) -> Self {
        let lab = Self::with(Some(entry(graph, &bytes))).await;
        lab.serve(&format!("/artifacts/{}.bin", graph.content_hash()), bytes).await;
        lab
    }

    pub(crate) async fn serve(&self, at: &str, bytes: Vec<u8>) {
        let template = ResponseTemplate::new(200).set_body_raw(bytes, "application/octet-stream");
        Mock::given(method("GET")).and(path(at)).respond_with(template).mount(&self.server).await;
    }

    pub(crate) fn cache(&self) -> ArtifactCache {
        ArtifactCache::at(self.root.path())
    }

    pub(crate) fn client(&self) -> HubClient {
        let builder = HubClient::builder(self.server.uri()).cache(self.cache());
        builder.retry(RetryPolicy::never()).build().unwrap()
    }

    /// How many requests the hub has had for paths beginning like this.
    pub(crate) async fn requests(&self, prefix: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().filter(|request| request.url.path().starts_with(prefix)).count()
    }

    /// The names of the programs in the cache, and of anything else beside them.
    pub(crate) fn installed(&self) -> BTreeSet<String> {
        names(&self.root.path().join("parameterized_reward_compute"))
    }
}

/// The names in a folder; none when there is no such folder.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
