//! A way forward to given times, through one process or several in turn, and gradients of what was found.

use std::f64::consts::LN_2;

use ndarray::Array3;

use super::DistributionError;
use super::adjoint::{Functional, Units};
use super::chain::Chain;
use super::curve::{Accuracy, Point, Survival, Values, first_above_zero, precision};
use super::error::of_epoch;
use super::leaps::{Found, values_and_slopes};
use super::observations::Observations;
use super::sweep::{EpochsAhead, Segment, Sweep, in_ones};
use super::trail::{Trail, WayBack};

/// A way to given times, and what was found there.
pub(super) struct Run<'p> {
    /// The processes, one after the other.
    chains: Vec<Chain<'p>>,
    /// What was found at each time.
    found: Vec<Point>,
    survival: Survival,
    back: Back,
}

/// How gradients are had.
enum Back {
    /// By going back over the jumps of a sweep, if it has kept a trail.
    Jumps(Box<Sweep>),
    /// They were found on the way: derivatives of density, distribution function and mass alive, in units of their own, by
    /// time, process and parameter.
    Known(Array3<Point>),
}

impl<'p> Run<'p> {
    /// Goes to the last of some times, ascending; `chains[i + 1]` begins at `breakpoints[i]`. With a way `back`, so that
    /// gradients can be had: by jumps or, where those are too many, by leaps.
    pub(super) fn new(
        chains: Vec<Chain<'p>>,
        breakpoints: &[f64],
        times: &[f64],
        back: Option<WayBack>,
    ) -> Result<Self, DistributionError> {
        let survival = Survival::of(&chains[0]);
        let by_jumps = |leaps: bool| {
            let trail = back.map(|back| Trail::of(back, leaps));
            swept(&chains, breakpoints, times, trail)
        };
        let (found, back) = match by_jumps(true) {
            Ok((found, sweep)) => (found, Back::Jumps(Box::new(sweep))),
            Err(error) if back.is_none() => return Err(error),
            Err(_) => {
                if let Some(Found { values, slopes }) = values_and_slopes(&chains, breakpoints, times) {
                    (values, Back::Known(slopes))
                } else {
                    let (found, sweep) = by_jumps(false)?;
                    (found, Back::Jumps(Box::new(sweep)))
                }
            }
        };
        Ok(Self { chains, found, survival, back })
    }

    /// The log-likelihood of observations at the times of this sweep.
    pub(super) fn log_likelihood(&self, observations: &Observations) -> f64 {
        let mut sum = self.at_zero(observations.zeros);
        for (&[seen, alive], point) in observations.counts.iter().zip(&self.found) {
            if seen > 0.0 {
                sum += seen * logarithm(point.density, point.exponent);
            }
            if alive > 0.0 {
                let of_survival = if self.survival.is_alive() {
                    logarithm(point.alive, point.exponent)
                } else {
                    self.survival.at(point).ln()
                };
                sum += alive * of_survival;
            }
        }
        sum
    }

    /// Its gradient with respect to the θ of each process; NaN where the log-likelihood is `−∞`.
    pub(super) fn log_likelihood_gradient(&mut self, observations: &Observations) -> Vec<Vec<f64>> {
        if self.log_likelihood(observations) == f64::NEG_INFINITY {
            return vec![vec![f64::NAN; self.chains[0].plan().param_length()]; self.chains.len()];
        }
        let coefficient = |count: f64, value: f64| if count > 0.0 { count / value } else { 0.0 };
        let each = observations.counts.iter().zip(&self.found);
        // Numbers that are not of masses alone are in ones.
        let (mut shares, mut others) = (Vec::new(), Vec::new());
        for (&[seen, alive], point) in each {
            let density = coefficient(seen, point.density);
            let [of_masses, of_ones] = if self.survival.is_alive() {
                [coefficient(alive, point.alive), 0.0]
            } else {
                [0.0, coefficient(alive, self.survival.at(point))]
            };
            shares.push([density, 0.0, of_masses]);
            others.push(self.survival.times(of_ones));
        }
        // A time of 0 was censored for nothing.
        let first = observations.times.partition_point(|&time| time <= 0.0);
        let times = &observations.times[first..];
        let mut gradients = self.pull(first, times, &shares[first..], Units::OfMasses);
        if others[first..].iter().flatten().any(|&coefficient| coefficient != 0.0) {
            let more = self.pull(first, times, &others[first..], Units::Ones);
            gradients.iter_mut().flatten().zip(more.iter().flatten()).for_each(|(sum, more)| *sum += more);
        }
        if observations.zeros > 0 && self.chains[0].atom() == 0.0 {
            self.flow_gradient(observations.zeros as f64 / self.flow(), &mut gradients[0]);
        }
        gradients
    }

    /// Gradients of `Σ coefficients · (density, distribution function, mass alive)`, in these units, over times above 0, of
    /// which `first` is the place of the first among all.
    fn pull(
        &mut self,
        first: usize,
        times: &[f64],
        coefficients: &[[f64; 3]],
        units: Units,
    ) -> Vec<Vec<f64>> {
        let parameters = self.chains[0].plan().param_length();
        match &mut self.back {
            Back::Jumps(sweep) => {
                let (times, coefficients) = (times.to_vec(), coefficients.to_vec());
                let functional = Functional { times, coefficients, units };
                let trail = sweep.trail.take().unwrap_or_default();
                let gradients = functional.gradients(&self.chains, sweep, &trail);
                sweep.trail = Some(trail);
                gradients
            }
            Back::Known(slopes) => {
                let mut gradients = vec![vec![0.0; parameters]; self.chains.len()];
                let each = slopes.outer_iter().zip(&self.found).skip(first).zip(coefficients);
                for ((slopes, point), coefficients) in each {
                    let unit = if units == Units::OfMasses { point.exponent } else { 0 };
                    for (slot, slope) in gradients.iter_mut().flatten().zip(&slopes) {
                        *slot += slope.combined(*coefficients, unit);
                    }
                }
                gradients
            }
        }
    }

    /// What was found of density (0), distribution function (1) or survival (2), and gradients: by time, process and
    /// parameter. One reverse sweep for each time.
    pub(super) fn gradients(&mut self, times: &[f64], which: usize) -> (Vec<f64>, Array3<f64>) {
        let parameters = self.chains[0].plan().param_length();
        let mut slopes = Array3::zeros((times.len(), self.chains.len(), parameters));
        let mut coefficients = [0.0; 3];
        coefficients[which] = 1.0;
        if which == 2 {
            coefficients = self.survival.times(1.0);
        }
        for (at, (mut slopes, &time)) in slopes.outer_iter_mut().zip(times).enumerate() {
            let mut found = vec![vec![0.0; parameters]; self.chains.len()];
            if time > 0.0 {
                found = self.pull(at, &[time], &[coefficients], Units::Ones);
            } else if which == 0 {
                self.flow_gradient(1.0, &mut found[0]);
            }
            slopes.iter_mut().zip(found.iter().flatten()).for_each(|(slot, &slope)| *slot = slope);
        }
        let value = |point: &Point| match which {
            0 => point.density_in_ones(),
            1 => point.absorbed,
            _ => self.survival.at(point),
        };
        (self.found.iter().map(value).collect(), slopes)
    }

    /// The log-likelihood of observations of exactly 0.
    fn at_zero(&self, zeros: usize) -> f64 {
        if zeros == 0 {
            return 0.0;
        }
        let atom = self.chains[0].atom();
        let value = if atom > 0.0 { atom } else { self.flow() };
        zeros as f64 * value.ln()
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

/// A sweep to the last of some times, and what it found at each.
fn swept(
    chains: &[Chain<'_>],
    breakpoints: &[f64],
    times: &[f64],
    trail: Option<Trail>,
) -> Result<(Vec<Point>, Sweep), DistributionError> {
    let first = &chains[0];
    let mut sweep = Sweep::new(first, precision(first, 0.0, 0.0, Accuracy::Logarithm));
    sweep.stops = Some(times.to_vec());
    let first_asked = first_above_zero(times);
    sweep.first_asked = first_asked;
    if !breakpoints.is_empty() {
        let mut epochs = EpochsAhead::ending_at(breakpoints);
        for chain in chains {
            epochs.add(chain, first_asked);
        }
        sweep.go_through(first, epochs, first_asked);
    }
    let mut values = Values::new(times.len(), Accuracy::Logarithm);
    values.at_zero(first, times);
    let mut segment = Segment::default();
    let horizon = times.last().copied().unwrap_or(0.0);
    if trail.is_some() {
        sweep.keep_what_is_hidden(chains, horizon);
    }
    sweep.trail = trail;
    for (epoch, chain) in chains.iter().enumerate() {
        if epoch > 0 {
            sweep.next_epoch(chain);
        }
        let until = breakpoints.get(epoch).map_or(horizon, |&breakpoint| breakpoint.min(horizon));
        // Rates of a later epoch may be others.
        sweep.horizon = if until >= horizon { horizon } else { f64::INFINITY };
        let advanced = sweep.advance(chain, until, None, &mut segment, |segment| values.read(segment, times));
        let named = advanced.map_err(|error| error.of_index(sweep.first_too_far(chain, times)));
        named.map_err(|error| if chains.len() > 1 { of_epoch(epoch)(error) } else { error })?;
        if until >= horizon {
            break;
        }
    }
    Ok((values.into_found(), sweep))
}

/// The logarithm of a number in units of `2^−exponent`. Their own logarithm is only added where the number would not be one in
/// ones: a sum would round what the logarithm is small beside.
pub(super) fn logarithm(value: f64, exponent: i32) -> f64 {
    let ones = in_ones(value, exponent);
    if ones.is_normal() { ones.ln() } else { value.ln() - f64::from(exponent) * LN_2 }
}
