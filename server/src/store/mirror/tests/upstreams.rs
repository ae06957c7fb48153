//! What is known of an upstream: when it is due, what it may be asked, and what it was called.

use phasic_hub_api::mirror::{PassOutcome, QuarantineDecision};

use super::{finding, head, named, pass, pass_of, reconcile, with_upstreams};
use crate::store::mirror::{PassHead, PassRecord, UpstreamIdentity, Validators};
use crate::store::tests::{ids, publication};
use crate::store::{Actor, Store};
use crate::visibility::Viewer;

#[tokio::test]
async fn a_failure_is_recorded_and_changes_only_when_the_next_pass_is_due() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("a", "a")])).await.unwrap();
    let before = store.upstream("test").await.unwrap().unwrap();
    let failed = PassHead { next_seconds: Some(60.0), ..head("test") };
    let number = store.fail(&failed, ("unreachable", "no answer"), None).await.unwrap();
    let pass = store.pass(number, None).await.unwrap().unwrap().pass;
    assert_eq!((pass.outcome, pass.error_code.as_deref()), (PassOutcome::Failed, Some("unreachable")));
    let after = store.upstream("test").await.unwrap().unwrap();
    assert_eq!((after.failures_in_a_row, after.computes), (1, 1));
    assert_eq!(after.checked_at, before.checked_at);
    assert!(after.due_seconds.unwrap() < 61.0 && before.due_seconds.unwrap() > 3500.0);
    store.unmodified(&head("test"), None).await.unwrap();
    store.unmodified(&head("test"), None).await.unwrap();
    let outcomes: Vec<_> = store
        .passes(Some("test"), None, 9, &Viewer::All)
        .await
        .unwrap()
        .iter()
        .map(|pass| pass.outcome)
        .collect();
    assert_eq!(outcomes, [PassOutcome::Unmodified, PassOutcome::Failed, PassOutcome::Done]);
    assert_eq!(store.upstream("test").await.unwrap().unwrap().failures_in_a_row, 0);
}

#[tokio::test]
async fn the_budget_is_spent_and_given_back_and_fills_with_time() {
    let (directory, store) = with_upstreams(&["test"]).await;
    let spend = async |store: &Store, wanted| store.spend("test", wanted, 10).await.unwrap();
    assert_eq!(spend(&store, 8).await.requests, 8);
    assert_eq!(spend(&store, 8).await.requests, 2, "what there is");
    store.give_back("test", 1).await.unwrap();
    store.close().await;
    let store = Store::open(directory.path()).await.unwrap();
    assert_eq!(spend(&store, 1).await.requests, 1, "a restart neither takes nor gives");
    let nothing = spend(&store, 1).await;
    assert_eq!(nothing.requests, 0);
    // Four of ten an hour. A pass that comes as soon as there is one spends it on the document, again and again.
    assert!(nothing.wait_seconds > 1430.0 && nothing.wait_seconds <= 1440.0, "{nothing:?}");
    sqlx::query("UPDATE upstreams SET budget_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-30 minutes')")
        .execute(&store.writer)
        .await
        .unwrap();
    assert_eq!(spend(&store, 99).await.requests, 5, "half an hour, half of it");
}

#[tokio::test]
async fn how_long_an_upstream_wants_to_be_left_alone_outlives_passes_that_say_nothing_of_it() {
    let (directory, store) = with_upstreams(&["test", "by hand"]).await;
    let asked = PassHead { asked_seconds: Some(7200.0), next_seconds: None, ..head("test") };
    store.fail(&asked, ("later", "not now"), None).await.unwrap();
    store.unmodified(&head("test"), None).await.unwrap();
    store.ask_to_wait("by hand", 7200.0).await.unwrap();
    store.close().await;
    let store = Store::open(directory.path()).await.unwrap();
    for name in ["test", "by hand"] {
        let row = store.upstream(name).await.unwrap().unwrap();
        assert!(row.wait_seconds.is_some_and(|seconds| seconds > 7000.0), "{row:?}");
    }
    // Told to wait for longer than until the next pass, that comes later; told to wait for less, it does not come sooner.
    for (seconds, expected) in [(9000.0, 9000.0), (60.0, 9000.0)] {
        store.ask_to_wait("test", seconds).await.unwrap();
        let due = store.upstream("test").await.unwrap().unwrap().due_seconds.unwrap();
        assert!((expected - 60.0..=expected).contains(&due), "{due}");
    }
    let row = store.upstream("by hand").await.unwrap().unwrap();
    assert_eq!(row.next_run_at, None, "what has no passes by itself gets none");
}

#[tokio::test]
async fn nothing_is_due_before_an_upstream_has_been_left_alone_for_as_long_as_it_asked() {
    let (_directory, store) = with_upstreams(&["first", "test"]).await;
    reconcile(&store, &pass_of("first", vec![publication("x", "x")])).await.unwrap();
    let findings = vec![finding("y", "1", "unverified")];
    reconcile(&store, &PassRecord { findings, ..pass(vec![]) }).await.unwrap();
    let asked = PassHead { asked_seconds: Some(7200.0), next_seconds: Some(7200.0), ..head("test") };
    store.fail(&asked, ("later", "not now"), None).await.unwrap();
    let due = async || store.upstream("test").await.unwrap().unwrap().due_seconds;
    let is_left_alone = async || due().await.is_some_and(|seconds| seconds > 7000.0);

    reconcile(&store, &pass_of("first", vec![])).await.unwrap();
    assert!(store.upstream("test").await.unwrap().unwrap().must_read, "it may offer what has gone");
    assert!(is_left_alone().await, "another upstream has given something up: {:?}", due().await);
    let line = store.quarantine(0, 1, false).await.unwrap().remove(0);
    store.decide(line.number, QuarantineDecision::Accept, &Actor::Operator).await.unwrap();
    assert!(is_left_alone().await, "somebody has decided: {:?}", due().await);
    store.unmodified(&head("test"), None).await.unwrap();
    assert!(is_left_alone().await, "a pass was asked for, and has ended: {:?}", due().await);
    store.name_upstream(&UpstreamIdentity { trust: "verified-only", ..named("test", 1) }).await.unwrap();
    assert!(is_left_alone().await, "it is trusted less: {:?}", due().await);
    let moved = UpstreamIdentity { address: "http://elsewhere".to_owned(), ..named("test", 1) };
    store.name_upstream(&moved).await.unwrap();
    assert_eq!(due().await, None, "another place has not asked for anything");
}

#[tokio::test]
async fn what_goes_while_a_pass_reads_has_the_upstream_read_again_at_once() {
    let (_directory, store) = with_upstreams(&["first", "test"]).await;
    let shared = || vec![publication("x", "1")];
    reconcile(&store, &pass_of("first", shared())).await.unwrap();
    // The pass has seen that another upstream offers "x", and passes it over.
    let looked = store.last_revision().await.unwrap();
    let reading = PassRecord { last_revision: looked, ..pass(vec![]) };
    let row = async || store.upstream("test").await.unwrap().unwrap();
    reconcile(&store, &reading).await.unwrap();
    assert!(!row().await.must_read && row().await.due_seconds.is_some(), "nothing has gone");
    store.drop_upstream("first", &Actor::Operator).await.unwrap();
    reconcile(&store, &reading).await.unwrap();
    assert!(row().await.must_read && row().await.due_seconds.is_none(), "it may offer what has gone");
    let looked = store.last_revision().await.unwrap();
    reconcile(&store, &PassRecord { last_revision: looked, ..pass(shared()) }).await.unwrap();
    assert!(!row().await.must_read, "it has been read again");
    assert_eq!(ids(&store).await, ["x"]);
}

#[tokio::test]
async fn another_name_for_the_same_thing_has_it_read_again() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let told = Validators { etag: Some("e".to_owned()), last_modified: None };
    reconcile(&store, &PassRecord { validators: told.clone(), ..pass(vec![]) }).await.unwrap();
    let row = async || store.upstream("test").await.unwrap().unwrap();
    store.name_upstream(&named("test", 0)).await.unwrap();
    assert!(!row().await.must_read && row().await.validators == told, "nothing new");
    store.name_upstream(&UpstreamIdentity { trust: "verified-only", ..named("test", 0) }).await.unwrap();
    assert!(row().await.must_read && row().await.must_verify && row().await.validators == told);
    reconcile(&store, &pass(vec![])).await.unwrap();
    assert!(!row().await.must_verify);
    let moved = UpstreamIdentity { address: "http://elsewhere".to_owned(), ..named("test", 0) };
    store.name_upstream(&moved).await.unwrap();
    assert!(row().await.must_read && row().await.validators == Validators::default());
}
