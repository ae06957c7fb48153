//! Moments across epochs.

use super::super::curve::Accuracy;
use super::super::error::of_epoch;
use super::super::sweep::{Segment, in_ones};
use super::super::totals::check_count;
use super::super::{DistributionError, Start, poisson};
use super::Epochs;
use super::powers::cost;

/// So many jumps are taken one by one, which loses nothing of a variance, whatever else would be less work.
const MANY: u64 = 1 << 20;

impl Epochs<'_> {
    /// Expected time to absorption, given that the process starts: `∫ P(T > t) dt`, the first of
    /// [`moments`](Self::moments), and as expensive as one of them.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.moments(1)?[0])
    }

    /// Variance of the time to absorption, given that the process starts: `E[(T − m)²]`, the second moment about the mean `m`,
    /// so that nothing large cancels, or, where jumps are too many, the difference of moments, which loses the digits these
    /// have in common. Two [`moments`](Self::moments), one after the other.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn variance(&self) -> Result<f64, DistributionError> {
        let mean = self.expectation()?;
        let [off, square] = self.moments_about(mean, 2)?[..] else { return Ok(0.0) };
        Ok(square - off * off)
    }

    /// The first `count` raw moments `∫ tᵏ f(t) dt` of the time to absorption, given that the process starts.
    ///
    /// What is absorbed before the last breakpoint τ is integrated exactly: after `n` jumps of the uniformized process the
    /// flow lasts for a truncated gamma time (uniformization: Jensen 1953, integrated term by term). The rest is
    /// `E[(τ + X)^k]` with the moments of the last epoch from every vertex. One sweep to τ and a solve per moment; nothing is
    /// subtracted. Where jumps are too many, they are those of [`reward_moments`](Self::reward_moments) for rewards of 1.
    ///
    /// # Errors
    /// [`DistributionError::Epoch`] around [`DistributionError::Evaluation`] when absorption is not certain in the last epoch;
    /// [`DistributionError::MomentCount`] for more than 1,000; [`DistributionError::MomentRange`] for a moment that is infinite
    /// or beyond f64; [`DistributionError::Jumps`].
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        self.moments_about(0.0, count)
    }

    fn moments_about(&self, center: f64, count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        match self.moments_by_jumps(center, count) {
            Err(error) if error.is_of_jumps() => {
                let mut raw = vec![1.0];
                raw.extend(self.reward_moments(&vec![1.0; self.plan.vertex_count() as usize], count)?);
                Ok((1..=count).map(|order| shifted(order, -center, &raw)).collect())
            }
            found => found,
        }
    }

    /// By jumps, as long as these are not more work than the powers that the moments of rewards come from.
    fn moments_by_jumps(&self, center: f64, count: usize) -> Result<Vec<f64>, DistributionError> {
        let last = self.breakpoints.last().copied().unwrap_or(0.0);
        let (mut chain, mut sweep) = self.begin(Start::Conditional, last, Accuracy::Value, f64::INFINITY)?;
        let work =
            cost(&chain, chain.jump_limit() as f64, count) / (chain.rates().len() + chain.len()) as f64;
        chain.set_jump_limit(chain.jump_limit().min(MANY.max(work as u64)));
        let mut moments = vec![0.0; count];
        let mut segment = Segment::default();
        self.advance(&mut chain, &mut sweep, last, None, &mut segment, |segment| {
            add_moments(segment, center, &mut moments);
        })?;
        let Some(theta) = self.thetas.last() else { return Ok(moments) };
        let at = self.plan.at(theta).map_err(of_epoch(self.thetas.len() - 1))?;
        let vertices = &chain.pattern().vertices;
        // E[X^j] from where the process is: j·W(…) of the moment before.
        sweep.p.iter_mut().for_each(|mass| *mass = in_ones(*mass, sweep.exponent));
        let mut rest = vec![sweep.p.iter().sum::<f64>()];
        let mut from = vec![1.0; at.vertex_count() as usize];
        for (order, moment) in (1..).zip(&mut moments) {
            from = at.rewarded(&from)?.waiting_times();
            for value in &mut from {
                *value *= order as f64;
            }
            let here = vertices.iter().zip(&sweep.p).filter(|&(_, &mass)| mass > 0.0);
            rest.push(here.map(|(&vertex, &mass)| mass * from[vertex as usize]).sum());
            // Where the process cannot be any more, or never was, does not matter.
            for value in from.iter_mut().filter(|value| !value.is_finite()) {
                *value = 0.0;
            }
            *moment += shifted(order, last - center, &rest);
            if !moment.is_finite() {
                return Err(DistributionError::MomentRange { order });
            }
        }
        Ok(moments)
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

/// Adds `∫ (t − c)^k f(t) dt` over a segment.
///
/// `∫ u^j e^{−λu} (λu)ⁿ/n! du` from 0 to the segment's length is `(n+1)⋯(n+j) λ^{−j−1} P(N > n+j)`.
fn add_moments(segment: &Segment, center: f64, moments: &mut [f64]) {
    if segment.rate <= 0.0 {
        return;
    }
    let mut weights = Vec::new();
    let mean = segment.rate * (segment.end - segment.begin);
    let first = poisson::weights(mean, &mut weights);
    // P(N > m) for m from `first` on.
    let mut more = 0.0;
    for weight in weights.iter_mut().rev() {
        more += std::mem::replace(weight, more);
    }
    let beyond = |m: usize| m.checked_sub(first).map_or(1.0, |at| weights.get(at).copied().unwrap_or(0.0));
    let mut within = vec![0.0; moments.len() + 1];
    for (n, flow) in segment.flows.iter().enumerate() {
        let mut term = in_ones(flow / segment.rate, segment.exponent);
        for (j, slot) in within.iter_mut().enumerate() {
            *slot += term * beyond(n + j);
            term *= (n + j + 1) as f64 / segment.rate;
        }
    }
    for (moment, order) in moments.iter_mut().zip(1..) {
        *moment += shifted(order, segment.begin - center, &within);
    }
}
