use phasic_hub_api::jobs::{JobState, Priority, Variant};
use phasic_hub_api::{GraphHash, Sha256};

use super::{
    Cancelled, FreeMemory, JobFilter, JobPlace, JobResult, JobRow, KEPT_LINES, MOST_ATTEMPTS, MOST_OVERTAKEN,
    NewJob, QueueLimits, Queued,
};
use crate::blobs::StoredBlob;
use crate::store::tests::identity;
use crate::store::{Actor, GraphRow, Store};
use crate::visibility::{Audience, Viewer};

fn blob(seed: &str) -> StoredBlob {
    StoredBlob { sha256: Sha256::of(seed.as_bytes()), size_bytes: seed.len() as u64 }
}

fn result(seed: &str) -> JobResult {
    JobResult { blob: blob(seed), commands: 7, peak_memory_bytes: Some(8) }
}

/// A store with the graph "g".
async fn fresh() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let identity = identity(GraphHash::from_bytes([1; 32]), "g");
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
        asker: "address:192.0.2.1".to_owned(),
        priority: Priority::Normal,
        timeout_ms: None,
        lost: None,
    }
}

/// So much memory, and nothing else is running.
fn all(bytes: u64) -> FreeMemory {
    FreeMemory { bytes, is_all: true }
}

/// So much memory beside what is running.
fn some(bytes: u64) -> FreeMemory {
    FreeMemory { bytes, is_all: false }
}

/// The same of somebody else.
fn of(asker: &str, id: &str) -> NewJob {
    NewJob { asker: asker.to_owned(), ..new(id, id, 10) }
}

const ROOM: QueueLimits = QueueLimits { total: 1000, of_one: 1000 };

async fn queue(store: &Store, job: NewJob) -> JobRow {
    match store.queue(&job, ROOM, &Actor::Hub).await.unwrap() {
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
    let joined = async |id: &str| match store.queue(&new(id, "s", 10), ROOM, &Actor::Hub).await.unwrap() {
        Queued::Joined(row) => row.id,
        other => panic!("{other:?}"),
    };
    assert_eq!(joined("b").await, "a");
    let mut another = new("c", "s", 10);
    another.variant = Variant::Fast;
    queue(&store, another).await;
    let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert_eq!((running.id.as_str(), running.state, running.attempts), ("a", JobState::Running, 1));
    assert_eq!(joined("d").await, "a");
    assert!(store.finish_job(&running, "me", result("artifact"), "engine 1").await.unwrap());
    let done = store.job("a", &Viewer::Public).await.unwrap().unwrap();
    assert_eq!((done.state, done.commands, done.peak_memory_bytes), (JobState::Done, Some(7), Some(8)));
    assert!(matches!(store.queue(&new("e", "s", 10), ROOM, &Actor::Hub).await.unwrap(), Queued::Made));
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
        store.queue_order(&Viewer::Public).await.unwrap().iter().position(|&other| other == number).unwrap()
    };
    assert_eq!((position("large").await, position("first").await, position("second").await), (0, 1, 2));
    let begin = async |most| store.begin_job("me", all(most)).await.unwrap().map(|row| row.id);
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
        assert_eq!(store.begin_job(&owner, all(100)).await.unwrap().unwrap().id, "a");
        let number = store.job("a", &Viewer::Public).await.unwrap().unwrap().number;
        assert!(store.take_back_jobs(&owner, &[number]).await.unwrap().is_empty(), "its own job is alive");
        // At first its runner has lost sight of it, later its process ends.
        let next = if attempt == 1 { owner.as_str() } else { "next" };
        let taken = store.take_back_jobs(next, &[]).await.unwrap();
        let expected = if attempt < MOST_ATTEMPTS { JobState::Queued } else { JobState::Quarantined };
        assert_eq!(taken, [("a".to_owned(), expected)]);
    }
    assert_eq!(state(&store, "waits").await, JobState::Queued, "what waited still waits");
    let kept = store.job("a", &Viewer::Public).await.unwrap().unwrap();
    assert_eq!(kept.attempts, 3);
    assert!(kept.error.unwrap().contains("at attempt 3"));
    let log: Vec<String> =
        store.job_log(kept.number).await.unwrap().into_iter().map(|line| line.text).collect();
    assert_eq!(log.len(), 7, "{log:?}");
    assert!(log[0] == "submitted" && log[1] == "attempt 1 of 3 begun", "{log:?}");
    assert!(
        matches!(store.queue(&new("b", "s", 10), ROOM, &Actor::Hub).await.unwrap(), Queued::Joined(row) if row.id == "a")
    );
    let (row, changed) = store.cancel_job("a", None, &Actor::Hub).await.unwrap().unwrap();
    assert_eq!((changed, row.state), (Cancelled::Now, JobState::Cancelled));
    queue(&store, new("b", "s", 10)).await;
}

#[tokio::test]
async fn the_result_of_a_cancelled_job_is_dropped() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
    let cancel = async || store.cancel_job("a", None, &Actor::Hub).await.unwrap().unwrap().1;
    assert_eq!(cancel().await, Cancelled::Now);
    assert!(!store.finish_job(&running, "me", result("artifact"), "engine").await.unwrap());
    assert!(!store.fail_job(&running, "me", "cancelled").await.unwrap());
    assert_eq!(state(&store, "a").await, JobState::Cancelled);
    assert!(store.elimination(Sha256::of(b"s"), Variant::Phasic).await.unwrap().is_none());
    assert_eq!(cancel().await, Cancelled::Ended, "once is enough");
    assert!(store.cancel_job("nobody", None, &Actor::Hub).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stop_in_good_order_costs_no_attempt() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    store.begin_job("me", all(100)).await.unwrap().unwrap();
    store.put_back_jobs("me").await.unwrap();
    let row = store.job("a", &Viewer::Public).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts), (JobState::Queued, 0));
}

#[tokio::test]
async fn a_failed_job_may_be_asked_for_again_and_listings_go_page_by_page() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert!(store.fail_job(&running, "me", "no luck").await.unwrap());
    queue(&store, new("b", "s", 10)).await;
    queue(&store, new("c", "t", 10)).await;
    let list = async |filter: JobFilter| {
        let rows = store.jobs(&filter).await.unwrap();
        rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>()
    };
    let page = JobFilter { limit: 2, ..JobFilter::default() };
    assert_eq!(list(page.clone()).await, ["c", "b"]);
    let job = store.job("b", &Viewer::Public).await.unwrap().unwrap();
    let before: JobPlace =
        JobPlace { submitted_at: job.submitted_at, id: job.id }.to_string().parse().unwrap();
    assert_eq!(list(JobFilter { before: Some(before.clone()), ..page.clone() }).await, ["a"]);
    let gone = JobPlace { id: "b-gone".to_owned(), ..before };
    assert_eq!(list(JobFilter { before: Some(gone), ..page.clone() }).await, ["b", "a"]);
    for wrong in ["b", "", "/b", "2026/b", "2026-11-29T23:00:00.000Z/", "x026-11-29T23:00:00.000Z/b"] {
        assert_eq!(wrong.parse::<JobPlace>(), Err(()), "{wrong}");
    }
    assert_eq!(list(JobFilter { state: Some(JobState::Failed), ..page.clone() }).await, ["a"]);
    let elsewhere = GraphHash::from_bytes([9; 32]);
    assert!(list(JobFilter { graph_hash: Some(elsewhere), ..page.clone() }).await.is_empty());
    assert_eq!(
        list(JobFilter { graph_hash: Some(GraphHash::from_bytes([1; 32])), ..page.clone() }).await,
        ["c", "b"]
    );
}

/// Begins jobs with so much memory until there is none, and gives their ids in order.
async fn begun(store: &Store, most: u64) -> Vec<String> {
    let mut ids = Vec::new();
    while let Some(row) = store.begin_job("me", all(most)).await.unwrap() {
        ids.push(row.id);
    }
    ids
}

#[tokio::test]
async fn askers_take_turns_within_a_priority() {
    let (_directory, store) = fresh().await;
    for id in ["a1", "a2", "a3", "a4"] {
        queue(&store, of("a", id)).await;
    }
    assert_eq!(store.begin_job("me", all(100)).await.unwrap().unwrap().id, "a1");
    queue(&store, of("b", "b1")).await;
    queue(&store, of("b", "b2")).await;
    queue(&store, of("c", "c1")).await;
    queue(&store, NewJob { priority: Priority::Low, ..of("d", "low") }).await;
    queue(&store, NewJob { priority: Priority::High, ..of("a", "high") }).await;
    let order = store.queue_order(&Viewer::Public).await.unwrap();
    let expected = ["high", "b1", "c1", "a2", "b2", "a3", "a4", "low"];
    assert_eq!(begun(&store, 100).await, expected);
    assert_eq!(order.len(), 8);
}

#[tokio::test]
async fn newcomers_are_not_before_those_who_have_waited() {
    let (_directory, store) = fresh().await;
    queue(&store, of("a", "a1")).await;
    queue(&store, of("a", "a2")).await;
    assert_eq!(store.begin_job("me", all(100)).await.unwrap().unwrap().id, "a1");
    let mut ids = Vec::new();
    for newcomer in 0..5 {
        queue(&store, of(&format!("new {newcomer}"), &format!("n{newcomer}"))).await;
        ids.push(store.begin_job("me", all(100)).await.unwrap().unwrap().id);
    }
    assert!(ids.iter().position(|id| id == "a2") <= Some(1), "{ids:?}");
}

#[tokio::test]
async fn a_large_job_lets_others_pass_only_so_often() {
    let (_directory, store) = fresh().await;
    queue(&store, new("large", "large", 1000)).await;
    for number in 0..20 {
        queue(&store, of("b", &format!("small {number}"))).await;
    }
    assert_eq!(begun(&store, 100).await.len(), MOST_OVERTAKEN as usize, "then all wait for memory");
    assert_eq!(store.begin_job("me", all(1000)).await.unwrap().unwrap().id, "large");
    assert_eq!(begun(&store, 100).await.len(), 20 - MOST_OVERTAKEN as usize);
    queue(&store, new("too large", "too large", 1001)).await;
    assert_eq!(store.refuse_larger_jobs(1000).await.unwrap(), ["too large"]);
    assert_eq!(state(&store, "too large").await, JobState::Failed);
}

#[tokio::test]
async fn a_large_job_of_high_priority_is_not_overtaken_for_ever_by_lower_ones() {
    let (_directory, store) = fresh().await;
    for number in 0..20 {
        queue(&store, of("b", &format!("small {number}"))).await;
    }
    queue(&store, NewJob { priority: Priority::High, ..new("large", "large", 1000) }).await;
    assert_eq!(begun(&store, 100).await.len(), MOST_OVERTAKEN as usize, "then all wait for memory");
    assert_eq!(store.begin_job("me", all(1000)).await.unwrap().unwrap().id, "large");
}

#[tokio::test]
async fn the_last_attempt_runs_alone_so_that_no_other_job_is_there_when_the_hub_dies_of_it() {
    let (_directory, store) = fresh().await;
    for id in ["poison", "innocent"] {
        queue(&store, of(id, id)).await;
    }
    for owner in ["first", "second"] {
        assert_eq!(store.begin_job(owner, all(100)).await.unwrap().unwrap().id, "poison");
        assert_eq!(store.begin_job(owner, some(90)).await.unwrap().unwrap().id, "innocent");
        assert_eq!(store.take_back_jobs("next", &[]).await.unwrap().len(), 2);
    }
    queue(&store, of("new", "new")).await;
    assert_eq!(
        store.begin_job("third", some(90)).await.unwrap().unwrap().id,
        "new",
        "others may run meanwhile"
    );
    assert!(store.begin_job("third", some(80)).await.unwrap().is_none());
    assert_eq!(store.take_back_jobs("next", &[]).await.unwrap(), [("new".to_owned(), JobState::Queued)]);
    assert_eq!(store.begin_job("fourth", all(100)).await.unwrap().unwrap().id, "poison");
    assert_eq!(
        store.take_back_jobs("next", &[]).await.unwrap(),
        [("poison".to_owned(), JobState::Quarantined)]
    );
    let innocent = store.begin_job("fifth", all(100)).await.unwrap().unwrap();
    assert_eq!((innocent.id.as_str(), innocent.attempts), ("innocent", MOST_ATTEMPTS));
    assert!(store.finish_job(&innocent, "fifth", result("artifact"), "engine").await.unwrap());
}

#[tokio::test]
async fn an_attempt_that_was_taken_back_has_no_say_in_the_next_one() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    let first = store.begin_job("me", all(100)).await.unwrap().unwrap();
    store.take_back_jobs("me", &[]).await.unwrap();
    let second = store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert!(!store.finish_job(&first, "me", result("first"), "engine").await.unwrap());
    assert!(!store.fail_job(&first, "me", "late").await.unwrap());
    assert_eq!(store.break_job(&first, "me", "late").await.unwrap(), None);
    assert!(store.finish_job(&second, "me", result("second"), "engine").await.unwrap());
    let made = store.elimination(second.subject, Variant::Phasic).await.unwrap().unwrap();
    assert_eq!(made.blob, blob("second"));
}

#[tokio::test]
async fn as_many_jobs_wait_as_may_and_joining_takes_no_place() {
    let (_directory, store) = fresh().await;
    let limits = QueueLimits { total: 3, of_one: 2 };
    let ask = async |job: NewJob| store.queue(&job, limits, &Actor::Hub).await.unwrap();
    assert!(matches!(ask(of("a", "1")).await, Queued::New(_)));
    assert!(matches!(ask(of("a", "2")).await, Queued::New(_)));
    assert!(matches!(ask(of("a", "3")).await, Queued::FullForOne));
    assert!(matches!(ask(of("b", "3")).await, Queued::New(_)));
    assert!(matches!(ask(of("c", "4")).await, Queued::Full));
    assert!(matches!(ask(NewJob { subject: Sha256::of(b"1"), ..of("c", "5") }).await, Queued::Joined(_)));
    store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert!(matches!(ask(of("c", "4")).await, Queued::New(_)), "what runs does not wait");
}

#[tokio::test]
async fn who_joins_brings_his_turn_his_priority_and_his_time() {
    let (_directory, store) = fresh().await;
    for id in ["1", "2", "3", "4"] {
        queue(&store, NewJob { timeout_ms: Some(1000), ..of("a", id) }).await;
    }
    assert_eq!(store.begin_job("me", all(100)).await.unwrap().unwrap().id, "1");
    let join = async |job: NewJob| match store.queue(&job, ROOM, &Actor::Hub).await.unwrap() {
        Queued::Joined(row) => row,
        other => panic!("{other:?}"),
    };
    let last = |job: NewJob| NewJob { subject: Sha256::of(b"4"), ..job };
    let row = join(last(NewJob { timeout_ms: Some(500), ..of("b", "x") })).await;
    assert_eq!((row.id.as_str(), row.timeout_ms, row.priority), ("4", Some(1000), Priority::Normal));
    assert_eq!(store.queue_order(&Viewer::Public).await.unwrap(), [2, 4, 3], "b has no other");
    let cancel =
        async |asker: &str| store.cancel_job("4", Some(asker), &Actor::Hub).await.unwrap().unwrap().1;
    assert_eq!(cancel("c").await, Cancelled::NotAsked);
    assert_eq!(cancel("b").await, Cancelled::Withdrawn);
    assert_eq!(store.queue_order(&Viewer::Public).await.unwrap(), [2, 3, 4]);
    let row = join(last(NewJob { priority: Priority::High, ..of("b", "x") })).await;
    assert_eq!((row.timeout_ms, row.priority), (None, Priority::High), "no limit of his own is the longest");
    assert_eq!((cancel("a").await, cancel("b").await), (Cancelled::Withdrawn, Cancelled::Now));
}

#[tokio::test]
async fn an_attempt_that_breaks_down_is_followed_by_two_more() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "s", 10)).await;
    for attempt in 1..=MOST_ATTEMPTS {
        let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
        assert_eq!(running.attempts, attempt);
        let expected = if attempt < MOST_ATTEMPTS { JobState::Queued } else { JobState::Quarantined };
        assert_eq!(store.break_job(&running, "me", "its process ended").await.unwrap(), Some(expected));
        assert_eq!(store.break_job(&running, "me", "again").await.unwrap(), None);
    }
    assert!(store.begin_job("me", all(100)).await.unwrap().is_none());
    assert!(
        store
            .job("a", &Viewer::Public)
            .await
            .unwrap()
            .unwrap()
            .error
            .unwrap()
            .starts_with("its process ended, at attempt 3")
    );
}

#[tokio::test]
async fn the_log_tells_of_jobs_that_end_without_a_result_or_are_forgotten() {
    let (_directory, store) = fresh().await;
    queue(&store, new("a", "a", 10)).await;
    let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert!(store.fail_job(&running, "me", "no luck").await.unwrap());
    queue(&store, new("b", "b", 10)).await;
    for _ in 1..MOST_ATTEMPTS {
        let running = store.begin_job("me", all(100)).await.unwrap().unwrap();
        store.break_job(&running, "me", "its process ended").await.unwrap();
    }
    store.begin_job("me", all(100)).await.unwrap().unwrap();
    assert_eq!(store.take_back_jobs("other", &[]).await.unwrap()[0].1, JobState::Quarantined);
    queue(&store, new("c", "c", 1000)).await;
    assert_eq!(store.refuse_larger_jobs(100).await.unwrap(), ["c"]);
    sqlx::query("UPDATE jobs SET finished_at = '2020-01-01T00:00:00.000Z' WHERE id = 'a'")
        .execute(&store.writer)
        .await
        .unwrap();
    assert_eq!(store.forget_old_jobs(30).await.unwrap(), 1);
    let lines = store.audit(0, 99).await.unwrap();
    let told = lines.iter().filter(|line| line.action.starts_with("job.") && line.action != "job.submit");
    let told: Vec<_> = told.map(|line| (line.action.as_str(), line.subject.as_str())).collect();
    assert_eq!(told, [("job.fail", "a"), ("job.quarantine", "b"), ("job.fail", "c"), ("job.forget", "jobs")]);
    assert_eq!(lines.iter().find(|line| line.action == "job.fail").unwrap().detail["error"], "no luck");
}

#[tokio::test]
async fn old_jobs_are_forgotten_and_results_and_quarantine_are_not() {
    let (_directory, store) = fresh().await;
    for id in ["done", "waits", "bad"] {
        queue(&store, of(id, id)).await;
    }
    let done = store.begin_job("me", all(100)).await.unwrap().unwrap();
    store.finish_job(&done, "me", result("artifact"), "engine").await.unwrap();
    sqlx::query(
        "UPDATE jobs SET state = 'quarantined', finished_at = '2020-01-01T00:00:00.000Z' WHERE id = 'bad'",
    )
    .execute(&store.writer)
    .await
    .unwrap();
    assert_eq!(store.forget_old_jobs(30).await.unwrap(), 0);
    sqlx::query("UPDATE jobs SET finished_at = '2020-01-01T00:00:00.000Z' WHERE id = 'done'")
        .execute(&store.writer)
        .await
        .unwrap();
    assert_eq!(store.forget_old_jobs(30).await.unwrap(), 1);
    assert!(store.job("done", &Viewer::Public).await.unwrap().is_none());
    assert_eq!(
        (state(&store, "waits").await, state(&store, "bad").await),
        (JobState::Queued, JobState::Quarantined)
    );
    assert!(store.elimination(done.subject, Variant::Phasic).await.unwrap().is_some());
    let turns: Vec<String> = sqlx::query_scalar("SELECT asker FROM job_turns ORDER BY asker")
        .fetch_all(&store.readers)
        .await
        .unwrap();
    assert_eq!(turns, ["bad", "waits"]);
}

#[tokio::test]
async fn a_place_in_the_queue_counts_what_the_viewer_sees() {
    let (_directory, store) = fresh().await;
    let ids = "ourlab-*".parse().unwrap();
    let ours = Viewer::holder(&ids);
    let hidden = |id: &str| NewJob { audience: ours.audience(), ..new(id, id, 10) };
    queue(&store, hidden("a")).await;
    queue(&store, new("b", "b", 10)).await;
    queue(&store, hidden("c")).await;
    let last = queue(&store, new("d", "d", 10)).await;
    for (viewer, before) in [
        (Viewer::Public, 1),
        (Viewer::holder(&"theirlab-*".parse().unwrap()), 1),
        (ours, 3),
        (Viewer::All, 3),
    ] {
        let order = store.queue_order(&viewer).await.unwrap();
        assert_eq!(order.iter().position(|&number| number == last.number), Some(before), "{viewer:?}");
    }
}

#[tokio::test]
async fn joining_raising_and_withdrawing_are_told_and_the_log_stays_short() {
    let (_directory, store) = fresh().await;
    let job = queue(&store, new("a", "a", 10)).await;
    let actions = async || {
        let lines = store.audit(0, 10_000).await.unwrap();
        lines
            .into_iter()
            .map(|line| line.action)
            .filter(|action| action.starts_with("job."))
            .collect::<Vec<_>>()
    };
    let join = async |priority| {
        let other = NewJob { asker: "token:t".to_owned(), priority, ..new("b", "a", 10) };
        assert!(matches!(store.queue(&other, ROOM, &Actor::Hub).await.unwrap(), Queued::Joined(_)));
    };
    join(Priority::Normal).await;
    join(Priority::Normal).await;
    assert_eq!(actions().await, ["job.submit", "job.join"], "asking again changes nothing");
    join(Priority::High).await;
    let withdraw = async || store.cancel_job("a", Some("token:t"), &Actor::Hub).await.unwrap().unwrap().1;
    assert_eq!(withdraw().await, Cancelled::Withdrawn);
    assert_eq!(actions().await, ["job.submit", "job.join", "job.join", "job.withdraw"]);
    for _ in 0..3 * KEPT_LINES {
        join(Priority::Normal).await;
        assert_eq!(withdraw().await, Cancelled::Withdrawn);
    }
    let log = store.job_log(job.number).await.unwrap();
    let kept = usize::try_from(KEPT_LINES).unwrap();
    assert_eq!(log.len(), 2 * kept + 1);
    assert_eq!(log[0].text, "submitted");
    let between = 3 * KEPT_LINES + 2 - 2 * KEPT_LINES;
    assert_eq!(log[kept].text, format!("{between} lines were left out here"));
}
