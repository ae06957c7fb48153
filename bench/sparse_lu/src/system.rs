//! The linear system of a graph: S x = -1 over the transient vertices, S the sub-intensity matrix.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::linalg::lu::{NumericLu, SymbolicLu, factorize_symbolic_lu};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMat, SymbolicSparseColMatRef};
use faer::{Conj, Mat, Par};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::Failure;

#[derive(Deserialize)]
pub struct Document {
    param_length: usize,
    vertices: Vec<Vec<i32>>,
    edges: Vec<(usize, usize, Vec<f64>)>,
}

/// Pattern by columns, and for each entry the coefficients of θ that it is made of.
pub struct System {
    pattern: SymbolicSparseColMat<usize>,
    coefficients: Vec<f64>,
    param_length: usize,
    /// Row and probability of the states that the start leads to.
    start: Vec<(usize, f64)>,
}

impl System {
    pub fn new(document: &Document) -> Result<Self, Failure> {
        let count = document.vertices.len();
        let mut row = vec![None; count];
        let mut rows = 0;
        for &(from, ..) in &document.edges {
            if from > 0 && row[from].is_none() {
                row[from] = Some(rows);
                rows += 1;
            }
        }
        let mut start = Vec::new();
        let mut entries: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for (from, to, coefficients) in &document.edges {
            let Some(at) = row[*from] else {
                start.extend(row[*to].map(|at| (at, coefficients[0])));
                continue;
            };
            let mut add = |column: usize, sign: f64| {
                let entry = entries.entry((column, at)).or_insert_with(|| vec![0.0; document.param_length]);
                entry.iter_mut().zip(coefficients).for_each(|(sum, value)| *sum += sign * value);
            };
            add(at, -1.0);
            if let Some(column) = row[*to] {
                add(column, 1.0);
            }
        }
        let mut ends = vec![0; rows + 1];
        entries.keys().for_each(|&(column, _)| ends[column + 1] += 1);
        (0..rows).for_each(|column| ends[column + 1] += ends[column]);
        let indices = entries.keys().map(|&(_, at)| at).collect();
        let pattern = SymbolicSparseColMat::new_checked(rows, rows, ends, None, indices);
        let coefficients = entries.into_values().flatten().collect();
        Ok(Self { pattern, coefficients, param_length: document.param_length, start })
    }

    fn pattern(&self) -> SymbolicSparseColMatRef<'_, usize> {
        self.pattern.as_ref()
    }
}

/// What is kept from one θ to the next.
pub struct Factors {
    symbolic: SymbolicLu<usize>,
    numeric: NumericLu<usize, f64>,
    workspace: MemBuffer,
    values: Vec<f64>,
    solution: Mat<f64>,
}

impl Factors {
    /// Ordering and symbolic factorization.
    pub fn new(system: &System) -> Result<Self, Failure> {
        let symbolic = factorize_symbolic_lu(system.pattern(), Default::default())?;
        let factorization = symbolic.factorize_numeric_lu_scratch::<f64>(Par::Seq, Default::default());
        let workspace =
            MemBuffer::try_new(factorization.or(symbolic.solve_in_place_scratch::<f64>(1, Par::Seq)))?;
        let rows = system.pattern.nrows();
        Ok(Self {
            symbolic,
            numeric: NumericLu::new(),
            workspace,
            values: vec![0.0; system.pattern.row_idx().len()],
            solution: Mat::zeros(rows, 1),
        })
    }

    /// Rates at θ, numeric factorization and solution.
    pub fn expectation(&mut self, system: &System, theta: &[f64]) -> Result<f64, Failure> {
        for (value, coefficients) in
            self.values.iter_mut().zip(system.coefficients.chunks_exact(system.param_length))
        {
            *value = coefficients.iter().zip(theta).map(|(c, t)| c * t).sum();
        }
        let matrix = SparseColMatRef::new(system.pattern(), &self.values);
        let stack = MemStack::new(&mut self.workspace);
        let factors = self.symbolic.factorize_numeric_lu(
            &mut self.numeric,
            matrix,
            Par::Seq,
            stack,
            Default::default(),
        )?;
        self.solution.fill(-1.0);
        factors.solve_in_place_with_conj(Conj::No, self.solution.as_mut(), Par::Seq, stack);
        Ok(system.start.iter().map(|&(row, probability)| probability * self.solution[(row, 0)]).sum())
    }
}
