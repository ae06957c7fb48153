//! `phasic eliminate`: runs the elimination and writes the artifact.

use phasic_engine::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::Graph;
use phasic_engine::plan;
use phasic_engine::trace::{Trace, eliminate};
use serde_json::json;

use super::Answer;
use crate::arguments::{EliminateArguments, Format, Ordering};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::progress::{Bar, Unit};
use crate::{Context, note, vectors};

pub(crate) fn run(arguments: &EliminateArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    if arguments.theta.is_some() && arguments.format == Format::Ptdprmc3 {
        return Err(Failure::input(
            "--theta only matters to --format ptdprmc1; a ptdprmc3 file holds no numbers",
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
    if !graph.is_parameterized() {
        note("note: this model has no parameters; phasic keeps and reads no artifacts of such models");
    }
    let trace = match arguments.ordering {
        Ordering::Phasic => {
            eliminate(&graph, &context.limits.elimination(), &mut Bar::new("eliminating", Unit::Vertices))?
        }
        Ordering::Fast => plan::lower(&graph, &context.limits.analysis())?,
    };
    match arguments.format {
        Format::Ptdprmc3 => encode_ptdprmc3(&trace, &mut destination),
        Format::Ptdprmc1 => {
            let memory =
                trace.final_memory(&graph, &weights).map_err(|error| Failure::input(error.to_string()))?;
            encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut destination)
        }
    }
    .map_err(destination.failed())?;
    report(arguments, &graph, &trace, destination, context)
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
    trace: &Trace,
    destination: Destination,
    context: &mut Context<'_>,
) -> Result<Answer, Failure> {
    let to_standard_output = destination.is_standard_output();
    let written = destination.finish()?;
    let format = match arguments.format {
        Format::Ptdprmc3 => "ptdprmc3",
        Format::Ptdprmc1 => "ptdprmc1",
    };
    let path = arguments.output.display().to_string();
    let line = format!(
        "{path}: {format}, {} commands, {} bytes, sha256 {}",
        trace.commands().len(),
        written.size_bytes,
        written.sha256
    );
    if to_standard_output {
        note(line);
    } else if context.output.json {
        context.output.json(&json!({
            "path": path,
            "format": format,
            "graph_hash": graph.content_hash().to_string(),
            "commands": trace.commands().len(),
            "rows": trace.row_count(),
            "slots": trace.slots(),
            "inputs": trace.inputs().len(),
            "size_bytes": written.size_bytes,
            "sha256": written.sha256.to_string(),
        }))?;
    } else {
        context.output.line(line)?;
    }
    Ok(Answer::Done)
}
