//! One pass over the entries of a document: what is taken, what is left out and why.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::mirror::{PassFault, QuarantineDecision};
use phasic_hub_api::{
    ArtifactName, ComputeId, EntryFault, GraphHash, RegistryEntry, RegistryReading, Sha256,
};

use super::artifact::{Announced, FileKey, Judge, Stop, judge_again, take, unverified};
use super::{Fault, FaultCode, MirrorError, Upstream};
use crate::blobs::BlobError;
use crate::config::Trust;
use crate::hub::DataDirectory;
use crate::registry::FORMAT_REVISION;
use crate::store::{ArtifactRow, Finding, Origin, Publication, Role, UpstreamRow};

/// What the hub has.
pub(super) struct Known {
    local: HashMap<ComputeId, GraphHash>,
    /// What upstreams offer that go first: by id the upstream and the graph.
    before_us: HashMap<ComputeId, (String, GraphHash)>,
    /// What is mirrored from this upstream.
    pub(super) mirrored: HashMap<ComputeId, Publication>,
    /// The contents each of its names has now.
    names: HashMap<ArtifactName, HashSet<Sha256>>,
    /// Every file that has passed its checks, those of this pass included: entries share components.
    files: HashMap<FileKey, ArtifactRow>,
    /// What was decided: by entry, artifact and digest.
    decisions: HashMap<(String, String, Sha256), Decisions>,
}

/// What was decided about one thing; several lines may speak of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    lines: Vec<i64>,
    is_rejected: bool,
    /// What was accepted, by the code of the line.
    accepted: Vec<String>,
}

impl Decisions {
    /// The lines of the quarantine that say so.
    pub(super) fn lines(&self) -> &[i64] {
        &self.lines
    }

    /// Whether somebody has accepted what a code speaks of, and nobody has rejected it.
    pub(super) fn accepts(&self, code: &str) -> bool {
        !self.is_rejected && self.accepted.iter().any(|accepted| accepted == code)
    }
}

impl Known {
    pub(super) async fn load(
        data: &DataDirectory,
        upstream: &UpstreamRow,
        trust: Trust,
    ) -> Result<Self, MirrorError> {
        let mut known = Self {
            local: HashMap::new(),
            before_us: HashMap::new(),
            mirrored: HashMap::new(),
            names: HashMap::new(),
            files: HashMap::new(),
            decisions: HashMap::new(),
        };
        for line in data.store.decisions(&upstream.name).await? {
            let Some(decision) = line.decision else { continue };
            let key = (line.entry.unwrap_or_default(), line.artifact.unwrap_or_default(), line.sha256);
            let decisions = known.decisions.entry(key).or_default();
            decisions.lines.push(line.number);
            match decision {
                QuarantineDecision::Reject => decisions.is_rejected = true,
                _ => decisions.accepted.push(line.code),
            }
        }
        let places: HashMap<_, _> =
            data.store.upstreams().await?.into_iter().map(|row| (row.name, row.place)).collect();
        for row in data.store.computes().await? {
            let publication = row.publication()?;
            let source = row.upstream.unwrap_or_default();
            let is_ours = row.origin == Origin::Mirror && source == upstream.name;
            // What others were trusted with proves nothing here.
            if trust == Trust::Checked || is_ours {
                known.learn(&publication);
            }
            let graph_hash = publication.entry.graph_hash;
            if row.origin != Origin::Mirror {
                known.local.insert(publication.id, graph_hash);
            } else if is_ours {
                for file in &publication.artifacts {
                    let name = file.role.name(file.graph_hash);
                    known.names.entry(name).or_default().insert(file.original.sha256);
                }
                known.mirrored.insert(publication.id.clone(), publication);
            } else if places.get(&source).is_some_and(|&place| place <= upstream.place) {
                known.before_us.insert(publication.id, (source, graph_hash));
            }
        }
        Ok(known)
    }

    fn learn(&mut self, publication: &Publication) {
        for announced in Announced::all(&publication.entry) {
            let is_it = |row: &&ArtifactRow| {
                row.role.name(row.graph_hash) == announced.name() && row.original.sha256 == announced.sha256
            };
            if let Some(&row) = publication.artifacts.iter().find(is_it) {
                self.files.insert(announced.key(), row);
            }
        }
    }

    /// What was decided about something.
    pub(super) fn decisions(&self, entry: &str, artifact: &str, sha256: Sha256) -> Decisions {
        self.decisions.get(&(entry.to_owned(), artifact.to_owned(), sha256)).cloned().unwrap_or_default()
    }
}

/// What a pass has found.
#[derive(Default)]
pub(super) struct Harvest {
    pub(super) computes: Vec<Publication>,
    pub(super) faults: Vec<PassFault>,
    pub(super) findings: Vec<Finding>,
    pub(super) offered: Vec<i64>,
    /// Seconds to wait, where somebody asks for it.
    pub(super) wait_seconds: Option<f64>,
    /// Something was left out that another pass over the same document may have.
    pub(super) is_incomplete: bool,
    /// A file was not what the document says: it may have changed meanwhile.
    pub(super) may_have_moved: bool,
}

pub(super) struct Pass<'a> {
    pub(super) judge: Judge<'a>,
    pub(super) upstream: &'a Upstream,
    pub(super) max_bytes: u64,
    pub(super) trust: Trust,
    /// Whether files that are here are to be judged anew.
    pub(super) must_verify: bool,
    pub(super) known: Known,
    pub(super) harvest: Harvest,
    /// Once somebody has asked us to wait, nothing more is asked for.
    pub(super) later: Option<Fault>,
}

impl Pass<'_> {
    /// Visits every entry.
    pub(super) async fn run(&mut self, reading: &RegistryReading) -> Result<(), MirrorError> {
        for entry in reading.entries() {
            match entry {
                Err(fault) => self.refuse(fault),
                Ok((id, entry)) => self.visit(id, entry).await?,
            }
        }
        Ok(())
    }

    fn refuse(&mut self, fault: &EntryFault) {
        if self.decided(&fault.id, "", fault.sha256).is_rejected {
            self.note_rejected(&fault.id, None);
        } else {
            let code = FaultCode::EntryInvalid;
            self.leave_out(&fault.id, None, fault.sha256, &Fault::new(code, &fault.reason));
        }
        if let Ok(id) = fault.id.parse() {
            self.keep(&id);
        }
    }

    async fn visit(&mut self, id: &ComputeId, entry: &RegistryEntry) -> Result<(), MirrorError> {
        let text_sha256 = Sha256::of(entry.to_value().to_string().as_bytes());
        if let Some(fault) = self.whose(id, entry) {
            self.leave_out(id.as_str(), None, text_sha256, &fault);
            return Ok(());
        }
        if self.decided(id.as_str(), "", text_sha256).is_rejected {
            self.note_rejected(id.as_str(), None);
            self.keep(id);
            return Ok(());
        }
        let artifacts = match entry.format_revision {
            _ if entry.retracted => Some(self.already_here(id, entry)),
            Some(revision) if revision > FORMAT_REVISION => {
                let reason =
                    format!("format_revision is {revision}, and this hub knows up to {FORMAT_REVISION}");
                let fault = Fault::new(FaultCode::RevisionUnknown, reason);
                self.leave_out(id.as_str(), None, text_sha256, &fault);
                None
            }
            _ => match self.files(id, entry).await? {
                Outcome::Taken(files) => Some(files),
                Outcome::Failed => None,
                Outcome::Withdrawn => return Ok(()),
            },
        };
        match artifacts {
            Some(artifacts) => {
                let publication = Publication { id: id.clone(), entry: entry.clone(), artifacts };
                self.harvest.computes.push(publication);
            }
            None => self.keep(id),
        }
        Ok(())
    }

    /// The fault of an id that is somebody else's.
    fn whose(&self, id: &ComputeId, entry: &RegistryEntry) -> Option<Fault> {
        if let Some(local) = self.known.local.get(id) {
            return Some(if *local == entry.graph_hash {
                let reason = "this hub has published this compute itself, for the same graph";
                Fault::new(FaultCode::LocalSame, reason)
            } else {
                let reason = "this hub has published another graph under this id itself";
                Fault::new(FaultCode::LocalConflict, reason)
            });
        }
        let (first, graph_hash) = self.known.before_us.get(id)?;
        Some(if *graph_hash == entry.graph_hash {
            let reason = format!("{first}, which goes first, offers this compute for the same graph");
            Fault::new(FaultCode::ShadowedSame, reason)
        } else {
            let reason = format!("{first}, which goes first, offers another graph under this id");
            Fault::new(FaultCode::ShadowedConflict, reason)
        })
    }

    /// Keeps the version that was mirrored last, if there is one.
    fn keep(&mut self, id: &ComputeId) {
        self.harvest.computes.extend(self.known.mirrored.get(id).cloned());
    }

    /// The files of a retracted entry, if they were mirrored before; they are not fetched any more.
    fn already_here(&self, id: &ComputeId, entry: &RegistryEntry) -> Vec<ArtifactRow> {
        let before = self.known.mirrored.get(id).filter(|before| before.entry.artifacts == entry.artifacts);
        before.map(|before| before.artifacts.clone()).unwrap_or_default()
    }

    /// All files of an entry, or nothing if its parent fails.
    async fn files(&mut self, id: &ComputeId, entry: &RegistryEntry) -> Result<Outcome, MirrorError> {
        let mut rows: Vec<ArtifactRow> = Vec::new();
        let mut components = HashSet::new();
        for announced in Announced::all(entry) {
            let name = announced.name().to_string();
            let outcome = if announced.role == Role::Scc && !components.insert(announced.graph_hash) {
                let reason = "the entry has named a file for it before";
                Err(Stop::Fault(Fault::new(FaultCode::DuplicateScc, reason)))
            } else {
                self.file(id, announced, &name).await
            };
            match outcome {
                Ok(row) => {
                    self.watch(id, row, &name);
                    self.known.files.insert(announced.key(), row);
                    rows.push(row);
                }
                Err(Stop::Blobs(error)) => return Err(error.into()),
                Err(Stop::Store(error)) => return Err(error.into()),
                Err(Stop::Fault(fault)) => {
                    self.leave_out(id.as_str(), Some(name), announced.sha256, &fault);
                    if announced.role == Role::Parent {
                        return Ok(self.after(id, announced, &fault));
                    }
                }
            }
        }
        Ok(Outcome::Taken(rows))
    }

    /// What becomes of an entry whose parent file is not taken: usually its last version stays.
    fn after(&self, id: &ComputeId, announced: Announced<'_>, fault: &Fault) -> Outcome {
        let before = self.known.mirrored.get(id);
        let is_same = before.is_some_and(|before| before.entry.artifacts.parent.sha256 == announced.sha256);
        let is_unwanted = match fault.code {
            FaultCode::Rejected => is_same,
            FaultCode::Unverified => is_same || self.must_verify,
            _ => false,
        };
        if is_unwanted { Outcome::Withdrawn } else { Outcome::Failed }
    }

    async fn file(
        &mut self,
        id: &ComputeId,
        announced: Announced<'_>,
        name: &str,
    ) -> Result<ArtifactRow, Stop> {
        let decisions = self.decided(id.as_str(), name, announced.sha256);
        if decisions.is_rejected {
            let reason = "it was decided that these bytes are not taken";
            return Err(Fault::new(FaultCode::Rejected, reason).into());
        }
        let is_accepted = decisions.accepts(FaultCode::Unverified.as_str());
        let must_be_known = self.trust == Trust::VerifiedOnly && !is_accepted;
        let judge = Judge { must_be_known, ..self.judge };
        if must_be_known && !judge.is_known(announced.graph_hash).await? {
            return Err(unverified(false).into());
        }
        if let Some(row) = self.reuse(announced).await? {
            let is_judged = !(must_be_known && self.must_verify);
            return if is_judged { Ok(row) } else { judge_again(announced, row, judge).await };
        }
        if let Some(later) = &self.later {
            return Err(later.clone().into());
        }
        let taken = take(announced, self.upstream, judge, self.max_bytes).await;
        if let Err(Stop::Fault(fault)) = &taken {
            self.harvest.may_have_moved |= fault.code.may_be_a_race();
            if fault.code == FaultCode::Deferred {
                self.harvest.wait_seconds = fault.wait_seconds;
                self.later = Some(fault.clone());
            }
        }
        taken
    }

    /// A file that has passed the same checks before, and is still here in both forms.
    async fn reuse(&self, announced: Announced<'_>) -> Result<Option<ArtifactRow>, BlobError> {
        let Some(&row) = self.known.files.get(&announced.key()) else { return Ok(None) };
        for blob in [row.original, row.served] {
            if self.judge.data.blobs.size_bytes(blob.sha256).await? != Some(blob.size_bytes) {
                return Ok(None);
            }
        }
        Ok(Some(row))
    }

    /// Raises the alarm when a name has other bytes than before.
    fn watch(&mut self, id: &ComputeId, row: ArtifactRow, name: &str) {
        let Some(contents) = self.known.names.get(&row.role.name(row.graph_hash)) else { return };
        if contents.contains(&row.original.sha256) {
            return;
        }
        let mut before: Vec<_> = contents.iter().map(Sha256::to_string).collect();
        before.sort();
        let is_same = self
            .known
            .mirrored
            .values()
            .flat_map(|publication| &publication.artifacts)
            .any(|old| (old.role, old.graph_hash, old.served) == (row.role, row.graph_hash, row.served));
        let remark = if is_same { "; the program in it is the same" } else { "" };
        let reason = format!(
            "upstream has put other bytes under this name: SHA-256 {}, formerly {}{remark}",
            row.original.sha256,
            before.join(" and ")
        );
        tracing::warn!(%id, artifact = name, reason, "upstream has put other bytes under a name");
        self.harvest.findings.push(Finding {
            entry: id.to_string(),
            artifact: name.to_owned(),
            sha256: row.original.sha256,
            code: "bytes_changed",
            reason,
        });
    }

    /// What was decided about something upstream offers. The decision stays as long as it is asked for.
    fn decided(&mut self, entry: &str, artifact: &str, sha256: Sha256) -> Decisions {
        let decisions = self.known.decisions(entry, artifact, sha256);
        self.harvest.offered.extend(&decisions.lines);
        decisions
    }

    fn note_rejected(&mut self, entry: &str, artifact: Option<String>) {
        let (code, reason) =
            (FaultCode::Rejected.as_str().to_owned(), "it was decided that this is not taken".to_owned());
        self.harvest.faults.push(PassFault { entry: entry.to_owned(), artifact, code, reason });
    }

    fn leave_out(&mut self, entry: &str, artifact: Option<String>, sha256: Sha256, fault: &Fault) {
        let Fault { code, reason, .. } = fault;
        tracing::debug!(?entry, artifact, code = code.as_str(), reason, "left out");
        self.harvest.is_incomplete |= code.may_pass();
        let artifact_name = artifact.clone().unwrap_or_default();
        // Components are useful beside their parent only, and are not decided upon one by one.
        let is_bystander = *code == FaultCode::Unverified && artifact_name.starts_with("scc_");
        if code.is_suspicious() && !is_bystander {
            self.harvest.findings.push(Finding {
                entry: entry.to_owned(),
                artifact: artifact_name,
                sha256,
                code: code.as_str(),
                reason: reason.clone(),
            });
        }
        let (code, reason) = (code.as_str().to_owned(), reason.clone());
        self.harvest.faults.push(PassFault { entry: entry.to_owned(), artifact, code, reason });
    }
}

/// What became of the files of an entry.
enum Outcome {
    /// The parent and what components could be had.
    Taken(Vec<ArtifactRow>),
    /// The parent could not be had.
    Failed,
    /// Nor may the version stay that is mirrored.
    Withdrawn,
}
