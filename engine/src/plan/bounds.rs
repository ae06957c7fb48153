//! How large the numbers of an elimination may be, and so how much of them may have left the range of f64 from below.
//!
//! Bounds for one θ, or for several side by side; what is made of them is decided in [`range`](super::range), which also says
//! where they come from.

use super::Plan;
use super::kernel::Factors;
use super::lane::{Lane, Lanes};

/// The smallest f64 times 2^57, and a margin of 8 for the few roundings of each entry.
pub(super) const LOST: f64 = 256.0 * f64::MIN_POSITIVE;

/// Components of more vertices may take longer than any f64 says.
const LONG: f64 = 1100.0;

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

    /// How much is multiplied.
    pub(super) fn products(self) -> f64 {
        self.products
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
    pub(super) time: f64,
    /// At most the expected total from any vertex where rewards are 1: times, or jumps in discrete time.
    pub(super) unit: f64,
    /// By this times what they are, with the 57 digits that must be right.
    pub(super) moved: f64,
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
    pub(super) fn lost(self, earned: Earned) -> f64 {
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
