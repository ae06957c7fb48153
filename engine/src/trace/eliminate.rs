//! The elimination itself (artifact specification, section 6), and its forecast.
//!
//! One body serves all: a sink stores the commands, counts them, or holds them against a program.

use super::order::elimination_order;
use super::rows::{Child, Children, Parent, Parents};
use super::sink::{Comparer, Counter, Recorder, Sink};
use super::{Command, EliminationError, Forecast, Input, Limits, Observer, Progress, Trace};
use crate::graph::{Graph, START};
use crate::progress::Phase;

const REPORT_COMMANDS: u64 = 1 << 16;
const REPORT_VERTICES: u32 = 1 << 12;

/// phasic's elimination of a graph as a program.
///
/// The program depends on topology and edge order only, not on coefficients or states. Time is linear in the number of
/// commands (up to sorting each vertex's edges); memory is 16 bytes a command plus 16 bytes for each edge that is alive
/// at the same time. Deterministic.
///
/// # Errors
/// [`EliminationError`] when a limit would be passed, before it is, or when the observer cancels.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::trace::{Limits, eliminate, forecast};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let graph = builder.finish();
///
/// let trace = eliminate(&graph, &Limits::default(), &mut ())?;
/// assert_eq!(forecast(&graph, &Limits::default(), &mut ())?.commands, trace.commands().len() as u64);
/// assert_eq!(trace.replay(&graph, &graph.weights(&[4.0])?)?.expectation(None)?, 0.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn eliminate(
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Trace, EliminationError> {
    let (run, inputs) = Run::complete(graph, limits, observer, Recorder::default())?;
    Ok(Trace {
        vertex_count: graph.vertex_count(),
        slots: run.next_slot,
        inputs,
        commands: run.sink.commands,
    })
}

/// The exact size of the program that [`eliminate`] would make. Runs the same steps without storing commands, so the
/// memory limit applies to what the steps themselves need, and the command limit as it would to the elimination.
///
/// # Errors
/// As [`eliminate`].
pub fn forecast(
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Forecast, EliminationError> {
    let (run, inputs) = Run::complete(graph, limits, observer, Counter::default())?;
    Ok(Forecast {
        vertices: u64::from(graph.vertex_count()),
        commands: run.sink.commands,
        rows: run.sink.rows,
        slots: u64::from(run.next_slot),
        inputs: inputs.len() as u64,
    })
}

/// The first command of `trace` that phasic's elimination of `graph` would not have made; `None` when they are the same
/// program. Makes no second copy: memory is what a [`forecast`] takes plus 8 bytes for each edge of the eliminated graph.
///
/// # Errors
/// As [`eliminate`].
pub fn first_difference(
    trace: &Trace,
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Option<usize>, EliminationError> {
    let (run, inputs) = Run::complete(graph, limits, observer, Comparer::new(&trace.commands))?;
    let elsewhere =
        trace.inputs != inputs || trace.slots != run.next_slot || trace.vertex_count != graph.vertex_count();
    // Equal commands over different inputs are different ones.
    Ok(if elsewhere { Some(0) } else { run.sink.first_difference() })
}

struct Run<'a, S, O> {
    graph: &'a Graph,
    limits: &'a Limits,
    observer: &'a mut O,
    sink: S,
    /// Vertices by position.
    order: Vec<u32>,
    next_slot: u32,
    children: Children,
    parents: Parents,
    /// The lists of eliminated positions, one after the other, and where each ends.
    finished: Vec<Child>,
    finished_end: Vec<usize>,
    merged: Vec<Child>,
    reported: u64,
}

impl<'a, S: Sink, O: Observer> Run<'a, S, O> {
    fn complete(
        graph: &'a Graph,
        limits: &'a Limits,
        observer: &'a mut O,
        sink: S,
    ) -> Result<(Self, Vec<Input>), EliminationError> {
        let vertices = graph.vertex_count() as usize;
        let mut run = Run {
            graph,
            limits,
            observer,
            sink,
            order: Vec::new(),
            next_slot: 1,
            children: Children::new(vec![0], Vec::new()),
            parents: Parents::mirror(&Children::new(vec![0], Vec::new())),
            finished: Vec::new(),
            finished_end: Vec::new(),
            merged: Vec::new(),
            reported: 0,
        };
        // Flat lists of edges and per-vertex records, alive from the first step to the last; see `rows`.
        let standing = 40 * u64::from(graph.edge_count()) + 160 * vertices as u64;
        run.check_memory(standing, 0)?;
        run.reserve(3 * vertices + 3 * graph.edge_count() as usize, 0)?;
        run.order = elimination_order(graph);
        let inputs = run.emit_rates();
        run.emit_probabilities();
        run.eliminate_all()?;
        run.emit_finished()?;
        Ok((run, inputs))
    }

    fn new_slot(&mut self) -> u32 {
        take_slot(&mut self.next_slot)
    }

    /// Phase A: the reciprocal rate of every vertex, in the slot after its position.
    fn emit_rates(&mut self) -> Vec<Input> {
        let mut inputs = Vec::with_capacity(self.graph.edge_count() as usize);
        for at in 0..self.order.len() {
            let vertex = self.order[at];
            let rate = self.new_slot();
            self.sink.push(Command::Zero { slot: rate });
            for edge in 0..self.graph.degree(vertex) {
                self.sink.push(Command::AddInput { slot: rate, input: inputs.len() as u32 });
                inputs.push(Input::Edge { vertex, edge });
            }
            self.sink.push(Command::Invert { slot: rate });
            let multiplier = if vertex == START || self.graph.is_absorbing(vertex) { 0 } else { rate };
            self.sink.push(Command::Row { from: vertex, to: vertex, multiplier });
        }
        inputs
    }

    /// Phase B: the probability of every edge, and the lists of children and parents.
    fn emit_probabilities(&mut self) {
        let mut position = vec![0_u32; self.order.len()];
        for (at, &vertex) in self.order.iter().enumerate() {
            position[vertex as usize] = at as u32;
        }
        let mut start = Vec::with_capacity(self.order.len() + 1);
        start.push(0);
        let mut flat = Vec::with_capacity(self.graph.edge_count() as usize);
        let mut sorted: Vec<(u32, u32)> = Vec::new();
        for at in 0..self.order.len() {
            let first_input = flat.len() as u32;
            let targets = self.graph.targets(self.order[at]);
            sorted.clear();
            sorted.extend(targets.iter().zip(0..).map(|(&target, edge)| (position[target as usize], edge)));
            sorted.sort_unstable();
            for &(position, edge) in &sorted {
                let slot = self.new_slot();
                self.sink.push(Command::Zero { slot });
                let (input, right) = (first_input + edge, at as u32 + 1);
                self.sink.push(Command::AddProductInput { slot, input, right });
                flat.push(Child { position, slot });
            }
            start.push(flat.len() as u32);
        }
        self.children = Children::new(start, flat);
        self.parents = Parents::mirror(&self.children);
    }

    /// Phase C: every position in turn hands its edges to its parents.
    fn eliminate_all(&mut self) -> Result<(), EliminationError> {
        let mut mine = Vec::new();
        let mut records = Vec::new();
        for position in 0..self.order.len() as u32 {
            self.report(position)?;
            mine.clear();
            mine.extend_from_slice(self.children.of(position));
            self.parents.take(position, &mut records);
            for &record in &records {
                let longest = mine.len() + self.children.of(record.position).len();
                self.reserve(4 + 6 * mine.len() + 2 * longest, position)?;
                if longest > self.merged.capacity().min(self.children.capacity(record.position)) {
                    self.check_memory(40 * longest as u64, position)?;
                }
                self.bypass(position, record, &mine);
            }
            self.children.release(position);
            self.finish(position, &mine)?;
        }
        Ok(())
    }

    /// Replaces one edge p → i by edges from p to the children of i, and rescales p's edges to sum to one.
    fn bypass(&mut self, position: u32, record: Parent, mine: &[Child]) {
        let (parent, through) = (record.position, record.slot);
        let (parent_vertex, vertex) = (self.order[parent as usize], self.order[position as usize]);
        let Self { sink, children, parents, merged, next_slot, .. } = self;
        let path = |sink: &mut S, next_slot: &mut u32, right: u32| {
            let slot = take_slot(next_slot);
            sink.push(Command::Zero { slot });
            sink.push(Command::AddProduct { slot, left: through, right });
            slot
        };
        sink.push(Command::Row { from: parent_vertex, to: vertex, multiplier: through });
        merged.clear();
        let row = children.of(parent);
        let mut at = 0;
        let mut left = mine;
        while let [child, rest @ ..] = left {
            match row.get(at) {
                _ if child.position == parent => {
                    let back = path(sink, next_slot, child.slot);
                    sink.push(Command::OneMinus { slot: back });
                    sink.push(Command::Invert { slot: back });
                    sink.push(Command::Row { from: parent_vertex, to: parent_vertex, multiplier: back });
                    left = rest;
                }
                Some(&other) if other.position == position => {
                    if other.slot != through {
                        merged.push(other);
                    }
                    at += 1;
                }
                Some(&other) if other.position == child.position => {
                    let from = path(sink, next_slot, child.slot);
                    sink.push(Command::Add { slot: other.slot, from });
                    merged.push(other);
                    left = rest;
                    at += 1;
                }
                Some(&other) if other.position < child.position => {
                    merged.push(other);
                    at += 1;
                }
                _ => {
                    let from = path(sink, next_slot, child.slot);
                    let slot = take_slot(next_slot);
                    sink.push(Command::Zero { slot });
                    sink.push(Command::Add { slot, from });
                    merged.push(Child { position: child.position, slot });
                    parents.push(child.position, Parent { position: parent, slot });
                    left = rest;
                }
            }
        }
        merged.extend(row[at..].iter().filter(|other| other.slot != through));
        self.rescale();
        self.children.replace(parent, &self.merged);
    }

    /// Divides the merged list by its sum.
    fn rescale(&mut self) {
        let total = self.new_slot();
        self.sink.push(Command::Zero { slot: total });
        for child in &self.merged {
            self.sink.push(Command::Add { slot: total, from: child.slot });
        }
        for child in &self.merged {
            self.sink.push(Command::Divide { slot: child.slot, by: total });
        }
    }

    /// Keeps a list that will not change again for the last phase; a forecast counts its rows at once.
    fn finish(&mut self, position: u32, mine: &[Child]) -> Result<(), EliminationError> {
        if S::STORES {
            let needed = self.finished.len() + mine.len();
            if needed > self.finished.capacity() {
                self.check_memory(16 * needed as u64, position)?;
            }
            self.finished.extend_from_slice(mine);
            self.finished_end.push(self.finished.len());
        } else {
            for child in mine {
                self.sink.push(Command::Row { from: 0, to: 0, multiplier: child.slot });
            }
        }
        Ok(())
    }

    /// Phase D: the rows of back substitution, last position first.
    fn emit_finished(&mut self) -> Result<(), EliminationError> {
        let vertices = self.order.len() as u32;
        self.reserve(self.finished.len(), vertices)?;
        for at in (0..self.finished_end.len()).rev() {
            let begin = if at == 0 { 0 } else { self.finished_end[at - 1] };
            for &Child { position, slot } in &self.finished[begin..self.finished_end[at]] {
                let (from, to) = (self.order[at], self.order[position as usize]);
                self.sink.push(Command::Row { from, to, multiplier: slot });
            }
        }
        self.check_length(vertices)
    }

    fn report(&mut self, position: u32) -> Result<(), EliminationError> {
        self.check_length(position)?;
        let commands = self.sink.count();
        if commands >= self.reported + REPORT_COMMANDS || position.is_multiple_of(REPORT_VERTICES) {
            self.reported = commands;
            let (vertices_done, vertices) = self.done(position);
            if self
                .observer
                .progress(Progress { phase: Phase::Elimination, vertices_done, vertices, commands })
                .is_break()
            {
                return Err(EliminationError::Cancelled { vertices_done, vertices });
            }
        }
        Ok(())
    }

    fn check_length(&self, position: u32) -> Result<(), EliminationError> {
        if self.sink.count() > self.limits.commands { Err(self.too_long(position)) } else { Ok(()) }
    }

    fn reserve(&mut self, more: usize, position: u32) -> Result<(), EliminationError> {
        // Slots are numbered in 32 bits and there are fewer of them than commands.
        let longest = self.limits.commands.min(u64::from(u32::MAX).saturating_sub(more as u64));
        if self.sink.count() > longest {
            return Err(self.too_long(position));
        }
        if self.sink.has_room(more) {
            return Ok(());
        }
        let free = self.limits.memory_bytes.saturating_sub(self.held_bytes());
        if self.sink.reserve(more, free) { Ok(()) } else { Err(self.too_large(position)) }
    }

    fn check_memory(&self, more_bytes: u64, position: u32) -> Result<(), EliminationError> {
        if self.held_bytes() + more_bytes > self.limits.memory_bytes {
            return Err(self.too_large(position));
        }
        Ok(())
    }

    fn held_bytes(&self) -> u64 {
        let lists = 8 * (self.finished.capacity() + self.merged.capacity() + self.finished_end.capacity());
        // The inputs, the order, and the lists of one position.
        let standing = 12 * self.graph.edge_count() as usize + 28 * self.order.len();
        let changing = self.children.memory_bytes() + self.parents.memory_bytes() + self.sink.memory_bytes();
        changing + (lists + standing) as u64
    }

    fn done(&self, position: u32) -> (u64, u64) {
        (u64::from(position), u64::from(self.graph.vertex_count()))
    }

    fn too_large(&self, position: u32) -> EliminationError {
        let (vertices_done, vertices) = self.done(position);
        EliminationError::Memory { budget_bytes: self.limits.memory_bytes, vertices_done, vertices }
    }

    fn too_long(&self, position: u32) -> EliminationError {
        let (vertices_done, vertices) = self.done(position);
        EliminationError::Commands { limit: self.limits.commands, vertices_done, vertices }
    }
}

fn take_slot(next_slot: &mut u32) -> u32 {
    *next_slot += 1;
    *next_slot - 1
}
