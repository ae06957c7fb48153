//! The numbers a kernel works on: one f64, or eight side by side.
//!
//! Kernels are generic over [`Lane`], so one θ and eight θ run the very same operations in the same order and agree bit
//! for bit. No fused multiply-add is used, for the same reason.

use std::ops::{Add, Div, Mul, Sub};

/// A number or a fixed group of numbers, with elementwise arithmetic.
pub(super) trait Lane:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Send + Sync
{
    /// The same value everywhere.
    fn splat(value: f64) -> Self;

    /// Whether some element is not above zero (NaN included).
    fn any_not_positive(self) -> bool;

    /// `1 / self`, or 0 where an element is 0.
    fn reciprocal_or_zero(self) -> Self;
}

impl Lane for f64 {
    #[inline(always)]
    fn splat(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn any_not_positive(self) -> bool {
        self <= 0.0 || self.is_nan()
    }

    #[inline(always)]
    fn reciprocal_or_zero(self) -> Self {
        if self == 0.0 { 0.0 } else { 1.0 / self }
    }
}

/// Eight numbers in one cache line: one AVX-512 register or two AVX2 registers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(super) struct Eight(pub(super) [f64; 8]);

/// How many θ one pass over a plan evaluates.
pub(super) const WIDTH: usize = 8;

impl Eight {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Lane for Eight {
    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; WIDTH])
    }

    #[inline(always)]
    fn any_not_positive(self) -> bool {
        self.0.iter().any(|&value| value <= 0.0 || value.is_nan())
    }

    #[inline(always)]
    fn reciprocal_or_zero(self) -> Self {
        self.zip(self, |value, _| if value == 0.0 { 0.0 } else { 1.0 / value })
    }
}

macro_rules! elementwise {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for Eight {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $op b)
            }
        }
    };
}

elementwise!(Add, add, +);
elementwise!(Sub, sub, -);
elementwise!(Mul, mul, *);
elementwise!(Div, div, /);
