//! `phasic eval`.
#![expect(clippy::unreadable_literal, reason = "numbers as the golden vectors write them")]

use serde_json::json;

use crate::scene::Scene;

/// A cycle of two vertices with parallel edges both ways. Merged: 1 → 2 at rate 2, back at 3, out at 1, so that the
/// expected time is (1/2 + 1/4) · 4 = 3.
const PARALLEL: &str = r#"{"vertices": [[0], [1], [2], [3]],
    "edges": [[0, 1, [1]], [1, 2, [1]], [1, 2, [1]], [2, 1, [1]], [2, 1, [2]], [2, 3, [1]]]}"#;

#[test]
fn without_a_wish_it_is_expectation_and_variance_of_the_model_as_built() {
    let scene = Scene::new();
    assert_eq!(
        scene.output(&["eval", "coal_n5_theta1"]),
        "expectation  1.6\nvariance     1.1488888888888882\n"
    );
    let expected = json!([{"theta": null, "expectation": 1.6, "variance": 1.1488888888888882}]);
    assert_eq!(scene.json(&["eval", "coal_n5_theta1", "--json"]), expected);
}

#[test]
fn each_theta_has_an_object_with_what_was_asked_in_that_order() {
    let scene = Scene::new();
    scene.write("theta.csv", "# rate\n0.5\n2\n");
    let printed = scene.output(&[
        "eval",
        "coal_n5_theta1",
        "--compat",
        "--theta",
        "1",
        "--theta",
        "@theta.csv",
        "--quantity",
        "moments=2",
        "--quantity",
        "expectation",
        "--json",
    ]);
    let expected = r#"[
  {"theta":[1.0],"moments":[1.6,3.7088888888888882],"expectation":1.6},
  {"theta":[0.5],"moments":[3.2,14.835555555555555],"expectation":3.2},
  {"theta":[2.0],"moments":[0.8,0.9272222222222222],"expectation":0.8}
]
"#;
    assert_eq!(printed, expected);
}

#[test]
fn vectors_and_rewards_agree_with_the_golden_numbers_to_the_bit_with_compat() {
    let scene = Scene::new();
    let value = |arguments: &[&str]| {
        let all = [&["eval", "coal_n5_theta1", "--theta", "0.37", "--compat", "--json"], arguments].concat();
        scene.json(&all)[0].clone()
    };
    let (first, second) = ("0,2,4,1,3,0", "0.363,1.323,0.669,0.396,0.979,0.988");
    let waiting = value(&["--quantity", "waiting-time", "--quantity", "sojourn"]);
    assert_eq!(
        waiting["waiting-time"],
        json!([
            4.324324324324324,
            4.324324324324324,
            4.054054054054054,
            3.6036036036036037,
            2.7027027027027026,
            0.0
        ])
    );
    assert_eq!(
        waiting["sojourn"],
        json!([0.0, 0.2702702702702702, 0.45045045045045046, 0.9009009009009009, 2.702702702702702, 0.0])
    );
    let rewarded = value(&["--rewards", first]);
    assert_eq!(rewarded["expectation"], json!(11.351351351351349));
    assert_eq!(rewarded["variance"], json!(70.09171333495658));
    let covariance = value(&["--quantity", "covariance", "--rewards", first, "--rewards", second]);
    assert_eq!(covariance["covariance"], json!(22.511273435597758));
}

#[test]
fn without_compat_the_numbers_are_the_same_within_rounding() {
    let scene = Scene::new();
    let value = |flag: &[&str]| {
        let asked = ["eval", "builtin:rabbits", "--theta", "1,2,4", "--quantity", "moments=4", "--json"];
        let found = scene.json(&[&asked, flag].concat())[0]["moments"].clone();
        serde_json::from_value::<Vec<f64>>(found).unwrap()
    };
    for (own, phasic) in value(&[]).into_iter().zip(value(&["--compat"])) {
        assert!((own - phasic).abs() <= 1e-13 * phasic, "{own} {phasic}");
    }
}

#[test]
fn gradients_come_with_their_quantities() {
    let scene = Scene::new();
    // The mean is 1.6/θ, the second moment that of θ = 1 over θ².
    let found = scene.json(&[
        "eval",
        "builtin:kingman",
        "--theta",
        "2",
        "--quantity",
        "expectation",
        "--quantity",
        "moments=2",
        "--grad",
        "--json",
    ]);
    let gradient = &found[0]["gradient"];
    let close = |found: &serde_json::Value, wanted: f64| (found.as_f64().unwrap() - wanted).abs() < 1e-14;
    assert!(close(&gradient["expectation"][0], -0.4), "{gradient}");
    assert!(close(&gradient["moments"][0][0], -0.4), "{gradient}");
    assert!(close(&gradient["moments"][1][0], -3.708_888_888_888_888 * 2.0 / 8.0), "{gradient}");
    let refused = scene.run(&["eval", "builtin:kingman", "--quantity", "sojourn", "--grad"]);
    assert_eq!(refused.status, 2);
    assert!(refused.err.contains("but none of sojourn"), "{}", refused.err);
}

#[test]
fn a_fast_artifact_is_smaller_verified_and_right_for_parallel_edges() {
    let scene = Scene::new();
    scene.write("parallel.json", PARALLEL);
    scene.output(&["eliminate", "parallel.json", "--ordering", "fast", "-o", "fast.bin"]);
    let ended = scene.run(&["eval", "parallel.json", "--artifact", "fast.bin", "--json"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    let replayed: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert!((replayed[0]["expectation"].as_f64().unwrap() - 3.0).abs() < 1e-14, "{replayed}");
    let commands = |file: &str, ordering: &str| {
        let made =
            ["eliminate", "builtin:rabbits", "--set", "n=20", "--ordering", ordering, "-o", file, "--json"];
        scene.json(&made)["commands"].as_u64().unwrap()
    };
    assert!(3 * commands("fast.bin", "fast") < commands("own.bin", "phasic"));
}

#[test]
fn parallel_edges_are_counted_rightly_and_a_file_is_replayed_as_it_is() {
    let scene = Scene::new();
    scene.write("parallel.json", PARALLEL);
    let own = scene.json(&["eval", "parallel.json", "--json"]);
    assert_eq!(own[0]["expectation"], json!(3.0));
    scene.output(&["eliminate", "parallel.json", "-o", "parallel.bin"]);
    let ended = scene.run(&["eval", "parallel.json", "--artifact", "parallel.bin", "--json"]);
    let replayed: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    // phasic 0.32.1 says the same.
    assert_eq!(replayed[0]["expectation"], json!(2.4007936507936503));
    assert!(ended.err.starts_with("warning: this model has parallel edges"), "{}", ended.err);
    assert_eq!(ended.status, 0);
}

#[test]
fn a_plan_answers_everything_and_a_program_totals_only() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "--format", "plan", "-o", "five.plan"]);
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin"]);
    let asked = ["eval", "coal_n5_theta1", "--quantity", "pdf=0:2:5", "--quantity", "moments=2", "--json"];
    assert_eq!(scene.output(&[&asked[..], &["--artifact", "five.plan"]].concat()), scene.output(&asked));
    let ended = scene.run(&[&asked[..], &["--artifact", "five.bin"]].concat());
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    let said = "error: pdf does not come from a program; leave out --artifact, or give it a plan\n";
    assert_eq!(ended.err, said);
}

#[test]
fn an_artifact_of_another_model_is_refused() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n10_theta1", "-o", "ten.bin"]);
    let ended = scene.run(&["eval", "coal_n5_theta1", "--artifact", "ten.bin"]);
    assert_eq!((ended.status, ended.out.as_str()), (4, ""));
    assert!(ended.err.starts_with("error: 'ten.bin' must not be used for this model: "), "{}", ended.err);
}

#[test]
fn moments_in_discrete_time_are_those_of_jumps_and_phasics_with_compat_come_with_a_note() {
    let scene = Scene::new();
    let asked = [
        "eval",
        "builtin:constant_chain_ticks",
        "--quantity",
        "moments=2",
        "--quantity",
        "variance",
        "--json",
    ];
    let own = scene.json(&asked);
    let ended = scene.run(&[&asked[..], &["--compat"]].concat());
    assert!(ended.err.starts_with("note: phasic's moments of a model in discrete time"), "{}", ended.err);
    let phasic: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let moment = |found: &serde_json::Value, place: usize| found[0]["moments"][place].as_f64().unwrap();
    // Steps of exponential length add one more for each expected step.
    assert!((moment(&phasic, 1) - moment(&phasic, 0) - moment(&own, 1)).abs() < 1e-12, "{phasic} {own}");
    let variance = own[0]["variance"].as_f64().unwrap();
    assert!((variance - (moment(&own, 1) - moment(&own, 0).powi(2))).abs() < 1e-12, "{own}");
}

#[test]
fn a_model_that_cannot_end_has_no_numbers_and_says_at_which_theta() {
    let scene = Scene::new();
    scene.write(
        "trap.json",
        r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [1]], [1, 2, [1]], [2, 1, [1]]]}"#,
    );
    for more in [&[][..], &["--json"]] {
        let ended = scene.run(&[&["eval", "trap.json", "--theta", "2"], more].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.starts_with("error: the model has no such number at --theta 2: "), "{}", ended.err);
    }
}

#[test]
fn wrong_questions_are_refused_before_any_work() {
    let scene = Scene::new();
    for (arguments, message) in [
        (
            &["--quantity", "median"][..],
            "--quantity median: this version computes expectation, variance, moments=K",
        ),
        (&["--quantity", "moments"], "say how many moments"),
        (&["--quantity", "covariance"], "covariance takes at least two --rewards, but 0 are given"),
        (&["--rewards", "1", "--rewards", "2"], "expectation takes at most one --rewards, but 2 are given"),
        (&["--quantity", "sojourn", "--rewards", "1"], "sojourn takes no --rewards, but 1 is given"),
        (&["--quantity", "pdf"], "--quantity pdf: say at which times, as in pdf=0.5,2 or pdf=0:10:101"),
        (&["--quantity", "cdf=1,-1"], "--quantity cdf: number 2 is -1; times are numbers from 0 on"),
        (&["--quantity", "quantile=2"], "--quantity quantile: number 1 is 2; probabilities are from 0 to 1"),
        (
            &["--quantity", "pmf=1"],
            "pmf is the probability of a number of jumps, but this model is in continuous time",
        ),
        (
            &["--quantity", "pdf=1", "--rewards", "1", "--rewards", "2", "--grad"],
            "pdf takes at most one --rewards, but 2 are",
        ),
        (&["--quantity", "hazard=1", "--grad"], "but none of hazard"),
        (&["--quantity", "stop-probability=1", "--rewards", "1"], "stop-probability takes no --rewards"),
        (&["--quantity", "sample=0"], "sample=N needs a whole number N from 1"),
        (&["--quantity", "loglik=@no.csv"], "cannot read the numbers in 'no.csv'"),
        (&["--compat", "--start", "conditional"], "leave out --start conditional"),
        (&["--granularity", "5"], "--compat"),
        (&["--compat", "--granularity", "5", "--quantity", "pdf=1"], "granularity 5 is too small"),
        (&["--tolerance", "0.5"], "--tolerance 0.5: a tolerance is from 1e-14 to 0.01"),
        (&["--alive-at", "1"], "--alive-at is for --quantity sample=N"),
        (&["--epoch", "1"], "--epoch 1: write FROM:THETA, as in 1.5:0.3,2"),
        (&["--epoch", "0:1"], "an epoch begins at a time above 0"),
        (&["--epoch", "1:1,2"], "--epoch 1:1,2: 2 parameters were given, but the graph has 1"),
        (
            &["--epoch", "2:1", "--epoch", "1:3"],
            "--epoch 1:3: epochs begin one after the other, each later than 2",
        ),
        (&["--epoch", "2:1", "--quantity", "laplace=1"], "not with laplace"),
        (
            &["--epoch", "2:1", "--quantity", "pdf=1", "--rewards", "1,1,1,1,1,1"],
            "--epoch goes with --rewards for expectation, variance, moments, covariance, correlation and sample, but not for pdf",
        ),
        (
            &["--epoch", "2:1", "--quantity", "sample=1", "--alive-at", "1e9"],
            "nothing is alive at 1000000000; sample at an earlier --alive-at",
        ),
        (
            &["--epoch", "2:1", "--grad"],
            "goes with --grad for pdf, cdf, survival and loglik, but not for expectation",
        ),
        (&["--quantity", "moments=1", "--quantity", "moments=2"], "--quantity moments is given twice"),
        (&["--rewards", "1,2"], "--rewards 1,2: 2 rewards, but the model has 6 vertices, the start included"),
        (&["--theta", "1,2"], "--theta 1,2: 2 parameters were given, but the graph has 1"),
        (&["--theta", "x"], "number 1 is 'x'"),
        (&["--theta", "nan"], "number 1 is not finite"),
        (&["--theta", "@no.csv"], "cannot read the vectors in 'no.csv'"),
        (&["--artifact", "no.bin"], "cannot read 'no.bin'"),
        (&["--grad", "--compat"], "cannot be used with"),
    ] {
        let ended = scene.run(&[&["eval", "coal_n5_theta1"], arguments].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn what_discrete_time_does_not_have_is_refused() {
    let scene = Scene::new();
    for (arguments, message) in [
        (&["--quantity", "pmf=1,1.5"][..], "pmf: the model is in discrete time; number 2 is 1.5, but"),
        (&["--quantity", "stop-probability=0.5"], "numbers of jumps are whole"),
        (&["--quantity", "loglik=1,0.5"], "the observation 0.5 is no whole number of jumps"),
        (&["--quantity", "laplace=1"], "has no Laplace transform here"),
        (&["--epoch", "1:1"], "--epoch is for models in continuous time"),
    ] {
        let ended = scene.run(&[&["eval", "builtin:constant_chain_ticks"], arguments].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}

/// 1 ⇄ 2 at θ₀ with the states 10 and 20, out of 2 at θ₁; the start goes to 1 with the given weight.
fn cycle(start: u32) -> String {
    format!(
        r#"{{"format": "phasic-graph/1", "param_length": 2, "vertices": [[0], [10], [20], [30]],
        "edges": [[0, 1, [{start}]], [1, 2, [1, 0]], [2, 1, [1, 0]], [2, 3, [0, 1]]]}}"#
    )
}

#[test]
fn where_there_is_no_number_the_vertex_and_its_state_are_named() {
    let scene = Scene::new();
    scene.write("cycle.json", cycle(1));
    scene.write("nowhere.json", cycle(0));
    let mean = "expectation";
    for (model, theta, quantity, problem) in [
        (
            "cycle.json",
            "1,0",
            mean,
            "(state [20]) to absorption: its rate is 0, or it lies in a cycle without a way out",
        ),
        ("cycle.json", "0,1", mean, "nothing leads from vertex 1 (state [10]) to absorption"),
        ("cycle.json", "1,-2", mean, "an edge of vertex 2 (state [20]) has the weight -2"),
        // Moments are had of rates that no process can be followed with.
        ("cycle.json", "1.7e308,1.7e308", "cdf=1", "the numbers of vertex "),
        ("nowhere.json", "1,1", mean, "all initial probabilities are zero"),
    ] {
        let arguments = ["eval", model, "--theta", "1,1.5", "--theta", theta, "--quantity", quantity];
        let ended = scene.run(&arguments);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{model} {theta}: {ended:?}");
        assert!(ended.err.contains(problem), "{model} {theta}: {}", ended.err);
        assert!(
            model == "nowhere.json" || ended.err.contains(theta.trim_end_matches("e308")),
            "{}",
            ended.err
        );
    }
}

#[test]
fn moments_beyond_floating_point_numbers_are_refused_and_neither_zero_nor_infinite() {
    let scene = Scene::new();
    for theta in ["1e300", "1e-300"] {
        for quantity in ["variance", "moments=2"] {
            let ended = scene.run(&["eval", "builtin:kingman", "--theta", theta, "--quantity", quantity]);
            assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{theta} {quantity}: {ended:?}");
            assert!(ended.err.contains("moment 2 is beyond the range of floating-point"), "{}", ended.err);
        }
    }
}

#[test]
fn a_limit_on_jumps_is_named_with_its_flag_and_the_epoch() {
    let scene = Scene::new();
    for (more, message) in [
        (
            &["builtin:kingman", "--quantity", "loglik=100", "--theta", "1"][..],
            "more than the 9 jumps allowed",
        ),
        (
            &["builtin:kingman", "--theta", "1", "--epoch", "1:2", "--quantity", "cdf=100"],
            "in epoch 0 (counted from 0)",
        ),
        (&["builtin:constant_chain_ticks", "--quantity", "pmf=10"], "more than the 9 jumps allowed"),
        (&["builtin:kingman", "--theta", "1", "--quantity", "sample=10"], "9"),
    ] {
        let asked = [&["eval", "--max-jumps", "9"], more].concat();
        let refused = scene.run(&asked);
        assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{asked:?}: {refused:?}");
        assert!(refused.err.contains(message), "{asked:?}: {refused:?}");
        assert!(refused.err.contains("--max-jumps raises this limit"), "{asked:?}: {refused:?}");
        let raised = [&["eval", "--max-jumps", "100000"], more].concat();
        assert_eq!(scene.run(&raised).status, 0, "{raised:?}");
    }
}

#[test]
fn samples_may_begin_elsewhere() {
    let scene = Scene::new();
    let draw = |more: &[&str]| {
        scene.run(
            &[&["eval", "builtin:kingman", "--theta", "1", "--quantity", "sample=2000", "--json"], more]
                .concat(),
        )
    };
    // Vertex 4 has two lineages left: an exponential time of rate 1; vertex 3 takes a third more.
    let numbers = |more: &[&str]| -> Vec<f64> {
        let json: serde_json::Value = serde_json::from_str(&draw(more).out).unwrap();
        serde_json::from_value(json[0]["sample"].clone()).unwrap()
    };
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / 2000.0;
    // Four standard errors.
    let found = mean(&numbers(&["--started-in", "4"]));
    assert!((found - 1.0).abs() < 4.0 / 2000.0_f64.sqrt(), "{found}");
    let (found, wanted, variance) =
        (mean(&numbers(&["--started-in", "4:0.5,3:0.5"])), 7.0 / 6.0, 1.0 + 1.0 / 18.0 + 1.0 / 36.0);
    assert!((found - wanted).abs() < 4.0 * f64::sqrt(variance / 2000.0), "{found}");
    for (more, why) in [
        (&["--started-in", "9"][..], "vertex 9 does not exist"),
        (&["--started-in", "4:x"], "write VERTEX:PROBABILITY"),
        (&["--started-in", "4:0"], "all probabilities are zero"),
        (&["--started-in", "5"], "not a transient vertex"),
        (&["--started-in", "4", "--epoch", "1:2"], "does not go with --started-in"),
    ] {
        let refused = draw(more);
        assert!(refused.status == 2 && refused.err.contains(why), "{refused:?}");
    }
    let pointless = scene.run(&["eval", "builtin:kingman", "--started-in", "4"]);
    assert!(pointless.err.contains("--started-in is for --quantity sample=N"), "{pointless:?}");
    let continuous = scene.run(&["eval", "builtin:kingman", "--quantity", "factorial-moments=2"]);
    assert!(continuous.err.contains("this model is in continuous time; ask for moments"), "{continuous:?}");
}
