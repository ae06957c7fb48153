//! Rates that change at given times: a θ for each epoch, the state carried over.

mod end;
mod gradients;
#[cfg(test)]
mod long;
mod moments;
mod powers;
mod products;
mod rewards;
mod states;
#[cfg(test)]
mod tests;

use self::end::lets_all_out;
use super::chain::Chain;
use super::continuous::check_tolerance;
use super::curve::{
    Accuracy, Curve, Point, Survival, Values, ascending, check_times, first_above_zero, held_to_peak,
    precision,
};
use super::error::of_epoch;
use super::quantile::{EARLY, Search, check_probabilities};
use super::sweep::{EpochsAhead, Segment, Sweep};
use super::{DistributionError, Start};
use crate::plan::Plan;

/// The time to absorption when θ changes at breakpoints: a time-inhomogeneous phase-type distribution with
/// piecewise-constant rates.
///
/// With sub-intensities `S₁, S₂, …` and breakpoints `b₁ < b₂ < …`, the state at `t` in the epoch after `bᵢ` is
/// `α e^{S₁b₁} e^{S₂(b₂−b₁)} ⋯ e^{S(t−bᵢ)}`; nothing else changes.
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
/// // A hazard of 1 until time 2, then of 3.
/// let epochs = plan.epochs(&[2.0], &[[1.0], [3.0]])?;
/// let survival = epochs.curve(&[3.0])?.survival[0];
/// assert!((survival / (-5.0_f64).exp() - 1.0).abs() < 1e-12);
/// let mean = (1.0 - (-2.0_f64).exp()) + (-2.0_f64).exp() / 3.0;
/// assert!((epochs.expectation()? - mean).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Epochs<'p> {
    plan: &'p Plan,
    breakpoints: Vec<f64>,
    /// One more than breakpoints.
    thetas: Vec<Vec<f64>>,
    start: Start,
    tolerance: f64,
    jump_limit: Option<u64>,
}

impl Plan {
    /// The distribution of the time to absorption with another θ from each breakpoint on; one more θ than breakpoints. States
    /// at breakpoints are carried over (Chapman and Kolmogorov's equation; Kingman's coalescent so in Griffiths and Tavaré,
    /// Philosophical Transactions of the Royal Society B 344, 1994). One pass over the edges for each θ.
    ///
    /// # Errors
    /// [`DistributionError::Epoch`] for a θ that does not fit; [`DistributionError::EpochCount`];
    /// [`DistributionError::Breakpoint`] unless breakpoints are positive, finite and ascending; [`DistributionError::DiscreteTime`], and what [`Plan::distribution`] says of each θ.
    pub fn epochs<T: AsRef<[f64]>>(
        &self,
        breakpoints: &[f64],
        thetas: &[T],
    ) -> Result<Epochs<'_>, DistributionError> {
        if self.is_discrete() {
            return Err(DistributionError::DiscreteTime);
        }
        if thetas.len() != breakpoints.len() + 1 {
            return Err(DistributionError::EpochCount {
                breakpoints: breakpoints.len(),
                thetas: thetas.len(),
            });
        }
        let mut before = 0.0;
        for (index, &value) in breakpoints.iter().enumerate() {
            if !(value > before && value < f64::INFINITY) {
                return Err(DistributionError::Breakpoint { index, value, before });
            }
            before = value;
        }
        let mut chain = self.chain(thetas[0].as_ref()).map_err(of_epoch(0))?;
        for (theta, epoch) in thetas[1..].iter().zip(1..) {
            chain.set(theta.as_ref()).map_err(of_epoch(epoch))?;
        }
        Ok(Epochs {
            plan: self,
            breakpoints: breakpoints.to_vec(),
            thetas: thetas.iter().map(|theta| theta.as_ref().to_vec()).collect(),
            start: Start::default(),
            tolerance: 1e-10,
            jump_limit: None,
        })
    }
}

impl<'p> Epochs<'p> {
    /// This distribution with another treatment of initial probabilities that do not sum to one; see [`Start`], and
    /// [`Distribution::start`](super::Distribution::start) for its source. Costs nothing by itself.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// This distribution with another bound on the jumps that a question may go through; see
    /// [`Distribution::with_jump_limit`](super::Distribution::with_jump_limit).
    #[must_use]
    pub fn with_jump_limit(mut self, jump_limit: u64) -> Self {
        self.jump_limit = Some(jump_limit);
        self
    }

    /// This distribution with another tolerance, 1e-10 if never set: the largest error of densities as a share of the peak
    /// over all epochs, and of probabilities. What it costs, and whose method it is, is told at
    /// [`Distribution::tolerance`](super::Distribution::tolerance).
    ///
    /// # Errors
    /// [`DistributionError::Tolerance`] unless it is from 1e-14 to 0.01.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self, DistributionError> {
        self.tolerance = check_tolerance(tolerance)?;
        Ok(self)
    }

    /// Density `p(t) s`, distribution function `Σα − p(t) 1` and survival function at each time, for the state `p(t)` that a
    /// product of exponentials is (see [`Epochs`]); at a breakpoint, the density just before it, and at infinity 0.
    ///
    /// One sweep by uniformization for all times, epoch after epoch, and at infinity an elimination for what is still alive at
    /// the last of the others, or at the last breakpoint. Errors and cost are those of
    /// [`Distribution::pdf`](super::Distribution::pdf).
    ///
    /// # Errors
    /// [`DistributionError::Time`] for a time that is negative or not a number; [`DistributionError::Jumps`].
    pub fn curve(&self, times: &[f64]) -> Result<Curve, DistributionError> {
        self.curve_with(times, Accuracy::Peak)
    }

    fn curve_with(&self, times: &[f64], accuracy: Accuracy) -> Result<Curve, DistributionError> {
        let (points, survival) = self.points(times, accuracy)?;
        Ok(survival.curve(&points))
    }

    fn points(&self, times: &[f64], accuracy: Accuracy) -> Result<(Vec<Point>, Survival), DistributionError> {
        check_times(times)?;
        let order = ascending(times);
        let mut sorted: Vec<f64> = order.iter().map(|&at| times[at as usize]).collect();
        sorted.truncate(sorted.partition_point(|time| time.is_finite()));
        let forever = sorted.len() < times.len();
        let horizon = sorted.last().copied().unwrap_or(0.0);
        let (mut chain, first) = self.begin(self.start, horizon, accuracy, first_above_zero(&sorted))?;
        let (mut values, mut sweep) = held_to_peak(first.precision(), |precision| {
            let mut values = Values::new(times.len(), accuracy);
            chain.set(&self.thetas[0])?;
            let mut sweep = first.clone();
            sweep.restart(&chain, precision);
            sweep.stops = Some(sorted.clone());
            values.at_zero(&chain, &sorted);
            let segment = &mut Segment::default();
            let swept = self.advance(&mut chain, &mut sweep, horizon, None, segment, |segment| {
                values.read(segment, &sorted);
            });
            swept.map_err(|error| {
                error.of_index(sweep.first_too_far(&chain, &sorted).map(|at| order[at] as usize))
            })?;
            Ok((values, sweep))
        })?;
        if forever {
            let [absorbed, alive] = self.in_the_end(&mut chain, &mut sweep)?;
            values.rest(absorbed, absorbed + alive);
        }
        Ok((values.in_order(&order), Survival::of(&chain)))
    }

    /// Densities `p(t) s`, those of [`curve`](Self::curve), as expensive.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn pdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.pdf)
    }

    /// Distribution functions `Σα − p(t) 1`, those of [`curve`](Self::curve), as expensive.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn cdf(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve(times)?.cdf)
    }

    /// Survival functions `1 − Σα + p(t) 1`, accurate where they are small; one sweep, as for [`curve`](Self::curve), with errors
    /// relative to each value.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn survival(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        Ok(self.curve_with(times, Accuracy::Value)?.survival)
    }

    /// The hazard rate `f(t) / P(T > t)` at each time; at a breakpoint, just before it. NaN where survival is zero, or below
    /// about `e^−10⁶`. One sweep, as for [`survival`](Self::survival); see
    /// [`Distribution::hazard`](super::Distribution::hazard).
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn hazard(&self, times: &[f64]) -> Result<Vec<f64>, DistributionError> {
        let (points, survival) = self.points(times, Accuracy::Logarithm)?;
        Ok(survival.hazards(&points))
    }

    /// The smallest time `t` with `F(t) ≥ q`, for each `q` in `[0, 1]`; see
    /// [`Distribution::quantile`](super::Distribution::quantile), which each epoch is like: one sweep until the largest `q` is
    /// passed, one multiply-add per edge and jump. Infinite for a `q` that is never reached, because mass has come to where
    /// the last θ lets nothing out; then also for one within `4·10⁻¹⁵` of itself of all that is absorbed in the end, whose
    /// time rounding decides.
    ///
    /// # Errors
    /// [`DistributionError::Probability`]; [`DistributionError::Evaluation`] when absorption is not certain in the last
    /// epoch; [`DistributionError::Jumps`], which names the probability.
    pub fn quantile(&self, probabilities: &[f64]) -> Result<Vec<f64>, DistributionError> {
        check_probabilities(probabilities)?;
        let last = self.thetas.len() - 1;
        let at = self.plan.at(&self.thetas[last]).map_err(of_epoch(last))?;
        let (mut chain, mut sweep) = self.begin(self.start, 0.0, Accuracy::Value, f64::INFINITY)?;
        let lossy = chain.kept_back() > 0.0 && !chain.pattern().back_forms.is_empty();
        let mut search = Search::new(probabilities, chain.atom(), chain.mass(), lossy);
        let least = search.least();
        sweep.hold_to(least);
        if least < EARLY {
            sweep.expect_early_tails();
        }
        for (epoch, &end) in self.breakpoints.iter().enumerate() {
            search.go(&chain, &mut sweep, end).map_err(of_epoch(epoch))?;
            if search.first().is_none() || sweep.alive() == 0.0 {
                return Ok(search.found);
            }
            self.enter(epoch + 1, &mut chain, &mut sweep)?;
        }
        if !lets_all_out(&at, &chain, &sweep) {
            let [absorbed, _] = self.in_the_end(&mut chain, &mut sweep)?;
            search.end_at(absorbed, self.shares_in_the_end(&chain)?);
        }
        search.go(&chain, &mut sweep, f64::INFINITY).map_err(of_epoch(last))?;
        Ok(search.found)
    }

    /// The plan.
    pub(super) fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// Where each epoch but the last ends.
    pub(super) fn breakpoints(&self) -> &[f64] {
        &self.breakpoints
    }

    /// θ of each epoch; there is at least one.
    pub(super) fn thetas(&self) -> &[Vec<f64>] {
        &self.thetas
    }

    /// The same at another set of θ.
    pub(super) fn at(&self, thetas: &[Vec<f64>]) -> Result<Self, DistributionError> {
        let thetas = self.plan.epochs(&self.breakpoints, thetas)?.thetas;
        Ok(Self { thetas, ..self.clone() })
    }

    fn limit(&self, chain: &mut Chain<'_>) {
        if let Some(jump_limit) = self.jump_limit {
            chain.set_jump_limit(jump_limit);
        }
    }

    /// The first chain, and a sweep that is about to go through all, asked for tails of absorption from a time on.
    fn begin(
        &self,
        start: Start,
        horizon: f64,
        accuracy: Accuracy,
        first_asked: f64,
    ) -> Result<(Chain<'p>, Sweep), DistributionError> {
        let mut chain = self.plan.chain(&self.thetas[0])?;
        chain.set_start(start)?;
        self.limit(&mut chain);
        // What is dropped in one epoch may be let out faster in another.
        let mut strictest = precision(&chain, horizon, self.tolerance, accuracy);
        let mut later_exit = None;
        let mut ahead = EpochsAhead::ending_at(&self.breakpoints);
        ahead.add(&chain, first_asked);
        for theta in &self.thetas[1..] {
            chain.set(theta)?;
            ahead.add(&chain, first_asked);
            let here = precision(&chain, horizon, self.tolerance, accuracy);
            strictest.mass = strictest.mass.min(here.mass);
            later_exit = Some(chain.exits().iter().copied().fold(later_exit.unwrap_or(0.0), f64::max));
        }
        chain.set(&self.thetas[0])?;
        let mut sweep = Sweep::new(&chain, strictest);
        sweep.exact_ends |= !self.breakpoints.is_empty();
        sweep.later_exit = later_exit;
        if accuracy != Accuracy::Peak {
            sweep.go_through(&chain, ahead, first_asked);
        }
        Ok((chain, sweep))
    }

    /// Goes to `until` through all breakpoints on the way.
    fn advance(
        &self,
        chain: &mut Chain<'p>,
        sweep: &mut Sweep,
        until: f64,
        mut visited: Option<&mut [f64]>,
        segment: &mut Segment,
        mut show: impl FnMut(&Segment),
    ) -> Result<(), DistributionError> {
        let mut epoch = self.breakpoints.partition_point(|&breakpoint| breakpoint <= sweep.now);
        while let Some(&breakpoint) = self.breakpoints.get(epoch).filter(|&&breakpoint| breakpoint < until) {
            let swept = sweep.advance(chain, breakpoint, visited.as_deref_mut(), segment, &mut show);
            swept.map_err(of_epoch(epoch))?;
            epoch += 1;
            self.enter(epoch, chain, sweep)?;
        }
        sweep.advance(chain, until, visited, segment, &mut show).map_err(of_epoch(epoch))?;
        // Exactly at a breakpoint the next epoch begins.
        if self.breakpoints.get(epoch) == Some(&until) {
            self.enter(epoch + 1, chain, sweep)?;
        }
        Ok(())
    }

    /// Goes on with the rates of an epoch.
    fn enter(&self, epoch: usize, chain: &mut Chain<'p>, sweep: &mut Sweep) -> Result<(), DistributionError> {
        chain.set(&self.thetas[epoch])?;
        sweep.next_epoch(chain);
        if epoch + 1 == self.thetas.len() {
            sweep.later_exit = None;
        }
        Ok(())
    }
}
