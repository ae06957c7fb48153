//! The mirror on the wire: upstreams and their state, passes, and what waits for a decision.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// What became of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PassOutcome {
    /// What upstream has is what is mirrored now.
    Done,
    /// Upstream has not changed since.
    Unmodified,
    /// It would have removed too much, and waits for a decision. Nothing was changed.
    Held,
    /// It failed. Nothing was changed.
    Failed,
}

impl PassOutcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Done, Self::Unmodified, Self::Held, Self::Failed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unmodified => "unmodified",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// What a pass did to a compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not mirrored before.
    New,
    /// Its entry says something else.
    Changed,
    /// Its file was mirrored under another id, which is gone.
    Renamed,
    /// Its publisher has retracted it.
    Retracted,
    /// Its publisher has taken the retraction back.
    Restored,
    /// Upstream no longer has it.
    Vanished,
}

impl ChangeKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Changed, Self::Renamed, Self::Retracted, Self::Restored, Self::Vanished];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::Retracted => "retracted",
            Self::Restored => "restored",
            Self::Vanished => "vanished",
        }
    }
}

/// A pass over an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MirrorPass {
    /// Its number.
    pub number: i64,
    /// The upstream.
    #[cfg_attr(feature = "schema", schema(example = "phasic-traces"))]
    pub upstream: String,
    /// Where the document was read; missing when that is a place on the hub's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What became of it.
    pub outcome: PassOutcome,
    /// Who asked for it: `hub`, `operator` (the command line) or `token:<id>`.
    pub actor: String,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC.
    pub finished_at: String,
    /// Requests sent to the upstream; for those only who see all, since files of private computes are among what was asked
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// The commit that was read, where the upstream has commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// SHA-256 of the registry document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub document_sha256: Option<Sha256>,
    /// Entries of the document, usable or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Computes that are mirrored from this upstream after the pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrored: Option<u64>,
    /// How many things were left out.
    pub fault_count: u64,
    /// How many computes were changed.
    pub change_count: u64,
    /// The kind of failure for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(example = "unreachable"))]
    pub error_code: Option<String>,
    /// The failure in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A pass with what it left out and changed: the first hundred of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MirrorPassDetail {
    /// The pass.
    #[serde(flatten)]
    pub pass: MirrorPass,
    /// What it left out, in the order of the document.
    pub faults: Vec<PassFault>,
    /// What to give as `cursor` to `…/faults` for more of them; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults_next: Option<i64>,
    /// What it changed.
    pub changes: Vec<PassChange>,
    /// What to give as `cursor` to `…/changes` for more of them; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_next: Option<i64>,
}

/// A page of what a pass left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassFaultPage {
    /// In the order of the document.
    pub faults: Vec<PassFault>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A page of what a pass changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassChangePage {
    /// In the order of the document.
    pub changes: Vec<PassChange>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Something a pass left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassFault {
    /// The key of the entry as upstream wrote it.
    pub entry: String,
    /// The artifact, when it was not the entry as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// The kind of fault for programs.
    #[cfg_attr(feature = "schema", schema(example = "wrong_hash"))]
    pub code: String,
    /// A sentence.
    pub reason: String,
}

/// What a pass did to one compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassChange {
    /// What it did.
    pub kind: ChangeKind,
    /// The id of the compute.
    pub id: String,
    /// The id it had before, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
}

/// A page of passes, the latest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MirrorPassPage {
    /// The passes.
    pub passes: Vec<MirrorPass>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// An upstream and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UpstreamStatus {
    /// Its name.
    #[cfg_attr(feature = "schema", schema(example = "phasic-traces"))]
    pub name: String,
    /// Its place: of two that offer one id, the one of the lower place wins.
    pub place: i64,
    /// Its address; missing when that is a place on the hub's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `checked` or `verified-only`.
    pub trust: String,
    /// Whether the settings of the hub name it.
    pub configured: bool,
    /// Whether passes are run by themselves.
    pub scheduled: bool,
    /// The commit that is mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// SHA-256 of the registry document that is mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub document_sha256: Option<Sha256>,
    /// Computes that are mirrored from it.
    pub computes: u64,
    /// When its document was last compared with what is mirrored, UTC. What could not be had then is in `unfetched`, and what
    /// was refused in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// Seconds since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// Passes that have failed since.
    pub failures_in_a_row: u64,
    /// When the next pass is due, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<String>,
    /// Requests of this hour that are left; for those only who see all, as `requests` of passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_left: Option<u64>,
    /// Whether a pass is under way, or about to begin, in the hub that answers.
    pub running: bool,
    /// The last pass, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<MirrorPass>,
    /// What waits for a decision, alarms left out.
    pub quarantined: u64,
    /// Alarms that nobody has acknowledged.
    pub alarms: u64,
    /// What its document names and could not be had so far: only at 0 is what is mirrored what upstream has.
    #[serde(default)]
    pub unfetched: u64,
}

/// The state of the mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MirrorStatus {
    /// Whether the settings forbid to open any connection.
    pub offline: bool,
    /// The upstreams: those of the settings in their order, then others that were mirrored.
    pub upstreams: Vec<UpstreamStatus>,
}

/// What may be decided about something in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QuarantineDecision {
    /// Take it, where that is possible; acknowledge an alarm.
    Accept,
    /// Never take these bytes, and withdraw them where they are served.
    Reject,
    /// Remove the line, and judge anew at the next pass.
    Forget,
}

impl QuarantineDecision {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Forget => "forget",
        }
    }
}

impl fmt::Display for QuarantineDecision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for QuarantineDecision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Accept, Self::Reject, Self::Forget]
            .into_iter()
            .find(|decision| decision.as_str() == text)
            .ok_or_else(|| format!("a decision is accept, reject or forget, not {text:?}"))
    }
}

/// Something that was refused or is suspicious.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuarantineItem {
    /// Its number, by which it is decided upon.
    pub number: i64,
    /// The upstream.
    pub upstream: String,
    /// The key of the entry as upstream wrote it; missing when it is the document as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The artifact; missing when it is the entry as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// What a decision is about, and holds for until it changes: the digest a file was announced with, that of the text
    /// of an entry, or that of the document.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// The kind for programs.
    #[cfg_attr(feature = "schema", schema(example = "unverified"))]
    pub code: String,
    /// A sentence.
    pub reason: String,
    /// Whether it is an alarm: it has been taken, and somebody should look.
    pub alarm: bool,
    /// Whether it can be accepted. Bytes that are not what their entry says cannot.
    pub can_accept: bool,
    /// When it was found, UTC.
    pub found_at: String,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<QuarantineDecision>,
    /// When, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// By whom: `operator` or `token:<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// A page of the quarantine, in the order in which things were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuarantinePage {
    /// The lines.
    pub items: Vec<QuarantineItem>,
    /// What to give as `cursor` for the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A decision about something in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// What is decided.
    pub decision: QuarantineDecision,
}

/// Passes that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// The upstreams by name; without it, all of the settings that are enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<String>>,
}

/// Passes that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SyncAnswer {
    /// The passes that have ended, whatever became of them.
    pub passes: Vec<MirrorPassDetail>,
    /// The upstreams whose passes have not.
    pub waiting: Vec<String>,
}
