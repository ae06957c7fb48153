//! A binary floating-point number with 128 bits of mantissa, rounded to nearest, ties to even.
//!
//! phasic sums its linear rows in such numbers (through MPFR) when multipliers differ by more than twelve orders of
//! magnitude; it takes between 128 and 1024 bits, and results rounded to f64 agree from 128 on. Only the two operations
//! of that sum are here: `x + y` and `x · m` with a double `m`.

use std::cmp::Ordering;

/// `± mantissa · 2^exponent`; the top bit of the mantissa is set unless the number is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    negative: bool,
    exponent: i64,
    mantissa: u128,
}

const TOP: u128 = 1 << 127;
/// The exponent of infinities. Finite exponents stay far below: each product adds about a thousand.
const INFINITE: i64 = i64::MAX;

impl Wide {
    pub(super) const ZERO: Self = Self { negative: false, exponent: 0, mantissa: 0 };

    fn infinity(negative: bool) -> Self {
        Self { negative, exponent: INFINITE, mantissa: TOP }
    }

    /// `None` for NaN.
    pub(super) fn from_f64(value: f64) -> Option<Self> {
        if value.is_nan() {
            return None;
        }
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            return Some(Self::infinity(negative));
        }
        let (fraction, exponent) = decompose(value);
        if fraction == 0 {
            return Some(Self::ZERO);
        }
        let shift = i64::from(fraction.leading_zeros()) + 64;
        Some(Self { negative, exponent: exponent - shift, mantissa: u128::from(fraction) << shift })
    }

    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    fn is_infinite(self) -> bool {
        self.exponent == INFINITE
    }

    /// `self · factor`, rounded; `None` when that is not a number.
    pub(super) fn times(self, factor: f64) -> Option<Self> {
        let negative = self.negative != factor.is_sign_negative();
        if factor.is_nan()
            || (self.is_infinite() && factor == 0.0)
            || (self.is_zero() && factor.is_infinite())
        {
            return None;
        }
        if self.is_infinite() || factor.is_infinite() {
            return Some(Self::infinity(negative));
        }
        let (fraction, exponent) = decompose(factor);
        if fraction == 0 || self.is_zero() {
            return Some(Self::ZERO);
        }
        let shift = fraction.leading_zeros();
        let right = u128::from(fraction << shift);
        // 128 x 64 bits: the 192-bit product is `high · 2^64 + low`.
        let low = (self.mantissa & u128::from(u64::MAX)) * right;
        let high = (self.mantissa >> 64) * right + (low >> 64);
        let exponent = self.exponent + exponent - i64::from(shift) + 64;
        Some(Self::rounded(negative, exponent, high, low << 64))
    }

    /// `self + other`, rounded; `None` when that is not a number.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        if self.is_infinite() || other.is_infinite() {
            let opposed = self.is_infinite() && other.is_infinite() && self.negative != other.negative;
            return (!opposed).then_some(if self.is_infinite() { self } else { other });
        }
        if self.is_zero() || other.is_zero() {
            return Some(if self.is_zero() { other } else { self });
        }
        let (big, small) = if self.compare_magnitude(other).is_ge() { (self, other) } else { (other, self) };
        let (high, low) = shift_right(small.mantissa, big.exponent - small.exponent);
        if big.negative == small.negative {
            let (sum, carry) = big.mantissa.overflowing_add(high);
            if carry {
                let (top, rest) = (TOP | sum >> 1, sum << 127 | low >> 1 | low & 1);
                return Some(Self::rounded(big.negative, big.exponent + 1, top, rest));
            }
            return Some(Self::rounded(big.negative, big.exponent, sum, low));
        }
        let (rest, borrow) = 0_u128.overflowing_sub(low);
        Some(Self::rounded(big.negative, big.exponent, big.mantissa - high - u128::from(borrow), rest))
    }

    /// The nearest double.
    pub(super) fn to_f64(self) -> f64 {
        let sign = if self.negative { -1.0 } else { 1.0 };
        if self.is_zero() {
            return 0.0;
        }
        let leading = self.exponent.saturating_add(127);
        if leading > 1023 {
            return sign * f64::INFINITY;
        }
        // Below the normal range, fewer bits are kept.
        let kept = if leading >= -1022 { 53 } else { 53 + (leading + 1022).max(-54) };
        if kept < 0 {
            return sign * 0.0;
        }
        let dropped = 128 - kept;
        let (kept_bits, rest) = if dropped == 128 {
            (0, self.mantissa)
        } else {
            (self.mantissa >> dropped, self.mantissa << kept)
        };
        let up = rest > TOP || rest == TOP && kept_bits & 1 == 1;
        let fraction = kept_bits as u64 + u64::from(up);
        // Adding lets a carry run into the exponent, up to infinity.
        let bits =
            if leading >= -1022 { ((leading + 1022).unsigned_abs() << 52) + fraction } else { fraction };
        sign * f64::from_bits(bits)
    }

    fn compare_magnitude(self, other: Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then(self.mantissa.cmp(&other.mantissa))
    }

    /// The number `± (high + low / 2^128) · 2^exponent`, normalised and rounded.
    fn rounded(negative: bool, exponent: i64, high: u128, low: u128) -> Self {
        let (mut high, mut low, mut exponent) = (high, low, exponent);
        if high == 0 {
            (high, low, exponent) = (low, 0, exponent - 128);
        }
        if high == 0 {
            return Self::ZERO;
        }
        let shift = high.leading_zeros();
        if shift > 0 {
            high = high << shift | low >> (128 - shift);
            low <<= shift;
            exponent -= i64::from(shift);
        }
        let up = low > TOP || low == TOP && high & 1 == 1;
        let (mantissa, carry) = high.overflowing_add(u128::from(up));
        if carry {
            return Self { negative, exponent: exponent + 1, mantissa: TOP };
        }
        Self { negative, exponent, mantissa }
    }
}

/// A finite double as an integer below 2^53 and a power of two.
fn decompose(value: f64) -> (u64, i64) {
    let bits = value.to_bits();
    let (biased, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased.cast_signed() - 1075) }
}

/// `mantissa / 2^by` as 128 bits and the 128 bits below; what falls off the end is kept as a set last bit.
fn shift_right(mantissa: u128, by: i64) -> (u128, u128) {
    match by {
        0 => (mantissa, 0),
        1..128 => (mantissa >> by, mantissa << (128 - by)),
        128 => (0, mantissa),
        129..256 => {
            let lost = mantissa << (256 - by) != 0;
            (0, mantissa >> (by - 128) | u128::from(lost))
        }
        _ => (0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::Wide;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn exact(value: Wide) -> BigRational {
        let magnitude = BigRational::from(BigInt::from(value.mantissa));
        let power = BigRational::from(BigInt::from(2)).pow(i32::try_from(value.exponent).unwrap());
        if value.negative { -magnitude * power } else { magnitude * power }
    }

    fn wide(value: f64) -> Wide {
        Wide::from_f64(value).unwrap()
    }

    /// Whether `found` is within half a unit of its last place of `wanted`.
    fn is_nearest(found: Wide, wanted: &BigRational) -> bool {
        let half = BigRational::from(BigInt::from(2)).pow(i32::try_from(found.exponent).unwrap() - 1);
        let error = exact(found) - wanted;
        error <= half && -error <= half
    }

    fn doubles() -> impl Strategy<Value = f64> {
        let any = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite());
        prop_oneof![any, -2.0..2.0_f64, Just(0.0), Just(1.0), Just(1.0 + f64::EPSILON)]
    }

    proptest! {
        #[test]
        fn doubles_come_back_unchanged(value in doubles()) {
            prop_assert_eq!(wide(value).to_f64(), value);
        }

        #[test]
        fn sums_of_products_are_rounded_to_nearest(list in prop::collection::vec((-1e3..1e3_f64, 1e-9..1e9_f64), 1..12)) {
            let mut sum = Wide::ZERO;
            for (value, factor) in list {
                let product = wide(value).times(factor).unwrap();
                prop_assert_eq!(exact(product), exact(wide(value)) * exact(wide(factor)));
                let product = product.times(std::f64::consts::PI).unwrap();
                let next = sum.plus(product).unwrap();
                prop_assert!(is_nearest(next, &(exact(sum) + exact(product))));
                let scaled = next.times(1.0 / 3.0).unwrap();
                prop_assert!(is_nearest(scaled, &(exact(next) * exact(wide(1.0 / 3.0)))));
                sum = scaled;
            }
        }

        #[test]
        fn a_sum_of_two_doubles_rounds_like_a_double(a in doubles(), b in doubles()) {
            // 128 bits hold most such sums exactly; where they do not, the last bit may be rounded twice.
            let sum = wide(a).plus(wide(b)).unwrap().to_f64();
            prop_assert!(sum == a + b || (sum - (a + b)).abs() <= f64::EPSILON * sum.abs());
        }

        #[test]
        fn cancellation_is_exact(a in -1e300..1e300_f64) {
            prop_assert!(wide(a).plus(wide(-a)).unwrap().is_zero());
        }
    }

    #[test]
    fn infinities_follow_the_rules_of_doubles() {
        let infinite = wide(f64::INFINITY);
        assert_eq!(infinite.plus(wide(-1.0)).unwrap().to_f64(), f64::INFINITY);
        assert_eq!(infinite.plus(wide(f64::NEG_INFINITY)), None);
        assert_eq!(infinite.times(-2.0).unwrap().to_f64(), f64::NEG_INFINITY);
        assert_eq!(infinite.times(0.0), None);
        assert_eq!(wide(0.0).times(f64::INFINITY), None);
        assert_eq!(Wide::from_f64(f64::NAN), None);
    }

    #[test]
    fn results_beyond_the_range_of_doubles_overflow_and_underflow_like_doubles() {
        let huge = wide(f64::MAX).times(2.0).unwrap();
        assert_eq!(huge.to_f64(), f64::INFINITY);
        assert_eq!(huge.times(0.5).unwrap().to_f64(), f64::MAX);
        let tiny = wide(f64::from_bits(1));
        assert_eq!(tiny.times(0.5).unwrap().to_f64(), 0.0);
        assert_eq!(tiny.times(0.75).unwrap().to_f64(), f64::from_bits(1));
        assert_eq!(tiny.times(1.5).unwrap().to_f64(), f64::from_bits(2));
        assert_eq!(wide(f64::MIN_POSITIVE).times(0.5).unwrap().to_f64(), f64::MIN_POSITIVE * 0.5);
    }
}
