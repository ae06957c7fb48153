//! Densities, distribution functions, state vectors and Laplace transforms: by phasic's steps within the tolerance of
//! the numerics specification, section 7, and exactly, within what its steps err.

use super::recorded::{Run, Vector, all, number, numbers};
use phasic_engine::distribution::{Curve, Start, StepScheme};
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{Limits, Plan};
use serde_json::Value;

fn runs() -> impl Iterator<Item = (String, Graph, Run)> {
    let continuous = all().into_iter().filter(|vector| !vector.was_dph);
    continuous.flat_map(|vector| {
        let graph = vector.graph();
        let Vector { name, runs, .. } = vector;
        runs.into_iter().enumerate().map(move |(at, run)| (format!("{name} run {at}"), graph.clone(), run))
    })
}

fn granularity(value: &Value) -> u32 {
    u32::try_from(value["granularity_arg"].as_u64().unwrap()).unwrap()
}

fn all_close(what: &str, found: &[f64], recorded: &Value) {
    let wanted = numbers(recorded);
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let close = (found - wanted).abs() <= 1e-10 + 1e-9 * wanted.abs();
        assert!(close || found.is_nan() && wanted.is_nan(), "{what}[{at}]: {found:e}, recorded {wanted:e}");
    }
}

#[test]
fn fixed_steps_give_the_recorded_densities_and_distribution_functions() {
    let mut checked = 0;
    for (name, graph, run) in runs() {
        for recorded in [&run.pdf, &run.pdf_coarse].into_iter().flatten() {
            let scheme = StepScheme::new(&graph, &run.weights(&graph), granularity(recorded)).unwrap();
            if let Some(used) = recorded.get("granularity_used") {
                assert_eq!(scheme.granularity(), used.as_u64().unwrap(), "{name}");
            }
            let Curve { pdf, cdf, .. } = scheme.curve(&numbers(&recorded["t"])).unwrap();
            all_close(&name, &pdf, &recorded["pdf"]);
            if let Some(recorded) = recorded.get("cdf") {
                all_close(&name, &cdf, recorded);
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 208);
}

#[test]
fn fixed_steps_give_the_recorded_states_and_visits() {
    let mut checked = 0;
    for (name, graph, run) in runs() {
        let Some(recorded) = &run.state_at else { continue };
        let scheme = StepScheme::new(&graph, &run.weights(&graph), 0).unwrap();
        let time = number(&recorded["t"]);
        all_close(&name, &scheme.stop_probability(time).unwrap(), &recorded["stop_probability"]);
        let visits = scheme.accumulated_visiting_time(time).unwrap();
        all_close(&name, &visits, &recorded["accumulated_visiting_time"]);
        checked += 1;
    }
    assert_eq!(checked, 103);
}

/// The graph with given weights in which what leads back to the start is lost, as in phasic's steps: it gets to two vertices
/// that lead to each other only.
fn losing(graph: &Graph, weights: &[f64]) -> Graph {
    let mut builder = GraphBuilder::new(graph.state_length()).unwrap();
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex)).unwrap();
    }
    let lost = [(); 2].map(|()| builder.add_auxiliary_vertex().unwrap());
    builder.add_edge(lost[0], lost[1], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(lost[1], lost[0], Rate::Scalar(1.0)).unwrap();
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            let to = if edge.target == START { lost[0] } else { edge.target };
            builder.add_edge(vertex, to, Rate::Scalar(weights[edge.index as usize])).unwrap();
        }
    }
    builder.finish()
}

#[test]
fn exact_values_differ_from_the_recorded_ones_by_what_fixed_steps_err() {
    let (mut checked, mut returning) = (0, 0);
    for (name, graph, run) in runs() {
        let Some(recorded) = &run.pdf else { continue };
        let weights = run.weights(&graph);
        let mass = graph.edges(START).map(|edge| weights[edge.index as usize]).sum::<f64>().max(1.0);
        let plan = Plan::analyze(&losing(&graph, &weights), &Limits::default()).unwrap();
        let distribution = plan.distribution(&[1.0][..plan.param_length()]).unwrap();
        // The scheme is of first order: Richardson's extrapolation of two of its values is of second order. At the end
        // of step k the scheme stands for the time k/g, for a g that no vertex is too fast for.
        let fastest = graph.rates(&weights)[1..].iter().copied().fold(0.0, f64::max);
        let mut steps = 1_u32 << 12;
        while f64::from(steps) < 2.0 * fastest {
            steps *= 2;
        }
        let grid: Vec<f64> = numbers(&recorded["t"])
            .iter()
            .map(|t| (t * f64::from(steps)).round() / f64::from(steps))
            .collect();
        let at = |steps: u32| StepScheme::new(&graph, &weights, steps).unwrap().curve(&grid).unwrap();
        let (coarse, fine) = (at(steps), at(2 * steps));
        let exact = distribution.cdf(&grid).unwrap();
        for (place, time) in grid.iter().enumerate() {
            let step_error = (fine.cdf[place] - coarse.cdf[place]).abs();
            let better = 2.0 * fine.cdf[place] - coarse.cdf[place];
            let error = (exact[place] - better).abs();
            assert!(error <= 0.05 * step_error + 1e-9, "{name} at {time}: {error:e} {step_error:e}");
            // What is absorbed and what is not are all there is: 1, or masses that sum to more.
            let whole = fine.cdf[place] + fine.survival[place];
            assert!((whole - mass).abs() < 1e-9, "{name} at {time}: {whole} {mass}");
        }
        returning += usize::from((1..graph.vertex_count()).any(|v| graph.targets(v).contains(&START)));
        checked += 1;
    }
    assert_eq!((checked, returning), (104, 2));
}

/// The graph with an edge of weight `s` from every transient vertex into absorption, and for each vertex its original
/// rate into absorption.
fn with_killing(graph: &Graph, weights: &[f64], s: f64) -> (Graph, Vec<f64>) {
    let mut builder = GraphBuilder::new(graph.state_length()).unwrap();
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex)).unwrap();
    }
    let cemetery = builder.add_vertex(&vec![-99; graph.state_length()]).unwrap();
    let mut exits = vec![0.0; graph.vertex_count() as usize + 1];
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            let weight = weights[edge.index as usize];
            builder.add_edge(vertex, edge.target, Rate::Scalar(weight)).unwrap();
            if vertex != START && graph.is_absorbing(edge.target) {
                exits[vertex as usize] += weight;
            }
        }
        if vertex != START && !graph.is_absorbing(vertex) {
            builder.add_edge(vertex, cemetery, Rate::Scalar(s)).unwrap();
        }
    }
    (builder.finish(), exits)
}

#[test]
fn laplace_transforms_are_right_where_phasic_counts_exit_rates_as_one() {
    let (mut checked, mut same) = (0, 0);
    for (name, graph, run) in runs() {
        let Some(recorded) = &run.laplace else { continue };
        let weights = run.weights(&graph);
        let atom: f64 = graph
            .edges(START)
            .filter(|e| graph.is_absorbing(e.target))
            .map(|e| weights[e.index as usize])
            .sum();
        let mass: f64 = graph.edges(START).map(|e| weights[e.index as usize]).sum();
        let theta = run.theta.clone().unwrap_or_else(|| vec![1.0; graph.param_length()]);
        let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
        let distribution = plan.distribution(&theta).unwrap().start(Start::Conditional).unwrap();
        for entry in recorded.as_array().unwrap() {
            let (s, wanted) = (number(&entry["s"]), number(&entry["value"]));
            let (killed, exits) = with_killing(&graph, &weights, s);
            let plan = Plan::analyze(&killed, &Limits::default()).unwrap();
            let at = plan.at(&[1.0][..plan.param_length()]).unwrap();
            // phasic's convention: a reward of 1 at every vertex that can be absorbed.
            let ones: Vec<f64> = exits.iter().map(|&exit| if exit > 0.0 { 1.0 } else { 0.0 }).collect();
            let convention = at.rewarded(&ones).unwrap().expectation();
            assert!((convention - wanted).abs() <= 1e-9 * wanted, "{name} {s}: {convention:e} {wanted:e}");
            // The transform itself: exit rates, and what is absorbed at once.
            let ours = distribution.phasic_laplace(&[s]).unwrap()[0];
            assert!((ours - wanted).abs() <= 1e-9 * wanted, "{name} {s}: {ours:e} {wanted:e}");
            let right = at.rewarded(&exits).unwrap().expectation() + atom / mass;
            let found = distribution.laplace(&[s]).unwrap()[0];
            assert!((found - right).abs() <= 1e-13 * right, "{name} {s}: {found:e} {right:e}");
            checked += 1;
            if atom == 0.0 && ones == exits {
                assert!((found - wanted).abs() <= 1e-9 * wanted, "{name} {s}: {found:e} {wanted:e}");
                same += 1;
            }
        }
    }
    assert_eq!((checked, same), (144, 45));
}
