//! Every committed fuzzing seed through the entry point of its target: what the fuzzer found stays found.

#[path = "../../fuzz/entry.rs"]
mod entry;

use std::path::Path;

/// Runs an entry point with every seed of a target; a panic says which seed it was.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 20, "{target} has {} seeds", seeds.len());
    for seed in seeds {
        let bytes = std::fs::read(&seed).expect("a file");
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        assert!(outcome.is_ok(), "{target} panics on {}", seed.display());
    }
}

#[test]
fn artifacts_from_anywhere_are_read_or_refused() {
    replay("artifact_read", entry::artifact_read);
}

#[test]
fn graph_documents_from_anywhere_are_read_or_refused() {
    replay("graph_json", entry::graph_json);
}

#[test]
fn model_documents_from_anywhere_are_read_or_refused() {
    replay("model_json", entry::model_json);
}

#[test]
fn expressions_from_anywhere_are_read_or_refused() {
    replay("expr_parse", entry::expr_parse);
}

#[test]
fn registry_documents_from_anywhere_are_read_or_refused() {
    replay("registry_read", entry::registry_read);
}

#[test]
fn plan_files_from_anywhere_are_read_or_refused() {
    replay("plan_read", entry::plan_read);
}
