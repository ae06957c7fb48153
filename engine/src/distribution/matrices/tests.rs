use ndarray::{Array2, array};
use proptest::prelude::*;

use super::super::random_graphs::{close, moments, recipe};
use super::{Deficit, Listing, MatrixError, MatrixOptions, SparseMatrix, graph_from_matrices, matrices};
use crate::distribution::{TransformError, settle_deficit};
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use crate::plan::{Limits, Plan};

fn dense(matrix: &Array2<f64>) -> SparseMatrix {
    SparseMatrix::from_dense(matrix.view()).unwrap()
}

fn refused(initial: &[f64], matrix: &Array2<f64>, options: &MatrixOptions<'_>) -> MatrixError {
    graph_from_matrices(initial, &dense(matrix), options).unwrap_err()
}

/// The queue with three places that starts defective; recorded with the published package at θ = (0.5, 2).
fn queue() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = [1, 2, 0, 3].iter().map(|&s| builder.add_vertex(&[s]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(0.5)).unwrap();
    builder.add_edge(START, v[1], Rate::Scalar(0.3)).unwrap();
    let (up, down) = (Rate::Coefficients(&[1.0, 0.0]), Rate::Coefficients(&[0.0, 1.0]));
    for (from, to, rate) in
        [(v[0], v[1], up), (v[0], v[2], down), (v[1], v[3], up), (v[1], v[0], down), (v[3], v[1], down)]
    {
        builder.add_edge(from, to, rate).unwrap();
    }
    builder.finish()
}

#[test]
fn a_graph_is_listed_as_phasic_lists_it() {
    let listed = matrices(&queue(), &[0.5, 2.0], Listing::Elimination).unwrap();
    assert_eq!(listed.initial, [0.0, 0.3 / 0.8, 0.5 / 0.8]);
    let s = array![[-2.0, 2.0, 0.0], [0.5, -2.5, 2.0], [0.0, 0.5, -2.5]];
    assert_eq!(listed.transient.to_dense(1 << 20).unwrap(), s);
    assert_eq!((listed.state(0), listed.state(1), listed.state(2)), (&[3][..], &[2][..], &[1][..]));
    assert_eq!(listed.exit, [0.0, 0.0, 2.0]);
    assert_eq!(listed.initial_total, 0.8);
}

#[test]
fn the_default_listing_is_by_vertex_number() {
    let listed = matrices(&queue(), &[0.5, 2.0], Listing::default()).unwrap();
    assert_eq!(listed.vertices, [1, 2, 4]);
    assert_eq!(listed.states, [1, 2, 3]);
}

#[test]
fn graphs_made_of_matrices_number_states_as_phasic_does() {
    let graph = graph_from_matrices(
        &[0.5, 0.5],
        &dense(&array![[-2.0, 1.0], [0.5, -1.5]]),
        &MatrixOptions::default(),
    )
    .unwrap();
    let edges: Vec<_> = (0..4).map(|v| graph.targets(v).to_vec()).collect();
    assert_eq!(edges, [vec![1, 2], vec![2, 3], vec![1, 3], vec![]]);
    assert_eq!(graph.unit_weights(), [0.5, 0.5, 1.0, 1.0, 0.5, 1.0]);
    assert_eq!((graph.state(1), graph.state(2), graph.state(3)), (&[0][..], &[1][..], &[2][..]));
}

#[test]
fn a_stay_in_discrete_time_becomes_two_vertices_with_the_same_distribution() {
    // Geometric: leave with probability 1/4 at each step.
    let options = MatrixOptions::default().discrete();
    let graph = graph_from_matrices(&[1.0], &dense(&array![[0.75]]), &options).unwrap();
    assert!(graph.was_dph());
    let mass = super::super::random_graphs::pushed(&graph, 30);
    assert_eq!(mass[0], 0.0);
    for (jumps, found) in (1..).zip(&mass[1..]) {
        assert!(close(*found, 0.25 * 0.75_f64.powi(jumps - 1), 1e-14));
    }
}

#[test]
fn matrices_that_are_no_distribution_are_refused_with_their_place() {
    let (plain, discrete) = (MatrixOptions::default(), MatrixOptions::default().discrete());
    let s = array![[-2.0, 1.0], [0.5, -1.5]];
    assert_eq!(refused(&[1.0], &array![[-1.0, 1.0]], &plain), MatrixError::NotSquare { rows: 1, columns: 2 });
    assert_eq!(
        refused(&[1.0], &s, &plain),
        MatrixError::Length { what: "initial probabilities", expected: 2, found: 1 }
    );
    let negative = array![[-2.0, 1.0], [-0.5, -1.5]];
    assert_eq!(
        refused(&[1.0, 0.0], &negative, &plain),
        MatrixError::Negative { row: 1, column: 0, value: -0.5 }
    );
    let surplus = array![[-2.0, 1.0], [2.0, -1.5]];
    assert_eq!(refused(&[1.0, 0.0], &surplus, &plain), MatrixError::RowSum { row: 1, sum: 0.5, bound: 0.0 });
    let idle = array![[-2.0, 1.0], [0.0, 0.0]];
    assert_eq!(refused(&[1.0, 0.0], &idle, &plain), MatrixError::NeverLeft { row: 1 });
    let stuck = array![[0.5, 0.5], [0.0, 1.0]];
    assert_eq!(refused(&[1.0, 0.0], &stuck, &discrete), MatrixError::NeverLeft { row: 1 });
    let heavy = array![[0.5, 0.5], [0.25, 1.0]];
    assert_eq!(
        refused(&[1.0, 0.0], &heavy, &discrete),
        MatrixError::RowSum { row: 1, sum: 1.25, bound: 1.0 }
    );
    assert_eq!(
        refused(&[f64::NAN, 0.0], &s, &plain).to_string(),
        "initial probability 0 (counted from 0) is NaN; it must be finite and not negative"
    );
    assert_eq!(refused(&[0.7, 0.4], &s, &plain), MatrixError::InitialSum { sum: 0.7 + 0.4 });
    assert_eq!(refused(&[0.0, 0.0], &s, &plain), MatrixError::InitialSum { sum: 0.0 });
    let wrong_exit = plain.with_exit(&[1.0, 2.0]);
    assert_eq!(
        refused(&[1.0, 0.0], &s, &wrong_exit),
        MatrixError::Exit { row: 1, expected: 1.0, found: 2.0 }
    );
    let infinite = SparseMatrix::from_dense(array![[f64::INFINITY]].view());
    assert_eq!(infinite, Err(MatrixError::NotFinite { row: 0, column: 0, value: f64::INFINITY }));
    let outside = SparseMatrix::from_entries(2, 2, vec![(0, 0, 1.0), (2, 0, 1.0)]);
    assert_eq!(outside, Err(MatrixError::OutOfRange { index: 1, row: 2, column: 0, rows: 2, columns: 2 }));
    assert_eq!(dense(&s).to_dense(31), Err(MatrixError::Memory { needed_bytes: 32, limit_bytes: 31 }));
}

#[test]
fn what_a_defective_start_means_is_for_the_caller_to_say() {
    let s = dense(&array![[-2.0]]);
    let with = |deficit| {
        let options = MatrixOptions::default().with_deficit(deficit);
        graph_from_matrices(&[0.75], &s, &options).map(|graph| graph.unit_weights())
    };
    assert_eq!(with(Deficit::Refuse), Err(MatrixError::InitialSum { sum: 0.75 }));
    assert_eq!(with(Deficit::Atom).unwrap(), [0.75, 0.25, 2.0]);
    assert_eq!(with(Deficit::Condition).unwrap(), [1.0, 2.0]);
    assert_eq!(with(Deficit::Keep).unwrap(), [0.75, 2.0]);
}

#[test]
fn an_atom_however_small_comes_back_from_matrices() {
    for atom in [0.5, 1e-12] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.add_edge(START, on, Rate::Scalar(0.25)).unwrap();
        builder.add_edge(START, off, Rate::Scalar(atom)).unwrap();
        builder.add_edge(on, off, Rate::Scalar(2.0)).unwrap();
        let listed = matrices(&builder.finish(), &[], Listing::Index).unwrap();
        assert_eq!(listed.initial_total, 0.25 + atom);
        let again = listed.to_graph().unwrap();
        for (found, wanted) in again.unit_weights().into_iter().zip([0.25, atom, 2.0]) {
            assert!(close(found, wanted, 4.0 * f64::EPSILON), "{found} {wanted}");
        }
        let options = MatrixOptions::default().with_atom(atom).with_deficit(Deficit::Condition);
        let conditional = graph_from_matrices(&[0.25], &listed.transient, &options).unwrap().unit_weights();
        assert_eq!(conditional[..2], [0.25 / (0.25 + atom), atom / (0.25 + atom)]);
    }
    let options = MatrixOptions::default().with_atom(f64::NAN);
    let refused = refused(&[0.25], &array![[-2.0]], &options);
    assert_eq!(refused.to_string(), "the atom at 0 is NaN; it must be finite and not negative");
}

#[test]
fn a_row_that_sums_to_zero_but_for_rounding_has_no_exit() {
    let (a, b) = (0.1, 0.2);
    let s = array![[-(a + b), a, b], [1.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
    let graph = graph_from_matrices(&[1.0, 0.0, 0.0], &dense(&s), &MatrixOptions::default()).unwrap();
    assert_eq!(graph.targets(1), [2, 3]);
}

#[test]
fn entries_for_one_place_add_up() {
    let matrix = SparseMatrix::from_entries(2, 3, vec![(1, 2, 1.0), (0, 1, 2.0), (1, 2, 0.5)]).unwrap();
    assert_eq!(matrix.row(1).collect::<Vec<_>>(), [(2, 1.5)]);
    assert_eq!(matrix.to_dense(1 << 10).unwrap(), array![[0.0, 2.0, 0.0], [0.0, 0.0, 1.5]]);
    assert_eq!((matrix.row_count(), matrix.column_count(), matrix.entry_count()), (2, 3, 2));
}

#[test]
fn a_vertex_whose_rate_is_zero_is_named() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
    builder.add_edge(START, a, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(a, b, Rate::Coefficients(&[1.0])).unwrap();
    let graph = builder.finish();
    assert_eq!(matrices(&graph, &[0.0], Listing::Index), Err(TransformError::Trapped { vertex: a }));
    let negative = TransformError::InvalidWeight { from: a, to: b, weight: -1.0 };
    assert_eq!(matrices(&graph, &[-1.0], Listing::Index), Err(negative));
}

/// Half of what starts or comes back is lost: P(T < ∞) = ½ · 1/(1 + ½) = 1/3.
#[test]
fn matrices_are_refused_where_a_defective_start_is_returned_to() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(on, START, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(on, off, Rate::Scalar(1.0)).unwrap();
    let graph = builder.finish();
    let ever = |graph: &Graph| law(graph, &[1000.0])[0];
    assert!(close(ever(&graph), 1.0 / 3.0, 1e-12), "{}", ever(&graph));
    let refused = matrices(&graph, &[], Listing::Index);
    assert_eq!(refused, Err(TransformError::LossyReturn { vertex: on, sum: 0.5 }));
    for (deficit, wanted) in [(Deficit::Atom, 1.0), (Deficit::Condition, 1.0)] {
        let settled = settle_deficit(&graph, deficit, GraphLimits::default()).unwrap();
        let again = matrices(&settled, &[], Listing::Index).unwrap().to_graph().unwrap();
        assert!(close(ever(&again), wanted, 1e-12), "{deficit:?}");
    }
}

/// Distribution functions of a scalar graph.
fn law(graph: &Graph, times: &[f64]) -> Vec<f64> {
    let plan = Plan::analyze(graph, &Limits::default()).unwrap();
    plan.distribution(&vec![1.0; graph.param_length()]).unwrap().cdf(times).unwrap()
}

proptest! {
    #[test]
    fn matrices_give_the_law_back_or_are_refused(
        recipe in recipe(1..=6),
        returns in prop::collection::vec((0..6_usize, 0.1..2.0_f64), 0..3),
        share in prop_oneof![Just(1.0), 0.1..0.99_f64],
        deficit in prop_oneof![Just(Deficit::Keep), Just(Deficit::Atom), Just(Deficit::Condition)],
    ) {
        let mut recipe = recipe;
        recipe.initial.iter_mut().for_each(|p| *p *= share);
        let graph = settle_deficit(&recipe.with_returns(false, &returns), deficit, GraphLimits::default()).unwrap();
        let listed = matrices(&graph, &[], Listing::Index);
        if deficit == Deficit::Keep && share < 1.0 && !returns.is_empty() {
            let refused = matches!(listed, Err(TransformError::LossyReturn { .. }));
            prop_assert!(refused, "{:?}", listed);
            return Ok(());
        }
        let again = listed.unwrap().to_graph().unwrap();
        let times = [0.0, 0.3, 1.0, 4.0, 20.0];
        for (found, wanted) in law(&again, &times).into_iter().zip(law(&graph, &times)) {
            prop_assert!((found - wanted).abs() < 1e-12, "{} {}", found, wanted);
        }
    }

    #[test]
    fn matrices_round_trip(recipe in recipe(1..=6), returns in prop::collection::vec((0..6_usize, 0.1..2.0_f64), 0..3)) {
        let graph = recipe.with_returns(false, &returns);
        let listed = matrices(&graph, &[], Listing::Elimination).unwrap();
        let again = listed.to_graph().unwrap();
        for (found, wanted) in moments(&again, 3).into_iter().zip(moments(&graph, 3)) {
            prop_assert!(close(found, wanted, 1e-12), "{found} {wanted}");
        }
        let twice = matrices(&again, &[], Listing::Index).unwrap();
        prop_assert_eq!(&twice.transient, &listed.transient);
        prop_assert_eq!(&twice.exit, &listed.exit);
        // Through dense numbers exits are what rows leave.
        let s = listed.transient.to_dense(1 << 20).unwrap();
        let deficit = MatrixOptions::default().with_deficit(Deficit::Atom);
        let third = graph_from_matrices(&listed.initial, &dense(&s), &deficit).unwrap();
        for (found, wanted) in moments(&third, 3).into_iter().zip(moments(&graph, 3)) {
            prop_assert!(close(found, wanted, 1e-11), "{found} {wanted}");
        }
    }

    #[test]
    fn discrete_matrices_round_trip(recipe in recipe(1..=6), returns in prop::collection::vec((0..6_usize, 0.1..2.0_f64), 0..3)) {
        use super::super::random_graphs::pushed;
        let graph = recipe.with_returns(true, &returns);
        let listed = matrices(&graph, &[], Listing::Index).unwrap();
        let again = listed.to_graph().unwrap();
        for (found, wanted) in pushed(&again, 20).into_iter().zip(pushed(&graph, 20)) {
            prop_assert!((found - wanted).abs() < 1e-14, "{found} {wanted}");
        }
    }
}
