//! Plan files: writing, describing, verifying and evaluating them.

use phasic_hub_api::Sha256;
use serde_json::json;

use crate::models::COAL_N5;
use crate::scene::Scene;

/// A scene with the plan of the two-island model, which has cycles.
fn island() -> Scene {
    let scene = Scene::new();
    scene.output(&["eliminate", "builtin:two_island", "--format", "plan", "-o", "island.plan"]);
    scene
}

/// The plan file that says it was made for the graph with this hash, with its checksum made good.
fn relabelled(mut plan: Vec<u8>, hash: &[u8]) -> Vec<u8> {
    plan[8..40].copy_from_slice(hash);
    let content = plan.len() - 32;
    let checksum = *Sha256::of(&plan[..content]).as_bytes();
    plan[content..].copy_from_slice(&checksum);
    plan
}

#[test]
fn a_plan_is_written_and_described() {
    let scene = Scene::new();
    let made = scene.json(&["eliminate", "coal_n5_theta1", "--format", "plan", "-o", "five.plan", "--json"]);
    let bytes = scene.read("five.plan");
    assert!(bytes.starts_with(b"PHPLAN02"));
    assert_eq!(made["sha256"], Sha256::of(&bytes).to_string());
    assert_eq!((&made["format"], &made["graph_hash"]), (&json!("plan"), &json!(COAL_N5)));
    assert_eq!((&made["size_bytes"], &made["vertices"]), (&json!(bytes.len()), &json!(5)));
    let found = scene.json(&["inspect", "five.plan", "--json"]);
    assert_eq!((&found["verdict"], &found["made_for"]), (&json!("intact"), &json!(COAL_N5)));
    assert_eq!((&found["graph_hash"], &found["evidence"]), (&json!(null), &json!(null)));
    let counts = ["vertices", "components", "edges", "factor_entries", "multiply_adds", "workspace_bytes"];
    for same in counts.iter().chain(&["format", "size_bytes", "sha256"]) {
        assert_eq!(found[same], made[same], "{same}");
        assert!(!found[same].is_null(), "{same}");
    }
    let printed = scene.output(&["inspect", "five.plan"]);
    let expected = format!(
        "\
format          plan
graph hash      {COAL_N5}
vertices        5 to eliminate of 6
components      5
"
    );
    assert!(printed.contains(&expected), "{printed}");
    assert!(
        printed.ends_with("\nverdict         intact; give --graph to verify the plan itself\n"),
        "{printed}"
    );
}

#[test]
fn with_the_graph_the_plan_is_made_anew_and_compared() {
    let scene = island();
    let found = scene.json(&["inspect", "island.plan", "--graph", "builtin:two_island", "--json"]);
    assert_eq!((&found["verdict"], &found["evidence"]), (&json!("verified"), &json!("reproduced")));
    assert_eq!(found["graph_hash"], found["made_for"]);
}

#[test]
fn a_plan_from_a_file_gives_the_numbers_of_the_model() {
    let scene = island();
    let asked = ["eval", "builtin:two_island", "--theta", "0.7,0.3", "--quantity", "moments=3", "--json"];
    let from_file = scene.output(&[&asked[..], &["--artifact", "island.plan"]].concat());
    assert_eq!(from_file, scene.output(&asked));
}

#[test]
fn a_plan_that_is_not_this_graphs_is_refused_with_4() {
    let scene = island();
    let island = scene.read("island.plan");
    scene.output(&["eliminate", "coal_n5_theta1", "--format", "plan", "-o", "five.plan"]);
    let mut damaged = island.clone();
    damaged[50] ^= 1;
    scene.write("damaged.plan", damaged);
    scene.write("future.plan", [b"PHPLAN03", &island[8..]].concat());
    scene.write("short.plan", b"PHPLAN");
    // The checksum is right and the hash is this graph's: only making the plan anew can tell.
    scene.write("forged.plan", relabelled(scene.read("five.plan"), &island[8..40]));
    for (name, problem) in [
        ("five.plan", "made for another graph, 4d652ed73c66ed4a"),
        ("five.plan", "with 6 vertices; this one is "),
        ("damaged.plan", "its checksum does not match"),
        ("future.plan", "of version 03, and version 02 is read here"),
        ("short.plan", "one begins with PHPLAN02"),
        ("forged.plan", "not the plan that analysing this graph gives"),
    ] {
        let ended = scene.run(&["inspect", name, "--graph", "builtin:two_island"]);
        assert_eq!(ended.status, 4, "{name}: {ended:?}");
        assert!(ended.out.trim_end().ends_with("refused"), "{name}: {}", ended.out);
        assert!(ended.err.starts_with(&format!("error: '{name}' must not be used: ")), "{}", ended.err);
        assert!(ended.err.contains(problem), "{name}: {}", ended.err);
        let ended = scene.run(&["eval", "builtin:two_island", "--artifact", name]);
        assert_eq!((ended.status, ended.out.as_str()), (4, ""), "{name}: {ended:?}");
        assert!(ended.err.starts_with(&format!("error: '{name}' must not be used for this model: ")));
        assert!(ended.err.contains(problem), "{name}: {}", ended.err);
    }
}

#[test]
fn a_plan_larger_than_allowed_is_no_refusal_and_names_the_flag() {
    let scene = island();
    for command in [
        "inspect island.plan",
        "eval builtin:two_island --artifact island.plan",
        "eliminate builtin:two_island --format plan -o x.plan",
    ] {
        let arguments: Vec<_> = command.split(' ').chain(["--max-multiply-adds", "3"]).collect();
        let ended = scene.run(&arguments);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{command}: {ended:?}");
        assert!(ended.err.ends_with("\n--max-multiply-adds raises this limit\n"), "{}", ended.err);
    }
    assert!(!scene.path("x.plan").exists());
}

#[test]
fn flags_that_mean_nothing_to_a_plan_are_refused() {
    let scene = Scene::new();
    for (flag, value) in [("--theta", "1"), ("--ordering", "phasic"), ("--ordering", "fast")] {
        let ended =
            scene.run(&["eliminate", "coal_n5_theta1", "--format", "plan", "-o", "x.plan", flag, value]);
        assert_eq!(ended.status, 2, "{flag}");
        assert!(ended.err.starts_with(&format!("error: {flag} only matters to ")), "{}", ended.err);
    }
    assert!(!scene.path("x.plan").exists());
}
