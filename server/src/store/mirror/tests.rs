use phasic_hub_api::Sha256;
use phasic_hub_api::mirror::{ChangeKind, PassFault, PassOutcome, QuarantineDecision};

use super::super::tests::{blob, fresh, history, ids, publication};
use super::super::{Actor, Origin, Publication, Store, StoreError};
use super::{
    Decided, Finding, PassHead, PassRecord, Reconciliation, UpstreamIdentity, Validators, is_mass_deletion,
};
use crate::visibility::Viewer;

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
        withdrawn: std::collections::BTreeSet::new(),
        must_read: false,
        may_remove_many: true,
        decisions: Vec::new(),
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

#[tokio::test]
async fn a_pass_that_found_a_file_here_does_not_refer_to_it_once_it_is_garbage() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("x", "1")])).await.unwrap();
    let reused = publication("y", "of another version");
    let file = reused.artifacts[0].original;
    let error = store.reconcile(&pass(vec![reused.clone()])).await.unwrap_err();
    assert!(matches!(error, StoreError::Collected(name) if name == file.sha256), "{error}");
    assert_eq!(ids(&store).await, ["x"], "nothing was changed");
    reconcile(&store, &pass(vec![reused])).await.unwrap();
    assert_eq!(ids(&store).await, ["y"]);
}

#[tokio::test]
async fn a_pass_replaces_what_was_mirrored_and_never_what_is_local() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    store.publish_local(&publication("mine", "mine"), None).await.unwrap();
    reconcile(&store, &pass(vec![publication("x", "1"), publication("y", "2"), publication("mine", "3")]))
        .await
        .unwrap();
    assert_eq!(ids(&store).await, ["mine", "x", "y"]);
    assert_eq!(
        store.computes().await.unwrap()[0].publication().unwrap().entry,
        publication("mine", "mine").entry
    );
    let mut second = pass(vec![publication("z", "4"), publication("y", "5")]);
    second.faults = vec![PassFault {
        entry: "bad id".to_owned(),
        artifact: None,
        code: "entry_invalid".to_owned(),
        reason: "no".to_owned(),
    }];
    reconcile(&store, &second).await.unwrap();
    assert_eq!(ids(&store).await, ["mine", "z", "y"], "in the order of the document");
    assert_eq!(store.pass(2).await.unwrap().unwrap().faults, second.faults);
    let gone = history(&store, "x").await;
    assert!(matches!(&gone[..], [Some(_), None]), "{gone:?}");
}

#[tokio::test]
async fn a_pass_that_fails_half_way_changes_nothing() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("x", "1")])).await.unwrap();
    let mut broken = publication("y", "2");
    // Two rows of one key: the transaction fails after "x" would have been removed and "y" inserted.
    broken.artifacts.push(broken.artifacts[0]);
    let error = reconcile(&store, &pass(vec![broken])).await.unwrap_err();
    assert!(matches!(error, StoreError::Sql(_)), "{error}");
    assert_eq!(ids(&store).await, ["x"]);
    assert_eq!(history(&store, "x").await.len(), 1);
    assert_eq!(history(&store, "y").await.len(), 0);
}

async fn kinds(store: &Store, pass: &PassRecord) -> Vec<String> {
    let Reconciliation::Done(number) = reconcile(store, pass).await.unwrap() else { panic!("held") };
    let detail = store.pass(number).await.unwrap().unwrap();
    let word =
        |change: &phasic_hub_api::mirror::PassChange| format!("{} {}", change.kind.as_str(), change.id);
    detail.changes.iter().map(word).collect()
}

#[tokio::test]
async fn new_changed_renamed_retracted_restored_and_vanished_computes_are_told_apart() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let same_graph =
        |id: &str, like: &str| Publication { id: id.parse().unwrap(), ..publication(like, like) };
    let mut first = vec![publication("a", "a"), publication("b", "b"), publication("c", "c")];
    first.push(publication("d", "d"));
    assert_eq!(kinds(&store, &pass(first)).await, ["new a", "new b", "new c", "new d"]);
    let mut retracted = publication("b", "b");
    retracted.entry.retracted = true;
    let second =
        vec![same_graph("renamed", "a"), retracted, publication("c", "other"), publication("e", "e")];
    let told = kinds(&store, &pass(second)).await;
    assert_eq!(told, ["renamed renamed", "retracted b", "changed c", "new e", "vanished d"]);
    assert!(matches!(&history(&store, "a").await[..], [Some(_), None]));
    let third = vec![same_graph("renamed", "a"), publication("b", "b"), publication("c", "other")];
    assert_eq!(kinds(&store, &pass(third)).await, ["restored b", "vanished e"]);
    assert_eq!(ChangeKind::ALL.len(), 6);
}

#[tokio::test]
async fn of_two_upstreams_the_first_wins_and_what_it_gives_up_is_looked_for_at_once() {
    let (_directory, store) = with_upstreams(&["first", "second"]).await;
    let second = pass_of("second", vec![publication("x", "theirs"), publication("y", "y")]);
    reconcile(&store, &second).await.unwrap();
    let row = async |name: &str| store.upstream(name).await.unwrap().unwrap();
    assert!(!row("second").await.must_read);
    reconcile(&store, &pass_of("first", vec![publication("x", "ours")])).await.unwrap();
    let owners = async || -> Vec<_> {
        let rows = store.computes().await.unwrap();
        rows.iter().map(|row| format!("{} {}", row.id, row.upstream.as_deref().unwrap())).collect()
    };
    assert_eq!(owners().await, ["x first", "y second"]);
    reconcile(&store, &second).await.unwrap();
    assert_eq!(owners().await, ["x first", "y second"], "the second may offer it as often as it likes");
    assert!(store.computes().await.unwrap().iter().all(|row| row.origin == Origin::Mirror));
    reconcile(&store, &pass_of("first", vec![])).await.unwrap();
    assert_eq!(owners().await, ["y second"]);
    let waiting = row("second").await;
    assert!(waiting.must_read && waiting.due_seconds.is_none(), "{waiting:?}");
    assert!(!row("first").await.must_read);
    store.publish_local(&publication("y", "mine"), None).await.unwrap();
    assert_eq!(row("second").await.computes, 0, "a local compute takes the id");
}

#[tokio::test]
async fn many_removals_need_a_word_and_renames_are_none() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    assert!(!is_mass_deletion(3, 10) && is_mass_deletion(4, 10) && is_mass_deletion(1, 3));
    assert!(!is_mass_deletion(0, 0));
    reconcile(&store, &pass(vec![publication("a", "a"), publication("b", "b")])).await.unwrap();
    let guarded = |computes| PassRecord { may_remove_many: false, ..pass(computes) };
    let held = reconcile(&store, &guarded(vec![publication("a", "a")])).await.unwrap();
    assert_eq!(held, Reconciliation::TooManyRemovals { removed: 1, mirrored: 2 });
    assert_eq!(ids(&store).await, ["a", "b"]);
    let other = |id: &str, like: &str| Publication { id: id.parse().unwrap(), ..publication(like, like) };
    let renamed = guarded(vec![other("c", "a"), other("d", "b")]);
    assert!(matches!(reconcile(&store, &renamed).await.unwrap(), Reconciliation::Done(_)));
    let added = PassRecord { keeps_others: true, ..guarded(vec![publication("e", "e")]) };
    assert!(matches!(reconcile(&store, &added).await.unwrap(), Reconciliation::Done(_)));
    assert_eq!(store.computes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_mass_retraction_is_a_mass_deletion_and_what_the_hub_itself_takes_out_is_none() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("a", "a"), publication("b", "b")])).await.unwrap();
    let guarded = |computes| PassRecord { may_remove_many: false, ..pass(computes) };
    let mut hidden = publication("b", "b");
    hidden.entry.retracted = true;
    let held = reconcile(&store, &guarded(vec![publication("a", "a"), hidden])).await.unwrap();
    assert_eq!(held, Reconciliation::TooManyRemovals { removed: 1, mirrored: 2 });
    let withdrawn = ["a", "b"].map(|id| id.parse().unwrap()).into();
    let ours = PassRecord { withdrawn, ..guarded(vec![]) };
    assert!(matches!(reconcile(&store, &ours).await.unwrap(), Reconciliation::Done(_)));
    assert!(ids(&store).await.is_empty());
}

#[tokio::test]
async fn what_has_arrived_for_a_pass_is_no_garbage_before_the_pass_has_ended() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let files = [blob("wanted"), blob("of another version")];
    store.hold("test", &files).await.unwrap();
    assert_eq!(store.unreferenced_blobs().await.unwrap(), []);
    let is_old = std::future::ready(Ok::<_, StoreError>(true));
    store.forget_blob(files[0].sha256, is_old).await.unwrap();
    assert!(store.blob(files[0].sha256).await.unwrap().is_some());
    store.fail(&head("test"), ("unreachable", "no answer"), None).await.unwrap();
    assert_eq!(store.unreferenced_blobs().await.unwrap(), [], "the next pass goes on with them");
    reconcile(&store, &pass(vec![publication("x", "wanted")])).await.unwrap();
    assert!(store.unreferenced_blobs().await.unwrap().contains(&files[1].sha256));
}

#[tokio::test]
async fn the_history_of_an_id_says_which_commit_changed_it() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let of = |commit: &str, computes| PassRecord { commit: Some(commit.to_owned()), ..pass(computes) };
    reconcile(&store, &of("c1", vec![publication("x", "1")])).await.unwrap();
    reconcile(&store, &of("c2", vec![publication("x", "1")])).await.unwrap();
    reconcile(&store, &of("c3", vec![publication("x", "2")])).await.unwrap();
    reconcile(&store, &of("c4", vec![])).await.unwrap();
    let history = store.revisions(&"x".parse().unwrap(), None, 10).await.unwrap();
    let commits: Vec<_> = history.iter().map(|revision| revision.commit.as_deref().unwrap()).collect();
    assert_eq!(commits, ["c4", "c3", "c1"]);
}

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
async fn a_failure_is_recorded_and_changes_only_when_the_next_pass_is_due() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("a", "a")])).await.unwrap();
    let before = store.upstream("test").await.unwrap().unwrap();
    let failed = PassHead { next_seconds: Some(60.0), ..head("test") };
    let number = store.fail(&failed, ("unreachable", "no answer"), None).await.unwrap();
    let pass = store.pass(number).await.unwrap().unwrap().pass;
    assert_eq!((pass.outcome, pass.error_code.as_deref()), (PassOutcome::Failed, Some("unreachable")));
    let after = store.upstream("test").await.unwrap().unwrap();
    assert_eq!((after.failures_in_a_row, after.computes), (1, 1));
    assert_eq!(after.checked_at, before.checked_at);
    assert!(after.due_seconds.unwrap() < 61.0 && before.due_seconds.unwrap() > 3500.0);
    store.unmodified(&head("test"), None).await.unwrap();
    store.unmodified(&head("test"), None).await.unwrap();
    let outcomes: Vec<_> = store
        .passes(Some("test"), None, 9, &crate::visibility::Viewer::All)
        .await
        .unwrap()
        .iter()
        .map(|pass| pass.outcome)
        .collect();
    assert_eq!(outcomes, [PassOutcome::Unmodified, PassOutcome::Failed, PassOutcome::Done]);
    assert_eq!(store.upstream("test").await.unwrap().unwrap().failures_in_a_row, 0);
}

fn finding(entry: &str, bytes: &str, code: &'static str) -> Finding {
    let reason = "a reason".to_owned();
    let (entry, artifact) = (entry.to_owned(), String::new());
    Finding { entry, artifact, sha256: Sha256::of(bytes.as_bytes()), code, reason }
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
    for (seconds, expected) in [(5400.0, 5400.0), (60.0, 5400.0)] {
        store.ask_to_wait("test", seconds).await.unwrap();
        let due = store.upstream("test").await.unwrap().unwrap().due_seconds.unwrap();
        assert!((expected - 60.0..=expected).contains(&due), "{due}");
    }
    let row = store.upstream("by hand").await.unwrap().unwrap();
    assert_eq!(row.next_run_at, None, "what has no passes by itself gets none");
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

#[tokio::test]
async fn a_pass_that_changes_nothing_writes_nothing_of_what_is_mirrored() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let computes = || vec![publication("x", "1"), publication("y", "2")];
    reconcile(&store, &pass(computes())).await.unwrap();
    let mut change = store.begin().await.unwrap();
    sqlx::query("CREATE TABLE written (what TEXT NOT NULL) STRICT").execute(&mut *change).await.unwrap();
    for table in ["computes", "compute_artifacts", "artifact_versions", "blobs", "revisions"] {
        for action in ["INSERT", "UPDATE", "DELETE"] {
            let sql = format!(
                "CREATE TRIGGER t_{table}_{action} AFTER {action} ON {table} BEGIN \
                 INSERT INTO written (what) VALUES ('{action} {table}'); END"
            );
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *change).await.unwrap();
        }
    }
    change.commit().await.unwrap();
    let written = async || -> Vec<String> {
        sqlx::query_scalar("SELECT what FROM written").fetch_all(&store.readers).await.unwrap()
    };
    reconcile(&store, &pass(computes())).await.unwrap();
    assert_eq!(written().await, [""; 0]);
    reconcile(&store, &pass(vec![publication("y", "2"), publication("x", "1")])).await.unwrap();
    assert!(written().await.contains(&"UPDATE computes".to_owned()), "their order has changed");
    assert_eq!(ids(&store).await, ["y", "x"]);
}
