//! Plan files that the project keeps.

use phasic_engine::plan::{Limits, Plan};
use std::path::Path;

#[test]
fn what_the_fuzzer_begins_with_are_plans_as_they_are_written_today() {
    // Or it would see no further than the first bytes.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/plan_read");
    for model in [
        "arg2",
        "coxian",
        "hyperexponential",
        "kingman",
        "kingman_mutations",
        "mm1k",
        "rabbits",
        "ring",
        "sfs",
        "two_island",
        "watched",
    ] {
        let bytes = std::fs::read(folder.join(model)).unwrap();
        let (hash, plan) =
            Plan::decode(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{model}: {error}"));
        assert!(plan.encode(&hash) == bytes, "{model} is written otherwise");
    }
}
