//! Where a process goes next, as tables: one multiplication, one look-up and one comparison a jump, whatever the fan-out.
//!
//! The alias method (Walker, ACM Trans. Math. Softw. 3, 1977; tables made as by Vose, IEEE Trans. Softw. Eng. 17, 1991)
//! with one column less than there are outcomes, which always suffices. A column holds all that a visit needs, so a visit
//! touches half a cache line.

use std::borrow::Cow;
use std::ops::Range;

use crate::distribution::chain::Chain;

/// Where absorption is, among positions.
const ABSORBED: u32 = u32::MAX;

/// The columns of a position: the first of them and how many there are, in the upper and lower half of one word, as lanes
/// compute with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(u64);

impl Row {
    /// Absorption, the only row without columns.
    pub(super) const ABSORBED: Self = Self(0);

    fn new(columns: Range<usize>) -> Self {
        Self((columns.start as u64) << 32 | columns.len() as u64)
    }

    /// Its first column, which also tells rows apart.
    #[inline(always)]
    pub(super) fn first(self) -> usize {
        (self.0 >> 32) as usize
    }

    fn columns(self) -> Range<usize> {
        self.first()..self.first() + (self.0 & 0xffff_ffff) as usize
    }

    /// The column that a draw of 64 bits chooses, and the bits that choose between its outcomes: upper and lower part of
    /// the draw times the number of columns. Column 0 for absorption.
    #[inline(always)]
    pub(super) fn choose(self, draw: u64) -> (u64, u64) {
        // In halves, which lanes can multiply.
        let (draw_high, draw_low) = (draw >> 32, draw & 0xffff_ffff);
        let count = self.0 & 0xffff_ffff;
        let low = draw_low * count;
        let high = draw_high * count + (low >> 32);
        ((self.0 >> 32) + (high >> 32), high << 32 | low & 0xffff_ffff)
    }
}

/// Two outcomes: the first when the bits are below the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(32))]
pub(super) struct Column {
    threshold: u64,
    outcomes: [Row; 2],
    /// What a visit of its position adds to the total: this times a unit exponential number, or times 1 in discrete time.
    pub(super) gain: f64,
}

impl Column {
    /// Where it leads.
    #[inline(always)]
    pub(super) fn outcome(&self, bits: u64) -> Row {
        // An address instead of a branch: which of the two it is cannot be predicted.
        self.outcomes[usize::from(bits >= self.threshold)]
    }
}

/// What visits add to totals.
pub(super) struct Gains<'a> {
    /// By position, for each of `width` totals: rewards times mean time, or rewards.
    pub(super) by_position: Cow<'a, [f64]>,
    pub(super) width: usize,
    /// The table's columns, with these gains in them where there is one total.
    pub(super) columns: Cow<'a, [Column]>,
}

/// The jumps of a process by position; the start has the position after the last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// By position. None is empty.
    pub(super) rows: Vec<Row>,
    /// Their gains are mean times.
    columns: Vec<Column>,
    /// Position of each column.
    positions: Vec<u32>,
    /// Mean time of a visit by position; 1 in discrete time.
    pub(super) means: Vec<f64>,
    /// Whether there is anything to choose anywhere.
    pub(super) branches: bool,
}

impl Table {
    /// The tables of a chain. Paths may never end in them: see [`Traps`](super::escape::Traps). `O(V + E)`.
    pub(super) fn new(chain: &Chain<'_>) -> Self {
        let stays = if chain.is_discrete() { chain.stays() } else { vec![0.0; chain.len()] };
        let mut splits = Vec::new();
        let mut ends = Vec::with_capacity(chain.len());
        let mut outcomes: Vec<(u32, f64)> = Vec::new();
        for (at, &stay) in stays.iter().enumerate() {
            outcomes.clear();
            let range = chain.pattern().out.range(at);
            let edges = chain.pattern().out.items[range.clone()].iter().zip(&chain.rates()[range]);
            outcomes.extend(edges.map(|(&target, &rate)| (target, rate)));
            if chain.is_discrete() {
                outcomes.push((at as u32, stay));
            }
            // The order is part of the stream, and must not be an accident of positions.
            outcomes.sort_unstable_by_key(|&(target, _)| chain.pattern().vertices[target as usize]);
            outcomes.push((ABSORBED, chain.exits()[at]));
            split(&outcomes, &mut splits);
            ends.push(splits.len());
        }
        let means = if chain.is_discrete() {
            vec![1.0; chain.len()]
        } else {
            chain.totals().iter().map(|total| 1.0 / total).collect()
        };
        let mut table = Self::of_splits(&splits, &ends, means);
        table.push_start(chain.start().to_vec(), chain.atom(), &chain.pattern().vertices);
        table
    }

    /// The table without its start.
    fn of_splits(splits: &[Split], ends: &[usize], means: Vec<f64>) -> Self {
        let starts = std::iter::once(&0).chain(ends);
        let mut table = Self {
            rows: starts.zip(ends).map(|(&start, &end)| Row::new(start..end)).collect(),
            columns: Vec::with_capacity(splits.len()),
            positions: Vec::with_capacity(splits.len()),
            means,
            branches: false,
        };
        for at in 0..table.means.len() {
            table.push_columns(&splits[table.rows[at].columns()], at as u32, table.means[at]);
        }
        table
    }

    fn push_columns(&mut self, splits: &[Split], at: u32, gain: f64) {
        for &Split { threshold, outcomes } in splits {
            self.branches |= outcomes[0] != outcomes[1];
            let row = |target| if target == ABSORBED { Row::ABSORBED } else { self.rows[target as usize] };
            self.columns.push(Column { threshold, outcomes: outcomes.map(row), gain });
            self.positions.push(at);
        }
    }

    /// Adds the row of the start, or replaces it.
    pub(super) fn push_start(&mut self, mut outcomes: Vec<(u32, f64)>, atom: f64, vertices: &[u32]) {
        if self.rows.len() > self.means.len() {
            let first = self.rows.pop().map_or(0, Row::first);
            self.columns.truncate(first);
            self.positions.truncate(first);
        }
        outcomes.sort_unstable_by_key(|&(target, _)| vertices[target as usize]);
        outcomes.push((ABSORBED, atom));
        let mut splits = Vec::new();
        split(&outcomes, &mut splits);
        let first = self.columns.len();
        self.push_columns(&splits, self.means.len() as u32, 0.0);
        self.rows.push(Row::new(first..self.columns.len()));
    }

    /// Positions; the start is not one of them.
    pub(super) fn len(&self) -> usize {
        self.means.len()
    }

    /// The positions that a row leads to, some of them more than once.
    pub(super) fn outcomes(&self, row: Row) -> impl Iterator<Item = usize> + '_ {
        let outcomes = self.columns[row.columns()].iter().flat_map(|column| column.outcomes);
        outcomes.filter_map(|row| self.position(row))
    }

    /// The row of the start.
    #[inline(always)]
    pub(super) fn start(&self) -> Row {
        self.rows[self.means.len()]
    }

    /// Whose row it is; of absorption nobody's.
    #[inline(always)]
    pub(super) fn position(&self, row: Row) -> Option<usize> {
        (row != Row::ABSORBED).then(|| self.positions[row.first()] as usize)
    }

    /// Where a row leads under a draw of 64 bits.
    #[inline(always)]
    pub(super) fn jump(&self, row: Row, draw: u64) -> Row {
        let (column, bits) = row.choose(draw);
        self.columns[column as usize].outcome(bits)
    }

    /// Times as the only total.
    pub(super) fn times(&self) -> Gains<'_> {
        let (by_position, columns) = (Cow::Borrowed(&self.means[..]), Cow::Borrowed(&self.columns[..]));
        Gains { by_position, width: 1, columns }
    }

    /// `width` totals to which visits add what is given by position. `O(E)` for one total, constant for others.
    pub(super) fn totals(&self, by_position: Vec<f64>, width: usize) -> Gains<'_> {
        let mut columns = Cow::Borrowed(&self.columns[..]);
        if width == 1 {
            let columns = columns.to_mut();
            for (row, &gain) in self.rows.iter().zip(&by_position) {
                columns[row.columns()].iter_mut().for_each(|column| column.gain = gain);
            }
        }
        Gains { by_position: by_position.into(), width, columns }
    }
}

/// A column before it is known where rows are: outcomes are positions.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    threshold: u64,
    outcomes: [u32; 2],
}

/// Fills columns of height 1: each takes all of one outcome and the rest of another. With n outcomes for n − 1 columns
/// the fullest of two that are left always suffices, also when all are below 1.
fn split(outcomes: &[(u32, f64)], splits: &mut Vec<Split>) {
    let outcomes: Vec<_> = outcomes.iter().filter(|&&(_, weight)| weight > 0.0).copied().collect();
    if let [] | [_] = outcomes[..] {
        // Where nothing leads on a visit never ends, so it does not matter that it leads to absorption.
        let only = outcomes.first().map_or(ABSORBED, |&(target, _)| target);
        splits.push(Split { threshold: u64::MAX, outcomes: [only, only] });
        return;
    }
    let total: f64 = outcomes.iter().map(|&(_, weight)| weight).sum();
    let scale = (outcomes.len() as f64 - 1.0) / total;
    let scaled = outcomes.iter().map(|&(target, weight)| (target, weight * scale));
    let (mut small, mut large): (Vec<_>, Vec<_>) = scaled.partition(|&(_, height)| height < 1.0);
    for _ in 1..outcomes.len() {
        let Some((target, height)) = small.pop().or_else(|| large.pop()) else { return };
        let Some((other, rest)) = large.pop().or_else(|| small.pop()) else { return };
        // 2⁶⁴·height, rounded by at most one part in 2⁵³.
        #[allow(clippy::cast_sign_loss, reason = "heights are not negative, and the cast saturates")]
        let threshold = (height * 18_446_744_073_709_551_616.0) as u64;
        splits.push(Split { threshold, outcomes: [target, other] });
        let left = rest - (1.0 - height);
        if left < 1.0 { small.push((other, left)) } else { large.push((other, left)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(weights: &[f64]) -> Vec<Split> {
        let mut splits = Vec::new();
        split(&weights.iter().zip(0..).map(|(&weight, at)| (at, weight)).collect::<Vec<_>>(), &mut splits);
        splits
    }

    /// The exact probabilities that a row's columns give.
    fn probabilities(weights: &[f64]) -> Vec<f64> {
        let mut found = vec![0.0; weights.len()];
        let splits = splits(weights);
        let share = 1.0 / splits.len() as f64;
        for split in splits {
            let first = split.threshold as f64 / 18_446_744_073_709_551_616.0;
            found[split.outcomes[0] as usize] += first * share;
            found[split.outcomes[1] as usize] += (1.0 - first) * share;
        }
        found
    }

    #[test]
    fn columns_hold_exactly_the_probabilities() {
        let skewed: Vec<f64> = (0..60).map(|k| 0.5_f64.powi(k % 23) + 1e-3).collect();
        for weights in [&[2.0][..], &[0.0, 3.0], &[1.0, 3.0], &[0.2, 0.2, 0.2], &[1e-9, 1.0, 5.0], &skewed] {
            let total: f64 = weights.iter().sum();
            for (found, weight) in probabilities(weights).into_iter().zip(weights) {
                assert!((found - weight / total).abs() < 1e-14, "{weights:?}: {found}");
            }
        }
    }

    #[test]
    fn a_row_of_n_outcomes_takes_n_minus_1_columns() {
        for (outcomes, columns) in [(0, 1), (1, 1), (2, 1), (7, 6)] {
            assert_eq!(splits(&vec![1.0; outcomes]).len(), columns);
        }
        // Position 0 stays or goes on to 1, which is left for good.
        let splits =
            [splits(&[1.0, 1.0]), vec![Split { threshold: u64::MAX, outcomes: [ABSORBED; 2] }]].concat();
        let mut table = Table::of_splits(&splits, &[1, 2], vec![1.0; 2]);
        table.push_start(vec![(0, 1.0)], 0.0, &[5, 6]);
        assert_eq!(table.rows, [Row::new(0..1), Row::new(1..2), Row::new(2..3)]);
        let ends = [0, u64::MAX].map(|draw| table.position(table.jump(table.rows[0], draw)));
        assert_eq!(ends, [Some(1), Some(0)]);
        assert_eq!(table.position(table.jump(table.rows[1], u64::MAX)), None);
        assert_eq!(table.start(), table.rows[2]);
    }

    #[test]
    fn a_choice_is_the_product_of_draw_and_columns() {
        let mut state = super::super::stream::seeded(3, 1);
        for count in [1, 2, 3, 1000, u32::MAX as usize] {
            for _ in 0..100 {
                let (draw, after) = super::super::stream::next(state);
                state = after;
                let product = u128::from(draw) * count as u128;
                let wanted = (7 + (product >> 64) as u64, product as u64);
                assert_eq!(Row::new(7..7 + count).choose(draw), wanted);
            }
        }
        assert_eq!(Row::ABSORBED.choose(u64::MAX), (0, 0));
    }
}
