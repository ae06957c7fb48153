//! Laws that hold for plans of any graph.

use ndarray::Array2;
use proptest::prelude::*;

use super::super::*;
use super::{build, close, plan};
use crate::graph::{Graph, GraphBuilder, Rate, START};
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
        for (found, wanted) in at.moments(4).iter().zip(&moments) {
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
        for (found, wanted) in at.moments(4).iter().zip(&moments) {
            prop_assert!(close(*found, *wanted, 1e-9), "{found} {wanted}");
        }
        prop_assert!((at.variance() - replay.variance(None).unwrap()).abs() <= 1e-9 * moments[1]);
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
        prop_assert_eq!(read.at(&theta).unwrap().moments(3), plan.at(&theta).unwrap().moments(3));
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
        let (found, wanted) = (replay.moments(4, None).unwrap(), at.moments(4));
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
        let chain = chain::Chain::of_moment(&at, &rewards, power);
        let back = chain.reverse(&at);
        let scale = at.rewarded(&vec![5.0; graph.vertex_count() as usize]).unwrap().moments(power)[power - 1];
        for position in 0..plan.vertices.len() {
            let targets = plan.edges_of(position).map(|(target, _)| Some(target as usize));
            for target in targets.chain([None]) {
                let (usual, back) = (chain.slope(&plan, position, target), back.slope(&plan, position, target));
                prop_assert!((usual - back).abs() <= 1e-11 * (usual.abs() + scale), "{usual} {back} of {scale}");
            }
        }
        let ones = plan.rewards(None);
        if let Some(parts) = at.reversed_covariance_anyway(&ones, &rewards) {
            let joint = joint::Joint::new(&at, &ones, &rewards);
            let adjoints = joint.adjoints(&at);
            for position in 0..plan.vertices.len() {
                for (target, _) in plan.edges_of(position) {
                    let target = Some(target as usize);
                    let back: f64 = parts.iter().map(|slopes| slopes.slope(&plan, position, target)).sum();
                    let usual = joint.slope(discrete, &adjoints, position, target);
                    let scale = at.rewarded(&vec![5.0; graph.vertex_count() as usize]).unwrap().moments(2)[1];
                    prop_assert!((usual - back).abs() <= 1e-10 * (usual.abs() + scale), "{usual} {back} of {scale}");
                }
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
            at.expectation_gradient(), at.moment_gradient(3), at.variance_gradient(),
            a.expectation_gradient(), a.variance_gradient(), a.covariance_gradient(&b),
        ];
        let values = |theta: &[f64]| {
            let at = plan.at(theta).unwrap();
            let (a, b) = (at.rewarded(&first).unwrap(), at.rewarded(&ones).unwrap());
            [at.expectation(), at.moments(3)[2], at.variance(), a.expectation(), a.variance(), a.covariance(&b)]
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
            let moments = batch.moments(3).unwrap();
            for (row, theta) in moments.outer_iter().zip(&rows) {
                prop_assert_eq!(row.to_vec(), plan.at(theta).unwrap().moments(3));
            }
        }
    }

    #[test]
    fn renumbering_vertices_leaves_results_within_rounding(graph in graphs(), theta in thetas(), seed in any::<u64>()) {
        // Swap two inner vertices throughout.
        let inner = graph.vertex_count() - 2;
        let (a, b) = (1 + (seed % u64::from(inner)) as u32, 1 + (seed / 64 % u64::from(inner)) as u32);
        let renamed = |v: u32| if v == a { b } else if v == b { a } else { v };
        let mut builder = GraphBuilder::new(1).unwrap();
        for vertex in 1..graph.vertex_count() {
            builder.add_vertex(graph.state(renamed(vertex))).unwrap();
        }
        for vertex in 0..graph.vertex_count() {
            for edge in graph.edges(renamed(vertex)) {
                let rate = if vertex == START { Rate::Scalar(edge.coefficients[0]) } else { Rate::Coefficients(edge.coefficients) };
                builder.add_edge(vertex, renamed(edge.target), rate).unwrap();
            }
        }
        let (one, two) = (plan(&graph), plan(&builder.finish()));
        let (one, two) = (one.at(&theta).unwrap().moments(2), two.at(&theta).unwrap().moments(2));
        prop_assert!(close(one[0], two[0], 1e-13) && close(one[1], two[1], 1e-12), "{one:?} {two:?}");
    }
}
