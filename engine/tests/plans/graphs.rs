//! Graphs to try plans on.

use phasic_engine::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use phasic_engine::model::{self, Number};
use phasic_engine::plan::{Limits, Plan};
use proptest::prelude::*;
use serde_json::Value;

pub(crate) fn plan(graph: &Graph) -> Plan {
    Plan::analyze(graph, &Limits::default()).unwrap()
}

pub(crate) fn rewards(graph: &Graph) -> [Vec<f64>; 3] {
    let of = |reward: fn(u32) -> u32| (0..graph.vertex_count()).map(|v| f64::from(reward(v))).collect();
    [of(|_| 1), of(|v| (7 * v) % 5), of(|v| (3 * v + 1) % 4)]
}

/// What kind of graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Continuous,
    Discrete,
    /// Edges are plain numbers, and there is one parameter, which scales them.
    Scalar,
}

/// A random graph with parallel edges, edges back to the start, zero coefficients and unreachable vertices, in which
/// every vertex can be left for good; and θ.
pub(crate) fn cases() -> impl Strategy<Value = (Graph, Vec<f64>)> {
    let kind = prop_oneof![Just(Kind::Continuous), Just(Kind::Discrete), Just(Kind::Scalar)];
    (kind, 1..4_usize, 4..12_u32).prop_flat_map(|(kind, parameters, vertices)| {
        let rate = || prop::collection::vec(prop_oneof![Just(0.0), 0.01..3.0], parameters);
        let path = prop::collection::vec(prop::collection::vec(0.1..2.0, parameters), vertices as usize);
        let extra = prop::collection::vec((1..vertices - 1, 0..vertices, rate()), 0..40);
        let theta = prop::collection::vec(0.1..5.0, parameters + usize::from(kind == Kind::Discrete));
        (path, extra, theta).prop_map(move |(path, extra, theta)| {
            let graph = random(kind, vertices, &path, &extra);
            let length = graph.param_length();
            (graph, theta[..length].to_vec())
        })
    })
}

fn random(kind: Kind, vertices: u32, path: &[Vec<f64>], extra: &[(u32, u32, Vec<f64>)]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    // Not all vertices are reached: the path begins at the second.
    builder.add_edge(START, 2, Rate::Scalar(0.7)).unwrap();
    builder.add_edge(START, vertices - 2, Rate::Scalar(0.4)).unwrap();
    let onwards = (1..vertices - 1).map(|v| (v, v + 1, &path[v as usize]));
    let others = extra.iter().map(|(from, to, rate)| (*from, *to, rate));
    for (from, to, rate) in onwards.chain(others).filter(|&(from, to, _)| from != to) {
        let rate =
            if kind == Kind::Scalar { Rate::Scalar(rate.iter().sum()) } else { Rate::Coefficients(rate) };
        builder.add_edge(from, to, rate).unwrap();
    }
    let graph = builder.finish();
    if kind == Kind::Discrete { graph.discretize(0.3).unwrap() } else { graph }
}

/// The graph with these weights as plain numbers, edge for edge; of a graph in continuous time.
pub(crate) fn with_weights(graph: &Graph, weights: &[f64]) -> Graph {
    let mut builder = GraphBuilder::new(graph.state_length()).unwrap();
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex)).unwrap();
    }
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            builder.add_edge(vertex, edge.target, Rate::Scalar(weights[edge.index as usize])).unwrap();
        }
    }
    builder.finish()
}

/// An M/M/1/K queue started with one customer: arrivals θ₀, services θ₁.
pub(crate) fn queue(places: u32) -> Graph {
    queue_in(places, false)
}

/// The same queue by its jumps: a step takes 1, whatever the rates.
pub(crate) fn jumps_of_queue(places: u32) -> Graph {
    queue_in(places, true)
}

fn queue_in(places: u32, discrete: bool) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(discrete);
    for k in 1..=places {
        builder.add_vertex(&[k.cast_signed()]).unwrap();
    }
    let empty = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for k in 1..=places {
        if k < places {
            builder.add_edge(k, k + 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
        builder.add_edge(k, if k == 1 { empty } else { k - 1 }, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}

/// A document of the library with other constants, as JSON.
pub(crate) fn library(name: &str, constants: &Value) -> Graph {
    let mut document = model::find(name).unwrap().read().unwrap();
    for (constant, value) in constants.as_object().unwrap() {
        let value: Number = value.to_string().parse().unwrap();
        document = document.with_constant(constant, value).unwrap();
    }
    document.build(&GraphLimits::default()).unwrap()
}

/// All small cases of the library.
pub(crate) fn small_library() -> Vec<(String, Graph)> {
    let index: Value = serde_json::from_str(include_str!("../../models/index.json")).unwrap();
    let cases = index["cases"].as_array().unwrap();
    let small = cases.iter().filter(|case| case["vertices"].as_u64().unwrap() <= 100);
    small
        .map(|case| {
            let name = case["model"].as_str().unwrap();
            (format!("{name} {}", case["constants"]), library(name, &case["constants"]))
        })
        .collect()
}

/// A queue of so many places whose arrivals and services have two phases between which it switches, started with so many
/// customers: until it is first empty. Parameters scale arrivals, services and switches.
pub(crate) fn queue_in_phases(places: u32, started_with: u32) -> Graph {
    let mut builder = GraphBuilder::new(2).unwrap();
    for k in 1..=places {
        for phase in 0..2 {
            builder.add_vertex(&[k.cast_signed(), phase]).unwrap();
        }
    }
    let empty = builder.add_vertex(&[0, 0]).unwrap();
    let at = |k: u32, phase: u32| if k == 0 { empty } else { 2 * k - 1 + phase };
    builder.add_edge(START, at(started_with, 0), Rate::Scalar(1.0)).unwrap();
    for k in 1..=places {
        for (phase, [arrival, service, switch]) in (0..).zip([[0.7, 1.1, 0.3], [1.0, 1.3, 0.2]]) {
            if k < places {
                builder
                    .add_edge(at(k, phase), at(k + 1, phase), Rate::Coefficients(&[arrival, 0.0, 0.0]))
                    .unwrap();
            }
            builder
                .add_edge(at(k, phase), at(k - 1, phase), Rate::Coefficients(&[0.0, service, 0.0]))
                .unwrap();
            builder
                .add_edge(at(k, phase), at(k, 1 - phase), Rate::Coefficients(&[0.0, 0.0, switch]))
                .unwrap();
        }
    }
    builder.finish()
}

/// A path whose vertices all have a way to the end at the second parameter, and that starts at vertex 1 with the first
/// probability, else at the end of the path.
pub(crate) fn leaking_path(vertices: u32, probability: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(probability)).unwrap();
    builder.add_edge(START, vertices, Rate::Scalar(1.0 - probability)).unwrap();
    for v in 1..=vertices {
        builder.add_edge(v, v + 1, Rate::Coefficients(&[3.0, 0.0])).unwrap();
        builder.add_edge(v, vertices + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}
