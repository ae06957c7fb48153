//! Elimination at `s` instead of 0: Laplace transforms, for eight complex `s` side by side.
//!
//! Solves `(s − S) x = b` over the plan's own pattern: every pivot is `s` plus the sum of what leaves the vertex. For
//! real `s ≥ 0` nothing is subtracted and `x` is accurate entry by entry, as at 0; elsewhere errors are those of an
//! elimination without pivoting, which whoever uses it has to watch.

use pulp::{Arch, NullaryFnOnce};
use std::ops::{Add, Mul};

use super::{EvaluationError, Plan};

/// How many `s` one elimination takes.
pub(crate) const WIDTH: usize = 8;

/// The bits of a number's exponent.
const EXPONENT: u64 = 0x7FF0_0000_0000_0000;
/// What the biased exponents of a number and of its scale sum to.
const TWICE: u64 = 0x7FD0_0000_0000_0000;

/// Eight complex numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(crate) struct Complex8 {
    pub(crate) re: [f64; WIDTH],
    pub(crate) im: [f64; WIDTH],
}

impl Complex8 {
    pub(crate) const ZERO: Self = Self { re: [0.0; WIDTH], im: [0.0; WIDTH] };

    #[inline(always)]
    fn real(value: f64) -> Self {
        Self { re: [value; WIDTH], im: [0.0; WIDTH] }
    }

    #[inline(always)]
    fn scaled(self, by: f64) -> Self {
        Self { re: self.re.map(|value| value * by), im: self.im.map(|value| value * by) }
    }

    /// `1 / self`, or 0 where an element is 0. Scaled by a power of two, so that squares stay within f64.
    #[inline(always)]
    fn reciprocal_or_zero(self) -> Self {
        let mut found = Self::ZERO;
        for lane in 0..WIDTH {
            let largest = self.re[lane].abs().max(self.im[lane].abs());
            // 2^(1022 − e) for a number of the biased exponent e: the largest becomes one from 1/2 to 1, or is denormal.
            let scale = f64::from_bits(TWICE.saturating_sub(largest.to_bits() & EXPONENT).max(1 << 52));
            let (re, im) = (self.re[lane] * scale, self.im[lane] * scale);
            let norm = re * re + im * im;
            let inverse = if norm == 0.0 { 0.0 } else { 1.0 / norm };
            found.re[lane] = re * inverse * scale;
            found.im[lane] = -im * inverse * scale;
        }
        found
    }
}

impl Add for Complex8 {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut sum = self;
        for lane in 0..WIDTH {
            sum.re[lane] += other.re[lane];
            sum.im[lane] += other.im[lane];
        }
        sum
    }
}

impl Mul for Complex8 {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let mut product = Self::ZERO;
        for lane in 0..WIDTH {
            product.re[lane] = self.re[lane] * other.re[lane] - self.im[lane] * other.im[lane];
            product.im[lane] = self.re[lane] * other.im[lane] + self.im[lane] * other.re[lane];
        }
        product
    }
}

/// What an elimination at complex `s` works in.
#[derive(Debug, Clone)]
pub(crate) struct Resolvent<'p> {
    plan: &'p Plan,
    /// Whether every vertex that can be absorbed counts for 1, whatever its exit rate: phasic's convention.
    of_phasic: bool,
    values: Vec<f64>,
    work: Vec<Complex8>,
    exit: Vec<Complex8>,
    inverse: Vec<Complex8>,
    upper: Vec<Complex8>,
    x: Vec<Complex8>,
}

impl Plan {
    /// Room for eliminations at complex `s`: 128 bytes for each entry of the factors.
    ///
    /// # Errors
    /// As [`Plan::chain`].
    pub(crate) fn resolvent(&self, theta: &[f64]) -> Result<Resolvent<'_>, EvaluationError> {
        let mut padded = vec![0.0; self.param_length().max(1)];
        let mut values = vec![0.0; self.form_count()];
        self.weigh(theta, &mut padded, &mut values)?;
        let positions = self.vertices.len();
        let zeros = |count: usize| vec![Complex8::ZERO; count];
        Ok(Resolvent {
            plan: self,
            of_phasic: false,
            values,
            work: zeros(positions),
            exit: zeros(positions),
            inverse: zeros(positions),
            upper: zeros(self.upper.items.len()),
            x: zeros(positions),
        })
    }
}

impl Resolvent<'_> {
    /// This, with 1 in place of each exit rate on the right-hand side, and 0 for what is absorbed at once.
    pub(crate) fn of_phasic(mut self) -> Self {
        self.of_phasic = true;
        self
    }

    /// The transform `E[e^{−sT}]` of the time to absorption from the start, at eight `s`; of those that never start, the
    /// share `kept_back` is counted as never absorbed.
    pub(crate) fn transform(&mut self, s: &Complex8, kept_back: f64) -> Complex8 {
        Arch::new().dispatch(Transform { space: self, s, kept_back })
    }
}

impl Resolvent<'_> {
    /// The probability of ever being absorbed from every vertex of the graph, 0 for absorbing vertices and those that the
    /// start does not reach; of those that never start, the share `kept_back` is counted as never absorbed.
    pub(crate) fn absorption(&mut self, kept_back: f64) -> Vec<f64> {
        self.transform(&Complex8::ZERO, kept_back);
        let mut by_vertex = vec![0.0; self.plan.vertex_count as usize];
        for (&vertex, found) in self.plan.vertices.iter().zip(&self.x) {
            by_vertex[vertex as usize] = found.re[0];
        }
        by_vertex
    }
}

/// One elimination and solve, as a task for the widest instruction set of the machine.
struct Transform<'a, 'p> {
    space: &'a mut Resolvent<'p>,
    s: &'a Complex8,
    kept_back: f64,
}

impl NullaryFnOnce for Transform<'_, '_> {
    type Output = Complex8;

    #[inline(always)]
    fn call(self) -> Complex8 {
        let Self { space, s, kept_back } = self;
        let plan = space.plan;
        let start = plan.start();
        for block in plan.blocks() {
            for at in block.range.clone() {
                // No time passes in the start.
                let shift = if at == start { Complex8::real(kept_back) } else { *s };
                space.eliminate_row(at, shift);
                if !block.cyclic {
                    space.x[at] = space.x[at] * space.inverse[at];
                }
            }
            if !block.cyclic {
                continue;
            }
            for at in block.range.rev() {
                let mut sum = space.x[at];
                for entry in plan.upper.range(at) {
                    sum = sum + space.upper[entry] * space.x[plan.upper.items[entry] as usize];
                }
                space.x[at] = sum * space.inverse[at];
            }
        }
        space.x[start]
    }
}

impl Resolvent<'_> {
    /// Eliminates one row and carries its right-hand side along; `x` holds what is known behind the row's edges.
    #[inline(always)]
    fn eliminate_row(&mut self, at: usize, shift: Complex8) {
        let plan = self.plan;
        let absorbed = self.values[plan.exit_forms[at] as usize];
        let counts = !self.of_phasic || at != plan.start() && !plan.is_zero_form(plan.exit_forms[at]);
        let counted = if self.of_phasic { 1.0 } else { absorbed };
        let mut known = Complex8::real(if counts { counted } else { 0.0 });
        let mut exit = shift + Complex8::real(absorbed);
        let outer = plan.outer.range(at);
        for (&column, &form) in plan.outer.items[outer.clone()].iter().zip(&plan.outer_forms[outer]) {
            let rate = self.values[form as usize];
            known = known + self.x[column as usize].scaled(rate);
            exit = exit + Complex8::real(rate);
        }
        let inner = plan.inner.range(at);
        for (&column, &form) in plan.inner.items[inner.clone()].iter().zip(&plan.inner_forms[inner]) {
            self.work[column as usize] = Complex8::real(self.values[form as usize]);
        }
        for entry in plan.lower.range(at) {
            let row = plan.lower.items[entry] as usize;
            let factor = self.work[row] * self.inverse[row];
            self.work[row] = Complex8::ZERO;
            exit = exit + factor * self.exit[row];
            known = known + factor * self.x[row];
            for of in plan.upper.range(row) {
                let column = plan.upper.items[of] as usize;
                self.work[column] = self.work[column] + factor * self.upper[of];
            }
        }
        let mut pivot = exit;
        for entry in plan.upper.range(at) {
            let column = plan.upper.items[entry] as usize;
            let value = std::mem::replace(&mut self.work[column], Complex8::ZERO);
            self.upper[entry] = value;
            pivot = pivot + value;
        }
        self.work[at] = Complex8::ZERO;
        self.exit[at] = exit;
        self.inverse[at] = pivot.reciprocal_or_zero();
        self.x[at] = known;
    }
}
