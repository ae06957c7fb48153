//! Reads the JSON of phasic's `serialize()`, bare or as `graph_data` of a file of its graph cache.
//!
//! Rows are added in the order in which phasic rebuilds: coefficient rows first. Unlike phasic, vertices that share a
//! state stay apart, so the auxiliary vertices of discretized graphs survive; that the graph was in discrete time is not
//! in this format, and neither is whether its rates were plain numbers. Arrays may be wrapped as
//! `{"__type__": "ndarray", "__data__": […]}`; any other type names code and is refused.

use super::json::{Items, Value};
use super::{DocumentError, Problem, check_start, read_state};
use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate};

type Result<T, E = DocumentError> = std::result::Result<T, E>;

pub(super) fn read(root: Value<'_>, limits: &GraphLimits) -> Result<Graph> {
    let root = root.get("graph_data").unwrap_or(root);
    refuse_foreign(root)?;
    let mut builder = vertices(root, limits)?;
    if let Some(length) = root.get("param_length").filter(|length| !length.is_null()) {
        let param_length: u32 = length.whole("a length")?;
        if param_length > 0 {
            builder.set_param_length(param_length as usize).map_err(|error| length.error(error))?;
        }
    }
    for row in rows(root, "param_edges")? {
        let (ends, rates) = row_parts::<2>(row, "[from, to, coefficients…]")?;
        at(row, builder.add_edge(ends[0], ends[1], Rate::Coefficients(&rates)))?;
    }
    for row in rows(root, "start_edges")? {
        let (ends, weight) = row_parts::<1>(row, "[to, weight]")?;
        let weight = single(row, &weight, "[to, weight]")?;
        at(row, builder.add_start_edge(ends[0], &[weight], weight))?;
    }
    for row in rows(root, "edges")? {
        let (ends, weight) = row_parts::<2>(row, "[from, to, weight]")?;
        let weight = single(row, &weight, "[from, to, weight]")?;
        at(row, builder.add_edge(ends[0], ends[1], Rate::Scalar(weight)))?;
    }
    for row in rows(root, "constant_edges")? {
        let (ends, weight) = row_parts::<2>(row, "[from, to, weight]")?;
        let weight = single(row, &weight, "[from, to, weight]")?;
        at(row, builder.add_fixed_edge(ends[0], ends[1], weight))?;
    }
    // phasic never fills this list, so nothing says what its rows would mean.
    if let Some(row) = rows(root, "start_param_edges")?.next() {
        return Err(
            row.error(Problem::Length { expected: "no rows in `start_param_edges`".to_owned(), found: 1 })
        );
    }
    Ok(builder.finish())
}

fn vertices(root: Value<'_>, limits: &GraphLimits) -> Result<GraphBuilder> {
    let length_value = root.require("state_length")?;
    let length = length_value.whole::<u32>("a length")? as usize;
    let mut builder =
        GraphBuilder::with_limits(length, *limits).map_err(|error| length_value.error(error))?;
    let states = root.require("states")?;
    let mut state = Vec::new();
    let mut count = 0;
    for vertex in rows(root, "states")? {
        read_state(vertex, length, &mut state)?;
        if count == 0 {
            check_start(vertex, &state)?;
        } else {
            at(vertex, builder.add_vertex(&state).map(drop))?;
        }
        count += 1;
    }
    if count == 0 {
        return Err(states.error(Problem::Length { expected: "at least the start".to_owned(), found: 0 }));
    }
    for (position, index) in rows(root, "vertex_indices")?.enumerate() {
        if index.whole::<u32>("the index of a vertex")? as usize != position {
            let found = index.whole::<i64>("the index of a vertex")?.into();
            return Err(index.error(Problem::Whole { expected: "vertices listed in index order", found }));
        }
    }
    Ok(builder)
}

/// The elements of an array, wrapped or not; none when it is absent.
fn rows<'j>(root: Value<'j>, key: &str) -> Result<Items<'j>> {
    let Some(value) = root.get(key) else { return Ok(Items::none()) };
    if value.is_object() {
        refuse_foreign(value)?;
        return value.require("__data__")?.list();
    }
    value.list()
}

/// Refuses objects that stand for a value of a Python class.
fn refuse_foreign(value: Value<'_>) -> Result<()> {
    match value.get("__type__") {
        None => Ok(()),
        Some(name) => match name.string()? {
            plain if plain == "ndarray" => Ok(()),
            foreign => Err(name.error(Problem::ForeignType(foreign.into_owned()))),
        },
    }
}

/// A row as `N` vertex indices and the numbers after them.
fn row_parts<const N: usize>(row: Value<'_>, shape: &'static str) -> Result<([u32; N], Vec<f64>)> {
    let mut items = row.list()?;
    let mut ends = [0; N];
    for end in &mut ends {
        let Some(item) = items.next() else { return Err(wrong_shape(row, shape)) };
        *end = item.whole("the index of a vertex")?;
    }
    let numbers = items.map(Value::float).collect::<Result<_>>()?;
    Ok((ends, numbers))
}

fn single(row: Value<'_>, numbers: &[f64], shape: &'static str) -> Result<f64> {
    match numbers {
        [number] => Ok(*number),
        _ => Err(wrong_shape(row, shape)),
    }
}

fn wrong_shape(row: Value<'_>, shape: &str) -> DocumentError {
    let found = row.as_list().map_or(0, Iterator::count);
    row.error(Problem::Length { expected: shape.to_owned(), found })
}

fn at(place: Value<'_>, result: Result<(), GraphError>) -> Result<()> {
    result.map_err(|error| place.error(error))
}
