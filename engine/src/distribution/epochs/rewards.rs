//! Moments of total rewards across epochs: backwards from the last one.
//!
//! Expected products `m_j` of `j` totals obey `−dm_j/dt = S m_j + Σ R ∘ m_{j−1}`, a sum over which of them earns now. So `n`
//! jumps of rate `λ` before the end of an epoch it is `m_j ← P m_j + Σ R ∘ m_{j−1} / λ`, and the number of jumps is Poisson.
//!
//! A jump changes little where there are many. So it is taken by how far products are from that at the likeliest target, and
//! what rounding leaves out of a product is carried along: errors grow with how much products change, and not with the
//! number of jumps. Where little is left of that product by a jump, sums of the others lose no digits either.

use super::super::error::{of_epoch, of_rewards};
use super::super::totals::{all_in_range, check_count, or_ones, told};
use super::super::{DistributionError, Start, poisson};
use super::Epochs;
use super::powers::{self, Powers};
use super::products::{self, Blocks};
use crate::distribution::chain::Chain;
use crate::double_double::{Dd, two_sum};
use crate::graph::START;
use crate::plan::EvaluationError;

/// Bytes of a moment at a vertex: from the last epoch, at the end of an epoch, at its beginning, and after a jump with what
/// rounding has left out.
const BYTES_OF_MOMENT: u64 = 8 + 8 + 8 + 16;

/// An expected product of totals: what earns it, a factor times rewards by vertex, from which product of fewer totals. None
/// is that of no totals, 1.
pub(super) type Product<'a> = Vec<(f64, &'a [f64], Option<usize>)>;

impl Epochs<'_> {
    /// Expected total reward, given that the process starts: one reward for each vertex of the graph, earned per unit of time
    /// there in whatever epoch. The first of [`reward_moments`](Self::reward_moments), and as expensive as one of them.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_expectation(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        Ok(self.reward_moments(rewards, 1)?[0])
    }

    /// The first `count` raw moments of a total reward, given that the process starts.
    ///
    /// With `m_j(t, v)` the `j`-th moment of what is earned from time `t` on in `v`, `−dm_j/dt = S m_j + j R ∘ m_{j−1}` (Hobolth and
    /// Jensen, Theoretical Population Biology 78, 2010, for θ that does not change). From the moments of the last epoch,
    /// `count` solves, back through the others by uniformization: `count` multiply-adds for an edge and a jump of the fastest
    /// vertex. Where that is more, and there are up to 1,024 vertices, powers of a block matrix are taken instead: about
    /// `count²/2` products of dense matrices for every doubling of the time of a jump, and as many blocks as moments.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when absorption is not certain in the last epoch, and for rewards of the wrong length
    /// or that are not finite; [`DistributionError::MomentCount`] for more than 1,000;
    /// [`DistributionError::MomentRange`] for the first moment beyond f64;
    /// [`DistributionError::Jumps`].
    pub fn reward_moments(&self, rewards: &[f64], count: usize) -> Result<Vec<f64>, DistributionError> {
        check_count(count)?;
        let factor = |order: usize| vec![(order as f64, rewards, order.checked_sub(2))];
        let products: Vec<Product<'_>> = (1..=count).map(factor).collect();
        all_in_range(self.products(&products, Some(rewards))?, rewards)
    }

    /// Bytes that the first `count` moments take in a graph of so many vertices, beside an evaluation and a process: all are
    /// known of every vertex, from the last epoch and from the one that is gone through. As many products of totals take as
    /// much, of which a covariance is made of three. Powers of block matrices, which are taken instead of very many jumps, are
    /// not counted: they have a bound of their own, 1 GiB for the blocks and as much for the steps that they are made by.
    pub fn moment_bytes(vertices: u64, count: usize) -> u64 {
        BYTES_OF_MOMENT.saturating_mul(count as u64).saturating_mul(vertices)
    }

    /// Variance of a total reward, given that the process starts: `E[X²] − E[X]²`, its [`covariance`](Self::covariance) with
    /// itself, as expensive and with as many digits.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments).
    pub fn reward_variance(&self, rewards: &[f64]) -> Result<f64, DistributionError> {
        self.plan.check_rewards(rewards)?;
        self.spread(rewards, rewards)?.ok_or(DistributionError::MomentRange { order: 2 })
    }

    /// Covariance of two total rewards, given that the process starts; an empty vector is one of ones, so that its total is
    /// the time.
    ///
    /// `E[XY] − E[X] E[Y]`, so a covariance that is small beside that product has as many digits less. The product's moment obeys
    /// `−dm/dt = S m + R₁ ∘ y + R₂ ∘ x` for the means `x` and `y` from each vertex, and is found as
    /// [`reward_moments`](Self::reward_moments) are, at the cost of three of them.
    ///
    /// # Errors
    /// As [`reward_moments`](Self::reward_moments), with [`DistributionError::Reward`] around what is wrong with one of the
    /// vectors, and [`DistributionError::CovarianceRange`].
    pub fn covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, DistributionError> {
        let ones = vec![1.0; self.plan.vertex_count() as usize];
        let [first, second] = [first, second].map(|rewards| or_ones(rewards, &ones));
        for (index, rewards) in [first, second].into_iter().enumerate() {
            self.plan.check_rewards(rewards).map_err(of_rewards(index))?;
        }
        let beyond = DistributionError::CovarianceRange { first: 0, second: 1 };
        self.spread(first, second)?.ok_or(beyond)
    }

    /// `E[XY] − E[X] E[Y]`; nothing where that is beyond f64: too large, or so small that it would be 0.
    fn spread(&self, first: &[f64], second: &[f64]) -> Result<Option<f64>, DistributionError> {
        let both = vec![(1.0, first, Some(1)), (1.0, second, Some(0))];
        let products = [vec![(1.0, first, None)], vec![(1.0, second, None)], both];
        match self.products(&products, None).as_deref() {
            Ok(&[x, y, product]) => {
                Ok(Some(told(product - x * y, || [x, y])).filter(|covariance| covariance.is_finite()))
            }
            Ok(_) | Err(DistributionError::MomentRange { .. }) => Ok(None),
            Err(error) => Err(error.clone()),
        }
    }

    /// Expected products from the start, each made of those before it; `powers_of` are the rewards of which they are the
    /// powers, if they are.
    fn products(
        &self,
        products: &[Product<'_>],
        powers_of: Option<&[f64]>,
    ) -> Result<Vec<f64>, DistributionError> {
        let last = self.thetas.len() - 1;
        let at = self.plan.at(&self.thetas[last]).map_err(of_epoch(last))?;
        let mut chain = self.plan.chain(&self.thetas[last])?;
        chain.set_start(Start::Conditional)?;
        self.limit(&mut chain);
        // By vertex, in the last epoch.
        let mut known: Vec<Vec<f64>> = Vec::new();
        for product in products {
            let mut earned = vec![0.0; at.vertex_count() as usize];
            for &(factor, rewards, fewer) in product {
                at.rewarded(rewards)?;
                for (vertex, (slot, reward)) in earned.iter_mut().zip(rewards).enumerate() {
                    let value = fewer.map_or(1.0, |fewer| known[fewer][vertex]);
                    // Where that is no number, none of fewer totals is one.
                    *slot += if value.is_finite() { factor * reward * value } else { 0.0 };
                }
            }
            let order = known.len() + 1;
            let solved = at.rewarded(&earned).map_err(|error| match error {
                EvaluationError::RewardNotFinite { .. } => DistributionError::MomentRange { order },
                other => other.into(),
            })?;
            known.push(solved.waiting_times());
        }
        if last == 0 {
            return in_range(known.iter().map(|values| values[START as usize]).collect());
        }
        let by_position =
            |values: &Vec<f64>| chain.pattern().vertices.iter().map(|&v| values[v as usize]).collect();
        let mut state: Vec<Vec<f64>> = known.iter().map(by_position).collect();
        for epoch in (0..last).rev() {
            chain.set(&self.thetas[epoch])?;
            let begin = if epoch == 0 { 0.0 } else { self.breakpoints[epoch - 1] };
            let span = [begin, self.breakpoints[epoch]];
            back(&chain, products, powers_of, span, &mut state).map_err(of_epoch(epoch))?;
        }
        let from_start = |values: &Vec<f64>| {
            let starts = chain.start().iter();
            starts.map(|&(at, probability)| probability * values[at as usize]).sum()
        };
        in_range(state.iter().map(from_start).collect())
    }
}

/// Moments that are numbers.
fn in_range(moments: Vec<f64>) -> Result<Vec<f64>, DistributionError> {
    match moments.iter().position(|moment| !moment.is_finite()) {
        Some(at) => Err(DistributionError::MomentRange { order: at + 1 }),
        None => Ok(moments),
    }
}

/// Takes expected products at the end of an epoch to its beginning.
fn back(
    chain: &Chain<'_>,
    products: &[Product<'_>],
    powers_of: Option<&[f64]>,
    [begin, end]: [f64; 2],
    state: &mut Vec<Vec<f64>>,
) -> Result<(), DistributionError> {
    let time = end - begin;
    let fastest = chain.totals().iter().fold(1.0 / time, |most, &total| most.max(total));
    let (limit, jumps) = (chain.jump_limit(), fastest * time);
    let work = jumps.min(limit as f64) * ((chain.rates().len() + chain.len()) * products.len()) as f64;
    if back_by_blocks(chain, products, powers_of, (jumps, time, work), state) {
        return Ok(());
    }
    if jumps > limit as f64 {
        return Err(DistributionError::Jumps { index: None, time: begin, rate: fastest, limit });
    }
    back_by_jumps(chain, products, (fastest, time), 1.0, state);
    Ok(())
}

/// The same by powers of a block matrix, for so many jumps in so long, if that is less work and there is room; says whether
/// it is done.
fn back_by_blocks(
    chain: &Chain<'_>,
    products: &[Product<'_>],
    powers_of: Option<&[f64]>,
    (jumps, time, work): (f64, f64, f64),
    state: &mut [Vec<f64>],
) -> bool {
    let count = products.len();
    if let Some(rewards) = powers_of {
        let pays = powers::cost(chain, jumps, count) < work;
        let blocks = pays.then(|| Powers::new(chain, rewards, count, time)).flatten();
        return blocks.map(|blocks| blocks.apply(state)).is_some();
    }
    let pays = products::cost(chain, jumps, count) < work;
    let blocks = pays.then(|| Blocks::new(chain, products, time)).flatten();
    blocks.map(|blocks| blocks.apply(state)).is_some()
}

/// The same, jump by jump, of which there are so many in a unit of time. The expected product of no totals is `none`.
pub(super) fn back_by_jumps(
    chain: &Chain<'_>,
    products: &[Product<'_>],
    (rate, time): (f64, f64),
    none: f64,
    state: &mut Vec<Vec<f64>>,
) {
    let mut weights = Vec::new();
    let first = poisson::weights(rate * time, &mut weights);
    let mut sums = vec![vec![0.0; chain.len()]; state.len()];
    let mut now: Vec<Vec<Carried>> =
        state.iter().map(|values| values.iter().map(|&value| [value, 0.0]).collect()).collect();
    let likeliest: Vec<Option<usize>> = (0..chain.len()).map(|at| likeliest(chain, rate, at)).collect();
    for jumps in 0..first + weights.len() {
        if jumps > 0 {
            jump(chain, products, (rate, &likeliest), none, &mut now);
        }
        if let Some(weight) = jumps.checked_sub(first).and_then(|at| weights.get(at)) {
            for (sum, [value, _]) in sums.iter_mut().flatten().zip(now.iter().flatten()) {
                *sum += weight * value;
            }
        }
    }
    *state = sums;
}

/// A number with what rounding has left out of it.
type Carried = [f64; 2];

/// A product: what never happens counts for nothing, however much it would be.
pub(super) fn times(rate: f64, value: f64) -> f64 {
    if rate == 0.0 { 0.0 } else { rate * value }
}

/// One jump back.
fn jump(
    chain: &Chain<'_>,
    products: &[Product<'_>],
    (rate, likeliest): (f64, &[Option<usize>]),
    none: f64,
    state: &mut [Vec<Carried>],
) {
    let pattern = chain.pattern();
    // The last first: each is made of those before it, as they are after the jump.
    for number in (0..state.len()).rev() {
        let (before, here) = state.split_at_mut(number);
        let values = &here[0];
        let next = (0..chain.len()).map(|at| {
            let vertex = pattern.vertices[at] as usize;
            let earned = products[number].iter().map(|&(factor, rewards, fewer)| {
                times(factor * rewards[vertex], fewer.map_or(none, |fewer| before[fewer][at][0]))
            });
            let (from, earned) = (likeliest[at].map_or([0.0; 2], |to| values[to]), earned.sum());
            let moved = moved(chain, rate, values, (at, from), earned);
            // Most of it has gone, and has taken digits along.
            let is_little = moved[0].abs() < 0.25 * from[0].abs();
            if is_little { self::moved(chain, rate, values, (at, [0.0; 2]), earned) } else { moved }
        });
        here[0] = next.collect();
    }
}

/// Where a jump most likely leads, of so many in a unit of time; none where all ends.
fn likeliest(chain: &Chain<'_>, rate: f64, at: usize) -> Option<usize> {
    let likelier =
        |most: (Option<usize>, f64), (to, rate)| if rate > most.1 { (Some(to), rate) } else { most };
    ways(chain, rate, at).fold((None, chain.exits()[at]), likelier).0
}

/// Where jumps lead that do not end all, and how many of them in a unit of time: those that lead nowhere, too.
fn ways(chain: &Chain<'_>, rate: f64, at: usize) -> impl Iterator<Item = (usize, f64)> {
    let range = chain.pattern().out.range(at);
    let edges = chain.pattern().out.items[range.clone()].iter().zip(&chain.rates()[range]);
    let onward = edges.map(|(&to, &rate)| (to as usize, rate));
    onward.chain([(at, rate - chain.totals()[at])]).filter(|&(_, rate)| rate > 0.0)
}

/// The mean of a product after a jump from a position, and what is earned there until then: by differences from a number.
fn moved(
    chain: &Chain<'_>,
    rate: f64,
    values: &[Carried],
    (at, [from, missing]): (usize, Carried),
    earned: f64,
) -> Carried {
    let differences =
        ways(chain, rate, at).map(|(to, rate)| rate * ((values[to][0] - from) + (values[to][1] - missing)));
    let ended = times(chain.exits()[at], from + missing);
    let Dd(value, rest) = two_sum(from, (differences.sum::<f64>() - ended + earned) / rate + missing);
    [value, rest]
}
