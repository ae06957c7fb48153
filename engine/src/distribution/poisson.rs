//! Poisson weights, scaled so that none over- or underflows, and cut where they no longer matter.
//!
//! Weights are formed by their ratio from one place outwards and divided by their sum (Fox and Glynn, Communications of
//! the ACM 31, 1988), so no factorial, no logarithm of one and no `e^{−x}` limits them.

use pulp::{Arch, NullaryFnOnce};
use std::ops::{Range, RangeInclusive};

/// How far below the largest weight a weight is nothing: `e^{−46}` is 1e-20.
pub(super) const NEGLIGIBLE: f64 = 46.0;

/// Means above this are those of more than `usize` counts, with all that is around them.
const COUNTLESS: f64 = 1e30;

/// Reciprocals of 1, 2, 3, …, grown as needed: a weight's ratio to the one before it costs no division.
#[derive(Debug, Clone, Default)]
pub(super) struct Reciprocals(Vec<f64>);

impl Reciprocals {
    /// Those of 0 (as 0) to one more than `last`.
    pub(super) fn up_to(&mut self, last: usize) -> &[f64] {
        let known = self.0.len();
        self.0.extend((known..=last.saturating_add(1)).map(|k| if k == 0 { 0.0 } else { 1.0 / k as f64 }));
        &self.0
    }
}

/// The range of counts outside of which weights with mean `x` are below `e^{−depth}` of the largest.
///
/// With `m` the mode, `w(m−d)/w(m) ≤ e^{−d²/2m}` and `w(m+d)/w(m) ≤ e^{−d²/2(m+d/3+1)}` (Bernstein). Beyond what can be counted
/// it is the last count; so it is of an infinite mean.
pub(super) fn window(x: f64, depth: f64) -> Range<usize> {
    let x = x.min(COUNTLESS);
    let below = (2.0 * x * depth).sqrt() + 1.0;
    let above = depth / 3.0 + (depth * depth / 9.0 + 2.0 * depth * (x + 1.0)).sqrt() + 1.0;
    let first = if below >= x { 0 } else { (x - below).floor() as usize };
    first..((x + above).ceil() as usize).saturating_add(1)
}

/// All weights with mean `x` that matter: where they begin, and what they are; they sum to one.
pub(super) fn weights(x: f64, weights: &mut Vec<f64>) -> usize {
    weights_for(x, x..=x, weights)
}

/// The same with those among them that would matter with other means, of which `x` is one, as far as they do not underflow.
pub(super) fn weights_for(x: f64, means: RangeInclusive<f64>, weights: &mut Vec<f64>) -> usize {
    let range = window(*means.start(), NEGLIGIBLE).start..window(*means.end(), NEGLIGIBLE).end;
    let mode = (x.floor() as usize).max(range.start);
    weights.clear();
    weights.resize(range.len(), 0.0);
    let mut weight = 1.0;
    for k in (range.start..=mode).rev() {
        weights[k - range.start] = weight;
        weight *= k as f64 / x;
    }
    weight = 1.0;
    for k in mode + 1..range.end {
        weight *= x / k as f64;
        weights[k - range.start] = weight;
    }
    // Small ones first from both sides, so that none is lost.
    let (left, right) = weights.split_at(mode - range.start);
    let total = left.iter().sum::<f64>() + right.iter().rev().sum::<f64>();
    for weight in weights.iter_mut() {
        *weight /= total;
    }
    range.start
}

/// For each of some weights the sum of those after it: the probability of more counts. Nothing cancels, as it would in what
/// those before it lack to one.
pub(super) fn beyond(weights: &[f64]) -> Vec<f64> {
    let (mut sums, mut more) = (weights.to_vec(), 0.0);
    for slot in sums.iter_mut().rev() {
        more += std::mem::replace(slot, more);
    }
    sums
}

/// The same for mixtures of which only the size counts: 1e-18.
const MIDDLE: f64 = 42.0;
/// As deep as weights can be followed without underflow.
pub(super) const DEEPEST: f64 = 600.0;
/// Weights below `e^{−700}` are zero for all that can be told from them.
const LOWEST: f64 = 700.0;
/// Deeper, means go one by one: so far below the least of several, weights of the largest underflow.
const DEEPEST_TOGETHER: f64 = 300.0;
/// Poisson means of one group are this many standard deviations apart at most, so that no weight underflows.
const SPREAD: f64 = 12.0;
/// How many means are combined side by side.
const WIDTH: usize = 8;

/// Which weights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those above 1e-18 of the largest.
    Middle,
    /// Those whose product with the first series may matter to its sum, however small that is.
    Tails,
}

/// For each mean `x` (ascending), `Σ_k w_k(x) series[k]` of every series; the last entry of a series stands for all after
/// it.
///
/// Time is a multiply-add for each mean and each count of its window, eight means side by side.
pub(super) fn mix<const N: usize>(
    means: &[f64],
    series: [&[f64]; N],
    reach: Reach,
    reciprocals: &mut Reciprocals,
    out: &mut [[f64; N]],
) {
    let groups = Groups::new(means, series[0], reach);
    let known = series.iter().map(|series| series.len()).min().unwrap_or(0);
    for (range, counts) in groups {
        if counts.start >= known {
            // All counts that matter stand for the last entry; there may be more of them than memory has room for.
            out[range].fill(series.map(|series| series.last().copied().unwrap_or(0.0)));
            continue;
        }
        let reciprocals = reciprocals.up_to(counts.end);
        let lanes = lanes(&means[range.clone()]);
        let sums = Arch::new().dispatch(Mixture { lanes, series, counts, reciprocals });
        for (lane, out) in out[range].iter_mut().enumerate() {
            *out = std::array::from_fn(|number| sums[number][lane]);
        }
    }
}

/// The reverse of [`mix`]: for each mean `x`, adds `w_k(x) · coefficient[number]` to `out[number][k]`; the last entry takes
/// what all after it would.
pub(super) fn spread<const N: usize>(
    means: &[f64],
    coefficients: &[[f64; N]],
    series: &[f64],
    reciprocals: &mut Reciprocals,
    out: &mut [Vec<f64>; N],
) {
    let known = out.iter().map(Vec::len).min().unwrap_or(0);
    for (range, counts) in Groups::new(means, series, Reach::Tails) {
        if counts.start >= known {
            for (number, out) in out.iter_mut().enumerate() {
                let all: f64 =
                    coefficients[range.clone()].iter().map(|coefficients| coefficients[number]).sum();
                out.last_mut().into_iter().for_each(|last| *last += all);
            }
            continue;
        }
        let reciprocals = reciprocals.up_to(counts.end);
        let mut scales = [[0.0; WIDTH]; N];
        for (lane, coefficients) in coefficients[range.clone()].iter().enumerate() {
            for number in 0..N {
                scales[number][lane] = coefficients[number];
            }
        }
        let lanes = lanes(&means[range]);
        Arch::new().dispatch(Spread { lanes, scales, counts, reciprocals, out });
    }
}

/// Means that are close enough to go side by side: their range, and the counts that matter to them.
struct Groups<'a> {
    means: &'a [f64],
    series: &'a [f64],
    reach: Reach,
    most: f64,
    first: usize,
}

impl<'a> Groups<'a> {
    fn new(means: &'a [f64], series: &'a [f64], reach: Reach) -> Self {
        let most = match reach {
            Reach::Middle => 0.0,
            Reach::Tails => series.iter().fold(0.0_f64, |most, &value| most.max(value)),
        };
        Self { means, series, reach, most, first: 0 }
    }
}

impl Iterator for Groups<'_> {
    type Item = (Range<usize>, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let means = self.means.get(self.first..).filter(|means| !means.is_empty())?;
        let limit = means[0] + SPREAD * means[0].sqrt() + 1.0;
        let mut group = means.iter().take(WIDTH).take_while(|&&x| x <= limit).count();
        if self.depth(means[0], means[group - 1]) > DEEPEST_TOGETHER {
            group = 1;
        }
        let (least, largest) = (means[0], means[group - 1]);
        let depth = self.depth(least, largest);
        let range = self.first..self.first + group;
        self.first = range.end;
        let first = first_to_follow(window(least, depth).start, largest);
        Some((range, first..window(largest, depth).end))
    }
}

impl Groups<'_> {
    /// How deep weights count for means between these.
    fn depth(&self, least: f64, largest: f64) -> f64 {
        match self.reach {
            Reach::Middle => MIDDLE,
            // Where nothing flows, no weight counts.
            Reach::Tails if self.most == 0.0 => NEGLIGIBLE,
            Reach::Tails => {
                let at = |x: f64| self.series.get(x as usize).or(self.series.last()).copied().unwrap_or(0.0);
                (NEGLIGIBLE + (self.most / at(least).min(at(largest))).ln()).clamp(NEGLIGIBLE, DEEPEST)
            }
        }
    }
}

/// The first count, not before `from`, whose weight with mean `x` can be told from zero; the mode's is about one.
///
/// Bounds on weights are crude far below the mode: `window` may begin where they underflow, and what is built up from
/// zero stays zero.
fn first_to_follow(from: usize, x: f64) -> usize {
    let underflows = |k: usize| log_weight_below_mode(k as f64, x) < -LOWEST;
    let (mut from, mut to) = (from, x as usize);
    while from < to {
        let middle = from.midpoint(to);
        if underflows(middle) { from = middle + 1 } else { to = middle }
    }
    from
}

/// Eight means: the first repeated in place of missing ones.
fn lanes(means: &[f64]) -> [f64; WIDTH] {
    let mut lanes = [means[0]; WIDTH];
    lanes[..means.len()].copy_from_slice(means);
    lanes
}

/// Weights of eight means added up over the means.
struct Spread<'a, const N: usize> {
    lanes: [f64; WIDTH],
    scales: [[f64; WIDTH]; N],
    counts: Range<usize>,
    reciprocals: &'a [f64],
    out: &'a mut [Vec<f64>; N],
}

impl<const N: usize> NullaryFnOnce for Spread<'_, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { lanes, mut scales, counts, reciprocals, out } = self;
        let first = lanes.map(|x| log_weight_below_mode(counts.start as f64, x).exp());
        let mut weight = first;
        let mut total = [0.0; WIDTH];
        for k in counts.clone() {
            for lane in 0..WIDTH {
                total[lane] += weight[lane];
                weight[lane] *= lanes[lane] * reciprocals[k + 1];
            }
        }
        for scales in &mut scales {
            for lane in 0..WIDTH {
                scales[lane] /= total[lane];
            }
        }
        weight = first;
        let known = out.iter().map(Vec::len).min().unwrap_or(0).min(counts.end);
        for k in counts.start..known {
            for number in 0..N {
                let mut products = [0.0; WIDTH];
                for lane in 0..WIDTH {
                    products[lane] = scales[number][lane] * weight[lane];
                }
                out[number][k] += products.iter().sum::<f64>();
            }
            for lane in 0..WIDTH {
                weight[lane] *= lanes[lane] * reciprocals[k + 1];
            }
        }
        let mut rest = [0.0; WIDTH];
        for k in known..counts.end {
            for lane in 0..WIDTH {
                rest[lane] += weight[lane];
                weight[lane] *= lanes[lane] * reciprocals[k + 1];
            }
        }
        for (out, scales) in out.iter_mut().zip(&scales) {
            let all: f64 = rest.iter().zip(scales).map(|(rest, scale)| rest * scale).sum();
            out[known - 1] += all;
        }
    }
}

/// Eight mixtures at once, as a task for the widest instruction set of the machine.
struct Mixture<'a, const N: usize> {
    lanes: [f64; WIDTH],
    series: [&'a [f64]; N],
    counts: Range<usize>,
    reciprocals: &'a [f64],
}

impl<const N: usize> NullaryFnOnce for Mixture<'_, N> {
    type Output = [[f64; WIDTH]; N];

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self { lanes, series, counts, reciprocals } = self;
        let known = series.iter().map(|series| series.len()).min().unwrap_or(0).min(counts.end);
        let mut weight = lanes.map(|x| log_weight_below_mode(counts.start as f64, x).exp());
        let mut total = [0.0; WIDTH];
        let mut sums = [[0.0; WIDTH]; N];
        let mut k = counts.start;
        while k < known {
            let ratio = reciprocals[k + 1];
            for lane in 0..WIDTH {
                total[lane] += weight[lane];
                for number in 0..N {
                    sums[number][lane] += weight[lane] * series[number][k];
                }
                weight[lane] *= lanes[lane] * ratio;
            }
            k += 1;
        }
        // States after the last one recorded: only their weights.
        let mut rest = [0.0; WIDTH];
        for k in k..counts.end {
            for lane in 0..WIDTH {
                rest[lane] += weight[lane];
                weight[lane] *= lanes[lane] * reciprocals[k + 1];
            }
        }
        for number in 0..N {
            let last = series[number].last().copied().unwrap_or(0.0);
            for lane in 0..WIDTH {
                sums[number][lane] = (sums[number][lane] + rest[lane] * last) / (total[lane] + rest[lane]);
            }
        }
        sums
    }
}

/// `ln(w(k)/w(m))` for mean `x`, roughly (to about 1/k): enough to begin a recursion that is normalised later.
fn log_weight_below_mode(k: f64, x: f64) -> f64 {
    if k <= 0.0 { -x } else { k * (x / k).ln() + k - x }
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, NEGLIGIBLE, Reach, Reciprocals, mix, spread, window};

    #[test]
    fn means_of_more_jumps_than_can_be_counted_stand_for_the_last_entry() {
        let means = [3.0, 1e15, 1e19, 1e100, f64::MAX, f64::INFINITY];
        let (mut found, mut reciprocals) = ([[0.0]; 6], Reciprocals::default());
        let series = [1.0, 1.0, 1.0, 7.0];
        for reach in [Reach::Middle, Reach::Tails] {
            mix(&means, [&series], reach, &mut reciprocals, &mut found);
            assert!(found[0][0] > 1.0 && found[0][0] < 7.0, "{found:?}");
            assert_eq!(found[1..], [[7.0]; 5]);
        }
        let mut out = [vec![0.0; 4]];
        spread(&means[1..], &[[1.0]; 5], &series, &mut reciprocals, &mut out);
        assert_eq!(out, [[0.0, 0.0, 0.0, 5.0]]);
    }

    #[test]
    fn windows_hold_a_count_and_do_not_wrap() {
        for x in [0.0, 1e-300, 0.5, 1e3, 1e16, 1e19, 2e19, 1e300, f64::MAX, f64::INFINITY, f64::NAN] {
            for depth in [NEGLIGIBLE, DEEPEST] {
                let window = window(x, depth);
                assert!(window.start < window.end || window.start == usize::MAX, "{x}: {window:?}");
            }
        }
    }
}
