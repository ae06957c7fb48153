//! The command line of `phasic transform`, and its help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use phasic_engine::distribution;
use serde::{Deserialize, Serialize};

use super::ModelArguments;

pub(super) const LONG_ABOUT: &str = "\
Make another model of a model, or of several.

The result is a graph (phasic-graph/1), which every command takes as MODEL. Discretized and composed graphs, first \
passages and other starts keep their parameters; reward transforms and graphs of matrices have none.";

pub(super) const EXAMPLES: &str = "\
Examples:
  phasic transform rewards builtin:kingman --theta 1 --rewards 0,5,4,3,2,0 -o length.json
  phasic transform sum builtin:kingman builtin:erlang -o both.json
  phasic transform matrices builtin:kingman --theta 2
  phasic transform discretize builtin:kingman --rate 0.1 | phasic eval - --quantity quantile=0.5";

const MATRICES_LONG: &str = "\
Make the graph of a distribution given by its matrices.

FILE is JSON: {\"initial\": [0.5, 0.5], \"transient\": [[-2, 1], [0, -3]]}, with the sub-intensity matrix as rows. Also known \
are \"atom\" (the probability to be absorbed at once), \"deficit\" (as --deficit, which goes first), \"exit\" (rates into \
absorption, where they are known better than as what rows lack to 0), \"states\" (integers by vertex) and \"discrete\": true, \
for a matrix of jump probabilities. What 'transform matrices' prints is read back as the same distribution.";

const NORMALIZE_LONG: &str = "\
Make the process at given parameters one that leaves every vertex at rate 1.

Each weight is divided by the rate of its vertex, those of the start too. What a unit of time was worth, 1/rate, goes to the \
file of --worth: under these --rewards the total is distributed as the time of the model.

With --discrete weights are read as probabilities of a jump, and what those of a vertex lack to 1 as the probability to \
stay: the result is in discrete time, and a stay leads over a vertex of its own. Under the rewards of --worth, 1 for each \
vertex but 0 for these, totals are numbers of jumps of the process with stays.";

#[derive(Args, Debug)]
pub(crate) struct TransformArguments {
    #[command(subcommand)]
    pub(crate) kind: Transform,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Transform {
    /// The total reward as a time to absorption
    Rewards(RewardsArguments),
    /// Discrete time: events instead of times, with one more parameter
    Discretize(DiscretizeArguments),
    /// The process at rate 1 everywhere, or in discrete time with its stays as vertices
    #[command(long_about = NORMALIZE_LONG)]
    Normalize(NormalizeArguments),
    /// The time until one of some vertices is reached
    Passage(PassageArguments),
    /// The same process from other vertices on
    Start(StartArguments),
    /// A start whose probabilities sum to 1
    Settle(SettleArguments),
    /// One process after the other
    Sum(CompositionArguments),
    /// The first of independent processes to end
    Minimum(CompositionArguments),
    /// The last of independent processes to end
    Maximum(CompositionArguments),
    /// The K-th of independent processes to end
    Order(OrderArguments),
    /// One of some processes, chosen with given probabilities
    Mixture(MixtureArguments),
    /// Print a model as matrices: initial probabilities, sub-intensities, exit rates
    Matrices(MatricesArguments),
    /// Make the graph of a distribution given by its matrices
    #[command(long_about = MATRICES_LONG)]
    FromMatrices(FromMatricesArguments),
}

#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RewardsArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Reward per vertex (the start included), as 0,1,2 or @FILE; in discrete time whole numbers
    #[arg(long, value_name = "REWARDS", allow_hyphen_values = true)]
    pub(crate) rewards: String,
    /// Parameters, as 0.5,2 or @FILE [default: the model as built, all ones]
    #[arg(long, value_name = "THETA", allow_hyphen_values = true)]
    pub(crate) theta: Option<String>,
    /// Leave out paths that collect nothing, instead of absorbing them at once
    #[arg(long)]
    pub(crate) condition: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct DiscretizeArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Rate of the new event in every vertex, between 0 and 1
    #[arg(long)]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct NormalizeArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Parameters, as 0.5,2 or @FILE [default: the model as built, all ones]
    #[arg(long, value_name = "THETA", allow_hyphen_values = true)]
    pub(crate) theta: Option<String>,
    /// Weights are probabilities of a jump, and what a vertex lacks to 1 that to stay
    #[arg(long)]
    pub(crate) discrete: bool,
    /// Write what time is worth in each vertex (a visit, with --discrete), as a vector for --rewards @FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) worth: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct PassageArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// The vertices, such as 3,4
    #[arg(long, value_name = "VERTICES", value_delimiter = ',', required = true)]
    pub(crate) to: Vec<u32>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Vertices with their probabilities, such as 3:0.5,4:0.5; a vertex alone has probability 1
    #[arg(long, value_name = "VERTEX:PROBABILITY", value_delimiter = ',', required = true)]
    pub(crate) at: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct SettleArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// What initial probability that is missing to 1 becomes
    #[arg(long, value_enum, default_value_t = DeficitChoice::Refuse)]
    pub(crate) deficit: DeficitChoice,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct CompositionArguments {
    /// Two models or more: files, builtin:NAME, or compute ids or hashes
    #[arg(value_name = "MODEL", num_args = 2.., required = true)]
    pub(crate) models: Vec<String>,
    /// All models have the same parameters; else the result has those of the first, then those of the second, …
    #[arg(long)]
    pub(crate) shared: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct OrderArguments {
    /// Two models or more, or one with --copies: files, builtin:NAME, or compute ids or hashes
    #[arg(value_name = "MODEL", num_args = 1.., required = true)]
    pub(crate) models: Vec<String>,
    /// All models have the same parameters; else the result has those of the first, then those of the second, …
    #[arg(long)]
    pub(crate) shared: bool,
    /// So many independent copies of one model with the same parameters, in far fewer states
    #[arg(long, value_name = "COUNT", conflicts_with = "shared")]
    pub(crate) copies: Option<usize>,
    /// Which, from 1, the first to end
    #[arg(long, value_name = "K")]
    pub(crate) rank: usize,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct MixtureArguments {
    #[command(flatten)]
    pub(crate) composition: CompositionArguments,
    /// Probability of each model, such as 0.3,0.7
    #[arg(long)]
    pub(crate) weights: String,
}

#[derive(Args, Debug)]
pub(crate) struct MatricesArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Parameters, as 0.5,2 or @FILE [default: the model as built, all ones]
    #[arg(long, value_name = "THETA", allow_hyphen_values = true)]
    pub(crate) theta: Option<String>,
    /// Vertices in phasic's order of elimination, as its as_matrices() has them, instead of by number
    #[arg(long)]
    pub(crate) compat: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct FromMatricesArguments {
    /// The JSON file; '-' for standard input
    pub(crate) file: PathBuf,
    /// What initial probability that is missing to 1 means [default: what the file says, or refuse]
    #[arg(long, value_enum)]
    pub(crate) deficit: Option<DeficitChoice>,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What missing initial probability means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeficitChoice {
    /// A mistake
    Refuse,
    /// It is absorbed at once
    Atom,
    /// The rest is divided by its sum
    Condition,
    /// It never starts
    Keep,
}

impl From<DeficitChoice> for distribution::Deficit {
    fn from(choice: DeficitChoice) -> Self {
        match choice {
            DeficitChoice::Refuse => Self::Refuse,
            DeficitChoice::Atom => Self::Atom,
            DeficitChoice::Condition => Self::Condition,
            DeficitChoice::Keep => Self::Keep,
        }
    }
}
