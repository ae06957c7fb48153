//! The stages of the engine on one workload, each ready to be timed.

use ndarray::Array2;
use phasic_engine::artifact::{Checks, decode, decode_stream, encode_ptdprmc3};
use phasic_engine::document::{read, write_graph};
use phasic_engine::graph::GraphLimits;
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{self, Trace, eliminate, forecast};
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::{Path, PathBuf};

use super::clock::Clock;
use super::workloads::Workload;
use super::{Failure, distributions};

/// All that run on one thread.
const OF_PLANS: [&str; 18] = [
    "hash",
    "read",
    "eliminate",
    "forecast",
    "encode",
    "decode",
    "load",
    "first",
    "replay",
    "analyze",
    "answer",
    "evaluate",
    "moments",
    "gradient",
    "batch",
    "plan_decode",
    "plan_first",
    "plan_hit",
];
/// Those of distributions among them.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    OF_PLANS.into_iter().chain(distributions::STAGES)
}

/// A sample repeats a short stage until it has taken this long.
const SAMPLE_SECONDS: f64 = 2e-3;
/// Parameter vectors of a batch.
const BATCH: usize = 1024;

/// phasic's kind of program, which only some stages need and which may take a gigabyte.
pub(crate) struct Programs {
    trace: Trace,
    bytes: Vec<u8>,
    file: PathBuf,
    lowered_commands: usize,
    lowered_file: PathBuf,
}

/// A workload, our plan of it, and the plan as a file.
pub(crate) struct Bench {
    workload: Workload,
    plan: Plan,
    plan_file: PathBuf,
    plan_bytes: Vec<u8>,
    document: String,
    programs: Option<Programs>,
    /// Distinct parameter vectors around the workload's, a row each.
    sweep: Array2<f64>,
}

/// Runs a stage this many times; seconds of all runs together.
pub(crate) type Run<'a> = Box<dyn FnMut(usize) -> Result<f64, Failure> + 'a>;

impl Bench {
    /// Prepares a workload; its files are made in `folder`.
    pub(crate) fn new(workload: Workload, programs: bool, folder: &Path) -> Result<Self, Failure> {
        let plan = Plan::analyze(&workload.graph, &plan::Limits::default())?;
        let (found, wanted) = (plan.at(&workload.theta)?.expectation(), workload.moments[0]);
        if (found - wanted).abs() > workload.tolerance * wanted {
            return Err(format!("{}: the plan gives {found}, not {wanted}", workload.name).into());
        }
        let path = |kind: &str| folder.join(format!("{}_{}.{kind}", workload.name, workload.n));
        let bytes = plan.encode(&workload.graph.content_hash());
        let plan_file = path("plan");
        std::fs::write(&plan_file, &bytes)?;
        let programs = if programs { Some(Programs::new(&workload, path)?) } else { None };
        let (sweep, document) = (sweep(&workload.theta), write_graph(&workload.graph));
        Ok(Self { workload, plan, plan_file, plan_bytes: bytes, document, programs, sweep })
    }

    pub(crate) fn describe(&self) -> Result<Value, Failure> {
        let Workload { name, n, theta, graph, .. } = &self.workload;
        let mut description = json!({
            "workload": name, "n": n, "theta": theta, "graph_hash": graph.content_hash().to_string(),
            "vertices": graph.vertex_count(), "edges": graph.edge_count(),
            "plan_bytes": self.plan_bytes.len(),
        });
        // What the others must find, too: at the workload's θ, and the expectation at the first of the sweep.
        let at = self.plan.at(theta)?;
        let mean = at.expectation();
        description["expectation"] = json!(mean);
        description["moments"] = json!(at.moments(4)?);
        description["density"] = json!(self.plan.distribution(theta)?.pdf(&[mean])?[0]);
        description["swept"] = json!(self.plan.at(&self.sweep.row(0).to_vec())?.expectation());
        if let Some(programs) = &self.programs {
            description["commands"] = json!(programs.trace.commands().len());
            description["file"] = json!(programs.file);
            description["lowered_commands"] = json!(programs.lowered_commands);
            description["lowered_file"] = json!(programs.lowered_file);
        }
        Ok(description)
    }

    /// Seconds of one run of a stage, averaged over as many runs as make a sample long enough.
    pub(crate) fn sample(&self, stage: &str) -> Result<f64, Failure> {
        let mut run = self.ready(stage)?;
        let (mut runs, mut seconds) = (1, run(1)?);
        // The shorter ones before were a warming up.
        while seconds < SAMPLE_SECONDS {
            runs *= 2;
            seconds = run(runs)?;
        }
        let seconds = seconds / runs as f64;
        Ok(match stage {
            "sample" => seconds / distributions::SAMPLES as f64,
            batch if batch.starts_with("batch") => seconds / BATCH as f64,
            _ => seconds,
        })
    }

    /// Seconds of a single run.
    pub(crate) fn once(&self, stage: &str) -> Result<f64, Failure> {
        self.ready(stage)?(1)
    }

    fn programs(&self) -> Result<&Programs, Failure> {
        self.programs.as_ref().ok_or_else(|| "the workload was prepared without programs".into())
    }

    /// A stage that is ready to run.
    pub(crate) fn ready(&self, stage: &str) -> Result<Run<'_>, Failure> {
        match stage {
            "hash" | "read" | "analyze" | "answer" | "plan_decode" | "plan_first" | "plan_hit" => {
                Ok(self.graph_stage(stage))
            }
            "evaluate" | "moments" | "gradient" => self.plan_stage(stage),
            "batch" => Ok(self.batch(false, Clock::Processor)),
            "batch_wall" => Ok(self.batch(false, Clock::Wall)),
            "batch_wall_all_cores" => Ok(self.batch(true, Clock::Wall)),
            other if distributions::STAGES.contains(&other) => {
                let Workload { theta, moments, .. } = &self.workload;
                distributions::ready(&self.plan, theta, moments[0], other)
            }
            _ => self.program_stage(stage),
        }
    }

    /// Stages that begin with the graph, or with the plan's file.
    fn graph_stage(&self, stage: &str) -> Run<'_> {
        let Workload { graph, theta, .. } = &self.workload;
        let analyze = move || Plan::analyze(black_box(graph), &plan::Limits::default());
        match stage {
            "hash" => each(move || Ok(graph.content_hash())),
            "read" => each(move || Ok(read(black_box(&self.document))?.into_graph(&GraphLimits::default())?)),
            "analyze" => each(move || Ok(analyze()?)),
            // No file at all: from the graph to the first number.
            "answer" => each(move || Ok(analyze()?.at(black_box(theta))?.expectation())),
            "plan_decode" => {
                each(move || Ok(Plan::decode(black_box(&self.plan_bytes), &plan::Limits::default())?))
            }
            "plan_first" => each(move || self.plan_from_file().map(|(_, expectation)| expectation)),
            // As a cache does it: the graph's hash names the file.
            _ => each(move || {
                let hash = black_box(graph).content_hash();
                let (found, expectation) = self.plan_from_file()?;
                if found == hash { Ok(expectation) } else { Err("the plan is of another graph".into()) }
            }),
        }
    }

    fn plan_from_file(&self) -> Result<(phasic_engine::graph::GraphHash, f64), Failure> {
        let (hash, plan) = Plan::decode(&std::fs::read(&self.plan_file)?, &plan::Limits::default())?;
        let expectation = plan.at(black_box(&self.workload.theta))?.expectation();
        Ok((hash, expectation))
    }

    /// Stages that move a plan on to a new θ and ask for numbers there.
    fn plan_stage(&self, stage: &str) -> Result<Run<'_>, Failure> {
        let mut at = self.plan.at(&self.workload.theta)?;
        let mut draws = 0;
        let mut next = move || {
            draws = (draws + 1) % BATCH;
            self.sweep.row(draws).to_slice().expect("rows are contiguous")
        };
        Ok(match stage {
            "evaluate" => together(move || {
                at.set(next())?;
                Ok(at.expectation())
            }),
            "moments" => {
                let mut moments = [0.0; 4];
                together(move || {
                    at.set(next())?;
                    at.moments_into(&mut moments);
                    Ok(moments)
                })
            }
            _ => together(move || {
                at.set(next())?;
                Ok(at.expectation_gradient())
            }),
        })
    }

    fn batch(&self, parallel: bool, clock: Clock) -> Run<'_> {
        let (batches, thetas) = (self.plan.batches(), self.sweep.view());
        let run = move || Ok(batches.batch(&black_box(thetas))?.parallel(parallel).expectation()?);
        timed_each(clock, run)
    }

    /// Stages of phasic's kind of program.
    fn program_stage(&self, stage: &str) -> Result<Run<'_>, Failure> {
        let graph = &self.workload.graph;
        let Programs { trace, bytes, file, .. } = self.programs()?;
        let limits = trace::Limits::default();
        let checks = Checks { graph: Some(graph), ..Checks::default() };
        // From the file, as a cache does it: the graph's hash names the file.
        let load = move || -> Result<Trace, Failure> {
            black_box(black_box(graph).content_hash());
            let file = std::fs::File::open(file)?;
            let size_bytes = file.metadata()?.len();
            Ok(decode_stream(file, size_bytes, &Checks { graph: Some(graph), ..Checks::default() })?.trace)
        };
        let mut draws = 0;
        let mut next = move || {
            draws = (draws + 1) % BATCH;
            self.sweep.row(draws).to_vec()
        };
        Ok(match stage {
            "eliminate" => each(move || Ok(eliminate(black_box(graph), &limits, &mut ())?)),
            "forecast" => each(move || Ok(forecast(black_box(graph), &limits, &mut ())?)),
            "encode" => each(move || {
                let mut out = Vec::with_capacity(bytes.len());
                Ok(encode_ptdprmc3(black_box(trace), &mut out).map(|()| out)?)
            }),
            "decode" => each(move || Ok(decode(black_box(bytes), &checks)?)),
            "load" => each(load),
            "first" => each(move || self.replay(&load()?, &self.workload.theta)),
            "replay" => together(move || self.replay(trace, &next())),
            other => return Err(format!("there is no stage {other}").into()),
        })
    }

    fn replay(&self, trace: &Trace, theta: &[f64]) -> Result<f64, Failure> {
        let graph = black_box(&self.workload.graph);
        let weights = graph.weights(black_box(theta))?;
        Ok(trace.replay(graph, &weights)?.expectation(None)?)
    }
}

impl Programs {
    fn new(workload: &Workload, path: impl Fn(&str) -> PathBuf) -> Result<Self, Failure> {
        let trace = workload.eliminated();
        let mut bytes = Vec::new();
        encode_ptdprmc3(&trace, &mut bytes)?;
        let file = path("trace");
        std::fs::write(&file, &bytes)?;
        let lowered = plan::lower(&workload.graph, &plan::Limits::default())?;
        let lowered_file = path("lowered");
        let mut lowered_bytes = Vec::new();
        encode_ptdprmc3(&lowered, &mut lowered_bytes)?;
        std::fs::write(&lowered_file, lowered_bytes)?;
        Ok(Self { trace, bytes, file, lowered_commands: lowered.commands().len(), lowered_file })
    }
}

/// Every run timed on its own, without dropping its result.
pub(crate) fn each<'a, T: 'a>(run: impl FnMut() -> Result<T, Failure> + 'a) -> Run<'a> {
    timed_each(Clock::Processor, run)
}

fn timed_each<'a, T: 'a>(clock: Clock, mut run: impl FnMut() -> Result<T, Failure> + 'a) -> Run<'a> {
    Box::new(move |runs| {
        let mut seconds = 0.0;
        for _ in 0..runs {
            let (one, result) = clock.timed(&mut run);
            result?;
            seconds += one;
        }
        Ok(seconds)
    })
}

/// All runs timed together: a stage may be as short as the reading of the clock.
pub(crate) fn together<'a, T: 'a>(mut run: impl FnMut() -> Result<T, Failure> + 'a) -> Run<'a> {
    Box::new(move |runs| {
        let (seconds, result) =
            Clock::Processor.timed(|| (0..runs).try_for_each(|_| run().map(|it| drop(black_box(it)))));
        result.map(|()| seconds)
    })
}

/// The sweep of `bench/workloads.json`, a row for each θ.
fn sweep(theta: &[f64]) -> Array2<f64> {
    let mut sweep = Array2::zeros((BATCH, theta.len()));
    for (draw, mut row) in sweep.rows_mut().into_iter().enumerate() {
        row.iter_mut().zip(swept(theta, draw)).for_each(|(slot, value)| *slot = value);
    }
    sweep
}

/// One θ of it.
pub(crate) fn swept(theta: &[f64], draw: usize) -> Vec<f64> {
    let step = |place: usize| ((draw + 1) as f64 * 0.618_033_988_749_894_9 + place as f64 * 0.37).fract();
    theta.iter().enumerate().map(|(place, value)| value * (0.8 + 0.4 * step(place))).collect()
}
