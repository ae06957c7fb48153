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

use std::cell::{Cell, OnceCell, RefCell};

use super::bounds::{Earned, Extent, Scale, lowest_above_zero};
use super::kernel::{Factors, Powers};
use super::lane::Lane;
use super::wide::Wide;
use super::{At, EvaluationError, Plan};

/// Times up to here need no closer look.
const ORDINARY: f64 = 1e30;

/// What is added to no ordinary number.
const NEGLIGIBLE: f64 = 1e-200;

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
    /// The factors with endless exponents, once they were needed; those of an earlier θ, to be used again; and moments
    /// solved for with them.
    wide: OnceCell<Box<Factors<Wide>>>,
    spare: RefCell<Option<Box<Factors<Wide>>>>,
    wide_powers: RefCell<Powers<Wide>>,
    /// Storage of what is worked out to decide by.
    pub(super) room: RefCell<Room>,
}

/// Numbers by position that are no answers.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) steps: Vec<f64>,
    pub(super) solution: Vec<f64>,
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
            spare: RefCell::default(),
            wide_powers: RefCell::new(Powers::new()),
            room: RefCell::default(),
        }
    }

    /// Moves to another θ.
    pub(super) fn set(&mut self, factors: &Factors<f64>, broken: bool) {
        self.scale.set(self.extent.scale(factors));
        self.is_measured.set(false);
        self.broken = broken;
        self.is_long.take();
        if let Some(wide) = self.wide.take() {
            self.spare.replace(Some(wide));
        }
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
        let schedule = &self.plan.schedule;
        !(self.range.broken || schedule.is_wide || schedule.is_deep() && is_long())
    }

    #[cold]
    fn longest_time(&self) -> f64 {
        let Room { solution, .. } = &mut *self.range.room.borrow_mut();
        self.factors.solve_into(self.plan, self.unit(), None, solution);
        largest(solution)
    }

    /// The scale for questions with transposed solves, about which ordinary bounds say enough; none if plain numbers say
    /// nothing.
    pub(super) fn scale(&self, longest: impl FnOnce() -> Option<f64>) -> Option<Scale> {
        if self.plan.schedule.is_crowded {
            return None;
        }
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

    /// Whether the solutions of transposed equations for masses by position that sum to one are right, each of them.
    pub(super) fn is_each_sojourn_sure(&self, masses: &[(usize, f64)], z: &[f64]) -> bool {
        let is_large = |scale: Scale| {
            let lost = scale.moved * (1.0 + scale.time) * scale.time;
            z.iter().all(|z| z.is_finite() && (*z == 0.0 || z.abs() >= lost))
        };
        if self.plan.schedule.is_crowded || !self.passes(|| None, is_large) {
            return false;
        }
        !z.contains(&0.0) || {
            let from: Vec<usize> = masses.iter().map(|&(at, _)| at).collect();
            let reached = self.plan.reached(&self.factors, &from);
            z.iter().zip(reached).all(|(&z, reached)| z != 0.0 || !reached)
        }
    }

    /// The factors with endless exponents.
    pub(super) fn wide(&self) -> &Factors<Wide> {
        let Self { plan, factors, range, .. } = self;
        range.wide.get_or_init(|| match range.spare.take() {
            Some(mut wide) => {
                wide.follow(plan, factors);
                wide
            }
            None => Box::new(Factors::again(plan, factors)),
        })
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
        let mut powers = self.range.wide_powers.borrow_mut();
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

    /// Times spent in, or in discrete time visits to, each position, from these masses by position: the solutions of
    /// transposed equations, times the totals of jumps. Those solutions alone may be beyond f64 where visits are not.
    #[cold]
    pub(super) fn wide_sojourns(&self, masses: &[(usize, f64)]) -> Vec<f64> {
        let mut z = vec![Wide::splat(0.0); self.plan.vertices.len()];
        for &(at, mass) in masses {
            z[at] = Wide::splat(mass);
        }
        let factors = self.wide();
        factors.solve_transposed(self.plan, &mut z);
        z.iter_mut().zip(&factors.total).for_each(|(visits, &total)| *visits = *visits * total);
        z.into_iter().map(Wide::value).collect()
    }

    /// Refuses a θ at which not even the expected time is an f64, because of the pivot at a position.
    #[cold]
    pub(super) fn check_range(&self, at: usize) -> Result<(), EvaluationError> {
        let mean = self.wide_solution(self.unit())[self.start];
        if mean.is_finite() {
            return Ok(());
        }
        Err(self.plan.out_of_range(self.plan.vertices[at]))
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
