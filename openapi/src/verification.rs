//! What a hub found when it made the program of a graph anew and held it against the files of a compute.

use phasic_engine::graph::{EdgeOrderDigest, GraphHash};
use serde::{Deserialize, Serialize};

use crate::{ComputeId, Sha256};

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// phasic's own program of this graph, made anew and equal command for command. `edge_order_digest` says for which
    /// order of edges.
    Reproduced,
    /// Our own program or plan of this graph, made anew and equal: the same numbers by other steps.
    Equivalent,
    /// An intact file, and none of the programs of this graph in any order of edges. It is not served.
    Mismatch,
    /// Making the program anew would pass the limits of this hub.
    TooLarge,
    /// It is about to be compared.
    Pending,
    /// Nobody has told this hub what the graph is; POST it to `/v1/graphs`.
    GraphUnknown,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 6] = [
        Self::Reproduced,
        Self::Equivalent,
        Self::Mismatch,
        Self::TooLarge,
        Self::Pending,
        Self::GraphUnknown,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Equivalent => "equivalent",
            Self::Mismatch => "mismatch",
            Self::TooLarge => "too_large",
            Self::Pending => "pending",
            Self::GraphUnknown => "graph_unknown",
        }
    }
}

/// What is known of the files of a compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputeVerification {
    /// The compute.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: ComputeId,
    /// The content hash of its graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// Definitions of this hash that the hub has to compare with.
    pub definitions: u64,
    /// That of the file a pull gets.
    pub verdict: Verdict,
    /// All files its entry names: as they were published, and as they are served.
    pub files: Vec<FileVerification>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileVerification {
    /// SHA-256 of its bytes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// The content hash of the graph, or of the component, it is for.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// What was found.
    pub verdict: Verdict,
    /// Whether it will be compared again: somebody has asked, the engine is another one, or the graph is better known.
    pub again: bool,
    /// The order of edges it is right for. With another one it must not be used, though the hash is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub edge_order_digest: Option<EdgeOrderDigest>,
    /// What is different, or why it could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
    /// The engine that made the program anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}
