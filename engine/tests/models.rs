//! The built-in model documents build what they must: every case of `models/index.json`, the golden graphs edge by edge.

use phasic_engine::document::{Document, read, write_graph};
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::model::{self, Number};
use serde_json::Value;
use std::path::Path;

fn json(path: &str) -> Value {
    let text = text(path);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<Value> {
    json("models/index.json")["cases"].as_array().expect("a list").clone()
}

fn name(case: &Value) -> &str {
    case["model"].as_str().expect("a model")
}

fn build(case: &Value) -> Graph {
    let mut document = model::find(name(case)).expect("a built-in model").read().expect("it is readable");
    for (constant, value) in case["constants"].as_object().expect("constants") {
        let value: Number = value.to_string().parse().expect("a number");
        document = document.with_constant(constant, value).expect("the constant exists");
    }
    document.build(&GraphLimits::default()).unwrap_or_else(|error| panic!("{case}: {error}"))
}

#[test]
fn every_case_of_the_index_builds_the_expected_graph() {
    let cases = cases();
    assert_eq!(cases.len(), 80);
    for case in &cases {
        let graph = build(case);
        assert_eq!(u64::from(graph.vertex_count()), case["vertices"], "{case}");
        assert_eq!(u64::from(graph.edge_count()), case["edges"], "{case}");
        assert_eq!(graph.content_hash().to_string(), case["graph_hash"], "{case}");
    }
}

#[test]
fn the_index_covers_every_built_in_model_and_the_library_every_file() {
    let files: Vec<String> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"))
        .expect("the directory exists")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .filter(|file| !["index.json", "README.md"].contains(&file.as_str()))
        .collect();
    assert_eq!(files.len(), model::library().len());
    let cases = cases();
    for entry in model::library() {
        assert!(files.contains(&format!("{}.json", entry.name)));
        assert!(cases.iter().any(|case| name(case) == entry.name), "{} has no case", entry.name);
        assert_eq!(entry.read().expect("it is readable").name(), Some(entry.name));
        assert!(!entry.description().is_empty());
    }
    assert_eq!(model::find("no_such_model"), None);
}

#[test]
fn models_that_describe_a_golden_graph_build_it_edge_by_edge() {
    let mut compared = 0;
    for case in cases() {
        let Some(golden) = case["golden"].as_str() else { continue };
        compared += 1;
        let golden = json(&format!("tests/golden/{golden}.json"));
        let graph = build(&case);
        assert_eq!(graph.state_length() as u64, golden["state_length"], "{case}");
        assert_eq!(graph.param_length() as u64, golden["param_length"], "{case}");
        assert_eq!(graph.is_parameterized(), golden["parameterized"], "{case}");
        assert_eq!(graph.was_dph(), golden["was_dph"], "{case}");
        let states: Vec<Value> = (0..graph.vertex_count()).map(|vertex| graph.state(vertex).into()).collect();
        assert_eq!(Value::Array(states), golden["vertices"], "{case}");
        assert_eq!(edges(&graph), golden_edges(&golden), "{case}");
    }
    assert_eq!(compared, 56);
}

#[test]
fn every_golden_graph_reads_with_its_hash_and_writes_back_losslessly() {
    let index = json("tests/golden/index.json");
    let mut compared = 0;
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).expect("goldens")
    {
        let file = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if ["index.json", "README.md"].contains(&file.as_str()) {
            continue;
        }
        compared += 1;
        let text = text(&format!("tests/golden/{file}"));
        let Document::Graph(graph) = read(&text).unwrap_or_else(|error| panic!("{file}: {error}")) else {
            panic!("{file} is a graph")
        };
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(graph.content_hash().to_string(), golden["graph_hash"], "{file}");
        assert_eq!(edges(&graph), golden_edges(&golden), "{file}");
        let written = write_graph(&graph);
        let Document::Graph(again) = read(&written).unwrap_or_else(|error| panic!("{file}: {error}")) else {
            panic!("{file} is a graph")
        };
        assert_eq!(again, graph, "{file}");
        assert_eq!(write_graph(&again), written, "{file}");
    }
    assert_eq!(compared, index["graphs"].as_array().expect("graphs").len());
}

/// Source, target and the bits of the coefficients.
type Edges = Vec<(u64, u64, Vec<u64>)>;

fn edges(graph: &Graph) -> Edges {
    let of = |vertex| graph.edges(vertex).map(move |edge| (vertex, edge));
    (0..graph.vertex_count())
        .flat_map(of)
        .map(|(from, edge)| {
            (from.into(), edge.target.into(), edge.coefficients.iter().map(|c| c.to_bits()).collect())
        })
        .collect()
}

fn golden_edges(golden: &Value) -> Edges {
    let number = |value: &Value| value.as_f64().expect("a number").to_bits();
    let edge = |edge: &Value| {
        let coefficients = edge[2].as_array().expect("coefficients").iter().map(number).collect();
        (edge[0].as_u64().expect("a vertex"), edge[1].as_u64().expect("a vertex"), coefficients)
    };
    golden["edges"].as_array().expect("edges").iter().map(edge).collect()
}
