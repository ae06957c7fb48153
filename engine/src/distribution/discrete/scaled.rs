//! Numbers whose exponents do not end, for sums of products that leave the range of f64 on the way to one that is in it.

/// `value · 2^exponent`; the value is from 1 to 2 in size, or is 0 or no finite number and says it all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaled {
    value: f64,
    exponent: i64,
}

/// What lies further behind than this is not seen in a sum.
const DIGITS: i64 = 60;

/// `value · 2^exponent`, in two steps so that neither factor leaves f64 before the product does.
fn scaled(value: f64, exponent: i64) -> f64 {
    let exponent = exponent.clamp(-2200, 2200) as i32;
    let third = exponent / 3;
    value * 2.0_f64.powi(third) * 2.0_f64.powi(third) * 2.0_f64.powi(exponent - 2 * third)
}

impl Scaled {
    pub(super) const ZERO: Self = Self { value: 0.0, exponent: 0 };

    pub(super) fn of(value: f64) -> Self {
        Self::new(value, 0)
    }

    /// The number in units of 2 to the power of an exponent.
    pub(super) fn new(value: f64, exponent: i64) -> Self {
        if value == 0.0 || !value.is_finite() {
            return Self { value, exponent: 0 };
        }
        if value.abs() < f64::MIN_POSITIVE {
            return Self::new(value * 2.0_f64.powi(64), exponent - 64);
        }
        let own = (value.to_bits() >> 52 & 0x7ff).cast_signed() - 1023;
        let value = f64::from_bits(value.to_bits() & !(0x7ff << 52) | 1023 << 52);
        Self { value, exponent: exponent + own }
    }

    /// In units of what power of 2 its size is from 1 to 2; none of 0.
    pub(super) fn exponent(self) -> Option<i64> {
        (self.value != 0.0).then_some(self.exponent)
    }

    /// The nearest f64 in units of 2 to the power of an exponent: infinite or 0 beyond the range.
    pub(super) fn in_units(self, exponent: i64) -> f64 {
        scaled(self.value, self.exponent - exponent)
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self::new(self.value * other.value, self.exponent + other.exponent)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (large, small) = if self.value == 0.0 || other.value != 0.0 && other.exponent > self.exponent {
            (other, self)
        } else {
            (self, other)
        };
        let behind = large.exponent - small.exponent;
        if small.value == 0.0 || behind > DIGITS {
            return large;
        }
        Self::new(large.value + scaled(small.value, -behind), large.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::tests::plan;
    use crate::graph::{GraphBuilder, Rate, START};

    #[test]
    fn arithmetic_is_that_of_f64_within_its_range_and_goes_on_beyond() {
        let numbers = [0.0, 1.0, -1.5, 3e-5, 7e200, 1e-300, 5e-324, -0.1, f64::MAX];
        for (a, b) in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            let (x, y) = (Scaled::of(a), Scaled::of(b));
            assert_eq!(x.in_units(0), a);
            assert_eq!(x.plus(y).in_units(0), a + b, "{a} + {b}");
            if (a * b).is_normal() {
                assert_eq!(x.times(y).in_units(0), a * b, "{a} · {b}");
            }
        }
        let power = (0..50).fold(Scaled::of(1.0), |power, _| power.times(Scaled::of(8e-300)));
        assert_eq!(power.in_units(0), 0.0);
        let back = (0..50).fold(power, |power, _| power.times(Scaled::of(1e300)));
        assert!((back.in_units(150) - 1.0).abs() < 1e-13);
        assert_eq!((Scaled::ZERO.exponent(), Scaled::of(12.0).exponent()), (None, Some(3)));
    }

    /// How often a coin is tossed until heads, at so much a toss: `2 a(k) rᵏ` for Fubini's numbers `a(k)`, which are
    /// `k!/(2 ln(2)ᵏ⁺¹)` but for a share of less than `10⁻ᵏ`.
    #[test]
    fn moments_that_are_numbers_are_found_whatever_they_are_made_of() {
        let mut builder = GraphBuilder::new(1).unwrap();
        let [toss, tails, heads, never] = [1, 2, 0, 3].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.set_was_dph(true);
        builder.add_edge(START, toss, Rate::Scalar(1.0)).unwrap();
        for (from, to, weight) in
            [(toss, tails, 1.0), (toss, heads, 1.0), (tails, toss, 1.0), (tails, heads, 1.0)]
        {
            builder.add_edge(from, to, Rate::Coefficients(&[weight, 0.0])).unwrap();
        }
        for (from, to) in [(toss, never), (never, heads)] {
            builder.add_edge(from, to, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        }
        let plan = plan(&builder.finish());
        let jumps = plan.jumps(&[1.0, 0.0]).unwrap();
        for (reward, count, first) in [(0.1, 170, 20_u32), (0.001_875, 1000, 20)] {
            // What is never visited may earn anything.
            let mut rewards = vec![reward; plan.vertex_count() as usize];
            rewards[never as usize] = 1e300;
            let moments = jumps.reward_moments(&rewards, count).unwrap();
            let mut log = -std::f64::consts::LN_2.ln();
            for (order, &found) in (1..).zip(&moments) {
                log += (f64::from(order) * reward / std::f64::consts::LN_2).ln();
                if order >= first {
                    assert!((found.ln() - log).abs() < 1e-11, "{order}: {} {log}", found.ln());
                }
            }
        }
    }
}
