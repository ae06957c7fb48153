//! Many jumps between breakpoints: what rounding takes from each does not add up.

use super::super::tests::plan;
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// From the middle to one of eleven places around it and back; out through a place that is hardly ever visited, and left at
/// once.
fn wheel() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let [middle, gate, out] = [1, 2, 0].map(|state| builder.add_vertex(&[state]).unwrap());
    builder.add_edge(START, middle, Rate::Scalar(1.0)).unwrap();
    let around: Vec<u32> = (0..11).map(|place| builder.add_vertex(&[3 + place]).unwrap()).collect();
    let mut edges = vec![(middle, gate, 1e-6), (gate, out, 12.0)];
    edges.extend(around.iter().flat_map(|&place| [(middle, place, 1.0), (place, middle, 1.0)]));
    for (from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(&[rate])).unwrap();
    }
    builder.finish()
}

#[test]
fn a_mean_of_many_jumps_in_short_segments_is_that_without_epochs() {
    let plan = plan(&wheel());
    let wanted = plan.distribution(&[1.0]).unwrap().expectation().unwrap();
    let found = plan.epochs(&[8_000.0], &[[1.0]; 2]).unwrap().expectation().unwrap();
    assert!((found / wanted - 1.0).abs() < 1e-13, "{:e}", found / wanted - 1.0);
}
