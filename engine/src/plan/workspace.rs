//! What one thread of a batch works in, and what it can tell of its results.

use super::bounds::{Earned, Extent, Scale, lowest_above_zero};
use super::kernel::{Factors, Powers, Source};
use super::lane::{Lane, Lanes};
use super::schedule::Segment;
use super::steps::{LONGEST_PATH, Measure};
use super::{Cost, Plan};

/// How many θ one pass over a plan evaluates. Twice the widest registers: most components are small, and their
/// eliminations wait for divisions and sums; two of them at a time wait half as long.
pub(super) const WIDTH: usize = 16;

impl Plan {
    /// What a workspace for expectations takes.
    pub(super) fn batch_workspace_bytes(&self) -> u64 {
        let positions = self.vertices.len();
        // A solution and its value at the start; two more where steps are counted, and ones to count them by.
        let (solutions, ones) = if self.schedule.is_deep() { (3, positions) } else { (1, 0) };
        let lanes = self.factor_numbers(false) + solutions * positions + 1;
        (size_of::<Lanes<WIDTH>>() * lanes + size_of::<f64>() * ones) as u64
    }
}

/// Solutions that are kept for so many moments.
fn solutions(count: usize) -> u64 {
    match count {
        0 | 1 => 1,
        2..=4 => 4,
        _ => 8,
    }
}

impl Cost {
    /// Bytes that the first `count` moments at one θ take at most beside the evaluation: one solution, four or eight, and the
    /// same once more where numbers need more digits.
    pub fn moment_bytes(&self, count: usize) -> u64 {
        40 * (solutions(count).saturating_mul(self.vertices) + count as u64)
    }

    /// Bytes that each thread of a [`Plan::batch`] takes at most for the first `count` moments, of times or of totals under
    /// rewards, beside its result and what is taken one by one: one solution, four, or eight and one for times; for more than
    /// eight moments all factors, too.
    pub fn batch_moment_bytes(&self, count: usize) -> u64 {
        let further = solutions(count) - 1;
        let lanes = size_of::<Lanes<WIDTH>>() as u64;
        // Times that others are judged by, and the rewards for them.
        let beside = lanes * (count as u64 + 1) + (lanes * (further + 1) + 8).saturating_mul(self.vertices);
        let factors = if Workspace::is_long(count) { self.workspace_bytes } else { 0 };
        self.batch_workspace_bytes.saturating_add(beside).saturating_add(factors.saturating_mul(WIDTH as u64))
    }

    /// Bytes that the first `count` moments of totals that are earned jump by jump take beside the evaluation, which
    /// [`JumpDistribution::reward_moments`](crate::distribution::JumpDistribution::reward_moments) gives: each is made of all
    /// those before it.
    pub fn jump_moment_bytes(&self, count: usize) -> u64 {
        8_u64.saturating_mul(count as u64).saturating_mul(self.vertices)
    }

    /// Bytes that the gradient of the `power`-th moment takes at most beside what the evaluation has: for each power and
    /// vertex 32, and 80 more where digits cancel; there the way back through the elimination takes as much as that did, and
    /// 16 for each edge. Slopes are added up by linear form, of which there may be as many: 32. The gradients of moments that
    /// are earned jump by jump, up to that one, take 120 for each power and vertex.
    pub fn moment_gradient_bytes(&self, power: usize) -> u64 {
        let solutions = 120_u64.saturating_mul(power as u64 + 1).saturating_mul(self.vertices);
        let slopes = 48_u64.saturating_mul(self.edges);
        solutions.saturating_add(slopes).saturating_add(self.workspace_bytes.saturating_mul(4))
    }
}

/// What one thread works in.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) factors: Factors<Lanes<WIDTH>>,
    pub(super) powers: Powers<Lanes<WIDTH>>,
    /// Whether it is for more moments than are solved for segment by segment, and keeps all factors for that.
    pub(super) long: bool,
    pub(super) start: usize,
    extent: Extent,
    /// Unit rewards and times under them, where they were needed beside others.
    unit: Vec<f64>,
    times: Powers<Lanes<WIDTH>>,
    steps: Steps,
}

/// Steps by position, where they may be too many for plain numbers; nothing elsewhere.
#[derive(Debug)]
struct Steps {
    ones: Vec<f64>,
    /// For each unit of time, and until absorption.
    now: Vec<[Lanes<WIDTH>; 1]>,
    in_all: Vec<[Lanes<WIDTH>; 1]>,
}

impl Steps {
    fn new(plan: &Plan) -> Self {
        let positions = if plan.schedule.is_deep() { plan.vertices.len() } else { 0 };
        let nothing = vec![[Lanes::splat(0.0)]; positions];
        Self { ones: vec![1.0; positions], now: nothing.clone(), in_all: nothing }
    }

    /// The most from any position, for each θ.
    #[inline(always)]
    fn most(&self) -> Lanes<WIDTH> {
        self.in_all.iter().fold(Lanes::splat(0.0), |most, &[steps]| most.higher_bits(steps))
    }
}

/// Whether so many steps are good in plain numbers.
#[inline(always)]
fn are_few(steps: f64) -> bool {
    (0.0..=f64::from(LONGEST_PATH)).contains(&steps)
}

impl Workspace {
    pub(super) fn new(plan: &Plan, count: usize) -> Self {
        let mut powers = Powers::new();
        powers.resize(count, plan.vertices.len());
        Self {
            factors: Factors::new(plan, Self::is_long(count)),
            powers,
            long: Self::is_long(count),
            start: plan.start(),
            extent: Extent::new(plan),
            unit: Vec::new(),
            times: Powers::new(),
            steps: Steps::new(plan),
        }
    }

    /// Counts the steps from the positions of a segment, where that is asked.
    #[inline(always)]
    pub(super) fn count_steps(&mut self, plan: &Plan, segment: &Segment) {
        let Self { factors, steps: Steps { ones, now, in_all }, .. } = self;
        if !ones.is_empty() {
            factors.steps(plan, segment, Measure::Edges, now.as_flattened_mut());
            factors.solve(plan, segment, Source { rewards: ones, of: Some(now), earlier: 0 }, in_all);
        }
    }

    pub(super) fn is_long(count: usize) -> bool {
        count > Powers::<Lanes<WIDTH>>::MOST_BY_SEGMENT
    }

    /// Whether all moments are what they should be, as far as bounds for all θ together say.
    #[inline(always)]
    pub(super) fn is_sure(&self, plan: &Plan, earned: Earned) -> bool {
        let scale = self.extent.scale(&self.factors);
        let discrete = plan.discrete;
        let is_sure =
            || self.steps.most().all(are_few) && scale.is_sure(earned, discrete, self.powers.at_start());
        earned.largest == 0.0 || !plan.schedule.is_wide && is_sure()
    }

    /// Which θ have moments that are what they should be: nothing that matters was beyond the range of f64.
    #[inline(always)]
    pub(super) fn sure_lanes(&mut self, plan: &Plan, earned: Earned, rewarded: bool) -> [bool; WIDTH] {
        if plan.schedule.is_wide {
            return [false; WIDTH];
        }
        let steps = self.steps.most();
        // Of long chains the first solution is gone.
        let again = rewarded || self.long;
        if again {
            self.solve_for_times(plan);
        }
        let times = if again { &self.times } else { &self.powers };
        let longest = times.firsts().fold(Lanes::splat(0.0), Lane::higher_bits);
        let lowest_total = lowest_above_zero(&self.factors.total);
        let scales = self.extent.scales(&self.factors);
        std::array::from_fn(|lane| {
            let moments: Vec<f64> = self.powers.at_start().iter().map(|moment| moment.0[lane]).collect();
            let sure =
                |scale: Scale| are_few(steps.0[lane]) && scale.is_sure(earned, plan.discrete, &moments);
            let lowest_total = plan.discrete.then_some(lowest_total.0[lane]);
            sure(scales[lane]) || sure(scales[lane].measured(longest.0[lane], lowest_total))
        })
    }

    /// Once more from the start: of the factors only those of the last segment are left.
    #[inline(always)]
    fn solve_for_times(&mut self, plan: &Plan) {
        let Self { factors, times, unit, .. } = self;
        if unit.is_empty() {
            *unit = plan.rewards(None);
        }
        times.resize(1, plan.vertices.len());
        for segment in &plan.schedule.segments {
            factors.eliminate(plan, segment);
            factors.solve_powers(plan, segment, unit, times);
        }
    }
}
