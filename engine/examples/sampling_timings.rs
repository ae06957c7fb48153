//! Times sampling on one workload, for `bench/sampling_versus_phasic.py`.
//!
//! ```text
//! sampling_timings NAME N COUNT      least processor time of five rounds of COUNT samples, per sample, as JSON
//! ```

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

#[allow(dead_code, reason = "the list of all workloads is for other programs")]
#[path = "../benches/workloads/mod.rs"]
mod workloads;

use phasic_engine::document::write_graph;
use phasic_engine::plan::{Limits, Plan};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, n, count] = &arguments[..] else { return Err("usage: sampling_timings NAME N COUNT".into()) };
    let count: usize = count.parse()?;
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let workload = workloads::build(name, n.parse()?).ok_or("there is no such workload")?;
    let sampler = Plan::analyze(&workload.graph, &Limits::default())?.sampler(&workload.theta)?;
    let mut seconds = f64::INFINITY;
    let mut mean = 0.0;
    for round in 0..ROUNDS {
        let begin = processor_seconds();
        let times = black_box(sampler.times(round as u64, count)?);
        seconds = seconds.min(processor_seconds() - begin);
        mean += times.iter().sum::<f64>() / (count * ROUNDS) as f64;
    }
    let graph: Value = serde_json::from_str(&write_graph(&workload.graph))?;
    let exact = workload.moments[0];
    println!(
        "{}",
        json!({ "seconds": seconds / count as f64, "mean": mean, "exact": exact, "theta": workload.theta, "graph": graph })
    );
    Ok(())
}

/// Processor time of this process.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
