//! Distributions as matrices in JSON.

use std::io::Read as _;
use std::path::Path;

use phasic_engine::distribution::{
    Deficit, Listing, MatrixOptions, SparseMatrix, graph_from_matrices, matrices,
};
use phasic_engine::document::write_graph;
use phasic_engine::graph::GraphLimits;
use serde::{Deserialize, Serialize};

use super::{failed, theta};
use crate::Context;
use crate::arguments::transform::{DeficitChoice, FromMatricesArguments, MatricesArguments};
use crate::failure::Failure;

/// How far sums of probabilities may be off by rounding alone.
const ROUNDING: f64 = 1e-9;

/// What a file has: α, S or T by rows, and what else is known.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    discrete: bool,
    initial: Vec<f64>,
    /// What is absorbed at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    atom: f64,
    /// What becomes of probability that is missing to 1, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deficit: Option<DeficitChoice>,
    transient: Vec<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    states: Option<Vec<Vec<i32>>>,
    /// The vertices of the graph that was listed; not needed for reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vertices: Option<Vec<u32>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// A model as matrices.
pub(super) fn print(arguments: &MatricesArguments, context: &Context<'_>) -> Result<String, Failure> {
    let graph = context.graph(&arguments.model)?;
    let listing = if arguments.compat { Listing::Elimination } else { Listing::Index };
    let theta = theta(arguments.theta.as_deref(), &graph)?;
    let listed = matrices(&graph, &theta, listing).map_err(|error| failed(&error))?;
    let dense = listed.transient.to_dense(context.limits.graph().memory_bytes / 4);
    let dense = dense.map_err(|error| Failure::input(format!("{error}\n--memory raises this limit")))?;
    let defective = listed.initial_total < 1.0 - ROUNDING;
    let document = Document {
        discrete: listed.discrete,
        atom: listed.atom * listed.initial_total,
        deficit: defective.then_some(DeficitChoice::Keep),
        initial: listed.initial.iter().map(|p| p * listed.initial_total).collect(),
        transient: dense.rows().into_iter().map(|row| row.to_vec()).collect(),
        states: Some((0..listed.vertices.len()).map(|place| listed.state(place).to_vec()).collect()),
        exit: Some(listed.exit),
        vertices: Some(listed.vertices),
    };
    // Every number is finite, and keys are texts.
    let mut text = String::from("{\n");
    let value = serde_json::to_value(&document)
        .map_err(|error| Failure::input(format!("the matrices cannot be written: {error}")))?;
    let fields = value.as_object().into_iter().flatten();
    let lines: Vec<String> = fields.map(|(name, value)| format!("\"{name}\": {value}")).collect();
    text.push_str(&lines.join(",\n"));
    text.push_str("\n}");
    Ok(text)
}

/// The graph of matrices.
pub(super) fn read(arguments: &FromMatricesArguments, limits: GraphLimits) -> Result<String, Failure> {
    let shown = arguments.file.display();
    let unusable = |why: String| Failure::input(format!("cannot use the matrices in '{shown}': {why}"));
    let text = text_of(&arguments.file).map_err(|error| unusable(error.to_string()))?;
    let document: Document = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let size = document.transient.len();
    let mut entries = Vec::new();
    for (row, values) in document.transient.iter().enumerate() {
        if values.len() != size {
            return Err(unusable(format!(
                "row {row} (counted from 0) of 'transient' has {} numbers, but there are {size} rows",
                values.len()
            )));
        }
        let stored = values.iter().enumerate().filter(|(_, value)| **value != 0.0);
        entries.extend(stored.map(|(column, &value)| (row, column, value)));
    }
    let transient =
        SparseMatrix::from_entries(size, size, entries).map_err(|error| unusable(error.to_string()))?;
    let deficit = arguments.deficit.or(document.deficit).map_or(Deficit::Refuse, Deficit::from);
    let mut options = MatrixOptions::default().with_deficit(deficit).with_limits(limits);
    options = options.with_atom(document.atom);
    if document.discrete {
        options = options.discrete();
    }
    if let Some(exit) = &document.exit {
        options = options.with_exit(exit);
    }
    let length = document.states.as_ref().and_then(|states| states.first()).map_or(0, Vec::len);
    let states = document.states.unwrap_or_default();
    if let Some(place) = states.iter().position(|state| state.len() != length) {
        return Err(unusable(format!("state {place} (counted from 0) has another length than the first")));
    }
    let states = states.concat();
    if length > 0 {
        options = options.with_states(&states, length);
    }
    let graph = graph_from_matrices(&document.initial, &transient, &options);
    graph.map(|graph| write_graph(&graph)).map_err(|error| unusable(error.to_string()))
}

fn text_of(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
