//! One step of the uniformized process, forward.
//!
//! `p′ = p + h (p R − p ∘ total)`: the innermost loop of every density. Rows are gathered by target, so nothing is
//! written twice.

use pulp::{Arch, NullaryFnOnce};
use std::ops::Range;

use super::chain::Chain;
use super::slices::WIDTH;

/// Below this share of the mass its front is nothing; well above denormal numbers, which are slow.
pub(super) const VANISHED: f64 = 1e-120;

/// One step of length `h`: `next = p + h (p R − p ∘ total)` in the slices that have the rows; returns `Σ exit · next`.
///
/// `p` must be 0 outside the range that holds mass, and rows of those slices outside `rows` must get none. `p` and `next`
/// have room for whole slices. A row costs one multiply-add for each edge into it.
#[inline]
pub(super) fn step(chain: &Chain<'_>, h: f64, p: &[f64], next: &mut [f64], rows: Range<usize>) -> f64 {
    Arch::new().dispatch(Step { chain, h, p, next, rows })
}

/// A step as a task for the widest instruction set of the machine.
struct Step<'a, 'p> {
    chain: &'a Chain<'p>,
    h: f64,
    p: &'a [f64],
    next: &'a mut [f64],
    rows: Range<usize>,
}

impl NullaryFnOnce for Step<'_, '_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Self { chain, h, p, next, rows } = self;
        let slices = &chain.pattern().slices;
        let rates = chain.slice_rates();
        let which = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
        let (masses, _) = p.as_chunks::<WIDTH>();
        let (next, _) = next.as_chunks_mut::<WIDTH>();
        let leaving = rates.totals[which.clone()].iter().zip(&rates.exits[which.clone()]);
        let rows = masses[which.clone()].iter().zip(&mut next[which.clone()]).zip(leaving);
        let mut single = slices.single_start(which.start);
        let mut flows = [0.0; WIDTH];
        for (start, ((masses, next), (totals, exits))) in slices.start[which.start..].windows(2).zip(rows) {
            let bands = start[0][0] as usize..start[1][0] as usize;
            let slots = start[0][1] as usize..start[1][1] as usize;
            let long = start[0][2] as usize..start[1][2] as usize;
            let mut sums = [0.0; WIDTH];
            for (&from, rates) in slices.bands[bands.clone()].iter().zip(&rates.bands[bands]) {
                let Some(masses) = p[from as usize..].first_chunk::<WIDTH>() else { continue };
                let masses = *masses;
                for place in 0..WIDTH {
                    sums[place] += rates[place] * masses[place];
                }
            }
            for (sources, rates) in slices.slots[slots.clone()].iter().zip(&rates.slots[slots]) {
                let mut masses = [0.0; WIDTH];
                for place in 0..WIDTH {
                    masses[place] = p[sources[place] as usize];
                }
                for place in 0..WIDTH {
                    sums[place] += rates[place] * masses[place];
                }
            }
            for &(place, end) in &slices.long[long] {
                let row = single..end as usize;
                sums[place as usize % WIDTH] += gather(&slices.singles[row.clone()], &rates.singles[row], p);
                single = end as usize;
            }
            // Local values first: where results are stored must not keep the compiler from taking eight at once.
            let (masses, mut found) = (*masses, [0.0; WIDTH]);
            for place in 0..WIDTH {
                // h·total ≤ 1 with room for its rounding, so nothing becomes negative.
                let kept = masses[place] - masses[place] * (h * totals[place]);
                found[place] = kept + h * sums[place];
            }
            *next = found;
            for place in 0..WIDTH {
                flows[place] += exits[place] * found[place];
            }
        }
        flows.iter().sum()
    }
}

/// `Σ rate · p[source]` of one row, in four partial sums.
#[inline(always)]
pub(super) fn gather(sources: &[u32], rates: &[f64], p: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let ((sources, last_sources), (rates, last_rates)) = (sources.as_chunks::<4>(), rates.as_chunks::<4>());
    for (sources, rates) in sources.iter().zip(rates) {
        for part in 0..4 {
            sums[part] += rates[part] * p[sources[part] as usize];
        }
    }
    let last = last_sources.iter().zip(last_rates);
    last.fold((sums[0] + sums[1]) + (sums[2] + sums[3]), |sum, (&source, rate)| {
        sum + rate * p[source as usize]
    })
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

/// A sum in eight partial sums, always the same way.
#[inline]
pub(super) fn total(x: &[f64]) -> f64 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for lane in 0..8 {
            sums[lane] += eight[lane];
        }
    }
    sums.iter().chain(rest).sum()
}

/// `sum += weight · x`.
#[inline]
pub(super) fn add_scaled(sum: &mut [f64], weight: f64, x: &[f64]) {
    Arch::new().dispatch(AddScaled { sum, weight, x });
}

/// An addition as a task for the widest instruction set of the machine.
struct AddScaled<'a> {
    sum: &'a mut [f64],
    weight: f64,
    x: &'a [f64],
}

impl NullaryFnOnce for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, x) in self.sum.iter_mut().zip(self.x) {
            *sum += self.weight * x;
        }
    }
}
