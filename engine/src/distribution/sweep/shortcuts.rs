//! Other ways through time than jump by jump, where jumps are too many.
//!
//! Once a jump changes the state by a factor alone, up to a difference whose effect on all later times is bounded and small
//! enough, the rest is exponential (steady-state detection, as Muppala and Trivedi, 1992, but for the state that is
//! approached before absorption). And powers of a dense matrix take a process of up to a thousand vertices through any
//! time; see `leaps`.

use super::super::DistributionError;
use super::super::chain::Chain;
use super::super::kernel::{add_scaled, dot, gather, total};
use super::super::leaps::{Leaps, RARE};
use super::{LONG, Precision, Segment, Sweep};

/// A dense matrix is tried after this share of its cost was spent on jumps.
const TRIED: f64 = 0.125;
/// Share of itself that a number found by a steady hazard may be off, and what the rounding of long rows leaves of the
/// hazard: looking longer finds no less.
const RELATIVE: f64 = 1e-10;
const ROUNDING: f64 = 5e-13;
/// Jumps that leaps are never worth.
const FEW: f64 = 512.0;
/// A tenth of the least error that shortcuts can be held to: powers of a matrix round at every doubling.
const EXACTEST: f64 = 0.99e-13;

/// `−ln(left / (lost + left))`: how many mean lifetimes an exponential decay has gone on for.
fn decayed(lost: f64, left: f64) -> f64 {
    let whole = lost + left;
    // A share of one but for rounding says nothing of what is left, and one of next to nothing cannot be seen in it.
    if lost < left { -(-lost / whole).ln_1p() } else { -(left / whole).ln() }
}

/// Processes that leap to where enough has been absorbed.
impl Sweep {
    /// The powers that quantiles are found with, for a first time of `time`, once they cost no more than the jumps that the
    /// next such time takes together with those before; none if there are too many positions.
    pub(in super::super) fn quantile_leaps(&self, chain: &Chain<'_>, time: f64) -> Option<Leaps> {
        let (jumps, edges) = (self.fastest_rate() * time, chain.rates().len() + chain.len());
        let cost = Leaps::cost(self.active.end, edges, jumps, 1, false);
        let pays = jumps > LONG && cost <= (self.jumps + jumps) * edges as f64;
        pays.then(|| Leaps::new(chain, self.active.end, time, false)).flatten()
    }

    /// This sweep after leaps to a time, with the powers for what is next from here.
    ///
    /// # Errors
    /// [`DistributionError::Jumps`] when powers pass the memory they may take.
    pub(in super::super) fn leapt(
        &self,
        chain: &Chain<'_>,
        leaps: Leaps,
        until: f64,
    ) -> Result<(Self, Leaps), DistributionError> {
        let rate = self.fastest_rate() * (1.0 + 4.0 * f64::EPSILON);
        let mut ahead = Self { leaps: Some(leaps), stops: Some(Vec::new()), ..self.clone() };
        ahead.leap(chain, until, rate, None, &mut Segment::default(), &mut |_| ())?;
        ahead.stops = None;
        let leaps = ahead.leaps.take().ok_or_else(|| self.too_far(chain, rate))?;
        Ok((ahead, leaps))
    }

    /// Goes on by leaps, the powers growing as they must, to less than a jump before `reached` (of what is absorbed and
    /// alive) becomes true, and by jumps over that time, which is the segment. `reached` must be true once all is absorbed,
    /// and is not asked whether it is true already.
    ///
    /// # Errors
    /// [`DistributionError::Jumps`] when time passes the range of f64, or powers that of the memory they may take.
    pub(in super::super) fn leap_until(
        &mut self,
        chain: &Chain<'_>,
        leaps: &mut Leaps,
        reached: impl Fn(f64, f64) -> bool,
        segment: &mut Segment,
    ) -> Result<(), DistributionError> {
        let end = leaps.positions();
        let mut power = leaps.last();
        let (mut growing, mut state) = (true, self.p[..end].to_vec());
        loop {
            let (length, absorbed) = leaps.apply(power, &mut state);
            if reached(self.absorbed + absorbed, total(&state)) {
                state.copy_from_slice(&self.p[..end]);
            } else {
                self.p[..end].copy_from_slice(&state);
                self.absorbed += absorbed;
                self.now += length;
                if growing {
                    if !leaps.grow() {
                        return Err(self.too_far(chain, self.fastest_rate()));
                    }
                    power += 1;
                    continue;
                }
            }
            growing = false;
            if power == 0 {
                break;
            }
            power -= 1;
        }
        (self.active, self.reach) = (0..end, 0);
        // The segment begins here, and so does the next search.
        let before = (self.p.clone(), self.now, self.absorbed);
        let rate = self.fastest_rate() * (1.0 + 4.0 * f64::EPSILON);
        (segment.begin, segment.end, segment.rate) = (self.now, self.now + leaps.shortest(), rate);
        self.run(chain, segment, None);
        (self.p, self.now, self.absorbed) = before;
        (self.active, self.reach) = (0..end, 0);
        Ok(())
    }
}

/// Sweeps to given times.
impl Sweep {
    /// Whether powers of a matrix are cheaper than the jumps that are left. With `hopes`, jumps may lead to slower
    /// vertices, or to a steady state, and are tried first.
    pub(super) fn leaps_pay(&self, chain: &Chain<'_>, left: f64, hopes: bool, visits: bool) -> bool {
        if self.leaps.is_some() || left <= LONG {
            return self.leaps.is_some();
        }
        if self.is_strict() {
            return false;
        }
        let edges = chain.rates().len() + chain.len();
        let count = self.stops.as_ref().map_or(1, Vec::len).max(1);
        let cost = Leaps::cost(self.active.end, edges, left, count, visits);
        let (jump, limit) = (edges as f64, chain.jump_limit() as f64);
        cost < left.min(limit) * jump && (!hopes || cost * TRIED <= self.jumps * jump)
    }

    /// Whether derivatives are found sooner by powers of a matrix than by going back over the jumps that are left.
    pub(super) fn slopes_pay(&self, chain: &Chain<'_>, left: f64, hopes: bool) -> bool {
        let sweeps = self.trail.as_ref().map_or(1, |trail| trail.sweeps.max(1)) as f64;
        if left * sweeps <= LONG || left <= FEW || self.is_lossy() {
            return false;
        }
        let edges = chain.rates().len() + chain.len();
        let count = self.stops.as_ref().map_or(1, Vec::len).max(1);
        let parameters = chain.plan().param_length();
        let cost = Leaps::cost_with_slopes(chain.len(), edges, left, count, parameters);
        // A way back is two ways there.
        let (jump, limit) = ((1.0 + 2.0 * sweeps) * edges as f64, self.jumps_allowed(chain));
        cost < left.min(limit) * jump && (!hopes || cost * TRIED <= self.jumps * jump)
    }

    /// Whether a steady state would be wanted, and exact enough. Where errors are relative to each number, that is so only of
    /// a steady hazard, unless the least number is known, and looked for where there is no other way.
    pub(super) fn hopes_for_steady_state(&self) -> bool {
        if self.stops.is_none() && self.searched_until.is_none() {
            return false;
        }
        if self.precision.relative {
            let is_exact = !self.is_state_wanted() || self.off_allowed() > 0.0;
            return is_exact && !Leaps::has_room(self.active.end);
        }
        !self.is_strict()
    }

    /// What the mass may be off in a steady state, as a share of what started; 0 where it must not be off by any that is known.
    fn off_allowed(&self) -> f64 {
        let Precision { relative, least, tolerance, .. } = self.precision;
        if relative { RELATIVE * least } else { tolerance }
    }

    /// Whether smaller errors were asked for than of shortcuts.
    pub(super) fn is_strict(&self) -> bool {
        !self.precision.relative && self.precision.tolerance < EXACTEST
    }

    /// Goes to `until` by leaps from one stop to the next.
    pub(super) fn leap(
        &mut self,
        chain: &Chain<'_>,
        until: f64,
        rate: f64,
        mut visited: Option<&mut [f64]>,
        segment: &mut Segment,
        show: &mut impl FnMut(&Segment),
    ) -> Result<(), DistributionError> {
        let leaps = self.leaps.take().filter(|leaps| visited.is_none() || leaps.count_visits());
        let leaps = match leaps {
            Some(mut leaps) => leaps.reach(until - self.now).then_some(leaps),
            None => Leaps::new(chain, self.active.end, until - self.now, visited.is_some()),
        };
        let Some(leaps) = leaps else { return Err(self.too_far(chain, rate)) };
        let end = leaps.positions();
        let exits = &chain.exits()[..end];
        let fastest = exits.iter().fold(0.0_f64, |most, &exit| most.max(exit));
        let stops = self.stops.take();
        let densities = self.precision.densities && stops.iter().flatten().next().is_some();
        let ahead = stops.iter().flatten().copied().filter(|&stop| stop > self.now && stop < until);
        let ahead: Vec<f64> = ahead.chain([until]).collect();
        for stop in ahead {
            let left = if self.precision.bits > 0 {
                self.leap_deep(&leaps, stop - self.now)
            } else {
                let (left, absorbed) =
                    leaps.advance(&mut self.p[..end], stop - self.now, visited.as_deref_mut());
                self.absorbed += absorbed;
                left
            };
            self.now = stop - left;
            (self.active, self.reach) = (0..end, 0);
            if self.now < stop {
                // Less than a jump, on average.
                (segment.begin, segment.end, segment.rate) = (self.now, stop, rate);
                self.run(chain, segment, visited.as_deref_mut());
            }
            self.now = stop;
            self.rest(segment, stop);
            segment.flows = vec![dot(&exits[self.active.start..], &self.p[self.active.start..end])];
            self.peak = self.peak.max(segment.flows[0]);
            if densities && self.precision.relative && segment.flows[0] < RARE * fastest * segment.alive[0] {
                return Err(self.too_far(chain, rate));
            }
            show(segment);
        }
        (self.leaps, self.stops) = (Some(leaps), stops);
        Ok(())
    }

    /// The rate of decay, if from now on the mass alive falls exponentially.
    pub(super) fn steady_rate(&mut self, chain: &Chain<'_>, segment: &Segment, until: f64) -> Option<f64> {
        let alive = self.alive();
        if alive <= 0.0 {
            return None;
        }
        if self.off_allowed() > 0.0 && self.is_steady(chain, segment, until) {
            return Some(decayed(self.lost, alive) / (segment.end - segment.begin));
        }
        // A hazard that is the same everywhere says nothing about where the process is. And this costs as much as a
        // quarter of the jumps before it.
        if self.is_state_wanted() || self.jumps < 2.0 * self.looked {
            return None;
        }
        self.looked = self.jumps;
        let rows = self.active.clone();
        let hazard = dot(&chain.exits()[rows.clone()], &self.p[rows]) / alive;
        let tolerance = if self.precision.relative {
            // Of survival it is as many times as much as the hazard adds up to.
            (RELATIVE / (hazard * (until - self.now))).clamp(ROUNDING, 2.0 * ROUNDING)
        } else {
            self.precision.tolerance
        };
        self.has_settled(chain, segment, tolerance).then_some(hazard)
    }

    /// Whether it matters where the process is, and not only what flows out and is alive.
    fn is_state_wanted(&self) -> bool {
        let at_ends = self.searched_until.is_none() && self.stops.as_ref().is_none_or(Vec::is_empty);
        self.later_exit.is_some() || at_ends
    }

    /// Whether from now on the state changes by a factor alone, by what it was when the last segment began.
    ///
    /// With `Q` what a segment does to a state and `Q p = γ p + r`, the state `m` such segments on is
    /// `γᵐ p + Σ γᵐ⁻¹⁻ⁱ Qⁱ r`, so it is off by no more than `|r|` times the lesser of `m` and `1/(1 − γ)`. What the segment
    /// lost is known by itself: of a slow decay, the quotient of what was alive before and after tells nothing. A state that
    /// goes on to later epochs is held against their exits, too.
    fn is_steady(&self, chain: &Chain<'_>, segment: &Segment, until: f64) -> bool {
        let rows = self.active.clone();
        let earlier = total(&self.before);
        let (lost, kept) = (self.lost / earlier, 1.0 - self.lost / earlier);
        let differences = self.p.iter().zip(&self.before);
        let off = differences.fold(0.0, |sum, (now, before)| sum + (now - kept * before).abs());
        let count = (until - segment.end) / (segment.end - segment.begin);
        let off = off * count.min(1.0 / lost);
        let later = self.later_exit.unwrap_or(0.0);
        let fastest = chain.exits()[rows].iter().fold(later, |most, &exit| most.max(exit));
        let allowed = self.off_allowed();
        off <= allowed * self.started && (!self.precision.densities || off * fastest <= allowed * self.peak)
    }

    /// Whether the hazard is the same from now on, wherever the process is.
    ///
    /// With `e = Pᴷ s` the flow out after `K` jumps from each position, and `u = Pᴷ 1` what is still alive, the hazard of any
    /// state at least `K` jumps old lies between the least and the largest `e/u`. That holds for all later times, so an
    /// error is no larger than what these differ by, however slow the decay: rounding of the state does not add up.
    fn has_settled(&self, chain: &Chain<'_>, segment: &Segment, tolerance: f64) -> bool {
        // Fewer than an eighth of the jumps on average never happen.
        let jumps = (segment.rate * (segment.end - segment.begin) / 8.0) as usize;
        let (end, h) = (self.active.end, 1.0 / segment.rate);
        let mut flows = chain.exits()[..end].to_vec();
        let mut alive = vec![1.0; end];
        let (mut next_flows, mut next_alive) = (flows.clone(), alive.clone());
        for _ in 0..jumps {
            for (values, next) in [(&flows, &mut next_flows), (&alive, &mut next_alive)] {
                for (at, next) in next.iter_mut().enumerate() {
                    let row = chain.pattern().out.range(at);
                    // Nothing leads beyond the end, and partial sums keep digits where a row is long.
                    let moved = gather(&chain.pattern().out.items[row.clone()], &chain.rates()[row], values);
                    *next = (1.0 - h * chain.totals()[at]) * values[at] + h * moved;
                }
            }
            std::mem::swap(&mut flows, &mut next_flows);
            std::mem::swap(&mut alive, &mut next_alive);
        }
        // What is next to nothing now may be all there is in the end.
        let held = (0..end).filter(|&at| self.precision.relative || self.p[at] > 0.0);
        let hazards = held.map(|at| flows[at] / alive[at]);
        let (least, most) = hazards
            .fold((f64::INFINITY, 0.0_f64), |(least, most), hazard| (least.min(hazard), most.max(hazard)));
        most - least <= tolerance * least
    }

    /// The rest of a steady state: one exponential time, written as a segment of a single jump.
    pub(super) fn decay(
        &mut self,
        rate: f64,
        segment: &mut Segment,
        until: f64,
        visited: Option<&mut [f64]>,
    ) {
        let (alive, rows) = (self.alive(), self.active.clone());
        (segment.begin, segment.end, segment.rate) = (self.now, until, rate);
        segment.exponent = self.exponent;
        segment.flows = vec![rate * alive, 0.0];
        segment.absorbed = vec![self.absorbed, self.absorbed + alive * self.unit()];
        segment.alive = vec![alive, 0.0];
        let gone = -(-segment.rate * (until - self.now)).exp_m1();
        let kept = (-segment.rate * (until - self.now)).exp();
        if let Some(visited) = visited {
            let duration = until - self.now;
            let stayed = if segment.rate > 0.0 { gone / segment.rate } else { duration };
            add_scaled(&mut visited[rows.clone()], stayed, &self.p[rows.clone()]);
        }
        self.absorbed += alive * gone * self.unit();
        self.p[rows].iter_mut().for_each(|mass| *mass *= kept);
        self.now = until;
    }

    /// A segment without jumps.
    pub(super) fn rest(&mut self, segment: &mut Segment, until: f64) {
        (segment.begin, segment.end, segment.rate) = (self.now, until, 0.0);
        segment.exponent = self.exponent;
        (segment.flows, segment.absorbed, segment.alive) =
            (vec![0.0], vec![self.absorbed], vec![self.alive()]);
        self.now = until;
    }
}
