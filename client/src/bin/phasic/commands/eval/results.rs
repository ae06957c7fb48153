//! The printed answers: JSON, or fields and tables for people.

use phasic_engine::question::{self, Found, Function, Quantity};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::{Output, list, number, numbers, text};
use crate::quantity::{key, points, variable};
use crate::vectors::Vector;

/// The numbers at one θ.
pub(super) struct Results<'a> {
    pub(super) theta: Option<&'a Vector>,
    pub(super) answers: Vec<Answered<'a>>,
}

/// A quantity, what was found, and its gradient if that was asked for.
pub(super) struct Answered<'a> {
    pub(super) quantity: &'a Quantity,
    pub(super) found: Found,
    pub(super) gradient: Option<Found>,
}

impl<'a> Results<'a> {
    /// The answers to these quantities, in order.
    pub(super) fn new(
        theta: Option<&'a Vector>,
        quantities: &'a [Quantity],
        answers: Vec<question::Answer>,
    ) -> Self {
        let answered = |(quantity, answer): (&'a Quantity, question::Answer)| {
            let question::Answer { value, gradient } = answer;
            Answered { quantity, found: by_vertex(quantity, value), gradient }
        };
        Self { theta, answers: quantities.iter().zip(answers).map(answered).collect() }
    }

    /// One object, keys in the order they were asked for; `at` has the numbers that functions were asked at.
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("theta".to_owned(), self.theta.map_or(Value::Null, |theta| json!(theta.values)));
        let (mut at, mut gradients) = (Map::new(), Map::new());
        for Answered { quantity, found, gradient } in &self.answers {
            object.insert(key(quantity).to_owned(), value(found));
            if let Some(points) = points(quantity) {
                at.insert(key(quantity).to_owned(), numbers(points));
            }
            if let Some(gradient) = gradient {
                gradients.insert(key(quantity).to_owned(), value(gradient));
            }
        }
        for (key, map) in [("at", at), ("gradient", gradients)] {
            if !map.is_empty() {
                object.insert(key.to_owned(), Value::Object(map));
            }
        }
        Value::Object(object)
    }

    /// Fields first, then a table for each list of points.
    pub(super) fn print(&self, discrete: bool, output: &mut Output<'_>) -> Result<(), Failure> {
        let fields = self.fields();
        let borrowed: Vec<(&str, String)> =
            fields.iter().map(|(name, value)| (&name[..], value.clone())).collect();
        output.fields(&borrowed)?;
        let mut before = !fields.is_empty();
        let mut done: Vec<(&str, &[f64])> = Vec::new();
        for (function, points, _) in self.functions() {
            let group = (variable(function, discrete), points);
            if !done.contains(&group) {
                done.push(group);
                blank(&mut before, output)?;
                self.print_table(group, discrete, output)?;
            }
        }
        for answered in &self.answers {
            if let Quantity::Sample(_) | Quantity::JointSample(_) = answered.quantity {
                blank(&mut before, output)?;
                output.line("sample")?;
                match &answered.found {
                    Found::Many(draws) => draws.iter().try_for_each(|draw| output.line(text(*draw)))?,
                    Found::Table(rows) => rows.iter().try_for_each(|row| output.line(list(row)))?,
                    Found::One(draw) => output.line(text(*draw))?,
                }
            }
        }
        Ok(())
    }

    /// The functions that were asked for, with their points and values.
    pub(super) fn functions(&self) -> impl Iterator<Item = (Function, &'a [f64], &Answered<'a>)> {
        self.answers.iter().filter_map(|answered| match answered.quantity {
            Quantity::Function(function, points) => Some((*function, &points[..], answered)),
            _ => None,
        })
    }

    fn fields(&self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        if let Some(theta) = self.theta {
            fields.push(("theta".to_owned(), list(&theta.values)));
        }
        let alone = || {
            self.answers.iter().filter(|answered| {
                !matches!(answered.quantity, Quantity::Function(..)) && !answered.quantity.is_sampled()
            })
        };
        for Answered { quantity, found, .. } in alone() {
            match (quantity, found) {
                (Quantity::States(_, times), Found::Table(rows)) => {
                    let line = |(time, row): (&f64, &Vec<f64>)| {
                        (format!("{}({})", key(quantity), text(*time)), list(row))
                    };
                    fields.extend(times.iter().zip(rows).map(line));
                }
                _ => fields.push((key(quantity).to_owned(), shown(found))),
            }
        }
        for Answered { quantity, gradient, .. } in alone() {
            if let Some(gradient) = gradient {
                fields.push((format!("d {}", key(quantity)), shown(gradient)));
            }
        }
        fields
    }

    /// The functions of the same points, side by side, gradients last.
    fn print_table(
        &self,
        (axis, points): (&str, &[f64]),
        discrete: bool,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let same = || {
            self.functions()
                .filter(|(function, at, _)| variable(*function, discrete) == axis && *at == points)
        };
        let mut heading = vec![axis.to_owned()];
        let mut columns: Vec<Vec<String>> = vec![points.iter().copied().map(text).collect()];
        for (function, _, answered) in same() {
            heading.push(function.name().to_owned());
            columns.push(cells(&answered.found));
        }
        for (function, _, answered) in same() {
            if let Some(gradient) = &answered.gradient {
                heading.push(format!("d {}", function.name()));
                columns.push(cells(gradient));
            }
        }
        let row = |at: usize| columns.iter().map(|column| column[at].clone()).collect();
        let rows: Vec<Vec<String>> = (0..points.len()).map(row).collect();
        let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
        output.table(&heading, &rows)
    }
}

/// Lists by vertex at one time are one list.
fn by_vertex(quantity: &Quantity, found: Found) -> Found {
    match (quantity, found) {
        (Quantity::States(..), Found::Table(mut rows)) if rows.len() == 1 => Found::Many(rows.remove(0)),
        (_, found) => found,
    }
}

/// An empty line, but not at the beginning.
fn blank(before: &mut bool, output: &mut Output<'_>) -> Result<(), Failure> {
    if std::mem::replace(before, true) { output.line("") } else { Ok(()) }
}

fn value(found: &Found) -> Value {
    match found {
        Found::One(value) => number(*value),
        Found::Many(values) => numbers(values),
        Found::Table(rows) => rows.iter().map(|row| numbers(row)).collect(),
    }
}

fn shown(found: &Found) -> String {
    match found {
        Found::One(value) => text(*value),
        Found::Many(values) => list(values),
        Found::Table(rows) => rows.iter().map(|row| list(row)).collect::<Vec<_>>().join("; "),
    }
}

/// One text for each point.
fn cells(found: &Found) -> Vec<String> {
    match found {
        Found::One(value) => vec![text(*value)],
        Found::Many(values) => values.iter().copied().map(text).collect(),
        Found::Table(rows) => rows.iter().map(|row| list(row)).collect(),
    }
}
