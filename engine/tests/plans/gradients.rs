//! Gradients with respect to θ and to edge weights, against dual numbers and against finite differences.

use super::graphs::{
    cases, jumps_of_queue, leaking_path, plan, queue, queue_in_phases, rewards, small_library, with_weights,
};
use super::number::Dual;
use super::solver::{Solver, weights_by_edge, weights_by_parameter};
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{At, EvaluationError};
use proptest::prelude::*;

const QUANTITIES: usize = 10;

fn values(at: &At<'_>, rewards: &[Vec<f64>; 3]) -> [f64; QUANTITIES] {
    let [_, first, second] = rewards;
    let (a, b) = (at.rewarded(first).unwrap(), at.rewarded(second).unwrap());
    let m = at.moments(4).unwrap();
    let (third, variance) = (a.moments(3).unwrap()[2], a.variance());
    [m[0], m[1], m[2], m[3], at.variance(), a.expectation(), third, variance, b.variance(), a.covariance(&b)]
}

fn by_dual_numbers(solver: &Solver<Dual>, rewards: &[Vec<f64>; 3]) -> [Dual; QUANTITIES] {
    let [ones, first, second] = rewards;
    let (m, r) = (solver.moments(ones, 4), solver.moments(first, 3));
    let covariance = |a, b| solver.covariance(a, b);
    [
        m[0],
        m[1],
        m[2],
        m[3],
        covariance(ones, ones),
        r[0],
        r[2],
        covariance(first, first),
        covariance(second, second),
        covariance(first, second),
    ]
}

fn by_parameter(at: &At<'_>, rewards: &[Vec<f64>; 3]) -> [Vec<f64>; QUANTITIES] {
    let [_, first, second] = rewards;
    let (a, b) = (at.rewarded(first).unwrap(), at.rewarded(second).unwrap());
    [
        at.expectation_gradient(),
        at.moment_gradient(2).unwrap(),
        at.moment_gradient(3).unwrap(),
        at.moment_gradient(4).unwrap(),
        at.variance_gradient(),
        a.expectation_gradient(),
        a.moment_gradient(3).unwrap(),
        a.variance_gradient(),
        b.variance_gradient(),
        a.covariance_gradient(&b),
    ]
}

fn by_edge(at: &At<'_>, graph: &Graph, rewards: &[Vec<f64>; 3]) -> [Vec<f64>; QUANTITIES] {
    let [_, first, second] = rewards;
    let (a, b) = (at.rewarded(first).unwrap(), at.rewarded(second).unwrap());
    [
        at.expectation_weight_gradient(graph),
        at.moment_weight_gradient(2, graph),
        at.moment_weight_gradient(3, graph),
        at.moment_weight_gradient(4, graph),
        at.variance_weight_gradient(graph),
        a.expectation_weight_gradient(graph),
        a.moment_weight_gradient(3, graph),
        a.variance_weight_gradient(graph),
        b.variance_weight_gradient(graph),
        a.covariance_weight_gradient(&b, graph),
    ]
    .map(Result::unwrap)
}

/// The largest error among all gradients of a graph, by parameter and by edge, where 1 is as large as the quantity's own
/// scale: its value and its slope.
fn worst_error(graph: &Graph, theta: &[f64]) -> f64 {
    let (plan, rewards) = (plan(graph), rewards(graph));
    let at = plan.at(theta).unwrap();
    let (parameters, edges) = (by_parameter(&at, &rewards), by_edge(&at, graph, &rewards));
    let mut worst = 0.0_f64;
    let mut compare = |gradients: &[Vec<f64>; QUANTITIES], index: usize, weights: &[Dual], unit: f64| {
        let exact = by_dual_numbers(&Solver::new(graph, weights), &rewards);
        // Derivatives of variances are sums of terms as large as those of second moments.
        let size = |quantity: usize| match quantity {
            4 => exact[1].value.high,
            7..=9 => exact[7].value.high + exact[8].value.high,
            _ => exact[quantity].value.high,
        };
        for (quantity, exact) in exact.iter().enumerate() {
            let scale = exact.slope.high.abs() + size(quantity) / unit;
            let found = gradients[quantity][index];
            let error = (found - exact.slope.high).abs() / scale.max(f64::MIN_POSITIVE);
            assert!(
                error <= 1e-12,
                "quantity {quantity}, variable {index}: {found:e} {:e}",
                exact.slope.high
            );
            worst = worst.max(error);
        }
    };
    for parameter in 0..theta.len() {
        let weights = weights_by_parameter(graph, theta, parameter);
        compare(&parameters, parameter, &weights, theta[parameter]);
    }
    for edge in 0..graph.edge_count() {
        let weights = weights_by_edge(graph, theta, edge);
        // An edge of weight zero is judged by those of its neighbourhood.
        let unit = weights[edge as usize].value.high.max(0.1);
        compare(&edges, edge as usize, &weights, unit);
    }
    worst
}

/// The rates of single edges over twelve decades, each a multiple of one of three parameters; with cycles or without.
fn rates_apart() -> impl Strategy<Value = (Graph, Vec<f64>)> {
    let power = || (-6.0..6.0).prop_map(|power: f64| 10_f64.powf(power));
    (4..14_u32, any::<bool>()).prop_flat_map(move |(vertices, cyclic)| {
        let path = prop::collection::vec((power(), 0..3_usize), vertices as usize);
        let edge = (1..vertices - 1, 1..vertices, power(), 0..3_usize);
        (path, prop::collection::vec(edge, 0..30), [power(), power(), power()]).prop_map(
            move |(path, extra, theta)| {
                let mut builder = GraphBuilder::new(1).unwrap();
                for state in 1..vertices {
                    builder.add_vertex(&[state.cast_signed()]).unwrap();
                }
                builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
                let onwards = (1..vertices - 1).map(|v| (v, v + 1, path[v as usize].0, path[v as usize].1));
                let wanted =
                    |&(from, to, ..): &(u32, u32, f64, usize)| if cyclic { from != to } else { from < to };
                let mut edges: Vec<_> = onwards.chain(extra).filter(wanted).collect();
                // Parallel edges are added up in plain numbers, which is another matter.
                edges.sort_by_key(|&(from, to, ..)| (from, to));
                edges.dedup_by_key(|edge| (edge.0, edge.1));
                for (from, to, rate, parameter) in edges {
                    let mut coefficients = [0.0; 3];
                    coefficients[parameter] = rate / theta[parameter];
                    builder.add_edge(from, to, Rate::Coefficients(&coefficients)).unwrap();
                }
                (builder.finish(), theta.to_vec())
            },
        )
    })
}

/// Rates that are all nearly the same, or the same, each a multiple of one of three parameters; with cycles or without.
fn rates_agree() -> impl Strategy<Value = (Graph, Vec<f64>)> {
    let apart = || {
        prop_oneof![
            Just(0.0),
            (-4..5).prop_map(|units| f64::from(units) * f64::EPSILON),
            (-15.0..-2.0, any::<bool>()).prop_map(|(power, more)| if more {
                10_f64.powf(power)
            } else {
                -10_f64.powf(power)
            }),
        ]
    };
    let coefficient = || prop_oneof![Just(1.0), Just(1.0), Just(0.7)];
    (4..10_u32, any::<bool>()).prop_flat_map(move |(vertices, cyclic)| {
        let edge = || (1..vertices - 1, 1..vertices - 1, coefficient(), 0..3_usize);
        let exits = prop::collection::vec((coefficient(), 0..3_usize), vertices as usize - 2);
        let inner = prop::collection::vec(edge(), 1..16);
        (exits, inner, 0.1..5.0, [apart(), apart(), apart()]).prop_map(move |(exits, inner, rate, apart)| {
            let mut builder = GraphBuilder::new(1).unwrap();
            for state in 1..vertices {
                builder.add_vertex(&[state.cast_signed()]).unwrap();
            }
            builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
            let ends = (1..).zip(exits).map(|(from, (coefficient, k))| (from, vertices - 1, coefficient, k));
            let wanted =
                |&(from, to, ..): &(u32, u32, f64, usize)| if cyclic { from != to } else { from < to };
            let mut edges: Vec<_> = ends.chain(inner).filter(wanted).collect();
            edges.sort_by_key(|&(from, to, ..)| (from, to));
            edges.dedup_by_key(|edge| (edge.0, edge.1));
            for (from, to, coefficient, parameter) in edges {
                let mut coefficients = [0.0; 3];
                coefficients[parameter] = coefficient;
                builder.add_edge(from, to, Rate::Coefficients(&coefficients)).unwrap();
            }
            (builder.finish(), apart.map(|apart| rate * (1.0 + apart)).to_vec())
        })
    })
}

/// Holds each derivative against the exact one by itself, wherever twice the digits are enough for the reference.
fn check_every_entry(graph: &Graph, theta: &[f64]) {
    let (plan, rewards) = (plan(graph), rewards(graph));
    let at = plan.at(theta).unwrap();
    let gradients = [by_parameter(&at, &rewards), by_edge(&at, graph, &rewards)];
    let weights = graph.weights(theta).unwrap();
    let parameters = (0..theta.len()).map(|k| (0, k, weights_by_parameter(graph, theta, k), theta[k]));
    let edges = (0..graph.edge_count()).zip(weights);
    let edges = edges.map(|(edge, unit)| (1, edge as usize, weights_by_edge(graph, theta, edge), unit));
    for (by, index, weights, unit) in parameters.chain(edges) {
        let exact = by_dual_numbers(&Solver::new(graph, &weights), &rewards);
        for (quantity, number) in exact.iter().enumerate() {
            // What the reference subtracts: squares of means.
            let size = match quantity {
                4 => exact[1].value.high,
                7..=9 => {
                    exact[5].value.high.powi(2)
                        + exact[7].value.high
                        + exact[8].value.high
                        + exact[1].value.high
                }
                _ => number.value.high,
            };
            let (found, wanted) = (gradients[by][quantity][index], number.slope.high);
            let error = (found - wanted).abs();
            let is_beyond = wanted.abs() * unit < 1e-18 * size && error * unit < 1e-15 * size;
            assert!(
                error <= 1e-12 * wanted.abs() || is_beyond,
                "quantity {quantity}, by {by}, variable {index}: {found:e} {wanted:e}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn gradients_are_those_of_dual_numbers((graph, theta) in cases()) {
        worst_error(&graph, &theta);
    }

    #[test]
    fn every_entry_of_a_gradient_is_right_by_itself((graph, theta) in rates_apart()) {
        check_every_entry(&graph, &theta);
    }

    #[test]
    fn every_entry_is_right_by_itself_where_rates_nearly_agree((graph, theta) in rates_agree()) {
        check_every_entry(&graph, &theta);
    }

    #[test]
    fn every_entry_is_right_where_rates_are_ordinary((graph, theta) in cases()) {
        if !graph.has_parallel_edges() {
            check_every_entry(&graph, &theta);
        }
    }

    #[test]
    fn weight_gradients_are_those_of_finite_differences((graph, theta) in cases()) {
        // Weights of discrete graphs cannot be set one by one: they are divided by their sum.
        if graph.was_dph() {
            return Ok(());
        }
        let weights = graph.weights(&theta).unwrap();
        let plain = with_weights(&graph, &weights);
        let (rewards, here) = (rewards(&plain), plan(&plain));
        let (at, unit) = (here.at(&[1.0]).unwrap(), vec![1.0]);
        let (found, values_here) = (by_edge(&at, &plain, &rewards), values(&at, &rewards));
        // A weight near zero has no step that is small beside it and large beside rounding.
        for edge in (0..plain.edge_count() as usize).filter(|&edge| weights[edge] > 1e-3) {
            let step = 1e-5 * weights[edge];
            let shifted = |by: f64| {
                let mut weights = weights.clone();
                weights[edge] += by;
                values(&plan(&with_weights(&graph, &weights)).at(&unit).unwrap(), &rewards)
            };
            let (up, down) = (shifted(step), shifted(-step));
            for quantity in 0..QUANTITIES {
                let slope = (up[quantity] - down[quantity]) / (2.0 * step);
                let scale = found[quantity][edge].abs() + (values_here[quantity] + values_here[1]) / weights[edge];
                prop_assert!(
                    (slope - found[quantity][edge]).abs() <= 1e-6 * scale,
                    "quantity {quantity}, edge {edge}: {slope} {}", found[quantity][edge]
                );
            }
        }
    }
}

#[test]
fn gradients_of_the_library_are_those_of_dual_numbers() {
    let mut worst = (0.0, String::new());
    for (name, graph) in small_library() {
        let theta: Vec<f64> = (0..graph.param_length()).map(|k| 0.7 + 0.45 * k as f64).collect();
        let error = worst_error(&graph, &theta);
        if error > worst.0 {
            worst = (error, name);
        }
    }
    assert!(worst.0 <= 1e-14, "{worst:?}");
}

#[test]
fn gradients_of_overloaded_queues_are_those_of_dual_numbers_however_many_jumps_they_take() {
    for places in [20, 60, 80, 86, 90, 100] {
        let (graph, theta) = (jumps_of_queue(places), [1.5, 1.0]);
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let [ones, first, second] = rewards(&graph);
        let (a, b) = (at.rewarded(&first).unwrap(), at.rewarded(&second).unwrap());
        let found = [at.variance_gradient(), a.variance_gradient(), a.covariance_gradient(&b)];
        let by_edge = [
            at.variance_weight_gradient(&graph).unwrap(),
            a.variance_weight_gradient(&graph).unwrap(),
            a.covariance_weight_gradient(&b, &graph).unwrap(),
        ];
        let exact = |weights: &[Dual]| {
            let solver = Solver::new(&graph, weights);
            [(&ones, &ones), (&first, &first), (&first, &second)]
                .map(|(first, second)| solver.covariance(first, second).slope.high)
        };
        let close = |found: f64, exact: f64| (found - exact).abs() <= 1e-11 * exact.abs();
        for parameter in 0..2 {
            let exact = exact(&weights_by_parameter(&graph, &theta, parameter));
            for (found, exact) in found.iter().map(|gradient| gradient[parameter]).zip(exact) {
                assert!(close(found, exact), "{places} places, by {parameter}: {found:e} {exact:e}");
            }
        }
        for edge in [1, places, graph.edge_count() - 2] {
            let exact = exact(&weights_by_edge(&graph, &theta, edge));
            for (found, exact) in by_edge.iter().map(|gradient| gradient[edge as usize]).zip(exact) {
                assert!(close(found, exact), "{places} places, edge {edge}: {found:e} {exact:e}");
            }
        }
    }
}

#[test]
fn gradients_of_long_ways_are_those_of_dual_numbers() {
    // So many vertices are passed that numbers have twice the digits from the beginning.
    for (graph, theta) in [
        (leaking_path(6_000, 0.5), vec![0.7, 1e-5]),
        (queue(5_000), vec![1.0, 1.0]),
        (queue_in_phases(3_000, 3_000), vec![1.0, 1.0, 1.0]),
    ] {
        let rewards = rewards(&graph);
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let found = by_parameter(&at, &rewards);
        for parameter in 0..theta.len() {
            let solver = Solver::new(&graph, &weights_by_parameter(&graph, &theta, parameter));
            for (quantity, exact) in by_dual_numbers(&solver, &rewards).iter().enumerate() {
                let (found, wanted) = (found[quantity][parameter], exact.slope.high);
                assert!(
                    (found - wanted).abs() <= 1e-12 * wanted.abs(),
                    "quantity {quantity} by {parameter} at {theta:?}: {found:e} {wanted:e}"
                );
            }
        }
    }
}

#[test]
fn gradients_by_many_parameters_are_those_of_dual_numbers() {
    // Every edge of a ring with shortcuts has a parameter of its own.
    let vertices = 12_u32;
    let parameters = 3 * vertices as usize;
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    let mut parameter = 0;
    for v in 1..=vertices {
        for target in [v % vertices + 1, (v + 4) % vertices + 1, vertices + 1] {
            let mut rate = vec![0.0; parameters];
            rate[parameter] = 1.0;
            parameter += 1;
            builder.add_edge(v, target, Rate::Coefficients(&rate)).unwrap();
        }
    }
    let theta: Vec<f64> = (0..parameters).map(|k| 0.1 + (k as f64 * 0.618).fract()).collect();
    let graph = builder.finish();
    worst_error(&graph, &theta);
    // Each parameter is the weight of one edge, so both gradients are the same numbers; the start's edge comes first.
    let plan = plan(&graph);
    let at = plan.at(&theta).unwrap();
    let (by_theta, by_weight) = (at.variance_gradient(), at.variance_weight_gradient(&graph).unwrap());
    assert_eq!(by_theta, by_weight[1..]);
}

#[test]
fn a_plan_from_a_file_gives_weight_gradients_too() {
    let graph = queue(5);
    let plan = plan(&graph);
    let (_, read) = phasic_engine::plan::Plan::decode(
        &plan.encode(&graph.content_hash()),
        &phasic_engine::plan::Limits::default(),
    )
    .unwrap();
    let gradient = |plan: &phasic_engine::plan::Plan| {
        plan.at(&[0.5, 1.0]).unwrap().expectation_weight_gradient(&graph).unwrap()
    };
    assert_eq!(gradient(&plan), gradient(&read));
}

#[test]
fn weight_gradients_for_another_graph_are_errors() {
    let plan = plan(&queue(5));
    let at = plan.at(&[0.5, 1.0]).unwrap();
    let refused = |graph: &Graph| at.variance_weight_gradient(graph).unwrap_err();
    assert_eq!(refused(&queue(6)), EvaluationError::OtherGraph { vertex: None });
    assert_eq!(refused(&queue(5).discretize(0.1).unwrap()), EvaluationError::OtherGraph { vertex: None });
    // As large, but vertex 6 is no longer the end.
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=6 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 6, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(6, 1, Rate::Coefficients(&[1.0, 1.0])).unwrap();
    let error = refused(&builder.finish());
    assert_eq!(error, EvaluationError::OtherGraph { vertex: Some(6) });
    assert!(error.to_string().contains("the edges of vertex 6"), "{error}");
}

#[test]
fn parallel_edges_have_the_derivative_of_their_sum_and_unreached_ones_none() {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=3 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(2.0)).unwrap();
    builder.add_edge(1, 3, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 3, Rate::Scalar(3.0)).unwrap();
    builder.add_edge(2, 3, Rate::Scalar(5.0)).unwrap();
    let graph = builder.finish();
    let plan = plan(&graph);
    // E = 1 / (w₁ + w₂), whatever the weight of the only way to begin.
    let at = plan.at(&[1.0]).unwrap();
    let gradient = at.expectation_weight_gradient(&graph).unwrap();
    assert_eq!(gradient, [0.0, -1.0 / 16.0, -1.0 / 16.0, 0.0]);
}
