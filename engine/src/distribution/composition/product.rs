//! Processes side by side: minima, maxima and what lies between.
//!
//! The state is that of all processes at once (a Kronecker sum in continuous time, a Kronecker product in discrete
//! time), but only what can be reached is made.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::Parameters;
use super::part::Parts;
use crate::distribution::TransformError;
use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};

/// The vertex of a process that has ended: no process stands at its start.
const ENDED: u32 = START;

/// The vertex of each process.
type Tuple = Box<[u32]>;

/// The graph of the least of independent times: the survival function is the product of theirs.
///
/// As [`order_statistic`] with rank 1.
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
/// As [`order_statistic`] with the last rank.
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
/// The processes run side by side until `rank` of them have ended. In continuous time one jumps at a time and the result
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
    Product::new(&parts, rank, false, limits)?.run()
}

/// The graph of the `rank`-th least of `copies` independent times with the same law and the same parameters.
///
/// As [`order_statistic`], but states that differ only by which copy is where are one, which makes them up to `copies!`
/// times fewer.
///
/// # Errors
/// As [`order_statistic`].
pub fn order_statistic_of_copies(
    graph: &Graph,
    copies: usize,
    rank: usize,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    if rank > copies {
        return Err(TransformError::Rank { rank, count: copies });
    }
    let parts = Parts::new(&vec![graph; copies], Parameters::Shared)?;
    Product::new(&parts, rank, true, limits)?.run()
}

/// The reachable part of a product, as it is explored.
struct Product<'p, 'a> {
    parts: &'p Parts<'a>,
    /// How many processes must end.
    rank: usize,
    /// Whether the processes are alike, so that their order does not matter.
    alike: bool,
    builder: GraphBuilder,
    places: HashMap<Tuple, u32>,
    queue: VecDeque<(Tuple, u32)>,
    end: u32,
    edge_limit: u64,
}

impl<'p, 'a> Product<'p, 'a> {
    fn new(
        parts: &'p Parts<'a>,
        rank: usize,
        alike: bool,
        limits: GraphLimits,
    ) -> Result<Self, TransformError> {
        let count = parts.list.len();
        if rank == 0 || rank > count {
            return Err(TransformError::Rank { rank, count });
        }
        if parts.discrete
            && let Some(part) = parts.list.iter().position(|part| part.graph.is_parameterized())
        {
            return Err(TransformError::NotLinear { part });
        }
        let length = parts.list.iter().map(|part| part.graph.state_length() + 1).sum();
        let mut builder = GraphBuilder::with_limits(length, limits)?;
        parts.prepare(&mut builder)?;
        let end = builder.add_auxiliary_vertex()?;
        Ok(Self {
            parts,
            rank,
            alike,
            builder,
            places: HashMap::new(),
            queue: VecDeque::new(),
            end,
            edge_limit: u64::from(limits.edges),
        })
    }

    fn run(mut self) -> Result<Graph, TransformError> {
        let choices: Vec<Vec<(u32, f64)>> = self
            .parts
            .list
            .iter()
            .map(|part| {
                let atom = (part.atom > 0.0).then_some((ENDED, part.atom));
                part.initial.iter().copied().chain(atom).collect()
            })
            .collect();
        for (tuple, probability) in joint(&choices, self.edge_limit)? {
            let to = self.find(tuple)?;
            self.builder.add_start_edge(to, &[probability], probability)?;
        }
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
        for (number, part) in parts.list.iter().enumerate().filter(|&(number, _)| tuple[number] != ENDED) {
            for (target, weight) in &part.edges[tuple[number] as usize] {
                let mut next: Tuple = tuple.into();
                next[number] = if part.graph.is_absorbing(*target) { ENDED } else { *target };
                let to = self.find(next)?;
                parts.add_edge(&mut self.builder, part, (from, to), weight, 1.0)?;
            }
        }
        Ok(())
    }

    /// Discrete time: all that have not ended.
    fn jump_together(&mut self, tuple: &[u32], from: u32) -> Result<(), TransformError> {
        let mut choices: Vec<Vec<(u32, f64)>> = Vec::with_capacity(tuple.len());
        for (part, &vertex) in self.parts.list.iter().zip(tuple) {
            if vertex == ENDED {
                choices.push(vec![(ENDED, 1.0)]);
                continue;
            }
            let row = &part.edges[vertex as usize];
            let total: f64 = row.iter().map(|(_, weight)| weight.number()).sum();
            if total == 0.0 {
                return Err(TransformError::Trapped { vertex });
            }
            let live = |target: u32| if part.graph.is_absorbing(target) { ENDED } else { target };
            let open = row.iter().filter(|(_, weight)| weight.number() > 0.0);
            choices.push(open.map(|(target, weight)| (live(*target), weight.number() / total)).collect());
        }
        for (next, probability) in joint(&choices, self.edge_limit)? {
            let to = self.find(next)?;
            self.builder.add_edge(from, to, Rate::Scalar(probability))?;
        }
        Ok(())
    }

    /// The vertex of a joint state, made if there is none.
    fn find(&mut self, mut tuple: Tuple) -> Result<u32, TransformError> {
        if tuple.iter().filter(|&&vertex| vertex == ENDED).count() >= self.rank {
            return Ok(self.end);
        }
        if self.alike {
            tuple.sort_unstable();
        }
        if let Some(&place) = self.places.get(&tuple) {
            return Ok(place);
        }
        let mut state = Vec::with_capacity(self.builder.state(START).len());
        for (part, &vertex) in self.parts.list.iter().zip(&tuple) {
            state.push(i32::from(vertex != ENDED));
            // The start's state is all zeros, as that of a process that has ended is to be.
            state.extend_from_slice(part.graph.state(vertex));
        }
        let place = self.builder.add_vertex(&state)?;
        self.places.insert(tuple.clone(), place);
        self.queue.push_back((tuple, place));
        Ok(place)
    }
}

/// One choice of each list, with the product of the probabilities; at most `limit` of them.
fn joint(choices: &[Vec<(u32, f64)>], limit: u64) -> Result<Vec<(Tuple, f64)>, GraphError> {
    let count = choices.iter().try_fold(1_u64, |count, list| count.checked_mul(list.len() as u64));
    if count.is_none_or(|count| count > limit) {
        return Err(GraphError::Limit { what: "edges", limit });
    }
    let mut tuples: Vec<(Vec<u32>, f64)> = vec![(Vec::with_capacity(choices.len()), 1.0)];
    for list in choices {
        tuples = tuples
            .iter()
            .flat_map(|(tuple, probability)| {
                list.iter().map(move |&(vertex, p)| {
                    let mut longer = Vec::with_capacity(choices.len());
                    longer.extend_from_slice(tuple);
                    longer.push(vertex);
                    (longer, probability * p)
                })
            })
            .collect();
    }
    Ok(tuples.into_iter().map(|(tuple, probability)| (tuple.into_boxed_slice(), probability)).collect())
}
