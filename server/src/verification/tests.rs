use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use phasic_hub_api::jobs::{Priority, Variant};
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{GraphHash, GraphIdentity, ModelSource, Sha256};

use super::{Compared, Patience, Turn, Verifier, VerifyError, fits_submitted, misfit_of_built_in};
use crate::admission::Admission;
use crate::blobs::{Terms, in_memory, read_whole};
use crate::config::{self, Config};
use crate::hub::{DataDirectory, Hub};
use crate::isolated::ChildError;
use crate::models::{Named, identify, named, reference_recipe};
use crate::reference;
use crate::registry::Former;
use crate::store::{Actor, ComputeRow, FreeMemory, GraphRow, NewJob, QueueLimits, Queued, VerificationRow};
use crate::visibility::{Audience, Viewer};
use crate::workers::Workers;

/// A hub with the reference computes, and a verifier of it that never rests longer than its files take.
async fn published(directory: &tempfile::TempDir, patience: Patience) -> (Arc<Hub>, Arc<Verifier>) {
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let hub = Hub::new(data.clone(), "http://hub.example".to_owned(), Former::default()).await.unwrap();
    let hub = Arc::new(hub);
    reference::publish(Arc::clone(&hub), Admission::new(Workers::new("test", 1).unwrap(), 1 << 30)).await;
    let verifier = Verifier::new(data, &Config::default()).unwrap();
    (hub, Arc::new(Verifier { patience, ..verifier }))
}

/// A job that runs for as long as the hub does.
async fn keep_busy(data: &DataDirectory) {
    let source: ModelSource = serde_json::from_str(r#"{"builtin": "rabbits"}"#).unwrap();
    let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
    let identity = identify(&recipe.build(&config::Models::default()).unwrap());
    let definition = identity.definition;
    let text = in_memory(recipe.to_json().unwrap());
    let recipe = data.blobs.put(text, Terms { max_bytes: 1 << 20, sha256: None }).await.unwrap();
    let row = GraphRow { identity, recipe };
    data.store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
    let job = NewJob {
        audience: Audience::Everybody,
        id: "job".to_owned(),
        subject: Sha256::of(b"subject"),
        variant: Variant::Phasic,
        definition,
        forecast: "{}".to_owned(),
        memory_bytes: 1,
        asker: "address:192.0.2.1".to_owned(),
        priority: Priority::Normal,
        timeout_ms: None,
        lost: None,
    };
    let room = QueueLimits { total: 9, of_one: 9 };
    assert!(matches!(data.store.queue(&job, room, &Actor::Hub).await.unwrap(), Queued::New(_)));
    let free = FreeMemory { bytes: 1 << 30, is_all: true };
    assert!(data.store.begin_job("me", free).await.unwrap().is_some());
}

async fn wait_until(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn a_hub_that_is_never_idle_is_verified_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let patience = Patience { at_first: Duration::from_millis(50), longest: Duration::from_millis(100) };
    let (hub, verifier) = published(&directory, patience).await;
    keep_busy(&hub.data).await;
    let running = tokio::spawn(Arc::clone(&verifier).run(Arc::clone(&hub)));
    let all = phasic_engine::reference::computes().len() as u64;
    wait_until("all are compared", async || *verifier.compared().borrow() >= all).await;
    running.abort();
}

#[tokio::test]
async fn what_somebody_asks_for_does_not_wait_for_the_end_of_the_list() {
    let directory = tempfile::tempdir().unwrap();
    // A job keeps the background from going on at once after each file.
    let patience = Patience { at_first: Duration::from_millis(400), longest: Duration::from_millis(400) };
    let (hub, verifier) = published(&directory, patience).await;
    keep_busy(&hub.data).await;
    let store = &hub.data.store;
    let running = tokio::spawn(Arc::clone(&verifier).run(Arc::clone(&hub)));
    wait_until("one is compared", async || *verifier.compared().borrow() > 0).await;
    let mut asked = None;
    for row in store.computes().await.unwrap() {
        if !store.verifications_of(&row.id).await.unwrap().is_empty() {
            asked = Some(row.id);
        }
    }
    let id = asked.unwrap();
    assert!(store.ask_verification(&id, &Actor::Operator).await.unwrap() > 0);
    verifier.wake();
    wait_until("it is compared again", async || {
        store.verifications_of(&id).await.unwrap().iter().all(|row| !row.is_asked)
    })
    .await;
    let all = phasic_engine::reference::computes().len() as u64;
    let compared = *verifier.compared().borrow();
    assert!(compared < all, "{compared} of {all} were compared first");
    running.abort();
}

#[tokio::test]
async fn what_was_too_large_is_compared_again_once_the_limits_are_others() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let smaller = under_other_limits(&hub);
    let work = smaller.work().await.unwrap();
    let all = work.len();
    assert!(all > 0);
    for one in work {
        let found = smaller.verify(one.graph_hash, one.blob, &Viewer::Public, Turn::Background).await;
        let found = VerificationRow { verdict: Verdict::TooLarge, ..found.unwrap().unwrap() };
        hub.data.store.put_verification(&found).await.unwrap();
    }
    assert!(smaller.work().await.unwrap().is_empty(), "under the same limits it is as large as it was");
    assert_eq!(verifier.work().await.unwrap().len(), all);
}

#[tokio::test]
async fn a_file_whose_comparison_ends_the_process_is_given_up_after_three_times_until_somebody_asks() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let store = &hub.data.store;
    let deadly = verifier.work().await.unwrap()[0];
    let id = {
        let has_it = |row: &ComputeRow| row.artifacts.iter().any(|file| file.graph_hash == deadly.graph_hash);
        store.computes().await.unwrap().into_iter().find(has_it).unwrap().id
    };
    let verdict = async || store.verifications_of(&id).await.unwrap().first().map(|row| row.verdict);
    // The process ends each time, before it can say anything.
    for attempt in 1..=3 {
        assert_eq!(store.begin_verification(deadly).await.unwrap(), attempt);
    }
    assert!(matches!(verifier.compare(deadly).await.unwrap(), Compared::Done));
    assert_eq!(verdict().await, Some(Verdict::TooLarge));
    assert!(!verifier.work().await.unwrap().contains(&deadly), "it is not tried again by itself");
    assert_eq!(store.ask_verification(&id, &Actor::Operator).await.unwrap(), 1);
    assert!(verifier.work().await.unwrap().contains(&deadly));
    assert!(matches!(verifier.compare(deadly).await.unwrap(), Compared::Done));
    assert_eq!(verdict().await, Some(Verdict::Reproduced));
    for attempt in 1..=3 {
        assert_eq!(store.begin_verification(deadly).await.unwrap(), attempt, "what has ended does not count");
    }
    assert!(matches!(verifier.compare(deadly).await.unwrap(), Compared::Done));
    assert_eq!(verdict().await, Some(Verdict::Reproduced), "what was found before stays");
    assert!(!verifier.work().await.unwrap().contains(&deadly), "it is given up as before");
    let smaller = under_other_limits(&hub);
    assert!(smaller.work().await.unwrap().contains(&deadly), "under other limits it may end");
}

fn under_other_limits(hub: &Hub) -> Verifier {
    let settings = toml::from_str("max_memory_bytes = 1048576").unwrap();
    let config = Config { verification: settings, ..Config::default() };
    Verifier::new(hub.data.clone(), &config).unwrap()
}

#[tokio::test]
async fn comparisons_that_are_stopped_or_find_no_file_are_no_attempts_that_count() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let store = &hub.data.store;
    let work = verifier.work().await.unwrap();
    let (lost, stopped) = (work[0], work[1]);
    let digits = lost.blob.sha256.to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    std::fs::remove_file(path).unwrap();
    for _ in 0..4 {
        assert!(matches!(verifier.compare(lost).await.unwrap(), Compared::Failed));
    }
    verifier.stop();
    for _ in 0..4 {
        assert!(matches!(verifier.compare(stopped).await.unwrap(), Compared::Stopping));
    }
    for one in [lost, stopped] {
        assert_eq!(store.begin_verification(one).await.unwrap(), 1);
        assert!(matches!(verifier.compare(one).await.unwrap(), Compared::Failed | Compared::Stopping));
        assert_eq!(store.begin_verification(one).await.unwrap(), 2, "those before it count as they did");
    }
}

#[test]
fn a_process_that_was_not_there_or_had_no_time_says_nothing_of_the_file() {
    let counts = |error: ChildError| VerifyError::from(error).may_be_due_to_the_file();
    let out_of_processes = std::io::Error::from(std::io::ErrorKind::WouldBlock);
    for error in [ChildError::NotStarted(out_of_processes), ChildError::TooLong, ChildError::Cancelled] {
        assert!(!counts(error));
    }
    for error in [ChildError::Broke("ended".to_owned()), ChildError::Failed("its result is odd".to_owned())] {
        assert!(counts(error));
    }
}

/// Another definition of a graph, as somebody may submit it: so many more stand under its hash afterwards.
async fn submit_others(data: &DataDirectory, graph_hash: GraphHash, count: u8) {
    let recipe = reference_recipe(graph_hash).unwrap();
    let identity = identify(&recipe.build(&config::Models::default()).unwrap());
    let text = in_memory(recipe.to_json().unwrap());
    let recipe = data.blobs.put(text, Terms { max_bytes: 1 << 20, sha256: None }).await.unwrap();
    for number in 0..count {
        let identity = GraphIdentity { definition: [number; 32].into(), ..identity.clone() };
        let row = GraphRow { identity, recipe };
        data.store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_was_given_up_is_not_begun_again_because_somebody_submits_another_definition() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let store = &hub.data.store;
    let deadly = verifier.work().await.unwrap()[0];
    for _ in 0..3 {
        store.begin_verification(deadly).await.unwrap();
    }
    assert!(matches!(verifier.compare(deadly).await.unwrap(), Compared::Done));
    submit_others(&hub.data, deadly.graph_hash, 1).await;
    assert!(!verifier.work().await.unwrap().contains(&deadly));
    let smaller = under_other_limits(&hub);
    assert!(smaller.work().await.unwrap().contains(&deadly), "under other limits it may end");
}

#[tokio::test]
async fn no_number_of_definitions_hides_that_a_file_is_no_program_of_a_graph_the_hub_has() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let graph_hash = verifier.work().await.unwrap()[0].graph_hash;
    let text = in_memory("PTDPRMC3 and nothing else");
    let wrong = hub.data.blobs.put(text, Terms { max_bytes: 99, sha256: None }).await.unwrap();
    submit_others(&hub.data, graph_hash, 65).await;
    let found = verifier.verify(graph_hash, wrong, &Viewer::Public, Turn::Background).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.verdict, found.definitions), (Verdict::Mismatch, 65), "{found:?}");
}

#[tokio::test]
async fn every_comparison_is_counted_once_whoever_wants_it() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, verifier) = published(&directory, Patience::USUAL).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counting = ::metrics::set_default_local_recorder(&recorder);
    let counted = |verdict: &str| {
        let text = recorder.handle().render();
        let line = format!("phasic_hub_verifications_total{{verdict=\"{verdict}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    };
    let one = verifier.work().await.unwrap()[0];
    assert!(matches!(verifier.compare(one).await.unwrap(), Compared::Done));
    assert_eq!(counted("reproduced"), 1, "in the background");
    verifier.verify_now(one.graph_hash, one.blob, &Viewer::Public).await.unwrap().unwrap();
    assert_eq!(counted("reproduced"), 2, "for somebody who publishes");
    let wrong = Arc::new(b"PTDPRMC3 and nothing else".to_vec());
    let misfit = misfit_of_built_in(one.graph_hash, &wrong, verifier.limits()).await;
    assert!(misfit.unwrap().is_some());
    assert_eq!(counted("mismatch"), 1, "before it is published or mirrored");
    submit_others(&hub.data, one.graph_hash, 2).await;
    let rows = hub.data.store.graphs(one.graph_hash, &Viewer::Public).await.unwrap();
    let (blobs, limits) = (&*hub.data.blobs, verifier.limits());
    let right = Arc::new(read_whole(blobs, one.blob).await.unwrap());
    assert!(fits_submitted((one.graph_hash, rows.clone()), &right, blobs, limits).await);
    assert!(!fits_submitted((one.graph_hash, rows), &wrong, blobs, limits).await);
    assert_eq!((counted("reproduced"), counted("mismatch")), (3, 2), "in a mirror pass");
}
