//! Reading the recorded vectors.

use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// Files in the set, the index aside.
const RECORDED: usize = 73;

#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) state_length: usize,
    pub(crate) param_length: usize,
    pub(crate) parameterized: bool,
    pub(crate) was_dph: bool,
    pub(crate) graph_hash: String,
    pub(crate) vertices: Vec<Vec<i32>>,
    pub(crate) edges: Vec<Vec<Value>>,
    pub(crate) artifact_rev3: Option<Vec<File>>,
    pub(crate) scc_synthetic: Option<Vec<Component>>,
    pub(crate) scc_files: Option<Vec<File>>,
    pub(crate) scc_expectation: Option<Value>,
    pub(crate) runs: Vec<Run>,
}

#[derive(Deserialize)]
pub(crate) struct File {
    #[serde(rename = "file")]
    pub(crate) name: Option<String>,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
pub(crate) struct Component {
    pub(crate) hash: String,
    pub(crate) vertices: u32,
}

#[derive(Deserialize)]
pub(crate) struct Run {
    pub(crate) theta: Option<Vec<f64>>,
    pub(crate) artifact: Option<File>,
    pub(crate) expectation: Option<Value>,
    pub(crate) moments: Option<Value>,
    pub(crate) variance: Option<Value>,
    pub(crate) expected_waiting_time: Option<Value>,
    pub(crate) expected_sojourn_time: Option<Value>,
    pub(crate) rewards: Option<Vec<Rewarded>>,
    pub(crate) covariance: Option<Value>,
    pub(crate) dph: Option<Value>,
    pub(crate) reward_transform: Option<Value>,
    pub(crate) pdf: Option<Value>,
    pub(crate) pdf_coarse: Option<Value>,
    pub(crate) state_at: Option<Value>,
    pub(crate) laplace: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Rewarded {
    pub(crate) r: Option<Vec<f64>>,
    pub(crate) expectation: Option<Value>,
    pub(crate) moments: Option<Value>,
    pub(crate) variance: Option<Value>,
}

/// All recorded vectors, by name.
pub(crate) fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json") && !path.ends_with("index.json"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), RECORDED, "golden files");
    paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

impl Vector {
    pub(crate) fn graph(&self) -> Graph {
        let mut builder = GraphBuilder::new(self.state_length).unwrap();
        builder.set_was_dph(self.was_dph);
        for state in &self.vertices[1..] {
            builder.add_vertex(state).unwrap();
        }
        for edge in &self.edges {
            let vertex = |at: usize| u32::try_from(edge[at].as_u64().unwrap()).unwrap();
            let (from, to) = (vertex(0), vertex(1));
            let coefficients: Vec<f64> = serde_json::from_value(edge[2].clone()).unwrap();
            let done = match edge.get(3) {
                Some(weight) if from != START => builder.add_fixed_edge(from, to, weight.as_f64().unwrap()),
                _ if self.parameterized => builder.add_edge(from, to, Rate::Coefficients(&coefficients)),
                _ => builder.add_edge(from, to, Rate::Scalar(coefficients[0])),
            };
            done.unwrap();
        }
        let graph = builder.finish();
        assert_eq!(graph.param_length(), self.param_length, "{}", self.name);
        graph
    }
}

impl Run {
    pub(crate) fn weights(&self, graph: &Graph) -> Vec<f64> {
        match &self.theta {
            Some(theta) => graph.weights(theta).unwrap(),
            None => graph.unit_weights(),
        }
    }
}

/// A number as recorded: non-finite ones are strings.
pub(crate) fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some("nan") => f64::NAN,
        Some(other) => panic!("not a number: {other}"),
        None => value.as_f64().unwrap(),
    }
}

/// A list of numbers as recorded.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Whether the call raised in phasic.
pub(crate) fn raised(value: &Value) -> bool {
    value.get("error").is_some()
}
