//! Stages of distributions: densities, likelihoods and samples.

use std::hint::black_box;

use phasic_engine::plan::Plan;

use super::Failure;
use super::stages::{Run, each, together};

/// All of them.
pub(crate) const STAGES: [&str; 5] = ["pdf", "cdf", "sample", "likelihood", "likelihood_gradient"];
/// Observations of a likelihood: the quantiles of (k + 1/2)/1000.
const OBSERVATIONS: u32 = 1000;
/// Samples of one run, and how many θ are moved through.
pub(crate) const SAMPLES: usize = 1000;
const THETAS: usize = 64;

/// A stage that is ready to run: pdf and cdf are those at the grid of `bench/workloads.json`, 100 times from 0.02 to 2
/// means, for a new θ each time.
pub(crate) fn ready<'a>(
    plan: &'a Plan,
    theta: &'a [f64],
    mean: f64,
    stage: &str,
) -> Result<Run<'a>, Failure> {
    let grid: Vec<f64> = (1..=100).map(|k| 0.02 * f64::from(k) * mean).collect();
    let mut draws = 0;
    let mut next = move || {
        draws = (draws + 1) % THETAS;
        super::stages::swept(theta, draws)
    };
    Ok(match stage {
        "pdf" | "cdf" => {
            let (mut law, density) = (plan.distribution(theta)?, stage == "pdf");
            together(move || {
                law.set(&next())?;
                Ok(if density { law.pdf(black_box(&grid))? } else { law.cdf(black_box(&grid))? })
            })
        }
        "sample" => {
            let sampler = plan.sampler(theta)?;
            let mut seed = 0;
            each(move || {
                seed += 1;
                Ok(sampler.times(seed, SAMPLES)?)
            })
        }
        _ => {
            let shares: Vec<f64> =
                (0..OBSERVATIONS).map(|k| (f64::from(k) + 0.5) / f64::from(OBSERVATIONS)).collect();
            let likelihood = plan.likelihood(&plan.distribution(theta)?.quantile(&shares)?)?;
            let gradient = stage == "likelihood_gradient";
            each(move || {
                Ok(if gradient {
                    likelihood.value_and_gradient(black_box(theta))?
                } else {
                    (likelihood.value(black_box(theta))?, Vec::new())
                })
            })
        }
    })
}
