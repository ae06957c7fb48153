//! Distributions of distributions: sums, mixtures, minima, maxima and other order statistics of independent times.
//!
//! Phase-type distributions are closed under all of these (Neuts, *Matrix-geometric solutions*, 1981, section 2.2;
//! Bladt and Nielsen 2017, sections 3.1 and 4.3). The results are graphs: exact, without truncation, and parameterized
//! where weights stay linear in the parameters. Numbers are not computed here.

mod copies;
mod part;
mod product;
#[cfg(test)]
mod tests;

pub use product::{maximum, minimum, order_statistic, order_statistic_of_copies};

use super::TransformError;
use super::matrices::SUM_TOLERANCE;
use super::subgraph::check_probabilities;
use crate::graph::{Graph, GraphBuilder, GraphLimits, START};
use part::{Part, Parts};

/// What becomes of the parameters of the graphs that are composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Parameters {
    /// The result has those of the first graph, then those of the second, and so on.
    #[default]
    SideBySide,
    /// All graphs have the same parameters, and so has the result.
    Shared,
}

/// The graph of the sum of independent times (their convolution): one process after the other, `S` of blocks `S₁, S₂, …` on
/// the diagonal and `s₁ α₂, …` beside it (Neuts, *Matrix-geometric solutions*, 1981, section 2.2; Bladt and Nielsen 2017,
/// section 3.1).
///
/// Works in continuous and in discrete time. An edge of one part that ends it leads on to where the next begins, once for
/// each of its initial vertices; atoms at 0 are passed over. States are the number of the part, from 1, then the part's
/// state, filled up with zeros; the state of the end is all zeros. Parallel edges are summed. Time and size are those of
/// the parts, plus for each part the edges that end it times the initial vertices of the next.
///
/// ```
/// use phasic_engine::distribution::{Parameters, sum};
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let exponential = |rate: f64| -> Result<_, phasic_engine::graph::GraphError> {
///     let mut builder = GraphBuilder::new(1)?;
///     let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
///     builder.add_edge(START, on, Rate::Scalar(1.0))?;
///     builder.add_edge(on, off, Rate::Coefficients(&[rate]))?;
///     Ok(builder.finish())
/// };
/// let both = sum(&[&exponential(1.0)?, &exponential(2.0)?], Parameters::SideBySide, GraphLimits::default())?;
/// let plan = Plan::analyze(&both, &Limits::default())?;
/// assert_eq!(plan.at(&[0.5, 4.0])?.expectation(), 2.0 + 0.125);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError`] with the number of the graph: none given, mixed time, a defective start (see
/// [`settle_deficit`](super::settle_deficit)), parameters that cannot be shared, edges into a start in discrete time; or a
/// limit.
pub fn sum(graphs: &[&Graph], parameters: Parameters, limits: GraphLimits) -> Result<Graph, TransformError> {
    let parts = Parts::new(graphs, parameters)?;
    let mut stage = Stages::new(&parts, limits)?;
    // Where each part's end leads, from the last part backwards.
    let mut onward = vec![(stage.end, 1.0)];
    for number in (0..parts.list.len()).rev() {
        stage.add_edges(number, &onward)?;
        let part = &parts.list[number];
        let ahead = std::mem::take(&mut onward);
        onward.extend(part.initial.iter().map(|&(vertex, p)| (stage.place(number, vertex), p)));
        onward.extend(ahead.into_iter().map(|(to, p)| (to, p * part.atom)).filter(|&(_, p)| p > 0.0));
    }
    stage.finish(&onward)
}

/// The graph of a mixture: with probability `weights[i]`, the time is that of graph `i`. Its density is `Σ wᵢ fᵢ(t)`, its
/// matrix that of the parts block by block (Neuts 1981, section 2.2).
///
/// Works in continuous and in discrete time. States as in [`sum`]. Linear in the size of the parts.
///
/// # Errors
/// As [`sum`]; [`TransformError::Length`], [`TransformError::Probability`] with the place and
/// [`TransformError::ProbabilitySum`] for weights that are no distribution.
pub fn mixture(
    weights: &[f64],
    graphs: &[&Graph],
    parameters: Parameters,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    if weights.len() != graphs.len() {
        let (expected, found) = (graphs.len(), weights.len());
        return Err(TransformError::Length { what: "weights of a mixture", expected, found });
    }
    check_probabilities(weights.iter().copied())?;
    let parts = Parts::new(graphs, parameters)?;
    let total: f64 = weights.iter().sum();
    if (total - 1.0).abs() > SUM_TOLERANCE {
        return Err(TransformError::ProbabilitySum { sum: total });
    }
    let mut stage = Stages::new(&parts, limits)?;
    let mut initial = Vec::new();
    for (number, (part, weight)) in parts.list.iter().zip(weights).enumerate() {
        stage.add_edges(number, &[(stage.end, 1.0)])?;
        let begin = part.initial.iter().map(|&(vertex, p)| (stage.place(number, vertex), p * weight / total));
        initial.extend(begin);
        initial.push((stage.end, part.atom * weight / total));
    }
    stage.finish(&initial)
}

/// The vertices of parts that do not run at the same time, and one end.
struct Stages<'p, 'a> {
    parts: &'p Parts<'a>,
    builder: GraphBuilder,
    /// The vertex of the result for each vertex of each part; the end for absorbing ones.
    places: Vec<Vec<u32>>,
    end: u32,
}

impl<'p, 'a> Stages<'p, 'a> {
    fn new(parts: &'p Parts<'a>, limits: GraphLimits) -> Result<Self, TransformError> {
        let longest = parts.list.iter().map(|part| part.graph.state_length()).max().unwrap_or_default();
        let mut builder = GraphBuilder::with_limits(longest + 1, limits)?;
        parts.prepare(&mut builder)?;
        let mut places = Vec::with_capacity(parts.list.len());
        let mut state = Vec::with_capacity(longest + 1);
        for (part, number) in parts.list.iter().zip(1_i32..) {
            let mut place = vec![START; part.graph.vertex_count() as usize];
            for vertex in part.transient() {
                state.clear();
                state.push(number);
                state.extend_from_slice(part.graph.state(vertex));
                state.resize(longest + 1, 0);
                place[vertex as usize] = builder.add_vertex(&state)?;
            }
            places.push(place);
        }
        let end = builder.add_auxiliary_vertex()?;
        Ok(Self { parts, builder, places, end })
    }

    fn place(&self, part: usize, vertex: u32) -> u32 {
        self.places[part][vertex as usize]
    }

    /// Adds the edges of a part; those that end it lead on.
    fn add_edges(&mut self, number: usize, onward: &[(u32, f64)]) -> Result<(), TransformError> {
        let parts = self.parts;
        let part: &Part<'_> = &parts.list[number];
        for vertex in part.transient() {
            let from = self.place(number, vertex);
            for (target, weight) in &part.edges[vertex as usize] {
                if part.graph.is_absorbing(*target) {
                    for &(to, scale) in onward {
                        parts.add_edge(&mut self.builder, part, (from, to), weight, scale)?;
                    }
                } else {
                    let to = self.place(number, *target);
                    parts.add_edge(&mut self.builder, part, (from, to), weight, 1.0)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, initial: &[(u32, f64)]) -> Result<Graph, TransformError> {
        for &(to, probability) in initial.iter().filter(|&&(_, p)| p > 0.0) {
            self.builder.add_start_edge(to, &[probability], probability)?;
        }
        Ok(self.builder.finish().merge_parallel_edges())
    }
}
