//! Computes as the REST API lists them: pages of entries, and the history of an id.
//!
//! The registry document that phasic reads is `registry`; this is for people and programs that browse.

use phasic_engine::graph::{EdgeOrderDigest, GraphHash};
use serde::{Deserialize, Serialize};

use crate::jobs::{Elimination, Variant};
use crate::verification::Verdict;
use crate::{ComputeId, Metadata, RegistryEntry, Sha256};

/// Who published a compute to this hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ComputeOrigin {
    /// This hub itself.
    Local,
    /// An upstream registry.
    Mirror,
    /// This hub itself, of what somebody had it compute on demand.
    Computed,
}

/// Whether a compute can be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ComputeStatus {
    /// Its files are here and verified.
    Served,
    /// A file of it is lost or damaged, or no program of its graph.
    Withheld,
    /// Its publisher has retracted it.
    Retracted,
}

/// A compute.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Compute {
    /// Its id.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: ComputeId,
    /// Who published it.
    pub origin: ComputeOrigin,
    /// The upstream it is mirrored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Whether it can be pulled.
    pub status: ComputeStatus,
    /// The content hash of its graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// What people should know about it.
    pub metadata: Metadata,
    /// Whether it is only for holders of tokens for its id.
    #[serde(skip_serializing_if = "crate::jobs::is_false")]
    pub private: bool,
    /// Since when the id stands for this.
    pub published_at: String,
    /// Its files, as published: all that its entry names.
    pub artifacts: Vec<ComputeArtifact>,
    /// The program a pull gets in place of the published one, and why; missing where it gets that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedProgram>,
    /// Programs and plans this hub has made of its graph, the first hundred by variant; only where one compute is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Elimination>,
    /// What to give as `cursor` to `/v1/graphs/{hash}/artifacts` for more of them; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants_next: Option<String>,
    /// What was found when the program a pull gets was made anew, as `…/verification` says in full; only where one compute
    /// is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it is withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// The program a pull gets in place of the published one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServedProgram {
    /// Which program.
    pub variant: Variant,
    /// `requested`, `parallel_edges` or `too_large`.
    pub reason: String,
    /// SHA-256 of the file.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
    /// The order of edges it is for.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub edge_order_digest: EdgeOrderDigest,
    /// Where it is.
    pub url: String,
}

/// A file of a compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputeArtifact {
    /// `parent` for the whole graph, `scc` for a component.
    pub role: String,
    /// The content hash of the graph it is for.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// SHA-256 of the file as it is served.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of the file as its publisher made it.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub original_sha256: Sha256,
    /// Where it is.
    pub url: String,
}

/// A page of computes, by id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputePage {
    /// The computes.
    pub computes: Vec<Compute>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What an id stood for from some time on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Revision {
    /// Its place in the history of the id, from 1 on.
    pub number: i64,
    /// From when on.
    pub recorded_at: String,
    /// Who published it.
    pub origin: ComputeOrigin,
    /// The upstream it was mirrored from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The commit of that upstream that was read, where it has commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The registry entry as its publisher wrote it; missing where the id was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub entry: Option<serde_json::Value>,
}

/// A page of revisions, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RevisionPage {
    /// The revisions.
    pub revisions: Vec<Revision>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is to be published: an entry whose files were uploaded, or an elimination of the hub.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Publish {
    /// What phasic's dry run prints: one entry by its id.
    DryRun(std::collections::HashMap<String, RegistryEntry>),
    /// An entry alone.
    Alone(RegistryEntry),
    /// An entry, and who sees it.
    Entry(PublishEntry),
    /// An elimination of the hub.
    Elimination(PublishElimination),
}

/// An entry that is to be published, and who sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublishEntry {
    /// The entry.
    pub entry: RegistryEntry,
    /// Whether only holders of tokens for the id see it; as it is where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
}

/// An elimination of the hub that is to be published.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublishElimination {
    /// The content hash of its graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph: GraphHash,
    /// Which definition of the graph, where the hub has eliminations of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub definition: Option<Sha256>,
    /// `phasic`, as where it is missing, or `fast`.
    #[serde(default)]
    pub variant: crate::jobs::Variant,
    /// What people should know about it; a description at least. Vertices and parameters are filled in.
    #[cfg_attr(feature = "schema", schema(value_type = Metadata))]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Whether only holders of tokens for the id see it; as it is where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
}

/// A compute that was published, and what its program was found to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PublishedCompute {
    /// The compute.
    #[serde(flatten)]
    pub compute: Compute,
    /// Whether the program was made anew from the graph, and is the same.
    pub verdict: crate::verification::Verdict,
}

/// What is to change about a compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeCompute {
    /// Whether only holders of tokens for its id see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// Whether it is retracted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retracted: Option<bool>,
    /// Why it is retracted, or stands again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 1000))]
    pub reason: Option<String>,
}

/// A file that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Uploaded {
    /// SHA-256 of its bytes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
    /// Where it is, for those who may have it.
    pub url: String,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UploadProgress {
    /// Bytes that have arrived: where to go on.
    pub offset_bytes: u64,
    /// Bytes of the whole file.
    pub total_bytes: u64,
    /// Seconds until what has arrived is forgotten, if nothing more comes.
    pub expires_in_seconds: u64,
}
