use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{
    ArtifactRef, Artifacts, EdgeOrderDigest, GraphHash, GraphIdentity, IdPatterns, Metadata, RegistryEntry,
    Sha256,
};

use super::migrations::MIGRATIONS;
use super::{
    Actor, ArtifactRow, Condition, GraphRow, Origin, Publication, Retraction, Role, Store, StoreError,
    VerificationRow, Wish,
};
use crate::auth::{Scope, TokenSecret};
use crate::blobs::StoredBlob;
use crate::visibility::{Audience, Viewer};

pub(super) async fn fresh() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    (directory, store)
}

pub(super) fn blob(seed: &str) -> StoredBlob {
    StoredBlob { sha256: Sha256::of(seed.as_bytes()), size_bytes: seed.len() as u64 }
}

/// A graph of this hash with a definition of this name.
pub(crate) fn identity(graph_hash: GraphHash, definition: &str) -> GraphIdentity {
    GraphIdentity {
        graph_hash,
        edge_order_digest: EdgeOrderDigest::from_bytes([2; 32]),
        definition: Sha256::of(definition.as_bytes()),
        vertices: 3,
        edges: 2,
        state_length: 1,
        param_length: 1,
        discrete: false,
        parallel_edges: false,
    }
}

/// What a comparison may have found of a file.
pub(crate) fn found(graph_hash: GraphHash, sha256: Sha256, verdict: Verdict) -> VerificationRow {
    VerificationRow {
        graph_hash,
        sha256,
        verdict,
        edge_order_digest: None,
        definition: None,
        difference: None,
        engine: "test".to_owned(),
        limits: String::new(),
        definitions: 1,
        duration_ms: 0,
        checked_at: String::new(),
        is_asked: false,
        is_given_up: false,
    }
}

pub(crate) fn publication(id: &str, content: &str) -> Publication {
    let graph_hash = GraphHash::from_bytes(*Sha256::of(id.as_bytes()).as_bytes());
    let blob = blob(content);
    let parent = ArtifactRef {
        cid_or_path: Role::Parent.name(graph_hash).registry_path(),
        sha256: blob.sha256,
        size_bytes: blob.size_bytes,
    };
    let artifacts = Artifacts { parent, scc: Vec::new() };
    Publication {
        id: id.parse().unwrap(),
        entry: RegistryEntry::new(graph_hash, 3, artifacts, Metadata::default()),
        artifacts: vec![ArtifactRow { role: Role::Parent, graph_hash, original: blob, served: blob }],
    }
}

#[tokio::test]
async fn what_was_written_in_confidence_is_not_what_others_build_from() {
    let (_directory, store) = fresh().await;
    let identity = identity(GraphHash::from_bytes([1; 32]), "definition");
    let row = |recipe: &str| GraphRow { identity: identity.clone(), recipe: blob(recipe) };
    assert!(store.put_graph(&row("secret"), &Audience::Holders, &Actor::Hub).await.unwrap());
    for recipe in ["open", "later"] {
        store.put_graph(&row(recipe), &Audience::Everybody, &Actor::Hub).await.unwrap();
        let known = store.graphs(identity.graph_hash, &Viewer::Public).await.unwrap();
        assert_eq!(known[0].recipe, blob("open"), "the first one for everybody");
    }
}

/// The entries an id has had, the oldest first; `None` says that it was gone from then on.
pub(super) async fn history(store: &Store, id: &str) -> Vec<Option<String>> {
    sqlx::query_scalar("SELECT entry FROM revisions WHERE compute_id = ? ORDER BY number")
        .bind(id)
        .fetch_all(&store.readers)
        .await
        .unwrap()
}

pub(super) async fn ids(store: &Store) -> Vec<String> {
    store.computes().await.unwrap().iter().map(|row| row.id.to_string()).collect()
}

#[test]
fn every_migration_file_is_in_the_list_in_order() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let listed: Vec<_> =
        MIGRATIONS.iter().map(|(number, name, _)| format!("{number:04}_{name}.sql")).collect();
    assert_eq!(files, listed);
}

#[tokio::test]
async fn the_database_is_durable_strict_and_held_by_its_constraints() {
    let (_directory, store) = fresh().await;
    let pragma = async |name: &'static str| -> String {
        let row = sqlx::query(name).fetch_one(&store.writer).await.unwrap();
        sqlx::Row::try_get::<String, _>(&row, 0)
            .unwrap_or_else(|_| sqlx::Row::get::<i64, _>(&row, 0).to_string())
    };
    assert_eq!(pragma("PRAGMA journal_mode").await, "wal");
    assert_eq!(pragma("PRAGMA synchronous").await, "2", "FULL");
    assert_eq!(pragma("PRAGMA foreign_keys").await, "1");
    let loose: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 \
         AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%'",
    )
    .fetch_one(&store.readers)
    .await
    .unwrap();
    assert_eq!(loose, 0, "tables that are not STRICT");
    let short =
        sqlx::query("INSERT INTO blobs (sha256, size_bytes) VALUES (x'00', 0)").execute(&store.writer);
    let error = short.await.unwrap_err().to_string();
    assert!(error.contains("blobs_sha256_length"), "{error}");
    let refused = sqlx::query("DELETE FROM blobs").execute(&store.readers).await.unwrap_err().to_string();
    assert!(refused.contains("readonly"), "{refused}");
}

#[tokio::test]
async fn every_change_of_what_a_registry_is_read_from_names_another_state() {
    // A table that a migration makes anew has lost its triggers, and a start would serve what it was.
    let (_directory, store) = fresh().await;
    for table in ["computes", "compute_artifacts", "artifact_versions"] {
        for change in ["INSERT", "UPDATE", "DELETE"] {
            let begin =
                format!("%AFTER {change} ON {table}\n%UPDATE registry_state SET state = randomblob(16)%");
            let triggers =
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 AND sql LIKE ?2";
            let found: i64 = sqlx::query_scalar(triggers)
                .bind(table)
                .bind(&begin)
                .fetch_one(&store.readers)
                .await
                .unwrap();
            assert_eq!(found, 1, "{change} {table}");
        }
    }
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let (directory, store) = fresh().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '', 1, x'00', 0)")
        .execute(&store.writer)
        .await
        .unwrap();
    store.close().await;
    let error = Store::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Migrate { .. }));
    assert!(error.to_string().contains("nothing was changed"), "{error}");
}

#[tokio::test]
async fn what_is_published_is_read_back_after_reopening() {
    let (directory, store) = fresh().await;
    let definition = Sha256::of(b"definition");
    store.publish_local(&publication("a", "one"), Some(definition)).await.unwrap();
    store.publish_local(&publication("b", "two"), None).await.unwrap();
    store.close().await;
    let store = Store::open(directory.path()).await.unwrap();
    let rows = store.computes().await.unwrap();
    assert_eq!(ids(&store).await, ["a", "b"]);
    assert_eq!(rows[0].origin, Origin::Local);
    assert_eq!(rows[0].artifacts, publication("a", "one").artifacts);
    assert_eq!(rows[0].publication().unwrap().entry, publication("a", "one").entry);
    assert_eq!(store.reference_definition(&"a".parse().unwrap()).await.unwrap(), Some(definition));
    assert_eq!(store.reference_definition(&"b".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_keeps_its_history_and_its_former_contents() {
    let (_directory, store) = fresh().await;
    for content in ["one", "two", "two"] {
        store.publish_local(&publication("a", content), None).await.unwrap();
    }
    let history = history(&store, "a").await;
    assert_eq!(history.len(), 2, "publishing the same again is no revision");
    let versions = store.snapshot().await.unwrap().former_versions().await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| version.blob.sha256).collect();
    assert_eq!(versions, [Sha256::of(b"one")], "what it stands for now is with the compute");
}

#[tokio::test]
async fn a_wish_is_fulfilled_as_a_whole_or_not_at_all() {
    let (_directory, store) = fresh().await;
    let ours = publication("ours", "content");
    store.publish_local(&ours, None).await.unwrap();
    let both = Wish { retracted: Some(true), private: Some(true) };
    let is_private = async || store.private_ids().await.unwrap().contains(&ours.id);
    // The second half cannot be done.
    sqlx::query("CREATE TRIGGER refuse BEFORE INSERT ON private_ids BEGIN SELECT raise(ABORT, 'no'); END")
        .execute(&store.writer)
        .await
        .unwrap();
    store.change_compute(&ours.id, both, &Condition::Free, None, &Actor::Hub).await.unwrap_err();
    assert!(
        !store.computes().await.unwrap()[0].publication().unwrap().entry.retracted && !is_private().await
    );
    sqlx::query("DROP TRIGGER refuse").execute(&store.writer).await.unwrap();
    let change = async || {
        store.change_compute(&ours.id, both, &Condition::Free, Some("wrong"), &Actor::Hub).await.unwrap()
    };
    assert_eq!(change().await, Retraction::Done);
    assert!(store.computes().await.unwrap()[0].publication().unwrap().entry.retracted && is_private().await);
    assert_eq!(change().await, Retraction::Unchanged);
    sqlx::query("UPDATE computes SET origin = 'mirror'").execute(&store.writer).await.unwrap();
    let back = Wish { retracted: Some(false), private: Some(false) };
    let refused = store.change_compute(&ours.id, back, &Condition::Free, None, &Actor::Hub).await.unwrap();
    assert_eq!(refused, Retraction::Mirrored);
    assert!(is_private().await, "nothing of the wish was fulfilled");
}

#[tokio::test]
async fn what_changes_nothing_is_no_line_of_the_audit_log() {
    let (_directory, store) = fresh().await;
    let (ours, actor) = (publication("ours", "content"), Actor::Anonymous);
    store.publish_local(&ours, None).await.unwrap();
    let file = ours.artifacts[0].served.sha256;
    let lines = async || store.audit(0, 100).await.unwrap().len();
    let mut before = lines().await;
    let mut grows_by = async |expected: usize, what: &str| {
        let now = lines().await;
        assert_eq!(now - before, expected, "{what}");
        before = now;
    };
    assert_eq!(store.ask_verification(&ours.id, &actor).await.unwrap(), 0);
    grows_by(0, "nothing was compared yet").await;
    let found = found(ours.artifacts[0].graph_hash, file, Verdict::Reproduced);
    store.put_verification(&found).await.unwrap();
    assert_eq!(store.ask_verification(&ours.id, &actor).await.unwrap(), 1);
    grows_by(1, "it is asked for").await;
    assert_eq!(store.ask_verification(&ours.id, &actor).await.unwrap(), 0);
    grows_by(0, "it was asked for already").await;
    for (wanted, is_new) in [
        (None, false),
        (Some(Variant::Fast), true),
        (Some(Variant::Fast), false),
        (None, true),
        (None, false),
    ] {
        assert_eq!(store.want_variant(&ours.id, wanted, &actor).await.unwrap(), is_new, "{wanted:?}");
        grows_by(usize::from(is_new), "a wish").await;
    }
    for (note, is_new) in [("one", true), ("one", false), ("two", true)] {
        assert!(store.pin(file, note, &actor).await.unwrap());
        grows_by(usize::from(is_new), "a pin").await;
    }
    assert!(!store.pin(Sha256::of(b"unknown"), "one", &actor).await.unwrap());
    let ids = ["computed-none".parse().unwrap()];
    store.publish_computed(&[], &ids).await.unwrap();
    grows_by(0, "nothing was there to be removed").await;
}

#[tokio::test]
async fn changes_by_another_process_are_noticed() {
    let (directory, store) = fresh().await;
    let mut watch = store.watch().await.unwrap();
    let mut seen = async || {
        let seen = watch.look().await.unwrap();
        (seen.anything, seen.registry)
    };
    assert_eq!(seen().await, (false, false));
    let other = Store::open(directory.path()).await.unwrap();
    assert_eq!(seen().await, (false, false));
    other.publish_local(&publication("a", "one"), None).await.unwrap();
    assert_eq!(seen().await, (true, true));
    assert_eq!(seen().await, (false, false));
    let token = TokenSecret::generate().unwrap().row("t", &[Scope::Read], IdPatterns::default(), None);
    other.add_token(&token, &Actor::Operator).await.unwrap();
    other.note_use(&token.id).await.unwrap();
    assert_eq!(seen().await, (true, false), "nothing the registry shows");
    // Not by another use: in the same millisecond that changes nothing.
    assert!(store.revoke_token(&token.id, &Actor::Operator).await.unwrap());
    assert_eq!(seen().await, (true, false), "by this process");
}

#[tokio::test]
async fn an_admin_token_is_made_while_there_is_no_valid_one_and_revoking_ends_a_token() {
    let (_directory, store) = fresh().await;
    let row = || {
        TokenSecret::generate().unwrap().row("t", &[Scope::Admin], IdPatterns::default(), Some(90 * 86_400))
    };
    let first = row();
    let other = TokenSecret::generate().unwrap().row(
        "t",
        &[Scope::Read, Scope::Publish],
        IdPatterns::default(),
        None,
    );
    store.add_token(&other, &Actor::Operator).await.unwrap();
    let expired = TokenSecret::generate().unwrap().row("t", &[Scope::Admin], IdPatterns::default(), Some(0));
    store.add_token(&expired, &Actor::Operator).await.unwrap();
    assert!(store.add_admin_token(&first).await.unwrap(), "there are others, and none of a valid admin");
    assert!(!store.add_admin_token(&row()).await.unwrap());
    store.add_token(&row(), &Actor::Operator).await.unwrap();
    assert!(store.revoke_token(&first.id, &Actor::Operator).await.unwrap());
    assert!(!store.revoke_token(&first.id, &Actor::Operator).await.unwrap(), "it is revoked already");
    assert!(!store.revoke_token("unknown", &Actor::Operator).await.unwrap());
    assert!(!store.add_admin_token(&row()).await.unwrap(), "there is the second one");
    let tokens = store.tokens().await.unwrap();
    let revoked: Vec<_> =
        tokens.iter().filter(|token| token.revoked_at.is_some()).map(|token| &token.id).collect();
    assert_eq!((tokens.len(), revoked), (4, vec![&first.id]));
    let listed = tokens.iter().find(|token| token.id == first.id).unwrap();
    assert!(listed.expires_at > Some(listed.created_at.clone()));
}

#[test]
fn no_task_looks_for_old_connections() {
    let options = super::opening::pool(4);
    assert_eq!((options.get_idle_timeout(), options.get_max_lifetime()), (None, None));
    assert_eq!((options.get_min_connections(), options.get_max_connections()), (0, 4));
}

/// Files of Rust below a directory.
fn sources(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_database_is_spoken_to_in_this_room_alone() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut files = Vec::new();
    sources(root, &mut files);
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| file.starts_with(root.join("store")));
    let speaks = |file: &&std::path::PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        // Tests may break a database by hand.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let words = ["sqlx", "\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM ", "PRAGMA "];
        !file.ends_with("tests.rs") && words.iter().any(|word| code.contains(word))
    };
    assert!(here.into_iter().any(|file| speaks(&file)), "the words are the right ones");
    let others: Vec<_> = elsewhere.into_iter().filter(speaks).collect();
    assert!(others.is_empty(), "{others:?}");
}
