//! Graphs, eliminations and jobs: what can be submitted, what it will cost, and how far it is.
//!
//! Times are UTC texts as in `2026-11-21T13:00:00.000Z`. Running jobs is the server's business.

use phasic_engine::graph::{EdgeOrderDigest, GraphHash};
use serde::{Deserialize, Serialize};

use crate::{ComputeId, GraphIdentity, ModelSource, Sha256};

/// Which elimination of a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// phasic's own program, byte for byte, as a PTDPRMC3 file.
    #[default]
    Phasic,
    /// Our elimination in phasic's commands, as a PTDPRMC3 file: smaller, and right for parallel edges.
    Fast,
    /// Our own compact form.
    Plan,
}

impl Variant {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Phasic, Self::Fast, Self::Plan];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phasic => "phasic",
            Self::Fast => "fast",
            Self::Plan => "plan",
        }
    }
}

/// A job's place before or behind those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When nobody else wants anything.
    Low,
    /// As everybody.
    #[default]
    Normal,
    /// Before everybody; asks for a token of scope `admin`.
    High,
}

/// A model to be stored or eliminated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitGraph {
    /// The model.
    pub model: ModelSource,
    /// Whether it is only for those who hold tokens for the same ids. A graph everybody has stays everybody's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
}

/// A request for an elimination.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitElimination {
    /// The model.
    pub model: ModelSource,
    /// Which elimination. Where it is missing, that which is served: `phasic`, or `fast` where phasic's own program would
    /// exceed the limits of this hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// Whether graph, job and result are only for those who hold tokens for the same ids.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    /// The place of its job before or behind those of others. `high` asks for a token of scope `admin`.
    #[serde(default)]
    pub priority: Priority,
    /// How long its job may run, in seconds; never longer than the hub allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1))]
    pub timeout_seconds: Option<u64>,
}

/// For members that are written only where they are true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

/// What eliminating a graph would take. Nothing is made to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Forecast {
    /// phasic's own program.
    pub phasic: VariantForecast,
    /// Our elimination in phasic's commands.
    pub fast: VariantForecast,
    /// Our own form.
    pub plan: VariantForecast,
}

impl Forecast {
    /// What is made for those who name no variant: phasic's own program, or ours in its commands where only that fits.
    pub const fn usual(&self) -> Variant {
        if self.phasic.refused.is_some() && self.fast.refused.is_none() {
            Variant::Fast
        } else {
            Variant::Phasic
        }
    }

    /// That of one variant.
    pub const fn of(&self, variant: Variant) -> &VariantForecast {
        match variant {
            Variant::Phasic => &self.phasic,
            Variant::Fast => &self.fast,
            Variant::Plan => &self.plan,
        }
    }
}

/// What one variant would take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VariantForecast {
    /// Commands of the program; for `plan`, multiply-adds of one elimination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<u64>,
    /// Bytes of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_bytes: Option<u64>,
    /// Bytes of memory to make and verify it, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Why this hub would refuse to make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A graph that was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GraphSubmission {
    /// What it is called, and how large it is.
    pub graph: GraphIdentity,
    /// Whether it was not here before.
    pub new: bool,
    /// What eliminating it would take.
    pub forecast: Forecast,
}

/// What a hub has of a content hash: the first hundred of everything, and where the rest begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GraphRecord {
    /// The content hash.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// Graphs with this hash that were submitted, by definition.
    pub definitions: Vec<GraphIdentity>,
    /// Published computes of this graph, by id.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub computes: Vec<ComputeId>,
    /// Eliminations this hub has made, by variant.
    pub artifacts: Vec<Elimination>,
    /// Jobs, the latest first.
    pub jobs: Vec<Job>,
    /// Where lists go on that are longer.
    #[serde(default, skip_serializing_if = "GraphRecordNext::is_empty")]
    pub next: GraphRecordNext,
}

/// What to give as `cursor` for more of a list of a graph; missing where it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct GraphRecordNext {
    /// To `/v1/graphs/{hash}/definitions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions: Option<String>,
    /// To `/v1/graphs/{hash}/computes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computes: Option<String>,
    /// To `/v1/graphs/{hash}/artifacts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
    /// To `/v1/jobs?graph={hash}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<String>,
}

impl GraphRecordNext {
    /// Whether no list goes on.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A page of the graphs with a content hash, by definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DefinitionPage {
    /// The graphs.
    pub definitions: Vec<GraphIdentity>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of the ids of computes of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GraphComputePage {
    /// The ids, in order.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub computes: Vec<ComputeId>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of the eliminations of a graph, by variant, definition and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EliminationPage {
    /// The eliminations.
    pub artifacts: Vec<Elimination>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A verified elimination this hub has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Elimination {
    /// Which one.
    pub variant: Variant,
    /// The content hash of the graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// The edge-order digest of the graph: with another one the program must not be used.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub edge_order_digest: EdgeOrderDigest,
    /// The definition it was made from.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub definition: Sha256,
    /// SHA-256 of the file.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
    /// Where it is.
    pub url: String,
    /// The engine that made it.
    pub engine: String,
    /// When it was made.
    pub made_at: String,
    /// Whether it is not for everybody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It is being done.
    Running,
    /// Its result is there.
    Done,
    /// It has ended without one.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It broke down several times, so it is not tried again.
    Quarantined,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled, Self::Quarantined];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A server-sent event about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobEvent {
    /// `job`.
    pub event: String,
    /// A [`Job`], in JSON.
    #[cfg_attr(feature = "schema", schema(content_media_type = "application/json"))]
    pub data: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Job {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub state: JobState,
    /// Which elimination.
    pub variant: Variant,
    /// The content hash of the graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// The edge-order digest of the graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub edge_order_digest: EdgeOrderDigest,
    /// The definition of the graph.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub definition: Sha256,
    /// Its place before or behind those of others.
    #[serde(default)]
    pub priority: Priority,
    /// How long it may run, in seconds.
    #[serde(default)]
    pub timeout_seconds: u64,
    /// Jobs that come before it, while it is queued: as far as is known, jobs of others may come between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// How often it was begun.
    pub attempts: u32,
    /// What it was expected to take.
    pub forecast: VariantForecast,
    /// What it took, once it has ended: to hold against the forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<JobActual>,
    /// What it has done, while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// When it was submitted.
    pub submitted_at: String,
    /// When it was begun for the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Elimination>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it is not for everybody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    /// What happened, line by line; only where one job is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<JobLine>,
}

/// What a job that has ended took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobActual {
    /// Milliseconds from the beginning of its last attempt to its end, verification included.
    pub duration_ms: u64,
    /// Bytes of the artifact, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_bytes: Option<u64>,
    /// Commands of its program; for `plan`, multiply-adds of one elimination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<u64>,
    /// Bytes of the most memory its process had at a time, the program itself included; missing where it had no process of
    /// its own (`compute.isolated`), or one that cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What a running job has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobProgress {
    /// Vertices eliminated.
    pub vertices_done: u64,
    /// Vertices in all.
    pub vertices: u64,
    /// Commands emitted, to be held against the forecast.
    pub commands: u64,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobLine {
    /// When.
    pub at: String,
    /// What.
    pub text: String,
}

/// A page of jobs, the latest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer to a request for an elimination: the artifact, or the job that will make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EliminationAnswer {
    /// The graph.
    pub graph: GraphIdentity,
    /// The artifact, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Elimination>,
    /// The job, if there is no artifact yet or it was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
}
