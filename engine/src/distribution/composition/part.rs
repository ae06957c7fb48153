//! A distribution as a part of another: a graph without edges into its start, with its place among the parameters.

use super::super::TransformError;
use super::super::matrices::SUM_TOLERANCE;
use super::Parameters;
use crate::graph::{Graph, GraphBuilder, GraphError, Rate, START};

/// A weight that is linear in the parameters of the part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weight {
    coefficients: Vec<f64>,
    /// What does not depend on the parameters.
    constant: f64,
}

/// One of the distributions that are composed.
pub(super) struct Part<'a> {
    pub(super) graph: &'a Graph,
    /// The first of its parameters among all.
    offset: usize,
    /// Transient vertices and their initial probabilities.
    pub(super) initial: Vec<(u32, f64)>,
    /// The probability of ending at once.
    pub(super) atom: f64,
    /// Edges by vertex; none for the start.
    pub(super) edges: Vec<Vec<(u32, Weight)>>,
}

/// All parts, and how the parameters of the result are made up.
pub(super) struct Parts<'a> {
    pub(super) list: Vec<Part<'a>>,
    /// Parameters of the result; 0 when none is parameterized.
    param_length: usize,
    pub(super) discrete: bool,
}

impl<'a> Parts<'a> {
    pub(super) fn new(graphs: &[&'a Graph], parameters: Parameters) -> Result<Self, TransformError> {
        let first = graphs.first().ok_or(TransformError::Empty)?;
        let discrete = first.was_dph();
        let mut list = Vec::with_capacity(graphs.len());
        let mut param_length = 0;
        for (number, &graph) in graphs.iter().enumerate() {
            if graph.was_dph() != discrete {
                return Err(TransformError::MixedTime { part: number });
            }
            let own = if graph.is_parameterized() { graph.param_length() } else { 0 };
            let offset = match parameters {
                Parameters::SideBySide => param_length,
                Parameters::Shared => 0,
            };
            if parameters == Parameters::Shared && own > 0 && param_length > 0 && own != param_length {
                return Err(TransformError::SharedParameters {
                    part: number,
                    expected: param_length,
                    found: own,
                });
            }
            param_length = param_length.max(offset + own);
            list.push(Part::new(graph, number, offset)?);
        }
        Ok(Self { list, param_length, discrete })
    }

    pub(super) fn are_parameterized(&self) -> bool {
        self.param_length > 0
    }

    /// Readies a builder for edges of these parts.
    pub(super) fn prepare(&self, builder: &mut GraphBuilder) -> Result<(), GraphError> {
        builder.set_was_dph(self.discrete);
        builder.set_parameterized(self.are_parameterized());
        if self.are_parameterized() {
            builder.set_param_length(self.param_length)?;
        }
        Ok(())
    }

    /// Adds an edge of a part, its weight multiplied by `scale`.
    pub(super) fn add_edge(
        &self,
        builder: &mut GraphBuilder,
        part: &Part<'_>,
        (from, to): (u32, u32),
        weight: &Weight,
        scale: f64,
    ) -> Result<(), GraphError> {
        if !self.are_parameterized() {
            return builder.add_edge(from, to, Rate::Scalar(scale * weight.constant));
        }
        if weight.coefficients.iter().any(|&c| c != 0.0) {
            let mut wide = vec![0.0; self.param_length];
            for (into, c) in wide[part.offset..].iter_mut().zip(&weight.coefficients) {
                *into = scale * c;
            }
            builder.add_edge(from, to, Rate::Coefficients(&wide))?;
        }
        if weight.constant > 0.0 {
            builder.add_fixed_edge(from, to, scale * weight.constant)?;
        }
        Ok(())
    }
}

impl<'a> Part<'a> {
    fn new(graph: &'a Graph, number: usize, offset: usize) -> Result<Self, TransformError> {
        let weights = graph.unit_weights();
        let sum: f64 = graph.edge_range(START).map(|edge| weights[edge]).sum();
        if sum == 0.0 {
            return Err(TransformError::NoStart);
        }
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(TransformError::Defective { part: Some(number), sum });
        }
        let mut part = Self { graph, offset, initial: Vec::new(), atom: 0.0, edges: Vec::new() };
        for edge in graph.edges(START) {
            let probability = weights[edge.index as usize] / sum;
            if graph.is_absorbing(edge.target) {
                part.atom += probability;
            } else if probability > 0.0 {
                part.initial.push((edge.target, probability));
            }
        }
        part.edges.push(Vec::new());
        for vertex in 1..graph.vertex_count() {
            let row = part.row(vertex, number)?;
            part.edges.push(row);
        }
        Ok(part)
    }

    /// The edges of a vertex. Those into the start, which takes no time, are spread over where it leads; what would lead
    /// back to the vertex itself is no jump.
    fn row(&self, vertex: u32, number: usize) -> Result<Vec<(u32, Weight)>, TransformError> {
        let graph = self.graph;
        let mut row = Vec::with_capacity(graph.degree(vertex) as usize);
        for edge in graph.edges(vertex) {
            let fixed = graph.fixed_weight(edge.index);
            let weight = match (fixed, graph.is_parameterized()) {
                (Some(constant), _) => Weight { coefficients: Vec::new(), constant },
                (None, false) => Weight { coefficients: Vec::new(), constant: edge.coefficients[0] },
                (None, true) if edge.coefficients.len() == graph.param_length() => {
                    Weight { coefficients: edge.coefficients.to_vec(), constant: 0.0 }
                }
                (None, true) => {
                    return Err(crate::graph::WeightError::CoefficientLength {
                        from: vertex,
                        to: edge.target,
                        expected: graph.param_length(),
                        found: edge.coefficients.len(),
                    }
                    .into());
                }
            };
            if edge.target != START {
                row.push((edge.target, weight));
                continue;
            }
            if graph.was_dph() {
                return Err(TransformError::ReturnsToStart { part: number, vertex });
            }
            let onward = self.initial.iter().filter(|&&(target, _)| target != vertex);
            row.extend(onward.map(|&(target, probability)| (target, weight.scaled(probability))));
            if self.atom > 0.0 {
                let end =
                    graph.edges(START).map(|edge| edge.target).find(|&target| graph.is_absorbing(target));
                row.extend(end.map(|end| (end, weight.scaled(self.atom))));
            }
        }
        Ok(row)
    }

    /// Vertices other than the start that have edges.
    pub(super) fn transient(&self) -> impl Iterator<Item = u32> + '_ {
        (1..self.graph.vertex_count()).filter(|&vertex| !self.graph.is_absorbing(vertex))
    }
}

impl Weight {
    pub(super) fn scaled(&self, scale: f64) -> Self {
        Self {
            coefficients: self.coefficients.iter().map(|c| c * scale).collect(),
            constant: self.constant * scale,
        }
    }

    /// The weight of a part without parameters.
    pub(super) fn number(&self) -> f64 {
        self.constant
    }
}
