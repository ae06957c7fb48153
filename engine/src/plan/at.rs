//! A plan at one θ: the factors, and every number that follows from them.

use std::cell::{OnceCell, RefCell};

use super::chain::{self, Chain};
use super::diagnosis::Traps;
use super::gradients::{Derivative, Trust};
use super::kernel::{Factors, Outcome, Powers, Spread};
use super::range::Range;
use super::slopes::ByParameter;
use super::{EvaluationError, MOST_MOMENTS, Plan};
use crate::graph::Graph;

/// A plan evaluated at one θ.
///
/// Holds the factors, so each further question costs a few triangular solves. [`set`](Self::set) moves on to another θ;
/// it, [`expectation`](Self::expectation) and [`moments_into`](Self::moments_into) allocate nothing from the second
/// time on that the same arithmetic is enough.
///
/// Where numbers on the way may have left the range of f64, a question is worked out once more with twice the digits and
/// exponents that do not end: an elimination that takes far longer, and is kept for the next. So every number is good to the last
/// digits, infinite only if it is beyond f64, and 0 only if it is nearer to that than to the smallest f64. The same is done
/// where more than 4,096 vertices are passed one after another, so that roundings do not add up: in long sequences of
/// components, and within long ones, such as queues, whether they fill in or not; those of chains without other ways are
/// summed apart anyway. Such plans are looked at once or twice for each θ, which takes as long as a question each time.
///
/// What cancels in what is given loses digits all the same: totals under rewards of both signs. At the rates 9 and 31 one
/// after the other, the rewards 0.9 and −3.1 are worth −4.0e-19 together, where 0.1 − 0.1 is rounded to −1.4e-17.
///
/// An elimination of more than a million multiply-adds in several components is spread over the threads of the current
/// rayon pool, each with a workspace of its own, which is kept; numbers do not depend on it.
#[derive(Debug)]
pub struct At<'p> {
    pub(super) plan: &'p Plan,
    pub(super) factors: Factors<f64>,
    /// Ones by position, 0 at the start.
    unit: Vec<f64>,
    pub(super) start: usize,
    /// How eliminations are spread over threads, if they are long enough for several.
    spread: Option<Spread>,
    /// Traps that do no harm, if there are any at this θ.
    pub(super) traps: Option<Traps>,
    /// Whether plain numbers are enough.
    pub(super) range: Range,
    /// Whether the only parameter is a scale, once somebody has asked.
    pub(super) scaled: OnceCell<bool>,
    /// Storage of solutions between questions.
    scratch: RefCell<Powers<f64>>,
}

impl Plan {
    /// Evaluates the plan at θ: one elimination.
    ///
    /// # Errors
    /// [`EvaluationError`] when θ does not fit, an edge becomes negative, or absorption is not certain.
    pub fn at(&self, theta: &[f64]) -> Result<At<'_>, EvaluationError> {
        // Before there is room for as many as a file from somewhere says.
        self.check_theta(theta)?;
        let mut at = At {
            plan: self,
            factors: Factors::new(self, true),
            unit: self.rewards(None),
            start: self.start(),
            spread: Spread::new(self),
            traps: None,
            range: Range::new(self),
            scaled: OnceCell::new(),
            scratch: RefCell::new(Powers::new()),
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

    pub(crate) fn check_rewards(&self, rewards: &[f64]) -> Result<(), EvaluationError> {
        check_rewards(self.vertex_count, rewards)
    }
}

impl At<'_> {
    /// Moves to another θ: one elimination, no allocation (unless a pivot is zero or beyond f64, which takes a closer look,
    /// or it is spread over more threads than before).
    ///
    /// # Errors
    /// As [`Plan::at`]. After an error the numbers are those of no θ; set another before asking.
    pub fn set(&mut self, theta: &[f64]) -> Result<(), EvaluationError> {
        let Self { plan, factors, spread, traps, range, .. } = self;
        plan.check_theta(theta)?;
        factors.theta[..theta.len()].copy_from_slice(theta);
        *traps = None;
        let outcome = match spread {
            Some(spread) if rayon::current_num_threads() > 1 => factors.eliminate_spread(plan, spread),
            _ => factors.eliminate_all(plan),
        };
        match outcome {
            Outcome::Good => {}
            Outcome::InvalidWeight => return Err(plan.invalid_weight(&factors.values)),
            Outcome::Stuck => *traps = Some(plan.diagnose(factors)?),
        }
        let broken = traps.as_ref().and_then(|traps| traps.broken);
        range.set(factors, broken.is_some());
        broken.map_or(Ok(()), |at| self.check_range(at))
    }

    /// Ones by position, 0 at the start.
    pub(super) fn unit(&self) -> &[f64] {
        &self.unit
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
    ///
    /// # Errors
    /// [`EvaluationError::MomentCount`] for more than 1,000.
    pub fn moments(&self, count: usize) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(count)?;
        let mut moments = vec![0.0; count];
        self.moments_into(&mut moments);
        Ok(moments)
    }

    /// As [`moments`](Self::moments), into a slice: as many as it has room for.
    ///
    /// One solve for each moment, in storage for eight of them at most. Allocates nothing when as many were asked for
    /// before.
    pub fn moments_into(&self, moments: &mut [f64]) {
        self.raw_moments(&self.unit, moments);
    }

    /// Variance of the time to absorption (of the number of jumps, in discrete time).
    ///
    /// Two solves; two more where the time is so regular that the square of its mean is most of its second moment, which
    /// keep the digits that their difference loses.
    pub fn variance(&self) -> f64 {
        self.covariance(&self.unit, &self.unit)
    }

    /// Expected time to absorption from every vertex of the graph: 0 for absorbing vertices, infinite for those from
    /// which absorption is not certain at this θ, NaN for those the start does not reach by any edge.
    pub fn waiting_times(&self) -> Vec<f64> {
        self.every_vertex(&self.unit)
    }

    /// Expected time spent in every vertex of the graph; 0 for the start and for all that is not transient.
    ///
    /// One transposed solve.
    pub fn sojourn_times(&self) -> Vec<f64> {
        self.sojourns(&[(self.start, 1.0)])
    }

    /// Expected time spent in every vertex of the graph by what has these masses in these vertices. One transposed solve.
    ///
    /// # Errors
    /// [`EvaluationError::Trapped`] with the first of these vertices from which absorption is not certain.
    pub(crate) fn sojourn_times_from(
        &self,
        masses: impl Iterator<Item = (u32, f64)>,
    ) -> Result<Vec<f64>, EvaluationError> {
        let plan = self.plan;
        let mut places = vec![None; plan.vertex_count as usize];
        for (at, &vertex) in plan.vertices.iter().enumerate() {
            places[vertex as usize] = Some(at);
        }
        let held = masses.filter(|&(_, mass)| mass > 0.0);
        let mut held: Vec<(usize, f64)> =
            held.filter_map(|(vertex, mass)| Some((places[vertex as usize]?, mass))).collect();
        if let Some(traps) = &self.traps
            && let Some(&(at, _)) = held.iter().find(|&&(at, _)| traps.lost[at])
        {
            return Err(plan.trapped(plan.vertices[at]));
        }
        // Of all of it 1, since what is lost of numbers is small beside that.
        let sum: f64 = held.iter().map(|(_, mass)| mass).sum();
        for (_, mass) in &mut held {
            *mass /= sum;
        }
        let mut times = self.sojourns(&held);
        for time in &mut times {
            *time *= sum;
        }
        Ok(times)
    }

    /// Expected times in, or visits to, every vertex, from masses by position that sum to one.
    fn sojourns(&self, masses: &[(usize, f64)]) -> Vec<f64> {
        let mut sojourns = vec![0.0; self.plan.vertices.len()];
        for &(at, mass) in masses {
            sojourns[at] = mass;
        }
        self.factors.solve_transposed(self.plan, &mut sojourns);
        if self.is_each_sojourn_sure(masses, &sojourns) {
            // Adjoints of jumps are visits for each unit of weight; there are no totals in continuous time.
            sojourns.iter_mut().zip(&self.factors.total).for_each(|(visits, total)| *visits *= total);
        } else {
            sojourns = self.wide_sojourns(masses);
        }
        let mut times = vec![0.0; self.plan.vertex_count as usize];
        for (at, &vertex) in self.plan.vertices.iter().enumerate() {
            times[vertex as usize] = if at == self.start { 0.0 } else { sojourns[at] };
        }
        times
    }

    /// Gradient of the expectation with respect to θ: one adjoint solve. Where the only parameter is a scale, of which all
    /// rates are multiples, `−E / θ`, and no solve at all; likewise for moments and variances.
    ///
    /// An entry is NaN where there is no derivative: at a θ that closes the only edges into a trap. That holds for all
    /// gradients.
    ///
    /// Each entry is good by itself, to a relative error of 1e-12, small ones beside large ones, too, also where what a
    /// parameter chooses between hardly differs; and so are those of all other gradients, unless rewards of both signs
    /// cancel, or coefficients were rounded when the plan added them up ([`Plan`]). Where more than three and a half digits of
    /// an entry cancel (fewer where more than a few components are passed one after another), because slopes of both signs do
    /// or far more steps are taken than there are states, the gradient is worked out once more with twice the digits: an
    /// elimination in an arithmetic that takes some twenty times as long, and twice that for the way back. Then 19 digits may
    /// cancel.
    pub fn expectation_gradient(&self) -> Vec<f64> {
        self.expectation_by_parameter(&self.unit)
    }

    /// Gradient of the `power`-th raw moment with respect to θ: `power` adjoint solves, and 32 bytes for each power and
    /// vertex. Zero for power 0.
    ///
    /// # Errors
    /// [`EvaluationError::MomentCount`] for a power above 1,000.
    pub fn moment_gradient(&self, power: usize) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(power)?;
        Ok(self.moment_by_parameter(&self.unit, power))
    }

    /// Gradient of the variance with respect to θ: two adjoint solves.
    pub fn variance_gradient(&self) -> Vec<f64> {
        self.covariance_by_parameter(&self.unit, &self.unit)
    }

    /// Gradient of the expectation with respect to the weight of every edge, in the graph's edge order: one adjoint
    /// solve, `∂E/∂w(v,u) = z_v (x_u − x_v)` with the waiting times x and `z_v` the expected time in v.
    ///
    /// Give the graph that the plan was made of; a plan holds no edges of it, so this works for plans from files, too.
    /// Each of several parallel edges has the derivative of their sum. An edge that the start does not reach has 0. The
    /// start's weights are divided by their sum α before they are probabilities, and so is the derivative:
    /// `(x_u − x_start) / α`, which adds up to 0 over them when weighted. In discrete time weights are those before each
    /// vertex's are divided by their sum at θ ([`Graph::weights`] gives them divided); but edges that θ does not change,
    /// the start's among them, have been divided once when the graph was made, and theirs are what came of that
    /// ([`Graph::unit_weights`]): there α is 1.
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`] when the graph cannot be the plan's.
    ///
    /// ```
    /// use phasic_engine::graph::{GraphBuilder, Rate, START};
    /// use phasic_engine::plan::{Limits, Plan};
    ///
    /// let mut builder = GraphBuilder::new(1)?;
    /// let (slow, fast, end) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
    /// builder.add_edge(START, slow, Rate::Scalar(0.5))?;
    /// builder.add_edge(START, fast, Rate::Scalar(0.5))?;
    /// builder.add_edge(slow, end, Rate::Coefficients(&[1.0]))?;
    /// builder.add_edge(fast, end, Rate::Coefficients(&[2.0]))?;
    /// let graph = builder.finish();
    ///
    /// // E = (w₀ / w₂ + w₁ / w₃) / (w₀ + w₁) at w = (0.5, 0.5, 1, 2).
    /// let plan = Plan::analyze(&graph, &Limits::default())?;
    /// let at = plan.at(&[1.0])?;
    /// assert_eq!(at.expectation(), 0.75);
    /// assert_eq!(at.expectation_weight_gradient(&graph)?, [0.25, -0.25, -0.5, -0.125]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expectation_weight_gradient(&self, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        self.weight_gradient(graph, &Chain::of_moment(self, &self.unit, 1))
    }

    /// Gradient of the `power`-th raw moment with respect to the weight of every edge; see
    /// [`expectation_weight_gradient`](Self::expectation_weight_gradient).
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`]; [`EvaluationError::MomentCount`] for a power above 1,000.
    pub fn moment_weight_gradient(&self, power: usize, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        check_moment_count(power)?;
        self.weight_gradient(graph, &Chain::of_moment(self, &self.unit, power))
    }

    /// Gradient of the variance with respect to the weight of every edge; see
    /// [`expectation_weight_gradient`](Self::expectation_weight_gradient).
    ///
    /// # Errors
    /// [`EvaluationError::OtherGraph`].
    pub fn variance_weight_gradient(&self, graph: &Graph) -> Result<Vec<f64>, EvaluationError> {
        self.weight_gradient(graph, &self.covariance_slopes(&self.unit, &self.unit))
    }

    pub(super) fn mean(&self, rewards: &[f64]) -> f64 {
        let mut mean = [0.0];
        self.raw_moments(rewards, &mut mean);
        mean[0]
    }

    pub(super) fn raw_moments(&self, rewards: &[f64], moments: &mut [f64]) {
        let mut powers = self.scratch.borrow_mut();
        powers.resize(moments.len(), self.plan.vertices.len());
        self.factors.solve_all_powers(self.plan, self.start, rewards, &mut powers);
        moments.copy_from_slice(powers.at_start());
        if !self.is_sure(self.earned(rewards), moments, &powers) {
            self.wide_moments(rewards, moments);
        }
    }

    pub(super) fn expectation_by_parameter(&self, rewards: &[f64]) -> Vec<f64> {
        if let Some(gradient) = self.by_scale(1, || self.mean(rewards)) {
            return gradient;
        }
        if self.traps.is_some() {
            return self.gradient(&Chain::of_moment(self, rewards, 1));
        }
        let (chain, sums) = Chain::of_expectation(self, rewards);
        match chain.trust() {
            Trust::Usual => self.settled(&sums.gradient(), &chain, &ByParameter),
            _ => self.gradient(&chain),
        }
    }

    pub(super) fn moment_by_parameter(&self, rewards: &[f64], power: usize) -> Vec<f64> {
        let moment = || {
            let mut moments = vec![1.0; power];
            self.raw_moments(rewards, &mut moments);
            moments.last().copied().unwrap_or(1.0)
        };
        let scaled = self.by_scale(power, moment);
        scaled.unwrap_or_else(|| self.gradient(&Chain::of_moment(self, rewards, power)))
    }

    pub(super) fn covariance_by_parameter(&self, first: &[f64], second: &[f64]) -> Vec<f64> {
        let scaled = self.by_scale(2, || self.covariance(first, second));
        scaled.unwrap_or_else(|| self.gradient(&self.covariance_slopes(first, second)))
    }

    pub(super) fn every_vertex(&self, rewards: &[f64]) -> Vec<f64> {
        let mut solutions = [Vec::new()];
        chain::solve(self.plan, &self.factors, rewards, &mut solutions);
        if !self.is_each_sure(rewards, &solutions[0]) {
            solutions = [self.wide_solution(rewards)];
        }
        self.by_vertex(&solutions[0])
    }

    /// Numbers by position, by vertex: 0 where all ends, infinite where that is not certain, NaN where nothing leads.
    pub(super) fn by_vertex(&self, numbers: &[f64]) -> Vec<f64> {
        let mut values = vec![f64::NAN; self.plan.vertex_count as usize];
        for &vertex in &self.plan.absorbing {
            values[vertex as usize] = 0.0;
        }
        for (at, &vertex) in self.plan.vertices.iter().enumerate() {
            values[vertex as usize] = if self.is_lost(at) { f64::INFINITY } else { numbers[at] };
        }
        values
    }

    /// Whether absorption is not certain from a position.
    pub(super) fn is_lost(&self, at: usize) -> bool {
        self.traps.as_ref().is_some_and(|traps| traps.lost[at])
    }
}

/// Refuses rewards that are not one number for each vertex of a graph with so many.
pub(crate) fn check_rewards(vertex_count: u32, rewards: &[f64]) -> Result<(), EvaluationError> {
    let expected = vertex_count as usize;
    if rewards.len() != expected {
        return Err(EvaluationError::RewardLength { expected, found: rewards.len() });
    }
    match rewards.iter().position(|reward| !reward.is_finite()) {
        Some(vertex) => Err(EvaluationError::RewardNotFinite { vertex, value: rewards[vertex] }),
        None => Ok(()),
    }
}

/// Refuses more moments than there may be.
pub(super) fn check_moment_count(count: usize) -> Result<(), EvaluationError> {
    let limit = MOST_MOMENTS;
    if count > limit { Err(EvaluationError::MomentCount { count, limit }) } else { Ok(()) }
}
