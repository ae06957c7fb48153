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

/// Storage for a chain of solutions, by position.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Powers<L> {
    count: usize,
    /// The solution, if it is only one.
    one: Vec<[L; 1]>,
    /// All of them otherwise, the last few perhaps not asked for.
    several: Vec<Vec<[L; TOGETHER]>>,
}

impl<L: Lane> Powers<L> {
    pub(in crate::plan) fn new() -> Self {
        Self { count: 0, one: Vec::new(), several: Vec::new() }
    }

    /// Makes room for `count` solutions; allocates only what was never needed before.
    pub(in crate::plan) fn resize(&mut self, count: usize, positions: usize) {
        self.count = count;
        let zero = L::splat(0.0);
        if count == 1 {
            self.one.resize(positions, [zero]);
            return;
        }
        let passes = count.div_ceil(TOGETHER);
        if self.several.len() < passes {
            self.several.resize_with(passes, Vec::new);
        }
        for x in &mut self.several[..passes] {
            x.resize(positions, [zero; TOGETHER]);
        }
    }

    /// The solutions at a position, in order.
    pub(in crate::plan) fn at(&self, position: usize) -> impl Iterator<Item = L> + '_ {
        let (one, several) =
            if self.count == 1 { (&self.one[..], &[][..]) } else { (&[][..], &self.several[..]) };
        let one = one.get(position).into_iter().flatten();
        one.chain(several.iter().flat_map(move |x| &x[position])).take(self.count).copied()
    }
}

impl<L: Lane> Powers<L> {
    /// The first solution, by position.
    pub(in crate::plan) fn firsts(&self) -> impl Iterator<Item = L> + '_ {
        let (one, several) = if self.count == 1 {
            (&self.one[..], &[][..])
        } else {
            (&[][..], self.several.first().map_or(&[][..], Vec::as_slice))
        };
        one.iter().map(|x| x[0]).chain(several.iter().map(|x| x[0]))
    }
}

impl<L: Lane> Factors<L> {
    /// Solves one segment for a chain of solutions.
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
        let mut of = None;
        for (pass, x) in powers.several[..powers.count.div_ceil(TOGETHER)].iter_mut().enumerate() {
            self.solve(plan, segment, Source { rewards, of, earlier: pass * TOGETHER }, x);
            of = Some(&x[..]);
        }
    }
}

impl Factors<f64> {
    /// Solves everything for a chain of solutions.
    pub(in crate::plan) fn solve_all_powers(&self, plan: &Plan, rewards: &[f64], powers: &mut Powers<f64>) {
        if powers.count == 1 {
            return self.solve_all(plan, Source { rewards, of: None, earlier: 0 }, &mut powers.one);
        }
        let mut of = None;
        for (pass, x) in powers.several[..powers.count.div_ceil(TOGETHER)].iter_mut().enumerate() {
            self.solve_all(plan, Source { rewards, of, earlier: pass * TOGETHER }, x);
            of = Some(&x[..]);
        }
    }
}
