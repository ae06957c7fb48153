//! `phasic transform`.

use serde_json::{Value, json};

use crate::scene::Scene;

/// The numbers found for one quantity at one θ.
fn value(scene: &Scene, model: &str, theta: &str, quantity: &str) -> Value {
    let asked = ["eval", model, "--theta", theta, "--quantity", quantity, "--json"];
    scene.json(&asked)[0][quantity.split('=').next().unwrap()].clone()
}

#[track_caller]
fn assert_close(found: &Value, expected: f64) {
    let found = found.as_f64().or_else(|| found[0].as_f64()).unwrap();
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
}

#[test]
fn a_total_reward_becomes_a_time() {
    let scene = Scene::new();
    scene.output(&[
        "transform",
        "rewards",
        "builtin:kingman",
        "--theta",
        "2",
        "--rewards",
        "0,5,4,3,2,0",
        "-o",
        "length.json",
    ]);
    // Half the harmonic sum to four, times two.
    assert_close(&value(&scene, "length.json", "1", "expectation"), 25.0 / 12.0);
    // In discrete time each visit of a vertex is worth so many jumps.
    scene.write(
        "coin.json",
        r#"{"was_dph": true, "vertices": [[0], [1], [2], [3]],
           "edges": [[0, 1, [1]], [1, 2, [0.5]], [1, 3, [0.5]], [2, 1, [1]]]}"#,
    );
    let coins = scene.output(&["transform", "rewards", "coin.json", "--rewards", "0,3,0,0"]);
    scene.write("coins.json", coins);
    assert_close(&value(&scene, "coins.json", "1", "variance"), 18.0);
}

#[test]
fn a_discretized_graph_is_the_one_phasic_makes() {
    let scene = Scene::new();
    let path = format!("{}/../engine/tests/golden/coal_n5_dph.json", env!("CARGO_MANIFEST_DIR"));
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    scene.output(&["transform", "discretize", "builtin:kingman", "--rate", "0.1", "-o", "discrete.json"]);
    let hash = scene.output(&["hash", "discrete.json"]);
    assert_eq!(hash.trim(), golden["graph_hash"].as_str().unwrap());
}

#[test]
fn passages_end_where_they_are_told() {
    let scene = Scene::new();
    let graph = scene.output(&["transform", "passage", "builtin:kingman", "--to", "3,4"]);
    scene.write("passage.json", graph);
    // From five lineages to three, at the rates 10 and 6.
    assert_close(&value(&scene, "passage.json", "0.5", "expectation"), 2.0 * (0.1 + 1.0 / 6.0));
}

#[test]
fn compositions_of_exponential_times_have_their_known_means() {
    let scene = Scene::new();
    scene.write("one.json", scene.output(&["graph", "builtin:erlang", "--set", "stages=1"]));
    for (kind, more, mean) in [
        ("sum", &[][..], 1.5),
        ("minimum", &[], 1.0 / 3.0),
        ("maximum", &[], 1.5 - 1.0 / 3.0),
        ("mixture", &["--weights", "0.3,0.7"], 0.3 + 0.7 * 0.5),
    ] {
        let arguments = ["transform", kind, "one.json", "one.json", "-o", "both.json"];
        scene.output(&[&arguments, more].concat());
        assert_close(&value(&scene, "both.json", "1,2", "expectation"), mean);
    }
    scene.output(&["transform", "minimum", "one.json", "one.json", "--shared", "-o", "both.json"]);
    assert_close(&value(&scene, "both.json", "2", "expectation"), 0.25);
}

#[test]
fn matrices_are_those_of_the_model_and_lead_back_to_it() {
    let scene = Scene::new();
    let printed = scene.output(&["transform", "matrices", "builtin:kingman", "--set", "n=3", "--theta", "2"]);
    let expected = json!({
        "discrete": false, "initial": [1.0, 0.0], "transient": [[-6.0, 6.0], [0.0, -2.0]], "exit": [0.0, 2.0],
        "states": [[3], [2]], "vertices": [1, 2],
    });
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expected);
    scene.write("matrices.json", printed);
    scene.output(&["transform", "from-matrices", "matrices.json", "-o", "back.json"]);
    assert_close(&value(&scene, "back.json", "1", "expectation"), 1.0 / 6.0 + 0.5);
    let missing = r#"{"initial": [0.5], "transient": [[-2]]}"#;
    let refused = scene.run_with_input(&["transform", "from-matrices", "-"], missing);
    assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused:?}");
    let kept = scene.run_with_input(&["transform", "from-matrices", "-", "--deficit", "atom"], missing);
    scene.write("atom.json", kept.out);
    assert_close(&value(&scene, "atom.json", "1", "cdf=0"), 0.5);
}

#[test]
fn atoms_and_defective_starts_survive_the_way_through_matrices() {
    let scene = Scene::new();
    // Half is absorbed at once, a quarter of the rest never starts.
    scene.write(
        "start.json",
        r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [0.25]], [0, 2, [0.5]], [1, 2, [2]]]}"#,
    );
    let printed = scene.output(&["transform", "matrices", "start.json"]);
    let expected = json!({
        "discrete": false, "initial": [0.25], "atom": 0.5, "deficit": "keep", "transient": [[-2.0]], "exit": [2.0],
        "states": [[1]], "vertices": [1],
    });
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expected);
    scene.write("matrices.json", printed);
    scene.output(&["transform", "from-matrices", "matrices.json", "-o", "back.json"]);
    assert_close(&value(&scene, "back.json", "1", "cdf=0"), 0.5);
    assert_close(&value(&scene, "back.json", "1", "cdf=1000"), 0.75);
    // A flag goes before what the file says.
    let all = ["transform", "from-matrices", "matrices.json", "--deficit", "atom", "-o", "back.json"];
    scene.output(&all);
    assert_close(&value(&scene, "back.json", "1", "cdf=0"), 0.75);
    let refused = scene.run(&["transform", "from-matrices", "matrices.json", "--deficit", "refuse"]);
    assert!(refused.err.contains("the initial probabilities sum to 0.75"), "{refused:?}");
    let negative = r#"{"initial": [1], "atom": -0.5, "transient": [[-2]]}"#;
    let refused = scene.run_with_input(&["transform", "from-matrices", "-"], negative);
    assert!(refused.err.contains("the atom at 0 is -0.5"), "{refused:?}");
}

#[test]
fn what_cannot_be_transformed_is_refused_with_its_place() {
    let scene = Scene::new();
    scene.write("ragged.json", r#"{"initial": [1, 0], "transient": [[-1, 1], [0]]}"#);
    scene.write("wrong.json", r#"{"initial": [1], "transient": [[-1]], "alpha": 1}"#);
    for (arguments, message) in [
        (
            &["rewards", "builtin:kingman", "--rewards", "1,2"][..],
            "2 rewards were given, but the graph has 6 vertices",
        ),
        (&["rewards", "builtin:kingman", "--rewards", "0,-1,1,1,1,1"], "the reward of vertex 1 is -1"),
        (
            &["rewards", "builtin:kingman", "--rewards", "0,1,1,1,1,1", "--theta", "1,2"],
            "2 parameters were given",
        ),
        (
            &["rewards", "builtin:kingman_mutations", "--rewards", "@no.csv"],
            "cannot read the vectors in 'no.csv'",
        ),
        (&["discretize", "builtin:kingman", "--rate", "1.5"], "1.5"),
        (
            &["discretize", "builtin:kingman_mutations", "--rate", "0.5"],
            "the model is in discrete time already",
        ),
        (&["passage", "builtin:kingman", "--to", "9"], "9"),
        (&["sum", "builtin:kingman"], "2 values required"),
        (&["sum", "builtin:kingman", "builtin:kingman_mutations"], "time"),
        (&["mixture", "builtin:kingman", "builtin:erlang", "--weights", "0.5"], "weights of a mixture"),
        (
            &["from-matrices", "ragged.json"],
            "row 1 (counted from 0) of 'transient' has 1 numbers, but there are 2 rows",
        ),
        (&["from-matrices", "wrong.json"], "unknown field `alpha`"),
        (&["from-matrices", "no.json"], "cannot use the matrices in 'no.json'"),
        (
            &["maximum", "builtin:kingman", "builtin:kingman", "--max-vertices", "7"],
            "--max-vertices raises this limit",
        ),
    ] {
        let ended = scene.run(&[&["transform"], arguments].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn the_second_of_three_to_end_is_known_and_so_is_a_start_in_the_middle() {
    let scene = Scene::new();
    let phase = "builtin:erlang";
    let one = scene.output(&["graph", phase, "--set", "stages=1"]);
    scene.write("one.json", one);
    let three = ["one.json", "one.json", "one.json"];
    let order = scene.output(
        &[&["transform", "order"], &three[..], &["--rank", "2", "--shared", "-o", "second.json"]].concat(),
    );
    assert_eq!(order, "");
    // 1/3 until the first, 1/2 more until the second.
    assert_close(&value(&scene, "second.json", "1", "expectation"), 5.0 / 6.0);
    let refused = scene.run(&[&["transform", "order"], &three[..], &["--rank", "4"]].concat());
    assert_eq!(refused.status, 2, "{refused:?}");
    // From three or two lineages with equal probability: 1 + 1/3 and 1.
    let starts = scene.output(&["transform", "start", "builtin:kingman", "--at", "3:0.5,4:0.5"]);
    scene.write("late.json", starts);
    assert_close(&value(&scene, "late.json", "1", "expectation"), 7.0 / 6.0);
    let refused = scene.run(&["transform", "start", "builtin:kingman", "--at", "3:x"]);
    assert!(refused.err.contains("--at 3:x: write VERTEX:PROBABILITY, as in 3:0.5"), "{refused:?}");
}

#[test]
fn a_start_that_lacks_something_is_settled_as_it_is_told() {
    let scene = Scene::new();
    let settled = |deficit: &str| {
        let model = "builtin:kingman_defective_start";
        let graph = scene.output(&["transform", "settle", model, "--deficit", deficit]);
        scene.write("settled.json", graph);
        value(&scene, "settled.json", "1", "cdf=0")[0].as_f64().unwrap()
    };
    // Three tenths are absorbed at once, and a fifth never started.
    assert!((settled("atom") - 0.5).abs() < 1e-15);
    assert!((settled("condition") - 0.375).abs() < 1e-15);
    let refused = scene.run(&["transform", "settle", "builtin:kingman_defective_start"]);
    assert_eq!(refused.status, 2, "{refused:?}");
}

#[test]
fn a_lossy_return_is_told_instead_of_another_law() {
    let scene = Scene::new();
    scene.write(
        "lossy.json",
        r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [0.5]], [1, 0, [1]], [1, 2, [1]]]}"#,
    );
    assert_close(&value(&scene, "lossy.json", "1", "cdf=1000"), 1.0 / 3.0);
    let refused = scene.run(&["transform", "matrices", "lossy.json"]);
    assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused:?}");
    assert!(refused.err.contains("sum to 0.5, and vertex 1 leads back to the start"), "{refused:?}");
    scene.output(&["transform", "settle", "lossy.json", "--deficit", "condition", "-o", "settled.json"]);
    scene.output(&["transform", "matrices", "settled.json"]);
}

#[test]
fn normalized_models_have_the_same_law_under_what_time_is_worth() {
    let scene = Scene::new();
    let arguments = [
        "transform",
        "normalize",
        "builtin:kingman",
        "--theta",
        "2",
        "--worth",
        "worth.csv",
        "-o",
        "unit.json",
    ];
    scene.output(&arguments);
    let printed = String::from_utf8(scene.read("worth.csv")).unwrap();
    assert_eq!(printed, format!("1,0.05,{},{},0.5,1\n", 1.0 / 12.0, 1.0 / 6.0));
    let asked = ["--quantity", "expectation", "--quantity", "cdf=0.7", "--json"];
    let unit = scene.json(&[&["eval", "unit.json", "--rewards", "@worth.csv"], &asked[..]].concat());
    let own = scene.json(&[&["eval", "builtin:kingman", "--theta", "2"], &asked[..]].concat());
    assert_close(&unit[0]["expectation"], own[0]["expectation"].as_f64().unwrap());
    let (unit, own) = (unit[0]["cdf"][0].as_f64().unwrap(), own[0]["cdf"][0].as_f64().unwrap());
    assert!((unit - own).abs() < 1e-10, "{unit} {own}");
    // Half of the tosses are heads, and a toss that is not is made again: 2 tosses.
    scene.write("toss.json", r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [1]], [1, 2, [0.5]]]}"#);
    scene.output(&[
        "transform",
        "normalize",
        "toss.json",
        "--discrete",
        "--worth",
        "stay.csv",
        "-o",
        "stays.json",
    ]);
    assert_eq!(scene.read("stay.csv"), b"1,1,1,0\n");
    let tosses =
        scene.json(&["eval", "stays.json", "--rewards", "@stay.csv", "--quantity", "expectation", "--json"]);
    assert_close(&tosses[0]["expectation"], 2.0);
    let refused = scene.run(&["transform", "normalize", "stays.json", "--discrete"]);
    assert!(refused.status == 2 && refused.err.contains("leave out --discrete"), "{refused:?}");
}

#[test]
fn the_kth_of_many_copies_takes_few_states() {
    let scene = Scene::new();
    scene.write("one.json", scene.output(&["graph", "builtin:erlang", "--set", "stages=1"]));
    scene.output(&["transform", "order", "one.json", "--copies", "30", "--rank", "12", "-o", "many.json"]);
    assert_close(
        &value(&scene, "many.json", "1", "expectation"),
        (19..=30).map(|k| 1.0 / f64::from(k)).sum(),
    );
    let many = ["transform", "order", "one.json", "--copies", "1000000000000", "--rank", "1"];
    for (arguments, why) in [
        (&many[..], "--memory raises this limit"),
        (&["transform", "order", "one.json", "--rank", "1"], "say how many --copies"),
        (
            &["transform", "order", "one.json", "one.json", "--copies", "2", "--rank", "1"],
            "--copies is for one model",
        ),
        (&["transform", "order", "one.json", "--copies", "2", "--rank", "3"], "number 3 of 2 was asked for"),
    ] {
        let refused = scene.run(arguments);
        assert!(refused.status == 2 && refused.err.contains(why), "{refused:?}");
    }
}
