//! Databases of every earlier version, with rows as those versions wrote them, brought to this one.

use phasic_hub_api::jobs::{JobState, Variant};
use phasic_hub_api::mirror::QuarantineDecision;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{EdgeOrderDigest, GraphHash, Sha256};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::audit::append;
use super::migrations::{MIGRATIONS, migrator_of};
use super::{Actor, Change, JobFilter, Origin, Role, Store, VariantReason, subject};
use crate::visibility::Viewer;

/// Rows of the first version.
const ROWS_1: &[&str] = &[
    "INSERT INTO blobs (sha256, size_bytes) VALUES (unhex(printf('%064d', 1)), 1), (unhex(printf('%064d', 2)), 2), \
     (unhex(printf('%064d', 3)), 3)",
    "INSERT INTO computes (id, origin, place, entry) VALUES ('ours', 'local', 0, json_object('graph_hash', \
     printf('%064d', 9), 'artifacts', json_object('parent', json_object('cid_or_path', 'a', 'sha256', \
     printf('%064d', 1), 'size_bytes', 1)))), ('theirs', 'mirror', 0, '{}')",
    "INSERT INTO compute_artifacts VALUES ('ours', 'parent', unhex(printf('%064d', 9)), unhex(printf('%064d', 1)), \
     unhex(printf('%064d', 2)))",
    "INSERT INTO artifact_versions (role, graph_hash, sha256) VALUES ('parent', unhex(printf('%064d', 9)), \
     unhex(printf('%064d', 2)))",
    "INSERT INTO revisions (compute_id, origin, entry) VALUES ('ours', 'local', '{\"v\":1}'), ('gone', 'mirror', NULL)",
    "INSERT INTO reference_computes VALUES ('ours', unhex(printf('%064d', 7)))",
    "INSERT INTO mirror_passes (upstream, document_sha256, entries, mirrored) \
     VALUES ('https://upstream.example', unhex(printf('%064d', 3)), 5, 4)",
    "INSERT INTO mirror_faults VALUES (1, 0, 'bad one', NULL, 'entry_invalid', 'it is')",
    "INSERT INTO tokens (id, name, scopes, secret_sha256) VALUES ('t1', 'lab', 'read', unhex(printf('%064d', 8)))",
];

/// Rows the third version brought.
const ROWS_3: &[&str] = &[
    "INSERT INTO blobs (sha256, size_bytes) VALUES (unhex(printf('%064d', 4)), 4), (unhex(printf('%064d', 5)), 5)",
    "INSERT INTO graphs (definition, graph_hash, edge_order_digest, vertices, edges, state_length, param_length, \
     discrete, parallel_edges, recipe_sha256) VALUES (unhex(printf('%064d', 11)), unhex(printf('%064d', 9)), \
     unhex(printf('%064d', 12)), 5, 4, 1, 1, 0, 0, unhex(printf('%064d', 4)))",
    "INSERT INTO jobs (id, subject, variant, definition, state, forecast, forecast_memory_bytes, attempts, finished_at) \
     VALUES ('job_1', unhex(printf('%064d', 13)), 'phasic', unhex(printf('%064d', 11)), 'done', '{}', 10, 1, \
     '2026-11-01T00:00:00.000Z'), ('job_2', unhex(printf('%064d', 13)), 'fast', unhex(printf('%064d', 11)), 'queued', \
     '{}', 10, 0, NULL)",
    "INSERT INTO job_log (job, line, text) VALUES (1, 1, 'submitted'), (1, 2, 'done')",
    "INSERT INTO eliminations (subject, variant, definition, sha256, engine) VALUES (unhex(printf('%064d', 13)), \
     'phasic', unhex(printf('%064d', 11)), unhex(printf('%064d', 5)), 'phasic-engine 0.0.1')",
];

/// Rows the fourth version brought.
const ROWS_4: &[&str] = &[
    "INSERT INTO quarantine (number, upstream, entry, artifact, sha256, code, reason, decision, decided_at, decided_by) \
     VALUES (5, 'manual', 'bad', 'a.bin', unhex(printf('%064d', 21)), 'unverified', 'no graph', 'accept', \
     '2026-11-01T00:00:00.000Z', 'operator'), (7, 'manual', 'odd', '', unhex(printf('%064d', 22)), 'entry_invalid', 'odd', \
     NULL, NULL, NULL)",
];

/// Rows the fifth version brought.
const ROWS_5: &[&str] = &[
    "INSERT OR IGNORE INTO graph_audiences (definition, audience) VALUES (unhex(printf('%064d', 11)), '')",
    "INSERT OR IGNORE INTO version_computes VALUES ('parent', unhex(printf('%064d', 9)), unhex(printf('%064d', 2)), 'ours')",
    "INSERT INTO private_ids (pattern, origin) VALUES ('secret-*', 'setting'), ('hidden', 'id')",
    "INSERT INTO uploads (audience, token, sha256) VALUES ('lab-*', 't1', unhex(printf('%064d', 4)))",
];

/// Rows the sixth version brought.
const ROWS_6: &[&str] = &[
    "INSERT INTO pins (sha256, note) VALUES (unhex(printf('%064d', 1)), 'for the paper')",
    "INSERT INTO verifications (graph_hash, sha256, verdict, edge_order_digest, difference, engine, definitions, \
     duration_ms) VALUES (unhex(printf('%064d', 9)), unhex(printf('%064d', 2)), 'equivalent', \
     unhex(printf('%064d', 12)), NULL, 'phasic-engine 0.0.1', 1, 5)",
    "INSERT INTO wanted_variants (compute_id, variant) VALUES ('ours', 'fast'), ('later', 'phasic')",
    "INSERT INTO served_variants (compute_id, graph_hash, edge_order_digest, variant, sha256, reason) VALUES ('ours', \
     unhex(printf('%064d', 9)), unhex(printf('%064d', 12)), 'fast', unhex(printf('%064d', 5)), 'requested')",
];

/// An upstream as the twenty-first version left it whose files could not all be had: it had never been seen to be as mirrored.
const ROWS_21: &[&str] = &[
    "INSERT INTO upstreams (name, address, trust, place) VALUES ('partial', 'https://partial.example', 'checked', 9)",
    "INSERT INTO passes (number, upstream, address, outcome, actor, started_at, finished_at, error) \
     VALUES (0, 'partial', 'https://partial.example', 'done', 'hub', '2026-11-01T00:00:00.000Z', \
     '2026-11-01T00:00:00.000Z', NULL), \
     (-1, 'partial', 'https://partial.example', 'failed', 'hub', '2026-11-02T00:00:00.000Z', \
     '2026-11-02T00:00:00.000Z', 'no answer')",
];

/// What each version brought.
const ROWS: &[(i64, &[&str])] =
    &[(1, ROWS_1), (3, ROWS_3), (4, ROWS_4), (5, ROWS_5), (6, ROWS_6), (21, ROWS_21)];

/// The 32 bytes the fixtures write a number by.
fn bytes(number: u32) -> [u8; 32] {
    *format!("{number:064}").parse::<Sha256>().unwrap().as_bytes()
}

/// A database that has lived since the first version, as the one with the first `count` migrations leaves it.
async fn of_version(directory: &std::path::Path, count: usize) {
    let options = SqliteConnectOptions::new()
        .filename(directory.join("hub.db"))
        .create_if_missing(true)
        .foreign_keys(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    for step in 1..=count {
        migrator_of(&MIGRATIONS[..step]).run(&pool).await.unwrap();
        let brought = ROWS.iter().filter(|(version, _)| *version == MIGRATIONS[step - 1].0);
        for &statement in brought.flat_map(|(_, statements)| *statements) {
            sqlx::query(statement)
                .execute(&pool)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
    if MIGRATIONS[count - 1].0 >= 2 {
        let mut change = pool.begin().await.unwrap();
        let told = Change { action: "token.create", subject: "t1".to_owned(), detail: serde_json::json!({}) };
        append(&mut change, &Actor::Operator, told).await.unwrap();
        change.commit().await.unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn every_earlier_database_is_brought_to_this_version_with_all_it_held() {
    for count in 1..=MIGRATIONS.len() {
        let directory = tempfile::tempdir().unwrap();
        of_version(directory.path(), count).await;
        let latest = MIGRATIONS[count - 1].0;
        let store = Store::open(directory.path()).await.unwrap();
        assert_eq!(store.faults().await.unwrap(), Vec::<String>::new(), "{count}");
        let broken: Vec<(String,)> = sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check")
            .fetch_all(&store.readers)
            .await
            .unwrap();
        assert_eq!(broken, [], "{count}");

        let computes = store.computes().await.unwrap();
        let listed: Vec<_> = computes.iter().map(|row| (row.id.as_str(), row.origin)).collect();
        assert_eq!(listed, [("ours", Origin::Local), ("theirs", Origin::Mirror)], "{count}");
        let file = computes[0].artifacts[0];
        assert_eq!((file.role, file.graph_hash), (Role::Parent, GraphHash::from_bytes(bytes(9))));
        assert_eq!((file.original.size_bytes, file.served.size_bytes), (1, 2));
        assert_eq!(file.served.sha256, bytes(2).into(), "{count}");
        assert_eq!(
            store.snapshot().await.unwrap().former_versions().await.unwrap().len(),
            0,
            "its one version is the compute's: {count}"
        );
        let history = store.revisions(&"ours".parse().unwrap(), None, 10).await.unwrap();
        assert_eq!(history[0].entry.as_deref(), Some("{\"v\":1}"), "{count}");
        let definition = store.reference_definition(&"ours".parse().unwrap()).await.unwrap();
        assert_eq!(definition, Some(bytes(7).into()), "{count}");
        let pass = store.passes(None, None, 1, &crate::visibility::Viewer::All).await.unwrap().remove(0);
        assert_eq!(
            (pass.address.as_deref(), pass.entries),
            (Some("https://upstream.example"), Some(5)),
            "{count}"
        );
        assert_eq!(
            store.pass(pass.number, None).await.unwrap().unwrap().faults[0].reason,
            "it is",
            "{count}"
        );
        let tokens = store.token_page(0, 10).await.unwrap();
        assert_eq!((tokens.len(), tokens[0].name.as_str()), (1, "lab"), "{count}");

        if latest >= 2 {
            assert_eq!(store.audit(0, 10).await.unwrap().len(), 1, "{count}");
            assert!(store.verify_audit(None).await.unwrap().is_ok(), "{count}");
        }
        if latest >= 3 {
            let graph = store.graph(bytes(11).into(), &Viewer::Public).await.unwrap().unwrap();
            assert_eq!((graph.identity.vertices, graph.recipe.size_bytes), (5, 4), "{count}");
            let made = store.elimination(bytes(13).into(), Variant::Phasic).await.unwrap().unwrap();
            assert_eq!((made.blob.size_bytes, made.engine.as_str()), (5, "phasic-engine 0.0.1"), "{count}");
            let filter = JobFilter { state: Some(JobState::Queued), limit: 10, ..JobFilter::default() };
            let job = store.jobs(&filter).await.unwrap().remove(0);
            // Found by what it is found by in this version.
            assert_eq!(
                (job.id.as_str(), job.subject),
                ("job_2", subject(&graph.identity, Variant::Fast)),
                "{count}"
            );
            assert_eq!(store.job_log(1).await.unwrap().len(), 2, "{count}");
        }
        if latest >= 4 {
            holds_what_was_decided(&store).await;
        }
        if latest >= 5 {
            holds_what_is_private(&store).await;
        }
        if latest >= 6 {
            holds_what_was_chosen_and_found(&store).await;
        }
        if latest == 21 {
            let partial = store.upstream("partial").await.unwrap().unwrap();
            assert_eq!(partial.checked_at.as_deref(), Some("2026-11-01T00:00:00.000Z"));
        }
        // What this version adds works on what that one left.
        assert_eq!(store.blobs_due(0, 10).await.unwrap().len(), if latest >= 3 { 5 } else { 3 }, "{count}");
        assert!(store.pin(bytes(3).into(), "kept", &Actor::Operator).await.unwrap(), "{count}");
        store.close().await;
    }
}

async fn holds_what_was_decided(store: &Store) {
    let lines = store.quarantine(0, 10, true).await.unwrap();
    let [decided, open] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (decided.number, decided.entry.as_deref(), decided.artifact.as_deref()),
        (5, Some("bad"), Some("a.bin"))
    );
    assert_eq!((decided.sha256, decided.decision), (bytes(21).into(), Some(QuarantineDecision::Accept)));
    assert_eq!(decided.decided_by.as_deref(), Some("operator"));
    assert_eq!((open.number, open.decision, open.artifact.as_deref()), (7, None, None));
    assert_eq!(store.decisions("manual").await.unwrap().len(), 1);
    // Whether it is for everybody nobody knows any more, before the document is read again.
    let upstream = store.upstream("manual").await.unwrap().unwrap();
    assert_eq!((upstream.quarantined, upstream.must_read), (1, true));
    assert_eq!(store.public_counts().await.unwrap()["manual"].quarantined, 0);
}

async fn holds_what_is_private(store: &Store) {
    let private = store.private_ids().await.unwrap();
    for (id, is_so) in [("secret-one", true), ("hidden", true), ("ours", false)] {
        assert_eq!(private.contains(&id.parse().unwrap()), is_so, "{id}");
    }
    // An upload is for those whose token brought it.
    for (ids, sees) in [("lab-*", true), ("others-*", false)] {
        let viewer = Viewer::holder(&ids.parse().unwrap());
        let found = store.visible_blob(bytes(4).into(), &viewer).await.unwrap();
        assert_eq!(found.map(|blob| blob.size_bytes), sees.then_some(4), "{ids}");
    }
}

async fn holds_what_was_chosen_and_found(store: &Store) {
    let pins = store.pins(None, 10).await.unwrap();
    assert_eq!((pins.len(), pins[0].blob.size_bytes, pins[0].note.as_str()), (1, 1, "for the paper"));
    let ours = "ours".parse().unwrap();
    let found = store.verifications_of(&ours).await.unwrap().remove(0);
    let order = EdgeOrderDigest::from_bytes(bytes(12));
    assert_eq!((found.verdict, found.edge_order_digest), (Verdict::Equivalent, Some(order)));
    assert_eq!((found.engine.as_str(), found.duration_ms, found.is_asked), ("phasic-engine 0.0.1", 5, false));
    let wanted = store.snapshot().await.unwrap().wanted_variants().await.unwrap();
    assert_eq!((wanted.len(), wanted["ours"], wanted["later"]), (2, Variant::Fast, Variant::Phasic));
    let served = store.served_variant(&ours, GraphHash::from_bytes(bytes(9))).await.unwrap().unwrap();
    assert_eq!(
        (served.variant, served.blob.size_bytes, served.reason),
        (Variant::Fast, 5, VariantReason::Requested)
    );
}
