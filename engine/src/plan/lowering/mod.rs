//! A plan as a program that phasic runs: our order of elimination in phasic's commands.
//!
//! The program is of the same kind as phasic's own and goes into the same file, but follows the plan: components sinks
//! first, little fill inside them, no subtraction. A multiply-add is one command, where phasic spends five to seven, and
//! parallel edges come out right.
//!
//! For a position i with forward value y and pivot s, the rows compute
//! `x_i = (R_i + Σ outer w·x + Σ lower w·x') / s`, then `x_i += Σ upper (u/s)·x_k` from the last position back.

mod forecast;

pub use forecast::forecast_lowered;
use hashbrown::HashMap;

use super::analysis::{self, Scope};
use super::pace::Pace;
use super::{AnalysisError, Limits, Plan};
use crate::graph::{Graph, START};
use crate::progress::{Observer, Phase};
use crate::trace::{Command, Input, Trace};

/// Lowers our elimination of a graph to phasic's commands.
///
/// The program replays to the same expected totals as a [`Plan`], from every vertex of the graph, also those the start
/// does not reach. With several parameters it reads each edge's weight for itself, so it is good for any weights, not
/// only linear ones. With one parameter, edges of one coefficient share the input of the first of them: it is then good
/// for weights that are equal where coefficients are, and for no others. Time and memory are those of an analysis plus 16
/// bytes a command.
///
/// A program has no branches, so it eliminates every component, whatever θ is. Where a θ closes all ways out of one, by
/// weights of 0, pivots have no reciprocal: totals from there are infinite or no number, and a replay may be refused, also
/// where nobody gets there. The expectation from the start is right, or there is none. A plan names the vertex that is
/// stuck, and answers where that does no harm.
///
/// # Errors
/// As [`Plan::analyze`]; the memory limit holds for the analysis, and then for the program beside the plan.
/// [`AnalysisError::Commands`] where the program would be too long.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, lower};
/// use phasic_engine::trace;
///
/// // Two parallel edges, which phasic's own elimination gets wrong as soon as there are cycles.
/// let mut builder = GraphBuilder::new(1)?;
/// let (a, b) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?);
/// builder.add_edge(START, a, Rate::Scalar(1.0))?;
/// builder.add_edge(a, b, Rate::Coefficients(&[1.0]))?;
/// builder.add_edge(a, b, Rate::Coefficients(&[3.0]))?;
/// let graph = builder.finish();
///
/// let program = lower(&graph, &Limits::default())?;
/// assert_eq!(program.replay(&graph, &graph.unit_weights())?.expectation(None)?, 0.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lower(graph: &Graph, limits: &Limits) -> Result<Trace, AnalysisError> {
    lower_watched(graph, limits, &mut ())
}

/// As [`lower`], for an observer that may stop it.
///
/// # Errors
/// As [`lower`], and [`AnalysisError::Cancelled`].
pub fn lower_watched(
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Trace, AnalysisError> {
    let mut pace = Pace::new(limits, observer, graph.vertex_count() as usize, graph.edge_count() as usize);
    let plan = analysis::analyze(graph, Scope::Whole, &mut pace)?;
    pace.begin(Phase::Lowering);
    // At least a command for each multiply-add.
    let positions = plan.vertices.len();
    pace.check_memory(plan.multiply_adds.saturating_mul(size_of::<Command>() as u64), 0)?;
    pace.check_commands(plan.multiply_adds as usize, 0)?;
    let mut program = Program::new(graph, &plan);
    program.make_room(2 * graph.vertex_count() as usize, &pace, 0)?;
    program.clear_what_earns_nothing();
    for block in plan.blocks() {
        program.begin_component();
        for at in block.range.clone() {
            let most = program.most_commands(at);
            program.make_room(most, &pace, at)?;
            if block.cyclic {
                program.eliminate(at, &block.range);
            } else {
                program.single(at);
            }
            pace.check_commands(program.commands.len(), at)?;
            pace.step(most, at)?;
        }
        if block.cyclic {
            let entries =
                plan.upper.range(block.range.start).start..plan.upper.range(block.range.end - 1).end;
            program.make_room(entries.len(), &pace, positions)?;
            program.substitute_back(block.range);
            pace.step(entries.len(), positions)?;
        }
    }
    pace.check_commands(program.commands.len(), positions)?;
    Ok(program.finish())
}

struct Program<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    places: Places,
    next_slot: u32,
    commands: Vec<Command>,
    inputs: Vec<Input>,
    /// Slots of a component's scaled upper entries, by column, for each of its rows.
    upper: HashMap<(u32, u32), u32>,
    /// Slot of each position's scaled exit weight.
    exits: Vec<u32>,
    /// A slot that holds 1, once one is needed.
    one: Option<u32>,
    /// A slot for numbers that are used once.
    passing: Option<u32>,
    /// Slots that hold the weight of all edges with one coefficient; see `weight_of`.
    shared: HashMap<u64, u32>,
    may_share: bool,
}

/// In place of the position of a vertex that absorbs.
const ABSORBED: u32 = u32::MAX;

/// The position of each vertex.
struct Places(Vec<u32>);

impl Places {
    fn new(graph: &Graph, plan: &Plan) -> Self {
        let mut places = vec![ABSORBED; graph.vertex_count() as usize];
        for (&vertex, at) in plan.vertices.iter().zip(0..) {
            places[vertex as usize] = at;
        }
        Self(places)
    }

    /// The out-edges of a vertex as (target position, number among them), by target.
    fn edges(&self, graph: &Graph, vertex: u32) -> Vec<(u32, u32)> {
        let targets = graph.targets(vertex).iter();
        let mut edges: Vec<(u32, u32)> =
            targets.zip(0..).map(|(&to, edge)| (self.0[to as usize], edge)).collect();
        edges.sort_unstable();
        edges
    }
}

/// Whether edges with one coefficient have one weight whatever is done to the graph.
///
/// With one coefficient an edge, weights cannot change one by one without changing the graph's hash. Not so in discrete
/// time.
fn may_share(graph: &Graph) -> bool {
    graph.is_parameterized() && graph.param_length() == 1 && !graph.was_dph()
}

/// The coefficient that decides an edge's weight, as bits, where edges may share.
fn sole_coefficient(graph: &Graph, vertex: u32, edge: u32) -> Option<u64> {
    match *graph.edge(graph.edge_range(vertex).start as u32 + edge).coefficients {
        [coefficient] if vertex != START => Some(coefficient.to_bits()),
        _ => None,
    }
}

impl<'a> Program<'a> {
    fn new(graph: &'a Graph, plan: &'a Plan) -> Self {
        Self {
            graph,
            plan,
            places: Places::new(graph, plan),
            next_slot: 1,
            commands: Vec::new(),
            inputs: Vec::with_capacity(graph.edge_count() as usize),
            upper: HashMap::new(),
            exits: vec![0; plan.vertices.len()],
            one: None,
            passing: None,
            shared: HashMap::new(),
            may_share: may_share(graph),
        }
    }

    /// Makes room for so many further commands, if there may be any.
    fn make_room(&mut self, commands: usize, pace: &Pace<'_>, at: usize) -> Result<(), AnalysisError> {
        // The table of a component is there twice while it grows.
        let table = 3 * size_of::<((u32, u32), u32)>() * self.upper.capacity();
        pace.make_room(&mut self.commands, commands, table as u64, at)
    }

    /// No fewer commands than a position takes.
    fn most_commands(&self, at: usize) -> usize {
        let plan = self.plan;
        let products = |&row: &u32| 1 + plan.upper.range(row as usize).len();
        let (by, left) = (plan.lower.of(at), plan.upper.of(at).len());
        let degree = self.graph.edge_range(plan.vertices[at]).len();
        // For each product a slot may have to be cleared; for each edge a slot, the edge, and a row.
        2 * by.iter().map(products).sum::<usize>() + by.len() + 4 * (left + degree) + 8
    }

    fn finish(self) -> Trace {
        Trace {
            vertex_count: self.graph.vertex_count(),
            slots: self.next_slot,
            inputs: self.inputs,
            commands: self.commands,
        }
    }

    /// Rewards of the start and of absorbing vertices have no effect.
    fn clear_what_earns_nothing(&mut self) {
        for vertex in 0..self.graph.vertex_count() {
            if vertex == START || self.graph.is_absorbing(vertex) {
                self.commands.push(Command::Row { from: vertex, to: vertex, multiplier: 0 });
            }
        }
    }

    fn zeroed_slot(&mut self) -> u32 {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.commands.push(Command::Zero { slot });
        slot
    }

    /// The out-edges of a position as (target position, input), by target; inputs are numbered by this first use.
    fn edges(&mut self, at: usize) -> Vec<(u32, u32)> {
        let vertex = self.plan.vertices[at];
        let mut edges = self.places.edges(self.graph, vertex);
        for edge in &mut edges {
            let input = self.inputs.len() as u32;
            self.inputs.push(Input::Edge { vertex, edge: edge.1 });
            edge.1 = input;
        }
        edges
    }

    /// A slot with the sum of some edges.
    fn sum(&mut self, edges: &[(u32, u32)]) -> u32 {
        let slot = self.zeroed_slot();
        self.add_inputs(slot, edges);
        slot
    }

    fn row(&mut self, from: usize, to: u32, multiplier: u32) {
        let (from, to) = (self.plan.vertices[from], self.plan.vertices[to as usize]);
        self.commands.push(Command::Row { from, to, multiplier });
    }

    /// A slot with the sum of some edges, and rows for those to what is already solved.
    fn sum_and_follow(&mut self, at: usize, edges: &[(u32, u32)]) -> u32 {
        let groups = || edges.chunk_by(|a, b| a.0 == b.0);
        let needs_slot =
            |group: &&[(u32, u32)]| group[0].0 != ABSORBED && self.sole_coefficient(group).is_none();
        // A row takes the value that its slot has at that time: the sum is the first weight before it is the sum.
        let first = groups().position(|group| needs_slot(&group));
        let sum = self.zeroed_slot();
        if let Some(group) = first.and_then(|first| groups().nth(first)) {
            self.add_inputs(sum, group);
            self.row(at, group[0].0, sum);
        }
        for (_, group) in groups().enumerate().filter(|&(number, _)| Some(number) != first) {
            self.add_inputs(sum, group);
            if group[0].0 != ABSORBED {
                let weight = self.weight_of(group);
                self.row(at, group[0].0, weight);
            }
        }
        sum
    }

    fn add_inputs(&mut self, slot: u32, edges: &[(u32, u32)]) {
        self.commands.extend(edges.iter().map(|&(_, input)| Command::AddInput { slot, input }));
    }

    /// A slot that holds the weight of some edges until the next call: shared where one coefficient decides it, else one
    /// that is written anew each time.
    fn weight_of(&mut self, edges: &[(u32, u32)]) -> u32 {
        if let Some(coefficient) = self.sole_coefficient(edges) {
            if let Some(&slot) = self.shared.get(&coefficient) {
                return slot;
            }
            let slot = self.sum(edges);
            self.shared.insert(coefficient, slot);
            return slot;
        }
        let Some(slot) = self.passing else {
            let slot = self.sum(edges);
            self.passing = Some(slot);
            return slot;
        };
        self.commands.push(Command::Zero { slot });
        self.add_inputs(slot, edges);
        slot
    }

    /// The coefficient of a lone edge whose weight it decides, as bits.
    fn sole_coefficient(&self, edges: &[(u32, u32)]) -> Option<u64> {
        let [(_, input)] = *edges else { return None };
        let Input::Edge { vertex, edge } = self.inputs[input as usize] else { return None };
        if self.may_share { sole_coefficient(self.graph, vertex, edge) } else { None }
    }

    /// A vertex that is a component of its own.
    fn single(&mut self, at: usize) {
        let edges = self.edges(at);
        let first = edges.first().map_or(ABSORBED, |edge| edge.0);
        if first != ABSORBED && edges.iter().all(|edge| edge.0 == first) {
            // The only way out is taken with probability 1.
            let rate = self.sum(&edges);
            self.commands.push(Command::Invert { slot: rate });
            self.row(at, at as u32, rate);
            let one = self.one();
            self.row(at, first, one);
        } else {
            let rate = self.sum_and_follow(at, &edges);
            self.commands.push(Command::Invert { slot: rate });
            self.row(at, at as u32, rate);
        }
    }

    fn one(&mut self) -> u32 {
        if let Some(slot) = self.one {
            return slot;
        }
        let slot = self.zeroed_slot();
        self.commands.push(Command::OneMinus { slot });
        self.one = Some(slot);
        slot
    }

    fn begin_component(&mut self) {
        self.upper.clear();
    }

    /// Eliminates a position of a component.
    fn eliminate(&mut self, at: usize, component: &std::ops::Range<usize>) {
        let edges = self.edges(at);
        let (inside, outside): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|&(to, _)| component.contains(&(to as usize)));
        let exit = self.sum_and_follow(at, &outside);
        let mut work: HashMap<u32, u32> = HashMap::new();
        for group in inside.chunk_by(|a, b| a.0 == b.0) {
            work.insert(group[0].0, self.sum(group));
        }
        self.reduce(at, exit, &mut work);
        self.scale(at, exit, &work);
    }

    fn substitute_back(&mut self, component: std::ops::Range<usize>) {
        for at in component.rev() {
            for &column in self.plan.upper.of(at) {
                let multiplier = self.upper[&(at as u32, column)];
                self.row(at, column, multiplier);
            }
        }
    }

    /// Reduces a row by the eliminated rows it leads to.
    fn reduce(&mut self, at: usize, exit: u32, work: &mut HashMap<u32, u32>) {
        for &row in self.plan.lower.of(at) {
            let left = work[&row];
            for &column in self.plan.upper.of(row as usize).iter().filter(|&&column| column as usize != at) {
                let right = self.upper[&(row, column)];
                let slot = *work.entry(column).or_insert_with(|| {
                    let slot = self.next_slot;
                    self.next_slot += 1;
                    self.commands.push(Command::Zero { slot });
                    slot
                });
                self.commands.push(Command::AddProduct { slot, left, right });
            }
            self.commands.push(Command::AddProduct { slot: exit, left, right: self.exits[row as usize] });
            self.row(at, row, left);
        }
    }

    /// Divides what is left of a row by its sum, and its value likewise.
    fn scale(&mut self, at: usize, exit: u32, work: &HashMap<u32, u32>) {
        if self.plan.upper.of(at).is_empty() {
            // All that is left leaves the component.
            self.exits[at] = self.one();
            self.commands.push(Command::Invert { slot: exit });
            return self.row(at, at as u32, exit);
        }
        let pivot = self.zeroed_slot();
        self.commands.push(Command::Add { slot: pivot, from: exit });
        for &column in self.plan.upper.of(at) {
            let slot = work[&column];
            self.commands.push(Command::Add { slot: pivot, from: slot });
            self.upper.insert((at as u32, column), slot);
        }
        let rest = self.plan.upper.of(at).iter().map(|column| work[column]);
        self.commands.extend(rest.chain([exit]).map(|slot| Command::Divide { slot, by: pivot }));
        self.exits[at] = exit;
        self.commands.push(Command::Invert { slot: pivot });
        self.row(at, at as u32, pivot);
    }
}
