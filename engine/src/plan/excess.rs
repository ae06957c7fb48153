//! Solutions as what they exceed a constant by, so that differences between them keep their digits.
//!
//! The times from two vertices may hardly differ: where the last stage is the longest by far, or where everything is left
//! at much the same rate. Their difference is what derivatives are made of. Let e be the weights that lead to absorption.
//! For any constant c, `x − c` solves the same equations with `b − e c` on the right, because rows of the generator add up
//! to `−e`; and with the lowest `b / e` of any vertex for c, right-hand sides are not negative. Then nothing is subtracted in
//! that solve either, and what is left of x beside c has all its digits.
//!
//! What is left of a right-hand side is a difference, too: where `b / e` is nearly the lowest, of numbers that are rounded
//! themselves. There it is worked out with twice the digits, from the parameters; and what a right-hand side may lack that
//! is rounded already goes into the size that derivatives are weighed by (`slopes`).

use std::borrow::Cow;

use super::Plan;
use super::kernel::{Factors, Source};
use crate::double_double::Dd;

/// Where less than this is left of a right-hand side, more than eight of its binary digits have cancelled.
const LITTLE: f64 = 1.0 / 256.0;
/// What twice the digits leave unknown of a right-hand side that is known exactly, in units of the precision of f64.
const PRECISE: f64 = 1.0 / (1_u64 << 44) as f64;
/// The same of one that is made of a solution: roundings of some vertices.
const ROUNDED: f64 = 64.0;
/// The same of one of which enough is left: the product that is subtracted is rounded once.
const SUBTRACTED: f64 = 1.0;

/// A solution, taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Excess {
    /// What all of it exceeds.
    pub(super) constant: f64,
    /// By how much, by position. Of absorption it is `−constant`.
    pub(super) beyond: Vec<f64>,
    /// What cancelling in right-hand sides leaves unknown of it, in units of the precision.
    pub(super) unknown: f64,
}

impl Excess {
    /// `W(R)`, or `W(x∘R)` of an earlier solution, taken apart: a solve, and two looks at every position; where exits are
    /// nearly alike but for their forms, a third with twice the digits.
    ///
    /// The constant is 0 where rewards are negative, where something is absorbed without a reward, and where nothing is.
    pub(super) fn solve(plan: &Plan, factors: &Factors<f64>, rewards: &[f64], of: Option<&[f64]>) -> Self {
        let mut sides = Cow::Borrowed(rewards);
        if let Some(of) = of {
            sides = rewards.iter().zip(of).map(|(reward, x)| reward * x).collect();
        }
        let (mut constant, mut unknown) = (0.0, 0.0);
        if let Some(lowest) = factors.lowest_ratio(plan, &sides) {
            let mut left = factors.without(plan, lowest, &sides);
            constant = lowest.ratio;
            unknown = constant * left.unknown;
            if left.is_little {
                let is_known = factors.without_precisely(plan, &sides, &mut left.sides);
                let of_little = if of.is_none() && is_known { PRECISE } else { ROUNDED };
                unknown = unknown.max(constant * of_little);
            }
            sides = Cow::Owned(left.sides);
        }
        let mut beyond = vec![0.0; plan.vertices.len()];
        let source = Source { rewards: &sides, of: None, earlier: 0 };
        factors.solve_all(plan, source, beyond.as_chunks_mut::<1>().0);
        Self { constant, beyond, unknown }
    }

    /// The solution itself.
    pub(super) fn whole(&self) -> Vec<f64> {
        self.beyond.iter().map(|beyond| self.constant + beyond).collect()
    }
}

/// A position that may lead to absorption.
struct Exit {
    at: usize,
    /// The form of that weight.
    form: u32,
    /// The position's right-hand side.
    side: f64,
}

/// Calls `visit` with all of them. In most models few positions are.
#[inline(always)]
fn each_exit(plan: &Plan, sides: &[f64], mut visit: impl FnMut(Exit)) {
    let zero_form = plan.schedule.zero_form.unwrap_or(u32::MAX);
    for (at, (&form, &side)) in plan.exit_forms.iter().zip(sides).enumerate() {
        if form != zero_form {
            visit(Exit { at, form, side });
        }
    }
}

/// The lowest ratio of a right-hand side to a weight of absorption.
#[derive(Debug, Clone, Copy)]
struct Lowest {
    ratio: f64,
    /// Where it was found first.
    at: usize,
    /// The right-hand side, and the form of the exit.
    side: f64,
    form: u32,
}

/// What right-hand sides are without those of a constant.
struct Left {
    sides: Vec<f64>,
    /// What rounding leaves unknown of those of which enough is left, in units of the precision of f64 and of what was
    /// subtracted.
    unknown: f64,
    /// Whether there is one of which little is left, perhaps nothing or less, though it is not the lowest once more.
    is_little: bool,
}

impl Factors<f64> {
    /// The weight that leads from a position with this form of an exit to absorption, for each unit of what rewards are
    /// multiplied by: of time, in discrete time of jumps.
    #[inline(always)]
    fn absorption(&self, at: usize, form: u32) -> f64 {
        let weight = self.values[form as usize];
        self.total.get(at).map_or(weight, |total| weight / total)
    }

    /// The lowest ratio of right-hand sides to weights of absorption; none if it is 0, some side is negative, or nothing is
    /// absorbed.
    fn lowest_ratio(&self, plan: &Plan, sides: &[f64]) -> Option<Lowest> {
        let is_negative = sides.iter().filter(|&&side| side < 0.0).count() > 0;
        let mut lowest = Lowest { ratio: f64::INFINITY, at: 0, side: 0.0, form: 0 };
        let mut seen = None;
        each_exit(plan, sides, |Exit { at, form, side }| {
            // Many are alike. In discrete time weights are shares of sums that differ, though forms are the same.
            if !plan.discrete && seen == Some((form, side)) {
                return;
            }
            seen = Some((form, side));
            let weight = self.absorption(at, form);
            if weight > 0.0 && side / weight < lowest.ratio {
                lowest = Lowest { ratio: side / weight, at, side, form };
            }
        });
        (lowest.ratio > 0.0 && lowest.ratio.is_finite() && !is_negative).then_some(lowest)
    }

    /// What right-hand sides are without those of the constant: nothing where it was found.
    fn without(&self, plan: &Plan, lowest: Lowest, sides: &[f64]) -> Left {
        let mut left = Left { sides: sides.to_vec(), unknown: 0.0, is_little: false };
        each_exit(plan, sides, |Exit { at, form, side }| {
            let is_alike = form == lowest.form && side == lowest.side && !plan.discrete;
            if is_alike || at == lowest.at {
                left.sides[at] = 0.0;
                return;
            }
            let weight = self.absorption(at, form);
            let rest = side - weight * lowest.ratio;
            left.sides[at] = rest;
            if weight == 0.0 {
                return;
            }
            if rest < LITTLE * side {
                left.is_little = true;
            } else {
                // Of a share half a rounding for each weight of its sum, too.
                let summands = plan.inner.range(at).len() + plan.outer.range(at).len() + 1;
                let of_share = if plan.discrete { 0.5 * summands as f64 } else { 0.0 };
                left.unknown = left.unknown.max(SUBTRACTED + of_share);
            }
        });
        left
    }

    /// Works out once more what is left of the right-hand sides of which it is little, in twice the digits of weights and
    /// constant. Whether that went well: numbers may leave the range.
    #[cold]
    fn without_precisely(&self, plan: &Plan, sides: &[f64], left: &mut [f64]) -> bool {
        let mut weights: Vec<(usize, Dd)> = Vec::new();
        each_exit(plan, sides, |Exit { at, form, side }| {
            if self.absorption(at, form) > 0.0 && left[at] < LITTLE * side {
                weights.push((at, self.precise_absorption(plan, at)));
            }
        });
        let ratios = weights.iter().map(|&(at, weight)| Dd::from(sides[at]) / weight);
        let lowest =
            ratios.fold(Dd::from(f64::INFINITY), |low, ratio| if ratio.is_below(low) { ratio } else { low });
        let mut is_known = true;
        for (at, weight) in weights {
            let Dd(precise, _) = Dd::from(sides[at]) - weight * lowest;
            is_known &= precise.is_finite();
            left[at] = if precise > 0.0 { precise } else { 0.0 };
        }
        is_known
    }

    /// The weight that leads from a position to absorption, as [`absorption`](Self::absorption) has it.
    fn precise_absorption(&self, plan: &Plan, at: usize) -> Dd {
        let precise = |&form: &u32| plan.forms.precise(form, &self.theta);
        let exit = precise(&plan.exit_forms[at]);
        if !plan.discrete {
            return exit;
        }
        let others = [(&plan.inner, &plan.inner_forms), (&plan.outer, &plan.outer_forms)];
        let others = others.into_iter().flat_map(|(lists, forms)| &forms[lists.range(at)]);
        exit / others.map(precise).fold(exit, |total, weight| total + weight)
    }
}
