//! A tolerance that was asked for is honoured, whatever way through time is taken: against exponentials of 106 bits.

use proptest::prelude::*;

use super::random_graphs::recipe;
use super::stiff::{at_one, exact, pair, star_with};
use super::tests::plan;
use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};

const TOLERANCES: [f64; 6] = [1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14];

/// Density and distribution function at each time, and the largest density of a grid.
fn expected(graph: &Graph, times: &[f64]) -> (Vec<[f64; 2]>, f64) {
    let weights = graph.unit_weights();
    let last = graph.vertex_count() - 1;
    let mut edges = Vec::new();
    let mut starts = Vec::new();
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            let weight = weights[edge.index as usize];
            if vertex == START {
                starts.push((edge.target, weight));
            } else {
                edges.push((vertex, edge.target, weight));
            }
        }
    }
    let value = |time: f64| {
        starts.iter().fold([0.0; 2], |[density, below], &(start, weight)| {
            let (state, flow) =
                if start == last { (vec![1.0], 0.0) } else { exact(last, start, &edges, time) };
            let absorbed = state.last().copied().unwrap_or(1.0);
            [density + weight * flow, below + weight * absorbed]
        })
    };
    let peak = (0..40).map(|k| value(0.125 * f64::from(k))[0]).fold(0.0, f64::max);
    (times.iter().map(|&time| value(time)).collect(), peak)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn errors_are_within_the_tolerance_asked_for(recipe in recipe(2..=5), speed in prop_oneof![Just(1.0), Just(30.0), Just(300.0)]) {
        // Faster by a factor, and asked at times that much longer beside its rates.
        let graph = recipe.graph(false);
        let times = [0.05, 0.4, 1.0, 3.0];
        let slow: Vec<f64> = times.iter().map(|time| time * speed).collect();
        let (wanted, peak) = expected(&graph, &slow);
        let plan = plan(&graph);
        for tolerance in TOLERANCES {
            let curve = at_one(&plan).tolerance(tolerance).unwrap().curve(&slow).unwrap();
            for (at, [density, below]) in wanted.iter().enumerate() {
                let off = (curve.pdf[at] - density).abs() / peak;
                prop_assert!(off <= tolerance, "{tolerance:e} pdf at {}: {off:e}", slow[at]);
                let off = (curve.cdf[at] - below).abs();
                prop_assert!(off <= tolerance, "{tolerance:e} cdf at {}: {off:e}", slow[at]);
            }
        }
    }
}

#[test]
fn leaps_and_steady_states_honour_it_too() {
    let (stiff, lumped) = pair(0.7);
    let (large, star) = star_with(1100, 0.5);
    for tolerance in TOLERANCES {
        for (plan, edges, start, times) in
            [(&stiff, &lumped, 1, [0.01, 1.0, 5.0]), (&large, &star, 2, [0.5, 1.0, 4.0])]
        {
            // Below 1e-12 there are jumps only.
            let limit = if tolerance < 1e-12 { 1_000_000 } else { 20_000_000 };
            let distribution = at_one(plan).with_jump_limit(limit).tolerance(tolerance).unwrap();
            let curve = match distribution.curve(&times) {
                Ok(curve) => curve,
                // What takes too many jumps is refused, and never less exact than was asked for.
                Err(error) => {
                    assert!(
                        tolerance < 1e-12 && matches!(error, DistributionError::Jumps { .. }),
                        "{tolerance:e} {error}"
                    );
                    continue;
                }
            };
            for (at, &time) in times.iter().enumerate() {
                let (state, density) = exact(3, start, edges, time);
                // The density is largest at the beginning, when next to nothing was absorbed.
                let peak = exact(3, start, edges, 1e-3).1;
                assert!(
                    (curve.pdf[at] - density).abs() <= tolerance * peak,
                    "{tolerance:e} {time}: {} {density}",
                    curve.pdf[at]
                );
                assert!(
                    (curve.cdf[at] - state[2]).abs() <= tolerance,
                    "{tolerance:e} {time}: {} {}",
                    curve.cdf[at],
                    state[2]
                );
            }
        }
    }
}

#[test]
fn what_is_lost_on_a_way_back_is_known_when_rounding_is_made_up_for() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    let edges =
        [(START, v[0], 0.5), (v[0], v[1], 3e7), (v[1], v[0], 7e7), (v[0], START, 0.1), (v[1], v[2], 0.7)];
    for (from, to, weight) in edges {
        builder.add_edge(from, to, Rate::Scalar(weight)).unwrap();
    }
    let plan = plan(&builder.finish());
    let times = [1e-5, 1e-3, 0.01];
    let curve = at_one(&plan).tolerance(1e-14).unwrap().curve(&times).unwrap();
    // Half of what goes back is lost, the other half has not moved.
    let lumped = [(1, 2, 3e7), (2, 1, 7e7), (1, 3, 0.05), (2, 4, 0.7)];
    for (at, &time) in times.iter().enumerate() {
        let (state, density) = exact(4, 1, &lumped, time);
        let off = (curve.pdf[at] / (0.5 * density) - 1.0).abs();
        assert!(off <= 1e-14, "pdf at {time}: {off:e}");
        let off = (curve.cdf[at] - 0.5 * state[3]).abs();
        assert!(off <= 1e-14, "cdf at {time}: {off:e}");
    }
}
