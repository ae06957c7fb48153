//! The recorded numbers of discrete time: phasic's scheme is exact there, so they hold both in it and by our own way, within
//! the tolerance of the numerics specification, section 7.

use super::recorded::{all, numbers};
use ndarray::Array2;
use phasic_engine::distribution::StepScheme;
use phasic_engine::graph::Graph;
use phasic_engine::plan::{Limits, Plan};

fn close(found: f64, recorded: f64) -> bool {
    (found - recorded).abs() <= 1e-10 + 1e-9 * recorded.abs()
}

#[test]
fn laws_states_and_visits_in_discrete_time_are_the_recorded_ones() {
    let mut checked = 0;
    for vector in all() {
        let graph = vector.graph();
        let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
        for run in &vector.runs {
            let Some(recorded) = &run.dph else { continue };
            let theta = run.theta.clone().unwrap_or_else(|| vec![1.0; graph.param_length()]);
            let jumps = plan.jumps(&theta).unwrap();
            let asked: Vec<u64> = serde_json::from_value(recorded["jumps"].clone()).unwrap();
            let known = jumps.probabilities(&asked).unwrap();
            let laws = numbers(&recorded["pmf"]).into_iter().zip(numbers(&recorded["cdf"]));
            for ((known, (pmf, cdf)), asked) in known.iter().zip(laws).zip(&asked) {
                let name = &vector.name;
                assert!(
                    close(known.pmf, pmf) && close(known.cdf, cdf),
                    "{name} {asked}: {known:?} {pmf} {cdf}"
                );
            }
            let same = |found: Array2<f64>, field: &str| {
                let recorded = numbers(&recorded[field]);
                assert_eq!(found.dim(), (1, recorded.len()));
                for (vertex, (&found, recorded)) in found.iter().zip(recorded).enumerate() {
                    assert!(close(found, recorded), "{} {field}[{vertex}]: {found} {recorded}", vector.name);
                }
            };
            same(jumps.stop_probability(&[8]).unwrap(), "stop_probability_8");
            same(jumps.accumulated_visits(&[8]).unwrap(), "accumulated_visits_8");
            // Unit rewards are phasic's only right variance; its plain one is wrong.
            let variance = recorded["variance_unit_rewards"].as_f64().unwrap();
            let scale = jumps.moments(2).unwrap()[1];
            assert!((jumps.variance().unwrap() - variance).abs() <= 1e-10 * scale);
            checked += 1;
        }
    }
    assert_eq!(checked, 5);
}

#[test]
fn jump_by_jump_phasics_scheme_gives_the_recorded_laws_states_and_visits() {
    let mut checked = 0;
    for vector in all() {
        let graph = vector.graph();
        for run in &vector.runs {
            let Some(recorded) = &run.dph else { continue };
            let scheme = StepScheme::of_jumps(&graph, &run.weights(&graph)).unwrap();
            let same = |found: &[f64], field: &str| {
                let wanted = numbers(&recorded[field]);
                assert_eq!(found.len(), wanted.len(), "{} {field}", vector.name);
                for (at, (&found, wanted)) in found.iter().zip(wanted).enumerate() {
                    assert!(close(found, wanted), "{} {field}[{at}]: {found} {wanted}", vector.name);
                }
            };
            let curve = scheme.curve(&numbers(&recorded["jumps"])).unwrap();
            same(&curve.pdf, "pmf");
            same(&curve.cdf, "cdf");
            same(&scheme.stop_probability(8.0).unwrap(), "stop_probability_8");
            same(&scheme.accumulated_visiting_time(8.0).unwrap(), "accumulated_visits_8");
            checked += 1;
        }
    }
    assert_eq!(checked, 5);
}

/// The graph of a recorded file.
fn recorded(name: &str) -> Graph {
    all().into_iter().find(|vector| vector.name == name).unwrap().graph()
}

#[test]
fn the_vertices_that_discretizing_adds_are_those_recorded_with_a_reward() {
    let mut checked = 0;
    for (name, base, rate) in
        [("coal_n5_dph", "coal_n5", 0.1), ("const_dph", "const_chain", 0.2), ("mm1k_3_dph", "mm1k_3", 0.25)]
    {
        let base = recorded(base);
        let ours = base.discretize(rate).unwrap();
        let vector = all().into_iter().find(|vector| vector.name == name).unwrap();
        assert_eq!(ours.content_hash(), vector.graph().content_hash(), "{name}");
        for run in &vector.runs {
            let added = (0..ours.vertex_count()).map(|v| f64::from(u8::from(v >= base.vertex_count())));
            let wanted = numbers(&run.dph.as_ref().unwrap()["aux_rewards"]);
            assert_eq!(added.collect::<Vec<f64>>(), wanted, "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 5);
}
