//! Going back over jumps: derivatives of sums of probabilities with respect to every weight at once.
//!
//! With `p_k = α Tᵏ`, a sum `Σ_j (a_j pmf(j) + b_j F(j) + c_j P(N > j))` has the adjoint `z_k = c_k 1 + A_{k+1} t + T z_{k+1}`,
//! where `A_k = a_k + Σ_{j ≥ k} b_j`. The derivative with respect to a probability of `T` from v to w is
//! `Σ_k p_k(v) z_{k+1}(w)`, with respect to one of `t` it is `Σ_k A_{k+1} p_k(v)`; weights follow through the division of each
//! row by its sum.
//!
//! What is asked of later jumps, `p_k z_k`, is the same sum seen from every jump. So `z` is held against it every now and
//! then, as the masses of a walk are held against what was absorbed: rounding does not add up on the way back either.

use std::ops::Range;

use super::JumpDistribution;
use super::walk::{Depth, LOOK, Walk};
use crate::distribution::DistributionError;
use crate::distribution::chain::Chain;
use crate::distribution::kernel::{dot, total};
use crate::distribution::sums::Sum;
use crate::distribution::trail::MOST_BYTES;

/// Numbers of jumps with coefficients of probability, distribution function and survival, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Functional {
    pub(super) jumps: Vec<u64>,
    /// In the units that a walk of this depth has at each number.
    pub(super) coefficients: Vec<[f64; 3]>,
    pub(super) depth: Depth,
}

/// Slopes with respect to probabilities.
struct Slopes {
    edges: Vec<f64>,
    exits: Vec<f64>,
    stays: Vec<f64>,
    /// Whether a position was ever reached.
    reached: Vec<bool>,
}

/// How many jumps are made again at a time on the way back.
fn stretch(last: u64) -> u64 {
    last.isqrt().max(1)
}

/// Refuses numbers of jumps for which the way back takes too much memory, before anything is computed.
pub(super) fn check_memory(law: &JumpDistribution<'_>, jumps: &[u64]) -> Result<(), DistributionError> {
    let limit_bytes = MOST_BYTES;
    for (index, &jumps) in jumps.iter().enumerate() {
        let bytes = (4 * stretch(jumps) + 2).saturating_mul(8 * law.chain.len() as u64);
        if bytes > limit_bytes {
            return Err(DistributionError::JumpTrailMemory { index, jumps, bytes, limit_bytes });
        }
    }
    Ok(())
}

impl Functional {
    /// The gradient with respect to θ. One pass forward, and one back in which jumps are made again block by block; states
    /// are kept for four times the square root of the number of jumps.
    pub(super) fn gradient(&self, law: &JumpDistribution<'_>) -> Vec<f64> {
        let chain = &law.chain;
        let last = self.jumps.last().copied().unwrap_or(0);
        let length = stretch(last);
        let mut marks = Vec::new();
        let mut walk = Walk::new(chain, &law.stays, self.depth);
        while walk.jumps < last && !walk.is_over() {
            marks.push(walk.clone());
            walk.jump_to((walk.jumps + length).min(last), |_, _| {});
        }
        let (mut slopes, mut of_block) = (Slopes::none(chain), Slopes::none(chain));
        let mut asked = Asked::new(self);
        let mut z = vec![0.0; chain.len()];
        let mut states: Vec<(Vec<f64>, i32)> = Vec::new();
        let mut end = last;
        let [mut flow, below, alive] = asked.take(end);
        flow += below;
        z.fill(alive);
        // Adjoints are in units that make up for those of states.
        let mut unit = walk.in_units().1;
        // `p_k z_k`.
        let mut ahead = Sum::of(alive * total(walk.state()));
        for mark in marks.iter().rev() {
            let mut walk = mark.clone();
            states.clear();
            states.push((walk.state().to_vec(), walk.in_units().1));
            walk.jump_to(end - 1, |state, exponent| states.push((state.to_vec(), exponent)));
            let known = mark.jumps + states.len() as u64;
            back_through_nothing(law, known..end, &mut asked, &mut flow, &mut z);
            for (back, (state, exponent)) in states.iter().enumerate().rev() {
                let jumps = mark.jumps + back as u64;
                if unit != *exponent {
                    let larger = 2.0_f64.powi(unit - exponent);
                    for z in &mut z {
                        *z *= larger;
                    }
                    (flow, unit) = (flow * larger, *exponent);
                }
                let [a, below, alive] = asked.take(jumps);
                of_block.back(law, state, flow, alive, &mut z);
                ahead.add(flow * dot(state, chain.exits()));
                if alive > 0.0 {
                    ahead.add(alive * total(state));
                }
                flow = a + below;
                if jumps.is_multiple_of(LOOK) {
                    restore(&mut z, state, ahead.value());
                }
            }
            slopes.take(&mut of_block);
            end = mark.jumps;
        }
        slopes.pull(law)
    }
}

/// Makes up for what rounding took from an adjoint, or added to it: what its product with the state should be is known.
fn restore(z: &mut [f64], state: &[f64], product: f64) {
    let scale = product / dot(state, z);
    // Neither is a number where all that is asked of what is left is next to nothing.
    if (scale - 1.0).abs() < 1e-6 {
        for z in z {
            *z *= scale;
        }
    }
}

/// What is asked, from the last number of jumps on.
struct Asked<'a> {
    functional: &'a Functional,
    /// How many are not taken yet.
    place: usize,
    /// `Σ b` of those that are.
    later: f64,
}

impl<'a> Asked<'a> {
    fn new(functional: &'a Functional) -> Self {
        Self { functional, place: functional.jumps.len(), later: 0.0 }
    }

    /// The last number of jumps that is not taken yet.
    fn next(&self) -> Option<u64> {
        self.place.checked_sub(1).map(|place| self.functional.jumps[place])
    }

    /// `a_k`, `Σ_{j ≥ k} b_j` and `c_k`: those of all later ones must be taken.
    fn take(&mut self, jumps: u64) -> [f64; 3] {
        let (mut of_mass, mut of_survival) = (0.0, 0.0);
        while let Some(next) = self.next().filter(|&next| next >= jumps) {
            self.place -= 1;
            let [a, b, c] = self.functional.coefficients[self.place];
            self.later += b;
            if next == jumps {
                of_mass += a;
                of_survival += c;
            }
        }
        [of_mass, self.later, of_survival]
    }
}

/// What an adjoint `z` after a jump is before it.
fn before(law: &JumpDistribution<'_>, flow: f64, alive: f64, z: &[f64]) -> Vec<f64> {
    let chain = &law.chain;
    let (out, rates) = (&chain.pattern().out, chain.rates());
    let of_position = |(at, &own): (usize, &f64)| {
        let edges = out.items[out.range(at)].iter().zip(&rates[out.range(at)]);
        let here = alive + flow * chain.exits()[at] + law.stays[at] * own;
        edges.fold(here, |sum, (&target, rate)| sum + rate * z[target as usize])
    };
    z.iter().enumerate().map(of_position).collect()
}

/// Back over jumps before which nothing is left: weights of 0 may lead to what they would make matter, so that `z` goes on
/// all the same, until it no longer changes.
fn back_through_nothing(
    law: &JumpDistribution<'_>,
    jumps: Range<u64>,
    asked: &mut Asked<'_>,
    flow: &mut f64,
    z: &mut Vec<f64>,
) {
    let mut at = jumps.end;
    while at > jumps.start {
        at -= 1;
        let [a, below, alive] = asked.take(at);
        let earlier = (a + below, before(law, *flow, alive, z));
        let is_steady = alive == 0.0 && earlier.0 == *flow && earlier.1 == *z;
        (*flow, *z) = earlier;
        if is_steady {
            // Until the next that is asked all is as it was.
            let next = asked.next().map_or(0, |next| next + 1);
            at = at.min(next.max(jumps.start));
        }
    }
}

impl Slopes {
    fn none(chain: &Chain<'_>) -> Self {
        let none = vec![0.0; chain.len()];
        let edges = vec![0.0; chain.rates().len()];
        Self { edges, exits: none.clone(), stays: none, reached: vec![false; chain.len()] }
    }

    /// Adds those of a block of jumps, and makes these none: of long sums, parts are summed first.
    fn take(&mut self, block: &mut Self) {
        let pairs = [
            (&mut self.edges, &mut block.edges),
            (&mut self.exits, &mut block.exits),
            (&mut self.stays, &mut block.stays),
        ];
        for (all, part) in pairs {
            for (all, part) in all.iter_mut().zip(part) {
                *all += std::mem::take(part);
            }
        }
        for (all, part) in self.reached.iter_mut().zip(&mut block.reached) {
            *all |= std::mem::take(part);
        }
    }

    /// One jump back, from state `p`: `z` after the jump becomes that before it.
    fn back(&mut self, law: &JumpDistribution<'_>, p: &[f64], flow: f64, alive: f64, z: &mut Vec<f64>) {
        let out = &law.chain.pattern().out;
        for (at, &mass) in p.iter().enumerate() {
            let range = out.range(at);
            for (&target, slope) in out.items[range.clone()].iter().zip(&mut self.edges[range]) {
                *slope += mass * z[target as usize];
            }
            self.exits[at] += mass * flow;
            self.stays[at] += mass * z[at];
            self.reached[at] |= mass > 0.0;
        }
        *z = before(law, flow, alive, z);
    }

    /// From probabilities to weights, and to θ.
    ///
    /// A row `w/Σw` passes on `(g − Σ T g)/Σw`. Where a row has no weight, there is no slope.
    fn pull(mut self, law: &JumpDistribution<'_>) -> Vec<f64> {
        let chain = &law.chain;
        for at in 0..chain.len() {
            let range = chain.pattern().out.range(at);
            let rates = &chain.rates()[range.clone()];
            let mut mean = self.exits[at] * chain.exits()[at] + self.stays[at] * law.stays[at];
            mean +=
                self.edges[range.clone()].iter().zip(rates).map(|(slope, rate)| slope * rate).sum::<f64>();
            let divisor = chain.divisors()[at];
            let nowhere = if self.reached[at] { f64::NAN } else { 0.0 };
            let scaled = |slope: &mut f64| {
                *slope = if divisor > 0.0 { (*slope - mean) / divisor } else { nowhere };
            };
            self.edges[range].iter_mut().for_each(scaled);
            scaled(&mut self.exits[at]);
            scaled(&mut self.stays[at]);
        }
        let mut gradient = vec![0.0; chain.plan().param_length()];
        let none = vec![0.0; chain.len()];
        chain.pull_back([&self.edges, &self.exits, &none, &self.stays], &mut gradient);
        gradient
    }
}
