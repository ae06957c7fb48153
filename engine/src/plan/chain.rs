//! Chains of solves: `x₁ = W(R)`, `x_{j+1} = W(x_j ∘ R)`; and the derivatives of those that raw moments are made of, in which
//! each is times its number, too.

use std::borrow::Cow;

use super::excess::Excess;
use super::gradients::{Derivative, Trust};
use super::kernel::{Factors, Follow, FollowSome, Seeded, Source, WeightSlopes};
use super::lane::Lane;
use super::range::largest;
use super::slopes::{Group, ParameterSums, Slope, Way, Weighed};
use super::{At, Plan};

/// The solutions of a chain by position, and of each the derivative of one number with respect to its right-hand side.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    plan: &'a Plan,
    factors: &'a Factors<f64>,
    /// What each unit of the solution before earns.
    rewards: Vec<Cow<'a, [f64]>>,
    /// All but the last.
    solutions: Vec<Vec<f64>>,
    /// All solutions, taken apart for differences between them.
    excesses: Vec<Excess>,
    adjoints: Vec<Vec<f64>>,
    /// What derivatives must be larger than; no finite number if any of the above is none.
    lost: f64,
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

impl<'a> Chain<'a> {
    /// The chain whose end is the raw moment, and one reverse sweep from there: `power` adjoint solves.
    ///
    /// Its solutions are the raw moments from every position, so nothing leaves the range of f64 that need not: a
    /// factorial at the end would.
    pub(super) fn of_moment(at: &'a At<'_>, rewards: &'a [f64], power: usize) -> Self {
        let (plan, factors) = (at.plan, &at.factors);
        let rewards = rising(rewards, power);
        let mut solutions: Vec<Vec<f64>> = Vec::with_capacity(power.saturating_sub(1));
        let mut excesses = Vec::with_capacity(power);
        for (number, rewards) in rewards.iter().enumerate() {
            let excess = Excess::solve(plan, factors, rewards, solutions.last().map(Vec::as_slice));
            if number + 1 < power {
                solutions.push(excess.whole());
            }
            excesses.push(excess);
        }
        let mut adjoints: Vec<Vec<f64>> = Vec::with_capacity(power);
        for number in (0..power).rev() {
            let mut adjoint = if let (Some(later), Some(rewards)) = (adjoints.last(), rewards.get(number + 1))
            {
                let scale = |at: usize| if plan.discrete { factors.total[at] } else { 1.0 };
                (0..later.len()).map(|at| later[at] * rewards[at] * scale(at)).collect()
            } else {
                unit_at(at.start, plan.vertices.len())
            };
            factors.solve_transposed(plan, &mut adjoint);
            adjoints.push(adjoint);
        }
        adjoints.reverse();
        let mut chain = Self { plan, factors, rewards, solutions, excesses, adjoints, lost: f64::INFINITY };
        chain.find_lost(at);
        chain
    }

    /// The chain of an expectation, and its usual slopes: what is asked for most. They are gathered on the way of the
    /// adjoint solve, which leaves time for it.
    pub(super) fn of_expectation(at: &'a At<'_>, rewards: &'a [f64]) -> (Self, ParameterSums<'a, Weighed>) {
        let (plan, factors) = (at.plan, &at.factors);
        let x = Excess::solve(plan, factors, rewards, None);
        let mut adjoint = unit_at(at.start, plan.vertices.len());
        let mut slopes = UsualSlopes { factors, rewards, x: &x, sums: ParameterSums::new(plan) };
        factors.pass_on(plan, &mut adjoint, &mut slopes);
        let sums = slopes.sums;
        let mut chain = Self {
            plan,
            factors,
            rewards: rising(rewards, 1),
            solutions: Vec::new(),
            excesses: vec![x],
            adjoints: vec![adjoint],
            lost: f64::INFINITY,
        };
        chain.find_lost(at);
        (chain, sums)
    }

    fn find_lost(&mut self, at: &At<'_>) {
        let solved: Vec<f64> = self.excesses.iter().map(|x| x.constant + largest(&x.beyond)).collect();
        let back: Vec<f64> = self.adjoints.iter().map(|adjoint| largest(adjoint)).collect();
        let are_times = self.rewards.first().is_some_and(|rewards| at.earned(rewards).are_times);
        let scale = at.scale(|| solved.first().copied().filter(|_| are_times));
        if let Some(scale) = scale {
            self.lost = solved.iter().zip(&back).map(|(&x, &adjoint)| scale.lost_of_slopes(x, adjoint)).sum();
        }
    }
}

/// Gathers the usual slopes of an expectation.
struct UsualSlopes<'p, 'a> {
    factors: &'a Factors<f64>,
    rewards: &'a [f64],
    x: &'a Excess,
    sums: ParameterSums<'p, Weighed>,
}

impl<'p, 'a> Follow<f64> for UsualSlopes<'p, 'a> {
    type Some = SomeSlopes<'p, 'a>;

    #[inline(always)]
    fn begin(&mut self, ways: usize) -> SomeSlopes<'p, 'a> {
        let Self { factors, rewards, x, ref mut sums } = *self;
        SomeSlopes { factors, rewards, x, group: sums.hand_out(ways) }
    }

    #[inline(always)]
    fn end(&mut self, some: SomeSlopes<'p, 'a>) {
        self.sums.take_back(some.group);
    }
}

/// Some of them.
struct SomeSlopes<'p, 'a> {
    factors: &'a Factors<f64>,
    rewards: &'a [f64],
    x: &'a Excess,
    group: Group<'p, Weighed>,
}

impl FollowSome<f64> for SomeSlopes<'_, '_> {
    /// The next step and the adjoint.
    type Row = (Step, f64);

    #[inline(always)]
    fn row(&self, at: usize, only: bool, adjoint: f64) -> (Step, f64) {
        let Self { factors, rewards, x, .. } = self;
        let discrete = !factors.total.is_empty();
        // Nothing is looked up that only an only way needs.
        let earned = if only || discrete { rewards[at] } else { 0.0 };
        let certain = only.then(|| if discrete { 0.0 } else { -(earned * factors.inverse[at]) });
        (Step::new(if discrete { earned } else { 0.0 }, certain, x, at), adjoint)
    }

    #[inline(always)]
    fn follow(&mut self, (step, adjoint): (Step, f64), target: Option<usize>, form: u32) {
        let slope = step.taken(target, self.x).times(adjoint);
        if target.is_none() {
            self.group.add_exit(form, slope);
        } else {
            self.group.add(form, slope);
        }
    }
}

fn unit_at(position: usize, positions: usize) -> Vec<f64> {
    let mut unit = vec![0.0; positions];
    unit[position] = 1.0;
    unit
}

/// A position's next step: what it adds to a solution and to what was earned before it.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The solution at the position, beyond the constant.
    here: f64,
    /// What the step itself earns, in discrete time.
    earned: f64,
    /// How large those two are, and what is not known of the solution.
    size: f64,
    /// An only way is taken for certain: what it adds is known without a difference.
    certain: Option<f64>,
}

impl Step {
    #[inline(always)]
    fn new(earned: f64, certain: Option<f64>, x: &Excess, at: usize) -> Self {
        let here = x.beyond[at];
        Self { here, earned, size: here.abs() + x.unknown + earned.abs(), certain }
    }

    #[inline(always)]
    fn taken(self, target: Option<usize>, x: &Excess) -> Weighed {
        if let Some(certain) = self.certain {
            return Weighed::exact(certain);
        }
        let there = target.map_or(-x.constant, |target| x.beyond[target]);
        Weighed { value: (there - self.here) + self.earned, size: there.abs() + self.size }
    }
}

impl Derivative for Chain<'_> {
    fn trust(&self) -> Trust {
        if self.lost.is_finite() { Trust::Usual } else { Trust::Wide }
    }

    fn lost(&self) -> f64 {
        self.lost
    }

    /// For `A x = b` with adjoint `λ = A⁻ᵀ e`, a weight w(v,u) contributes `λ_v (x_u − x_v)`, and in discrete time, where
    /// right-hand sides scale with the rate, also `λ_v b_v / rate(v)`.
    fn usual(&self, way: Way) -> Weighed {
        let mut slope = Weighed::ZERO;
        for (number, (x, adjoint)) in self.excesses.iter().zip(&self.adjoints).enumerate() {
            let earlier = number.checked_sub(1).map_or(1.0, |before| self.solutions[before][way.at]);
            let earned = self.rewards[number][way.at] * earlier;
            let discrete = self.plan.discrete;
            let for_certain = || if discrete { 0.0 } else { -(earned * self.factors.inverse[way.at]) };
            let of_step = if discrete { earned } else { 0.0 };
            let step = Step::new(of_step, way.only.then(for_certain), x, way.at);
            slope = slope + step.taken(way.target, x).times(adjoint[way.at]);
        }
        slope
    }

    fn back<L: Lane>(&self, plan: &Plan, factors: &Factors<L>) -> WeightSlopes<L> {
        let mut solutions: Vec<Vec<L>> = Vec::with_capacity(self.rewards.len());
        for rewards in &self.rewards {
            let x = factors.solution(plan, rewards, solutions.last().map(Vec::as_slice));
            solutions.push(x);
        }
        let rewards: Vec<&[f64]> = self.rewards.iter().map(AsRef::as_ref).collect();
        let mut seeds = vec![L::splat(0.0); rewards.len()];
        if let Some(last) = seeds.last_mut() {
            *last = L::splat(1.0);
        }
        factors.reverse(plan, Seeded { rewards: &rewards, of: None, solutions: &solutions, seeds: &seeds })
    }
}

/// The rewards times 1, 2, …: those of raw moments.
fn rising(rewards: &[f64], power: usize) -> Vec<Cow<'_, [f64]>> {
    let times = |number: usize| rewards.iter().map(|reward| reward * number as f64).collect();
    (1..=power)
        .map(|number| if number == 1 { Cow::Borrowed(rewards) } else { Cow::Owned(times(number)) })
        .collect()
}
