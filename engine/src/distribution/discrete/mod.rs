//! Discrete time: the number of jumps until absorption, and where a process is after some of them.
//!
//! Everything follows from rows of probabilities applied jump by jump, or from the plan's elimination. phasic's scheme of
//! steps is exact in discrete time, so there is no second mode here (numerics specification, section 3).

#[cfg(test)]
mod deep;
mod gradient;
mod likelihood;
#[cfg(test)]
mod long;
mod moments;
mod reverse;
mod scaled;
#[cfg(test)]
mod tests;
mod walk;

use std::cell::OnceCell;

use ndarray::Array2;

use super::chain::Chain;
use super::sums::Sums;
use super::{DistributionError, Start};
use crate::plan::{At, Plan};
use walk::{Depth, Walk};

pub use likelihood::JumpLikelihood;

/// Jumps that a question may take by default: minutes for a graph of a thousand edges.
const JUMP_LIMIT: u64 = 100_000_000;

/// The number of jumps to absorption of a plan in discrete time at one θ.
///
/// Weights of every vertex are divided by their sum, those of the start too, so all is conditional on starting. The jump
/// out of the start does not count. A vertex of the graph without weight at θ is never left.
///
/// Every question about numbers of jumps goes through them once, whatever numbers are asked for: `O(jumps · E)`.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Toss a coin until heads.
/// let mut builder = GraphBuilder::new(1)?;
/// let (toss, tails, heads) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
/// builder.set_was_dph(true);
/// builder.add_edge(START, toss, Rate::Scalar(1.0))?;
/// builder.add_edge(toss, tails, Rate::Scalar(0.5))?;
/// builder.add_edge(toss, heads, Rate::Scalar(0.5))?;
/// builder.add_edge(tails, toss, Rate::Scalar(1.0))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
/// let jumps = plan.jumps(&[1.0])?;
/// assert_eq!(jumps.pmf(&[0, 1, 2, 3])?, [0.0, 0.5, 0.0, 0.25]);
/// assert_eq!(jumps.quantile(&[0.5, 0.6])?, [1, 3]);
/// assert_eq!((jumps.expectation()?, jumps.variance()?), (3.0, 8.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JumpDistribution<'p> {
    pub(super) chain: Chain<'p>,
    /// The probability to stay, by position.
    stays: Vec<f64>,
    pub(super) jump_limit: u64,
    /// The factors, once asked for.
    at: OnceCell<At<'p>>,
}

impl Plan {
    /// The distribution of the number of jumps at θ, in discrete time: of discrete phase type, with `P(N > j) = α Tʲ 1` (Neuts
    /// 1981, section 2.2; Bladt and Nielsen 2017, chapter 1). One pass over the edges.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when θ does not fit, a weight is negative or infinite, or all initial
    /// probabilities are zero; [`DistributionError::ContinuousTime`] for a graph in continuous time.
    pub fn jumps(&self, theta: &[f64]) -> Result<JumpDistribution<'_>, DistributionError> {
        if !self.is_discrete() {
            return Err(DistributionError::ContinuousTime);
        }
        let mut chain = self.chain(theta)?;
        chain.set_start(Start::Conditional)?;
        Ok(JumpDistribution::of_chain(chain, JUMP_LIMIT))
    }
}

/// What is known of a number of jumps.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct JumpProbability {
    /// Probability of being absorbed by exactly this jump.
    pub pmf: f64,
    /// Probability of being absorbed by this jump or before.
    pub cdf: f64,
    /// Probability of not being absorbed yet; summed by itself, so it keeps its digits where the one before is near 1.
    pub survival: f64,
}

impl<'p> JumpDistribution<'p> {
    /// That of a process conditional on starting.
    pub(super) fn of_chain(chain: Chain<'p>, jump_limit: u64) -> Self {
        let stays = chain.stays();
        Self { chain, stays, jump_limit, at: OnceCell::new() }
    }

    /// Moves to another θ; the pattern is kept. One pass over the edges.
    ///
    /// # Errors
    /// As [`Plan::jumps`]. After an error the numbers are those of no θ.
    pub fn set(&mut self, theta: &[f64]) -> Result<(), DistributionError> {
        self.at.take();
        self.chain.set(theta)?;
        self.stays = self.chain.stays();
        Ok(())
    }

    /// This distribution with another bound on the number of jumps that questions may go through.
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = jump_limit;
        self
    }

    /// Probability of each number of jumps: `α Tʲ⁻¹ t`, and the atom for `j = 0` (Neuts 1981, section 2.2). One pass over the
    /// jumps up to the last number, `O(E)` each, as for all functions of them.
    ///
    /// # Errors
    /// [`DistributionError::JumpLimit`] with the place of a number beyond the limit.
    pub fn pmf(&self, jumps: &[u64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.probabilities(jumps)?.into_iter().map(|known| known.pmf).collect())
    }

    /// Probability of each number of jumps or fewer: `1 − α Tʲ 1` (Neuts 1981, section 2.2), summed jump by jump. One pass, as
    /// [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn cdf(&self, jumps: &[u64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.probabilities(jumps)?.into_iter().map(|known| known.cdf).collect())
    }

    /// Probability of more than each number of jumps: `α Tʲ 1` (Neuts 1981, section 2.2). One pass, as [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn survival(&self, jumps: &[u64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.probabilities(jumps)?.into_iter().map(|known| known.survival).collect())
    }

    /// The hazard at each number of jumps, `pmf(j) / P(N ≥ j)`: the probability of being absorbed by this jump, given that it
    /// has not happened before (Barlow and Proschan, Statistical Theory of Reliability and Life Testing, 1975, chapter 3). NaN
    /// where nothing is left, or less than about `e^−10⁶`. One pass, as [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn hazard(&self, jumps: &[u64]) -> Result<Vec<f64>, DistributionError> {
        let hazard = |([pmf, survival], _): ([f64; 2], i32)| pmf / (pmf + survival);
        Ok(self.in_units(jumps)?.into_iter().map(hazard).collect())
    }

    /// `α Tʲ⁻¹ t`, `1 − α Tʲ 1` and `α Tʲ 1` for each number of jumps, in one pass: [`pmf`](Self::pmf), [`cdf`](Self::cdf) and
    /// [`survival`](Self::survival).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn probabilities(&self, jumps: &[u64]) -> Result<Vec<JumpProbability>, DistributionError> {
        let mut found = vec![JumpProbability { pmf: 0.0, cdf: 0.0, survival: 0.0 }; jumps.len()];
        self.visit(jumps, Depth::Values, |walk, place| found[place] = walk.known())?;
        Ok(found)
    }

    /// The smallest number of jumps `j` with `F(j) ≥ q`, for each `q` in `[0, 1]`; `u64::MAX` for `q = 1` where there is none,
    /// because paths have cycles.
    ///
    /// Above the median, `F(j) ≥ q` is judged by the survival function. What lies within 1e-12 of `q` (of `1 − q`, above the
    /// median) counts as reached, so that rounding does not decide. The generalised inverse of `F`; one pass over the jumps up
    /// to the largest quantile, `O(E)` each.
    ///
    /// # Errors
    /// [`DistributionError::Probability`] for a `q` outside `[0, 1]`, [`DistributionError::JumpLimit`] when a quantile lies
    /// beyond the limit, [`DistributionError::Evaluation`] when absorption is not certain.
    pub fn quantile(&self, probabilities: &[f64]) -> Result<Vec<u64>, DistributionError> {
        if let Some(index) = probabilities.iter().position(|q| !(0.0..=1.0).contains(q)) {
            return Err(DistributionError::Probability { index, value: probabilities[index] });
        }
        self.at()?;
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let mut found = vec![u64::MAX; probabilities.len()];
        let mut walk = Walk::new(&self.chain, &self.stays, Depth::Ones);
        for place in order {
            let q = probabilities[place];
            if q == 1.0 {
                // However much underflows on the way there.
                found[place] = self.last_jump().unwrap_or(u64::MAX);
                continue;
            }
            let passed = |walk: &Walk<'_, '_>| {
                let known = walk.known();
                let slack = 1e-12;
                if q > 0.5 {
                    known.survival <= (1.0 - q) * (1.0 + slack)
                } else {
                    known.cdf >= q * (1.0 - slack)
                }
            };
            while !passed(&walk) {
                if walk.jumps >= self.jump_limit {
                    return Err(DistributionError::JumpLimit { index: place, limit: self.jump_limit });
                }
                walk.jump();
            }
            found[place] = walk.jumps;
        }
        Ok(found)
    }

    /// Probability of being in each vertex after each number of jumps: a row for each number, a column for each vertex of
    /// the graph. `α Tʲ`; 0 for the start and for all that is not transient. phasic's `stop_probability` (numerics
    /// specification, section 3). One pass, as [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn stop_probability(&self, jumps: &[u64]) -> Result<Array2<f64>, DistributionError> {
        let mut rows = self.rows(jumps.len());
        self.visit(jumps, Depth::Values, |walk, place| {
            self.chain.scatter(&walk.state_in_ones(), row(&mut rows, place));
        })?;
        Ok(rows)
    }

    /// What is in each vertex after a number of jumps, in units in which it is a number: down to about `e^−10⁶` of what started.
    pub(super) fn shares_alive(&self, jumps: u64) -> Result<Vec<f64>, DistributionError> {
        let mut shares = vec![0.0; self.chain.plan().vertex_count() as usize];
        self.visit(&[jumps], Depth::Logarithms, |walk, _| self.chain.scatter(walk.state(), &mut shares))?;
        Ok(shares)
    }

    /// Expected number of visits of each vertex up to each number of jumps, the first vertex counted: `α Σᵢ₌₀ʲ Tⁱ`. A stay is
    /// a visit more. phasic's `accumulated_visits` (numerics specification, section 3). One pass, as [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// As [`pmf`](Self::pmf).
    pub fn accumulated_visits(&self, jumps: &[u64]) -> Result<Array2<f64>, DistributionError> {
        let mut rows = self.rows(jumps.len());
        self.visit_counting(jumps, |visits, place| self.chain.scatter(visits, row(&mut rows, place)))?;
        Ok(rows)
    }

    fn rows(&self, count: usize) -> Array2<f64> {
        Array2::zeros((count, self.chain.plan().vertex_count() as usize))
    }

    /// Places of the numbers asked for, least first.
    fn ascending(&self, jumps: &[u64]) -> Result<Vec<usize>, DistributionError> {
        if let Some(index) = jumps.iter().position(|&jumps| jumps > self.jump_limit) {
            return Err(DistributionError::JumpLimit { index, limit: self.jump_limit });
        }
        let mut order: Vec<usize> = (0..jumps.len()).collect();
        order.sort_by_key(|&place| jumps[place]);
        Ok(order)
    }

    /// What is absorbed by each number of jumps and what is alive after it, in units of 2 to the power of minus the number
    /// beside them, so that their logarithms are known however small they are.
    fn in_units(&self, jumps: &[u64]) -> Result<Vec<([f64; 2], i32)>, DistributionError> {
        let mut found = vec![([0.0; 2], 0); jumps.len()];
        self.visit(jumps, Depth::Logarithms, |walk, place| found[place] = walk.in_units())?;
        Ok(found)
    }

    /// Shows the process after each number of jumps.
    fn visit(
        &self,
        jumps: &[u64],
        depth: Depth,
        mut show: impl FnMut(&Walk<'_, '_>, usize),
    ) -> Result<(), DistributionError> {
        let mut walk = Walk::new(&self.chain, &self.stays, depth);
        for place in self.ascending(jumps)? {
            walk.jump_to(jumps[place], |_, _| {});
            show(&walk, place);
        }
        Ok(())
    }

    /// Shows the visits until each number of jumps.
    fn visit_counting(
        &self,
        jumps: &[u64],
        mut show: impl FnMut(&[f64], usize),
    ) -> Result<(), DistributionError> {
        let mut walk = Walk::new(&self.chain, &self.stays, Depth::Ones);
        let mut visits = Sums::of(walk.state());
        for place in self.ascending(jumps)? {
            walk.jump_to(jumps[place], |state, _| visits.add(state));
            show(visits.values(), place);
        }
        Ok(())
    }

    /// The most jumps that any path takes; none where there is a cycle on one. Linear in the edges.
    fn last_jump(&self) -> Option<u64> {
        let out = &self.chain.pattern().out;
        let ahead = |at: usize| {
            let edges = out.items[out.range(at)].iter().zip(&self.chain.rates()[out.range(at)]);
            edges.filter(|&(_, &rate)| rate > 0.0).map(|(&target, _)| target as usize)
        };
        // By position, how many edges lead there from where paths get to.
        let mut ways = vec![0_usize; self.chain.len()];
        let mut is_reached = vec![false; self.chain.len()];
        let mut stack: Vec<usize> = Vec::new();
        for &(at, _) in self.chain.start() {
            if !std::mem::replace(&mut is_reached[at as usize], true) {
                stack.push(at as usize);
            }
        }
        let mut reached = stack.len();
        while let Some(at) = stack.pop() {
            if self.stays[at] > 0.0 {
                return None;
            }
            for target in ahead(at) {
                ways[target] += 1;
                if !std::mem::replace(&mut is_reached[target], true) {
                    reached += 1;
                    stack.push(target);
                }
            }
        }
        // Positions after all that lead to them, and the most jumps until a path has left them.
        let mut jumps = vec![1_u64; self.chain.len()];
        stack.extend((0..ways.len()).filter(|&at| is_reached[at] && ways[at] == 0));
        let (mut passed, mut most) = (0, 0);
        while let Some(at) = stack.pop() {
            passed += 1;
            most = most.max(jumps[at]);
            for target in ahead(at) {
                jumps[target] = jumps[target].max(jumps[at] + 1);
                ways[target] -= 1;
                if ways[target] == 0 {
                    stack.push(target);
                }
            }
        }
        (passed == reached).then_some(most)
    }

    /// The plan at this θ: one elimination, the first time.
    fn at(&self) -> Result<&At<'p>, DistributionError> {
        if let Some(at) = self.at.get() {
            return Ok(at);
        }
        let at = self.chain.plan().at(self.chain.theta())?;
        Ok(self.at.get_or_init(|| at))
    }
}

/// A row of an array in standard layout.
fn row(rows: &mut Array2<f64>, at: usize) -> &mut [f64] {
    let width = rows.ncols();
    match rows.as_slice_mut() {
        Some(all) => &mut all[at * width..(at + 1) * width],
        None => &mut [],
    }
}
