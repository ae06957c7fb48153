//! Where a process goes next, as tables: one multiplication, one look-up and one comparison a jump, whatever the fan-out.
//!
//! The alias method (Walker, ACM Trans. Math. Softw. 3, 1977; tables made as by Vose, IEEE Trans. Softw. Eng. 17, 1991)
//! with one column less than there are outcomes, which always suffices.

use super::SamplingError;
use crate::distribution::chain::Chain;
use crate::plan::EvaluationError;

/// Where absorption is.
pub(super) const ABSORBED: u32 = u32::MAX;

/// Two outcomes: the first when the draw is below the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    threshold: u64,
    outcomes: [u32; 2],
}

/// The jumps of a process by position; the start has the position after the last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// First column and number of columns of each position.
    pub(super) rows: Vec<(u32, u32)>,
    pub(super) columns: Vec<Column>,
    /// Mean time of a visit by position; 1 in discrete time.
    pub(super) means: Vec<f64>,
    /// Whether there is anything to choose anywhere.
    pub(super) branches: bool,
}

impl Table {
    /// The tables of a chain. `O(V + E)`.
    pub(super) fn new(chain: &Chain<'_>) -> Result<Self, SamplingError> {
        check_escape(chain)?;
        Ok(Self::unchecked(chain))
    }

    /// The same of a chain in which paths may never end: where nothing leads on, visits last for ever.
    pub(super) fn unchecked(chain: &Chain<'_>) -> Self {
        let positions = chain.len();
        let mut table = Self {
            rows: Vec::with_capacity(positions + 1),
            columns: Vec::new(),
            means: Vec::with_capacity(positions),
            branches: false,
        };
        let mut outcomes: Vec<(u32, f64)> = Vec::new();
        let stays = if chain.is_discrete() { chain.stays() } else { vec![0.0; positions] };
        for (at, &stay) in stays.iter().enumerate() {
            outcomes.clear();
            let range = chain.pattern().out.range(at);
            let edges = chain.pattern().out.items[range.clone()].iter().zip(&chain.rates()[range]);
            outcomes.extend(edges.map(|(&target, &rate)| (target, rate)));
            if chain.is_discrete() {
                outcomes.push((at as u32, stay));
                table.means.push(1.0);
            } else {
                table.means.push(1.0 / chain.totals()[at]);
            }
            // The order is part of the stream, and must not be an accident of positions.
            outcomes.sort_unstable_by_key(|&(target, _)| chain.pattern().vertices[target as usize]);
            outcomes.push((ABSORBED, chain.exits()[at]));
            table.push_row(&mut outcomes);
        }
        table.push_start(chain.start().to_vec(), chain.atom(), &chain.pattern().vertices);
        table
    }

    /// Adds the row of the start, or replaces it.
    pub(super) fn push_start(&mut self, mut outcomes: Vec<(u32, f64)>, atom: f64, vertices: &[u32]) {
        if self.rows.len() > self.means.len() {
            let start = self.rows.pop().unwrap_or_default();
            self.columns.truncate(start.0 as usize);
        }
        outcomes.sort_unstable_by_key(|&(target, _)| vertices[target as usize]);
        outcomes.push((ABSORBED, atom));
        self.push_row(&mut outcomes);
    }

    /// The position of the start.
    pub(super) fn start(&self) -> u32 {
        self.means.len() as u32
    }

    fn push_row(&mut self, outcomes: &mut Vec<(u32, f64)>) {
        outcomes.retain(|&(_, weight)| weight > 0.0);
        let first = self.columns.len() as u32;
        self.branches |= outcomes.len() > 1;
        if let [(only, _)] = outcomes[..] {
            self.columns.push(Column { threshold: u64::MAX, outcomes: [only, only] });
        } else {
            self.push_columns(outcomes);
        }
        self.rows.push((first, self.columns.len() as u32 - first));
    }

    /// Fills columns of height 1: each takes all of one outcome and the rest of another. With n outcomes for n − 1 columns
    /// the fullest of two that are left always suffices, also when all are below 1.
    fn push_columns(&mut self, outcomes: &[(u32, f64)]) {
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
            self.columns.push(Column { threshold, outcomes: [target, other] });
            let left = rest - (1.0 - height);
            if left < 1.0 { small.push((other, left)) } else { large.push((other, left)) }
        }
    }
}

/// Where a row leads under a draw of 64 bits.
#[inline(always)]
pub(super) fn jump(columns: &[Column], (first, count): (u32, u32), draw: u64) -> u32 {
    let product = u128::from(draw) * u128::from(count);
    let column = &columns[first as usize + (product >> 64) as usize];
    // An address instead of a branch: which of the two it is cannot be predicted.
    column.outcomes[usize::from(product as u64 >= column.threshold)]
}

/// Where a row leads that has one way out.
#[inline(always)]
pub(super) fn only_jump(columns: &[Column], (first, _): (u32, u32)) -> u32 {
    columns[first as usize].outcomes[0]
}

/// Makes sure that every path ends: whatever is reached can be absorbed.
fn check_escape(chain: &Chain<'_>) -> Result<(), SamplingError> {
    let (pattern, rates) = (chain.pattern(), chain.rates());
    let mut reached = vec![false; chain.len()];
    let mut stack: Vec<u32> = chain.start().iter().map(|&(at, _)| at).collect();
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut reached[at as usize], true) {
            let range = pattern.out.range(at as usize);
            let edges = pattern.out.items[range.clone()].iter().zip(&rates[range]);
            stack.extend(edges.filter(|&(_, &rate)| rate > 0.0).map(|(&target, _)| target));
        }
    }
    let mut escapes = vec![false; chain.len()];
    stack.extend((0..chain.len() as u32).filter(|&at| chain.exits()[at as usize] > 0.0));
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut escapes[at as usize], true) {
            let range = pattern.into.range(at as usize);
            let edges = pattern.into.items[range.clone()].iter().zip(&pattern.entry[range]);
            let open = edges.filter(|&(_, &entry)| rates[entry as usize] > 0.0);
            stack.extend(open.map(|(&source, _)| source));
        }
    }
    match (0..chain.len()).find(|&at| reached[at] && !escapes[at]) {
        Some(at) => {
            let error = EvaluationError::Trapped { vertex: pattern.vertices[at], state: None };
            Err(SamplingError::Evaluation(error))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exact probabilities that a row's columns give.
    fn probabilities(weights: &[f64]) -> Vec<f64> {
        let mut table = Table { rows: Vec::new(), columns: Vec::new(), means: vec![1.0], branches: false };
        table.push_row(&mut weights.iter().zip(0..).map(|(&weight, at)| (at, weight)).collect());
        let mut found = vec![0.0; weights.len()];
        let share = 1.0 / table.columns.len() as f64;
        for column in &table.columns {
            let first = column.threshold as f64 / 18_446_744_073_709_551_616.0;
            found[column.outcomes[0] as usize] += first * share;
            found[column.outcomes[1] as usize] += (1.0 - first) * share;
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
        let mut table = Table { rows: Vec::new(), columns: Vec::new(), means: vec![1.0; 3], branches: false };
        for outcomes in [1, 2, 7] {
            table.push_row(&mut (0..outcomes).map(|at| (at, 1.0)).collect());
        }
        assert_eq!(table.rows, [(0, 1), (1, 1), (2, 6)]);
        assert_eq!((jump(&table.columns, (1, 1), 0), jump(&table.columns, (1, 1), u64::MAX)), (1, 0));
    }
}
