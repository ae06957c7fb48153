//! Passes, decisions and upstreams in a database of their own. Here is what all tests of them begin with.

mod computed;
mod decisions;
mod passes;
mod upstreams;

use phasic_hub_api::Sha256;

use super::{Finding, PassHead, PassRecord, Reconciliation, UpstreamIdentity, Validators};
use crate::store::tests::{blob, fresh};
use crate::store::{Actor, Publication, Store, StoreError};

fn named(name: &str, place: i64) -> UpstreamIdentity {
    UpstreamIdentity { name: name.to_owned(), address: format!("http://{name}"), trust: "checked", place }
}

/// A database that knows these upstreams, the first to be believed first.
async fn with_upstreams(names: &[&str]) -> (tempfile::TempDir, Store) {
    let (directory, store) = fresh().await;
    for (place, name) in (0..).zip(names) {
        store.name_upstream(&named(name, place)).await.unwrap();
    }
    (directory, store)
}

fn head(upstream: &str) -> PassHead {
    PassHead {
        upstream: upstream.to_owned(),
        address: format!("http://{upstream}"),
        actor: Actor::Hub,
        started_at: "2026-11-28T12:00:00.000Z".to_owned(),
        requests: 1,
        next_seconds: Some(3600.0),
        asked_seconds: None,
    }
}

fn pass_of(upstream: &str, computes: Vec<Publication>) -> PassRecord {
    PassRecord {
        head: head(upstream),
        commit: None,
        document: blob("document"),
        validators: Validators::default(),
        entries: computes.len(),
        computes,
        keeps_others: false,
        faults: Vec::new(),
        findings: Vec::new(),
        hidden: std::collections::BTreeSet::new(),
        withdrawn: std::collections::BTreeSet::new(),
        private: std::collections::BTreeSet::new(),
        must_read: false,
        may_remove_many: true,
        decisions: Vec::new(),
        last_revision: i64::MAX,
    }
}

/// The same pass, made under what is decided by now.
async fn considering(store: &Store, pass: PassRecord) -> PassRecord {
    let lines = store.decisions(&pass.head.upstream).await.unwrap();
    let decisions = lines.iter().map(|line| (line.number, line.decision.unwrap())).collect();
    PassRecord { decisions, ..pass }
}

fn pass(computes: Vec<Publication>) -> PassRecord {
    pass_of("test", computes)
}

/// Ends a pass that has just fetched all its files.
async fn reconcile(store: &Store, pass: &PassRecord) -> Result<Reconciliation, StoreError> {
    let artifacts = pass.computes.iter().flat_map(|publication| &publication.artifacts);
    let files: Vec<_> = artifacts.flat_map(|artifact| [artifact.original, artifact.served]).collect();
    store.hold(&pass.head.upstream, &files).await?;
    store.reconcile(pass).await
}

fn finding(entry: &str, bytes: &str, code: &'static str) -> Finding {
    let reason = "a reason".to_owned();
    let (entry, artifact) = (entry.to_owned(), String::new());
    Finding { entry, artifact, sha256: Sha256::of(bytes.as_bytes()), code, reason }
}
