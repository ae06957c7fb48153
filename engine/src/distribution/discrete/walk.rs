//! A process in discrete time, jump by jump: the probabilities of its positions.

use super::JumpProbability;
use crate::distribution::chain::Chain;

/// Where the process is after some jumps.
#[derive(Debug, Clone)]
pub(super) struct Walk<'c, 'p> {
    chain: &'c Chain<'p>,
    stays: &'c [f64],
    /// Jumps made.
    pub(super) jumps: u64,
    state: Vec<f64>,
    next: Vec<f64>,
    /// Absorbed by the last jump, and in all.
    now: f64,
    absorbed: f64,
    alive: f64,
}

impl<'c, 'p> Walk<'c, 'p> {
    pub(super) fn new(chain: &'c Chain<'p>, stays: &'c [f64]) -> Self {
        let mut state = vec![0.0; chain.len()];
        for &(at, probability) in chain.start() {
            state[at as usize] = probability;
        }
        // The sum of no numbers is −0 in Rust.
        let alive = state.iter().fold(0.0, |sum, mass| sum + mass);
        let next = vec![0.0; chain.len()];
        Self { chain, stays, jumps: 0, state, next, now: chain.atom(), absorbed: chain.atom(), alive }
    }

    pub(super) fn state(&self) -> &[f64] {
        &self.state
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.alive == 0.0
    }

    pub(super) fn known(&self) -> JumpProbability {
        JumpProbability { pmf: self.now, cdf: self.absorbed, survival: self.alive }
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
        self.absorbed += now;
        self.alive = self.state.iter().fold(0.0, |sum, mass| sum + mass);
        if self.alive < f64::MIN_POSITIVE {
            // Nothing is left, or less than can be told from nothing; numbers below are slow to compute with.
            self.alive = 0.0;
            self.state.fill(0.0);
        }
        self.jumps += 1;
    }

    /// Jumps up to a number of jumps, showing the state after each.
    pub(super) fn jump_to(&mut self, jumps: u64, mut show: impl FnMut(&[f64])) {
        while self.jumps < jumps {
            if self.alive == 0.0 {
                (self.jumps, self.now) = (jumps, 0.0);
                return;
            }
            self.jump();
            show(&self.state);
        }
    }
}
