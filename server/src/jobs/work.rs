//! One elimination: forecast, made, and verified before anybody sees it. Synchronous; runs on the workers' threads.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use phasic_engine::artifact::{ArtifactError, Checks, StreamError, decode, decode_stream, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::plan::{self, AnalysisError, Plan, PlanFileError, lower_watched};
use phasic_engine::trace::{self, EliminationError, Observer, Progress, Trace, eliminate};
use phasic_hub_api::GraphIdentity;
use phasic_hub_api::jobs::{Forecast, Variant, VariantForecast};

use crate::config;

/// Memory for each command of a program: the program, its file, and the program read back (16 + 80 + 16 bytes).
const COMMAND_BYTES: u64 = 112;

/// Commands that are counted at least, before a forecast gives up.
const FORECAST_COMMANDS: u64 = 1 << 26;

/// Memory for each edge and vertex beside the program, while phasic's elimination runs.
const EDGE_BYTES: u64 = 40;
const VERTEX_BYTES: u64 = 160;

/// Why an elimination has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WorkError {
    /// phasic's elimination stopped.
    #[error(transparent)]
    Elimination(#[from] EliminationError),
    /// The analysis stopped.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The file that was made does not pass the checks every file must pass.
    #[error("the file that was made is faulty, and is withheld: {0}")]
    Faulty(#[from] ArtifactError),
    /// Nobody wants it any more.
    #[error("it was cancelled")]
    Stopped,
    /// The file that was made holds something else than what was put into it.
    #[error("the file that was made does not read back as what was written, and is withheld")]
    Differs,
}

/// What eliminating a graph would take, by the same steps that would make it. Counting may take `memory_bytes` by itself.
/// What passes that, or is stopped by `observer`, is refused without a number.
pub(crate) fn forecast(
    graph: &Graph,
    identity: &GraphIdentity,
    limits: &config::Compute,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> Forecast {
    let most = limits.max_memory_bytes.get();
    let phasic = forecast_phasic(graph, most, memory_bytes, observer);
    let (fast, plan) = forecast_own(graph, identity, most, memory_bytes, observer);
    Forecast { phasic, fast, plan }
}

fn forecast_phasic(
    graph: &Graph,
    most: u64,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> VariantForecast {
    let standing = standing_bytes(graph);
    // Counting goes on beyond what is allowed, so that a refusal can say how much is needed.
    let commands = FORECAST_COMMANDS.max(most / COMMAND_BYTES);
    let bounds = trace::Limits::default().with_memory_bytes(memory_bytes).with_commands(commands);
    match trace::forecast(graph, &bounds, observer) {
        Ok(found) => {
            let memory_bytes = Some(standing + COMMAND_BYTES * found.commands);
            let (commands, artifact_bytes) = (Some(found.commands), Some(found.ptdprmc3_bytes()));
            fitting(most, VariantForecast { commands, artifact_bytes, memory_bytes, refused: None })
        }
        Err(error) => uncounted(&error, standing, most),
    }
}

/// The forecast of a program whose commands were not counted to their end.
fn uncounted(error: &EliminationError, standing: u64, most: u64) -> VariantForecast {
    match error {
        EliminationError::Commands { limit, .. } => {
            // More than jobs may take: that is how far it was counted.
            let needed = standing.saturating_add(COMMAND_BYTES.saturating_mul(*limit));
            refused(&exceeds("more than", needed, most), "")
        }
        EliminationError::Memory { .. } => refused(error, MEMORY_SETTING),
        _ => refused(error, ""),
    }
}

/// The setting that bounds what counting may take.
const MEMORY_SETTING: &str = " (compute.max_memory_bytes)";

/// The forecast of what was not counted to its end: no number, and why; with the setting that would help.
fn refused(error: &impl std::fmt::Display, setting: &str) -> VariantForecast {
    VariantForecast { refused: Some(format!("{error}{setting}")), ..VariantForecast::default() }
}

/// Memory to make and verify one of the two programs of a graph; `None` if that is more than `most`.
pub(crate) fn memory_of_program(graph: &Graph, variant: Variant, most: u64) -> Option<u64> {
    let commands = if variant == Variant::Phasic {
        let bounds = trace::Limits::default().with_memory_bytes(most);
        trace::forecast(graph, &bounds, &mut ()).ok()?.commands
    } else {
        plan::forecast_lowered(graph, &plan_limits(most), &mut ()).ok()?.commands
    };
    Some(standing_bytes(graph) + COMMAND_BYTES * commands).filter(|&needed| needed <= most)
}

/// Our own forms, the program made from our elimination and the plan: counted by the steps that would make them.
fn forecast_own(
    graph: &Graph,
    identity: &GraphIdentity,
    most: u64,
    memory_bytes: u64,
    observer: &mut impl Observer,
) -> (VariantForecast, VariantForecast) {
    let refused = |error: AnalysisError| match error {
        AnalysisError::Memory { .. } => refused(&error, MEMORY_SETTING),
        AnalysisError::Cancelled { .. } => refused(&error, ""),
        _ => refused(&error, " (a limit that no setting of the hub changes)"),
    };
    let analysis = plan_limits(memory_bytes);
    let program = plan::forecast_lowered(graph, &analysis, observer).map(|found| VariantForecast {
        commands: Some(found.commands),
        artifact_bytes: Some(found.ptdprmc3_bytes()),
        memory_bytes: Some(standing_bytes(graph) + COMMAND_BYTES * found.commands),
        refused: None,
    });
    let plan = Plan::analyze_watched(graph, &analysis, observer).map(|plan| {
        let cost = plan.cost();
        VariantForecast {
            commands: Some(cost.multiply_adds),
            artifact_bytes: Some(plan.encode(&identity.graph_hash).len() as u64),
            memory_bytes: Some(standing_bytes(graph) + 4 * cost.plan_bytes),
            refused: None,
        }
    });
    let fitting = |found: Result<_, _>| found.map_or_else(refused, |forecast| fitting(most, forecast));
    (fitting(program), fitting(plan))
}

/// A forecast with a refusal, if it needs more memory than there may be.
fn fitting(most: u64, mut forecast: VariantForecast) -> VariantForecast {
    let needed = forecast.memory_bytes.unwrap_or_default();
    if needed > most {
        forecast.refused = Some(exceeds("up to", needed, most));
    }
    forecast
}

fn exceeds(how: &str, needed: u64, most: u64) -> String {
    format!("it needs {how} {needed} bytes of memory, and jobs may take {most} (compute.max_memory_bytes)")
}

fn standing_bytes(graph: &Graph) -> u64 {
    EDGE_BYTES * u64::from(graph.edge_count()) + VERTEX_BYTES * u64::from(graph.vertex_count())
}

/// Limits of our own elimination with so much memory, which alone says how long a program may be.
pub(crate) fn plan_limits(memory_bytes: u64) -> plan::Limits {
    plan::Limits::default().with_memory_bytes(memory_bytes).with_commands(u64::MAX)
}

/// The file of an elimination.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    /// Commands of the program; of a plan, multiply-adds: what the forecast counts.
    pub(crate) commands: u64,
}

/// Makes one variant, and verifies what was made by reading it back with every check.
pub(super) fn make(
    graph: &Graph,
    identity: &GraphIdentity,
    variant: Variant,
    limits: &config::Compute,
    mut watch: impl FnMut(Option<Progress>) -> ControlFlow<()>,
) -> Result<Made, WorkError> {
    match variant {
        Variant::Phasic => {
            let bounds = trace::Limits::default().with_memory_bytes(limits.max_memory_bytes.get());
            let trace = eliminate(graph, &bounds, &mut |progress| watch(Some(progress)))?;
            program(&trace, graph, identity, &mut || watch(None))
        }
        Variant::Fast => {
            let trace = lower_watched(graph, &plan_limits(limits.max_memory_bytes.get()), &mut |progress| {
                watch(Some(progress))
            })?;
            program(&trace, graph, identity, &mut || watch(None))
        }
        Variant::Plan => {
            let bounds = plan_limits(limits.max_memory_bytes.get());
            let mut watch = |progress| watch(Some(progress));
            let plan = Plan::analyze_watched(graph, &bounds, &mut watch)?;
            let (bytes, commands) = (plan.encode(&identity.graph_hash), plan.cost().multiply_adds);
            drop(plan);
            match Plan::decode_watched(&bytes, &bounds, &mut watch) {
                Err(PlanFileError::Limits(stopped)) => Err(stopped.into()),
                Ok((hash, plan)) if hash == identity.graph_hash && plan.encode(&hash) == bytes => {
                    Ok(Made { bytes, commands })
                }
                _ => Err(WorkError::Differs),
            }
        }
    }
}

/// Verifies a file that another process made: that it is one of its kind, whole and safe to run, and names this graph.
/// That it computes what the graph asks for was shown where the graph was built.
pub(super) fn check(
    bytes: Vec<u8>,
    identity: &GraphIdentity,
    variant: Variant,
    limits: &config::Compute,
) -> Result<Made, WorkError> {
    if variant == Variant::Plan {
        return match Plan::decode(&bytes, &plan_limits(limits.max_memory_bytes.get())) {
            Ok((hash, plan)) if hash == identity.graph_hash => {
                Ok(Made { bytes, commands: plan.cost().multiply_adds })
            }
            _ => Err(WorkError::Differs),
        };
    }
    let checks = Checks { hash: Some(identity.graph_hash), ..Checks::default() };
    let trace = decode(&bytes, &checks)?.trace;
    let commands = trace.commands().len() as u64;
    let is_it = u64::from(trace.vertex_count()) == identity.vertices;
    if is_it { Ok(Made { bytes, commands }) } else { Err(WorkError::Differs) }
}

/// The file of a program, written and read back. A large one takes seconds, so it is watched, too.
fn program(
    trace: &Trace,
    graph: &Graph,
    identity: &GraphIdentity,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Made, WorkError> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut Watched { inner: &mut bytes, passed: 0, watch })
        .map_err(|_| WorkError::Stopped)?;
    let checks = Checks { graph: Some(graph), hash: Some(identity.graph_hash), ..Checks::default() };
    let source = Watched { inner: &bytes[..], passed: 0, watch };
    let read = decode_stream(source, bytes.len() as u64, &checks).map_err(|error| match error {
        StreamError::Artifact(error) => WorkError::Faulty(error),
        // Memory does not fail to be read.
        _ => WorkError::Stopped,
    })?;
    let commands = trace.commands().len() as u64;
    if read.trace == *trace { Ok(Made { bytes, commands }) } else { Err(WorkError::Differs) }
}

/// Bytes on their way, and somebody who is asked now and then whether to go on.
struct Watched<'a, T> {
    inner: T,
    passed: usize,
    watch: &'a mut dyn FnMut() -> ControlFlow<()>,
}

/// Bytes that pass between two questions: some milliseconds.
const ASK_EVERY: usize = 1 << 20;

impl<T> Watched<'_, T> {
    fn pass(&mut self, bytes: usize) -> io::Result<()> {
        self.passed += bytes;
        if self.passed >= ASK_EVERY {
            self.passed = 0;
            if (self.watch)().is_break() {
                return Err(io::Error::other("it is not wanted any more"));
            }
        }
        Ok(())
    }
}

impl<T: Write> Write for Watched<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass(bytes.len())?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Watched<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.pass(count)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use phasic_engine::graph::GraphLimits;
    use phasic_engine::trace::{EliminationError, Limits, eliminate};
    use phasic_hub_api::jobs::Variant;

    use super::{ASK_EVERY, WorkError, make, program, uncounted};
    use crate::config;
    use crate::models::{Named, identify, named};

    #[test]
    fn what_is_not_counted_to_its_end_names_the_setting_that_bounds_it() {
        let (vertices_done, vertices) = (1, 2);
        for error in [
            EliminationError::Commands { limit: 1000, vertices_done, vertices },
            EliminationError::Memory { budget_bytes: 1000, vertices_done, vertices },
        ] {
            let forecast = uncounted(&error, 10, 99_000);
            let why = forecast.refused.unwrap();
            assert!(why.contains("compute.max_memory_bytes") && !why.contains("commands allowed"), "{why}");
        }
    }

    #[test]
    fn graphs_of_one_hash_and_order_of_edges_have_the_same_programs_and_plans_of_their_own() {
        let made = [0.5, 0.25, 0.0].map(|weight| {
            let source = format!(
                r#"{{"document": {{"vertices": [[0], [1], [2], [3]], "edges":
                    [[0, 1, [], {weight}], [0, 2, [], 0.5], [1, 2, [1]], [1, 3, [1]], [2, 1, [], {weight}], [2, 3, [3]]]}}}}"#
            );
            let Named::Here(recipe) = named(&serde_json::from_str(&source).unwrap()).unwrap() else {
                panic!("it is in the request")
            };
            let graph = recipe.build(&config::Models::default()).unwrap();
            let (identity, limits) = (identify(&graph), config::Compute::default());
            let make = |variant| make(&graph, &identity, variant, &limits, |_| ControlFlow::Continue(()));
            let files = Variant::ALL.map(|variant| make(variant).unwrap().bytes);
            (identity, files)
        });
        let (first, files) = &made[0];
        for (identity, others) in &made[1..] {
            assert_eq!(identity.graph_hash, first.graph_hash);
            assert_eq!(identity.edge_order_digest, first.edge_order_digest);
            assert_ne!(identity.definition, first.definition);
            for (variant, (file, other)) in Variant::ALL.into_iter().zip(files.iter().zip(others)) {
                assert_eq!(file == other, variant != Variant::Plan, "{variant:?}");
            }
        }
    }

    #[test]
    fn writing_and_reading_back_a_large_file_stops_when_nobody_wants_it_any_more() {
        let rabbits = phasic_engine::model::find("rabbits").unwrap().read().unwrap();
        let graph = rabbits.with_constant("n", 30).unwrap().build(&GraphLimits::default()).unwrap();
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let (identity, mut asked) = (identify(&graph), 0);
        let made = program(&trace, &graph, &identity, &mut || {
            asked += 1;
            ControlFlow::Continue(())
        });
        let expected = 2 * (made.unwrap().bytes.len() / ASK_EVERY);
        assert!(expected >= 4 && asked >= expected / 2, "{asked} questions, {expected} expected");
        for stop_at in [1, asked] {
            let mut left = stop_at;
            let stopped = program(&trace, &graph, &identity, &mut || {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(matches!(stopped, Err(WorkError::Stopped)), "at {stop_at}: {stopped:?}");
        }
    }
}
