//! The recorded numbers through plans: the same within the tolerances of the numerics specification, section 7.

use super::recorded::{Run, Vector, all, number, numbers, raised};
use phasic_engine::graph::Graph;
use phasic_engine::plan::{At, EvaluationError, Limits, Plan};

fn theta(graph: &Graph, run: &Run) -> Vec<f64> {
    run.theta.clone().unwrap_or_else(|| vec![1.0; graph.param_length()])
}

/// Runs `check` on every recorded run, and says how many there were.
fn each_run(mut check: impl FnMut(&Vector, &Graph, &Run, Result<At<'_>, EvaluationError>)) -> usize {
    let mut runs = 0;
    for vector in all() {
        let graph = vector.graph();
        let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
        for run in &vector.runs {
            check(&vector, &graph, run, plan.at(&theta(&graph, run)));
            runs += 1;
        }
    }
    runs
}

fn assert_close(name: &str, found: f64, wanted: f64, scale: f64) {
    assert!((found - wanted).abs() <= 1e-12 * scale.abs(), "{name}: {found:e}, recorded {wanted:e}");
}

#[test]
fn plans_give_the_recorded_expectations_moments_and_waiting_times() {
    let runs = each_run(|vector, _, run, at| {
        let Ok(at) = at else { return };
        let name = &vector.name;
        let recorded = number(run.expectation.as_ref().unwrap());
        assert_close(name, at.expectation(), recorded, recorded);
        if let Some(recorded) = &run.moments {
            for (found, wanted) in at.moments(4).unwrap().into_iter().zip(numbers(recorded)) {
                assert_close(name, found, wanted, wanted);
            }
        }
        let Some(recorded) = &run.expected_waiting_time else { return };
        for (vertex, (found, wanted)) in at.waiting_times().into_iter().zip(numbers(recorded)).enumerate() {
            // What the start does not reach is not part of the plan.
            if !found.is_nan() {
                assert_close(&format!("{name}[{vertex}]"), found, wanted, wanted);
            }
        }
        if let Some(recorded) = &run.expected_sojourn_time {
            let mean = at.expectation();
            for (found, wanted) in at.sojourn_times().into_iter().zip(numbers(recorded)) {
                assert_close(name, found, wanted, wanted.max(mean * 1e-3));
            }
        }
    });
    assert_eq!(runs, 113);
}

#[test]
fn plans_give_the_recorded_variances_and_rewarded_totals() {
    each_run(|vector, graph, run, at| {
        let Ok(at) = at else { return };
        let name = &vector.name;
        let second = at.moments(2).unwrap()[1];
        if let Some(recorded) = run.variance.as_ref().filter(|_| !graph.was_dph()) {
            assert_close(name, at.variance(), number(recorded), second);
        }
        for (index, recorded) in run.rewards.iter().flatten().enumerate() {
            let formula = || (0..graph.vertex_count()).map(|i| f64::from((7 * i) % 5)).collect();
            let Some(rewards) = recorded.r.clone().or_else(|| (index == 0).then(formula)) else { continue };
            let total = at.rewarded(&rewards).unwrap();
            let moments = numbers(recorded.moments.as_ref().unwrap());
            for (found, wanted) in total.moments(4).unwrap().into_iter().zip(&moments) {
                assert_close(name, found, *wanted, *wanted);
            }
            let variance = number(recorded.variance.as_ref().unwrap());
            assert_close(name, total.variance(), variance, moments[1]);
        }
    });
}

#[test]
fn runs_without_a_finite_mean_are_errors_that_name_a_vertex() {
    let mut trapped = Vec::new();
    each_run(|vector, _, run, at| {
        let recorded = run.expectation.as_ref().unwrap();
        let finite = !raised(recorded) && number(recorded).is_finite();
        match at {
            Ok(_) => assert!(finite, "{}", vector.name),
            Err(EvaluationError::Trapped { vertex, state: Some(state) }) => {
                assert!(!finite, "{}", vector.name);
                assert_eq!(state, vector.vertices[vertex as usize]);
                trapped.push(vector.name.clone());
            }
            Err(error) => panic!("{}: {error}", vector.name),
        }
    });
    assert_eq!(trapped, ["trap_scc", "zero_rate_vertex"]);
}
