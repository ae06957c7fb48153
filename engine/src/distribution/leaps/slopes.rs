//! Derivatives by leaps, where going back over jumps would take too many of them.
//!
//! What a parameter changes doubles along with the powers: `∂P(2δ) = ∂P(δ) P(δ) + P(δ) ∂P(δ)` (Kalbfleisch and Lawless,
//! JASA 80, 1985, by another exponential). A row of probabilities and absorption sums to 1 whatever the parameter is, so a
//! row of derivatives to 0, which keeps rounding from doubling, too. What is found is as accurate as the powers: about
//! `1e-12` of what a change of the parameter by itself, as a share of itself, would make of a density or a logarithm.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array1, Array2, Array3, ArrayView1};

use super::{Leaps, MOST_POSITIONS, Power, RARE, SLOWEST, Short, add_product};
use crate::distribution::chain::{Chain, ChainSlope};
use crate::distribution::curve::{BITS_OF_LOGARITHM, Point};
use crate::distribution::kernel::{add_scaled, dot, step, total};
use crate::distribution::slices::room;
use crate::distribution::sweep::{are_in_ones, choose_units, in_ones};

/// Derivatives are below 2 to the power of this in their units.
const MOST_BITS: i32 = 850;

/// Values at times, and what parameters make of them.
#[derive(Debug)]
pub(in super::super) struct Found {
    /// What there is at each time.
    pub(in super::super) values: Vec<Point>,
    /// Derivatives of density, distribution function and mass alive, by time, process and parameter; at time 0 they are
    /// left out.
    pub(in super::super) slopes: Array3<Point>,
}

/// Values and derivatives at ascending times of processes that follow one another; `chains[i + 1]` begins at
/// `breakpoints[i]`.
///
/// A product of matrices for each doubling, and two more for each parameter. None where that is out of reach: too many
/// positions or doublings, more work than that of the jumps allowed, mass that is lost on a way back through the start, or a
/// density of paths too rare for leaps.
pub(in super::super) fn values_and_slopes(
    chains: &[Chain<'_>],
    breakpoints: &[f64],
    times: &[f64],
) -> Option<Found> {
    let first = chains.first()?;
    let (positions, parameters) = (first.len(), first.plan().param_length());
    let lossy = chains.iter().any(|chain| chain.losses().any(|(_, loss)| loss > 0.0));
    if positions == 0 || positions > MOST_POSITIONS || lossy {
        return None;
    }
    let slopes = Array3::from_elem((times.len(), chains.len(), parameters), Point::default());
    let mut state = State::start(first);
    let mut found = Found { values: vec![state.values(first); times.len()], slopes };
    // What each parameter of the processes so far has changed the state by.
    let mut changes: Vec<State> = Vec::new();
    let horizon = times.last().copied().unwrap_or(0.0);
    let mut begin = 0.0;
    for (epoch, chain) in chains.iter().enumerate() {
        let until = breakpoints.get(epoch).map_or(horizon, |&breakpoint| breakpoint.min(horizon));
        if until <= begin {
            break;
        }
        let walk = Walk::new(chain, begin..until, times)?;
        let before = state.clone();
        let mut rare = false;
        walk.go(&mut state, &mut State::nothing(positions), None, |stop, point, _| {
            rare |= walk.is_rare(&point) && !walk.asked(stop, times).is_empty();
            for at in walk.asked(stop, times) {
                found.values[at] = point;
            }
        });
        if rare {
            return None;
        }
        for (number, change) in changes.iter_mut().enumerate() {
            let place = [number / parameters, number % parameters];
            walk.go(&mut before.clone(), change, None, |stop, _, slopes| {
                for at in walk.asked(stop, times) {
                    found.slopes[[at, place[0], place[1]]] = slopes;
                }
            });
        }
        for parameter in 0..parameters {
            let own = Own::new(&walk.leaps, chain, parameter);
            let mut change = State::nothing(positions);
            walk.go(&mut before.clone(), &mut change, Some(&own), |stop, _, slopes| {
                for at in walk.asked(stop, times) {
                    found.slopes[[at, epoch, parameter]] = slopes;
                }
            });
            changes.push(change);
        }
        begin = until;
    }
    Some(found)
}

impl Leaps {
    /// The powers of all positions up to a time, whether they come to rest or not: what a parameter changes may go on.
    /// None if there is no room for them and their derivatives.
    fn to_the_end(chain: &Chain<'_>, time: f64) -> Option<Self> {
        // Rates of 0 have slopes.
        let fastest = chain.totals().iter().fold((1.0 / time).max(SLOWEST), |most, &total| most.max(total));
        let mut leaps = Self::shortest_of(chain, chain.len(), fastest, time, false);
        while leaps.longest() <= 0.5 * time
            && leaps.powers[leaps.last()].matrix.iter().any(|&mass| mass > 0.0)
        {
            if !leaps.double(2) {
                return None;
            }
        }
        Some(leaps)
    }
}

/// Masses and what was absorbed, or the derivatives of both. Masses are in units of 2 to the power of minus `exponent`, and so
/// are derivatives, in units of their own: they may be far larger than what they are of.
#[derive(Debug, Clone)]
struct State {
    p: Vec<f64>,
    absorbed: f64,
    exponent: i32,
}

impl State {
    fn nothing(positions: usize) -> Self {
        Self { p: vec![0.0; positions], absorbed: 0.0, exponent: 0 }
    }

    fn start(chain: &Chain<'_>) -> Self {
        let mut start = Self { absorbed: chain.atom(), ..Self::nothing(chain.len()) };
        for &(at, probability) in chain.start() {
            start.p[at as usize] = probability;
        }
        start
    }

    fn values(&self, chain: &Chain<'_>) -> Point {
        let (density, alive) = (dot(chain.exits(), &self.p), total(&self.p));
        Point { density, absorbed: self.absorbed, alive, exponent: self.exponent }
    }

    /// Takes masses in other units where that is due; in ones where the fastest rate is too fast for anything else.
    fn choose_units(&mut self, fastest: f64) {
        if !are_in_ones(fastest) {
            self.exponent = choose_units(&mut self.p, self.exponent, BITS_OF_LOGARITHM);
        } else if self.exponent != 0 {
            self.p.iter_mut().for_each(|mass| *mass = in_ones(*mass, self.exponent));
            self.exponent = 0;
        }
    }

    /// Takes derivatives in units in which those of masses in units of `exponent` can be added to them: the same, unless
    /// they are beyond f64 there.
    fn meet(&mut self, exponent: Option<i32>) {
        let most = self.p.iter().fold(0.0_f64, |most, slope| most.max(slope.abs()));
        if most > 0.0 {
            let own = self.exponent - most.log2() as i32;
            let unit = exponent.map_or(own, |exponent| exponent.min(own + MOST_BITS));
            self.p.iter_mut().for_each(|slope| *slope = in_ones(*slope, self.exponent - unit));
            self.exponent = unit;
        } else {
            self.exponent = exponent.unwrap_or(self.exponent);
        }
    }

    /// Masses in other units, none larger than theirs by much.
    fn in_units(&self, exponent: i32) -> Cow<'_, [f64]> {
        if self.exponent == exponent {
            return Cow::Borrowed(&self.p);
        }
        self.p.iter().map(|&mass| in_ones(mass, self.exponent - exponent)).collect()
    }

    fn is_nothing(&self) -> bool {
        self.p.iter().all(|&mass| mass == 0.0)
    }
}

/// What a parameter changes of a process and of its powers.
struct Own {
    rates: ChainSlope,
    powers: Vec<Change>,
}

/// What a parameter changes of a power.
struct Change {
    matrix: Array2<f64>,
    absorbed: Array1<f64>,
}

impl Own {
    fn new(leaps: &Leaps, chain: &Chain<'_>, parameter: usize) -> Self {
        let rates = chain.slope(parameter);
        let mut powers = vec![Change::single(leaps, chain, &rates)];
        for pair in leaps.powers.windows(2) {
            let next = powers.last().map(|last| last.twice(&pair[0], &pair[1]));
            powers.extend(next);
        }
        Self { rates, powers }
    }
}

impl Change {
    /// Within the time of about one jump.
    fn single(leaps: &Leaps, chain: &Chain<'_>, rates: &ChainSlope) -> Self {
        let positions = leaps.positions();
        let short = Short::new(leaps.fastest, leaps.shortest());
        let mut found =
            Self { matrix: Array2::zeros((positions, positions)), absorbed: Array1::zeros(positions) };
        let (mut state, mut change) = (State::nothing(positions), State::nothing(positions));
        for from in 0..positions {
            state.p.fill(0.0);
            state.p[from] = 1.0;
            change.p.fill(0.0);
            (state.absorbed, change.absorbed) = (0.0, 0.0);
            jump(chain, &short, Some(rates), &mut state, &mut change);
            found.absorbed[from] = change.absorbed;
            found.matrix.row_mut(from).iter_mut().zip(&change.p).for_each(|(slot, &slope)| *slot = slope);
        }
        found.settle(&leaps.powers[0]);
        found
    }

    /// Of twice the time; `before` and `after` are the powers.
    fn twice(&self, before: &Power, after: &Power) -> Self {
        let matrix = self.matrix.dot(&before.matrix) + before.matrix.dot(&self.matrix);
        let absorbed =
            &self.absorbed + &self.matrix.dot(&before.absorbed) + before.matrix.dot(&self.absorbed);
        let mut twice = Self { matrix, absorbed };
        twice.settle(after);
        twice
    }

    /// Lets each row sum to 0, as that of the power sums to 1: the derivative of dividing it by its sum.
    fn settle(&mut self, power: &Power) {
        let rows = self.matrix.rows_mut().into_iter().zip(power.matrix.rows());
        for ((mut row, masses), (absorbed, share)) in rows.zip(self.absorbed.iter_mut().zip(&power.absorbed))
        {
            let sum = row.sum() + *absorbed;
            row.iter_mut().zip(masses).for_each(|(slope, mass)| *slope -= sum * mass);
            *absorbed -= sum * share;
        }
    }
}

/// A way through the time of one process, with stops.
struct Walk<'a, 'p> {
    chain: &'a Chain<'p>,
    leaps: Leaps,
    begin: f64,
    /// Ascending, after the beginning; the last is the end.
    stops: Vec<f64>,
    /// How many bits a derivative with respect to a rate may be larger than masses: those of the whole time.
    bits: i32,
}

impl<'a, 'p> Walk<'a, 'p> {
    /// From one time to another, with stops at those between; none where that is out of reach.
    fn new(chain: &'a Chain<'p>, range: Range<f64>, times: &[f64]) -> Option<Self> {
        let duration = range.end - range.start;
        let edges = chain.rates().len() + chain.len();
        let fastest = chain.totals().iter().fold(0.0_f64, |most, &total| most.max(total));
        let parameters = chain.plan().param_length();
        let cost = Leaps::cost_with_slopes(chain.len(), edges, fastest * duration, times.len(), parameters);
        // The limit is one on work: a jump, there and back, is three multiply-adds for each edge.
        if cost > chain.jump_limit() as f64 * (3 * edges) as f64 {
            return None;
        }
        let leaps = Leaps::to_the_end(chain, duration)?;
        let between = times.iter().copied().filter(|&time| time > range.start && time < range.end);
        let (begin, stops) = (range.start, between.chain([range.end]).collect());
        Some(Self { chain, leaps, begin, stops, bits: duration.log2().max(0.0) as i32 })
    }

    /// Takes a state and what a parameter has changed it by to the end, and shows what both make of density, distribution
    /// function and mass alive at each stop. `own` is what the parameter changes of this very process.
    fn go(
        &self,
        state: &mut State,
        change: &mut State,
        own: Option<&Own>,
        mut show: impl FnMut(usize, Point, Point),
    ) {
        let mut now = self.begin;
        for (number, &stop) in self.stops.iter().enumerate() {
            let (mut left, mut power) = (stop - now, self.leaps.last());
            loop {
                state.choose_units(self.leaps.fastest);
                let Some(next) = self.leap(power, left, state, change, own) else { break };
                left -= self.leaps.powers[next].time;
                power = (next + 1).min(self.leaps.last());
            }
            if left > 0.0 && left <= self.leaps.shortest() {
                let short = Short::new(self.leaps.fastest, left);
                change.meet(Some(state.exponent - self.bits));
                jump(self.chain, &short, own.map(|own| &own.rates), state, change);
            }
            now = stop;
            let mut slopes = change.values(self.chain);
            if let Some(own) = own {
                slopes.density += dot(&own.rates.exits, &state.in_units(change.exponent));
            }
            show(number, state.values(self.chain), slopes);
        }
    }

    /// A leap as [`Leaps::leap_within`], with what a parameter has changed; returns which.
    fn leap(
        &self,
        from: usize,
        left: f64,
        state: &mut State,
        change: &mut State,
        own: Option<&Own>,
    ) -> Option<usize> {
        if state.is_nothing() {
            // What a parameter has changed may be all there is.
            let fits = |&power: &usize| self.leaps.powers[power].time <= left;
            let power = (0..=from).rev().find(fits).filter(|_| !change.is_nothing())?;
            change.meet(None);
            self.change(power, None, change, own);
            return Some(power);
        }
        change.meet(Some(state.exponent - self.bits));
        let before = own.is_some().then(|| state.in_units(change.exponent).into_owned());
        let (power, _, lost) = self.leaps.leap_within(&mut state.p, left, from)?;
        self.change(power, before.as_deref(), change, own);
        state.absorbed += in_ones(lost, state.exponent);
        Some(power)
    }

    /// What a power makes of what a parameter has changed, and of masses by what it changes of the power.
    fn change(&self, power: usize, before: Option<&[f64]>, change: &mut State, own: Option<&Own>) {
        let Power { matrix, absorbed, .. } = &self.leaps.powers[power];
        let mut after = vec![0.0; change.p.len()];
        add_product(&change.p, matrix, &mut after);
        let mut changed = ArrayView1::from(&change.p[..]).dot(absorbed);
        if let (Some(own), Some(before)) = (own, before) {
            let Change { matrix, absorbed } = &own.powers[power];
            add_product(before, matrix, &mut after);
            changed += ArrayView1::from(before).dot(absorbed);
        }
        change.p = after;
        change.absorbed += in_ones(changed, change.exponent);
    }

    /// The places of the ascending times that a stop stands for; none, if it is just the end.
    fn asked(&self, stop: usize, times: &[f64]) -> Range<usize> {
        let time = self.stops[stop];
        times.partition_point(|&asked| asked < time)..times.partition_point(|&asked| asked <= time)
    }

    /// Whether a density is that of paths too rare for leaps to know them all.
    fn is_rare(&self, point: &Point) -> bool {
        let fastest = self.chain.exits().iter().fold(0.0_f64, |most, &exit| most.max(exit));
        point.density < RARE * fastest * point.alive
    }
}

/// Takes a state and what a parameter has changed it by through the time of about one jump.
fn jump(chain: &Chain<'_>, short: &Short, rates: Option<&ChainSlope>, state: &mut State, change: &mut State) {
    let positions = state.p.len();
    let padded = |masses: &[f64]| {
        let mut padded = vec![0.0; room(positions)];
        padded[..positions].copy_from_slice(masses);
        padded
    };
    let (exponent, of_change) = (state.exponent, change.exponent);
    let (mut p, mut slopes) = (padded(&state.p), padded(&change.p));
    let (mut next, mut own) = (vec![0.0; room(positions)], vec![0.0; positions]);
    state.p.fill(0.0);
    change.p.fill(0.0);
    short.jumps(chain, positions, &mut p, |weight, spent, p, flow| {
        add_scaled(&mut state.p, weight, &p[..positions]);
        add_scaled(&mut change.p, weight, &slopes[..positions]);
        state.absorbed += in_ones(flow * spent, exponent);
        let mut changed = dot(chain.exits(), &slopes[..positions]);
        step(chain, 1.0 / short.rate, &slopes, &mut next, 0..positions);
        if let Some(rates) = rates {
            own.iter_mut().zip(p).for_each(|(slot, &mass)| *slot = in_ones(mass, exponent - of_change));
            changed += dot(&rates.exits, &own);
            rates.add_jump(chain, 1.0 / short.rate, &own, &mut next);
        }
        change.absorbed += in_ones(changed * spent, of_change);
        std::mem::swap(&mut slopes, &mut next);
    });
}

impl ChainSlope {
    /// Adds what a jump of length `h` from the state `p` changes by.
    fn add_jump(&self, chain: &Chain<'_>, h: f64, p: &[f64], next: &mut [f64]) {
        let out = &chain.pattern().out;
        for (at, &total) in self.totals.iter().enumerate() {
            let moved = p[at] * h;
            if moved != 0.0 {
                next[at] -= moved * total;
                for (&target, rate) in out.items[out.range(at)].iter().zip(&self.rates[out.range(at)]) {
                    next[target as usize] += moved * rate;
                }
            }
        }
    }
}
