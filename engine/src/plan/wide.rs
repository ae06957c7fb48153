//! Numbers with the digits of an f64 and an exponent that does not end: what an elimination should have come to.

use std::ops::{Add, Div, Mul, Sub};

use super::lane::Lane;

/// `mantissa · 2^exponent`; the mantissa is from 1 to 2 in size, or is 0 or no finite number and says it all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wide {
    mantissa: f64,
    exponent: i64,
}

/// 2 to a power that f64 has.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits((1023 + exponent).cast_unsigned() << 52)
}

impl Wide {
    pub(super) const ZERO: Self = Self { mantissa: 0.0, exponent: 0 };

    fn new(mantissa: f64, exponent: i64) -> Self {
        if mantissa == 0.0 || !mantissa.is_finite() {
            return Self { mantissa, exponent: 0 };
        }
        if mantissa.abs() < f64::MIN_POSITIVE {
            return Self::new(mantissa * power_of_two(64), exponent - 64);
        }
        let own = (mantissa.to_bits() >> 52 & 0x7ff).cast_signed() - 1023;
        let mantissa = f64::from_bits(mantissa.to_bits() & !(0x7ff << 52) | 1023 << 52);
        Self { mantissa, exponent: exponent + own }
    }

    /// The nearest f64, infinite or 0 beyond its range.
    pub(super) fn value(self) -> f64 {
        let Self { mantissa, exponent } = self;
        let exponent = exponent.clamp(-1200, 1200);
        // In two steps: the last power may be out of range by itself.
        let half = exponent / 2;
        mantissa * power_of_two(half) * power_of_two(exponent - half)
    }
}

impl Wide {
    /// The nearest f64 that tells as much: 0 for 0 only, and within the range.
    fn clamped(self) -> f64 {
        let value = self.value();
        if value == 0.0 && self.mantissa != 0.0 {
            f64::from_bits(1).copysign(self.mantissa)
        } else if value.is_infinite() && self.mantissa.is_finite() {
            f64::MAX.copysign(self.mantissa)
        } else {
            value
        }
    }

    pub(super) fn abs(self) -> Self {
        Self { mantissa: self.mantissa.abs(), ..self }
    }

    pub(super) fn is_below_zero(self) -> bool {
        self.mantissa < 0.0
    }
}

impl Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (large, small) =
            if self.exponent >= other.exponent && self.mantissa != 0.0 || other.mantissa == 0.0 {
                (self, other)
            } else {
                (other, self)
            };
        if !(large.mantissa.is_finite() && small.mantissa.is_finite()) {
            return Self::new(large.mantissa + small.mantissa, 0);
        }
        let behind = large.exponent - small.exponent;
        if small.mantissa == 0.0 || behind > 100 {
            return large;
        }
        Self::new(large.mantissa + small.mantissa * power_of_two(-behind), large.exponent)
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
        Self::new(self.mantissa * other.mantissa, self.exponent + other.exponent)
    }
}

impl Div for Wide {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self::new(self.mantissa / other.mantissa, self.exponent - other.exponent)
    }
}

impl Lane for Wide {
    const IS_GROUP: bool = false;

    fn splat(value: f64) -> Self {
        Self::new(value, 0)
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
        if self.mantissa > 0.0 { Self::splat(1.0) / self } else { Self::splat(0.0) }
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
}
