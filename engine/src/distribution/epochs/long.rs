//! Many jumps between breakpoints: what rounding takes from each does not add up.

use super::super::tests::plan;
use super::rewards::{Product, back_by_jumps};
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

#[test]
fn moments_of_rewards_do_not_drift_with_the_number_of_jumps() {
    let plan = plan(&wheel());
    let rewards: Vec<f64> = (0..plan.vertex_count()).map(|vertex| f64::from(vertex % 5)).collect();
    let products: Vec<Product<'_>> = vec![vec![(1.0, &rewards, None)]];
    for rate in [0.7, 1.0, 1.3, 2.1] {
        let (chain, at) = (plan.chain(&[rate]).unwrap(), plan.at(&[rate]).unwrap());
        let earned = at.rewarded(&rewards).unwrap().waiting_times();
        // Those who are not out by the end get a fee, beside what they will earn as if nothing had changed.
        let (fee, jumps) = (1e5, 20_000.0);
        let mut found =
            vec![chain.pattern().vertices.iter().map(|&vertex| earned[vertex as usize] + fee).collect()];
        let fastest = chain.totals().iter().fold(0.0_f64, |most, &total| most.max(total));
        back_by_jumps(&chain, &products, (fastest, jumps / fastest), 1.0, &mut found);
        let alive = plan.distribution(&[rate]).unwrap().survival(&[jumps / fastest]).unwrap()[0];
        let middle = chain.pattern().vertices.iter().position(|&vertex| vertex == 1).unwrap();
        let off = found[0][middle] / (earned[1] + fee * alive) - 1.0;
        assert!(off.abs() < 2e-15, "{rate}: {off:e}");
    }
}
