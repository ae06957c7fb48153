//! One run over one upstream: from the question whether anything has changed to the record of what became of it.
//!
//! Whatever happens is recorded. A run that fails, or is broken off, changes nothing else.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use phasic_hub_api::mirror::QuarantineDecision;
use phasic_hub_api::{ReadLimits, RegistryDocument, RegistryReading, Sha256};

use super::artifact::Judge;
use super::budget::Requests;
use super::errand::{Errand, Permissions};
use super::head::{self, Head, HeadError};
use super::known::Known;
use super::lock::MirrorLock;
use super::pass::{Carried, Harvest, MOST_TROUBLES, Pass};
use super::schedule::Timing;
use super::upstream::Fetched;
use super::{FetchError, MirrorError, Upstream};
use crate::blobs::{Terms, in_memory};
use crate::config::{COMMIT, Config, UpstreamSettings, is_web};
use crate::hub::DataDirectory;
use crate::store::{
    Finding, PassHead, PassRecord, Reconciliation, UpstreamRow, Validators, is_mass_deletion,
};
use crate::verification::Limits;

/// How often a document is read again that changes while its files are read.
const MOST_READINGS: usize = 3;

/// A run that has ended, and was recorded.
#[derive(Debug)]
pub struct Ended {
    /// The number of its record.
    pub number: i64,
    /// What became of it.
    pub result: Result<(), MirrorError>,
}

/// What upstream has.
enum Look {
    /// What is mirrored; with what to send the next time, where upstream has said something new.
    Unmodified(Option<Validators>),
    Document(Box<Document>),
}

/// What a pass was made under.
struct Basis {
    decisions: Vec<(i64, QuarantineDecision)>,
    last_revision: i64,
    may_remove_many: bool,
}

struct Document {
    upstream: Upstream,
    bytes: Bytes,
    sha256: Sha256,
    reading: RegistryReading,
    validators: Validators,
    commit: Option<String>,
}

/// Runs one errand. Nothing but what upstream has changed is fetched; files the hub has already are not.
///
/// A compute whose entry or parent file fails stays at the version that was mirrored last; component files that fail are
/// left out of theirs.
///
/// # Errors
/// When not even the record can be written. What goes wrong with the upstream is in [`Ended`].
pub async fn run(data: &DataDirectory, config: &Config, errand: &Errand) -> Result<Ended, MirrorError> {
    let _lock = MirrorLock::take(&config.data_dir).await?;
    let identity = &errand.upstream;
    let row = known_row(data, errand).await?;
    let requests = Arc::new(match errand.max_requests_per_hour {
        Some(per_hour) => Requests::limited(data.store.clone(), identity.name.clone(), per_hour),
        None => Requests::unlimited(),
    });
    // A pass that will come again by itself leaves the others their turn.
    let until = errand.comes_again().then(|| Instant::now() + config.mirror.pass_timeout_ms.duration());
    let run = Run { data, config, errand, row: &row, requests, started_at: data.store.now().await?, until };
    let result = run.attempt().await;
    run.requests.settle().await?;
    match result {
        Ok(number) => Ok(Ended { number, result: Ok(()) }),
        Err(error) => run.record_failure(error).await,
    }
}

/// What is known of the upstream of an errand. Another address of an ad-hoc upstream becomes its own only with a pass
/// that goes well.
async fn known_row(data: &DataDirectory, errand: &Errand) -> Result<UpstreamRow, MirrorError> {
    let identity = &errand.upstream;
    // What only adds to it may come from anywhere.
    let is_ad_hoc = errand.timing.is_none() && !errand.permissions.keep_others;
    let moved = match data.store.upstream(&identity.name).await? {
        Some(row) if is_ad_hoc && row.address != identity.address => Some(row),
        _ => None,
    };
    let Some(row) = moved else {
        data.store.name_upstream(identity).await?;
        let row = data.store.upstream(&identity.name).await?;
        return row.ok_or_else(|| MirrorError::Dropped { name: identity.name.clone() });
    };
    if !errand.permissions.replace {
        let (name, upstream, recorded) = (row.name, identity.address.clone(), row.address);
        return Err(MirrorError::OtherUpstream { name, upstream, recorded });
    }
    Ok(UpstreamRow { validators: Validators::default(), must_read: true, must_verify: true, ..row })
}

struct Run<'a> {
    data: &'a DataDirectory,
    config: &'a Config,
    errand: &'a Errand,
    row: &'a UpstreamRow,
    requests: Arc<Requests>,
    started_at: String,
    /// Until when files are asked for, if not to the end.
    until: Option<Instant>,
}

impl Run<'_> {
    async fn attempt(&self) -> Result<i64, MirrorError> {
        let address = &self.errand.upstream.address;
        if self.config.offline && is_web(address) {
            return Err(MirrorError::Offline { upstream: address.clone() });
        }
        let mut carried = Carried::default();
        for _ in 0..MOST_READINGS {
            let document = match self.look().await? {
                Look::Document(document) => document,
                Look::Unmodified(told) => {
                    return Ok(self
                        .data
                        .store
                        .unmodified(&self.head(self.usual(), None), told.as_ref())
                        .await?);
                }
            };
            // Once, and once more for each decision somebody takes meanwhile.
            loop {
                let known = Known::load(self.data, self.row, self.errand.trust).await?;
                let may_remove_many = self.guard(&document, &known)?;
                let basis = Basis {
                    decisions: known.decided.clone(),
                    last_revision: known.last_revision,
                    may_remove_many,
                };
                let harvest;
                (harvest, carried) = self.harvest(&document, known, carried).await?;
                if harvest.may_have_moved && document.commit.is_none() && self.has_moved(&document).await? {
                    tracing::debug!(
                        upstream = self.row.name,
                        "the document changed while its files were read"
                    );
                    break;
                }
                let record = self.record(&document, harvest, basis).await?;
                if let Some(number) = self.reconcile(&record).await? {
                    return Ok(number);
                }
                tracing::debug!(upstream = self.row.name, "something was decided while files were read");
            }
        }
        Err(MirrorError::Restless { upstream: address.clone() })
    }

    /// Asks upstream what it has, in as few words as possible.
    async fn look(&self) -> Result<Look, MirrorError> {
        let Permissions { read_again, replace, .. } = self.errand.permissions;
        let must_read = self.row.must_read || read_again || replace;
        let told = &self.row.validators;
        let Errand { commit_url, settings, upstream: identity, .. } = self.errand;
        let token = settings.as_ref().map(UpstreamSettings::token).transpose()?.flatten();
        let limits = &self.config.mirror;
        let (mut address, mut commit, mut validators) = (identity.address.clone(), None, told.clone());
        if !commit_url.is_empty() {
            let asked = head::ask(commit_url, token.as_ref(), limits, told, &self.requests).await;
            let found = match asked.map_err(|error| self.head_failed(error))? {
                Head::Commit(found, now) => {
                    validators = now;
                    Some(found)
                }
                Head::Unmodified => self.row.commit.clone(),
            };
            let Some(found) = found else { return Err(self.fetch_failed(FetchError::NoChange)) };
            if !must_read && self.row.commit.as_ref() == Some(&found) {
                // A server that names the same commit by another tag is asked by that one.
                return Ok(Look::Unmodified(Some(validators)));
            }
            address = address.replace(COMMIT, &found);
            commit = Some(found);
        }
        let requests = Arc::clone(&self.requests);
        let upstream = Upstream::open(&address, token.as_ref(), limits, requests).await?;
        let is_conditional = commit.is_none() && !must_read;
        let asked = if is_conditional { told.clone() } else { Validators::default() };
        let fetched = upstream.document(limits.max_registry_bytes.get(), &asked).await;
        let Fetched::Changed(bytes, now) = fetched.map_err(|error| self.fetch_failed(error))? else {
            return Ok(Look::Unmodified(None));
        };
        if commit.is_none() {
            validators = now;
        }
        let sha256 = Sha256::of(&bytes);
        if is_conditional && self.row.document == Some(sha256) {
            return Ok(Look::Unmodified(Some(validators)));
        }
        let reading = self.read(&bytes)?;
        let bytes = bytes.into();
        Ok(Look::Document(Box::new(Document { upstream, bytes, sha256, reading, validators, commit })))
    }

    fn read(&self, bytes: &[u8]) -> Result<RegistryReading, MirrorError> {
        let mut limits = ReadLimits::default();
        limits.document_bytes = self.config.mirror.max_registry_bytes.count();
        let upstream = self.errand.upstream.address.clone();
        RegistryDocument::read(bytes, &limits).map_err(|source| MirrorError::Registry { upstream, source })
    }

    fn head_failed(&self, error: HeadError) -> MirrorError {
        match error {
            HeadError::Upstream(error) => error.into(),
            HeadError::Fetch(error) => self.fetch_failed(error),
        }
    }

    fn fetch_failed(&self, error: FetchError) -> MirrorError {
        let upstream = self.errand.upstream.address.clone();
        match error.into_too_large() {
            Ok(source) => MirrorError::Registry { upstream, source },
            Err(source) => MirrorError::Fetch { upstream, source },
        }
    }

    /// Whether the pass may remove as much as it will, found out before any file is asked for.
    fn guard(&self, document: &Document, known: &Known) -> Result<bool, MirrorError> {
        let Permissions { replace, remove_many, keep_others, .. } = self.errand.permissions;
        let decision = known.decisions("", "", document.sha256);
        if replace || remove_many || keep_others || decision.accepts("mass_deletion") {
            return Ok(true);
        }
        let (mut ids, mut files) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        let mut retracted = std::collections::HashSet::new();
        for entry in document.reading.entries() {
            match entry {
                Ok((id, entry)) => {
                    ids.insert(id.as_str());
                    retracted.extend(Some(id.as_str()).filter(|_| entry.retracted));
                    files.insert((entry.graph_hash, entry.artifacts.parent.sha256, entry.retracted));
                }
                Err(fault) => drop(ids.insert(fault.id.as_str())),
            }
        }
        let is_gone = |id: &str, entry: &phasic_hub_api::RegistryEntry| {
            let (hash, file) = (entry.graph_hash, entry.artifacts.parent.sha256);
            // Another name under which it is hidden is no name.
            let is_moved = files.contains(&(hash, file, false))
                || entry.retracted && files.contains(&(hash, file, true));
            !ids.contains(id) && !is_moved || !entry.retracted && retracted.contains(id)
        };
        let mirrored = known.mirrored.len();
        let removed =
            known.mirrored.iter().filter(|(id, before)| is_gone(id.as_str(), &before.entry)).count();
        if is_mass_deletion(removed, mirrored) {
            return Err(self.too_many(document.sha256, removed, mirrored));
        }
        Ok(false)
    }

    fn too_many(&self, document: Sha256, removed: usize, mirrored: usize) -> MirrorError {
        let upstream = self.errand.upstream.address.clone();
        MirrorError::TooManyRemovals { upstream, document, removed, mirrored }
    }

    async fn harvest(
        &self,
        document: &Document,
        known: Known,
        carried: Carried,
    ) -> Result<(Harvest, Carried), MirrorError> {
        let judge = Judge { data: self.data, limits: Limits::of(self.config), must_be_known: false };
        let pass = Pass {
            judge,
            upstream: &document.upstream,
            name: &self.errand.upstream.name,
            max_bytes: self.config.mirror.max_artifact_bytes.get(),
            most_troubles: if self.errand.comes_again() { MOST_TROUBLES } else { u32::MAX },
            until: self.until,
            begin: self.data.store.cut_off(&self.errand.upstream.name).await?,
            trust: self.errand.trust,
            must_verify: self.row.must_verify,
            known,
            harvest: Harvest::default(),
            carried,
            arrived: Vec::new(),
            put_off: Vec::new(),
        };
        pass.run(&document.reading).await
    }

    /// Whether upstream has another document by now, so that files that do not fit are those of another one.
    async fn has_moved(&self, document: &Document) -> Result<bool, MirrorError> {
        let max_bytes = self.config.mirror.max_registry_bytes.get();
        match document.upstream.document(max_bytes, &document.validators).await {
            Ok(Fetched::Unmodified) => Ok(false),
            Ok(Fetched::Changed(bytes, _)) => Ok(Sha256::of(&bytes) != document.sha256),
            // Then what there is will do.
            Err(error) if error.is_later() => Ok(false),
            Err(error) => Err(self.fetch_failed(error)),
        }
    }

    async fn record(
        &self,
        document: &Document,
        harvest: Harvest,
        basis: Basis,
    ) -> Result<PassRecord, MirrorError> {
        let Document { bytes, sha256, reading, validators, commit, .. } = document;
        let terms = Terms { max_bytes: bytes.len() as u64, sha256: Some(*sha256) };
        let blob = self.data.blobs.put(in_memory(bytes.clone()), terms).await?;
        let next = match harvest.wait_seconds {
            Some(seconds) => self.errand.timing.map(|_| Timing::asked(seconds)),
            None => self.usual(),
        };
        Ok(PassRecord {
            head: self.head(next, harvest.wait_seconds.map(Timing::asked)),
            commit: commit.clone(),
            document: blob,
            validators: validators.clone(),
            entries: reading.entries().len(),
            computes: harvest.computes,
            keeps_others: self.errand.permissions.keep_others,
            faults: harvest.faults,
            findings: harvest.findings,
            hidden: harvest.hidden,
            withdrawn: harvest.withdrawn,
            private: harvest.private,
            must_read: harvest.is_incomplete,
            may_remove_many: basis.may_remove_many,
            decisions: basis.decisions,
            last_revision: basis.last_revision,
        })
    }

    /// The number of the pass; `None` when it was made under other decisions than those that hold by now.
    async fn reconcile(&self, record: &PassRecord) -> Result<Option<i64>, MirrorError> {
        match self.data.store.reconcile(record).await? {
            Reconciliation::Done(number) => Ok(Some(number)),
            Reconciliation::Overruled => Ok(None),
            Reconciliation::TooManyRemovals { removed, mirrored } => {
                Err(self.too_many(record.document.sha256, removed, mirrored))
            }
        }
    }

    fn usual(&self) -> Option<f64> {
        self.errand.timing.map(Timing::usual)
    }

    fn head(&self, next_seconds: Option<f64>, asked_seconds: Option<f64>) -> PassHead {
        PassHead {
            upstream: self.errand.upstream.name.clone(),
            address: self.errand.upstream.address.clone(),
            actor: self.errand.actor.clone(),
            started_at: self.started_at.clone(),
            requests: self.requests.sent(),
            next_seconds,
            asked_seconds,
        }
    }

    async fn record_failure(&self, error: MirrorError) -> Result<Ended, MirrorError> {
        let failures = u32::try_from(self.row.failures_in_a_row).unwrap_or(u32::MAX);
        let next = self.errand.timing.map(|timing| match &error {
            // Nothing fails here: somebody has to decide, and then it is run at once.
            MirrorError::TooManyRemovals { .. } => timing.usual(),
            error => timing.after_failure(failures, error.wait_seconds()),
        });
        let finding = match &error {
            MirrorError::TooManyRemovals { document, removed, mirrored, .. } => Some(Finding {
                entry: String::new(),
                artifact: String::new(),
                sha256: *document,
                code: "mass_deletion",
                reason: format!(
                    "upstream has removed or retracted {removed} of the {mirrored} computes that are mirrored"
                ),
            }),
            _ => None,
        };
        let text = error.to_string();
        let head = self.head(next, error.wait_seconds().map(Timing::asked));
        let number = self.data.store.fail(&head, (error.code(), &text), finding.as_ref()).await?;
        Ok(Ended { number, result: Err(error) })
    }
}
