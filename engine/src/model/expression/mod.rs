//! The expression language of model documents: from text to a flat, slot-resolved form that is evaluated per state.
//!
//! Two stages share one node type. *Written* trees name constants, state variables and loop variables; *placed* trees
//! have constants folded in and read places of a state vector. Positions are byte offsets into the expression's text.

mod evaluate;
mod lexer;
mod parser;
mod place;
#[cfg(test)]
mod tests;

pub(super) use evaluate::{Binding, EvaluationError};
pub(super) use lexer::is_name;
pub(super) use parser::{RESERVED, parse, parse_target};
pub(super) use place::Layout;

use super::number::Number;

/// Most bytes in the text of one expression.
pub const MAX_LENGTH_BYTES: usize = 16_384;

/// Deepest nesting of one expression: of parentheses and of operations within operations.
pub const MAX_DEPTH: u16 = 128;

/// What the text of an expression does wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionProblem {
    /// Something else was expected here.
    #[error("expected {expected}, but found {found}")]
    Unexpected {
        /// What could have stood here.
        expected: &'static str,
        /// What stands here.
        found: String,
    },
    /// Another language's spelling.
    #[error("`{found}` is not part of expressions; write {instead}")]
    Foreign {
        /// What stands here.
        found: &'static str,
        /// What to write.
        instead: &'static str,
    },
    /// A number that is malformed or too large.
    #[error("`{0}` is not a number this language has (64-bit integers and finite floats, no leading zeros)")]
    Number(String),
    /// A name nothing declares.
    #[error("`{name}` is not declared; names here are {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// All names that could stand here.
        known: String,
    },
    /// A parameter where only its coefficient can be.
    #[error(
        "`{0}` is a parameter; expressions give the coefficients of parameters, so they cannot contain one"
    )]
    ParameterInExpression(String),
    /// A vector without an index.
    #[error("`{0}` is a vector; write `{0}[index]`, or `sum({0})` for its total")]
    VectorWithoutIndex(String),
    /// An index on something that is no vector.
    #[error("`{0}` is not a vector, so it cannot have an index")]
    IndexOnScalar(String),
    /// `sum` of something that is no vector.
    #[error("sum needs the name of a vector of the state, as in `sum(k)`")]
    SumOfNoVector,
    /// A call of something that is no function.
    #[error("`{0}` is not a function; functions are {functions}", functions = parser::FUNCTION_NAMES)]
    UnknownFunction(String),
    /// A function with too few or too many arguments.
    #[error("{function} takes {expected}, but was given {found}")]
    ArgumentCount {
        /// The function.
        function: &'static str,
        /// How many it takes.
        expected: &'static str,
        /// How many it was given.
        found: usize,
    },
    /// Longer than [`MAX_LENGTH_BYTES`].
    #[error("the expression is longer than {MAX_LENGTH_BYTES} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the expression is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// A problem and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) offset: usize,
    pub(super) problem: ExpressionProblem,
}

/// What the names of an expression stand for. The numbers are places in the declaring lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Constant(u32),
    State(u32),
    Vector(u32),
    Loop(u32),
}

/// The names an expression can use.
pub(super) trait Scope {
    fn resolve(&self, name: &str) -> Option<Symbol>;
    fn is_parameter(&self, name: &str) -> bool;
    /// All names, for people: "`a`, `b` and `n`".
    fn known(&self) -> String;
}

/// Index of a node in its tree.
pub(super) type NodeId = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    Least,
    Greatest,
    Choose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Negate,
    Not,
    Absolute,
    Floor,
    Ceil,
    Exponential,
    Logarithm,
    SquareRoot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// One node; `S` is how a scalar is read, `V` how a vector is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node<S, V> {
    Number(Number),
    Scalar(S),
    Element(V, NodeId),
    Sum(V),
    Unary(Function, NodeId),
    Binary(Operator, NodeId, NodeId),
    Comparison(Relation, NodeId, NodeId),
    /// `a < b <= c …`: the first operand and a range of [`Tree::links`].
    Chain(NodeId, u32, u32),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
}

/// An expression as a flat list of nodes, operands before the operations on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree<S, V> {
    nodes: Vec<Node<S, V>>,
    /// For each node, where it stands in the text.
    offsets: Vec<u32>,
    /// Further comparisons of chains.
    links: Vec<(Relation, NodeId)>,
    root: NodeId,
}

/// A scalar name of a written tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Constant(u32),
    State(u32),
    Loop(u32),
}

/// Where a placed tree reads a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Place(u32),
    Loop(u32),
}

/// Where a vector lies in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u32,
    pub(super) length: u32,
}

/// An expression by names; a vector is its number among the state's declarations.
pub(super) type Written = Tree<Name, u32>;

/// An expression ready to be evaluated.
pub(super) type Placed = Tree<Slot, Span>;

impl<S, V> Tree<S, V> {
    fn empty() -> Self {
        Self { nodes: Vec::new(), offsets: Vec::new(), links: Vec::new(), root: 0 }
    }

    fn push(&mut self, node: Node<S, V>, offset: usize) -> NodeId {
        self.nodes.push(node);
        self.offsets.push(offset as u32);
        (self.nodes.len() - 1) as NodeId
    }

    /// A tree of one number.
    pub(super) fn of_number(number: Number) -> Self {
        let mut tree = Self::empty();
        tree.root = tree.push(Node::Number(number), 0);
        tree
    }

    /// The value, if the whole tree is one number.
    pub(super) fn as_number(&self) -> Option<Number> {
        match self.nodes[self.root as usize] {
            Node::Number(number) => Some(number),
            _ => None,
        }
    }
}
