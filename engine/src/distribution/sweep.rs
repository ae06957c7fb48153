//! Exact uniformization in segments.
//!
//! Within a segment the process jumps at rate `h⁻¹`, at least the rate of every vertex that still holds mass; after `k`
//! jumps its state is `p_k`, and at time `t` the number of jumps is Poisson. Scalars of every `p_k` (the flow into
//! absorption, the mass alive) are kept and later combined for any number of times, so a whole grid costs one pass
//! (Jensen 1953; Reibman and Trivedi, Computers & Operations Research 15, 1988).
//!
//! Between segments, vertices that mass has left for good are dropped, and the rate falls to that of the rest (van
//! Moorsel and Sanders, Communications in Statistics 10, 1994): a coalescent of 500 lineages begins at 125,000 jumps per
//! unit of time and is soon down to a few.

use std::ops::Range;

use super::chain::Chain;
use super::kernel::{VANISHED, add_scaled, dot, step};
use super::slices::{WIDTH, room};
use super::trail::{Block, Replayed, State, Trail};
use super::{DistributionError, poisson};

/// Mean number of jumps in a segment that ends in the hope of a lower rate: at first, at least and at most.
const SEGMENT: f64 = 128.0;
const SHORTEST: f64 = 64.0;
const LONGEST: f64 = 1e6;
/// Jumps between looks at how much mass is left, and where.
pub(super) const LOOK: usize = 16;
/// Less than this is nothing even relative to itself: denormal numbers are near.
const EXTINCT: f64 = 1e-260;

/// How exact a sweep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Precision {
    /// Mass that may be dropped at once, of all that started or of what is alive.
    pub(super) mass: f64,
    /// Whether errors are held relative to what is still alive, however little.
    pub(super) relative: bool,
}

/// One segment: scalars of the states after 0, 1, 2, … jumps. States after the last one recorded hold nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    /// When it begins and ends.
    pub(super) begin: f64,
    pub(super) end: f64,
    /// Jumps per unit of time.
    pub(super) rate: f64,
    /// `p_k · exit`.
    pub(super) flows: Vec<f64>,
    /// Mass absorbed before the state after `k` jumps was entered, that before the segment included.
    pub(super) absorbed: Vec<f64>,
    /// `p_k · 1`.
    pub(super) alive: Vec<f64>,
}

/// A state vector on its way through time.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// Mass by position.
    pub(super) p: Vec<f64>,
    next: Vec<f64>,
    /// The state at the end of the segment, in the making.
    end: Vec<f64>,
    /// The positions that hold mass; `p` is 0 elsewhere.
    pub(super) active: Range<usize>,
    /// The lowest position that one jump reaches from where mass has been.
    reach: usize,
    /// Largest rate among positions below each, and the lowest target of each.
    fastest: Vec<f64>,
    lowest: Vec<u32>,
    weights: Vec<f64>,
    pub(super) now: f64,
    /// Mass absorbed so far, the atom at 0 included.
    pub(super) absorbed: f64,
    /// Mean number of jumps of the next segment.
    stride: f64,
    /// Jumps taken.
    jumps: f64,
    precision: Precision,
    /// The states of every segment, if they are wanted.
    pub(super) trail: Option<Trail>,
}

impl Sweep {
    /// Room for a chain, with its initial state.
    pub(super) fn new(chain: &Chain<'_>, precision: Precision) -> Self {
        let positions = chain.len();
        let mut sweep = Self {
            p: vec![0.0; room(positions)],
            next: vec![0.0; room(positions)],
            end: vec![0.0; room(positions)],
            active: 0..0,
            reach: 0,
            fastest: vec![0.0; positions + 1],
            lowest: lowest_targets(chain),
            weights: Vec::new(),
            now: 0.0,
            absorbed: 0.0,
            stride: SEGMENT,
            jumps: 0.0,
            precision,
            trail: None,
        };
        sweep.restart(chain, precision);
        sweep
    }

    /// Begins again at time 0 in the chain's initial state.
    pub(super) fn restart(&mut self, chain: &Chain<'_>, precision: Precision) {
        self.p.fill(0.0);
        for &(at, probability) in chain.start() {
            self.p[at as usize] = probability;
        }
        (self.now, self.jumps, self.absorbed, self.precision) = (0.0, 0.0, chain.atom(), precision);
        self.use_rates(chain);
    }

    /// Goes on in the next epoch, with the rates of this chain of the same pattern.
    pub(super) fn next_epoch(&mut self, chain: &Chain<'_>) {
        self.use_rates(chain);
        if let Some(trail) = &mut self.trail {
            trail.next_epoch();
        }
    }

    fn use_rates(&mut self, chain: &Chain<'_>) {
        let mut fastest = 0.0_f64;
        for (slot, &total) in self.fastest[1..].iter_mut().zip(chain.totals()) {
            fastest = fastest.max(total);
            *slot = fastest;
        }
        let first = self.p.iter().position(|&mass| mass > 0.0).unwrap_or(0);
        let last = self.p.iter().rposition(|&mass| mass > 0.0).map_or(first, |last| last + 1);
        // Mass moves to later positions only as far as they hang together.
        let cut_below = &chain.pattern().cut_below;
        let last = (last..chain.len()).find(|&at| cut_below[at + 1] as usize == at).unwrap_or(chain.len());
        self.active = first..last;
        self.reach = self.lowest[first..last].iter().min().map_or(0, |&lowest| lowest as usize);
        self.stride = SEGMENT;
        self.next.fill(0.0);
    }

    /// Mass not yet absorbed.
    pub(super) fn alive(&self) -> f64 {
        self.p[self.active.clone()].iter().sum()
    }

    /// Jumps per unit of time that the next segment takes.
    pub(super) fn fastest_rate(&self) -> f64 {
        self.fastest[self.active.end]
    }

    /// Goes to `until`, one segment at a time, and shows each; `visited` collects `∫ p dt`.
    ///
    /// # Errors
    /// [`DistributionError::Jumps`] when that takes too many jumps.
    pub(super) fn advance(
        &mut self,
        chain: &Chain<'_>,
        until: f64,
        mut visited: Option<&mut [f64]>,
        segment: &mut Segment,
        mut show: impl FnMut(&Segment),
    ) -> Result<(), DistributionError> {
        let mut before = f64::NAN;
        while self.now < until {
            self.drop_left(chain);
            let mut rate = self.fastest[self.active.end] * (1.0 + 4.0 * f64::EPSILON);
            if rate <= 0.0 && self.trail.is_some() && !self.active.is_empty() {
                // Rates of 0 have slopes.
                rate = 1.0 / (until - self.now);
            }
            if rate <= 0.0 {
                // Whatever is left stays where it is.
                if let Some(visited) = visited.as_deref_mut() {
                    add_scaled(visited, until - self.now, &self.p[..chain.len()]);
                }
                self.rest(segment, until);
                show(segment);
                return Ok(());
            }
            self.stride = match rate / before {
                fall if fall > 0.9 => (self.stride * 2.0).min(LONGEST),
                fall if fall < 0.7 => (self.stride * 0.5).max(SHORTEST),
                _ => self.stride,
            };
            before = rate;
            let may_fall = chain.pattern().cut_below[self.active.end] > 0;
            let left = rate * (until - self.now);
            let mean = if may_fall { self.stride } else { LONGEST };
            self.jumps += mean.min(left);
            if self.jumps > chain.jump_limit() as f64 {
                let limit = chain.jump_limit();
                return Err(DistributionError::Jumps { time: self.now, rate, limit });
            }
            segment.begin = self.now;
            segment.end = if left <= 2.0 * mean { until } else { self.now + mean / rate };
            segment.rate = rate;
            self.run(chain, segment, visited.as_deref_mut());
            self.now = segment.end;
            show(segment);
        }
        Ok(())
    }

    /// A segment without jumps.
    fn rest(&mut self, segment: &mut Segment, until: f64) {
        (segment.begin, segment.end, segment.rate) = (self.now, until, 0.0);
        (segment.flows, segment.absorbed, segment.alive) =
            (vec![0.0], vec![self.absorbed], vec![self.alive()]);
        self.now = until;
    }

    /// One segment. Every jump costs a multiply-add for each edge between active positions.
    fn run(&mut self, chain: &Chain<'_>, segment: &mut Segment, mut visited: Option<&mut [f64]>) {
        let h = 1.0 / segment.rate;
        let x = segment.rate * (segment.end - segment.begin);
        let first = poisson::weights(x, &mut self.weights);
        let last = first + self.weights.len();
        // P(more than k jumps), for the time spent in a state.
        let mut more = 1.0;
        let mut trail = self.trail.take();
        if let Some(trail) = &mut trail {
            trail.begin(segment, first, &self.weights, self.active.end);
        }
        segment.flows.clear();
        self.end.fill(0.0);
        let mut touched = self.active.clone();
        let mut early = Early::default();
        let mut flow = dot(&chain.exits()[touched.clone()], &self.p[touched.clone()]);
        for k in 0.. {
            if k % LOOK == LOOK - 1 {
                self.drop_left(chain);
                if self.active.is_empty() {
                    break;
                }
            }
            let rows = self.active.clone();
            if let Some(trail) = &mut trail {
                trail.state(&self.p, &rows, self.reach);
            }
            segment.flows.push(flow);
            if let Some(&weight) = k.checked_sub(first).and_then(|at| self.weights.get(at)) {
                add_scaled(&mut self.end[rows.clone()], weight, &self.p[rows.clone()]);
                more = (more - weight).max(0.0);
            }
            if let Some(visited) = visited.as_deref_mut() {
                add_scaled(&mut visited[rows.clone()], more * h, &self.p[rows]);
            }
            let weight = if k < last { self.weights.get(k.wrapping_sub(first)).copied() } else { None };
            let enough = early.look(k, weight, x, segment.flows[k]);
            if k + 1 >= last && (enough || !self.precision.relative || k > last + self.p.len()) {
                break;
            }
            flow = self.jump(chain, h);
            touched.start = touched.start.min(self.active.start);
        }
        if let Some(trail) = &mut trail {
            trail.end(segment);
        }
        self.trail = trail;
        self.add_up(segment, h);
        std::mem::swap(&mut self.p, &mut self.end);
        self.next.fill(0.0);
        self.active = touched;
        // Of what was absorbed on the way to the end.
        let arrived = self.weights.iter().zip(first..);
        let absorbed = |k: usize| segment.absorbed[k.min(segment.absorbed.len() - 1)];
        self.absorbed = arrived.map(|(weight, k)| weight * absorbed(k)).sum();
    }

    /// Goes through the states of a block again, from its first one.
    pub(super) fn replay(
        &mut self,
        chain: &Chain<'_>,
        rate: f64,
        block: &Block,
        first: &State<'_>,
        states: &mut Replayed,
    ) {
        self.p.fill(0.0);
        self.next.fill(0.0);
        self.p.as_chunks_mut::<WIDTH>().0[first.slices.clone()].copy_from_slice(first.masses);
        (self.active, self.reach) = (block.active.clone(), block.reach);
        states.clear();
        states.push(&self.p, &self.active);
        for k in block.first + 1..block.first + block.count {
            self.jump(chain, 1.0 / rate);
            if k % LOOK == LOOK - 1 {
                self.drop_left(chain);
            }
            states.push(&self.p, &self.active);
        }
    }

    /// Masses absorbed and alive from the flows; the latter backwards, so that nothing cancels.
    fn add_up(&self, segment: &mut Segment, h: f64) {
        let mut absorbed = self.absorbed;
        segment.absorbed.clear();
        segment.absorbed.extend(segment.flows.iter().map(|flow| {
            let before = absorbed;
            absorbed += flow * h;
            before
        }));
        let mut alive = self.alive();
        segment.alive.clear();
        segment.alive.resize(segment.flows.len(), alive);
        for (slot, flow) in segment.alive.iter_mut().zip(&segment.flows).rev().skip(1) {
            alive += flow * h;
            *slot = alive;
        }
    }

    /// One jump; returns the flow into absorption after it.
    fn jump(&mut self, chain: &Chain<'_>, h: f64) -> f64 {
        let rows = self.reach.min(self.active.start)..self.active.end;
        let flow = step(chain, h, &self.p, &mut self.next, rows.clone());
        std::mem::swap(&mut self.p, &mut self.next);
        let mut first = rows.start;
        while first < rows.end && self.p[first] < VANISHED {
            self.p[first] = 0.0;
            first += 1;
        }
        for at in first..self.active.start {
            self.reach = self.reach.min(self.lowest[at] as usize);
        }
        self.active = first..rows.end;
        flow
    }

    /// Drops the last positions as far as they hold next to nothing.
    fn drop_left(&mut self, chain: &Chain<'_>) {
        let share = if self.precision.relative { self.alive() } else { 1.0 };
        let mut allowed = (self.precision.mass * share).max(EXTINCT);
        while !self.active.is_empty() {
            let cut = (chain.pattern().cut_below[self.active.end] as usize).max(self.active.start);
            let mass: f64 = self.p[cut..self.active.end].iter().sum();
            if mass > allowed {
                break;
            }
            allowed -= mass;
            self.p[cut..self.active.end].fill(0.0);
            self.next[cut..self.active.end].fill(0.0);
            self.active.end = cut;
        }
    }
}

/// Whether a density so early that absorption has hardly begun has been followed far enough.
#[derive(Debug, Default)]
struct Early {
    weight: f64,
    density: f64,
}

impl Early {
    /// Takes in the flow after `k` jumps, with its weight as far as weights were formed.
    fn look(&mut self, k: usize, weight: Option<f64>, x: f64, flow: f64) -> bool {
        self.weight = weight.unwrap_or(self.weight * x / k.max(1) as f64);
        let share = self.weight * flow;
        self.density += share;
        share <= 1e-20 * self.density && self.density > 0.0
    }
}

/// The lowest position that each position leads to, itself included.
fn lowest_targets(chain: &Chain<'_>) -> Vec<u32> {
    let out = &chain.pattern().out;
    let lowest = |at: usize| out.items[out.range(at)].iter().fold(at as u32, |low, &target| low.min(target));
    (0..chain.len()).map(lowest).collect()
}
