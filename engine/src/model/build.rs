//! Runs a program over the states of its model and so builds the graph.
//!
//! The inner loop: nothing is allocated per state here, and nothing is looked up by name.

use super::definition::{Change, Code, Definition};
use super::expression::{Binding, EvaluationError};
use super::number::{Fault, Number};
use super::problem::ModelProblem;
use super::program::{
    CompiledAction, CompiledAssignment, CompiledLoop, CompiledMove, CompiledRate, CompiledRule, Compiler,
    Target,
};
use crate::document::json::ValueId;
use crate::document::{DocumentError, Problem};
use crate::graph::{Graph, GraphLimits, Rate};
use crate::state_space::{StateSpaceError, Transitions, explore};
use std::fmt::Write as _;
use std::ops::ControlFlow;

/// Most elements of a state that an error message lists.
const SHOWN_VALUES: usize = 24;

/// Evaluation steps between two looks at whether anybody still wants the graph: some milliseconds.
const STEPS_BETWEEN_LOOKS: u64 = 1 << 20;

/// Explores the state space of a model under its limits, for as long as `watch` says to go on.
pub(super) fn build(
    definition: &Definition,
    constants: &[Number],
    limits: &GraphLimits,
    steps: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Graph, DocumentError> {
    let compiler = Compiler::new(definition, constants)?;
    let initial = compiler.initial(limits)?;
    let program = compiler.program()?;
    let root = definition.json.root();
    let mut run = Run {
        next: vec![0; program.state_length],
        coefficients: vec![0.0; program.param_length],
        loops: vec![0; program.loop_slots],
        bound: 0,
        places: Vec::new(),
        steps_left: 0,
        steps_beyond: steps,
        watch,
    };
    let explored = explore(program.state_length, *limits, &initial, |state, transitions| {
        run.rules(&program.rules, state, transitions)
    });
    let mut graph = explored.map_err(|failure| match failure {
        Failure::Steps => root.error(ModelProblem::Steps { limit: steps }),
        Failure::Cancelled => root.error(ModelProblem::Cancelled),
        // Outside of transitions only the initial states can be refused.
        Failure::StateSpace(error) => root.get("initial").unwrap_or(root).error(error),
        Failure::Evaluation(stop) => describe(definition, &compiler, &run.loops[..run.bound], *stop),
    })?;
    if definition.merge_parallel && graph.has_parallel_edges() {
        graph = graph.merge_parallel_edges();
    }
    if let Some(discretize) = &definition.discretize {
        let rate = compiler.known_float(&discretize.rate)?;
        let place = definition.json.value(discretize.rate.origin);
        graph = graph.discretize_by(|_| rate, *limits).map_err(|error| place.error(error))?;
    }
    Ok(graph)
}

/// Why a run ended early.
enum Failure {
    Steps,
    Cancelled,
    StateSpace(StateSpaceError),
    Evaluation(Box<Stop>),
}

/// A rule that could not be applied to a state.
struct Stop {
    origin: ValueId,
    offset: usize,
    state: Vec<i32>,
    reason: Reason,
}

enum Reason {
    Fault(Fault),
    AssignedTwice { place: u32, is_state: bool },
    Refused(StateSpaceError),
}

impl From<StateSpaceError> for Failure {
    fn from(error: StateSpaceError) -> Self {
        Self::StateSpace(error)
    }
}

type Ran<T = ()> = Result<T, Failure>;

/// The buffers of a run.
struct Run<'a> {
    /// The state a transition leads to.
    next: Vec<i32>,
    coefficients: Vec<f64>,
    /// Loop variables by slot.
    loops: Vec<i64>,
    /// Loop variables that have a value now: the slots below this.
    bound: usize,
    /// Places assigned so far, where two could be the same.
    places: Vec<u32>,
    /// Steps until the next look at `watch`.
    steps_left: u64,
    /// Steps after that look.
    steps_beyond: u64,
    watch: &'a mut dyn FnMut() -> ControlFlow<()>,
}

impl Run<'_> {
    fn rules(&mut self, rules: &[CompiledRule], state: &[i32], out: &mut Transitions<'_>) -> Ran {
        rules.iter().try_for_each(|rule| self.bind(rule, &rule.loops, state, out))
    }

    /// Runs the rule for each binding of the remaining loops.
    fn bind(
        &mut self,
        rule: &CompiledRule,
        loops: &[CompiledLoop],
        state: &[i32],
        out: &mut Transitions<'_>,
    ) -> Ran {
        let Some((first, inner)) = loops.split_first() else {
            return self.apply(rule, state, out);
        };
        self.bound = first.slot;
        self.charge(first.cost)?;
        let from = self.whole(&first.from, state)?;
        let to = self.whole(&first.to, state)?;
        for value in from..=to {
            self.charge(1)?;
            self.loops[first.slot] = value;
            self.bound = first.slot + 1;
            self.bind(rule, inner, state, out)?;
        }
        self.bound = first.slot;
        Ok(())
    }

    fn apply(&mut self, rule: &CompiledRule, state: &[i32], out: &mut Transitions<'_>) -> Ran {
        self.charge(rule.cost)?;
        if let Some(when) = &rule.when
            && !self.value(when, state)?.is_true()
        {
            return Ok(());
        }
        match &rule.action {
            CompiledAction::Do(rules) => self.rules(rules, state, out),
            CompiledAction::Move(step) => self.step(step, state, out),
        }
    }

    fn step(&mut self, step: &CompiledMove, state: &[i32], out: &mut Transitions<'_>) -> Ran {
        self.charge(step.cost)?;
        self.next.copy_from_slice(state);
        self.places.clear();
        for assignment in &step.changes {
            let place = self.place(assignment, state)?;
            let value = self.whole(&assignment.value, state)?;
            let value = match step.change {
                Change::To => {
                    if step.may_collide {
                        self.check_unassigned(assignment, place, true, state)?;
                    }
                    value
                }
                Change::Add => i64::from(self.next[place]).saturating_add(value),
            };
            self.next[place] = i32::try_from(value).map_err(|_| {
                failure(&assignment.value, state, assignment.value.tree.fault(Fault::OutsideState(value)))
            })?;
        }
        let rate = match &step.rate {
            CompiledRate::Bare(code) => Rate::Scalar(self.value(code, state)?.to_f64()),
            CompiledRate::Coefficients { known, varying, may_collide } => {
                self.weigh(known, varying, *may_collide, state)?;
                Rate::Coefficients(&self.coefficients)
            }
        };
        out.add(&self.next, rate).map_err(|error| {
            let (state, reason) = (state.to_vec(), Reason::Refused(error));
            Failure::Evaluation(Box::new(Stop { origin: step.origin, offset: 0, state, reason }))
        })
    }

    /// Computes the coefficients of a transition.
    fn weigh(
        &mut self,
        known: &[(u32, f64)],
        varying: &[CompiledAssignment],
        may_collide: bool,
        state: &[i32],
    ) -> Ran {
        self.coefficients.fill(0.0);
        for &(place, coefficient) in known {
            self.coefficients[place as usize] = coefficient;
        }
        self.places.clear();
        for assignment in varying {
            let place = self.place(assignment, state)?;
            if may_collide {
                self.check_unassigned(assignment, place, false, state)?;
            }
            self.coefficients[place] = self.value(&assignment.value, state)?.to_f64();
        }
        Ok(())
    }

    /// Remembers an assigned place, unless it is already.
    fn check_unassigned(
        &mut self,
        assignment: &CompiledAssignment,
        place: usize,
        is_state: bool,
        state: &[i32],
    ) -> Ran {
        let place = place as u32;
        if self.places.contains(&place) {
            let reason = Reason::AssignedTwice { place, is_state };
            let stop = Stop { origin: assignment.key, offset: 0, state: state.to_vec(), reason };
            return Err(Failure::Evaluation(Box::new(stop)));
        }
        self.places.push(place);
        Ok(())
    }

    #[inline]
    fn place(&self, assignment: &CompiledAssignment, state: &[i32]) -> Ran<usize> {
        match &assignment.target {
            Target::Known(place) => Ok(*place as usize),
            Target::Element(span, index) => {
                let place = span.place(self.value(index, state)?);
                place
                    .map(|place| place as usize)
                    .map_err(|fault| failure(index, state, index.tree.fault(fault)))
            }
        }
    }

    #[inline]
    fn value(&self, code: &Code, state: &[i32]) -> Ran<Number> {
        let binding = Binding { state, loops: &self.loops };
        code.tree.evaluate(&binding).map_err(|error| failure(code, state, *error))
    }

    #[inline]
    fn whole(&self, code: &Code, state: &[i32]) -> Ran<i64> {
        let binding = Binding { state, loops: &self.loops };
        code.tree.evaluate_whole(&binding).map_err(|error| failure(code, state, *error))
    }

    #[inline]
    fn charge(&mut self, steps: u64) -> Ran {
        match self.steps_left.checked_sub(steps) {
            Some(left) => self.steps_left = left,
            None => self.look(steps)?,
        }
        Ok(())
    }

    /// Takes steps that reach beyond the next look, after that look.
    #[cold]
    fn look(&mut self, steps: u64) -> Ran {
        if (self.watch)().is_break() {
            return Err(Failure::Cancelled);
        }
        let missing = steps - self.steps_left;
        let beyond = self.steps_beyond.checked_sub(missing).ok_or(Failure::Steps)?;
        self.steps_left = beyond.min(STEPS_BETWEEN_LOOKS);
        self.steps_beyond = beyond - self.steps_left;
        Ok(())
    }
}

#[cold]
fn failure(code: &Code, state: &[i32], error: EvaluationError) -> Failure {
    Failure::Evaluation(Box::new(Stop {
        origin: code.origin,
        offset: error.offset as usize,
        state: state.to_vec(),
        reason: Reason::Fault(error.fault),
    }))
}

fn describe(definition: &Definition, compiler: &Compiler<'_>, loops: &[i64], stop: Stop) -> DocumentError {
    let situation = situation(definition, compiler, loops, &stop);
    let problem = match stop.reason {
        Reason::Fault(fault) => Problem::Evaluation { fault, situation },
        Reason::Refused(source) => Problem::Transition { source, situation },
        Reason::AssignedTwice { place, is_state } => {
            let names = if is_state { compiler.state_names() } else { compiler.parameter_names() };
            ModelProblem::AssignedTwice { name: names[place as usize].clone(), situation }.into()
        }
    };
    DocumentError::new(definition.json.value(stop.origin).place_within(stop.offset), problem)
}

/// " (in state a = 3, b = 0; i = 2)".
fn situation(definition: &Definition, compiler: &Compiler<'_>, loops: &[i64], stop: &Stop) -> String {
    let mut situation = String::from(" (in state ");
    for (position, (name, value)) in compiler.state_names().iter().zip(&stop.state).enumerate() {
        if position == SHOWN_VALUES {
            situation.push_str(", …");
            break;
        }
        let before = if position == 0 { "" } else { ", " };
        _ = write!(situation, "{before}{name} = {value}");
    }
    for (position, (name, value)) in definition.loop_names(stop.origin).iter().zip(loops).enumerate() {
        let before = if position == 0 { "; " } else { ", " };
        _ = write!(situation, "{before}{name} = {value}");
    }
    situation.push(')');
    situation
}
