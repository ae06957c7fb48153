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

mod hasty;
mod hidden;
mod jumps;
mod shortcuts;
mod units;

use std::ops::Range;

use super::DistributionError;
use super::chain::Chain;
use super::kernel::{add_scaled, total};
use super::leaps::Leaps;
use super::poisson;
use super::slices::room;
use super::trail::{MOST_BYTES, Trail};
pub(super) use hasty::EpochsAhead;
use hasty::depth;
use hidden::{first_cut, lowest_targets};
use jumps::least_peak;
pub(super) use units::{are_in_ones, choose_units, in_ones};

/// Mean number of jumps in a segment that ends in the hope of a lower rate: at first, at least and at most.
const SEGMENT: f64 = 128.0;
const SHORTEST: f64 = 64.0;
const LONGEST: f64 = 1e6;
/// Jumps between looks at how much mass is left, and where.
pub(super) const LOOK: usize = 16;
/// After more jumps than this, what rounding takes from the mass, or adds, is made up for.
const DRIFTS: f64 = 4096.0;
/// Sweeps with more jumps before them than this look for a steady state, first after a quarter of that.
const LONG: f64 = 16384.0;
/// The share of all jumps allowed after which a steady state is hoped for no longer.
const HOPES: f64 = 1.0 / 64.0;
/// Where ends must be exact, segments are so short that weights of survivors are above e^−600: twice this; and so is the
/// share of the mass that survives above e^−900.
const DEEPEST: f64 = 0.5 * poisson::DEEPEST;
const DEEPEST_DECAY: f64 = 450.0;
/// Numbers below this are about to lose digits.
const DENORMAL: f64 = 1e-290;
/// Jumps are no rarer than this, however slow the vertices are.
const SLOWEST: f64 = 1e-307;
/// Less than this share of what is alive is nothing: denormal numbers are near.
const EXTINCT: f64 = 1e-260;

/// How exact a sweep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Precision {
    /// Mass that may be dropped at once, as a share of all that started, or of the least number that will be asked for.
    pub(super) mass: f64,
    /// Whether errors are held relative to each number that is asked for, however small.
    pub(super) relative: bool,
    /// The least of those numbers as a share of what started, where it is known beforehand; else 0.
    pub(super) least: f64,
    /// What a steady state may be off: the error of probabilities, and of densities as a share of their peak.
    pub(super) tolerance: f64,
    /// Mass below 2 to the power of minus this is nothing; masses smaller than f64 holds are kept in units of their own. 0:
    /// they are not.
    pub(super) bits: i32,
    /// Whether densities are among the numbers asked for.
    pub(super) densities: bool,
}

/// One segment: scalars of the states after 0, 1, 2, … jumps. States after the last one recorded hold nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    /// When it begins and ends.
    pub(super) begin: f64,
    pub(super) end: f64,
    /// Jumps per unit of time.
    pub(super) rate: f64,
    /// Flows and masses alive are in units of 2 to the power of minus this.
    pub(super) exponent: i32,
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
    /// Mass by position, in units of 2 to the power of minus `exponent`.
    pub(super) p: Vec<f64>,
    pub(super) exponent: i32,
    next: Vec<f64>,
    /// The state at the end of the segment, in the making.
    end: Vec<f64>,
    /// The positions that hold mass, or are kept; `p` is 0 elsewhere.
    pub(super) active: Range<usize>,
    /// Positions below this are never dropped.
    kept: usize,
    /// The lowest position that one jump reaches from where mass has been.
    reach: usize,
    /// Largest rate, and largest exit, among positions below each; and the lowest target of each.
    fastest: Vec<f64>,
    fastest_exit: Vec<f64>,
    lowest: Vec<u32>,
    weights: Vec<f64>,
    pub(super) now: f64,
    /// Mass absorbed so far, the atom at 0 included; in units of 1.
    pub(super) absorbed: f64,
    /// Mean number of jumps of the next segment.
    stride: f64,
    /// Jumps taken.
    jumps: f64,
    precision: Precision,
    /// Mass at the beginning: what is dropped is small beside it, unless errors are relative.
    started: f64,
    /// No less than any density is wrong by for what was dropped, unless errors are relative.
    leaked: f64,
    /// The last time that will be asked for with these rates, where it is known; else infinite.
    pub(super) horizon: f64,
    /// The first time above 0 that will be asked for, where it is known; else infinite.
    pub(super) first_asked: f64,
    /// The fewest jumps from where mass was at the beginning to where it is absorbed, and jumps taken before this segment.
    fewest_jumps: f64,
    made: f64,
    /// The epochs that mass hurries through, if there are several.
    epochs: Option<EpochsAhead>,
    /// Mass that the last segment let out into absorption.
    lost: f64,
    /// What is nothing at the front of the mass.
    vanished: f64,
    /// The largest flow into absorption seen: a peak is no lower.
    peak: f64,
    /// Positions from which something is lost on a way back through the start, and at which rate.
    losses: Vec<(u32, f64)>,
    /// The states of every segment, if they are wanted.
    pub(super) trail: Option<Trail>,
    /// Ascending times of which values will be asked, if other ways than jumps may be taken: only they, and ends, are
    /// passed one by one. Where there are none, the states at the ends themselves are wanted.
    pub(super) stops: Option<Vec<f64>>,
    /// Where a search for values at times that are not known beforehand ends, if this is one: of the other ways it takes a
    /// steady state.
    pub(super) searched_until: Option<f64>,
    /// The rate of decay of a search that has come to a steady state in this epoch.
    settled: Option<f64>,
    /// The fastest exit of the epochs that the state goes on to, if there are any.
    pub(super) later_exit: Option<f64>,
    leaps: Option<Leaps>,
    /// Whether the states that segments end in are wanted with small relative errors, however little is left.
    pub(super) exact_ends: bool,
    /// The state a segment began in, where a steady state is looked for.
    before: Vec<f64>,
    /// Jumps taken when it was last looked for from all states backwards.
    looked: f64,
}

impl Sweep {
    /// Room for a chain, with its initial state.
    pub(super) fn new(chain: &Chain<'_>, precision: Precision) -> Self {
        let positions = chain.len();
        let mut sweep = Self {
            p: vec![0.0; room(positions)],
            exponent: 0,
            next: vec![0.0; room(positions)],
            end: vec![0.0; room(positions)],
            active: 0..0,
            kept: 0,
            reach: 0,
            fastest: vec![0.0; positions + 1],
            fastest_exit: vec![0.0; positions + 1],
            lowest: lowest_targets(chain),
            weights: Vec::new(),
            now: 0.0,
            absorbed: 0.0,
            stride: SEGMENT,
            jumps: 0.0,
            precision,
            started: 0.0,
            leaked: 0.0,
            horizon: f64::INFINITY,
            first_asked: f64::INFINITY,
            fewest_jumps: 0.0,
            made: 0.0,
            epochs: None,
            lost: 0.0,
            vanished: 0.0,
            peak: 0.0,
            losses: Vec::new(),
            trail: None,
            stops: None,
            searched_until: None,
            settled: None,
            later_exit: None,
            leaps: None,
            exact_ends: precision.relative,
            before: Vec::new(),
            looked: 0.0,
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
        (self.exponent, self.looked, self.peak, self.leaked) = (0, 0.0, 0.0, 0.0);
        self.started = total(&self.p);
        self.vanished = DENORMAL;
        self.use_rates(chain);
        if let Some(epochs) = &mut self.epochs {
            epochs.begin();
        } else if self.exact_ends {
            let has_exit = |at: usize| chain.exits()[at] > 0.0;
            self.fewest_jumps = self.shortest_way(chain, |entry| chain.rates()[entry] > 0.0, has_exit);
        }
    }

    /// How exact this sweep is.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Holds errors relative to numbers no smaller than this.
    pub(super) fn hold_to(&mut self, least: f64) {
        (self.precision.least, self.precision.bits) = (least, 0);
    }

    /// A precision that drops less, if what was dropped may have been more than the tolerance allows of the largest density
    /// that was found.
    ///
    /// Dropped mass adds to a density no more than the fastest exit that it may get to would let out.
    pub(super) fn stricter(&self) -> Option<Precision> {
        let allowed = self.precision.tolerance * self.peak;
        if self.precision.relative || self.leaked <= allowed {
            return None;
        }
        let mass = (0.1 * self.precision.mass * (allowed / self.leaked)).max(EXTINCT);
        (mass < self.precision.mass).then_some(Precision { mass, ..self.precision })
    }

    /// Goes on in the next epoch, with the rates of this chain of the same pattern.
    pub(super) fn next_epoch(&mut self, chain: &Chain<'_>) {
        self.use_rates(chain);
        if let Some(epochs) = &mut self.epochs {
            epochs.next();
        }
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
        fastest = 0.0;
        for (slot, &exit) in self.fastest_exit[1..].iter_mut().zip(chain.exits()) {
            fastest = fastest.max(exit);
            *slot = fastest;
        }
        self.keep_to_ones();
        let first = self.p.iter().position(|&mass| mass > 0.0).unwrap_or(0);
        let last = self.p.iter().rposition(|&mass| mass > 0.0).map_or(first, |last| last + 1);
        // Mass moves to later positions only as far as they hang together.
        let last = first_cut(chain, last).max(self.kept);
        let first = if self.kept > 0 { 0 } else { first };
        self.active = first..last;
        self.reach = self.lowest[first..last].iter().min().map_or(0, |&lowest| lowest as usize);
        self.stride = SEGMENT;
        self.next.fill(0.0);
        self.losses.clear();
        self.losses.extend(chain.losses().filter(|&(_, loss)| loss > 0.0));
        (self.leaps, self.settled) = (None, None);
    }

    /// Mass not yet absorbed, in the units of `p`.
    pub(super) fn alive(&self) -> f64 {
        total(&self.p[self.active.clone()])
    }

    /// Whether something is lost on a way back through the start.
    fn is_lossy(&self) -> bool {
        !self.losses.is_empty()
    }

    /// Jumps per unit of time that the next segment takes.
    pub(super) fn fastest_rate(&self) -> f64 {
        self.fastest[self.active.end]
    }

    /// Goes to `until`, one segment at a time, and shows each; `visited` collects `∫ p dt`.
    ///
    /// # Errors
    /// [`DistributionError::Jumps`] when that takes too many jumps; with a trail, more than derivatives by powers of a
    /// matrix are worth.
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
            if let Some(rate) = self.settled {
                self.decay_until(rate, segment, until, visited, &mut show);
                return Ok(());
            }
            self.choose_units();
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
            let left = (rate * (until - self.now)).min(f64::MAX);
            let shortcuts = self.trail.is_none();
            let steady = shortcuts && !self.is_lossy() && self.hopes_for_steady_state();
            let looks = steady && !may_fall && left > LONG;
            if shortcuts
                && self.stops.is_some()
                && self.leaps_pay(chain, left, may_fall || looks, visited.is_some())
            {
                return self.leap(chain, until, rate, visited, segment, &mut show);
            }
            if self.trail.as_ref().is_some_and(|trail| trail.gives_way)
                && self.slopes_pay(chain, left, may_fall)
            {
                return Err(self.too_far(chain, rate));
            }
            let mut mean = match may_fall {
                true => self.stride,
                false if looks => self.jumps.clamp(0.25 * LONG, LONGEST),
                false => LONGEST,
            };
            self.made = self.jumps;
            if self.exact_ends {
                let kept = self.least_kept(chain, rate);
                mean = mean.min(DEEPEST / depth(kept)).min(DEEPEST_DECAY / (1.0 - kept));
                mean = mean.min(self.longest_of_hasty(chain, rate));
            }
            // Where rates cannot fall, all jumps are known beforehand, unless a steady state comes soon.
            let limit = self.jumps_allowed(chain);
            let hopes = may_fall || looks && self.jumps < limit * HOPES;
            if self.jumps + if hopes { mean.min(left) } else { left } > limit {
                return Err(self.too_far(chain, rate));
            }
            if let Some(trail) = &self.trail {
                let ahead = if may_fall { mean.min(left) } else { left };
                let bytes = trail.forecast(ahead, mean, self.active.end);
                if bytes > MOST_BYTES {
                    let (time, limit_bytes) = (self.now, MOST_BYTES);
                    let error =
                        DistributionError::TrailMemory { index: None, time, rate, bytes, limit_bytes };
                    return Err(error);
                }
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
            self.peak = self.peak.max(least_peak(segment)).max(self.flow(chain));
            show(segment);
            let ahead = self.searched_until.unwrap_or(until);
            if looks
                && self.now < ahead
                && let Some(rate) = self.steady_rate(chain, segment, ahead)
            {
                self.settled = self.searched_until.filter(|_| rate > 0.0).map(|_| rate);
                self.decay_until(rate, segment, until, visited.as_deref_mut(), &mut show);
            }
        }
        Ok(())
    }

    /// Jumps that this sweep may take: with several ways back, as many fewer as those take longer than one.
    pub(super) fn jumps_allowed(&self, chain: &Chain<'_>) -> f64 {
        let sweeps = self.trail.as_ref().map_or(1, |trail| trail.sweeps.max(1)) as f64;
        chain.jump_limit() as f64 * 3.0 / (1.0 + 2.0 * sweeps)
    }

    /// Jumps go on for too long from here.
    fn too_far(&self, chain: &Chain<'_>, rate: f64) -> DistributionError {
        DistributionError::Jumps { index: None, time: self.now, rate, limit: chain.jump_limit() }
    }

    /// Of ascending times, the first that was too far when the sweep gave up.
    pub(super) fn first_too_far(&self, chain: &Chain<'_>, times: &[f64]) -> Option<usize> {
        let (rate, limit) = (self.fastest_rate(), self.jumps_allowed(chain));
        let waiting = times.partition_point(|&time| time < self.now);
        let is_too_far = |&time: &f64| {
            let left = rate * (time - self.now);
            let bytes = |trail: &Trail| trail.forecast(left, left.min(LONGEST), self.active.end);
            self.jumps + left > limit || self.trail.as_ref().is_some_and(|trail| bytes(trail) > MOST_BYTES)
        };
        let first = waiting + times[waiting..].iter().position(is_too_far).unwrap_or(0);
        (first < times.len()).then_some(first)
    }
}
