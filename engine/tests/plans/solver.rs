//! The reference: what a graph's totals are, worked out without anything of a plan but the definition.
//!
//! Vertices are eliminated from the last to the first, whatever the fill; moments and covariances follow the formulas of
//! the numerics specification, sections 1 and 3, with twice the digits.

use super::number::{Double2, Dual, Number};
use phasic_engine::graph::{Graph, START};

/// A graph at given weights, eliminated.
pub(crate) struct Solver<N> {
    discrete: bool,
    /// Vertices that the start reaches and that can be left.
    transient: Vec<bool>,
    totals: Vec<N>,
    pivots: Vec<N>,
    /// What is left of each row: earlier vertices and weights.
    rows: Vec<Vec<(u32, N)>>,
    /// For each vertex the earlier ones that led to it, and by which factor.
    factors: Vec<Vec<(u32, N)>>,
}

/// The weights of a graph's edges at θ, with full precision.
pub(crate) fn weights(graph: &Graph, theta: &[f64]) -> Vec<Double2> {
    weights_along(graph, &theta.iter().map(|&value| Double2::new(value)).collect::<Vec<_>>())
}

/// The weights with their derivatives by one parameter.
pub(crate) fn weights_by_parameter(graph: &Graph, theta: &[f64], parameter: usize) -> Vec<Dual> {
    let mut theta: Vec<Dual> = theta.iter().map(|&value| Dual::new(value)).collect();
    theta[parameter].slope = Double2::new(1.0);
    weights_along(graph, &theta)
}

/// The weights, and which of them is varied.
pub(crate) fn weights_by_edge(graph: &Graph, theta: &[f64], edge: u32) -> Vec<Dual> {
    let theta: Vec<Dual> = theta.iter().map(|&value| Dual::new(value)).collect();
    let mut weights = weights_along(graph, &theta);
    weights[edge as usize].slope = Double2::new(1.0);
    weights
}

fn weights_along<N: Number>(graph: &Graph, theta: &[N]) -> Vec<N> {
    let fixed = graph.unit_weights();
    (0..graph.vertex_count())
        .flat_map(|vertex| graph.edges(vertex).map(move |edge| (vertex, edge)))
        .map(|(vertex, edge)| {
            if vertex == START || edge.coefficients.is_empty() {
                return N::new(fixed[edge.index as usize]);
            }
            let terms = edge.coefficients.iter().zip(theta);
            terms.fold(N::new(0.0), |sum, (&coefficient, &value)| sum + N::new(coefficient) * value)
        })
        .collect()
}

impl<N: Number> Solver<N> {
    pub(crate) fn new(graph: &Graph, weights: &[N]) -> Self {
        let count = graph.vertex_count() as usize;
        let zero = N::new(0.0);
        let mut reached = vec![false; count];
        let mut stack = vec![START];
        while let Some(vertex) = stack.pop() {
            if !std::mem::replace(&mut reached[vertex as usize], true) {
                stack.extend(graph.targets(vertex));
            }
        }
        let transient: Vec<bool> = (0..graph.vertex_count())
            .map(|v| reached[v as usize] && (v == START || !graph.is_absorbing(v)))
            .collect();
        // Edges back to later vertices wait until those are eliminated; entries of a row are sorted.
        let (mut rows, mut exits) = (vec![Vec::new(); count], vec![zero; count]);
        let mut totals = vec![zero; count];
        let mut sources = vec![Vec::new(); count];
        for vertex in (0..graph.vertex_count()).filter(|&v| transient[v as usize]) {
            let from = vertex as usize;
            let mut row: Vec<(u32, N)> = Vec::new();
            for edge in graph.edges(vertex) {
                let weight = weights[edge.index as usize];
                totals[from] = totals[from] + weight;
                if !transient[edge.target as usize] {
                    exits[from] = exits[from] + weight;
                } else if !weight.is_nothing() {
                    row.push((edge.target, weight));
                }
            }
            row.sort_by_key(|entry| entry.0);
            row.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                kept.1 = if same { kept.1 + later.1 } else { kept.1 };
                same
            });
            for entry in &row {
                sources[entry.0 as usize].push(vertex);
            }
            rows[from] = row;
        }
        let mut solver = Self {
            discrete: graph.was_dph(),
            transient,
            totals,
            pivots: vec![zero; count],
            rows,
            factors: vec![Vec::new(); count],
        };
        solver.eliminate(&mut exits, &mut sources);
        solver
    }

    fn eliminate(&mut self, exits: &mut [N], sources: &mut [Vec<u32>]) {
        for vertex in (0..self.rows.len()).rev().filter(|&v| self.transient[v]) {
            let row = std::mem::take(&mut self.rows[vertex]);
            let pivot = row.iter().fold(exits[vertex], |sum, entry| sum + entry.1);
            self.pivots[vertex] = pivot;
            // Rows of vertices eliminated before keep what they led to then.
            for source in std::mem::take(&mut sources[vertex]) {
                let from = source as usize;
                if from >= vertex {
                    continue;
                }
                let (target, weight) = self.rows[from].pop().unwrap();
                assert_eq!(target as usize, vertex);
                let factor = weight / pivot;
                exits[from] = exits[from] + factor * exits[vertex];
                let merged = merge(&self.rows[from], &row, factor, source, sources);
                self.rows[from] = merged;
                self.factors[vertex].push((source, factor));
            }
            self.rows[vertex] = row;
        }
    }

    /// Expected totals from every vertex when each visit earns `earned`.
    fn solve(&self, earned: impl Fn(usize) -> N) -> Vec<N> {
        let zero = N::new(0.0);
        let mut x: Vec<N> = (0..self.rows.len())
            .map(|vertex| match () {
                () if vertex == START as usize || !self.transient[vertex] => zero,
                () if self.discrete => earned(vertex) * self.totals[vertex],
                () => earned(vertex),
            })
            .collect();
        for vertex in (0..x.len()).rev() {
            for &(source, factor) in &self.factors[vertex] {
                x[source as usize] = x[source as usize] + factor * x[vertex];
            }
        }
        for vertex in (0..x.len()).filter(|&v| self.transient[v]) {
            let known = self.rows[vertex].iter().fold(x[vertex], |sum, &(to, w)| sum + w * x[to as usize]);
            x[vertex] = known / self.pivots[vertex];
        }
        x
    }

    /// Expected totals from every vertex.
    pub(crate) fn waiting_times(&self, rewards: &[f64]) -> Vec<N> {
        self.solve(|vertex| N::new(rewards[vertex]))
    }

    /// Raw moments of the total, the first one first.
    pub(crate) fn moments(&self, rewards: &[f64], count: u32) -> Vec<N> {
        let mut x = self.waiting_times(rewards);
        let mut moments = vec![x[0]];
        let mut factorial = 1.0;
        for power in 2..=count {
            x = self.solve(|vertex| x[vertex] * N::new(rewards[vertex]));
            factorial *= f64::from(power);
            moments.push(x[0] * N::new(factorial));
        }
        moments
    }

    pub(crate) fn covariance(&self, first: &[f64], second: &[f64]) -> N {
        let (x, y) = (self.waiting_times(first), self.waiting_times(second));
        let cross = self.solve(|vertex| x[vertex] * N::new(second[vertex]))[0]
            + self.solve(|vertex| y[vertex] * N::new(first[vertex]))[0];
        let covariance = cross - x[0] * y[0];
        if !self.discrete {
            return covariance;
        }
        covariance - self.solve(|vertex| N::new(first[vertex]) * N::new(second[vertex]))[0]
    }
}

/// `row + factor * other` without the entry at `source` itself; new entries are noted among the sources.
fn merge<N: Number>(
    row: &[(u32, N)],
    other: &[(u32, N)],
    factor: N,
    source: u32,
    sources: &mut [Vec<u32>],
) -> Vec<(u32, N)> {
    let mut merged = Vec::with_capacity(row.len() + other.len());
    let mut row = row.iter().copied().peekable();
    for &(to, weight) in other.iter().filter(|entry| entry.0 != source) {
        while let Some(entry) = row.next_if(|entry| entry.0 < to) {
            merged.push(entry);
        }
        if let Some((_, old)) = row.next_if(|entry| entry.0 == to) {
            merged.push((to, old + factor * weight));
        } else {
            merged.push((to, factor * weight));
            sources[to as usize].push(source);
        }
    }
    merged.extend(row);
    merged
}
