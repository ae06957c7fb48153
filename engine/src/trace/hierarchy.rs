//! Per-component elimination: each component as a small graph of its own (artifact specification, section 11).
//!
//! phasic stores the programs of these graphs as `scc_<hash>.bin` and puts the answers together component by component.

use std::cmp::Ordering;

use super::order::component_list;
use super::{EliminationError, Limits, Observer, ReplayError, eliminate};
use crate::graph::{Graph, GraphBuilder, GraphError, Rate, START, compare_coefficients};

/// What stands for an infinite rate where a value is 0.
const INSTANT_RATE: f64 = 1e300;

/// One component of a graph, closed off as a graph of its own: a start that leads to every entrance, and for every edge
/// that leaves the component a channel vertex that leads to one final vertex.
#[derive(Debug, Clone)]
pub struct ComponentGraph {
    /// The synthetic graph; its content hash names the component's artifact.
    pub graph: Graph,
    /// For each synthetic vertex the vertex it stands for, if any; channels and the final vertex stand for none.
    pub vertices: Vec<Option<u32>>,
    /// For each synthetic edge the parent's edge it stands for, if any.
    origins: Vec<Option<u32>>,
    /// The parent's vertex behind each channel, and the first channel.
    behind: Vec<u32>,
    first_channel: u32,
}

/// The components of a graph as synthetic graphs, in phasic's list order, under the given weights of the parent's edges.
///
/// Weights matter in ties only: members that states, edges and coefficients cannot tell apart are ordered by weight.
/// Linear in the graph's size up to sorting.
///
/// # Errors
/// [`GraphError`] when an edge cannot be carried over, as with too few coefficients.
///
/// # Panics
/// When `weights` does not have one entry per edge.
pub fn component_graphs(graph: &Graph, weights: &[f64]) -> Result<Vec<ComponentGraph>, GraphError> {
    Ok(split(graph, weights)?.0)
}

/// The components, and their places in topological order, the start's first.
fn split(graph: &Graph, weights: &[f64]) -> Result<(Vec<ComponentGraph>, Vec<u32>), GraphError> {
    assert_eq!(weights.len(), graph.edge_count() as usize, "one weight per edge");
    let (list, order) = component_list(graph);
    let mut place = vec![(0_u32, 0_u32); graph.vertex_count() as usize];
    for (members, component) in list.iter().zip(0..) {
        for (&vertex, rank) in members.iter().zip(0..) {
            place[vertex as usize] = (component, rank);
        }
    }
    let mut entrance = vec![false; graph.vertex_count() as usize];
    for vertex in 0..graph.vertex_count() {
        for &target in graph.targets(vertex) {
            entrance[target as usize] |= place[vertex as usize].0 != place[target as usize].0;
        }
    }
    let plan = Split { graph, weights, place, entrance };
    let components = list.iter().map(|members| plan.component(members)).collect::<Result<_, _>>()?;
    Ok((components, order))
}

/// Expected waiting times from every vertex, put together component by component, sinks first.
///
/// Agrees with phasic's hierarchical mode bit for bit where every component's program does.
///
/// # Errors
/// [`HierarchyError`] when a component cannot be carried over, eliminated or replayed.
pub fn hierarchical_waiting_times(
    graph: &Graph,
    weights: &[f64],
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Vec<f64>, HierarchyError> {
    let (components, order) = split(graph, weights)?;
    let mut waiting = vec![0.0; graph.vertex_count() as usize];
    for &place in order.iter().rev() {
        let component = &components[place as usize];
        let trace = eliminate(&component.graph, limits, observer)?;
        let local = component.weights(weights, &waiting);
        let found = trace.replay(&component.graph, &local)?.waiting_times(None)?;
        for (vertex, value) in component.vertices.iter().zip(found) {
            if let Some(vertex) = vertex.filter(|&vertex| !graph.is_absorbing(vertex)) {
                waiting[vertex as usize] = value;
            }
        }
    }
    Ok(waiting)
}

/// Why a component-wise evaluation failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HierarchyError {
    /// A component cannot be made a graph of its own.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A component's elimination did not finish.
    #[error(transparent)]
    Elimination(#[from] EliminationError),
    /// A component's program yields no number.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl ComponentGraph {
    /// Weights of the synthetic graph, given the parent's weights and the values already known behind the channels.
    fn weights(&self, weights: &[f64], waiting: &[f64]) -> Vec<f64> {
        let mut local = self.graph.unit_weights();
        for (weight, origin) in local.iter_mut().zip(&self.origins) {
            if let Some(edge) = *origin {
                *weight = weights[edge as usize];
            }
        }
        for (&vertex, channel) in self.behind.iter().zip(self.first_channel..) {
            let value = waiting[vertex as usize];
            let rate = if value == 0.0 { INSTANT_RATE } else { 1.0 / value };
            local[self.graph.edge_range(channel).start] = rate;
        }
        local
    }
}

struct Split<'a> {
    graph: &'a Graph,
    weights: &'a [f64],
    /// Component and rank of every vertex.
    place: Vec<(u32, u32)>,
    /// Whether an edge from another component leads here.
    entrance: Vec<bool>,
}

/// What tells two members with the same state apart: where an edge leads, its coefficients, its weight.
type Signature<'a> = (u32, &'a [f64], f64);

impl Split<'_> {
    fn component(&self, members: &[u32]) -> Result<ComponentGraph, GraphError> {
        let (ordered, entrances) = self.arrange(members);
        let mut leaving: Vec<(u32, u32)> = Vec::new();
        let mut origins = vec![None; entrances as usize];
        for &vertex in &ordered {
            let (inside, outside): (Vec<_>, Vec<_>) =
                self.graph.edges(vertex).partition(|edge| self.same_component(vertex, edge.target));
            leaving.extend(outside.iter().map(|edge| (vertex, edge.target)));
            origins.extend(inside.into_iter().chain(outside).map(|edge| Some(edge.index)));
        }
        let behind = leaving.iter().map(|&(_, target)| target).collect();
        let mut builder = GraphBuilder::new(self.graph.state_length())?;
        builder.set_param_length(self.graph.param_length())?;
        builder.set_parameterized(true);
        let mut vertices = vec![None];
        for &vertex in &ordered {
            if vertex == START {
                vertices[0] = Some(START);
            } else {
                builder.add_vertex(self.graph.state(vertex))?;
                vertices.push(Some(vertex));
            }
        }
        let first_channel = vertices.len() as u32;
        for _ in 0..=leaving.len() {
            builder.add_auxiliary_vertex()?;
            vertices.push(None);
        }
        self.add_edges(&mut builder, &vertices, entrances, first_channel, &leaving)?;
        Ok(ComponentGraph { graph: builder.finish(), vertices, origins, behind, first_channel })
    }

    fn add_edges(
        &self,
        builder: &mut GraphBuilder,
        vertices: &[Option<u32>],
        entrances: u32,
        first_channel: u32,
        leaving: &[(u32, u32)],
    ) -> Result<(), GraphError> {
        let mut placeholder = vec![0.0; self.graph.param_length().max(1)];
        placeholder[0] = 1.0;
        for entrance in 1..=entrances {
            builder.add_edge(START, entrance, Rate::Coefficients(&placeholder))?;
        }
        let mut members: Vec<(u32, u32)> =
            vertices.iter().zip(0..).filter_map(|(&v, at)| Some((v?, at))).collect();
        members.sort_unstable();
        let synthetic =
            |vertex: u32| members.binary_search_by_key(&vertex, |&(v, _)| v).map(|at| members[at].1);
        for &(vertex, from) in &members {
            for edge in self.graph.edges(vertex) {
                let Ok(to) = synthetic(edge.target) else { continue };
                match self.graph.fixed_weight(edge.index) {
                    Some(weight) if edge.coefficients.is_empty() => {
                        builder.add_fixed_edge(from, to, weight)?;
                    }
                    _ => builder.add_edge(from, to, Rate::Coefficients(edge.coefficients))?,
                }
            }
        }
        let last = first_channel + leaving.len() as u32;
        for (&(vertex, _), channel) in leaving.iter().zip(first_channel..) {
            let from = synthetic(vertex).unwrap_or(START);
            builder.add_edge(from, channel, Rate::Coefficients(&placeholder))?;
            builder.add_edge(channel, last, Rate::Coefficients(&placeholder))?;
        }
        Ok(())
    }

    /// Members in synthetic order (entrances, inner ones, exits) and the number of entrances among them.
    fn arrange(&self, members: &[u32]) -> (Vec<u32>, u32) {
        let group = |vertex: u32| {
            if vertex == START {
                0
            } else if self.entrance[vertex as usize] {
                1
            } else if self.graph.targets(vertex).iter().all(|&target| self.same_component(vertex, target)) {
                2
            } else {
                3
            }
        };
        let mut keyed: Vec<(u32, u32, Vec<Signature<'_>>)> =
            members.iter().map(|&vertex| (group(vertex), vertex, self.signatures(vertex))).collect();
        keyed.sort_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| self.graph.state(a.1).cmp(self.graph.state(b.1)))
                .then_with(|| a.2.len().cmp(&b.2.len()))
                .then_with(|| compare_lists(&a.2, &b.2))
                .then_with(|| a.1.cmp(&b.1))
        });
        let entrances = keyed.iter().filter(|key| key.0 == 1).count() as u32;
        (keyed.into_iter().map(|key| key.1).collect(), entrances)
    }

    fn signatures(&self, vertex: u32) -> Vec<Signature<'_>> {
        let rank = |target: u32| {
            if self.same_component(vertex, target) { self.place[target as usize].1 } else { u32::MAX }
        };
        let mut list: Vec<Signature<'_>> = self
            .graph
            .edges(vertex)
            .map(|edge| (rank(edge.target), edge.coefficients, self.weights[edge.index as usize]))
            .collect();
        list.sort_by(compare_signatures);
        list
    }

    fn same_component(&self, a: u32, b: u32) -> bool {
        self.place[a as usize].0 == self.place[b as usize].0
    }
}

fn compare_signatures(a: &Signature<'_>, b: &Signature<'_>) -> Ordering {
    a.0.cmp(&b.0)
        .then_with(|| a.1.len().cmp(&b.1.len()))
        .then_with(|| compare_coefficients(a.1, b.1))
        .then_with(|| a.2.partial_cmp(&b.2).unwrap_or(Ordering::Equal))
}

fn compare_lists(a: &[Signature<'_>], b: &[Signature<'_>]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_signatures(a, b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
