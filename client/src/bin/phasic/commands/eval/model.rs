//! What is asked: a graph, and the eliminations of it that questions turn out to need.

use std::cell::OnceCell;

use phasic_engine::graph::Graph;
use phasic_engine::plan::Plan;
use phasic_engine::trace::{Trace, eliminate};

use super::no_number::NoNumber;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::plan_file;
use crate::progress::{Bar, Unit};

/// A graph with its eliminations, each made when it is first needed or read from a file.
pub(super) struct Model {
    pub(super) graph: Graph,
    pub(super) limits: Limits,
    plan: OnceCell<Plan>,
    trace: OnceCell<Trace>,
}

/// A model at one θ; without one, with all parameters 1, as it was built.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) model: &'a Model,
    given: Option<&'a [f64]>,
}

impl Model {
    pub(super) fn new(graph: Graph, limits: Limits) -> Self {
        Self { graph, limits, plan: OnceCell::new(), trace: OnceCell::new() }
    }

    /// This model with a plan of it from elsewhere.
    pub(super) fn with_plan(self, plan: Plan) -> Self {
        Self { plan: plan.into(), ..self }
    }

    /// This model with a program of it from elsewhere.
    pub(super) fn with_trace(self, trace: Trace) -> Self {
        Self { trace: trace.into(), ..self }
    }

    /// Our own elimination.
    pub(super) fn plan(&self) -> Result<&Plan, Failure> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let plan = plan_file::analyze(&self.graph, &self.limits)?;
        Ok(self.plan.get_or_init(|| plan))
    }

    /// The program from a file, or phasic's own elimination.
    pub(super) fn trace(&self) -> Result<&Trace, Failure> {
        if let Some(trace) = self.trace.get() {
            return Ok(trace);
        }
        let mut bar = Bar::new("eliminating", Unit::Vertices);
        let trace = eliminate(&self.graph, &self.limits.elimination(), &mut bar)?;
        Ok(self.trace.get_or_init(|| trace))
    }

    pub(super) fn at<'a>(&'a self, theta: Option<&'a [f64]>) -> Subject<'a> {
        Subject { model: self, given: theta }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn plan(&self) -> Result<&'a Plan, Failure> {
        self.model.plan()
    }

    /// θ, for our own elimination and everything that comes of it.
    pub(super) fn theta(&self) -> Vec<f64> {
        self.given.map_or_else(|| vec![1.0; self.model.graph.param_length()], <[f64]>::to_vec)
    }

    /// The weights of the graph's edges.
    pub(super) fn weights(&self) -> Result<Vec<f64>, NoNumber> {
        match self.given {
            Some(theta) => Ok(self.model.graph.weights(theta)?),
            None => Ok(self.model.graph.unit_weights()),
        }
    }
}
