//! How a request names a model, and what the hub calls the graph it builds.
//!
//! Building the graph is the engine's business, finding a stored one the server's.

use phasic_engine::graph::{EdgeOrderDigest, GraphHash};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use serde_json::value::RawValue;

use crate::{ComputeId, Sha256};

/// A model of a request: exactly one of `document`, `builtin`, `compute` and `graph`.
///
/// ```
/// use phasic_hub_api::ModelSource;
/// let source: ModelSource = serde_json::from_str(r#"{"builtin": "kingman", "constants": {"n": 7}}"#)?;
/// assert_eq!(source.builtin.as_deref(), Some("kingman"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// A `phasic-model/1` or `phasic-graph/1` document, or the JSON of phasic's `serialize()`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub document: Option<Box<RawValue>>,
    /// The name of a built-in model document, such as `kingman`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<String>,
    /// Values for constants of a model document; those not named keep the document's.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "crate::bounded::constants")]
    #[cfg_attr(feature = "schema", schema(value_type = std::collections::BTreeMap<String, f64>))]
    pub constants: Map<String, serde_json::Value>,
    /// The id of a compute whose graph the hub has: of the definition its entry names in `metadata.hub.definition`, or the
    /// hub's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub compute: Option<ComputeId>,
    /// The content hash of a graph that the hub has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub graph: Option<GraphHash>,
    /// Which definition of the graph, or of the graph of the compute, where the hub has several with its content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub definition: Option<Sha256>,
}

/// What a graph is called, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GraphIdentity {
    /// phasic's content hash: ignores the order of edges, and weights that no parameter changes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// The digest of the ordered edge lists; with the hash it says which programs fit.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub edge_order_digest: EdgeOrderDigest,
    /// SHA-256 of hash, digest, and every coefficient and fixed weight: two graphs with one definition give the same
    /// numbers.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub definition: Sha256,
    /// Vertices, the start included.
    pub vertices: u64,
    /// Edges.
    pub edges: u64,
    /// Integers per state.
    pub state_length: u64,
    /// Parameters: the numbers θ has.
    pub param_length: u64,
    /// Whether time is counted in jumps.
    pub discrete: bool,
    /// Whether some vertex has several edges to one target, which phasic's own program counts wrongly.
    pub parallel_edges: bool,
}
