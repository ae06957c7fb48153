//! One pass over an upstream, from the document to the transaction.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::{ComputeId, ReadLimits, RegistryDocument, RegistryEntry, RegistryReading};

use super::artifact::{Announced, FileKey, Stop, take};
use super::{Fault, FaultCode, MirrorError, Upstream};
use crate::blobs::{BlobError, Terms, in_memory};
use crate::config;
use crate::hub::DataDirectory;
use crate::registry::FORMAT_REVISION;
use crate::store::{ArtifactRow, FaultRow, Origin, PassRecord, Publication, Reconciliation, Role};

/// What a pass did.
#[derive(Clone, Debug)]
pub struct PassReport {
    /// Where it read.
    pub upstream: String,
    /// Entries of the document.
    pub entries: usize,
    /// Computes the mirror has now.
    pub mirrored: usize,
    /// Computes it had before, and upstream has no more.
    pub removed: Vec<String>,
    /// What was left out.
    pub faults: Vec<FaultRow>,
}

/// What the operator has allowed a pass to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permissions {
    /// Take this upstream in place of the one mirrored before, whatever that removes.
    pub replace: bool,
    /// Remove however many computes upstream has no more.
    pub remove_many: bool,
}

/// Runs one pass and makes its outcome the state of the mirror.
///
/// Files the hub has already are not fetched again. A compute whose entry or parent file fails stays at the version
/// that was mirrored last; component files that fail are left out of theirs.
///
/// # Errors
/// When the document cannot be used, or the hub itself fails. Nothing is changed then.
pub async fn sync(
    data: &DataDirectory,
    upstream: &Upstream,
    limits: &config::Mirror,
    permissions: Permissions,
) -> Result<PassReport, MirrorError> {
    let last = data.store.last_pass().await?;
    if let Some(last) = last.filter(|last| last.upstream != upstream.to_string() && !permissions.replace) {
        return Err(MirrorError::OtherUpstream { upstream: upstream.to_string(), recorded: last.upstream });
    }
    let (bytes, reading) = read_document(upstream, limits).await?;
    let known = Known::load(data).await?;
    let entries = reading.entries().len();
    let mut pass = Pass { data, upstream, limits, known, computes: Vec::new(), faults: Vec::new() };
    for entry in reading.entries() {
        match entry {
            Err(fault) => {
                pass.leave_out(&fault.id, None, FaultCode::EntryInvalid, &fault.reason);
                if let Ok(id) = fault.id.parse() {
                    pass.keep(&id);
                }
            }
            Ok((id, entry)) => pass.visit(id, entry).await?,
        }
    }
    let Pass { computes, faults, .. } = pass;
    let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
    let document = data.blobs.put(in_memory(bytes), terms).await?;
    let may_remove_many = permissions.replace || permissions.remove_many;
    let upstream = upstream.to_string();
    let record = PassRecord { upstream, document, entries, computes, faults, may_remove_many };
    let outcome = data.store.reconcile(&record).await?;
    let PassRecord { upstream, computes, faults, .. } = record;
    match outcome {
        Reconciliation::Done(removed) => {
            Ok(PassReport { upstream, entries, mirrored: computes.len(), removed, faults })
        }
        Reconciliation::TooManyRemovals { removed, mirrored } => {
            Err(MirrorError::TooManyRemovals { upstream, removed, mirrored })
        }
    }
}

async fn read_document(
    upstream: &Upstream,
    limits: &config::Mirror,
) -> Result<(Vec<u8>, RegistryReading), MirrorError> {
    let refused = |source| MirrorError::Registry { upstream: upstream.to_string(), source };
    let bytes = match upstream.document(limits.max_registry_bytes.get()).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return Err(match error.into_too_large() {
                Ok(too_large) => refused(too_large),
                Err(source) => MirrorError::Fetch { upstream: upstream.to_string(), source },
            });
        }
    };
    let mut read_limits = ReadLimits::default();
    read_limits.document_bytes = limits.max_registry_bytes.count();
    let reading = RegistryDocument::read(&bytes, &read_limits).map_err(refused)?;
    Ok((bytes, reading))
}

/// What the hub has.
#[derive(Default)]
struct Known {
    local: HashMap<ComputeId, RegistryEntry>,
    mirrored: HashMap<ComputeId, Publication>,
    /// Every file that has passed its checks, those of this pass included: entries share components.
    files: HashMap<FileKey, ArtifactRow>,
}

impl Known {
    async fn load(data: &DataDirectory) -> Result<Self, MirrorError> {
        let mut known = Self::default();
        for row in data.store.computes().await? {
            let publication = row.publication()?;
            known.learn(&publication);
            match row.origin {
                Origin::Local | Origin::Computed => {
                    drop(known.local.insert(publication.id, publication.entry));
                }
                Origin::Mirror => drop(known.mirrored.insert(publication.id.clone(), publication)),
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
}

struct Pass<'a> {
    data: &'a DataDirectory,
    upstream: &'a Upstream,
    limits: &'a config::Mirror,
    known: Known,
    computes: Vec<Publication>,
    faults: Vec<FaultRow>,
}

impl Pass<'_> {
    async fn visit(&mut self, id: &ComputeId, entry: &RegistryEntry) -> Result<(), BlobError> {
        if let Some(local) = self.known.local.get(id) {
            let (code, reason) = if local.graph_hash == entry.graph_hash {
                (FaultCode::LocalSame, "this hub has published this compute itself, for the same graph")
            } else {
                (FaultCode::LocalConflict, "this hub has published another graph under this id itself")
            };
            self.leave_out(id.as_str(), None, code, &reason);
            return Ok(());
        }
        let artifacts = match entry.format_revision {
            _ if entry.retracted => Some(self.already_here(id, entry)),
            Some(revision) if revision > FORMAT_REVISION => {
                let reason =
                    format!("format_revision is {revision}, and this hub knows up to {FORMAT_REVISION}");
                self.leave_out(id.as_str(), None, FaultCode::RevisionUnknown, &reason);
                None
            }
            _ => self.files(id, entry).await?,
        };
        match artifacts {
            Some(artifacts) => {
                self.computes.push(Publication { id: id.clone(), entry: entry.clone(), artifacts });
            }
            None => self.keep(id),
        }
        Ok(())
    }

    /// Keeps the version that was mirrored last, if there is one.
    fn keep(&mut self, id: &ComputeId) {
        self.computes.extend(self.known.mirrored.get(id).cloned());
    }

    /// The files of a retracted entry, if they were mirrored before; they are not fetched any more.
    fn already_here(&self, id: &ComputeId, entry: &RegistryEntry) -> Vec<ArtifactRow> {
        let before = self.known.mirrored.get(id).filter(|before| before.entry.artifacts == entry.artifacts);
        before.map(|before| before.artifacts.clone()).unwrap_or_default()
    }

    /// All files of an entry, or nothing if its parent fails.
    async fn files(
        &mut self,
        id: &ComputeId,
        entry: &RegistryEntry,
    ) -> Result<Option<Vec<ArtifactRow>>, BlobError> {
        let mut rows: Vec<ArtifactRow> = Vec::new();
        let mut components = HashSet::new();
        for announced in Announced::all(entry) {
            let outcome = if announced.role == Role::Scc && !components.insert(announced.graph_hash) {
                Err(Stop::Fault(Fault::new(
                    FaultCode::DuplicateScc,
                    "the entry has named a file for it before",
                )))
            } else if let Some(row) = self.reuse(announced).await? {
                Ok(row)
            } else {
                let max_bytes = self.limits.max_artifact_bytes.get();
                take(announced, self.upstream, &*self.data.blobs, max_bytes).await
            };
            match outcome {
                Ok(row) => {
                    self.known.files.insert(announced.key(), row);
                    rows.push(row);
                }
                Err(Stop::Blobs(error)) => return Err(error),
                Err(Stop::Fault(fault)) => {
                    let name = announced.name().to_string();
                    self.leave_out(id.as_str(), Some(name), fault.code, &fault.reason);
                    if announced.role == Role::Parent {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(rows))
    }

    /// A file that has passed the same checks before, and is still here in both forms.
    async fn reuse(&self, announced: Announced<'_>) -> Result<Option<ArtifactRow>, BlobError> {
        let Some(&row) = self.known.files.get(&announced.key()) else { return Ok(None) };
        for blob in [row.original, row.served] {
            if self.data.blobs.size_bytes(blob.sha256).await? != Some(blob.size_bytes) {
                return Ok(None);
            }
        }
        Ok(Some(row))
    }

    fn leave_out(
        &mut self,
        entry: &str,
        artifact: Option<String>,
        code: FaultCode,
        reason: &dyn std::fmt::Display,
    ) {
        let reason = reason.to_string();
        tracing::debug!(?entry, artifact, code = code.as_str(), reason, "left out");
        let code = code.as_str().to_owned();
        self.faults.push(FaultRow { entry: entry.to_owned(), artifact, code, reason });
    }
}
