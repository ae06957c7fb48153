//! `phasic eval --epoch`: parameters that change, against closed forms.

use crate::laws::{assert_close, density, found, scene, survival};

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
fn rewards_across_epochs_have_moments_covariances_and_survivors() {
    let scene = scene();
    // Time runs twice as fast from 0.5 on: a total is the early part of a phase and half of the late one.
    let asked = ["two.json", "--theta", "2,3", "--epoch", "0.5:4,6"];
    let rewards = ["--rewards", "0,1,1,0"];
    let more = ["--quantity", "expectation", "--quantity", "variance", "--quantity", "moments=3"];
    let (total, time) = (
        found(&scene, &[&asked[..], &rewards, &more].concat()),
        found(&scene, &[&asked[..], &more].concat()),
    );
    for quantity in ["expectation", "variance"] {
        let (total, time) = (total[quantity].as_f64().unwrap(), time[quantity].as_f64().unwrap());
        assert!((total / time - 1.0).abs() < 1e-12, "{quantity}: {total} {time}");
    }
    let wanted: Vec<f64> = serde_json::from_value(time["moments"].clone()).unwrap();
    assert_close(&total["moments"], &wanted, 1e-12);
    // Var(X + Y) is the sum of all covariances.
    let rows = ["--rewards", "0,1,0,0", "--rewards", "0,0,1,0", "--rewards", "0,1,1,0"];
    let joint = found(&scene, &[&asked[..], &rows, &["--quantity", "covariance"]].concat());
    let entry = |row: usize, column: usize| joint["covariance"][row][column].as_f64().unwrap();
    let sum = entry(0, 0) + entry(1, 1) + 2.0 * entry(0, 1);
    assert!((sum - entry(2, 2)).abs() < 1e-12 && (entry(0, 2) - entry(0, 0) - entry(0, 1)).abs() < 1e-12);
    let pair = found(&scene, &[&asked[..], &rows[..4], &["--quantity", "correlation"]].concat());
    let wanted = entry(0, 1) / (entry(0, 0) * entry(1, 1)).sqrt();
    assert!((pair["correlation"].as_f64().unwrap() - wanted).abs() < 1e-12);
    // Those alive at 0.5 go on at the late rates.
    let alive = ["--quantity", "sample=4000", "--alive-at", "0.5", "--seed", "3"];
    let late = found(&scene, &[&asked[..], &alive].concat());
    let alone = found(&scene, &[&["two.json", "--theta", "2,3"], &alive[..]].concat());
    let mean = |found: &serde_json::Value| {
        found["sample"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).sum::<f64>() / 4000.0
    };
    assert!((2.0 * mean(&late) / mean(&alone) - 1.0).abs() < 1e-9, "{} {}", mean(&late), mean(&alone));
}
