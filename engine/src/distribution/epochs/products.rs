//! Expected products of totals, taken back through an epoch of any length by powers of a block matrix; those that are all
//! powers of one total are in `powers`.
//!
//! What products `y` at the end of a time `δ` are at its beginning is `P y + Σ G y + c`: `P` where mass gets to, `G` what
//! products are worth that have fewer totals, `c` what is earned of none. Twice the time takes each twice, as in `leaps`
//! (integrals by block exponentials; Van Loan, IEEE Transactions on Automatic Control 23, 1978): all sums are of
//! non-negative numbers where rewards are.

use ndarray::Array2;

use super::rewards::{Product, back_by_jumps, times};
use crate::distribution::chain::Chain;
use crate::distribution::leaps::Leaps;

/// Most bytes of all blocks together.
pub(super) const MOST_BYTES: u64 = 1 << 30;
/// So few jumps are taken one by one.
pub(super) const FEW: f64 = 16384.0;
/// Jumps in the time of the first power, with those that hardly ever happen.
pub(super) const FIRST: usize = 37;

/// What a time does to expected products.
pub(super) struct Blocks {
    /// `P`, the same for all.
    moved: Array2<f64>,
    /// `G` by product and fewer product; none where it is 0.
    fewer: Vec<Vec<Option<Array2<f64>>>>,
    /// `c` by product.
    earned: Vec<Vec<f64>>,
}

/// Multiply-adds that blocks take for so many jumps; infinite where they are out of reach.
pub(super) fn cost(chain: &Chain<'_>, jumps: f64, products: usize) -> f64 {
    let (n, edges) = (chain.len(), chain.rates().len() + chain.len());
    let pairs = products * products.saturating_sub(1) / 2;
    if jumps <= FEW || !Leaps::has_room(n) || (pairs as u64 + 1) * 8 * (n as u64).pow(2) > MOST_BYTES {
        return f64::INFINITY;
    }
    let multiplications =
        1 + 2 * pairs + products * products.saturating_sub(1) * products.saturating_sub(2) / 6;
    let first = (n * FIRST * edges) as f64 * (products * products) as f64;
    first + (multiplications as f64) * (n as f64).powi(3) * jumps.log2().ceil()
}

impl Blocks {
    /// Those of a time. None if there is no room for the powers.
    pub(super) fn new(chain: &Chain<'_>, products: &[Product<'_>], time: f64) -> Option<Self> {
        let leaps = Leaps::new(chain, chain.len(), time, false)?;
        let mut shortest = leaps.shortest();
        let mut blocks = Self::first(chain, products, &leaps);
        let mut power = 0;
        while shortest < time {
            blocks.double(&leaps, power);
            shortest *= 2.0;
            power += 1;
        }
        blocks.moved.clone_from(leaps.matrix(power));
        Some(blocks)
    }

    /// Those of the shortest time, jump by jump.
    fn first(chain: &Chain<'_>, products: &[Product<'_>], leaps: &Leaps) -> Self {
        let (n, count, time) = (chain.len(), products.len(), leaps.shortest());
        let fastest = chain.totals().iter().fold(1.0 / time, |most, &total| most.max(total));
        let none = vec![vec![0.0; n]; count];
        let mut earned = none.clone();
        back_by_jumps(chain, products, (fastest, time), 1.0, &mut earned);
        let mut fewer: Vec<Vec<Option<Array2<f64>>>> = (0..count).map(|of| vec![None; of]).collect();
        for from in 0..count {
            for at in 0..n {
                let mut state = none.clone();
                state[from][at] = 1.0;
                back_by_jumps(chain, products, (fastest, time), 0.0, &mut state);
                for of in from + 1..count {
                    let column = &state[of];
                    if column.iter().any(|&value| value != 0.0) {
                        let block = fewer[of][from].get_or_insert_with(|| Array2::zeros((n, n)));
                        block.column_mut(at).iter_mut().zip(column).for_each(|(slot, &value)| *slot = value);
                    }
                }
            }
        }
        Self { moved: leaps.matrix(0).clone(), fewer, earned }
    }

    /// Those of twice the time, from a power to the next.
    fn double(&mut self, leaps: &Leaps, power: usize) {
        let moved = leaps.matrix(power);
        self.moved.clone_from(moved);
        let mut after = self.earned.clone();
        self.apply(&mut after);
        for of in (0..self.fewer.len()).rev() {
            for from in 0..of {
                let mut sum: Option<Array2<f64>> = None;
                let mut add = |product: Array2<f64>| match &mut sum {
                    Some(sum) => *sum += &product,
                    None => sum = Some(product),
                };
                if let Some(block) = &self.fewer[of][from] {
                    add(moved.dot(block));
                    add(block.dot(moved));
                }
                for between in from + 1..of {
                    if let (Some(first), Some(second)) =
                        (&self.fewer[of][between], &self.fewer[between][from])
                    {
                        add(first.dot(second));
                    }
                }
                self.fewer[of][from] = sum;
            }
        }
        self.earned = after;
    }

    /// Takes products at the end of the time to its beginning.
    pub(super) fn apply(&self, state: &mut [Vec<f64>]) {
        for of in (0..state.len()).rev() {
            let mut sums = self.earned[of].clone();
            add_product(&self.moved, &state[of], &mut sums);
            for (block, values) in self.fewer[of].iter().zip(&*state) {
                if let Some(block) = block {
                    add_product(block, values, &mut sums);
                }
            }
            state[of] = sums;
        }
    }
}

/// `sums += matrix · values`, where what never happens counts for nothing.
fn add_product(matrix: &Array2<f64>, values: &[f64], sums: &mut [f64]) {
    for (row, sum) in matrix.rows().into_iter().zip(sums) {
        *sum += row.iter().zip(values).map(|(&rate, &value)| times(rate, value)).sum::<f64>();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::plan;
    use super::*;
    use crate::graph::{GraphBuilder, Rate, START};

    #[test]
    fn blocks_take_products_back_as_jumps_do() {
        let mut builder = GraphBuilder::new(1).unwrap();
        let v: Vec<u32> = (1..=4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
        builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
        for (from, to, rate) in [(0, 1, 3.0), (1, 0, 2.0), (1, 2, 0.5), (2, 0, 40.0), (2, 3, 0.25)] {
            builder.add_edge(v[from], v[to], Rate::Coefficients(&[rate])).unwrap();
        }
        let plan = plan(&builder.finish());
        let chain = plan.chain(&[1.0]).unwrap();
        let (one, other) = ([0.0, 1.0, 2.0, 0.5, 0.0], [0.0, 0.0, -1.0, 3.0, 0.0]);
        let products: Vec<Product<'_>> = vec![
            vec![(1.0, &one, None)],
            vec![(1.0, &other, None)],
            vec![(1.0, &one, Some(1)), (1.0, &other, Some(0))],
            vec![(2.0, &one, Some(0))],
        ];
        for time in [0.01, 1.7, 30.0] {
            let end = vec![vec![0.5, 0.25, 2.0], vec![0.0, -1.0, 1.0], vec![3.0, 0.0, 0.5], vec![1.0; 3]];
            let (mut found, mut wanted) = (end.clone(), end);
            Blocks::new(&chain, &products, time).unwrap().apply(&mut found);
            let fastest = chain.totals().iter().fold(0.0_f64, |most, &total| most.max(total));
            back_by_jumps(&chain, &products, (fastest, time), 1.0, &mut wanted);
            for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
                assert!((found - wanted).abs() <= 1e-12 * (1.0 + wanted.abs()), "{time}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn what_is_out_of_reach_costs_without_end() {
        let plan = plan(&super::super::super::tests::erlang(3));
        let chain = plan.chain(&[1.0]).unwrap();
        assert!(cost(&chain, 100.0, 1).is_infinite() && cost(&chain, 1e12, 20_000_000).is_infinite());
        assert!(cost(&chain, 1e12, 4) < 1e5);
    }
}
