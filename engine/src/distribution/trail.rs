//! The states a sweep went through, for going back over them.

use std::ops::Range;

use super::slices::WIDTH;
use super::sweep::Segment;

/// Numbers that a trail keeps before it keeps only where segments began: 8 MiB, so that they stay in a cache.
pub(super) const KEPT: usize = 1 << 20;

/// What is remembered of a sweep.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    pub(super) parts: Vec<Part>,
    kept: usize,
    limit: usize,
    /// Memory for the states of the next part.
    spare: Vec<[f64; WIDTH]>,
}

/// What is remembered of a segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) begin: f64,
    pub(super) end: f64,
    pub(super) rate: f64,
    /// Weights of the states at the end of the segment, from the state `first` on.
    pub(super) first: usize,
    pub(super) weights: Vec<f64>,
    /// The state it began in.
    pub(super) initial: Vec<f64>,
    pub(super) active: Range<usize>,
    pub(super) reach: usize,
    /// The first slice of each state, the position after its last active one, and where the state begins in `states`.
    pub(super) ranges: Vec<(u32, u32, usize)>,
    /// Empty if there was no room; a replay finds them again.
    pub(super) states: Vec<[f64; WIDTH]>,
}

impl Trail {
    /// A trail that keeps this many numbers at most.
    pub(super) fn within(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// A trail that keeps all, beginning in memory that has served before: fresh pages cost as much as what is written
    /// to them.
    pub(super) fn of_all(mut spare: Vec<[f64; WIDTH]>) -> Self {
        spare.clear();
        Self { limit: usize::MAX, spare, ..Self::default() }
    }

    /// How many jumps a segment may have so that its states alone fit.
    pub(super) fn longest(positions: usize) -> f64 {
        (KEPT / positions.max(1)).clamp(1 << 10, 1 << 16) as f64
    }

    pub(super) fn begin(
        &mut self,
        segment: &Segment,
        first: usize,
        weights: &[f64],
        p: &[f64],
        active: &Range<usize>,
        reach: usize,
    ) {
        self.parts.push(Part {
            begin: segment.begin,
            end: segment.end,
            rate: segment.rate,
            first,
            weights: weights.to_vec(),
            initial: p[active.clone()].to_vec(),
            active: active.clone(),
            reach,
            ranges: Vec::new(),
            states: std::mem::take(&mut self.spare),
        });
    }

    pub(super) fn state(&mut self, p: &[f64], rows: &Range<usize>) {
        let Some(part) = self.parts.last_mut() else { return };
        let slices = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
        part.ranges.push((slices.start as u32, rows.end as u32, part.states.len()));
        if self.kept + (part.states.len() + slices.len()) * WIDTH <= self.limit {
            part.states.extend_from_slice(&p.as_chunks::<WIDTH>().0[slices]);
        } else {
            part.states = Vec::new();
            self.limit = 0;
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(part) = self.parts.last_mut() {
            if self.limit == 0 {
                part.states = Vec::new();
            }
            self.kept += part.states.len() * WIDTH;
        }
    }
}

impl Part {
    /// The state after `k` jumps, its slices, and the position after its last active one.
    pub(super) fn state(&self, k: usize) -> (Range<usize>, usize, &[[f64; WIDTH]]) {
        let (start, end, at) = self.ranges[k];
        let slices = start as usize..(end as usize).div_ceil(WIDTH);
        let length = slices.len();
        (slices, end as usize, &self.states[at..at + length])
    }
}
