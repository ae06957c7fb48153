//! Derivatives by going back through the elimination itself.
//!
//! The usual derivative of a weight, `λ_v (x_u − x_v)`, is cheap, but where a process moves a great many times before it is
//! absorbed, the difference of two nearly equal waiting times is small and the visits it is multiplied by are many. Going
//! back through every step of the subtraction-free elimination needs no such difference inside a component, and for a
//! vertex that is a component of its own only those of its targets. So derivatives are good beside the result divided by θ;
//! one that is small among large ones takes more digits to be good by itself, and this is used with twice as many
//! (`gradients`). It costs about twice an elimination and two solves for each solution.

use std::ops::Range;

use super::Factors;
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::plan::slopes::Way;

/// The derivative of one number with respect to every weight of a plan.
#[derive(Debug)]
pub(in crate::plan) struct WeightSlopes<L> {
    /// By entry of the plan's lists.
    inner: Vec<L>,
    outer: Vec<L>,
    /// By position.
    exits: Vec<L>,
}

/// Solutions, each of the one before times its rewards, and the derivatives of a number with respect to their values at
/// the start.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Seeded<'a, L> {
    pub(in crate::plan) rewards: &'a [&'a [f64]],
    /// What the first of them is of, if that is not ones.
    pub(in crate::plan) of: Option<&'a [L]>,
    pub(in crate::plan) solutions: &'a [Vec<L>],
    pub(in crate::plan) seeds: &'a [L],
}

/// Adds a product to a sum.
#[inline(always)]
fn add<L: Lane>(sum: &mut L, factor: L, value: L) {
    *sum = *sum + factor * value;
}

impl<L: Lane> WeightSlopes<L> {
    /// Adds the slopes of another number of the same plan.
    pub(in crate::plan) fn join(&mut self, other: &Self) {
        for (sums, others) in [
            (&mut self.inner, &other.inner),
            (&mut self.outer, &other.outer),
            (&mut self.exits, &other.exits),
        ] {
            sums.iter_mut().zip(others).for_each(|(sum, &other)| *sum = *sum + other);
        }
    }

    pub(in crate::plan) fn slope(&self, plan: &Plan, Way { at, target, .. }: Way) -> L {
        let Some(target) = target else { return self.exits[at] };
        for (lists, slopes) in [(&plan.inner, &self.inner), (&plan.outer, &self.outer)] {
            if let Ok(found) = lists.of(at).binary_search(&(target as u32)) {
                return slopes[lists.range(at).start + found];
            }
        }
        L::splat(0.0)
    }

    /// What every weight of a position adds, for entering its total.
    fn add_to_all(&mut self, plan: &Plan, at: usize, slope: L) {
        self.exits[at] = self.exits[at] + slope;
        self.outer[plan.outer.range(at)].iter_mut().for_each(|sum| *sum = *sum + slope);
    }
}

/// Adjoints in the making.
struct Back<'a, L> {
    factors: &'a Factors<L>,
    plan: &'a Plan,
    seeded: Seeded<'a, L>,
    /// Of each solution, by position.
    adjoints: Vec<Vec<L>>,
    slopes: WeightSlopes<L>,
}

impl<L: Lane> Factors<L> {
    /// The derivative with respect to every weight of the number that the seeds describe.
    ///
    /// Needs kept factors. Beside the result, memory is a number for each position and solution and two for each entry of
    /// the largest component's factors.
    pub(in crate::plan) fn reverse(&self, plan: &Plan, seeded: Seeded<'_, L>) -> WeightSlopes<L> {
        let zero = L::splat(0.0);
        let positions = plan.vertices.len();
        let mut adjoints = vec![vec![zero; positions]; seeded.seeds.len()];
        for (adjoint, &seed) in adjoints.iter_mut().zip(seeded.seeds) {
            adjoint[plan.start()] = seed;
        }
        let slopes = WeightSlopes {
            inner: vec![zero; plan.inner.items.len()],
            outer: vec![zero; plan.outer.items.len()],
            exits: vec![zero; positions],
        };
        let mut back = Back { factors: self, plan, seeded, adjoints, slopes };
        for block in plan.blocks().rev() {
            if block.cyclic {
                back.through_component(block.range);
            } else {
                block.range.rev().for_each(|at| back.through_single(at));
            }
        }
        back.slopes
    }
}

impl<L: Lane> Back<'_, L> {
    /// What a solution is multiplied by at a position to be earned by the next.
    fn reward(&self, number: usize, at: usize) -> L {
        self.factors.reward(at, self.seeded.rewards[number])
    }

    /// The solution before this one; for the first what it is of, or ones.
    fn earlier(&self, number: usize, at: usize) -> L {
        let Seeded { of, solutions, .. } = self.seeded;
        let earlier = number.checked_sub(1).map_or(of, |before| Some(&solutions[before][..]));
        earlier.map_or(L::splat(1.0), |earlier| earlier[at])
    }

    /// Hands the adjoint of a right-hand side on to the solutions that it is made of.
    fn hand_on(&mut self, number: usize, at: usize, adjoint: L) {
        for entry in self.plan.outer.range(at) {
            let target = self.plan.outer.items[entry] as usize;
            let weight = self.factors.values[self.plan.outer_forms[entry] as usize];
            add(&mut self.adjoints[number][target], adjoint, weight);
        }
        if let Some(before) = number.checked_sub(1) {
            let reward = self.reward(number, at);
            add(&mut self.adjoints[before][at], adjoint, reward);
        }
    }

    /// Back through a right-hand side of a component; returns what goes to the position's total.
    fn through_right_hand_side(&mut self, number: usize, at: usize, adjoint: L) -> L {
        let x = &self.seeded.solutions[number];
        for entry in self.plan.outer.range(at) {
            add(&mut self.slopes.outer[entry], adjoint, x[self.plan.outer.items[entry] as usize]);
        }
        self.hand_on(number, at, adjoint);
        if self.plan.discrete {
            adjoint * L::splat(self.seeded.rewards[number][at]) * self.earlier(number, at)
        } else {
            L::splat(0.0)
        }
    }

    /// `x_u − x_v = (x_u − m) − b_v / w` with the mean m after the step (in discrete time, where b is earned by the jump, the
    /// first term alone), and m by differences from the target that is most likely: of an only way nothing is left to
    /// subtract, and of several the fewest digits cancel.
    fn through_single(&mut self, at: usize) {
        let (plan, factors) = (self.plan, self.factors);
        let inverse = factors.inverse[at];
        let outer = plan.outer.range(at);
        let exit = factors.values[plan.exit_forms[at] as usize];
        let weight = |entry: usize| factors.values[plan.outer_forms[entry] as usize];
        let likeliest = outer.clone().max_by(|&a, &b| weight(a).highest().total_cmp(&weight(b).highest()));
        let likeliest = likeliest.filter(|&entry| weight(entry).highest() > exit.highest());
        for number in (0..self.seeded.seeds.len()).rev() {
            let adjoint = self.adjoints[number][at] * inverse;
            self.hand_on(number, at, adjoint);
            if adjoint.all(|adjoint| adjoint == 0.0) {
                continue;
            }
            let x = &self.seeded.solutions[number];
            let there = |entry: usize| x[plan.outer.items[entry] as usize];
            let reference = likeliest.map_or(L::splat(0.0), there);
            let differences = outer.clone().filter(|&entry| Some(entry) != likeliest);
            let absorbed = L::splat(0.0) - reference;
            let mean = differences.fold(exit * inverse * absorbed, |mean, entry| {
                mean + weight(entry) * inverse * (there(entry) - reference)
            });
            let waiting = if plan.discrete {
                L::splat(0.0)
            } else {
                self.reward(number, at) * self.earlier(number, at) * inverse
            };
            for entry in outer.clone() {
                let ahead = if Some(entry) == likeliest { L::splat(0.0) } else { there(entry) - reference };
                add(&mut self.slopes.outer[entry], adjoint, (ahead - mean) - waiting);
            }
            add(&mut self.slopes.exits[at], adjoint, (absorbed - mean) - waiting);
        }
    }

    fn through_component(&mut self, range: Range<usize>) {
        let mut component = Component::new(self.factors, self.plan, range);
        for number in (0..self.seeded.seeds.len()).rev() {
            self.through_solve(number, &mut component);
        }
        component.through_elimination(self.factors, self.plan, &mut self.slopes);
    }

    /// Back through both substitutions of a component.
    fn through_solve(&mut self, number: usize, component: &mut Component<L>) {
        let (plan, factors) = (self.plan, self.factors);
        let (range, first) = (component.range.clone(), component.range.start);
        let x = &self.seeded.solutions[number];
        let forward = self.forward(number, component);
        let mut sums = vec![L::splat(0.0); range.len()];
        for at in range.clone() {
            let adjoint = self.adjoints[number][at] * factors.inverse[at];
            sums[at - first] = adjoint;
            let pivot = &mut component.pivots[at - first];
            *pivot = *pivot - adjoint * x[at];
            for entry in plan.upper.range(at) {
                let column = plan.upper.items[entry] as usize;
                add(&mut component.upper[entry - component.upper_base], adjoint, x[column]);
                add(&mut self.adjoints[number][column], adjoint, factors.upper[entry]);
            }
        }
        for at in range.rev() {
            let adjoint = sums[at - first];
            for entry in plan.lower.range(at) {
                let row = plan.lower.items[entry] as usize - first;
                add(&mut component.lower[entry - component.lower_base], adjoint, forward[row]);
                add(&mut sums[row], factors.lower[entry], adjoint);
            }
            let through = self.through_right_hand_side(number, at, adjoint);
            let total = &mut component.totals[at - first];
            *total = *total + through;
        }
    }

    /// The forward substitution once more: its results were overwritten.
    fn forward(&self, number: usize, component: &Component<L>) -> Vec<L> {
        let (plan, factors, first) = (self.plan, self.factors, component.range.start);
        let x = &self.seeded.solutions[number];
        let mut forward = vec![L::splat(0.0); component.range.len()];
        for at in component.range.clone() {
            let mut sum = self.reward(number, at) * self.earlier(number, at);
            for entry in plan.outer.range(at) {
                let weight = factors.values[plan.outer_forms[entry] as usize];
                add(&mut sum, weight, x[plan.outer.items[entry] as usize]);
            }
            for entry in plan.lower.range(at) {
                add(&mut sum, factors.lower[entry], forward[plan.lower.items[entry] as usize - first]);
            }
            forward[at - first] = sum;
        }
        forward
    }
}

/// Adjoints of a component's factors.
struct Component<L> {
    range: Range<usize>,
    lower_base: usize,
    upper_base: usize,
    lower: Vec<L>,
    upper: Vec<L>,
    pivots: Vec<L>,
    /// Of the sums of positions' weights; discrete time only.
    totals: Vec<L>,
    /// What leaves the component, directly and through positions eliminated before: the value, and its adjoint.
    exits: Vec<(L, L)>,
}

impl<L: Lane> Component<L> {
    fn new(factors: &Factors<L>, plan: &Plan, range: Range<usize>) -> Self {
        let zero = L::splat(0.0);
        let count = range.len();
        let (lower, upper) = (plan.lower.start[range.start], plan.upper.start[range.start]);
        let mut exits: Vec<(L, L)> = Vec::with_capacity(count);
        for at in range.clone() {
            let mut exit = factors.outside(plan, at);
            for entry in plan.lower.range(at) {
                let row = plan.lower.items[entry] as usize - range.start;
                add(&mut exit, factors.lower[entry], exits[row].0);
            }
            exits.push((exit, zero));
        }
        Self {
            lower_base: lower as usize,
            upper_base: upper as usize,
            lower: vec![zero; (plan.lower.start[range.end] - lower) as usize],
            upper: vec![zero; (plan.upper.start[range.end] - upper) as usize],
            pivots: vec![zero; count],
            totals: vec![zero; count],
            exits,
            range,
        }
    }

    /// Back through the elimination, from the last row to the first.
    fn through_elimination(&mut self, factors: &Factors<L>, plan: &Plan, slopes: &mut WeightSlopes<L>) {
        let first = self.range.start;
        let mut work = vec![L::splat(0.0); self.range.len()];
        for at in self.range.clone().rev() {
            let own = at - first;
            self.exits[own].1 = self.exits[own].1 + self.pivots[own];
            for entry in plan.upper.range(at) {
                let adjoint = &mut self.upper[entry - self.upper_base];
                *adjoint = *adjoint + self.pivots[own];
                work[plan.upper.items[entry] as usize - first] = *adjoint;
            }
            let leaving = self.exits[own].1;
            for entry in plan.lower.range(at).rev() {
                let row = plan.lower.items[entry] as usize;
                let factor = factors.lower[entry];
                let mut adjoint = self.lower[entry - self.lower_base] + leaving * self.exits[row - first].0;
                for entry in plan.upper.range(row) {
                    // The place of the row's own position is 0: what returns there takes no part.
                    let through = work[plan.upper.items[entry] as usize - first];
                    add(&mut adjoint, through, factors.upper[entry]);
                    add(&mut self.upper[entry - self.upper_base], factor, through);
                }
                add(&mut self.exits[row - first].1, factor, leaving);
                let pivot = &mut self.pivots[row - first];
                *pivot = *pivot - adjoint * factor * factors.inverse[row];
                work[row - first] = adjoint * factors.inverse[row];
            }
            for entry in plan.inner.range(at) {
                let slope = work[plan.inner.items[entry] as usize - first] + self.totals[own];
                slopes.inner[entry] = slopes.inner[entry] + slope;
            }
            slopes.add_to_all(plan, at, leaving + self.totals[own]);
            for &column in plan.lower.of(at).iter().chain(plan.upper.of(at)) {
                work[column as usize - first] = L::splat(0.0);
            }
        }
    }
}
