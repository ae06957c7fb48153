//! What is asked of a model at each θ, whether it can be asked, and the printed answers.

use phasic_engine::graph::Graph;
use serde_json::{Map, Value, json};

use super::solver::{Found, NoNumber, Numbers};
use crate::failure::Failure;
use crate::output::{Output, list, number, numbers, text};
use crate::quantity::Quantity;
use crate::vectors::Vector;

/// Quantities and the rewards they are asked under.
pub(super) struct Question {
    quantities: Vec<Quantity>,
    rewards: Vec<Vector>,
    gradients: bool,
}

/// The numbers at one θ.
pub(super) struct Results<'a> {
    theta: Option<&'a Vector>,
    found: Vec<(Quantity, Found)>,
    gradients: Vec<(Quantity, Found)>,
}

impl Question {
    /// Checks that the quantities go together with each other, with this many reward vectors, and with gradients.
    pub(super) fn new(
        quantities: &[Quantity],
        rewards: Vec<Vector>,
        gradients: bool,
    ) -> Result<Self, Failure> {
        let quantities = if quantities.is_empty() {
            vec![Quantity::Expectation, Quantity::Variance]
        } else {
            quantities.to_vec()
        };
        for (place, quantity) in quantities.iter().enumerate() {
            if quantities[..place].iter().any(|earlier| earlier.key() == quantity.key()) {
                return Err(Failure::input(format!("--quantity {quantity} is given twice")));
            }
            if gradients && !quantity.has_gradient() {
                return Err(Failure::input(format!(
                    "--grad gives gradients of numbers, but {quantity} is a list by vertex"
                )));
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
        Ok(Self { quantities, rewards, gradients })
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
        numbers: &Numbers<'_>,
        theta: Option<&'a Vector>,
    ) -> Result<Results<'a>, NoNumber> {
        let rewards: Vec<&[f64]> = self.rewards.iter().map(|rewards| rewards.values.as_slice()).collect();
        let mut results = Results { theta, found: Vec::new(), gradients: Vec::new() };
        for &quantity in &self.quantities {
            results.found.push((quantity, numbers.find(quantity, &rewards)?));
            if self.gradients
                && let Some(gradient) = numbers.gradient(quantity, &rewards)?
            {
                results.gradients.push((quantity, gradient));
            }
        }
        Ok(results)
    }
}

impl Results<'_> {
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("theta".to_owned(), self.theta.map_or(Value::Null, |theta| json!(theta.values)));
        insert(&mut object, &self.found);
        if !self.gradients.is_empty() {
            let mut gradients = Map::new();
            insert(&mut gradients, &self.gradients);
            object.insert("gradient".to_owned(), Value::Object(gradients));
        }
        Value::Object(object)
    }

    pub(super) fn print(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut fields: Vec<(String, String)> = Vec::new();
        if let Some(theta) = self.theta {
            fields.push(("theta".to_owned(), list(&theta.values)));
        }
        fields.extend(self.found.iter().map(|(quantity, found)| (quantity.key().to_owned(), shown(found))));
        let gradients = self.gradients.iter();
        fields.extend(gradients.map(|(quantity, found)| (format!("d {}", quantity.key()), shown(found))));
        let fields: Vec<(&str, String)> =
            fields.iter().map(|(name, value)| (&name[..], value.clone())).collect();
        output.fields(&fields)
    }
}

fn insert(object: &mut Map<String, Value>, found: &[(Quantity, Found)]) {
    for (quantity, found) in found {
        let value = match found {
            Found::One(value) => number(*value),
            Found::Many(values) => numbers(values),
            Found::Table(rows) => rows.iter().map(|row| numbers(row)).collect(),
        };
        object.insert(quantity.key().to_owned(), value);
    }
}

fn shown(found: &Found) -> String {
    match found {
        Found::One(value) => text(*value),
        Found::Many(values) => list(values),
        Found::Table(rows) => rows.iter().map(|row| list(row)).collect::<Vec<_>>().join("; "),
    }
}
