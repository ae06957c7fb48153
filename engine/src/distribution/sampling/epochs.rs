//! Samples of processes whose rates change at given times.

use ndarray::Array2;

use super::escape::Traps;
use super::stream::{exponential, next, seeded};
use super::table::Table;
use super::{PIECE, SampleLimits, SamplingError, in_pieces};
use crate::distribution::error::of_rewards;
use crate::distribution::{Epochs, Start};
use crate::plan::check_rewards;

/// Draws times and total rewards of a process whose θ changes at breakpoints, conditional on starting.
///
/// Exact: a visit ends when its hazard, with the rate of each epoch, has added up to a unit exponential number. Sample `i` of
/// a seed has the generator that [`Sampler`](super::Sampler) gives it: the first draw chooses the first vertex, then each
/// visit takes one for its time and one for the jump. So samples depend neither on threads nor on each other, and where all
/// θ are the same and some vertex leads to several others they are those of a `Sampler`, up to rounding. A step costs a few
/// times one of a `Sampler`.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
///
/// // Nothing happens before time 2.
/// let times = plan.epochs(&[2.0], &[[0.0], [1.0]])?.sampler()?.times(42, 10_000)?;
/// assert!(times.iter().all(|&time| time >= 2.0));
/// // The standard deviation is 1: four standard errors are 0.04.
/// assert!((times.iter().sum::<f64>() / 1e4 - 3.0).abs() < 0.04);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EpochSampler {
    /// The jumps in each epoch.
    tables: Vec<Table>,
    /// Where each epoch but the last ends.
    breakpoints: Vec<f64>,
    /// Graph vertices by position.
    vertices: Vec<u32>,
    vertex_count: u32,
    limits: SampleLimits,
}

impl Epochs<'_> {
    /// A sampler of the process across all epochs: exact paths, for a time that an epoch ends is drawn anew at the rates of the
    /// next, which exponential times, having no memory, allow (Ross, Introduction to
    /// Probability Models, 2014, section 5.2). `O(V + E)` for each.
    ///
    /// # Errors
    /// [`SamplingError::Evaluation`] with [`Trapped`](crate::plan::EvaluationError::Trapped) when some paths never end: the
    /// epochs together lead to a vertex from which absorption is impossible in the last; with
    /// [`OutOfRange`](crate::plan::EvaluationError::OutOfRange) when a visit in the last takes longer than f64 holds.
    pub fn sampler(&self) -> Result<EpochSampler, SamplingError> {
        let plan = self.plan();
        let mut chain = plan.chain(&self.thetas()[0])?;
        chain.set_start(Start::Conditional)?;
        let mut tables = Vec::with_capacity(self.thetas().len());
        for theta in self.thetas() {
            chain.set(theta)?;
            tables.push(Table::new(&chain));
        }
        // The chain is that of the last epoch by now.
        Traps::new(&chain).check(&tables)?;
        Ok(EpochSampler {
            tables,
            breakpoints: self.breakpoints().to_vec(),
            vertices: chain.pattern().vertices.clone(),
            vertex_count: plan.vertex_count(),
            limits: SampleLimits::default(),
        })
    }
}

impl Epochs<'_> {
    /// A sampler of what happens after `time`, given that absorption is still to come then: the time left, and rewards from
    /// then on. See [`Distribution::survivors`](crate::distribution::Distribution::survivors): here paths begin in the
    /// conditional state of [`Epochs`] at `time`, found by one sweep through the epochs before it.
    ///
    /// # Errors
    /// [`SamplingError::Distribution`] for a time that is negative, infinite or not a number, and for one that takes too many
    /// jumps; [`SamplingError::NoMass`] when nothing is alive at `time`, or less than about `e^−10⁶`; as
    /// [`sampler`](Self::sampler).
    pub fn survivors(&self, time: f64) -> Result<EpochSampler, SamplingError> {
        let alive = self.alive_at(time)?;
        let mut sampler = self.sampler()?;
        let passed = self.breakpoints().partition_point(|&breakpoint| breakpoint <= time);
        sampler.tables.drain(..passed);
        sampler.breakpoints.drain(..passed);
        sampler.breakpoints.iter_mut().for_each(|breakpoint| *breakpoint -= time);
        if alive.is_empty() {
            return Err(SamplingError::NoMass);
        }
        sampler.tables[0].push_start(alive, 0.0, &sampler.vertices);
        Ok(sampler)
    }
}

impl EpochSampler {
    /// This sampler under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: SampleLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Times to absorption of the samples 0 to `count` − 1: the sum of the times of all visits, by the stream of
    /// [`Sampler`](super::Sampler), with a draw more for each breakpoint that a visit lasts over. Some tens of nanoseconds for a
    /// visit, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`SamplingError::Steps`], [`SamplingError::Memory`].
    pub fn times(&self, seed: u64, count: usize) -> Result<Vec<f64>, SamplingError> {
        self.limits.check_memory(count, 1)?;
        self.draw(seed, count, 1, &vec![1.0; self.vertices.len()])
    }

    /// Total rewards of the samples 0 to `count` − 1 of the same paths: one reward per vertex of the graph, earned per unit
    /// of time there: the sum of rewards times the times of visits. As expensive as [`times`](Self::times).
    ///
    /// # Errors
    /// [`SamplingError::Evaluation`] with [`RewardLength`](crate::plan::EvaluationError::RewardLength) or
    /// [`RewardNotFinite`](crate::plan::EvaluationError::RewardNotFinite) and the vertex, and as [`times`](Self::times).
    pub fn totals(&self, seed: u64, count: usize, rewards: &[f64]) -> Result<Vec<f64>, SamplingError> {
        self.limits.check_memory(count, 1)?;
        check_rewards(self.vertex_count, rewards)?;
        self.draw(seed, count, 1, &self.gains(&[rewards]))
    }

    /// Several totals of each path: row `i` has the totals of sample `i` under each of the reward vectors, each what
    /// [`totals`](Self::totals) has alone. A visit costs a multiply-add for each vector more.
    ///
    /// # Errors
    /// As [`totals`](Self::totals), with [`DistributionError::Reward`](crate::distribution::DistributionError::Reward) around what
    /// is wrong with a reward vector.
    pub fn joint_totals(
        &self,
        seed: u64,
        count: usize,
        rewards: &[&[f64]],
    ) -> Result<Array2<f64>, SamplingError> {
        self.limits.check_memory(count, rewards.len())?;
        for (index, list) in rewards.iter().enumerate() {
            check_rewards(self.vertex_count, list).map_err(of_rewards(index))?;
        }
        let mut totals = Array2::zeros((count, rewards.len()));
        if !rewards.is_empty() {
            let drawn = self.draw(seed, count, rewards.len(), &self.gains(rewards))?;
            totals.iter_mut().zip(drawn).for_each(|(slot, total)| *slot = total);
        }
        Ok(totals)
    }

    /// Rewards of each position, one vector after the other.
    fn gains(&self, rewards: &[&[f64]]) -> Vec<f64> {
        let of_vertex = |&vertex: &u32| rewards.iter().map(move |list| list[vertex as usize]);
        self.vertices.iter().flat_map(of_vertex).collect()
    }

    /// Totals under so many rewards at once, one sample after the other.
    fn draw(&self, seed: u64, count: usize, width: usize, gains: &[f64]) -> Result<Vec<f64>, SamplingError> {
        let mut out = vec![0.0; count * width];
        in_pieces(&mut out, width, |piece, out| {
            let mut steps = self.limits.steps;
            for (sample, totals) in ((piece * PIECE) as u64..).zip(out.chunks_exact_mut(width)) {
                self.path(seed, sample, gains, totals, &mut steps)?;
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Adds up the totals of one path.
    fn path(
        &self,
        seed: u64,
        sample: u64,
        gains: &[f64],
        totals: &mut [f64],
        steps: &mut u64,
    ) -> Result<(), SamplingError> {
        let mut state = seeded(seed, sample);
        let mut draw = || {
            let (draw, after) = next(state);
            state = after;
            draw
        };
        let (mut epoch, mut now) = (0, 0.0);
        let first = &self.tables[0];
        let mut to = first.position(first.jump(first.start(), draw()));
        while let Some(at) = to {
            *steps = steps.checked_sub(1).ok_or(SamplingError::Steps { limit: self.limits.steps })?;
            let before = now;
            now = self.leave(at, exponential(draw()), now, &mut epoch);
            let gains = &gains[at * totals.len()..];
            totals.iter_mut().zip(gains).for_each(|(total, gain)| *total += gain * (now - before));
            let table = &self.tables[epoch];
            to = table.position(table.jump(table.rows[at], draw()));
        }
        Ok(())
    }

    /// When a visit that began at `now` ends: once its hazard has added up to `hazard`.
    fn leave(&self, at: usize, mut hazard: f64, mut now: f64, epoch: &mut usize) -> f64 {
        loop {
            let mean = self.tables[*epoch].means[at];
            let end = now + if mean.is_finite() { hazard * mean } else { f64::INFINITY };
            match self.breakpoints.get(*epoch) {
                Some(&breakpoint) if end > breakpoint => {
                    hazard = (hazard - (breakpoint - now) / mean).max(0.0);
                    now = breakpoint;
                    *epoch += 1;
                }
                _ => return end,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::DistributionError;
    use crate::distribution::tests::{cycle, erlang, plan};
    use crate::plan::EvaluationError;

    #[test]
    fn paths_without_an_end_name_the_vertex_and_its_state() {
        // To 2 or to the end; later nothing leads out of 2, which the last θ does not lead to.
        let edges = [(1, 2, vec![1.0, 0.0, 0.0]), (1, 3, vec![0.0, 1.0, 0.0]), (2, 3, vec![0.0, 0.0, 1.0])];
        let plan = plan(&crate::distribution::closed_forms::graph(3, 1, &edges));
        let epochs = plan.epochs(&[1.0], &[[1.0, 1.0, 1e-3], [0.0, 1.0, 0.0]]).unwrap();
        let trapped = EvaluationError::Trapped { vertex: 2, state: Some(vec![2]) };
        assert_eq!(epochs.sampler().unwrap_err(), trapped.into());
    }

    #[test]
    fn means_and_shares_are_those_of_the_epochs() {
        let plan = plan(&cycle());
        let epochs = plan.epochs(&[0.8, 1.5], &[[3.0, 0.5], [0.0, 0.2], [1.0, 4.0]]).unwrap();
        let sampler = epochs.sampler().unwrap();
        let count = 40_000;
        let times = sampler.times(7, count).unwrap();
        let mean = times.iter().sum::<f64>() / count as f64;
        let error = (epochs.variance().unwrap() / count as f64).sqrt();
        assert!((mean - epochs.expectation().unwrap()).abs() < 5.0 * error, "{mean}");
        for (time, below) in [0.5, 1.2, 2.0].into_iter().zip(epochs.cdf(&[0.5, 1.2, 2.0]).unwrap()) {
            let share = times.iter().filter(|&&sample| sample <= time).count() as f64 / count as f64;
            let error = (below * (1.0 - below) / count as f64).sqrt();
            assert!((share - below).abs() < 5.0 * error, "{time}: {share} {below}");
        }
        let rewards = [0.0, 0.0, 2.0, 0.0];
        let totals = sampler.totals(7, count, &rewards).unwrap();
        let mean = totals.iter().sum::<f64>() / count as f64;
        let spread = totals.iter().map(|total| (total - mean).powi(2)).sum::<f64>() / count as f64;
        let wanted = epochs.reward_expectation(&rewards).unwrap();
        assert!((mean - wanted).abs() < 5.0 * (spread / count as f64).sqrt(), "{mean} {wanted}");
        // The first of many are those drawn alone.
        assert_eq!(sampler.times(7, 10).unwrap(), times[..10]);
    }

    #[test]
    fn joint_totals_are_those_of_the_same_paths() {
        let plan = plan(&cycle());
        let sampler = plan.epochs(&[0.8], &[[3.0, 0.5], [1.0, 4.0]]).unwrap().sampler().unwrap();
        let rewards: [&[f64]; 2] = [&[0.0, 0.0, 2.0, 0.0], &[1.0, 1.0, 0.5, 1.0]];
        let joint = sampler.joint_totals(9, 5000, &rewards).unwrap();
        for (column, rewards) in joint.columns().into_iter().zip(rewards) {
            assert_eq!(column.to_vec(), sampler.totals(9, 5000, rewards).unwrap());
        }
        assert_eq!(sampler.joint_totals(9, 3, &[]).unwrap().dim(), (3, 0));
    }

    #[test]
    fn epochs_alike_have_the_samples_of_one() {
        let plan = plan(&cycle());
        let epochs = plan.epochs(&[0.3, 1.0], &[[1.0, 2.0]; 3]).unwrap();
        let alone = plan.sampler(&[1.0, 2.0]).unwrap().times(3, 500).unwrap();
        for (found, wanted) in epochs.sampler().unwrap().times(3, 500).unwrap().into_iter().zip(alone) {
            assert!((found - wanted).abs() <= 1e-12 * wanted, "{found} {wanted}");
        }
    }

    #[test]
    fn survivors_go_on_in_the_epoch_they_are_in() {
        // A hazard of 3 until 2, of 1/2 until 3, of 1 from then on: of those alive at 2.5, half a unit of time is left of 1/2.
        let plan = plan(&erlang(1));
        let epochs = plan.epochs(&[2.0, 3.0], &[[3.0], [0.5], [1.0]]).unwrap();
        let left = plan.epochs(&[0.5], &[[0.5], [1.0]]).unwrap();
        let found = epochs.survivors(2.5).unwrap().times(5, 300).unwrap();
        for (found, wanted) in found.iter().zip(left.sampler().unwrap().times(5, 300).unwrap()) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        // Where it is matters: by the states at 0.8, and from the breakpoint on with the rates of the last epoch.
        let plan = super::super::super::tests::plan(&cycle());
        let epochs = plan.epochs(&[0.8], &[[3.0, 0.5], [1.0, 4.0]]).unwrap();
        let count = 40_000;
        let times = epochs.survivors(0.8).unwrap().times(11, count).unwrap();
        let alive = epochs.survival(&[0.8, 1.2]).unwrap();
        let share = times.iter().filter(|&&time| time > 0.4).count() as f64 / count as f64;
        let wanted = alive[1] / alive[0];
        let error = (wanted * (1.0 - wanted) / count as f64).sqrt();
        assert!((share - wanted).abs() < 5.0 * error, "{share} {wanted}");
        assert!(epochs.survivors(f64::INFINITY).is_err() && epochs.survivors(-1.0).is_err());
        assert_eq!(epochs.survivors(1e8).unwrap_err(), SamplingError::NoMass);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let plan = plan(&erlang(3));
        let sampler = plan.epochs(&[1.0], &[[0.0], [1.0]]).unwrap().sampler().unwrap();
        let narrow = |limits| sampler.clone().with_limits(limits).times(1, 100).unwrap_err();
        assert_eq!(narrow(SampleLimits::default().with_steps(20)), SamplingError::Steps { limit: 20 });
        let limit_bytes = 99;
        assert_eq!(
            narrow(SampleLimits::default().with_memory_bytes(limit_bytes)),
            SamplingError::Memory { samples: 100, width: 1, limit_bytes }
        );
        assert!(sampler.totals(1, 1, &[1.0]).is_err());
        // Room for 100 numbers, and not for two of each sample.
        let limits = SampleLimits::default().with_memory_bytes(800);
        let ones: &[f64] = &[1.0; 5];
        assert_eq!(sampler.clone().with_limits(limits).totals(1, 100, ones).unwrap().len(), 100);
        assert_eq!(
            sampler.clone().with_limits(limits).joint_totals(1, 100, &[ones, ones]).unwrap_err(),
            SamplingError::Memory { samples: 100, width: 2, limit_bytes: 800 }
        );
        let refused = sampler.joint_totals(1, 1, &[ones, &ones[1..]]).unwrap_err();
        assert!(matches!(refused, SamplingError::Distribution(DistributionError::Reward { index: 1, .. })));
        assert!(plan.epochs(&[1.0], &[[1.0], [0.0]]).unwrap().sampler().is_err());
    }
}
