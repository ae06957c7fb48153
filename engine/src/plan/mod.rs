//! Our own elimination: a graph is analysed once into a plan, and a plan is evaluated at any number of θ.
//!
//! This is what numbers are computed with; phasic's program (`trace`) is for exchange. A plan knows no file and no
//! distribution: it gives expected totals, their moments and their gradients.
#![allow(
    clippy::cast_possible_truncation,
    reason = "positions and entries are numbered in 32 bits, held by limits"
)]
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "limits will grow; how they are passed should not change then"
)]
#![allow(clippy::inline_always, reason = "kernels must be compiled with the instruction set of their caller")]

mod analysis;
mod at;
mod batch;
mod bounds;
mod chain;
mod collecting;
mod covariance;
mod deviations;
mod diagnosis;
mod error;
mod excess;
mod file;
mod forms;
mod gradients;
mod interner;
mod joint;
mod jump_moments;
mod kernel;
mod lane;
mod lowering;
mod ordering;
mod pace;
mod pattern;
mod process;
mod range;
mod recent;
mod resolvent;
mod rewarded;
mod scale;
mod schedule;
mod sharing;
mod slopes;
mod steps;
mod varint;
mod verification;
mod watched;
mod weigher;
mod wide;
mod workspace;

pub use crate::limits::Limits;
pub use at::At;
pub use batch::{Batch, Batches};
pub use error::{AnalysisError, BatchError, EvaluationError, PlanFileError};
pub use lowering::{forecast_lowered, lower, lower_watched};
pub use rewarded::Rewarded;
pub use verification::PlanVerificationError;

pub(crate) use at::check_rewards;
pub(crate) use resolvent::Resolvent;

use analysis::Lists;
use forms::Forms;
use kernel::Spread;
use pace::Pace;
use schedule::Schedule;
use std::ops::Range;
use std::sync::Arc;

use crate::graph::Graph;
use crate::progress::Observer;

/// Most moments of one question. Binomial coefficients of that order are numbers still, and moments of more are beyond f64
/// for all but totals that hardly vary.
pub(crate) const MOST_MOMENTS: usize = 1000;

/// The analysed form of a graph: everything about its elimination that does not depend on θ.
///
/// Vertices the start does not reach are gone, parallel edges are summed, components come sinks first and each is
/// ordered for little fill. What remains is the pattern of the factors and the distinct linear forms that edge weights
/// are made of.
///
/// Weights are those of exact arithmetic, rounded once or for each term, also where terms of both signs nearly cancel:
/// `0.3 θ₀ − 0.1 θ₁` has all its digits at θ₁ = 3 θ₀ (1 − 1e-16). phasic's weights are plain sums, which
/// [`Graph::weights`] gives. But the coefficients of edges that a plan adds up, because they are parallel or all lead to
/// absorption, are added up to the nearest f64 before θ is known: where that is no f64, as 1 + 1e-17, and what it is
/// multiplied by cancels, the digits that are left are those of the rounded sum.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // A queue with two places: arrivals θ₀, services θ₁; time until it is first empty.
/// let mut builder = GraphBuilder::new(1)?;
/// let (one, two, empty) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, one, Rate::Scalar(1.0))?;
/// builder.add_edge(one, two, Rate::Coefficients(&[1.0, 0.0]))?;
/// builder.add_edge(one, empty, Rate::Coefficients(&[0.0, 1.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[0.0, 1.0]))?;
///
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
/// let mut at = plan.at(&[0.5, 1.0])?;
/// assert_eq!(at.expectation(), 1.5);
/// assert_eq!(at.expectation_gradient(), [1.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    vertex_count: u32,
    param_length: u32,
    discrete: bool,
    /// Vertices by position.
    vertices: Vec<u32>,
    /// Absorbing vertices that the start reaches.
    absorbing: Vec<u32>,
    /// Strongly connected components among the vertices.
    component_count: u32,
    /// The position after each block's last, and whether the block is a component with cycles.
    block_end: Vec<(u32, bool)>,
    /// Edges within components: columns by position, and their forms.
    inner: Lists,
    inner_forms: Vec<u32>,
    /// Edges to components solved before.
    outer: Lists,
    outer_forms: Vec<u32>,
    /// The form of each position's total weight into absorbing vertices.
    exit_forms: Vec<u32>,
    forms: Forms,
    /// Positions of the last forms, which are no edge's but part of one's sum, and are only looked at.
    watched: Vec<u32>,
    /// Factors: entries left of the diagonal, and right of it.
    lower: Lists,
    upper: Lists,
    multiply_adds: u64,
    /// How to walk through all that.
    schedule: Schedule,
    /// The graph's states by vertex, for error messages; empty in a plan that was read from a file.
    states: Arc<Vec<i32>>,
    state_length: usize,
}

/// Positions that are eliminated and solved together.
#[derive(Debug, Clone)]
struct Block {
    range: Range<usize>,
    cyclic: bool,
}

/// What a plan costs to hold and to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Transient vertices that the start reaches, the start included.
    pub vertices: u64,
    /// Strongly connected components among them.
    pub components: u64,
    /// Entries of the factors off the diagonal, fill included.
    pub factor_entries: u64,
    /// Edges after merging; all that lead from one vertex to absorption are one.
    pub edges: u64,
    /// Multiply-adds that reducing rows by others takes in one elimination.
    pub multiply_adds: u64,
    /// Bytes of the plan itself, without the states that it shares with its graph.
    pub plan_bytes: u64,
    /// Bytes that [`Plan::at`] and a first expectation take, with those for counting steps where a way may pass more than
    /// 4,096 vertices one after another. An elimination spread over threads takes a workspace for each beside them; one in
    /// numbers of more digits, as [`At`] says, three times as much again.
    pub workspace_bytes: u64,
    /// Bytes that each thread of a [`Plan::batch`] takes for expectations beside its result and what is taken one by one: the
    /// factors of the largest component and a solution, sixteen θ side by side.
    pub batch_workspace_bytes: u64,
}

impl Plan {
    /// Analyses a graph.
    ///
    /// Time is linear in the graph plus, for each component with cycles, its ordering (near linear in practice, with or
    /// without a dissection) and what fills in (near linear in the entries of its factors). Deterministic.
    ///
    /// # Errors
    /// [`AnalysisError`] when it would pass a limit, before it does, or an edge cannot be weighed by θ.
    pub fn analyze(graph: &Graph, limits: &Limits) -> Result<Self, AnalysisError> {
        Self::analyze_watched(graph, limits, &mut ())
    }

    /// As [`analyze`](Self::analyze), for an observer that may stop it.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze), and [`AnalysisError::Cancelled`].
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use phasic_engine::graph::GraphLimits;
    /// use phasic_engine::plan::{AnalysisError, Limits, Plan};
    /// use phasic_engine::progress::Progress;
    ///
    /// let graph = phasic_engine::reference::computes()[0].build(&GraphLimits::default())?;
    /// let mut stop = |_: Progress| ControlFlow::Break(());
    /// let stopped = Plan::analyze_watched(&graph, &Limits::default(), &mut stop);
    /// assert!(matches!(stopped, Err(AnalysisError::Cancelled { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyze_watched(
        graph: &Graph,
        limits: &Limits,
        observer: &mut impl Observer,
    ) -> Result<Self, AnalysisError> {
        let mut pace =
            Pace::new(limits, observer, graph.vertex_count() as usize, graph.edge_count() as usize);
        analysis::analyze(graph, analysis::Scope::FromStart, &mut pace)
    }

    /// Parameters that θ must have.
    pub fn param_length(&self) -> usize {
        self.param_length as usize
    }

    /// Vertices of the graph, which reward vectors have one entry for each.
    pub fn vertex_count(&self) -> u32 {
        self.vertex_count
    }

    /// What holding and running the plan takes, exactly. Linear in the plan's vertices, and in the entries of its factors
    /// where an elimination takes more than a million multiply-adds.
    pub fn cost(&self) -> Cost {
        let entries = self.lower.items.len() + self.upper.items.len();
        let exits = self.exit_forms.iter().filter(|&&form| Some(form) != self.schedule.zero_form).count();
        let positions = self.vertices.len();
        // Unit rewards and one solution; steps for each unit of time, and until absorption.
        let beside = positions * if self.schedule.is_deep() { 4 } else { 2 };
        // The expectation is kept beside the solution.
        let spread = Spread::new(self).map_or(0, |spread| spread.numbers());
        let workspace = self.factor_numbers(true) + beside + 1 + spread;
        Cost {
            vertices: positions as u64,
            components: u64::from(self.component_count),
            factor_entries: entries as u64,
            edges: (self.inner.items.len() + self.outer.items.len() + exits) as u64,
            multiply_adds: self.multiply_adds,
            plan_bytes: self.size_bytes(),
            workspace_bytes: 8 * workspace as u64,
            batch_workspace_bytes: self.batch_workspace_bytes(),
        }
    }

    /// Bytes on the heap, but for the states.
    fn size_bytes(&self) -> u64 {
        let lists = [&self.inner, &self.outer, &self.lower, &self.upper];
        let numbers = [
            &self.vertices,
            &self.absorbing,
            &self.inner_forms,
            &self.outer_forms,
            &self.exit_forms,
            &self.watched,
        ]
        .map(Vec::len)
        .into_iter()
        .chain(lists.map(|lists| lists.start.len() + lists.items.len()))
        .sum::<usize>();
        let blocks = size_of::<(u32, bool)>() * self.block_end.len();
        (4 * numbers + blocks + self.forms.size_bytes() + self.schedule.size_bytes()) as u64
    }

    /// Gives back room that lists have and do not need.
    fn shrink_to_fit(&mut self) {
        for list in [
            &mut self.vertices,
            &mut self.absorbing,
            &mut self.inner_forms,
            &mut self.outer_forms,
            &mut self.exit_forms,
            &mut self.watched,
        ] {
            list.shrink_to_fit();
        }
        for lists in [&mut self.inner, &mut self.outer, &mut self.lower, &mut self.upper] {
            lists.start.shrink_to_fit();
        }
        for items in [&mut self.inner.items, &mut self.outer.items] {
            items.shrink_to_fit();
        }
        self.block_end.shrink_to_fit();
        self.forms.shrink_to_fit();
    }

    fn empty() -> Self {
        Self {
            vertex_count: 0,
            param_length: 0,
            discrete: false,
            vertices: Vec::new(),
            absorbing: Vec::new(),
            component_count: 0,
            block_end: Vec::new(),
            inner: Lists::default(),
            inner_forms: Vec::new(),
            outer: Lists::default(),
            outer_forms: Vec::new(),
            exit_forms: Vec::new(),
            forms: Forms::default(),
            watched: Vec::new(),
            lower: Lists::default(),
            upper: Lists::default(),
            multiply_adds: 0,
            schedule: Schedule::default(),
            states: Arc::default(),
            state_length: 0,
        }
    }

    /// Positions in blocks, sinks first: components with cycles, and runs of single vertices between them.
    fn blocks(&self) -> impl DoubleEndedIterator<Item = Block> + '_ {
        (0..self.block_end.len()).map(|number| self.block(number))
    }

    fn block(&self, number: usize) -> Block {
        let start = if number == 0 { 0 } else { self.block_end[number - 1].0 };
        let (end, cyclic) = self.block_end[number];
        Block { range: start as usize..end as usize, cyclic }
    }

    /// The position of the start: somewhere in the last component.
    fn start(&self) -> usize {
        self.vertices.iter().rposition(|&vertex| vertex == crate::graph::START).unwrap_or(0)
    }

    fn state(&self, position: usize) -> Option<Vec<i32>> {
        self.state_of(self.vertices[position])
    }

    fn state_of(&self, vertex: u32) -> Option<Vec<i32>> {
        let from = vertex as usize * self.state_length;
        self.states.get(from..from + self.state_length).filter(|state| !state.is_empty()).map(<[i32]>::to_vec)
    }

    /// Rewards by position: ones if none are given; the start takes no time and earns nothing.
    fn rewards(&self, rewards: Option<&[f64]>) -> Vec<f64> {
        let reward = |vertex: u32| match rewards {
            _ if vertex == crate::graph::START => 0.0,
            Some(rewards) => rewards[vertex as usize],
            None => 1.0,
        };
        self.vertices.iter().map(|&vertex| reward(vertex)).collect()
    }
}

#[cfg(test)]
mod tests;
