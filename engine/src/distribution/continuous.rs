//! The distribution of the time to absorption, in continuous time.

use std::cell::OnceCell;

use super::chain::Chain;
use super::{DistributionError, Start};
use crate::plan::{At, Plan};

/// The time to absorption of a plan at one θ, in continuous time.
///
/// Moments, waiting and sojourn times are always conditional on starting. Densities, distribution functions and state
/// probabilities follow [`Start`]: as initial probabilities were given, or divided by their sum.
#[derive(Debug)]
pub struct Distribution<'p> {
    pub(super) chain: Chain<'p>,
    /// The factors, once asked for.
    at: OnceCell<At<'p>>,
}

impl Plan {
    /// The distribution of the time to absorption at θ.
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
        Ok(Distribution { chain: self.chain(theta)?, at: OnceCell::new() })
    }
}

impl<'p> Distribution<'p> {
    /// This distribution with another treatment of initial probabilities that do not sum to one.
    ///
    /// # Errors
    /// None that [`Plan::distribution`] did not have.
    pub fn start(mut self, start: Start) -> Result<Self, DistributionError> {
        self.chain.set_start(start)?;
        Ok(self)
    }

    /// Moves to another θ; the pattern is kept.
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
