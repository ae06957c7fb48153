//! Small models whose laws are known, and what the command says of them.

use serde_json::Value;

use crate::scene::Scene;

/// Two exponential phases of the rates θ₀ and θ₁.
const TWO_PHASES: &str = r#"{"param_length": 2, "vertices": [[0], [1], [2], [3]],
    "edges": [[0, 1, [1]], [1, 2, [1, 0]], [2, 3, [0, 1]]]}"#;
/// Starts with probability 0.8 only, in an exponential phase of the rate θ.
const DEFECTIVE: &str = r#"{"param_length": 1, "vertices": [[0], [1], [2]],
    "edges": [[0, 1, [0.8]], [1, 2, [1]]], "parameterized": true}"#;
/// Success with probability 1/4 at each of many tries; a failure leads on by way of another vertex.
const TRIES: &str = r#"{"was_dph": true, "param_length": 1, "parameterized": false, "vertices": [[0], [1], [2], [3]],
    "edges": [[0, 1, [1]], [1, 2, [0.75]], [1, 3, [0.25]], [2, 1, [1]]]}"#;

/// The same with the weights θ₀ and θ₁.
const WEIGHED_TRIES: &str = r#"{"was_dph": true, "param_length": 2, "parameterized": true,
    "vertices": [[0], [1], [2], [3]], "edges": [[0, 1, [], 1], [1, 2, [1, 0]], [1, 3, [0, 1]], [2, 1, [1, 1]]]}"#;

pub(crate) fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("two.json", TWO_PHASES);
    scene.write("defective.json", DEFECTIVE);
    scene.write("tries.json", TRIES);
    scene.write("weighed_tries.json", WEIGHED_TRIES);
    scene
}

/// What is found for one θ.
pub(crate) fn found(scene: &Scene, arguments: &[&str]) -> Value {
    scene.json(&[&["eval"], arguments, &["--json"]].concat())[0].clone()
}

/// Numbers beside what they should be.
#[track_caller]
pub(crate) fn assert_close(found: &Value, expected: &[f64], tolerance: f64) {
    let found: Vec<f64> = serde_json::from_value(found.clone()).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1e-3),
            "{found} is not {expected}"
        );
    }
}

pub(crate) const TIMES: [f64; 4] = [0.0, 0.5, 1.0, 1.5];

/// Of the sum of exponential times of the rates a and b.
pub(crate) fn density(a: f64, b: f64, t: f64) -> f64 {
    a * b / (b - a) * ((-a * t).exp() - (-b * t).exp())
}

pub(crate) fn survival(a: f64, b: f64, t: f64) -> f64 {
    (b * (-a * t).exp() - a * (-b * t).exp()) / (b - a)
}
