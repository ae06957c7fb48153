//! Stages run under callgrind, which counts the instructions of `measured` (see `bench/instructions.py`).

use std::path::Path;

use super::Failure;
use super::stages::{Bench, Run};
use super::workloads::Workload;

/// The kernels, each a stage.
const STAGES: [&str; 11] = [
    "hash",
    "eliminate",
    "replay",
    "decode",
    "analyze",
    "plan_decode",
    "evaluate",
    "moments",
    "gradient",
    "batch",
    "sample",
];

/// Prints the name of each stage after its run.
pub(crate) fn run(workload: Workload, folder: &Path) -> Result<(), Failure> {
    let bench = Bench::new(workload, true, folder)?;
    for stage in STAGES {
        let mut run = bench.ready(stage)?;
        // Asks the processor what it can, and the system for memory: once a process, not once a run.
        run(1)?;
        measured(&mut run)?;
        println!("{stage}");
    }
    Ok(())
}

/// Known to callgrind by its name.
#[inline(never)]
fn measured(run: &mut Run<'_>) -> Result<f64, Failure> {
    run(1)
}
