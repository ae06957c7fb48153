//! `POST /v1/evaluate` has the numbers of `phasic eval`, quantity by quantity and option by option.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::process::Command;

use phasic_hub_tests::hub::Hub;
use phasic_hub_tests::program::phasic;
use serde_json::{Map, Value, json};

/// Quantities of the command, the words of the hub for each, and whether it has a gradient.
const QUANTITIES: [(&str, &str, &str, bool); 18] = [
    ("expectation", "", "expectation", true),
    ("variance", "", "variance", true),
    ("moments", "3", "moments", true),
    ("waiting-time", "", "waiting_times", false),
    ("waiting-time", "2,0", "waiting_times_of", false),
    ("sojourn", "", "sojourn_times", false),
    ("sojourn", "3,1", "sojourn_times_of", false),
    ("pdf", "0.25,1,4", "pdf", true),
    ("pmf", "1,2,5", "pmf", true),
    ("cdf", "1,2,4", "cdf", true),
    ("survival", "1,2,4", "survival", true),
    ("hazard", "1,2,4", "hazard", false),
    ("quantile", "0.05,0.5,0.95", "quantile", false),
    ("laplace", "0.5,2", "laplace", false),
    ("stop-probability", "1,3", "stop_probability", false),
    ("visiting-time", "1,3", "visiting_times", false),
    ("sample", "50", "sample", false),
    ("loglik", "1,3,5+", "log_likelihood", true),
];

/// A continuous model with two parameters, and one in discrete time.
const CONTINUOUS: (&str, &[&str], &str) = ("mm1k", &["capacity=4", "start=2"], "0.7,1.3");
const DISCRETE: (&str, &[&str], &str) = ("mm1k_inspections", &["capacity=3", "start=1"], "0.5,0.8,0.3");

struct Asked {
    /// What the command is asked, and the hub.
    arguments: Vec<String>,
    request: Value,
}

impl Asked {
    fn of((model, constants, theta): (&str, &[&str], &str)) -> Self {
        let mut arguments =
            ["eval", &format!("builtin:{model}"), "--json", "--theta", theta].map(str::to_owned).to_vec();
        let mut given = Map::new();
        for constant in constants {
            let (name, value) = constant.split_once('=').unwrap();
            arguments.extend(["--set".to_owned(), (*constant).to_owned()]);
            given.insert(name.to_owned(), value.parse::<i64>().unwrap().into());
        }
        let mut model = json!({"builtin": model});
        if !given.is_empty() {
            model["constants"] = Value::Object(given);
        }
        Self { arguments, request: json!({"model": model, "theta": numbers(theta), "quantities": []}) }
    }

    fn quantity(mut self, word: &str, argument: &str, wire: &str) -> Self {
        self.arguments.push("--quantity".to_owned());
        self.arguments.push(if argument.is_empty() { word.to_owned() } else { format!("{word}={argument}") });
        let asked = match (word, argument) {
            (_, "") => json!(wire),
            ("moments" | "sample", count) => json!({wire: count.parse::<u32>().unwrap()}),
            ("loglik", data) => {
                let is_alive = |text: &&str| text.ends_with('+');
                let (alive, seen): (Vec<&str>, Vec<&str>) = data.split(',').partition(is_alive);
                let read = |texts: &[&str]| -> Vec<f64> {
                    texts.iter().map(|text| text.trim_end_matches('+').parse().unwrap()).collect()
                };
                json!({wire: {"observed": read(&seen), "censored": read(&alive)}})
            }
            (_, points) => json!({wire: numbers(points)}),
        };
        self.request["quantities"].as_array_mut().unwrap().push(asked);
        self
    }

    fn option(mut self, flag: &str, text: &str, member: &str, value: Value) -> Self {
        self.arguments.extend([flag.to_owned(), text.to_owned()]);
        self.request[member] = value;
        self
    }

    fn rewards(mut self, rewards: &[&str]) -> Self {
        for text in rewards {
            self.arguments.extend(["--rewards".to_owned(), (*text).to_owned()]);
        }
        self.request["rewards"] = rewards.iter().map(|text| numbers(text)).collect();
        self
    }

    fn gradients(mut self) -> Self {
        self.arguments.push("--grad".to_owned());
        self.request["gradients"] = true.into();
        self
    }

    /// The answers of the command and of the hub.
    fn answers(&self, hub: &Hub) -> (Value, Value) {
        let output = Command::new(phasic()).args(&self.arguments).output().unwrap();
        assert!(output.status.success(), "{:?}: {output:?}", self.arguments);
        let local: Value = serde_json::from_slice(&output.stdout).unwrap();
        let answer = hub.post("/v1/evaluate", &self.request);
        assert_eq!(answer.status, 200, "{}: {}", self.request, answer.text());
        let mut remote = answer.json();
        (local[0].clone(), remote["results"][0].take())
    }
}

fn numbers(text: &str) -> Value {
    let number = |text: &str| -> Value {
        text.parse::<u64>().map_or_else(|_| text.parse::<f64>().unwrap().into(), Value::from)
    };
    text.split(',').map(number).collect()
}

/// Numbers of a list or table, in order; a table of one row is a list to the command.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap()],
        Value::String(text) => vec![text.parse().unwrap()],
        other => panic!("no number: {other}"),
    }
}

fn assert_same(local: &Value, remote: &Value, what: &str) {
    let (local, remote) = (flat(local), flat(remote));
    assert!(!local.is_empty() && local.len() == remote.len(), "{what}: {local:?} {remote:?}");
    for (one, other) in local.iter().zip(&remote) {
        assert!(one == other || one.is_nan() && other.is_nan(), "{what}: {local:?} {remote:?}");
    }
}

/// Lets everybody compute.
fn hub(data: &tempfile::TempDir) -> Hub {
    Hub::start_with(data.path(), &[], &[("access_anonymous", "compute")])
}

#[test]
fn every_quantity_of_the_command_has_the_same_numbers_at_the_hub() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(&data);
    for (word, argument, wire, has_gradient) in QUANTITIES {
        for model in [CONTINUOUS, DISCRETE] {
            let is_discrete = model == DISCRETE;
            // pmf is that of jumps, and there is no transform of jumps.
            if word == if is_discrete { "laplace" } else { "pmf" } {
                continue;
            }
            // In discrete time both know times as whole numbers.
            let argument = if is_discrete && word == "pdf" { "1,2,4" } else { argument };
            let asked = || Asked::of(model).quantity(word, argument, wire);
            let (local, remote) = asked().answers(&hub);
            let what = format!("{word} of {}", model.0);
            assert_same(&local[word], &remote["values"][wire], &what);
            if has_gradient && !(is_discrete && word == "moments") {
                let (local, remote) = asked().gradients().answers(&hub);
                assert_same(
                    &local["gradient"][word],
                    &remote["gradients"][wire],
                    &format!("slopes of {what}"),
                );
            }
        }
    }
}

#[test]
fn total_rewards_have_the_same_covariances_correlations_and_draws() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(&data);
    let (local, _) = Asked::of(CONTINUOUS).quantity("sojourn", "", "sojourn_times").answers(&hub);
    let vertices = local["sojourn"].as_array().unwrap().len();
    let vector = |of: fn(usize) -> usize| {
        (0..vertices).map(|vertex| of(vertex).to_string()).collect::<Vec<_>>().join(",")
    };
    let vectors =
        [vector(|vertex| vertex), vector(|vertex| vertex % 2), vector(|vertex| (vertex * vertex) % 5)];
    let [one, two, three] = vectors.each_ref().map(String::as_str);
    for (word, argument, wire, rewards) in [
        ("expectation", "", "expectation", &[one][..]),
        ("variance", "", "variance", &[one]),
        ("moments", "3", "moments", &[one]),
        ("waiting-time", "", "waiting_times", &[one]),
        ("waiting-time", "1,3", "waiting_times_of", &[one]),
        ("covariance", "", "covariance", &[one, two]),
        ("correlation", "", "correlation", &[one, two]),
        ("covariance", "", "covariances", &[one, two, three]),
        ("correlation", "", "correlations", &[one, two, three]),
        ("sample", "20", "sample", &[one]),
        ("sample", "20", "joint_sample", &[one, two]),
    ] {
        let asked = Asked::of(CONTINUOUS).quantity(word, argument, wire).rewards(rewards);
        let (local, remote) = asked.answers(&hub);
        assert_same(&local[word], &remote["values"][wire], wire);
    }
    for (word, argument, wire, _) in QUANTITIES {
        let is_of_law =
            matches!(word, "pdf" | "cdf" | "survival" | "hazard" | "quantile" | "laplace" | "loglik");
        if is_of_law {
            let (local, remote) =
                Asked::of(CONTINUOUS).quantity(word, argument, wire).rewards(&[one]).answers(&hub);
            assert_same(&local[word], &remote["values"][wire], &format!("{word} of a total"));
        }
    }
    let epochs = json!([{"from": 0.5, "theta": [1.1, 0.9]}]);
    for (word, argument, wire, rewards) in [
        ("moments", "3", "moments", &[one][..]),
        ("covariance", "", "covariance", &[one, two]),
        ("correlation", "", "correlations", &[one, two, three]),
        ("sample", "20", "joint_sample", &[one, two]),
    ] {
        let asked = Asked::of(CONTINUOUS).quantity(word, argument, wire).rewards(rewards);
        let (local, remote) = asked.option("--epoch", "0.5:1.1,0.9", "epochs", epochs.clone()).answers(&hub);
        assert_same(&local[word], &remote["values"][wire], &format!("{wire} across epochs"));
    }
    let asked = Asked::of(CONTINUOUS).quantity("covariance", "", "covariance").rewards(&[one, two]);
    let (local, remote) = asked.gradients().answers(&hub);
    assert_same(&local["gradient"]["covariance"], &remote["gradients"]["covariance"], "slopes of covariance");
}

#[test]
fn every_option_of_the_command_has_the_same_effect_at_the_hub() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(&data);
    let sample = || Asked::of(CONTINUOUS).quantity("sample", "50", "sample");
    let pdf = || Asked::of(CONTINUOUS).quantity("pdf", "0.25,1,4", "pdf");
    let all = [
        ("sample", "sample", sample().option("--seed", "7", "seed", json!(7))),
        ("sample", "sample", sample().option("--alive-at", "1.5", "alive_at", json!(1.5))),
        ("pdf", "pdf", pdf().option("--tolerance", "1e-5", "tolerance", json!(1e-5))),
        ("pdf", "pdf", pdf().option("--start", "conditional", "start", json!("conditional"))),
        ("pdf", "pdf", pdf().option("--max-jumps", "100000", "max_jumps", json!(100_000))),
    ];
    for (word, wire, asked) in all {
        let (local, remote) = asked.answers(&hub);
        assert_same(&local[word], &remote["values"][wire], &asked.request.to_string());
    }
    let plain = sample().answers(&hub).1;
    let other = sample().option("--seed", "7", "seed", json!(7)).answers(&hub).1;
    assert_ne!(plain["values"], other["values"], "the seed is heeded");
    let few = hub.post("/v1/evaluate", &pdf().option("", "", "max_jumps", json!(1)).request);
    assert_eq!((few.status, few.json()["code"].as_str()), (422, Some("no_number")), "{}", few.text());
}

#[test]
fn parameters_that_change_have_the_same_numbers_and_slopes() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(&data);
    let epochs = json!([{"from": 0.5, "theta": [1.1, 0.9]}, {"from": 2.0, "theta": [0.2, 3.0]}]);
    for (word, argument, wire, has_gradient) in QUANTITIES {
        let is_answered = !matches!(word, "waiting-time" | "sojourn" | "pmf" | "laplace");
        let asked = || {
            let asked = Asked::of(CONTINUOUS).quantity(word, argument, wire);
            let asked = asked.option("--epoch", "0.5:1.1,0.9", "epochs", epochs.clone());
            asked.option("--epoch", "2:0.2,3", "epochs", epochs.clone())
        };
        if !is_answered {
            let refused = hub.post("/v1/evaluate", &asked().request);
            assert_eq!(refused.status, 422, "{word}: {}", refused.text());
            continue;
        }
        let (local, remote) = asked().answers(&hub);
        assert_same(&local[word], &remote["values"][wire], word);
        if has_gradient && matches!(word, "pdf" | "cdf" | "survival" | "loglik") {
            let (local, remote) = asked().gradients().answers(&hub);
            assert_same(&local["gradient"][word], &remote["gradients"][wire], &format!("slopes of {word}"));
        }
    }
}

#[test]
fn phasics_own_numbers_are_the_same() {
    let data = tempfile::tempdir().unwrap();
    let hub = hub(&data);
    for (word, argument, wire, _) in QUANTITIES {
        for model in [CONTINUOUS, DISCRETE] {
            let is_discrete = model == DISCRETE;
            if word == "laplace" || !is_discrete && word == "pmf" || is_discrete && word == "pdf" {
                continue;
            }
            let asked = Asked::of(model).quantity(word, argument, wire);
            let mut asked = asked.option("--granularity", "300", "granularity", json!(300));
            asked.arguments.push("--compat".to_owned());
            asked.request["compat"] = true.into();
            let (local, remote) = asked.answers(&hub);
            assert_same(&local[word], &remote["values"][wire], &format!("{word} of {} as phasic", model.0));
        }
    }
}
