//! A model document as it was written: declarations and rules over names, not yet over numbers.
//!
//! Plain data. The reader makes it, the program is made from it; both know where in the document each part stands.

use super::expression::{Placed, Scope, Symbol, Written};
use super::number::Number;
use crate::document::json::{Json, ValueId};

/// Everything a document says, with its text for later complaints.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) json: Json<'static>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) constants: Vec<(String, Number)>,
    pub(super) states: Vec<Declaration>,
    pub(super) parameters: Vec<Declaration>,
    pub(super) initial: Vec<InitialState>,
    pub(super) rules: Vec<Rule>,
    pub(super) merge_parallel: bool,
    pub(super) discretize: Option<Discretize>,
}

impl Definition {
    /// The loop variables around a part of the rules, outermost first.
    pub(super) fn loop_names(&self, part: ValueId) -> Vec<&str> {
        let mut names = Vec::new();
        let mut rules = &self.rules[..];
        while let Some(rule) = rules.iter().find(|rule| self.json.value(rule.origin).holds(part)) {
            names.extend(rule.loops.iter().map(|variable| variable.name.as_str()));
            rules = match &rule.action {
                Action::Do(rules) => rules,
                Action::Move(_) => &[],
            };
        }
        names
    }
}

/// A name, and for a vector its length.
#[derive(Debug)]
pub(super) struct Declaration {
    pub(super) origin: ValueId,
    pub(super) name: String,
    pub(super) length: Option<Formula>,
}

/// An expression, or anything made of it, and the value of the document it comes from.
#[derive(Debug)]
pub(super) struct Formula<T = Written> {
    pub(super) origin: ValueId,
    pub(super) tree: T,
}

/// A formula that can be evaluated.
pub(super) type Code = Formula<Placed>;

#[derive(Debug)]
pub(super) struct InitialState {
    pub(super) state: Vec<Assignment>,
    pub(super) probability: Formula,
}

/// One member of `to`, `add`, `rate` or an initial `state`.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) key: ValueId,
    /// Number of the state variable or parameter among the declarations.
    pub(super) declaration: u32,
    pub(super) index: Option<Formula>,
    pub(super) value: Formula,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) origin: ValueId,
    pub(super) loops: Vec<Loop>,
    pub(super) when: Option<Formula>,
    pub(super) action: Action,
}

/// One variable of `for`; `slot` is its depth among the loops around it.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) slot: u32,
    pub(super) name: String,
    pub(super) from: Formula,
    pub(super) to: Formula,
}

#[derive(Debug)]
pub(super) enum Action {
    Do(Vec<Rule>),
    Move(Move),
}

#[derive(Debug)]
pub(super) struct Move {
    pub(super) change: Change,
    pub(super) assignments: Vec<Assignment>,
    pub(super) rate: Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    To,
    Add,
}

#[derive(Debug)]
pub(super) enum Rate {
    Bare(Formula),
    ByParameter(Vec<Assignment>),
}

#[derive(Debug)]
pub(super) struct Discretize {
    /// The name of the new last parameter; none in models without parameters.
    pub(super) name: Option<String>,
    pub(super) rate: Formula,
}

/// The names expressions can use at one point of the document.
pub(super) struct Names<'a> {
    pub(super) constants: &'a [(String, Number)],
    /// Empty where expressions are evaluated before there is a state.
    pub(super) states: &'a [Declaration],
    pub(super) parameters: &'a [Declaration],
    pub(super) loops: Vec<String>,
}

impl Scope for Names<'_> {
    fn resolve(&self, name: &str) -> Option<Symbol> {
        let number = |position: usize| u32::try_from(position).ok();
        if let Some(slot) = self.loops.iter().position(|variable| variable == name) {
            return number(slot).map(Symbol::Loop);
        }
        if let Some(state) = self.states.iter().position(|state| state.name == name) {
            let symbol = if self.states[state].length.is_some() { Symbol::Vector } else { Symbol::State };
            return number(state).map(symbol);
        }
        number(self.constants.iter().position(|(constant, _)| constant == name)?).map(Symbol::Constant)
    }

    fn is_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }

    fn known(&self) -> String {
        let states = self.states.iter().map(|state| state.name.as_str());
        let constants = self.constants.iter().map(|(name, _)| name.as_str());
        list(self.loops.iter().map(String::as_str).chain(states).chain(constants))
    }
}

/// Names in one sentence: "`a`, `b` and `n`".
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
