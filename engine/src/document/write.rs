//! Writes graphs as `phasic-graph/1`: one line a vertex, one line an edge, and the same text for the same graph always.
//!
//! What is written reads back as an equal graph; numbers are the shortest that do.

use std::fmt::Write as _;

use crate::graph::{Edge, Graph, START};

/// The `phasic-graph/1` document of a graph. Linear time.
///
/// An edge gets its fixed weight as a fourth item when it has no coefficients, and when it leaves the start and weighs
/// something else than the sum of its coefficients.
///
/// ```
/// use phasic_engine::document::{Document, read, write_graph};
///
/// let text = r#"{
/// "format": "phasic-graph/1",
/// "state_length": 1,
/// "param_length": 2,
/// "parameterized": true,
/// "was_dph": false,
/// "vertices": [
/// [0],
/// [1],
/// [2]],
/// "edges": [
/// [0, 1, [1.0]],
/// [1, 2, [0.5, 2.0]]]
/// }
/// "#;
/// let Document::Graph(graph) = read(text)? else { unreachable!("it says so") };
/// assert_eq!(write_graph(&graph), text);
/// # Ok::<(), phasic_engine::document::DocumentError>(())
/// ```
pub fn write_graph(graph: &Graph) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    _ = write!(
        out,
        "{{\n\"format\": \"phasic-graph/1\",\n\"state_length\": {},\n\"param_length\": {},\n\"parameterized\": {},\n\
         \"was_dph\": {},\n\"vertices\": [",
        graph.state_length(),
        graph.param_length(),
        graph.is_parameterized(),
        graph.was_dph()
    );
    for vertex in 0..graph.vertex_count() {
        out.push_str(if vertex == 0 { "\n" } else { ",\n" });
        _ = write!(out, "{:?}", graph.state(vertex));
    }
    out.push_str("],\n\"edges\": [");
    let mut separator = "\n";
    for vertex in 0..graph.vertex_count() {
        for edge in graph.edges(vertex) {
            out.push_str(separator);
            separator = ",\n";
            _ = write!(out, "[{vertex}, {}, {:?}", edge.target, edge.coefficients);
            if let Some(weight) = own_weight(graph, vertex, &edge) {
                _ = write!(out, ", {weight:?}");
            }
            out.push(']');
        }
    }
    out.push_str("]\n}\n");
    out
}

/// The weight of an edge if its coefficients do not tell it.
fn own_weight(graph: &Graph, source: u32, edge: &Edge<'_>) -> Option<f64> {
    let weight = graph.fixed_weight(edge.index)?;
    let sum = edge.coefficients.iter().fold(0.0, |sum: f64, coefficient| sum + coefficient);
    let is_told = source == START && !edge.coefficients.is_empty() && sum.to_bits() == weight.to_bits();
    (!is_told).then_some(weight)
}
