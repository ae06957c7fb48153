//! Graphs of matrices.

use super::{MatrixError, SparseMatrix};
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};

/// How far sums that should be 0 or 1 may be off before they count as wrong: decimals in files are rounded.
pub(in crate::distribution) const SUM_TOLERANCE: f64 = 1e-9;

/// What becomes of initial probability that is missing to 1, a [given atom](MatrixOptions::with_atom) included.
///
/// There is no convention: phasic's moments are those under the condition of starting, its densities are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Deficit {
    /// It is an error. For discrete graphs, whose weights are normalised at every vertex, this or one of the next two
    /// is the only choice: [`Keep`](Self::Keep) is read as [`Condition`](Self::Condition) there.
    #[default]
    Refuse,
    /// It is absorbed at once: an atom at 0.
    Atom,
    /// The distribution is that under the condition of starting: α and the atom are divided by their sum.
    Condition,
    /// α is kept as it is, and every question answers for itself.
    Keep,
}

/// What matrices mean beyond their numbers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MatrixOptions<'a> {
    /// Whether the matrix is T of discrete time, not S.
    pub discrete: bool,
    /// The probability to be absorbed at once.
    pub atom: f64,
    /// What becomes of missing initial probability.
    pub deficit: Deficit,
    /// The states of the vertices one after the other, and integers per state; by default `[0]`, `[1]`, …
    pub states: Option<(&'a [i32], usize)>,
    /// Exit rates (probabilities), where they are known better than as what rows leave.
    pub exit: Option<&'a [f64]>,
    /// How large the graph may become.
    pub limits: GraphLimits,
}

impl Default for MatrixOptions<'_> {
    /// Continuous time, refusing defective starts, numbered states, default limits.
    fn default() -> Self {
        Self {
            discrete: false,
            atom: 0.0,
            deficit: Deficit::Refuse,
            states: None,
            exit: None,
            limits: GraphLimits::default(),
        }
    }
}

impl<'a> MatrixOptions<'a> {
    /// These options for discrete time.
    #[must_use]
    pub fn discrete(mut self) -> Self {
        self.discrete = true;
        self
    }

    /// These options with a probability to be absorbed at once, beside those to start in a state.
    #[must_use]
    pub fn with_atom(mut self, atom: f64) -> Self {
        self.atom = atom;
        self
    }

    /// These options with another reading of missing initial probability.
    #[must_use]
    pub fn with_deficit(mut self, deficit: Deficit) -> Self {
        self.deficit = deficit;
        self
    }

    /// These options with states: all integers one after the other, `state_length` for each vertex.
    #[must_use]
    pub fn with_states(mut self, states: &'a [i32], state_length: usize) -> Self {
        self.states = Some((states, state_length));
        self
    }

    /// These options with exit rates (probabilities, in discrete time).
    #[must_use]
    pub fn with_exit(mut self, exit: &'a [f64]) -> Self {
        self.exit = Some(exit);
        self
    }

    /// These options with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: GraphLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// The graph of a phase-type distribution given as (α, S), or as (α, T) in discrete time: edges are the entries off the
/// diagonal, and exits `−S 1` (`1 − T 1`) (Neuts 1981, section 2.2; Bladt and Nielsen 2017, chapter 3).
///
/// Vertices are the start, the states in their order, and one absorbing vertex; edges of a state come by column, the
/// exit last. The exit of a row is what the row leaves to 0 (to 1); one below 4 ulp of the sum of the row's magnitudes
/// is rounding and counts as 0. In discrete time a state with `T[i][i] > 0` becomes two vertices that hand the stay to
/// each other, since graphs have no loops: the distribution is the same. The graph has no parameters. `O(n + entries)`.
///
/// ```
/// use ndarray::array;
/// use phasic_engine::distribution::{MatrixOptions, SparseMatrix, graph_from_matrices};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Erlang with two stages of rate 3.
/// let s = SparseMatrix::from_dense(array![[-3.0, 3.0], [0.0, -3.0]].view())?;
/// let graph = graph_from_matrices(&[1.0, 0.0], &s, &MatrixOptions::default())?;
/// let plan = Plan::analyze(&graph, &Limits::default())?;
/// assert_eq!(plan.at(&[1.0])?.expectation(), 2.0 / 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`MatrixError`], always with the place: a matrix that is not square, vectors that do not fit, entries that are not
/// finite, negative rates, rows that sum above 0 (above 1), states that are never left, defective starts unless
/// [`Deficit`] says what they mean, limits.
pub fn graph_from_matrices(
    initial: &[f64],
    transient: &SparseMatrix,
    options: &MatrixOptions<'_>,
) -> Result<Graph, MatrixError> {
    let missing = 1.0 - initial.iter().sum::<f64>() - options.atom;
    let more = if options.deficit == Deficit::Atom && missing > SUM_TOLERANCE { missing } else { 0.0 };
    build(&Form { initial, atom: options.atom + more, transient, exit: options.exit, options: *options })
}

/// Everything a graph is made of.
pub(super) struct Form<'a> {
    pub(super) initial: &'a [f64],
    /// What is absorbed at once.
    pub(super) atom: f64,
    pub(super) transient: &'a SparseMatrix,
    pub(super) exit: Option<&'a [f64]>,
    pub(super) options: MatrixOptions<'a>,
}

pub(super) fn build(form: &Form<'_>) -> Result<Graph, MatrixError> {
    form.check()?;
    let size = form.transient.row_count();
    let exits = (0..size).map(|row| form.exit_of(row)).collect::<Result<Vec<f64>, _>>()?;
    let numbered: Vec<i32>;
    let (states, length) = if let Some(given) = form.options.states {
        given
    } else {
        numbered = (0..i32::try_from(size).unwrap_or(i32::MAX)).collect();
        (&numbered[..], 1)
    };
    let mut builder = GraphBuilder::with_limits(length, form.options.limits)?;
    builder.set_was_dph(form.options.discrete);
    for state in states.chunks_exact(length) {
        builder.add_vertex(state)?;
    }
    let absorbing = match form.options.states {
        None => builder.add_vertex(&[i32::try_from(size).unwrap_or(i32::MAX)])?,
        Some(_) => builder.add_auxiliary_vertex()?,
    };
    let scale = form.initial_scale()?;
    for (&probability, vertex) in form.initial.iter().zip(1..).filter(|&(&p, _)| p > 0.0) {
        builder.add_edge(START, vertex, Rate::Scalar(probability * scale))?;
    }
    if form.atom > 0.0 {
        builder.add_edge(START, absorbing, Rate::Scalar(form.atom * scale))?;
    }
    for (row, &exit) in exits.iter().enumerate() {
        form.add_row(&mut builder, row, exit, absorbing)?;
    }
    Ok(builder.finish())
}

impl Form<'_> {
    fn check(&self) -> Result<(), MatrixError> {
        let (rows, columns) = (self.transient.row_count(), self.transient.column_count());
        if rows != columns {
            return Err(MatrixError::NotSquare { rows, columns });
        }
        let length = |what, found| {
            if found == rows { Ok(()) } else { Err(MatrixError::Length { what, expected: rows, found }) }
        };
        length("initial probabilities", self.initial.len())?;
        check_vector("initial probability", self.initial)?;
        if !(0.0..f64::INFINITY).contains(&self.atom) {
            return Err(MatrixError::Atom { value: self.atom });
        }
        if let Some(exit) = self.exit {
            length("exit rates", exit.len())?;
            check_vector("exit rate", exit)?;
        }
        if let Some((states, length)) = self.options.states
            && (length == 0 || rows.checked_mul(length) != Some(states.len()))
        {
            return Err(MatrixError::States { states: rows, length, found: states.len() });
        }
        for row in 0..rows {
            for (column, value) in self.transient.row(row) {
                let may_be_negative = !self.options.discrete && column as usize == row;
                if value < 0.0 && !may_be_negative {
                    return Err(MatrixError::Negative { row, column: column as usize, value });
                }
            }
        }
        Ok(())
    }

    /// What α is multiplied with.
    fn initial_scale(&self) -> Result<f64, MatrixError> {
        let sum = self.initial.iter().sum::<f64>() + self.atom;
        let refused = self.options.deficit == Deficit::Refuse && sum < 1.0 - SUM_TOLERANCE;
        if sum == 0.0 || sum > 1.0 + SUM_TOLERANCE || refused {
            return Err(MatrixError::InitialSum { sum });
        }
        Ok(if self.options.deficit == Deficit::Condition { 1.0 / sum } else { 1.0 })
    }

    /// What a row leaves for absorption.
    fn exit_of(&self, row: usize) -> Result<f64, MatrixError> {
        let bound = if self.options.discrete { 1.0 } else { 0.0 };
        let stay = self.transient.row(row).find(|&(column, _)| column as usize == row).map_or(0.0, |e| e.1);
        let others: f64 = self
            .transient
            .row(row)
            .filter(|&(column, _)| column as usize != row)
            .map(|(_, value)| value)
            .sum();
        let magnitude = bound + stay.abs() + others;
        let left = bound - stay - others;
        let given = self.exit.map(|exit| exit[row]);
        if left < -SUM_TOLERANCE * magnitude {
            return Err(MatrixError::RowSum { row, sum: stay + others, bound });
        }
        let exit = match given {
            Some(found) if (found - left).abs() > SUM_TOLERANCE * magnitude => {
                return Err(MatrixError::Exit { row, expected: left, found });
            }
            Some(found) => found,
            None if left <= 4.0 * f64::EPSILON * magnitude => 0.0,
            None => left,
        };
        if exit + others == 0.0 {
            return Err(MatrixError::NeverLeft { row });
        }
        Ok(exit)
    }

    fn add_row(
        &self,
        builder: &mut GraphBuilder,
        row: usize,
        exit: f64,
        absorbing: u32,
    ) -> Result<(), MatrixError> {
        let vertex = row as u32 + 1;
        let stay = self.transient.row(row).find(|&(column, _)| column + 1 == vertex).map_or(0.0, |e| e.1);
        let twin = if self.options.discrete && stay > 0.0 {
            let state = builder.state(vertex).to_vec();
            Some(builder.add_vertex(&state)?)
        } else {
            None
        };
        for (from, other) in [(Some(vertex), twin), (twin, Some(vertex))] {
            let Some(from) = from else { continue };
            for (column, value) in self.transient.row(row).filter(|&(column, _)| column + 1 != vertex) {
                builder.add_edge(from, column + 1, Rate::Scalar(value))?;
            }
            if let Some(other) = other {
                builder.add_edge(from, other, Rate::Scalar(stay))?;
            }
            if exit > 0.0 {
                builder.add_edge(from, absorbing, Rate::Scalar(exit))?;
            }
        }
        Ok(())
    }
}

fn check_vector(what: &'static str, vector: &[f64]) -> Result<(), MatrixError> {
    match vector.iter().position(|value| !(0.0..f64::INFINITY).contains(value)) {
        Some(index) => Err(MatrixError::Vector { what, index, value: vector[index] }),
        None => Ok(()),
    }
}
