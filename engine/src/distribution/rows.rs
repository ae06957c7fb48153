//! A graph at one θ as numbers: the rows of its jump rates, for everything that rewrites graphs.
//!
//! Parallel edges are summed, edges of weight 0 are gone, rows are sorted by target. Nothing here asks for a plan.

use std::cmp::Ordering;

use super::TransformError;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};

/// Rows of `(target, weight)`, one per vertex of a graph. In discrete time weights are probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    rows: Vec<Vec<(u32, f64)>>,
}

/// The weights of a graph at θ; a graph without parameters may be asked without any.
pub(super) fn weights_at(graph: &Graph, theta: &[f64]) -> Result<Vec<f64>, TransformError> {
    if theta.is_empty() && !graph.is_parameterized() {
        return Ok(graph.unit_weights());
    }
    Ok(graph.weights(theta)?)
}

impl Rows {
    /// The rows at θ, none of which is empty but those of absorbing vertices and the start. `O(V + E log d)` for degrees `d`.
    pub(super) fn of(graph: &Graph, theta: &[f64]) -> Result<Self, TransformError> {
        let rows = Self::with_traps(graph, theta)?;
        rows.check_left(graph, |_| true)?;
        Ok(rows)
    }

    /// The same where vertices that are never left at θ do not matter unless the start reaches them.
    pub(super) fn of_reached(graph: &Graph, theta: &[f64]) -> Result<Self, TransformError> {
        let rows = Self::with_traps(graph, theta)?;
        let reached = rows.reached();
        rows.check_left(graph, |vertex| reached[vertex as usize])?;
        Ok(rows)
    }

    /// Refuses vertices that are never left: as they are, they would look absorbing.
    fn check_left(&self, graph: &Graph, matters: impl Fn(u32) -> bool) -> Result<(), TransformError> {
        let is_trap = |&vertex: &u32| {
            self.of_vertex(vertex).is_empty() && !graph.is_absorbing(vertex) && matters(vertex)
        };
        match (1..graph.vertex_count()).find(is_trap) {
            Some(vertex) => Err(TransformError::Trapped { vertex }),
            None => Ok(()),
        }
    }

    fn with_traps(graph: &Graph, theta: &[f64]) -> Result<Self, TransformError> {
        let weights = weights_at(graph, theta)?;
        let mut rows = Vec::with_capacity(graph.vertex_count() as usize);
        for vertex in 0..graph.vertex_count() {
            let mut row = Vec::with_capacity(graph.degree(vertex) as usize);
            for edge in graph.edges(vertex) {
                let weight = weights[edge.index as usize];
                if !(0.0..f64::INFINITY).contains(&weight) {
                    return Err(TransformError::InvalidWeight { from: vertex, to: edge.target, weight });
                }
                if weight > 0.0 {
                    row.push((edge.target, weight));
                }
            }
            row.sort_by_key(|&(target, _)| target);
            row.dedup_by(|later, first| {
                let same = later.0 == first.0;
                first.1 += if same { later.1 } else { 0.0 };
                same
            });
            rows.push(row);
        }
        Ok(Self { rows })
    }

    pub(super) fn of_vertex(&self, vertex: u32) -> &[(u32, f64)] {
        &self.rows[vertex as usize]
    }

    /// The total weight of a row.
    pub(super) fn total(&self, vertex: u32) -> f64 {
        total(self.of_vertex(vertex))
    }

    pub(super) fn into_inner(self) -> Vec<Vec<(u32, f64)>> {
        self.rows
    }

    /// Sends what returns to the start on to where the start leads: the start takes no time, so a return to it is a
    /// jump by the initial probabilities. A row may lead to its own vertex afterwards.
    ///
    /// `O(r·d₀)` for `r` edges into the start and its `d₀` edges.
    pub(super) fn pass_through_start(&mut self) -> Result<(), TransformError> {
        let start = self.rows[START as usize].clone();
        let sum = total(&start);
        for (vertex, row) in self.rows.iter_mut().enumerate().skip(1) {
            // Rows are sorted, and the start is vertex 0.
            if row.first().is_none_or(|&(target, _)| target != START) {
                continue;
            }
            if sum == 0.0 {
                return Err(TransformError::Trapped { vertex: vertex as u32 });
            }
            let (_, weight) = row.remove(0);
            *row = sum_of(row, &start, weight / sum);
        }
        Ok(())
    }

    /// Which vertices the start reaches.
    pub(super) fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.rows.len()];
        let mut stack = vec![START];
        while let Some(vertex) = stack.pop() {
            if !std::mem::replace(&mut reached[vertex as usize], true) {
                stack.extend(self.of_vertex(vertex).iter().map(|&(target, _)| target));
            }
        }
        reached
    }
}

pub(super) fn total(row: &[(u32, f64)]) -> f64 {
    row.iter().map(|&(_, weight)| weight).sum()
}

/// `a + scale·b`, both sorted by target.
pub(super) fn sum_of(a: &[(u32, f64)], b: &[(u32, f64)], scale: f64) -> Vec<(u32, f64)> {
    let mut sum = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while let (Some(&(first, x)), Some(&(second, y))) = (a.get(i), b.get(j)) {
        let (target, weight) = match first.cmp(&second) {
            Ordering::Less => (first, x),
            Ordering::Equal => (first, x + scale * y),
            Ordering::Greater => (second, scale * y),
        };
        i += usize::from(first <= second);
        j += usize::from(second <= first);
        sum.push((target, weight));
    }
    sum.extend_from_slice(&a[i..]);
    sum.extend(b[j..].iter().map(|&(target, weight)| (target, scale * weight)));
    sum
}

/// The graph without parameters that a graph is at θ: the same vertices, states and edges, with weights for numbers.
///
/// Weights are the inner products of coefficients and θ (artifact specification, section 3). Fixed weights, parallel edges and
/// edges of weight 0 stay; in discrete time the weights are the normalised ones. `O(V + E)`.
///
/// ```
/// use phasic_engine::distribution::frozen;
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (two, one) = (builder.add_vertex(&[2])?, builder.add_vertex(&[1])?);
/// builder.add_edge(START, two, Rate::Scalar(1.0))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[3.0]))?;
/// let scalar = frozen(&builder.finish(), &[0.5], GraphLimits::default())?;
/// assert!(!scalar.is_parameterized());
/// assert_eq!(scalar.unit_weights(), [1.0, 1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError`] when θ does not fit, a weight is negative or infinite, or a limit is passed.
pub fn frozen(graph: &Graph, theta: &[f64], limits: GraphLimits) -> Result<Graph, TransformError> {
    scalar(graph, &weights_at(graph, theta)?, limits)
}

/// The graph at θ in which every vertex that can be left is left at rate 1, and the rewards that make up for it: the mean
/// time of each visit, `1/rate` (1 where the rate is 0). phasic's `normalize` (numerics specification, section 3).
///
/// With `r` the rewards that come with it, the total reward `R∘r` of it has the law of the total reward `R` of the graph given:
/// `1/rate` times an exponential time of rate 1 is one of that rate. Initial probabilities are divided by their sum, too. For a graph in discrete time, whose weights are divided by their sums already, it is that graph at θ. The
/// result has no parameters. `O(V + E)`.
///
/// ```
/// use phasic_engine::distribution::normalized;
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (two, one) = (builder.add_vertex(&[2])?, builder.add_vertex(&[1])?);
/// builder.add_edge(START, two, Rate::Scalar(1.0))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[4.0]))?;
/// let (unit, times) = normalized(&builder.finish(), &[1.0], GraphLimits::default())?;
/// assert_eq!((unit.unit_weights(), times.clone()), (vec![1.0, 1.0], vec![1.0, 0.25, 1.0]));
/// let plan = Plan::analyze(&unit, &Limits::default())?;
/// assert_eq!(plan.at(&[1.0])?.rewarded(&times)?.expectation(), 0.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`frozen`].
pub fn normalized(
    graph: &Graph,
    theta: &[f64],
    limits: GraphLimits,
) -> Result<(Graph, Vec<f64>), TransformError> {
    let normalized = graph.normalize(&weights_at(graph, theta)?);
    Ok((scalar(graph, &normalized.weights, limits)?, normalized.factors))
}

/// The graph with these numbers for weights.
fn scalar(graph: &Graph, weights: &[f64], limits: GraphLimits) -> Result<Graph, TransformError> {
    let mut builder = GraphBuilder::with_limits(graph.state_length(), limits)?;
    builder.set_was_dph(graph.was_dph());
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex))?;
    }
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            let weight = weights[edge.index as usize];
            if !(0.0..f64::INFINITY).contains(&weight) {
                return Err(TransformError::InvalidWeight { from: vertex, to: edge.target, weight });
            }
            builder.add_edge(vertex, edge.target, Rate::Scalar(weight))?;
        }
    }
    Ok(builder.finish())
}
