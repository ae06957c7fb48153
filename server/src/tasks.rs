//! Long actions of administrators: begun by a request, done in the background, and told about by a row.
//!
//! One of a kind at a time, however many ask: who asks for the same joins, and who asks for something else is told so. What each does is [`upkeep`](crate::upkeep)'s knowledge.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use phasic_hub_api::admin::{BackupRequest, GcRequest, TaskKind};
use serde_json::{Value, json};

use crate::admission::Admission;
use crate::config::{Config, LEAST_GRACE_SECONDS};
use crate::hub::DataDirectory;
use crate::store::{Actor, StoreError, TaskRow};
use crate::upkeep::{self, Rules, UpkeepError, UpkeepLock};

/// The longest time between two looks whether garbage is to be collected: nobody relies on the clock for longer.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// How long to wait before it is tried again to collect garbage.
const TRY_AGAIN: Duration = Duration::from_mins(10);

/// How long to wait before it is tried again to record how a task ended.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// Begins tasks, and does them.
pub struct Tasks {
    data: DataDirectory,
    config: Arc<Config>,
    admission: Admission,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum TaskRequest {
    /// Hash every blob again.
    Scrub,
    /// Collect garbage.
    Gc(GcRequest),
    /// Make a backup.
    Backup(BackupRequest),
}

/// Why a task was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The name of the file is none.
    #[error("a backup is called by 1 to 100 of A-Z, a-z, 0-9, '.', '_' and '-', the first no dot; not {0:?}")]
    Name(String),
    /// The grace period is too short.
    #[error(
        "grace_seconds is {0}, and must be at least {LEAST_GRACE_SECONDS}: a file of a job or a mirror pass under way is \
         stored before the database knows of it"
    )]
    Grace(u64),
    /// Something else of the kind is being done.
    #[error(
        "the task {} is running, a {} that was asked for as {}; ask again when it has ended", running.id,
        running.kind.as_str(), running.asked
    )]
    Running {
        /// What is being done.
        running: Box<TaskRow>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no id for it.
    #[error("the operating system gives no random bytes, so there is no task: {0}")]
    NoRandomness(getrandom::Error),
}

impl TaskRequest {
    const fn kind(&self) -> TaskKind {
        match self {
            Self::Scrub => TaskKind::Scrub,
            Self::Gc(_) => TaskKind::Gc,
            Self::Backup(_) => TaskKind::Backup,
        }
    }

    fn asked(&self) -> Value {
        match self {
            Self::Scrub => json!({}),
            Self::Gc(request) => json!(request),
            Self::Backup(request) => json!(request),
        }
    }
}

impl Tasks {
    /// The tasks of a data directory.
    pub fn new(data: DataDirectory, config: Arc<Config>, admission: Admission) -> Self {
        Self { data, config, admission }
    }

    /// Begins a task, or joins the same one that is running; says whether it is new.
    ///
    /// # Errors
    /// [`TaskError`]; nothing is begun then.
    pub async fn begin(
        self: &Arc<Self>,
        request: TaskRequest,
        actor: &Actor,
    ) -> Result<(TaskRow, bool), TaskError> {
        if let TaskRequest::Backup(BackupRequest { name: Some(name) }) = &request
            && !is_file_name(name)
        {
            return Err(TaskError::Name(name.clone()));
        }
        if let TaskRequest::Gc(GcRequest { grace_seconds, .. }) = request
            && grace_seconds < LEAST_GRACE_SECONDS
        {
            return Err(TaskError::Grace(grace_seconds));
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(TaskError::NoRandomness)?;
        let id = random.iter().fold("task_".to_owned(), |id, byte| format!("{id}{byte:02x}"));
        let asked = request.asked();
        let (row, is_new) = self.data.store.begin_task(&id, request.kind(), &asked, actor).await?;
        if !is_new && serde_json::from_str::<Value>(&row.asked).ok() != Some(asked) {
            return Err(TaskError::Running { running: Box::new(row) });
        }
        if is_new {
            let (tasks, actor) = (Arc::clone(self), actor.clone());
            tokio::spawn(async move {
                let kind = request.kind().as_str();
                tracing::info!(id, kind, "began a task");
                let work = {
                    let (tasks, id) = (Arc::clone(&tasks), id.clone());
                    async move { tasks.outcome(&id, request, &actor).await.map_err(|error| error.to_string()) }
                };
                tasks.end(&id, watched(work).await).await;
            });
        }
        Ok((row, is_new))
    }

    /// Collects garbage by the settings whenever that is due. Ends only where they say that it never is.
    ///
    /// When it was done last is a row, so that a hub that is restarted every day does it, too; a collection that
    /// somebody else has asked for counts.
    pub async fn collect_when_due(self: Arc<Self>) {
        let interval = Duration::from_secs(self.config.upkeep.collect_interval_seconds.get());
        while !interval.is_zero() {
            let wait = match self.collect_if_due(interval).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(%error, "could not see to the garbage; it is tried again later");
                    TRY_AGAIN
                }
            };
            tokio::time::sleep(wait.min(LOOK_EVERY)).await;
        }
    }

    /// Begins a collection if it is due. Says when to look again.
    async fn collect_if_due(self: &Arc<Self>, interval: Duration) -> Result<Duration, StoreError> {
        let age = self.data.store.collection_age().await?;
        if let Some(left) = age.and_then(|age| interval.checked_sub(age)).filter(|left| !left.is_zero()) {
            return Ok(left);
        }
        let again = TRY_AGAIN.min(interval);
        if let Err(error) = UpkeepLock::take(&self.config.data_dir) {
            tracing::info!(%error, "garbage is collected later");
            return Ok(again);
        }
        let grace_seconds = self.config.upkeep.collect_grace_seconds.get();
        let request = TaskRequest::Gc(GcRequest { dry_run: false, grace_seconds });
        match self.begin(request, &Actor::Hub).await {
            Ok(_) => {}
            Err(TaskError::Store(error)) => return Err(error),
            Err(error) => tracing::info!(%error, "garbage is collected later"),
        }
        Ok(again)
    }

    /// Takes note of how a task ended. While that cannot be written no other of its kind can begin, so it is tried until
    /// it can; should the hub end before, the next one to start says that the task was broken off.
    async fn end(&self, id: &str, outcome: Result<Value, String>) {
        match &outcome {
            Ok(report) => tracing::info!(id, %report, "a task is done"),
            Err(error) => tracing::error!(id, %error, "a task failed"),
        }
        while let Err(error) = self.data.store.end_task(id, outcome.as_ref().map_err(String::as_str)).await {
            tracing::error!(id, %error, "could not record how a task ended; it is tried again");
            tokio::time::sleep(AFTER_A_FAILURE).await;
        }
    }

    async fn outcome(&self, id: &str, request: TaskRequest, actor: &Actor) -> Result<Value, UpkeepError> {
        let _lock = UpkeepLock::take(&self.config.data_dir)?;
        match request {
            TaskRequest::Scrub => {
                let report = upkeep::scrub(&self.data, &self.config, &self.admission, actor).await?;
                Ok(json!({
                    "good": report.good, "good_bytes": report.good_bytes, "rotten": report.rotten,
                    "lost": report.lost, "unreadable": report.unreadable, "restored": report.restored, "missing": report.missing(),
                }))
            }
            TaskRequest::Gc(GcRequest { dry_run, grace_seconds }) => {
                let rules = Rules {
                    grace: Duration::from_secs(grace_seconds),
                    keep_submitted_days: self.config.upkeep.keep_submitted_days.get(),
                };
                let found = upkeep::collect(&self.data, rules, dry_run, actor).await?;
                Ok(json!({
                    "dry_run": dry_run, "blobs": found.removed, "bytes": found.bytes, "graphs": found.expired.graphs,
                    "eliminations": found.expired.eliminations, "computes": found.expired.computes,
                }))
            }
            TaskRequest::Backup(BackupRequest { name }) => {
                let directory = self.backups();
                fs::create_dir_all(&directory)
                    .map_err(|source| UpkeepError::File { path: directory.clone(), source })?;
                let file = directory.join(name.unwrap_or_else(|| format!("{id}.tar")));
                let report = upkeep::backup(&self.data, &file, actor).await?;
                Ok(json!({
                    "file": file, "bytes": report.bytes, "blobs": report.manifest.blobs,
                    "missing": report.manifest.missing,
                }))
            }
        }
    }

    /// Where backups go that are asked for over HTTP.
    fn backups(&self) -> PathBuf {
        let configured = &self.config.upkeep.backup_dir;
        if configured.as_os_str().is_empty() {
            self.config.data_dir.join("backups")
        } else {
            configured.clone()
        }
    }
}

/// The outcome of work, also of work that panics.
async fn watched(
    work: impl Future<Output = Result<Value, String>> + Send + 'static,
) -> Result<Value, String> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        Err("it broke down, which is a mistake of the hub; its log and its standard error say where"
            .to_owned())
    })
}

fn is_file_name(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use phasic_hub_api::admin::{GcRequest, TaskKind, TaskState};

    use super::{TaskError, TaskRequest, Tasks, is_file_name, watched};
    use crate::admission::Admission;
    use crate::config::Config;
    use crate::hub::DataDirectory;
    use crate::store::Actor;
    use crate::workers::Workers;

    #[tokio::test]
    async fn who_asks_for_the_same_joins_and_who_asks_for_something_else_is_told_what_is_running() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let look = TaskRequest::Gc(GcRequest { dry_run: true, grace_seconds: 3600 });
        data.store.begin_task("task_1", TaskKind::Gc, &look.asked(), &Actor::Hub).await.unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 20);
        let tasks = Arc::new(Tasks::new(data, Arc::new(config), admission));
        let (joined, is_new) = tasks.begin(look, &Actor::Hub).await.unwrap();
        assert_eq!((joined.id.as_str(), is_new), ("task_1", false));
        for (dry_run, grace_seconds) in [(false, 3600), (true, 7200)] {
            let other = TaskRequest::Gc(GcRequest { dry_run, grace_seconds });
            let refused = tasks.begin(other, &Actor::Hub).await.unwrap_err();
            assert!(
                matches!(&refused, TaskError::Running { running } if running.id == "task_1"),
                "{refused}"
            );
            assert!(refused.to_string().contains("\"dry_run\":true"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_has_failed_and_another_can_begin() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let store = data.store.clone();
        let look = TaskRequest::Gc(GcRequest { dry_run: true, grace_seconds: 3600 });
        store.begin_task("task_1", TaskKind::Gc, &look.asked(), &Actor::Hub).await.unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 20);
        let tasks = Arc::new(Tasks::new(data, Arc::new(config), admission));
        tasks.end("task_1", watched(async { panic!("on purpose") }).await).await;
        let ended = store.task("task_1").await.unwrap().unwrap();
        assert_eq!(ended.state, TaskState::Failed);
        assert!(ended.error.unwrap().contains("broke down") && ended.finished_at.is_some());
        let (next, is_new) = tasks.begin(look, &Actor::Hub).await.unwrap();
        assert!(is_new);
        while store.task(&next.id).await.unwrap().unwrap().state == TaskState::Running {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(store.task(&next.id).await.unwrap().unwrap().state, TaskState::Done);
    }

    #[test]
    fn a_backup_stays_in_its_directory() {
        assert!(is_file_name("hub-2026-11-28.tar") && is_file_name("a"));
        for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a b", "a\0", "ä", &"a".repeat(101)] {
            assert!(!is_file_name(name), "{name:?}");
        }
    }
}
