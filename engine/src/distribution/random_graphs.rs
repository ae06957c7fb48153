//! Small random graphs for property tests: absorption is certain, returns to the start and parallel edges occur.

use proptest::prelude::*;

use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::{Limits, Plan};

/// What a random graph is made of: for each vertex its way out, then other edges anywhere, then initial probabilities.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) onward: Vec<f64>,
    pub(super) edges: Vec<(u32, u32, f64)>,
    pub(super) initial: Vec<f64>,
}

pub(super) fn recipe(vertices: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Recipe> {
    vertices.prop_flat_map(|n| {
        let last = n as u32 + 1;
        let edge = (1..last, 1..=last, 0.05..4.0_f64);
        (
            prop::collection::vec(0.2..3.0_f64, n),
            prop::collection::vec(edge, 0..3 * n),
            prop::collection::vec(0.0..1.0_f64, n + 1),
        )
            .prop_map(|(onward, edges, mut initial)| {
                initial[0] += 0.2;
                let sum: f64 = initial.iter().sum();
                for p in &mut initial {
                    *p /= sum;
                }
                Recipe { onward, edges, initial }
            })
    })
}

impl Recipe {
    pub(super) fn vertex_count(&self) -> usize {
        self.onward.len() + 2
    }

    /// The scalar graph: vertices 1 to n transient, n + 1 absorbing.
    pub(super) fn graph(&self, discrete: bool) -> Graph {
        let n = self.onward.len() as u32;
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(discrete);
        for state in 1..=n + 1 {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        for (&p, vertex) in self.initial.iter().zip(1..) {
            if p > 0.0 {
                builder.add_edge(START, vertex, Rate::Scalar(p)).unwrap();
            }
        }
        for (&rate, vertex) in self.onward.iter().zip(1..) {
            builder.add_edge(vertex, vertex + 1, Rate::Scalar(rate)).unwrap();
        }
        for &(from, to, rate) in self.edges.iter().filter(|&&(from, to, _)| from != to) {
            builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
        }
        builder.finish()
    }

    /// The same graph with the given returns to the start.
    pub(super) fn with_returns(&self, discrete: bool, returns: &[(usize, f64)]) -> Graph {
        let graph = self.graph(discrete);
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(discrete);
        for vertex in 1..graph.vertex_count() {
            builder.add_vertex(graph.state(vertex)).unwrap();
        }
        for vertex in 0..graph.vertex_count() {
            for edge in graph.edges(vertex) {
                builder.add_edge(vertex, edge.target, Rate::Scalar(edge.coefficients[0])).unwrap();
            }
        }
        for &(at, rate) in returns {
            builder.add_edge(1 + (at % self.onward.len()) as u32, START, Rate::Scalar(rate)).unwrap();
        }
        builder.finish()
    }
}

/// The first `count` raw moments of the time to absorption of a scalar graph.
pub(super) fn moments(graph: &Graph, count: usize) -> Vec<f64> {
    let plan = Plan::analyze(graph, &Limits::default()).unwrap();
    plan.at(&vec![1.0; graph.param_length()]).unwrap().moments(count).unwrap()
}

/// Rewarded moments of a scalar graph.
pub(super) fn rewarded_moments(graph: &Graph, rewards: &[f64], count: usize) -> Vec<f64> {
    let plan = Plan::analyze(graph, &Limits::default()).unwrap();
    plan.at(&vec![1.0; graph.param_length()]).unwrap().rewarded(rewards).unwrap().moments(count).unwrap()
}

/// The probabilities of 0, 1, …, `last` jumps of a discrete graph, by pushing mass along edges: nothing of what is under
/// test takes part. Rows need not sum to 1; what they lack stays.
pub(super) fn pushed(graph: &Graph, last: usize) -> Vec<f64> {
    let weights = graph.unit_weights();
    let mut mass = vec![0.0; graph.vertex_count() as usize];
    mass[0] = 1.0;
    // A return to the start goes on at once.
    let leave = |mass: &mut Vec<f64>, vertex: u32| {
        let here = std::mem::take(&mut mass[vertex as usize]);
        for edge in graph.edges(vertex) {
            mass[edge.target as usize] += here * weights[edge.index as usize];
        }
    };
    let mut absorbed = Vec::new();
    leave(&mut mass, START);
    loop {
        let mut now = 0.0;
        for vertex in (1..graph.vertex_count()).filter(|&vertex| graph.is_absorbing(vertex)) {
            now += std::mem::take(&mut mass[vertex as usize]);
        }
        absorbed.push(now);
        if absorbed.len() > last {
            return absorbed;
        }
        let mut next = vec![0.0; mass.len()];
        for vertex in 1..graph.vertex_count() {
            for edge in graph.edges(vertex) {
                next[edge.target as usize] += mass[vertex as usize] * weights[edge.index as usize];
            }
        }
        leave(&mut next, START);
        mass = next;
    }
}

pub(super) fn close(found: f64, wanted: f64, relative: f64) -> bool {
    found == wanted || (found - wanted).abs() <= relative * wanted.abs()
}
