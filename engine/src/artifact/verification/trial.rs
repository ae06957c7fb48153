//! Running a program that is not one of the graph's own beside the graph's plan, at θ drawn at random.
//!
//! It tells whoever is refused more, and decides nothing. Right numbers prove little, because a program can be made wrong
//! elsewhere; and wrong ones only that the file is of no use at this θ, because sound programs that subtract, as phasic's do,
//! lose digits too: in overloaded queues all of them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::graph::Graph;
use crate::plan::{self, AnalysisError, Plan};
use crate::progress::{Phase, Progress};
use crate::trace::{Observer, ReplayError, Trace};

/// At how many θ a program is run.
const RUNS: u32 = 4;

/// How many θ are drawn to find those: some may make weights negative.
const DRAWS: u32 = 2 * RUNS;

/// Longer programs are not run: a run cannot be stopped, and takes some ten nanoseconds a command.
const LONGEST: usize = 1 << 22;

/// Larger relative differences are said to be some.
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
    /// It was not run, or not to its end: it or the plan is too large, or no θ was found that the graph takes.
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
        let Self { theta, vertex, expected, found } = self;
        if !theta.is_empty() {
            let named: Vec<String> = theta.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if theta.len() > NAMED { ", …" } else { "" };
            write!(f, "at θ = ({}{more}) ", named.join(", "))?;
        }
        if found.is_nan() {
            write!(f, "it gives no expected time from vertex {vertex}, which is {expected}")
        } else {
            write!(f, "it gives {found} as the expected time from vertex {vertex}, which is {expected}")
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees { runs: 1 } => f.write_str(
                "it gives this graph's expected times, so it was probably made with another order of elimination, but that \
                 is not shown by running it once",
            ),
            Self::Agrees { runs } => write!(
                f,
                "in {runs} runs at θ drawn at random it gives this graph's expected times, so it was probably made with \
                 another order of elimination; but that shows nothing of other θ"
            ),
            Self::Disagrees(disagreement) => write!(
                f,
                "{disagreement}: it was made for another graph or another order of edges, loses its digits by subtraction, or \
                 was tampered with"
            ),
            Self::NotRun => f.write_str(
                "it was made for another order of edges, with another order of elimination, or tampered with",
            ),
        }
    }
}

/// Runs a program beside the plan of `graph` at θ that follow from the file's digest, so that the same file has the same
/// answer anywhere: rates between 1/16 and 16. `None` when the observer does not want to know any more.
///
/// One analysis within `limits`, and linear in the commands for each run; the observer is asked between them. The rows of a
/// run take 16 bytes each; where they and what the plan takes would pass the memory, it is not run.
pub(super) fn run(
    trace: &Trace,
    bytes: &[u8],
    graph: &Graph,
    limits: &plan::Limits,
    observer: &mut impl Observer,
) -> Option<Trial> {
    let commands = trace.commands().len();
    if commands > LONGEST {
        return Some(Trial::NotRun);
    }
    let plan = match Plan::analyze_watched(graph, limits, observer) {
        Ok(plan) => plan,
        Err(AnalysisError::Cancelled { .. }) => return None,
        Err(_) => return Some(Trial::NotRun),
    };
    // Numbers of more digits take three workspaces more.
    let cost = plan.cost();
    let needed_bytes = 16 * trace.row_count() as u64
        + 8 * u64::from(trace.slots())
        + cost.plan_bytes.saturating_add(cost.workspace_bytes.saturating_mul(4));
    if needed_bytes > limits.memory_bytes {
        return Some(Trial::NotRun);
    }
    let seed = Sha256::digest(bytes);
    // Without parameters all runs are alike.
    let (wanted, draws) = if graph.is_parameterized() { (RUNS, DRAWS) } else { (1, 1) };
    let vertices = u64::from(graph.vertex_count());
    let mut runs = 0;
    for draw in 0..draws {
        let progress = Progress {
            phase: Phase::Elimination,
            vertices_done: vertices,
            vertices,
            commands: commands as u64,
        };
        if observer.progress(progress).is_break() {
            return None;
        }
        let theta: Vec<f64> =
            (0..graph.param_length() as u64).map(|parameter| drawn(&seed, draw, parameter)).collect();
        match run_at(trace, graph, &plan, &theta) {
            None => {}
            Some(Ok(())) => runs += 1,
            Some(Err(disagreement)) => return Some(Trial::Disagrees(disagreement)),
        }
        if runs == wanted {
            break;
        }
    }
    Some(if runs == 0 { Trial::NotRun } else { Trial::Agrees { runs } })
}

/// One run; `None` when the graph does not take this θ.
fn run_at(trace: &Trace, graph: &Graph, plan: &Plan, theta: &[f64]) -> Option<Result<(), Disagreement>> {
    let times = plan.at(theta).ok()?.waiting_times();
    let weights = graph.weights(theta).ok()?;
    let differs = |vertex: u32, found: f64| Disagreement {
        theta: theta.to_vec(),
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
