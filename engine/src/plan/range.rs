//! Whether numbers are worked out in plain f64 or with exponents that do not end: decided here, once for each question.
//!
//! Nothing is subtracted in an elimination, so a product that leaves the range of f64 from below loses little in itself:
//! η = 2^−1074 and what that is multiplied by. But that may have been all that there was. Let R be the largest rate of a
//! vertex, T the longest expected time from one, and n the number of products. An elimination is that of weights moved by
//! at most `n η (1 + R)`, and a solve that of right-hand sides moved by as much times the solution, so that a solution
//! `x = W(b)` is moved by at most `n η (1 + R) (1 + max x) T`. What is larger than that times 2^57 is right as it is, and
//! with ordinary rates everything is. What leaves the range from above ends infinite or as no number, and is seen.
//!
//! T is bounded by the lowest pivot where there are no cycles. Within a component of m vertices a way out of at most m
//! steps is taken with at least the lowest probability to the power of m. Where that says nothing, as in long queues,
//! the longest time is looked up in the solution itself, which is good for that as soon as `n η (1 + R) T` is small
//! (Khasminskii's bound of moments, `j! (max R · T)^j`, takes it from there).
//!
//! Roundings add up, too, from each vertex to the next. Where so many are passed that it shows (`steps`), plain numbers are
//! not enough either: those with endless exponents have more digits.

use std::cell::{Cell, OnceCell};

use super::kernel::{Factors, Powers};
use super::lane::{Lane, Lanes};
use super::wide::Wide;
use super::{At, EvaluationError, Plan};

/// The smallest f64 times 2^57, and a margin of 8 for the few roundings of each entry.
const LOST: f64 = 256.0 * f64::MIN_POSITIVE;

/// Components of more vertices may take longer than any f64 says.
const LONG: f64 = 1100.0;

/// Times up to here need no closer look.
const ORDINARY: f64 = 1e30;

/// What is added to no ordinary number.
const NEGLIGIBLE: f64 = 1e-200;

/// How much is multiplied in a plan's eliminations and solves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    positions: f64,
    /// Vertices of the largest component with cycles; 0 if there is none.
    longest: f64,
    /// Most edges of a vertex; 1 if nobody asks.
    degree: f64,
    products: f64,
    /// The largest coefficient of a parameter, or 1 if that is larger.
    coefficient: f64,
}

impl Extent {
    /// Linear in the plan's forms and components, and in its vertices where there are cycles.
    pub(super) fn new(plan: &Plan) -> Self {
        let positions = plan.vertices.len();
        let longest = plan.blocks().filter(|block| block.cyclic).map(|block| block.range.len()).max();
        let edges = |at: usize| plan.inner.range(at).len() + plan.outer.range(at).len() + 1;
        let degree = longest.and_then(|_| (0..positions).map(edges).max());
        let longest = longest.unwrap_or(0) as f64;
        let entries = [&plan.inner, &plan.outer, &plan.lower, &plan.upper].map(|lists| lists.items.len());
        let products = longest * longest + (positions + entries.iter().sum::<usize>()) as f64;
        let coefficients =
            plan.forms.coefficients.iter().chain(plan.forms.further().iter().map(|term| &term.2));
        let coefficient = coefficients.fold(1.0, |most: f64, coefficient| most.max(coefficient.abs()));
        let degree = degree.unwrap_or(1) as f64;
        let positions = positions as f64;
        Self { positions, longest, degree, products, coefficient }
    }

    /// What is known of the numbers after an elimination that went well: at once without cycles, by a look at the weights
    /// where components are small.
    #[inline(always)]
    pub(super) fn scale<L: Lane>(&self, factors: &Factors<L>) -> Scale {
        let [lowest_pivot, highest_pivot, highest_weight] = factors.seen();
        let lowest_weight = self.lowest_weight(factors);
        self.scale_of(Bounds {
            lowest_pivot: lowest_pivot.lowest(),
            highest_pivot: highest_pivot.highest(),
            lowest_weight: lowest_weight.lowest(),
            highest_weight: highest_weight.highest(),
            discrete: !factors.total.is_empty(),
        })
    }

    /// The same for each of the θ that are side by side.
    #[cold]
    pub(super) fn scales<const WIDTH: usize>(&self, factors: &Factors<Lanes<WIDTH>>) -> [Scale; WIDTH] {
        let [lowest_pivot, highest_pivot, highest_weight] = factors.seen();
        let lowest_weight = self.lowest_weight(factors);
        std::array::from_fn(|lane| {
            self.scale_of(Bounds {
                lowest_pivot: lowest_pivot.0[lane],
                highest_pivot: highest_pivot.0[lane],
                lowest_weight: lowest_weight.0[lane],
                highest_weight: highest_weight.0[lane],
                discrete: !factors.total.is_empty(),
            })
        })
    }

    /// The lowest weight that is not 0; infinite where it says nothing.
    #[inline(always)]
    fn lowest_weight<L: Lane>(&self, factors: &Factors<L>) -> L {
        let asked = (1.0..=LONG).contains(&self.longest);
        if asked { lowest_above_zero(&factors.values) } else { L::splat(f64::INFINITY) }
    }

    #[inline(always)]
    fn scale_of(&self, bounds: Bounds) -> Scale {
        let Self { positions, longest, degree, products, coefficient } = *self;
        let Bounds { lowest_pivot, highest_pivot, lowest_weight, highest_weight, .. } = bounds;
        let (rate, time) = if longest == 0.0 {
            (highest_pivot, positions / lowest_pivot)
        } else {
            let rate = degree * highest_weight;
            let steps = longest * (rate / lowest_weight).log2();
            let short = longest <= LONG;
            (rate, if short { positions * longest / lowest_weight * steps.exp2() } else { f64::INFINITY })
        };
        let unit = if bounds.discrete { time * rate } else { time };
        Scale { time, unit, moved: LOST * products * (1.0 + rate), coefficient }
    }
}

/// What an elimination has seen at one θ.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    lowest_pivot: f64,
    highest_pivot: f64,
    lowest_weight: f64,
    highest_weight: f64,
    discrete: bool,
}

/// The lowest of some numbers that is not 0.
#[inline(always)]
pub(super) fn lowest_above_zero<L: Lane>(numbers: &[L]) -> L {
    numbers.iter().fold(L::splat(f64::INFINITY), |low, &number| number.lower_above_zero(low))
}

/// How large numbers may be at a θ, or at several side by side, and how far right-hand sides may be moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scale {
    /// At most the expected time to absorption from any vertex.
    time: f64,
    /// At most the expected total from any vertex where rewards are 1: times, or jumps in discrete time.
    unit: f64,
    /// By this times what they are, with the 57 digits that must be right.
    moved: f64,
    /// The largest coefficient of a parameter.
    coefficient: f64,
}

/// What a question is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earned {
    /// The largest reward in size.
    pub(super) largest: f64,
    /// Whether totals are times themselves.
    pub(super) are_times: bool,
}

impl Earned {
    pub(super) const TIMES: Self = Self { largest: 1.0, are_times: true };

    pub(super) fn new(rewards: &[f64]) -> Self {
        let larger = |largest: f64, reward: &f64| if reward.abs() > largest { reward.abs() } else { largest };
        Self { largest: rewards.iter().fold(0.0, larger), are_times: false }
    }
}

impl Scale {
    /// The same once the longest time is known; in discrete time the most jumps, and the lowest sum of weights.
    #[inline(always)]
    pub(super) fn measured(self, longest: f64, lowest_total: Option<f64>) -> Self {
        Self { time: lowest_total.map_or(longest, |total| longest / total), unit: longest, ..self }
    }

    /// What expectations must be larger than.
    fn lost(self, earned: Earned) -> f64 {
        self.moved * (2.0 + earned.largest * self.unit) * self.time
    }

    /// Whether raw moments are what they should be to the last digits.
    #[inline(always)]
    pub(super) fn is_sure<L: Lane>(self, earned: Earned, discrete: bool, moments: &[L]) -> bool {
        let Self { time, unit, moved, .. } = self;
        // What the start loses is by its own time.
        let share = match moments.first() {
            Some(first) if earned.are_times && !discrete => first.lowest() / unit,
            _ => 1.0,
        };
        let (mut largest, mut lost) = (1.0, 0.0);
        let mut number = 0.0;
        for moment in moments {
            number += 1.0;
            let growth = number * earned.largest * unit;
            let before = largest;
            largest *= growth;
            lost = moved * (1.0 + largest + number * before) * time + lost * growth;
            let least = lost * share;
            if !moment.all(|moment| moment.is_finite() && moment.abs() >= least) {
                return false;
            }
        }
        true
    }

    /// What a derivative must be larger than: one that is made of products of solutions and adjoints up to these.
    pub(super) fn lost_of_slopes(self, solution: f64, adjoint: f64) -> f64 {
        self.moved * (1.0 + self.time) * (1.0 + solution) * (1.0 + adjoint) * self.coefficient
    }

    /// The same for a covariance's.
    pub(super) fn lost_of_covariance_slopes(self, first: Earned, second: Earned) -> f64 {
        self.lost_of_covariances(first, second) * (1.0 + self.time) * self.coefficient
    }

    /// What covariances must be larger than.
    pub(super) fn lost_of_covariances(self, first: Earned, second: Earned) -> f64 {
        let totals = (1.0 + first.largest * self.unit) * (1.0 + second.largest * self.unit);
        // Right-hand sides of covariances are by rate; that is in what is moved.
        self.moved * (1.0 + self.time) * (1.0 + self.moved / LOST) * totals
    }
}

/// What an evaluation keeps to decide by.
#[derive(Debug)]
pub(super) struct Range {
    extent: Extent,
    scale: Cell<Scale>,
    is_measured: Cell<bool>,
    /// Whether some pivot has no reciprocal in f64, so that plain numbers say nothing.
    broken: bool,
    /// Whether more steps are taken than plain numbers are good for, once somebody has asked.
    is_long: OnceCell<bool>,
    /// The factors with endless exponents, once they were needed.
    wide: OnceCell<Box<Factors<Wide>>>,
}

impl Range {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            extent: Extent::new(plan),
            scale: Cell::default(),
            is_measured: Cell::default(),
            broken: false,
            is_long: OnceCell::new(),
            wide: OnceCell::new(),
        }
    }

    /// Moves to another θ.
    pub(super) fn set(&mut self, factors: &Factors<f64>, broken: bool) {
        self.scale.set(self.extent.scale(factors));
        self.is_measured.set(false);
        self.broken = broken;
        self.is_long.take();
        self.wide.take();
    }
}

/// The largest number in size; NaN if not all are finite. Eight at a time, that nobody waits.
pub(super) fn largest(numbers: &[f64]) -> f64 {
    let (mut sizes, mut nothing) = ([0.0; 8], [0.0; 8]);
    let (blocks, rest) = numbers.as_chunks::<8>();
    let mut see = |lane: usize, number: f64| {
        let size = number.abs();
        sizes[lane] = if size > sizes[lane] { size } else { sizes[lane] };
        nothing[lane] += size * 0.0;
    };
    for block in blocks {
        for (lane, &number) in block.iter().enumerate() {
            see(lane, number);
        }
    }
    rest.iter().enumerate().for_each(|(lane, &number)| see(lane, number));
    sizes.into_iter().fold(0.0, f64::max) + nothing.into_iter().sum::<f64>()
}

/// Whether a derivative of this size may lack something, `lost` being what derivatives must be larger than, or has left the
/// range, perhaps only before it met its coefficient. One that is 0 stands, unless what is missing would be seen beside
/// ordinary numbers.
pub(super) fn may_lack(size: f64, lost: f64) -> bool {
    size.is_infinite() || size < lost && (size > 0.0 || lost >= NEGLIGIBLE)
}

impl At<'_> {
    /// What a question for these rewards is about.
    pub(super) fn earned(&self, rewards: &[f64]) -> Earned {
        if std::ptr::eq(rewards, self.unit()) { Earned::TIMES } else { Earned::new(rewards) }
    }

    /// Whether plain numbers pass a test that depends on how large they may be. `longest` is the largest solution, if it
    /// was for times.
    pub(super) fn passes(&self, longest: impl FnOnce() -> Option<f64>, test: impl Fn(Scale) -> bool) -> bool {
        let Range { scale, is_measured, .. } = &self.range;
        if !self.has_plain_numbers() {
            return false;
        }
        if test(scale.get()) {
            return true;
        }
        if is_measured.get() {
            return false;
        }
        let longest = longest().unwrap_or_else(|| self.longest_time());
        let totals = &self.factors.total[..];
        let lowest_total = (!totals.is_empty()).then(|| lowest_above_zero(totals));
        scale.set(scale.get().measured(longest, lowest_total));
        is_measured.set(true);
        test(scale.get())
    }

    /// Whether plain numbers may be enough, whatever their range.
    fn has_plain_numbers(&self) -> bool {
        let is_long = || *self.range.is_long.get_or_init(|| self.has_many_steps());
        !(self.range.broken || self.plan.schedule.is_deep() && is_long())
    }

    #[cold]
    fn longest_time(&self) -> f64 {
        largest(&self.factors.solution(self.plan, self.unit(), None))
    }

    /// The scale for questions about which ordinary bounds say enough; none if plain numbers say nothing.
    pub(super) fn scale(&self, longest: impl FnOnce() -> Option<f64>) -> Option<Scale> {
        self.passes(longest, |scale| scale.time <= ORDINARY);
        self.has_plain_numbers().then(|| self.range.scale.get())
    }

    /// Whether raw moments that were just worked out are right.
    pub(super) fn is_sure(&self, earned: Earned, moments: &[f64], powers: &Powers<f64>) -> bool {
        if earned.largest == 0.0 {
            return true;
        }
        let has_firsts = earned.are_times && moments.len() <= Powers::<f64>::MOST_BY_SEGMENT;
        let longest =
            || has_firsts.then(|| powers.firsts().fold(0.0, |longest: f64, x| longest.higher_bits(x)));
        self.passes(longest, |scale| scale.is_sure(earned, self.plan.discrete, moments))
    }

    /// Whether expectations by position are right, each of them.
    pub(super) fn is_each_sure(&self, rewards: &[f64], x: &[f64]) -> bool {
        let earned = self.earned(rewards);
        if earned.largest == 0.0 {
            return true;
        }
        let longest = || earned.are_times.then(|| largest(x));
        let is_large = |scale: Scale| {
            let lost = scale.lost(earned);
            if earned.are_times && !self.plan.discrete {
                // Each loses by its own time.
                return lost.is_finite() && lost <= scale.unit && x.iter().all(|x| x.is_finite());
            }
            x.iter().all(|x| x.is_finite() && (*x == 0.0 || x.abs() >= lost))
        };
        if !self.passes(longest, is_large) {
            return false;
        }
        let has_zeros = !earned.are_times && x.contains(&0.0);
        !has_zeros || {
            let earns = self.plan.earns(&self.factors, rewards);
            x.iter().zip(earns).all(|(&x, earns)| x != 0.0 || !earns)
        }
    }

    /// Whether the solutions of transposed equations for a unit at the start are right, each of them.
    pub(super) fn is_each_sojourn_sure(&self, z: &[f64]) -> bool {
        let is_large = |scale: Scale| {
            let lost = scale.moved * (1.0 + scale.time) * scale.time;
            z.iter().all(|z| z.is_finite() && (*z == 0.0 || z.abs() >= lost))
        };
        if !self.passes(|| None, is_large) {
            return false;
        }
        !z.contains(&0.0) || {
            let reached = self.plan.reached(&self.factors);
            z.iter().zip(reached).all(|(&z, reached)| z != 0.0 || !reached)
        }
    }

    /// The factors with endless exponents.
    pub(super) fn wide(&self) -> &Factors<Wide> {
        self.range.wide.get_or_init(|| Box::new(Factors::again(self.plan, &self.factors)))
    }

    /// Raw moments, as many as there is room for: an elimination, and a solve for each.
    #[cold]
    pub(super) fn wide_moments(&self, rewards: &[f64], moments: &mut [f64]) {
        if moments.iter().all(|&moment| moment == 0.0)
            && !self.range.broken
            && !self.plan.earns(&self.factors, rewards)[self.start]
        {
            return;
        }
        let mut powers = Powers::new();
        powers.resize(moments.len(), self.plan.vertices.len());
        self.wide().solve_long_powers(self.plan, self.start, rewards, &mut powers);
        for (moment, x) in moments.iter_mut().zip(powers.at_start()) {
            *moment = x.value();
        }
    }

    /// Expectations by position.
    #[cold]
    pub(super) fn wide_solution(&self, rewards: &[f64]) -> Vec<f64> {
        self.wide().solution(self.plan, rewards, None).into_iter().map(Wide::value).collect()
    }

    /// The solutions of transposed equations for a unit at the start.
    #[cold]
    pub(super) fn wide_sojourns(&self) -> Vec<f64> {
        let mut z = vec![Wide::splat(0.0); self.plan.vertices.len()];
        z[self.start] = Wide::splat(1.0);
        self.wide().solve_transposed(self.plan, &mut z);
        z.into_iter().map(Wide::value).collect()
    }

    /// Refuses a θ at which not even the expected time is an f64, because of the pivot at a position.
    #[cold]
    pub(super) fn check_range(&self, at: usize) -> Result<(), EvaluationError> {
        let mean = self.wide_solution(self.unit())[self.start];
        if mean.is_finite() {
            return Ok(());
        }
        Err(EvaluationError::OutOfRange { vertex: self.plan.vertices[at], state: self.plan.state(at) })
    }
}

impl Plan {
    /// Positions from which something is earned with positive probability; of a component all or none.
    #[cold]
    fn earns(&self, factors: &Factors<f64>, rewards: &[f64]) -> Vec<bool> {
        let mut earns: Vec<bool> = rewards.iter().map(|&reward| reward != 0.0).collect();
        for block in self.blocks() {
            for at in block.range.clone() {
                let outer = self.outer.range(at);
                let edges = self.outer.items[outer.clone()].iter().zip(&self.outer_forms[outer]);
                let passes =
                    |(&to, &form): (&u32, &u32)| earns[to as usize] && factors.values[form as usize] > 0.0;
                earns[at] = earns[at] || edges.into_iter().any(passes);
            }
            if block.cyclic && earns[block.range.clone()].contains(&true) {
                earns[block.range].fill(true);
            }
        }
        earns
    }
}
