//! Chains of solves: `x₁ = W(R)`, `x_{j+1} = W(x_j ∘ R)`; and the derivatives of those that raw moments are made of, in which
//! each is times its number, too.

use super::kernel::{Factors, Seeded, Source, WeightSlopes};
use super::lane::{Extended, Lane};
use super::{At, Plan};

/// So few vertices without cycles are not left often enough to lose anything.
const ALWAYS_SURE: usize = 4096;

/// The solutions of a chain by position, and of each the derivative of one number with respect to its right-hand side.
#[derive(Debug)]
pub(super) struct Chain {
    /// What each unit of the solution before earns.
    rewards: Vec<Vec<f64>>,
    solutions: Vec<Vec<f64>>,
    adjoints: Vec<Vec<f64>>,
}

/// Solves a chain as long as `solutions`, which keep their storage.
pub(super) fn solve(plan: &Plan, factors: &Factors<f64>, rewards: &[f64], solutions: &mut [Vec<f64>]) {
    for length in 1..=solutions.len() {
        solve_last(plan, factors, rewards, &mut solutions[..length]);
    }
}

/// Solves for the last of a chain whose others are solved.
pub(super) fn solve_last(plan: &Plan, factors: &Factors<f64>, rewards: &[f64], solutions: &mut [Vec<f64>]) {
    if let [before @ .., x] = solutions {
        let source = Source { rewards, of: before.last().map(|x| x.as_chunks::<1>().0), earlier: 0 };
        x.resize(plan.vertices.len(), 0.0);
        factors.solve_all(plan, source, x.as_chunks_mut::<1>().0);
    }
}

impl Chain {
    /// The chain whose end is the raw moment, and one reverse sweep from there: `power` adjoint solves.
    ///
    /// Its solutions are the raw moments from every position, so nothing leaves the range of f64 that need not: a
    /// factorial at the end would.
    pub(super) fn of_moment(at: &At<'_>, rewards: &[f64], power: usize) -> Self {
        let (plan, factors) = (at.plan, &at.factors);
        let rewards = rising(rewards, power);
        let mut solutions = vec![Vec::new(); power];
        for (number, rewards) in rewards.iter().enumerate() {
            solve_last(plan, factors, rewards, &mut solutions[..=number]);
        }
        let mut adjoints: Vec<Vec<f64>> = Vec::with_capacity(power);
        for number in (0..power).rev() {
            let mut adjoint = if let (Some(later), Some(rewards)) = (adjoints.last(), rewards.get(number + 1))
            {
                let scale = |at: usize| if plan.discrete { factors.total[at] } else { 1.0 };
                (0..later.len()).map(|at| later[at] * rewards[at] * scale(at)).collect()
            } else {
                let mut seed = vec![0.0; plan.vertices.len()];
                seed[at.start] = 1.0;
                seed
            };
            factors.solve_transposed(plan, &mut adjoint);
            adjoints.push(adjoint);
        }
        adjoints.reverse();
        Self { rewards, solutions, adjoints }
    }

    /// Whether rounding may move derivatives by too much: more than 2e-9 by the worst of cases, which is a process of
    /// 8e6 moves, and what is seen then is 5e-13.
    ///
    /// With v left `z_v · rate(v)` times, differences of waiting times are lost by `ε Σ_v z_v rate(v) x_v`.
    pub(super) fn is_unsure(&self, at: &At<'_>) -> bool {
        let (plan, values) = (at.plan, &at.factors.values);
        let positions = plan.vertices.len();
        if positions < ALWAYS_SURE && plan.blocks().all(|block| !block.cyclic) {
            return false;
        }
        let (mut lost, mut size) = (0.0, 0.0_f64);
        for (x, adjoint) in self.solutions.iter().zip(&self.adjoints) {
            let mut inner = plan.inner.rows(0, &plan.inner_forms);
            let mut outer = plan.outer.rows(0, &plan.outer_forms);
            for from in 0..positions {
                let forms = inner.advance().1.iter().chain(outer.advance().1);
                let exit = values[plan.exit_forms[from] as usize];
                let rate = forms.fold(exit, |sum, &form| sum + values[form as usize]);
                lost += (adjoint[from] * rate * x[from]).abs();
            }
            size = size.max((adjoint[at.start] * x[at.start]).abs() / at.factors.inverse[at.start]);
        }
        f64::EPSILON * lost > 2e-9 * size
    }

    /// The derivatives of the same number back through the elimination, where the usual ones would lose digits or be no
    /// numbers.
    pub(super) fn back(&self, at: &At<'_>) -> Option<WeightSlopes<f64>> {
        let is_finite = |x: &Vec<f64>| x.iter().all(|x| x.is_finite());
        if !self.solutions.iter().chain(&self.adjoints).all(is_finite) {
            Some(self.reverse_extended(at))
        } else if self.is_unsure(at) {
            Some(self.reverse(at))
        } else {
            None
        }
    }

    pub(super) fn reverse(&self, at: &At<'_>) -> WeightSlopes<f64> {
        self.reverse_in(at.plan, &at.factors, &self.solutions)
    }

    /// The same in an arithmetic in which what is infinite and never reached adds nothing.
    #[cold]
    fn reverse_extended(&self, at: &At<'_>) -> WeightSlopes<f64> {
        let factors = Factors::<Extended>::again(at.plan, &at.factors.values);
        let mut solutions: Vec<Vec<Extended>> = Vec::with_capacity(self.rewards.len());
        for rewards in &self.rewards {
            let before = solutions.last().map(Vec::as_slice);
            let x = factors.solution(at.plan, rewards, before);
            solutions.push(x);
        }
        self.reverse_in(at.plan, &factors, &solutions).map(|slope| slope.0)
    }

    fn reverse_in<L: Lane>(
        &self,
        plan: &Plan,
        factors: &Factors<L>,
        solutions: &[Vec<L>],
    ) -> WeightSlopes<L> {
        let rewards: Vec<&[f64]> = self.rewards.iter().map(Vec::as_slice).collect();
        let mut seeds = vec![L::splat(0.0); rewards.len()];
        if let Some(last) = seeds.last_mut() {
            *last = L::splat(1.0);
        }
        factors.reverse(plan, Seeded { rewards: &rewards, solutions, seeds: &seeds })
    }

    /// The solution and its adjoint where there is one and weights are rates: the derivative is then
    /// `adjoint[v] (x[u] − x[v])`.
    pub(super) fn as_single(&self, plan: &Plan) -> Option<(&[f64], &[f64])> {
        match (&self.solutions[..], &self.adjoints[..]) {
            ([x], [adjoint]) if !plan.discrete => Some((x, adjoint)),
            _ => None,
        }
    }

    /// The derivative with respect to a weight.
    ///
    /// For `A x = b` with adjoint `λ = A⁻ᵀ e`, a weight w(v,u) contributes `λ_v (x_u − x_v)`, and in discrete time, where
    /// right-hand sides scale with the rate, also `λ_v b_v / rate(v)`.
    pub(super) fn slope(&self, plan: &Plan, at: usize, target: Option<usize>) -> f64 {
        let mut slope = 0.0;
        for (number, (x, adjoint)) in self.solutions.iter().zip(&self.adjoints).enumerate() {
            let mut step = target.map_or(0.0, |target| x[target]) - x[at];
            if plan.discrete {
                step +=
                    self.rewards[number][at] * if number == 0 { 1.0 } else { self.solutions[number - 1][at] };
            }
            slope += adjoint[at] * step;
        }
        slope
    }
}

/// The rewards times 1, 2, …: those of raw moments.
fn rising(rewards: &[f64], power: usize) -> Vec<Vec<f64>> {
    (1..=power).map(|number| rewards.iter().map(|reward| reward * number as f64).collect()).collect()
}
