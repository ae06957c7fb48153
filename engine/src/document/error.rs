//! Why a document cannot be read or built: one problem, and its place.

use std::fmt;

use super::json::JsonProblem;
use super::place::Place;
use crate::graph::GraphError;
use crate::model::{ExpressionProblem, Fault, ModelProblem, Number};
use crate::state_space::StateSpaceError;

/// A problem in a document and where it is.
///
/// Shown, it is a sentence with the place, and below it the source line with a caret:
///
/// ```
/// let error = phasic_engine::model::read(r#"{"format": "phasic-model/1", "state": ["a"], "initial": [],
///  "transitions": [{"when": "a > b", "to": {"a": 0}, "rate": 1}]}"#).unwrap_err();
/// assert_eq!(error.to_string(), "\
/// transitions[0].when (line 2, column 32): `b` is not declared; names here are `a`
/// 2 |  \"transitions\": [{\"when\": \"a > b\", \"to\": {\"a\": 0}, \"rate\": 1}]}
///   |                                ^");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentError(Box<Located>);

#[derive(Debug, Clone, PartialEq)]
struct Located {
    place: Place,
    problem: Problem,
}

/// What is wrong, without its place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonProblem),
    /// The document is of no kind this reader knows.
    #[error(
        "this is no graph and no model: expected `format` \"phasic-graph/1\" or \"phasic-model/1\", or `vertices` and \
         `edges`, or `states` and `param_edges` as phasic's serialize() writes them"
    )]
    UnknownKind,
    /// A `format` this reader does not know.
    #[error(
        "the format \"{0}\" is not known here; this reader knows \"phasic-graph/1\" and \"phasic-model/1\""
    )]
    UnknownFormat(String),
    /// A key that must be there.
    #[error("the key \"{0}\" is missing")]
    MissingKey(&'static str),
    /// A key that means nothing here.
    #[error("the key \"{key}\" has no meaning here; keys are {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that could stand here.
        known: String,
    },
    /// A value of the wrong kind.
    #[error("expected {expected}, but found {found}")]
    Type {
        /// What could have stood here.
        expected: &'static str,
        /// What stands here.
        found: &'static str,
    },
    /// A number that is not whole or out of range.
    #[error("expected {expected}, but found {found}")]
    Whole {
        /// What could have stood here.
        expected: &'static str,
        /// The number.
        found: Number,
    },
    /// A number beyond 64-bit integers or finite floats.
    #[error("the number {0} is too large")]
    NumberTooLarge(String),
    /// A list that should have another length.
    #[error("expected {expected}, but found {found} items")]
    Length {
        /// What could have stood here.
        expected: String,
        /// Items there are.
        found: usize,
    },
    /// An array or object written by phasic that this reader does not interpret.
    #[error("values of the type \"{0}\" are not read: their meaning is code of another program")]
    ForeignType(String),
    /// The first vertex has a state that is not zero.
    #[error("the first vertex is the start, so its state is all zeros")]
    StartState,
    /// `param_length` is 0 although an edge has coefficients.
    #[error("this edge has coefficients, but `param_length` is 0")]
    NoParameters,
    /// An edge with neither coefficients nor a weight.
    #[error("an edge without coefficients needs its fixed weight as a fourth item")]
    MissingWeight,
    /// An edge with a fixed weight although θ sets its weight.
    #[error(
        "only edges of the start and edges without coefficients have a fixed weight; remove the fourth item"
    )]
    SurplusWeight,
    /// The graph cannot be as described.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The state space cannot be as described.
    #[error(transparent)]
    StateSpace(#[from] StateSpaceError),
    /// The text of an expression is wrong.
    #[error(transparent)]
    Expression(#[from] ExpressionProblem),
    /// The rules of a model are wrong.
    #[error(transparent)]
    Model(#[from] ModelProblem),
    /// The graph refused a transition that a rule made.
    #[error("{source}{situation}")]
    Transition {
        /// Why.
        source: StateSpaceError,
        /// For people: in which state and with which loop variables.
        situation: String,
    },
    /// An expression has no usable value.
    #[error("{fault}{situation}")]
    Evaluation {
        /// Why not.
        fault: Fault,
        /// For people: in which state and with which loop variables; may be empty.
        situation: String,
    },
}

impl DocumentError {
    pub(crate) fn new(place: Place, problem: Problem) -> Self {
        Self(Box::new(Located { place, problem }))
    }

    /// Where the problem is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What the problem is.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Located { place, problem } = &*self.0;
        write!(f, "{place}: {problem}\n{}", place.marked_excerpt())
    }
}

impl std::error::Error for DocumentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}
