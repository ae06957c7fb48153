//! Times the stages of the engine on the public workloads, for scripts.
//!
//! ```text
//! workload_timings list              name and size of every workload, as JSON
//! workload_timings graph NAME N      one of them as phasic-graph/1
//! workload_timings all [SAMPLES]     medians of every stage of every workload, as JSON, in seconds
//! workload_timings count NAME N      each kernel once, for callgrind (see `bench/instructions.py`)
//! workload_timings rabbits N         rules, graph, plan, expectation of N rabbits: seconds, as JSON
//! workload_timings serve             one sample for each request on standard input (see `bench/versus_phasic.py`)
//! ```
//!
//! Times are processor time of this process: on a machine that does other things as well, wall-clock time measures
//! those too. Only what is told to run on several threads is measured in wall-clock time.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod clock;
mod count;
mod distributions;
mod rabbits;
mod stages;
#[path = "../../benches/workloads/mod.rs"]
mod workloads;

use phasic_engine::document::write_graph;
use serde_json::{Value, json};
use stages::Bench;
use std::error::Error;
use std::io::{BufRead, Write};
use workloads::{Workload, build, names};

const DEFAULT_SAMPLES: usize = 7;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => println!("{}", json!(names())),
        ["graph", name, n] => println!("{}", write_graph(&listed(name, n.parse()?)?.graph)),
        ["all"] => all(DEFAULT_SAMPLES)?,
        ["all", samples] => all(samples.parse()?)?,
        ["count", name, n] => count::run(listed(name, n.parse()?)?, tempfile::tempdir()?.path())?,
        ["rabbits", n] => println!("{}", rabbits::run(n.parse()?)?),
        ["serve"] => serve()?,
        _ => {
            return Err(
                "usage: workload_timings list | graph NAME N | all [SAMPLES] | count NAME N | rabbits N | serve".into()
            );
        }
    }
    Ok(())
}

fn listed(name: &str, n: u32) -> Result<Workload, Failure> {
    build(name, n).ok_or_else(|| format!("there is no workload {name} of size {n}").into())
}

fn all(samples: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut results = Vec::new();
    for (name, n) in names() {
        let bench = Bench::new(listed(&name, n)?, true, folder.path())?;
        let mut result = bench.describe()?;
        for stage in stages::all() {
            let mut seconds = (0..samples).map(|_| bench.sample(stage)).collect::<Result<Vec<f64>, _>>()?;
            seconds.sort_by(f64::total_cmp);
            let spread = [seconds[0], seconds[seconds.len() - 1]];
            result[stage] = json!({ "median_s": seconds[seconds.len() / 2], "range_s": spread });
        }
        results.push(result);
    }
    println!("{}", serde_json::to_string_pretty(&results)?);
    Ok(())
}

/// Answers `{"workload": …, "n": …, "folder": …, "programs": …}` by preparing that workload with its files in the
/// folder, `{"stage": …}` by one sample of the workload prepared last, and the same with `"once": true` by one run; one
/// line of JSON each.
fn serve() -> Result<(), Failure> {
    let mut current: Option<Bench> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = if let Some(stage) = request["stage"].as_str() {
            let bench = current.as_ref().ok_or("no workload was prepared")?;
            let once = request["once"].as_bool().unwrap_or(false);
            json!({ "seconds": if once { bench.once(stage)? } else { bench.sample(stage)? } })
        } else {
            let name = request["workload"].as_str().ok_or("the request names no workload")?;
            let n = u32::try_from(request["n"].as_u64().ok_or("the request names no size")?)?;
            let folder = request["folder"].as_str().ok_or("the request names no folder")?;
            let programs = request["programs"].as_bool().unwrap_or(false);
            // The one before may hold a gigabyte.
            drop(current.take());
            current.insert(Bench::new(listed(name, n)?, programs, folder.as_ref())?).describe()?
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
