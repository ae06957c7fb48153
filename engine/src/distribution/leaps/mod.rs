//! Steps of any length at once, by powers of a dense matrix: for processes far too fast to be followed jump by jump.
//!
//! The probabilities `P(δ)` of moving between positions in a time so short that about one jump happens are summed by
//! uniformization, and squared up: `P(2δ) = P(δ)²` (scaling and squaring; Moler and Van Loan, SIAM Review 45, 2003). All
//! numbers are sums of non-negative ones, so entries have small relative errors. Each row, absorption included, is divided
//! by its sum, which is 1: without that, what rounding adds or takes would double with every squaring, and after `λt` jumps
//! be `λt` times too large. What is left are relative errors of single entries, and those change a process's slow behaviour
//! by a multiple of themselves that grows with the number of positions, but not with its rates (O'Cinneide, Numerische
//! Mathematik 65, 1993).

mod slopes;

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::chain::Chain;
use super::kernel::{add_scaled, dot, step, total};
use super::poisson;
use super::slices::room;

pub(super) use slopes::{Found, values_and_slopes};

/// Most positions of a process that leaps: the powers take 8 bytes for each pair, each time.
const MOST_POSITIONS: usize = 1024;
/// Most bytes of all powers together.
const MOST_BYTES: u64 = 1 << 30;
/// Entries that a doubling changes by less than this share of themselves have come to rest.
const AT_REST: f64 = 8.0 * f64::EPSILON;
/// Densities below this share of what the fastest exit could let out are too rare for leaps to know all their paths.
pub(super) const RARE: f64 = 1e-27;
/// Entries of powers below the first are nothing. So it is what leaves less than the second of the mass alive that is
/// inaccurate.
const SMALLEST: f64 = 1e-250;
const KEPT: f64 = 1e-120;
/// Jumps are no rarer than this, however slow the vertices are.
const SLOWEST: f64 = 1e-307;
/// Jumps of the longest paths that are counted within the shortest leap: others have less than 1e-43 of its mass.
const LONGEST_PATH: usize = 37;

/// Where a process gets to, and what is absorbed, in times of which each is twice the one before.
#[derive(Debug, Clone)]
pub(super) struct Leaps {
    powers: Vec<Power>,
    /// The largest rate of leaving a position.
    fastest: f64,
    /// Whether more time than that of the longest power makes no difference any more.
    at_rest: bool,
}

/// What happens in one of these times: where mass gets to, what is absorbed, and how long it is where, if that is wanted.
#[derive(Debug, Clone)]
struct Power {
    time: f64,
    matrix: Array2<f64>,
    absorbed: Array1<f64>,
    /// What is lost on ways back through the start, if anything may be.
    lost: Option<Array1<f64>>,
    visits: Option<Array2<f64>>,
}

impl Power {
    /// Twice the time. All sums are of non-negative numbers.
    fn twice(&self) -> Self {
        let visits = self.visits.as_ref().map(|visits| visits + &self.matrix.dot(visits));
        let absorbed = &self.absorbed + &self.matrix.dot(&self.absorbed);
        let lost = self.lost.as_ref().map(|lost| lost + &self.matrix.dot(lost));
        let matrix = self.matrix.dot(&self.matrix);
        let mut twice = Self { time: 2.0 * self.time, matrix, absorbed, lost, visits };
        normalise(&mut twice);
        twice
    }

    /// Whether no number differs from those of `before`, the power of half the time: then those of all later ones do not.
    /// Numbers are accurate relative to themselves, so whatever still goes on, however slowly, shows in one of them.
    fn is_like(&self, before: &Self) -> bool {
        let visits = self.visits.iter().flatten().zip(before.visits.iter().flatten());
        let states = self.matrix.iter().zip(&before.matrix).chain(self.absorbed.iter().zip(&before.absorbed));
        let lost = self.lost.iter().flatten().zip(before.lost.iter().flatten());
        states.chain(visits).chain(lost).all(|(now, before)| (now - before).abs() <= AT_REST * before)
    }

    fn bytes(positions: usize, visits: bool) -> u64 {
        let matrices = if visits { 2 } else { 1 };
        (positions as u64 + 1) * positions as u64 * 8 * matrices
    }
}

impl Leaps {
    /// What making the powers costs, in multiply-adds, and asking for the state at `count` times; infinite if the process
    /// has too many positions.
    pub(super) fn cost(positions: usize, edges: usize, jumps: f64, count: usize, visits: bool) -> f64 {
        if positions > MOST_POSITIONS {
            return f64::INFINITY;
        }
        // Most processes have come to rest before their powers fill the memory there is.
        let most = (MOST_BYTES / Power::bytes(positions.max(1), visits)) as f64;
        let (n, doublings) = (positions as f64, jumps.max(1.0).log2().ceil().min(most));
        let matrices = if visits { 2.0 } else { 1.0 };
        n * (LONGEST_PATH * edges) as f64 + matrices * n * n * doublings * (n + count as f64)
    }

    /// What derivatives with respect to so many parameters cost beside; infinite if there is no room for the powers and
    /// their derivatives, which have to be taken to the end.
    pub(super) fn cost_with_slopes(
        positions: usize,
        edges: usize,
        jumps: f64,
        count: usize,
        parameters: usize,
    ) -> f64 {
        let powers = jumps.max(1.0).log2().ceil() + 1.0;
        if powers * Power::bytes(positions.max(1), true) as f64 > MOST_BYTES as f64 {
            return f64::INFINITY;
        }
        (1 + 2 * parameters) as f64 * Self::cost(positions, edges, jumps, count, false)
    }

    /// Whether so many positions can leap.
    pub(super) fn has_room(positions: usize) -> bool {
        positions <= MOST_POSITIONS
    }

    /// Positions that leap; others hold nothing.
    pub(super) fn positions(&self) -> usize {
        self.powers[0].absorbed.len()
    }

    /// The powers for the first `positions` of a chain, which mass cannot leave but into absorption or to be lost on a
    /// way back through the start, for times up to `longest`. With `visits`, the time spent in positions is known.
    ///
    /// None if they take more memory than there may be.
    pub(super) fn new(chain: &Chain<'_>, positions: usize, longest: f64, visits: bool) -> Option<Self> {
        let fastest = chain.totals()[..positions].iter().fold(0.0_f64, |most, &total| most.max(total));
        let mut leaps = Self::shortest_of(chain, positions, fastest, longest, visits);
        leaps.reach(longest).then_some(leaps)
    }

    /// The first of the powers for times up to `longest`, in which about one jump happens.
    fn shortest_of(chain: &Chain<'_>, positions: usize, fastest: f64, longest: f64, visits: bool) -> Self {
        // The product of both may be beyond f64, and so may 2 to this power.
        let doublings = (fastest.log2() + longest.log2()).ceil().max(0.0) as i32;
        let half = doublings / 2;
        let shortest = longest * 2.0_f64.powi(-half) * 2.0_f64.powi(half - doublings);
        let powers = vec![single(chain, positions, fastest, shortest.max(f64::MIN_POSITIVE), visits)];
        Self { powers, fastest, at_rest: false }
    }

    /// Adds powers until the longest is of at least half of a time, or makes no difference any more; says whether there
    /// was room.
    pub(super) fn reach(&mut self, time: f64) -> bool {
        while !self.at_rest && self.longest() <= 0.5 * time {
            if !self.grow() {
                return false;
            }
        }
        true
    }

    /// Adds a power of twice the longest time; says whether there was room for it, and time left.
    pub(super) fn grow(&mut self) -> bool {
        !self.at_rest && self.double(1)
    }

    /// Adds a power of twice the longest time, as long as all powers fit that many times in the memory there is.
    fn double(&mut self, times: u64) -> bool {
        let bytes = Power::bytes(self.positions(), self.count_visits()) * (self.powers.len() as u64 + 1);
        let Some(last) = self.powers.last().filter(|_| times * bytes <= MOST_BYTES) else {
            return false;
        };
        let twice = last.twice();
        if !twice.time.is_finite() {
            return false;
        }
        self.at_rest = twice.is_like(last);
        self.powers.push(twice);
        true
    }

    /// Whether the time spent in positions is known.
    pub(super) fn count_visits(&self) -> bool {
        self.powers[0].visits.is_some()
    }

    /// The number of the longest power; they count from 0.
    pub(super) fn last(&self) -> usize {
        self.powers.len() - 1
    }

    /// The probabilities of moving in the time of a power, or in that of the longest.
    pub(super) fn matrix(&self, power: usize) -> &Array2<f64> {
        &self.powers[power.min(self.last())].matrix
    }

    /// The time of the shortest power.
    pub(super) fn shortest(&self) -> f64 {
        self.powers[0].time
    }

    /// The time of the longest power.
    fn longest(&self) -> f64 {
        self.powers[self.last()].time
    }

    /// Takes the state on by a power; returns its time and what was absorbed in it.
    pub(super) fn apply(&self, power: usize, state: &mut [f64]) -> (f64, f64) {
        let Power { time, matrix, absorbed, .. } = &self.powers[power];
        let absorbed = ArrayView1::from(&*state).dot(absorbed);
        let mut after = vec![0.0; state.len()];
        add_product(state, matrix, &mut after);
        state.copy_from_slice(&after);
        (*time, absorbed)
    }

    /// Takes the state `p` on by the longest power that is no longer than `left` and no further than `from`, and keeps enough
    /// of it alive for numbers of all sizes to count; returns which that is, its time, and what was absorbed. None if all
    /// are too long, or nothing is alive.
    pub(super) fn leap_within(&self, p: &mut [f64], left: f64, from: usize) -> Option<(usize, f64, f64)> {
        let alive = total(p);
        let mut after = vec![0.0; p.len()];
        for power in (0..=from).rev().filter(|&power| alive > 0.0 && self.powers[power].time <= left) {
            after.copy_from_slice(p);
            let (time, absorbed) = self.apply(power, &mut after);
            if power == 0 || total(&after) >= KEPT * alive {
                p.copy_from_slice(&after);
                return Some((power, time, absorbed));
            }
        }
        None
    }

    /// Whether a power is that of all longer times, too.
    pub(super) fn is_at_rest(&self, power: usize) -> bool {
        self.at_rest && power == self.last()
    }

    /// Takes the state `p` on by as much of a duration as leaps can, which have to [`reach`](Self::reach) it; returns what
    /// is left of it, less than the shortest power, and what was absorbed. The time spent in positions is added to
    /// `visited`, if these powers know it.
    pub(super) fn advance(
        &self,
        p: &mut [f64],
        duration: f64,
        mut visited: Option<&mut [f64]>,
    ) -> (f64, f64) {
        // What is left, and not what is done: a time is less than twice the power's, and their difference exact.
        let (mut left, mut absorbed) = (duration, 0.0);
        for power in (0..self.powers.len()).rev() {
            while self.powers[power].time <= left {
                if let (Some(visited), Some(visits)) = (visited.as_deref_mut(), &self.powers[power].visits) {
                    let stayed = ArrayView1::from(&*p).dot(visits);
                    visited.iter_mut().zip(stayed).for_each(|(slot, time)| *slot += time);
                }
                let (time, more) = self.apply(power, p);
                left -= time;
                absorbed += more;
                if self.is_at_rest(power) {
                    return (0.0, absorbed);
                }
            }
        }
        (left, absorbed)
    }
}

/// `sum += state · matrix`, a row after the other as they lie in memory.
fn add_product(state: &[f64], matrix: &Array2<f64>, sum: &mut [f64]) {
    for (row, &mass) in matrix.rows().into_iter().zip(state).filter(|&(_, &mass)| mass != 0.0) {
        match row.as_slice() {
            Some(row) => add_scaled(sum, mass, row),
            None => sum.iter_mut().zip(row).for_each(|(slot, entry)| *slot += mass * entry),
        }
    }
}

/// Jumps within a time so short that about one happens.
struct Short {
    /// Jumps per unit of time.
    rate: f64,
    /// Probabilities of 0, 1, 2, … jumps, and of more than that many.
    weights: Vec<f64>,
    beyond: Vec<f64>,
}

impl Short {
    fn new(fastest: f64, time: f64) -> Self {
        let rate = fastest * (1.0 + 4.0 * f64::EPSILON);
        let mut weights = Vec::new();
        // A mean of at most 1 has all its weights from 0 on.
        let mean = (rate * time).max(f64::MIN_POSITIVE);
        poisson::weights(mean, &mut weights);
        let beyond = poisson::beyond(&weights);
        Self { rate, weights, beyond }
    }

    /// Goes on from the state `p`, which has room for whole slices, and shows every state: its probability, the mean
    /// time spent in it, its masses and the flow out of it into absorption.
    fn jumps(
        &self,
        chain: &Chain<'_>,
        positions: usize,
        p: &mut Vec<f64>,
        mut show: impl FnMut(f64, f64, &[f64], f64),
    ) {
        let mut next = vec![0.0; p.len()];
        let mut flow = dot(&chain.exits()[..positions], &p[..positions]);
        for (&weight, more) in self.weights.iter().zip(&self.beyond) {
            show(weight, more / self.rate, p, flow);
            flow = step(chain, 1.0 / self.rate, p, &mut next, 0..positions);
            std::mem::swap(p, &mut next);
        }
    }
}

/// The probabilities of moving, and of being absorbed, within a time of about one jump.
fn single(chain: &Chain<'_>, positions: usize, fastest: f64, time: f64, visits: bool) -> Power {
    let short = Short::new(fastest, time);
    let square = || Array2::zeros((positions, positions));
    let visits = visits.then(square);
    let losses: Vec<(usize, f64)> = chain.losses().map(|(at, loss)| (at as usize, loss)).collect();
    let losses: Vec<_> = losses.into_iter().filter(|&(at, loss)| at < positions && loss > 0.0).collect();
    let none = || Array1::zeros(positions);
    let lost = (!losses.is_empty()).then(none);
    let mut found = Power { time, matrix: square(), absorbed: none(), lost, visits };
    let mut p = vec![0.0; room(chain.len())];
    for from in 0..positions {
        p.fill(0.0);
        p[from] = 1.0;
        let mut row = vec![0.0; positions];
        short.jumps(chain, positions, &mut p, |weight, spent, p, flow| {
            add_scaled(&mut row, weight, &p[..positions]);
            found.absorbed[from] += flow * spent;
            if let Some(lost) = &mut found.lost {
                lost[from] += losses.iter().map(|&(at, loss)| loss * p[at]).sum::<f64>() * spent;
            }
            if let Some(visits) = &mut found.visits {
                let row = visits.row_mut(from).into_iter();
                row.zip(p).for_each(|(slot, mass)| *slot += mass * spent);
            }
        });
        found.matrix.row_mut(from).iter_mut().zip(row).for_each(|(slot, mass)| *slot = mass);
    }
    normalise(&mut found);
    found
}

/// Divides each row by its sum, absorption and what is lost included.
fn normalise(Power { matrix, absorbed, lost, .. }: &mut Power) {
    for (at, mut row) in matrix.axis_iter_mut(Axis(0)).enumerate() {
        let lost = lost.as_mut().map(|lost| &mut lost[at]);
        let sum = row.sum() + absorbed[at] + lost.as_deref().copied().unwrap_or(0.0);
        row.iter_mut().for_each(|mass| *mass = if *mass < SMALLEST { 0.0 } else { *mass / sum });
        absorbed[at] /= sum;
        if let Some(lost) = lost {
            *lost /= sum;
        }
    }
}
