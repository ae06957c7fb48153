//! Sampling what is still to come, given that absorption has not happened yet.

use super::{Sampler, SamplingError};
use crate::distribution::curve::{Accuracy, check_times};
use crate::distribution::discrete::JumpDistribution;
use crate::distribution::sweep::{Segment, Sweep};
use crate::distribution::{Distribution, Start};

impl Distribution<'_> {
    /// A sampler of what happens after `time`, given that absorption is still to come then: the time left, and rewards from
    /// then on.
    ///
    /// Exact: paths begin in the state probabilities at `time`, conditional on being alive, which one sweep finds to
    /// a small relative error however few are alive: `α e^{St} / α e^{St} 1`, by the sweep of
    /// [`survival`](Distribution::survival), whose cost it has. The time to absorption itself is `time` plus the time sampled.
    ///
    /// ```
    /// use phasic_engine::graph::{GraphBuilder, Rate, START};
    /// use phasic_engine::plan::{Limits, Plan};
    ///
    /// // An exponential time forgets.
    /// let mut builder = GraphBuilder::new(1)?;
    /// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
    /// builder.add_edge(START, on, Rate::Scalar(1.0))?;
    /// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
    /// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
    /// let survivors = plan.distribution(&[2.0])?.survivors(5.0)?;
    /// assert_eq!(survivors.times(1, 100)?, plan.sampler(&[2.0])?.times(1, 100)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SamplingError::Distribution`] for a negative time or NaN, and around [`DistributionError::Jumps`](crate::distribution::DistributionError::Jumps) for a time that takes
    /// too many jumps; [`SamplingError::NoMass`] when nothing is alive at `time`, or less than about `e^−10⁶`, and at infinity; as [`Plan::sampler`](crate::plan::Plan::sampler).
    pub fn survivors(&self, time: f64) -> Result<Sampler, SamplingError> {
        check_times(&[time])?;
        let sampler = self.chain.plan().sampler(self.chain.theta())?;
        if time.is_infinite() {
            return Err(SamplingError::NoMass);
        }
        let mut chain = self.chain.clone();
        chain.set_start(Start::Conditional)?;
        let mut sweep = Sweep::new(&chain, self.precision(time, Accuracy::Logarithm));
        // Only the state at the end matters.
        sweep.stops = Some(Vec::new());
        sweep.horizon = time;
        sweep.advance(&chain, time, None, &mut Segment::default(), |_| ())?;
        let mut probabilities = vec![0.0; chain.plan().vertex_count() as usize];
        let alive = sweep.alive();
        if alive == 0.0 {
            return Err(SamplingError::NoMass);
        }
        sweep.p.iter_mut().for_each(|mass| *mass /= alive);
        chain.scatter(&sweep.p, &mut probabilities);
        sampler.started_in(&probabilities)
    }
}

impl JumpDistribution<'_> {
    /// A sampler of what happens after a number of jumps, given that absorption is still to come then: the jumps left, and
    /// rewards of the visits that end with them, the one under way among them. Paths begin in `α Tʲ / α Tʲ 1`, which takes one
    /// pass over `jumps` jumps, as [`pmf`](Self::pmf).
    ///
    /// # Errors
    /// [`SamplingError::Distribution`] for a number beyond the jump limit; [`SamplingError::NoMass`] when nothing is alive; as
    /// [`Plan::sampler`](crate::plan::Plan::sampler).
    pub fn survivors(&self, jumps: u64) -> Result<Sampler, SamplingError> {
        let shares = self.shares_alive(jumps)?;
        self.chain.plan().sampler(self.chain.theta())?.started_in(&shares)
    }
}
