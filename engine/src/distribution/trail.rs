//! The states a sweep went through, for going back over them.
//!
//! States are many and large, so most are found again when they are needed: of every block of jumps the first state is
//! remembered, and the others are made from it once more, in memory that stays in a cache (checkpoints; Griewank and
//! Walther, Evaluating Derivatives, second edition, 2008, chapter 12).

use std::ops::Range;

use super::slices::WIDTH;
use super::sweep::{LOOK, Segment};

/// Numbers that a trail keeps beside those that blocks begin with.
const KEPT: usize = 1 << 17;
/// Numbers in the states of a block, as far as there is a choice: half a cache of the second level.
const BLOCK: usize = 1 << 16;
/// Numbers that the first states of a segment's blocks may be, as far as there is a choice.
const MARKS: usize = 1 << 22;

/// Most bytes of all that is remembered, with the states of one block made again.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// How a sweep will be gone back over.
#[derive(Debug, Clone, Copy)]
pub(super) struct WayBack {
    /// Numbers that may be kept, beside those that blocks begin with.
    pub(super) room: usize,
    /// How often.
    pub(super) sweeps: usize,
}

impl WayBack {
    /// So many sweeps back.
    pub(super) fn times(sweeps: usize) -> Self {
        Self { room: KEPT, sweeps }
    }
}

/// What is remembered of a sweep.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    pub(super) parts: Vec<Part>,
    /// Masses of states, one state after the other.
    masses: Vec<[f64; WIDTH]>,
    /// Numbers that may still be kept.
    room: usize,
    /// How often it will be gone back over.
    pub(super) sweeps: usize,
    /// Whether it ends where leaps would find gradients sooner.
    pub(super) gives_way: bool,
    /// States of all segments that have ended.
    states: usize,
    /// Which of several processes, one after the other, the sweep is in.
    epoch: usize,
    /// Jumps of a block of the segment.
    length: usize,
}

/// What is remembered of a segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) begin: f64,
    pub(super) rate: f64,
    pub(super) epoch: usize,
    /// Masses are in units of 2 to the power of minus this.
    pub(super) exponent: i32,
    /// Weights of the states at the end of the segment, from the state `first` on.
    pub(super) first: usize,
    pub(super) weights: Vec<f64>,
    /// Flow into absorption from each state.
    pub(super) flows: Vec<f64>,
    pub(super) blocks: Vec<Block>,
}

/// Some states of a segment, one jump apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    /// Jumps of the segment before the first of them.
    pub(super) first: usize,
    pub(super) count: usize,
    /// What a sweep needs to know beside the first state to go on from it.
    pub(super) active: Range<usize>,
    pub(super) reach: usize,
    /// The states that are kept: all, or the first.
    places: Vec<Place>,
}

/// Where a state is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its first slice, and the position after its last active one.
    slice: u32,
    end: u32,
    at: usize,
}

/// A state: its slices, the position after its last active one, and masses by slice.
#[derive(Debug, Clone)]
pub(super) struct State<'a> {
    pub(super) slices: Range<usize>,
    pub(super) end: usize,
    pub(super) masses: &'a [[f64; WIDTH]],
}

impl Trail {
    /// A trail for some ways back, that ends where leaps would find gradients sooner, if it `gives_way`.
    pub(super) fn of(back: WayBack, gives_way: bool) -> Self {
        Self { room: back.room, sweeps: back.sweeps, gives_way, ..Self::default() }
    }

    /// From now on the sweep is in the next process.
    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
    }

    /// Bytes in the end, about, if what is left are so many jumps, in segments of `mean` each, among the positions below
    /// `positions`.
    pub(super) fn forecast(&self, left: f64, mean: f64, positions: usize) -> u64 {
        let jumps = mean.min(left).max(1.0);
        // With those far out that hardly ever happen.
        let reached = jumps + 12.0 * jumps.sqrt() + 64.0;
        let length = block_length(reached as usize, positions) as f64;
        let (state, block) = (8.0 * positions as f64, std::mem::size_of::<Block>() as f64);
        let segment = 8.0 * reached + (reached / length).ceil() * (state + block);
        let known = self.masses.len() * WIDTH * 8 + self.states * 8;
        known as u64 + ((left / jumps).max(1.0) * segment + length * state) as u64
    }

    /// Begins a segment of about this many jumps among the positions below `positions`.
    pub(super) fn begin(&mut self, segment: &Segment, first: usize, weights: &[f64], positions: usize) {
        self.length = block_length(first + weights.len(), positions);
        self.parts.push(Part {
            begin: segment.begin,
            rate: segment.rate,
            epoch: self.epoch,
            exponent: segment.exponent,
            first,
            weights: weights.to_vec(),
            ..Part::default()
        });
    }

    /// The next state of the segment.
    pub(super) fn state(&mut self, p: &[f64], rows: &Range<usize>, reach: usize) {
        let Some(part) = self.parts.last_mut() else { return };
        if part.blocks.last().is_none_or(|block| block.count == self.length) {
            let first = part.blocks.last().map_or(0, |block| block.first + block.count);
            part.blocks.push(Block { first, active: rows.clone(), reach, ..Block::default() });
        }
        let Some(block) = part.blocks.last_mut() else { return };
        let slices = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
        let mut keep = block.is_whole();
        if keep && block.count > 0 {
            if let Some(room) = self.room.checked_sub(slices.len() * WIDTH) {
                self.room = room;
            } else {
                block.forget(&mut self.masses, &mut self.room);
                keep = false;
            }
        }
        if keep {
            block.places.push(Place::new(rows, self.masses.len()));
            self.masses.extend_from_slice(&p.as_chunks::<WIDTH>().0[slices]);
        }
        block.count += 1;
    }

    /// Ends a segment.
    pub(super) fn end(&mut self, segment: &Segment) {
        if let Some(part) = self.parts.last_mut() {
            part.flows.clone_from(&segment.flows);
            self.states += segment.flows.len();
        }
    }

    /// A state of a block, the `k`-th from 0, if it is kept.
    pub(super) fn kept(&self, block: &Block, k: usize) -> State<'_> {
        block.places[k].state(&self.masses)
    }
}

/// Jumps of a block of a segment.
fn block_length(jumps: usize, positions: usize) -> usize {
    let positions = positions.max(1);
    let least = (jumps.saturating_mul(positions) / MARKS).min(jumps.isqrt());
    (BLOCK / positions).max(least).max(1).next_multiple_of(LOOK)
}

impl Block {
    /// Whether all states are kept.
    pub(super) fn is_whole(&self) -> bool {
        self.places.len() == self.count
    }

    /// Forgets all states but the first; there is no room for more of this block.
    fn forget(&mut self, masses: &mut Vec<[f64; WIDTH]>, room: &mut usize) {
        if let Some(second) = self.places.get(1) {
            *room += (masses.len() - second.at) * WIDTH;
            masses.truncate(second.at);
        }
        self.places.truncate(1);
    }
}

impl Place {
    fn new(rows: &Range<usize>, at: usize) -> Self {
        Self { slice: (rows.start / WIDTH) as u32, end: rows.end as u32, at }
    }

    fn state(self, masses: &[[f64; WIDTH]]) -> State<'_> {
        let slices = self.slice as usize..(self.end as usize).div_ceil(WIDTH);
        let masses = &masses[self.at..self.at + slices.len()];
        State { slices, end: self.end as usize, masses }
    }
}

/// The states of one block, made again.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    places: Vec<Place>,
    masses: Vec<[f64; WIDTH]>,
}

impl Replayed {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.masses.clear();
    }

    pub(super) fn push(&mut self, p: &[f64], rows: &Range<usize>) {
        let slices = rows.start / WIDTH..rows.end.div_ceil(WIDTH);
        self.places.push(Place::new(rows, self.masses.len()));
        self.masses.extend_from_slice(&p.as_chunks::<WIDTH>().0[slices]);
    }

    pub(super) fn state(&self, k: usize) -> State<'_> {
        self.places[k].state(&self.masses)
    }
}
