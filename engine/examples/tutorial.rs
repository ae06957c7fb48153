//! The tutorial of `docs/eval.md` in Rust: the same models, the same numbers.
//!
//! ```text
//! cargo run -p phasic-engine --example tutorial
//! ```
//!
//! Each number is held to what the tutorial prints; `cargo test -p phasic-engine --example tutorial` does that and no more.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;

use phasic_engine::distribution::{Listing, RewardOptions, Start, StepScheme, matrices, reward_transform};
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::model::find;
use phasic_engine::plan::{Limits, Plan};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    functions_of_time()?;
    rewards()?;
    fitting()?;
    rates_that_change()?;
    discrete_time()?;
    samples()?;
    starts()?;
    other_models()?;
    fixed_steps()
}

/// A model of the library, with other constants.
fn model(name: &str, constants: &[(&str, i64)]) -> Result<Graph, Box<dyn Error>> {
    let mut document = find(name).ok_or("the library has this model")?.read()?;
    for &(constant, value) in constants {
        document = document.with_constant(constant, value)?;
    }
    Ok(document.build(&GraphLimits::default())?)
}

fn plan(graph: &Graph) -> Result<Plan, Box<dyn Error>> {
    Ok(Plan::analyze(graph, &Limits::default())?)
}

/// Prints numbers, which must be those of the tutorial to ten digits.
fn show(what: &str, found: &[f64], tutorial: &[f64]) -> Outcome {
    println!("{what}: {found:?}");
    let near = |(found, wanted): (&f64, &f64)| (found - wanted).abs() <= 1e-10 * wanted.abs().max(1e-3);
    if found.len() == tutorial.len() && found.iter().zip(tutorial).all(near) {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, but the tutorial has {tutorial:?}").into())
}

/// Five samples find their common ancestor.
fn functions_of_time() -> Outcome {
    let plan = plan(&model("kingman", &[])?)?;
    let law = plan.distribution(&[1.0])?;
    show("expectation", &[law.expectation()?], &[1.6])?;
    let curve = law.curve(&[1.0, 2.0])?;
    show("cdf", &curve.cdf, &[0.334_129_367_803_570_7, 0.732_867_436_105_917_6])?;
    show("pdf", &curve.pdf, &[0.529_789_560_203_636_4, 0.260_065_774_023_748_3])?;
    show("median", &law.quantile(&[0.5])?, &[1.335_996_752_300_830_3])?;
    let survival = law.survival(&[0.0, 1.0, 2.0, 3.0, 4.0])?;
    let wanted = [1.0, 0.665_870_632_196, 0.267_132_563_894, 0.099_397_844_630_6, 0.036_622_500_350_1];
    show("survival", &survival, &wanted)?;
    // One θ after the other, on all threads.
    let erlang = self::plan(&model("erlang", &[("stages", 2)])?)?;
    let thetas = ndarray::array![[1.0], [2.0]];
    let table = erlang.distribution(&[1.0])?.cdf_batch(&thetas.view(), &[1.0])?;
    show("cdf of each θ", &table.column(0).to_vec(), &[0.264_241_117_657, 0.593_994_150_290])
}

/// The total length of a genealogy.
fn rewards() -> Outcome {
    let graph = model("kingman", &[])?;
    let lineages = [0.0, 5.0, 4.0, 3.0, 2.0, 0.0];
    let plan = plan(&graph)?;
    let law = plan.distribution(&[1.0])?;
    show("length", &[law.reward_expectation(&lineages)?], &[25.0 / 6.0])?;
    // Functions of a total reward are those of the time to absorption of another graph: (1 − e^(−t/2))⁴.
    let length = reward_transform(&graph, &[1.0], &lineages, &RewardOptions::default())?;
    let length = self::plan(&length)?;
    let cdf = length.distribution(&[1.0])?.cdf(&[2.0, 4.0])?;
    show("cdf of the length", &cdf, &[2.0_f64, 4.0].map(|t| (1.0 - (-t / 2.0).exp()).powi(4)))
}

/// Two times to failure, and a unit that was still alive at 2.5.
fn fitting() -> Outcome {
    let plan = plan(&model("hypoexponential", &[("stages", 2)])?)?;
    let likelihood = plan.censored_likelihood(&[0.4, 1.1], &[2.5])?;
    let (value, gradient) = likelihood.value_and_gradient(&[1.0, 3.0])?;
    show("log-likelihood", &[value], &[-3.499_907_512_011_635])?;
    show("its gradient", &gradient, &[-0.971_336_542_316_117_2, -0.030_164_149_767_141_26])
}

/// A hazard of 1 until time 2, then of 3; a population that shrinks to a quarter at time 1.
fn rates_that_change() -> Outcome {
    let lamp = plan(&model("erlang", &[("stages", 1)])?)?;
    let epochs = lamp.epochs(&[2.0], &[[1.0], [3.0]])?;
    show("expectation", &[epochs.expectation()?], &[0.909_776_477_842_258_1])?;
    show("survival", &epochs.survival(&[3.0])?, &[(-5.0_f64).exp()])?;
    let (value, gradient) = epochs.log_likelihood_gradient(&[3.0], &[])?;
    show("log-likelihood", &[value], &[3.0_f64.ln() - 5.0])?;
    show("its gradient, epoch by epoch", gradient.as_slice().unwrap_or_default(), &[-2.0, -2.0 / 3.0])?;
    let pair = plan(&model("kingman", &[("n", 2)])?)?;
    let epochs = pair.epochs(&[1.0], &[[1.0], [4.0]])?;
    let length = [0.0, 2.0, 0.0];
    show("mean length", &[epochs.reward_expectation(&length)?], &[2.0 - 1.5 / 1.0_f64.exp()])?;
    show("its variance", &[epochs.reward_variance(&length)?], &[0.936_399_803_931_804])
}

/// A chain watched at ticks: numbers of jumps.
fn discrete_time() -> Outcome {
    let plan = plan(&model("constant_chain_ticks", &[])?)?;
    let law = plan.jumps(&vec![1.0; plan.param_length()])?;
    show("moments", &law.moments(2)?, &[2.933_333_333_333_333, 11.128_888_888_888_89])?;
    show("variance", &[law.variance()?], &[2.524_444_444_444_446_5])?;
    let pmf = law.pmf(&[0, 1, 2, 3, 4])?;
    show("pmf", &pmf, &[0.0, 0.0, 0.669_642_857_142_857_2, 0.0, 0.233_179_209_183_673_5])
}

fn samples() -> Outcome {
    let plan = plan(&model("kingman", &[])?)?;
    let times = plan.sampler(&[1.0])?.times(7, 3)?;
    show("samples", &times, &[2.080_195_515_920_975, 0.793_493_041_255_396, 1.579_655_956_979_129_3])
}

/// 0.2 of 1 never starts, unless everything is conditional on starting.
fn starts() -> Outcome {
    let plan = plan(&model("kingman_defective_start", &[])?)?;
    let given = plan.distribution(&[1.0])?;
    show("cdf of what may never start", &given.cdf(&[1000.0])?, &[0.8])?;
    show("its Laplace transform at 0", &given.laplace(&[0.0])?, &[0.8])?;
    let started = given.start(Start::Conditional)?;
    show("cdf of what starts", &started.cdf(&[1000.0])?, &[1.0])
}

fn other_models() -> Outcome {
    let listed = matrices(&model("kingman", &[("n", 3)])?, &[2.0], Listing::Index)?;
    let dense = listed.transient.to_dense(1 << 20)?;
    show("sub-intensities", dense.as_slice().unwrap_or_default(), &[-6.0, 6.0, 0.0, -2.0])?;
    show("exit rates", &listed.exit, &[0.0, 2.0])
}

/// phasic's own numbers: its steps of 1/200.
fn fixed_steps() -> Outcome {
    let graph = model("kingman", &[])?;
    let scheme = StepScheme::new(&graph, &graph.weights(&[1.0])?, 200)?;
    show("pdf by fixed steps", &scheme.pdf(&[0.4, 1.6])?, &[0.305_429_011_754_110_5, 0.369_848_737_976_635_2])
}

#[test]
fn the_numbers_are_those_of_the_tutorial() {
    main().unwrap();
}
