//! Numbers of 106 bits, for what cancels by many digits and for references in tests.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// An unevaluated sum of two f64 (Dekker, Numerische Mathematik 18, 1971). What leaves the range of f64 is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dd(pub(crate) f64, pub(crate) f64);

/// The sum of two numbers, and what rounding takes of it.
pub(crate) fn two_sum(a: f64, b: f64) -> Dd {
    let sum = a + b;
    let part = sum - a;
    Dd(sum, (a - (sum - part)) + (b - part))
}

impl Dd {
    pub(crate) const ZERO: Self = Self(0.0, 0.0);

    /// Whether it is the lower of both.
    pub(crate) fn is_below(self, other: Self) -> bool {
        self.0 < other.0 || self.0 == other.0 && self.1 < other.1
    }
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
