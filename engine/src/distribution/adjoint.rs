//! Going back through a sweep: derivatives with respect to every rate at once.
//!
//! A sum over times `Σ (a f(t) + b F(t) + c S(t))` is linear in the states `p_k` of every segment. Its adjoint `z_k` obeys
//! `z_k = load_k + P z_{k+1}`, from the last segment to the first, and the derivative with respect to a rate from v to w is
//! `Σ_k p_k(v) (z_{k+1}(w) − z_{k+1}(v)) / λ`. One reverse pass costs about two forward ones, whatever the number of times
//! and parameters.

use pulp::{Arch, NullaryFnOnce};
use std::ops::Range;

use super::chain::Chain;
use super::poisson::{Reciprocals, spread};
use super::slices::{SliceRates, Slices, WIDTH, room};
use super::sweep::{Sweep, in_ones};
use super::trail::{Block, Part, Replayed, State, Trail};

/// Where a jump takes less time than 2 to the power of this, f64 has room for slopes of masses in any units.
const USUAL_BITS: i32 = 64;

/// What of the states after `k` jumps a sum depends on.
#[derive(Debug, Default)]
struct Loads {
    flows: Vec<f64>,
    alive: Vec<f64>,
}

/// Times with coefficients of density, distribution function and survival, ascending, none of them 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Functional {
    pub(super) times: Vec<f64>,
    pub(super) coefficients: Vec<[f64; 3]>,
    pub(super) units: Units,
}

/// What densities and survival are coefficients of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Units {
    /// Numbers in units of 1, whatever units masses are in: so is the adjoint, which is then no larger than rates are.
    #[default]
    Ones,
    /// Numbers in the units of the segment that a time lies in, and the adjoint with them: for what is divided by the numbers
    /// themselves, however small they are.
    OfMasses,
}

impl Functional {
    /// The gradients of `Σ coefficients · (f, F, S)(time)` with respect to the θ of each process that a sweep was in, by
    /// its trail; the sweep went at least as far.
    pub(super) fn gradients(&self, chains: &[Chain<'_>], sweep: &mut Sweep, trail: &Trail) -> Vec<Vec<f64>> {
        let Some(first) = chains.first() else { return Vec::new() };
        let mut gradients = vec![vec![0.0; first.plan().param_length()]; chains.len()];
        let mut adjoint = vec![0.0; room(first.len())];
        let (mut reciprocals, mut states) = (Reciprocals::default(), Replayed::default());
        let (mut until, mut later) = (self.times.len(), 0.0);
        // The adjoint is of masses in the units of a later part, unless it is of masses in ones.
        let mut exponent = None;
        for (epoch, gradient) in gradients.iter_mut().enumerate().rev() {
            let chain = &chains[epoch];
            let mut back = Back::new(chain);
            for part in trail.parts.iter().rev().filter(|part| part.epoch == epoch) {
                let from = self.times.partition_point(|&time| time <= part.begin);
                if from == self.times.len() {
                    continue;
                }
                let loads = self.loads(part, from..until, later, &mut reciprocals);
                later += self.coefficients[from..until].iter().map(|[_, below, _]| below).sum::<f64>();
                until = from;
                let shift = exponent.replace(part.exponent).map_or(0, |after: i32| after - part.exponent);
                if self.units == Units::Ones {
                    back.take_units(chain, part, part.exponent, gradient);
                } else {
                    back.take_units(chain, part, 0, gradient);
                    if shift != 0 {
                        for value in &mut adjoint {
                            *value = in_ones(*value, -shift);
                        }
                    }
                }
                back.through(part, &loads, &mut adjoint, |block, visit| {
                    if block.is_whole() {
                        return (0..block.count)
                            .rev()
                            .for_each(|k| visit(block.first + k, trail.kept(block, k)));
                    }
                    sweep.replay(chain, (part.begin, part.rate), block, &trail.kept(block, 0), &mut states);
                    (0..block.count).rev().for_each(|k| visit(block.first + k, states.state(k)));
                });
            }
            back.pull(chain, gradient);
        }
        gradients
    }

    /// How the states of a part enter. `later` is the sum of coefficients of distribution functions after it.
    fn loads(&self, part: &Part, range: Range<usize>, later: f64, reciprocals: &mut Reciprocals) -> Loads {
        let count = part.flows.len();
        let means: Vec<f64> =
            self.times[range.clone()].iter().map(|time| (time - part.begin) * part.rate).collect();
        let mut sums = [vec![0.0; count], vec![0.0; count], vec![0.0; count]];
        spread(&means, &self.coefficients[range.clone()], &part.flows, reciprocals, &mut sums);
        let [mut flows, mut absorbed, alive] = sums;
        // The last state stands for all later ones.
        let (known, beyond) = part.weights.split_at(part.weights.len().min(count.saturating_sub(part.first)));
        for (slot, weight) in absorbed.iter_mut().skip(part.first).zip(known) {
            *slot += later * weight;
        }
        if let Some(last) = absorbed.last_mut() {
            *last += later * beyond.iter().sum::<f64>();
        }
        // What was absorbed by then flowed before: backwards, so that nothing cancels.
        let unit = if self.units == Units::Ones { 0 } else { part.exponent };
        let mut after = 0.0;
        for (flow, absorbed) in flows.iter_mut().zip(&absorbed).rev() {
            *flow += in_ones(after / part.rate, unit);
            after += absorbed;
        }
        Loads { flows, alive }
    }
}

/// Going back through segments, and slopes with respect to rates in the making.
#[derive(Debug)]
struct Back<'a> {
    slices: &'a Slices,
    /// Totals are those of exits and losses.
    rates: SliceRates,
    /// Of edges; of exits; and, as totals, of losses.
    slopes: SliceRates,
    /// Slices from which something can be absorbed, or lost: the others need no slopes of that.
    leaves: Vec<bool>,
    positions: usize,
    /// Slopes are in units of 2 to the power of minus this.
    exponent: i32,
    /// Of which so many bits make up for jumps that are rare.
    slowness: i32,
}

impl<'a> Back<'a> {
    fn new(chain: &'a Chain<'_>) -> Self {
        let slices = chain.pattern().back();
        let mut leaving = chain.exits().to_vec();
        for (at, loss) in chain.losses() {
            leaving[at as usize] += loss;
        }
        let (mut rates, mut slopes) = (SliceRates::default(), SliceRates::default());
        slices.fill(chain.rates(), &leaving, chain.exits(), &mut rates);
        fill_with_zeros(chain, &mut slopes);
        let lossy = chain.losses().next().is_some();
        let leaves = (0..chain.len())
            .step_by(WIDTH)
            .map(|first| lossy || (first..chain.len().min(first + WIDTH)).any(|at| chain.has_exit(at)));
        Self {
            slices,
            rates,
            slopes,
            leaves: leaves.collect(),
            positions: chain.len(),
            exponent: 0,
            slowness: 0,
        }
    }

    /// Back through one part: `adjoint` is that of the state at its end and becomes that of the state at its beginning.
    /// `states` shows those of a block, last first, each with its number of jumps.
    fn through(
        &mut self,
        part: &Part,
        loads: &Loads,
        adjoint: &mut Vec<f64>,
        mut states: impl FnMut(&Block, &mut dyn FnMut(usize, State<'_>)),
    ) {
        let mut z = vec![0.0; room(self.positions)];
        let mut after = z.clone();
        let unit = in_ones(1.0, self.slowness);
        for block in part.blocks.iter().rev() {
            states(block, &mut |k, state| {
                std::mem::swap(&mut z, &mut after);
                let State { slices: which, end: rows_end, masses } = state;
                // Two jumps on, adjoints of other slices may have been here.
                z[..which.start * WIDTH].fill(0.0);
                let arriving = k.checked_sub(part.first).and_then(|at| part.weights.get(at));
                let loads = [loads.flows[k], loads.alive[k], arriving.copied().unwrap_or(0.0)];
                {
                    let (h, end, after, z) = (1.0 / part.rate, &adjoint[..], &after[..], &mut z[..]);
                    let slope = [h * unit, loads[0] * unit];
                    Arch::new().dispatch(Jump { back: self, which, masses, h, slope, loads, end, after, z });
                }
                // Positions that were dropped may be too fast for these jumps, and hold nothing.
                z[rows_end..].fill(0.0);
            });
        }
        *adjoint = z;
    }

    /// Goes on with slopes for masses in these units, after those found so far in others were added to a gradient.
    fn take_units(&mut self, chain: &Chain<'_>, part: &Part, exponent: i32, gradient: &mut [f64]) {
        // Where jumps are very rare, slopes of masses in units of their own may be beyond f64.
        self.slowness = (-part.rate.log2() as i32 - USUAL_BITS).max(0);
        let exponent = exponent - self.slowness;
        if exponent != self.exponent {
            self.pull(chain, gradient);
            fill_with_zeros(chain, &mut self.slopes);
            self.exponent = exponent;
        }
    }

    /// Adds what was found to a gradient with respect to θ.
    fn pull(&self, chain: &Chain<'_>, gradient: &mut [f64]) {
        let mut edges = vec![0.0; chain.rates().len()];
        self.slices.collect(&self.slopes, &mut edges);
        let by_position = |slopes: &[[f64; WIDTH]]| slopes.as_flattened()[..chain.len()].to_vec();
        let (mut exits, mut losses) = (by_position(&self.slopes.exits), by_position(&self.slopes.totals));
        if self.exponent != 0 {
            let all = [&mut edges, &mut exits, &mut losses].into_iter().flatten();
            all.for_each(|slope| *slope = in_ones(*slope, self.exponent));
        }
        chain.pull_back([&edges, &exits, &losses, &[]], gradient);
    }
}

/// No slopes yet, of the shape of a chain's edges by source.
fn fill_with_zeros(chain: &Chain<'_>, slopes: &mut SliceRates) {
    let none = vec![0.0; chain.len()];
    chain.pattern().back().fill(&vec![0.0; chain.rates().len()], &none, &none, slopes);
}

/// One jump back, as a task for the widest instruction set of the machine.
struct Jump<'b, 'a> {
    back: &'b mut Back<'a>,
    /// Slices of the state before the jump, and its masses.
    which: Range<usize>,
    masses: &'b [[f64; WIDTH]],
    h: f64,
    /// What masses times a gain, and times an exit, are multiplied by to be slopes.
    slope: [f64; 2],
    /// How flow, mass alive and the state at the end enter.
    loads: [f64; 3],
    end: &'b [f64],
    /// The adjoint after the jump, and before.
    after: &'b [f64],
    z: &'b mut [f64],
}

impl NullaryFnOnce for Jump<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { back, which, masses, h, slope, loads, end, after, z } = self;
        let [flow, alive, arriving] = loads;
        let [moving, flowing] = slope;
        let Back { slices, rates, slopes, leaves, .. } = back;
        let (own, end) = (after.as_chunks::<WIDTH>().0, end.as_chunks::<WIDTH>().0);
        let z = z.as_chunks_mut::<WIDTH>().0;
        let mut single = slices.single_start(which.start);
        for (slice, &masses) in which.zip(masses) {
            let [start, stop] = [slices.start[slice], slices.start[slice + 1]];
            let own: [f64; WIDTH] = own[slice];
            let (mut moved, mut sums) = ([0.0; WIDTH], [0.0; WIDTH]);
            for place in 0..WIDTH {
                moved[place] = masses[place] * moving;
            }
            let bands = start[0] as usize..stop[0] as usize;
            let edges = slices.bands[bands.clone()].iter().zip(&rates.bands[bands.clone()]);
            for ((&from, rates), slopes) in edges.zip(&mut slopes.bands[bands]) {
                let Some(after) = after[from as usize..].first_chunk::<WIDTH>() else { continue };
                let targets = *after;
                gain(&targets, &own, rates, &moved, &mut sums, slopes);
            }
            let slots = start[1] as usize..stop[1] as usize;
            let edges = slices.slots[slots.clone()].iter().zip(&rates.slots[slots.clone()]);
            for ((sources, rates), slopes) in edges.zip(&mut slopes.slots[slots]) {
                let mut targets = [0.0; WIDTH];
                for place in 0..WIDTH {
                    targets[place] = after[sources[place] as usize];
                }
                gain(&targets, &own, rates, &moved, &mut sums, slopes);
            }
            for &(place, stop) in &slices.long[start[2] as usize..stop[2] as usize] {
                let (row, place) = (single..stop as usize, place as usize % WIDTH);
                let edges = slices.singles[row.clone()].iter().zip(&rates.singles[row.clone()]);
                let mut sum = 0.0;
                for ((&target, rate), slope) in edges.zip(&mut slopes.singles[row]) {
                    let gain = after[target as usize] - own[place];
                    sum += rate * gain;
                    *slope += moved[place] * gain;
                }
                sums[place] += sum;
                single = stop as usize;
            }
            let (leaving, exits, end) = (rates.totals[slice], rates.exits[slice], end[slice]);
            let mut found = [0.0; WIDTH];
            for place in 0..WIDTH {
                let sum = sums[place] - leaving[place] * own[place];
                let load = flow * exits[place] + alive + arriving * end[place];
                found[place] = (own[place] + h * sum) + load;
            }
            z[slice] = found;
            if !leaves[slice] {
                continue;
            }
            let (mut absorbed, mut lost) = (slopes.exits[slice], slopes.totals[slice]);
            for place in 0..WIDTH {
                let left = moved[place] * own[place];
                absorbed[place] += flowing * masses[place] - left;
                lost[place] -= left;
            }
            (slopes.exits[slice], slopes.totals[slice]) = (absorbed, lost);
        }
    }
}

/// Eight edges: what a jump along them gains enters sums by rate, and slopes by the mass that moves.
#[inline(always)]
fn gain(
    targets: &[f64; WIDTH],
    own: &[f64; WIDTH],
    rates: &[f64; WIDTH],
    moved: &[f64; WIDTH],
    sums: &mut [f64; WIDTH],
    slopes: &mut [f64; WIDTH],
) {
    let mut found = *slopes;
    for place in 0..WIDTH {
        let gain = targets[place] - own[place];
        sums[place] += rates[place] * gain;
        found[place] += moved[place] * gain;
    }
    *slopes = found;
}
