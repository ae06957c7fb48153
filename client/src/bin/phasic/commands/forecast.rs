//! `phasic forecast`: what an elimination will cost, without running it.

use std::time::{Duration, Instant};

use phasic_engine::graph::{Graph, GraphBuilder, GraphError, Rate, START};
use phasic_engine::plan::{AnalysisError, Plan, forecast_lowered};
use phasic_engine::trace::{EliminationError, Forecast, Limits, eliminate, forecast};
use serde_json::{Map, Value};

use super::Answer;
use crate::Context;
use crate::arguments::ModelArguments;
use crate::failure::Failure;
use crate::limits::{flag_of_analysis, flag_of_elimination};
use crate::plan_file;
use crate::progress::{Bar, Unit};

/// Vertices of the model that is eliminated to find out how fast this machine is; some milliseconds of work.
const PROBE_VERTICES: i32 = 48;

pub(crate) fn run(arguments: &ModelArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let graph = context.graph(arguments)?;
    let counting = |what| Bar::new(what, Unit::Vertices);
    let limits = &context.limits;
    let cost = forecast(&graph, &limits.forecast(), &mut counting("forecasting"));
    let analysis = limits.analysis();
    let fast = forecast_lowered(&graph, &analysis, &mut counting("analysing the whole graph"));
    let plan = Plan::analyze_watched(&graph, &analysis, &mut counting("analysing the graph"));
    // Where one kind is out of reach, another need not be.
    let cost = match (cost, &fast, &plan) {
        (Err(error), Err(_), Err(_)) => return Err(error.into()),
        (cost, ..) => cost,
    };
    let plan = plan.map(|plan| PlanForecast::new(&plan, &graph));
    let speed = Speed::measure();
    if context.output.json {
        context.output.json(&in_json(&graph, &cost, &fast, &plan, &speed))?;
    } else {
        let mut fields = fields(&graph, &cost, &speed);
        match &fast {
            Ok(fast) => fields.push((
                "fast program",
                format!("{} commands, {} bytes as ptdprmc3", fast.commands, fast.ptdprmc3_bytes()),
            )),
            Err(error) => fields.push(("fast program", none(error, flag_of_analysis(error)))),
        }
        match &plan {
            Ok(plan) => fields.extend(plan.fields()),
            Err(error) => fields.push(("plan", none(error, flag_of_analysis(error)))),
        }
        context.output.fields(&fields)?;
    }
    Ok(Answer::Done)
}

/// The kinds side by side. phasic's own program has its fields at the top level, as long as there may be one.
fn in_json(
    graph: &Graph,
    cost: &Result<Forecast, EliminationError>,
    fast: &Result<Forecast, AnalysisError>,
    plan: &Result<PlanForecast, AnalysisError>,
    speed: &Speed,
) -> Value {
    let mut object = match cost {
        Ok(cost) => {
            let mut object = counts(cost);
            object.insert("ptdprmc1_bytes".to_owned(), cost.ptdprmc1_bytes().into());
            object.insert("estimated_seconds".to_owned(), speed.time_for(cost.commands).as_secs_f64().into());
            object.insert("estimate_basis".to_owned(), speed.basis().into());
            object
        }
        Err(error) => refusal(error),
    };
    object.insert("graph_hash".to_owned(), graph.content_hash().to_string().into());
    object.insert("vertices".to_owned(), graph.vertex_count().into());
    object.insert("edges".to_owned(), graph.edge_count().into());
    object.insert("fast".to_owned(), fast.as_ref().map_or_else(|error| refusal(error), counts).into());
    object.insert(
        "plan".to_owned(),
        plan.as_ref().map_or_else(|error| refusal(error), PlanForecast::in_json).into(),
    );
    object.into()
}

fn refusal(error: &dyn std::error::Error) -> Map<String, Value> {
    Map::from_iter([("refused".to_owned(), error.to_string().into())])
}

fn counts(cost: &Forecast) -> Map<String, Value> {
    let counts = [
        ("commands", cost.commands),
        ("rows", cost.rows),
        ("slots", cost.slots),
        ("inputs", cost.inputs),
        ("ptdprmc3_bytes", cost.ptdprmc3_bytes()),
    ];
    counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn fields(
    graph: &Graph,
    cost: &Result<Forecast, EliminationError>,
    speed: &Speed,
) -> Vec<(&'static str, String)> {
    let mut fields =
        vec![("vertices", graph.vertex_count().to_string()), ("edges", graph.edge_count().to_string())];
    match cost {
        Ok(cost) => fields.extend([
            ("commands", cost.commands.to_string()),
            ("rows", cost.rows.to_string()),
            ("memory slots", cost.slots.to_string()),
            ("inputs", cost.inputs.to_string()),
            ("ptdprmc3", format!("{} bytes", cost.ptdprmc3_bytes())),
            ("ptdprmc1", format!("{} bytes", cost.ptdprmc1_bytes())),
            ("estimated time", format!("{:.1?} ({})", speed.time_for(cost.commands), speed.basis())),
        ]),
        Err(error) => fields.push(("phasic's program", none(error, flag_of_elimination(error)))),
    }
    fields
}

/// Why there is no such program, on one line.
fn none(error: &dyn std::error::Error, flag: Option<&str>) -> String {
    let advice = flag.map(|flag| format!(" ({flag} raises this limit)")).unwrap_or_default();
    format!("none: {error}{advice}")
}

/// What our own analysis gives: it is made to be counted, since that takes no longer than counting.
struct PlanForecast {
    counts: [(&'static str, u64); 7],
    file_bytes: usize,
}

impl PlanForecast {
    fn new(plan: &Plan, graph: &Graph) -> Self {
        Self { counts: plan_file::counts(plan), file_bytes: plan.encode(&graph.content_hash()).len() }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let of = |name: &str| self.counts.iter().find(|count| count.0 == name).map_or(0, |count| count.1);
        vec![
            ("plan", format!("{} bytes as a file, {} in memory", self.file_bytes, of("plan_bytes"))),
            (
                "plan replay",
                format!("{} multiply-adds, {} bytes", of("multiply_adds"), of("workspace_bytes")),
            ),
        ]
    }

    fn in_json(&self) -> Map<String, Value> {
        let counts = self.counts.iter().map(|&(name, count)| (name.to_owned(), count.into()));
        counts.chain([("file_bytes".to_owned(), self.file_bytes.into())]).collect()
    }
}

/// How fast this machine eliminates.
struct Speed {
    commands: usize,
    took: Duration,
}

impl Speed {
    /// Eliminates a small dense model and takes the time.
    fn measure() -> Self {
        let Ok(probe) = dense(PROBE_VERTICES) else { return Self { commands: 0, took: Duration::ZERO } };
        let started = Instant::now();
        let commands =
            eliminate(&probe, &Limits::default(), &mut ()).map_or(0, |trace| trace.commands().len());
        Self { commands, took: started.elapsed() }
    }

    fn time_for(&self, commands: u64) -> Duration {
        self.took.mul_f64(commands as f64 / self.commands.max(1) as f64)
    }

    fn basis(&self) -> String {
        format!("from {} commands of a dense model, eliminated here in {:.1?}", self.commands, self.took)
    }
}

/// A model in which every vertex leads to every other one and out.
fn dense(vertices: i32) -> Result<Graph, GraphError> {
    let mut builder = GraphBuilder::new(1)?;
    let states =
        (1..=vertices).map(|state| builder.find_or_add_vertex(&[state])).collect::<Result<Vec<_>, _>>()?;
    let out = builder.find_or_add_vertex(&[0])?;
    builder.add_edge(START, states[0], Rate::Scalar(1.0))?;
    for &from in &states {
        for &to in states.iter().filter(|&&to| to != from).chain([&out]) {
            builder.add_edge(from, to, Rate::Coefficients(&[1.0]))?;
        }
    }
    Ok(builder.finish())
}
