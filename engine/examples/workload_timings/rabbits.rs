//! The rabbits model from its rules to its expectation, in a process of its own.

use phasic_engine::graph::GraphLimits;
use phasic_engine::model::find;
use phasic_engine::plan::{Limits, Plan};
use serde_json::{Value, json};

use super::Failure;
use super::clock::Clock;

/// θ of the workload `rabbit`.
const THETA: [f64; 3] = [1.0, 2.0, 4.0];

/// Seconds of processor time of each step.
pub(crate) fn run(n: i64) -> Result<Value, Failure> {
    let clock = Clock::Processor;
    let start = Clock::Wall.seconds();
    let (read_s, document) = clock.timed(|| -> Result<_, Failure> {
        let model = find("rabbits").ok_or("the model library has no rabbits")?;
        Ok(model.read()?.with_constant("n", n)?)
    });
    let document = document?;
    let (build_s, graph) = clock.timed(|| document.build(&GraphLimits::default()));
    let graph = graph?;
    let (analyze_s, plan) = clock.timed(|| Plan::analyze(&graph, &Limits::default()));
    let plan = plan?;
    let (evaluate_s, at) = clock.timed(|| plan.at(&THETA).map(|at| at.expectation()));
    let (second_s, _) = clock.timed(|| plan.at(&THETA).map(|at| at.expectation()));
    Ok(json!({
        "vertices": graph.vertex_count(), "edges": graph.edge_count(), "theta": THETA, "expectation": at?,
        "read_s": read_s, "build_s": build_s, "analyze_s": analyze_s, "evaluate_s": evaluate_s,
        "second_evaluate_s": second_s, "wall_s": Clock::Wall.seconds() - start,
        "peak_rss_bytes": peak_rss_bytes()?,
    }))
}

/// The most memory this process ever had resident.
fn peak_rss_bytes() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the system reports no peak")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
