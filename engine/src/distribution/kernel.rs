//! One step of the uniformized process, forward.
//!
//! `p′ = p + h (p R − p ∘ total)`: the innermost loop of every density. Rows are gathered by target, so nothing is
//! written twice.

use std::ops::Range;

use super::chain::Chain;

/// Below this the front of the mass is nothing; well above denormal numbers, which are slow.
pub(super) const VANISHED: f64 = 1e-120;

/// One step of length `h`: `next[rows] = p + h (p R − p ∘ total)`.
///
/// Entries of `p` outside the range that holds mass must be 0. A row costs one multiply-add for each edge into it.
#[inline]
pub(super) fn step(chain: &Chain<'_>, h: f64, p: &[f64], next: &mut [f64], rows: Range<usize>) {
    let pattern = chain.pattern();
    let (rates, totals) = (chain.gathered_rates(), chain.totals());
    let (starts, sources) = (&pattern.into.start, &pattern.into.items);
    for at in rows {
        let range = starts[at] as usize..starts[at + 1] as usize;
        let mut sum = 0.0;
        for (&source, &rate) in sources[range.clone()].iter().zip(&rates[range]) {
            sum += rate * p[source as usize];
        }
        let mass = p[at];
        // h·total ≤ 1 with room for its rounding, so nothing becomes negative.
        next[at] = (mass - mass * (h * totals[at])) + h * sum;
    }
}

/// A sum of products in eight partial sums, always the same way.
#[inline]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder()).fold(0.0, |sum, (x, y)| sum + x * y);
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().fold(rest, |sum, part| sum + part)
}

/// `sum += weight · x`.
#[inline]
pub(super) fn add_scaled(sum: &mut [f64], weight: f64, x: &[f64]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += weight * x;
    }
}
