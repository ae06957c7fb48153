//! What a pass makes of what is mirrored.

use phasic_hub_api::RegistryEntry;
use phasic_hub_api::mirror::{ChangeKind, PassFault};
use serde_json::json;

use super::{finding, head, pass, pass_of, reconcile, with_upstreams};
use crate::store::mirror::{PassHead, PassRecord, Reconciliation, is_mass_deletion};
use crate::store::tests::{blob, history, ids, publication};
use crate::store::{Actor, Origin, Publication, Store, StoreError};
use crate::visibility::Viewer;

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
    assert_eq!(store.pass(2, None).await.unwrap().unwrap().faults, second.faults);
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

#[tokio::test]
async fn what_somebody_has_hidden_stays_hidden_when_upstream_renames_it() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let called = |id: &str, like: &str| Publication { id: id.parse().unwrap(), ..publication(like, like) };
    reconcile(&store, &pass(vec![called("a", "a"), called("b", "b")])).await.unwrap();
    assert!(store.set_private(&"a".parse().unwrap(), true, &Actor::Operator).await.unwrap());
    let renamed = pass(vec![called("c", "a"), called("d", "b"), called("e", "e")]);
    reconcile(&store, &renamed).await.unwrap();
    let private = store.private_ids().await.unwrap();
    let is_private = |id: &str| private.contains(&id.parse().unwrap());
    assert_eq!(["c", "d", "e"].map(is_private), [true, false, false]);
    let told = store.audit(0, 100).await.unwrap().pop().unwrap();
    assert_eq!(told.detail["private"], json!(["c"]), "{told:?}");
    // Shown again by somebody, it stays so.
    assert!(store.set_private(&"c".parse().unwrap(), false, &Actor::Operator).await.unwrap());
    reconcile(&store, &renamed).await.unwrap();
    assert!(!store.private_ids().await.unwrap().contains(&"c".parse().unwrap()));
}

async fn kinds(store: &Store, pass: &PassRecord) -> Vec<String> {
    let Reconciliation::Done(number) = reconcile(store, pass).await.unwrap() else { panic!("held") };
    let detail = store.pass(number, None).await.unwrap().unwrap();
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
async fn a_new_name_for_something_that_is_hidden_under_it_is_a_removal() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    reconcile(&store, &pass(vec![publication("a", "a"), publication("b", "b")])).await.unwrap();
    let guarded = |computes| PassRecord { may_remove_many: false, ..pass(computes) };
    let hidden = |id: &str, like: &str| {
        let mut hidden = Publication { id: id.parse().unwrap(), ..publication(like, like) };
        hidden.entry.retracted = true;
        hidden
    };
    let held = reconcile(&store, &guarded(vec![publication("a", "a"), hidden("c", "b")])).await.unwrap();
    assert_eq!(held, Reconciliation::TooManyRemovals { removed: 1, mirrored: 2 });
    // What was hidden before may be hidden under another name.
    let told = kinds(&store, &pass(vec![publication("a", "a"), hidden("b", "b")])).await;
    assert_eq!(told, ["retracted b"]);
    let told = kinds(&store, &guarded(vec![publication("a", "a"), hidden("c", "b")])).await;
    assert_eq!(told, ["renamed c"]);
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

#[tokio::test]
async fn the_log_tells_of_passes_that_fail_are_held_or_make_something_private() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let told = async || -> Vec<String> {
        let lines = store.audit(0, 99).await.unwrap();
        lines.iter().map(|line| format!("{} {} {}", line.actor, line.action, line.subject)).collect()
    };
    let fail = async |code| store.fail(&head("test"), (code, "no answer"), None).await.unwrap();
    for code in ["unreachable", "unreachable", "registry_invalid", "unreachable"] {
        fail(code).await;
    }
    let mut expected = vec!["hub mirror.fail test"; 3];
    assert_eq!(told().await, expected, "an upstream that stays away is told of once");
    let asked = PassHead { actor: Actor::Operator, ..head("test") };
    store.fail(&asked, ("unreachable", "no answer"), None).await.unwrap();
    expected.push("operator mirror.fail test");
    for document in ["one", "one", "other"] {
        let held = finding("", document, "mass_deletion");
        store.fail(&head("test"), ("too_many_removals", "held"), Some(&held)).await.unwrap();
    }
    expected.extend(["hub mirror.hold test"; 2]);
    assert_eq!(told().await, expected);
    let [mut born, known] = [publication("born", "1"), publication("known", "2")];
    born.entry = RegistryEntry::from_value(json!({
        "graph_hash": born.entry.graph_hash, "artifacts": born.entry.artifacts, "metadata": {"hub": {"private": true}}
    }))
    .unwrap();
    reconcile(&store, &pass(vec![known.clone()])).await.unwrap();
    let private = [known.id.clone()].into();
    reconcile(&store, &PassRecord { private, ..pass(vec![born, known]) }).await.unwrap();
    let lines = store.audit(0, 99).await.unwrap();
    let private: Vec<_> = lines.iter().rev().take(2).map(|line| &line.detail["private"]).collect();
    assert_eq!(private, [&json!(["born", "known"]), &json!([])]);
}

#[tokio::test]
async fn of_entries_that_are_not_for_everybody_nothing_is_counted_for_everybody() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let of_both = |hidden: &[&str]| PassRecord {
        faults: vec![gone("open"), gone("secret")],
        findings: ["open", "secret"].map(|entry| finding(entry, entry, "wrong_hash")).into(),
        hidden: hidden.iter().map(|&key| key.to_owned()).collect(),
        ..pass(vec![])
    };
    let counted = async |viewer| {
        let public = store.public_counts().await.unwrap()["test"];
        let pass = store.passes(None, None, 1, &viewer).await.unwrap().remove(0);
        assert_eq!(pass.requests, viewer.sees_all().then_some(1), "the file of a secret is a request");
        [public.unfetched, public.quarantined, pass.fault_count]
    };
    reconcile(&store, &of_both(&["secret"])).await.unwrap();
    assert_eq!(counted(Viewer::Public).await, [1, 1, 1]);
    assert_eq!(counted(Viewer::All).await, [1, 1, 2]);
    let all = store.upstream("test").await.unwrap().unwrap();
    assert_eq!((all.unfetched, all.quarantined), (2, 2), "who may see all sees all");
    // It is for everybody by now.
    reconcile(&store, &of_both(&[])).await.unwrap();
    assert_eq!(counted(Viewer::Public).await, [2, 2, 2]);
}

/// What is said of an entry whose file cannot be had.
fn gone(entry: &str) -> PassFault {
    let (code, reason) = ("fetch_failed".to_owned(), "gone".to_owned());
    PassFault { entry: entry.to_owned(), artifact: None, code, reason }
}

#[tokio::test]
async fn a_document_is_compared_although_files_of_it_can_never_be_had() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let state = async || store.upstream("test").await.unwrap().unwrap();
    store.fail(&head("test"), ("unreachable", "no answer"), None).await.unwrap();
    assert_eq!((state().await.checked_at, state().await.lag_seconds), (None, None), "it was never reached");
    let incomplete = PassRecord { faults: vec![gone("lost")], ..pass(vec![]) };
    reconcile(&store, &incomplete).await.unwrap();
    let first = state().await;
    assert!(first.lag_seconds.unwrap() < 60.0 && first.unfetched == 1, "{first:?}");
    sqlx::query("UPDATE upstreams SET checked_at = '2026-01-01T00:00:00.000Z'")
        .execute(&store.writer)
        .await
        .unwrap();
    reconcile(&store, &incomplete).await.unwrap();
    assert!(state().await.lag_seconds.unwrap() < 60.0, "every pass is a comparison");
}

#[tokio::test]
async fn what_could_not_be_had_is_known_however_many_passes_have_failed_since() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    store.fail(&head("test"), ("unreachable", "no answer"), None).await.unwrap();
    reconcile(&store, &PassRecord { faults: vec![gone("lost")], ..pass(vec![]) }).await.unwrap();
    for _ in 0..210 {
        store.fail(&head("test"), ("unreachable", "no answer"), None).await.unwrap();
    }
    assert_eq!(store.upstream("test").await.unwrap().unwrap().unfetched, 1);
    let passes = store.passes(None, None, 999, &Viewer::All).await.unwrap();
    let kept: Vec<_> = passes.iter().map(|pass| pass.number).filter(|&number| number < 10).collect();
    assert_eq!((passes.len(), kept), (201, vec![2]), "the failed ones are forgotten in turn");
}

#[tokio::test]
async fn what_a_document_says_that_cannot_be_used_is_not_for_everybody() {
    let (_directory, store) = with_upstreams(&["test"]).await;
    let said = "the registry document has the key \"secret\" twice";
    store.fail(&head("test"), ("registry_invalid", said), None).await.unwrap();
    store.fail(&head("test"), ("unreachable", "no answer"), None).await.unwrap();
    let errors = async |viewer| {
        let passes = store.passes(None, None, 9, &viewer).await.unwrap();
        passes.into_iter().map(|pass| pass.error.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(errors(Viewer::All).await, ["no answer", said]);
    let public = errors(Viewer::Public).await;
    assert!(public[0] == "no answer" && !public[1].contains("secret"), "{public:?}");
}
