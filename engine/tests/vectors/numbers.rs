//! Numbers: bit for bit where the numerics specification says so, which with 128-bit sums is everywhere but where
//! phasic's own value is wrong.

use super::recorded::{Rewarded, Run, Vector, all, number, numbers, raised};
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::trace::{Limits, Replay, ReplayError, eliminate, hierarchical_waiting_times};
use serde_json::Value;

/// One recorded run, replayed.
struct Case {
    name: String,
    graph: Graph,
    run: Run,
    replay: Replay,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for vector in all() {
        let graph = vector.graph();
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        for (at, run) in vector.runs.into_iter().enumerate() {
            let replay = trace.replay(&graph, &run.weights(&graph)).unwrap();
            cases.push(Case { name: format!("{} run {at}", vector.name), graph: graph.clone(), run, replay });
        }
    }
    cases
}

impl Case {
    fn rewarded(&self) -> impl Iterator<Item = (Vec<f64>, &Rewarded)> {
        let vertices = self.graph.vertex_count() as usize;
        self.run.rewards.iter().flatten().enumerate().map(move |(at, recorded)| {
            let left_out = || match at {
                0 => (0..vertices).map(|i| ((7 * i) % 5) as f64).collect(),
                _ => long_rewards()[..vertices].to_vec(),
            };
            (recorded.r.clone().unwrap_or_else(left_out), recorded)
        })
    }
}

/// The seeded random vector, which the files leave out above 200 vertices. All recorded ones are its beginnings.
fn long_rewards() -> Vec<f64> {
    serde_json::from_str(include_str!("long_rewards.json")).unwrap()
}

/// Holds a result to a recorded value: the same bits, or an error where phasic raised.
fn same(what: &str, found: Result<f64, ReplayError>, recorded: &Value) {
    if raised(recorded) {
        assert!(
            matches!(found, Err(ReplayError::NotANumber { .. })),
            "{what}: {found:?} where phasic raised"
        );
        return;
    }
    let (found, wanted) = (found.unwrap(), number(recorded));
    assert!(found == wanted, "{what}: {found:e}, recorded {wanted:e}");
}

fn all_same(what: &str, found: Result<Vec<f64>, ReplayError>, recorded: &Value) {
    if raised(recorded) {
        assert!(
            matches!(found, Err(ReplayError::NotANumber { .. })),
            "{what}: {found:?} where phasic raised"
        );
        return;
    }
    let (found, wanted) = (found.unwrap(), numbers(recorded));
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (vertex, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!(found == wanted, "{what}[{vertex}]: {found:e}, recorded {wanted:e}");
    }
}

/// How many recorded values of each kind there are; a test that sees fewer has lost some.
fn count<T>(cases: &[Case], kind: impl Fn(&Case) -> Option<T>) -> usize {
    cases.iter().filter_map(kind).count()
}

#[test]
fn expectations_and_waiting_times_agree_bit_for_bit() {
    let cases = cases();
    for case in &cases {
        if let Some(recorded) = &case.run.expectation {
            same(&case.name, case.replay.expectation(None), recorded);
        }
        if let Some(recorded) = &case.run.expected_waiting_time {
            all_same(&case.name, case.replay.waiting_times(None), recorded);
        }
    }
    assert_eq!(count(&cases, |case| case.run.expectation.clone()), 113);
    assert_eq!(count(&cases, |case| case.run.expected_waiting_time.clone()), 111);
}

#[test]
fn moments_agree_bit_for_bit() {
    let cases = cases();
    for case in &cases {
        if let Some(recorded) = &case.run.moments {
            all_same(&case.name, case.replay.moments(4, None), recorded);
        }
    }
    assert_eq!(count(&cases, |case| case.run.moments.clone()), 112);
}

#[test]
fn sojourn_times_agree_bit_for_bit() {
    let cases = cases();
    for case in &cases {
        if let Some(recorded) = &case.run.expected_sojourn_time {
            all_same(&case.name, case.replay.sojourn_times(), recorded);
        }
    }
    assert_eq!(count(&cases, |case| case.run.expected_sojourn_time.clone()), 109);
}

#[test]
fn variances_agree_bit_for_bit_in_continuous_time() {
    let cases = cases();
    for case in cases.iter().filter(|case| !case.graph.was_dph()) {
        if let Some(recorded) = &case.run.variance {
            same(&case.name, case.replay.variance(None), recorded);
        }
    }
    assert_eq!(count(&cases, |case| case.run.variance.clone()), 107);
}

#[test]
fn rewarded_totals_agree_bit_for_bit() {
    let cases = cases();
    let mut checked = 0;
    for case in &cases {
        for (rewards, recorded) in case.rewarded() {
            let rewards = Some(&rewards[..]);
            same(&case.name, case.replay.expectation(rewards), recorded.expectation.as_ref().unwrap());
            all_same(&case.name, case.replay.moments(4, rewards), recorded.moments.as_ref().unwrap());
            same(&case.name, case.replay.variance(rewards), recorded.variance.as_ref().unwrap());
            checked += 1;
        }
    }
    assert_eq!(checked, 220);
}

#[test]
fn covariances_agree_bit_for_bit_in_continuous_time() {
    let mut checked = 0;
    for case in cases().iter().filter(|case| !case.graph.was_dph()) {
        let (Some(recorded), [first, second]) =
            (&case.run.covariance, &case.rewarded().map(|(rewards, _)| rewards).collect::<Vec<_>>()[..])
        else {
            continue;
        };
        same(&case.name, case.replay.covariance(Some(first), Some(second)), recorded);
        checked += 1;
    }
    assert_eq!(checked, 105);
}

/// Moments 1 and 2 of the (rewarded) number of jumps by summing over jumps: an independent computation that uses
/// neither elimination nor the formulas under test.
fn jump_moments(graph: &Graph, weights: &[f64], first: &[f64], second: &[f64]) -> (f64, f64, f64) {
    let vertices = graph.vertex_count() as usize;
    // For each vertex: mass, and the masses weighted by A, B and A·B, the totals collected so far.
    let mut at = vec![[0.0_f64; 4]; vertices];
    let mut ended = [0.0; 4];
    at[0][0] = 1.0;
    for _ in 0..200_000 {
        let mut next = vec![[0.0; 4]; vertices];
        for vertex in 0..graph.vertex_count() {
            let [mass, a, b, ab] = at[vertex as usize];
            let (ra, rb) =
                if vertex == 0 { (0.0, 0.0) } else { (first[vertex as usize], second[vertex as usize]) };
            let left = [mass, a + ra * mass, b + rb * mass, ab + ra * b + rb * a + ra * rb * mass];
            for edge in graph.edges(vertex) {
                for (sum, part) in next[edge.target as usize].iter_mut().zip(left) {
                    *sum += part * weights[edge.index as usize];
                }
            }
        }
        for vertex in (0..graph.vertex_count()).filter(|&vertex| graph.is_absorbing(vertex)) {
            for (sum, part) in ended.iter_mut().zip(next[vertex as usize]) {
                *sum += part;
            }
            next[vertex as usize] = [0.0; 4];
        }
        at = next;
    }
    (ended[1], ended[2], ended[3])
}

#[test]
fn discrete_variance_and_covariance_are_right_where_phasic_is_not() {
    let mut checked = 0;
    for case in cases().iter().filter(|case| case.graph.was_dph()) {
        let vertices = case.graph.vertex_count() as usize;
        let weights = case.run.weights(&case.graph);
        let ones = vec![1.0; vertices];
        let lists: Vec<Vec<f64>> = case.rewarded().map(|(rewards, _)| rewards).collect();
        for (first, second) in [(&ones, &ones), (&lists[0], &lists[1]), (&ones, &lists[1])] {
            let (a, b, ab) = jump_moments(&case.graph, &weights, first, second);
            let found = case.replay.covariance(Some(first), Some(second)).unwrap();
            let (wanted, scale) = (ab - a * b, ab.abs());
            assert!((found - wanted).abs() <= 1e-10 * scale, "{}: {found:e}, summed {wanted:e}", case.name);
        }
        let dph = case.run.dph.as_ref().unwrap();
        // phasic's own two values: right with unit rewards, wrong (m2 − 2 m1) without any.
        same(&case.name, case.replay.variance(Some(&ones)), &dph["variance_unit_rewards"]);
        assert_eq!(case.replay.variance(None).unwrap(), case.replay.variance(Some(&ones)).unwrap());
        same(&case.name, case.replay.phasic_variance(None), &dph["variance_as_returned"]);
        // phasic's covariance lacks its symmetric half.
        let half = case.replay.phasic_covariance(&lists[0], &lists[1]);
        same(&case.name, half, case.run.covariance.as_ref().unwrap());
        checked += 1;
    }
    assert_eq!(checked, 5);
}

#[test]
fn hierarchical_expectations_agree_bit_for_bit() {
    let mut checked = 0;
    for vector in all() {
        let Some(recorded) = &vector.scc_expectation else { continue };
        let graph = vector.graph();
        let weights = vector.runs[0].weights(&graph);
        let found = hierarchical_waiting_times(&graph, &weights, &Limits::default(), &mut ()).unwrap();
        assert!(found[0] == number(recorded), "{}: {:e}, recorded {recorded}", vector.name, found[0]);
        checked += 1;
    }
    assert_eq!(checked, 26);
}

#[test]
fn recorded_graphs_with_parallel_edges_solve_their_equations_after_merging() {
    let parallel = all().into_iter().filter(|vector| vector.graph().has_parallel_edges());
    let mut checked = 0;
    for vector in parallel {
        let merged = vector.graph().merge_parallel_edges();
        let trace = eliminate(&merged, &Limits::default(), &mut ()).unwrap();
        for run in &vector.runs {
            let weights = run.weights(&merged);
            let found = trace.replay(&merged, &weights).unwrap().waiting_times(None).unwrap();
            assert_solves(&vector, &merged, &weights, &found);
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}

/// Two lineages on a line of three demes: positions p ≤ q, starting at the ends; they step at the second parameter's
/// rate each and meet at the first one's when in the same deme. Some steps of the two lead to the same state.
fn stepping_stone() -> Graph {
    let mut builder = GraphBuilder::new(2).unwrap();
    let first = builder.add_vertex(&[1, 3]).unwrap();
    builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
    let mut vertex = 1;
    while vertex < builder.vertex_count() {
        let [p, q] = *builder.state(vertex) else { unreachable!() };
        let mut moves = Vec::new();
        if p > 0 {
            moves.extend((p > 1).then_some(([p - 1, q], [0.0, 1.0])));
            moves.extend((p < 3).then_some(([(p + 1).min(q), (p + 1).max(q)], [0.0, 1.0])));
            moves.extend((q > 1).then_some(([p.min(q - 1), p.max(q - 1)], [0.0, 1.0])));
            moves.extend((q < 3).then_some(([p, q + 1], [0.0, 1.0])));
            moves.extend((p == q).then_some(([0, 0], [1.0, 0.0])));
        }
        for (state, rate) in moves {
            let to = builder.find_or_add_vertex(&state).unwrap();
            builder.add_edge(vertex, to, Rate::Coefficients(&rate)).unwrap();
        }
        vertex += 1;
    }
    builder.finish()
}

#[test]
fn a_stepping_stone_with_parallel_edges_takes_5_6_on_average() {
    let expectation = |graph: &Graph| {
        let trace = eliminate(graph, &Limits::default(), &mut ()).unwrap();
        trace.replay(graph, &graph.weights(&[1.0, 0.5]).unwrap()).unwrap().expectation(None).unwrap()
    };
    let graph = stepping_stone();
    // What phasic says for the graph as it is (research on its faults), which its program must reproduce.
    assert!((expectation(&graph) - 5.5580).abs() < 5e-5, "{}", expectation(&graph));
    let merged = expectation(&graph.merge_parallel_edges());
    assert!((merged - 5.6).abs() < 1e-14 * 5.6, "{merged}");
}

/// Checks that `x` solves rate(v)·x(v) = 1 + Σ w·x(target) at every vertex but the start and the absorbing ones.
fn assert_solves(vector: &Vector, graph: &Graph, weights: &[f64], x: &[f64]) {
    let rates = graph.rates(weights);
    for vertex in (0..graph.vertex_count()).filter(|&vertex| !graph.is_absorbing(vertex)) {
        let inflow: f64 = graph.edges(vertex).map(|e| weights[e.index as usize] * x[e.target as usize]).sum();
        let (left, right) =
            (rates[vertex as usize] * x[vertex as usize], inflow + f64::from(u8::from(vertex != 0)));
        assert!(
            (left - right).abs() <= 1e-11 * right,
            "{} at vertex {vertex}: {left:e} {right:e}",
            vector.name
        );
    }
}
