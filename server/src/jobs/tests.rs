use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use phasic_engine::reference::computes;
use phasic_hub_api::Sha256;
use phasic_hub_api::jobs::{JobState, Variant};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::runner::Insistence;
use super::submit::{NotKnown, know};
use super::{Ask, Jobs, Outcome, Submitted};
use crate::admission::Admission;
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::models::{Named, Recipe, named};
use crate::preparing::{Preparing, Room, Tried};
use crate::store::{Actor, EliminationRow, JobRow};
use crate::upkeep::{Rules, collect};
use crate::visibility::{Audience, Viewer};
use crate::workers::{Wanted, Workers};

struct Place {
    directory: tempfile::TempDir,
    jobs: Arc<Jobs>,
}

impl Place {
    async fn new() -> Self {
        Self::insisting(Insistence::USUAL).await
    }

    async fn insisting(insistence: Insistence) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let workers = || Workers::new("test", 1).unwrap();
        let Config { compute, models, .. } = Config::default();
        let admission = Admission::new(workers(), compute.max_memory_bytes.get());
        let jobs = Jobs::new(data, admission, Preparing::new(workers()), compute, models).unwrap();
        let jobs = Arc::new(Jobs { insistence, ..jobs });
        tokio::spawn(Arc::clone(&jobs).run());
        Self { directory, jobs }
    }

    /// Takes the smallest reference model as if somebody had sent it.
    async fn send(&self) -> Submitted {
        self.send_recipe(Recipe::of_reference(&computes()[0])).await
    }

    async fn send_recipe(&self, recipe: Recipe) -> Submitted {
        self.jobs.submit_graph(recipe, &Audience::Everybody, "hub", &Actor::Hub).await.unwrap()
    }

    async fn ask(&self, graph: &Submitted) -> Outcome {
        self.ask_for(graph, Variant::Plan).await
    }

    async fn ask_for(&self, graph: &Submitted, variant: Variant) -> Outcome {
        let ask = Ask::of_the_hub();
        self.jobs.submit(graph, variant, &Audience::Everybody, ask, &Actor::Hub).await.unwrap()
    }

    async fn state(&self, id: &str) -> JobState {
        self.jobs.data.store.job(id, &Viewer::All).await.unwrap().unwrap().state
    }

    /// The result, once a job has made it.
    async fn result(&self, graph: &Submitted) -> EliminationRow {
        let waiting = async {
            loop {
                match self.ask(graph).await {
                    Outcome::Made(row) => return row,
                    Outcome::Job(job, _) => assert!(
                        matches!(job.state, JobState::Queued | JobState::Running | JobState::Done),
                        "{:?}: {:?}",
                        job.state,
                        job.error
                    ),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("a result in time")
    }

    /// Lets the database take no result until the trigger `refuse` is dropped.
    async fn refuse_results(&self) -> SqliteConnection {
        let database = format!("sqlite://{}", self.directory.path().join("hub.db").display());
        let mut database = SqliteConnection::connect(&database).await.unwrap();
        let refuse =
            "CREATE TRIGGER refuse BEFORE INSERT ON eliminations BEGIN SELECT RAISE(ABORT, 'disk full'); END";
        database.execute(refuse).await.unwrap();
        database
    }

    /// Asks for a result nobody has asked for yet, and gives its job and its file, which cannot be recorded.
    async fn unrecorded(&self, graph: &Submitted) -> (JobRow, PathBuf) {
        let files = || walk(&self.directory.path().join("blobs/sha256"));
        let before = files();
        let Outcome::Job(job, _) = self.ask(graph).await else { panic!("nothing was made yet") };
        self.wait_until(|| files() != before).await;
        (job, files().difference(&before).next().unwrap().clone())
    }

    async fn wait_until(&self, mut is_true: impl FnMut() -> bool) {
        let waiting = async {
            while !is_true() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it happens in time");
    }

    fn file(&self, name: Sha256) -> PathBuf {
        let digits = name.to_string();
        self.directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits)
    }
}

#[tokio::test]
async fn a_recipe_that_is_lost_is_put_back_by_whoever_sends_the_document_again() {
    let place = Place::new().await;
    let graph = place.send().await;
    let definition = graph.identity.definition;
    let row = place.jobs.data.store.graph(definition, &Viewer::Public).await.unwrap().unwrap();
    std::fs::write(place.file(row.recipe.sha256), b"rotten").unwrap();
    let again = place.send().await;
    assert!(!again.is_new);
    assert_eq!(place.result(&again).await.definition, definition);
    let kept = std::fs::read(place.file(row.recipe.sha256)).unwrap();
    assert_eq!(Sha256::of(&kept), row.recipe.sha256);
    let lines = place.jobs.data.store.audit(0, 99).await.unwrap();
    let mended = lines.iter().filter(|line| line.action == "graph.mend");
    let mended: Vec<_> = mended.map(|line| line.subject.clone()).collect();
    assert_eq!(mended, [definition.to_string()]);
}

#[tokio::test]
async fn a_result_that_is_lost_is_made_again_for_whoever_asks() {
    let place = Place::new().await;
    let graph = place.send().await;
    let made = place.result(&graph).await;
    std::fs::remove_file(place.file(made.blob.sha256)).unwrap();
    let Outcome::Job(_, is_new) = place.ask(&graph).await else { panic!("it has no file") };
    assert!(is_new);
    assert_eq!(place.result(&graph).await.blob, made.blob);
    assert!(place.file(made.blob.sha256).exists());
}

#[tokio::test]
async fn the_end_of_a_job_is_recorded_once_the_database_takes_it_and_nothing_is_done_again() {
    let place = Place::new().await;
    let mut database = place.refuse_results().await;
    let graph = place.send().await;
    let (job, _) = place.unrecorded(&graph).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(place.state(&job.id).await, JobState::Running, "its result is there and not written down");
    database.execute("DROP TRIGGER refuse").await.unwrap();
    place.result(&graph).await;
    let job = place.jobs.data.store.job(&job.id, &Viewer::All).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Done, 1));
}

/// How a result is insisted on that is made young again all the time.
const RENEWING: Insistence = Insistence {
    pauses: [Duration::from_millis(20), Duration::from_millis(20)],
    renew_every: Duration::from_millis(20),
};

#[tokio::test]
async fn a_result_that_cannot_be_recorded_is_no_garbage_however_long_that_takes() {
    let place = Place::insisting(RENEWING).await;
    let mut database = place.refuse_results().await;
    let graph = place.send().await;
    let (_, file) = place.unrecorded(&graph).await;
    let hours_ago = SystemTime::now() - Duration::from_hours(3);
    File::options().write(true).open(&file).unwrap().set_modified(hours_ago).unwrap();
    let is_old = || std::fs::metadata(&file).unwrap().modified().unwrap() == hours_ago;
    place.wait_until(|| !is_old()).await;
    let rules = Rules { grace: Duration::from_hours(1), keep_submitted_days: 0 };
    let found = collect(&place.jobs.data, rules, false, &Actor::Hub).await.unwrap();
    assert!(found.removed.is_empty() && file.exists(), "{found:?}");
    database.execute("DROP TRIGGER refuse").await.unwrap();
    assert_eq!(place.file(place.result(&graph).await.blob.sha256), file);
}

#[tokio::test]
async fn a_result_that_is_lost_before_it_could_be_recorded_is_made_again() {
    let place = Place::insisting(RENEWING).await;
    let mut database = place.refuse_results().await;
    let graph = place.send().await;
    let (job, file) = place.unrecorded(&graph).await;
    std::fs::remove_file(&file).unwrap();
    place.wait_until(|| file.exists()).await;
    database.execute("DROP TRIGGER refuse").await.unwrap();
    assert_eq!(place.file(place.result(&graph).await.blob.sha256), file);
    let job = place.jobs.data.store.job(&job.id, &Viewer::All).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Done, 2));
}

#[tokio::test]
async fn graphs_that_differ_in_weights_no_parameter_changes_share_jobs_for_programs_and_not_for_plans() {
    let place = Place::new().await;
    let mut graphs = Vec::new();
    for probability in [0.5, 0.25] {
        let document = format!(
            r#"{{"document": {{"vertices": [[0], [1], [2]], "edges": [[0, 1, [], {probability}], [1, 2, [1]]]}}}}"#
        );
        let source = serde_json::from_str(&document).unwrap();
        let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
        graphs.push(place.send_recipe(recipe).await);
    }
    assert_ne!(graphs[0].identity.definition, graphs[1].identity.definition);
    for variant in Variant::ALL {
        let mut subjects = BTreeSet::new();
        for graph in &graphs {
            subjects.insert(match place.ask_for(graph, variant).await {
                Outcome::Made(row) => (row.definition, row.variant.as_str()),
                Outcome::Job(job, _) => (job.definition, job.variant.as_str()),
            });
        }
        assert_eq!(subjects.len(), if variant == Variant::Plan { 2 } else { 1 }, "{subjects:?}");
    }
}

#[test]
fn a_graph_nobody_waits_for_any_more_is_not_named() {
    let document = r#"{"document": {"vertices": [[0], [1]], "edges": [[0, 1, [], 1]]}}"#;
    let Named::Here(recipe) = named(&serde_json::from_str(document).unwrap()).unwrap() else {
        panic!("it is in the request")
    };
    let Config { compute, models, .. } = Config::default();
    let found = know(&recipe, &models, &compute, Room::All, &Wanted::no_longer());
    assert!(matches!(found, Tried::Done(Err(NotKnown::BrokeOff(_)))), "{found:?}");
}

/// All files.
fn walk(root: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { BTreeSet::from([path]) }).collect()
}
