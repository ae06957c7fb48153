use phasic_hub_api::ModelSource;

use super::{ModelError, Named, Recipe, identify, named};
use crate::config;

fn read(text: &str) -> Result<Named, ModelError> {
    named(&serde_json::from_str::<ModelSource>(text).unwrap())
}

fn recipe(text: &str) -> Recipe {
    match read(text).unwrap() {
        Named::Here(recipe) => recipe,
        other => panic!("{other:?}"),
    }
}

fn limits(text: &str) -> config::Models {
    toml::from_str(text).unwrap()
}

const TWO_STEPS: &str = r#"{"document": {"vertices": [[0], [1], [2]], "edges": [[0, 1, [1]], [1, 2, [1]]]}}"#;

#[test]
fn a_builtin_model_is_built_with_its_constants() {
    let limits = limits("");
    let build = |text: &str| identify(&recipe(text).build(&limits).unwrap());
    let five = build(r#"{"builtin": "kingman"}"#);
    assert!(five.graph_hash.to_string().starts_with("4d652ed73c66"));
    assert_eq!(build(r#"{"builtin": "kingman", "constants": {"n": 5}}"#), five);
    assert_eq!(build(r#"{"builtin": "kingman", "constants": {"n": 9}}"#).vertices, 10);
}

#[test]
fn exactly_one_model_must_be_named() {
    assert_eq!(read("{}").unwrap_err(), ModelError::NotOne { found: 0 });
    let two = read(r#"{"builtin": "kingman", "compute": "coal_n5_theta1"}"#).unwrap_err();
    assert_eq!(two, ModelError::NotOne { found: 2 });
    let misplaced = |text| matches!(read(text).unwrap_err(), ModelError::Misplaced { .. });
    assert!(misplaced(r#"{"compute": "a", "constants": {"n": 5}}"#));
    let digest = "0".repeat(64);
    assert!(misplaced(&format!(r#"{{"builtin": "kingman", "definition": "{digest}"}}"#)));
    let named = read(&format!(r#"{{"compute": "a", "definition": "{digest}"}}"#));
    assert!(matches!(named, Ok(Named::Compute(_, Some(_)))), "of a compute, too");
}

#[test]
fn what_cannot_be_built_says_why() {
    let build = |text: &str, bounds: &str| recipe(text).build(&limits(bounds)).unwrap_err().to_string();
    assert!(matches!(read(r#"{"builtin": "coffee"}"#), Err(ModelError::NoBuiltin { .. })));
    let wrong = read(r#"{"builtin": "kingman", "constants": {"n": "5"}}"#);
    assert!(matches!(wrong, Err(ModelError::Constant { .. })));
    assert!(build(r#"{"builtin": "kingman", "constants": {"m": 5}}"#, "").contains("constant"));
    assert!(build(r#"{"document": {"vertices": []}}"#, "").contains("line 1"));
    let many = r#"{"builtin": "kingman", "constants": {"n": 5000}}"#;
    assert!(build(many, "max_vertices = 1000").contains("1000"));
    assert!(build(many, "max_steps = 1000").contains("1000"));
    let mut with_constants = TWO_STEPS.to_owned();
    with_constants.insert_str(1, r#""constants": {"n": 1}, "#);
    assert_eq!(recipe(&with_constants).build(&limits("")), Err(ModelError::NoConstants));
}

#[test]
fn a_start_that_another_graph_of_the_same_hash_could_have_is_refused() {
    let graph = |start: &str| {
        format!(
            r#"{{"document": {{"vertices": [[0], [1], [2], [3]], "edges": [{start}, [1, 3, [1.0]], [2, 3, [1.0]]]}}}}"#
        )
    };
    // The bits of 1e-323 are those of the number 2, the vertex the second edge leads to.
    let (two, one) = (graph("[0, 1, [0.5]], [0, 2, [0.5]]"), graph("[0, 1, [0.5, 1e-323, 0.5]]"));
    assert!(recipe(&two).build(&limits("")).is_ok());
    let refused = recipe(&one).build(&limits("")).unwrap_err();
    assert!(matches!(refused, ModelError::AmbiguousStart { to: 1, .. }), "{refused}");
}

#[test]
fn a_recipe_is_read_back_as_it_was_written() {
    for text in [
        r#"{"builtin": "kingman", "constants": {"n": 7}}"#,
        r#"{"builtin": "mm1k", "constants": {"capacity": 3, "start": 1}}"#,
        TWO_STEPS,
    ] {
        let recipe = recipe(text);
        let again = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        assert_eq!(again.key(), recipe.key(), "{text}");
    }
}

#[test]
fn whole_constants_and_floats_are_told_apart() {
    let key =
        |value: &str| recipe(&format!(r#"{{"builtin": "kingman", "constants": {{"n": {value}}}}}"#)).key();
    assert_eq!(key("5"), key("5"));
    assert_ne!(key("5"), key("5.0"));
    assert_ne!(key("5"), key("6"));
}

#[test]
fn a_definition_tells_weights_apart_that_the_content_hash_does_not() {
    let text = |first: f64| {
        let edges = format!("[[0, 1, [], {first}], [0, 2, [], 0.5], [1, 3, [1]], [2, 3, [2]]]");
        format!(r#"{{"document": {{"vertices": [[0], [1], [2], [3]], "edges": {edges}}}}}"#)
    };
    let build = |first| identify(&recipe(&text(first)).build(&limits("")).unwrap());
    assert_eq!(build(0.5).graph_hash, build(0.25).graph_hash);
    assert_ne!(build(0.5).definition, build(0.25).definition);
    assert_eq!(build(0.5), build(0.5));
}
