//! Density, distribution function, survival and hazard at any number of times, in one sweep.

use super::chain::Chain;
use super::poisson::{self, Reach, Reciprocals};
use super::sweep::{Precision, Segment, Sweep};
use super::{Distribution, DistributionError};

/// The distribution of the time to absorption at given times, in the order the times were given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// Density, per unit of time; without the atom at 0.
    pub pdf: Vec<f64>,
    /// Probability of being absorbed by then.
    pub cdf: Vec<f64>,
    /// Probability of not being absorbed by then: summed by itself, so without the rounding of `1 − cdf`, but no more
    /// accurate than the tolerance; [`Distribution::survival`] keeps its digits however little is left.
    pub survival: Vec<f64>,
}

/// Which error a sweep may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accuracy {
    /// The tolerance, of the peak of the density.
    OfPeak,
    /// Relative to each value, however small, as likelihoods need it.
    OfValue,
}

impl Distribution<'_> {
    /// The density `f(t) = α e^{St} s` at each time.
    ///
    /// The atom at 0 that a start edge into absorption makes is not part of it; 0 at infinity. The error is at most the
    /// [tolerance](Self::tolerance) times the peak of the density. One sweep for all times: about `λ·max t` steps of a
    /// multiply-add per edge, where λ is the largest rate that still matters; fewer once the process is in a steady state.
    /// Where that is too much, up to 1,024 vertices leap by powers of a dense matrix: `n³ log₂ λt` multiply-adds.
    ///
    /// # Errors
    /// [`DistributionError::Time`] for a time that is negative or not a number; [`DistributionError::Jumps`] when
    /// uniformization takes more than 10⁹ jumps and no other way is shorter.
    pub fn pdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.pdf)
    }

    /// The distribution function `F(t) = P(T ≤ t)` at each time, the atom at 0 included.
    ///
    /// Where initial probabilities sum to less than one it ends at their sum, see [`Start`](super::Start). Errors and
    /// cost are those of [`pdf`](Self::pdf).
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn cdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.cdf)
    }

    /// The survival function `P(T > t)` at each time, accurate where it is small.
    ///
    /// What never starts survives for ever.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn survival(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve_with(times, Accuracy::OfValue)?.survival)
    }

    /// The hazard rate `f(t) / P(T > t)` at each time, per unit of time; NaN where survival is zero.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn hazard(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        let Curve { pdf, survival, .. } = self.curve_with(times, Accuracy::OfValue)?;
        Ok(pdf.iter().zip(&survival).map(|(density, alive)| density / alive).collect())
    }

    /// Density, distribution function and survival function at each time, in one sweep.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn curve(&self, times: &[f64]) -> Result<Curve, DistributionError> {
        self.curve_with(times, Accuracy::OfPeak)
    }

    pub(super) fn curve_with(&self, times: &[f64], accuracy: Accuracy) -> Result<Curve, DistributionError> {
        check_times(times)?;
        let order = ascending(times);
        let mut values = Values::new(times.len(), accuracy);
        let sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
        let finite = sorted.partition_point(|time| time.is_finite());
        let horizon = if finite == 0 { 0.0 } else { sorted[finite - 1] };
        let mut sweep = Sweep::new(&self.chain, self.precision(horizon, accuracy));
        sweep.stops = Some(sorted[..finite].to_vec());
        sweep.horizon = horizon;
        let mut segment = Segment::default();
        values.at_zero(&self.chain, &sorted);
        let swept = sweep.advance(&self.chain, horizon, None, &mut segment, |segment| {
            values.read(segment, &sorted[..finite]);
        });
        swept.map_err(|error| {
            let first = sweep.first_too_far(&self.chain, &sorted[..finite]);
            error.of_index(first.map(|at| order[at] as usize))
        })?;
        let forever = match sorted.get(finite) {
            // Where absorption is certain, nothing is left: two sums would not cancel.
            Some(_) => self.absorption_of_certain().or_else(|_| self.absorption())?,
            None => 0.0,
        };
        values.rest(forever, self.chain.mass());
        Ok(values.in_order(&order, Survival::of(&self.chain)))
    }

    /// How precise a sweep to `horizon` has to be.
    pub(super) fn precision(&self, horizon: f64, accuracy: Accuracy) -> Precision {
        precision(&self.chain, horizon, self.tolerance_of_peak, accuracy)
    }

    /// What is missing from certain absorption, if anything worth mentioning.
    pub(super) fn defect(&self) -> bool {
        self.chain.kept_back() > 0.0
    }
}

/// How the survival function is made of what is absorbed and what is alive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Survival {
    /// What never starts.
    missing: f64,
    /// Whether some of what starts may be lost on a way back through the start, and survive for ever, too.
    lossy: bool,
}

impl Survival {
    pub(super) fn of(chain: &Chain<'_>) -> Self {
        let missing = chain.kept_back();
        Self { missing, lossy: missing > 0.0 && !chain.pattern().back_forms.is_empty() }
    }

    /// Its value: a sum, wherever nothing is lost.
    pub(super) fn value(self, absorbed: f64, alive: f64) -> f64 {
        if self.lossy { 1.0 - absorbed } else { self.missing + alive }
    }

    /// A multiple of it, as coefficients of density, distribution function and mass alive.
    pub(super) fn times(self, coefficient: f64) -> [f64; 3] {
        if self.lossy { [0.0, -coefficient, 0.0] } else { [0.0, 0.0, coefficient] }
    }
}

/// How much mass a sweep to `horizon` may drop at a time so that the error of the density stays within the tolerance.
///
/// A peak is at least the mass absorbed over the time it took, and dropped mass adds at most the largest exit rate.
pub(super) fn precision(chain: &Chain<'_>, horizon: f64, tolerance: f64, accuracy: Accuracy) -> Precision {
    let fastest = chain.exits().iter().fold(0.0_f64, |most, &exit| most.max(exit));
    match accuracy {
        Accuracy::OfPeak => {
            let mass = tolerance * 1e-4 / (1.0 + fastest * horizon);
            let mass = mass.clamp(1e-30, 1e-18);
            Precision { mass, relative: false, least: 0.0, tolerance: 0.1 * tolerance }
        }
        Accuracy::OfValue => Precision { mass: 1e-30, relative: true, least: 0.0, tolerance: 0.0 },
    }
}

/// Values at sorted times, filled from segment to segment.
pub(super) struct Values {
    /// Density, absorbed, alive.
    found: Vec<[f64; 3]>,
    done: usize,
    reach: Reach,
    reciprocals: Reciprocals,
    means: Vec<f64>,
}

impl Values {
    pub(super) fn new(count: usize, accuracy: Accuracy) -> Self {
        let reach = if accuracy == Accuracy::OfValue { Reach::Tails } else { Reach::Middle };
        let reciprocals = Reciprocals::default();
        Self { found: vec![[0.0; 3]; count], done: 0, reach, reciprocals, means: Vec::new() }
    }

    pub(super) fn at_zero(&mut self, chain: &Chain<'_>, times: &[f64]) {
        let zeros = times.partition_point(|&time| time <= 0.0);
        // The sum of no numbers is −0 in Rust.
        let start = chain.start().iter();
        let flow =
            start.clone().fold(0.0, |sum, &(at, probability)| sum + probability * chain.exits()[at as usize]);
        let alive = start.fold(0.0, |sum, &(_, probability)| sum + probability);
        self.found[..zeros].fill([flow, chain.atom(), alive]);
        self.done = zeros;
    }

    /// Fills in the times of a segment.
    pub(super) fn read(&mut self, segment: &Segment, times: &[f64]) {
        let until = self.done + times[self.done..].partition_point(|&time| time <= segment.end);
        self.means.clear();
        self.means.extend(times[self.done..until].iter().map(|time| (time - segment.begin) * segment.rate));
        let series = [&segment.flows[..], &segment.absorbed, &segment.alive];
        let out = &mut self.found[self.done..until];
        poisson::mix(&self.means, series, self.reach, &mut self.reciprocals, out);
        self.done = until;
    }

    /// Times at infinity.
    fn rest(&mut self, absorbed: f64, mass: f64) {
        let alive = (mass - absorbed).max(0.0);
        self.found[self.done..].fill([0.0, absorbed, alive]);
    }

    /// Density, absorbed and alive at each of the sorted times.
    pub(super) fn into_found(self) -> Vec<[f64; 3]> {
        self.found
    }

    pub(super) fn in_order(self, order: &[u32], survival: Survival) -> Curve {
        let count = self.found.len();
        let mut curve = Curve { pdf: vec![0.0; count], cdf: vec![0.0; count], survival: vec![0.0; count] };
        for (&at, [density, absorbed, alive]) in order.iter().zip(self.found) {
            let at = at as usize;
            curve.pdf[at] = density;
            curve.cdf[at] = absorbed;
            curve.survival[at] = survival.value(absorbed, alive);
        }
        curve
    }
}

/// Refuses times that are negative or not numbers.
pub(super) fn check_times(times: &[f64]) -> Result<(), DistributionError> {
    match times.iter().position(|time| time.is_nan() || *time < 0.0) {
        Some(index) => Err(DistributionError::Time { index, value: times[index] }),
        None => Ok(()),
    }
}

/// Refuses times that are negative, infinite or not numbers.
pub(super) fn check_finite(times: &[f64]) -> Result<(), DistributionError> {
    match times.iter().position(|time| !(0.0..f64::INFINITY).contains(time)) {
        Some(index) => Err(DistributionError::Time { index, value: times[index] }),
        None => Ok(()),
    }
}

/// Places of the times, earliest first.
pub(super) fn ascending(times: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    if !times.is_sorted() {
        order.sort_by(|&a, &b| times[a as usize].total_cmp(&times[b as usize]));
    }
    order
}
