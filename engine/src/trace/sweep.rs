//! The second stage: linear rows applied to a reward vector (artifact specification, section 7).

use super::ReplayError;
use super::wide::Wide;

/// `x[from] += x[to] · multiplier`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) multiplier: f64,
}

/// Above this ratio of largest to smallest multiplier, sums are taken in extended precision, as in phasic.
const CONDITION_THRESHOLD: f64 = 1e12;

/// The rows of one program under one set of weights.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    rows: Vec<Row>,
    condition: f64,
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let finite = rows.iter().map(|row| row.multiplier.abs()).filter(|m| m.is_finite() && *m != 0.0);
        let (low, high) = finite.fold((f64::INFINITY, 0.0_f64), |(low, high), m| (low.min(m), high.max(m)));
        let condition = if high == 0.0 { 1.0 } else { high / low };
        Self { rows, condition }
    }

    /// Largest over smallest magnitude of the finite non-zero multipliers.
    pub(super) fn condition(&self) -> f64 {
        self.condition
    }

    /// Expected totals from every vertex, for these rewards. Linear in the number of rows.
    pub(super) fn apply(&self, rewards: &[f64]) -> Result<Vec<f64>, ReplayError> {
        if self.condition > CONDITION_THRESHOLD {
            self.apply_wide(rewards)
        } else {
            self.apply_plain(rewards)
        }
    }

    fn apply_plain(&self, rewards: &[f64]) -> Result<Vec<f64>, ReplayError> {
        let mut x = rewards.to_vec();
        for row in self.live() {
            let from_there = x[row.to as usize];
            if row.multiplier.is_infinite() && from_there == 0.0 {
                continue;
            }
            let here = &mut x[row.from as usize];
            *here += from_there * row.multiplier;
            if here.is_nan() {
                return Err(ReplayError::NotANumber { vertex: row.from });
            }
        }
        Ok(x)
    }

    fn apply_wide(&self, rewards: &[f64]) -> Result<Vec<f64>, ReplayError> {
        let not_a_number = |vertex: u32| ReplayError::NotANumber { vertex };
        let mut x = Vec::with_capacity(rewards.len());
        for (&reward, vertex) in rewards.iter().zip(0..) {
            x.push(Wide::from_f64(reward).ok_or(not_a_number(vertex))?);
        }
        for row in self.live() {
            let from_there = x[row.to as usize];
            if row.multiplier.is_infinite() && from_there.is_zero() {
                continue;
            }
            let here = &mut x[row.from as usize];
            let sum = from_there.times(row.multiplier).and_then(|product| here.plus(product));
            *here = sum.ok_or(not_a_number(row.from))?;
        }
        Ok(x.into_iter().map(Wide::to_f64).collect())
    }

    /// For each vertex v, the total from the start when v alone earns 1: expected sojourn times.
    ///
    /// Additions are Kahan-compensated per vertex, as in phasic (numerics specification, section 1); columns go through
    /// the rows eight at a time. Time is rows times vertices, memory 128 bytes a vertex.
    pub(super) fn columns_from_start(&self, vertices: usize) -> Result<Vec<f64>, ReplayError> {
        const LANES: usize = 8;
        let mut result = vec![0.0; vertices];
        let mut x = vec![[0.0_f64; LANES]; vertices];
        let mut lost = vec![[0.0_f64; LANES]; vertices];
        for (block, out) in result.chunks_mut(LANES).enumerate() {
            x.fill([0.0; LANES]);
            lost.fill([0.0; LANES]);
            for lane in 0..out.len() {
                x[block * LANES + lane][lane] = 1.0;
            }
            for row in self.live() {
                let from_there = x[row.to as usize];
                let (here, lost) = (&mut x[row.from as usize], &mut lost[row.from as usize]);
                for lane in 0..LANES {
                    if row.multiplier.is_infinite() && from_there[lane] == 0.0 {
                        continue;
                    }
                    let y = from_there[lane] * row.multiplier - lost[lane];
                    let sum = here[lane] + y;
                    lost[lane] = (sum - here[lane]) - y;
                    here[lane] = sum;
                }
            }
            out.copy_from_slice(&x[0][..out.len()]);
            if out.iter().any(|value| value.is_nan()) {
                return Err(ReplayError::NotANumber { vertex: 0 });
            }
        }
        Ok(result)
    }

    fn live(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.multiplier != 0.0)
    }
}
