//! Quarantine, and what is decided about it.

use phasic_hub_api::mirror::QuarantineDecision;

use super::{considering, finding, head, pass, reconcile, with_upstreams};
use crate::store::mirror::{Decided, Finding, PassRecord, Reconciliation};
use crate::store::tests::{blob, history, ids, publication};
use crate::store::{Actor, Store};
use crate::visibility::Viewer;

#[tokio::test]
async fn no_number_of_the_quarantine_is_given_twice() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let with = |findings| PassRecord { findings, ..pass(vec![]) };
    reconcile(&store, &with(vec![finding("x", "1", "unverified")])).await.unwrap();
    let seen = store.quarantine(0, 1, false).await.unwrap().remove(0);
    reconcile(&store, &with(vec![])).await.unwrap();
    reconcile(&store, &with(vec![finding("x", "2", "unverified")])).await.unwrap();
    let other = store.quarantine(0, 1, false).await.unwrap().remove(0);
    assert_ne!(other.sha256, seen.sha256);
    let decided = store.decide(seen.number, QuarantineDecision::Accept, &Actor::Operator).await.unwrap();
    assert!(matches!(decided, Decided::Unknown), "{decided:?}");
}

#[tokio::test]
async fn decisions_and_alarms_hold_until_somebody_says_otherwise() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let with = |findings: Vec<Finding>| PassRecord { findings, ..pass(vec![publication("x", "1")]) };
    let found = vec![
        finding("bad", "1", "wrong_hash"),
        finding("new", "1", "unverified"),
        finding("x", "1", "bytes_changed"),
    ];
    reconcile(&store, &with(found.clone())).await.unwrap();
    reconcile(&store, &with(found.clone())).await.unwrap();
    let lines = store.quarantine(0, 10, false).await.unwrap();
    let codes: Vec<_> = lines.iter().map(|line| line.code.as_str()).collect();
    assert_eq!(codes, ["wrong_hash", "unverified", "bytes_changed"], "once each");
    let row = store.upstream("test").await.unwrap().unwrap();
    assert_eq!((row.quarantined, row.alarms), (2, 1));

    let decide = async |number, decision| store.decide(number, decision, &Actor::Operator).await.unwrap();
    assert!(matches!(decide(lines[0].number, QuarantineDecision::Accept).await, Decided::Impossible(_)));
    assert!(matches!(decide(99, QuarantineDecision::Forget).await, Decided::Unknown));
    assert!(matches!(decide(lines[1].number, QuarantineDecision::Accept).await, Decided::Done(_)));
    assert!(store.upstream("test").await.unwrap().unwrap().must_read, "it is acted upon at once");
    for _ in 0..2 {
        reconcile(&store, &considering(&store, with(vec![])).await).await.unwrap();
        let left = store.quarantine(0, 10, true).await.unwrap();
        let left: Vec<_> = left.iter().map(|line| line.number).collect();
        assert_eq!(
            left,
            [lines[1].number, lines[2].number],
            "only what nobody has decided upon goes by itself"
        );
    }
    assert!(matches!(decide(lines[1].number, QuarantineDecision::Forget).await, Decided::Done(_)));
    assert!(matches!(decide(lines[2].number, QuarantineDecision::Forget).await, Decided::Done(_)));
    assert!(store.quarantine(0, 10, true).await.unwrap().is_empty());
    let actions: Vec<_> = store.audit(0, 99).await.unwrap().into_iter().map(|line| line.action).collect();
    assert_eq!(actions.iter().filter(|action| *action == "mirror.decide").count(), 3);
}

#[tokio::test]
async fn that_much_may_be_removed_is_said_of_one_document_and_ends_with_it() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("x", "1")])).await.unwrap();
    let empty = |document| PassRecord { document: blob(document), ..pass(vec![]) };
    let held = finding("", "empty", "mass_deletion");
    store.fail(&head("test"), ("mass_deletion", "held"), Some(&held)).await.unwrap();
    let line = store.quarantine(0, 1, false).await.unwrap().remove(0);
    store.decide(line.number, QuarantineDecision::Accept, &Actor::Operator).await.unwrap();
    reconcile(&store, &considering(&store, empty("empty")).await).await.unwrap();
    assert_eq!(store.decisions("test").await.unwrap().len(), 1);
    reconcile(&store, &considering(&store, empty("another")).await).await.unwrap();
    assert!(store.decisions("test").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_rejected_is_withdrawn_in_the_same_moment() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let record = PassRecord {
        findings: vec![finding("x", "1", "bytes_changed")],
        ..pass(vec![publication("x", "1"), publication("y", "2")])
    };
    reconcile(&store, &record).await.unwrap();
    let line = store.quarantine(0, 1, false).await.unwrap().remove(0);
    store.decide(line.number, QuarantineDecision::Reject, &Actor::Operator).await.unwrap();
    assert_eq!(ids(&store).await, ["y"]);
    assert!(matches!(&history(&store, "x").await[..], [Some(_), None]));
    let (rejected, other) = (blob("1").sha256, blob("2").sha256);
    let versions = store.snapshot().await.unwrap().former_versions().await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| version.blob.sha256).collect();
    assert!(!versions.contains(&rejected), "nor under its digest");
    let visible = async |name| store.visible_blob(name, &Viewer::Public).await.unwrap().is_some();
    assert_eq!((visible(rejected).await, visible(other).await), (false, true));
    assert!(store.unreferenced_blobs().await.unwrap().contains(&rejected), "garbage in the end");
    assert_eq!(store.decisions("test").await.unwrap().len(), 1);
    assert_eq!(store.drop_upstream("test", &Actor::Operator).await.unwrap(), Some(1));
    assert_eq!(store.drop_upstream("test", &Actor::Operator).await.unwrap(), None);
    assert!(ids(&store).await.is_empty() && store.upstreams().await.unwrap().is_empty());
}

/// Mirrors "x" of so and so, served in a form, with a line for quarantine.
async fn mirror(store: &Store, content: &str, form: &str) {
    let mut publication = publication("x", content);
    publication.artifacts[0].served = blob(form);
    let findings = vec![finding("x", content, "bytes_changed")];
    let record = PassRecord { findings, ..pass(vec![publication]) };
    let done = reconcile(store, &considering(store, record).await).await.unwrap();
    assert!(matches!(done, Reconciliation::Done(_)));
}

async fn reject(store: &Store, content: &str) {
    let lines = store.quarantine(0, 9, false).await.unwrap();
    let line = lines.iter().find(|line| line.sha256 == blob(content).sha256).unwrap();
    store.decide(line.number, QuarantineDecision::Reject, &Actor::Operator).await.unwrap();
}

#[tokio::test]
async fn what_is_rejected_goes_in_every_form_though_upstream_has_other_bytes_by_now() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let visible =
        async |name: &str| store.visible_blob(blob(name).sha256, &Viewer::Public).await.unwrap().is_some();
    for (content, form) in [("1", "form of 1"), ("2", "shared"), ("3", "shared"), ("4", "form of 4")] {
        mirror(&store, content, form).await;
        assert!(visible(form).await);
    }
    reject(&store, "1").await;
    assert!(!visible("form of 1").await);
    assert!(store.unreferenced_blobs().await.unwrap().contains(&blob("form of 1").sha256));
    let versions = store.snapshot().await.unwrap().former_versions().await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| version.blob.sha256).collect();
    assert_eq!(versions, [blob("shared").sha256]);
    reject(&store, "2").await;
    assert!(visible("shared").await, "other bytes have that form, too");
    reject(&store, "3").await;
    assert!(!visible("shared").await && visible("form of 4").await);
}

#[tokio::test]
async fn what_is_rejected_goes_in_the_form_an_earlier_version_converted_it_to_without_a_note() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    // What is not converted, and what is, one after the other; "1" and "3" by a version that did not note it.
    for (content, form) in
        [("0", "0"), ("1", "form of 1"), ("2", "form of 2"), ("3", "form of 3"), ("4", "4")]
    {
        mirror(&store, content, form).await;
        if ["1", "3"].contains(&content) {
            sqlx::query("DELETE FROM version_originals WHERE sha256 = ?")
                .bind(&blob(form).sha256.as_bytes()[..])
                .execute(&store.writer)
                .await
                .unwrap();
        }
    }
    let visible = async || {
        let mut visible = Vec::new();
        for name in ["0", "form of 1", "form of 2", "form of 3", "4"] {
            if store.visible_blob(blob(name).sha256, &Viewer::Public).await.unwrap().is_some() {
                visible.push(name);
            }
        }
        visible
    };
    reject(&store, "0").await;
    assert_eq!(visible().await, ["form of 1", "form of 2", "form of 3", "4"], "it was served as it was");
    reject(&store, "2").await;
    assert_eq!(visible().await, ["form of 1", "form of 3", "4"], "its form was noted");
    reject(&store, "1").await;
    assert_eq!(visible().await, ["4"], "either may be its form");
}

#[tokio::test]
async fn a_pass_overrules_no_decision_that_was_taken_while_it_was_made() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let findings = vec![finding("x", "1", "bytes_changed")];
    let record = PassRecord { findings, ..pass(vec![publication("x", "1"), publication("y", "2")]) };
    reconcile(&store, &record).await.unwrap();
    let line = store.quarantine(0, 1, false).await.unwrap().remove(0);
    let passes = async || store.passes(None, None, 9, &Viewer::All).await.unwrap().len();
    for decision in [QuarantineDecision::Reject, QuarantineDecision::Accept, QuarantineDecision::Forget] {
        let under_way = considering(&store, record.clone()).await;
        store.decide(line.number, decision, &Actor::Operator).await.unwrap();
        assert_eq!(reconcile(&store, &under_way).await.unwrap(), Reconciliation::Overruled, "{decision:?}");
        assert_eq!((ids(&store).await, passes().await), (vec!["y".to_owned()], 1), "{decision:?}");
    }
    let anew = considering(&store, record).await;
    assert_eq!(reconcile(&store, &anew).await.unwrap(), Reconciliation::Done(2));
}
