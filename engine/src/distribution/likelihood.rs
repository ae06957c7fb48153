//! Likelihoods of observed times, and gradients of everything a sweep gives.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::adjoint::Functional;
use super::chain::Chain;
use super::curve::{Accuracy, ascending, check_finite, precision};
use super::poisson::{Reach, Reciprocals, mix};
use super::sweep::{Segment, Sweep};
use super::trail::{KEPT, Trail};
use super::{Distribution, DistributionError, Start};
use crate::plan::Plan;

/// Densities below this are zero: nearer to the end of f64 nothing is accurate.
const NOTHING: f64 = 1e-250;

/// The log-likelihood of independent observations of the time to absorption, as a function of θ.
///
/// Made once for a plan and its data, it is asked at any number of θ. An absorption seen at time `t > 0` counts with
/// `ln f(t)`, a time `c` at which the process was still alive (right-censored) with `ln P(T > c)`. An observation of exactly
/// 0 counts with the logarithm of the atom at 0, if initial probabilities make one, and else of the density at 0. Where a
/// density is 0 (or below 1e-250) the log-likelihood is `−∞`, its gradient not a number; that is no error, so that a
/// sampler can move on.
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
/// // Exponential times: n ln θ − θ Σt, and its derivative n/θ − Σt.
/// let likelihood = plan.likelihood(&[0.5, 1.5, 1.0])?;
/// let (value, gradient) = likelihood.value_and_gradient(&[2.0])?;
/// assert!((value - (3.0 * 2.0_f64.ln() - 6.0)).abs() < 1e-12);
/// assert!((gradient[0] - (1.5 - 3.0)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Likelihood<'p> {
    plan: &'p Plan,
    start: Start,
    /// Observations of exactly 0.
    zeros: usize,
    /// Other times, ascending and distinct: how often seen, and how often censored.
    times: Vec<f64>,
    counts: Vec<[f64; 2]>,
    /// Numbers of states that may be kept for going back.
    room: usize,
    jump_limit: Option<u64>,
}

impl Plan {
    /// The likelihood of observed times to absorption.
    ///
    /// # Errors
    /// [`DistributionError::NoObservations`], [`DistributionError::Observation`] for a time that is negative, infinite or not
    /// a number, [`DistributionError::DiscreteTime`].
    pub fn likelihood(&self, observed: &[f64]) -> Result<Likelihood<'_>, DistributionError> {
        self.censored_likelihood(observed, &[])
    }

    /// The likelihood of observed times to absorption, and of times at which a process was last seen alive.
    ///
    /// # Errors
    /// As [`likelihood`](Self::likelihood); a faulty censored time is counted on from the observed ones.
    pub fn censored_likelihood(
        &self,
        observed: &[f64],
        censored: &[f64],
    ) -> Result<Likelihood<'_>, DistributionError> {
        if self.is_discrete() {
            return Err(DistributionError::DiscreteTime);
        }
        let all: Vec<f64> = observed.iter().chain(censored).copied().collect();
        if all.is_empty() {
            return Err(DistributionError::NoObservations);
        }
        if let Some(index) = all.iter().position(|time| !(0.0..f64::INFINITY).contains(time)) {
            return Err(DistributionError::Observation { index, value: all[index] });
        }
        let (mut zeros, mut times, mut counts) = (0, Vec::new(), Vec::<[f64; 2]>::new());
        for at in ascending(&all) {
            let (time, kind) = (all[at as usize], usize::from(at as usize >= observed.len()));
            if time == 0.0 && kind == 0 {
                zeros += 1;
                continue;
            }
            if times.last() != Some(&time) {
                times.push(time);
                counts.push([0.0; 2]);
            }
            if let Some(counts) = counts.last_mut() {
                counts[kind] += 1.0;
            }
        }
        Ok(Likelihood {
            plan: self,
            start: Start::default(),
            zeros,
            times,
            counts,
            room: KEPT,
            jump_limit: None,
        })
    }
}

impl<'p> Likelihood<'p> {
    /// This likelihood with another treatment of initial probabilities that do not sum to one.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// This likelihood with another bound on the jumps that a sweep may take; see
    /// [`Distribution::with_jump_limit`].
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = Some(jump_limit);
        self
    }

    #[cfg(test)]
    pub(super) fn with_room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    /// The log-likelihood at θ. One sweep to the last time; every density is accurate relative to itself.
    ///
    /// # Errors
    /// As [`Plan::distribution`] and [`Distribution::pdf`].
    pub fn value(&self, theta: &[f64]) -> Result<f64, DistributionError> {
        let run = self.run(theta, false)?;
        Ok(self.sum(&run))
    }

    /// The log-likelihood at θ and its gradient.
    ///
    /// A forward and a reverse sweep: two to six times a value, more where states do not fit into a cache, whatever the
    /// number of parameters and observations. Memory is bounded: beyond 8 MiB of states the forward sweep is run again in
    /// parts.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), DistributionError> {
        let mut run = self.run(theta, true)?;
        let value = self.sum(&run);
        if value == f64::NEG_INFINITY {
            return Ok((value, vec![f64::NAN; self.plan.param_length()]));
        }
        let mut functional = Functional::default();
        for ((&time, &[seen, alive]), &[density, absorbed, survival]) in
            self.times.iter().zip(&self.counts).zip(&run.found)
        {
            let survival = if run.defect { 1.0 - absorbed } else { survival };
            // A time of 0 was censored for nothing.
            if time > 0.0 {
                let coefficient = |count: f64, value: f64| if count > 0.0 { count / value } else { 0.0 };
                functional.times.push(time);
                functional
                    .coefficients
                    .push(run.coefficients(coefficient(seen, density), coefficient(alive, survival)));
            }
        }
        let trail = run.sweep.trail.take().unwrap_or_default();
        let chains = std::slice::from_ref(&run.chain);
        let mut gradient = functional.gradients(chains, &mut run.sweep, &trail).swap_remove(0);
        run.add_zeros(self.zeros, &mut gradient);
        Ok((value, gradient))
    }

    /// Log-likelihoods and gradients at many θ, one a row; on the threads of the current rayon pool.
    ///
    /// # Errors
    /// That of the first θ without a number, as [`value`](Self::value).
    pub fn batch(&self, thetas: &ArrayView2<'_, f64>) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        let rows: Vec<Vec<f64>> = thetas.rows().into_iter().map(|row| row.to_vec()).collect();
        let found: Vec<_> = rows.par_iter().map(|theta| self.value_and_gradient(theta)).collect();
        let mut values = Vec::with_capacity(rows.len());
        let mut gradients = Array2::zeros((rows.len(), self.plan.param_length()));
        for (mut row, found) in gradients.rows_mut().into_iter().zip(found) {
            let (value, gradient) = found?;
            values.push(value);
            row.iter_mut().zip(gradient).for_each(|(slot, slope)| *slot = slope);
        }
        Ok((values, gradients))
    }

    fn run(&self, theta: &[f64], trail: bool) -> Result<Run<'p>, DistributionError> {
        let mut chain = self.plan.chain(theta)?;
        chain.set_start(self.start)?;
        if let Some(jump_limit) = self.jump_limit {
            chain.set_jump_limit(jump_limit);
        }
        Run::new(chain, &self.times, trail.then_some(self.room))
    }

    fn sum(&self, run: &Run<'_>) -> f64 {
        let mut sum = run.at_zero(self.zeros);
        for (&[seen, alive], &[density, absorbed, survival]) in self.counts.iter().zip(&run.found) {
            let survival = if run.defect { 1.0 - absorbed } else { survival };
            for (count, value) in [(seen, density), (alive, survival)] {
                if count > 0.0 {
                    sum += if value < NOTHING { f64::NEG_INFINITY } else { count * value.ln() };
                }
            }
        }
        sum
    }
}

impl Distribution<'_> {
    /// Densities and their gradients with respect to θ: a row for each time.
    ///
    /// One forward sweep, and one reverse sweep for each time.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf), with infinite times refused.
    pub fn pdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(times, 0)
    }

    /// Distribution functions and their gradients with respect to θ: a row for each time.
    ///
    /// # Errors
    /// As [`pdf_gradient`](Self::pdf_gradient).
    pub fn cdf_gradient(&self, times: &[f64]) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        self.gradients(times, 1)
    }

    fn gradients(&self, times: &[f64], which: usize) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        check_finite(times)?;
        let order = ascending(times);
        let sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
        let mut run = Run::new(self.chain.clone(), &sorted, Some(KEPT))?;
        let trail = run.sweep.trail.take().unwrap_or_default();
        let mut values = vec![0.0; times.len()];
        let mut gradients = Array2::zeros((times.len(), self.chain.plan().param_length()));
        for (&at, found) in order.iter().zip(&run.found) {
            let (at, mut coefficients) = (at as usize, [0.0; 3]);
            values[at] = found[which];
            coefficients[which] = 1.0;
            let mut slope = vec![0.0; self.chain.plan().param_length()];
            if times[at] > 0.0 {
                let functional = Functional { times: vec![times[at]], coefficients: vec![coefficients] };
                let chains = std::slice::from_ref(&run.chain);
                slope = functional.gradients(chains, &mut run.sweep, &trail).swap_remove(0);
            } else if which == 0 {
                run.flow_gradient(1.0, &mut slope);
            }
            gradients.row_mut(at).iter_mut().zip(slope).for_each(|(slot, slope)| *slot = slope);
        }
        Ok((values, gradients))
    }
}

/// A forward sweep and what it found.
struct Run<'p> {
    chain: Chain<'p>,
    sweep: Sweep,
    /// Density, distribution function and mass alive at each time.
    found: Vec<[f64; 3]>,
    defect: bool,
}

impl<'p> Run<'p> {
    fn new(chain: Chain<'p>, times: &[f64], room: Option<usize>) -> Result<Self, DistributionError> {
        let mut sweep = Sweep::new(&chain, precision(&chain, 0.0, 0.0, Accuracy::OfValue));
        if let Some(room) = room {
            sweep.trail = Some(Trail::within(room));
        }
        let start = chain.start().iter();
        let flow = start.clone().map(|&(at, probability)| probability * chain.exits()[at as usize]).sum();
        let alive = start.map(|&(_, probability)| probability).sum();
        let mut found = vec![[flow, chain.atom(), alive]; times.len()];
        let mut done = times.partition_point(|&time| time <= 0.0);
        let (mut reciprocals, mut segment) = (Reciprocals::default(), Segment::default());
        let mut means = Vec::new();
        sweep.advance(&chain, times.last().copied().unwrap_or(0.0), None, &mut segment, |segment| {
            let until = done + times[done..].partition_point(|&time| time <= segment.end);
            means.clear();
            means.extend(times[done..until].iter().map(|time| (time - segment.begin) * segment.rate));
            let series = [&segment.flows[..], &segment.absorbed, &segment.alive];
            mix(&means, series, Reach::Tails, &mut reciprocals, &mut found[done..until]);
            done = until;
        })?;
        let defect = chain.mass() < 1.0 - 1e-14;
        Ok(Self { chain, sweep, found, defect })
    }

    /// Coefficients of density, distribution function and mass alive, given those of density and survival.
    fn coefficients(&self, density: f64, survival: f64) -> [f64; 3] {
        if self.defect { [density, -survival, 0.0] } else { [density, 0.0, survival] }
    }

    /// The log-likelihood of observations of exactly 0.
    fn at_zero(&self, zeros: usize) -> f64 {
        if zeros == 0 {
            return 0.0;
        }
        let value = if self.chain.atom() > 0.0 { self.chain.atom() } else { self.flow() };
        if value < NOTHING { f64::NEG_INFINITY } else { zeros as f64 * value.ln() }
    }

    fn flow(&self) -> f64 {
        let start = self.chain.start().iter();
        start.map(|&(at, probability)| probability * self.chain.exits()[at as usize]).sum()
    }

    /// Adds the gradient of [`at_zero`](Self::at_zero); the atom does not depend on θ.
    fn add_zeros(&self, zeros: usize, gradient: &mut [f64]) {
        if zeros > 0 && self.chain.atom() == 0.0 {
            self.flow_gradient(zeros as f64 / self.flow(), gradient);
        }
    }

    /// Adds a multiple of the gradient of the density at 0.
    fn flow_gradient(&self, scale: f64, gradient: &mut [f64]) {
        let mut exits = vec![0.0; self.chain.len()];
        for &(at, probability) in self.chain.start() {
            exits[at as usize] = scale * probability;
        }
        let none = vec![0.0; self.chain.len()];
        self.chain.pull_back(&vec![0.0; self.chain.rates().len()], &exits, &none, gradient);
    }
}
