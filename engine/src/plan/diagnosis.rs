//! Which vertex is to blame when a plan yields no number.
//!
//! Runs only after something went wrong, and may take its time.

use std::cmp::Reverse;

use super::kernel::Factors;
use super::{EvaluationError, Plan};

impl Plan {
    /// The error for linear forms of which one is negative or not finite at this θ: the first edge that has it.
    pub(super) fn invalid_weight(&self, values: &[f64]) -> EvaluationError {
        let is_invalid = |value: &f64| !(0.0..f64::INFINITY).contains(value);
        let form = values.iter().position(is_invalid).unwrap_or(0);
        let weight = values.get(form).copied().unwrap_or_default();
        if let Some(watched) = (form + self.watched.len()).checked_sub(values.len()) {
            let at = self.watched.get(watched).map_or(0, |&at| at as usize);
            return EvaluationError::InvalidWeight {
                vertex: self.vertices[at],
                state: self.state(at),
                weight,
            };
        }
        let form = form as u32;
        let has_form = |at: &usize| {
            self.exit_forms[*at] == form
                || self.inner_forms[self.inner.range(*at)].contains(&form)
                || self.outer_forms[self.outer.range(*at)].contains(&form)
        };
        let at = (0..self.vertices.len()).find(has_form).unwrap_or(0);
        EvaluationError::InvalidWeight { vertex: self.vertices[at], state: self.state(at), weight }
    }

    /// The error for a start whose probabilities are all 0.
    pub(crate) fn no_start(&self) -> EvaluationError {
        let at = self.start();
        let first =
            self.inner.of(at).iter().chain(self.outer.of(at)).map(|&to| self.vertices[to as usize]).min();
        let vertex = first.or_else(|| self.absorbing.first().copied());
        EvaluationError::NoStart { vertex, state: vertex.and_then(|vertex| self.state_of(vertex)) }
    }

    /// The error for a vertex of the graph from which nothing leads to absorption.
    pub(crate) fn trapped(&self, vertex: u32) -> EvaluationError {
        EvaluationError::Trapped { vertex, state: self.state_of(vertex) }
    }

    /// The error for a vertex of the graph whose numbers leave f64.
    pub(crate) fn out_of_range(&self, vertex: u32) -> EvaluationError {
        EvaluationError::OutOfRange { vertex, state: self.state_of(vertex) }
    }

    /// Positions that are reached from these with positive probability.
    pub(super) fn reached(&self, factors: &Factors<f64>, from: &[usize]) -> Vec<bool> {
        let flow = Flow { plan: self, factors, backward: Vec::new(), leaving: Vec::new() };
        closure(self.vertices.len(), from.iter().copied(), |at| flow.targets(at))
    }

    /// What a pivot that cannot be divided by means: an error, or traps that the start reaches with probability zero, or
    /// that f64 are too few, or both of these.
    pub(super) fn diagnose(&self, factors: &Factors<f64>) -> Result<Traps, EvaluationError> {
        let start = self.start();
        let flow = Flow::new(self, factors);
        let reached = closure(self.vertices.len(), [start], |at| flow.targets(at));
        let escapes =
            closure(self.vertices.len(), flow.leaving.iter().copied(), |at| sources(&flow.backward, at));
        let stuck = |at: &usize| !escapes[*at];
        if let Some(at) = (0..self.vertices.len()).filter(|&at| reached[at]).find(stuck) {
            if at == start && flow.targets(start).next().is_none() {
                return Err(self.no_start());
            }
            return Err(self.trapped(self.vertices[at]));
        }
        let broken = (0..self.vertices.len()).filter(|&at| {
            let inverse = factors.inverse[at];
            escapes[at] && (inverse == 0.0 || inverse.is_nan())
        });
        let broken = broken.max_by_key(|&at| (reached[at], Reverse(at)));
        let all_stuck = (0..self.vertices.len()).filter(stuck);
        let lost = closure(self.vertices.len(), all_stuck, |at| sources(&flow.backward, at));
        Ok(Traps { reached, lost, broken })
    }
}

/// Harmless traps: from some positions absorption is not certain, but the start does not lead there.
#[derive(Debug)]
pub(super) struct Traps {
    /// Positions the start reaches with positive probability.
    pub(super) reached: Vec<bool>,
    /// Positions from which absorption is not certain.
    pub(super) lost: Vec<bool>,
    /// A position whose pivot has no reciprocal within the range of f64; one that the start reaches, if there is any.
    pub(super) broken: Option<usize>,
}

/// Entries of positive weight.
struct Flow<'a> {
    plan: &'a Plan,
    factors: &'a Factors<f64>,
    /// As (target, source), sorted.
    backward: Vec<(u32, u32)>,
    /// Positions with a way to absorption.
    leaving: Vec<usize>,
}

impl<'a> Flow<'a> {
    fn new(plan: &'a Plan, factors: &'a Factors<f64>) -> Self {
        let mut flow = Self { plan, factors, backward: Vec::new(), leaving: Vec::new() };
        for at in 0..plan.vertices.len() {
            let backward = flow.targets(at).map(|target| (target as u32, at as u32)).collect::<Vec<_>>();
            flow.backward.extend(backward);
            if factors.values[plan.exit_forms[at] as usize] > 0.0 {
                flow.leaving.push(at);
            }
        }
        flow.backward.sort_unstable();
        flow
    }

    fn targets(&self, at: usize) -> impl Iterator<Item = usize> + use<'a> {
        let (plan, values) = (self.plan, &self.factors.values);
        let parts = [(&plan.inner, &plan.inner_forms), (&plan.outer, &plan.outer_forms)];
        parts.into_iter().flat_map(move |(lists, forms)| {
            let positive = lists.range(at).filter(move |&entry| values[forms[entry] as usize] > 0.0);
            positive.map(|entry| lists.items[entry] as usize)
        })
    }
}

fn sources(backward: &[(u32, u32)], at: usize) -> impl Iterator<Item = usize> + '_ {
    let from = backward.partition_point(|&(target, _)| (target as usize) < at);
    let run = backward[from..].iter().take_while(move |&&(target, _)| target as usize == at);
    run.map(|&(_, source)| source as usize)
}

/// What can be come to from these positions, themselves included.
fn closure<I: IntoIterator<Item = usize>>(
    count: usize,
    from: impl IntoIterator<Item = usize>,
    next: impl Fn(usize) -> I,
) -> Vec<bool> {
    let mut found = vec![false; count];
    let mut stack: Vec<usize> = from.into_iter().collect();
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut found[at], true) {
            stack.extend(next(at).into_iter().filter(|&next| !found[next]));
        }
    }
    found
}
