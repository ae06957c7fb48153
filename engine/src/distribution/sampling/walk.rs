//! Many paths side by side: random numbers and logarithms in lanes, jumps one lane after the other.
//!
//! A lane takes the next sample when its own ends, so all lanes stay busy; as each sample has its own generator, this
//! changes no number.

use pulp::{Arch, NullaryFnOnce};

use super::SamplingError;
use super::stream::{exponential, next, seeded};
use super::table::{ABSORBED, Table, jump, only_jump};

/// Paths under way at once. A lane's numbers are 68 bytes: all of them fit the first-level cache beside the tables' heads.
const LANES: usize = 64;

/// One piece of a batch, for one thread.
pub(super) struct Piece<'a> {
    pub(super) table: &'a Table,
    /// What a visit adds by position, for each of `width` totals: rewards times mean time, or rewards.
    pub(super) gains: &'a [f64],
    pub(super) width: usize,
    pub(super) discrete: bool,
    pub(super) seed: u64,
    /// The number of the first sample.
    pub(super) first: u64,
    /// Steps that all lanes together may take.
    pub(super) steps: u64,
    /// `width` totals for each sample.
    pub(super) out: &'a mut [f64],
}

impl Piece<'_> {
    pub(super) fn draw(self) -> Result<(), SamplingError> {
        match (self.discrete, self.table.branches) {
            (false, false) => Arch::new().dispatch(Run::<false, false>(self)),
            (false, true) => Arch::new().dispatch(Run::<false, true>(self)),
            (true, false) => Arch::new().dispatch(Run::<true, false>(self)),
            (true, true) => Arch::new().dispatch(Run::<true, true>(self)),
        }
    }
}

struct Run<'a, const DISCRETE: bool, const BRANCHES: bool>(Piece<'a>);

impl<const DISCRETE: bool, const BRANCHES: bool> NullaryFnOnce for Run<'_, DISCRETE, BRANCHES> {
    type Output = Result<(), SamplingError>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        Walkers::<DISCRETE, BRANCHES>::new(self.0).run()
    }
}

/// Lanes in columns, so that the random numbers of several are made by one instruction.
#[repr(align(64))]
struct Lanes {
    state: [[u64; LANES]; 4],
    at: [u32; LANES],
    sample: [u32; LANES],
    total: [f64; LANES],
    /// Time of this visit.
    time: [f64; LANES],
    /// What decides this jump.
    draw: [u64; LANES],
    /// Lanes whose path has ended in this step.
    ended: [u8; LANES],
}

/// Samples that are about to start: their generators, seeded side by side, and what decides where they start.
#[repr(align(64))]
struct Ready {
    state: [[u64; LANES]; 4],
    draw: [u64; LANES],
}

/// What a step looks up first: all of it in one piece of a cache line.
#[derive(Debug, Clone, Copy)]
struct Stop {
    /// What the visit adds, per unit of time; only for a single total.
    gain: f64,
    /// First column and number of columns.
    row: (u32, u32),
}

struct Walkers<'a, const DISCRETE: bool, const BRANCHES: bool> {
    piece: Piece<'a>,
    stops: Vec<Stop>,
    lanes: Lanes,
    ready: Ready,
    /// Lanes in use: those below.
    active: usize,
    /// The next sample to start, counted within the piece.
    waiting: usize,
    samples: usize,
}

impl<'a, const DISCRETE: bool, const BRANCHES: bool> Walkers<'a, DISCRETE, BRANCHES> {
    #[inline(always)]
    fn new(piece: Piece<'a>) -> Self {
        let samples = piece.out.len() / piece.width.max(1);
        piece.out.fill(0.0);
        let lanes = Lanes {
            state: [[1; LANES]; 4],
            at: [0; LANES],
            sample: [0; LANES],
            total: [0.0; LANES],
            time: [0.0; LANES],
            draw: [0; LANES],
            ended: [0; LANES],
        };
        let gain = |at: u32| if piece.width == 1 { piece.gains[at as usize] } else { 0.0 };
        let stops = (0..piece.table.start())
            .map(|at| Stop { gain: gain(at), row: piece.table.rows[at as usize] })
            .collect();
        let ready = Ready { state: [[1; LANES]; 4], draw: [0; LANES] };
        Self { stops, piece, lanes, ready, active: 0, waiting: 0, samples }
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
            self.draw_numbers();
            if self.piece.width == 1 { self.step::<true>() } else { self.step::<false>() }
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
            let table = self.piece.table;
            let row = table.rows[table.start() as usize];
            let at = if BRANCHES {
                jump(&table.columns, row, self.ready.draw[place])
            } else {
                only_jump(&table.columns, row)
            };
            if at != ABSORBED {
                for (column, words) in self.lanes.state.iter_mut().zip(&self.ready.state) {
                    column[lane] = words[place];
                }
                self.lanes.at[lane] = at;
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
        let count = (self.samples - self.waiting).min(LANES);
        let Ready { state: [a, b, c, d], draw } = &mut self.ready;
        // Whole groups of eight: the rest is computed and never looked at.
        for place in 0..(count + 7) & !7 {
            let mut state = seeded(seed, first.wrapping_add(place as u64));
            if BRANCHES {
                (draw[place], state) = next(state);
            }
            [a[place], b[place], c[place], d[place]] = state;
        }
    }

    /// The numbers of one step for all lanes in use.
    #[inline(always)]
    fn draw_numbers(&mut self) {
        let Lanes { state: [a, b, c, d], time, draw, .. } = &mut self.lanes;
        // Whole groups of eight: the rest is computed and never looked at.
        let used = (self.active + 7) & !7;
        let (a, b, c, d) = (&mut a[..used], &mut b[..used], &mut c[..used], &mut d[..used]);
        let (time, draw) = (&mut time[..used], &mut draw[..used]);
        for lane in 0..used {
            let mut state = [a[lane], b[lane], c[lane], d[lane]];
            if !DISCRETE {
                let (bits, after) = next(state);
                state = after;
                time[lane] = exponential(bits);
            }
            if BRANCHES {
                (draw[lane], state) = next(state);
            }
            [a[lane], b[lane], c[lane], d[lane]] = state;
        }
    }

    /// One step of all lanes in use; paths that end make room for the next.
    #[inline(always)]
    fn step<const SINGLE: bool>(&mut self) {
        let width = self.piece.width;
        let (lanes, stops, columns) = (&mut self.lanes, &self.stops[..], &self.piece.table.columns[..]);
        let mut ended = 0;
        for lane in 0..self.active.min(LANES) {
            let at = lanes.at[lane];
            let stop = stops[at as usize];
            let time = if DISCRETE { 1.0 } else { lanes.time[lane] };
            if SINGLE {
                lanes.total[lane] += stop.gain * time;
            } else {
                let gains = &self.piece.gains[at as usize * width..][..width];
                let totals = &mut self.piece.out[lanes.sample[lane] as usize * width..][..width];
                for (total, gain) in totals.iter_mut().zip(gains) {
                    *total += gain * time;
                }
            }
            let to = if BRANCHES {
                jump(columns, stop.row, lanes.draw[lane])
            } else {
                only_jump(columns, stop.row)
            };
            lanes.at[lane] = to;
            // Without a branch: most lanes go on, but which do not cannot be predicted. `ended` never passes the lane.
            lanes.ended[ended & (LANES - 1)] = lane as u8;
            ended += usize::from(to == ABSORBED);
        }
        // Backwards, so that the last lane, which fills a gap, is never one that has just ended.
        for number in (0..ended).rev() {
            let lane = usize::from(self.lanes.ended[number]);
            if SINGLE {
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
        lanes.at[lane] = lanes.at[last];
        lanes.sample[lane] = lanes.sample[last];
        lanes.total[lane] = lanes.total[last];
    }
}
