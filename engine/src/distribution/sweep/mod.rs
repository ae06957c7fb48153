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
//!
//! Where that does not help, there are `shortcuts`.

mod shortcuts;

use std::ops::Range;

use super::chain::Chain;
use super::kernel::{VANISHED, add_scaled, dot, step, total};
use super::leaps::Leaps;
use super::slices::{WIDTH, room};
use super::trail::{Block, Replayed, State, Trail};
use super::{DistributionError, poisson};

/// Mean number of jumps in a segment that ends in the hope of a lower rate: at first, at least and at most.
const SEGMENT: f64 = 128.0;
const SHORTEST: f64 = 64.0;
const LONGEST: f64 = 1e6;
/// Jumps between looks at how much mass is left, and where.
pub(super) const LOOK: usize = 16;
/// Segments of more jumps than this are made up for what rounding takes from the mass, or adds.
const DRIFTS: f64 = 4096.0;
/// Sweeps with more jumps before them than this look for a steady state, first after a quarter of that.
const LONG: f64 = 16384.0;
/// The share of all jumps allowed after which a steady state is hoped for no longer.
const HOPES: f64 = 1.0 / 64.0;
/// Where ends must be exact, segments are so short that weights of survivors are above e^−600: twice this.
const DEEPEST: f64 = 300.0;
/// Numbers below this are about to lose digits.
const DENORMAL: f64 = 1e-290;
/// Jumps are no rarer than this, however slow the vertices are.
const SLOWEST: f64 = 1e-307;
/// Less than this is nothing even relative to itself: denormal numbers are near.
const EXTINCT: f64 = 1e-260;

/// How exact a sweep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Precision {
    /// Mass that may be dropped at once, of all that started or of what is alive.
    pub(super) mass: f64,
    /// Whether errors are held relative to what is still alive, however little.
    pub(super) relative: bool,
    /// What a steady state may be off: the error of probabilities, and of densities as a share of their peak.
    pub(super) tolerance: f64,
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
    /// Mass at the beginning: what is dropped is small beside it.
    started: f64,
    /// What is nothing at the front of the mass.
    vanished: f64,
    /// The largest flow into absorption seen: a peak is no lower.
    peak: f64,
    /// Whether something is lost on a way back through the start.
    lossy: bool,
    /// The states of every segment, if they are wanted.
    pub(super) trail: Option<Trail>,
    /// Ascending times of which values will be asked, if other ways than jumps may be taken: only they, and ends, are
    /// passed one by one.
    pub(super) stops: Option<Vec<f64>>,
    leaps: Option<Leaps>,
    /// Whether the states that segments end in are wanted with small relative errors, however little is left.
    pub(super) exact_ends: bool,
    /// The state a segment began in, where a steady state is looked for.
    before: Vec<f64>,
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
            started: 0.0,
            vanished: 0.0,
            peak: 0.0,
            lossy: false,
            trail: None,
            stops: None,
            leaps: None,
            exact_ends: precision.relative,
            before: Vec::new(),
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
        self.started = total(&self.p);
        self.vanished = (VANISHED * self.started).max(DENORMAL);
        self.peak = 0.0;
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
        self.lossy = chain.losses().any(|(_, loss)| loss > 0.0);
        self.leaps = None;
    }

    /// Mass not yet absorbed.
    pub(super) fn alive(&self) -> f64 {
        total(&self.p[self.active.clone()])
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
            if rate > 0.0 {
                // The time of a jump is a number, too.
                rate = rate.max(SLOWEST);
            }
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
            let shortcuts = self.stops.is_some() && self.trail.is_none() && !self.lossy;
            let looks = shortcuts && !may_fall && !self.precision.relative && left > LONG;
            if shortcuts && self.leaps_pay(chain, left, may_fall || looks, visited.is_some()) {
                return self.leap(chain, until, rate, visited, segment, &mut show);
            }
            let mut mean = match may_fall {
                true => self.stride,
                false if looks => self.jumps.clamp(0.25 * LONG, LONGEST),
                false => LONGEST,
            };
            if self.exact_ends {
                let kept = self.least_kept(chain, rate);
                let depth = if kept > 0.0 { kept * kept.ln() + 1.0 - kept } else { 1.0 };
                mean = mean.min(DEEPEST / depth);
            }
            // Where rates cannot fall, all jumps are known beforehand, unless a steady state comes soon.
            let limit = chain.jump_limit() as f64;
            let hopes = may_fall || looks && self.jumps < limit * HOPES;
            if self.jumps + if hopes { mean.min(left) } else { left } > limit {
                return Err(DistributionError::Jumps { time: self.now, rate, limit: chain.jump_limit() });
            }
            self.jumps += mean.min(left);
            segment.begin = self.now;
            segment.end = if left <= 2.0 * mean { until } else { self.now + mean / rate };
            segment.rate = rate;
            if looks {
                self.before.clone_from(&self.p);
            }
            self.run(chain, segment, visited.as_deref_mut());
            self.now = segment.end;
            self.peak = segment.flows.iter().fold(self.peak, |most, &flow| most.max(flow));
            show(segment);
            if looks && self.now < until && self.is_steady(chain, segment, until) {
                self.decay(chain, segment, until, visited.as_deref_mut());
                show(segment);
            }
        }
        Ok(())
    }

    /// The least share of the mass alive that a jump keeps alive. Of what is alive at the end of a segment, most made that
    /// share of the jumps that all made, at least.
    fn least_kept(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let exits = &chain.exits()[..self.active.end];
        (1.0 - exits.iter().fold(0.0_f64, |most, &exit| most.max(exit)) / rate).max(0.0)
    }

    /// One segment. Every jump costs a multiply-add for each edge between active positions.
    fn run(&mut self, chain: &Chain<'_>, segment: &mut Segment, mut visited: Option<&mut [f64]>) {
        let h = 1.0 / segment.rate;
        let x = segment.rate * (segment.end - segment.begin);
        let least = if self.exact_ends { x * self.least_kept(chain, segment.rate) } else { x };
        let first = poisson::weights(x, least, &mut self.weights);
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
        // The mass alive, by what was absorbed.
        let mut kept = (x > DRIFTS && !self.lossy).then(|| Sum(self.alive(), 0.0));
        for k in 0.. {
            if k % LOOK == LOOK - 1 {
                if let Some(kept) = &kept {
                    self.restore(kept.0);
                }
                let end = self.active.end;
                self.drop_left(chain);
                if kept.is_some() && self.active.end < end {
                    kept = Some(Sum(self.alive(), 0.0));
                }
                if self.active.is_empty() {
                    // What was recorded last stands for all that comes after it.
                    segment.flows.push(0.0);
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
            if let Some(kept) = &mut kept {
                kept.add(-flow * h);
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

    /// Makes up for what rounding took from the mass alive, or added to it.
    fn restore(&mut self, mass: f64) {
        let found = self.alive();
        if found > 0.0 {
            let scale = mass / found;
            self.p[self.active.clone()].iter_mut().for_each(|p| *p *= scale);
        }
    }

    /// Masses absorbed and alive from the flows; the latter backwards, so that nothing cancels.
    fn add_up(&self, segment: &mut Segment, h: f64) {
        let mut absorbed = Sum(self.absorbed, 0.0);
        segment.absorbed.clear();
        segment.absorbed.extend(segment.flows.iter().map(|flow| {
            let before = absorbed.0;
            absorbed.add(flow * h);
            before
        }));
        let mut alive = Sum(self.alive(), 0.0);
        segment.alive.clear();
        segment.alive.resize(segment.flows.len(), alive.0);
        for (slot, flow) in segment.alive.iter_mut().zip(&segment.flows).rev().skip(1) {
            alive.add(flow * h);
            *slot = alive.0;
        }
    }

    /// One jump; returns the flow into absorption after it.
    fn jump(&mut self, chain: &Chain<'_>, h: f64) -> f64 {
        let rows = self.reach.min(self.active.start)..self.active.end;
        let flow = step(chain, h, &self.p, &mut self.next, rows.clone());
        std::mem::swap(&mut self.p, &mut self.next);
        let mut first = rows.start;
        while first < rows.end && self.p[first] < self.vanished {
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
        let share = if self.precision.relative { self.alive() } else { self.started };
        self.vanished = (VANISHED * share).max(DENORMAL);
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

/// A sum of many numbers with what rounding left out of it (Kahan, 1965).
#[derive(Debug, Clone, Copy)]
struct Sum(f64, f64);

impl Sum {
    fn add(&mut self, value: f64) {
        let value = value + self.1;
        let sum = self.0 + value;
        self.1 = value - (sum - self.0);
        self.0 = sum;
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
