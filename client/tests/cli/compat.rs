//! `phasic eval --compat`: phasic's own numbers, as the golden vectors have them.

use serde_json::Value;

use crate::scene::Scene;

/// Tolerances of the numerics specification, section 7.
fn assert_as_phasic(what: &str, found: &Value, golden: &Value) {
    let numbers = |value: &Value| serde_json::from_value::<Vec<f64>>(value.clone()).unwrap();
    let (found, golden) = (numbers(found), numbers(golden));
    assert_eq!(found.len(), golden.len(), "{what}");
    for (found, golden) in found.iter().zip(&golden) {
        assert!((found - golden).abs() <= 1e-10 + 1e-9 * golden.abs(), "{what}: {found} is not {golden}");
    }
}

fn listed(numbers: &Value) -> String {
    let numbers: Vec<String> = numbers.as_array().unwrap().iter().map(ToString::to_string).collect();
    numbers.join(",")
}

/// The golden vectors of a graph, whose file is a model document, too.
fn golden(name: &str) -> (String, Value) {
    let path = format!("{}/../engine/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let golden = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    (path, golden)
}

fn at(run: &Value) -> Vec<String> {
    if run["theta"].is_null() { Vec::new() } else { vec!["--theta".to_owned(), listed(&run["theta"])] }
}

fn ask(scene: &Scene, path: &str, theta: &[String], more: &[String]) -> Value {
    let theta = theta.iter().map(String::as_str);
    let all: Vec<&str> = ["eval", path, "--compat", "--json"]
        .into_iter()
        .chain(theta)
        .chain(more.iter().map(String::as_str))
        .collect();
    // Parallel edges come with a warning.
    let ended = scene.run(&all);
    assert_eq!(ended.status, 0, "{all:?}: {}", ended.err);
    serde_json::from_str::<Value>(&ended.out).unwrap()[0].clone()
}

fn quantities(asked: &[(&str, &str)]) -> Vec<String> {
    asked.iter().flat_map(|(name, at)| ["--quantity".to_owned(), format!("{name}={at}")]).collect()
}

#[test]
fn steps_give_the_golden_densities_states_and_visits() {
    let scene = Scene::new();
    for name in ["coal_n5", "coal_ipv_defect", "mm1k_3", "hypoexp_5", "island2_2_1", "rnd_par_5"] {
        let (path, golden) = golden(name);
        for run in golden["runs"].as_array().unwrap() {
            for (table, granularity) in [("pdf", "0"), ("pdf_coarse", "200")] {
                let golden = &run[table];
                if golden["pdf"].is_null() {
                    continue;
                }
                let times = listed(&golden["t"]);
                let mut more = quantities(&[("pdf", &times), ("cdf", &times)]);
                more.extend(["--granularity".to_owned(), granularity.to_owned()]);
                let found = ask(&scene, &path, &at(run), &more);
                assert_as_phasic(name, &found["pdf"], &golden["pdf"]);
                if table == "pdf" {
                    assert_as_phasic(name, &found["cdf"], &golden["cdf"]);
                }
            }
            let golden = &run["state_at"];
            if !golden["t"].is_null() {
                let time = golden["t"].to_string();
                let found = ask(
                    &scene,
                    &path,
                    &at(run),
                    &quantities(&[("stop-probability", &time), ("visiting-time", &time)]),
                );
                assert_as_phasic(name, &found["stop-probability"], &golden["stop_probability"]);
                assert_as_phasic(name, &found["visiting-time"], &golden["accumulated_visiting_time"]);
            }
        }
    }
}

#[test]
fn numbers_of_jumps_have_the_golden_probabilities() {
    let scene = Scene::new();
    for name in ["coal_n5_dph", "mm1k_3_dph", "const_dph"] {
        let (path, golden) = golden(name);
        for run in golden["runs"].as_array().unwrap() {
            let golden = &run["dph"];
            let jumps = listed(&golden["jumps"]);
            let found = ask(
                &scene,
                &path,
                &at(run),
                &quantities(&[
                    ("pmf", &jumps),
                    ("cdf", &jumps),
                    ("stop-probability", "8"),
                    ("visiting-time", "8"),
                ]),
            );
            assert_as_phasic(name, &found["pmf"], &golden["pmf"]);
            assert_as_phasic(name, &found["cdf"], &golden["cdf"]);
            assert_as_phasic(name, &found["stop-probability"], &golden["stop_probability_8"]);
            assert_as_phasic(name, &found["visiting-time"], &golden["accumulated_visits_8"]);
        }
    }
}

#[test]
fn likelihoods_and_rewards_follow_the_steps() {
    let scene = Scene::new();
    let (path, golden) = golden("coal_n5");
    let run = &golden["runs"][0];
    let (times, densities) = (&run["pdf"]["t"], &run["pdf"]["pdf"]);
    let found = ask(&scene, &path, &[], &quantities(&[("loglik", &format!("{},{}", times[2], times[4]))]));
    let expected: f64 = [2, 4].iter().map(|&at| densities[at].as_f64().unwrap().ln()).sum();
    assert!((found["loglik"].as_f64().unwrap() - expected).abs() < 1e-8);
    // Rewards of 1 change nothing.
    let mut more = quantities(&[("pdf", &listed(times))]);
    more.extend(["--rewards".to_owned(), "1,1,1,1,1,1".to_owned()]);
    assert_as_phasic("rewards", &ask(&scene, &path, &[], &more)["pdf"], densities);
}

#[test]
fn discrete_variances_and_covariances_are_phasic_s_with_a_warning() {
    let scene = Scene::new();
    for name in ["coal_n5_dph", "mm1k_3_dph", "const_dph"] {
        let (path, golden) = golden(name);
        for run in golden["runs"].as_array().unwrap() {
            let rewards: Vec<String> =
                run["rewards"].as_array().unwrap().iter().map(|rewards| listed(&rewards["r"])).collect();
            let variance = ask(&scene, &path, &at(run), &["--quantity".to_owned(), "variance".to_owned()]);
            assert_eq!(variance["variance"], run["dph"]["variance_as_returned"], "{name}");
            let mut more = vec!["--quantity".to_owned(), "covariance".to_owned()];
            more.extend(rewards.into_iter().flat_map(|rewards| ["--rewards".to_owned(), rewards]));
            let covariance = ask(&scene, &path, &at(run), &more);
            assert_eq!(covariance["covariance"], run["covariance"], "{name}");
        }
    }
    let warned = scene.run(&["eval", "builtin:constant_chain_ticks", "--compat", "--quantity", "variance"]);
    assert!(warned.err.contains("wrong in discrete time"), "{warned:?}");
}

#[test]
fn what_phasic_has_no_number_for_is_refused_under_compat() {
    let scene = Scene::new();
    let rewards = ["--rewards", "0,1,1,1,1,1"].repeat(3);
    for (model, quantity, rewards) in [
        ("builtin:two_island", "laplace=1", &[][..]),
        ("builtin:constant_chain_ticks", "factorial-moments=2", &[][..]),
        ("builtin:constant_chain_ticks", "correlation", &rewards[..4]),
        ("builtin:constant_chain_ticks", "covariance", &rewards[..]),
    ] {
        let refused = scene.run(&[&["eval", model, "--compat", "--quantity", quantity], rewards].concat());
        assert_eq!(refused.status, 2, "{refused:?}");
        assert!(refused.err.contains("leave out --compat for the right numbers"), "{refused:?}");
    }
}

#[test]
fn laplace_under_compat_is_the_recorded_one_with_a_warning() {
    let scene = Scene::new();
    let mut checked = 0;
    for name in ["coal_n5", "erlang_4", "coal_n20"] {
        let (path, golden) = golden(name);
        for run in golden["runs"].as_array().unwrap().iter().filter(|run| run["laplace"].is_array()) {
            for entry in run["laplace"].as_array().unwrap() {
                let quantity = format!("laplace={}", entry["s"]);
                let theta = at(run);
                let mut arguments = vec!["eval", &path, "--compat", "--json", "--quantity", &quantity];
                arguments.extend(theta.iter().map(String::as_str));
                let found = scene.run(&arguments);
                assert!(found.err.contains("takes every rate into absorption for 1"), "{found:?}");
                let json: serde_json::Value = serde_json::from_str(&found.out).unwrap();
                let (found, wanted) =
                    (json[0]["laplace"][0].as_f64().unwrap(), entry["value"].as_f64().unwrap());
                assert!((found - wanted).abs() <= 1e-9 * wanted, "{name} {quantity}: {found} {wanted}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 6, "{checked}");
}

#[test]
fn what_comes_back_to_the_start_is_not_absorbed_under_compat() {
    let scene = Scene::new();
    scene.write(
        "back.json",
        r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [1]], [1, 0, [1]], [1, 2, [1]]]}"#,
    );
    let asked = ["--quantity", "cdf=5", "--quantity", "survival=5", "--quantity", "loglik=5+", "--json"];
    let found = &scene.json(&[&["eval", "back.json", "--compat"], &asked[..]].concat())[0];
    let [below, above] = ["cdf", "survival"].map(|key| found[key][0].as_f64().unwrap());
    assert!((below + above - 1.0).abs() < 1e-12 && (below - 0.5).abs() < 1e-3, "{found}");
    assert!((found["loglik"].as_f64().unwrap() - above.ln()).abs() < 1e-12, "{found}");
}
