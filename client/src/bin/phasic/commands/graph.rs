//! `phasic graph`: the built graph as a document or a picture.

use std::io::Write as _;
use std::path::Path;

use phasic_engine::document::write_graph;

use super::Answer;
use crate::Context;
use crate::arguments::GraphArguments;
use crate::destination::Destination;
use crate::failure::Failure;

pub(crate) fn run(arguments: &GraphArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let graph = context.graph(&arguments.model)?;
    let text = if arguments.dot { graph.dot().to_string() } else { write_graph(&graph) };
    write(&text, arguments.output.as_deref(), context)?;
    Ok(Answer::Done)
}

/// Writes a document to a file, or prints it.
pub(crate) fn write(text: &str, output: Option<&Path>, context: &mut Context<'_>) -> Result<(), Failure> {
    match output {
        Some(path) if path.as_os_str() != "-" => {
            let mut destination = Destination::create(path)?;
            destination.write_all(text.trim_end().as_bytes()).map_err(destination.failed())?;
            destination.write_all(b"\n").map_err(destination.failed())?;
            destination.finish().map(drop)
        }
        _ => context.output.line(text.trim_end()),
    }
}
