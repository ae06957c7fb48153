//! From the derivative of a number with respect to single weights to that with respect to θ, or to the edges of a graph.
//!
//! Every derivative of a plan has the form `slope(v, u)`: by how much the number grows with the weight from position v to
//! position u, or to absorption where there is no u. It is a function of a few vectors by position, so none of the edges
//! has to be remembered: θ gathers the slopes of all entries by their linear forms, a graph those of its own edges.

use std::mem;
use std::ops::{Add, Mul, Range};

use super::analysis::Lists;
use super::kernel::GROUP;
use super::lane::Lane;
use super::schedule::{Kind, Segment};
use super::wide::Wide;
use super::{EvaluationError, Plan};
use crate::double_double::Dd;
use crate::graph::Graph;

/// A way out of a position, of which there is a derivative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) at: usize,
    /// Where it leads: nowhere for absorption.
    pub(super) target: Option<usize>,
    /// Whether it is the only one of a vertex that is a component of its own. It is taken for certain then, and nothing
    /// has to be subtracted.
    pub(super) only: bool,
}

/// What derivatives are added up in.
pub(super) trait Slope: Copy + Add<Output = Self> {
    const ZERO: Self;

    fn times(self, coefficient: f64) -> Self;

    /// Where there is no derivative.
    fn none() -> Self;
}

impl Slope for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn times(self, coefficient: f64) -> Self {
        self * coefficient
    }

    fn none() -> Self {
        Self::NAN
    }
}

impl Slope for Dd {
    const ZERO: Self = Self::ZERO;

    fn times(self, coefficient: f64) -> Self {
        self * Self::from(coefficient)
    }

    fn none() -> Self {
        Self::from(f64::NAN)
    }
}

impl Slope for Wide {
    const ZERO: Self = Self::ZERO;

    fn times(self, coefficient: f64) -> Self {
        self * Self::splat(coefficient)
    }

    fn none() -> Self {
        Self::splat(f64::NAN)
    }
}

/// A derivative, and how large the numbers are that it is a sum and difference of: errors are the precision times that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed<L = f64> {
    pub(super) value: L,
    pub(super) size: f64,
}

/// So much of its size may be gone from a derivative: half of this times the precision of f64 is 5e-13. What rounding leaves
/// unknown of right-hand sides is part of the size.
const CANCELLED: f64 = 4096.0;
/// Rows whose slopes are added up at a time, if they have no more than [`GROUP`] ways.
const ROWS: usize = 64;
/// What each component that is passed adds to the error of a solution, beside that of a difference, which more than three
/// of them outweigh: equal ones are all rounded alike, by up to 7e-17 each.
const PASSED: f64 = 0.3;

impl Weighed<f64> {
    /// Whether more has cancelled than may be lost, where so many components are passed one after another. Of two times
    /// from the same component the errors are much the same, and do not count.
    pub(super) fn is_doubtful(self, components: u32) -> bool {
        self.size * (PASSED * f64::from(components)).max(1.0) > CANCELLED * self.value.abs()
    }
}

impl<L: Lane> Weighed<L> {
    /// The number, if rounding moves it by little: less than 64 units of the precision.
    pub(super) fn good(self) -> Option<L> {
        (self.size <= 64.0 * self.value.highest().abs()).then_some(self.value)
    }

    /// A number that is good to its last digit.
    pub(super) fn exact(value: L) -> Self {
        Self { value, size: value.highest().abs() }
    }

    /// As often as an exact number says.
    pub(super) fn scaled(self, by: L) -> Self {
        Self { value: self.value * by, size: self.size * by.highest().abs() }
    }

    pub(super) fn negated(self) -> Self {
        Self { value: L::splat(0.0) - self.value, ..self }
    }
}

impl<L: Lane> Mul for Weighed<L> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let size = self.value.highest().abs() * other.size + self.size * other.value.highest().abs();
        Self { value: self.value * other.value, size }
    }
}

impl<L: Lane> Add for Weighed<L> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, size: self.size + other.size }
    }
}

impl Slope for Weighed {
    const ZERO: Self = Self { value: 0.0, size: 0.0 };

    #[inline(always)]
    fn times(self, coefficient: f64) -> Self {
        Self { value: self.value * coefficient, size: self.size * coefficient.abs() }
    }

    fn none() -> Self {
        Self { value: f64::NAN, size: f64::NAN }
    }
}

/// Adds up the slopes of all weights.
pub(super) trait Gather {
    fn gather<S: Slope>(&self, plan: &Plan, slope: impl Fn(Way) -> S) -> Vec<S>;
}

/// The gradient with respect to θ.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByParameter;

impl Gather for ByParameter {
    #[inline]
    fn gather<S: Slope>(&self, plan: &Plan, slope: impl Fn(Way) -> S) -> Vec<S> {
        let mut sums = ParameterSums::new(plan);
        plan.each_slope(slope, &mut sums);
        sums.gradient()
    }
}

/// The slopes of weights so far: by form, or where there is a single parameter times their coefficients at once.
///
/// Where one sum is of very many they are added up in groups, as equal ones are rounded alike: a million would lose 2e-11 one
/// by one.
#[derive(Debug)]
pub(super) struct ParameterSums<'p, S> {
    plan: &'p Plan,
    group: Group<'p, S>,
    /// Sums of earlier groups: of the single parameter, or of the forms that so many weights have.
    earlier: Vec<S>,
    /// How many slopes the present group may still take.
    room: usize,
}

/// Sums that may take some more slopes. In the hands of a loop, not behind a reference: its numbers stay in registers.
#[derive(Debug)]
pub(super) struct Group<'p, S> {
    coefficients: &'p [f64],
    by_form: Vec<S>,
    /// Of the single parameter: two sums that do not wait for each other.
    single: Option<(S, S)>,
    /// The form of the exits before, and their sum: most exits of a model are alike.
    exits: Option<(u32, S)>,
}

impl<S: Slope> Group<'_, S> {
    #[inline(always)]
    pub(super) fn add_exit(&mut self, form: u32, slope: S) {
        match &mut self.exits {
            Some((alike, sum)) if *alike == form => *sum = *sum + slope,
            _ => {
                self.add_exits();
                self.exits = Some((form, slope));
            }
        }
    }

    fn add_exits(&mut self) {
        if let Some((form, sum)) = self.exits.take() {
            self.add(form, sum);
        }
    }

    #[inline(always)]
    pub(super) fn add(&mut self, form: u32, slope: S) {
        if let Some((next, last)) = self.single {
            let coefficient = self.coefficients[form as usize];
            // Slopes of constants may be no number: at a weight of 0 into a trap.
            let slope = if coefficient == 0.0 { S::ZERO } else { slope.times(coefficient) };
            self.single = Some((last, next + slope));
        } else {
            let sum = &mut self.by_form[form as usize];
            *sum = *sum + slope;
        }
    }
}

impl<'p, S: Slope> ParameterSums<'p, S> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let is_single = plan.param_length() == 1;
        let by_form = vec![S::ZERO; if is_single { 0 } else { plan.forms.count() }];
        let single = is_single.then_some((S::ZERO, S::ZERO));
        let group = Group { coefficients: &plan.forms.coefficients, by_form, single, exits: None };
        let earlier = vec![S::ZERO; if is_single { 1 } else { plan.schedule.frequent_forms.len() }];
        Self { plan, group, earlier, room: GROUP }
    }

    /// The sums for at most so many slopes, to be given back with [`take_back`](Self::take_back).
    #[inline(always)]
    pub(super) fn hand_out(&mut self, slopes: usize) -> Group<'p, S> {
        if self.room < slopes {
            self.end_group();
        }
        self.room = self.room.saturating_sub(slopes);
        let Group { coefficients, ref mut by_form, single, .. } = self.group;
        Group { coefficients, by_form: mem::take(by_form), single, exits: None }
    }

    #[inline(always)]
    pub(super) fn take_back(&mut self, mut group: Group<'p, S>) {
        group.add_exits();
        self.group = group;
    }

    /// One addition for each form that very many weights have: for n weights at most n² / 2²⁴ in all.
    #[inline(never)]
    fn end_group(&mut self) {
        self.room = GROUP;
        let Group { by_form, single, .. } = &mut self.group;
        if let (Some((one, other)), [earlier]) = (single, &mut self.earlier[..]) {
            *earlier = *earlier + (mem::replace(one, S::ZERO) + mem::replace(other, S::ZERO));
            return;
        }
        for (earlier, &form) in self.earlier.iter_mut().zip(&self.plan.schedule.frequent_forms) {
            *earlier = *earlier + mem::replace(&mut by_form[form as usize], S::ZERO);
        }
    }

    pub(super) fn gradient(mut self) -> Vec<S> {
        self.end_group();
        if self.group.single.is_some() {
            return self.earlier;
        }
        let Self { plan, group: Group { mut by_form, .. }, earlier, .. } = self;
        for (sum, &form) in earlier.into_iter().zip(&plan.schedule.frequent_forms) {
            by_form[form as usize] = sum;
        }
        let mut gradient = vec![S::ZERO; plan.param_length()];
        plan.forms.pull_back(&by_form, &mut gradient);
        gradient
    }
}

/// The gradient with respect to the weights of a graph's edges.
#[derive(Debug)]
pub(super) struct ByEdge<'g> {
    graph: &'g Graph,
    /// By vertex.
    places: Vec<Place>,
}

impl<'g> ByEdge<'g> {
    /// Where the plan has the graph's edges, if it may be the plan's.
    pub(super) fn new(plan: &Plan, graph: &'g Graph) -> Result<Self, EvaluationError> {
        if graph.vertex_count() != plan.vertex_count || graph.was_dph() != plan.discrete {
            return Err(EvaluationError::OtherGraph { vertex: None });
        }
        let mut places = vec![Place::Unreached; plan.vertex_count as usize];
        for (at, &vertex) in plan.vertices.iter().enumerate() {
            places[vertex as usize] = Place::Transient(at);
        }
        for &vertex in &plan.absorbing {
            places[vertex as usize] = Place::Absorbing;
        }
        let found = Self { graph, places };
        let fits = |&vertex: &u32| {
            graph.targets(vertex).iter().all(|&target| match (found.place(vertex), found.place(target)) {
                (Place::Unreached, _) => true,
                (Place::Absorbing, _) | (_, Place::Unreached) => false,
                (Place::Transient(_), _) => true,
            })
        };
        match (0..plan.vertex_count).find(|vertex| !fits(vertex)) {
            Some(vertex) => Err(EvaluationError::OtherGraph { vertex: Some(vertex) }),
            None => Ok(found),
        }
    }

    fn place(&self, vertex: u32) -> Place {
        self.places[vertex as usize]
    }
}

impl Gather for ByEdge<'_> {
    fn gather<S: Slope>(&self, plan: &Plan, slope: impl Fn(Way) -> S) -> Vec<S> {
        let mut gradient = vec![S::ZERO; self.graph.edge_count() as usize];
        for vertex in 0..plan.vertex_count {
            let Place::Transient(at) = self.place(vertex) else { continue };
            let has_one_way = plan.has_one_way(at);
            for edge in self.graph.edges(vertex) {
                let target = match self.place(edge.target) {
                    Place::Transient(target) => Some(target),
                    Place::Absorbing | Place::Unreached => None,
                };
                // An edge to absorption that no θ opens is none of the plan's ways, and not the only one.
                let only = has_one_way && target.is_none() == plan.outer.of(at).is_empty();
                gradient[edge.index as usize] = slope(Way { at, target, only });
            }
        }
        gradient
    }
}

impl Plan {
    /// Adds the slope of every way out of every position to what the form of its weight stands for.
    #[inline(always)]
    fn each_slope<S: Slope>(&self, slope: impl Fn(Way) -> S, sums: &mut ParameterSums<'_, S>) {
        for Segment { range, kind, .. } in &self.schedule.segments {
            let is_single = matches!(kind, Kind::Singles { .. } | Kind::Chain { .. });
            if let Kind::Singles { many_ways: true } = kind {
                for at in range.clone() {
                    self.each_slope_of_many(at, &slope, sums);
                }
                continue;
            }
            let mut start = range.start;
            while start < range.end {
                let rows = self.few(range.end - start, |count| start..start + count);
                start = rows.end;
                let mut group = sums.hand_out(self.ways(rows.clone()));
                self.each_slope_of_rows(rows, is_single, &slope, &mut group);
                sums.take_back(group);
            }
        }
    }

    #[inline(always)]
    fn each_slope_of_rows<S: Slope>(
        &self,
        rows: Range<usize>,
        is_single: bool,
        slope: impl Fn(Way) -> S,
        group: &mut Group<'_, S>,
    ) {
        let mut inner = self.inner.rows(rows.start, &self.inner_forms);
        let mut outer = self.outer.rows(rows.start, &self.outer_forms);
        for at in rows {
            let form = self.exit_forms[at];
            let ends = Some(form) != self.schedule.zero_form;
            let (targets, forms) = outer.advance();
            let only = is_single && targets.len() + usize::from(ends) == 1;
            if ends {
                group.add_exit(form, slope(Way { at, target: None, only }));
            }
            let mut follow = |targets: &[u32], forms: &[u32]| {
                for (&target, &form) in targets.iter().zip(forms) {
                    group.add(form, slope(Way { at, target: Some(target as usize), only }));
                }
            };
            if !is_single {
                let (targets, forms) = inner.advance();
                follow(targets, forms);
            }
            follow(targets, forms);
        }
    }

    /// Of a single vertex with very many ways out.
    #[cold]
    fn each_slope_of_many<S: Slope>(
        &self,
        at: usize,
        slope: impl Fn(Way) -> S,
        sums: &mut ParameterSums<'_, S>,
    ) {
        let way = |target| Way { at, target, only: false };
        let mut group = sums.hand_out(1);
        group.add(self.exit_forms[at], slope(way(None)));
        sums.take_back(group);
        let (targets, forms) = (self.outer.of(at), &self.outer_forms[self.outer.range(at)]);
        for (targets, forms) in targets.chunks(GROUP).zip(forms.chunks(GROUP)) {
            let mut group = sums.hand_out(targets.len());
            for (&target, &form) in targets.iter().zip(forms) {
                group.add(form, slope(way(Some(target as usize))));
            }
            sums.take_back(group);
        }
    }

    /// The most of up to so many rows, halved until they have no more than [`GROUP`] ways or are a single one; `rows` says which
    /// so many would be.
    #[inline(always)]
    pub(super) fn few(&self, most: usize, rows: impl Fn(usize) -> Range<usize>) -> Range<usize> {
        let mut count = most.min(ROWS);
        while count > 1 && self.ways(rows(count)) > GROUP {
            count -= count / 2;
        }
        rows(count)
    }

    /// At most so many ways lead out of some positions.
    pub(super) fn ways(&self, rows: Range<usize>) -> usize {
        let of = |lists: &Lists| (lists.start[rows.end] - lists.start[rows.start]) as usize;
        of(&self.inner) + of(&self.outer) + rows.len()
    }

    /// Whether a single weight leads out of a position, which is a component of its own.
    fn has_one_way(&self, at: usize) -> bool {
        let ends = Some(self.exit_forms[at]) != self.schedule.zero_form;
        self.inner.range(at).is_empty() && self.outer.range(at).len() + usize::from(ends) == 1
    }
}

/// What a vertex is to a plan.
#[derive(Debug, Clone, Copy)]
enum Place {
    Unreached,
    Absorbing,
    Transient(usize),
}
