//! Models that requests name: from a document, an id or a hash to a graph, within limits.
//!
//! A [`Recipe`] is all that building a graph takes, and is what is stored. Building runs on the workers' threads; what
//! is then asked of the graph is not known here.

mod builtin;
mod identity;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::{LazyLock, OnceLock};

use phasic_engine::document::{Document, DocumentError, Problem, read_within};
use phasic_engine::graph::{Graph, GraphError, GraphLimits, START};
use phasic_engine::model::{self, ModelProblem, Number};
use phasic_engine::reference::{ReferenceCompute, computes};
use phasic_engine::state_space::StateSpaceError;
use phasic_hub_api::{GraphHash, ModelSource, Sha256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config;

pub use builtin::recipes_of_builtin;
pub use identity::{building_bytes, identify, identify_watched};

/// A document, and the constants it is to be built with.
#[derive(Clone, Debug)]
pub struct Recipe {
    document: String,
    constants: BTreeMap<String, Number>,
    key: OnceLock<Sha256>,
}

/// Why a request's model gives no graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The request names no model, or several.
    #[error("name the model by exactly one of document, builtin, compute and graph; {found} are given")]
    NotOne {
        /// How many are given.
        found: usize,
    },
    /// Members that do not go together.
    #[error("{member} has a meaning only beside {beside}")]
    Misplaced {
        /// The member.
        member: &'static str,
        /// What it belongs to.
        beside: &'static str,
    },
    /// There is no built-in model of this name.
    #[error("there is no built-in model {name:?}; `phasic models` lists them")]
    NoBuiltin {
        /// The name.
        name: String,
    },
    /// A constant that is no number.
    #[error("the constant {name:?} must be a number, and is {value}")]
    Constant {
        /// Its name.
        name: String,
        /// What was given.
        value: String,
    },
    /// Constants for a document without any.
    #[error(
        "constants have a meaning only with a phasic-model/1 document; this one describes a graph itself"
    )]
    NoConstants,
    /// An initial probability that phasic's content hash cannot tell from the number of a vertex.
    #[error(
        "the initial probability {coefficient:e} of vertex {to} is too small: phasic's content hash cannot tell it from \
         the number of a vertex, so that different graphs would share a hash; take 0 or at least 2.3e-308"
    )]
    AmbiguousStart {
        /// Where the edge of the start leads.
        to: u32,
        /// The coefficient.
        coefficient: f64,
    },
    /// The document builds no graph.
    #[error("{0}")]
    Document(DocumentError),
}

impl ModelError {
    /// Whether it is the hub that has too little room, and not the model that is wrong.
    pub fn is_limit(&self) -> bool {
        let has_no_steps_left = matches!(self.problem(), Some(Problem::Model(ModelProblem::Steps { .. })));
        has_no_steps_left || matches!(self.graph_error(), Some(GraphError::Limit { .. }))
    }

    /// Whether more memory might have helped. More of it is no more vertices, edges or steps than the settings allow.
    pub fn lacks_memory(&self) -> bool {
        self.graph_error().is_some_and(GraphError::lacks_memory)
    }

    /// What is wrong with the document, if it is the document.
    fn problem(&self) -> Option<&Problem> {
        if let Self::Document(error) = self { Some(error.problem()) } else { None }
    }

    /// What is wrong with the graph it builds, wherever that was found.
    fn graph_error(&self) -> Option<&GraphError> {
        match self.problem()? {
            Problem::Graph(error)
            | Problem::StateSpace(StateSpaceError::Graph(error))
            | Problem::Transition { source: StateSpaceError::Graph(error), .. } => Some(error),
            _ => None,
        }
    }
}

impl From<DocumentError> for ModelError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

/// What a request points to.
#[derive(Clone, Debug)]
pub enum Named {
    /// All that building takes is in the request itself.
    Here(Recipe),
    /// A compute of this hub, of one definition of its graph or of the one it is for.
    Compute(phasic_hub_api::ComputeId, Option<Sha256>),
    /// A graph the hub may have.
    Graph(phasic_hub_api::GraphHash, Option<Sha256>),
}

/// What a request's model points to. Takes no time: nothing is read or built.
///
/// # Errors
/// [`ModelError`] when it points to nothing, or to several things.
pub fn named(source: &ModelSource) -> Result<Named, ModelError> {
    let ModelSource { document, builtin, constants, compute, graph, definition } = source;
    let given = [document.is_some(), builtin.is_some(), compute.is_some(), graph.is_some()];
    let found = given.into_iter().filter(|&given| given).count();
    if found != 1 {
        return Err(ModelError::NotOne { found });
    }
    if !constants.is_empty() && document.is_none() && builtin.is_none() {
        return Err(ModelError::Misplaced { member: "constants", beside: "document or builtin" });
    }
    if definition.is_some() && graph.is_none() && compute.is_none() {
        return Err(ModelError::Misplaced { member: "definition", beside: "graph or compute" });
    }
    if let Some(compute) = compute {
        return Ok(Named::Compute(compute.clone(), *definition));
    }
    if let Some(hash) = graph {
        return Ok(Named::Graph(*hash, *definition));
    }
    let document = match (document, builtin) {
        (Some(document), _) => document.get().to_owned(),
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            let model = model::find(name).ok_or_else(|| ModelError::NoBuiltin { name: name.to_owned() })?;
            model.text.trim().to_owned()
        }
    };
    let constant = |(name, value): (&String, &serde_json::Value)| {
        let number = match value {
            serde_json::Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let wrong = || ModelError::Constant { name: name.clone(), value: value.to_string() };
        Ok((name.clone(), number.ok_or_else(wrong)?))
    };
    let constants = constants.iter().map(constant).collect::<Result<_, ModelError>>()?;
    Ok(Named::Here(Recipe { document, constants, key: OnceLock::new() }))
}

/// The recipe of the reference compute whose graph has this content hash.
pub fn reference_recipe(hash: GraphHash) -> Option<Recipe> {
    REFERENCES.get(&hash).map(|&(compute, _)| Recipe::of_reference(compute))
}

/// The definition of the graph of the reference compute with this content hash.
pub fn reference_definition(hash: GraphHash) -> Option<Sha256> {
    REFERENCES.get(&hash).map(|&(_, definition)| definition)
}

/// The reference computes by the content hashes of their graphs, with the definitions of those.
static REFERENCES: LazyLock<HashMap<GraphHash, (&'static ReferenceCompute, Sha256)>> = LazyLock::new(|| {
    let known = |compute: &'static ReferenceCompute| {
        let identity = identify(&compute.build(&GraphLimits::default()).ok()?);
        Some((identity.graph_hash, (compute, identity.definition)))
    };
    computes().iter().filter_map(known).collect()
});

/// How a recipe is written.
#[derive(Serialize, Deserialize)]
struct Written {
    constants: serde_json::Map<String, serde_json::Value>,
    document: Box<RawValue>,
}

impl Recipe {
    /// The recipe of a reference compute.
    pub fn of_reference(compute: &ReferenceCompute) -> Self {
        let constants = compute.constants.iter().map(|&(name, value)| (name.to_owned(), value.into()));
        let document = compute.library_model().text.trim().to_owned();
        Self { document, constants: constants.collect(), key: OnceLock::new() }
    }

    /// The recipe as it is stored: one JSON object, the same for the same recipe.
    ///
    /// # Errors
    /// When the document is no JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let number = |number: &Number| match number {
            Number::Integer(value) => serde_json::Value::from(*value),
            Number::Float(value) => serde_json::Value::from(*value),
        };
        let constants = self.constants.iter().map(|(name, value)| (name.clone(), number(value))).collect();
        let document = RawValue::from_string(self.document.clone())?;
        serde_json::to_string(&Written { constants, document })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When it was written by somebody else.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;
        let Written { constants, document } = serde_json::from_str(text)?;
        let number = |(name, value): (String, serde_json::Value)| {
            let number = value.to_string().parse().map_err(serde_json::Error::custom)?;
            Ok((name, number))
        };
        let constants = constants.into_iter().map(number).collect::<Result<_, serde_json::Error>>()?;
        Ok(Self { document: document.get().to_owned(), constants, key: OnceLock::new() })
    }

    /// Names the recipe: equal for equal documents with equal constants. Linear in the document's length, the first time.
    pub fn key(&self) -> Sha256 {
        *self.key.get_or_init(|| self.digest())
    }

    /// This recipe, with its key found.
    #[must_use]
    pub fn named(self) -> Self {
        self.key();
        self
    }

    fn digest(&self) -> Sha256 {
        let mut text = String::new();
        for (name, value) in &self.constants {
            // Debug formatting keeps names and values apart, whatever is in them, and 1 from 1.0.
            // Writing to a string cannot fail.
            let _ = write!(text, "{name:?}={value:?};");
        }
        text.push('\n');
        text.push_str(&self.document);
        Sha256::of(text.as_bytes())
    }

    /// Length of the document in bytes.
    pub fn document_bytes(&self) -> usize {
        self.document.len()
    }

    /// Builds the graph.
    ///
    /// # Errors
    /// [`ModelError`] with the place in the document, or the limit that would be passed.
    pub fn build(&self, limits: &config::Models) -> Result<Graph, ModelError> {
        self.build_watched(limits, &mut || ControlFlow::Continue(()))
    }

    /// As [`build`](Self::build), for as long as `watch`, which is asked every few milliseconds, says to go on.
    ///
    /// # Errors
    /// As [`build`](Self::build), and when `watch` breaks off.
    pub fn build_watched(
        &self,
        limits: &config::Models,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Graph, ModelError> {
        let bounds = limits.graph_limits();
        match read_within(&self.document, &bounds)? {
            Document::Model(mut document) => {
                for (name, &value) in &self.constants {
                    document = document.with_constant(name, value)?;
                }
                unambiguous(document.build_watched(&bounds, limits.max_steps.get(), watch)?)
            }
            _ if !self.constants.is_empty() => Err(ModelError::NoConstants),
            other => unambiguous(other.into_graph(&bounds)?),
        }
    }
}

/// A graph whose content hash no graph with other edges has.
///
/// phasic's hash puts targets and coefficients of a vertex in a row, without saying how many coefficients an edge has.
/// All edges have equally many but those of the start, where one edge with three coefficients may be written as two with
/// one each, if the second coefficient has the bits of a vertex number. As a number that is subnormal.
fn unambiguous(graph: Graph) -> Result<Graph, ModelError> {
    for edge in graph.edges(START) {
        if let Some(&coefficient) = edge.coefficients.iter().find(|coefficient| coefficient.is_subnormal()) {
            return Err(ModelError::AmbiguousStart { to: edge.target, coefficient });
        }
    }
    Ok(graph)
}
