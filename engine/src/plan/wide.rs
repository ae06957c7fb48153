//! Numbers with twice the digits of an f64 and an exponent that does not end: what an elimination should have come to.

use std::ops::{Add, Div, Mul, Sub};

use super::lane::Lane;
use crate::double_double::Dd;

/// `mantissa · 2^exponent`; the mantissa is from 1 to 2 in size, or is 0 or no finite number and says it all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wide {
    mantissa: Dd,
    exponent: i64,
}

/// What lies further behind than this is not seen in a sum.
const DIGITS: i64 = 110;

/// 2 to a power that f64 has.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits((1023 + exponent).cast_unsigned() << 52)
}

impl Wide {
    pub(super) const ZERO: Self = Self { mantissa: Dd::ZERO, exponent: 0 };

    fn new(mantissa: Dd, exponent: i64) -> Self {
        let Dd(high, low) = mantissa;
        if high == 0.0 || !high.is_finite() {
            return Self { mantissa: high.into(), exponent: 0 };
        }
        if high.abs() < f64::MIN_POSITIVE {
            let raised = power_of_two(64);
            return Self::new(Dd(high * raised, low * raised), exponent - 64);
        }
        let own = (high.to_bits() >> 52 & 0x7ff).cast_signed() - 1023;
        // In two steps: the power may be out of range by itself.
        let half = own / 2;
        let low = low * power_of_two(-half) * power_of_two(half - own);
        let high = f64::from_bits(high.to_bits() & !(0x7ff << 52) | 1023 << 52);
        Self { mantissa: Dd(high, low), exponent: exponent + own }
    }

    /// What f64 makes of operands of which one is not finite, or divides by 0.
    fn special(value: f64) -> Self {
        Self::new(value.into(), 0)
    }

    fn is_finite(self) -> bool {
        self.mantissa.0.is_finite()
    }

    fn is_zero(self) -> bool {
        self.mantissa.0 == 0.0
    }

    /// The nearest f64, infinite or 0 beyond its range.
    pub(super) fn value(self) -> f64 {
        let exponent = self.exponent.clamp(-1200, 1200);
        let half = exponent / 2;
        self.mantissa.0 * power_of_two(half) * power_of_two(exponent - half)
    }

    /// The nearest f64 that tells as much: 0 for 0 only, and within the range.
    fn clamped(self) -> f64 {
        let value = self.value();
        if value == 0.0 && !self.is_zero() {
            f64::from_bits(1).copysign(self.mantissa.0)
        } else if value.is_infinite() && self.is_finite() {
            f64::MAX.copysign(self.mantissa.0)
        } else {
            value
        }
    }

    pub(super) fn abs(self) -> Self {
        if self.is_below_zero() { Self::ZERO - self } else { self }
    }

    pub(super) fn is_below_zero(self) -> bool {
        self.mantissa.0 < 0.0
    }
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if !(self.is_finite() && other.is_finite()) {
            return Self::special(self.mantissa.0 + other.mantissa.0);
        }
        let is_larger = self.exponent >= other.exponent && !self.is_zero() || other.is_zero();
        let (large, small) = if is_larger { (self, other) } else { (other, self) };
        let behind = large.exponent - small.exponent;
        if small.is_zero() || behind > DIGITS {
            return large;
        }
        let Dd(high, low) = small.mantissa;
        let lowered = power_of_two(-behind);
        Self::new(large.mantissa + Dd(high * lowered, low * lowered), large.exponent)
    }
}

impl Sub for Wide {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { mantissa: -other.mantissa, ..other }
    }
}

impl Mul for Wide {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        if !(self.is_finite() && other.is_finite()) {
            return Self::special(self.mantissa.0 * other.mantissa.0);
        }
        Self::new(self.mantissa * other.mantissa, self.exponent + other.exponent)
    }
}

impl Div for Wide {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        if !(self.is_finite() && other.is_finite()) || other.is_zero() {
            return Self::special(self.mantissa.0 / other.mantissa.0);
        }
        Self::new(self.mantissa / other.mantissa, self.exponent - other.exponent)
    }
}

impl Lane for Wide {
    const IS_GROUP: bool = false;

    fn splat(value: f64) -> Self {
        Self::new(value.into(), 0)
    }

    fn lower(self, other: Self) -> Self {
        if self.clamped() < other.clamped() { self } else { other }
    }

    fn higher_bits(self, other: Self) -> Self {
        if self.clamped().to_bits() > other.clamped().to_bits() { self } else { other }
    }

    fn lower_above_zero(self, other: Self) -> Self {
        if self.clamped() > 0.0 { self.lower(other) } else { other }
    }

    fn lowest(self) -> f64 {
        self.clamped()
    }

    fn highest(self) -> f64 {
        self.clamped()
    }

    fn all(self, test: impl Fn(f64) -> bool) -> bool {
        test(self.clamped())
    }

    fn reciprocal_or_zero(self) -> Self {
        if self.mantissa.0 > 0.0 { Self::splat(1.0) / self } else { Self::ZERO }
    }

    fn corrected(self, _: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_range_of_f64_arithmetic_is_that_of_f64() {
        let numbers = [0.0, 1.0, 1.5, 3e-5, 7e200, 1e-300, 0.1, 2e10, f64::MAX, f64::MIN_POSITIVE];
        for (a, b) in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            let (x, y) = (Wide::splat(a), Wide::splat(b));
            assert_eq!(x.value(), a);
            assert_eq!((x + y).value(), a + b, "{a} + {b}");
            assert_eq!((x - y).value(), a - b, "{a} - {b}");
            if (a * b).is_normal() || a * b == 0.0 && a.min(b) == 0.0 {
                assert_eq!((x * y).value(), a * b, "{a} · {b}");
            }
            if b != 0.0 && (a / b).is_normal() {
                assert_eq!((x / y).value(), a / b, "{a} / {b}");
            }
        }
    }

    #[test]
    fn numbers_beyond_the_range_of_f64_come_back_into_it() {
        let small = Wide::splat(1e-300);
        let large = Wide::splat(1e300);
        let power = (0..50).fold(Wide::splat(3.0), |product, _| product * small);
        assert_eq!((power.value(), (power + small).value()), (0.0, 1e-300));
        let back = (0..50).fold(power, |product, _| product / small);
        assert!((back.value() - 3.0).abs() < 1e-13);
        assert_eq!((large * large).value(), f64::INFINITY);
        assert_eq!((large * large * small * Wide::splat(1.0)).value().log10().round(), 300.0);
        assert_eq!(Wide::splat(5e-324).value(), 5e-324);
    }

    #[test]
    fn sums_and_products_have_twice_the_digits_of_f64() {
        let (one, small) = (Wide::splat(1.0), Wide::splat(1e-25));
        assert_eq!(((one + small) - one).value(), 1e-25);
        let third = one / Wide::splat(3.0);
        let rest = one - third * Wide::splat(3.0);
        assert!(rest.value().abs() < 1e-31, "{:e}", rest.value());
        let large = Wide::splat(1e300);
        let beyond = large * large;
        let difference = (beyond + large * Wide::splat(1e280)) - beyond;
        assert!(((difference / large).value() / 1e280 - 1.0).abs() < 1e-11);
    }

    #[test]
    fn what_is_no_finite_number_is_what_f64_makes_of_it() {
        let numbers = [0.0, 1.0, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        for (a, b) in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            let (x, y) = (Wide::splat(a), Wide::splat(b));
            for (found, wanted) in [(x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b)] {
                let found = found.value();
                assert!(found == wanted || found.is_nan() && wanted.is_nan(), "{a} {b}: {found} {wanted}");
            }
        }
    }
}
