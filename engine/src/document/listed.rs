//! Reads `phasic-graph/1`: graphs listed vertex by vertex and edge by edge.
//!
//! Fields that mean nothing here are ignored, so the golden files of the specification can be read as they are.

use super::json::Value;
use super::{DocumentError, Problem, check_start, read_state};
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};

type Result<T, E = DocumentError> = std::result::Result<T, E>;

pub(super) fn read(root: Value<'_>, limits: &GraphLimits) -> Result<Graph> {
    let mut builder = vertices(root, limits)?;
    let edges = root.require("edges")?;
    let parameterized = match root.get("parameterized") {
        Some(value) => value.boolean()?,
        None => edges.list()?.any(decides_mode),
    };
    builder.set_parameterized(parameterized);
    let param_length = root.get("param_length").map(|value| value.whole("a length")).transpose()?;
    let param_length: Option<usize> = param_length.map(|length: u32| length as usize);
    if let Some(length @ 1..) = param_length {
        let place = root.require("param_length")?;
        builder.set_param_length(length).map_err(|error| place.error(error))?;
    }
    if let Some(was_dph) = root.get("was_dph") {
        builder.set_was_dph(was_dph.boolean()?);
    }
    let mut coefficients = Vec::new();
    for item in edges.list()? {
        let edge = Edge::read(item, &mut coefficients)?;
        if param_length == Some(0) && edge.from != START && !coefficients.is_empty() {
            return Err(item.error(Problem::NoParameters));
        }
        edge.add(item, &coefficients, parameterized, &mut builder)?;
    }
    Ok(builder.finish())
}

fn vertices(root: Value<'_>, limits: &GraphLimits) -> Result<GraphBuilder> {
    let list = root.require("vertices")?;
    let Some(first) = list.list()?.next() else {
        return Err(list.error(Problem::Length { expected: "at least the start".to_owned(), found: 0 }));
    };
    let length = match root.get("state_length") {
        Some(value) => value.whole::<u32>("a length")? as usize,
        None => first.list()?.count(),
    };
    let mut builder = GraphBuilder::with_limits(length, *limits).map_err(|error| list.error(error))?;
    let mut state = Vec::new();
    for (position, vertex) in list.list()?.enumerate() {
        read_state(vertex, length, &mut state)?;
        if position == 0 {
            check_start(vertex, &state)?;
        } else {
            builder.add_vertex(&state).map_err(|error| vertex.error(error))?;
        }
    }
    Ok(builder)
}

/// Whether an edge makes a graph parameterized whose document does not say: it has coefficients and leaves a vertex
/// other than the start.
fn decides_mode(edge: Value<'_>) -> bool {
    let Some(mut items) = edge.as_list() else { return false };
    let (from, coefficients) = (items.next(), items.nth(1));
    let is_start = from.is_some_and(|from| from.whole::<u32>("").is_ok_and(|from| from == START));
    !is_start && coefficients.and_then(Value::as_list).is_some_and(|mut list| list.next().is_some())
}

struct Edge {
    from: u32,
    to: u32,
    weight: Option<f64>,
}

impl Edge {
    /// Reads `[from, to, [coefficients]]` or `[from, to, [coefficients], weight]`.
    fn read(item: Value<'_>, coefficients: &mut Vec<f64>) -> Result<Self> {
        let mut items = item.list()?;
        let (Some(from), Some(to), Some(list)) = (items.next(), items.next(), items.next()) else {
            return Err(wrong_length(item));
        };
        let weight = items.next();
        if items.next().is_some() {
            return Err(wrong_length(item));
        }
        coefficients.clear();
        for coefficient in list.list()? {
            coefficients.push(coefficient.float()?);
        }
        Ok(Self {
            from: from.whole("the index of a vertex")?,
            to: to.whole("the index of a vertex")?,
            weight: weight.map(Value::float).transpose()?,
        })
    }

    fn add(
        &self,
        item: Value<'_>,
        coefficients: &[f64],
        parameterized: bool,
        builder: &mut GraphBuilder,
    ) -> Result<()> {
        let Self { from, to, weight } = *self;
        let added = match (coefficients, weight) {
            ([], None) => return Err(item.error(Problem::MissingWeight)),
            (_, _) if from == START => {
                let sum = coefficients.iter().fold(0.0, |sum, coefficient| sum + coefficient);
                builder.add_start_edge(to, coefficients, weight.unwrap_or(sum))
            }
            ([], Some(weight)) => builder.add_fixed_edge(from, to, weight),
            (_, Some(_)) => return Err(item.error(Problem::SurplusWeight)),
            (_, None) if parameterized => builder.add_edge(from, to, Rate::Coefficients(coefficients)),
            ([rate], None) => builder.add_edge(from, to, Rate::Scalar(*rate)),
            (_, None) => {
                let expected = "one coefficient, as the graph is not parameterized".to_owned();
                return Err(item.error(Problem::Length { expected, found: coefficients.len() }));
            }
        };
        added.map_err(|error| item.error(error))
    }
}

fn wrong_length(edge: Value<'_>) -> DocumentError {
    let found = edge.as_list().map_or(0, Iterator::count);
    edge.error(Problem::Length {
        expected: "[from, to, [coefficients]] and perhaps a weight".to_owned(),
        found,
    })
}
