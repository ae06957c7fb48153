//! The command line: every command, flag and help text, as data.
//!
//! Nothing is done here; `main` hands each command to the module of its name.
#![expect(clippy::doc_markdown, reason = "the doc comments here are help texts, read on a terminal")]

mod eval;
pub(crate) mod transform;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::limits::Limits;

pub(crate) use eval::EvalArguments;

const ABOUT: &str = "Prepare, check, evaluate and share phase-type models.";

const LONG_ABOUT: &str = "\
Prepare, check, evaluate and share phase-type models.

MODEL is a file with a model document (phasic-model/1), a graph (phasic-graph/1) or what phasic's own serialize() \
writes; '-' for standard input; builtin:NAME for a built-in model (see 'phasic models'); or the id or graph hash of a \
compute.

Results go to standard output, everything else to standard error.";

const AFTER_HELP: &str = "\
Settings: a flag, else the environment (PHASIC_HUB_URL, PHASIC_HUB_TOKEN, PHASIC_CACHE_DIR, PHASIC_HUB_LOCK_TIMEOUT in \
seconds), else ~/.config/phasic-hub/client.toml (hub_url, hub_token, cache_dir, lock_timeout_seconds).

Exit status: 0 done; 1 a plain no (not registered); 2 wrong usage or unreadable input; 3 hub or network trouble; \
4 verification failed, bytes refused.";

#[derive(Debug, Parser)]
#[command(name = "phasic", version, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Print machine-readable JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Address of the hub [default: http://127.0.0.1:8787]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Token for the hub; other users of this machine can see flags, so prefer PHASIC_HUB_TOKEN
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub(crate) token: Option<String>,
    /// Cache folder shared with phasic [default: ~/.phasic_cache]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the built-in models, or print one
    Models(ModelsArguments),
    /// Print the content hash of a model's graph
    Hash(ModelArguments),
    /// Print the built graph, or a picture of it
    Graph(GraphArguments),
    /// Say what an elimination will cost, without running it
    Forecast(ModelArguments),
    /// Run the elimination and write the artifact
    Eliminate(EliminateArguments),
    /// Check an artifact and say what is in it
    Inspect(InspectArguments),
    /// Compute numbers: moments, densities, likelihoods, samples and more
    #[command(long_about = eval::LONG_ABOUT, after_long_help = eval::EXAMPLES)]
    Eval(EvalArguments),
    /// Make another model of a model, or of several
    #[command(long_about = transform::LONG_ABOUT, after_long_help = transform::EXAMPLES)]
    Transform(transform::TransformArguments),
    /// List the hub's computes
    List(ListArguments),
    /// Show one compute of the hub
    Show(ShowArguments),
    /// Fetch a model's artifact into the cache, verified
    Pull(PullArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ModelsArguments {
    /// The built-in model to print
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ModelArguments {
    /// File, '-', builtin:NAME, or compute id or hash
    pub(crate) model: String,
    /// Give a constant of a model document another value; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Assignment>,
}

#[derive(Args, Debug)]
pub(crate) struct GraphArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write a DOT picture (for Graphviz) instead of phasic-graph/1
    #[arg(long, conflicts_with = "json")]
    pub(crate) dot: bool,
}

#[derive(Args, Debug)]
pub(crate) struct EliminateArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// File to write; '-' for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// File format
    #[arg(long, value_enum, default_value_t = Format::Ptdprmc3)]
    pub(crate) format: Format,
    /// Parameters whose run fills the memory section of a ptdprmc1 file, such as 0.5,2 [default: all ones]
    #[arg(long, value_name = "THETA", allow_hyphen_values = true)]
    pub(crate) theta: Option<String>,
    /// Elimination order of a ptdprmc file [default: phasic]
    #[arg(long, value_enum)]
    pub(crate) ordering: Option<Ordering>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The artifact file
    pub(crate) artifact: PathBuf,
    /// The model it was made for: the program or plan is then made anew and compared
    #[arg(long, value_name = "MODEL")]
    pub(crate) graph: Option<String>,
    /// Give a constant of a model document another value; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "graph")]
    pub(crate) set: Vec<Assignment>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only computes of this domain, such as population-genetics
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Only computes of this type, such as coalescent
    #[arg(long, value_name = "TYPE")]
    pub(crate) model_type: Option<String>,
    /// Only computes with this tag; may be repeated, all must be there
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Only computes with this text in their id, description or tags
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// Compute id or graph hash
    pub(crate) id: String,
}

#[derive(Args, Debug)]
pub(crate) struct PullArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Fetch and install again even if the artifact is in the cache
    #[arg(long)]
    pub(crate) force: bool,
}

/// The artifact formats that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What phasic's computation cache reads; depends on the model's structure only
    Ptdprmc3,
    /// What phasic publishes; also holds the numbers of one run
    Ptdprmc1,
    /// Our own analysis, for this command and its SDK: small, right for parallel edges; phasic does not read it
    Plan,
}

/// The elimination orders there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ordering {
    /// phasic's own: the same bytes as phasic writes
    Phasic,
    /// Ours: a fraction of the commands, the same answers, and right for parallel edges; phasic replays it, too
    Fast,
}

/// `NAME=VALUE` of `--set`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("write NAME=VALUE, for example n=5".to_owned()),
        }
    }
}
