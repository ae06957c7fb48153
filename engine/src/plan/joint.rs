//! Two totals together: their covariance and its derivatives, without subtracting squares of means.
//!
//! With x and y the expected totals from each vertex, the covariance C of the totals from a vertex obeys, by the law of
//! total covariance over its next step, the same equations as x and y do, with the right-hand side
//! `R S / rate + Σ_u w(v,u) (x_u − m)(y_u − n)`, where m and n are the means of x and y after the step (in discrete time
//! without the first term: a step earns a fixed reward). The textbook's `E[XY] − E[X] E[Y]` loses as many digits as the
//! totals are regular, this one none: a variance is a sum of squares. It has another weakness: rounding of x counts at
//! every step, and a total of more than 1e15 steps leaves nothing. So a covariance is first asked of the textbook, then, if
//! that cancels, of this one with an estimate of its error, and if that is too large of the textbook with twice the digits
//! (`covariance`).

use super::At;
use super::chain;
use super::kernel::Source;

/// The joint second-order behaviour of two totals, by position.
#[derive(Debug)]
pub(super) struct Joint<'a> {
    first: Total<'a>,
    /// None when both are the same total.
    second: Option<Total<'a>>,
    covariances: Vec<f64>,
    /// An estimate of the error of the covariance at the start.
    error: f64,
}

#[derive(Debug)]
struct Total<'a> {
    rewards: &'a [f64],
    means: Vec<f64>,
}

/// Derivatives of one covariance with respect to right-hand sides.
pub(super) struct Adjoints {
    covariance: Vec<f64>,
    first: Vec<f64>,
    second: Option<Vec<f64>>,
}

impl<'a> Total<'a> {
    fn new(at: &At<'_>, rewards: &'a [f64]) -> Self {
        let mut solutions = [Vec::new()];
        chain::solve(at.plan, &at.factors, rewards, &mut solutions);
        let [means] = solutions;
        Self { rewards, means }
    }

    /// How far the total to come is from what it was, at a step: continuous time, where waiting earns gradually; in
    /// discrete time the reward of the step is taken off first.
    fn step(&self, discrete: bool, at: usize, target: Option<usize>) -> f64 {
        let earned = if discrete { self.rewards[at] } else { 0.0 };
        target.map_or(0.0, |target| self.means[target]) - (self.means[at] - earned)
    }
}

impl<'a> Joint<'a> {
    pub(super) fn new(at: &At<'_>, first: &'a [f64], second: &'a [f64]) -> Self {
        let same = first == second;
        let first = Total::new(at, first);
        let second = (!same).then(|| Total::new(at, second));
        let Spread { values, noise } = Spread::new(at, &first, second.as_ref().unwrap_or(&first));
        let mut covariances = vec![0.0; values.len()];
        let mut errors = covariances.clone();
        at.factors.solve_all(
            at.plan,
            Source { rewards: &values, of: None, earlier: 0 },
            covariances.as_chunks_mut::<1>().0,
        );
        at.factors.solve_all(
            at.plan,
            Source { rewards: &noise, of: None, earlier: 0 },
            errors.as_chunks_mut::<1>().0,
        );
        Self { first, second, covariances, error: errors[at.start] }
    }

    fn second(&self) -> &Total<'a> {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// The covariance from the start, if rounding moves it by little: less than 1.5e-14 of it.
    pub(super) fn good(&self, start: usize) -> Option<f64> {
        let covariance = self.covariances[start];
        (self.error <= 64.0 * f64::EPSILON * covariance.abs()).then_some(covariance)
    }

    /// Whether all solutions are within range.
    pub(super) fn is_finite(&self) -> bool {
        let totals = [&self.first.means, &self.second().means, &self.covariances];
        totals.into_iter().flatten().all(|x| x.is_finite())
    }

    /// The covariance from the start, given the textbook's two terms: what is left of their difference, if that is good.
    pub(super) fn better(&self, start: usize, cross: f64, product: f64) -> f64 {
        let rounding = 4.0 * f64::EPSILON * (cross.abs() + product.abs());
        if self.error <= rounding && !self.covariances[start].is_nan() {
            self.covariances[start]
        } else {
            cross - product
        }
    }

    /// One reverse sweep from the covariance at the start: an adjoint solve, and one for each different total.
    pub(super) fn adjoints(&self, at: &At<'_>) -> Adjoints {
        let plan = at.plan;
        let mut covariance = vec![0.0; self.covariances.len()];
        covariance[at.start] = 1.0;
        at.factors.solve_transposed(plan, &mut covariance);
        // Σ_u w (x_u − x_v)(y_u − y_v) differentiated by x: w (y_u − y_v) at u and, as y solves its equations, S at v.
        let through = |by: &Total<'_>, scale: f64| {
            let mut seed: Vec<f64> = if plan.discrete {
                vec![0.0; covariance.len()]
            } else {
                (0..covariance.len()).map(|at| scale * covariance[at] * by.rewards[at]).collect()
            };
            for (from, &adjoint) in covariance.iter().enumerate() {
                at.each_weight(from, |target, weight| {
                    if let Some(to) = target {
                        let step = by.step(plan.discrete, from, Some(to));
                        seed[to] += scale * adjoint * weight * step;
                    }
                });
            }
            at.factors.solve_transposed(plan, &mut seed);
            seed
        };
        match &self.second {
            None => Adjoints { first: through(&self.first, 2.0), second: None, covariance },
            Some(second) => {
                Adjoints { first: through(second, 1.0), second: Some(through(&self.first, 1.0)), covariance }
            }
        }
    }

    /// The derivative with respect to a weight.
    pub(super) fn slope(&self, discrete: bool, adjoints: &Adjoints, at: usize, target: Option<usize>) -> f64 {
        let first = self.first.step(discrete, at, target);
        let second = self.second().step(discrete, at, target);
        let later = target.map_or(0.0, |target| self.covariances[target]) - self.covariances[at];
        let mut slope = adjoints.covariance[at] * (first * second + later) + adjoints.first[at] * first;
        if let Some(adjoint) = &adjoints.second {
            slope += adjoint[at] * second;
        }
        slope
    }
}

/// The right-hand side of the covariance's equations (by rate, in discrete time), and how far rounding may move it.
struct Spread {
    values: Vec<f64>,
    noise: Vec<f64>,
}

impl Spread {
    fn new(at: &At<'_>, first: &Total<'_>, second: &Total<'_>) -> Self {
        let count = first.means.len();
        let mut spread = Self { values: vec![0.0; count], noise: vec![0.0; count] };
        for from in 0..count {
            (spread.values[from], spread.noise[from]) = Self::at(at, from, first, second);
        }
        spread
    }

    fn at(at: &At<'_>, from: usize, first: &Total<'_>, second: &Total<'_>) -> (f64, f64) {
        let (mut rate, mut mean, mut other) = (0.0, 0.0, 0.0);
        at.each_weight(from, |target, weight| {
            rate += weight;
            if let Some(to) = target {
                mean += weight * first.means[to];
                other += weight * second.means[to];
            }
        });
        if rate == 0.0 {
            return (0.0, 0.0);
        }
        (mean, other) = (mean / rate, other / rate);
        let discrete = at.plan.discrete;
        let waiting = if discrete { 0.0 } else { first.rewards[from] / rate * second.rewards[from] };
        let (mut value, mut noise) = (0.0, 0.0);
        at.each_weight(from, |target, weight| {
            let of = |total: &Total<'_>| target.map_or(0.0, |to| total.means[to]);
            let (x, y) = (of(first) - mean, of(second) - other);
            let rounding = |total: &Total<'_>, mean: f64| f64::EPSILON * (of(total).abs() + mean.abs());
            let (dx, dy) = (rounding(first, mean), rounding(second, other));
            value += weight * (x * y);
            noise += weight * (dx * y.abs() + dy * x.abs() + dx * dy);
        });
        if discrete { (value / rate, noise / rate) } else { (waiting + value, noise) }
    }
}
