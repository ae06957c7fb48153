//! `phasic eval`: samples, sojourn times, and what total rewards have in common.

use serde_json::json;

use crate::laws::{assert_close, density, found, scene};

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
    let ended = scene.run(&["eval", "two.json", "--quantity", "sample=1", "--alive-at", "1e9"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.err.contains("nothing is alive at 1000000000; sample at an earlier --alive-at"),
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
fn waiting_times_are_from_all_vertices_or_from_those_named() {
    let scene = scene();
    let times =
        |quantity: &str| found(&scene, &["tries.json", "--quantity", quantity])["waiting-time"].clone();
    let all = times("waiting-time");
    assert_eq!(times("waiting-time=2,0"), json!([all[2], all[0]]));
    let ended = scene.run(&["eval", "two.json", "--quantity", "waiting-time=4"]);
    assert_eq!(ended.status, 2);
    let said = "waiting-time: vertex 4 does not exist; the model has 4 vertices";
    assert!(ended.err.contains(said), "{}", ended.err);
}

#[test]
fn sojourn_times_are_of_all_vertices_or_of_those_named() {
    let scene = scene();
    let times =
        |model: &str, quantity: &str| found(&scene, &[model, "--quantity", quantity])["sojourn"].clone();
    let all = times("tries.json", "sojourn");
    assert_close(&all, &[0.0, 4.0, 3.0, 0.0], 1e-14);
    assert_eq!(times("tries.json", "sojourn=2,1"), json!([all[2], all[1]]));
    assert_eq!(times("two.json", "sojourn=2"), json!([1.0]));
    let ended = scene.run(&["eval", "two.json", "--quantity", "sojourn=1,4"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.err.contains("sojourn: vertex 4 does not exist; the model has 4 vertices"),
        "{}",
        ended.err
    );
}
