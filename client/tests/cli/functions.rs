//! `phasic eval`: functions of time and of numbers of jumps, against closed forms.

use serde_json::{Value, json};

use crate::laws::{TIMES, assert_close, density, found, scene, survival};

#[test]
fn densities_and_probabilities_of_two_phases_have_their_closed_forms() {
    let found = found(
        &scene(),
        &[
            "two.json",
            "--theta",
            "2,3",
            "--quantity",
            "pdf=0:1.5:4",
            "--quantity",
            "cdf=0:1.5:4",
            "--quantity",
            "survival=0:1.5:4",
            "--quantity",
            "hazard=0:1.5:4",
            "--quantity",
            "laplace=0,0.5",
            "--quantity",
            "stop-probability=0.5",
        ],
    );
    let each = |function: &dyn Fn(f64) -> f64| TIMES.map(function);
    assert_close(&found["pdf"], &each(&|t| density(2.0, 3.0, t)), 1e-9);
    assert_close(&found["cdf"], &each(&|t| 1.0 - survival(2.0, 3.0, t)), 1e-9);
    assert_close(&found["survival"], &each(&|t| survival(2.0, 3.0, t)), 1e-9);
    assert_close(&found["hazard"], &each(&|t| density(2.0, 3.0, t) / survival(2.0, 3.0, t)), 1e-9);
    assert_close(&found["laplace"], &[1.0, 2.0 / 2.5 * 3.0 / 3.5], 1e-14);
    let first = (-1.0_f64).exp();
    assert_close(&found["stop-probability"], &[0.0, first, density(2.0, 3.0, 0.5) / 3.0, 0.0], 1e-9);
}

#[test]
fn a_list_by_vertex_is_flat_for_one_time_and_a_list_of_lists_for_more() {
    let scene = scene();
    let found = found(
        &scene,
        &[
            "two.json",
            "--theta",
            "2,3",
            "--quantity",
            "stop-probability=0.5",
            "--quantity",
            "visiting-time=0.5,1000",
        ],
    );
    assert_eq!(found["stop-probability"].as_array().unwrap().len(), 4);
    let visiting = found["visiting-time"].as_array().unwrap();
    assert_eq!(visiting.len(), 2);
    assert_close(&visiting[0].as_array().unwrap()[1..2].into(), &[(1.0 - (-1.0_f64).exp()) / 2.0], 1e-9);
    assert_close(&visiting[1], &[0.0, 0.5, 1.0 / 3.0, 0.0], 1e-9);
    assert_eq!(found["at"], json!({"stop-probability": [0.5], "visiting-time": [0.5, 1000.0]}));
}

#[test]
fn quantiles_are_where_the_distribution_function_says() {
    let scene = scene();
    let found = found(&scene, &["two.json", "--theta", "2,3", "--quantity", "quantile=0,0.25,0.5,0.99,1"]);
    assert_eq!((&found["quantile"][0], &found["quantile"][4]), (&json!(0.0), &json!("inf")));
    for (place, p) in [(1, 0.25), (2, 0.5), (3, 0.99)] {
        let t = found["quantile"][place].as_f64().unwrap();
        assert!((1.0 - survival(2.0, 3.0, t) - p).abs() < 1e-12, "{t}");
    }
}

#[test]
fn functions_of_rewards_are_those_of_the_total() {
    // A reward per unit of time scales an exponential phase; a phase without reward is passed over.
    let found = found(
        &scene(),
        &[
            "two.json",
            "--theta",
            "2,3",
            "--rewards",
            "0,4,0,0",
            "--quantity",
            "expectation",
            "--quantity",
            "pdf=0:1.5:4",
            "--quantity",
            "quantile=0.5",
            "--quantity",
            "loglik=1",
        ],
    );
    assert_eq!(found["expectation"], json!(2.0));
    assert_close(&found["pdf"], &TIMES.map(|t| 0.5 * (-0.5 * t).exp()), 1e-9);
    assert_close(&found["quantile"], &[2.0 * 2.0_f64.ln()], 1e-12);
    assert!((found["loglik"].as_f64().unwrap() - (0.5_f64.ln() - 0.5)).abs() < 1e-12);
}

#[test]
fn the_length_of_a_genealogy_has_its_known_distribution() {
    // Of five samples: the greatest of four exponential times of mean 2 (Tavaré 1984).
    let found = found(
        &scene(),
        &["builtin:kingman", "--theta", "1", "--rewards", "0,5,4,3,2,0", "--quantity", "cdf=1,2,4"],
    );
    assert_close(&found["cdf"], &[1.0, 2.0, 4.0].map(|t: f64| (1.0 - (-t / 2.0).exp()).powi(4)), 1e-9);
}

#[test]
fn a_defective_start_is_taken_as_given_or_conditionally() {
    let scene = scene();
    let asked = [
        "defective.json",
        "--theta",
        "2",
        "--quantity",
        "expectation",
        "--quantity",
        "cdf=1",
        "--quantity",
        "quantile=0.9",
        "--quantity",
        "laplace=0",
    ];
    let below = 1.0 - (-2.0_f64).exp();
    let given = found(&scene, &asked);
    assert_close(&given["cdf"], &[0.8 * below], 1e-9);
    assert_close(&given["laplace"], &[0.8], 1e-14);
    assert_eq!((&given["expectation"], &given["quantile"]), (&json!(0.5), &json!(["inf"])));
    let conditional = found(&scene, &[&asked[..], &["--start", "conditional"]].concat());
    assert_close(&conditional["cdf"], &[below], 1e-9);
    assert_close(&conditional["quantile"], &[10.0_f64.ln() / 2.0], 1e-12);
    assert_eq!(conditional["expectation"], json!(0.5));
}

#[test]
fn discrete_time_has_probabilities_of_numbers_of_jumps() {
    let scene = scene();
    let found = found(
        &scene,
        &[
            "tries.json",
            "--quantity",
            "pmf=0:4:5",
            "--quantity",
            "pdf=3",
            "--quantity",
            "cdf=3",
            "--quantity",
            "survival=3",
            "--quantity",
            "hazard=3",
            "--quantity",
            "quantile=0.25,0.3",
            "--quantity",
            "moments=2",
            "--quantity",
            "variance",
            "--quantity",
            "stop-probability=2",
            "--quantity",
            "visiting-time=2",
        ],
    );
    assert_close(&found["pmf"], &[0.0, 0.25, 0.0, 0.1875, 0.0], 1e-14);
    assert_close(&found["pdf"], &[0.1875], 1e-14);
    assert_close(&found["cdf"], &[0.4375], 1e-14);
    assert_close(&found["survival"], &[0.5625], 1e-14);
    assert_close(&found["hazard"], &[0.25], 1e-14);
    assert_eq!(found["quantile"], json!([1.0, 3.0]));
    // N = 2G − 1 with G geometric: E G = 4, E G² = 28.
    assert_close(&found["moments"], &[7.0, 97.0], 1e-13);
    assert!((found["variance"].as_f64().unwrap() - 48.0).abs() < 1e-12);
    assert_close(&found["stop-probability"], &[0.0, 0.75, 0.0, 0.0], 1e-14);
    assert_close(&found["visiting-time"], &[0.0, 1.75, 0.75, 0.0], 1e-14);
    let rewarded =
        scene.json(&["eval", "tries.json", "--rewards", "0,2,0,0", "--quantity", "pmf=2,3,4", "--json"]);
    assert_close(&rewarded[0]["pmf"], &[0.25, 0.0, 0.1875], 1e-14);
}

#[test]
fn a_looser_tolerance_is_kept_and_each_theta_may_have_a_line_of_its_own() {
    let scene = scene();
    let loose = found(&scene, &["two.json", "--theta", "2,3", "--quantity", "pdf=1", "--tolerance", "1e-3"]);
    assert_close(&loose["pdf"], &[density(2.0, 3.0, 1.0)], 2e-3);
    let lines = scene.output(&["eval", "two.json", "--theta", "1,2", "--theta", "2,4", "--ndjson"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"theta": [1.0, 2.0], "expectation": 1.5, "variance": 1.25}));
    assert_eq!(lines[1]["theta"], json!([2.0, 4.0]));
}
