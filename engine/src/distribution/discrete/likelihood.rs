//! Likelihoods of observed numbers of jumps, as functions of θ.

use ndarray::{Array2, ArrayView2};

use super::reverse::{Functional, check_memory};
use super::walk::Depth;
use super::{JUMP_LIMIT, JumpDistribution};
use crate::distribution::DistributionError;
use crate::distribution::likelihood::batch;
use crate::distribution::run::logarithm;
use crate::plan::Plan;

/// Probabilities below this, in units in which 1e-19 or more is alive, are zero: nearer to the end of f64 nothing is accurate.
const NOTHING: f64 = 1e-250;

/// The log-likelihood of independent observations of the number of jumps to absorption, as a function of θ.
///
/// An absorption seen with jump `j` counts with the logarithm of its probability, `j` after which the process was still
/// alive (right-censored) with `ln P(N > j)`. Where a probability is 0 (or below 1e-230 of what is alive then, or about
/// `e^−10⁶`) the log-likelihood is `−∞`, its gradient not a number; that is no error, so that a sampler can move on.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Until heads, with probability θ₂/(θ₁ + θ₂).
/// let mut builder = GraphBuilder::new(1)?;
/// let (toss, tails, heads) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
/// builder.set_was_dph(true);
/// builder.add_edge(START, toss, Rate::Scalar(1.0))?;
/// builder.add_edge(toss, tails, Rate::Coefficients(&[1.0, 0.0]))?;
/// builder.add_edge(toss, heads, Rate::Coefficients(&[0.0, 1.0]))?;
/// builder.add_edge(tails, toss, Rate::Coefficients(&[1.0, 1.0]))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
///
/// // One, then three jumps: p · (1 − p)p.
/// let likelihood = plan.jump_likelihood(&[1, 3], &[])?;
/// let (value, gradient) = likelihood.value_and_gradient(&[0.75, 0.25])?;
/// assert!((value - (0.25_f64.powi(2) * 0.75).ln()).abs() < 1e-14);
/// let slope_of_p = 2.0 / 0.25 - 1.0 / 0.75;
/// assert!((gradient[1] - 0.75 * slope_of_p).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JumpLikelihood<'p> {
    plan: &'p Plan,
    /// Numbers, ascending and distinct: how often seen, and how often censored.
    jumps: Vec<u64>,
    counts: Vec<[f64; 2]>,
    /// The place of the first observation of each number, censored ones counted on from the observed.
    places: Vec<usize>,
    jump_limit: u64,
}

impl Plan {
    /// The likelihood of observed numbers of jumps to absorption, and of numbers after which a process was last seen alive:
    /// `Π P(N = jᵢ) · Π P(N > cᵢ)` for independent observations (Lawless, Statistical Models and Methods for Lifetime Data, 2003,
    /// section 2.2). Sorts them, and does no other work yet.
    ///
    /// # Errors
    /// [`DistributionError::NoObservations`], [`DistributionError::ContinuousTime`].
    pub fn jump_likelihood(
        &self,
        observed: &[u64],
        censored: &[u64],
    ) -> Result<JumpLikelihood<'_>, DistributionError> {
        if !self.is_discrete() {
            return Err(DistributionError::ContinuousTime);
        }
        let kinds = observed.iter().map(|&jumps| (jumps, 0)).chain(censored.iter().map(|&jumps| (jumps, 1)));
        let mut all: Vec<(u64, usize, usize)> =
            kinds.enumerate().map(|(place, (jumps, kind))| (jumps, place, kind)).collect();
        if all.is_empty() {
            return Err(DistributionError::NoObservations);
        }
        all.sort_unstable();
        let (mut jumps, mut counts, mut places) = (Vec::new(), Vec::<[f64; 2]>::new(), Vec::new());
        for (number, place, kind) in all {
            if jumps.last() != Some(&number) {
                jumps.push(number);
                counts.push([0.0; 2]);
                places.push(place);
            }
            if let Some(counts) = counts.last_mut() {
                counts[kind] += 1.0;
            }
        }
        Ok(JumpLikelihood { plan: self, jumps, counts, places, jump_limit: JUMP_LIMIT })
    }
}

impl JumpLikelihood<'_> {
    /// This likelihood with another bound on the number of jumps that it may go through.
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = jump_limit;
        self
    }

    /// The log-likelihood at θ, `Σ ln P(N = jᵢ) + Σ ln P(N > cᵢ)` (see [`Plan::jump_likelihood`]). One pass over the jumps, `O(E)` each.
    ///
    /// # Errors
    /// As [`Plan::jumps`] and [`JumpDistribution::pmf`]; a censored number beyond the limit is counted on from the observed
    /// ones.
    pub fn value(&self, theta: &[f64]) -> Result<f64, DistributionError> {
        Ok(self.found(&self.law(theta)?)?.0)
    }

    /// The log-likelihood at θ and its gradient `Σ ∇P(N = jᵢ)/P(N = jᵢ) + Σ ∇P(N > cᵢ)/P(N > cᵢ)`, a sum that one adjoint goes
    /// back for as [`JumpDistribution::pmf_gradient`] does: three passes over the jumps in all, whatever the number of
    /// parameters and observations.
    ///
    /// # Errors
    /// As [`value`](Self::value), and [`DistributionError::JumpTrailMemory`] as for those.
    pub fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), DistributionError> {
        let law = self.law(theta)?;
        check_memory(&law, &self.jumps).map_err(|error| error.at_place(|at| self.place(at)))?;
        let (value, coefficients) = self.found(&law)?;
        if value == f64::NEG_INFINITY {
            return Ok((value, vec![f64::NAN; self.plan.param_length()]));
        }
        let functional = Functional { jumps: self.jumps.clone(), coefficients, depth: Depth::Logarithms };
        Ok((value, functional.gradient(&law)))
    }

    /// Log-likelihoods and gradients at many θ, one a row: for each what [`value_and_gradient`](Self::value_and_gradient) gives,
    /// and as expensive; on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`DistributionError::Row`] around that of the first θ without a number, as [`value`](Self::value).
    pub fn batch(&self, thetas: &ArrayView2<'_, f64>) -> Result<(Vec<f64>, Array2<f64>), DistributionError> {
        batch(thetas, self.plan.param_length(), |theta| self.value_and_gradient(theta))
    }

    /// The first observation of a number of jumps.
    fn place(&self, at: usize) -> usize {
        self.places.get(at).copied().unwrap_or(at)
    }

    fn law(&self, theta: &[f64]) -> Result<JumpDistribution<'_>, DistributionError> {
        Ok(self.plan.jumps(theta)?.with_jump_limit(self.jump_limit))
    }

    /// The log-likelihood, and its derivatives with respect to probability, distribution function and survival, in units that
    /// make up for those of states.
    fn found(&self, law: &JumpDistribution<'_>) -> Result<(f64, Vec<[f64; 3]>), DistributionError> {
        let mut sum = 0.0;
        let share = |count: f64, value: f64| if count > 0.0 { count / value } else { 0.0 };
        let found = law.in_units(&self.jumps).map_err(|error| error.at_place(|at| self.place(at)))?;
        let coefficients =
            self.counts.iter().zip(found).map(|(&[seen, alive], ([pmf, survival], exponent))| {
                for (count, value) in [(seen, pmf), (alive, survival)] {
                    if count > 0.0 {
                        let is_nothing = value < NOTHING;
                        sum +=
                            if is_nothing { f64::NEG_INFINITY } else { count * logarithm(value, exponent) };
                    }
                }
                [share(seen, pmf), 0.0, share(alive, survival)]
            });
        let coefficients = coefficients.collect();
        Ok((sum, coefficients))
    }
}

#[cfg(test)]
mod tests {
    use crate::distribution::tests::plan;
    use crate::graph::{GraphBuilder, Rate, START};
    use crate::plan::Plan;

    /// Until heads, with probability `θ₁/(θ₀ + θ₁)`; each toss before that takes two jumps.
    fn coin() -> Plan {
        let mut builder = GraphBuilder::new(1).unwrap();
        let [toss, tails, heads] = [1, 2, 0].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.set_was_dph(true);
        builder.add_edge(START, toss, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(toss, tails, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(toss, heads, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        builder.add_edge(tails, toss, Rate::Coefficients(&[1.0, 1.0])).unwrap();
        plan(&builder.finish())
    }

    #[test]
    fn logarithms_of_what_f64_does_not_hold_keep_their_digits_and_slopes() {
        let plan = coin();
        let theta = [0.75_f64, 0.25];
        let (sum, share) = (theta[0] + theta[1], theta[0] / (theta[0] + theta[1]));
        // Tosses before heads, and tosses seen without heads.
        for (seen, alive) in [(vec![3_u32], vec![]), (vec![5000], vec![]), (vec![2, 40_000], vec![7, 90_000])]
        {
            let jumps = |tosses: &[u32], more: u64| -> Vec<u64> {
                tosses.iter().map(|&tosses| 2 * u64::from(tosses) + more).collect()
            };
            let likelihood = plan.jump_likelihood(&jumps(&seen, 1), &jumps(&alive, 0)).unwrap();
            let tails: f64 = seen.iter().chain(&alive).map(|&tosses| f64::from(tosses)).sum();
            let heads = seen.len() as f64;
            let wanted = tails * share.ln() + heads * (theta[1] / sum).ln();
            let found = likelihood.value(&theta).unwrap();
            assert!((found / wanted - 1.0).abs() < 1e-13, "{seen:?} {alive:?}: {found} {wanted}");
            let (value, gradient) = likelihood.value_and_gradient(&theta).unwrap();
            assert_eq!(value, found);
            let slopes = [tails / theta[0] - (tails + heads) / sum, heads / theta[1] - (tails + heads) / sum];
            for (found, wanted) in gradient.iter().zip(slopes) {
                let near = (found - wanted).abs() < 1e-11 * (tails + heads);
                assert!(near, "{seen:?} {alive:?}: {gradient:?} {slopes:?}");
            }
        }
    }

    #[test]
    fn logarithms_of_jumps_end_below_minus_a_million() {
        let plan = coin();
        let likelihood = |tosses: u64| plan.jump_likelihood(&[2 * tosses + 1], &[]).unwrap();
        // −13.8 for each toss.
        let found = likelihood(70_000).value(&[1e-6, 1.0]).unwrap();
        let wanted = 70_000.0 * (1e-6_f64 / 1.000_001).ln() - 1.000_001_f64.ln();
        assert!((found / wanted - 1.0).abs() < 1e-13, "{found} {wanted}");
        let (value, gradient) = likelihood(90_000).value_and_gradient(&[1e-6, 1.0]).unwrap();
        assert!(value == f64::NEG_INFINITY && gradient.iter().all(|slope| slope.is_nan()), "{gradient:?}");
    }
}
