//! Sparse matrices as rows: what matrices are handed in and out as.

use ndarray::{Array2, ArrayView2};

use super::MatrixError;

/// A matrix stored row by row, columns ascending, no entry twice, no zeros (compressed rows: Saad, Iterative Methods for
/// Sparse Linear Systems, second edition, 2003, section 3.4): 12 bytes an entry and 8 a row.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseMatrix {
    columns: usize,
    row_start: Vec<usize>,
    column: Vec<u32>,
    value: Vec<f64>,
}

impl SparseMatrix {
    /// The matrix with these entries `(row, column, value)`; entries for one place add up, in the order they are given in, and are
    /// left out where they come to 0 (as in the coordinate scheme of Saad 2003, section 3.4). `O(n log n)` for `n` entries.
    ///
    /// # Errors
    /// [`MatrixError::OutOfRange`] and [`MatrixError::NotFinite`], with the place; [`MatrixError::Size`] for more than
    /// 2³² − 1 rows or columns.
    pub fn from_entries(
        rows: usize,
        columns: usize,
        mut entries: Vec<(usize, usize, f64)>,
    ) -> Result<Self, MatrixError> {
        check_size(rows, columns)?;
        for (index, &(row, column, value)) in entries.iter().enumerate() {
            if row >= rows || column >= columns {
                return Err(MatrixError::OutOfRange { index, row, column, rows, columns });
            }
            if !value.is_finite() {
                return Err(MatrixError::NotFinite { row, column, value });
            }
        }
        // Stable, so that sums do not depend on the sort.
        entries.sort_by_key(|&(row, column, _)| (row, column));
        let mut matrix = Self { columns, row_start: vec![0], column: Vec::new(), value: Vec::new() };
        let mut entries = entries.into_iter().peekable();
        for row in 0..rows {
            while let Some((_, column, mut value)) = entries.next_if(|entry| entry.0 == row) {
                while let Some((_, _, more)) = entries.next_if(|entry| (entry.0, entry.1) == (row, column)) {
                    value += more;
                }
                matrix.push(column as u32, value);
            }
            matrix.close();
        }
        Ok(matrix)
    }

    /// The matrix with the entries of a dense one. `O(rows·columns)`.
    ///
    /// # Errors
    /// [`MatrixError::NotFinite`] with the place; [`MatrixError::Size`] for more than 2³² − 1 rows or columns.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a view is a borrow already, and passed as ndarray does"
    )]
    pub fn from_dense(dense: ArrayView2<'_, f64>) -> Result<Self, MatrixError> {
        check_size(dense.nrows(), dense.ncols())?;
        let mut matrix =
            Self { columns: dense.ncols(), row_start: vec![0], column: Vec::new(), value: Vec::new() };
        for ((row, column), &value) in dense.indexed_iter() {
            if !value.is_finite() {
                return Err(MatrixError::NotFinite { row, column, value });
            }
            while matrix.row_start.len() <= row {
                matrix.close();
            }
            matrix.push(column as u32, value);
        }
        while matrix.row_start.len() <= dense.nrows() {
            matrix.close();
        }
        Ok(matrix)
    }

    pub(super) fn with_columns(columns: usize) -> Self {
        Self { columns, row_start: vec![0], column: Vec::new(), value: Vec::new() }
    }

    /// Adds an entry to the row under way; columns must ascend.
    pub(super) fn push(&mut self, column: u32, value: f64) {
        if value != 0.0 {
            self.column.push(column);
            self.value.push(value);
        }
    }

    /// Ends the row under way.
    pub(super) fn close(&mut self) {
        self.row_start.push(self.column.len());
    }

    /// Number of rows. `O(1)`.
    pub fn row_count(&self) -> usize {
        self.row_start.len() - 1
    }

    /// Number of columns. `O(1)`.
    pub fn column_count(&self) -> usize {
        self.columns
    }

    /// Number of entries that are stored: those that are not 0. `O(1)`.
    pub fn entry_count(&self) -> usize {
        self.value.len()
    }

    /// The entries of a row as `(column, value)`, columns ascending. A step for each; nothing is searched.
    ///
    /// # Panics
    /// When `row` is out of range, like slice indexing.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f64)> + '_ {
        let range = self.row_start[row]..self.row_start[row + 1];
        self.column[range.clone()].iter().copied().zip(self.value[range].iter().copied())
    }

    /// The matrix with all its zeros. `O(rows·columns)`.
    ///
    /// # Errors
    /// [`MatrixError::Memory`] when it would take more than `limit_bytes`.
    pub fn to_dense(&self, limit_bytes: u64) -> Result<Array2<f64>, MatrixError> {
        let needed_bytes = 8_u128 * self.row_count() as u128 * self.columns as u128;
        if needed_bytes > u128::from(limit_bytes) {
            return Err(MatrixError::Memory { needed_bytes, limit_bytes });
        }
        let mut dense = Array2::zeros((self.row_count(), self.columns));
        for row in 0..self.row_count() {
            for (column, value) in self.row(row) {
                dense[(row, column as usize)] = value;
            }
        }
        Ok(dense)
    }
}

fn check_size(rows: usize, columns: usize) -> Result<(), MatrixError> {
    if rows.max(columns) >= u32::MAX as usize {
        return Err(MatrixError::Size { rows, columns });
    }
    Ok(())
}
