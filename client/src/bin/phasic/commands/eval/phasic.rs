//! phasic's own numbers: the replay of a program for totals, fixed steps for functions of time.

use std::cell::OnceCell;

use phasic_engine::distribution::StepScheme;
use phasic_engine::trace::Replay;

use super::continuous::Times;
use super::discrete::Jumps;
use super::law::{Found, Law, Source, Treatment, joint, unanswered};
use super::model::Subject;
use super::no_number::NoNumber;
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};

/// A model as phasic computes it. Nothing is made before it is asked for.
pub(super) struct Phasic<'a> {
    subject: Subject<'a>,
    treatment: &'a Treatment,
    replay: OnceCell<Replay>,
    steps: OnceCell<StepScheme<'a>>,
}

impl<'a> Phasic<'a> {
    pub(super) fn new(subject: Subject<'a>, treatment: &'a Treatment) -> Self {
        Self { subject, treatment, replay: OnceCell::new(), steps: OnceCell::new() }
    }

    fn replay(&self) -> Result<&Replay, NoNumber> {
        if let Some(replay) = self.replay.get() {
            return Ok(replay);
        }
        let replay =
            self.subject.model.trace()?.replay(&self.subject.model.graph, &self.subject.weights()?)?;
        Ok(self.replay.get_or_init(|| replay))
    }

    fn steps(&self) -> Result<&StepScheme<'a>, NoNumber> {
        if let Some(steps) = self.steps.get() {
            return Ok(steps);
        }
        let (graph, weights) = (&self.subject.model.graph, self.subject.weights()?);
        let steps = if self.is_discrete() {
            StepScheme::of_jumps(graph, &weights)?
        } else {
            StepScheme::new(graph, &weights, self.treatment.granularity)?
        };
        Ok(self.steps.get_or_init(|| steps))
    }

    /// phasic's own value, or the right one of a program.
    fn variance(&self, rewards: Option<&[f64]>) -> Result<f64, NoNumber> {
        let replay = self.replay()?;
        let of_phasic = self.treatment.source == Source::Phasic;
        Ok(if of_phasic { replay.phasic_variance(rewards)? } else { replay.variance(rewards)? })
    }

    fn covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, NoNumber> {
        let replay = self.replay()?;
        if self.treatment.source == Source::Phasic {
            return Ok(replay.phasic_covariance(first, second)?);
        }
        Ok(replay.covariance(Some(first), Some(second))?)
    }

    fn is_discrete(&self) -> bool {
        self.subject.model.graph.was_dph()
    }
}

impl Law for Phasic<'_> {
    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoNumber> {
        let (replay, first) = (self.replay()?, rewards.first().copied());
        Ok(match quantity {
            Quantity::Expectation => Found::One(replay.expectation(first)?),
            Quantity::Variance => Found::One(self.variance(first)?),
            Quantity::Moments(count) => Found::Many(replay.moments(*count as usize, first)?),
            Quantity::Covariance | Quantity::Correlation => joint(
                quantity,
                rewards,
                |first, second| self.covariance(first, second),
                |rewards| self.variance(Some(rewards)),
            )?,
            Quantity::WaitingTime => Found::Many(replay.waiting_times(first)?),
            Quantity::Sojourn(_) => Found::Many(replay.sojourn_times()?),
            other => return Err(unanswered(other.key())),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber> {
        Ok(match function {
            Function::Quantile if self.is_discrete() => {
                Jumps::new(self.subject, self.treatment)?.function(function, points)?
            }
            Function::Pmf if self.is_discrete() => self.steps()?.pdf(points)?,
            Function::Pdf => self.steps()?.pdf(points)?,
            Function::Cdf => self.steps()?.cdf(points)?,
            Function::Survival => self.steps()?.curve(points)?.survival,
            Function::Hazard => {
                let curve = self.steps()?.curve(points)?;
                // In discrete time, of absorption by this jump, given that there was none before.
                let before = if self.is_discrete() { 1.0 } else { 0.0 };
                let hazard = |(density, alive): (&f64, &f64)| density / (alive + before * density);
                curve.pdf.iter().zip(&curve.survival).map(hazard).collect()
            }
            Function::Laplace if self.treatment.source == Source::Phasic => {
                self.subject.plan()?.distribution(&self.subject.theta())?.phasic_laplace(points)?
            }
            Function::Quantile | Function::Laplace | Function::Pmf => {
                Times::new(self.subject, self.treatment)?.function(function, points)?
            }
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoNumber> {
        let steps = self.steps()?;
        let row = |&time: &f64| {
            Ok(match states {
                States::StopProbability => steps.stop_probability(time)?,
                States::VisitingTime => steps.accumulated_visiting_time(time)?,
            })
        };
        times.iter().map(row).collect()
    }

    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoNumber> {
        let seen = self.function(Function::Pdf, &observations.seen)?;
        let alive = self.function(Function::Survival, &observations.alive)?;
        Ok(seen.iter().chain(&alive).map(|value| value.ln()).sum())
    }

    fn gradient(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<Found, NoNumber> {
        Err(unanswered(quantity.key()))
    }
}
