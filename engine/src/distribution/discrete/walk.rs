//! A process in discrete time, jump by jump: the probabilities of its positions.
//!
//! Rounding takes about the same from the mass at every jump, or adds it: 1e-17 of it, which after a hundred million jumps
//! would be seen. So every now and then masses are held against what was there and what has been absorbed since.
//!
//! A deep walk keeps its digits where next to nothing is alive, and goes on where less is than f64 holds: masses are then in
//! units of a power of two.

use super::JumpProbability;
use crate::distribution::chain::Chain;
use crate::distribution::curve::{BITS_OF_LOGARITHM, BITS_OF_VALUE};
use crate::distribution::kernel::total;
use crate::distribution::sums::Sum;
use crate::distribution::sweep::in_ones;

/// Jumps between looks at what rounding has done to the mass.
pub(super) const LOOK: u64 = 16;

/// Bits that units of a deep walk become smaller by at a time, once no more than that share is alive in them.
const STEP: i32 = 64;

/// How far a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Depth {
    /// As long as what is alive is a number in ones, in which masses stay.
    #[default]
    Ones,
    /// As long as numbers in ones are told from 0, each with all its digits.
    Values,
    /// As far as logarithms are: about e^−10⁶.
    Logarithms,
}

impl Depth {
    /// How many bits smaller than 1 units may become.
    fn bits(self) -> i32 {
        match self {
            Self::Ones => 0,
            Self::Values => BITS_OF_VALUE,
            Self::Logarithms => BITS_OF_LOGARITHM,
        }
    }
}

/// Where the process is after some jumps.
#[derive(Debug, Clone)]
pub(super) struct Walk<'c, 'p> {
    chain: &'c Chain<'p>,
    stays: &'c [f64],
    /// Jumps made.
    pub(super) jumps: u64,
    depth: Depth,
    /// Masses by position, and what is alive or was absorbed by the last jump, are in units of 2 to the power of minus this.
    exponent: i32,
    unit: f64,
    state: Vec<f64>,
    next: Vec<f64>,
    /// Absorbed by the last jump, and in all; the latter in ones.
    now: f64,
    absorbed: Sum,
    alive: f64,
    /// The mass alive by what has been absorbed, and what it was at the last look.
    kept: Sum,
    before: f64,
}

impl<'c, 'p> Walk<'c, 'p> {
    pub(super) fn new(chain: &'c Chain<'p>, stays: &'c [f64], depth: Depth) -> Self {
        let mut state = vec![0.0; chain.len()];
        for &(at, probability) in chain.start() {
            state[at as usize] = probability;
        }
        let alive = total(&state);
        let next = vec![0.0; chain.len()];
        let (now, absorbed, kept) = (chain.atom(), Sum::of(chain.atom()), Sum::of(alive));
        let (jumps, exponent, unit, before) = (0, 0, 1.0, alive);
        Self { chain, stays, jumps, depth, exponent, unit, state, next, now, absorbed, alive, kept, before }
    }

    /// Masses by position, in units of their own if the walk is deep.
    pub(super) fn state(&self) -> &[f64] {
        &self.state
    }

    /// Masses by position in ones.
    pub(super) fn state_in_ones(&self) -> Vec<f64> {
        self.state.iter().map(|&mass| in_ones(mass, self.exponent)).collect()
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.alive == 0.0
    }

    pub(super) fn known(&self) -> JumpProbability {
        let [pmf, survival] = [self.now, self.alive].map(|value| in_ones(value, self.exponent));
        JumpProbability { pmf, cdf: self.absorbed.value(), survival }
    }

    /// What was absorbed by the last jump and what is alive, and their units.
    pub(super) fn in_units(&self) -> ([f64; 2], i32) {
        ([self.now, self.alive], self.exponent)
    }

    /// One jump: `O(E)`. Sums of non-negative numbers only.
    pub(super) fn jump(&mut self) {
        let (pattern, rates, exits) = (self.chain.pattern(), self.chain.rates(), self.chain.exits());
        self.next.fill(0.0);
        let mut now = 0.0;
        for (at, &p) in self.state.iter().enumerate() {
            if p == 0.0 {
                continue;
            }
            now += p * exits[at];
            self.next[at] += p * self.stays[at];
            let range = pattern.out.range(at);
            for (&target, rate) in pattern.out.items[range.clone()].iter().zip(&rates[range]) {
                self.next[target as usize] += p * rate;
            }
        }
        std::mem::swap(&mut self.state, &mut self.next);
        self.now = now;
        self.absorbed.add(now * self.unit);
        self.kept.add(-now);
        self.jumps += 1;
        self.alive = total(&self.state);
        if self.depth != Depth::Ones {
            self.choose_units();
        }
        if self.alive < f64::MIN_POSITIVE || self.exponent > self.depth.bits() {
            // Nothing is left, or less than can be told from nothing; numbers below are slow to compute with.
            if self.exponent > self.depth.bits() {
                // Nor is it known then what this jump is a share of.
                self.now = 0.0;
            }
            self.alive = 0.0;
            self.state.fill(0.0);
        } else if self.jumps.is_multiple_of(LOOK) {
            self.restore();
        }
    }

    /// Smaller units where little is alive.
    fn choose_units(&mut self) {
        let (least, times) = (2.0_f64.powi(-STEP), 2.0_f64.powi(STEP));
        if self.alive < least && self.alive < 0.5 * self.before {
            // In units of what little is left, what was there may be beyond f64.
            self.count_anew();
        }
        while self.alive >= f64::MIN_POSITIVE && self.alive < least {
            self.state.iter_mut().for_each(|mass| *mass *= times);
            for value in [&mut self.now, &mut self.alive, &mut self.before] {
                *value *= times;
            }
            self.kept = self.kept.times(times);
            self.exponent += STEP;
            self.unit *= least;
        }
    }

    /// Makes up for what rounding took from the mass alive, or added to it.
    fn restore(&mut self) {
        let mass = self.kept.value();
        if mass < 0.5 * self.before {
            // Most of what was there has gone, and a difference tells less than what is left.
            self.count_anew();
        } else {
            let scale = mass / self.alive;
            self.state.iter_mut().for_each(|mass| *mass *= scale);
            self.alive = mass;
            self.before = mass;
        }
    }

    /// Holds the mass alive against what it is now from here on.
    fn count_anew(&mut self) {
        self.kept = Sum::of(self.alive);
        self.before = self.alive;
    }

    /// Jumps up to a number of jumps, showing the state after each, and its units.
    pub(super) fn jump_to(&mut self, jumps: u64, mut show: impl FnMut(&[f64], i32)) {
        while self.jumps < jumps {
            if self.alive == 0.0 {
                (self.jumps, self.now) = (jumps, 0.0);
                return;
            }
            self.jump();
            show(&self.state, self.exponent);
        }
    }
}
