//! Matrix exponentials with numbers of 106 bits: references for tests.

pub(super) use crate::double_double::Dd;

pub(super) type Matrix = Vec<Vec<Dd>>;

pub(super) fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |row: &Vec<Dd>, column: usize| {
        row.iter().zip(b).fold(Dd::ZERO, |sum, (&x, row)| sum + x * row[column])
    };
    a.iter().map(|row| (0..b[0].len()).map(|column| entry(row, column)).collect()).collect()
}

/// `e^{scale·a}` by its series on a small multiple, squared up again.
pub(super) fn exponential(a: &Matrix, scale: Dd) -> Matrix {
    let largest = a.iter().flatten().fold(0.0_f64, |most, x| most.max(x.0.abs()));
    let halvings = (largest * scale.0.abs() * a.len() as f64).max(1e-3).log2().ceil().max(0.0) as i32 + 4;
    let scale = scale * Dd::from(2.0_f64.powi(-halvings));
    let small: Matrix = a.iter().map(|row| row.iter().map(|&x| x * scale).collect()).collect();
    let identity = |row: usize, column: usize| Dd::from(if row == column { 1.0 } else { 0.0 });
    let mut sum: Matrix =
        (0..a.len()).map(|row| (0..a.len()).map(|column| identity(row, column)).collect()).collect();
    let mut term = sum.clone();
    for k in 1..=22 {
        term = times(&term, &small);
        for (sums, terms) in sum.iter_mut().zip(&mut term) {
            for (sum, term) in sums.iter_mut().zip(terms) {
                *term = *term / Dd::from(f64::from(k));
                *sum = *sum + *term;
            }
        }
    }
    for _ in 0..halvings {
        sum = times(&sum, &sum);
    }
    sum
}
