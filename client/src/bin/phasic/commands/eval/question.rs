//! What is asked of a model at each θ, whether it can be asked, and the printed answers.

use phasic_engine::graph::Graph;
use phasic_engine::trace::{Replay, ReplayError};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::{Output, list, number, numbers, text};
use crate::quantity::Quantity;
use crate::vectors::Vector;

/// Quantities and the rewards they are asked under.
pub(super) struct Question {
    quantities: Vec<Quantity>,
    rewards: Vec<Vector>,
}

/// The numbers at one θ.
pub(super) struct Results<'a> {
    theta: Option<&'a Vector>,
    found: Vec<(Quantity, Found)>,
}

enum Found {
    One(f64),
    Many(Vec<f64>),
}

impl Question {
    /// Checks that the quantities go together with each other and with this many reward vectors.
    pub(super) fn new(quantities: &[Quantity], rewards: Vec<Vector>) -> Result<Self, Failure> {
        let quantities = if quantities.is_empty() {
            vec![Quantity::Expectation, Quantity::Variance]
        } else {
            quantities.to_vec()
        };
        for (place, quantity) in quantities.iter().enumerate() {
            if quantities[..place].iter().any(|earlier| earlier.key() == quantity.key()) {
                return Err(Failure::input(format!("--quantity {quantity} is given twice")));
            }
            let (fits, takes) = match quantity {
                Quantity::Covariance => (rewards.len() == 2, "exactly two --rewards"),
                Quantity::Sojourn => (rewards.is_empty(), "no --rewards"),
                _ => (rewards.len() <= 1, "at most one --rewards"),
            };
            if !fits {
                return Err(Failure::input(format!(
                    "{quantity} takes {takes}, but {} are given",
                    rewards.len()
                )));
            }
        }
        Ok(Self { quantities, rewards })
    }

    /// Checks that there is a reward for each vertex.
    pub(super) fn check_lengths(&self, graph: &Graph) -> Result<(), Failure> {
        let vertices = graph.vertex_count() as usize;
        match self.rewards.iter().find(|rewards| rewards.values.len() != vertices) {
            None => Ok(()),
            Some(wrong) => Err(Failure::input(format!(
                "{}: {} rewards, but the model has {vertices} vertices, the start included",
                wrong.origin,
                wrong.values.len()
            ))),
        }
    }

    pub(super) fn asks_for_higher_moments(&self) -> bool {
        self.quantities.iter().any(|quantity| matches!(quantity, Quantity::Moments(2..)))
    }

    pub(super) fn answer<'a>(
        &'a self,
        replay: &Replay,
        theta: Option<&'a Vector>,
    ) -> Result<Results<'a>, ReplayError> {
        let found = self.quantities.iter().map(|&quantity| Ok((quantity, self.find(quantity, replay)?)));
        Ok(Results { theta, found: found.collect::<Result<_, _>>()? })
    }

    fn find(&self, quantity: Quantity, replay: &Replay) -> Result<Found, ReplayError> {
        let rewards = |place: usize| self.rewards.get(place).map(|rewards| rewards.values.as_slice());
        Ok(match quantity {
            Quantity::Expectation => Found::One(replay.expectation(rewards(0))?),
            Quantity::Variance => Found::One(replay.variance(rewards(0))?),
            Quantity::Moments(count) => Found::Many(replay.moments(count as usize, rewards(0))?),
            Quantity::Covariance => Found::One(replay.covariance(rewards(0), rewards(1))?),
            Quantity::WaitingTime => Found::Many(replay.waiting_times(rewards(0))?),
            Quantity::Sojourn => Found::Many(replay.sojourn_times()?),
        })
    }
}

impl Results<'_> {
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("theta".to_owned(), self.theta.map_or(Value::Null, |theta| json!(theta.values)));
        for (quantity, found) in &self.found {
            let value = match found {
                Found::One(value) => number(*value),
                Found::Many(values) => numbers(values),
            };
            object.insert(quantity.key().to_owned(), value);
        }
        Value::Object(object)
    }

    pub(super) fn print(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut fields = Vec::with_capacity(1 + self.found.len());
        if let Some(theta) = self.theta {
            fields.push(("theta", list(&theta.values)));
        }
        fields.extend(self.found.iter().map(|(quantity, found)| match found {
            Found::One(value) => (quantity.key(), text(*value)),
            Found::Many(values) => (quantity.key(), list(values)),
        }));
        output.fields(&fields)
    }
}
