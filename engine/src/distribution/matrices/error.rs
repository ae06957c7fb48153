//! Why matrices are not a phase-type distribution.

use crate::graph::GraphError;

/// Why matrices cannot be read, or do not describe a phase-type distribution. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// The matrix is not square.
    #[error("the matrix has {rows} rows and {columns} columns; it must be square")]
    NotSquare {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// A vector does not fit the matrix.
    #[error("{found} {what} were given, but the matrix has {expected} states; give one for each")]
    Length {
        /// What was counted.
        what: &'static str,
        /// States of the matrix.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// The integers of the states are not as many as the states take, or states have none.
    #[error(
        "{found} integers were given for {states} states of {length} each; give that many for each row of the matrix, and \
         at least one"
    )]
    States {
        /// States of the matrix.
        states: usize,
        /// Integers of each.
        length: usize,
        /// How many were given.
        found: usize,
    },
    /// An entry lies outside the matrix.
    #[error("entry {index} is for row {row} and column {column}, outside a matrix of {rows} by {columns}")]
    OutOfRange {
        /// Place in the list of entries.
        index: usize,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// An entry is infinite or not a number.
    #[error("the entry at row {row} and column {column} is {value}; entries must be finite")]
    NotFinite {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// An entry that is a rate or a probability is below zero.
    #[error("the entry at row {row} and column {column} is {value}; it must not be negative")]
    Negative {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A row of S sums to more than 0, or one of T to more than 1.
    #[error("row {row} sums to {sum}; it must not exceed {bound}")]
    RowSum {
        /// The row.
        row: usize,
        /// Its sum.
        sum: f64,
        /// What it may sum to.
        bound: f64,
    },
    /// A state is never left: a row of zeros in continuous time, a 1 on the diagonal in discrete time.
    #[error(
        "row {row} never lets go: the state has rate 0 (or probability 1 to stay), so absorption is impossible; give it a way out"
    )]
    NeverLeft {
        /// The row.
        row: usize,
    },
    /// An initial probability or an exit rate is negative, infinite or not a number.
    #[error("{what} {index} (counted from 0) is {value}; it must be finite and not negative")]
    Vector {
        /// "initial probability" or "exit rate".
        what: &'static str,
        /// Its place.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The probability to be absorbed at once is negative, infinite or not a number.
    #[error("the atom at 0 is {value}; it must be finite and not negative")]
    Atom {
        /// Its value.
        value: f64,
    },
    /// The initial probabilities sum to more than 1, to nothing, or to less than 1 although nobody said what that means.
    #[error("the initial probabilities sum to {sum}; {}", advice(*sum))]
    InitialSum {
        /// Their sum.
        sum: f64,
    },
    /// An exit rate contradicts its row.
    #[error("exit {row} is {found}, but its row leaves {expected}; mend the row, or leave exits out")]
    Exit {
        /// The row.
        row: usize,
        /// What the row leaves.
        expected: f64,
        /// What was given.
        found: f64,
    },
    /// The dense form would be too large.
    #[error(
        "the dense matrix takes {needed_bytes} bytes, more than the {limit_bytes} allowed; use the sparse form"
    )]
    Memory {
        /// What it takes.
        needed_bytes: u128,
        /// The limit.
        limit_bytes: u64,
    },
    /// More rows or columns than can be numbered in 32 bits.
    #[error("a matrix of {rows} by {columns} is too large; states are numbered in 32 bits")]
    Size {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// The result would not be a graph, or would pass a limit.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn advice(sum: f64) -> &'static str {
    if sum > 1.0 {
        "they may not exceed 1"
    } else if sum > 0.0 {
        "say what becomes of the rest (see `Deficit`)"
    } else {
        "there is no way to start"
    }
}
