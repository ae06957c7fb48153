//! Weights below 0 are noticed also where a plan knows a sum only.

use ndarray::Array2;

use super::super::*;
use super::{build, close, from_first, plan};
use crate::graph::Graph;

/// What a plan, its file and a batch of it say at θ.
fn refused(graph: &Graph, theta: &[f64]) -> EvaluationError {
    let plan = plan(graph);
    let alone = plan.at(theta).unwrap_err();
    let rows = Array2::from_shape_fn((3, theta.len()), |(_, parameter)| theta[parameter]);
    assert_eq!(plan.batch(&rows.view()).unwrap().expectation().unwrap_err().source, alone);
    let (_, read) = Plan::decode(&plan.encode(&graph.content_hash()), &Limits::default()).unwrap();
    let EvaluationError::InvalidWeight { vertex, weight, .. } = alone else { panic!("{alone}") };
    assert_eq!(read.at(theta).unwrap_err(), EvaluationError::InvalidWeight { vertex, state: None, weight });
    alone
}

fn negative(vertex: u32, weight: f64) -> EvaluationError {
    EvaluationError::InvalidWeight { vertex, state: Some(vec![vertex.cast_signed()]), weight }
}

#[test]
fn a_negative_parallel_edge_that_others_outweigh_is_named() {
    // The sum is 2 θ₀: of the second edge alone nothing is left in it.
    let coefficients = [(1, 2, &[1.0, 1.0][..]), (2, 3, &[2.0, -1.0]), (2, 3, &[0.0, 1.0])];
    let graph = from_first(4, &coefficients);
    assert_eq!(refused(&graph, &[1.0, -0.5]), negative(2, -0.5));
    assert_eq!(refused(&graph, &[1.0, 4.0]), negative(2, -2.0));
    assert!(plan(&graph).at(&[1.0, 0.5]).is_ok());
}

#[test]
fn a_negative_edge_to_one_of_several_absorbing_vertices_is_named() {
    let graph = from_first(5, &[(1, 2, &[1.0, 1.0]), (2, 3, &[3.0, 0.0]), (2, 4, &[0.0, 0.5])]);
    assert_eq!(refused(&graph, &[1.0, -0.5]), negative(2, -0.25));
    assert_eq!(plan(&graph).at(&[1.0, 2.0]).unwrap().expectation(), 1.0 / 3.0 + 1.0 / 4.0);
}

#[test]
fn sums_that_tell_of_their_parts_are_watched_no_further() {
    // Multiples of one parameter; the same mixture twice; and a part that is an edge by itself elsewhere.
    let same = [(1, 2, [1.0, 0.0]), (1, 2, [3.0, 0.0]), (2, 3, [1.0, 2.0]), (2, 3, [1.0, 2.0])];
    let elsewhere =
        [(1, 3, [5.0, 0.0]), (2, 3, [0.0, 2.0]), (3, 4, [1.0, 0.0]), (3, 4, [0.0, 7.0]), (1, 2, [1.0, 1.0])];
    for graph in [build(4, same), build(5, elsewhere)] {
        assert!(plan(&graph).watched.is_empty());
    }
    assert_eq!(refused(&build(5, elsewhere), &[8.0, -1.0]), negative(2, -2.0));
}

#[test]
fn many_sums_of_the_same_kind_are_watched_once() {
    let count = 1000;
    let edges = (1..count - 1).flat_map(|v| {
        let rate = f64::from(v);
        [(v, v + 1, [rate, 0.0]), (v, v + 1, [0.0, rate]), (v, v + 1, [rate, -0.5 * rate])]
    });
    let plan = plan(&build(count, edges));
    let forms = plan.watched.len();
    // One of each parameter, and what mixes them by vertex.
    assert_eq!(forms, 2 + count as usize - 2);
    assert_eq!(plan.watched[..4], [0, 0, 0, 1]);
}

#[test]
fn a_summand_too_small_to_be_seen_tells_of_no_other() {
    // -1e-330 is no f64, but -1e-10 is: beside a summand of the same parameter, and beside an edge of its own.
    let beside = [
        (1, 2, &[1.0, 1e-320][..]),
        (1, 2, &[2.0, 0.0]),
        (1, 2, &[0.0, 1e-320]),
        (2, 3, &[1.0, 0.0]),
        (2, 3, &[0.0, 0.5]),
    ];
    let edge = [
        (1, 2, &[0.0, 1e-320][..]),
        (1, 2, &[0.0, 1e-320]),
        (1, 3, &[1.0, 0.0]),
        (2, 3, &[1.0, 0.0]),
        (2, 3, &[0.0, 0.5]),
    ];
    for edges in [beside, edge] {
        let graph = from_first(4, &edges);
        assert_eq!(refused(&graph, &[1.0, -2e-10]), negative(2, -1e-10));
    }
}

#[test]
fn of_small_summands_the_largest_is_watched() {
    let edges = (1..100).flat_map(|v| [(v, v + 1, [1.0, 0.0]), (v, v + 1, [0.0, f64::from(100 - v) / 64.0])]);
    let plan = plan(&build(101, edges));
    // From the end: the first by which nothing vanishes.
    let named: Vec<u32> = plan.watched.iter().map(|&at| plan.vertices[at as usize]).collect();
    assert_eq!(named, [99, 36]);
}

#[test]
fn coefficients_that_cancel_in_a_sum_leave_the_others_all_their_digits() {
    let coefficients =
        [(1, 2, &[1e8, -1e8][..]), (1, 2, &[0.1, 0.0]), (1, 2, &[-1e8, 1e8]), (2, 3, &[1.0, 0.0])];
    let graph = from_first(4, &coefficients);
    let plan = plan(&graph);
    let at = plan.at(&[1.0, 1.0]).unwrap();
    assert_eq!((at.expectation(), at.expectation_gradient()), (11.0, vec![-11.0, 0.0]));
}

#[test]
fn a_weight_that_is_a_difference_keeps_its_digits() {
    use crate::double_double::Dd;
    let difference = |[a, b]: [f64; 2], [x, y]: [f64; 2]| (Dd::from(a) * x.into() + Dd::from(b) * y.into()).0;
    let mut thetas: Vec<[f64; 2]> = vec![];
    for units in -3..20_i32 {
        let second = 3.0 - f64::from(units) * f64::EPSILON;
        thetas.extend([[1.0, second], [0.5, 0.5 * second], [-1.0, -second], [1.0, -second], [-1.0, second]]);
    }
    for coefficients in [[0.3, -0.1], [0.3, 0.1]] {
        let plan = plan(&from_first(3, &[(1, 2, &coefficients)]));
        let good: Vec<[f64; 2]> =
            thetas.iter().copied().filter(|&theta| difference(coefficients, theta) > 0.0).collect();
        assert!(good.len() > 17);
        for &theta in &thetas {
            let weight = difference(coefficients, theta);
            match plan.at(&theta) {
                Ok(at) => {
                    assert!(close(at.expectation(), 1.0 / weight, 1e-15), "{coefficients:?} {theta:?}");
                    for (slope, coefficient) in at.expectation_gradient().iter().zip(coefficients) {
                        assert!(
                            close(*slope, -coefficient / (weight * weight), 1e-14),
                            "{theta:?}: {slope:e}"
                        );
                    }
                }
                Err(EvaluationError::InvalidWeight { weight: found, .. }) => {
                    assert!(close(found, weight, 4e-16));
                }
                Err(error) => panic!("{coefficients:?} {theta:?}, {weight:e}: {error}"),
            }
        }
        // θ of both signs side by side.
        let batch = plan.batch(&Array2::from(good.clone()).view()).unwrap().expectation().unwrap();
        for (found, theta) in batch.iter().zip(good) {
            assert_eq!(*found, plan.at(&theta).unwrap().expectation());
        }
    }
}

#[test]
fn a_fixed_weight_and_a_parameter_that_nearly_cancels_it_leave_all_digits() {
    // Parallel edges of one parameter: 0.3, and −0.1 θ.
    let mut builder = crate::graph::GraphBuilder::new(1).unwrap();
    for state in 1..=2 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(0, 1, crate::graph::Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 2, crate::graph::Rate::Coefficients(&[0.1])).unwrap();
    builder.add_fixed_edge(1, 2, 0.3).unwrap();
    let plan = plan(&builder.finish());
    // An edge by itself may not be below 0, so the sum is of one sign wherever there is a number.
    assert_eq!(plan.at(&[1.0]).unwrap().expectation(), 1.0 / (0.3 + 0.1));
    assert!(matches!(plan.at(&[-1.0]), Err(EvaluationError::InvalidWeight { .. })));
}
