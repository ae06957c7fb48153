//! `phasic eval`: functions of time, likelihoods, samples and epochs, against closed forms.

use serde_json::{Value, json};

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

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("two.json", TWO_PHASES);
    scene.write("defective.json", DEFECTIVE);
    scene.write("tries.json", TRIES);
    scene.write("weighed_tries.json", WEIGHED_TRIES);
    scene
}

/// What is found for one θ.
fn found(scene: &Scene, arguments: &[&str]) -> Value {
    scene.json(&[&["eval"], arguments, &["--json"]].concat())[0].clone()
}

/// Numbers beside what they should be.
#[track_caller]
fn assert_close(found: &Value, expected: &[f64], tolerance: f64) {
    let found: Vec<f64> = serde_json::from_value(found.clone()).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1e-3),
            "{found} is not {expected}"
        );
    }
}

const TIMES: [f64; 4] = [0.0, 0.5, 1.0, 1.5];

/// Of the sum of exponential times of the rates a and b.
fn density(a: f64, b: f64, t: f64) -> f64 {
    a * b / (b - a) * ((-a * t).exp() - (-b * t).exp())
}

fn survival(a: f64, b: f64, t: f64) -> f64 {
    (b * (-a * t).exp() - a * (-b * t).exp()) / (b - a)
}

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
fn gradients_of_functions_are_their_derivatives() {
    let found = found(
        &scene(),
        &[
            "two.json",
            "--theta",
            "2,3",
            "--grad",
            "--quantity",
            "pdf=0.5,1",
            "--quantity",
            "survival=1",
            "--quantity",
            "loglik=0.5,1,1.5+",
        ],
    );
    let slope = |value: &dyn Fn(f64, f64) -> f64| {
        let h = 1e-5;
        let central = |up: f64, down: f64| (up - down) / (2.0 * h);
        [central(value(2.0 + h, 3.0), value(2.0 - h, 3.0)), central(value(2.0, 3.0 + h), value(2.0, 3.0 - h))]
    };
    let log_likelihood =
        |a: f64, b: f64| density(a, b, 0.5).ln() + density(a, b, 1.0).ln() + survival(a, b, 1.5).ln();
    assert!((found["loglik"].as_f64().unwrap() - log_likelihood(2.0, 3.0)).abs() < 1e-12);
    let gradient = &found["gradient"];
    // Central differences are right to about 1e-9 here.
    assert_close(&gradient["pdf"][0], &slope(&|a, b| density(a, b, 0.5)), 1e-7);
    assert_close(&gradient["pdf"][1], &slope(&|a, b| density(a, b, 1.0)), 1e-7);
    assert_close(&gradient["survival"][0], &slope(&|a, b| survival(a, b, 1.0)), 1e-7);
    assert_close(&gradient["loglik"], &slope(&log_likelihood), 1e-7);
}

#[test]
fn gradients_in_discrete_time_are_those_of_a_geometric_number() {
    let found = found(
        &scene(),
        &[
            "weighed_tries.json",
            "--theta",
            "3,1",
            "--grad",
            "--quantity",
            "pmf=3",
            "--quantity",
            "survival=3",
            "--quantity",
            "loglik=1,3,4+",
        ],
    );
    // With q = θ₀/(θ₀ + θ₁): dq/dθ₀ = 1/16 and dq/dθ₁ = −3/16 at (3, 1).
    let (q, of_q) = (0.75, [1.0 / 16.0, -3.0 / 16.0]);
    let gradient = &found["gradient"];
    assert_close(&gradient["pmf"][0], &of_q.map(|slope| (1.0 - 2.0 * q) * slope), 1e-13);
    assert_close(&gradient["survival"][0], &of_q.map(|slope| 2.0 * q * slope), 1e-13);
    // ln (1 − q) + ln q(1 − q) + ln q².
    assert_close(&gradient["loglik"], &of_q.map(|slope| (3.0 / q - 2.0 / (1.0 - q)) * slope), 1e-13);
}

#[test]
fn gradients_across_epochs_are_by_epoch() {
    let found = found(
        &scene(),
        &[
            "defective.json",
            "--theta",
            "2",
            "--epoch",
            "1:3",
            "--start",
            "conditional",
            "--grad",
            "--quantity",
            "pdf=0.5,2",
            "--quantity",
            "cdf=2",
            "--quantity",
            "loglik=2,0.5,3+",
        ],
    );
    let gradient = &found["gradient"];
    let (early, late) = ((-1.0_f64).exp(), (-5.0_f64).exp());
    assert_close(&gradient["pdf"][0], &[(1.0 - 2.0 * 0.5) * early, 0.0], 1e-12);
    assert_close(&gradient["pdf"][1], &[-3.0 * late, (1.0 - 3.0) * late], 1e-12);
    assert_close(&gradient["cdf"][0], &[late, late], 1e-12);
    // Of ln (3 e^{−a−b}), ln (a e^{−a/2}) and −a − 2b.
    assert_close(&gradient["loglik"], &[-1.0 + (0.5 - 0.5) - 1.0, 1.0 / 3.0 - 1.0 - 2.0], 1e-12);
}

#[test]
fn observations_come_from_a_file_and_an_impossible_one_makes_minus_infinity() {
    let scene = scene();
    scene.write("data.csv", "# days\n0.5, 1\n1.5+\n");
    let value =
        |data: &str| found(&scene, &["two.json", "--theta", "2,3", "--quantity", data])["loglik"].clone();
    assert_eq!(value("loglik=@data.csv"), value("loglik=0.5,1,1.5+"));
    // Two phases take time.
    assert_eq!(value("loglik=0"), json!("-inf"));
    let tries = |data: &str| found(&scene, &["tries.json", "--quantity", data])["loglik"].as_f64().unwrap();
    // Absorbed by the first or the third jump, or not by the fourth.
    let expected = (0.25_f64).ln() + (0.75_f64 * 0.25).ln() + (0.75_f64 * 0.75).ln();
    assert!((tries("loglik=1,3,4+") - expected).abs() < 1e-12);
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
fn epochs_have_hazards_quantiles_visits_rewards_and_samples() {
    let scene = scene();
    // From 0.5 on, both phases go on at the rates 4 and 6: as if time ran twice as fast.
    let asked = ["two.json", "--theta", "2,3", "--epoch", "0.5:4,6", "--tolerance", "1e-12"];
    let more = [
        "--quantity",
        "hazard=0.25,1",
        "--quantity",
        "quantile=0.1,0.9",
        "--quantity",
        "visiting-time=0.25,1",
        "--quantity",
        "cdf=0.25,1",
    ];
    let numbers = found(&scene, &[&asked[..], &more[..]].concat());
    let hazard = |time: f64| density(2.0, 3.0, time) / survival(2.0, 3.0, time);
    assert_close(&numbers["hazard"], &[hazard(0.25), 2.0 * hazard(1.5)], 1e-9);
    for (place, below) in [(0, 0.1), (1, 0.9)] {
        let time = numbers["quantile"][place].as_f64().unwrap();
        let on_its_own = if time <= 0.5 { time } else { 2.0 * time - 0.5 };
        assert!((1.0 - survival(2.0, 3.0, on_its_own) - below).abs() < 1e-12, "{below}: {time}");
    }
    // What was absorbed left the second phase at its rate.
    let visits = |place: usize| numbers["visiting-time"][place][2].as_f64().unwrap();
    let below = |place: usize| numbers["cdf"][place].as_f64().unwrap();
    assert!((3.0 * visits(0) - below(0)).abs() < 1e-11);
    let until = found(&scene, &[&asked[..], &["--quantity", "visiting-time=0.5"]].concat());
    let early = until["visiting-time"][2].as_f64().unwrap();
    assert!((3.0 * early + 6.0 * (visits(1) - early) - below(1)).abs() < 1e-11);
    let rewards = ["--rewards", "0,0,1,0", "--quantity", "expectation", "--quantity", "sample=5000"];
    let totals = found(&scene, &[&asked[..], &rewards[..]].concat());
    let mean = totals["expectation"].as_f64().unwrap();
    assert!((3.0 * early + 6.0 * (mean - early) - 1.0).abs() < 1e-11, "{mean}");
    let samples: Vec<f64> =
        totals["sample"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    // The standard deviation is below that of an exponential time of rate 3.
    assert!((samples.iter().sum::<f64>() / 5000.0 - mean).abs() < 5.0 / 3.0 / 5000.0_f64.sqrt(), "{mean}");
}

#[test]
fn epochs_carry_the_state_over_their_beginnings() {
    let scene = scene();
    // From 0.5 on, both phases go on at the rates 4 and 6: as if time ran twice as fast.
    let found = found(
        &scene,
        &[
            "two.json",
            "--theta",
            "2,3",
            "--epoch",
            "0.5:4,6",
            "--quantity",
            "pdf=0.25,1",
            "--quantity",
            "survival=0.25,1",
            "--quantity",
            "expectation",
            "--quantity",
            "variance",
            "--quantity",
            "moments=1",
        ],
    );
    assert_close(&found["pdf"], &[density(2.0, 3.0, 0.25), 2.0 * density(2.0, 3.0, 1.5)], 1e-9);
    assert_close(&found["survival"], &[survival(2.0, 3.0, 0.25), survival(2.0, 3.0, 1.5)], 1e-9);
    // ∫ S(t) dt = ∫₀^½ S + ½ ∫_½^∞ S, and 2 ∫ t S(t) dt likewise with t = (u + ½)/2.
    let from = |t: f64| 3.0 * (-2.0 * t).exp() / 2.0 - 2.0 * (-3.0 * t).exp() / 3.0;
    let mean = from(0.0) - from(0.5) + 0.5 * from(0.5);
    let tail = |t: f64| {
        let part = |rate: f64| (t / rate + 1.0 / (rate * rate)) * (-rate * t).exp();
        3.0 * part(2.0) - 2.0 * part(3.0)
    };
    let second = 2.0 * (tail(0.0) - tail(0.5)) + 0.5 * (tail(0.5) + 0.5 * from(0.5));
    assert!((found["expectation"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_close(&found["moments"], &[mean], 1e-12);
    assert!((found["variance"].as_f64().unwrap() - (second - mean * mean)).abs() < 1e-11);
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
fn samples_are_the_same_for_a_seed_and_have_the_mean_of_the_model() {
    let scene = scene();
    let draws = |more: &[&str]| -> Vec<f64> {
        let asked = ["two.json", "--theta", "2,3", "--quantity", "sample=4000", "--seed", "7"];
        serde_json::from_value(found(&scene, &[&asked, more].concat())["sample"].clone()).unwrap()
    };
    let mean = |draws: &[f64]| draws.iter().sum::<f64>() / draws.len() as f64;
    let times = draws(&[]);
    assert_eq!(times, draws(&[]));
    // Mean 5/6, variance 13/36: five standard errors.
    assert!((mean(&times) - 5.0 / 6.0).abs() < 5.0 * (13.0_f64 / 36.0 / 4000.0).sqrt());
    // Those alive late are nearly all in the last phase or the slower first.
    let left = draws(&["--alive-at", "0.5"]);
    let (first, second) = ((-1.0_f64).exp(), density(2.0, 3.0, 0.5) / 3.0);
    let expected = (first * 5.0 / 6.0 + second / 3.0) / (first + second);
    assert!((mean(&left) - expected).abs() < 5.0 * (13.0_f64 / 36.0 / 4000.0).sqrt());
    let ended = scene.run(&["eval", "two.json", "--quantity", "sample=1", "--alive-at", "1e6"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.err.contains("nothing is alive at 1000000; sample at an earlier --alive-at"),
        "{}",
        ended.err
    );
    let rewarded = found(
        &scene,
        &[
            "two.json",
            "--theta",
            "2,3",
            "--quantity",
            "sample=2",
            "--rewards",
            "0,1,1,0",
            "--rewards",
            "0,1,0,0",
        ],
    );
    assert_eq!(rewarded["sample"].as_array().unwrap().len(), 2);
    assert!(rewarded["sample"][0][0].as_f64() > rewarded["sample"][0][1].as_f64());
}

#[test]
fn covariances_and_correlations_of_two_are_numbers_and_of_more_are_rows() {
    let scene = scene();
    let asked = |rewards: &[&str], quantity: &str| {
        let rewards: Vec<&str> = rewards.iter().flat_map(|rewards| ["--rewards", rewards]).collect();
        found(&scene, &[&["two.json", "--theta", "2,4", "--quantity", quantity], &rewards[..]].concat())
            [quantity]
            .clone()
    };
    // Phases are independent, with the variances 1/4 and 1/16.
    let (both, first, second) = ("0,1,1,0", "0,1,0,0", "0,0,1,0");
    assert_eq!(asked(&[both, first], "covariance"), json!(0.25));
    assert!((asked(&[both, first], "correlation").as_f64().unwrap() - 0.8_f64.sqrt()).abs() < 1e-14);
    let rows = asked(&[both, first, second], "covariance");
    for (row, expected) in
        [[0.3125, 0.25, 0.0625], [0.25, 0.25, 0.0], [0.0625, 0.0, 0.0625]].iter().enumerate()
    {
        assert_close(&rows[row], expected, 1e-14);
    }
    assert_close(&asked(&[first, second, both], "correlation")[0], &[1.0, 0.0, 0.8_f64.sqrt()], 1e-14);
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
