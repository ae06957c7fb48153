use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{GraphHash, Sha256};

use super::super::tests::{blob, fresh, history, identity, publication};
use super::super::{Actor, GraphRow, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::store::Expired;
use crate::visibility::{Audience, Viewer};

fn graph(seed: &str) -> GraphRow {
    let graph_hash = GraphHash::from_bytes(*Sha256::of(format!("hash {seed}").as_bytes()).as_bytes());
    let identity = identity(graph_hash, &format!("definition {seed}"));
    GraphRow { identity, recipe: blob(&format!("recipe {seed}")) }
}

/// A submitted graph with the result of a job.
async fn submit(store: &Store, seed: &str) -> (GraphRow, StoredBlob) {
    let row = graph(seed);
    store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
    let file = blob(&format!("result {seed}"));
    let definition = row.identity.definition.as_bytes().to_vec();
    let sql = "INSERT INTO blobs (sha256, size_bytes) VALUES (?, ?)";
    let stored = sqlx::query(sql).bind(file.sha256.as_bytes().to_vec()).bind(file.size_bytes.cast_signed());
    stored.execute(&store.writer).await.unwrap();
    let sql = "INSERT INTO eliminations (subject, variant, definition, sha256, engine) VALUES (?1, 'phasic', ?1, ?2, 'e')";
    let made = sqlx::query(sql).bind(definition).bind(file.sha256.as_bytes().to_vec());
    made.execute(&store.writer).await.unwrap();
    (row, file)
}

/// Lets a hundred days go by in which nobody used anything.
async fn forget_uses(store: &Store) {
    for sql in [
        "UPDATE graphs SET used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-100 days')",
        "UPDATE eliminations SET used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-100 days')",
    ] {
        sqlx::query(sql).execute(&store.writer).await.unwrap();
    }
}

async fn is_here(store: &Store, row: &GraphRow) -> bool {
    store.graph(row.identity.definition, &Viewer::All).await.unwrap().is_some()
}

#[tokio::test]
async fn what_nobody_has_used_for_long_goes_with_its_files_and_a_dry_run_changes_nothing() {
    let (_directory, store) = fresh().await;
    let (old, file) = submit(&store, "old").await;
    forget_uses(&store).await;
    let (new, _) = submit(&store, "new").await;
    let looked = store.expire_submissions(90, true, &Actor::Hub).await.unwrap();
    assert_eq!(looked.graphs, [old.identity.definition]);
    assert_eq!(looked.eliminations, [file.sha256]);
    let mut freed = [old.recipe.sha256, file.sha256];
    freed.sort_unstable();
    assert_eq!(looked.unreferenced, freed);
    assert!(is_here(&store, &old).await);
    assert!(store.unreferenced_blobs().await.unwrap().is_empty());

    assert_eq!(store.expire_submissions(101, false, &Actor::Hub).await.unwrap(), Expired::default());
    let before = store.audit(0, 100).await.unwrap().len();
    assert_eq!(store.expire_submissions(90, false, &Actor::Hub).await.unwrap(), looked);
    assert!(!is_here(&store, &old).await && is_here(&store, &new).await);
    assert_eq!(store.unreferenced_blobs().await.unwrap(), freed);
    assert_eq!(store.audit(0, 100).await.unwrap().len(), before + 1);
    assert_eq!(store.recipe_bytes().await.unwrap(), new.recipe.size_bytes, "there is room again");
    assert_eq!(
        store.expire_submissions(90, false, &Actor::Hub).await.unwrap().unreferenced,
        freed,
        "until the files are collected"
    );
}

#[tokio::test]
async fn whatever_is_used_stays() {
    let (_directory, store) = fresh().await;
    let (by_graph, _) = submit(&store, "by graph").await;
    let (by_result, _) = submit(&store, "by result").await;
    let (by_file, file) = submit(&store, "by file").await;
    forget_uses(&store).await;
    assert!(store.use_graph(by_graph.identity.definition).await.unwrap());
    let subject = by_result.identity.definition;
    assert!(store.use_elimination(subject, Variant::Phasic).await.unwrap());
    assert!(!store.use_elimination(subject, Variant::Plan).await.unwrap(), "there is none");
    assert!(!store.use_graph(Sha256::of(b"another")).await.unwrap(), "there is none");
    store.use_files(&[file.sha256, Sha256::of(b"another")]).await.unwrap();
    let expired = store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    assert!(expired.graphs.is_empty(), "a result needs its graph");
    assert_eq!(expired.eliminations, [blob("result by graph").sha256], "only what it was asked for stays");
    assert!(is_here(&store, &by_file).await);
}

#[tokio::test]
async fn what_is_pinned_or_needed_by_a_compute_or_a_job_stays() {
    let (_directory, store) = fresh().await;
    let (pinned, file) = submit(&store, "pinned").await;
    store.pin(file.sha256, "kept", &Actor::Operator).await.unwrap();
    let recipe = graph("a pinned recipe");
    store.put_graph(&recipe, &Audience::Everybody, &Actor::Hub).await.unwrap();
    store.pin(recipe.recipe.sha256, "kept", &Actor::Operator).await.unwrap();
    let (published, result) = submit(&store, "published").await;
    let mut named = publication("named", "content");
    for artifact in &mut named.artifacts {
        (artifact.original, artifact.served) = (result, result);
    }
    store.publish_local(&named, None).await.unwrap();
    let waited_for = graph("waited for");
    store.put_graph(&waited_for, &Audience::Everybody, &Actor::Hub).await.unwrap();
    let definition = waited_for.identity.definition.as_bytes().to_vec();
    let sql = "INSERT INTO jobs (id, subject, variant, definition, forecast, forecast_memory_bytes) \
               VALUES ('job_1', ?1, 'phasic', ?1, '{}', 1)";
    sqlx::query(sql).bind(definition).execute(&store.writer).await.unwrap();
    forget_uses(&store).await;
    let expired = store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    assert_eq!(expired, Expired::default());
    for row in [&pinned, &recipe, &published, &waited_for] {
        assert!(is_here(&store, row).await);
    }
}

#[tokio::test]
async fn the_graph_a_file_of_a_compute_was_verified_with_stays() {
    let (_directory, store) = fresh().await;
    let known = graph("known");
    store.put_graph(&known, &Audience::Everybody, &Actor::Hub).await.unwrap();
    let named = publication("named", "content");
    store.publish_local(&named, None).await.unwrap();
    let sql = "INSERT INTO verifications (graph_hash, sha256, verdict, definition, engine, definitions, duration_ms) \
               VALUES (?, ?, 'reproduced', ?, 'e', 1, 1)";
    sqlx::query(sql)
        .bind(known.identity.graph_hash.as_bytes().to_vec())
        .bind(named.artifacts[0].served.sha256.as_bytes().to_vec())
        .bind(known.identity.definition.as_bytes().to_vec())
        .execute(&store.writer)
        .await
        .unwrap();
    forget_uses(&store).await;
    assert_eq!(store.expire_submissions(90, false, &Actor::Hub).await.unwrap(), Expired::default());
    assert!(is_here(&store, &known).await);
}

#[tokio::test]
async fn an_entry_that_was_listed_because_of_a_result_goes_with_it() {
    let (_directory, store) = fresh().await;
    let (row, file) = submit(&store, "listed").await;
    let mut entry = publication("computed-1", "content");
    for artifact in &mut entry.artifacts {
        (artifact.original, artifact.served) = (file, file);
    }
    store.publish_computed(&[entry.clone()], &[]).await.unwrap();
    forget_uses(&store).await;
    let expired = store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    assert_eq!((expired.computes, expired.eliminations), (vec![entry.id], vec![file.sha256]));
    assert_eq!(expired.graphs, [row.identity.definition]);
    assert!(expired.unreferenced.contains(&file.sha256), "its address is not kept for ever");
    assert_eq!(history(&store, "computed-1").await.len(), 2, "its history says that it is gone");
}

#[tokio::test]
async fn a_result_leaves_no_address_behind_whose_entry_was_removed_before_and_gets_none_afterwards() {
    let (_directory, store) = fresh().await;
    let (_, file) = submit(&store, "listed").await;
    let mut entry = publication("computed-1", "content");
    for artifact in &mut entry.artifacts {
        (artifact.original, artifact.served) = (file, file);
    }
    store.publish_computed(&[entry.clone()], &[]).await.unwrap();
    store.publish_computed(&[], std::slice::from_ref(&entry.id)).await.unwrap();
    forget_uses(&store).await;
    let expired = store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    assert!(expired.computes.is_empty() && expired.unreferenced.contains(&file.sha256), "{expired:?}");
    let is_old = std::future::ready(Ok::<_, StoreError>(true));
    store.forget_blob(file.sha256, is_old).await.unwrap();
    // Whoever had seen the result before lists it now.
    store.publish_computed(&[entry], &[]).await.unwrap();
    assert!(store.blob(file.sha256).await.unwrap().is_none(), "its file may be gone");
    assert!(store.snapshot().await.unwrap().former_versions().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_address_whose_entry_was_removed_after_its_result_goes_with_the_next_collection() {
    let (_directory, store) = fresh().await;
    let (_, file) = submit(&store, "listed").await;
    forget_uses(&store).await;
    store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    // Listed by whoever had seen the result, before its file was forgotten; and removed again.
    let mut entry = publication("computed-1", "content");
    for artifact in &mut entry.artifacts {
        (artifact.original, artifact.served) = (file, file);
    }
    store.publish_computed(&[entry.clone()], &[]).await.unwrap();
    store.publish_computed(&[], &[entry.id]).await.unwrap();
    let before = store.audit(0, 100).await.unwrap().len();
    let expired = store.expire_submissions(90, false, &Actor::Hub).await.unwrap();
    assert!(expired.unreferenced.contains(&file.sha256), "{expired:?}");
    assert!(store.unreferenced_blobs().await.unwrap().contains(&file.sha256), "for good");
    assert_eq!(store.audit(0, 100).await.unwrap().len(), before, "no submission has expired");
}
