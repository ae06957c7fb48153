//! A sweep forward to given times, through one process or several in turn, and gradients of what it found.

use ndarray::Array3;

use super::DistributionError;
use super::adjoint::Functional;
use super::chain::Chain;
use super::curve::{Accuracy, precision};
use super::error::of_epoch;
use super::observations::Observations;
use super::poisson::{Reach, Reciprocals, mix};
use super::sweep::{Segment, Sweep};
use super::trail::Trail;

/// Densities below this are zero: nearer to the end of f64 nothing is accurate.
pub(super) const NOTHING: f64 = 1e-250;

/// A forward sweep and what it found.
pub(super) struct Run<'p> {
    /// The processes, one after the other.
    chains: Vec<Chain<'p>>,
    sweep: Sweep,
    /// Density, distribution function and mass alive at each time.
    found: Vec<[f64; 3]>,
    defect: bool,
}

impl<'p> Run<'p> {
    /// Sweeps to the last of some times, ascending; `chains[i + 1]` begins at `breakpoints[i]`. With `room`, so that
    /// gradients can be had.
    pub(super) fn new(
        chains: Vec<Chain<'p>>,
        breakpoints: &[f64],
        times: &[f64],
        room: Option<usize>,
    ) -> Result<Self, DistributionError> {
        let first = &chains[0];
        let mut sweep = Sweep::new(first, precision(first, 0.0, 0.0, Accuracy::OfValue));
        sweep.trail = room.map(Trail::within);
        sweep.stops = Some(times.to_vec());
        let start = first.start().iter();
        // The sum of no numbers is −0 in Rust.
        let flow =
            start.clone().fold(0.0, |sum, &(at, probability)| sum + probability * first.exits()[at as usize]);
        let alive = start.fold(0.0, |sum, &(_, probability)| sum + probability);
        let mut found = vec![[flow, first.atom(), alive]; times.len()];
        let mut done = times.partition_point(|&time| time <= 0.0);
        let (mut reciprocals, mut segment) = (Reciprocals::default(), Segment::default());
        let mut means = Vec::new();
        let mut read = |segment: &Segment| {
            let until = done + times[done..].partition_point(|&time| time <= segment.end);
            means.clear();
            means.extend(times[done..until].iter().map(|time| (time - segment.begin) * segment.rate));
            let series = [&segment.flows[..], &segment.absorbed, &segment.alive];
            mix(&means, series, Reach::Tails, &mut reciprocals, &mut found[done..until]);
            done = until;
        };
        let horizon = times.last().copied().unwrap_or(0.0);
        for (epoch, chain) in chains.iter().enumerate() {
            if epoch > 0 {
                sweep.next_epoch(chain);
            }
            let until = breakpoints.get(epoch).map_or(horizon, |&breakpoint| breakpoint.min(horizon));
            // Rates of a later epoch may be others.
            sweep.horizon = if until >= horizon { horizon } else { f64::INFINITY };
            let advanced = sweep.advance(chain, until, None, &mut segment, &mut read);
            let first = || sweep.first_too_far(chain, times);
            let named = advanced.map_err(|error| error.of_index(first()));
            named.map_err(|error| if chains.len() > 1 { of_epoch(epoch)(error) } else { error })?;
            if until >= horizon {
                break;
            }
        }
        let defect = chains[0].mass() < 1.0 - 1e-14;
        Ok(Self { chains, sweep, found, defect })
    }

    /// The log-likelihood of observations at the times of this sweep.
    pub(super) fn log_likelihood(&self, observations: &Observations) -> f64 {
        let mut sum = self.at_zero(observations.zeros);
        for (&[seen, alive], &found) in observations.counts.iter().zip(&self.found) {
            for (count, value) in [(seen, found[0]), (alive, self.survival(found))] {
                if count > 0.0 {
                    sum += if value < NOTHING { f64::NEG_INFINITY } else { count * value.ln() };
                }
            }
        }
        sum
    }

    /// Its gradient with respect to the θ of each process; NaN where the log-likelihood is `−∞`.
    pub(super) fn log_likelihood_gradient(&mut self, observations: &Observations) -> Vec<Vec<f64>> {
        if self.log_likelihood(observations) == f64::NEG_INFINITY {
            return vec![vec![f64::NAN; self.chains[0].plan().param_length()]; self.chains.len()];
        }
        let mut functional = Functional::default();
        let coefficient = |count: f64, value: f64| if count > 0.0 { count / value } else { 0.0 };
        for ((&time, &[seen, alive]), &found) in
            observations.times.iter().zip(&observations.counts).zip(&self.found)
        {
            let of_survival = coefficient(alive, self.survival(found));
            let of_density = coefficient(seen, found[0]);
            // A time of 0 was censored for nothing.
            if time > 0.0 {
                functional.times.push(time);
                functional.coefficients.push(if self.defect {
                    [of_density, -of_survival, 0.0]
                } else {
                    [of_density, 0.0, of_survival]
                });
            }
        }
        let trail = self.sweep.trail.take().unwrap_or_default();
        let mut gradients = functional.gradients(&self.chains, &mut self.sweep, &trail);
        self.sweep.trail = Some(trail);
        if observations.zeros > 0 && self.chains[0].atom() == 0.0 {
            self.flow_gradient(observations.zeros as f64 / self.flow(), &mut gradients[0]);
        }
        gradients
    }

    /// What was found of density (0), distribution function (1) or survival (2), and gradients: by time, process and
    /// parameter. One reverse sweep for each time.
    pub(super) fn gradients(&mut self, times: &[f64], which: usize) -> (Vec<f64>, Array3<f64>) {
        let trail = self.sweep.trail.take().unwrap_or_default();
        let parameters = self.chains[0].plan().param_length();
        let mut slopes = Array3::zeros((times.len(), self.chains.len(), parameters));
        let mut coefficients = [0.0; 3];
        if which == 2 && self.defect {
            coefficients[1] = -1.0;
        } else {
            coefficients[which] = 1.0;
        }
        for (mut slopes, &time) in slopes.outer_iter_mut().zip(times) {
            let mut found = vec![vec![0.0; parameters]; self.chains.len()];
            if time > 0.0 {
                let functional = Functional { times: vec![time], coefficients: vec![coefficients] };
                found = functional.gradients(&self.chains, &mut self.sweep, &trail);
            } else if which == 0 {
                self.flow_gradient(1.0, &mut found[0]);
            }
            slopes.iter_mut().zip(found.iter().flatten()).for_each(|(slot, &slope)| *slot = slope);
        }
        self.sweep.trail = Some(trail);
        let value = |&found: &[f64; 3]| if which == 2 { self.survival(found) } else { found[which] };
        (self.found.iter().map(value).collect(), slopes)
    }

    fn survival(&self, [_, absorbed, alive]: [f64; 3]) -> f64 {
        if self.defect { 1.0 - absorbed } else { alive }
    }

    /// The log-likelihood of observations of exactly 0.
    fn at_zero(&self, zeros: usize) -> f64 {
        if zeros == 0 {
            return 0.0;
        }
        let atom = self.chains[0].atom();
        let value = if atom > 0.0 { atom } else { self.flow() };
        if value < NOTHING { f64::NEG_INFINITY } else { zeros as f64 * value.ln() }
    }

    /// The density at 0.
    fn flow(&self) -> f64 {
        let exits = self.chains[0].exits();
        self.chains[0].start().iter().map(|&(at, probability)| probability * exits[at as usize]).sum()
    }

    /// Adds a multiple of the gradient of the density at 0; the atom does not depend on θ.
    fn flow_gradient(&self, scale: f64, gradient: &mut [f64]) {
        let chain = &self.chains[0];
        let mut exits = vec![0.0; chain.len()];
        for &(at, probability) in chain.start() {
            exits[at as usize] = scale * probability;
        }
        let none = vec![0.0; chain.len()];
        chain.pull_back([&vec![0.0; chain.rates().len()], &exits, &none, &[]], gradient);
    }
}
