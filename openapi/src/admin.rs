//! What administrators ask of a hub: long actions, pins, and what is in quarantine.

use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::jobs::Variant;

/// A kind of long action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Hash every blob again, and restore what is damaged or lost.
    Scrub,
    /// Remove blobs nobody refers to, or only say which.
    Gc,
    /// Write database and blobs to one file.
    Backup,
}

impl TaskKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Scrub, Self::Gc, Self::Backup];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::Gc => "gc",
            Self::Backup => "backup",
        }
    }
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It is being done.
    Running,
    /// Its report is there.
    Done,
    /// It could not be done.
    Failed,
    /// The hub ended while it ran.
    BrokenOff,
}

impl TaskState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Running, Self::Done, Self::Failed, Self::BrokenOff];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::BrokenOff => "broken_off",
        }
    }
}

/// A long action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Task {
    /// Its id.
    pub id: String,
    /// What is done.
    pub kind: TaskKind,
    /// How far it is.
    pub state: TaskState,
    /// What was asked for.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub asked: serde_json::Value,
    /// What was found or done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub report: Option<serde_json::Value>,
    /// Why it has no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was begun.
    pub started_at: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// A page of tasks, in the order they were begun in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A request for garbage collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GcRequest {
    /// Only say what would be removed, which is what happens unless this is `false`.
    pub dry_run: bool,
    /// Leave alone what was stored within so many seconds; a day where it is missing.
    #[cfg_attr(feature = "schema", schema(minimum = 3600))]
    pub grace_seconds: u64,
}

impl Default for GcRequest {
    fn default() -> Self {
        Self { dry_run: true, grace_seconds: 86_400 }
    }
}

/// A request for a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BackupRequest {
    /// Name of the file in the hub's directory for backups: 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`, the first no
    /// dot. The id of the task and `.tar` where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"))]
    pub name: Option<String>,
}

/// Which program is to be served of a compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WantVariant {
    /// `phasic` or `fast`; `null` for what the settings say.
    pub variant: Option<Variant>,
}

/// A wish that cannot be met as things stand. It is kept, and met once it can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnmetVariant {
    /// The program that is wanted.
    pub variant: Variant,
    /// What is in the way, in a sentence.
    pub hindrance: String,
}

/// A request for a pin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PinRequest {
    /// Why; up to 1000 characters.
    pub note: String,
}

/// A blob that is kept, whoever else refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pin {
    /// Its name.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
    /// Why.
    pub note: String,
    /// Since when.
    pub pinned_at: String,
}

/// A page of pins, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PinList {
    /// The pins.
    pub pins: Vec<Pin>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub next: Option<Sha256>,
}

/// A damaged file that was set aside. It is never served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuarantinedBlob {
    /// The name it had, which is not the digest of its bytes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Size of the damaged file.
    pub size_bytes: u64,
    /// Whether whole bytes of this name are stored again.
    pub restored: bool,
}

/// What is in quarantine, and what is gone altogether.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Quarantine {
    /// Damaged files, by name.
    pub blobs: Vec<QuarantinedBlob>,
    /// Blobs that are referred to and have no file, damaged or not.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub lost: Vec<Sha256>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub next: Option<Sha256>,
}
