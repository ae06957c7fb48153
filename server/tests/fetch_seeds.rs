//! Every committed seed of the fuzz target `url_guard`, and every string of the corpora, through its entry point.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

#[path = "../../fuzz/url_guard.rs"]
mod entry;

use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn places_from_anywhere_are_judged_without_a_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = std::fs::read_dir(root.join("fuzz/seeds/url_guard")).unwrap();
    let mut inputs: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() >= 20, "there are {} seeds", inputs.len());
    for corpus in ["ssrf.json", "traversal.json"] {
        let text = std::fs::read(root.join("tests/corpora").join(corpus)).unwrap();
        let groups: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        let strings = groups.iter().flat_map(|group| group["strings"].as_array().unwrap());
        inputs.extend(strings.map(|text| text.as_str().unwrap().replace("{port}", "8787").into_bytes()));
    }
    for input in inputs {
        let shown = String::from_utf8_lossy(&input).into_owned();
        assert!(catch_unwind(|| entry::url_guard(&input)).is_ok(), "a panic on {shown:?}");
    }
}
