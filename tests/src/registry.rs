//! Registries and artifacts, made with the engine.

use std::path::Path;

use phasic_engine::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::reference;
use phasic_engine::trace::{Limits, Trace, eliminate};
use phasic_hub_api::Sha256;
use serde_json::{Map, Value, json};

/// The upstream registry document of the specification.
pub const UPSTREAM_V2: &str = include_str!("../../openapi/tests/data/upstream-v2.json");

/// The older document of the same repository.
pub const UPSTREAM_V1: &str = include_str!("../../openapi/tests/data/upstream-v1.json");

/// A graph with both its files.
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// Its content hash.
    pub hash: String,
    /// What phasic publishes.
    pub ptdprmc1: Vec<u8>,
    /// What phasic uses, and the hub serves.
    pub ptdprmc3: Vec<u8>,
}

/// The model of a reference compute, eliminated here.
pub fn model(id: &str) -> Model {
    eliminated(reference::find(id).unwrap().build(&GraphLimits::default()).unwrap())
}

/// The Kingman coalescent of `n` samples: its files take 600 bytes for each.
pub fn kingman(n: i64) -> Model {
    let document = phasic_engine::model::find("kingman").unwrap().read().unwrap();
    eliminated(document.with_constant("n", n).unwrap().build(&GraphLimits::default()).unwrap())
}

fn eliminated(graph: Graph) -> Model {
    let trace: Trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
    let memory = trace.final_memory(&graph, &graph.unit_weights()).unwrap();
    let hash = graph.content_hash();
    let (mut ptdprmc1, mut ptdprmc3) = (Vec::new(), Vec::new());
    encode_ptdprmc1(&trace, &hash, &memory, &mut ptdprmc1).unwrap();
    encode_ptdprmc3(&trace, &mut ptdprmc3).unwrap();
    Model { hash: hash.to_string(), graph, ptdprmc1, ptdprmc3 }
}

/// What an entry says about a file.
pub fn file(location: &str, bytes: &[u8]) -> Value {
    json!({"cid_or_path": location, "sha256": Sha256::of(bytes).to_string(), "size_bytes": bytes.len()})
}

/// An entry with one file, at the usual place.
pub fn entry(model: &Model, bytes: &[u8]) -> Value {
    json!({
        "graph_hash": model.hash,
        "format_revision": 3,
        "artifacts": {"parent": file(&format!("artifacts/{}.bin", model.hash), bytes), "scc": []},
        "metadata": {
            "description": "made for a test",
            "author": "nobody",
            "license": "MIT",
            "vertices": model.graph.vertex_count(),
            "param_length": model.graph.param_length()
        }
    })
}

/// A document of these entries.
pub fn document(entries: &[(&str, Value)]) -> String {
    let computes: Map<_, _> = entries.iter().map(|(id, entry)| ((*id).to_owned(), entry.clone())).collect();
    json!({"version": "2.0", "format": "ptd_pcg", "computes": computes}).to_string()
}

/// Writes a registry as it lies in a git checkout.
pub fn write_directory(directory: &Path, document: &str, files: &[(String, &[u8])]) {
    std::fs::create_dir_all(directory.join("artifacts")).unwrap();
    std::fs::write(directory.join("registry.json"), document).unwrap();
    for (path, bytes) in files {
        std::fs::write(directory.join(path), bytes).unwrap();
    }
}
