//! Numbers of 106 bits, and matrix exponentials with them: references for tests.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// An unevaluated sum of two f64 (Dekker, Numerische Mathematik 18, 1971).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dd(pub(super) f64, pub(super) f64);

fn two_sum(a: f64, b: f64) -> Dd {
    let sum = a + b;
    let part = sum - a;
    Dd(sum, (a - (sum - part)) + (b - part))
}

impl Dd {
    pub(super) const ZERO: Self = Self(0.0, 0.0);
}

impl From<f64> for Dd {
    fn from(value: f64) -> Self {
        Self(value, 0.0)
    }
}

impl Add for Dd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (sum, rest) = (two_sum(self.0, other.0), two_sum(self.1, other.1));
        let first = two_sum(sum.0, sum.1 + rest.0);
        two_sum(first.0, first.1 + rest.1)
    }
}

impl Neg for Dd {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Sub for Dd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = self.0 * other.0;
        let error = self.0.mul_add(other.0, -product);
        two_sum(product, error + (self.0 * other.1 + self.1 * other.0))
    }
}

impl Div for Dd {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let first = Self::from(self.0 / other.0);
        let rest = self - other * first;
        let second = Self::from(rest.0 / other.0);
        let rest = rest - other * second;
        first + second + Self::from(rest.0 / other.0)
    }
}

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
