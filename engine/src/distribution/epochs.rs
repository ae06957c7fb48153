//! Rates that change at given times: a θ for each epoch, the state carried over.

use ndarray::{Array2, Array3};

use super::chain::Chain;
use super::curve::{Accuracy, Curve, Values, ascending, check_finite, precision};
use super::error::of_epoch;
use super::gradient::check_gradient;
use super::observations::Observations;
use super::run::Run;
use super::sweep::{Segment, Sweep};
use super::trail::KEPT;
use super::{DistributionError, Start, gradient, poisson};
use crate::plan::Plan;

/// The time to absorption when θ changes at breakpoints: a time-inhomogeneous phase-type distribution with
/// piecewise-constant rates.
///
/// With sub-intensities `S₁, S₂, …` and breakpoints `b₁ < b₂ < …`, the state at `t` in the epoch after `bᵢ` is
/// `α e^{S₁b₁} e^{S₂(b₂−b₁)} ⋯ e^{S(t−bᵢ)}`; nothing else changes.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
///
/// // A hazard of 1 until time 2, then of 3.
/// let epochs = plan.epochs(&[2.0], &[[1.0], [3.0]])?;
/// let survival = epochs.curve(&[3.0])?.survival[0];
/// assert!((survival / (-5.0_f64).exp() - 1.0).abs() < 1e-12);
/// let mean = (1.0 - (-2.0_f64).exp()) + (-2.0_f64).exp() / 3.0;
/// assert!((epochs.expectation()? - mean).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Epochs<'p> {
    plan: &'p Plan,
    breakpoints: Vec<f64>,
    /// One more than breakpoints.
    thetas: Vec<Vec<f64>>,
    start: Start,
    tolerance: f64,
    jump_limit: Option<u64>,
}

impl Plan {
    /// The distribution of the time to absorption with another θ from each breakpoint on; one more θ than breakpoints.
    ///
    /// # Errors
    /// [`DistributionError::Epoch`] for a θ that does not fit; [`DistributionError::EpochCount`],     [`DistributionError::Breakpoint`] unless breakpoints are positive, finite and
    /// ascending, [`DistributionError::DiscreteTime`], and what [`Plan::distribution`] says of each θ.
    pub fn epochs<T: AsRef<[f64]>>(
        &self,
        breakpoints: &[f64],
        thetas: &[T],
    ) -> Result<Epochs<'_>, DistributionError> {
        if self.is_discrete() {
            return Err(DistributionError::DiscreteTime);
        }
        if thetas.len() != breakpoints.len() + 1 {
            return Err(DistributionError::EpochCount {
                breakpoints: breakpoints.len(),
                thetas: thetas.len(),
            });
        }
        let mut before = 0.0;
        for (index, &value) in breakpoints.iter().enumerate() {
            if !(value > before && value < f64::INFINITY) {
                return Err(DistributionError::Breakpoint { index, value, before });
            }
            before = value;
        }
        let mut chain = self.chain(thetas[0].as_ref()).map_err(of_epoch(0))?;
        for (theta, epoch) in thetas[1..].iter().zip(1..) {
            chain.set(theta.as_ref()).map_err(of_epoch(epoch))?;
        }
        Ok(Epochs {
            plan: self,
            breakpoints: breakpoints.to_vec(),
            thetas: thetas.iter().map(|theta| theta.as_ref().to_vec()).collect(),
            start: Start::default(),
            tolerance: 1e-10,
            jump_limit: None,
        })
    }
}

impl<'p> Epochs<'p> {
    /// This distribution with another treatment of initial probabilities that do not sum to one.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// This distribution with another bound on the jumps that a question may go through; see
    /// [`Distribution::with_jump_limit`](super::Distribution::with_jump_limit).
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = Some(jump_limit);
        self
    }

    /// Density, distribution function and survival function at each time; at a breakpoint, the density just before it.
    ///
    /// One sweep for all times. Errors are those of [`Distribution::pdf`](super::Distribution::pdf) with the default
    /// tolerance.
    ///
    /// # Errors
    /// [`DistributionError::Time`] for a time that is negative, infinite or not a number; [`DistributionError::Jumps`].
    pub fn curve(&self, times: &[f64]) -> Result<Curve, DistributionError> {
        self.curve_with(times, Accuracy::OfPeak)
    }

    fn curve_with(&self, times: &[f64], accuracy: Accuracy) -> Result<Curve, DistributionError> {
        check_finite(times)?;
        let order = ascending(times);
        let sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
        let mut values = Values::new(times.len(), accuracy);
        let (mut chain, mut sweep) =
            self.begin(self.start, sorted.last().copied().unwrap_or(0.0), accuracy)?;
        sweep.stops = Some(sorted.clone());
        values.at_zero(&chain, &sorted);
        let mut segment = Segment::default();
        let horizon = sorted.last().copied().unwrap_or(0.0);
        self.advance(&mut chain, &mut sweep, horizon, &mut segment, |segment| values.read(segment, &sorted))?;
        Ok(values.in_order(&order, chain.mass() < 1.0 - 1e-14))
    }

    /// Densities; see [`curve`](Self::curve).
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn pdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.pdf)
    }

    /// Distribution functions; see [`curve`](Self::curve).
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn cdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.cdf)
    }

    /// Survival functions, accurate where they are small.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn survival(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve_with(times, Accuracy::OfValue)?.survival)
    }

    /// Probability of being in each vertex at each time: a row for each time, a column for each vertex of the graph.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn stop_probability(&self, times: &[f64]) -> Result<Array2<f64>, DistributionError> {
        check_finite(times)?;
        let horizon = times.iter().copied().fold(0.0, f64::max);
        let (mut chain, mut sweep) = self.begin(self.start, horizon, Accuracy::OfPeak)?;
        let mut rows = Array2::zeros((times.len(), self.plan.vertex_count() as usize));
        let mut segment = Segment::default();
        for at in ascending(times) {
            self.advance(&mut chain, &mut sweep, times[at as usize], &mut segment, |_| ())?;
            for (&vertex, &mass) in chain.pattern().vertices.iter().zip(&sweep.p) {
                rows[[at as usize, vertex as usize]] = mass;
            }
        }
        Ok(rows)
    }

    /// Expected time to absorption, given that the process starts.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn expectation(&self) -> Result<f64, DistributionError> {
        Ok(self.moments(1)?[0])
    }

    /// Variance of the time to absorption, given that the process starts: the second moment about the mean.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    pub fn variance(&self) -> Result<f64, DistributionError> {
        let mean = self.expectation()?;
        let [off, square] = self.moments_about(mean, 2)?[..] else { return Ok(0.0) };
        Ok(square - off * off)
    }

    /// The first `count` raw moments of the time to absorption, given that the process starts.
    ///
    /// What is absorbed before the last breakpoint τ is integrated exactly: after `n` jumps of the uniformized process the
    /// flow lasts for a truncated gamma time. The rest is `E[(τ + X)^k]` with the moments of the last epoch from every
    /// vertex. One sweep to τ and a solve per moment; nothing is subtracted.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when absorption is not certain in the last epoch;
    /// [`DistributionError::MomentRange`] for a moment that is infinite or beyond f64; [`DistributionError::Jumps`].
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, DistributionError> {
        self.moments_about(0.0, count)
    }

    fn moments_about(&self, center: f64, count: usize) -> Result<Vec<f64>, DistributionError> {
        let last = self.breakpoints.last().copied().unwrap_or(0.0);
        let (mut chain, mut sweep) = self.begin(Start::Conditional, last, Accuracy::OfPeak)?;
        let mut moments = vec![0.0; count];
        let mut segment = Segment::default();
        self.advance(&mut chain, &mut sweep, last, &mut segment, |segment| {
            add_moments(segment, center, &mut moments);
        })?;
        let Some(theta) = self.thetas.last() else { return Ok(moments) };
        let at = self.plan.at(theta)?;
        let vertices = &chain.pattern().vertices;
        // E[X^j] from where the process is: j·W(…) of the moment before.
        let mut rest = vec![sweep.p.iter().sum::<f64>()];
        let mut from = vec![1.0; at.vertex_count() as usize];
        for order in 1..=count {
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
            let moment = &mut moments[order - 1];
            *moment += shifted(order, last - center, &rest);
            if !moment.is_finite() {
                return Err(DistributionError::MomentRange { order });
            }
        }
        Ok(moments)
    }

    /// Densities and their gradients with respect to the θ of every epoch: by time, epoch and parameter.
    ///
    /// One forward sweep through all epochs, and one reverse sweep for each time.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn pdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
        gradient::in_order(times, 0, |sorted| self.run(sorted, true))
    }

    /// Distribution functions and their gradients with respect to the θ of every epoch: by time, epoch and parameter.
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn cdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array3<f64>), DistributionError> {
        gradient::in_order(times, 1, |sorted| self.run(sorted, true))
    }

    /// The log-likelihood of observed times to absorption, and of times at which a process was last seen alive.
    ///
    /// What counts how is told at [`Likelihood`](super::Likelihood).
    ///
    /// # Errors
    /// As [`Plan::censored_likelihood`] and [`curve`](Self::curve).
    pub fn log_likelihood(&self, observed: &[f64], censored: &[f64]) -> Result<f64, DistributionError> {
        let observations = Observations::new(observed, censored)?;
        Ok(self.run(&observations.times, false)?.log_likelihood(&observations))
    }

    /// The log-likelihood and its gradient with respect to the θ of every epoch, a row each.
    ///
    /// A forward and a reverse sweep, as for a θ that does not change.
    ///
    /// # Errors
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn log_likelihood_gradient(
        &self,
        observed: &[f64],
        censored: &[f64],
    ) -> Result<(f64, Array2<f64>), DistributionError> {
        let observations = Observations::new(observed, censored)?;
        let mut run = self.run(&observations.times, true)?;
        let mut gradient = Array2::zeros((self.thetas.len(), self.plan.param_length()));
        let found = run.log_likelihood_gradient(&observations);
        gradient.iter_mut().zip(found.iter().flatten()).for_each(|(slot, &slope)| *slot = slope);
        let value = run.log_likelihood(&observations);
        for (row, epoch) in gradient.rows().into_iter().zip(0..) {
            if value > f64::NEG_INFINITY {
                check_gradient(&row).map_err(of_epoch(epoch))?;
            }
        }
        Ok((value, gradient))
    }

    fn limit(&self, chain: &mut Chain<'_>) {
        if let Some(jump_limit) = self.jump_limit {
            chain.set_jump_limit(jump_limit);
        }
    }

    fn run(&self, times: &[f64], trail: bool) -> Result<Run<'p>, DistributionError> {
        let mut chains = Vec::with_capacity(self.thetas.len());
        for theta in &self.thetas {
            let mut chain = self.plan.chain(theta)?;
            chain.set_start(self.start)?;
            self.limit(&mut chain);
            chains.push(chain);
        }
        Run::new(chains, &self.breakpoints, times, trail.then_some(KEPT))
    }

    fn begin(
        &self,
        start: Start,
        horizon: f64,
        accuracy: Accuracy,
    ) -> Result<(Chain<'p>, Sweep), DistributionError> {
        let mut chain = self.plan.chain(&self.thetas[0])?;
        chain.set_start(start)?;
        self.limit(&mut chain);
        // What is dropped in one epoch may be let out faster in another.
        let mut strictest = precision(&chain, horizon, self.tolerance, accuracy);
        for theta in &self.thetas[1..] {
            chain.set(theta)?;
            let here = precision(&chain, horizon, self.tolerance, accuracy);
            strictest.mass = strictest.mass.min(here.mass);
        }
        chain.set(&self.thetas[0])?;
        let mut sweep = Sweep::new(&chain, strictest);
        sweep.exact_ends |= !self.breakpoints.is_empty();
        Ok((chain, sweep))
    }

    /// Goes to `until` through all breakpoints on the way.
    fn advance(
        &self,
        chain: &mut Chain<'p>,
        sweep: &mut Sweep,
        until: f64,
        segment: &mut Segment,
        mut show: impl FnMut(&Segment),
    ) -> Result<(), DistributionError> {
        let mut epoch = self.breakpoints.partition_point(|&breakpoint| breakpoint <= sweep.now);
        while let Some(&breakpoint) = self.breakpoints.get(epoch).filter(|&&breakpoint| breakpoint < until) {
            sweep.advance(chain, breakpoint, None, segment, &mut show).map_err(of_epoch(epoch))?;
            epoch += 1;
            chain.set(&self.thetas[epoch])?;
            sweep.next_epoch(chain);
        }
        sweep.advance(chain, until, None, segment, &mut show).map_err(of_epoch(epoch))?;
        // Exactly at a breakpoint the next epoch begins.
        if self.breakpoints.get(epoch) == Some(&until) {
            chain.set(&self.thetas[epoch + 1])?;
            sweep.next_epoch(chain);
        }
        Ok(())
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
    let first = poisson::weights(mean, mean, &mut weights);
    // P(N > m) for m from `first` on.
    let mut more = 0.0;
    for weight in weights.iter_mut().rev() {
        more += std::mem::replace(weight, more);
    }
    let beyond = |m: usize| m.checked_sub(first).map_or(1.0, |at| weights.get(at).copied().unwrap_or(0.0));
    let mut within = vec![0.0; moments.len() + 1];
    for (n, flow) in segment.flows.iter().enumerate() {
        let mut term = flow / segment.rate;
        for (j, slot) in within.iter_mut().enumerate() {
            *slot += term * beyond(n + j);
            term *= (n + j + 1) as f64 / segment.rate;
        }
    }
    for (moment, order) in moments.iter_mut().zip(1..) {
        *moment += shifted(order, segment.begin - center, &within);
    }
}
