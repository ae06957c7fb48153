//! Sampling: exact draws of paths and of what is collected along them.
//!
//! A sampler is a process at one θ made into tables. Estimates and statistics are not made here.

mod epochs;
mod escape;
mod line;
mod stream;
mod survivors;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use ndarray::Array2;
use rayon::prelude::*;

use super::error::of_rewards;
use super::{DistributionError, Start};
use crate::plan::{EvaluationError, Plan, check_rewards};
pub use epochs::EpochSampler;
use escape::Traps;
use stream::{exponential, next, seeded};
use table::{Gains, Row, Table};
use walk::Piece;

/// Samples in one piece of work. It shows in no result.
const PIECE: usize = 2048;

/// Why there are no samples.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The plan has no process at these parameters, or paths never end.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The state at the time asked for cannot be had.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// Paths are longer than allowed.
    #[error(
        "a batch of at most 2048 paths took more than the {limit} steps allowed; raise the limit or check the rates"
    )]
    Steps {
        /// The limit.
        limit: u64,
    },
    /// The results do not fit the memory allowed.
    #[error(
        "{samples} samples of {width} numbers take more than the {limit_bytes} bytes allowed; draw them in parts"
    )]
    Memory {
        /// Samples asked for.
        samples: usize,
        /// Numbers for each.
        width: usize,
        /// The limit.
        limit_bytes: u64,
    },
    /// Probabilities of a start are not one for each vertex.
    #[error(
        "{found} probabilities were given, but the graph has {expected} vertices; give one probability per vertex"
    )]
    ProbabilityLength {
        /// Vertices of the graph.
        expected: usize,
        /// Probabilities given.
        found: usize,
    },
    /// A probability of a start is negative, infinite or not a number.
    #[error("the probability of vertex {vertex} is {value}; probabilities are finite and not negative")]
    Probability {
        /// The vertex.
        vertex: usize,
        /// Its probability.
        value: f64,
    },
    /// Probability stands at a vertex where a path cannot begin: the start, an absorbing or an unreachable vertex.
    #[error(
        "vertex {vertex} has the probability {value}, but it is not a transient vertex that the start reaches; give it 0"
    )]
    NotTransient {
        /// The vertex.
        vertex: usize,
        /// Its probability.
        value: f64,
    },
    /// All probabilities of a start are zero, or nothing is alive when paths should begin.
    #[error(
        "there is nowhere to begin: all probabilities are zero, or nothing is alive at that time; give a transient vertex a \
         probability, or begin earlier"
    )]
    NoMass,
}

/// Bounds on sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleLimits {
    /// Most steps of any 2048 consecutive paths together.
    pub steps: u64,
    /// Most bytes of results.
    pub memory_bytes: u64,
}

impl Default for SampleLimits {
    /// 2^36 steps: some minutes; 8 GiB.
    fn default() -> Self {
        Self { steps: 1 << 36, memory_bytes: 8 << 30 }
    }
}

impl SampleLimits {
    /// These limits with another bound on steps.
    #[must_use]
    pub fn with_steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// These limits with another bound on the bytes of results.
    #[must_use]
    pub fn with_memory_bytes(mut self, memory_bytes: u64) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// Refuses more results than fit the memory.
    fn check_memory(self, samples: usize, width: usize) -> Result<(), SamplingError> {
        let limit_bytes = self.memory_bytes;
        if 8 * samples as u128 * width as u128 > u128::from(limit_bytes) {
            return Err(SamplingError::Memory { samples, width, limit_bytes });
        }
        Ok(())
    }
}

/// One visit of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// The vertex of the graph.
    pub vertex: u32,
    /// How long it lasted; 1 in discrete time.
    pub time: f64,
}

/// Draws paths of a process at one θ, and totals along them.
///
/// Conditional on starting: initial probabilities count in proportion. A path that is absorbed at once has the total 0.
///
/// # The stream
/// The same seed gives the same samples: on every machine, with any number of threads, in every version of this crate.
/// Sample `i` of seed `s` is drawn by a generator of its own, xoshiro256++ (Blackman and Vigna 2021), whose four words
/// are the outputs `4i + 1` to `4i + 4` of `SplitMix64` seeded with `z`, `z` the first output of `SplitMix64` seeded with
/// `s`. The first draw chooses the first vertex. Then each visit takes one draw for its time (not in discrete time) and
/// one for the jump. No jump is drawn in a model in which nothing is ever to be chosen. A time is `−ln(1 − u)` over the
/// vertex's rate, `u` the upper 52 bits of the draw over 2⁵². A jump multiplies the draw by the columns of the vertex's
/// alias table; the upper 64 bits are the column, the lower ones choose between its two outcomes. Samples do not depend
/// on each other, so the first hundred of a thousand are the hundred drawn alone.
///
/// The alias table of a vertex with n outcomes of probability above 0 (targets by vertex number, the vertex itself among
/// them where it may stay, absorption last) has n − 1 columns. Probabilities times n − 1 are put on two piles in that
/// order, those below 1 and the others. Each column takes all of the top `a` of the first pile (else of the second) and
/// the rest from the top of the second (else of the first), which then goes to the pile that its remainder belongs to;
/// `a` is the outcome when the lower bits are below `a`'s height times 2⁶⁴.
///
/// # Cost
/// Tables are `O(V + E)`. A step of a path takes a few nanoseconds whatever the fan-out; a batch runs on the current
/// rayon pool.
///
/// ```
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// let mut builder = GraphBuilder::new(1)?;
/// let (three, two, one) = (builder.add_vertex(&[3])?, builder.add_vertex(&[2])?, builder.add_vertex(&[1])?);
/// builder.add_edge(START, three, Rate::Scalar(1.0))?;
/// builder.add_edge(three, two, Rate::Coefficients(&[3.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
/// let plan = Plan::analyze(&builder.finish(), &Limits::default())?;
///
/// let sampler = plan.sampler(&[1.0])?;
/// let times = sampler.times(42, 10_000)?;
/// // The mean is 4/3, the variance 10/9: four standard errors are 0.042.
/// assert!((times.iter().sum::<f64>() / 1e4 - 4.0 / 3.0).abs() < 0.042);
/// let path = sampler.path(42, 0)?;
/// assert_eq!(path.iter().map(|visit| visit.vertex).collect::<Vec<_>>(), [three, two]);
/// assert_eq!(path[0].time + path[1].time, times[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    table: Table,
    traps: Traps,
    discrete: bool,
    /// Graph vertices by position.
    vertices: Vec<u32>,
    vertex_count: u32,
    limits: SampleLimits,
}

impl Plan {
    /// A sampler of the process at θ, in continuous or discrete time: exact paths, exponential times and jumps one after the
    /// other (Gillespie, Journal of Computational Physics 22, 1976), the jumps by alias tables (Walker, ACM Transactions on
    /// Mathematical Software 3, 1977; Vose, IEEE Transactions on Software Engineering 17, 1991). `O(V + E)`.
    ///
    /// # Errors
    /// [`SamplingError::Evaluation`] when θ does not fit, a weight is negative or infinite, or nothing leaves the start; with
    /// [`EvaluationError::Trapped`] when some paths never end, with the vertex that leads nowhere, and with
    /// [`EvaluationError::OutOfRange`] when a visit takes longer than f64 holds.
    pub fn sampler(&self, theta: &[f64]) -> Result<Sampler, SamplingError> {
        let mut chain = self.chain(theta)?;
        chain.set_start(Start::Conditional)?;
        let sampler = Sampler {
            table: Table::new(&chain),
            traps: Traps::new(&chain),
            discrete: chain.is_discrete(),
            vertices: chain.pattern().vertices.clone(),
            vertex_count: self.vertex_count(),
            limits: SampleLimits::default(),
        };
        sampler.check_ends()?;
        Ok(sampler)
    }
}

impl Sampler {
    /// This sampler under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: SampleLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same process begun elsewhere: vertices in proportion to `probabilities`, one for each vertex of the graph. By the
    /// Markov property, what comes after a state depends on nothing else.
    ///
    /// With the state probabilities at time t this samples what happens after t, given that absorption is still to come:
    /// the time left, and rewards from then on. `O(V)`; `O(V + E)` where absorption is impossible from some vertex at this θ.
    ///
    /// # Errors
    /// [`SamplingError::Probability`], [`SamplingError::NotTransient`] with the vertex, [`SamplingError::NoMass`],
    /// [`SamplingError::ProbabilityLength`]; [`SamplingError::Evaluation`] with [`EvaluationError::Trapped`] or
    /// [`EvaluationError::OutOfRange`] when paths from there come to a vertex with which [`Plan::sampler`] would refuse them.
    pub fn started_in(mut self, probabilities: &[f64]) -> Result<Self, SamplingError> {
        let expected = self.vertex_count as usize;
        if probabilities.len() != expected {
            return Err(SamplingError::ProbabilityLength { expected, found: probabilities.len() });
        }
        if let Some(vertex) = probabilities.iter().position(|p| !(0.0..f64::INFINITY).contains(p)) {
            return Err(SamplingError::Probability { vertex, value: probabilities[vertex] });
        }
        let mut foreign: Vec<f64> = probabilities.to_vec();
        for &vertex in &self.vertices {
            foreign[vertex as usize] = 0.0;
        }
        if let Some(vertex) = foreign.iter().position(|&p| p > 0.0) {
            return Err(SamplingError::NotTransient { vertex, value: foreign[vertex] });
        }
        if probabilities.iter().all(|&p| p == 0.0) {
            return Err(SamplingError::NoMass);
        }
        let initial = self.vertices.iter().zip(0..).map(|(&vertex, at)| (at, probabilities[vertex as usize]));
        self.table.push_start(initial.collect(), 0.0, &self.vertices);
        self.check_ends()?;
        Ok(self)
    }

    /// Refuses a start from which some paths never end.
    fn check_ends(&self) -> Result<(), SamplingError> {
        self.traps.check(std::slice::from_ref(&self.table))
    }

    /// Times to absorption (numbers of jumps, in discrete time) of the samples 0 to `count` − 1: the sum of the times of all
    /// visits. A few nanoseconds for a visit, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`SamplingError::Steps`], [`SamplingError::Memory`].
    pub fn times(&self, seed: u64, count: usize) -> Result<Vec<f64>, SamplingError> {
        self.limits.check_memory(count, 1)?;
        let mut out = vec![0.0; count];
        self.fill(seed, 0, &self.table.times(), &mut out)?;
        Ok(out)
    }

    /// Total rewards of the samples 0 to `count` − 1 of the same paths: one reward per vertex of the graph, earned per unit
    /// of time there (per visit, in discrete time): the sum of rewards times the times of visits. As expensive as
    /// [`times`](Self::times), and a copy of the tables, `O(V + E)`.
    ///
    /// # Errors
    /// [`EvaluationError::RewardLength`] and [`EvaluationError::RewardNotFinite`] with the vertex, and as
    /// [`times`](Self::times).
    pub fn totals(&self, seed: u64, count: usize, rewards: &[f64]) -> Result<Vec<f64>, SamplingError> {
        self.limits.check_memory(count, 1)?;
        check_rewards(self.vertex_count, rewards)?;
        let mut out = vec![0.0; count];
        self.fill(seed, 0, &self.gains(&[rewards]), &mut out)?;
        Ok(out)
    }

    /// Several totals of each path: row `i` has the totals of sample `i` under each of the reward vectors, each what
    /// [`totals`](Self::totals) has alone. A visit costs a multiply-add for each vector more.
    ///
    /// # Errors
    /// As [`totals`](Self::totals), with [`DistributionError::Reward`] around what is wrong with a reward vector.
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
        let mut out = Array2::zeros((count, rewards.len()));
        if let Some(out) = out.as_slice_mut().filter(|out| !out.is_empty()) {
            self.fill(seed, 0, &self.gains(rewards), out)?;
        }
        Ok(out)
    }

    /// Times to absorption of the samples from number `first` on, as many as `out` has room for: for drawing in parts. The
    /// numbers and the cost are those of [`times`](Self::times); no result is allocated.
    ///
    /// # Errors
    /// [`SamplingError::Steps`]; `out` then holds nothing of use.
    pub fn times_into(&self, seed: u64, first: u64, out: &mut [f64]) -> Result<(), SamplingError> {
        self.fill(seed, first, &self.table.times(), out)
    }

    /// The path of one sample, visit by visit; empty when it is absorbed at once. Its times add up to the sample's time, in
    /// the order of visits. In each vertex an exponential time of mean `1/λᵥ`, then a jump to `w` with probability `λᵥw/λᵥ`
    /// (Doob, Stochastic Processes, 1953, chapter VI; Gillespie, Journal of Computational Physics 22, 1976).
    ///
    /// Drawn by the same stream as [`times`](Self::times), on the calling thread: two numbers of it, at most, and 16 bytes a
    /// visit.
    ///
    /// # Errors
    /// [`SamplingError::Steps`], [`SamplingError::Memory`].
    pub fn path(&self, seed: u64, sample: u64) -> Result<Vec<Visit>, SamplingError> {
        let mut state = seeded(seed, sample);
        let mut draw = || {
            let (draw, after) = next(state);
            state = after;
            draw
        };
        let jump = |row: Row, draw: &mut dyn FnMut() -> u64| {
            self.table.jump(row, if self.table.branches { draw() } else { 0 })
        };
        let mut path = Vec::new();
        let mut row = jump(self.table.start(), &mut draw);
        while let Some(at) = self.table.position(row) {
            if path.len() as u64 >= self.limits.steps {
                return Err(SamplingError::Steps { limit: self.limits.steps });
            }
            self.limits.check_memory(path.len() + 1, 2)?;
            let time = if self.discrete { 1.0 } else { exponential(draw()) * self.table.means[at] };
            path.push(Visit { vertex: self.vertices[at], time });
            row = jump(row, &mut draw);
        }
        Ok(path)
    }

    /// What a visit adds to each total.
    fn gains(&self, rewards: &[&[f64]]) -> Gains<'_> {
        let means = self.vertices.iter().zip(self.table.means.iter().copied());
        let of_vertex =
            |(&vertex, mean): (&u32, f64)| rewards.iter().map(move |list| list[vertex as usize] * mean);
        self.table.totals(means.flat_map(of_vertex).collect(), rewards.len())
    }

    fn fill(&self, seed: u64, first: u64, gains: &Gains<'_>, out: &mut [f64]) -> Result<(), SamplingError> {
        in_pieces(out, gains.width, |number, out| {
            let piece = Piece {
                table: &self.table,
                gains,
                discrete: self.discrete,
                seed,
                first: first.wrapping_add((number * PIECE) as u64),
                steps: self.limits.steps,
                out,
            };
            piece.draw()
        })
    }
}

/// Draws samples of `width` numbers each in numbered pieces, on the threads of the current rayon pool. A single piece is drawn
/// on this thread: to wake another takes longer than many short paths.
fn in_pieces(
    out: &mut [f64],
    width: usize,
    draw: impl Fn(usize, &mut [f64]) -> Result<(), SamplingError> + Sync,
) -> Result<(), SamplingError> {
    if out.len() <= PIECE * width {
        return draw(0, out);
    }
    out.par_chunks_mut(PIECE * width).enumerate().try_for_each(|(number, out)| draw(number, out))
}
