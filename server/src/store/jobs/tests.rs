use phasic_hub_api::jobs::{JobState, Variant};
use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, Sha256};

use super::{JobFilter, JobRow, MOST_ATTEMPTS, NewJob, Queued};
use crate::blobs::StoredBlob;
use crate::store::{Actor, GraphRow, Store};
use crate::visibility::{Audience, Viewer};

fn blob(seed: &str) -> StoredBlob {
    StoredBlob { sha256: Sha256::of(seed.as_bytes()), size_bytes: seed.len() as u64 }
}

/// A store with the graph "g".
async fn fresh() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let identity = GraphIdentity {
        graph_hash: GraphHash::from_bytes([1; 32]),
        edge_order_digest: EdgeOrderDigest::from_bytes([2; 32]),
        definition: Sha256::of(b"g"),
        vertices: 3,
        edges: 2,
        state_length: 1,
        param_length: 1,
        discrete: false,
        parallel_edges: false,
    };
    let row = GraphRow { identity, recipe: blob("recipe") };
    assert!(store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap());
    assert!(!store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap());
    assert_eq!(store.recipe_bytes().await.unwrap(), 6);
    (directory, store)
}

fn new(id: &str, subject: &str, memory_bytes: u64) -> NewJob {
    NewJob {
        audience: Audience::Everybody,
        id: id.to_owned(),
        subject: Sha256::of(subject.as_bytes()),
        variant: Variant::Phasic,
        definition: Sha256::of(b"g"),
        forecast: "{}".to_owned(),
        memory_bytes,
    }
}

async fn queue(store: &Store, job: NewJob) -> JobRow {
    match store.queue(&job, &Actor::Hub).await.unwrap() {
        Queued::New(row) => row,
        other => panic!("{other:?}"),
    }
}

async fn state(store: &Store, id: &str) -> JobState {
    store.job(id, &Viewer::Public).await.unwrap().unwrap().state
}

#[tokio::test]
async fn the_same_subject_is_queued_once_until_it_is_made() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let joined = async |id: &str| match store.queue(&new(id, "s", 10), &Actor::Hub).await.unwrap() {
        Queued::Joined(row) => row.id,
        other => panic!("{other:?}"),
    };
    assert_eq!(joined("b").await, "a");
    let mut another = new("c", "s", 10);
    another.variant = Variant::Fast;
    queue(&store, another).await;
    let running = store.begin_job("me", 100).await.unwrap().unwrap();
    assert_eq!((running.id.as_str(), running.state, running.attempts), ("a", JobState::Running, 1));
    assert_eq!(joined("d").await, "a");
    assert!(store.finish_job(&running, "me", blob("artifact"), "engine 1").await.unwrap());
    assert_eq!(state(&store, "a").await, JobState::Done);
    assert!(matches!(store.queue(&new("e", "s", 10), &Actor::Hub).await.unwrap(), Queued::Made));
    let made = store.elimination(Sha256::of(b"s"), Variant::Phasic).await.unwrap().unwrap();
    assert_eq!((made.blob, made.engine.as_str()), (blob("artifact"), "engine 1"));
    assert_eq!(store.visible_blob(made.blob.sha256, &Viewer::Public).await.unwrap(), Some(made.blob));
    assert_eq!(
        store.visible_blob(blob("recipe").sha256, &Viewer::All).await.unwrap(),
        None,
        "nobody's business"
    );
}

#[tokio::test]
async fn jobs_are_begun_in_order_as_far_as_they_fit() {
    let (_directory, store) = fresh().await;
    for (id, memory_bytes) in [("large", 1000), ("first", 10), ("second", 10)] {
        queue(&store, new(id, id, memory_bytes)).await;
    }
    let position = async |id: &str| {
        let number = store.job(id, &Viewer::Public).await.unwrap().unwrap().number;
        store.job_position(number).await.unwrap()
    };
    assert_eq!((position("large").await, position("first").await, position("second").await), (0, 1, 2));
    let begin = async |most| store.begin_job("me", most).await.unwrap().map(|row| row.id);
    assert_eq!(begin(100).await.as_deref(), Some("first"));
    assert_eq!(begin(5).await, None);
    assert_eq!(begin(5000).await.as_deref(), Some("large"));
    assert_eq!(begin(5000).await.as_deref(), Some("second"));
    assert_eq!(begin(5000).await, None);
}

#[tokio::test]
async fn a_job_whose_runner_dies_is_tried_three_times_and_then_kept_with_its_log() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    queue(&store, new("waits", "other", 10)).await;
    for attempt in 1..=MOST_ATTEMPTS {
        let owner = format!("process {attempt}");
        assert_eq!(store.begin_job(&owner, 100).await.unwrap().unwrap().id, "a");
        assert!(store.take_back_jobs(&owner).await.unwrap().is_empty(), "its own job is alive");
        let taken = store.take_back_jobs("next").await.unwrap();
        let expected = if attempt < MOST_ATTEMPTS { JobState::Queued } else { JobState::Quarantined };
        assert_eq!(taken, [("a".to_owned(), expected)]);
    }
    assert_eq!(state(&store, "waits").await, JobState::Queued, "what waited still waits");
    let kept = store.job("a", &Viewer::Public).await.unwrap().unwrap();
    assert_eq!(kept.attempts, 3);
    assert!(kept.error.unwrap().contains("3 times"));
    let log: Vec<String> =
        store.job_log(kept.number).await.unwrap().into_iter().map(|line| line.text).collect();
    assert_eq!(log.len(), 7, "{log:?}");
    assert!(log[0] == "submitted" && log[1] == "attempt 1 of 3 begun", "{log:?}");
    assert!(
        matches!(store.queue(&new("b", "s", 10), &Actor::Hub).await.unwrap(), Queued::Joined(row) if row.id == "a")
    );
    let (row, changed) = store.cancel_job("a", &Actor::Hub).await.unwrap().unwrap();
    assert!(changed && row.state == JobState::Cancelled);
    queue(&store, new("b", "s", 10)).await;
}

#[tokio::test]
async fn the_result_of_a_cancelled_job_is_dropped() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let running = store.begin_job("me", 100).await.unwrap().unwrap();
    assert!(store.cancel_job("a", &Actor::Hub).await.unwrap().unwrap().1);
    assert!(!store.finish_job(&running, "me", blob("artifact"), "engine").await.unwrap());
    assert!(!store.fail_job(&running, "me", "cancelled").await.unwrap());
    assert_eq!(state(&store, "a").await, JobState::Cancelled);
    assert!(store.elimination(Sha256::of(b"s"), Variant::Phasic).await.unwrap().is_none());
    assert!(!store.cancel_job("a", &Actor::Hub).await.unwrap().unwrap().1, "once is enough");
    assert!(store.cancel_job("nobody", &Actor::Hub).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stop_in_good_order_costs_no_attempt() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    store.begin_job("me", 100).await.unwrap().unwrap();
    store.renew_leases("me").await.unwrap();
    store.put_back_jobs("me").await.unwrap();
    let row = store.job("a", &Viewer::Public).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts), (JobState::Queued, 0));
}

#[tokio::test]
async fn a_failed_job_may_be_asked_for_again_and_listings_go_page_by_page() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let running = store.begin_job("me", 100).await.unwrap().unwrap();
    assert!(store.fail_job(&running, "me", "no luck").await.unwrap());
    queue(&store, new("b", "s", 10)).await;
    queue(&store, new("c", "t", 10)).await;
    let list = async |filter: JobFilter| {
        let rows = store.jobs(&filter).await.unwrap();
        rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>()
    };
    let page = JobFilter { limit: 2, ..JobFilter::default() };
    assert_eq!(list(page.clone()).await, ["c", "b"]);
    let before = store.job("b", &Viewer::Public).await.unwrap().unwrap().number;
    assert_eq!(list(JobFilter { before: Some(before), ..page.clone() }).await, ["a"]);
    assert_eq!(list(JobFilter { state: Some(JobState::Failed), ..page.clone() }).await, ["a"]);
    let elsewhere = GraphHash::from_bytes([9; 32]);
    assert!(list(JobFilter { graph_hash: Some(elsewhere), ..page.clone() }).await.is_empty());
    assert_eq!(
        list(JobFilter { graph_hash: Some(GraphHash::from_bytes([1; 32])), ..page.clone() }).await,
        ["c", "b"]
    );
}
