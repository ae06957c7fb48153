//! The numbers a kernel works on: one f64, or several side by side.
//!
//! Kernels are generic over [`Lane`], so one θ and many run the very same operations in the same order and agree bit
//! for bit. No fused multiply-add is used, for the same reason.

use std::ops::{Add, Div, Mul, Sub};

use crate::double_double::Dd;

/// A number or a fixed group of numbers, with elementwise arithmetic.
pub(super) trait Lane:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Send + Sync
{
    /// Whether it is a group: such are worked on one after the other, while single numbers may be taken several at a
    /// time where they lie side by side. Compilers try the latter with groups, too, and tear them apart.
    const IS_GROUP: bool;

    /// The same value everywhere.
    fn splat(value: f64) -> Self;

    /// The lower of both, elementwise; `other` where either is NaN.
    fn lower(self, other: Self) -> Self;

    /// Whichever has the higher bit pattern, elementwise: negative numbers and NaN are higher than infinity, and that is
    /// higher than all others.
    fn higher_bits(self, other: Self) -> Self;

    /// The lower of both, elementwise, where `self` is above zero; else `other`.
    fn lower_above_zero(self, other: Self) -> Self;

    /// The lowest and the highest element.
    fn lowest(self) -> f64;
    fn highest(self) -> f64;

    /// Whether all elements pass.
    fn all(self, test: impl Fn(f64) -> bool) -> bool;

    /// `1 / self`, or 0 where an element is 0 or so near that the reciprocal may leave the range of f64.
    fn reciprocal_or_zero(self) -> Self;

    /// The same with those elements that `better` has another f64 for, given how to find the element of other numbers.
    /// Numbers with more digits than f64 stay as they are.
    fn corrected(self, better: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self;
}

impl Lane for f64 {
    const IS_GROUP: bool = false;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn lower(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    #[inline(always)]
    fn higher_bits(self, other: Self) -> Self {
        f64::from_bits(self.to_bits().max(other.to_bits()))
    }

    #[inline(always)]
    fn lower_above_zero(self, other: Self) -> Self {
        if self > 0.0 && self < other { self } else { other }
    }

    #[inline(always)]
    fn lowest(self) -> f64 {
        self
    }

    #[inline(always)]
    fn highest(self) -> f64 {
        self
    }

    fn all(self, test: impl Fn(f64) -> bool) -> bool {
        test(self)
    }

    #[inline(always)]
    fn reciprocal_or_zero(self) -> Self {
        if self < f64::MIN_POSITIVE { 0.0 } else { 1.0 / self }
    }

    fn corrected(self, better: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self {
        better(&|other| other).unwrap_or(self)
    }
}

impl Lane for Dd {
    const IS_GROUP: bool = false;

    fn splat(value: f64) -> Self {
        value.into()
    }

    fn lower(self, other: Self) -> Self {
        if self.0 < other.0 { self } else { other }
    }

    fn higher_bits(self, other: Self) -> Self {
        if self.0.to_bits() > other.0.to_bits() { self } else { other }
    }

    fn lower_above_zero(self, other: Self) -> Self {
        if self.0 > 0.0 { self.lower(other) } else { other }
    }

    fn lowest(self) -> f64 {
        self.0
    }

    fn highest(self) -> f64 {
        self.0
    }

    fn all(self, test: impl Fn(f64) -> bool) -> bool {
        test(self.0)
    }

    fn reciprocal_or_zero(self) -> Self {
        if self.0 < f64::MIN_POSITIVE { Self::ZERO } else { Self::from(1.0) / self }
    }

    fn corrected(self, _: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self {
        self
    }
}

/// Numbers side by side, in whole cache lines: eight are one AVX-512 register or two AVX2 registers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(super) struct Lanes<const WIDTH: usize>(pub(super) [f64; WIDTH]);

impl<const WIDTH: usize> Lanes<WIDTH> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl<const WIDTH: usize> Lane for Lanes<WIDTH> {
    const IS_GROUP: bool = true;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; WIDTH])
    }

    #[inline(always)]
    fn lower(self, other: Self) -> Self {
        self.zip(other, Lane::lower)
    }

    #[inline(always)]
    fn higher_bits(self, other: Self) -> Self {
        self.zip(other, Lane::higher_bits)
    }

    #[inline(always)]
    fn lower_above_zero(self, other: Self) -> Self {
        self.zip(other, Lane::lower_above_zero)
    }

    #[inline(always)]
    fn lowest(self) -> f64 {
        self.0.into_iter().fold(f64::INFINITY, Lane::lower)
    }

    #[inline(always)]
    fn highest(self) -> f64 {
        self.0.into_iter().fold(0.0, Lane::higher_bits)
    }

    #[inline(always)]
    fn all(self, test: impl Fn(f64) -> bool) -> bool {
        self.0.iter().all(|&value| test(value))
    }

    #[inline(always)]
    fn reciprocal_or_zero(self) -> Self {
        self.zip(self, |value, _| value.reciprocal_or_zero())
    }

    fn corrected(self, better: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self {
        Self(std::array::from_fn(|lane| better(&|other: Self| other.0[lane]).unwrap_or(self.0[lane])))
    }
}

/// Remembers whether all numbers seen were finite, and the lowest of them, without a branch for each and such that a
/// compiler may look at several at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch<L> {
    lowest: L,
    /// By bits.
    highest: L,
}

impl<L: Lane> Watch<L> {
    pub(super) fn new() -> Self {
        Self { lowest: L::splat(f64::INFINITY), highest: L::splat(0.0) }
    }

    #[inline(always)]
    pub(super) fn see(&mut self, value: L) {
        self.lowest = value.lower(self.lowest);
        // -0 becomes 0.
        self.highest = self.highest.higher_bits(value + L::splat(0.0));
    }

    /// Sees them all. Single numbers are taken eight side by side, since nobody minds the order.
    #[inline(always)]
    pub(super) fn see_all(&mut self, values: &[L]) {
        let mut watch = *self;
        if L::IS_GROUP {
            for &value in values {
                watch.see(value);
            }
            *self = watch;
            return;
        }
        let (blocks, rest) = values.as_chunks::<8>();
        let (mut lowest, mut highest) = ([L::splat(f64::INFINITY); 8], [L::splat(0.0); 8]);
        for block in blocks {
            for ((lowest, highest), &value) in lowest.iter_mut().zip(&mut highest).zip(block) {
                *lowest = value.lower(*lowest);
                *highest = highest.higher_bits(value + L::splat(0.0));
            }
        }
        for &value in rest {
            watch.see(value);
        }
        if !blocks.is_empty() {
            lowest
                .into_iter()
                .zip(highest)
                .for_each(|(lowest, highest)| watch.join(Self { lowest, highest }));
        }
        *self = watch;
    }

    /// The lowest and, by bits, the highest.
    #[inline(always)]
    pub(super) fn bounds(&self) -> (L, L) {
        (self.lowest, self.highest)
    }

    /// As if it had seen what the other has.
    pub(super) fn join(&mut self, other: Self) {
        self.lowest = other.lowest.lower(self.lowest);
        self.highest = self.highest.higher_bits(other.highest);
    }

    /// Whether all were finite and the lowest, infinite if there was none, passes.
    pub(super) fn are_all_finite_and(&self, test: impl Fn(f64) -> bool) -> bool {
        self.highest.all(|highest| (0.0..f64::INFINITY).contains(&highest)) && self.lowest.all(test)
    }
}

macro_rules! elementwise {
    ($trait:ident, $method:ident, $op:tt) => {
        impl<const WIDTH: usize> $trait for Lanes<WIDTH> {
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
