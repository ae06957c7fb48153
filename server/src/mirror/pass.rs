//! One pass over the entries of a document: what is taken, what is left out and why.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use phasic_hub_api::mirror::PassFault;
use phasic_hub_api::{ComputeId, EntryFault, RegistryEntry, RegistryReading, Sha256};

use super::artifact::{Announced, FileKey, Judge, Stop, judge_again, locate, take, unverified};
use super::known::Known;
use super::{Fault, FaultCode, MirrorError, Upstream};
use crate::blobs::BlobError;
use crate::config::Trust;
use crate::registry::FORMAT_REVISION;
use crate::store::{ArtifactRow, Finding, Publication, Role};

/// What a pass has found.
#[derive(Default)]
pub(super) struct Harvest {
    pub(super) computes: Vec<Publication>,
    pub(super) faults: Vec<PassFault>,
    pub(super) findings: Vec<Finding>,
    /// What upstream has and this hub does not take any more.
    pub(super) withdrawn: BTreeSet<ComputeId>,
    /// Ids that are private upstream now, and were not.
    pub(super) private: BTreeSet<ComputeId>,
    /// Keys of entries that are, or may be, private upstream, and are not mirrored.
    pub(super) hidden: BTreeSet<String>,
    /// Seconds to wait, where somebody asks for it.
    pub(super) wait_seconds: Option<f64>,
    /// Something was left out that another pass over the same document may have.
    pub(super) is_incomplete: bool,
    /// A file was not what the document says: it may have changed meanwhile.
    pub(super) may_have_moved: bool,
}

/// What need not be asked for again when the same document is read under other decisions.
#[derive(Default)]
pub(super) struct Carried {
    /// Files that have arrived.
    files: HashMap<FileKey, ArtifactRow>,
    /// Once somebody has asked us to wait, or everything fails, nothing more is asked for.
    later: Option<Fault>,
    /// Files one after another that could not be had because upstream, or the way there, is in trouble.
    troubles: u32,
    /// Whether any file was asked for.
    has_asked: bool,
}

/// So many, and a pass that will come again by itself leaves the rest to the next one: each may have taken as long as a
/// file may take, and other upstreams are waiting.
pub(super) const MOST_TROUBLES: u32 = 3;

pub(super) struct Pass<'a> {
    pub(super) judge: Judge<'a>,
    pub(super) upstream: &'a Upstream,
    /// What it is called.
    pub(super) name: &'a str,
    pub(super) max_bytes: u64,
    /// How many files one after another may fail before the rest is left to another pass.
    pub(super) most_troubles: u32,
    /// When the rest is left to another pass in any case; `None` is never.
    pub(super) until: Option<Instant>,
    /// The entry, and the file of it, to begin with: where the last pass was cut off, so that each is asked for in the end.
    pub(super) begin: Option<(String, Option<String>)>,
    pub(super) trust: Trust,
    /// Whether files that are here are to be judged anew.
    pub(super) must_verify: bool,
    pub(super) known: Known,
    pub(super) harvest: Harvest,
    /// What has arrived under the decisions of before, whoever vouched for it then.
    pub(super) carried: Carried,
    /// What has arrived since.
    pub(super) arrived: Vec<(FileKey, ArtifactRow)>,
    /// What upstream was asked for and does not give now. It is said at the end: the next pass begins with what this one has
    /// not asked for.
    pub(super) put_off: Vec<PassFault>,
}

impl Pass<'_> {
    /// Visits every entry. Gives what was found, and what another visit need not ask for.
    pub(super) async fn run(mut self, reading: &RegistryReading) -> Result<(Harvest, Carried), MirrorError> {
        self.known.files.extend(&self.carried.files);
        self.harvest.wait_seconds = self.carried.later.as_ref().and_then(|later| later.wait_seconds);
        let entries = reading.entries();
        let id_of = |entry: &'_ Result<(ComputeId, RegistryEntry), EntryFault>| match entry {
            Ok((id, _)) => id.to_string(),
            Err(fault) => fault.id.clone(),
        };
        let begin = self.begin.as_ref().and_then(|(id, _)| entries.iter().position(|one| id_of(one) == *id));
        let (first, last) = entries.split_at(begin.unwrap_or(0));
        for entry in last.iter().chain(first) {
            match entry {
                Err(fault) => self.refuse(fault),
                Ok((id, entry)) => self.visit(id, entry).await?,
            }
        }
        // They are listed in the order of the document, wherever the pass has begun.
        let places: HashMap<_, _> = entries.iter().map(id_of).zip(0..).collect();
        self.harvest.computes.sort_by_key(|publication| places.get(publication.id.as_str()).copied());
        self.harvest.faults.append(&mut self.put_off);
        self.carried.files.extend(self.arrived);
        Ok((self.harvest, self.carried))
    }

    fn refuse(&mut self, fault: &EntryFault) {
        self.heed_privacy(&fault.id, fault.id.parse().ok().as_ref(), fault.is_private);
        if self.known.decisions(&fault.id, "", fault.sha256).is_rejected {
            self.note_rejected(&fault.id, None);
        } else {
            let code = FaultCode::EntryInvalid;
            self.leave_out(&fault.id, None, fault.sha256, &Fault::new(code, &fault.reason));
        }
        if let Ok(id) = fault.id.parse() {
            self.keep(&id);
        }
    }

    /// Notes what is private upstream, whatever becomes of the entry: that a mirrored compute has become so, and which
    /// other entries are so, or may be because they cannot be read.
    fn heed_privacy(&mut self, key: &str, id: Option<&ComputeId>, is_private: Option<bool>) {
        match id.and_then(|id| self.known.mirrored.get(id)) {
            Some(before) if is_private == Some(true) && !before.entry.is_private() => {
                self.harvest.private.insert(before.id.clone());
            }
            None if is_private != Some(false) => drop(self.harvest.hidden.insert(key.to_owned())),
            _ => {}
        }
    }

    async fn visit(&mut self, id: &ComputeId, entry: &RegistryEntry) -> Result<(), MirrorError> {
        let text_sha256 = Sha256::of(entry.to_value().to_string().as_bytes());
        self.heed_privacy(id.as_str(), Some(id), Some(entry.is_private()));
        if let Some(fault) = self.whose(id, entry) {
            self.leave_out(id.as_str(), None, text_sha256, &fault);
            return Ok(());
        }
        if self.known.decisions(id.as_str(), "", text_sha256).is_rejected {
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
                Outcome::Withdrawn => {
                    self.harvest.withdrawn.insert(id.clone());
                    return Ok(());
                }
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
        let mut rows: Vec<(usize, ArtifactRow)> = Vec::new();
        for (place, is_double, announced) in self.in_turn(id, entry) {
            let name = announced.name().to_string();
            let outcome = if is_double {
                let reason = "the entry has named a file for it before";
                Err(Stop::Fault(Fault::new(FaultCode::DuplicateScc, reason)))
            } else {
                self.file(id, announced, &name).await
            };
            match outcome {
                Ok(row) => {
                    self.watch(id, row, &name);
                    self.known.files.insert(announced.key(), row);
                    rows.push((place, row));
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
        rows.sort_unstable_by_key(|&(place, _)| place);
        Ok(Outcome::Taken(rows.into_iter().map(|(_, row)| row).collect()))
    }

    /// The files of an entry, each with its place there and whether the entry has named one for the same component before:
    /// the parent, and then the components, from the one on where the last pass was cut off.
    fn in_turn<'b>(&self, id: &ComputeId, entry: &'b RegistryEntry) -> Vec<(usize, bool, Announced<'b>)> {
        let mut components = HashSet::new();
        let mut is_double =
            |file: &Announced<'_>| file.role == Role::Scc && !components.insert(file.graph_hash);
        let files = Announced::all(entry).enumerate();
        let mut files: Vec<_> = files.map(|(place, file)| (place, is_double(&file), file)).collect();
        if let Some((begin, Some(name))) = &self.begin
            && begin == id.as_str()
            && let [_parent, components @ ..] = &mut *files
            && let Some(first) = components.iter().position(|(.., file)| file.name().to_string() == *name)
        {
            components.rotate_left(first);
        }
        files
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
        let decisions = self.known.decisions(id.as_str(), name, announced.sha256);
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
            let is_doubtful = self.must_verify || self.carried.files.contains_key(&announced.key());
            let is_judged = !(must_be_known && is_doubtful);
            return if is_judged { Ok(row) } else { judge_again(announced, row, judge).await };
        }
        let location = locate(announced, self.upstream, self.max_bytes)?;
        self.end_in_time();
        if let Some(later) = &self.carried.later {
            return Err(later.clone().into());
        }
        self.carried.has_asked = true;
        let taken = take(announced, &location, self.upstream, judge).await;
        let is_trouble = matches!(&taken, Err(Stop::Fault(fault)) if fault.is_trouble);
        self.carried.troubles = if is_trouble { self.carried.troubles + 1 } else { 0 };
        if self.carried.troubles >= self.most_troubles {
            let count = self.carried.troubles;
            let reason = format!("the {count} files before it could not be had, so it is asked for later");
            tracing::warn!(
                upstream = self.name,
                count,
                "files fail one after another; the rest is asked for later"
            );
            self.carried.later = Some(Fault::new(FaultCode::Deferred, reason));
        }
        if let Err(Stop::Fault(fault)) = &taken {
            self.harvest.may_have_moved |= fault.code.may_be_a_race();
            if fault.code == FaultCode::Deferred {
                self.harvest.wait_seconds = fault.wait_seconds;
                // The others are not asked for.
                self.carried.later = Some(Fault { is_trouble: false, ..fault.clone() });
            }
        }
        let row = taken?;
        self.judge.data.store.hold(self.name, &[row.original, row.served]).await?;
        self.arrived.push((announced.key(), row));
        Ok(row)
    }

    /// Asks for nothing more once the pass has taken as long as it may, unless it would come to nothing at all.
    fn end_in_time(&mut self) {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        if is_over && self.carried.has_asked && self.carried.later.is_none() {
            let reason =
                "the pass has taken as long as it may (mirror.pass_timeout_ms), so it is asked for later";
            tracing::warn!(upstream = self.name, "the pass takes too long; the rest is asked for later");
            self.carried.later = Some(Fault::new(FaultCode::Deferred, reason));
        }
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
        let is_put_off = *code == FaultCode::Deferred && fault.is_trouble;
        let list = if is_put_off { &mut self.put_off } else { &mut self.harvest.faults };
        let (code, reason) = (code.as_str().to_owned(), reason.clone());
        list.push(PassFault { entry: entry.to_owned(), artifact, code, reason });
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
