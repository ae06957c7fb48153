//! From a definition and its constants to a program over places: vectors laid out, known things computed.
//!
//! Programs are run by `build`; here is what does not depend on a state.

use super::definition::{
    Action, Assignment, Change, Code, Declaration, Definition, Formula, Move, Rate, Rule,
};
use super::expression::{Binding, Layout, Span};
use super::number::{Fault, Number};
use super::problem::ModelProblem;
use crate::document::json::ValueId;
use crate::document::{DocumentError, Problem};
use crate::graph::{GraphError, GraphLimits};
use std::collections::HashSet;

type Result<T, E = DocumentError> = std::result::Result<T, E>;

/// Most state variables and most parameters, each element of a vector counted.
pub const MAX_PLACES: u32 = 65_536;

const NO_STATE: Binding<'static> = Binding { state: &[], loops: &[] };

/// Where vectors and scalars lie in the state and among the parameters.
pub(super) struct Places {
    pub(super) states: Vec<Span>,
    pub(super) parameters: Vec<Span>,
}

pub(super) struct Program {
    pub(super) state_length: usize,
    pub(super) param_length: usize,
    pub(super) rules: Vec<CompiledRule>,
    /// Loop variables that can be bound at the same time.
    pub(super) loop_slots: usize,
}

pub(super) struct CompiledRule {
    pub(super) loops: Vec<CompiledLoop>,
    pub(super) when: Option<Code>,
    /// Bound on the nodes evaluated to test `when`, plus one.
    pub(super) cost: u64,
    pub(super) action: CompiledAction,
}

pub(super) struct CompiledLoop {
    pub(super) slot: usize,
    pub(super) from: Code,
    pub(super) to: Code,
    pub(super) cost: u64,
}

pub(super) enum CompiledAction {
    Do(Vec<CompiledRule>),
    Move(Box<CompiledMove>),
}

pub(super) struct CompiledMove {
    /// The rule in the definition, for errors.
    pub(super) origin: ValueId,
    pub(super) change: Change,
    pub(super) changes: Vec<CompiledAssignment>,
    /// Two assignments may turn out to be for one place, which only `add` allows.
    pub(super) may_collide: bool,
    pub(super) rate: CompiledRate,
    /// Bound on the nodes evaluated.
    pub(super) cost: u64,
}

pub(super) enum CompiledRate {
    Bare(Code),
    Coefficients {
        /// The coefficients that are known, by place. Those named nowhere are zero.
        known: Vec<(u32, f64)>,
        varying: Vec<CompiledAssignment>,
        may_collide: bool,
    },
}

pub(super) struct CompiledAssignment {
    pub(super) key: ValueId,
    pub(super) target: Target,
    pub(super) value: Code,
}

pub(super) enum Target {
    Known(u32),
    Element(Span, Code),
}

impl CompiledAssignment {
    fn cost(&self) -> u64 {
        self.value.tree.cost()
            + match &self.target {
                Target::Known(_) => 1,
                Target::Element(_, index) => index.tree.cost(),
            }
    }
}

/// A definition with settled constants, about to become a program.
pub(super) struct Compiler<'a> {
    definition: &'a Definition,
    constants: &'a [Number],
    pub(super) places: Places,
}

impl<'a> Compiler<'a> {
    /// Lays out state and parameters.
    pub(super) fn new(definition: &'a Definition, constants: &'a [Number]) -> Result<Self> {
        let mut compiler =
            Self { definition, constants, places: Places { states: Vec::new(), parameters: Vec::new() } };
        compiler.places.states = compiler.lay_out(&definition.states, "state variables")?;
        compiler.places.parameters = compiler.lay_out(&definition.parameters, "parameters")?;
        Ok(compiler)
    }

    fn lay_out(&self, declarations: &[Declaration], what: &'static str) -> Result<Vec<Span>> {
        let mut first = 0;
        let mut spans = Vec::with_capacity(declarations.len());
        for declaration in declarations {
            let length = match &declaration.length {
                Some(length) => self.vector_length(length)?,
                None => 1,
            };
            spans.push(Span { first, length });
            first += length;
            if first > MAX_PLACES {
                let place = self.definition.json.value(declaration.origin);
                return Err(place.error(ModelProblem::TooLong { what, max: MAX_PLACES }));
            }
        }
        Ok(spans)
    }

    fn vector_length(&self, length: &Formula) -> Result<u32> {
        let code = self.code(length);
        let found =
            code.tree.evaluate_whole(&NO_STATE).map_err(|error| self.evaluation_error(&code, *error))?;
        match u32::try_from(found) {
            Ok(length @ 1..=MAX_PLACES) => Ok(length),
            _ => Err(self
                .definition
                .json
                .value(length.origin)
                .error(ModelProblem::VectorLength { max: MAX_PLACES, found })),
        }
    }

    pub(super) fn state_length(&self) -> usize {
        total_length(&self.places.states)
    }

    pub(super) fn param_length(&self) -> usize {
        total_length(&self.places.parameters)
    }

    /// The whole program.
    pub(super) fn program(&self) -> Result<Program> {
        let rules = self.rules(&self.definition.rules)?;
        let loop_slots = loop_slots(&self.definition.rules);
        let (state_length, param_length) = (self.state_length(), self.param_length());
        Ok(Program { state_length, param_length, rules, loop_slots })
    }

    /// The initial states and their probabilities, in document order.
    pub(super) fn initial(&self, limits: &GraphLimits) -> Result<Vec<(Vec<i32>, f64)>> {
        let bytes = 4 * self.state_length() as u64 * self.definition.initial.len() as u64;
        if bytes > limits.memory_bytes {
            let error = GraphError::Limit { what: GraphError::MEMORY, limit: limits.memory_bytes };
            return Err(self.definition.json.root().error(error));
        }
        let mut initial = Vec::with_capacity(self.definition.initial.len());
        for entry in &self.definition.initial {
            let mut state = vec![0; self.state_length()];
            let assignments = self.assignments(&entry.state, &self.places.states);
            let mut assigned = HashSet::new();
            for assignment in &assignments {
                let place = match &assignment.target {
                    Target::Known(place) => *place,
                    // Constants only, so it would be known if it had a value.
                    Target::Element(span, index) => self.element(*span, index)?,
                };
                if !assigned.insert(place) {
                    return Err(self.assigned_twice(assignment, place, true));
                }
                state[place as usize] = self.state_value(&assignment.value)?;
            }
            initial.push((state, self.known_float(&entry.probability)?));
        }
        Ok(initial)
    }

    fn element(&self, span: Span, index: &Code) -> Result<u32> {
        let number = index.tree.evaluate(&NO_STATE).map_err(|error| self.evaluation_error(index, *error))?;
        span.place(number).map_err(|fault| self.evaluation_error(index, index.tree.fault(fault)))
    }

    fn state_value(&self, code: &Code) -> Result<i32> {
        let whole =
            code.tree.evaluate_whole(&NO_STATE).map_err(|error| self.evaluation_error(code, *error))?;
        i32::try_from(whole)
            .map_err(|_| self.evaluation_error(code, code.tree.fault(Fault::OutsideState(whole))))
    }

    /// The value of a formula of constants.
    pub(super) fn known_float(&self, formula: &Formula) -> Result<f64> {
        let code = self.code(formula);
        let value = code.tree.evaluate(&NO_STATE).map_err(|error| self.evaluation_error(&code, *error))?;
        Ok(value.to_f64())
    }

    fn code(&self, formula: &Formula) -> Code {
        let layout = Layout { constants: self.constants, states: &self.places.states };
        Formula { origin: formula.origin, tree: formula.tree.placed(&layout) }
    }

    fn evaluation_error(&self, code: &Code, error: super::expression::EvaluationError) -> DocumentError {
        let place = self.definition.json.value(code.origin).place_within(error.offset as usize);
        DocumentError::new(place, Problem::Evaluation { fault: error.fault, situation: String::new() })
    }

    fn rules(&self, rules: &[Rule]) -> Result<Vec<CompiledRule>> {
        rules.iter().map(|rule| self.rule(rule)).collect()
    }

    fn rule(&self, rule: &Rule) -> Result<CompiledRule> {
        let loops = rule.loops.iter().map(|variable| {
            let (from, to) = (self.code(&variable.from), self.code(&variable.to));
            let cost = from.tree.cost() + to.tree.cost();
            CompiledLoop { slot: variable.slot as usize, from, to, cost }
        });
        let loops = loops.collect();
        let when = rule.when.as_ref().map(|formula| self.code(formula));
        let action = match &rule.action {
            Action::Do(rules) => CompiledAction::Do(self.rules(rules)?),
            Action::Move(step) => CompiledAction::Move(Box::new(self.step(rule, step)?)),
        };
        let cost = 1 + when.as_ref().map_or(0, |code| code.tree.cost());
        Ok(CompiledRule { loops, when, cost, action })
    }

    fn step(&self, rule: &Rule, step: &Move) -> Result<CompiledMove> {
        let changes = self.assignments(&step.assignments, &self.places.states);
        if step.change == Change::To {
            self.check_distinct(&changes, true)?;
        }
        let (rate, rate_cost) = match &step.rate {
            Rate::Bare(formula) => {
                let code = self.code(formula);
                let cost = code.tree.cost();
                (CompiledRate::Bare(code), cost)
            }
            Rate::ByParameter(assignments) => self.rate(assignments)?,
        };
        let may_collide = step.change == Change::To && may_collide(&changes);
        let cost = rate_cost + self.state_length() as u64 + total_cost(&changes, may_collide);
        Ok(CompiledMove { origin: rule.origin, change: step.change, changes, may_collide, rate, cost })
    }

    fn rate(&self, assignments: &[Assignment]) -> Result<(CompiledRate, u64)> {
        let all = self.assignments(assignments, &self.places.parameters);
        self.check_distinct(&all, false)?;
        let mut known = Vec::new();
        let only_known_targets = all.iter().all(|assignment| matches!(assignment.target, Target::Known(_)));
        let mut varying = Vec::new();
        for assignment in all {
            match (&assignment.target, assignment.value.tree.as_number()) {
                // Beside an unknown target everything stays to be checked for collisions.
                (Target::Known(place), Some(value)) if only_known_targets => {
                    known.push((*place, value.to_f64()));
                }
                _ => varying.push(assignment),
            }
        }
        let may_collide = may_collide(&varying);
        let cost = self.param_length() as u64 + total_cost(&varying, may_collide);
        Ok((CompiledRate::Coefficients { known, varying, may_collide }, cost))
    }

    fn assignments(&self, assignments: &[Assignment], spans: &[Span]) -> Vec<CompiledAssignment> {
        let compile = |assignment: &Assignment| {
            let span = spans[assignment.declaration as usize];
            let target = match &assignment.index {
                None => Target::Known(span.first),
                Some(index) => {
                    let code = self.code(index);
                    // An index that is wrong is an error only where it is used.
                    match code.tree.as_number().map(|number| span.place(number)) {
                        Some(Ok(place)) => Target::Known(place),
                        _ => Target::Element(span, code),
                    }
                }
            };
            CompiledAssignment { key: assignment.key, target, value: self.code(&assignment.value) }
        };
        assignments.iter().map(compile).collect()
    }

    /// Refuses two values for one known place; places that vary are compared when they are known.
    fn check_distinct(&self, assignments: &[CompiledAssignment], is_state: bool) -> Result<()> {
        let mut assigned = HashSet::new();
        for assignment in assignments {
            let Target::Known(place) = assignment.target else { continue };
            if !assigned.insert(place) {
                return Err(self.assigned_twice(assignment, place, is_state));
            }
        }
        Ok(())
    }

    fn assigned_twice(&self, assignment: &CompiledAssignment, place: u32, is_state: bool) -> DocumentError {
        let names = if is_state { self.state_names() } else { self.parameter_names() };
        let problem =
            ModelProblem::AssignedTwice { name: names[place as usize].clone(), situation: String::new() };
        self.definition.json.value(assignment.key).error(problem)
    }

    /// The name of each place of the state: `a`, `k[1]`, `k[2]`, ….
    pub(super) fn state_names(&self) -> Vec<String> {
        place_names(&self.definition.states, &self.places.states)
    }

    /// The name of each parameter of the rules.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        place_names(&self.definition.parameters, &self.places.parameters)
    }
}

/// The cost of evaluating assignments, and of comparing their places where they may collide.
fn total_cost(assignments: &[CompiledAssignment], may_collide: bool) -> u64 {
    let comparisons = if may_collide { assignments.len() as u64 * assignments.len() as u64 } else { 0 };
    comparisons + assignments.iter().map(CompiledAssignment::cost).sum::<u64>()
}

fn may_collide(assignments: &[CompiledAssignment]) -> bool {
    let varies = |assignment: &CompiledAssignment| matches!(assignment.target, Target::Element(..));
    assignments.len() > 1 && assignments.iter().any(varies)
}

fn place_names(declarations: &[Declaration], spans: &[Span]) -> Vec<String> {
    let mut names = Vec::new();
    for (declaration, span) in declarations.iter().zip(spans) {
        match declaration.length {
            None => names.push(declaration.name.clone()),
            Some(_) => names.extend((1..=span.length).map(|index| format!("{}[{index}]", declaration.name))),
        }
    }
    names
}

fn total_length(spans: &[Span]) -> usize {
    spans.last().map_or(0, |span| (span.first + span.length) as usize)
}

fn loop_slots(rules: &[Rule]) -> usize {
    let slots = rules.iter().map(|rule| {
        let own = rule.loops.last().map_or(0, |variable| variable.slot as usize + 1);
        match &rule.action {
            Action::Do(rules) => own.max(loop_slots(rules)),
            Action::Move(_) => own,
        }
    });
    slots.max().unwrap_or(0)
}
