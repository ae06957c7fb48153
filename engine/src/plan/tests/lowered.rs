//! Programs made from plans.

use proptest::prelude::*;

use super::super::*;
use super::{build, close, from_first, queue};
use crate::graph::Graph;

#[test]
fn a_program_is_made_up_to_as_many_commands_as_it_has_and_refused_beyond() {
    let edges: Vec<(u32, u32, &[f64])> =
        vec![(1, 2, &[1.0]), (2, 1, &[2.0]), (2, 3, &[1.0]), (3, 2, &[3.0]), (3, 4, &[1.0])];
    let graph = from_first(5, &edges);
    let whole = lower(&graph, &Limits::default()).unwrap();
    let length = whole.commands().len() as u64;
    assert_eq!(lower(&graph, &Limits::default().with_commands(length)).unwrap(), whole);
    for commands in [length - 1, length / 2, 0] {
        let refused = lower(&graph, &Limits::default().with_commands(commands)).unwrap_err();
        assert!(
            matches!(refused, AnalysisError::Commands { limit, vertices: 5, .. } if limit == commands),
            "{refused}"
        );
    }
    // A forecast makes nothing, so it says how many there would be.
    let limits = Limits::default().with_commands(0);
    assert_eq!(forecast_lowered(&graph, &limits, &mut ()).unwrap().commands, length);
}

/// Vertices 1 to 8 with edges of one parameter each, and ways to the end.
fn of_single_parameters() -> impl Strategy<Value = Graph> {
    let edges = prop::collection::vec((1..9_u32, 1..9_u32, 0..3_usize, 1..5_u32), 6..20);
    let ways = prop::collection::vec((1..9_u32, 0..3_usize), 1..5);
    (edges, ways).prop_map(|(edges, ways)| {
        let of = |parameter: usize, weight: u32| {
            std::array::from_fn::<f64, 3, _>(|at| if at == parameter { f64::from(weight) } else { 0.0 })
        };
        let inner = edges.into_iter().filter(|edge| edge.0 != edge.1);
        let inner = inner.map(|(from, to, parameter, weight)| (from, to, of(parameter, weight)));
        build(10, inner.chain(ways.into_iter().map(|(from, parameter)| (from, 9, of(parameter, 1)))))
    })
}

proptest! {
    #[test]
    fn programs_are_right_or_refused_where_parameters_close_edges(
        graph in of_single_parameters(), closed in prop::collection::vec(any::<bool>(), 3),
    ) {
        let theta: Vec<f64> = [0.5, 1.0, 2.0].iter().zip(closed).map(|(&rate, closed)| if closed { 0.0 } else { rate }).collect();
        let plan = super::plan(&graph);
        let program = lower(&graph, &Limits::default()).unwrap();
        let Ok(replay) = program.replay(&graph, &graph.weights(&theta).unwrap()) else { return Ok(()) };
        let found = replay.expectation(None);
        let found = found.ok().filter(|found| found.is_finite());
        match (plan.at(&theta), found) {
            (Ok(at), Some(found)) => prop_assert!(close(found, at.expectation(), 1e-13), "{found} {}", at.expectation()),
            (Err(error), Some(found)) => prop_assert!(false, "{error}, yet {found}"),
            (_, None) => {}
        }
    }
}

#[test]
fn a_program_larger_than_the_memory_limit_is_not_made() {
    let pairs = (1..60).flat_map(|from| (1..=60).map(move |to| (from, to, [1.0, 1.0])));
    let graph = build(61, pairs.filter(|&(from, to, _)| from != to));
    let limits = Limits::default().with_memory_bytes(200_000);
    assert!(Plan::analyze(&graph, &limits).is_ok());
    assert!(matches!(lower(&graph, &limits), Err(AnalysisError::Memory { budget_bytes: 200_000, .. })));
}

#[test]
fn a_lowered_program_is_right_where_phasics_own_is_not() {
    let graph = queue(100);
    let program = lower(&graph, &Limits::default()).unwrap();
    let replay = program.replay(&graph, &graph.weights(&[1.5, 1.0]).unwrap()).unwrap();
    let wanted = (0..100).map(|k| 1.5_f64.powi(k)).sum::<f64>();
    assert!(close(replay.expectation(None).unwrap(), wanted, 1e-13));
}
