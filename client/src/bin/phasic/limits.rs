//! How much a command may use: the flags that bound it, and the advice that names a flag when its bound is reached.
//!
//! Flags and sentences only; the engine does the counting.

use std::str::FromStr;

use clap::Args;
use phasic_engine::distribution::{DistributionError, SamplingError, TransformError};
use phasic_engine::document::Problem;
use phasic_engine::graph::{GraphError, GraphLimits};
use phasic_engine::model::{DEFAULT_STEPS, ModelProblem};
use phasic_engine::plan::{self, AnalysisError};
use phasic_engine::state_space::StateSpaceError;
use phasic_engine::trace::{self, EliminationError};
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::VerificationError;

/// Programs number their commands in 32 bits.
const MOST_COMMANDS: u64 = u32::MAX as u64;

/// Bounds given on the command line; the engine's own where none is.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Most memory for a graph, and again for its elimination, such as 8GiB [default: 8GiB, 4GiB]
    #[arg(long, global = true, value_name = "SIZE", hide_short_help = true)]
    memory: Option<Size>,
    /// Most vertices of a graph [default: 2^26]
    #[arg(long, global = true, value_name = "COUNT", hide_short_help = true)]
    max_vertices: Option<u32>,
    /// Most edges of a graph [default: 2^28]
    #[arg(long, global = true, value_name = "COUNT", hide_short_help = true)]
    max_edges: Option<u32>,
    /// Most evaluation steps for building a graph from a model document [default: 20000000000, about a minute]
    #[arg(long, global = true, value_name = "COUNT", hide_short_help = true)]
    max_steps: Option<u64>,
    /// Most commands of a program, phasic's or ours [default: 2^30; for a forecast 2^32-1, the most there can be]
    #[arg(long, global = true, value_name = "COUNT", hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MOST_COMMANDS))]
    max_commands: Option<u64>,
    /// Most multiply-adds of our own elimination [default: 2^37, about a minute]
    #[arg(long, global = true, value_name = "COUNT", hide_short_help = true)]
    max_multiply_adds: Option<u64>,
}

impl Limits {
    /// For building or reading a graph.
    pub(crate) fn graph(&self) -> GraphLimits {
        let own = GraphLimits::default();
        own.with_vertices(self.max_vertices.unwrap_or(own.vertices))
            .with_edges(self.max_edges.unwrap_or(own.edges))
            .with_memory_bytes(self.memory.map_or(own.memory_bytes, |size| size.bytes))
    }

    /// For evaluating the rules of a model document.
    pub(crate) fn steps(&self) -> u64 {
        self.max_steps.unwrap_or(DEFAULT_STEPS)
    }

    /// For phasic's elimination.
    pub(crate) fn elimination(&self) -> trace::Limits {
        let own = trace::Limits::default();
        own.with_commands(self.max_commands.unwrap_or(own.commands))
            .with_memory_bytes(self.memory.map_or(own.memory_bytes, |size| size.bytes))
    }

    /// For counting the commands of phasic's elimination, which takes no memory for each of them.
    pub(crate) fn forecast(&self) -> trace::Limits {
        self.elimination().with_commands(self.max_commands.unwrap_or(MOST_COMMANDS))
    }

    /// For our own elimination.
    pub(crate) fn analysis(&self) -> plan::Limits {
        let own = plan::Limits::default();
        own.with_multiply_adds(self.max_multiply_adds.unwrap_or(own.multiply_adds))
            .with_commands(self.max_commands.unwrap_or(own.commands))
            .with_memory_bytes(self.memory.map_or(own.memory_bytes, |size| size.bytes))
    }
}

/// An error, and below it the flag that raises the limit it is about, if it is about one.
pub(crate) fn advised(error: &impl ToString, flag: Option<&str>) -> String {
    let text = error.to_string();
    match flag {
        Some(flag) => format!("{}\n{flag} raises this limit", text.trim_end()),
        None => text,
    }
}

/// The flag that raises the limit a document has reached.
pub(crate) fn flag_of_problem(problem: &Problem) -> Option<&'static str> {
    match problem {
        Problem::Model(ModelProblem::Steps { .. }) => Some("--max-steps"),
        Problem::Graph(error)
        | Problem::StateSpace(StateSpaceError::Graph(error))
        | Problem::Transition { source: StateSpaceError::Graph(error), .. } => flag_of_graph(error),
        _ => None,
    }
}

/// The flag that raises the limit that a graph made of others has reached.
pub(crate) fn flag_of_transform(error: &TransformError) -> Option<&'static str> {
    match error {
        TransformError::Graph(error) => flag_of_graph(error),
        _ => None,
    }
}

/// The flag that raises the limit that a question about a distribution has reached.
pub(crate) fn flag_of_distribution(error: &DistributionError) -> Option<&'static str> {
    match error {
        DistributionError::Jumps { .. } | DistributionError::JumpLimit { .. } => Some("--max-jumps"),
        DistributionError::Epoch { error, .. } | DistributionError::Row { error, .. } => {
            flag_of_distribution(error)
        }
        _ => None,
    }
}

/// The flag that raises the limit that sampling has reached.
pub(crate) fn flag_of_sampling(error: &SamplingError) -> Option<&'static str> {
    match error {
        SamplingError::Steps { .. } => Some("--max-jumps"),
        SamplingError::Memory { .. } => Some("--memory"),
        SamplingError::Distribution(error) => flag_of_distribution(error),
        _ => None,
    }
}

fn flag_of_graph(error: &GraphError) -> Option<&'static str> {
    match error {
        GraphError::Limit { what: "vertices", .. } => Some("--max-vertices"),
        GraphError::Limit { what: "edges", .. } => Some("--max-edges"),
        GraphError::Limit { .. } => Some("--memory"),
        _ => None,
    }
}

/// The flag that raises the limit an elimination in phasic's order has reached; none raises the highest there is.
pub(crate) fn flag_of_elimination(error: &EliminationError) -> Option<&'static str> {
    match error {
        EliminationError::Memory { .. } => Some("--memory"),
        EliminationError::Commands { limit, .. } if *limit < MOST_COMMANDS => Some("--max-commands"),
        _ => None,
    }
}

/// The flag that raises the limit our own elimination has reached.
pub(crate) fn flag_of_analysis(error: &AnalysisError) -> Option<&'static str> {
    match error {
        AnalysisError::Memory { .. } => Some("--memory"),
        AnalysisError::Commands { .. } => Some("--max-commands"),
        AnalysisError::Work { .. } | AnalysisError::Ordering { .. } => Some("--max-multiply-adds"),
        _ => None,
    }
}

/// The flag that raises the limit that kept a file from being verified.
pub(crate) fn flag_of_refusal(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Program(VerificationError::TooLarge(error)) => flag_of_elimination(error),
        _ => None,
    }
}

/// A number of bytes, written `8GiB`, `500MB` or `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    bytes: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let unit: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            "tib" => Some(1 << 40),
            "kb" => Some(1_000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "tb" => Some(1_000_000_000_000),
            _ => None,
        };
        let count = count.parse::<u64>().ok();
        count
            .zip(unit)
            .and_then(|(count, unit)| count.checked_mul(unit))
            .map(|bytes| Self { bytes })
            .ok_or_else(|| {
                "write a whole number with a unit, such as 8GiB or 500MB; without one it is bytes".to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, bytes) in [
            ("8GiB", 8 << 30),
            ("8 gib", 8 << 30),
            ("500MB", 500_000_000),
            ("3KiB", 3072),
            ("2TB", 2_000_000_000_000),
            ("17", 17),
            ("17B", 17),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Size { bytes }), "{text}");
        }
        for text in ["", "GiB", "8G", "1.5GiB", "-1", "+1", "99999999999TiB", "18446744073709551616"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn without_flags_the_engine_decides_and_a_forecast_counts_as_far_as_there_are_numbers() {
        let none = Limits::default();
        assert_eq!(none.graph(), GraphLimits::default());
        assert_eq!(none.steps(), DEFAULT_STEPS);
        assert_eq!(none.elimination(), trace::Limits::default());
        assert_eq!(none.analysis(), plan::Limits::default());
        assert_eq!(none.forecast(), trace::Limits::default().with_commands((1 << 32) - 1));
    }

    #[test]
    fn each_flag_reaches_the_limit_it_names() {
        let given = Limits {
            memory: Some(Size { bytes: 1 }),
            max_vertices: Some(2),
            max_edges: Some(3),
            max_steps: Some(4),
            max_commands: Some(5),
            max_multiply_adds: Some(6),
        };
        let graph = GraphLimits::default().with_memory_bytes(1).with_vertices(2).with_edges(3);
        assert_eq!(given.graph(), graph);
        assert_eq!(given.steps(), 4);
        let elimination = trace::Limits::default().with_memory_bytes(1).with_commands(5);
        assert_eq!((given.elimination(), given.forecast()), (elimination, elimination));
        let analysis = plan::Limits::default().with_memory_bytes(1).with_commands(5).with_multiply_adds(6);
        assert_eq!(given.analysis(), analysis);
    }

    #[test]
    fn no_flag_is_promised_to_raise_the_highest_limit() {
        let error = |limit| EliminationError::Commands { limit, vertices_done: 0, vertices: 1 };
        assert_eq!(flag_of_elimination(&error(MOST_COMMANDS)), None);
        assert_eq!(flag_of_elimination(&error(MOST_COMMANDS - 1)), Some("--max-commands"));
    }
}
