//! Recorded reward transforms, held to the tolerance of the numerics specification, section 7.

use super::recorded::{all, number, raised};
use phasic_engine::distribution::{RewardOptions, reward_transform};
use phasic_engine::plan::{Limits, Plan};
use serde_json::Value;

#[test]
fn reward_transforms_have_the_recorded_states_expectations_and_variances() {
    let mut checked = 0;
    for vector in all() {
        let graph = vector.graph();
        for run in &vector.runs {
            let Some(recorded) = run.reward_transform.as_ref().filter(|recorded| !raised(recorded)) else {
                continue;
            };
            let name = &vector.name;
            let listed = run.rewards.as_ref().unwrap()[0].r.clone();
            let rewards =
                listed.unwrap_or_else(|| (0..graph.vertex_count()).map(|i| f64::from((7 * i) % 5)).collect());
            let theta = run.theta.clone().unwrap_or_else(|| vec![1.0; graph.param_length()]);
            let result = reward_transform(&graph, &theta, &rewards, &RewardOptions::compat()).unwrap();
            let plan = Plan::analyze(&result, &Limits::default()).unwrap();
            let at = plan.at(&vec![1.0; result.param_length()]).unwrap();
            let (mean, variance) = (number(&recorded["expectation"]), number(&recorded["variance"]));
            assert!((at.expectation() - mean).abs() <= 1e-9 * mean, "{name}: {} {mean}", at.expectation());
            // A variance is a difference of numbers of the size of the second moment.
            let scale = variance + mean * mean;
            assert!((at.variance() - variance).abs() <= 1e-9 * scale, "{name}: {} {variance}", at.variance());
            assert_eq!(u64::from(result.vertex_count()), recorded["n_vertices"].as_u64().unwrap(), "{name}");
            if let Some(states) = recorded.get("vertices").filter(|states| !states.is_null()) {
                let states: Vec<Vec<i32>> =
                    serde_json::from_value::<Value>(states.clone()).and_then(serde_json::from_value).unwrap();
                let found: Vec<_> = (0..result.vertex_count()).map(|v| result.state(v).to_vec()).collect();
                assert_eq!(found, states, "{name}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 62);
}
