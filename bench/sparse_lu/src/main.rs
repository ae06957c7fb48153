//! Expectations by faer's sparse LU: a process that answers `bench/versus_phasic.py`.
//!
//! `{"graph": …, "theta": …}` reads a `phasic-graph/1` document; `{"stage": …}` answers with the seconds of one run.
//! `refactor` keeps ordering, pattern and storage from the θ before; `factor` starts anew. Both include the rates at θ
//! and the solution.

mod system;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use system::{Factors, System};

/// A sample repeats a short stage until it has taken this long.
const SAMPLE_SECONDS: f64 = 2e-3;
const VECTORS: usize = 64;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut current: Option<(System, Vec<f64>)> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = if let Some(stage) = request["stage"].as_str() {
            let (system, theta) = current.as_ref().ok_or("no workload was prepared")?;
            json!({ "seconds": sample(system, theta, stage)? })
        } else {
            let path = request["graph"].as_str().ok_or("the request names no graph")?;
            let theta: Vec<f64> = serde_json::from_value(request["theta"].clone())?;
            let system = System::new(&serde_json::from_str(&std::fs::read_to_string(path)?)?)?;
            let expectation = Factors::new(&system)?.expectation(&system, &theta)?;
            current = Some((system, theta));
            json!({ "expectation": expectation })
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Seconds of processor time of one run, averaged over as many as make a sample long enough.
fn sample(system: &System, theta: &[f64], stage: &str) -> Result<f64, Failure> {
    let vectors = sweep(theta);
    let mut kept = Factors::new(system)?;
    let mut run = |theta: &[f64]| match stage {
        "refactor" => kept.expectation(system, theta),
        "factor" => Factors::new(system)?.expectation(system, theta),
        other => Err(format!("there is no stage {other}").into()),
    };
    let mut runs = 1;
    loop {
        let before = processor_seconds();
        for draw in 0..runs {
            black_box(run(black_box(&vectors[draw % VECTORS]))?);
        }
        let seconds = processor_seconds() - before;
        if seconds >= SAMPLE_SECONDS {
            return Ok(seconds / runs as f64);
        }
        // Those were a warming up.
        runs *= 2;
    }
}

/// The sweep of `bench/workloads.json`.
fn sweep(theta: &[f64]) -> Vec<Vec<f64>> {
    let step =
        |draw: usize, place: usize| (draw as f64 * 0.618_033_988_749_894_9 + place as f64 * 0.37).fract();
    let at = |draw| {
        theta.iter().enumerate().map(|(place, value)| value * (0.8 + 0.4 * step(draw, place))).collect()
    };
    (1..=VECTORS).map(at).collect()
}

fn processor_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
