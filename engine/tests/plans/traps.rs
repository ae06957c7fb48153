//! Parameters at which there is no number, and what the error says.

use super::graphs::{plan, queue};
use ndarray::Array2;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::EvaluationError;

/// 1 → 2 ⇄ 3 at θ₀, 2 → 4 at θ₁, states 10, 20, 30, 40.
fn with_a_cycle() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=4 {
        builder.add_vertex(&[10 * state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in [(1, 2, [1.0, 0.0]), (2, 3, [1.0, 0.0]), (3, 2, [1.0, 0.0]), (2, 4, [0.0, 1.0])] {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    builder.finish()
}

#[test]
fn an_inescapable_cycle_is_an_error_that_names_a_vertex_of_it_and_its_state() {
    let plan = plan(&with_a_cycle());
    let Err(EvaluationError::Trapped { vertex, state }) = plan.at(&[1.0, 0.0]) else { panic!("no trap") };
    assert!([2, 3].contains(&vertex), "{vertex}");
    assert_eq!(state, Some(vec![10 * vertex.cast_signed()]));
}

#[test]
fn an_inescapable_cycle_in_the_graph_itself_is_an_error_at_every_parameter() {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=2 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 2, Rate::Coefficients(&[1.0])).unwrap();
    builder.add_edge(2, 1, Rate::Coefficients(&[1.0])).unwrap();
    let error = plan(&builder.finish()).at(&[1.0]).unwrap_err();
    assert!(matches!(error, EvaluationError::Trapped { vertex: 1 | 2, state: Some(_) }), "{error}");
}

#[test]
fn a_zero_rate_is_an_error_that_names_the_vertex_and_its_state() {
    let error = plan(&with_a_cycle()).at(&[0.0, 1.0]).unwrap_err();
    assert_eq!(error, EvaluationError::Trapped { vertex: 1, state: Some(vec![10]) });
    assert!(error.to_string().contains("vertex 1 (state [10])"), "{error}");
}

#[test]
fn a_batch_names_the_first_parameter_vector_without_a_number() {
    let plan = plan(&with_a_cycle());
    let mut thetas = Array2::from_elem((100, 2), 1.0);
    for (row, column, value) in [(41, 1, 0.0), (42, 0, -1.0), (99, 0, f64::NAN)] {
        thetas[(row, column)] = value;
    }
    for parallel in [false, true] {
        let batch = plan.batch(&thetas.view()).unwrap().parallel(parallel);
        let error = batch.moments(2).unwrap_err();
        assert_eq!(error.index, 41);
        assert!(
            matches!(error.source, EvaluationError::Trapped { vertex: 2 | 3, state: Some(_) }),
            "{error}"
        );
        assert!(error.to_string().starts_with("parameter vector 41 (counted from 0): "), "{error}");
    }
}

/// 1 → 2 at θ₀; 1 → 3 at θ₁ into a cycle 3 ⇄ 4 that is left at θ₁; 4 also comes from nowhere else.
fn with_a_side_cycle() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=5 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    let edges = [
        (1, 2, [1.0, 0.0]),
        (1, 5, [0.0, 1.0]),
        (5, 3, [1.0, 0.0]),
        (3, 4, [1.0, 0.0]),
        (4, 3, [1.0, 0.0]),
        (4, 2, [0.0, 1.0]),
    ];
    for (from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    builder.finish()
}

#[test]
fn a_trap_behind_an_edge_of_weight_zero_does_no_harm_and_says_that_it_is_one() {
    let graph = with_a_side_cycle();
    let plan = plan(&graph);
    let at = plan.at(&[2.0, 0.0]).unwrap();
    assert_eq!((at.expectation(), at.variance()), (0.5, 0.25));
    // Not only the cycle: who comes to 5 comes to the cycle.
    let waiting = at.waiting_times();
    assert_eq!(waiting, [0.5, 0.5, 0.0, f64::INFINITY, f64::INFINITY, f64::INFINITY]);
    // The total is infinite next to this θ₁, so there is no derivative; that by θ₀ is −1/θ₀².
    let gradient = at.expectation_gradient();
    assert_eq!(gradient[0], -0.25);
    assert!(gradient[1].is_nan());
    let by_edge = at.expectation_weight_gradient(&graph).unwrap();
    assert_eq!(by_edge[..2], [0.0, -0.25]);
    assert!(by_edge[2].is_nan());
    assert_eq!(by_edge[3..], [0.0; 4]);
    // A little later there is one.
    assert!(plan.at(&[2.0, 1e-3]).unwrap().expectation_gradient()[1].is_finite());
}

#[test]
fn an_all_zero_start_is_an_error() {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.add_vertex(&[1]).unwrap();
    builder.add_vertex(&[2]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(0.0)).unwrap();
    builder.add_edge(1, 2, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    let no_start = EvaluationError::NoStart { vertex: Some(1), state: Some(vec![1]) };
    assert_eq!(plan.at(&[1.0]).unwrap_err(), no_start);
    let thetas = Array2::from_elem((3, 1), 1.0);
    assert_eq!(plan.batch(&thetas.view()).unwrap().expectation().unwrap_err().source, no_start);
}

#[test]
fn rates_too_far_apart_for_doubles_are_an_error_and_not_a_wrong_number() {
    // Started at the far end, and so eliminated from there or from here: some order underflows.
    let places = 40_u32;
    let mut builder = GraphBuilder::new(1).unwrap();
    let absorbing = places + 1;
    for state in 1..=absorbing {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for v in 1..=places {
        builder.add_edge(v, v + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        if v > 1 {
            builder.add_edge(v, v - 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
    }
    let graph = builder.finish();
    for (queue, theta) in [(&graph, [1e12, 1.0]), (&queue(40), [1e12, 1.0])] {
        let (plan, theta) = (plan(queue), theta);
        match plan.at(&theta) {
            // The mean is 1e12 to the power of 39: far beyond the range of doubles.
            Ok(at) => assert_eq!(at.expectation(), f64::INFINITY),
            Err(error) => assert!(matches!(error, EvaluationError::OutOfRange { .. }), "{error}"),
        }
    }
}

#[test]
fn rates_whose_sum_is_no_double_still_have_a_mean() {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=3 {
        builder.add_vertex(&[10 * state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in [(1, 2, [1.0, 0.0]), (1, 3, [0.0, 1.0]), (2, 3, [1.0, 0.0])] {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    let mean = plan(&builder.finish()).at(&[1.7e308, 1.7e308]).unwrap().expectation();
    let wanted = 1.0 / 1.7e308;
    assert!((mean - wanted).abs() <= 1e-14 * wanted, "{mean:e} {wanted:e}");
}
