//! A plan at one θ: the factors, and every number that follows from them.

use std::cell::RefCell;

use super::kernel::{Factors, Outcome, Source};
use super::tape::Tape;
use super::{EvaluationError, Plan};

/// A plan evaluated at one θ.
///
/// Holds the factors, so each further question costs a few triangular solves. [`set`](Self::set) moves on to another θ
/// and allocates nothing.
#[derive(Debug)]
pub struct At<'p> {
    plan: &'p Plan,
    factors: Factors<f64>,
    /// Ones by position, 0 at the start.
    unit: Vec<f64>,
    start: usize,
    /// A solution's storage between questions, so that asking for an expectation allocates nothing.
    scratch: RefCell<Vec<f64>>,
}

/// Totals under a reward vector, at one θ. Without rewards, the methods of [`At`] itself.
#[derive(Debug)]
pub struct Rewarded<'a, 'p> {
    at: &'a At<'p>,
    rewards: Vec<f64>,
}

impl Plan {
    /// Evaluates the plan at θ: one elimination.
    ///
    /// # Errors
    /// [`EvaluationError`] when θ does not fit, an edge becomes negative, or absorption is not certain.
    pub fn at(&self, theta: &[f64]) -> Result<At<'_>, EvaluationError> {
        let factors = Factors::new(self, true);
        let mut at = At {
            plan: self,
            factors,
            unit: self.rewards(None),
            start: self.start(),
            scratch: RefCell::default(),
        };
        at.set(theta)?;
        Ok(at)
    }

    pub(super) fn check_theta(&self, theta: &[f64]) -> Result<(), EvaluationError> {
        if theta.len() != self.param_length() {
            return Err(EvaluationError::ThetaLength { expected: self.param_length(), found: theta.len() });
        }
        match theta.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(EvaluationError::ThetaNotFinite { index, value: theta[index] }),
            None => Ok(()),
        }
    }

    pub(super) fn check_rewards(&self, rewards: &[f64]) -> Result<(), EvaluationError> {
        let expected = self.vertex_count as usize;
        if rewards.len() != expected {
            return Err(EvaluationError::RewardLength { expected, found: rewards.len() });
        }
        match rewards.iter().position(|reward| !reward.is_finite()) {
            Some(vertex) => Err(EvaluationError::RewardNotFinite { vertex, value: rewards[vertex] }),
            None => Ok(()),
        }
    }
}

impl<'p> At<'p> {
    /// Moves to another θ: one elimination, no allocation.
    ///
    /// # Errors
    /// As [`Plan::at`]. After an error the numbers are those of no θ; set another before asking.
    pub fn set(&mut self, theta: &[f64]) -> Result<(), EvaluationError> {
        let Self { plan, factors, .. } = self;
        plan.check_theta(theta)?;
        factors.theta[..theta.len()].copy_from_slice(theta);
        match factors.eliminate_all(plan) {
            Outcome::Good => Ok(()),
            Outcome::InvalidWeight => Err(plan.invalid_weight(&factors.values)),
            Outcome::Stuck => plan.diagnose(factors),
        }
    }

    /// Vertices of the graph, which reward vectors have one entry for each.
    pub fn vertex_count(&self) -> u32 {
        self.plan.vertex_count
    }

    /// Expected time to absorption.
    pub fn expectation(&self) -> f64 {
        self.mean(&self.unit)
    }

    /// The first `count` raw moments of the time to absorption, from the first on; a moment beyond the range of f64 is
    /// infinite. In discrete time, those of the continuous chain with rates 1, as in phasic.
    pub fn moments(&self, count: usize) -> Vec<f64> {
        self.raw_moments(&self.unit, count)
    }

    /// Variance of the time to absorption (of the number of jumps, in discrete time).
    pub fn variance(&self) -> f64 {
        self.second(&self.unit, &self.unit).0
    }

    /// Expected time to absorption from every vertex of the graph: 0 for absorbing vertices, NaN for those the start
    /// does not reach.
    pub fn waiting_times(&self) -> Vec<f64> {
        self.every_vertex(&self.unit)
    }

    /// Expected time spent in every vertex of the graph; 0 for the start and for all that is not transient.
    ///
    /// One transposed solve.
    pub fn sojourn_times(&self) -> Vec<f64> {
        let mut adjoint = vec![0.0; self.plan.vertices.len()];
        adjoint[self.start] = 1.0;
        self.factors.solve_transposed(self.plan, &mut adjoint);
        let mut times = vec![0.0; self.plan.vertex_count as usize];
        for (at, &vertex) in self.plan.vertices.iter().enumerate() {
            let scale = if self.plan.discrete { self.factors.total[at] } else { 1.0 };
            times[vertex as usize] = if at == self.start { 0.0 } else { adjoint[at] * scale };
        }
        times
    }

    /// Gradient of the expectation with respect to θ: one adjoint solve.
    pub fn expectation_gradient(&self) -> Vec<f64> {
        self.moment_slope(&self.unit, 1)
    }

    /// Gradient of the `power`-th raw moment with respect to θ: `power` adjoint solves. Zero for power 0.
    pub fn moment_gradient(&self, power: usize) -> Vec<f64> {
        self.moment_slope(&self.unit, power)
    }

    /// Gradient of the variance with respect to θ: two adjoint solves.
    pub fn variance_gradient(&self) -> Vec<f64> {
        self.second(&self.unit, &self.unit).1()
    }

    /// The same questions for a total reward: one reward per vertex, earned per unit of time spent there.
    ///
    /// # Errors
    /// [`EvaluationError::RewardLength`], [`EvaluationError::RewardNotFinite`].
    pub fn rewarded(&self, rewards: &[f64]) -> Result<Rewarded<'_, 'p>, EvaluationError> {
        self.plan.check_rewards(rewards)?;
        Ok(Rewarded { at: self, rewards: self.plan.rewards(Some(rewards)) })
    }

    fn mean(&self, rewards: &[f64]) -> f64 {
        let mut x = self.scratch.borrow_mut();
        x.resize(self.plan.vertices.len(), 0.0);
        self.factors.solve_all(self.plan, Source { rewards, of: None }, &mut x);
        x[self.start]
    }

    /// Solutions `x₁ = W(R)`, `x_{j+1} = W(x_j ∘ R)`.
    fn chain(&self, rewards: &[f64], length: usize) -> Tape {
        let mut tape = Tape::default();
        for number in 0..length {
            tape.push(rewards, number.checked_sub(1));
        }
        tape.run(self.plan, &self.factors);
        tape
    }

    pub(super) fn raw_moments(&self, rewards: &[f64], count: usize) -> Vec<f64> {
        let tape = self.chain(rewards, count);
        let mut factorial = 1.0;
        let moment = |(x, power): (&Vec<f64>, u32)| {
            factorial *= f64::from(power);
            factorial * x[self.start]
        };
        tape.solutions.iter().zip(1..).map(moment).collect()
    }

    fn moment_slope(&self, rewards: &[f64], power: usize) -> Vec<f64> {
        if power == 0 {
            return vec![0.0; self.plan.param_length()];
        }
        let mut seeds = vec![0.0; power];
        seeds[power - 1] = (1..=power).map(|k| k as f64).product();
        self.chain(rewards, power).gradient(self.plan, &self.factors, &seeds)
    }

    /// Covariance of two totals, and its gradient when asked for.
    ///
    /// `W(x₁∘R₂) + W(x₂∘R₁) − x₁x₂` at the start; in discrete time less `W(R₁∘R₂)`.
    fn second(&self, first: &[f64], second: &[f64]) -> (f64, impl FnOnce() -> Vec<f64> + '_) {
        let mut tape = Tape::default();
        let a = tape.push(first, None);
        let same = first == second;
        let b = if same { a } else { tape.push(second, None) };
        let mut seeds = vec![(tape.push(second, Some(a)), 1.0)];
        if same {
            seeds[0].1 = 2.0;
        } else {
            seeds.push((tape.push(first, Some(b)), 1.0));
        }
        if self.plan.discrete {
            let product: Vec<f64> = first.iter().zip(second).map(|(a, b)| a * b).collect();
            seeds.push((tape.push(&product, None), -1.0));
        }
        tape.run(self.plan, &self.factors);
        let value = |node: usize| tape.solutions[node][self.start];
        let (mean_a, mean_b) = (value(a), value(b));
        let cross = seeds.iter().map(|&(node, scale)| scale * value(node)).sum::<f64>();
        // Beyond the range of f64 there is nothing left to subtract from.
        let covariance = if cross.is_infinite() { cross } else { cross - mean_a * mean_b };
        seeds.push((a, -mean_b));
        seeds.push((b, -mean_a));
        let gradient = move || {
            let mut dense = vec![0.0; tape.nodes.len()];
            for (node, scale) in seeds {
                dense[node] += scale;
            }
            tape.gradient(self.plan, &self.factors, &dense)
        };
        (covariance, gradient)
    }

    fn every_vertex(&self, rewards: &[f64]) -> Vec<f64> {
        let tape = self.chain(rewards, 1);
        let mut values = vec![f64::NAN; self.plan.vertex_count as usize];
        for &vertex in &self.plan.absorbing {
            values[vertex as usize] = 0.0;
        }
        for (&vertex, &value) in self.plan.vertices.iter().zip(&tape.solutions[0]) {
            values[vertex as usize] = value;
        }
        values
    }
}

impl Rewarded<'_, '_> {
    /// Expected total reward.
    pub fn expectation(&self) -> f64 {
        self.at.mean(&self.rewards)
    }

    /// The first `count` raw moments of the total reward; see [`At::moments`].
    pub fn moments(&self, count: usize) -> Vec<f64> {
        self.at.raw_moments(&self.rewards, count)
    }

    /// Variance of the total reward.
    pub fn variance(&self) -> f64 {
        self.at.second(&self.rewards, &self.rewards).0
    }

    /// Covariance with another total reward at the same θ.
    pub fn covariance(&self, other: &Rewarded<'_, '_>) -> f64 {
        self.at.second(&self.rewards, &other.rewards).0
    }

    /// Expected total reward from every vertex; see [`At::waiting_times`].
    pub fn waiting_times(&self) -> Vec<f64> {
        self.at.every_vertex(&self.rewards)
    }

    /// Gradient of the expectation with respect to θ.
    pub fn expectation_gradient(&self) -> Vec<f64> {
        self.at.moment_slope(&self.rewards, 1)
    }

    /// Gradient of the `power`-th raw moment with respect to θ.
    pub fn moment_gradient(&self, power: usize) -> Vec<f64> {
        self.at.moment_slope(&self.rewards, power)
    }

    /// Gradient of the variance with respect to θ.
    pub fn variance_gradient(&self) -> Vec<f64> {
        self.at.second(&self.rewards, &self.rewards).1()
    }

    /// Gradient of the covariance with another total reward.
    pub fn covariance_gradient(&self, other: &Rewarded<'_, '_>) -> Vec<f64> {
        self.at.second(&self.rewards, &other.rewards).1()
    }
}
