//! The distribution of the time to absorption, in continuous time.

use std::cell::OnceCell;

use super::chain::Chain;
use super::{DistributionError, Start};
use crate::plan::{At, Plan, Resolvent};

/// Of the peak of the density.
const TOLERANCE: f64 = 1e-10;

/// The time to absorption of a plan at one θ, in continuous time.
///
/// Moments, waiting and sojourn times are always conditional on starting. Densities, distribution functions and state
/// probabilities follow [`Start`]: as initial probabilities were given, or divided by their sum.
#[derive(Debug)]
pub struct Distribution<'p> {
    pub(super) chain: Chain<'p>,
    /// The factors, once asked for.
    at: OnceCell<At<'p>>,
    pub(super) tolerance_of_peak: f64,
}

impl Plan {
    /// The distribution of the time to absorption at θ: of phase type, with `F(t) = 1 − α e^{St} 1` (Neuts 1981, section 2.2;
    /// Bladt and Nielsen 2017, chapter 3).
    ///
    /// One pass over the edges; the elimination that moments need is run when they are first asked for.
    ///
    /// # Errors
    /// [`DistributionError::Evaluation`] when θ does not fit, a weight is negative or infinite, or all initial
    /// probabilities are zero; [`DistributionError::DiscreteTime`] for a graph in discrete time.
    pub fn distribution(&self, theta: &[f64]) -> Result<Distribution<'_>, DistributionError> {
        if self.is_discrete() {
            return Err(DistributionError::DiscreteTime);
        }
        Ok(Distribution::of_chain(self.chain(theta)?, TOLERANCE))
    }
}

impl<'p> Distribution<'p> {
    /// That of a process, to a tolerance.
    pub(super) fn of_chain(chain: Chain<'p>, tolerance_of_peak: f64) -> Self {
        Self { chain, at: OnceCell::new(), tolerance_of_peak }
    }

    /// This distribution with another treatment of initial probabilities that do not sum to one: `α`, or `α/Σα` (the two
    /// readings of a defective α in Bladt and Nielsen 2017, section 3.1, and in the numerics specification, section 1). One pass
    /// over the edges.
    ///
    /// # Errors
    /// None that [`Plan::distribution`] did not have.
    pub fn start(mut self, start: Start) -> Result<Self, DistributionError> {
        self.chain.set_start(start)?;
        Ok(self)
    }

    /// This distribution with another tolerance: the largest error of densities and probabilities, as a share of the
    /// density's peak (of 1, for probabilities).
    ///
    /// 1e-10 if never set. Weights and masses are left out by what all of them together come to (as Fox and Glynn,
    /// Communications of the ACM 31, 1988, and van Moorsel and Sanders, Communications in Statistics 10, 1994). To set it
    /// costs nothing; what is asked for costs more by the logarithm of its inverse, a little. Below 1e-12 there are only
    /// jumps, as powers of a matrix and steady states would round more: what takes too many is refused.
    ///
    /// # Errors
    /// [`DistributionError::Tolerance`] unless it is from 1e-14 to 0.01.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self, DistributionError> {
        self.tolerance_of_peak = check_tolerance(tolerance)?;
        Ok(self)
    }

    /// This distribution with another bound on the jumps that a question may go through; 10⁹ if never set.
    ///
    /// A jump costs about a multiply-add per edge, so this bounds the time a question can take.
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.chain.set_jump_limit(jump_limit);
        self
    }

    /// The Laplace transform `E[e^{−sT}; T < ∞]` at real `s ≥ 0`.
    ///
    /// `α (sI − S)⁻¹ s⃗`, with the exit rates `s⃗` whatever they are, plus the atom at 0 (Neuts 1981, section 2.2; Bladt and
    /// Nielsen 2017, section 3.1). One elimination for eight `s`;
    /// subtraction-free, so accurate to a few units in the last place: rates so many decades apart that f64 does not hold what
    /// is met on the way take one more for each `s`, with exponents that do not end. With [`Start::Conditional`](super::Start), given
    /// that the process starts.
    ///
    /// # Errors
    /// [`DistributionError::Frequency`] for an `s` that is negative, infinite or not a number.
    pub fn laplace(&self, s: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.laplace_by_eight(s)?.flatten().collect())
    }

    /// The same for eight `s` at a time, each when it is asked for.
    pub(crate) fn laplace_by_eight<'s>(
        &self,
        s: &'s [f64],
    ) -> Result<impl Iterator<Item = Vec<f64>> + use<'s, 'p>, DistributionError> {
        let (kept_back, surplus) = (self.chain.kept_back(), self.chain.surplus());
        let transforms = transforms(self.chain.plan().resolvent(self.chain.theta())?, s, kept_back)?;
        Ok(transforms.map(move |values| values.into_iter().map(|value| value * surplus).collect()))
    }

    /// What phasic gives for the Laplace transform at real `s ≥ 0`: `α (sI − S)⁻¹ 1ₑ / Σα`, where `1ₑ` is 1 at every vertex
    /// with an edge into absorption, whatever its rate (numerics specification, section 4). The transform itself, which
    /// [`laplace`](Self::laplace) is, only where these rates are all 1.
    ///
    /// phasic gives it for graphs with one parameter at most; with more its number follows no rule. One elimination for
    /// eight `s`.
    ///
    /// # Errors
    /// As [`laplace`](Self::laplace).
    pub fn phasic_laplace(&self, s: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.phasic_laplace_by_eight(s)?.flatten().collect())
    }

    /// The same for eight `s` at a time, each when it is asked for.
    pub(crate) fn phasic_laplace_by_eight<'s>(
        &self,
        s: &'s [f64],
    ) -> Result<impl Iterator<Item = Vec<f64>> + use<'s, 'p>, DistributionError> {
        transforms(self.chain.plan().resolvent(self.chain.theta())?.of_phasic(), s, 0.0)
    }

    /// Probability of ever being absorbed.
    pub(super) fn absorption(&self) -> Result<f64, DistributionError> {
        Ok(self.laplace(&[0.0])?[0])
    }

    /// Moves to another θ; the pattern is kept. One pass over the edges, without allocation.
    ///
    /// # Errors
    /// As [`Plan::distribution`]. After an error the numbers are those of no θ.
    pub fn set(&mut self, theta: &[f64]) -> Result<(), DistributionError> {
        self.at.take();
        Ok(self.chain.set(theta)?)
    }

    /// The plan at this θ: one elimination, the first time.
    pub(super) fn at(&self) -> Result<&At<'p>, DistributionError> {
        if let Some(at) = self.at.get() {
            return Ok(at);
        }
        let at = self.chain.plan().at(self.chain.theta())?;
        Ok(self.at.get_or_init(|| at))
    }
}

/// Transforms at each `s`, eight at a time.
fn transforms<'s, 'p>(
    resolvent: Resolvent<'p>,
    s: &'s [f64],
    kept_back: f64,
) -> Result<impl Iterator<Item = Vec<f64>> + use<'s, 'p>, DistributionError> {
    if let Some(index) = s.iter().position(|s| !(0.0..f64::INFINITY).contains(s)) {
        return Err(DistributionError::Frequency { index, value: s[index] });
    }
    Ok(resolvent.transforms(s, kept_back))
}

/// Refuses tolerances out of range.
pub(super) fn check_tolerance(tolerance: f64) -> Result<f64, DistributionError> {
    if (1e-14..=0.01).contains(&tolerance) {
        return Ok(tolerance);
    }
    Err(DistributionError::Tolerance { value: tolerance })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random_graphs::close;
    use super::super::stiff::{at_one, graph};
    use super::super::tests::plan;

    /// To and fro between two vertices at the rates `a` and `b`, and out of the second at `c`.
    fn pair([a, b, c]: [f64; 3], s: f64) -> f64 {
        let plan = plan(&graph(3, &[1], &[(1, 2, a), (2, 1, b), (2, 3, c)]));
        at_one(&plan).laplace(&[s, 1.0]).unwrap()[0]
    }

    /// `ac/(s² + s(a + b + c) + ac)`, with nothing that leaves f64 unless the number does.
    fn wanted([a, b, c]: [f64; 3], s: f64) -> f64 {
        1.0 / (1.0 + (s / c) * (1.0 + b / a + c / a + s / a))
    }

    #[test]
    fn transforms_of_rates_beyond_what_products_of_f64_hold_keep_their_digits() {
        for (rates, s) in [
            ([1e160, 1e160, 1e-150], 1e-150),
            ([1e160, 1e160, 1e-150], 0.0),
            ([1e-150, 1e150, 1e-150], 1e-300),
            ([1e-150, 1e-150, 1e-150], 1.0),
            ([1e300, 1e300, 1e-8], 1e-8),
            ([1e-300, 1e-100, 1e-305], 1e-305),
            ([1e-310, 1e-310, 1e-310], 1e-310),
        ] {
            let (found, wanted) = (pair(rates, s), wanted(rates, s));
            assert!(close(found, wanted, 1e-13), "{rates:?} {s:e}: {found:e} {wanted:e}");
        }
    }

    proptest! {
        #[test]
        fn transforms_are_right_whatever_the_decades(decades in prop::array::uniform4(-150.0..150.0_f64)) {
            let [a, b, c, s] = decades.map(|decade| 10.0_f64.powf(decade));
            let (found, wanted) = (pair([a, b, c], s), wanted([a, b, c], s));
            prop_assume!(wanted > 1e-290);
            prop_assert!(close(found, wanted, 1e-13), "{found:e} {wanted:e}");
        }
    }
}
