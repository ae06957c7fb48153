//! Forecasting, eliminating and inspecting.

use serde_json::json;

use crate::models::COAL_N5;
use crate::scene::Scene;

/// SHA-256 of the artifacts of the coalescent with five lineages, from the golden vectors.
const PTDPRMC3: &str = "0520a138688863f3797456c40eb1df1a3e0c574202b73fe0f75c0990d1bbf196";
const PTDPRMC1_UNIT: &str = "7b558b442b3b840059f09455f9739f0e1656d0f54f625dff9df110971d449ca5";
const PTDPRMC1_037: &str = "4404662d46e94ca720807d31b401ed9b8b53f71825237c29f0b7158e8f7189f6";

#[test]
fn the_files_are_those_phasic_writes_at_each_theta() {
    let scene = Scene::new();
    let model = ["eliminate", "coal_n5_theta1", "-o", "five.bin", "--json"];
    for (more, format, size, sha256) in [
        (&[][..], "ptdprmc3", 3296, PTDPRMC3),
        (&["--format", "ptdprmc3", "--ordering", "phasic"], "ptdprmc3", 3296, PTDPRMC3),
        (&["--format", "ptdprmc1"], "ptdprmc1", 5064, PTDPRMC1_UNIT),
        (&["--format", "ptdprmc1", "--theta", "0.37"], "ptdprmc1", 5064, PTDPRMC1_037),
    ] {
        let expected = json!({
            "path": "five.bin", "format": format, "graph_hash": COAL_N5, "commands": 38, "rows": 11, "slots": 12,
            "inputs": 5, "size_bytes": size, "sha256": sha256
        });
        assert_eq!(scene.json(&[&model, more].concat()), expected);
        assert_eq!(phasic_hub_api::Sha256::of(&scene.read("five.bin")).to_string(), sha256);
    }
}

#[test]
fn an_artifact_can_go_to_standard_output_with_its_summary_aside() {
    let scene = Scene::new();
    let output = scene.command(&["eliminate", "coal_n5_theta1", "-o", "-"]).output().unwrap();
    assert_eq!(phasic_hub_api::Sha256::of(&output.stdout).to_string(), PTDPRMC3);
    let summary = format!("-: ptdprmc3, 38 commands, 3296 bytes, sha256 {PTDPRMC3}\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), summary);
}

#[test]
fn a_model_without_parameters_is_eliminated_with_a_note() {
    let ended = Scene::new().run(&["eliminate", "builtin:constant_chain", "-o", "chain.bin"]);
    assert_eq!(ended.status, 0);
    assert!(ended.err.starts_with("note: this model has no parameters"), "{}", ended.err);
}

#[test]
fn the_forecast_is_what_the_elimination_then_takes() {
    let scene = Scene::new();
    for model in ["coal_n5_theta1", "builtin:codon", "builtin:two_locus_arg", "builtin:constant_chain"] {
        let forecast = scene.json(&["forecast", model, "--json"]);
        for (format, key) in [("ptdprmc3", "ptdprmc3_bytes"), ("ptdprmc1", "ptdprmc1_bytes")] {
            let made = scene.run(&["eliminate", model, "-o", "x.bin", "--format", format, "--json"]);
            let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
            assert_eq!(forecast[key], made["size_bytes"], "{model}");
            for count in ["commands", "rows", "slots", "inputs", "graph_hash"] {
                assert_eq!(forecast[count], made[count], "{model}: {count}");
            }
        }
        let made = scene.run(&["eliminate", model, "-o", "x.plan", "--format", "plan", "--json"]);
        let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
        let fast =
            ["eliminate", model, "-o", "fast.bin", "--ordering", "fast", "--format", "ptdprmc3", "--json"];
        let fast: serde_json::Value = serde_json::from_str(&scene.run(&fast).out).unwrap();
        assert_eq!(forecast["fast"]["ptdprmc3_bytes"], fast["size_bytes"], "{model}");
        for count in ["commands", "rows", "slots", "inputs"] {
            assert_eq!(forecast["fast"][count], fast[count], "{model}: {count}");
        }
        assert_eq!(forecast["plan"]["file_bytes"], made["size_bytes"], "{model}");
        assert!(forecast["plan"]["plan_bytes"].as_u64() > Some(0), "{model}");
        assert!(forecast["estimated_seconds"].as_f64().unwrap() > 0.0);
        assert!(forecast["estimate_basis"].as_str().unwrap().contains("of a dense model, eliminated here"));
    }
}

#[test]
fn forecast_for_people_gives_counts_sizes_and_how_the_time_was_estimated() {
    let printed = Scene::new().output(&["forecast", "coal_n5_theta1"]);
    let expected = "\
vertices        6
edges           5
commands        38
rows            11
memory slots    12
inputs          5
ptdprmc3        3296 bytes
ptdprmc1        5064 bytes
estimated time  ";
    assert!(printed.starts_with(expected) && printed.contains("eliminated here in"), "{printed}");
    assert!(printed.contains("\nfast program    2"), "{printed}");
    assert!(printed.contains("\nplan            ") && printed.contains(" bytes as a file, "), "{printed}");
    assert!(printed.contains("\nplan replay     0 multiply-adds, "), "{printed}");
}

#[test]
fn a_forecast_goes_on_where_one_kind_of_program_is_out_of_reach() {
    let scene = Scene::new();
    let printed = scene.output(&["forecast", "builtin:two_island", "--max-commands", "37"]);
    let refused = "phasic's program  none: ";
    assert!(printed.contains(refused) && printed.contains("(--max-commands raises this limit)"), "{printed}");
    assert!(printed.contains("\nplan replay       "), "{printed}");
    let json = scene.json(&["forecast", "builtin:two_island", "--max-multiply-adds", "3", "--json"]);
    assert!(json["commands"].as_u64() > Some(3) && json["plan"]["refused"].is_string(), "{json}");
    let limits = ["--max-commands", "37", "--max-multiply-adds", "3"];
    let ended = scene.run(&[&["forecast", "builtin:two_island"][..], &limits].concat());
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    assert!(ended.err.ends_with("\n--max-commands raises this limit\n"), "{}", ended.err);
}

#[test]
fn inspect_without_a_graph_vouches_for_the_structure_only() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin", "--format", "ptdprmc1"]);
    let expected = format!(
        "\
file          five.bin
size          5064 bytes
sha256        {PTDPRMC1_UNIT}
format        ptdprmc1
graph hash    4d652ed73c66ed4a…
commands      38
rows          11
memory slots  12
inputs        5
vertices      6
verdict       intact; give --graph to verify the program itself
"
    );
    assert_eq!(scene.output(&["inspect", "five.bin"]), expected);
}

#[test]
fn inspect_with_the_graph_makes_the_program_anew() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin"]);
    let report = scene.json(&["inspect", "five.bin", "--graph", "builtin:kingman", "--set", "n=5", "--json"]);
    let expected = json!({
        "path": "five.bin", "size_bytes": 3296, "sha256": PTDPRMC3, "verdict": "verified", "evidence": "reproduced",
        "problem": null, "graph_hash": COAL_N5, "format": "ptdprmc3", "hash_prefix": null, "commands": 38, "rows": 11,
        "slots": 12, "inputs": 5, "vertices": 6
    });
    assert_eq!(report, expected);
}

#[test]
fn refused_files_end_with_4_and_the_field_that_is_wrong() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin"]);
    let whole = scene.read("five.bin");
    let mut flipped = whole.clone();
    flipped[40] = 9;
    for (name, bytes, field) in [
        ("empty.bin", Vec::new(), "header"),
        ("short.bin", whole[..whole.len() - 1].to_vec(), "byte"),
        ("flipped.bin", flipped, "byte 40"),
        ("page.bin", b"<!DOCTYPE html><html></html>".to_vec(), "magic"),
    ] {
        scene.write(name, bytes);
        let ended = scene.run(&["inspect", name]);
        assert_eq!(ended.status, 4, "{name}: {ended:?}");
        assert!(ended.out.ends_with("verdict  refused\n"), "{}", ended.out);
        assert!(ended.err.starts_with(&format!("error: '{name}' must not be used: ")), "{}", ended.err);
        assert!(ended.err.contains(field), "{}", ended.err);
    }
}

#[test]
fn an_intact_file_of_another_graph_is_refused_but_described() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin"]);
    let ended = scene.run(&["inspect", "five.bin", "--graph", "coal_n10_theta1", "--json"]);
    assert_eq!(ended.status, 4);
    let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&report["verdict"], &report["commands"]), (&json!("refused"), &json!(38)));
    let problem = report["problem"].as_str().unwrap();
    assert!(problem.contains("it names 6 vertices, and this graph has 11"), "{report}");
}

#[test]
fn an_intact_file_of_a_larger_graph_is_no_attack() {
    let scene = Scene::new();
    for format in ["ptdprmc3", "ptdprmc1"] {
        scene.output(&[
            "eliminate",
            "builtin:kingman",
            "--set",
            "n=7",
            "-o",
            "seven.bin",
            "--format",
            format,
        ]);
        let reason =
            "it is intact, but was made for another graph, one of at least 8 vertices; this graph has 6";
        let ended = scene.run(&["inspect", "seven.bin", "--graph", "builtin:kingman"]);
        assert_eq!(ended.status, 4);
        assert_eq!(ended.err, format!("error: 'seven.bin' must not be used: {reason}\n"));
        let ended = scene.run(&["eval", "builtin:kingman", "--artifact", "seven.bin"]);
        assert_eq!((ended.status, ended.out.as_str()), (4, ""));
        assert_eq!(ended.err, format!("error: 'seven.bin' must not be used for this model: {reason}\n"));
    }
}

#[test]
fn an_unwritable_place_is_named_before_the_work() {
    let ended = Scene::new().run(&["eliminate", "coal_n5_theta1", "-o", "no/such/folder/x.bin"]);
    assert_eq!(ended.status, 2);
    assert!(ended.err.starts_with("error: cannot write 'no/such/folder/x.bin': "), "{}", ended.err);
}
