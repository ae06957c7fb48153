//! Gradients of raw moments of totals that are earned jump by jump.
//!
//! Let `A` be the generator with its sign turned, `B` the weights between vertices that are left and `y_k = E[Yᵏ]/k!` by
//! position, with 1 for `y₀`, also after absorption. What the first jump brings (Kemeny and Snell, Finite Markov Chains, 1960,
//! chapter 3) is the product of two exponential series, so that `A y_k = Σ ρ_j ∘ B y_{k−j}` over `j` from 1 to `k`, with
//! `ρ_j = Rʲ/j!`. Equations of that form have adjoints of that form: with `ν₀` the transposed solution for the start,
//! `g_d = Σ ρ_j ∘ ν_{d−j}` over `j` from 1 to `d` and `ν_d = A⁻ᵀ Bᵀ g_d`, a weight from v to u adds
//! `Σ (g_{k−i} + ν_{k−i})(v) y_i(u)` over `i` from 0 to `k`, less `ν_k(v) y₀(u)` and `Σ ν_{k−i}(v) y_i(v)` over `i` from 1, to the
//! slope of `y_k`. So one sequence of transposed solves serves all moments.
//!
//! Terms of both signs cancel there, and powers leave the range of f64: all of it is done with twice the digits and endless
//! exponents.

use super::kernel::Factors;
use super::lane::Lane;
use super::slopes::{ByParameter, Gather, Way};
use super::wide::Wide;
use super::{At, EvaluationError, Plan};

const ZERO: Wide = Wide::ZERO;

/// What slopes are made of, by order and position.
struct JumpMoments<'a> {
    plan: &'a Plan,
    factors: &'a Factors<Wide>,
    /// `ρ_j`, from 0.
    earned: Vec<Vec<Wide>>,
    /// `y_k`, from 1.
    moments: Vec<Vec<Wide>>,
    /// `ν_d` and `g_d`, from 0.
    adjoints: Vec<Vec<Wide>>,
    sources: Vec<Vec<Wide>>,
}

impl At<'_> {
    /// Gradients with respect to θ of the first `count` raw moments of a total, one reward for each visit of a vertex. In
    /// discrete time only.
    ///
    /// An elimination with twice the digits and endless exponents, which takes some twenty times as long as the plain one, and
    /// with those `count` solves, as many transposed ones, and `O(count² E)` operations for E ways.
    ///
    /// # Errors
    /// [`EvaluationError::RewardLength`], [`EvaluationError::RewardNotFinite`].
    pub(crate) fn jump_moment_gradients(
        &self,
        rewards: &[f64],
        count: usize,
    ) -> Result<Vec<Vec<f64>>, EvaluationError> {
        debug_assert!(self.plan.discrete, "moments in continuous time have gradients of their own");
        self.plan.check_rewards(rewards)?;
        if let Some(nothing) = self.by_scale(1, || 1.0) {
            return Ok(vec![nothing; count]);
        }
        let parts = JumpMoments::new(self, &self.plan.rewards(Some(rewards)), count);
        let mut factorial = Wide::splat(1.0);
        let gradient = |order: usize| {
            factorial = factorial * Wide::splat(order as f64);
            let slope = self.without_traps(|way| parts.slope(order, way));
            let slopes = ByParameter.gather(self.plan, slope).into_iter();
            slopes.map(|slope| (slope * factorial).value()).collect()
        };
        Ok((1..=count).map(gradient).collect())
    }
}

impl<'a> JumpMoments<'a> {
    fn new(at: &'a At<'_>, rewards: &[f64], count: usize) -> Self {
        let (plan, factors) = (at.plan, at.wide());
        let positions = plan.vertices.len();
        let mut earned = vec![vec![Wide::splat(1.0); positions]];
        for order in 1..=count {
            let next = |(&before, &reward)| before * Wide::splat(reward) / Wide::splat(order as f64);
            earned.push(earned[order - 1].iter().zip(rewards).map(next).collect());
        }
        let mut start = vec![ZERO; positions];
        start[at.start] = Wide::splat(1.0);
        factors.solve_transposed(plan, &mut start);
        let (moments, adjoints, sources) = (Vec::new(), vec![start], vec![vec![ZERO; positions]]);
        let mut parts = Self { plan, factors, earned, moments, adjoints, sources };
        parts.find_moments(count);
        parts.find_adjoints(count);
        parts
    }

    fn find_moments(&mut self, count: usize) {
        let Self { plan, factors, .. } = *self;
        let ones = vec![1.0; plan.vertices.len()];
        // B y_i, from 0.
        let mut ahead = vec![factors.total.clone()];
        for order in 1..=count {
            // Right-hand sides of jumps scale with the rate.
            let per_jump =
                |at: usize| self.products(order, at, &ahead) * factors.total[at].reciprocal_or_zero();
            let of: Vec<Wide> = (0..ones.len()).map(per_jump).collect();
            let solution = factors.solution(plan, &ones, Some(&of));
            ahead.push(follow(plan, factors, &solution));
            self.moments.push(solution);
        }
    }

    fn find_adjoints(&mut self, count: usize) {
        let Self { plan, factors, .. } = *self;
        for order in 1..=count {
            let source: Vec<Wide> =
                (0..plan.vertices.len()).map(|at| self.products(order, at, &self.adjoints)).collect();
            // Nobody asks for the last.
            if order < count {
                let mut adjoint = follow_back(plan, factors, &source);
                factors.solve_transposed(plan, &mut adjoint);
                self.adjoints.push(adjoint);
            }
            self.sources.push(source);
        }
    }

    /// `Σ ρ_j ∘ others_{d−j}` at a position, over `j` from 1 to `d`.
    fn products(&self, order: usize, at: usize, others: &[Vec<Wide>]) -> Wide {
        (1..=order).fold(ZERO, |sum, j| sum + self.earned[j][at] * others[order - j][at])
    }

    /// The derivative of `y_k` with respect to a weight.
    fn slope(&self, order: usize, Way { at, target, only }: Way) -> Wide {
        // It is taken for certain, whatever its weight.
        if only {
            return ZERO;
        }
        // y₀ is 1 everywhere.
        let mut slope = self.sources[order][at];
        for (i, moment) in (1..=order).zip(&self.moments) {
            let adjoint = self.adjoints[order - i][at];
            if let Some(target) = target {
                slope = slope + (self.sources[order - i][at] + adjoint) * moment[target];
            }
            slope = slope - adjoint * moment[at];
        }
        slope
    }
}

/// `B y`: of every position, the weights of its ways times what is found there. After absorption it is nothing.
fn follow(plan: &Plan, factors: &Factors<Wide>, y: &[Wide]) -> Vec<Wide> {
    let from = |at: usize| {
        let mut sum = ZERO;
        factors.each_weight(plan, at, |way, weight| {
            sum = way.target.map_or(sum, |target| sum + weight * y[target]);
        });
        sum
    };
    (0..y.len()).map(from).collect()
}

/// `Bᵀ x`.
fn follow_back(plan: &Plan, factors: &Factors<Wide>, x: &[Wide]) -> Vec<Wide> {
    let mut sums = vec![ZERO; x.len()];
    for (at, &x) in x.iter().enumerate() {
        factors.each_weight(plan, at, |way, weight| {
            if let Some(target) = way.target {
                sums[target] = sums[target] + weight * x;
            }
        });
    }
    sums
}
