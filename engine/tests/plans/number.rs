//! Numbers for the reference solver: pairs of doubles, which hold 31 digits, and dual numbers over them.

use std::ops::{Add, Div, Mul, Sub};

/// What the reference solver calculates with.
pub(crate) trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn new(value: f64) -> Self;

    /// Whether nothing depends on it.
    fn is_nothing(self) -> bool;
}

/// An unevaluated sum of two doubles, the second below half a unit in the last place of the first.
///
/// Error-free transformations: Dekker, Numerische Mathematik 18, 1971; Knuth, TAOCP 2, 4.2.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Double2 {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

fn two_sum(a: f64, b: f64) -> Double2 {
    let high = a + b;
    let part = high - a;
    Double2 { high, low: (a - (high - part)) + (b - part) }
}

fn quick_two_sum(a: f64, b: f64) -> Double2 {
    let high = a + b;
    Double2 { high, low: b - (high - a) }
}

fn two_product(a: f64, b: f64) -> Double2 {
    let high = a * b;
    let split = |x: f64| {
        let big = 134_217_729.0 * x;
        let upper = big - (big - x);
        (upper, x - upper)
    };
    let ((a1, a2), (b1, b2)) = (split(a), split(b));
    Double2 { high, low: ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2 }
}

impl Add for Double2 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (upper, lower) = (two_sum(self.high, other.high), two_sum(self.low, other.low));
        let sum = quick_two_sum(upper.high, upper.low + lower.high);
        quick_two_sum(sum.high, sum.low + lower.low)
    }
}

impl Sub for Double2 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { high: -other.high, low: -other.low }
    }
}

impl Mul for Double2 {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = two_product(self.high, other.high);
        quick_two_sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Double2 {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self - other * Self::new(first);
        let second = rest.high / other.high;
        let rest = rest - other * Self::new(second);
        quick_two_sum(first, second) + Self::new(rest.high / other.high)
    }
}

impl Number for Double2 {
    fn new(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    fn is_nothing(self) -> bool {
        self.high == 0.0
    }
}

/// A value and its derivative in one direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dual {
    pub(crate) value: Double2,
    pub(crate) slope: Double2,
}

impl Add for Dual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, slope: self.slope + other.slope }
    }
}

impl Sub for Dual {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, slope: self.slope - other.slope }
    }
}

impl Mul for Dual {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { value: self.value * other.value, slope: self.slope * other.value + self.value * other.slope }
    }
}

impl Div for Dual {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Self { value, slope: (self.slope - value * other.slope) / other.value }
    }
}

impl Number for Dual {
    fn new(value: f64) -> Self {
        Self { value: Double2::new(value), slope: Double2::new(0.0) }
    }

    fn is_nothing(self) -> bool {
        self.value.is_nothing() && self.slope.is_nothing()
    }
}

#[test]
fn pairs_of_doubles_hold_thirty_one_digits() {
    use num_bigint::BigInt;
    use num_rational::BigRational;
    let exact =
        |x: Double2| BigRational::from_float(x.high).unwrap() + BigRational::from_float(x.low).unwrap();
    let third = Double2::new(1.0) / Double2::new(3.0);
    let tenth = Double2::new(1.0) / Double2::new(10.0);
    let bound = BigRational::new(BigInt::from(1), BigInt::from(10).pow(31));
    for (found, wanted) in [
        (third + tenth, exact(third) + exact(tenth)),
        (third - tenth, exact(third) - exact(tenth)),
        (third * tenth, exact(third) * exact(tenth)),
        (third / tenth, exact(third) / exact(tenth)),
    ] {
        let error = (exact(found) - &wanted) / wanted;
        assert!(error < bound && -error < bound);
    }
}
