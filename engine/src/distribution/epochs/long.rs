//! Many jumps between breakpoints: what rounding takes from each does not add up.

use super::super::stiff::exact;
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

/// Nearly all is out at once; what little is not stays in places that are left many decades more slowly than others, each of
/// which would round by itself at every jump.
#[test]
fn moments_of_what_little_is_left_after_many_jumps_keep_their_digits() {
    let edges = [
        (2, 1, 1.5e-6),
        (4, 5, 1.0),
        (1, 2, 1.0),
        (4, 1, 1.0),
        (1, 3, 1e6),
        (1, 5, 1.5e9),
        (3, 1, 1.5e6),
        (1, 4, 1.5),
    ];
    let scalar = edges;
    let edges = edges.map(|(from, to, rate)| (from, to, vec![rate]));
    let plan = plan(&super::super::closed_forms::graph(5, 1, &edges));
    let (breakpoints, thetas) = ([1.25e-5, 4.375e-5], [[2.0], [4.5], [0.03]]);
    let epochs = plan.epochs(&breakpoints, &thetas).unwrap();
    // One process, whose time goes by faster and slower: what is left at a time has its own moments from there.
    let until = thetas[0][0] * breakpoints[0];
    let passed = until + thetas[1][0] * (breakpoints[1] - breakpoints[0]);
    let (states, _) = exact(5, 1, &scalar, passed);
    let waits = plan.distribution(&[thetas[2][0]]).unwrap().waiting_times().unwrap();
    let spent = plan.distribution(&[1.0]).unwrap().accumulated_visiting_time(&[until, passed]).unwrap();
    let spent = [spent.row(0).sum(), spent.row(1).sum()];
    let before = spent[0] / thetas[0][0] + (spent[1] - spent[0]) / thetas[1][0];
    let wanted = (0..4).map(|at| states[at] * waits[at + 1]).sum::<f64>() + before;
    let found = epochs.moments(2).unwrap();
    let rewarded = epochs.reward_moments(&[1.0; 6], 2).unwrap();
    assert!((found[0] / wanted - 1.0).abs() < 1e-12, "{found:?} {wanted}");
    for (found, rewarded) in found.iter().zip(&rewarded) {
        assert!((found / rewarded - 1.0).abs() < 1e-13, "{found:e} {rewarded:e}");
    }
    assert!((epochs.expectation().unwrap() / rewarded[0] - 1.0).abs() < 1e-13);
    let variance = rewarded[1] - rewarded[0] * rewarded[0];
    assert!((epochs.variance().unwrap() / variance - 1.0).abs() < 1e-13);
}
