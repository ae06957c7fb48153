//! Steps of any length at once, by powers of a dense matrix: for processes far too fast to be followed jump by jump.
//!
//! The probabilities `P(δ)` of moving between positions in a time so short that about one jump happens are summed by
//! uniformization, and squared up: `P(2δ) = P(δ)²` (scaling and squaring; Moler and Van Loan, SIAM Review 45, 2003). All
//! numbers are sums of non-negative ones, so entries have small relative errors. Each row, absorption included, is divided
//! by its sum, which is 1: without that, what rounding adds or takes would double with every squaring, and after `λt` jumps
//! be `λt` times too large. What is left are relative errors of single entries, and those change a process's slow behaviour
//! by a multiple of themselves that grows with the number of positions, but not with its rates (O'Cinneide, Numerische
//! Mathematik 65, 1993).

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::chain::Chain;
use super::kernel::{add_scaled, step};
use super::poisson;
use super::slices::room;

/// Most positions of a process that leaps: the powers take 8 bytes for each pair, each time.
const MOST_POSITIONS: usize = 1024;
/// Jumps of the longest paths that are counted within the shortest leap: others have less than 1e-43 of its mass.
const LONGEST_PATH: usize = 37;

/// Where a process gets to, and what is absorbed, in times of which each is twice the one before.
#[derive(Debug, Clone)]
pub(super) struct Leaps {
    shortest: f64,
    powers: Vec<Power>,
}

/// What happens in one of these times: where mass gets to, what is absorbed, and how long it is where, if that is wanted.
#[derive(Debug, Clone)]
struct Power {
    matrix: Array2<f64>,
    absorbed: Array1<f64>,
    visits: Option<Array2<f64>>,
}

impl Power {
    /// Twice the time. All sums are of non-negative numbers.
    fn twice(&self) -> Self {
        let visits = self.visits.as_ref().map(|visits| visits + &self.matrix.dot(visits));
        let absorbed = &self.absorbed + &self.matrix.dot(&self.absorbed);
        let mut twice = Self { matrix: self.matrix.dot(&self.matrix), absorbed, visits };
        normalise(&mut twice);
        twice
    }
}

impl Leaps {
    /// What making the powers costs, in multiply-adds, and asking for the state at `count` times; infinite if the process
    /// has too many positions.
    pub(super) fn cost(positions: usize, edges: usize, jumps: f64, count: usize, visits: bool) -> f64 {
        if positions > MOST_POSITIONS {
            return f64::INFINITY;
        }
        let (n, doublings) = (positions as f64, jumps.max(1.0).log2().ceil());
        let matrices = if visits { 2.0 } else { 1.0 };
        n * (LONGEST_PATH * edges) as f64 + matrices * n * n * doublings * (n + count as f64)
    }

    /// Positions that leap; others hold nothing.
    pub(super) fn positions(&self) -> usize {
        self.powers[0].absorbed.len()
    }

    /// The powers for the first `positions` of a chain, which mass cannot leave but into absorption, for times up to
    /// `longest`. Nothing may be lost on a way back through the start. With `visits`, the time spent in positions is known.
    pub(super) fn new(chain: &Chain<'_>, positions: usize, longest: f64, visits: bool) -> Self {
        let fastest = chain.totals()[..positions].iter().fold(0.0_f64, |most, &total| most.max(total));
        let doublings = (fastest * longest).max(1.0).log2().ceil() as i32;
        let shortest = longest * 2.0_f64.powi(-doublings);
        let powers = vec![single(chain, positions, fastest, shortest, visits)];
        let mut leaps = Self { shortest, powers };
        for _ in 0..doublings {
            leaps.grow();
        }
        leaps
    }

    /// Adds a power of twice the longest time.
    pub(super) fn grow(&mut self) {
        if let Some(twice) = self.powers.last().map(Power::twice) {
            self.powers.push(twice);
        }
    }

    /// Whether the time spent in positions is known.
    pub(super) fn count_visits(&self) -> bool {
        self.powers[0].visits.is_some()
    }

    /// The number of the longest power; they count from 0.
    pub(super) fn last(&self) -> usize {
        self.powers.len() - 1
    }

    /// The time of the shortest power.
    pub(super) fn shortest(&self) -> f64 {
        self.shortest
    }

    /// Takes the state on by a power; returns its time and what was absorbed in it.
    pub(super) fn apply(&self, power: usize, state: &mut [f64]) -> (f64, f64) {
        let Power { matrix, absorbed, .. } = &self.powers[power];
        let before = ArrayView1::from(&*state);
        let (absorbed, after) = (before.dot(absorbed), before.dot(matrix));
        state.iter_mut().zip(after).for_each(|(slot, mass)| *slot = mass);
        (self.length(power), absorbed)
    }

    fn length(&self, power: usize) -> f64 {
        self.shortest * 2.0_f64.powi(i32::try_from(power).unwrap_or(i32::MAX))
    }

    /// Takes the state `p` on by as much of a duration as leaps can; returns that time and what was absorbed in it. The time
    /// spent in positions is added to `visited`, if these powers know it.
    pub(super) fn advance(
        &self,
        p: &mut [f64],
        duration: f64,
        mut visited: Option<&mut [f64]>,
    ) -> (f64, f64) {
        let (mut done, mut absorbed) = (0.0, 0.0);
        for power in (0..self.powers.len()).rev() {
            while done + self.length(power) <= duration {
                if let (Some(visited), Some(visits)) = (visited.as_deref_mut(), &self.powers[power].visits) {
                    let stayed = ArrayView1::from(&*p).dot(visits);
                    visited.iter_mut().zip(stayed).for_each(|(slot, time)| *slot += time);
                }
                let (length, more) = self.apply(power, p);
                done += length;
                absorbed += more;
            }
        }
        (done, absorbed)
    }
}

/// The probabilities of moving, and of being absorbed, within a time of about one jump.
fn single(chain: &Chain<'_>, positions: usize, fastest: f64, time: f64, visits: bool) -> Power {
    let rate = fastest * (1.0 + 4.0 * f64::EPSILON);
    let mut weights = Vec::new();
    // A mean of at most 1 has all its weights from 0 on.
    let mean = (rate * time).max(f64::MIN_POSITIVE);
    poisson::weights(mean, mean, &mut weights);
    // P(more than k jumps).
    let mut beyond = weights.clone();
    let mut more = 0.0;
    for slot in beyond.iter_mut().rev() {
        more += std::mem::replace(slot, more);
    }
    let square = || Array2::zeros((positions, positions));
    let visits = visits.then(square);
    let mut found = Power { matrix: square(), absorbed: Array1::zeros(positions), visits };
    let (mut p, mut next) = (vec![0.0; room(chain.len())], vec![0.0; room(chain.len())]);
    for from in 0..positions {
        p.fill(0.0);
        p[from] = 1.0;
        let mut row = vec![0.0; positions];
        let mut flow = chain.exits()[from];
        for (&weight, more) in weights.iter().zip(&beyond) {
            add_scaled(&mut row, weight, &p[..positions]);
            found.absorbed[from] += flow * more / rate;
            if let Some(visits) = &mut found.visits {
                let row = visits.row_mut(from).into_iter();
                row.zip(&p).for_each(|(slot, mass)| *slot += mass * more / rate);
            }
            flow = step(chain, 1.0 / rate, &p, &mut next, 0..positions);
            std::mem::swap(&mut p, &mut next);
        }
        found.matrix.row_mut(from).iter_mut().zip(row).for_each(|(slot, mass)| *slot = mass);
    }
    normalise(&mut found);
    found
}

/// Divides each row by its sum, absorption included.
fn normalise(Power { matrix, absorbed, .. }: &mut Power) {
    for (mut row, absorbed) in matrix.axis_iter_mut(Axis(0)).zip(absorbed) {
        let sum = row.sum() + *absorbed;
        row.iter_mut().for_each(|mass| *mass = if *mass < 1e-250 { 0.0 } else { *mass / sum });
        *absorbed /= sum;
    }
}
