//! `phasic forecast`: what an elimination will cost, without running it.

use std::time::{Duration, Instant};

use phasic_engine::graph::{Graph, GraphBuilder, GraphError, Rate, START};
use phasic_engine::plan::{AnalysisError, Plan};
use phasic_engine::trace::{Forecast, Limits, eliminate, forecast};
use serde_json::{Value, json};

use super::Answer;
use crate::Context;
use crate::arguments::ModelArguments;
use crate::failure::Failure;
use crate::plan_file;
use crate::progress::{Bar, Unit};

/// Vertices of the model that is eliminated to find out how fast this machine is; some milliseconds of work.
const PROBE_VERTICES: i32 = 48;

pub(crate) fn run(arguments: &ModelArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let graph = context.graph(arguments)?;
    let cost = forecast(&graph, &context.limits.forecast(), &mut Bar::new("forecasting", Unit::Vertices))?;
    let mut bar = Bar::new("analysing the graph", Unit::Vertices);
    let plan = Plan::analyze_watched(&graph, &context.limits.analysis(), &mut bar);
    let plan = plan.map(|plan| PlanForecast::new(&plan, &graph));
    drop(bar);
    let speed = Speed::measure();
    let estimate = speed.time_for(cost.commands);
    if context.output.json {
        context.output.json(&json!({
            "graph_hash": graph.content_hash().to_string(),
            "vertices": cost.vertices,
            "edges": graph.edge_count(),
            "commands": cost.commands,
            "rows": cost.rows,
            "slots": cost.slots,
            "inputs": cost.inputs,
            "ptdprmc3_bytes": cost.ptdprmc3_bytes(),
            "ptdprmc1_bytes": cost.ptdprmc1_bytes(),
            "estimated_seconds": estimate.as_secs_f64(),
            "estimate_basis": speed.basis(),
            "plan": in_json(&plan),
        }))?;
    } else {
        let mut fields = fields(&graph, &cost, &speed, estimate);
        match &plan {
            Ok(plan) => fields.extend(plan.fields()),
            Err(error) => fields.push(("plan", format!("none: {error}"))),
        }
        context.output.fields(&fields)?;
    }
    Ok(Answer::Done)
}

fn fields(graph: &Graph, cost: &Forecast, speed: &Speed, estimate: Duration) -> Vec<(&'static str, String)> {
    vec![
        ("vertices", cost.vertices.to_string()),
        ("edges", graph.edge_count().to_string()),
        ("commands", cost.commands.to_string()),
        ("rows", cost.rows.to_string()),
        ("memory slots", cost.slots.to_string()),
        ("inputs", cost.inputs.to_string()),
        ("ptdprmc3", format!("{} bytes", cost.ptdprmc3_bytes())),
        ("ptdprmc1", format!("{} bytes", cost.ptdprmc1_bytes())),
        ("estimated time", format!("{estimate:.1?} ({})", speed.basis())),
    ]
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
}

fn in_json(plan: &Result<PlanForecast, AnalysisError>) -> Value {
    match plan {
        Ok(plan) => {
            let mut object: serde_json::Map<String, Value> =
                plan.counts.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect();
            object.insert("file_bytes".to_owned(), plan.file_bytes.into());
            object.into()
        }
        Err(error) => json!({ "refused": error.to_string() }),
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
