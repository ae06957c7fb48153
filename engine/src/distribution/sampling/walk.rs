//! Many paths side by side: random numbers, logarithms and choices in lanes, look-ups one lane after the other.
//!
//! A lane takes the next sample when its own ends, so all lanes stay busy; as each sample has its own generator, this
//! changes no number.

use pulp::{Arch, NullaryFnOnce};

use super::SamplingError;
use super::line::Line;
use super::stream::{exponential, next, seeded};
use super::table::{Gains, Row, Table};

/// Paths under way at once, a bit of a word each. A lane has 84 bytes of numbers, and a sample that waits for one 48: all of
/// them, for as many samples as lanes, fit the first-level cache beside the tables' heads.
const LANES: usize = u64::BITS as usize;

/// Lanes that take a step together: few enough that a processor looks up for some while it draws for the next.
const BAND: usize = 16;

/// One piece of a batch, for one thread.
pub(super) struct Piece<'a> {
    pub(super) table: &'a Table,
    pub(super) gains: &'a Gains<'a>,
    pub(super) discrete: bool,
    pub(super) seed: u64,
    /// The number of the first sample.
    pub(super) first: u64,
    /// Steps that all lanes together may take.
    pub(super) steps: u64,
    /// As many totals for each sample as gains have.
    pub(super) out: &'a mut [f64],
}

impl Piece<'_> {
    pub(super) fn draw(self) -> Result<(), SamplingError> {
        match (self.table.branches, self.discrete) {
            (true, false) => Arch::new().dispatch(Run::<false>(self)),
            (true, true) => Arch::new().dispatch(Run::<true>(self)),
            (false, false) => Arch::new().dispatch(Line::<false>(self)),
            (false, true) => Arch::new().dispatch(Line::<true>(self)),
        }
    }
}

struct Run<'a, const DISCRETE: bool>(Piece<'a>);

impl<const DISCRETE: bool> NullaryFnOnce for Run<'_, DISCRETE> {
    type Output = Result<(), SamplingError>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        Walkers::<DISCRETE>::new(self.0).run()
    }
}

/// Lanes in columns, so that one instruction serves several. Those that are not in use hold numbers of no meaning, which
/// are computed with and never looked at.
#[repr(align(64))]
struct Lanes {
    state: [[u64; LANES]; 4],
    /// Where each is.
    row: [Row; LANES],
    /// Time of this visit.
    time: [f64; LANES],
    /// The column chosen for this jump, and the bits that choose between its outcomes.
    column: [u64; LANES],
    bits: [u64; LANES],
    /// What this visit adds per unit of time.
    gain: [f64; LANES],
    total: [f64; LANES],
    sample: [u32; LANES],
}

/// Samples that are about to start: their generators, seeded side by side, and what decides where they start.
#[repr(align(64))]
struct Ready {
    state: [[u64; LANES]; 4],
    column: [u64; LANES],
    bits: [u64; LANES],
}

struct Walkers<'a, const DISCRETE: bool> {
    piece: Piece<'a>,
    lanes: Lanes,
    ready: Ready,
    /// Lanes in use: those below.
    active: usize,
    /// The next sample to start, counted within the piece.
    waiting: usize,
    samples: usize,
}

impl<'a, const DISCRETE: bool> Walkers<'a, DISCRETE> {
    #[inline(always)]
    fn new(piece: Piece<'a>) -> Self {
        piece.out.fill(0.0);
        let lanes = Lanes {
            state: [[1; LANES]; 4],
            row: [Row::ABSORBED; LANES],
            time: [0.0; LANES],
            column: [0; LANES],
            bits: [0; LANES],
            gain: [0.0; LANES],
            total: [0.0; LANES],
            sample: [0; LANES],
        };
        let ready = Ready { state: [[1; LANES]; 4], column: [0; LANES], bits: [0; LANES] };
        let samples = piece.out.len() / piece.gains.width.max(1);
        Self { piece, lanes, ready, active: 0, waiting: 0, samples }
    }

    #[inline(always)]
    fn run(mut self) -> Result<(), SamplingError> {
        while self.active < LANES && self.begin(self.active) {
            self.active += 1;
        }
        let mut steps = self.piece.steps;
        while self.active > 0 {
            steps = steps
                .checked_sub(self.active as u64)
                .ok_or(SamplingError::Steps { limit: self.piece.steps })?;
            for band in 0..self.active.div_ceil(BAND) {
                self.draw_numbers(band * BAND);
                if self.piece.gains.width != 1 {
                    self.add_several(band * BAND);
                }
                self.look_up(band * BAND);
            }
            let ended = self.add_up();
            self.replace(ended);
        }
        Ok(())
    }

    /// Starts the next sample in a lane, passing over those that are absorbed at once; false when there are none left.
    #[inline(always)]
    fn begin(&mut self, lane: usize) -> bool {
        while self.waiting < self.samples {
            let (sample, place) = (self.waiting, self.waiting % LANES);
            if place == 0 {
                self.make_ready();
            }
            self.waiting += 1;
            let column = &self.piece.gains.columns[self.ready.column[place] as usize];
            let row = column.outcome(self.ready.bits[place]);
            if row != Row::ABSORBED {
                for (column, words) in self.lanes.state.iter_mut().zip(&self.ready.state) {
                    column[lane] = words[place];
                }
                self.lanes.row[lane] = row;
                self.lanes.sample[lane] = sample as u32;
                self.lanes.total[lane] = 0.0;
                return true;
            }
        }
        false
    }

    /// Seeds the generators of the next samples.
    #[inline(always)]
    fn make_ready(&mut self) {
        let (seed, first) = (self.piece.seed, self.piece.first.wrapping_add(self.waiting as u64));
        let start = self.piece.table.start();
        let count = (self.samples - self.waiting).min(LANES);
        let Ready { state: [a, b, c, d], column, bits } = &mut self.ready;
        // Whole groups of eight: the rest is computed and never looked at.
        for place in 0..(count + 7) & !7 {
            let (draw, state) = next(seeded(seed, first.wrapping_add(place as u64)));
            (column[place], bits[place]) = start.choose(draw);
            [a[place], b[place], c[place], d[place]] = state;
        }
    }

    /// The numbers of one step for a band, and the columns they choose.
    #[inline(always)]
    fn draw_numbers(&mut self, from: usize) {
        let Lanes { state: [a, b, c, d], row, time, column, bits, .. } = &mut self.lanes;
        let band = || from..from + BAND;
        let (a, b, c, d) = (&mut a[band()], &mut b[band()], &mut c[band()], &mut d[band()]);
        let (row, time) = (&row[band()], &mut time[band()]);
        let (column, bits) = (&mut column[band()], &mut bits[band()]);
        for lane in 0..BAND {
            let mut state = [a[lane], b[lane], c[lane], d[lane]];
            if !DISCRETE {
                let (draw, after) = next(state);
                state = after;
                time[lane] = exponential(draw);
            }
            let (draw, after) = next(state);
            (column[lane], bits[lane]) = row[lane].choose(draw);
            [a[lane], b[lane], c[lane], d[lane]] = after;
        }
    }

    /// What the chosen columns of a band say.
    #[inline(always)]
    fn look_up(&mut self, from: usize) {
        let columns = &self.piece.gains.columns[..];
        let Lanes { row, column, bits, gain, .. } = &mut self.lanes;
        let band = || from..from + BAND;
        let (row, gain, column, bits) = (&mut row[band()], &mut gain[band()], &column[band()], &bits[band()]);
        for lane in 0..BAND {
            let column = &columns[column[lane] as usize];
            gain[lane] = column.gain;
            row[lane] = column.outcome(bits[lane]);
        }
    }

    /// Adds what this visit adds to each of several totals, for a band.
    #[inline(always)]
    fn add_several(&mut self, from: usize) {
        let Gains { by_position, width, .. } = self.piece.gains;
        for lane in from..(from + BAND).min(self.active) {
            let time = if DISCRETE { 1.0 } else { self.lanes.time[lane] };
            let Some(position) = self.piece.table.position(self.lanes.row[lane]) else { continue };
            let totals = &mut self.piece.out[self.lanes.sample[lane] as usize * width..][..*width];
            for (total, gain) in totals.iter_mut().zip(&by_position[position * width..]) {
                *total += gain * time;
            }
        }
    }

    /// Adds what this visit adds to the only total; the lanes whose path has ended, as bits.
    #[inline(always)]
    fn add_up(&mut self) -> u64 {
        let Lanes { row, time, gain, total, .. } = &mut self.lanes;
        let used = self.active.next_multiple_of(BAND);
        let (row, time, gain, total) = (&row[..used], &time[..used], &gain[..used], &mut total[..used]);
        let mut ended = 0;
        for lane in 0..used {
            total[lane] += gain[lane] * if DISCRETE { 1.0 } else { time[lane] };
            ended |= u64::from(row[lane] == Row::ABSORBED) << lane;
        }
        ended & u64::MAX >> (LANES - self.active)
    }

    /// Paths that have ended make room for the next.
    #[inline(always)]
    fn replace(&mut self, mut ended: u64) {
        while ended != 0 {
            // Backwards, so that the last lane, which fills a gap, is never one that has just ended.
            let lane = LANES - 1 - ended.leading_zeros() as usize;
            ended ^= 1 << lane;
            if self.piece.gains.width == 1 {
                self.piece.out[self.lanes.sample[lane] as usize] = self.lanes.total[lane];
            }
            if !self.begin(lane) {
                self.retire(lane);
            }
        }
    }

    /// Fills the gap of an ended lane by the last one.
    #[inline(always)]
    fn retire(&mut self, lane: usize) {
        self.active -= 1;
        let (lanes, last) = (&mut self.lanes, self.active);
        for column in &mut lanes.state {
            column[lane] = column[last];
        }
        lanes.row[lane] = lanes.row[last];
        lanes.sample[lane] = lanes.sample[last];
        lanes.total[lane] = lanes.total[last];
    }
}
