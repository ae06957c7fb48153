//! phasic's own numbers: the replay of a program for totals, fixed steps for functions of time.

use std::cell::OnceCell;

use super::law::{Found, Law, Source, Treatment, Watch, in_parts, joint, law, of_vertices};
use super::{Function, Model, NoAnswer, Observations, Quantity, States};
use crate::distribution::StepScheme;
use crate::trace::Replay;

/// A model as phasic computes it. Nothing is made before it is asked for.
pub(super) struct Phasic<'m> {
    model: &'m Model<'m>,
    treatment: &'m Treatment,
    /// The same treatment of what phasic does not have, or only at random.
    own: Treatment,
    theta: Option<Vec<f64>>,
    watch: Watch<'m>,
    replay: OnceCell<Replay>,
    steps: OnceCell<StepScheme<'m>>,
}

impl<'m> Phasic<'m> {
    pub(super) fn new(
        model: &'m Model<'_>,
        treatment: &'m Treatment,
        theta: Option<&[f64]>,
        watch: Watch<'m>,
    ) -> Self {
        let own = Treatment { source: Source::Plan, granularity: 0, ..treatment.clone() };
        let theta = theta.map(<[f64]>::to_vec);
        Self { model, treatment, own, theta, watch, replay: OnceCell::new(), steps: OnceCell::new() }
    }

    fn replay(&self) -> Result<&Replay, NoAnswer> {
        if let Some(replay) = self.replay.get() {
            return Ok(replay);
        }
        let weights = self.model.weights(self.theta.as_deref())?;
        let replay = self.model.trace()?.replay(self.model.graph(), &weights)?;
        Ok(self.replay.get_or_init(|| replay))
    }

    fn steps(&self) -> Result<&StepScheme<'m>, NoAnswer> {
        if let Some(steps) = self.steps.get() {
            return Ok(steps);
        }
        let (graph, weights) = (self.model.graph(), self.model.weights(self.theta.as_deref())?);
        let mut steps = if self.is_discrete() {
            StepScheme::of_jumps(graph, &weights)?
        } else {
            StepScheme::new(graph, &weights, self.treatment.granularity)?
        };
        let entries = u64::from(graph.edge_count()) + u64::from(graph.vertex_count());
        if let Some(limit) = self.treatment.jumps(entries) {
            steps = steps.with_step_limit(limit);
        }
        Ok(self.steps.get_or_init(|| steps))
    }

    /// What phasic does not have is our own.
    fn own(&self) -> Result<Box<dyn Law + '_>, NoAnswer> {
        law(self.model, &self.own, self.theta.as_deref(), self.watch)
    }

    /// phasic's own value, or the right one of a program.
    fn variance(&self, rewards: Option<&[f64]>) -> Result<f64, NoAnswer> {
        let replay = self.replay()?;
        let of_phasic = self.treatment.source == Source::Phasic;
        Ok(if of_phasic { replay.phasic_variance(rewards)? } else { replay.variance(rewards)? })
    }

    fn covariance(&self, first: &[f64], second: &[f64]) -> Result<f64, NoAnswer> {
        let replay = self.replay()?;
        if self.treatment.source == Source::Phasic {
            return Ok(replay.phasic_covariance(first, second)?);
        }
        Ok(replay.covariance(Some(first), Some(second))?)
    }

    fn is_discrete(&self) -> bool {
        self.model.graph().was_dph()
    }
}

impl Law for Phasic<'_> {
    fn set(&mut self, theta: Option<&[f64]>) -> Result<(), NoAnswer> {
        self.theta = theta.map(<[f64]>::to_vec);
        (self.replay, self.steps) = (OnceCell::new(), OnceCell::new());
        Ok(())
    }

    fn total(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        let (replay, first) = (self.replay()?, rewards.first().copied());
        Ok(match quantity {
            Quantity::Expectation => Found::One(replay.expectation(first)?),
            Quantity::Variance => Found::One(self.variance(first)?),
            Quantity::Moments(count) => Found::Many(replay.moments(*count as usize, first)?),
            Quantity::Covariance | Quantity::Correlation | Quantity::Covariances | Quantity::Correlations => {
                joint(
                    quantity,
                    rewards,
                    |first, second| self.covariance(first, second),
                    |rewards| self.variance(Some(rewards)),
                )?
            }
            Quantity::WaitingTimes(vertices) => {
                of_vertices(replay.waiting_times(first)?, vertices.as_deref())
            }
            Quantity::SojournTimes(vertices) => of_vertices(replay.sojourn_times()?, vertices.as_deref()),
            other => return Err(NoAnswer::unanswered(other)),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoAnswer> {
        Ok(match function {
            Function::Pdf | Function::Pmf => self.steps()?.pdf(points)?,
            Function::Cdf => self.steps()?.cdf(points)?,
            Function::Survival => self.steps()?.curve(points)?.survival,
            Function::Hazard => {
                let curve = self.steps()?.curve(points)?;
                // In discrete time, of absorption by this jump, given that there was none before.
                let before = if self.is_discrete() { 1.0 } else { 0.0 };
                let hazard = |(density, alive): (&f64, &f64)| density / (alive + before * density);
                curve.pdf.iter().zip(&curve.survival).map(hazard).collect()
            }
            Function::Quantile => self.own()?.function(function, points)?,
            Function::Laplace => {
                let theta = self.model.numbers(self.theta.as_deref());
                let process = self.model.plan()?.distribution(&theta)?;
                in_parts(process.phasic_laplace_by_eight(points)?, self.watch)?
            }
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoAnswer> {
        let steps = self.steps()?;
        // All of them first: each is walked to by itself, and would be the first of its list.
        steps.check(times)?;
        let row = |&time: &f64| {
            Ok(match states {
                States::StopProbability => steps.stop_probability(time)?,
                States::VisitingTimes => steps.accumulated_visiting_time(time)?,
            })
        };
        times.iter().map(row).collect()
    }

    fn log_likelihood(&self, observations: &Observations) -> Result<f64, NoAnswer> {
        let seen = self.function(Function::Pdf, &observations.seen)?;
        let alive = self.function(Function::Survival, &observations.alive)?;
        Ok(seen.iter().chain(&alive).map(|value| value.ln()).sum())
    }

    fn sample(&self, quantity: &Quantity, rewards: &[&[f64]]) -> Result<Found, NoAnswer> {
        self.own()?.sample(quantity, rewards)
    }

    fn with_gradient(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<(Found, Found), NoAnswer> {
        Err(NoAnswer::unanswered(quantity))
    }
}
