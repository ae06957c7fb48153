//! Times densities and likelihoods on the public workloads.
//!
//! ```text
//! distribution_timings [SAMPLES [NAME]]     medians for every workload, a line of JSON each, in seconds
//! ```
//!
//! Times are processor time of this process. A sample of `pdf100_s` is what `bench/workloads.json` calls "pdf at the grid
//! for a new theta": the distribution is moved to θ and evaluated at 100 times from 0.02 to 2 means; `cdf100_s` is the same for the distribution function. `change_of_peak` is how
//! much the densities change when the tolerance goes from 1e-10 to 1e-14. A likelihood is of 1000 observations.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

#[allow(dead_code, reason = "shared with programs that use more of it")]
#[path = "../benches/workloads/mod.rs"]
mod workloads;

use phasic_engine::distribution::Distribution;
use phasic_engine::plan::{Limits, Plan};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use workloads::{Workload, build, names};

const DEFAULT_SAMPLES: usize = 7;
/// Observations of a likelihood: the quantiles of (k + 1/2)/1000.
const OBSERVATIONS: u32 = 1000;
/// A sample repeats a short stage until it has taken this long.
const SAMPLE_SECONDS: f64 = 5e-3;

fn main() -> Result<(), Box<dyn Error>> {
    let samples = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => DEFAULT_SAMPLES,
    };
    let only = std::env::args().nth(2);
    for (name, n) in names().into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
        let workload = build(&name, n).ok_or("every name has a workload")?;
        println!("{}", measure(&workload, samples)?);
    }
    Ok(())
}

fn measure(workload: &Workload, samples: usize) -> Result<serde_json::Value, Box<dyn Error>> {
    let plan = Plan::analyze(&workload.graph, &Limits::default())?;
    let mean = workload.moments[0];
    let grid: Vec<f64> = (1..=100).map(|k| 0.02 * f64::from(k) * mean).collect();
    let mut distribution = plan.distribution(&workload.theta)?;
    let found = distribution.pdf(&grid)?;
    let tight = plan.distribution(&workload.theta)?.tolerance(1e-14)?.pdf(&grid)?;
    let peak = tight.iter().fold(0.0_f64, |most, &value| most.max(value));
    let change = found.iter().zip(&tight).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / peak;
    let pdf = median(samples, || pdf100(&mut distribution, workload, &grid))?;
    let cdf = median(samples, || cdf100(&mut distribution, workload, &grid))?;
    let shares: Vec<f64> =
        (0..OBSERVATIONS).map(|k| (f64::from(k) + 0.5) / f64::from(OBSERVATIONS)).collect();
    let likelihood = plan.likelihood(&plan.distribution(&workload.theta)?.quantile(&shares)?)?;
    let value = median(samples, || Ok(black_box(likelihood.value(&workload.theta)).map(drop)?))?;
    let gradient =
        median(samples, || Ok(black_box(likelihood.value_and_gradient(&workload.theta)).map(drop)?))?;
    Ok(json!({
        "workload": workload.name, "n": workload.n, "vertices": workload.graph.vertex_count(),
        "edges": workload.graph.edge_count(), "pdf100_s": pdf, "change_of_peak": change,
        "cdf100_s": cdf, "likelihood1000_s": value, "likelihood1000_gradient_s": gradient,
    }))
}

fn pdf100(
    distribution: &mut Distribution<'_>,
    workload: &Workload,
    grid: &[f64],
) -> Result<(), Box<dyn Error>> {
    distribution.set(black_box(&workload.theta))?;
    black_box(distribution.pdf(grid)?);
    Ok(())
}

fn cdf100(
    distribution: &mut Distribution<'_>,
    workload: &Workload,
    grid: &[f64],
) -> Result<(), Box<dyn Error>> {
    distribution.set(black_box(&workload.theta))?;
    black_box(distribution.cdf(grid)?);
    Ok(())
}

/// Median processor time of one run, in seconds.
fn median(
    samples: usize,
    mut run: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut seconds = Vec::with_capacity(samples);
    for _ in 0..samples {
        let (begin, mut runs) = (processor_seconds(), 0_u32);
        loop {
            run()?;
            runs += 1;
            let spent = processor_seconds() - begin;
            if spent >= SAMPLE_SECONDS {
                seconds.push(spent / f64::from(runs));
                break;
            }
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
