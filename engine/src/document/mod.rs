//! Documents that describe graphs: finding out their kind, reading them, and writing graphs back.
//!
//! Kinds are `phasic-graph/1`, `phasic-model/1` (its rules are in `model`) and the JSON of phasic's `serialize()`.
//! Every complaint has a place. Nothing here reads files.

mod error;
pub(crate) mod json;
mod listed;
mod place;
mod serialized;
#[cfg(test)]
mod tests;
mod write;

pub use error::{DocumentError, Problem};
pub use json::JsonProblem;
pub use place::Place;
pub use write::write_graph;

use crate::graph::{Graph, GraphLimits};
use crate::model::ModelDocument;
use json::{Json, Value};

/// What a document describes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Document {
    /// A graph, vertex by vertex and edge by edge.
    Graph(Graph),
    /// Rules that build a graph.
    Model(ModelDocument),
}

impl Document {
    /// The graph: built under these limits if the document has rules, else as it was read.
    ///
    /// # Errors
    /// As [`ModelDocument::build`].
    pub fn into_graph(self, limits: &GraphLimits) -> Result<Graph, DocumentError> {
        match self {
            Self::Graph(graph) => Ok(graph),
            Self::Model(model) => model.build(limits),
        }
    }
}

/// Reads a document of any kind, under the default limits for graphs.
///
/// ```
/// use phasic_engine::document::{Document, read};
///
/// let text = r#"{"vertices": [[0], [1], [2]], "edges": [[0, 1, [1]], [1, 2, [1]]]}"#;
/// let Document::Graph(graph) = read(text)? else { unreachable!("it has vertices and edges") };
/// assert_eq!(
///     graph.content_hash().to_string(),
///     "29dc136099b6cf8de1d9180a234a2358b63c5ddca6649889f9ed6a25d914418c"
/// );
/// # Ok::<(), phasic_engine::document::DocumentError>(())
/// ```
///
/// # Errors
/// [`DocumentError`] at the first place that is not JSON or means nothing.
pub fn read(text: &str) -> Result<Document, DocumentError> {
    read_within(text, &GraphLimits::default())
}

/// Reads a document of any kind; a graph must keep these limits.
///
/// Linear in the length of the text. The text's index takes at most 12 bytes for each byte of it, usually fewer than 6.
///
/// # Errors
/// As [`read`]; [`GraphError::Limit`](crate::graph::GraphError::Limit) when a limit is passed.
pub fn read_within(text: &str, limits: &GraphLimits) -> Result<Document, DocumentError> {
    let json = Json::parse(text)?;
    match kind(json.root())? {
        Kind::Graph => listed::read(json.root(), limits).map(Document::Graph),
        Kind::Serialized => serialized::read(json.root(), limits).map(Document::Graph),
        Kind::Model => ModelDocument::from_json(json).map(Document::Model),
    }
}

enum Kind {
    Graph,
    Model,
    Serialized,
}

fn kind(root: Value<'_>) -> Result<Kind, DocumentError> {
    root.object()?;
    if let Some(format) = root.get("format") {
        return match &*format.string()? {
            "phasic-graph/1" => Ok(Kind::Graph),
            "phasic-model/1" => Ok(Kind::Model),
            other => Err(format.error(Problem::UnknownFormat(other.to_owned()))),
        };
    }
    let has = |key| root.get(key).is_some();
    if has("vertices") && has("edges") {
        Ok(Kind::Graph)
    } else if has("graph_data") || has("states") && has("param_edges") {
        Ok(Kind::Serialized)
    } else if has("state") && has("transitions") {
        Ok(Kind::Model)
    } else {
        Err(root.error(Problem::UnknownKind))
    }
}

/// Refuses members that mean nothing.
pub(crate) fn check_keys(object: Value<'_>, known: &[&str]) -> Result<(), DocumentError> {
    for (key, _) in object.members()? {
        let name = key.string()?;
        if !known.contains(&&*name) {
            let known = known.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
            return Err(key.error(Problem::UnknownKey { key: name.into_owned(), known }));
        }
    }
    Ok(())
}

/// Reads a list of whole numbers, each a state's integer, into `state`.
fn read_state(vertex: Value<'_>, length: usize, state: &mut Vec<i32>) -> Result<(), DocumentError> {
    state.clear();
    for item in vertex.list()? {
        state.push(item.whole("a 32-bit integer")?);
    }
    if state.len() == length {
        return Ok(());
    }
    let expected = format!("{length} integers, as in other states");
    Err(vertex.error(Problem::Length { expected, found: state.len() }))
}

/// Refuses a first vertex that is not the start.
fn check_start(vertex: Value<'_>, state: &[i32]) -> Result<(), DocumentError> {
    if state.iter().all(|&value| value == 0) { Ok(()) } else { Err(vertex.error(Problem::StartState)) }
}
