//! Phase-type distributions as matrices: (α, S) in continuous time, (α, T) in discrete time.
//!
//! Listing a graph at one θ as matrices, and making graphs of matrices. No computation with matrices happens here.

mod build;
mod error;
mod sparse;

pub(super) use build::SUM_TOLERANCE;
pub use build::{Deficit, MatrixOptions, graph_from_matrices};
pub use error::MatrixError;
pub use sparse::SparseMatrix;

use super::TransformError;
use super::rows::{Rows, total};
use crate::graph::{Graph, START};
use crate::trace::elimination_order;

/// The order in which transient vertices are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Listing {
    /// By vertex number.
    #[default]
    Index,
    /// As phasic's `as_matrices` lists them: component by component in its order of elimination (artifact
    /// specification, section 5).
    Elimination,
}

/// A graph at one θ as matrices over its transient vertices, the start aside.
///
/// Continuous time: `S[i][j]` is the rate from `i` to `j`, `S[i][i]` minus the rate at which `i` is left, and
/// `exit = −S·1`. Discrete time: `T[i][j]` is the probability of a jump, `exit = 1 − T·1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrices {
    /// α: the probability to start in each listed vertex, divided by [`initial_total`](Self::initial_total).
    pub initial: Vec<f64>,
    /// The probability to be absorbed at once, divided like `initial`, which lacks it to 1.
    pub atom: f64,
    /// The sum of the start's edges, 1 unless the start is defective.
    pub initial_total: f64,
    /// S, or T in discrete time.
    pub transient: SparseMatrix,
    /// Rates (probabilities, in discrete time) into absorbing vertices, each to full precision.
    pub exit: Vec<f64>,
    /// The listed vertices of the graph.
    pub vertices: Vec<u32>,
    /// Their states, one after the other.
    pub states: Vec<i32>,
    /// Integers per state.
    pub state_length: usize,
    /// Whether time is discrete.
    pub discrete: bool,
}

/// Lists a graph at θ as matrices.
///
/// Rewarded totals, moments and densities then follow from the textbook formulas: `E[T] = −α S⁻¹ 1`,
/// `f(t) = α exp(S t) exit` (Neuts, *Matrix-geometric solutions*, 1981, chapter 2; `as_matrices`: numerics
/// specification, section 4). Parallel edges are summed. Edges into the start, which takes no time, are spread over
/// where the start leads. Unreachable vertices are listed too. `O(V + E log d)`.
///
/// ```
/// use phasic_engine::distribution::{Listing, matrices};
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
///
/// // A queue with two places: arrivals θ₀, services θ₁; time until it is first empty.
/// let mut builder = GraphBuilder::new(1)?;
/// let (one, two, empty) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, one, Rate::Scalar(1.0))?;
/// builder.add_edge(one, two, Rate::Coefficients(&[1.0, 0.0]))?;
/// builder.add_edge(one, empty, Rate::Coefficients(&[0.0, 1.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[0.0, 1.0]))?;
///
/// let listed = matrices(&builder.finish(), &[0.5, 2.0], Listing::Index)?;
/// assert_eq!(listed.initial, [1.0, 0.0]);
/// assert_eq!(listed.transient.to_dense(1 << 20)?, ndarray::array![[-2.5, 0.5], [2.0, -2.0]]);
/// assert_eq!(listed.exit, [2.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError`] when θ does not fit, a weight is negative or infinite, nothing leaves the start, or a vertex has
/// edges but rate 0; [`TransformError::LossyReturn`] where initial probabilities sum to less than 1 (by more than 1e-9) and
/// some vertex leads back to the start, in continuous time: what is lost there at each return has no place in matrices.
pub fn matrices(graph: &Graph, theta: &[f64], listing: Listing) -> Result<Matrices, TransformError> {
    let mut rows = Rows::of(graph, theta)?;
    check_returns(graph, &rows)?;
    rows.pass_through_start()?;
    let initial_total = rows.total(START);
    if initial_total == 0.0 {
        return Err(TransformError::NoStart);
    }
    let order = match listing {
        Listing::Index => (0..graph.vertex_count()).collect(),
        Listing::Elimination => elimination_order(graph),
    };
    let vertices: Vec<u32> =
        order.into_iter().filter(|&vertex| vertex != START && !graph.is_absorbing(vertex)).collect();
    let mut place = vec![None; graph.vertex_count() as usize];
    for (&vertex, at) in vertices.iter().zip(0_u32..) {
        place[vertex as usize] = Some(at);
    }
    let mut initial = vec![0.0; vertices.len()];
    let mut atom = 0.0;
    for &(target, weight) in rows.of_vertex(START) {
        match place[target as usize] {
            Some(at) => initial[at as usize] = weight / initial_total,
            None => atom += weight / initial_total,
        }
    }
    let mut transient = SparseMatrix::with_columns(vertices.len());
    let mut exit = Vec::with_capacity(vertices.len());
    let mut entries: Vec<(u32, f64)> = Vec::new();
    for (&vertex, at) in vertices.iter().zip(0..) {
        let row = rows.of_vertex(vertex);
        let inner = |&(target, weight): &(u32, f64)| place[target as usize].map(|at| (at, weight));
        entries.clear();
        // A return through the start to the same vertex is no jump in continuous time.
        entries.extend(row.iter().filter_map(inner).filter(|&(target, _)| graph.was_dph() || target != at));
        // The sum of no numbers is −0 in Rust.
        exit.push(
            0.0 + row.iter().filter(|edge| inner(edge).is_none()).map(|&(_, weight)| weight).sum::<f64>(),
        );
        entries.sort_by_key(|&(target, _)| target);
        if !graph.was_dph() {
            let place = entries.partition_point(|&(target, _)| target < at);
            entries.insert(place, (at, -(total(&entries) + exit[at as usize])));
        }
        for &(target, weight) in &entries {
            transient.push(target, weight);
        }
        transient.close();
    }
    Ok(Matrices {
        initial,
        atom,
        initial_total,
        transient,
        exit,
        states: vertices.iter().flat_map(|&vertex| graph.state(vertex)).copied().collect(),
        state_length: graph.state_length(),
        vertices,
        discrete: graph.was_dph(),
    })
}

/// Refuses a defective start that is returned to. In discrete time weights are normalised, so nothing is ever lost.
fn check_returns(graph: &Graph, rows: &Rows) -> Result<(), TransformError> {
    let sum = rows.total(START);
    if graph.was_dph() || sum == 0.0 || sum >= 1.0 - SUM_TOLERANCE {
        return Ok(());
    }
    let returns = |&vertex: &u32| rows.of_vertex(vertex).first().is_some_and(|&(target, _)| target == START);
    match (1..graph.vertex_count()).find(returns) {
        Some(vertex) => Err(TransformError::LossyReturn { vertex, sum }),
        None => Ok(()),
    }
}

impl Matrices {
    /// The state of the vertex listed at `place`.
    ///
    /// # Panics
    /// When `place` is out of range, like slice indexing.
    pub fn state(&self, place: usize) -> &[i32] {
        &self.states[place * self.state_length..(place + 1) * self.state_length]
    }

    /// The graph with these matrices: the start, the listed vertices in their order, one absorbing vertex. What starts
    /// absorbed stays an atom at 0, a defective start stays defective. [`graph_from_matrices`] for α times its total and these
    /// exits, whose formula and cost it has.
    ///
    /// # Errors
    /// [`MatrixError`] when fields were changed so that they no longer fit each other; as [`graph_from_matrices`].
    pub fn to_graph(&self) -> Result<Graph, MatrixError> {
        let initial: Vec<f64> = self.initial.iter().map(|p| p * self.initial_total).collect();
        build::build(&build::Form {
            initial: &initial,
            atom: self.atom * self.initial_total,
            transient: &self.transient,
            exit: Some(&self.exit),
            options: MatrixOptions {
                discrete: self.discrete,
                deficit: Deficit::Keep,
                states: Some((&self.states, self.state_length)),
                ..MatrixOptions::default()
            },
        })
    }
}

#[cfg(test)]
mod tests;
