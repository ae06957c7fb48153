//! One segment, jump by jump: what is recorded of it, and which positions take part.

use super::super::chain::Chain;
use super::super::kernel::{VANISHED, add_scaled, dot, step};
use super::super::poisson;
use super::super::slices::WIDTH;
use super::super::sums::Sum;
use super::super::trail::{Block, Replayed, State};
use super::{DENORMAL, DRIFTS, EXTINCT, LOOK, Precision, Segment, Sweep};

impl Sweep {
    /// The least share of the mass alive that a jump keeps alive. Of what is alive at the end of a segment, most made that
    /// share of the jumps that all made, at least.
    pub(super) fn least_kept(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let exits = &chain.exits()[..self.active.end];
        let absorbed = exits.iter().fold(0.0_f64, |most, &exit| most.max(exit));
        let here = self.losses.iter().filter(|&&(at, _)| (at as usize) < exits.len());
        let gone = here.fold(absorbed, |most, &(at, loss)| most.max(exits[at as usize] + loss));
        (1.0 - gone / rate).max(0.0)
    }

    /// One segment. Every jump costs a multiply-add for each edge between active positions.
    pub(super) fn run(&mut self, chain: &Chain<'_>, segment: &mut Segment, mut visited: Option<&mut [f64]>) {
        let h = 1.0 / segment.rate;
        let x = segment.rate * (segment.end - segment.begin);
        let least = if self.exact_ends { x * self.least_kept(chain, segment.rate) } else { x };
        let most = if self.exact_ends { self.most_made(chain, segment) } else { x };
        let first = poisson::weights_for(x, least..=most, &mut self.weights);
        let last = first + self.weights.len();
        // P(more than k jumps), for the time spent in a state.
        let beyond = visited.as_ref().map_or(Vec::new(), |_| poisson::beyond(&self.weights));
        segment.exponent = self.exponent;
        let mut trail = self.trail.take();
        if let Some(trail) = &mut trail {
            trail.begin(segment, first, &self.weights, self.active.end);
        }
        segment.flows.clear();
        self.end.fill(0.0);
        let mut touched = self.active.clone();
        let mut early = Early::default();
        let mut flow = self.flow(chain);
        // Ends go on into the next segment, however short these are; else a segment is long before it matters.
        let jumps = if self.exact_ends { self.jumps } else { x };
        let mut kept = (jumps > self.drifts()).then(|| Kept::of(self.alive()));
        for k in 0.. {
            if k % LOOK == LOOK - 1 {
                if let Some(kept) = &mut kept {
                    self.restore(kept);
                }
                let end = self.active.end;
                self.drop_left(chain);
                if kept.is_some() && self.active.end < end {
                    kept = Some(Kept::of(self.alive()));
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
            }
            if let Some(visited) = visited.as_deref_mut() {
                let more = k.checked_sub(first).map_or(1.0, |at| beyond.get(at).copied().unwrap_or(0.0));
                add_scaled(&mut visited[rows.clone()], more * h, &self.p[rows]);
            }
            let weight = if k < last { self.weights.get(k.wrapping_sub(first)).copied() } else { None };
            let enough = early.look(k, weight, x, segment.flows[k]);
            if k + 1 >= last && (enough || !self.precision.relative || k > last + self.p.len()) {
                break;
            }
            if let Some(kept) = &mut kept {
                kept.mass.add(-(flow + self.losing()) * h);
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
        // Of what was absorbed on the way to the end: by itself first, so that a little of it keeps its digits.
        let (begun, unit) = (self.absorbed, self.unit());
        let lost = self.weights.iter().zip(first..).map(|(weight, k)| {
            let absorbed = segment.absorbed[k.min(segment.absorbed.len() - 1)];
            weight * absorbed
        });
        self.lost = lost.sum();
        self.absorbed = begun + self.lost * unit;
        segment.absorbed.iter_mut().for_each(|absorbed| *absorbed = begun + *absorbed * unit);
    }

    /// Goes through the states of a block of a segment with this beginning and rate again, from its first one.
    pub(in super::super) fn replay(
        &mut self,
        chain: &Chain<'_>,
        (begin, rate): (f64, f64),
        block: &Block,
        first: &State<'_>,
        states: &mut Replayed,
    ) {
        self.now = begin;
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

    /// Jumps after which rounding counts: beside what is asked for, too.
    fn drifts(&self) -> f64 {
        let Precision { relative, tolerance, .. } = self.precision;
        if relative { DRIFTS } else { DRIFTS.min(tolerance / f64::EPSILON) }
    }

    /// Makes up for what rounding took from the mass alive, or added to it.
    fn restore(&mut self, kept: &mut Kept) {
        let (mass, found) = (kept.mass.value(), self.alive());
        if mass < 0.5 * kept.counted || found <= 0.0 {
            // Most of what was there has gone, and a difference tells less than what is left.
            *kept = Kept::of(found);
            return;
        }
        kept.counted = mass;
        let scale = mass / found;
        self.p[self.active.clone()].iter_mut().for_each(|p| *p *= scale);
    }

    /// What is being lost on ways back through the start.
    fn losing(&self) -> f64 {
        self.losses.iter().map(|&(at, rate)| rate * self.p[at as usize]).sum()
    }

    /// Masses absorbed since the segment began, and alive, from the flows; the latter backwards, so that nothing cancels.
    fn add_up(&self, segment: &mut Segment, h: f64) {
        let mut absorbed = Sum::default();
        segment.absorbed.clear();
        segment.absorbed.extend(segment.flows.iter().map(|flow| {
            let before = absorbed.value();
            absorbed.add(flow * h);
            before
        }));
        let mut alive = Sum::of(self.alive());
        segment.alive.clear();
        segment.alive.resize(segment.flows.len(), alive.value());
        for (slot, flow) in segment.alive.iter_mut().zip(&segment.flows).rev().skip(1) {
            alive.add(flow * h);
            *slot = alive.value();
        }
    }

    /// The flow into absorption: the density now.
    pub(super) fn flow(&self, chain: &Chain<'_>) -> f64 {
        dot(&chain.exits()[self.active.clone()], &self.p[self.active.clone()])
    }

    /// One jump; returns the flow into absorption after it.
    fn jump(&mut self, chain: &Chain<'_>, h: f64) -> f64 {
        let rows = self.reach.min(self.active.start)..self.active.end;
        let flow = step(chain, h, &self.p, &mut self.next, rows.clone());
        std::mem::swap(&mut self.p, &mut self.next);
        let (mut first, mut dropped) = (rows.start, 0.0);
        while first < rows.end && self.p[first] < self.vanished {
            dropped += self.p[first];
            self.p[first] = 0.0;
            first += 1;
        }
        self.leak(dropped);
        if self.kept > 0 {
            first = 0;
        }
        for at in first..self.active.start {
            self.reach = self.reach.min(self.lowest[at] as usize);
        }
        self.active = first..rows.end;
        flow
    }

    /// What dropped mass is to be small beside: all that started or, where errors are relative, the least number that will be
    /// asked for.
    ///
    /// What stays in one position until the horizon survives, and some of it flows out there at any time; survival is no
    /// less, and no density less than that flow, of which dropped mass could make no more than the fastest exit lets out.
    /// What stays in `v` feeds the exit of a neighbour `w`, too: by `r_vw e_w (1 − 1/e)/λ_w` of it once `1/λ_w` has passed,
    /// and until then what is in `w` now does, by `1/e` of it.
    fn least_asked(&self, chain: &Chain<'_>) -> f64 {
        if !self.precision.relative {
            return self.started;
        }
        let (rows, left) = (self.active.clone(), self.horizon - self.now);
        let (exits, totals, out) = (chain.exits(), chain.totals(), &chain.pattern().out);
        let fastest = exits[rows.clone()].iter().fold(0.0_f64, |most, &exit| most.max(exit));
        let mut least = self.precision.least * self.started;
        let kept = (-1.0_f64).exp();
        for at in rows.clone().filter(|&at| totals[at] > 0.0 && self.p[at] > 0.0) {
            let stays = self.p[at] * (-totals[at] * left).exp();
            if stays <= least {
                continue;
            }
            least = least.max(stays * (exits[at] / fastest));
            let targets = out.items[out.range(at)].iter().zip(&chain.rates()[out.range(at)]);
            for (target, rate) in targets.map(|(&target, rate)| (target as usize, rate)) {
                if exits[target] > 0.0 && rows.contains(&target) {
                    let later = stays * (rate / totals[target]).min(1.0) * (1.0 - kept);
                    least = least.max(later.min(self.p[target] * kept) * (exits[target] / fastest));
                }
            }
        }
        least
    }

    /// Takes note of what is dropped of the active positions.
    fn leak(&mut self, mass: f64) {
        let fastest = self.fastest_exit[self.active.end].max(self.later_exit.unwrap_or(0.0));
        self.leaked += mass * fastest;
    }

    /// Drops the last positions as far as they hold next to nothing.
    pub(super) fn drop_left(&mut self, chain: &Chain<'_>) {
        let (share, whole) = (self.least_asked(chain), self.whole());
        self.vanished = (VANISHED * share).max(DENORMAL * whole.max(1e-10));
        let mut allowed = (self.precision.mass * share).max(EXTINCT * whole);
        while self.active.end > self.active.start.max(self.kept) {
            let cut = (chain.pattern().cut_below[self.active.end] as usize).max(self.active.start);
            let mass: f64 = self.p[cut..self.active.end].iter().sum();
            if mass > allowed {
                break;
            }
            allowed -= mass;
            self.leak(mass);
            self.p[cut..self.active.end].fill(0.0);
            self.next[cut..self.active.end].fill(0.0);
            self.active.end = cut;
        }
    }
}

/// No more than the largest density of a segment: after a mean of `k` jumps, `k` happen with a probability of at least
/// `1/√(2πk)` less a twelfth of that. More jumps than its mean are for later, when rates may be others.
pub(super) fn least_peak(segment: &Segment) -> f64 {
    let mean = segment.rate * (segment.end - segment.begin);
    let within = segment.flows.iter().enumerate().take_while(|&(jumps, _)| jumps as f64 <= mean);
    within.map(|(jumps, flow)| flow / (1.0 + 2.75 * (jumps as f64).sqrt())).fold(0.0, f64::max)
}

/// The mass alive, by what has left since it was counted.
struct Kept {
    mass: Sum,
    /// What it was at the last look.
    counted: f64,
}

impl Kept {
    fn of(alive: f64) -> Self {
        Self { mass: Sum::of(alive), counted: alive }
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
