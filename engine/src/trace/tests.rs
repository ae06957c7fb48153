use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};
use proptest::prelude::*;
use std::ops::ControlFlow;

fn build(vertices: u32, edges: impl IntoIterator<Item = (u32, u32, f64)>) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    for (from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(&[rate])).unwrap();
    }
    builder.finish()
}

/// Every vertex leads to every other one: fill grows with the cube.
fn dense(vertices: u32) -> Graph {
    let pairs = (1..vertices).flat_map(move |from| (1..=vertices).map(move |to| (from, to)));
    let edges =
        pairs.filter(|(from, to)| from != to).map(|(from, to)| (from, to, f64::from(1 + (from * to) % 5)));
    build(vertices + 1, std::iter::once((START, 1, 1.0)).chain(edges))
}

fn mean(graph: &Graph) -> f64 {
    let trace = eliminate(graph, &Limits::default(), &mut ()).unwrap();
    trace.replay(graph, &graph.unit_weights()).unwrap().expectation(None).unwrap()
}

#[test]
fn a_path_of_a_million_vertices_overflows_no_stack() {
    let vertices = 1_000_000;
    let path = build(vertices, (0..vertices - 1).map(|vertex| (vertex, vertex + 1, 1.0)));
    assert_eq!(mean(&path), f64::from(vertices - 2));
}

#[test]
fn a_queue_of_a_hundred_thousand_places_overflows_no_stack() {
    // phasic dies near 4,000: its component search recurses.
    let places = 100_000;
    let up = (1..places).map(|k| (k, k + 1, 0.25));
    let down = (2..=places).map(|k| (k, k - 1, 1.0));
    let exit = [(START, 1, 1.0), (1, places + 1, 1.0)];
    let queue = build(places + 2, exit.into_iter().chain(up).chain(down));
    // Busy period of an M/M/1 queue with load 1/4: 1 / (1 − 1/4).
    assert!((mean(&queue) - 4.0 / 3.0).abs() < 1e-12);
}

#[test]
fn the_memory_budget_stops_an_elimination_before_it_is_passed() {
    let graph = dense(60);
    let whole = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
    let result_bytes = size_of_val(whole.commands()) as u64;
    let error =
        eliminate(&graph, &Limits::default().with_memory_bytes(result_bytes / 2), &mut ()).unwrap_err();
    assert!(matches!(error, EliminationError::Memory { .. }), "{error}");
    let enough = Limits::default().with_memory_bytes(4 * result_bytes);
    assert_eq!(eliminate(&graph, &enough, &mut ()).unwrap(), whole);
    // Counting takes a fraction of the memory.
    let counted = forecast(&graph, &Limits::default().with_memory_bytes(result_bytes / 8), &mut ()).unwrap();
    assert_eq!(counted.commands, whole.commands().len() as u64);
}

#[test]
fn the_command_limit_is_exact() {
    let graph = dense(12);
    let commands = forecast(&graph, &Limits::default(), &mut ()).unwrap().commands;
    assert!(eliminate(&graph, &Limits::default().with_commands(commands), &mut ()).is_ok());
    for limit in [commands - 1, commands / 2, 0] {
        let limits = Limits::default().with_commands(limit);
        let (done, counted) = (eliminate(&graph, &limits, &mut ()), forecast(&graph, &limits, &mut ()));
        assert!(matches!(done, Err(EliminationError::Commands { .. })), "{limit}");
        assert!(matches!(counted, Err(EliminationError::Commands { .. })), "{limit}");
    }
}

#[test]
fn an_observer_sees_progress_and_can_cancel() {
    let graph = dense(60);
    let mut seen = Vec::new();
    let mut watch = |progress: Progress| {
        seen.push(progress.vertices_done);
        ControlFlow::Continue(())
    };
    eliminate(&graph, &Limits::default(), &mut watch).unwrap();
    assert!(seen.len() > 3 && seen.is_sorted());
    let mut calls = 0;
    let mut stop = |_: Progress| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error = eliminate(&graph, &Limits::default(), &mut stop).unwrap_err();
    assert!(matches!(error, EliminationError::Cancelled { .. }));
    assert_eq!(calls, 3);
}

#[test]
fn replay_names_what_does_not_fit() {
    let (small, large) = (build(3, [(0, 1, 1.0), (1, 2, 1.0)]), dense(4));
    let trace = eliminate(&small, &Limits::default(), &mut ()).unwrap();
    assert!(matches!(trace.replay(&large, &large.unit_weights()), Err(ReplayError::WrongGraph { .. })));
    let short = trace.replay(&small, &[1.0]);
    assert_eq!(short.unwrap_err(), ReplayError::WeightLength { expected: 2, found: 1 });
    let replay = trace.replay(&small, &small.unit_weights()).unwrap();
    let rewards = replay.expectation(Some(&[1.0]));
    assert_eq!(rewards, Err(ReplayError::RewardLength { expected: 3, found: 1 }));
    let rewards = replay.expectation(Some(&[0.0, f64::NAN, 0.0]));
    assert_eq!(rewards, Err(ReplayError::RewardNotANumber { vertex: 1 }));
    assert_eq!(replay.moments(0, None), Err(ReplayError::NoMoments));
}

/// Gaussian elimination with partial pivoting on the chain's equations; shares nothing with the code under test.
fn dense_solve(graph: &Graph, weights: &[f64], rewards: &[f64]) -> Vec<f64> {
    let n = graph.vertex_count() as usize;
    let mut rows = vec![vec![0.0_f64; n + 1]; n];
    for (v, row) in rows.iter_mut().enumerate() {
        let vertex = v as u32;
        if graph.is_absorbing(vertex) {
            row[v] = 1.0;
            continue;
        }
        for edge in graph.edges(vertex) {
            row[v] += weights[edge.index as usize];
            row[edge.target as usize] -= weights[edge.index as usize];
        }
        row[n] = if vertex == START { 0.0 } else { rewards[v] };
    }
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs())).unwrap();
        rows.swap(column, pivot);
        let pivot_row = rows[column].clone();
        for row in &mut rows[column + 1..] {
            let factor = row[column] / pivot_row[column];
            for (value, p) in row.iter_mut().zip(&pivot_row) {
                *value -= factor * p;
            }
        }
    }
    let mut x = vec![0.0; n];
    for v in (0..n).rev() {
        let known: f64 = (v + 1..n).map(|u| rows[v][u] * x[u]).sum();
        x[v] = (rows[v][n] - known) / rows[v][v];
    }
    x
}

/// Random graphs in which every vertex can be left for good: a path to the last vertex, and any other edges, each pair
/// at most once, to targets from `lowest` on.
fn solvable(lowest: u32) -> impl Strategy<Value = Graph> {
    (3..12_u32).prop_flat_map(move |vertices| {
        let edge = (1..vertices - 1, lowest..vertices, 0.1..4.0);
        prop::collection::vec(edge, 0..40).prop_map(move |extra| {
            let path = (0..vertices - 1).map(|vertex| (vertex, vertex + 1, 1.0));
            let mut edges: Vec<(u32, u32, f64)> = path.chain(extra).collect();
            edges.retain(|&(from, to, _)| from != to);
            let mut seen = std::collections::HashSet::new();
            edges.retain(|&(from, to, _)| seen.insert((from, to)));
            build(vertices, edges)
        })
    })
}

proptest! {
    #[test]
    fn replay_equals_an_independent_dense_solve(graph in solvable(START), theta in 0.2..5.0, tilt in 0.0..3.0) {
        let weights = graph.weights(&[theta]).unwrap();
        let rewards: Vec<f64> = (0..graph.vertex_count()).map(|v| 1.0 + tilt * f64::from(v % 3)).collect();
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let replay = trace.replay(&graph, &weights).unwrap();
        let found = replay.waiting_times(Some(&rewards)).unwrap();
        let wanted = dense_solve(&graph, &weights, &rewards);
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-9), "{found} {wanted}");
        }
        let second: Vec<f64> = wanted.iter().zip(&rewards).map(|(x, r)| x * r).collect();
        let second = 2.0 * dense_solve(&graph, &weights, &second)[0];
        let moments = replay.moments(2, Some(&rewards)).unwrap();
        prop_assert!((moments[1] - second).abs() <= 1e-9 * second);
    }

    #[test]
    fn sojourn_times_sum_to_the_expectation(graph in solvable(START), theta in 0.2..5.0) {
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let replay = trace.replay(&graph, &graph.weights(&[theta]).unwrap()).unwrap();
        let (sum, mean) = (replay.sojourn_times().unwrap().iter().sum::<f64>(), replay.expectation(None).unwrap());
        prop_assert!((sum - mean).abs() <= 1e-10 * mean);
    }

    #[test]
    fn a_forecast_is_exact(graph in solvable(START)) {
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let forecast = forecast(&graph, &Limits::default(), &mut ()).unwrap();
        prop_assert_eq!(forecast.commands, trace.commands().len() as u64);
        prop_assert_eq!(forecast.rows, trace.row_count() as u64);
        prop_assert_eq!(forecast.slots, u64::from(trace.slots()));
        prop_assert_eq!(forecast.inputs, trace.inputs().len() as u64);
    }

    #[test]
    fn a_program_tells_the_order_of_edges_it_was_made_for(
        graph in solvable(START),
        keys in prop::collection::vec(any::<u32>(), 64),
    ) {
        let mut order: Vec<u32> = (0..graph.edge_count()).collect();
        for vertex in 0..graph.vertex_count() {
            order[graph.edge_range(vertex)].sort_by_key(|&edge| keys[edge as usize % keys.len()]);
        }
        let other = graph.reordered(&order);
        prop_assert_eq!(other.content_hash(), graph.content_hash());
        let trace = eliminate(&other, &Limits::default(), &mut ()).unwrap();
        prop_assert_eq!(trace.edge_order_of(&graph), Some(other));
    }

    #[test]
    fn component_by_component_gives_the_same_waiting_times(graph in solvable(1)) {
        let weights = graph.unit_weights();
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let whole = trace.replay(&graph, &weights).unwrap().waiting_times(None).unwrap();
        let parts = hierarchical_waiting_times(&graph, &weights, &Limits::default(), &mut ()).unwrap();
        for (whole, part) in whole.iter().zip(&parts) {
            prop_assert!((whole - part).abs() <= 1e-9 * whole.abs());
        }
    }
}
