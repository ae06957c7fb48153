//! `phasic eval --grad`, and likelihoods, against closed forms.

use serde_json::json;

use crate::laws::{assert_close, density, found, scene, survival};

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
fn gradients_of_functions_of_a_total_reward_are_those_of_its_law() {
    // Of two phases the second counts twice: phases of rates 2 and 3/2.
    let asked =
        ["--grad", "--quantity", "pdf=0.5,1", "--quantity", "loglik=0.5,1.5+", "--quantity", "expectation"];
    let arguments = [&["two.json", "--theta", "2,3", "--rewards", "0,1,2,0"][..], &asked].concat();
    let rewarded = found(&scene(), &arguments);
    let plain = found(&scene(), &[&["two.json", "--theta", "2,1.5"][..], &asked].concat());
    for quantity in ["pdf", "loglik", "expectation"] {
        let slopes = |found: &serde_json::Value| {
            let rows = &found["gradient"][quantity];
            let rows = if rows[0].is_array() { rows.as_array().unwrap().clone() } else { vec![rows.clone()] };
            rows.iter()
                .flat_map(|row| [row[0].as_f64().unwrap(), row[1].as_f64().unwrap()])
                .collect::<Vec<_>>()
        };
        let found = slopes(&rewarded);
        for (at, wanted) in slopes(&plain).into_iter().enumerate() {
            // The second parameter is divided by its reward.
            let wanted = if at % 2 == 1 { wanted / 2.0 } else { wanted };
            assert!((found[at] - wanted).abs() < 1e-11, "{quantity}: {found:?} {wanted}");
        }
    }
    // The first phase takes no time, and only the second follows: its slope is 0.
    let second = self::found(
        &scene(),
        &["two.json", "--theta", "2,3", "--rewards", "0,0,2,0", "--grad", "--quantity", "cdf=1"],
    );
    assert_close(&second["gradient"]["cdf"][0], &[0.0, 0.5 * (-1.5_f64).exp()], 1e-9);
}
