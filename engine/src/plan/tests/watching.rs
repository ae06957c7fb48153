//! What works on plans is watched, and stops when told.

use std::ops::ControlFlow;

use super::super::*;
use super::{build, plan};
use crate::progress::{Phase, Progress};

/// Breaks off at the given report, counted from 1.
fn stop_at(report: usize, seen: &mut Vec<Progress>) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |progress| {
        seen.push(progress);
        if seen.len() == report { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn every_phase_of_an_analysis_a_lowering_and_a_reading_can_be_stopped() {
    // A walk on a grid, with fill.
    let side = 50_u32;
    let at = |x: u32, y: u32| 1 + x + side * y;
    let mut edges = vec![(at(0, 0), side * side + 1, [1.0, 0.0])];
    for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
        if x + 1 < side {
            edges.extend([(at(x, y), at(x + 1, y), [1.0, 0.0]), (at(x + 1, y), at(x, y), [0.0, 1.0])]);
        }
        if y + 1 < side {
            edges.extend([(at(x, y), at(x, y + 1), [1.0, 0.0]), (at(x, y + 1), at(x, y), [0.0, 1.0])]);
        }
    }
    let graph = build(side * side + 2, edges);
    let file = plan(&graph).encode(&graph.content_hash());
    let limits = Limits::default();
    let mut analyze = |observer: &mut dyn FnMut(Progress) -> ControlFlow<()>| {
        Plan::analyze_watched(&graph, &limits, &mut |p: Progress| observer(p)).map(drop)
    };
    let mut lowered = |observer: &mut dyn FnMut(Progress) -> ControlFlow<()>| {
        lower_watched(&graph, &limits, &mut |p: Progress| observer(p)).map(drop)
    };
    let mut read = |observer: &mut dyn FnMut(Progress) -> ControlFlow<()>| match Plan::decode_watched(
        &file,
        &limits,
        &mut |p: Progress| observer(p),
    ) {
        Ok(_) => Ok(()),
        Err(PlanFileError::Limits(error)) => Err(error),
        Err(other) => panic!("{other}"),
    };
    let analysis = [Phase::Ordering, Phase::Collecting, Phase::Filling];
    check_stops(&mut analyze, &analysis);
    check_stops(&mut lowered, &[&analysis[..], &[Phase::Lowering]].concat());
    check_stops(&mut read, &[Phase::Reading, Phase::Filling]);
}

type Watched<'a> = dyn FnMut(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), AnalysisError> + 'a;

/// Runs to the end once, and then stops at the first and the last report of each phase.
fn check_stops(run: &mut Watched<'_>, phases: &[Phase]) {
    let mut all = Vec::new();
    run(&mut stop_at(usize::MAX, &mut all)).unwrap();
    let seen: Vec<Phase> = all.iter().map(|progress| progress.phase).collect();
    let mut distinct = seen.clone();
    distinct.dedup();
    assert_eq!(distinct, phases);
    assert!(all.iter().all(|progress| progress.vertices_done <= progress.vertices));
    for phase in phases {
        let reports: Vec<usize> = (1..=seen.len()).filter(|&report| seen[report - 1] == *phase).collect();
        for report in [reports[0], reports[reports.len() - 1]] {
            let mut heard = Vec::new();
            let error = run(&mut stop_at(report, &mut heard)).unwrap_err();
            assert!(matches!(error, AnalysisError::Cancelled { .. }), "{error}");
            assert_eq!(heard, all[..report]);
        }
    }
}
