//! Processes side by side: minima, maxima and what lies between.
//!
//! The state is that of all processes at once (a Kronecker sum in continuous time, a Kronecker product in discrete
//! time), but only what can be reached is made.

use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashMap;

use super::Parameters;
use super::copies;
use super::part::{Part, Parts};
use crate::distribution::TransformError;
use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};

/// The vertex of a process that has ended: no process stands at its start.
pub(super) const ENDED: u32 = START;

/// Bytes that the smallest product takes for each integer of a joint state: four of them in the start, the end, where it
/// begins and the state at hand, and as many for choices and tuples.
const BYTES_OF_INTEGER: u64 = 32;
/// Bytes that a joint state takes beside its integers: in a table that is half empty, and in the queue.
const BYTES_OF_PLACE: u64 = 112;

/// The vertex of each process.
pub(super) type Tuple = Box<[u32]>;

/// Where a process may be next, and how probably.
pub(super) type Choices = Vec<(u32, f64)>;

/// The graph of the least of independent times: the survival function is the product of theirs.
///
/// As [`order_statistic`] with rank 1, whose cost it has. The generator is the Kronecker sum `S₁ ⊕ S₂ ⊕ …` (Neuts 1981, section
/// 2.2; Bladt and Nielsen 2017, section 3.1).
///
/// # Errors
/// As [`order_statistic`].
pub fn minimum(
    graphs: &[&Graph],
    parameters: Parameters,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    order_statistic(graphs, 1, parameters, limits)
}

/// The graph of the greatest of independent times: the distribution function is the product of theirs.
///
/// As [`order_statistic`] with the last rank, whose cost it has. The Kronecker sum goes on with those that are left once one has
/// ended (Neuts 1981, section 2.2; Bladt and Nielsen 2017, section 3.1).
///
/// # Errors
/// As [`order_statistic`].
pub fn maximum(
    graphs: &[&Graph],
    parameters: Parameters,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    if graphs.is_empty() {
        return Err(TransformError::Empty);
    }
    order_statistic(graphs, graphs.len(), parameters, limits)
}

/// The graph of the `rank`-th least of independent times, counted from 1.
///
/// The processes run side by side until `rank` of them have ended: for any set of `n` times the survival function is the
/// probability that fewer than `rank` are over, for like ones `Σ_{i<r} C(n,i) F(t)ⁱ (1 − F(t))ⁿ⁻ⁱ` (David and Nagaraja, Order
/// Statistics, 2003, section 2.1). In continuous time one jumps at a time and the result
/// is parameterized where the parts are; in discrete time all jump at once, so parts must have no parameters (see
/// [`frozen`](crate::distribution::frozen)). States are, for each process, 1 and its state, or zeros when it has ended;
/// the state of the end is all zeros. Time and size are those of the states that can be reached, at most the product of
/// the parts' sizes: set limits.
///
/// ```
/// use phasic_engine::distribution::{Parameters, order_statistic};
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let lamp = builder.finish();
/// // Three lamps with a failure rate each: when are two of them dark?
/// let dark = order_statistic(&[&lamp, &lamp, &lamp], 2, Parameters::SideBySide, GraphLimits::default())?;
/// let plan = Plan::analyze(&dark, &Limits::default())?;
/// assert!((plan.at(&[2.0, 2.0, 2.0])?.expectation() - (1.0 / 6.0 + 1.0 / 4.0)).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`sum`](super::sum); [`TransformError::Rank`]; [`TransformError::NotLinear`] for parameterized graphs in discrete time.
pub fn order_statistic(
    graphs: &[&Graph],
    rank: usize,
    parameters: Parameters,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    let parts = Parts::new(graphs, parameters)?;
    Product::new(&parts, None, rank, limits)?.run()
}

/// The graph of the `rank`-th least of `copies` independent times with the same law and the same parameters.
///
/// As [`order_statistic`], but states that differ only by which copy is where are one (the process is lumpable so: Kemeny and
/// Snell, Finite Markov Chains, 1960, section 6.3), which makes them up to `copies!` times fewer. Copies in the same vertex
/// jump so many times as fast, and where all begin or jump at once, only the numbers of copies by vertex are told apart:
/// `copies` with `c` choices each have `C(copies + c − 1, c − 1)` of these, not `c^copies`. In discrete time copies that change
/// places are where they were a jump later, for which a second vertex of the same state stands. Each state takes time and
/// memory for all copies, its own as what it is looked up by; both together are held against the limit before each is made.
///
/// # Errors
/// As [`order_statistic`].
pub fn order_statistic_of_copies(
    graph: &Graph,
    copies: usize,
    rank: usize,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    let parts = Parts::new(&[graph], Parameters::Shared)?;
    Product::new(&parts, Some(copies), rank, limits)?.run()
}

/// The reachable part of a product, as it is explored.
struct Product<'p, 'a> {
    parts: &'p Parts<'a>,
    /// How many processes there are.
    count: usize,
    /// How many processes must end.
    rank: usize,
    /// Whether all processes are copies of the only part, so that their order does not matter.
    alike: bool,
    /// Probabilities of jumps by part and vertex, in discrete time.
    jumps: Rc<[Vec<Choices>]>,
    builder: GraphBuilder,
    places: HashMap<Rc<[u32]>, u32>,
    queue: VecDeque<(Rc<[u32]>, u32)>,
    /// Bytes of these, and of states that wait to be looked up.
    held: u64,
    waiting: u64,
    end: u32,
    limits: GraphLimits,
}

impl<'p, 'a> Product<'p, 'a> {
    fn new(
        parts: &'p Parts<'a>,
        copies: Option<usize>,
        rank: usize,
        limits: GraphLimits,
    ) -> Result<Self, TransformError> {
        let count = copies.unwrap_or(parts.list.len());
        if rank == 0 || rank > count {
            return Err(TransformError::Rank { rank, count });
        }
        if parts.discrete
            && let Some(part) = parts.list.iter().position(|part| part.graph.is_parameterized())
        {
            return Err(TransformError::NotLinear { part });
        }
        let lengths = parts.list.iter().map(|part| part.graph.state_length() + 1);
        let length = lengths.sum::<usize>().saturating_mul(copies.unwrap_or(1));
        check_length(length, limits)?;
        let mut builder = GraphBuilder::with_limits(length, limits)?;
        parts.prepare(&mut builder)?;
        let end = builder.add_auxiliary_vertex()?;
        Ok(Self {
            parts,
            count,
            rank,
            alike: copies.is_some(),
            jumps: jumps(parts).into(),
            builder,
            places: HashMap::new(),
            queue: VecDeque::new(),
            held: 0,
            waiting: 0,
            end,
            limits,
        })
    }

    /// The part that a process is of.
    fn part(&self, process: usize) -> usize {
        if self.alike { 0 } else { process }
    }

    fn run(mut self) -> Result<Graph, TransformError> {
        let starts = self.parts.list.iter().map(|part| {
            let atom = (part.atom > 0.0).then_some((ENDED, part.atom));
            part.initial.iter().copied().chain(atom).collect()
        });
        let starts: Vec<Choices> = starts.collect();
        let choices: Vec<&[(u32, f64)]> =
            (0..self.count).map(|process| &starts[self.part(process)][..]).collect();
        self.each_of_all(&choices, |this, tuple, probability| {
            let to = this.find(tuple)?;
            Ok(this.builder.add_start_edge(to, &[probability], probability)?)
        })?;
        while let Some((tuple, from)) = self.queue.pop_front() {
            if self.parts.discrete {
                self.jump_together(&tuple, from)?;
            } else {
                self.jump_one(&tuple, from)?;
            }
        }
        Ok(self.builder.finish().merge_parallel_edges())
    }

    /// Continuous time: one process at a time.
    fn jump_one(&mut self, tuple: &[u32], from: u32) -> Result<(), TransformError> {
        let parts = self.parts;
        let mut number = 0;
        while number < tuple.len() {
            let (part, vertex) = (&parts.list[self.part(number)], tuple[number]);
            // Copies in the same vertex stand side by side, and jump so many times as fast.
            let equal =
                if self.alike { tuple[number..].iter().take_while(|&&v| v == vertex).count() } else { 1 };
            for (target, weight) in part.edges[vertex as usize].iter().filter(|_| vertex != ENDED) {
                let mut next: Tuple = tuple.into();
                next[number] = if part.graph.is_absorbing(*target) { ENDED } else { *target };
                let to = self.find(next)?;
                parts.add_edge(&mut self.builder, part, (from, to), weight, equal as f64)?;
            }
            number += equal;
        }
        Ok(())
    }

    /// Discrete time: all that have not ended.
    fn jump_together(&mut self, tuple: &[u32], from: u32) -> Result<(), TransformError> {
        let jumps = Rc::clone(&self.jumps);
        let choices: Vec<&[(u32, f64)]> = tuple
            .iter()
            .enumerate()
            .map(|(number, &at)| &jumps[self.part(number)][at as usize][..])
            .collect();
        if let Some(number) = choices.iter().position(|list| list.is_empty()) {
            return Err(TransformError::Trapped { vertex: tuple[number] });
        }
        self.each_of_all(&choices, |this, next, probability| {
            let to = match this.find(next)? {
                // Copies that change places: the same again, but a jump later.
                to if to == from => this.add(&Rc::from(tuple))?,
                to => to,
            };
            Ok(this.builder.add_edge(from, to, Rate::Scalar(probability))?)
        })
    }

    /// Does something with one choice of each list and the product of the probabilities, for all of them; for copies, whose
    /// order does not matter, once with all that come to the same.
    fn each_of_all(
        &mut self,
        choices: &[&[(u32, f64)]],
        mut take: impl FnMut(&mut Self, Tuple, f64) -> Result<(), TransformError>,
    ) -> Result<(), TransformError> {
        if !self.alike {
            return self.each_in_order(choices, take);
        }
        let together = copies::together(choices, self.rank, self.builder.bytes_left());
        let together = together.ok_or_else(|| beyond_memory(self.limits))?;
        self.waiting = (together.len() as u64).saturating_mul(4 * self.count as u64);
        together.into_iter().try_for_each(|(tuple, probability)| take(self, tuple, probability))?;
        self.waiting = 0;
        self.builder.set_aside(self.held);
        Ok(())
    }

    /// The same with each of them by itself; each takes an edge, so that there may be no more than edges.
    fn each_in_order(
        &mut self,
        choices: &[&[(u32, f64)]],
        mut take: impl FnMut(&mut Self, Tuple, f64) -> Result<(), TransformError>,
    ) -> Result<(), TransformError> {
        let limit = u64::from(self.limits.edges);
        let count = choices.iter().try_fold(1_u64, |count, list| count.checked_mul(list.len() as u64));
        if count.is_none_or(|count| count > limit) {
            return Err(GraphError::Limit { what: "edges", limit }.into());
        }
        let mut chosen = vec![0; choices.len()];
        loop {
            let here = choices.iter().zip(&chosen).map(|(list, &at): (_, &usize)| list[at]);
            let probability = here.clone().map(|(_, probability)| probability).product();
            take(self, here.map(|(vertex, _)| vertex).collect(), probability)?;
            // The next in the order of counting, the last list fastest.
            let Some(at) = (0..choices.len()).rev().find(|&at| chosen[at] + 1 < choices[at].len()) else {
                return Ok(());
            };
            chosen[at] += 1;
            chosen[at + 1..].fill(0);
        }
    }

    /// The vertex of a joint state, made if there is none.
    fn find(&mut self, mut tuple: Tuple) -> Result<u32, TransformError> {
        if tuple.iter().filter(|&&vertex| vertex == ENDED).count() >= self.rank {
            return Ok(self.end);
        }
        if self.alike {
            tuple.sort_unstable();
        }
        if let Some(&place) = self.places.get(&*tuple) {
            return Ok(place);
        }
        let tuple = Rc::from(tuple);
        let place = self.add(&tuple)?;
        self.places.insert(tuple, place);
        Ok(place)
    }

    /// A new vertex for a joint state, whose edges are to come.
    fn add(&mut self, tuple: &Rc<[u32]>) -> Result<u32, TransformError> {
        self.held += BYTES_OF_PLACE + 4 * self.count as u64;
        self.builder.set_aside(self.held.saturating_add(self.waiting));
        let mut state = Vec::with_capacity(self.builder.state(START).len());
        for (number, &vertex) in tuple.iter().enumerate() {
            let part = &self.parts.list[self.part(number)];
            state.push(i32::from(vertex != ENDED));
            // The start's state is all zeros, as that of a process that has ended is to be.
            state.extend_from_slice(part.graph.state(vertex));
        }
        let place = self.builder.add_vertex(&state)?;
        self.queue.push_back((Rc::clone(tuple), place));
        Ok(place)
    }
}

/// Where each vertex of each part jumps to in discrete time, and how probably; what has ended stays. Nothing for a vertex
/// without weight.
fn jumps(parts: &Parts<'_>) -> Vec<Vec<Choices>> {
    if !parts.discrete {
        return Vec::new();
    }
    let of_part = |part: &Part<'_>| {
        let mut rows = vec![vec![(ENDED, 1.0)]];
        rows.extend(part.edges.iter().skip(1).map(|row| {
            let total: f64 = row.iter().map(|(_, weight)| weight.number()).sum();
            let live = |target: u32| if part.graph.is_absorbing(target) { ENDED } else { target };
            let open = row.iter().filter(|(_, weight)| weight.number() > 0.0);
            open.map(|(target, weight)| (live(*target), weight.number() / total)).collect()
        }));
        rows
    };
    parts.list.iter().map(of_part).collect()
}

/// Refuses joint states of so many integers that the first few, and what goes with them, are more than all memory allowed.
fn check_length(integers: usize, limits: GraphLimits) -> Result<(), GraphError> {
    let bytes = (integers as u64).saturating_mul(BYTES_OF_INTEGER);
    if bytes > limits.memory_bytes {
        return Err(beyond_memory(limits));
    }
    Ok(())
}

fn beyond_memory(limits: GraphLimits) -> GraphError {
    GraphError::Limit { what: GraphError::MEMORY, limit: limits.memory_bytes }
}
