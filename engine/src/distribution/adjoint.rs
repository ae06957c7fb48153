//! Going back through a sweep: derivatives with respect to every rate at once.
//!
//! A sum over times `Σ (a f(t) + b F(t) + c S(t))` is linear in the states `p_k` of every segment. Its adjoint `z_k` obeys
//! `z_k = load_k + P z_{k+1}`, from the last segment to the first, and the derivative with respect to a rate from v to w is
//! `Σ_k p_k(v) (z_{k+1}(w) − z_{k+1}(v)) / λ`. One reverse pass costs about two forward ones, whatever the number of times
//! and parameters.

use super::chain::Chain;
use super::poisson::{Reciprocals, spread};
use super::sweep::Sweep;
use super::trail::Part;

/// What of the states after `k` jumps a sum depends on.
#[derive(Debug, Default)]
struct Loads {
    flows: Vec<f64>,
    alive: Vec<f64>,
}

/// Slopes with respect to rates, exits and losses, in the making.
#[derive(Debug)]
pub(super) struct Slopes {
    /// By entry of the pattern's out rows.
    edges: Vec<f64>,
    exits: Vec<f64>,
    losses: Vec<f64>,
}

/// Times with coefficients of density, distribution function and survival, ascending, none of them 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Functional {
    pub(super) times: Vec<f64>,
    pub(super) coefficients: Vec<[f64; 3]>,
}

impl Functional {
    /// The gradient with respect to θ of `Σ coefficients · (f, F, S)(time)`, by the trail of a sweep that went at least as
    /// far. Flows of each part are what the sweep recorded.
    pub(super) fn gradient(&self, chain: &Chain<'_>, sweep: &mut Sweep, flows: &[Vec<f64>]) -> Vec<f64> {
        let mut slopes = Slopes {
            edges: vec![0.0; chain.rates().len()],
            exits: vec![0.0; chain.len()],
            losses: vec![0.0; chain.len()],
        };
        let mut losses = vec![0.0; chain.len()];
        for (at, loss) in chain.losses() {
            losses[at as usize] = loss;
        }
        let parts = sweep.trail.take().map(|trail| trail.parts).unwrap_or_default();
        let mut adjoint = vec![0.0; chain.len()];
        let mut reciprocals = Reciprocals::default();
        let (mut until, mut later) = (self.times.len(), 0.0);
        for (part, flows) in parts.iter().zip(flows).rev() {
            let from = self.times.partition_point(|&time| time <= part.begin);
            if from == self.times.len() {
                continue;
            }
            let loads = self.loads(part, flows, from..until, later, &mut reciprocals);
            later += self.coefficients[from..until].iter().map(|[_, below, _]| below).sum::<f64>();
            until = from;
            if part.states.is_empty() {
                let replayed = sweep.replay(chain, part);
                slopes.back_through(chain, &replayed, &loads, &losses, &mut adjoint);
            } else {
                slopes.back_through(chain, part, &loads, &losses, &mut adjoint);
            }
        }
        let mut gradient = vec![0.0; chain.plan().param_length()];
        chain.pull_back(&slopes.edges, &slopes.exits, &slopes.losses, &mut gradient);
        gradient
    }

    /// How the states of a part enter. `later` is the sum of coefficients of distribution functions after it.
    fn loads(
        &self,
        part: &Part,
        flows: &[f64],
        range: std::ops::Range<usize>,
        later: f64,
        reciprocals: &mut Reciprocals,
    ) -> Loads {
        let count = part.ranges.len();
        let means: Vec<f64> =
            self.times[range.clone()].iter().map(|time| (time - part.begin) * part.rate).collect();
        let mut sums = [vec![0.0; count], vec![0.0; count], vec![0.0; count]];
        spread(&means, &self.coefficients[range.clone()], flows, reciprocals, &mut sums);
        let [mut flows, mut absorbed, alive] = sums;
        for (slot, weight) in absorbed.iter_mut().skip(part.first).zip(&part.weights) {
            *slot += later * weight;
        }
        // What was absorbed by then flowed before; the last state stands for all later ones.
        let total = later + self.coefficients[range].iter().map(|[_, below, _]| below).sum::<f64>();
        let mut before = 0.0;
        for (flow, absorbed) in flows.iter_mut().zip(&absorbed) {
            before += absorbed;
            *flow += (total - before) / part.rate;
        }
        Loads { flows, alive }
    }
}

impl Slopes {
    /// Back through one part: `adjoint` is that of the state at its end and becomes that of the state at its beginning.
    fn back_through(
        &mut self,
        chain: &Chain<'_>,
        part: &Part,
        loads: &Loads,
        losses: &[f64],
        adjoint: &mut Vec<f64>,
    ) {
        let h = 1.0 / part.rate;
        let mut z = vec![0.0; chain.len()];
        let mut after = vec![0.0; chain.len()];
        for k in (0..part.ranges.len()).rev() {
            std::mem::swap(&mut z, &mut after);
            z.fill(0.0);
            let arriving =
                k.checked_sub(part.first).and_then(|at| part.weights.get(at)).copied().unwrap_or(0.0);
            let load = [loads.flows[k], loads.alive[k], arriving];
            self.back(chain, part.state(k), h, load, adjoint, losses, &after, &mut z);
        }
        *adjoint = z;
    }

    /// One jump back.
    #[expect(clippy::too_many_arguments, reason = "the innermost loop takes what it needs")]
    fn back(
        &mut self,
        chain: &Chain<'_>,
        (rows, p): (std::ops::Range<usize>, &[f64]),
        h: f64,
        [flow, alive, arriving]: [f64; 3],
        end: &[f64],
        losses: &[f64],
        after: &[f64],
        z: &mut [f64],
    ) {
        let out = &chain.pattern().out;
        let (rates, exits) = (chain.rates(), chain.exits());
        for (at, &mass) in rows.zip(p) {
            let own = after[at];
            let moved = mass * h;
            let entries = out.range(at);
            let mut sum = 0.0;
            let edges = out.items[entries.clone()].iter().zip(&rates[entries.clone()]);
            for ((&target, &rate), slope) in edges.zip(&mut self.edges[entries]) {
                let gain = after[target as usize] - own;
                sum += rate * gain;
                *slope += moved * gain;
            }
            sum -= (exits[at] + losses[at]) * own;
            self.exits[at] += flow * mass - moved * own;
            self.losses[at] -= moved * own;
            z[at] = (own + h * sum) + flow * exits[at] + alive + arriving * end[at];
        }
    }
}
