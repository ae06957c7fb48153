//! Moments across epochs.

use super::super::chain::Chain;
use super::super::curve::Accuracy;
use super::super::error::of_epoch;
use super::super::sweep::{Segment, in_ones};
use super::super::totals::{all_in_range, check_count, spread};
use super::super::{DistributionError, Start, poisson};
use super::Epochs;
use super::powers::cost;
use crate::plan::At;

/// After so many jumps forward, what rounding has moved between positions is 1e-12 of them, at 5.6e-17 a jump.
const FEW: u64 = 1 << 14;

/// So many jumps are taken one by one, which loses nothing of a variance, whatever else would be less work.
const MANY: u64 = 1 << 20;

/// So many moments of all vertices are kept at a time, where the sweep needs no room.
const MOST_NUMBERS: u64 = 1 << 22;

/// A difference of moments that is more than the first of them has lost no more than a digit, and one that is less than the
/// second is made of roundings.
const GREAT_SHARE: f64 = 0.1;
const LEAST_SHARE: f64 = 1e-12;

impl Epochs<'_> {
    /// Expected time to absorption, given that the process starts: `∫ P(T > t) dt`, the first of
    /// [`moments`](Self::moments), and as expensive as one of them.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.moments(1)?[0])
    }

    /// Variance of the time to absorption, given that the process starts: `E[(T − m)²]` for the mean `m`, by the law of total
    /// variance at the last breakpoint τ. What is absorbed before is integrated as for [`moments`](Self::moments), but about `m`;
    /// what is in `v` then adds `(τ + E_v − m)² + Var_v`, with mean and variance of the last epoch from there. Nothing large
    /// cancels. Two sweeps to τ and about six solves.
    ///
    /// After more than 16,384 jumps it is the difference of [`reward_moments`](Self::reward_moments) for rewards of 1, if that is
    /// more than a tenth of the second of them; so it is where jumps are too many, and loses the digits these have in common.
    /// Where that would be more than twelve, there is none.
    ///
    /// # Errors
    /// As [`moments`](Self::moments), and [`DistributionError::Jumps`] where only that difference could be had and is none.
    pub fn variance(&self) -> Result<f64, DistributionError> {
        or_else(self.variance_by_jumps(FEW), |error| {
            or_else(self.variance_of_rewards(Some(MANY), GREAT_SHARE, error), |_| {
                or_else(self.variance_by_jumps(MANY), |error| {
                    self.variance_of_rewards(None, LEAST_SHARE, error)
                })
            })
        })
    }

    /// The difference of moments, if it is more than a share of them; else the error that led here.
    fn variance_of_rewards(
        &self,
        most_jumps: Option<u64>,
        share: f64,
        error: DistributionError,
    ) -> Result<f64, DistributionError> {
        let moments = match self.moments_of_rewards(2, most_jumps) {
            // There is another way.
            Err(_) if most_jumps.is_some() => return Err(error),
            found => found?,
        };
        let variance = moments[1] - moments[0] * moments[0];
        if variance > share * moments[1] { Ok(variance) } else { Err(error) }
    }

    /// The first `count` raw moments `∫ tᵏ f(t) dt` of the time to absorption, given that the process starts.
    ///
    /// What is absorbed before the last breakpoint τ is integrated exactly: after `n` jumps of the uniformized process the
    /// flow lasts for a truncated gamma time (uniformization: Jensen 1953, integrated term by term). The rest is
    /// `E[(τ + X)^k]` with the moments of the last epoch from every vertex. One sweep to τ and a solve per moment; nothing is
    /// subtracted. After more than 16,384 jumps, whose roundings add up, they are those of
    /// [`reward_moments`](Self::reward_moments) for rewards of 1, unless that takes a million jumps and the sweep does not, or
    /// there are more than four million moments of vertices.
    ///
    /// # Errors
    /// [`DistributionError::Epoch`] around [`DistributionError::Evaluation`] when absorption is not certain in the last epoch;
    /// [`DistributionError::MomentCount`] for more than 1,000; [`DistributionError::MomentRange`] for a moment that is infinite
    /// or beyond f64; [`DistributionError::Jumps`].
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let by_jumps =
            |most| self.moments_by_jumps(count, most).and_then(|moments| all_in_range(moments, &[1.0]));
        // All moments from everywhere are at hand on the way back.
        let numbers = (count as u64).saturating_mul(u64::from(self.plan.vertex_count()));
        or_else(by_jumps(FEW), |error| {
            let by_rewards = |most| self.moments_of_rewards(count, most);
            let back = if numbers <= MOST_NUMBERS { by_rewards(Some(MANY)) } else { Err(error) };
            or_else(back, |_| or_else(by_jumps(MANY), |_| by_rewards(None)))
        })
    }

    /// Those of a reward of 1, back through the epochs by so many jumps or by powers.
    fn moments_of_rewards(
        &self,
        count: usize,
        most_jumps: Option<u64>,
    ) -> Result<Vec<f64>, DistributionError> {
        let ones = vec![1.0; self.plan.vertex_count() as usize];
        match most_jumps.filter(|&most| self.jump_limit.is_none_or(|limit| most < limit)) {
            Some(most) => self.clone().with_jump_limit(most).reward_moments(&ones, count),
            None => self.reward_moments(&ones, count),
        }
    }

    /// By so many jumps at most, as long as these are not more work than the powers that the moments of rewards come from.
    fn moments_by_jumps(&self, count: usize, most: u64) -> Result<Vec<f64>, DistributionError> {
        let last = self.last_breakpoint();
        let mut moments = vec![0.0; count];
        let (chain, masses) =
            self.to_last_epoch(count, most, |segment| add_moments(segment, &mut moments))?;
        let at = self.in_last_epoch()?;
        let vertices = &chain.pattern().vertices;
        // E[X^j] from where the process is: j·W(…) of the moment before.
        let mut rest = vec![masses.iter().sum::<f64>()];
        let mut from = vec![1.0; at.vertex_count() as usize];
        for (order, moment) in (1..).zip(&mut moments) {
            from = at.rewarded(&from)?.waiting_times();
            for value in &mut from {
                *value *= order as f64;
            }
            let here = vertices.iter().zip(&masses).filter(|&(_, &mass)| mass > 0.0);
            rest.push(here.map(|(&vertex, &mass)| mass * from[vertex as usize]).sum());
            // Where the process cannot be any more, or never was, does not matter.
            for value in from.iter_mut().filter(|value| !value.is_finite()) {
                *value = 0.0;
            }
            *moment += shifted(order, last, &rest);
            if !moment.is_finite() {
                return Err(DistributionError::MomentRange { order });
            }
        }
        Ok(moments)
    }

    fn variance_by_jumps(&self, most: u64) -> Result<f64, DistributionError> {
        let (last, mean) = (self.last_breakpoint(), self.moments_by_jumps(1, most)?[0]);
        let [mut off, mut square] = [0.0; 2];
        let (chain, masses) = self.to_last_epoch(2, most, |segment| {
            let [first, second] = about(segment, mean);
            off += first;
            square += second;
        })?;
        // What is absorbed at once.
        off -= chain.atom() * mean;
        square += chain.atom() * mean * mean;
        let at = self.in_last_epoch()?;
        let (means, variances) = (at.waiting_times(), at.variances());
        for (&vertex, &mass) in chain.pattern().vertices.iter().zip(&masses).filter(|&(_, &mass)| mass > 0.0)
        {
            let from_mean = last - mean + means[vertex as usize];
            off += mass * from_mean;
            square += mass * (variances[vertex as usize] + from_mean * from_mean);
        }
        spread(mean, square - off * off)
    }

    fn last_breakpoint(&self) -> f64 {
        self.breakpoints.last().copied().unwrap_or(0.0)
    }

    fn in_last_epoch(&self) -> Result<At<'_>, DistributionError> {
        let last = self.thetas.len() - 1;
        self.plan.at(&self.thetas[last]).map_err(of_epoch(last))
    }

    /// Goes to the last breakpoint, for as many moments, and shows each segment on the way; the process there, and its masses.
    fn to_last_epoch(
        &self,
        count: usize,
        most: u64,
        show: impl FnMut(&Segment),
    ) -> Result<(Chain<'_>, Vec<f64>), DistributionError> {
        let last = self.last_breakpoint();
        let (mut chain, mut sweep) = self.begin(Start::Conditional, last, Accuracy::Value, f64::INFINITY)?;
        let work =
            cost(&chain, chain.jump_limit() as f64, count) / (chain.rates().len() + chain.len()) as f64;
        let most = if most == FEW { FEW } else { most.max(work as u64) };
        chain.set_jump_limit(chain.jump_limit().min(most));
        self.advance(&mut chain, &mut sweep, last, None, &mut Segment::default(), show)?;
        let masses = sweep.p[..chain.len()].iter().map(|&mass| in_ones(mass, sweep.exponent)).collect();
        Ok((chain, masses))
    }
}

/// Another way to what takes too many jumps.
fn or_else<T>(
    found: Result<T, DistributionError>,
    other: impl FnOnce(DistributionError) -> Result<T, DistributionError>,
) -> Result<T, DistributionError> {
    match found {
        Err(error) if error.is_of_jumps() => other(error),
        found => found,
    }
}

/// `Σ_j C(k, j) shift^{k−j} moments[j]`.
fn shifted(k: usize, shift: f64, moments: &[f64]) -> f64 {
    let (mut sum, mut binomial) = (0.0, 1.0);
    for (j, moment) in moments.iter().enumerate().take(k + 1) {
        let power = shift.powi(i32::try_from(k - j).unwrap_or(i32::MAX));
        sum += if power == 0.0 || *moment == 0.0 { 0.0 } else { binomial * power * moment };
        binomial *= (k - j) as f64 / (j + 1) as f64;
    }
    sum
}

/// Adds `∫ tᵏ f(t) dt` over a segment.
///
/// `∫ u^j e^{−λu} (λu)ⁿ/n! du` from 0 to the segment's length is `(n+1)⋯(n+j) λ^{−j−1} P(N > n+j)`.
fn add_moments(segment: &Segment, moments: &mut [f64]) {
    if segment.rate <= 0.0 {
        return;
    }
    let jumps = Jumps::of(segment);
    let mut within = vec![0.0; moments.len() + 1];
    for (n, flow) in segment.flows.iter().enumerate() {
        let mut term = in_ones(flow / segment.rate, segment.exponent);
        for (j, slot) in within.iter_mut().enumerate() {
            *slot += term * jumps.more_than(n + j);
            term *= (n + j + 1) as f64 / segment.rate;
        }
    }
    for (moment, order) in moments.iter_mut().zip(1..) {
        *moment += shifted(order, segment.begin, &within);
    }
}

/// `∫ (t − c) f(t) dt` and `∫ (t − c)² f(t) dt` over a segment.
///
/// With `u` from the segment's beginning on, `c` at `u₀` and the end at `L`, and `a = (n+1)/λ`, these are for `e^{−λu} (λu)ⁿ/n!`
/// the same two moments of a gamma time that is cut off, over λ, in two forms. About the mean of the whole gamma time:
/// `(a − u₀) P(N > n) − a P(N = n+1)` and `((a − u₀)² + a/λ) P(N > n) − a (a + 1/λ + L − 2u₀) P(N = n+1)`, in which nothing
/// cancels where it is hardly cut off. About the beginning: `a P(N > n+1) − u₀ P(N > n)` and
/// `a (a + 1/λ) P(N > n+2) − 2u₀ a P(N > n+1) + u₀² P(N > n)`, in which nothing does where it is cut off early. For each `n`
/// it is the one with the smaller terms.
fn about(segment: &Segment, center: f64) -> [f64; 2] {
    let (rate, length, center) = (segment.rate, segment.end - segment.begin, center - segment.begin);
    let mut sums = [0.0; 2];
    if rate <= 0.0 {
        return sums;
    }
    let jumps = Jumps::of(segment);
    for (n, flow) in segment.flows.iter().enumerate() {
        let share = in_ones(flow / rate, segment.exponent);
        let mean = (n + 1) as f64 / rate;
        let more = [0, 1, 2].map(|further| jumps.more_than(n + further));
        let (cut, off) = (jumps.exactly(n + 1) * mean, mean - center);
        let whole = (off * off + mean / rate) * more[0];
        let rest = cut * (off + 1.0 / rate + (length - center));
        let later = mean * (mean + 1.0 / rate) * more[2] + center * center * more[0];
        let cross = 2.0 * center * mean * more[1];
        if whole + rest.abs() <= later + cross.abs() {
            sums[0] += share * (off * more[0] - cut);
            sums[1] += share * (whole - rest);
        } else {
            sums[0] += share * (mean * more[1] - center * more[0]);
            sums[1] += share * (later - cross);
        }
    }
    sums
}

/// The number of jumps in a segment.
struct Jumps {
    first: usize,
    weights: Vec<f64>,
    /// Probabilities of more than each number of jumps from `first` on.
    more: Vec<f64>,
}

impl Jumps {
    fn of(segment: &Segment) -> Self {
        let mut weights = Vec::new();
        let first = poisson::weights(segment.rate * (segment.end - segment.begin), &mut weights);
        let more = poisson::beyond(&weights);
        Self { first, weights, more }
    }

    fn exactly(&self, jumps: usize) -> f64 {
        jumps.checked_sub(self.first).and_then(|at| self.weights.get(at)).copied().unwrap_or(0.0)
    }

    fn more_than(&self, jumps: usize) -> f64 {
        jumps.checked_sub(self.first).map_or(1.0, |at| self.more.get(at).copied().unwrap_or(0.0))
    }
}
