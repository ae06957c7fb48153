//! Density, distribution function, survival and hazard at any number of times, in one sweep.

use super::chain::Chain;
use super::poisson::{self, Reach, Reciprocals};
use super::sweep::{Precision, Segment, Sweep, in_ones};
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
    /// Of the peak of the density: the tolerance.
    Peak,
    /// Relative to each probability, as far as f64 holds it; densities are not asked for.
    Value,
    /// Relative to each value, however small, as logarithms and quotients of them need it.
    Logarithm,
}

/// Values are found as far as f64 holds them, with room for the units they are in.
pub(super) const BITS_OF_VALUE: i32 = 1700;
/// And this is as far as logarithms are: about −10⁶.
pub(super) const BITS_OF_LOGARITHM: i32 = 1_500_000;

impl Distribution<'_> {
    /// The density `f(t) = α e^{St} s` at each time, by uniformization: `Σ_k P(N = k) α Pᵏ s` for a number of jumps `N` that is
    /// Poisson with mean `λt` and `P = I + S/λ` (Jensen, Skandinavisk Aktuarietidskrift 36, 1953; all times in one pass as
    /// Reibman and Trivedi, Computers & Operations Research 15, 1988).
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

    /// The distribution function `F(t) = P(T ≤ t) = Σα − α e^{St} 1` at each time, the atom at 0 included: what is absorbed by
    /// the `k`-th jump, weighted as in [`pdf`](Self::pdf), so that nothing cancels where it is small.
    ///
    /// Where initial probabilities sum to less than one it ends at their sum, see [`Start`](super::Start). Errors and
    /// cost are those of [`pdf`](Self::pdf).
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn cdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.cdf)
    }

    /// The survival function `P(T > t) = 1 − Σα + α e^{St} 1` at each time, accurate where it is small: the mass alive after
    /// `k` jumps, weighted as in [`pdf`](Self::pdf), with errors relative to each value. One sweep, as long as that of a
    /// density or somewhat longer.
    ///
    /// What never starts survives for ever.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn survival(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve_with(times, Accuracy::Value)?.survival)
    }

    /// The hazard rate `f(t) / P(T > t)` at each time, per unit of time (Barlow and Proschan, Statistical Theory of
    /// Reliability and Life Testing, 1975, chapter 3); NaN where survival is zero, or below about `e^−10⁶`. One sweep, as for
    /// [`survival`](Self::survival), with small relative errors.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn hazard(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        let points = self.points(times, Accuracy::Logarithm)?;
        Ok(Survival::of(&self.chain).hazards(&points))
    }

    /// Density `α e^{St} s`, distribution function and survival function at each time, in one sweep: what [`pdf`](Self::pdf),
    /// by whose method and at whose cost, and [`cdf`](Self::cdf) have alone.
    ///
    /// # Errors
    /// As [`pdf`](Self::pdf).
    pub fn curve(&self, times: &[f64]) -> Result<Curve, DistributionError> {
        self.curve_with(times, Accuracy::Peak)
    }

    pub(super) fn curve_with(&self, times: &[f64], accuracy: Accuracy) -> Result<Curve, DistributionError> {
        let points = self.points(times, accuracy)?;
        Ok(Survival::of(&self.chain).curve(&points))
    }

    fn points(&self, times: &[f64], accuracy: Accuracy) -> Result<Vec<Point>, DistributionError> {
        check_times(times)?;
        let order = ascending(times);
        let sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
        let finite = sorted.partition_point(|time| time.is_finite());
        let horizon = if finite == 0 { 0.0 } else { sorted[finite - 1] };
        let mut values = held_to_peak(self.precision(horizon, accuracy), |precision| {
            let mut values = Values::new(times.len(), accuracy);
            let mut sweep = Sweep::new(&self.chain, precision);
            sweep.stops = Some(sorted[..finite].to_vec());
            sweep.horizon = horizon;
            sweep.first_asked = first_above_zero(&sorted);
            values.at_zero(&self.chain, &sorted);
            let swept = sweep.advance(&self.chain, horizon, None, &mut Segment::default(), |segment| {
                values.read(segment, &sorted[..finite]);
            });
            swept.map_err(|error| {
                let first = sweep.first_too_far(&self.chain, &sorted[..finite]);
                error.of_index(first.map(|at| order[at] as usize))
            })?;
            Ok((values, sweep))
        })?
        .0;
        if sorted.len() > finite {
            // Where absorption is certain, nothing is left: two sums would not cancel.
            let forever = self.absorption_of_certain().or_else(|_| self.absorption())?;
            values.rest(forever, self.chain.mass());
        }
        Ok(values.in_order(&order))
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

    /// Its value at a point.
    pub(super) fn at(self, point: &Point) -> f64 {
        self.value(point.absorbed, in_ones(point.alive, point.exponent))
    }

    /// A multiple of it, as coefficients of density, distribution function and mass alive in ones.
    pub(super) fn times(self, coefficient: f64) -> [f64; 3] {
        if self.lossy { [0.0, -coefficient, 0.0] } else { [0.0, 0.0, coefficient] }
    }

    /// Whether it is the mass alive and nothing else, so that it may be in units of its own.
    pub(super) fn is_alive(self) -> bool {
        !self.lossy && self.missing == 0.0
    }

    /// The three functions.
    pub(super) fn curve(self, points: &[Point]) -> Curve {
        Curve {
            pdf: points.iter().map(Point::density_in_ones).collect(),
            cdf: points.iter().map(|point| point.absorbed).collect(),
            survival: points.iter().map(|point| self.at(point)).collect(),
        }
    }

    /// Hazard rates.
    pub(super) fn hazards(self, points: &[Point]) -> Vec<f64> {
        let hazard = |point: &Point| {
            if self.is_alive() {
                point.density / point.alive
            } else {
                point.density_in_ones() / self.at(point)
            }
        };
        points.iter().map(hazard).collect()
    }
}

/// What was found at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Point {
    /// Density and mass alive are in units of 2 to the power of minus `exponent`.
    pub(super) density: f64,
    pub(super) absorbed: f64,
    pub(super) alive: f64,
    pub(super) exponent: i32,
}

impl Point {
    /// The sum of the three numbers times coefficients, those of density and mass alive in units of 2 to the power of minus
    /// `unit`, in which this sum is, too, as far as it is one of them.
    pub(super) fn combined(&self, [density, absorbed, alive]: [f64; 3], unit: i32) -> f64 {
        in_ones(density * self.density + alive * self.alive, self.exponent - unit) + absorbed * self.absorbed
    }

    pub(super) fn density_in_ones(&self) -> f64 {
        in_ones(self.density, self.exponent)
    }
}

/// What a sweep finds that drops so little that it is within its tolerance of the largest density it finds.
///
/// Mostly the first does. Where a density is small that begins with much less mass than there is, or lasts for much longer
/// than most exits, it is run again.
pub(super) fn held_to_peak<T>(
    mut precision: Precision,
    mut swept: impl FnMut(Precision) -> Result<(T, Sweep), DistributionError>,
) -> Result<(T, Sweep), DistributionError> {
    loop {
        let (found, sweep) = swept(precision)?;
        match sweep.stricter() {
            Some(stricter) => precision = stricter,
            None => return Ok((found, sweep)),
        }
    }
}

/// The first of ascending times at which something may have happened; infinite if there is none.
pub(super) fn first_above_zero(times: &[f64]) -> f64 {
    times.iter().copied().find(|&time| time > 0.0).unwrap_or(f64::INFINITY)
}

/// How much mass a sweep to `horizon` may drop at a time so that the error of the density stays within the tolerance.
///
/// A peak is at least the mass absorbed over the time it took, and dropped mass adds at most the largest exit rate. That is
/// enough where about all is absorbed by then; where not, see [`held_to_peak`].
pub(super) fn precision(chain: &Chain<'_>, horizon: f64, tolerance: f64, accuracy: Accuracy) -> Precision {
    let fastest = chain.exits().iter().fold(0.0_f64, |most, &exit| most.max(exit));
    let relative =
        Precision { mass: 1e-30, relative: true, least: 0.0, tolerance: 0.0, bits: 0, densities: true };
    match accuracy {
        Accuracy::Peak => {
            let mass = tolerance * 1e-4 / (1.0 + fastest * horizon);
            let mass = mass.clamp(1e-30, 1e-18);
            Precision { mass, relative: false, tolerance: 0.1 * tolerance, ..relative }
        }
        Accuracy::Value => Precision { bits: BITS_OF_VALUE, densities: false, ..relative },
        Accuracy::Logarithm => Precision { bits: BITS_OF_LOGARITHM, ..relative },
    }
}

/// Values at sorted times, filled from segment to segment.
pub(super) struct Values {
    found: Vec<Point>,
    done: usize,
    reach: Reach,
    reciprocals: Reciprocals,
    means: Vec<f64>,
    mixed: Vec<[f64; 3]>,
}

impl Values {
    pub(super) fn new(count: usize, accuracy: Accuracy) -> Self {
        Self {
            found: vec![Point::default(); count],
            done: 0,
            reach: if accuracy == Accuracy::Peak { Reach::Middle } else { Reach::Tails },
            reciprocals: Reciprocals::default(),
            means: Vec::new(),
            mixed: Vec::new(),
        }
    }

    pub(super) fn at_zero(&mut self, chain: &Chain<'_>, times: &[f64]) {
        let zeros = times.partition_point(|&time| time <= 0.0);
        // The sum of no numbers is −0 in Rust.
        let start = chain.start().iter();
        let density =
            start.clone().fold(0.0, |sum, &(at, probability)| sum + probability * chain.exits()[at as usize]);
        let alive = start.fold(0.0, |sum, &(_, probability)| sum + probability);
        self.found[..zeros].fill(Point { density, absorbed: chain.atom(), alive, exponent: 0 });
        self.done = zeros;
    }

    /// Fills in the times of a segment.
    pub(super) fn read(&mut self, segment: &Segment, times: &[f64]) {
        let until = self.done + times[self.done..].partition_point(|&time| time <= segment.end);
        self.means.clear();
        self.means.extend(times[self.done..until].iter().map(|time| (time - segment.begin) * segment.rate));
        let series = [&segment.flows[..], &segment.absorbed, &segment.alive];
        self.mixed.clear();
        self.mixed.resize(until - self.done, [0.0; 3]);
        poisson::mix(&self.means, series, self.reach, &mut self.reciprocals, &mut self.mixed);
        for (point, &[density, absorbed, alive]) in self.found[self.done..until].iter_mut().zip(&self.mixed) {
            *point = Point { density, absorbed, alive, exponent: segment.exponent };
        }
        self.done = until;
    }

    /// Times at infinity.
    pub(super) fn rest(&mut self, absorbed: f64, mass: f64) {
        let alive = (mass - absorbed).max(0.0);
        self.found[self.done..].fill(Point { density: 0.0, absorbed, alive, exponent: 0 });
    }

    /// What was found at each of the sorted times.
    pub(super) fn into_found(self) -> Vec<Point> {
        self.found
    }

    /// The same in the order that times were asked for in.
    pub(super) fn in_order(self, order: &[u32]) -> Vec<Point> {
        let mut points = vec![Point::default(); self.found.len()];
        for (&at, point) in order.iter().zip(self.found) {
            points[at as usize] = point;
        }
        points
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
