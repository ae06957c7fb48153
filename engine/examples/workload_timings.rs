//! Times the stages of the engine on the public workloads, for scripts.
//!
//! ```text
//! workload_timings list              name and size of every workload, as JSON
//! workload_timings graph NAME N      one of them as phasic-graph/1
//! workload_timings all [SAMPLES]     medians of every stage of every workload, as JSON, in seconds
//! workload_timings serve             one sample for each request on standard input (see `bench/versus_phasic.py`)
//! ```
//!
//! Times are processor time of this process: on a machine that does other things as well, wall-clock time measures
//! those too.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use phasic_engine::artifact::{Checks, decode, decode_stream, encode_ptdprmc3};
use phasic_engine::document::write_graph;
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{Limits, Trace, eliminate, forecast};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use workloads::{Workload, build, names};

const STAGES: [&str; 11] = [
    "hash",
    "eliminate",
    "forecast",
    "encode",
    "decode",
    "load",
    "first",
    "replay",
    "analyze",
    "evaluate",
    "answer",
];
const DEFAULT_SAMPLES: usize = 7;
/// A sample repeats a short stage until it has taken this long.
const SAMPLE_SECONDS: f64 = 2e-3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => println!("{}", json!(names())),
        ["graph", name, n] => println!("{}", write_graph(&listed(name, n.parse()?)?.graph)),
        ["all"] => all(DEFAULT_SAMPLES)?,
        ["all", samples] => all(samples.parse()?)?,
        ["serve"] => serve()?,
        _ => return Err("usage: workload_timings list | graph NAME N | all [SAMPLES] | serve".into()),
    }
    Ok(())
}

fn listed(name: &str, n: u32) -> Result<Workload, Box<dyn Error>> {
    build(name, n).ok_or_else(|| format!("there is no workload {name} of size {n}").into())
}

fn all(samples: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut results = Vec::new();
    for (name, n) in names() {
        let bench = Bench::new(listed(&name, n)?, folder.path())?;
        let mut result = bench.describe();
        for stage in STAGES {
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

/// Answers `{"workload": …, "n": …, "file": …}` by preparing that workload and writing its program to the file, and
/// `{"stage": …}` by one sample of the workload prepared last; one line of JSON each.
fn serve() -> Result<(), Box<dyn Error>> {
    let mut current: Option<Bench> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = if let Some(stage) = request["stage"].as_str() {
            let bench = current.as_ref().ok_or("no workload was prepared")?;
            json!({ "seconds": bench.sample(stage)? })
        } else {
            let name = request["workload"].as_str().ok_or("the request names no workload")?;
            let n = u32::try_from(request["n"].as_u64().ok_or("the request names no size")?)?;
            let file = request["file"].as_str().ok_or("the request names no file")?;
            // The one before may hold a gigabyte.
            drop(current.take());
            current.insert(Bench::at(listed(name, n)?, file.into())?).describe()
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// A workload, its program, the program as a file, and our own plan.
struct Bench {
    workload: Workload,
    trace: Trace,
    plan: Plan,
    bytes: Vec<u8>,
    file: PathBuf,
}

impl Bench {
    fn new(workload: Workload, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let file = folder.join(format!("{}_{}.bin", workload.name, workload.n));
        Self::at(workload, file)
    }

    fn at(workload: Workload, file: PathBuf) -> Result<Self, Box<dyn Error>> {
        let trace = workload.eliminated();
        let plan = Plan::analyze(&workload.graph, &plan::Limits::default())?;
        let (found, wanted) = (plan.at(&workload.theta)?.expectation(), workload.moments[0]);
        if (found - wanted).abs() > workload.tolerance * wanted {
            return Err(format!("{}: the plan gives {found}, not {wanted}", workload.name).into());
        }
        let mut bytes = Vec::new();
        encode_ptdprmc3(&trace, &mut bytes)?;
        std::fs::write(&file, &bytes)?;
        Ok(Self { workload, trace, plan, bytes, file })
    }

    fn describe(&self) -> Value {
        let Workload { name, n, theta, graph, .. } = &self.workload;
        let expectation = self.expectation(&self.trace).expect("its moments were checked");
        json!({
            "workload": name, "n": n, "theta": theta, "graph_hash": graph.content_hash().to_string(),
            "vertices": graph.vertex_count(), "edges": graph.edge_count(),
            "commands": self.trace.commands().len(), "file_bytes": self.bytes.len(),
            "expectation": expectation,
        })
    }

    /// From the file, as a cache does it: the graph's hash names the file.
    fn load(&self) -> Result<Trace, Box<dyn Error>> {
        let graph = black_box(&self.workload.graph);
        black_box(graph.content_hash());
        let file = std::fs::File::open(&self.file)?;
        let size_bytes = file.metadata()?.len();
        Ok(decode_stream(file, size_bytes, &Checks { graph: Some(graph), ..Checks::default() })?.trace)
    }

    fn expectation(&self, trace: &Trace) -> Result<f64, Box<dyn Error>> {
        let graph = black_box(&self.workload.graph);
        let weights = graph.weights(black_box(&self.workload.theta))?;
        Ok(trace.replay(graph, &weights)?.expectation(None)?)
    }

    /// Seconds of processor time of one run of a stage, averaged over as many runs as make a sample long enough.
    fn sample(&self, stage: &str) -> Result<f64, Box<dyn Error>> {
        let (mut runs, mut seconds) = (0_u32, 0.0);
        while seconds < SAMPLE_SECONDS {
            seconds += self.run(stage)?;
            runs += 1;
        }
        Ok(seconds / f64::from(runs))
    }

    fn run(&self, stage: &str) -> Result<f64, Box<dyn Error>> {
        let graph = black_box(&self.workload.graph);
        let checks = Checks { graph: Some(graph), ..Checks::default() };
        Ok(match stage {
            "hash" => timed(|| graph.content_hash()).0,
            "eliminate" => checked(timed(|| eliminate(graph, &Limits::default(), &mut ())))?,
            "forecast" => checked(timed(|| forecast(graph, &Limits::default(), &mut ())))?,
            "encode" => {
                let mut out = Vec::with_capacity(self.bytes.len());
                checked(timed(|| encode_ptdprmc3(black_box(&self.trace), &mut out)))?
            }
            "decode" => checked(timed(|| decode(black_box(&self.bytes), &checks)))?,
            "load" => checked(timed(|| self.load()))?,
            "first" => checked(timed(|| self.expectation(&self.load()?)))?,
            "replay" => checked(timed(|| self.expectation(&self.trace)))?,
            // No file at all: from the graph to the first number by a plan.
            "answer" => {
                let answer = || -> Result<f64, Box<dyn Error>> {
                    let plan = Plan::analyze(graph, &plan::Limits::default())?;
                    Ok(plan.at(black_box(&self.workload.theta))?.expectation())
                };
                checked(timed(answer))?
            }
            "analyze" => checked(timed(|| Plan::analyze(graph, &plan::Limits::default())))?,
            "evaluate" => {
                let evaluate = || self.plan.at(black_box(&self.workload.theta)).map(|at| at.expectation());
                checked(timed(evaluate))?
            }
            other => return Err(format!("there is no stage {other}").into()),
        })
    }
}

/// Runs once; dropping the result is not timed.
fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let before = processor_seconds();
    let result = black_box(run());
    (processor_seconds() - before, result)
}

fn checked<T, E>((seconds, result): (f64, Result<T, E>)) -> Result<f64, E> {
    result.map(|_| seconds)
}

fn processor_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
