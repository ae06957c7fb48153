//! Model documents (`phasic-model/1`): rules over named state variables that build a graph.
//!
//! Reading checks structure, names and spelling; building evaluates the rules state by state. The library of built-in
//! documents is here as well. Graph documents and JSON itself belong to `document`.

#![allow(
    clippy::cast_possible_truncation,
    reason = "expressions have at most 16 KiB, states 65 536 places and documents 2^32 values: every count fits 32 bits"
)]

mod build;
mod definition;
mod expression;
mod library;
mod number;
mod problem;
mod program;
mod reader;
#[cfg(test)]
mod tests;

pub use expression::MAX_LENGTH_BYTES as MAX_EXPRESSION_LENGTH_BYTES;
pub use expression::{ExpressionProblem, MAX_DEPTH as MAX_EXPRESSION_DEPTH};
pub use library::{LibraryModel, find, library};
pub use number::{Fault, Number, ParseNumberError};
pub use problem::ModelProblem;
pub use program::MAX_PLACES;
pub use reader::{MAX_LOOPS, MAX_NAMES};

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::document::DocumentError;
use crate::document::json::Json;
use crate::graph::{Graph, GraphLimits};
use definition::{Definition, list};
use program::Compiler;

/// Evaluation steps that building one graph may take unless stated otherwise: about a minute's worth.
///
/// A step is a rule tried, a loop variable set, or a node of an expression visited.
pub const DEFAULT_STEPS: u64 = 20_000_000_000;

/// A model document that was read, with the constants it will be built with. Clones share the document.
///
/// ```
/// use phasic_engine::graph::GraphLimits;
///
/// let kingman = phasic_engine::model::read(r#"{
///     "format": "phasic-model/1", "constants": {"n": 5},
///     "state": ["lineages"], "parameters": ["coalescence"],
///     "initial": [{"state": {"lineages": "n"}}],
///     "transitions": [
///         {"when": "lineages > 1", "to": {"lineages": "lineages - 1"}, "rate": {"coalescence": "comb(lineages, 2)"}}
///     ]
/// }"#)?;
/// let graph = kingman.with_constant("n", 10)?.build(&GraphLimits::default())?;
/// assert_eq!(graph.vertex_count(), 11);
/// # Ok::<(), phasic_engine::document::DocumentError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelDocument {
    definition: Arc<Definition>,
    /// Values of the constants, in declaration order.
    constants: Vec<Number>,
}

/// Reads a `phasic-model/1` document. Linear in its length; nothing is built yet.
///
/// # Errors
/// [`DocumentError`] at the first place that is not JSON, has an unknown key or name, or is no expression.
pub fn read(text: &str) -> Result<ModelDocument, DocumentError> {
    ModelDocument::from_json(Json::parse(text)?)
}

impl ModelDocument {
    pub(crate) fn from_json(json: Json<'_>) -> Result<Self, DocumentError> {
        let definition = reader::read(json.into_owned())?;
        let constants = definition.constants.iter().map(|&(_, value)| value).collect();
        Ok(Self { definition: Arc::new(definition), constants })
    }

    /// The name the document gives itself.
    pub fn name(&self) -> Option<&str> {
        self.definition.name.as_deref()
    }

    /// What the document says the model is.
    pub fn description(&self) -> Option<&str> {
        self.definition.description.as_deref()
    }

    /// The text that was read.
    pub fn text(&self) -> &str {
        self.definition.json.text()
    }

    /// The constants and their values in force, in document order.
    pub fn constants(&self) -> impl ExactSizeIterator<Item = (&str, Number)> {
        let names = self.definition.constants.iter().map(|(name, _)| name.as_str());
        names.zip(self.constants.iter().copied())
    }

    /// This document with another value for a constant.
    ///
    /// # Errors
    /// [`DocumentError`] when the document has no such constant, or the value is infinite or not a number.
    pub fn with_constant(&self, name: &str, value: impl Into<Number>) -> Result<Self, DocumentError> {
        let root = self.definition.json.root();
        let place = root.get("constants").unwrap_or(root);
        let value = value.into();
        let Some(position) = self.definition.constants.iter().position(|(constant, _)| constant == name)
        else {
            let known = list(self.constants().map(|(name, _)| name));
            return Err(place.error(ModelProblem::UnknownConstant { name: name.to_owned(), known }));
        };
        if !value.to_f64().is_finite() {
            return Err(place.error(ModelProblem::ConstantNotFinite(name.to_owned())));
        }
        let mut changed = self.clone();
        changed.constants[position] = value;
        Ok(changed)
    }

    /// The name of each integer of a state: `a`, `k[1]`, `k[2]`, ….
    ///
    /// # Errors
    /// [`DocumentError`] when the length of a vector cannot be computed or is out of range.
    pub fn state_names(&self) -> Result<Vec<String>, DocumentError> {
        Ok(Compiler::new(&self.definition, &self.constants)?.state_names())
    }

    /// The name of each parameter, in the order of θ; the one that `discretize` adds is the last.
    ///
    /// # Errors
    /// [`DocumentError`] when the length of a vector cannot be computed or is out of range.
    pub fn parameter_names(&self) -> Result<Vec<String>, DocumentError> {
        let mut names = Compiler::new(&self.definition, &self.constants)?.parameter_names();
        names.extend(self.definition.discretize.as_ref().and_then(|discretize| discretize.name.clone()));
        Ok(names)
    }

    /// Builds the graph, within [`DEFAULT_STEPS`].
    ///
    /// Vertices and edges come in the order in which a Python callback that tries the same rules in the same order
    /// makes them, so the graph has that callback's content hash.
    ///
    /// # Errors
    /// [`DocumentError`] at the rule that cannot be evaluated, leads back to its own state, or passes a limit.
    pub fn build(&self, limits: &GraphLimits) -> Result<Graph, DocumentError> {
        self.build_within(limits, DEFAULT_STEPS)
    }

    /// Builds the graph in at most `steps` evaluation steps (see [`DEFAULT_STEPS`]).
    ///
    /// # Errors
    /// As [`build`](Self::build); [`ModelProblem::Steps`] when the steps do not suffice.
    pub fn build_within(&self, limits: &GraphLimits, steps: u64) -> Result<Graph, DocumentError> {
        self.build_watched(limits, steps, &mut || ControlFlow::Continue(()))
    }

    /// As [`build_within`](Self::build_within), for as long as `watch` says to go on: it is asked at the beginning and
    /// every million steps, which is every few milliseconds.
    ///
    /// # Errors
    /// As [`build_within`](Self::build_within); [`ModelProblem::Cancelled`] when `watch` breaks off.
    pub fn build_watched(
        &self,
        limits: &GraphLimits,
        steps: u64,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Graph, DocumentError> {
        build::build(&self.definition, &self.constants, limits, steps, watch)
    }
}
