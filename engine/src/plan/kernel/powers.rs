//! Chains of solutions, the raw moments: `x₁ = W(R)`, `x_j = j W(x_{j−1} ∘ R)`.

use super::{Factors, Source};
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::plan::schedule::Segment;

/// Solutions that one pass over the plan works out together.
///
/// Where vertices are components of their own, all of them wait for the position before at the same time, and lists and
/// weights are read once: four cost hardly more than one.
const TOGETHER: usize = 4;

/// Storage for a chain of solutions: those of two passes, however long the chain, and of all of them what they are at the
/// start.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Powers<L> {
    count: usize,
    /// The solution, if it is only one.
    one: Vec<[L; 1]>,
    /// Otherwise those of the passes with an even number and with an odd one; the last few perhaps not asked for.
    passes: [Vec<[L; TOGETHER]>; 2],
    at_start: Vec<L>,
}

impl<L: Lane> Powers<L> {
    /// The longest chain that can be solved segment by segment, whose passes are all there at the same time.
    pub(in crate::plan) const MOST_BY_SEGMENT: usize = 2 * TOGETHER;

    pub(in crate::plan) fn new() -> Self {
        Self { count: 0, one: Vec::new(), passes: [Vec::new(), Vec::new()], at_start: Vec::new() }
    }

    /// Makes room for `count` solutions; allocates only what was never needed before.
    pub(in crate::plan) fn resize(&mut self, count: usize, positions: usize) {
        self.count = count;
        let zero = L::splat(0.0);
        self.at_start.reserve_exact(count.saturating_sub(self.at_start.len()));
        self.at_start.resize(count, zero);
        if count == 1 {
            self.one.resize(positions, [zero]);
            return;
        }
        let needed = self.pass_count().min(2);
        for x in &mut self.passes[..needed] {
            x.resize(positions, [zero; TOGETHER]);
        }
    }

    fn pass_count(&self) -> usize {
        self.count.div_ceil(TOGETHER)
    }

    /// The solutions at the start, in order.
    pub(in crate::plan) fn at_start(&self) -> &[L] {
        &self.at_start
    }

    /// The first solution by position; not once a chain longer than [`MOST_BY_SEGMENT`](Self::MOST_BY_SEGMENT) has been
    /// solved.
    pub(in crate::plan) fn firsts(&self) -> impl Iterator<Item = L> + '_ {
        let (one, several) =
            if self.count == 1 { (&self.one[..], &[][..]) } else { (&[][..], &self.passes[0][..]) };
        one.iter().map(|x| x[0]).chain(several.iter().map(|x| x[0]))
    }

    /// What a pass reads and what it writes.
    #[inline(always)]
    fn pass(&mut self, number: usize) -> (Option<&[[L; TOGETHER]]>, &mut [[L; TOGETHER]]) {
        let [even, odd] = &mut self.passes;
        let (of, x) = if number.is_multiple_of(2) { (odd, even) } else { (even, odd) };
        (Some(&of[..]).filter(|_| number > 0), x)
    }

    /// Takes note of what a pass came to at the start.
    #[inline(always)]
    fn note(&mut self, number: usize, start: usize) {
        let noted = self.at_start[TOGETHER * number..].iter_mut();
        noted.zip(&self.passes[number % 2][start]).for_each(|(noted, &x)| *noted = x);
    }

    /// Takes note of what all passes came to at the start, once all segments are solved.
    #[inline(always)]
    pub(in crate::plan) fn note_all(&mut self, start: usize) {
        if self.count == 1 {
            self.at_start[0] = self.one[start][0];
            return;
        }
        for number in 0..self.pass_count() {
            self.note(number, start);
        }
    }
}

impl<L: Lane> Factors<L> {
    /// Solves one segment for a chain of solutions no longer than [`Powers::MOST_BY_SEGMENT`].
    #[inline(always)]
    pub(in crate::plan) fn solve_powers(
        &self,
        plan: &Plan,
        segment: &Segment,
        rewards: &[f64],
        powers: &mut Powers<L>,
    ) {
        if powers.count == 1 {
            return self.solve(plan, segment, Source { rewards, of: None, earlier: 0 }, &mut powers.one);
        }
        for number in 0..powers.pass_count() {
            let (of, x) = powers.pass(number);
            self.solve(plan, segment, Source { rewards, of, earlier: number * TOGETHER }, x);
        }
    }

    /// Solves everything for a chain of any length, pass by pass. Needs kept factors.
    #[inline(always)]
    pub(in crate::plan) fn solve_long_powers(
        &self,
        plan: &Plan,
        start: usize,
        rewards: &[f64],
        powers: &mut Powers<L>,
    ) {
        if powers.count == 1 {
            for segment in &plan.schedule.segments {
                self.solve(plan, segment, Source { rewards, of: None, earlier: 0 }, &mut powers.one);
            }
            return powers.note_all(start);
        }
        for number in 0..powers.pass_count() {
            let (of, x) = powers.pass(number);
            for segment in &plan.schedule.segments {
                self.solve(plan, segment, Source { rewards, of, earlier: number * TOGETHER }, x);
            }
            powers.note(number, start);
        }
    }
}

impl Factors<f64> {
    /// Solves everything for a chain of any length. Needs kept factors.
    pub(in crate::plan) fn solve_all_powers(
        &self,
        plan: &Plan,
        start: usize,
        rewards: &[f64],
        powers: &mut Powers<f64>,
    ) {
        if powers.count == 1 {
            self.solve_all(plan, Source { rewards, of: None, earlier: 0 }, &mut powers.one);
            return powers.note_all(start);
        }
        for number in 0..powers.pass_count() {
            let (of, x) = powers.pass(number);
            self.solve_all(plan, Source { rewards, of, earlier: number * TOGETHER }, x);
            powers.note(number, start);
        }
    }
}
