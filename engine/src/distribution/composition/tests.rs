use proptest::prelude::*;

use super::super::random_graphs::{Recipe, close, moments, pushed, recipe};
use super::*;
use crate::distribution::{TransformError, frozen};
use crate::graph::{GraphError, Rate};
use crate::plan::{Limits, Plan};

fn exponential(rate: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[rate])).unwrap();
    builder.finish()
}

/// The queue of a parameterized model with an atom at 0 and a return to the start.
fn queue() -> Graph {
    let mut builder = GraphBuilder::new(2).unwrap();
    let v: Vec<u32> = (0..4).map(|k| builder.add_vertex(&[k, 7]).unwrap()).collect();
    for (to, p) in [(v[1], 0.5), (v[2], 0.3), (v[0], 0.2)] {
        builder.add_edge(START, to, Rate::Scalar(p)).unwrap();
    }
    for k in 1..4 {
        if k < 3 {
            builder.add_edge(v[k], v[k + 1], Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
        builder.add_edge(v[k], v[k - 1], Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.add_edge(v[3], START, Rate::Coefficients(&[0.5, 0.25])).unwrap();
    builder.finish()
}

fn mean_and_variance(graph: &Graph, theta: &[f64]) -> (f64, f64) {
    let plan = Plan::analyze(graph, &Limits::default()).unwrap();
    let at = plan.at(theta).unwrap();
    (at.expectation(), at.variance())
}

const ROOM: fn() -> GraphLimits = GraphLimits::default;

#[test]
fn parameters_of_a_sum_stand_side_by_side_or_are_shared() {
    let (theta, other) = ([0.5, 2.0], [3.0]);
    let (a, b) = (mean_and_variance(&queue(), &theta), mean_and_variance(&exponential(2.0), &other));
    let both = sum(&[&queue(), &exponential(2.0)], Parameters::SideBySide, ROOM()).unwrap();
    assert_eq!((both.param_length(), both.state_length(), both.is_parameterized()), (3, 3, true));
    let found = mean_and_variance(&both, &[0.5, 2.0, 3.0]);
    assert!(close(found.0, a.0 + b.0, 1e-14) && close(found.1, a.1 + b.1, 1e-13), "{found:?}");
    let twice = sum(&[&queue(), &queue()], Parameters::Shared, ROOM()).unwrap();
    assert_eq!(twice.param_length(), 2);
    let found = mean_and_variance(&twice, &theta);
    assert!(close(found.0, 2.0 * a.0, 1e-14) && close(found.1, 2.0 * a.1, 1e-13));
    // A scalar graph takes part with weights that no parameter moves.
    let scalar = frozen(&exponential(2.0), &other, ROOM()).unwrap();
    let mixed = sum(&[&queue(), &scalar], Parameters::SideBySide, ROOM()).unwrap();
    assert_eq!(mixed.param_length(), 2);
    assert!(close(mean_and_variance(&mixed, &theta).0, a.0 + b.0, 1e-14));
}

#[test]
fn copies_make_fewer_states_of_the_same_law() {
    let theta = [0.5, 2.0];
    for rank in 1..=3 {
        let few = order_statistic_of_copies(&queue(), 3, rank, ROOM()).unwrap();
        let many =
            order_statistic(&[&queue(), &queue(), &queue()], rank, Parameters::Shared, ROOM()).unwrap();
        assert!(few.vertex_count() < many.vertex_count());
        let (a, b) = (mean_and_variance(&few, &theta), mean_and_variance(&many, &theta));
        assert!(close(a.0, b.0, 1e-13) && close(a.1, b.1, 1e-12), "{rank}: {a:?} {b:?}");
    }
}

#[test]
fn the_kth_of_n_exponentials_has_a_partial_harmonic_mean() {
    let graph = order_statistic_of_copies(&exponential(1.0), 30, 12, ROOM()).unwrap();
    assert_eq!(graph.vertex_count(), 14);
    let exact: f64 = (19..=30).map(|k| 1.0 / f64::from(k)).sum();
    assert!(close(mean_and_variance(&graph, &[1.0]).0, exact, 1e-14));
}

/// A light that may begin in either of two phases, and at each tick changes phase or goes out for good.
fn ticking_light() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (0..3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, v[1], Rate::Scalar(0.75)).unwrap();
    builder.add_edge(START, v[2], Rate::Scalar(0.25)).unwrap();
    for (from, to, p) in [(1, 2, 0.75), (1, 0, 0.25), (2, 1, 0.75), (2, 0, 0.25)] {
        builder.add_edge(v[from], v[to], Rate::Scalar(p)).unwrap();
    }
    builder.set_was_dph(true);
    builder.finish()
}

#[test]
fn many_copies_that_begin_or_jump_together_take_their_numbers_by_vertex_only() {
    // Both phases end alike, so each light goes out at a tick with probability 1/4; 2³⁰ joint choices to begin with.
    let copies: usize = 30;
    let graph = order_statistic_of_copies(&ticking_light(), copies, copies, ROOM()).unwrap();
    // So many in each phase, the others out: not all. As many in one as in the other may all change places.
    let numbers = (copies + 1) * (copies + 2) / 2 - 1;
    assert_eq!(graph.vertex_count() as usize, 2 + numbers + copies / 2);
    let mean: f64 = (0..2000).map(|ticks| 1.0 - (1.0 - 0.75_f64.powi(ticks)).powf(copies as f64)).sum();
    assert!(close(mean_and_variance(&graph, &[1.0]).0, mean, 1e-12));
    let first = order_statistic_of_copies(&ticking_light(), 200, 1, ROOM()).unwrap();
    assert_eq!(first.vertex_count(), 2 + 201 + 1);
    let mean = 1.0 / (1.0 - 0.75_f64.powi(200));
    assert!(close(mean_and_variance(&first, &[1.0]).0, mean, 1e-12));
}

#[test]
fn discrete_copies_have_the_law_of_parts_that_are_alike() {
    let light = ticking_light();
    for rank in 1..=3 {
        let few = order_statistic_of_copies(&light, 3, rank, ROOM()).unwrap();
        let many = order_statistic(&[&light; 3], rank, Parameters::SideBySide, ROOM()).unwrap();
        assert!(few.vertex_count() < many.vertex_count());
        for (a, b) in pushed(&few, 12).into_iter().zip(pushed(&many, 12)) {
            assert!((a - b).abs() < 1e-15, "{rank}: {a} {b}");
        }
    }
}

#[test]
fn copies_are_held_to_the_limits_before_there_is_one_of_them() {
    let lamp = exponential(1.0);
    let refused = |copies, rank| order_statistic_of_copies(&lamp, copies, rank, ROOM()).unwrap_err();
    let memory = TransformError::Graph(GraphError::Limit { what: "bytes of memory", limit: 8 << 30 });
    for copies in [1 << 29, 1 << 40, usize::MAX] {
        assert_eq!(refused(copies, 1), memory, "{copies}");
    }
    // As many vertices as must end, and each state is long.
    let limits = GraphLimits::default().with_memory_bytes(1 << 20);
    let refused = order_statistic_of_copies(&lamp, 20_000, 20_000, limits).unwrap_err();
    assert!(matches!(refused, TransformError::Graph(GraphError::Limit { .. })), "{refused:?}");
    // The first of very many is no trouble: n times the rate.
    let first = order_statistic_of_copies(&lamp, 100_000, 1, ROOM()).unwrap();
    assert_eq!(first.vertex_count(), 3);
    assert!(close(mean_and_variance(&first, &[1.0]).0, 1e-5, 1e-15));
}

#[test]
fn states_and_what_they_are_looked_up_by_are_held_to_one_limit() {
    // A hundred states of 4,000 integers of four bytes, each looked up by 2,000.
    let within = |bytes| {
        let limits = GraphLimits::default().with_memory_bytes(bytes);
        order_statistic_of_copies(&exponential(1.0), 2000, 100, limits)
    };
    let refused = within(2_300_000).unwrap_err();
    let memory = GraphError::Limit { what: GraphError::MEMORY, limit: 2_300_000 };
    assert_eq!(refused, TransformError::Graph(memory));
    assert_eq!(within(2_600_000).unwrap().vertex_count(), 102);
}

#[test]
fn what_cannot_be_composed_is_refused_by_name() {
    let (a, b) = (exponential(1.0), queue());
    let side = Parameters::SideBySide;
    assert_eq!(sum(&[], side, ROOM()), Err(TransformError::Empty));
    assert_eq!(maximum(&[], side, ROOM()), Err(TransformError::Empty));
    let ticking = a.discretize(0.5).unwrap();
    assert_eq!(sum(&[&a, &ticking], side, ROOM()), Err(TransformError::MixedTime { part: 1 }));
    assert_eq!(minimum(&[&ticking, &ticking], side, ROOM()), Err(TransformError::NotLinear { part: 0 }));
    let shared = TransformError::SharedParameters { part: 1, expected: 1, found: 2 };
    assert_eq!(minimum(&[&a, &b], Parameters::Shared, ROOM()), Err(shared));
    let rank = |rank| order_statistic(&[&a, &a], rank, side, ROOM());
    assert_eq!(rank(0), Err(TransformError::Rank { rank: 0, count: 2 }));
    assert_eq!(rank(3), Err(TransformError::Rank { rank: 3, count: 2 }));
    let weights = |weights: &[f64]| mixture(weights, &[&a, &a], side, ROOM());
    assert!(matches!(weights(&[1.0]), Err(TransformError::Length { expected: 2, found: 1, .. })));
    assert_eq!(weights(&[1.5, -0.5]), Err(TransformError::Probability { index: 1, value: -0.5 }));
    assert_eq!(weights(&[0.5, 0.25]), Err(TransformError::ProbabilitySum { sum: 0.75 }));
    let limits = GraphLimits::default().with_vertices(50);
    let large = order_statistic(&[&b; 6], 6, side, limits);
    assert_eq!(large, Err(GraphError::Limit { what: "vertices", limit: 50 }.into()));
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(on, off, Rate::Scalar(1.0)).unwrap();
    let defective = builder.finish();
    let refused = TransformError::Defective { part: Some(1), sum: 0.5 };
    assert_eq!(sum(&[&a, &defective], side, ROOM()), Err(refused));
}

/// Probabilities of being absorbed by 0, 1, … jumps.
fn cumulative(graph: &Graph, last: usize) -> Vec<f64> {
    let mut sum = 0.0;
    pushed(graph, last)
        .into_iter()
        .map(|p| {
            sum += p;
            sum
        })
        .collect()
}

/// P(T ≤ k·0.1) by uniformization of (α, S): independent of what is under test.
fn distribution_function(graph: &Graph, last: usize) -> Vec<f64> {
    let weights = graph.unit_weights();
    let rates = graph.rates(&weights);
    let fastest = rates[1..].iter().copied().fold(0.0, f64::max);
    // 2⁻⁶ of a jump's time per step, so the Poisson weights of ten terms suffice.
    let step = 0.1;
    let leave = |mass: &mut Vec<f64>| {
        let here = std::mem::take(&mut mass[0]);
        for edge in graph.edges(START) {
            mass[edge.target as usize] += here * weights[edge.index as usize];
        }
    };
    let mut mass = vec![0.0; graph.vertex_count() as usize];
    mass[0] = 1.0;
    leave(&mut mass);
    let absorbed = |mass: &[f64]| -> f64 {
        (1..graph.vertex_count()).filter(|&v| graph.is_absorbing(v)).map(|v| mass[v as usize]).sum()
    };
    let mut found = vec![absorbed(&mass)];
    for _ in 0..last {
        let mut poisson = (-fastest * step).exp();
        let mut term = mass.clone();
        let mut next: Vec<f64> = term.iter().map(|m| m * poisson).collect();
        for k in 1..200 {
            let mut jumped = vec![0.0; term.len()];
            for vertex in 1..graph.vertex_count() {
                let here = term[vertex as usize];
                jumped[vertex as usize] += here * (1.0 - rates[vertex as usize] / fastest);
                for edge in graph.edges(vertex) {
                    jumped[edge.target as usize] += here * weights[edge.index as usize] / fastest;
                }
            }
            leave(&mut jumped);
            term = jumped;
            poisson *= fastest * step / f64::from(k);
            for (sum, m) in next.iter_mut().zip(&term) {
                *sum += m * poisson;
            }
        }
        mass = next;
        found.push(absorbed(&mass));
    }
    found
}

/// Holds a law of three independent times, as P(· ≤ x), to the law made of their own.
fn holds(found: &[f64], parts: &[Vec<f64>], law: impl Fn(&[f64]) -> f64) -> Result<(), TestCaseError> {
    for (at, &found) in found.iter().enumerate() {
        let wanted = law(&parts.iter().map(|part| part[at]).collect::<Vec<_>>());
        prop_assert!((found - wanted).abs() < 1e-11, "at {}: {} {}", at, found, wanted);
    }
    Ok(())
}

fn least(p: &[f64]) -> f64 {
    1.0 - p.iter().map(|p| 1.0 - p).product::<f64>()
}

fn greatest(p: &[f64]) -> f64 {
    p.iter().product()
}

fn median(p: &[f64]) -> f64 {
    p[0] * p[1] + p[0] * p[2] + p[1] * p[2] - 2.0 * p[0] * p[1] * p[2]
}

fn graphs(recipes: &[Recipe], returns: &[(usize, f64)]) -> Vec<Graph> {
    recipes.iter().map(|recipe| recipe.with_returns(false, returns)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn moments_of_sums_and_mixtures_are_those_of_the_parts(
        recipes in prop::collection::vec(recipe(1..=5), 3),
        returns in prop::collection::vec((0..5_usize, 0.1..2.0_f64), 0..3),
        p in 0.0..1.0_f64,
    ) {
        let graphs = graphs(&recipes, &returns);
        let borrowed: Vec<&Graph> = graphs.iter().collect();
        let m: Vec<Vec<f64>> = graphs.iter().map(|graph| moments(graph, 3)).collect();
        let total = sum(&borrowed, Parameters::SideBySide, ROOM()).unwrap();
        let found = moments(&total, 2);
        let mean: f64 = m.iter().map(|m| m[0]).sum();
        let variance: f64 = m.iter().map(|m| m[1] - m[0] * m[0]).sum();
        prop_assert!(close(found[0], mean, 1e-13));
        prop_assert!(close(found[1], variance + mean * mean, 1e-12));
        let weights = [p / 2.0, 1.0 - p, p / 2.0];
        let mixed = mixture(&weights, &borrowed, Parameters::Shared, ROOM()).unwrap();
        for (power, found) in moments(&mixed, 3).into_iter().enumerate() {
            let wanted: f64 = weights.iter().zip(&m).map(|(w, m)| w * m[power]).sum();
            prop_assert!(close(found, wanted, 1e-12));
        }
    }

    #[test]
    fn order_statistics_have_the_distribution_functions_they_should(
        recipes in prop::collection::vec(recipe(1..=3), 3),
        returns in prop::collection::vec((0..5_usize, 0.1..2.0_f64), 0..2),
    ) {
        let graphs = graphs(&recipes, &returns);
        let borrowed: Vec<&Graph> = graphs.iter().collect();
        let parts: Vec<_> = graphs.iter().map(|graph| distribution_function(graph, 8)).collect();
        let law = |rank| {
            let graph = order_statistic(&borrowed, rank, Parameters::SideBySide, ROOM()).unwrap();
            distribution_function(&graph, 8)
        };
        holds(&law(1), &parts, least)?;
        holds(&law(2), &parts, median)?;
        holds(&law(3), &parts, greatest)?;
    }

    #[test]
    fn discrete_times_compose_alike(recipes in prop::collection::vec(recipe(1..=3), 3)) {
        let graphs: Vec<Graph> = recipes.iter().map(|recipe| recipe.graph(true)).collect();
        let borrowed: Vec<&Graph> = graphs.iter().collect();
        let parts: Vec<_> = graphs.iter().map(|graph| cumulative(graph, 10)).collect();
        let law = |rank| {
            let graph = order_statistic(&borrowed, rank, Parameters::SideBySide, ROOM()).unwrap();
            prop_assert!(graph.was_dph());
            Ok(cumulative(&graph, 10))
        };
        holds(&law(1)?, &parts, least)?;
        holds(&law(2)?, &parts, median)?;
        holds(&law(3)?, &parts, greatest)?;
        let total = pushed(&sum(&borrowed[..2], Parameters::SideBySide, ROOM()).unwrap(), 10);
        let (a, b) = (pushed(&graphs[0], 10), pushed(&graphs[1], 10));
        for (jumps, found) in total.into_iter().enumerate() {
            let wanted: f64 = (0..=jumps).map(|k| a[k] * b[jumps - k]).sum();
            prop_assert!((found - wanted).abs() < 1e-13);
        }
    }
}
