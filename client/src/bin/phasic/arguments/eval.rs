//! The command line of `phasic eval`, and its help.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use phasic_engine::distribution;

use super::ModelArguments;

pub(super) const LONG_ABOUT: &str = "\
Compute numbers: moments, densities, likelihoods, samples and more.

Quantities (--quantity, may be repeated; without any: expectation and variance):

  expectation, variance, moments=K    of the time to absorption, or of the total of --rewards
  factorial-moments=K                 E[N(N-1)...] of the number of jumps N, in discrete time
  covariance, correlation             of two --rewards; of more, all of them as rows
  waiting-time, waiting-time=V        expected, from each vertex, or from vertices V such as 1,4
  sojourn, sojourn=V                  expected in each vertex, or in vertices V
  pdf=T, cdf=T, survival=T, hazard=T  of the time to absorption, or of the total of --rewards
  quantile=P, laplace=S               at probabilities P; at real numbers S from 0 on
  stop-probability=T                  of being in each vertex at each time
  visiting-time=T                     expected in each vertex until each time
  loglik=DATA                         log-likelihood of observations; 2.5+ is one still alive at 2.5
  sample=N                            draws of the time, or of the totals of --rewards

T, P and S are numbers like 0.5,2; evenly spaced ones, FROM:TO:COUNT, like 0:10:101, both ends included; or @FILE with \
numbers by lines or commas. DATA is written likewise, but has no FROM:TO:COUNT. A vector (THETA, REWARDS) is 0.5,2 or @FILE \
with one vector a line.

In discrete time T are numbers of jumps, pmf is another name for pdf, and sojourn, visiting-time and rewards count visits.

Numbers come from an elimination of our own and exact uniformization, and are right also where phasic's are not: parallel \
edges, overloaded queues, variances in discrete time. With --compat phasic's own elimination and its fixed steps are run \
instead and give phasic's numbers, in discrete time its wrong variance and covariance, too; quantile and sample, which \
phasic has none or only random ones of, stay exact; laplace is phasic's, with a warning, for one parameter at most. With --artifact that very file is used, after \
verification: a program is replayed and gives expected totals and moments, a plan is evaluated.

Initial probabilities that do not sum to 1: moments, waiting times and samples are always those of a process that starts. \
Everything else takes them as given, unless --start conditional divides them by their sum.

Vertices that cannot be reached have no waiting time; their place says nan. --grad adds exact gradients with respect to the \
parameters: of expectation, variance, moments, covariance, pdf, cdf, survival and loglik.";

pub(super) const EXAMPLES: &str = "\
Examples:
  phasic eval builtin:kingman --theta 1 --theta 0.5 --quantity cdf=0.5,1,2
  phasic eval builtin:kingman --theta 1 --theta 2 --quantity pdf=0:5:201 --plot kingman.svg
  phasic eval builtin:kingman --theta 1 --quantity loglik=@times.csv --grad --json
  phasic eval builtin:kingman --theta 1 --quantity pdf=0.5,2 --rewards 0,5,4,3,2,0
  phasic eval builtin:kingman --theta 1 --epoch 0.5:3 --quantity survival=0:2:5
  phasic eval builtin:kingman --theta 1 --quantity sample=1000 --seed 7

With --json the answer is a list with an object for each THETA: its keys are the quantities, 'at' has the numbers they \
were asked at, 'gradient' the gradients. stop-probability and visiting-time are a list by vertex for one time, a list of \
such lists for more.";

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct EvalArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Parameters, as 0.5,2 or @FILE with one vector a line; may be repeated [default: the model as built, all ones]
    #[arg(long, value_name = "THETA", allow_hyphen_values = true)]
    pub(crate) theta: Vec<String>,
    /// Use this file, a program or a plan, instead of eliminating anew
    #[arg(long, value_name = "FILE")]
    pub(crate) artifact: Option<PathBuf>,
    /// What to compute, such as moments=4 or pdf=0:10:101; may be repeated [default: expectation, variance]
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) quantity: Vec<String>,
    /// Reward per vertex (the start included), written like THETA; twice or more for covariances
    #[arg(long, value_name = "REWARDS", allow_hyphen_values = true)]
    pub(crate) rewards: Vec<String>,
    /// Also give the gradient of each quantity with respect to the parameters
    #[arg(long, conflicts_with = "artifact")]
    pub(crate) grad: bool,
    /// Other parameters from a time on, such as 1.5:0.3,2; may be repeated, times ascending
    #[arg(long, value_name = "FROM:THETA", conflicts_with_all = ["compat", "artifact"])]
    pub(crate) epoch: Vec<String>,
    /// What initial probabilities that do not sum to 1 mean for functions of time
    #[arg(long, value_enum, default_value_t = StartChoice::Given)]
    pub(crate) start: StartChoice,
    /// Largest error of functions of time, as a share of the density's peak (of 1 for probabilities) [default: 1e-10]
    #[arg(long, value_name = "SHARE", conflicts_with = "compat")]
    pub(crate) tolerance: Option<f64>,
    /// Seed of samples; the same one gives the same samples, at every THETA
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Sample what comes after this time, of processes alive then
    #[arg(long, value_name = "TIME")]
    pub(crate) alive_at: Option<f64>,
    /// Sample paths that begin in these vertices instead, in proportion, such as 3:0.5,4:0.5
    #[arg(long, value_name = "VERTEX:PROBABILITY", value_delimiter = ',', conflicts_with = "alive_at")]
    pub(crate) started_in: Vec<String>,
    /// Most jumps that a question may go through, or 2048 samples together [default: 10^9, in discrete time 10^8]
    #[arg(long, value_name = "COUNT", conflicts_with = "compat")]
    pub(crate) max_jumps: Option<u64>,
    /// Numbers as phasic itself computes them, with its faults; totals to the last bit
    #[arg(long, conflicts_with_all = ["artifact", "grad"])]
    pub(crate) compat: bool,
    /// Steps per unit of time of phasic's scheme; 0 leaves the choice to it
    #[arg(long, value_name = "STEPS", requires = "compat", default_value_t = 0)]
    pub(crate) granularity: u32,
    /// Also draw the functions of time that are asked for, a curve for each THETA
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Also draw them in the terminal, a line each
    #[arg(long, conflicts_with_all = ["json", "ndjson"])]
    pub(crate) spark: bool,
    /// Print a JSON object a line for each THETA, as soon as it is known
    #[arg(long, conflicts_with = "json")]
    pub(crate) ndjson: bool,
}

/// What becomes of initial probabilities that do not sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartChoice {
    /// They are as they are given: what is missing never starts, as in phasic
    Given,
    /// They are divided by their sum
    Conditional,
}

impl From<StartChoice> for distribution::Start {
    fn from(choice: StartChoice) -> Self {
        match choice {
            StartChoice::Given => Self::AsGiven,
            StartChoice::Conditional => Self::Conditional,
        }
    }
}
