//! Whether an elimination has lost what was too small for f64.
//!
//! Nothing is subtracted, so a product that leaves the range of f64 from below loses little in itself: η = 2^−1074 and
//! what that is multiplied by. But it may have been the only way out. An entry of a component of n vertices is moved by at
//! most `n η (1 + R)`, R the largest rate of a vertex, and with the times x that are left from each vertex, solutions by
//! `n² η (1 + R) max x` of themselves. That is nothing unless x is beyond 1e280 or so. Where all weights of a component are
//! near one another compared to its size, no entry is that small, and nobody need look.

use super::kernel::Factors;
use super::lane::Lane;
use super::wide::Wide;
use super::{EvaluationError, Plan};

/// Binary digits of what may be lost.
const LOST: f64 = -57.0;
/// The exponent of the smallest f64.
const SMALLEST: f64 = -1074.0;
/// By how much times may differ from what they should be.
const TOLERANCE: f64 = 1e-12;

/// How small the numbers of a plan's eliminations may become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Vertices of the largest component with cycles; 0 if there is none.
    longest: f64,
    /// Most edges of a vertex.
    degree: f64,
}

impl Depth {
    pub(super) fn new(plan: &Plan) -> Self {
        let longest = plan.blocks().filter(|block| block.cyclic).map(|block| block.range.len()).max();
        let Some(longest) = longest else { return Self { longest: 0.0, degree: 0.0 } };
        let edges = |at: usize| plan.inner.range(at).len() + plan.outer.range(at).len() + 1;
        let degree = (0..plan.vertices.len()).map(edges).max().unwrap_or(1);
        Self { longest: longest as f64, degree: degree as f64 }
    }

    /// Whether there is anything to eliminate.
    pub(super) fn has_cycles(self) -> bool {
        self.longest > 0.0
    }

    /// The logarithm of how far entries may be moved where weights go up to `high`.
    fn moved(self, high: f64) -> f64 {
        SMALLEST + self.longest.log2() + (1.0 + high).log2() + self.degree.log2()
    }

    /// Whether entries may have been lost, if weights that are not 0 go from `low` to `high`.
    pub(super) fn is_doubtful(self, low: f64, high: f64) -> bool {
        let step = high.log2() - low.log2() + self.degree.log2();
        low <= high && self.moved(high) > LOST + low.log2() - self.longest * step
    }

    /// Whether times up to `longest` show that something may be missing, where weights go up to `high`.
    pub(super) fn is_out_of_range(self, high: f64, longest: f64) -> bool {
        let nothing_lost = self.moved(high) + self.longest.log2() + longest.log2() <= LOST;
        // What is no number is nothing to be sure of.
        !nothing_lost
    }
}

/// The lowest of some weights that is not 0, and the highest.
#[inline(always)]
pub(super) fn bounds<L: Lane>(weights: &[L]) -> (f64, f64) {
    let (low, high) =
        weights.iter().fold((L::splat(f64::INFINITY), L::splat(0.0)), |(low, high), &weight| {
            (weight.lower_above_zero(low), high.higher_bits(weight + L::splat(0.0)))
        });
    (low.lowest(), high.highest())
}

impl Plan {
    /// Whether times by position are what they should be, wherever the start leads.
    #[cold]
    pub(super) fn check_range(&self, factors: &Factors<f64>, times: &[f64]) -> Result<(), EvaluationError> {
        let wide = Factors::<Wide>::again(self, &factors.values);
        let reached = self.reached(factors);
        let right = wide.solution(self, &self.rewards(None), None);
        let differs = |at: &usize| {
            let (found, wanted) = (times[*at], right[*at].value());
            let is_near = (found - wanted).abs() <= TOLERANCE * wanted;
            let are_infinite = found.is_infinite() && wanted.is_infinite();
            // What is no number is worked out in another arithmetic.
            let is_right = is_near || are_infinite || found.is_nan();
            reached[*at] && !is_right
        };
        match (0..times.len()).find(differs) {
            Some(at) => Err(EvaluationError::OutOfRange { vertex: self.vertices[at], state: self.state(at) }),
            None => Ok(()),
        }
    }
}
