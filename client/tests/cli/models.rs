//! Models from everywhere: built in, files, standard input, ids; their hashes and pictures.

use serde_json::json;

use crate::scene::Scene;

/// Kingman's coalescent for five lineages; the hash upstream publishes.
pub(crate) const COAL_N5: &str = "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6";
const COAL_N10: &str = "2c6488c6486ae2d2285f08c0c224dbb72e70c044127fa18acb0c39ea5dd8efd3";

const GRAPH: &str = r#"{"vertices": [[0], [2], [1]], "edges": [[0, 1, [1]], [1, 2, [1]]]}"#;

#[test]
fn one_model_has_one_hash_wherever_it_comes_from() {
    let scene = Scene::new();
    let document = scene.output(&["models", "kingman"]);
    scene.write("kingman.json", &document);
    let graph = scene.output(&["graph", "kingman.json", "--set", "n=5"]);
    scene.write("five.json", &graph);
    for model in ["kingman.json", "builtin:kingman"] {
        assert_eq!(scene.output(&["hash", model, "--set", "n=5"]), format!("{COAL_N5}\n"));
    }
    for model in ["five.json", "coal_n5_theta1", COAL_N5] {
        assert_eq!(scene.output(&["hash", model]), format!("{COAL_N5}\n"));
    }
    let piped = scene.run_with_input(&["hash", "-", "--set", "n=10"], document);
    assert_eq!((piped.status, piped.out), (0, format!("{COAL_N10}\n")));
}

#[test]
fn hash_in_json_says_what_else_identifies_the_graph() {
    let expected = json!({
        "graph_hash": COAL_N5,
        "edge_order_digest": "3080e38aecd928fd8a559f7592ee747f8715ed878034f935a7ac8dd5d2e260a5",
        "vertices": 6, "edges": 5, "param_length": 1
    });
    assert_eq!(Scene::new().json(&["hash", "coal_n5_theta1", "--json"]), expected);
}

#[test]
fn the_library_is_listed_with_constants_and_descriptions() {
    let scene = Scene::new();
    let listed = scene.output(&["models"]);
    assert_eq!(listed.lines().count(), 30);
    assert!(listed.starts_with("NAME "), "{listed}");
    let models = scene.json(&["models", "--json"]);
    let models = models.as_array().unwrap();
    assert_eq!(models.len(), 29);
    let kingman = models.iter().find(|model| model["name"] == "kingman").unwrap();
    assert!(kingman["constants"]["n"].is_i64(), "{kingman}");
    assert!(models.iter().all(|model| !model["description"].as_str().unwrap().is_empty()));
}

#[test]
fn the_built_graph_is_printed_or_written_and_reads_back() {
    let scene = Scene::new();
    let printed = scene.output(&["graph", "builtin:two_island"]);
    assert_eq!(scene.output(&["graph", "builtin:two_island", "-o", "graph.json"]), "");
    assert_eq!(scene.read("graph.json"), printed.as_bytes());
    assert_eq!(scene.output(&["hash", "graph.json"]), scene.output(&["hash", "builtin:two_island"]));
}

#[test]
fn a_picture_is_dot() {
    let scene = Scene::new();
    scene.write("graph.json", GRAPH);
    let expected = "\
digraph phase_type {
  rankdir=LR;
  node [shape=ellipse];
  0 [label=\"start\", shape=plaintext];
  1 [label=\"2\"];
  2 [label=\"1\", peripheries=2];
  0 -> 1 [label=\"1\"];
  1 -> 2 [label=\"θ\"];
}
";
    assert_eq!(scene.output(&["graph", "graph.json", "--dot"]), expected);
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let scene = Scene::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_phasic"))
        .args(["graph", "builtin:coxian_long"])
        .env("HOME", scene.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
