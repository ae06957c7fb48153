//! How many digits are right, where rates are far apart and graphs are large.

use super::graphs::{cases, leaking_path, library, plan, queue, queue_in_phases, rewards, small_library};
use super::number::{Double2, Number};
use super::solver::{Solver, weights};
use ndarray::Array2;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{Limits, Plan};
use proptest::prelude::*;
use serde_json::json;

/// Relative errors of the expectation, of moments 2 to 4 and of the variance.
fn errors(graph: &Graph, plan: &Plan, theta: &[f64]) -> [f64; 3] {
    let at = plan.at(theta).unwrap();
    let [ones, ..] = rewards(graph);
    let solver = Solver::new(graph, &weights(graph, theta));
    let exact = solver.moments(&ones, 4);
    let relative = |found: f64, exact: Double2| {
        // Beyond the range of doubles, of which the reference takes the root, there is nothing to compare.
        if !(1e-150..1e150).contains(&exact.high) {
            return 0.0;
        }
        let error = (Double2::new(found) - exact) / exact;
        error.high.abs()
    };
    let moments = at.moments(4).unwrap();
    let higher = moments[1..].iter().zip(&exact[1..]).map(|(&found, &exact)| relative(found, exact));
    [
        relative(moments[0], exact[0]),
        higher.fold(0.0, f64::max),
        relative(at.variance(), solver.covariance(&ones, &ones)),
    ]
}

#[derive(Debug)]
struct Worst([(f64, String); 3]);

impl Worst {
    fn new() -> Self {
        Self(Default::default())
    }

    fn add(&mut self, errors: [f64; 3], what: impl Fn() -> String) {
        for (worst, error) in self.0.iter_mut().zip(errors) {
            assert!(!error.is_nan(), "{}", what());
            if error > worst.0 {
                *worst = (error, what());
            }
        }
    }

    fn stays_below(&self, limits: [f64; 3]) {
        let held = self.0.iter().zip(limits).all(|(worst, limit)| worst.0 <= limit);
        assert!(held, "{self:?}");
    }
}

#[test]
fn sweeps_over_twelve_decades_keep_thirteen_digits() {
    let mut worst = Worst::new();
    for (name, graph) in small_library() {
        let plan = plan(&graph);
        for step in 0..25 {
            // One parameter goes from 1e-6 to 1e6, another the other way, the rest stay.
            let moved = |k: usize| match k % 3 {
                0 => 10_f64.powf(f64::from(step) / 2.0 - 6.0),
                1 => 10_f64.powf(6.0 - f64::from(step) / 2.0),
                _ => 1.3,
            };
            let theta: Vec<f64> = (0..graph.param_length()).map(moved).collect();
            worst.add(errors(&graph, &plan, &theta), || format!("{name} at {theta:?}"));
        }
    }
    worst.stays_below([1e-13; 3]);
}

/// Rates of single edges over twelve decades, in no order.
fn rates_apart() -> impl Strategy<Value = Graph> {
    let rate = || (-6.0..6.0).prop_map(|power| 10_f64.powf(power));
    (4..16_u32).prop_flat_map(move |vertices| {
        let path = prop::collection::vec(rate(), vertices as usize);
        let extra = prop::collection::vec((1..vertices - 1, 1..vertices, rate()), 0..60);
        (path, extra).prop_map(move |(path, extra)| {
            let mut builder = GraphBuilder::new(1).unwrap();
            for state in 1..vertices {
                builder.add_vertex(&[state.cast_signed()]).unwrap();
            }
            builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
            let onwards = (1..vertices - 1).map(|v| (v, v + 1, path[v as usize]));
            for (from, to, rate) in onwards.chain(extra).filter(|&(from, to, _)| from != to) {
                builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
            }
            builder.finish()
        })
    })
}

proptest! {
    #[test]
    fn rates_over_twelve_decades_keep_thirteen_digits(graph in rates_apart()) {
        let found = errors(&graph, &plan(&graph), &[1.0]);
        prop_assert!(found.iter().all(|&error| error <= 1e-13), "{found:?}");
    }

    #[test]
    fn ordinary_random_graphs_keep_thirteen_digits((graph, theta) in cases()) {
        let found = errors(&graph, &plan(&graph), &theta);
        // In discrete time a variance may be 0, and what is left of it then is rounding.
        prop_assert!(found[..2].iter().all(|&error| error <= 1e-13), "{found:?}");
        prop_assert!(graph.was_dph() || found[2] <= 1e-13, "{found:?}");
    }
}

#[test]
fn an_overloaded_queue_keeps_thirteen_digits() {
    // phasic returns infinity.
    let graph = library("mm1k", &json!({ "capacity": 100, "start": 100 }));
    let plan = plan(&graph);
    let mean = plan.at(&[1.5, 1.0]).unwrap().expectation();
    assert_eq!(format!("{mean:.4e}"), "2.4394e18");
    let mut worst = Worst::new();
    for load in [0.5, 0.99, 1.0, 1.01, 1.5, 3.0] {
        worst.add(errors(&graph, &plan, &[load, 1.0]), || format!("load {load}"));
    }
    worst.stays_below([1e-13; 3]);
}

#[test]
fn queues_of_a_million_places_keep_twelve_digits() {
    let graph = queue(1_000_000);
    let plan = plan(&graph);
    let mut worst = Worst::new();
    // Around the load 1 results go with its power: its last bit alone moves them by 1e-10.
    for load in [0.25, 0.999, 1.0, 1.0001] {
        worst.add(errors(&graph, &plan, &[load, 1.0]), || format!("load {load}"));
    }
    worst.stays_below([1e-12; 3]);
}

#[test]
fn paths_of_a_million_vertices_keep_twelve_digits() {
    // An Erlang distribution, whose variance is a millionth of the squared mean, and one with rates far apart.
    let stages = 1_000_000_u32;
    for decades in [0.0, 12.0] {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..=stages + 1 {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
        for v in 1..=stages {
            let power = decades * (f64::from(v) * 0.618_033_988_749_894_9).fract() - decades / 2.0;
            builder.add_edge(v, v + 1, Rate::Coefficients(&[10_f64.powf(power)])).unwrap();
        }
        let graph = builder.finish();
        let mut worst = Worst::new();
        worst.add(errors(&graph, &plan(&graph), &[0.7]), || format!("{decades} decades"));
        worst.stays_below([1e-12; 3]);
    }
}

/// From the first vertex so many ways with shares of θ₀, each to a vertex that is left at the last parameter for one of so many
/// others, which are left at that, too: E = 1 / (θ₀ Σ shares) + 2 / θ₁.
fn spread(ways: u32, others: u32, parameters: usize, share: impl Fn(u32) -> f64) -> Graph {
    let rate = |parameter: usize, share: f64| {
        let mut coefficients = vec![0.0; parameters];
        coefficients[parameter] = share;
        coefficients
    };
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=2 + others + ways {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    let (first, end) = (1, 2);
    builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
    let last = rate(parameters - 1, 1.0);
    for other in 3..3 + others {
        builder.add_edge(other, end, Rate::Coefficients(&last)).unwrap();
    }
    for way in 0..ways {
        let next = 3 + others + way;
        builder.add_edge(first, next, Rate::Coefficients(&rate(0, share(way)))).unwrap();
        builder.add_edge(next, 3 + way % others, Rate::Coefficients(&last)).unwrap();
    }
    builder.finish()
}

/// A ring of 64 at θ₂, each place of which has so many ways to leaves, at θ₀; they end at θ₁: E = 1 / (ways θ₀) + 1 / θ₁.
fn ring_with_leaves(ways: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=65 + ways {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    let end = 65 + ways;
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for leaf in 65..end {
        builder.add_edge(leaf, end, Rate::Coefficients(&[0.0, 1.0, 0.0])).unwrap();
    }
    for place in 1..=64 {
        builder.add_edge(place, place % 64 + 1, Rate::Coefficients(&[0.0, 0.0, 1.0])).unwrap();
        for leaf in 65..end {
            builder.add_edge(place, leaf, Rate::Coefficients(&[1.0, 0.0, 0.0])).unwrap();
        }
    }
    builder.finish()
}

#[test]
fn gradients_by_rates_of_very_many_ways_keep_twelve_digits() {
    let close = |graph: &Graph, theta: &[f64], wanted: &[f64]| {
        let found = plan(graph).at(theta).unwrap().expectation_gradient();
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found / wanted - 1.0).abs() <= 1e-12, "{found:e} for {wanted:e}");
        }
    };
    let (a, b, ways) = (0.3, 0.7, 1_000_000);
    let n = f64::from(ways);
    close(&spread(ways, 100, 2, |_| 1.0), &[a, b], &[-1.0 / (a * a * n), -2.0 / (b * b)]);
    close(&spread(ways, 100, 1, |_| 1.0), &[b], &[-(2.0 + 1.0 / n) / (b * b)]);
    // A form for each way. The shares add up without rounding.
    let share = |way| 1.0 + f64::from(way) / f64::from(1_u32 << 20);
    let shares: f64 = (0..ways).map(share).sum();
    close(&spread(ways, 100, 2, share), &[a, b], &[-1.0 / (a * a * shares), -2.0 / (b * b)]);
    for ways in [500, 10_000] {
        let n = f64::from(ways);
        close(&ring_with_leaves(ways), &[a, b, 1.0], &[-1.0 / (a * a * n), -1.0 / (b * b)]);
    }
}

#[test]
fn long_paths_that_may_end_anywhere_keep_twelve_digits() {
    let mut worst = Worst::new();
    // Below and above the length from which twice the digits are used; the last is seldom gone at all.
    for (vertices, probability) in [(4_000, 1.0), (5_000, 1.0), (200_000, 1.0), (200_000, 0.015_625)] {
        let graph = leaking_path(vertices, probability);
        let plan = plan(&graph);
        // From one that is hardly ever left early to one that is after a few steps, where plain numbers are enough.
        for ends in [1e-9, 1e-5, 1.0] {
            let what = || format!("{vertices} {probability} {ends}");
            worst.add(errors(&graph, &plan, &[0.7, ends]), what);
            let theta = Array2::from_shape_fn((3, 2), |(_, parameter)| [0.7, ends][parameter]);
            let means = plan.batch(&theta.view()).unwrap().expectation().unwrap();
            let mean = plan.at(&[0.7, ends]).unwrap().expectation();
            assert!(
                means.iter().all(|found| found.to_bits() == mean.to_bits()),
                "{means:?} {mean} {}",
                what()
            );
        }
    }
    worst.stays_below([1e-12; 3]);
}

#[test]
fn long_components_that_fill_in_keep_twelve_digits() {
    // Below and above the height from which twice the digits are used, started at either end and between. There plain
    // numbers are off by 3e-13 at 20,000 places and by 8e-13 at 60,000.
    for (places, limit) in [(1_000, 1e-12), (4_000, 1e-12), (20_000, 1e-14)] {
        let mut worst = Worst::new();
        for started_with in [1, places / 2, places] {
            let graph = queue_in_phases(places, started_with);
            let plan = plan(&graph);
            for theta in [[1.0, 1.0, 1.0], [1.0, 1.0, 1e-3], [1.35, 1.0, 1.0]] {
                worst.add(errors(&graph, &plan, &theta), || {
                    format!("{places} from {started_with} at {theta:?}")
                });
            }
        }
        worst.stays_below([limit; 3]);
    }
}

#[test]
fn waiting_times_in_components_of_thousands_of_vertices_keep_twelve_digits() {
    for (graph, theta) in [
        (queue(1_500), vec![0.5, 1.0]),
        (queue(1_500), vec![1.0, 1.0]),
        (queue(1_500), vec![1.2, 1.0]),
        (queue_in_phases(700, 1), vec![1.0, 1.0, 1.0]),
        (queue_in_phases(3_000, 1), vec![1.0, 1.0, 1.0]),
    ] {
        let rewards = rewards(&graph);
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let solver = Solver::new(&graph, &weights(&graph, &theta));
        for rewards in &rewards {
            let found = at.rewarded(rewards).unwrap().waiting_times();
            for (vertex, (found, exact)) in found.iter().zip(solver.waiting_times(rewards)).enumerate() {
                let error = (Double2::new(*found) - exact).high.abs();
                assert!(error <= 1e-12 * exact.high, "vertex {vertex} at {theta:?}: {found:e} {exact:?}");
            }
        }
    }
}

#[test]
fn a_batch_takes_alone_those_parameters_only_at_which_many_vertices_are_passed() {
    let plan = plan(&leaking_path(5_000, 1.0));
    let ends = |row: usize| if row.is_multiple_of(3) { 1e-9 } else { 0.1 + row as f64 };
    let thetas = Array2::from_shape_fn((20, 2), |(row, parameter)| [0.7, ends(row)][parameter]);
    for count in [1, 3, 9] {
        let moments = plan.batch(&thetas.view()).unwrap().moments(count).unwrap();
        for (row, found) in moments.outer_iter().enumerate() {
            let wanted = plan.at(&[0.7, ends(row)]).unwrap().moments(count).unwrap();
            assert_eq!(found.to_vec(), wanted, "{row}");
        }
    }
}

#[test]
fn two_lineages_on_three_demes_meet_after_5_6() {
    // Steps of the two lead to the same state: phasic, which loses parallel edges, gives another number.
    let with_edges = |parallel: &str| {
        let text = phasic_engine::model::find("stepping_stone").unwrap().text;
        let text = text.replace("\"parallel\": \"merge\"", &format!("\"parallel\": \"{parallel}\""));
        let document = phasic_engine::model::read(&text).unwrap();
        let three = document.with_constant("demes", 3).unwrap();
        three.build(&phasic_engine::graph::GraphLimits::default()).unwrap()
    };
    let (kept, merged) = (with_edges("keep"), with_edges("merge"));
    assert!(kept.has_parallel_edges() && !merged.has_parallel_edges());
    for graph in [kept, merged] {
        let mean = plan(&graph).at(&[1.0, 0.5]).unwrap().expectation();
        assert!((mean - 5.6).abs() <= 1e-15, "{mean}");
    }
}

/// A walk on a three-dimensional torus that is left from its first place at rate θ₀, all steps at rate θ₁.
fn walk_on_a_torus(side: u32) -> Graph {
    let places = side * side * side;
    let mut builder = GraphBuilder::new(1).unwrap();
    for place in 0..places {
        builder.add_vertex(&[place.cast_signed() + 1]).unwrap();
    }
    let end = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for place in 0..places {
        for stride in [1, side, side * side] {
            let at = place / stride % side;
            for to in [(at + 1) % side, (at + side - 1) % side] {
                let to = place - at * stride + to * stride;
                builder.add_edge(place + 1, to + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
            }
        }
    }
    builder.add_edge(1, end, Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.finish()
}

#[test]
fn a_walk_on_a_large_torus_takes_as_long_as_its_places_say() {
    // Large enough to be dissected. As steps are symmetric, each place is visited for 1/θ₀ on average.
    let side = 15;
    let graph = walk_on_a_torus(side);
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    for theta in [[1.0, 1.0], [1e-6, 1.0], [1e3, 1e-3]] {
        let at = plan.at(&theta).unwrap();
        let wanted = f64::from(side * side * side) / theta[0];
        assert!((at.expectation() / wanted - 1.0).abs() < 1e-12, "{theta:?} {} {wanted}", at.expectation());
    }
    // By minimum degree alone these would be 184 million.
    assert!(plan.cost().multiply_adds < 150_000_000, "{}", plan.cost().multiply_adds);
}

/// A ring around which a walk goes one way at rate θ₀, and which it leaves from anywhere at rate θ₁; numbered along the way
/// or against it.
fn ring(places: u32, along: bool) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for place in 0..places {
        builder.add_vertex(&[place.cast_signed() + 1]).unwrap();
    }
    let end = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for place in 0..places {
        let to = if along { (place + 1) % places } else { (place + places - 1) % places };
        builder.add_edge(place + 1, to + 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(place + 1, end, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn rings_that_go_one_way_keep_twelve_digits_whichever_way_they_are_numbered() {
    for along in [true, false] {
        let plan = Plan::analyze(&ring(300_000, along), &Limits::default()).unwrap();
        // Wherever it is, it leaves at the same rate: an exponential time.
        let rate = 1e-5;
        let at = plan.at(&[3.0, rate]).unwrap();
        assert!((at.expectation() * rate - 1.0).abs() < 1e-12, "{along} {}", at.expectation() * rate);
        assert!((at.variance() * rate * rate - 1.0).abs() < 1e-12, "{along}");
        let thetas = ndarray::array![[3.0, rate], [3.0, rate]];
        let batch = plan.batch(&thetas.view()).unwrap().expectation().unwrap();
        assert_eq!(batch, [at.expectation(); 2]);
    }
}
