//! Running a program that is not one of the graph's own beside the graph's plan, at θ drawn at random.
//!
//! One wrong number is proof against a program, and so it is even where none can be made anew to compare with. Right
//! numbers prove nothing (a program can be made wrong elsewhere), and open no door: they only tell whoever is refused
//! that his file was probably made with another order of elimination.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::graph::Graph;
use crate::plan::{self, Plan};
use crate::trace::{Observer, ReplayError, Trace};

/// At how many θ a program is run.
const RUNS: u32 = 4;

/// How many θ are drawn to find those: some may make weights negative.
const DRAWS: u32 = 8 * RUNS;

/// Larger relative differences are those of another program. Eliminations that subtract lose digits, but hardly that many
/// at the rates that are drawn.
const DIFFERENT: f64 = 1e-6;

/// How many parameters a sentence names.
const NAMED: usize = 8;

/// What came of running a refused program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Trial {
    /// It gave the graph's expected times from all vertices, in each run, to six digits.
    Agrees {
        /// Runs, each at a θ of its own.
        runs: u32,
    },
    /// It gave another number.
    Disagrees(Disagreement),
    /// It was not run: there is no plan of this size, or no θ was found that the graph takes.
    NotRun,
}

/// Where a program gives another number than the graph's plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// The parameters.
    pub theta: Vec<f64>,
    /// The vertex from which the expected time to absorption is another.
    pub vertex: u32,
    /// The plan's time, which is right.
    pub expected: f64,
    /// The program's; NaN when it gives none.
    pub found: f64,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("at θ = (")?;
        for (number, value) in self.theta.iter().take(NAMED).enumerate() {
            write!(f, "{}{value}", if number == 0 { "" } else { ", " })?;
        }
        let more = if self.theta.len() > NAMED { ", …" } else { "" };
        let Self { vertex, expected, found, .. } = self;
        write!(f, "{more}) it gives {found} as the expected time from vertex {vertex}, which is {expected}")
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees { runs } => write!(
                f,
                "in {runs} run{} at θ drawn at random it gives this graph's expected times, so it was probably made with \
                 another order of elimination; but that shows nothing of other θ",
                if *runs == 1 { "" } else { "s" }
            ),
            Self::Disagrees(disagreement) => write!(
                f,
                "{disagreement}: it was made for another graph or another order of edges, or tampered with"
            ),
            Self::NotRun => f.write_str(
                "it was made for another order of edges, with another order of elimination, or tampered with",
            ),
        }
    }
}

/// Runs a program beside the plan of `graph` at θ that follow from the file's digest, so that the same file has the same
/// answer anywhere: rates between 1/16 and 16.
///
/// One analysis within `limits`, and linear in the commands for each run. The rows of a run take 16 bytes each; a program
/// with more of them than memory allows is not run.
pub(super) fn run(
    trace: &Trace,
    bytes: &[u8],
    graph: &Graph,
    limits: &plan::Limits,
    observer: &mut impl Observer,
) -> Trial {
    let needed_bytes = 16 * trace.row_count() as u64 + 8 * u64::from(trace.slots());
    if needed_bytes > limits.memory_bytes {
        return Trial::NotRun;
    }
    let Ok(plan) = Plan::analyze_watched(graph, limits, observer) else { return Trial::NotRun };
    let seed = Sha256::digest(bytes);
    // Without parameters all runs are alike.
    let wanted = if graph.is_parameterized() { RUNS } else { 1 };
    let mut runs = 0;
    for draw in 0..DRAWS {
        let theta: Vec<f64> =
            (0..graph.param_length() as u64).map(|parameter| drawn(&seed, draw, parameter)).collect();
        match run_at(trace, graph, &plan, theta) {
            None => {}
            Some(Ok(())) => runs += 1,
            Some(Err(disagreement)) => return Trial::Disagrees(disagreement),
        }
        if runs == wanted {
            return Trial::Agrees { runs };
        }
    }
    if runs == 0 { Trial::NotRun } else { Trial::Agrees { runs } }
}

/// One run; `None` when the graph does not take this θ.
fn run_at(trace: &Trace, graph: &Graph, plan: &Plan, theta: Vec<f64>) -> Option<Result<(), Disagreement>> {
    let times = plan.at(&theta).ok()?.waiting_times();
    let weights = graph.weights(&theta).ok()?;
    let differs = |vertex: u32, found: f64| Disagreement {
        theta: theta.clone(),
        vertex,
        expected: times[vertex as usize],
        found,
    };
    let found = match trace.replay(graph, &weights).and_then(|replay| replay.waiting_times(None)) {
        Ok(found) => found,
        // What the start does not reach is in no plan.
        Err(ReplayError::NotANumber { vertex }) if times[vertex as usize].is_finite() => {
            return Some(Err(differs(vertex, f64::NAN)));
        }
        Err(_) => return None,
    };
    let mut pairs = (0_u32..).zip(times.iter().zip(&found));
    let different = pairs.find(|(_, (expected, found))| {
        let gap = (*found - *expected).abs();
        expected.is_finite() && (gap.is_nan() || gap > DIFFERENT * expected.abs())
    });
    Some(different.map_or(Ok(()), |(vertex, (_, &found))| Err(differs(vertex, found))))
}

/// A number between 1/16 and 16, its exponent and 12 binary digits drawn: short enough to be read.
fn drawn(seed: &[u8], draw: u32, parameter: u64) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(draw.to_le_bytes());
    hash.update(parameter.to_le_bytes());
    let digest = hash.finalize();
    let significand = u16::from_le_bytes([digest[0], digest[1]]) % 4096;
    (1.0 + f64::from(significand) / 4096.0) * f64::from(1_u16 << (digest[2] % 8)) / 16.0
}
