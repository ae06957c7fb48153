//! How far a function of the positions is from its mean after the next step: what the step tells about it.
//!
//! By differences from the target that is most likely, so that of an only way nothing is left, and of several no more
//! cancels than must.

use super::Plan;
use super::kernel::Factors;
use super::lane::Lane;
use super::slopes::{Way, Weighed};

/// A function of the positions, and its mean after a step from each.
#[derive(Debug)]
pub(super) struct Deviations<L> {
    /// With what it is known to, in units of the precision.
    function: Vec<Weighed<L>>,
    after: Vec<After<L>>,
}

/// The target that a step most likely leads to, and how far the mean is from the function there.
#[derive(Debug, Clone, Copy)]
struct After<L> {
    likeliest: Option<usize>,
    mean: Weighed<L>,
}

/// The sum of the weights of each position.
pub(super) fn rates<L: Lane>(plan: &Plan, factors: &Factors<L>) -> Vec<L> {
    let rate = |from: usize| {
        let mut rate = L::splat(0.0);
        factors.each_weight(plan, from, |_, weight| rate = rate + weight);
        rate
    };
    (0..plan.vertices.len()).map(rate).collect()
}

impl<L: Lane> Deviations<L> {
    pub(super) fn new(plan: &Plan, factors: &Factors<L>, rates: &[L], function: Vec<Weighed<L>>) -> Self {
        let nothing = Weighed::exact(L::splat(0.0));
        let after = vec![After { likeliest: None, mean: nothing }; rates.len()];
        let mut deviations = Self { function, after };
        for (from, &rate) in rates.iter().enumerate() {
            let (mut likeliest, mut highest) = (None, 0.0);
            factors.each_weight(plan, from, |way, weight| {
                if weight.highest() > highest {
                    (likeliest, highest) = (way.target, weight.highest());
                }
            });
            let mut mean = nothing;
            factors.each_weight(plan, from, |way, weight| {
                mean = mean + deviations.difference(way.target, likeliest).scaled(weight / rate);
            });
            deviations.after[from] = After { likeliest, mean };
        }
        deviations
    }

    /// The function itself.
    pub(super) fn function(&self) -> &[Weighed<L>] {
        &self.function
    }

    /// The function at one target less that at another; it is 0 where all ends.
    fn difference(&self, to: Option<usize>, from: Option<usize>) -> Weighed<L> {
        let nothing = Weighed::exact(L::splat(0.0));
        if to == from {
            return nothing;
        }
        let at = |target: Option<usize>| target.map_or(nothing, |target| self.function[target]);
        at(to) + at(from).negated()
    }

    /// How far the function is from its mean after a step, if the step goes this way.
    pub(super) fn of(&self, way: Way) -> Weighed<L> {
        let After { likeliest, mean } = self.after[way.at];
        self.difference(way.target, likeliest) + mean.negated()
    }
}
