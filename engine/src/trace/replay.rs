//! Running a program at one set of weights, and the numbers that follow (numerics specification, section 1).
//!
//! Results agree with phasic bit for bit. Where phasic is wrong, so is a replay: with parallel edges, merge them before
//! eliminating ([`Graph::merge_parallel_edges`]). Discrete variance and covariance are the right ones, not phasic's.

use super::sweep::{Row, Rows};
use super::{Command, Input, Trace};
use crate::graph::Graph;

/// Why a program yields no number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The program belongs to another graph.
    #[error("the program was made for another graph: {detail}")]
    WrongGraph {
        /// What does not fit.
        detail: String,
    },
    /// The weight vector has the wrong length.
    #[error("{found} weights were given, but the graph has {expected} edges")]
    WeightLength {
        /// Edges of the graph.
        expected: usize,
        /// Weights given.
        found: usize,
    },
    /// A reward vector has the wrong length.
    #[error("{found} rewards were given, but the graph has {expected} vertices; give one reward per vertex")]
    RewardLength {
        /// Vertices of the graph.
        expected: usize,
        /// Rewards given.
        found: usize,
    },
    /// A reward is not a number.
    #[error("the reward of vertex {vertex} is not a number")]
    RewardNotANumber {
        /// The vertex.
        vertex: u32,
    },
    /// Moments are numbered from 1.
    #[error("moments are numbered from 1; 0 of them were asked for")]
    NoMoments,
    /// The value of a vertex is not a number: it cannot be left, or nothing can be absorbed from it.
    #[error(
        "the expected total from vertex {vertex} is not a number; a vertex of rate 0 or a cycle without a way out \
         lies behind it"
    )]
    NotANumber {
        /// The vertex.
        vertex: u32,
    },
}

/// A program run at one set of weights: expected rewards are one sweep away.
#[derive(Debug, Clone)]
pub struct Replay {
    rows: Rows,
    vertices: usize,
    discrete: bool,
}

impl Trace {
    /// The values of the program's inputs, and the final contents of its memory, without emitting rows.
    ///
    /// This is what a PTDPRMC1 file holds beside the program (artifact specification, section 9). Linear in the number
    /// of commands.
    ///
    /// # Errors
    /// [`ReplayError::WrongGraph`], [`ReplayError::WeightLength`].
    pub fn final_memory(&self, graph: &Graph, weights: &[f64]) -> Result<Vec<f64>, ReplayError> {
        let inputs = self.input_values(graph, weights)?;
        Ok(self.run(&inputs, |_| {}))
    }

    /// Runs the program at these weights, one per edge of `graph` in edge-index order.
    ///
    /// Strict f64 without fused multiply-add. Linear in the number of commands; the result takes 16 bytes a row.
    ///
    /// # Errors
    /// [`ReplayError::WrongGraph`] when the program names vertices or edges the graph does not have,
    /// [`ReplayError::WeightLength`].
    pub fn replay(&self, graph: &Graph, weights: &[f64]) -> Result<Replay, ReplayError> {
        let inputs = self.input_values(graph, weights)?;
        let mut rows = Vec::with_capacity(self.row_count());
        self.run(&inputs, |row| rows.push(row));
        Ok(Replay { rows: Rows::new(rows), vertices: self.vertex_count as usize, discrete: graph.was_dph() })
    }

    fn input_values(&self, graph: &Graph, weights: &[f64]) -> Result<Vec<f64>, ReplayError> {
        let wrong = |detail: String| ReplayError::WrongGraph { detail };
        if weights.len() != graph.edge_count() as usize {
            return Err(ReplayError::WeightLength {
                expected: graph.edge_count() as usize,
                found: weights.len(),
            });
        }
        if self.vertex_count != graph.vertex_count() {
            let (program, graph) = (self.vertex_count, graph.vertex_count());
            return Err(wrong(format!("it has {program} vertices, the graph {graph}")));
        }
        let value = |input: &Input| match *input {
            Input::Edge { vertex, edge } if vertex < graph.vertex_count() && edge < graph.degree(vertex) => {
                Ok(weights[graph.edge_range(vertex).start + edge as usize])
            }
            Input::Edge { vertex, edge } => {
                Err(wrong(format!("it reads edge {edge} of vertex {vertex}, which does not exist")))
            }
            Input::External { index } => {
                Err(wrong(format!("it reads entry {index} of a table that is not given")))
            }
        };
        self.inputs.iter().map(value).collect()
    }

    /// Stage 1. Every slot is zeroed before it is read, so memory needs no preparation.
    fn run(&self, inputs: &[f64], mut emit: impl FnMut(Row)) -> Vec<f64> {
        let mut memory = vec![0.0_f64; self.slots as usize];
        for command in &self.commands {
            match *command {
                Command::Row { from, to, multiplier } => {
                    let value = memory[multiplier as usize];
                    emit(Row { from, to, multiplier: if from == to { value - 1.0 } else { value } });
                }
                Command::Add { slot, from } => memory[slot as usize] += memory[from as usize],
                Command::AddInput { slot, input } => memory[slot as usize] += inputs[input as usize],
                Command::Invert { slot } => memory[slot as usize] = 1.0 / memory[slot as usize],
                Command::AddProduct { slot, left, right } => {
                    memory[slot as usize] += memory[left as usize] * memory[right as usize];
                }
                Command::AddProductInput { slot, input, right } => {
                    memory[slot as usize] += inputs[input as usize] * memory[right as usize];
                }
                Command::OneMinus { slot } => memory[slot as usize] = 1.0 - memory[slot as usize],
                Command::Divide { slot, by } => memory[slot as usize] /= memory[by as usize],
                Command::DivideByInput { slot, input } => memory[slot as usize] /= inputs[input as usize],
                Command::Zero { slot } => memory[slot as usize] = 0.0,
            }
        }
        memory
    }
}

impl Replay {
    /// Largest over smallest magnitude among the rows' multipliers. Above 10^12 sums are taken with 128-bit mantissas.
    pub fn condition(&self) -> f64 {
        self.rows.condition()
    }

    /// Expected total reward until absorption from every vertex, `W(R)`; without rewards, expected waiting times.
    ///
    /// # Errors
    /// [`ReplayError::RewardLength`], [`ReplayError::RewardNotANumber`], [`ReplayError::NotANumber`].
    pub fn waiting_times(&self, rewards: Option<&[f64]>) -> Result<Vec<f64>, ReplayError> {
        match rewards {
            None => self.rows.apply(&vec![1.0; self.vertices]),
            Some(rewards) => {
                self.check_rewards(rewards)?;
                self.rows.apply(rewards)
            }
        }
    }

    /// Expected total reward from the start, `W(R)[0]`; without rewards, the expected time to absorption.
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times).
    pub fn expectation(&self, rewards: Option<&[f64]>) -> Result<f64, ReplayError> {
        Ok(self.waiting_times(rewards)?[0])
    }

    /// The first `count` raw moments of the total reward.
    ///
    /// `x₁ = W(R)`, `x_{j+1} = W(x_j ∘ R)`, `m_j = j!·x_j[0]`. For graphs in discrete time these are, as in phasic, the
    /// moments of the continuous-time chain with rates 1. A moment beyond the range of f64 is infinite.
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times), and [`ReplayError::NoMoments`].
    pub fn moments(&self, count: usize, rewards: Option<&[f64]>) -> Result<Vec<f64>, ReplayError> {
        if count == 0 {
            return Err(ReplayError::NoMoments);
        }
        let mut x = self.waiting_times(rewards)?;
        let mut moments = vec![x[0]];
        let mut factorial = 1.0;
        for power in 2..=count {
            x = self.rows.apply(&times(x, rewards))?;
            factorial *= power as f64;
            moments.push(factorial * x[0]);
        }
        Ok(moments)
    }

    /// Variance of the total reward.
    ///
    /// Continuous time: `2·W(x∘R)[0] − x[0]²`. Discrete time: less `W(R∘R)[0]`, which makes it the variance of the number
    /// of (rewarded) jumps; phasic's own value without rewards is wrong there (numerics specification, section 3).
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times).
    pub fn variance(&self, rewards: Option<&[f64]>) -> Result<f64, ReplayError> {
        let x = self.waiting_times(rewards)?;
        let mean = x[0];
        let second = 2.0 * self.rows.apply(&times(x, rewards))?[0];
        let variance = second - mean * mean;
        if self.discrete { Ok(variance - self.squares(rewards, rewards)?) } else { Ok(variance) }
    }

    /// Covariance of two total rewards.
    ///
    /// `W(x₁∘R₂)[0] + W(x₂∘R₁)[0] − x₁[0]·x₂[0]`, in discrete time less `W(R₁∘R₂)[0]`. phasic's own discrete value is wrong.
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times).
    pub fn covariance(&self, first: Option<&[f64]>, second: Option<&[f64]>) -> Result<f64, ReplayError> {
        let (x1, x2) = (self.waiting_times(first)?, self.waiting_times(second)?);
        let product = x1[0] * x2[0];
        let cross = self.rows.apply(&times(x1, second))?[0] + self.rows.apply(&times(x2, first))?[0];
        let covariance = cross - product;
        if self.discrete { Ok(covariance - self.squares(first, second)?) } else { Ok(covariance) }
    }

    /// phasic's own variance, with its fault: in discrete time without rewards it is `m₂ − 2m₁`. Otherwise as
    /// [`variance`](Self::variance).
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times).
    pub fn phasic_variance(&self, rewards: Option<&[f64]>) -> Result<f64, ReplayError> {
        if !self.discrete || rewards.is_some() {
            return self.variance(rewards);
        }
        let moments = self.moments(2, None)?;
        Ok(moments[1] - 2.0 * moments[0])
    }

    /// phasic's own covariance of two total rewards, with its fault: in discrete time it is
    /// `W(x₁∘R₂)[0] + W(R₁∘R₂)[0] − x₁[0]·x₂[0]`, without the symmetric half. Otherwise as
    /// [`covariance`](Self::covariance).
    ///
    /// # Errors
    /// As [`waiting_times`](Self::waiting_times).
    pub fn phasic_covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, ReplayError> {
        if !self.discrete {
            return self.covariance(Some(first), Some(second));
        }
        let (x1, x2) = (self.waiting_times(Some(first))?, self.waiting_times(Some(second))?);
        let product = x1[0] * x2[0];
        let half = self.rows.apply(&times(x1, Some(second)))?[0];
        Ok(half + self.squares(Some(first), Some(second))? - product)
    }

    /// Expected time spent in each vertex, 0 for the start and for absorbing vertices.
    ///
    /// Bit-equal to phasic's compensated sum. Time is rows times vertices.
    ///
    /// # Errors
    /// [`ReplayError::NotANumber`].
    pub fn sojourn_times(&self) -> Result<Vec<f64>, ReplayError> {
        self.rows.columns_from_start(self.vertices)
    }

    fn squares(&self, first: Option<&[f64]>, second: Option<&[f64]>) -> Result<f64, ReplayError> {
        let ones = vec![1.0; self.vertices];
        Ok(self.rows.apply(&times(times(ones, first), second))?[0])
    }

    fn check_rewards(&self, rewards: &[f64]) -> Result<(), ReplayError> {
        if rewards.len() != self.vertices {
            return Err(ReplayError::RewardLength { expected: self.vertices, found: rewards.len() });
        }
        match rewards.iter().position(|reward| reward.is_nan()) {
            Some(vertex) => Err(ReplayError::RewardNotANumber { vertex: vertex as u32 }),
            None => Ok(()),
        }
    }
}

/// `x ∘ rewards`; unchanged without rewards.
fn times(mut x: Vec<f64>, rewards: Option<&[f64]>) -> Vec<f64> {
    for (value, reward) in x.iter_mut().zip(rewards.unwrap_or(&[])) {
        *value *= reward;
    }
    x
}
