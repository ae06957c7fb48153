//! Continuous time with parameters that change at given times.

use phasic_engine::distribution::Epochs;

use super::law::{Found, Law, Treatment, unanswered};
use super::model::Subject;
use super::no_number::NoNumber;
use crate::points::Observations;
use crate::quantity::{Function, Quantity, States};

/// The time to absorption when θ is another from each breakpoint on.
pub(super) struct Changing<'a> {
    law: Epochs<'a>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(subject: Subject<'a>, treatment: &'a Treatment) -> Result<Self, NoNumber> {
        let breakpoints: Vec<f64> = treatment.epochs.iter().map(|epoch| epoch.from).collect();
        let later = treatment.epochs.iter().map(|epoch| epoch.theta.values.clone());
        let thetas: Vec<Vec<f64>> = std::iter::once(subject.theta()).chain(later).collect();
        Ok(Self { law: subject.plan()?.epochs(&breakpoints, &thetas)?.start(treatment.start) })
    }

    /// Whether there is an answer to a quantity when parameters change.
    pub(super) fn answers(quantity: &Quantity) -> bool {
        matches!(
            quantity,
            Quantity::Expectation
                | Quantity::Variance
                | Quantity::Moments(_)
                | Quantity::Function(Function::Pdf | Function::Cdf | Function::Survival, _)
                | Quantity::States(States::StopProbability, _)
        )
    }
}

impl Law for Changing<'_> {
    fn total(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<Found, NoNumber> {
        Ok(match quantity {
            Quantity::Expectation => Found::One(self.law.expectation()?),
            Quantity::Variance => {
                let moments = self.law.moments(2)?;
                Found::One(moments[1] - moments[0] * moments[0])
            }
            Quantity::Moments(count) => Found::Many(self.law.moments(*count as usize)?),
            other => return Err(unanswered(other.key())),
        })
    }

    fn function(&self, function: Function, points: &[f64]) -> Result<Vec<f64>, NoNumber> {
        let curve = self.law.curve(points)?;
        Ok(match function {
            Function::Pdf => curve.pdf,
            Function::Cdf => curve.cdf,
            Function::Survival => curve.survival,
            other => return Err(unanswered(other.key())),
        })
    }

    fn states(&self, states: States, times: &[f64]) -> Result<Vec<Vec<f64>>, NoNumber> {
        if states == States::VisitingTime {
            return Err(unanswered(states.key()));
        }
        let rows = self.law.stop_probability(times)?;
        Ok(rows.rows().into_iter().map(|row| row.to_vec()).collect())
    }

    fn log_likelihood(&self, _: &Observations) -> Result<f64, NoNumber> {
        Err(unanswered("loglik"))
    }

    fn gradient(&self, quantity: &Quantity, _: &[&[f64]]) -> Result<Found, NoNumber> {
        Err(unanswered(quantity.key()))
    }
}
