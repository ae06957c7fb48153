//! Raw moments of one total, taken back through an epoch of any length by powers of a block matrix.
//!
//! Of a total `X + Y`, `X` earned within a time and `Y` after it, moments from its beginning are
//! `Σ_i C(j, i) K_{j−i} m_i + c_j` for those `m_i` of `Y` from its end: `K_k` is the `k`-th moment of `X` by where the process
//! gets to, and `c_j` its `j`-th whatever becomes of the process. Only the difference of two orders counts, so there is
//! one block for each and not one for each pair. Twice the time takes each twice (integrals by block exponentials; Van
//! Loan, IEEE Transactions on Automatic Control 23, 1978): `K_k ← Σ_i C(k, i) K_i K_{k−i}`, sums of non-negative numbers
//! where rewards are.

use ndarray::Array2;

use super::products::{FEW, FIRST, MOST_BYTES};
use super::rewards::{Product, back_by_jumps, times};
use crate::distribution::chain::Chain;
use crate::distribution::leaps::Leaps;

/// What a time does to the moments of a total.
pub(super) struct Powers {
    /// `K_0`, `K_1`, …; none where it is 0.
    blocks: Vec<Option<Array2<f64>>>,
    /// `c_1`, `c_2`, …
    earned: Vec<Vec<f64>>,
}

/// Multiply-adds that so many moments take for so many jumps; infinite where they are out of reach.
pub(super) fn cost(chain: &Chain<'_>, jumps: f64, count: usize) -> f64 {
    let (n, edges) = (chain.len(), chain.rates().len() + chain.len());
    if jumps <= FEW || !Leaps::has_room(n) || (count as u64 + 1) * 8 * (n as u64).pow(2) > MOST_BYTES {
        return f64::INFINITY;
    }
    let first = (n * FIRST * edges) as f64 * (count + 1) as f64;
    let multiplications = (count * (count + 1)) as f64 / 2.0;
    first + multiplications * (n as f64).powi(3) * jumps.log2().ceil()
}

impl Powers {
    /// Those of the first `count` moments under rewards, over a time. None if there is no room for them.
    pub(super) fn new(chain: &Chain<'_>, rewards: &[f64], count: usize, time: f64) -> Option<Self> {
        let leaps = Leaps::new(chain, chain.len(), time, false)?;
        let mut powers = Self::first(chain, rewards, count, &leaps);
        let (mut shortest, mut power) = (leaps.shortest(), 0);
        while shortest < time {
            powers.double();
            shortest *= 2.0;
            power += 1;
            powers.blocks[0] = Some(leaps.matrix(power).clone());
        }
        Some(powers)
    }

    /// Those of the shortest time, jump by jump.
    fn first(chain: &Chain<'_>, rewards: &[f64], count: usize, leaps: &Leaps) -> Self {
        let (n, time) = (chain.len(), leaps.shortest());
        let fastest = chain.totals().iter().fold(1.0 / time, |most, &total| most.max(total));
        let mut earned = vec![vec![0.0; n]; count];
        let of_order = |order: usize| vec![(order as f64, rewards, order.checked_sub(2))];
        let moments: Vec<Product<'_>> = (1..=count).map(of_order).collect();
        back_by_jumps(chain, &moments, (fastest, time), 1.0, &mut earned);
        // The same from the indicator of each position, which is a product of no totals like any other.
        let of_order = |order: usize| match order {
            0 => Product::new(),
            _ => vec![(order as f64, rewards, Some(order - 1))],
        };
        let by_end: Vec<Product<'_>> = (0..count).map(of_order).collect();
        let mut blocks: Vec<Option<Array2<f64>>> = vec![None; count];
        blocks[0] = Some(leaps.matrix(0).clone());
        for at in 0..n {
            let mut state = vec![vec![0.0; n]; count];
            state[0][at] = 1.0;
            back_by_jumps(chain, &by_end, (fastest, time), 0.0, &mut state);
            for (block, column) in blocks.iter_mut().zip(&state).skip(1) {
                if column.iter().any(|&value| value != 0.0) {
                    let block = block.get_or_insert_with(|| Array2::zeros((n, n)));
                    block.column_mut(at).iter_mut().zip(column).for_each(|(slot, &value)| *slot = value);
                }
            }
        }
        Self { blocks, earned }
    }

    /// Those of twice the time, but for `K_0`.
    fn double(&mut self) {
        let mut after = self.earned.clone();
        self.apply(&mut after);
        self.earned = after;
        // The last first: each is made of those up to it, as they were.
        for order in (1..self.blocks.len()).rev() {
            let mut sum: Option<Array2<f64>> = None;
            for (i, binomial) in binomials(order) {
                let (Some(first), Some(second)) = (&self.blocks[i], &self.blocks[order - i]) else {
                    continue;
                };
                let product = product(first, second, binomial);
                match &mut sum {
                    Some(sum) => *sum += &product,
                    None => sum = Some(product),
                }
            }
            self.blocks[order] = sum;
        }
    }

    /// Takes moments at the end of the time to its beginning.
    pub(super) fn apply(&self, state: &mut [Vec<f64>]) {
        for order in (1..=state.len()).rev() {
            let mut sums = self.earned[order - 1].clone();
            for (i, binomial) in binomials(order).skip(1) {
                let Some(block) = &self.blocks[order - i] else { continue };
                for (row, sum) in block.rows().into_iter().zip(&mut sums) {
                    let terms = row.iter().zip(&state[i - 1]);
                    *sum += terms.map(|(&entry, &moment)| term(entry, moment, binomial)).sum::<f64>();
                }
            }
            state[order - 1] = sums;
        }
    }
}

/// The numbers from 0 to `order`, each with how many ways there are to choose so many out of `order`.
fn binomials(order: usize) -> impl Iterator<Item = (usize, f64)> {
    let next = move |&(i, binomial): &(usize, f64)| {
        (i < order).then(|| (i + 1, binomial * ((order - i) as f64 / (i + 1) as f64)))
    };
    std::iter::successors(Some((0, 1.0)), next)
}

/// `binomial · entry · moment`, the small one first so that nothing leaves f64 on the way; what never happens counts for
/// nothing, however much it would be.
fn term(entry: f64, moment: f64, binomial: f64) -> f64 {
    if entry.abs() < moment.abs() { times(binomial * entry, moment) } else { times(entry, binomial * moment) }
}

/// `binomial · first · second`, the factor with the smaller of both, for the same reason.
fn product(first: &Array2<f64>, second: &Array2<f64>, binomial: f64) -> Array2<f64> {
    let largest = |matrix: &Array2<f64>| matrix.iter().fold(0.0_f64, |most, entry| most.max(entry.abs()));
    if binomial == 1.0 {
        first.dot(second)
    } else if largest(first) < largest(second) {
        (first * binomial).dot(second)
    } else {
        first.dot(&(second * binomial))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::plan;
    use super::*;
    use crate::graph::{GraphBuilder, Rate, START};

    fn cyclic() -> crate::plan::Plan {
        let mut builder = GraphBuilder::new(1).unwrap();
        let v: Vec<u32> = (1..=4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
        builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
        for (from, to, rate) in [(0, 1, 3.0), (1, 0, 2.0), (1, 2, 0.5), (2, 0, 40.0), (2, 3, 0.25)] {
            builder.add_edge(v[from], v[to], Rate::Coefficients(&[rate])).unwrap();
        }
        plan(&builder.finish())
    }

    #[test]
    fn powers_take_moments_of_any_order_back_as_jumps_do() {
        let plan = cyclic();
        let chain = plan.chain(&[1.0]).unwrap();
        let rewards = [0.0, 1.0, 2.0, 0.5, 0.0];
        let count = 60;
        let of_order = |order: usize| vec![(order as f64, &rewards[..], order.checked_sub(2))];
        let products: Vec<Product<'_>> = (1..=count).map(of_order).collect();
        for time in [0.01, 1.7, 30.0, 900.0] {
            // Moments of an exponential time of mean 2, and of half of it.
            let mut moment = 1.0;
            let end: Vec<Vec<f64>> = (1..=count)
                .map(|order| {
                    moment *= 2.0 * order as f64;
                    vec![moment, 0.0, moment * 0.5_f64.powf(order as f64)]
                })
                .collect();
            let (mut found, mut wanted) = (end.clone(), end);
            Powers::new(&chain, &rewards, count, time).unwrap().apply(&mut found);
            let fastest = chain.totals().iter().fold(0.0_f64, |most, &total| most.max(total));
            back_by_jumps(&chain, &products, (fastest, time), 1.0, &mut wanted);
            for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
                assert!((found / wanted - 1.0).abs() <= 1e-11, "{time}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn powers_take_back_what_rewards_of_both_signs_earn() {
        let plan = cyclic();
        let chain = plan.chain(&[1.0]).unwrap();
        let rewards = [0.0, 1.0, -2.0, 0.5, 0.0];
        let of_order = |order: usize| vec![(order as f64, &rewards[..], order.checked_sub(2))];
        let products: Vec<Product<'_>> = (1..=4).map(of_order).collect();
        let end = vec![vec![0.5, 0.25, 2.0], vec![0.0, 1.0, 5.0], vec![-3.0, 0.0, 0.5], vec![1.0; 3]];
        let (mut found, mut wanted) = (end.clone(), end);
        Powers::new(&chain, &rewards, 4, 5.0).unwrap().apply(&mut found);
        back_by_jumps(&chain, &products, (45.0, 5.0), 1.0, &mut wanted);
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((found - wanted).abs() <= 1e-12 * (100.0 + wanted.abs()), "{found} {wanted}");
        }
    }

    #[test]
    fn a_hundred_moments_take_a_block_for_each() {
        let plan = cyclic();
        let chain = plan.chain(&[1.0]).unwrap();
        let (jumps, n) = (1e12_f64, 3.0_f64);
        let work = cost(&chain, jumps, 100) / (n.powi(3) * jumps.log2().ceil());
        assert!((5000.0..12_000.0).contains(&work), "{work}");
        assert!(cost(&chain, 100.0, 1).is_infinite() && cost(&chain, 1e12, 20_000_000).is_infinite());
    }
}
