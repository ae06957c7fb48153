//! `phasic eliminate`: runs the elimination and writes the artifact.

use std::io::Write as _;

use phasic_engine::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::plan;
use phasic_engine::trace::eliminate;
use serde_json::json;

use super::Answer;
use crate::arguments::{EliminateArguments, Format, Ordering};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::progress::{Bar, Unit};
use crate::{Context, note, plan_file, vectors};

pub(crate) fn run(arguments: &EliminateArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    if arguments.theta.is_some() && arguments.format != Format::Ptdprmc1 {
        return Err(Failure::input("--theta only matters to --format ptdprmc1; other files hold no numbers"));
    }
    if arguments.ordering.is_some() && arguments.format == Format::Plan {
        return Err(Failure::input(
            "--ordering only matters to ptdprmc files; a plan has an order of its own",
        ));
    }
    let graph = context.graph(&arguments.model)?;
    // Found out before the work, not after it.
    let weights = weights(arguments, &graph)?;
    let mut destination = Destination::create(&arguments.output)?;
    if destination.is_standard_output() && context.output.json {
        return Err(Failure::input(
            "--json and -o - both want standard output; write the artifact to a file",
        ));
    }
    if arguments.format == Format::Plan {
        return write_plan(arguments, &graph, destination, context);
    }
    if !graph.is_parameterized() {
        note("note: this model has no parameters; phasic keeps and reads no artifacts of such models");
    }
    let trace = match arguments.ordering.unwrap_or(Ordering::Phasic) {
        Ordering::Phasic => {
            eliminate(&graph, &context.limits.elimination(), &mut Bar::new("eliminating", Unit::Vertices))?
        }
        Ordering::Fast => {
            let mut bar = Bar::new("eliminating", Unit::Vertices);
            plan::lower_watched(&graph, &context.limits.analysis(), &mut bar)?
        }
    };
    match arguments.format {
        Format::Ptdprmc1 => {
            let memory =
                trace.final_memory(&graph, &weights).map_err(|error| Failure::input(error.to_string()))?;
            encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut destination)
        }
        _ => encode_ptdprmc3(&trace, &mut destination),
    }
    .map_err(destination.failed())?;
    let counts = [
        ("commands", trace.commands().len() as u64),
        ("rows", trace.row_count() as u64),
        ("slots", trace.slots().into()),
        ("inputs", trace.inputs().len() as u64),
    ];
    report(arguments, &graph, &counts, destination, context)
}

fn write_plan(
    arguments: &EliminateArguments,
    graph: &Graph,
    mut destination: Destination,
    context: &mut Context<'_>,
) -> Result<Answer, Failure> {
    let plan = plan_file::analyze(graph, &context.limits)?;
    destination.write_all(&plan.encode(&graph.content_hash())).map_err(destination.failed())?;
    report(arguments, graph, &plan_file::counts(&plan), destination, context)
}

/// One weight per edge, for the run whose memory a PTDPRMC1 file holds.
fn weights(arguments: &EliminateArguments, graph: &Graph) -> Result<Vec<f64>, Failure> {
    let Some(theta) = &arguments.theta else { return Ok(graph.unit_weights()) };
    match vectors::read("--theta", std::slice::from_ref(theta))?.as_slice() {
        [theta] => {
            graph.weights(&theta.values).map_err(|error| Failure::input(format!("{}: {error}", theta.origin)))
        }
        more => Err(Failure::input(format!(
            "--theta {theta} names {} vectors; an artifact holds one run",
            more.len()
        ))),
    }
}

fn report(
    arguments: &EliminateArguments,
    graph: &Graph,
    counts: &[(&'static str, u64)],
    destination: Destination,
    context: &mut Context<'_>,
) -> Result<Answer, Failure> {
    let to_standard_output = destination.is_standard_output();
    let written = destination.finish()?;
    let format = match arguments.format {
        Format::Ptdprmc3 => "ptdprmc3",
        Format::Ptdprmc1 => "ptdprmc1",
        Format::Plan => "plan",
    };
    let path = arguments.output.display().to_string();
    let first = counts.first().map(|(name, count)| format!("{count} {}, ", name.replace('_', "-")));
    let line = format!(
        "{path}: {format}, {}{} bytes, sha256 {}",
        first.unwrap_or_default(),
        written.size_bytes,
        written.sha256
    );
    if to_standard_output {
        note(line);
    } else if context.output.json {
        let mut report = json!({
            "path": path,
            "format": format,
            "graph_hash": graph.content_hash().to_string(),
        });
        for &(name, count) in counts {
            report[name] = count.into();
        }
        report["size_bytes"] = written.size_bytes.into();
        report["sha256"] = written.sha256.to_string().into();
        context.output.json(&report)?;
    } else {
        context.output.line(line)?;
    }
    Ok(Answer::Done)
}
