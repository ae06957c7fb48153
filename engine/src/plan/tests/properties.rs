//! Laws that hold for plans of any graph.

use ndarray::Array2;
use proptest::prelude::*;

use super::super::gradients::Derivative;
use super::super::slopes::Way;
use super::super::*;
use super::{build, close, plan};
use crate::graph::{Graph, GraphBuilder, Rate};
use crate::trace;

/// Random graphs in which every vertex can be left for good; the last vertex absorbs.
fn graphs() -> impl Strategy<Value = Graph> {
    (4..14_u32).prop_flat_map(|vertices| {
        let edge = (1..vertices - 1, 0..vertices, [0.0..3.0, 0.01..2.0]);
        prop::collection::vec(edge, 0..50).prop_map(move |extra| {
            let path = (1..vertices - 1).map(|v| (v, v + 1, [1.0, 0.5]));
            build(vertices, path.chain(extra).filter(|&(from, to, _)| from != to))
        })
    })
}

/// The same graph with one parameter, and no more than so many different coefficients.
fn of_one_parameter(graph: &Graph, few: i32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(&[vertex.cast_signed()]).unwrap();
    }
    for from in 0..graph.vertex_count() {
        for edge in graph.edges(from) {
            let coefficient = f64::from(1 + edge.index.cast_signed() % few);
            let rate = if from == 0 { Rate::Scalar(1.0) } else { Rate::Coefficients(&[coefficient]) };
            builder.add_edge(from, edge.target, rate).unwrap();
        }
    }
    builder.finish()
}

fn thetas() -> impl Strategy<Value = [f64; 2]> {
    [0.1..5.0, 0.1..5.0]
}

/// The number as an independent path of this crate computes it: phasic's elimination of the merged graph.
fn by_trace(graph: &Graph, theta: &[f64]) -> (Vec<f64>, trace::Replay) {
    let merged = graph.merge_parallel_edges();
    let program = trace::eliminate(&merged, &trace::Limits::default(), &mut ()).unwrap();
    let replay = program.replay(&merged, &merged.weights(theta).unwrap()).unwrap();
    (replay.moments(4, None).unwrap(), replay)
}

proptest! {
    #[test]
    fn plans_agree_with_replayed_traces(graph in graphs(), theta in thetas()) {
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let (moments, replay) = by_trace(&graph, &theta);
        for (found, wanted) in at.moments(4).unwrap().iter().zip(&moments) {
            prop_assert!(close(*found, *wanted, 1e-9), "{found} {wanted}");
        }
        prop_assert!((at.variance() - replay.variance(None).unwrap()).abs() <= 1e-9 * moments[1]);
        let sojourn = replay.sojourn_times().unwrap();
        for (found, wanted) in at.sojourn_times().iter().zip(&sojourn) {
            prop_assert!((found - wanted).abs() <= 1e-9 * moments[0]);
        }
        let first: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from((7 * v) % 5)).collect();
        let second: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from((3 * v + 1) % 4)).collect();
        let (a, b) = (at.rewarded(&first).unwrap(), at.rewarded(&second).unwrap());
        let wanted = replay.covariance(Some(&first), Some(&second)).unwrap();
        prop_assert!((a.covariance(&b) - wanted).abs() <= 1e-8 * (moments[1] * 12.0));
    }

    #[test]
    fn discrete_plans_agree_with_replayed_traces(graph in graphs(), theta in thetas(), tick in 0.1..3.0) {
        let graph = graph.merge_parallel_edges().discretize(0.3).unwrap();
        let theta = [theta[0], theta[1], tick];
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let (moments, replay) = by_trace(&graph, &theta);
        for (found, wanted) in at.moments(4).unwrap().iter().zip(&moments) {
            prop_assert!(close(*found, *wanted, 1e-9), "{found} {wanted}");
        }
        prop_assert!((at.variance() - replay.variance(None).unwrap()).abs() <= 1e-9 * moments[1]);
    }

    #[test]
    fn the_forecast_of_a_lowered_program_is_its_size(graph in graphs(), discrete in any::<bool>(), few in 1..4_i32) {
        let graph = if discrete { graph.merge_parallel_edges().discretize(0.3).unwrap() } else { graph };
        for graph in [&graph, &of_one_parameter(&graph, few)] {
            let forecast = forecast_lowered(graph, &Limits::default(), &mut ()).unwrap();
            let program = lower(graph, &Limits::default()).unwrap();
            let rows = program.commands().iter().filter(|command| matches!(command, trace::Command::Row { .. }));
            let found = trace::Forecast {
                vertices: u64::from(program.vertex_count()),
                commands: program.commands().len() as u64,
                rows: rows.count() as u64,
                slots: u64::from(program.slots()),
                inputs: program.inputs().len() as u64,
            };
            prop_assert_eq!(forecast, found);
        }
    }

    #[test]
    fn plans_survive_their_files(graph in graphs(), theta in thetas(), discrete in any::<bool>()) {
        let graph = if discrete { graph.merge_parallel_edges().discretize(0.3).unwrap() } else { graph };
        let (plan, hash) = (plan(&graph), graph.content_hash());
        let file = plan.encode(&hash);
        let (found, read) = Plan::decode(&file, &Limits::default()).unwrap();
        prop_assert_eq!(found, hash);
        prop_assert_eq!(&read, &Plan { states: Arc::default(), state_length: 0, ..plan.clone() });
        prop_assert_eq!(read.encode(&hash), file);
        let theta = if discrete { vec![theta[0], theta[1], 1.3] } else { theta.to_vec() };
        prop_assert_eq!(read.at(&theta).unwrap().moments(3).unwrap(), plan.at(&theta).unwrap().moments(3).unwrap());
    }

    #[test]
    fn a_changed_plan_file_is_refused_or_runs(graph in graphs(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        use sha2::{Digest, Sha256};
        let mut file = plan(&graph).encode(&graph.content_hash());
        let content = file.len() - 32;
        let at = 40 + at.index(content - 40);
        if cut {
            file.truncate(at);
            prop_assert!(Plan::decode(&file, &Limits::default()).is_err());
        }
        let mut changed = if cut { file } else { file[..content].to_vec() };
        if !cut {
            changed[at] = byte;
        }
        // A stranger can make the checksum right again.
        let checksum = Sha256::digest(&changed);
        changed.extend(checksum);
        let limits = Limits::default().with_memory_bytes(1 << 16);
        if let Ok((_, plan)) = Plan::decode(&changed, &limits) {
            let theta = vec![0.7; plan.param_length()];
            if let Ok(at) = plan.at(&theta) {
                let _ = (at.moments(2), at.waiting_times(), at.sojourn_times(), at.variance_gradient());
            }
        }
    }

    #[test]
    fn lowered_programs_give_the_totals_of_plans(graph in graphs(), theta in thetas(), discrete in any::<bool>()) {
        let (graph, theta) = if discrete {
            (graph.merge_parallel_edges().discretize(0.3).unwrap(), vec![theta[0], theta[1], 1.3])
        } else {
            (graph, theta.to_vec())
        };
        let program = lower(&graph, &Limits::default()).unwrap();
        let replay = program.replay(&graph, &graph.weights(&theta).unwrap()).unwrap();
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let rewards: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from((7 * v) % 5)).collect();
        let total = at.rewarded(&rewards).unwrap();
        for (found, wanted) in replay.waiting_times(Some(&rewards)).unwrap().iter().zip(total.waiting_times()) {
            prop_assert!(wanted.is_nan() || (found - wanted).abs() <= 1e-11 * wanted.abs().max(1e-300), "{found} {wanted}");
        }
        let (found, wanted) = (replay.moments(4, None).unwrap(), at.moments(4).unwrap());
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert!(close(*found, *wanted, 1e-11), "{found} {wanted}");
        }
        // The file is one that every loader check accepts.
        let mut bytes = Vec::new();
        crate::artifact::encode_ptdprmc3(&program, &mut bytes).unwrap();
        let checks = crate::artifact::Checks { graph: Some(&graph), ..Default::default() };
        prop_assert_eq!(&crate::artifact::decode(&bytes, &checks).unwrap().trace, &program);
        let own = trace::forecast(&graph, &trace::Limits::default(), &mut ()).unwrap().commands;
        prop_assert!(program.commands().len() as u64 <= own, "{} commands, phasic {own}", program.commands().len());
    }

    #[test]
    fn going_back_through_the_elimination_gives_the_same_derivatives(
        graph in graphs(), theta in thetas(), discrete in any::<bool>(), power in 1..4_usize,
    ) {
        let (graph, theta) = if discrete {
            (graph.merge_parallel_edges().discretize(0.3).unwrap(), vec![theta[0], theta[1], 1.3])
        } else {
            (graph, theta.to_vec())
        };
        let plan = plan(&graph);
        let at = plan.at(&theta).unwrap();
        let rewards: Vec<f64> = (0..plan.vertices.len()).map(|v| ((7 * v) % 5) as f64).collect();
        let ways = |position: usize| {
            let targets: Vec<_> = plan.edges_of(position).map(|(target, _)| Some(target as usize)).collect();
            targets.into_iter().map(move |target| Way { at: position, target, only: false })
        };
        let chain = chain::Chain::of_moment(&at, &rewards, power);
        let back = chain.back(&plan, &at.factors);
        let scale = at.rewarded(&vec![5.0; graph.vertex_count() as usize]).unwrap().moments(power).unwrap()[power - 1];
        for position in 0..plan.vertices.len() {
            for way in ways(position).chain([Way { at: position, target: None, only: false }]) {
                let (usual, back) = (chain.usual(way).value, back.slope(&plan, way));
                prop_assert!((usual - back).abs() <= 1e-11 * (usual.abs() + scale), "{usual} {back} of {scale}");
            }
        }
        let ones = plan.rewards(None);
        let covariance = at.covariance_slopes(&ones, &rewards);
        let slopes = covariance.back(&plan, &at.factors);
        let joint = joint::Joint::new(&plan, &at.factors, &ones, &rewards);
        let adjoints = joint.adjoints();
        for position in 0..plan.vertices.len() {
            for way in ways(position) {
                let (usual, back) = (joint.slope(&adjoints, way).value, slopes.slope(&plan, way));
                let scale = at.rewarded(&vec![5.0; graph.vertex_count() as usize]).unwrap().moments(2).unwrap()[1];
                prop_assert!((usual - back).abs() <= 1e-10 * (usual.abs() + scale), "{usual} {back} of {scale}");
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences(graph in graphs(), theta in thetas(), discrete in any::<bool>()) {
        let (graph, theta) = if discrete {
            (graph.merge_parallel_edges().discretize(0.3).unwrap(), vec![theta[0], theta[1], 1.3])
        } else {
            (graph, theta.to_vec())
        };
        let plan = plan(&graph);
        let first: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from((7 * v) % 5)).collect();
        let at = plan.at(&theta).unwrap();
        let ones = vec![1.0; first.len()];
        let (a, b) = (at.rewarded(&first).unwrap(), at.rewarded(&ones).unwrap());
        let exact = [
            at.expectation_gradient(), at.moment_gradient(3).unwrap(), at.variance_gradient(),
            a.expectation_gradient(), a.variance_gradient(), a.covariance_gradient(&b),
        ];
        let values = |theta: &[f64]| {
            let at = plan.at(theta).unwrap();
            let (a, b) = (at.rewarded(&first).unwrap(), at.rewarded(&ones).unwrap());
            [at.expectation(), at.moments(3).unwrap()[2], at.variance(), a.expectation(), a.variance(), a.covariance(&b)]
        };
        for parameter in 0..theta.len() {
            let step = 1e-5 * theta[parameter];
            let shifted = |by: f64| {
                let mut theta = theta.clone();
                theta[parameter] += by;
                values(&theta)
            };
            let (up, down, here) = (shifted(step), shifted(-step), values(&theta));
            for quantity in 0..exact.len() {
                let slope = (up[quantity] - down[quantity]) / (2.0 * step);
                let scale = (here[quantity].abs() + here[1].abs() + exact[quantity][parameter].abs()) / theta[parameter];
                let error = (slope - exact[quantity][parameter]).abs();
                prop_assert!(error <= 1e-6 * scale, "{quantity} {parameter}: {slope} {exact:?}");
            }
        }
    }

    #[test]
    fn a_batch_is_bit_for_bit_its_single_evaluations(graph in graphs(), rows in prop::collection::vec(thetas(), 0..30)) {
        let plan = plan(&graph);
        let thetas = Array2::from(rows.clone());
        for parallel in [false, true] {
            let batch = plan.batch(&thetas.view()).unwrap().parallel(parallel);
            for count in [3, 13] {
                let moments = batch.moments(count).unwrap();
                for (row, theta) in moments.outer_iter().zip(&rows) {
                    prop_assert_eq!(row.to_vec(), plan.at(theta).unwrap().moments(count).unwrap());
                }
            }
        }
    }

    #[test]
    fn merging_parallel_edges_leaves_every_number_within_rounding(graph in graphs(), theta in thetas()) {
        let rewards = |of: fn(u32) -> u32| (0..graph.vertex_count()).map(|v| f64::from(of(v))).collect::<Vec<_>>();
        let rewards = [rewards(|v| (7 * v) % 5), rewards(|v| (3 * v + 1) % 4)];
        // The same vertices; where edges were added up beforehand, in another order.
        let merged = plan(&graph.merge_parallel_edges());
        let identity: Vec<u32> = (0..graph.vertex_count()).collect();
        check_same(&numbers(&merged, &theta, &rewards), &numbers(&plan(&graph), &theta, &rewards), &identity, &theta)?;
    }

    #[test]
    fn renumbering_vertices_leaves_every_number_within_rounding(
        graph in graphs(), theta in thetas(), keys in prop::collection::vec(any::<u64>(), 64),
    ) {
        // All vertices but the start, and the edges of each, in any order.
        let mut old: Vec<u32> = (0..graph.vertex_count()).collect();
        old[1..].sort_by_key(|&vertex| keys[vertex as usize % keys.len()]);
        let mut new = vec![0; old.len()];
        (0..).zip(&old).for_each(|(vertex, &old)| new[old as usize] = vertex);
        let mut builder = GraphBuilder::new(1).unwrap();
        for &old in &old[1..] {
            builder.add_vertex(graph.state(old)).unwrap();
        }
        for (vertex, &old) in (0..).zip(&old) {
            let mut edges: Vec<_> = graph.edges(old).collect();
            edges.sort_by_key(|edge| keys[edge.index as usize % keys.len()]);
            for edge in edges {
                let fixed = graph.fixed_weight(edge.index);
                let rate = fixed.map_or(Rate::Coefficients(edge.coefficients), Rate::Scalar);
                builder.add_edge(vertex, new[edge.target as usize], rate).unwrap();
            }
        }
        let rewards = |of: fn(u32) -> u32| (0..graph.vertex_count()).map(|v| f64::from(of(v))).collect::<Vec<_>>();
        let rewards = [rewards(|v| (7 * v) % 5), rewards(|v| (3 * v + 1) % 4)];
        let renamed = rewards.clone().map(|by| old.iter().map(|&v| by[v as usize]).collect::<Vec<_>>());
        let here = numbers(&plan(&graph), &theta, &rewards);
        let there = numbers(&plan(&builder.finish()), &theta, &renamed);
        check_same(&there, &here, &old, &theta)?;
    }
}

/// Holds answers against others about the same vertices, whose numbers are `old`: totals to 1e-13 of themselves, or of what
/// they are a difference of; gradients to 1e-12 of an entry and the total divided by the parameter; numbers by vertex to
/// 1e-13 of themselves.
fn check_same(there: &Answers, here: &Answers, old: &[u32], theta: &[f64]) -> Result<(), TestCaseError> {
    for (number, (found, wanted)) in there.totals.iter().zip(&here.totals).enumerate() {
        prop_assert!((found.0 - wanted.0).abs() <= 1e-13 * wanted.1, "{number}: {found:?} {wanted:?}");
    }
    for (number, (found, wanted)) in there.gradients.iter().zip(&here.gradients).enumerate() {
        for (parameter, (slope, other)) in found.0.iter().zip(&wanted.0).enumerate() {
            let scale = other.abs() + wanted.1 / theta[parameter];
            prop_assert!((slope - other).abs() <= 1e-13 * scale, "{number}: {found:?} {wanted:?}");
            prop_assert!(close(*slope, *other, 1e-12), "{number}: {found:?} {wanted:?}");
        }
    }
    for (found, wanted) in there.by_vertex.iter().zip(&here.by_vertex) {
        for (&old, found) in old.iter().zip(found) {
            let wanted = wanted[old as usize];
            prop_assert!(
                close(*found, wanted, 1e-13) || found.is_nan() && wanted.is_nan(),
                "{found} {wanted}"
            );
        }
    }
    Ok(())
}

/// All that can be asked of a plan.
struct Answers {
    /// Numbers, and what rounding is to be compared with.
    totals: Vec<(f64, f64)>,
    gradients: Vec<(Vec<f64>, f64)>,
    by_vertex: Vec<Vec<f64>>,
}

fn numbers(plan: &Plan, theta: &[f64], rewards: &[Vec<f64>; 2]) -> Answers {
    let at = plan.at(theta).unwrap();
    let [a, b] = [0, 1].map(|number: usize| at.rewarded(&rewards[number]).unwrap());
    let mut totals: Vec<(f64, f64)> =
        [at.moments(4).unwrap(), a.moments(3).unwrap()].concat().iter().map(|&m| (m, m)).collect();
    // What is subtracted from what bounds what is left.
    let second = at.moments(2).unwrap()[1];
    let both = (a.moments(2).unwrap()[1] * b.moments(2).unwrap()[1]).sqrt();
    totals.extend([(at.expectation(), at.expectation()), (at.variance(), second)]);
    totals.extend([(a.covariance(&b), both), (a.variance(), a.moments(2).unwrap()[1])]);
    let gradients = vec![
        (at.expectation_gradient(), at.expectation()),
        (at.moment_gradient(3).unwrap(), at.moments(3).unwrap()[2]),
        (at.variance_gradient(), second),
        (a.expectation_gradient(), a.expectation()),
        (a.covariance_gradient(&b), both),
    ];
    let by_vertex = vec![at.waiting_times(), a.waiting_times(), at.sojourn_times()];
    Answers { totals, gradients, by_vertex }
}
