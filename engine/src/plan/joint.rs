//! Two totals together: their covariance and its derivatives, without subtracting squares of means.
//!
//! With x and y the expected totals from each vertex, the covariance C of the totals from a vertex obeys, by the law of
//! total covariance over its next step, the same equations as x and y do, with the right-hand side
//! `R S / w + Σ_u w(v,u) d_u e_u`, where w is the vertex's rate and d and e are how far x and y are from their means after
//! the step (in discrete time without the first term: a step earns a fixed reward). The textbook's `E[XY] − E[X] E[Y]`
//! loses as many digits as the totals are regular, this one none: a variance is a sum of squares. It has another weakness:
//! rounding of x counts at every step, and a total of more than 1e15 steps leaves nothing. So a covariance is first asked
//! of the textbook, then, if that cancels, of this one with an estimate of its error, and if that is too large of the
//! textbook with twice the digits (`covariance`).
//!
//! Derivatives are made of deviations, too. With λ the adjoint of C, and those of x and y the solutions of the transposed
//! equations for `Σ_v λ_v w(v,u) e_u` and `Σ_v λ_v w(v,u) d_u`, a weight has
//! `λ_v (d_u e_u − V_v + c_u − 2 R S / w²) + μ_v (d_u − R / w) + ν_v (e_u − S / w)`, with V the mean of `d e` and c how far C
//! is from its mean after the step (in discrete time without R and S). All of it is 0 at an only way, but for the waiting.

use super::Plan;
use super::deviations::{Deviations, rates};
use super::kernel::Factors;
use super::lane::Lane;
use super::slopes::{Way, Weighed};

/// The joint second-order behaviour of two totals, by position.
#[derive(Debug)]
pub(super) struct Joint<'a, L> {
    plan: &'a Plan,
    factors: &'a Factors<L>,
    /// Sums of weights.
    rates: Vec<L>,
    first: Total<'a, L>,
    /// None when both are the same total.
    second: Option<Total<'a, L>>,
    /// The mean of the product of both deviations.
    spread: Vec<Weighed<L>>,
    covariances: Vec<Weighed<L>>,
}

#[derive(Debug)]
struct Total<'a, L> {
    rewards: &'a [f64],
    means: Deviations<L>,
}

/// Derivatives of one covariance with respect to right-hand sides.
#[derive(Debug)]
pub(super) struct Adjoints<L> {
    covariance: Vec<L>,
    first: Vec<Weighed<L>>,
    second: Option<Vec<Weighed<L>>>,
    /// Of the covariances themselves.
    deviations: Deviations<L>,
}

impl<'a, L: Lane> Joint<'a, L> {
    pub(super) fn new(plan: &'a Plan, factors: &'a Factors<L>, first: &'a [f64], second: &'a [f64]) -> Self {
        let rates = rates(plan, factors);
        let total = |rewards: &'a [f64]| {
            let means = factors.solution(plan, rewards, None).into_iter().map(Weighed::exact).collect();
            Total { rewards, means: Deviations::new(plan, factors, &rates, means) }
        };
        let (first, second) = (total(first), (first != second).then(|| total(second)));
        let nothing = Weighed::exact(L::splat(0.0));
        let spread = vec![nothing; rates.len()];
        let mut joint = Self { plan, factors, rates, first, second, spread, covariances: Vec::new() };
        joint.spread = (0..joint.rates.len()).map(|from| joint.spread_at(from)).collect();
        joint.covariances = joint.solved();
        joint
    }

    fn second(&self) -> &Total<'a, L> {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// The mean of the product of both deviations.
    fn spread_at(&self, from: usize) -> Weighed<L> {
        let mut spread = Weighed::exact(L::splat(0.0));
        self.factors.each_weight(self.plan, from, |way, weight| {
            let (d, e) = (self.first.means.of(way), self.second().means.of(way));
            let mut product = d * e;
            product.size += f64::EPSILON * (d.size * e.size);
            spread = spread + product.scaled(weight / self.rates[from]);
        });
        spread
    }

    /// The time that a position takes, times a reward.
    fn waited(&self, total: &Total<'_, L>, from: usize) -> Weighed<L> {
        let passes = !self.plan.discrete && self.rates[from].lowest() > 0.0;
        let reward = L::splat(if passes { total.rewards[from] } else { 0.0 });
        Weighed::exact(if passes { reward / self.rates[from] } else { reward })
    }

    /// The covariances and how far rounding may move them.
    fn solved(&self) -> Vec<Weighed<L>> {
        let (mut values, mut sizes) = (Vec::new(), Vec::new());
        for (from, &spread) in self.spread.iter().enumerate() {
            let waited = self.waited(&self.first, from) * self.waited(self.second(), from);
            // Totals of a position's rewards are by rate, but for discrete time.
            let rate = if self.plan.discrete { L::splat(1.0) } else { self.rates[from] };
            values.push((waited.value + spread.value) * rate);
            sizes.push(rate * L::splat(spread.size));
        }
        let ones = vec![1.0; values.len()];
        let solve = |right: &[L]| self.factors.solution(self.plan, &ones, Some(right));
        let covariances = solve(&values).into_iter().zip(solve(&sizes));
        covariances.map(|(value, size)| Weighed { value, size: size.highest() }).collect()
    }

    /// The covariance from the start, if rounding moves it by little: less than 64 units of the precision.
    pub(super) fn good(&self) -> Option<L> {
        self.covariance().good()
    }

    /// The covariance from the start, however good.
    pub(super) fn covariance(&self) -> Weighed<L> {
        self.covariances[self.plan.start()]
    }

    /// That from every position.
    pub(super) fn covariances(&self) -> &[Weighed<L>] {
        &self.covariances
    }

    /// Whether all solutions are within range.
    pub(super) fn is_finite(&self) -> bool {
        let totals = [self.first.means.function(), self.second().means.function(), &self.covariances];
        totals.into_iter().flatten().all(|x| x.value.all(f64::is_finite))
    }

    /// One reverse sweep from the covariance at the start: an adjoint solve, and two for each different total.
    pub(super) fn adjoints(&self) -> Adjoints<L> {
        let (plan, factors) = (self.plan, self.factors);
        let mut covariance = vec![L::splat(0.0); self.rates.len()];
        covariance[plan.start()] = L::splat(1.0);
        factors.solve_transposed(plan, &mut covariance);
        let through = |by: &Total<'_, L>, scale: f64| {
            let mut values = vec![L::splat(0.0); covariance.len()];
            let mut sizes = values.clone();
            for (from, &adjoint) in covariance.iter().enumerate() {
                factors.each_weight(plan, from, |way, weight| {
                    if let Some(to) = way.target {
                        let seed = by.means.of(way).scaled(L::splat(scale) * adjoint * weight);
                        values[to] = values[to] + seed.value;
                        sizes[to] = sizes[to] + L::splat(seed.size);
                    }
                });
            }
            factors.solve_transposed(plan, &mut values);
            factors.solve_transposed(plan, &mut sizes);
            let both = values.into_iter().zip(sizes);
            both.map(|(value, size)| Weighed { value, size: size.highest() }).collect()
        };
        let (first, second) = match &self.second {
            None => (through(&self.first, 2.0), None),
            Some(second) => (through(second, 1.0), Some(through(&self.first, 1.0))),
        };
        let known = self
            .covariances
            .iter()
            .map(|&Weighed { value, size }| Weighed { value, size: size + value.highest().abs() });
        let deviations = Deviations::new(plan, factors, &self.rates, known.collect());
        Adjoints { covariance, first, second, deviations }
    }

    /// The derivative with respect to a weight.
    pub(super) fn slope(&self, adjoints: &Adjoints<L>, way: Way) -> Weighed<L> {
        let (first, second, from) = (&self.first, self.second(), way.at);
        let (r, s) = (self.waited(first, from), self.waited(second, from));
        let (d, e) = (first.means.of(way), second.means.of(way));
        let waiting = (r * s).scaled(L::splat(-2.0));
        let later = d * e + self.spread[from].negated() + adjoints.deviations.of(way) + waiting;
        let slope = later.scaled(adjoints.covariance[from]) + adjoints.first[from] * (d + r.negated());
        match &adjoints.second {
            Some(adjoint) => slope + adjoint[from] * (e + s.negated()),
            None => slope,
        }
    }
}

impl Joint<'_, f64> {
    /// The covariance from the start, given the textbook's two terms: what is left of their difference, if that is good.
    pub(super) fn better(&self, cross: f64, product: f64) -> f64 {
        let Weighed { value, size } = self.covariances[self.plan.start()];
        if size <= 4.0 * (cross.abs() + product.abs()) && !value.is_nan() { value } else { cross - product }
    }
}
