//! The database: SQLite in the data directory, one writer and several readers.
//!
//! SQL lives here and nowhere else, one module per noun. What the rows mean to clients, and any bytes larger than a
//! registry entry, are somebody else's.
//!
//! [`Store`] is the whole interface: its methods take and give rows and answers of the types that are named below, each is
//! one moment of the database or one transaction, and none asks for a statement or a connection of SQLite's. Whoever puts
//! another database in its place writes these methods anew, and has the tests beside them pass.

/// SQL that says whether the id in a column is private: by itself, which an index tells, or by a pattern of the settings.
macro_rules! is_private {
    ($id:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM private_ids i WHERE i.pattern = ",
            $id,
            ") OR EXISTS (SELECT 1 FROM private_patterns p WHERE ",
            $id,
            " GLOB p.pattern))"
        )
    };
}

mod attempts;
mod audit;
mod blobs;
mod browse;
mod computes;
mod graphs;
mod jobs;
mod mirror;
mod privacy;
mod publications;
mod retention;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod totals;
mod unhealed;
#[cfg(test)]
mod upgrades;
mod upkeep;
mod variants;
mod verifications;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use phasic_hub_api::Sha256;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr as _, Sqlite, Transaction};
use tokio::sync::OnceCell;

pub use audit::{Actor, Chain, ChainFault, Change};
pub use browse::{BrowseFilter, DatedCompute, RevisionRow};
pub use computes::{ArtifactRow, ArtifactVersion, ComputeRow, Origin, Publication, Role};
pub use graphs::{EliminationPlace, EliminationRow, GraphFilter, GraphRow};
pub use jobs::{
    Cancelled, FreeMemory, JobCount, JobFilter, JobPlace, JobResult, JobRow, MOST_ATTEMPTS, MOST_OVERTAKEN,
    NewJob, QueueLimits, Queued, subject, subject_for,
};
pub use mirror::{
    Allowance, Decided, Finding, MOST_REMOVED_PERCENT, PassHead, PassRecord, PublicCounts, Reconciliation,
    UpstreamIdentity, UpstreamRow, Validators, is_mass_deletion,
};
pub use privacy::VersionKey;
pub use publications::{Condition, Published, Retraction, Standing, Wish, tag};
pub use retention::Expired;
pub use snapshot::{BlobSizes, PackedCompute, Snapshot};
pub use tokens::{KnownToken, NewToken, TokenRow};
pub use totals::Totals;
pub use upkeep::{PinRow, TaskRow};
pub use variants::{ServedVariant, VariantReason};
pub use verifications::{VerificationRow, VerificationWork};

/// All migrations in order. The macro of sqlx would build SQLite twice; a test keeps this list complete.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/0001_initial.sql")),
    (2, "access", include_str!("../../../migrations/0002_access.sql")),
    (3, "jobs", include_str!("../../../migrations/0003_jobs.sql")),
    (4, "upstreams", include_str!("../../../migrations/0004_upstreams.sql")),
    (5, "publication", include_str!("../../../migrations/0005_publication.sql")),
    (6, "verification", include_str!("../../../migrations/0006_verification.sql")),
    (7, "jobs", include_str!("../../../migrations/0007_jobs.sql")),
    (8, "held_files", include_str!("../../../migrations/0008_held_files.sql")),
    (9, "last_use", include_str!("../../../migrations/0009_last_use.sql")),
    (10, "leases", include_str!("../../../migrations/0010_leases.sql")),
    (11, "unhealed", include_str!("../../../migrations/0011_unhealed.sql")),
    (12, "waits", include_str!("../../../migrations/0012_waits.sql")),
    (13, "job_pages", include_str!("../../../migrations/0013_job_pages.sql")),
    (14, "verification_limits", include_str!("../../../migrations/0014_verification_limits.sql")),
    (15, "converted_forms", include_str!("../../../migrations/0015_converted_forms.sql")),
    (16, "job_actuals", include_str!("../../../migrations/0016_job_actuals.sql")),
    (17, "verification_attempts", include_str!("../../../migrations/0017_verification_attempts.sql")),
    (18, "computes_in_order", include_str!("../../../migrations/0018_computes_in_order.sql")),
    (19, "program_subjects", include_str!("../../../migrations/0019_program_subjects.sql")),
    (20, "given_up", include_str!("../../../migrations/0020_given_up.sql")),
    (21, "registry_state", include_str!("../../../migrations/0021_registry_state.sql")),
    (22, "hidden_faults", include_str!("../../../migrations/0022_hidden_faults.sql")),
    (23, "compared_at", include_str!("../../../migrations/0023_compared_at.sql")),
    (24, "private_patterns", include_str!("../../../migrations/0024_private_patterns.sql")),
];

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long opening a connection may take at least.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The database in a data directory, and what SQLite may have left beside it.
pub const FILES: [&str; 4] = ["hub.db", "hub.db-wal", "hub.db-shm", "hub.db-journal"];

/// Connections for reading.
const READERS: u32 = 4;

/// Connections for what is asked by many and reads whole tables, choosing among all computes and pages of passes, so that
/// they keep only each other waiting.
const LISTERS: u32 = 2;

/// Connections for the state of mirrors, which metrics and the page show, too: it reads whole tables in a moment, and waits
/// for no search.
const COUNTERS: u32 = 1;

/// The database of a hub. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    listers: SqlitePool,
    counters: SqlitePool,
    path: Arc<Path>,
    /// Set once the file was found to be whole.
    is_whole: Arc<OnceCell<()>>,
}

/// The database could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be opened.
    #[error("the database {} cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// There is none, or one without any tables: a hub that was never made, or has lost it.
    #[error("the database {} is not there, or has no tables", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The file is no database any more.
    #[error(
        "the database {} is damaged ({reason}); it was left as it is: restore a backup into another directory \
         (phasic-hub restore FILE --data DIR) and serve that", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// Its tables cannot be brought to this version.
    #[error(
        "the database {} does not fit this version of phasic-hub ({source}); nothing was changed: use the version \
         that wrote it last, or a backup", path.display()
    )]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// A file was not kept until it was referred to.
    #[error(
        "the file {0} was collected as garbage before it was referred to; nothing was changed: try again"
    )]
    Collected(Sha256),
    /// Whoever wanted a change is not let in any more.
    #[error("{0}")]
    Refused(#[from] TokenEnded),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row says something no version of the hub writes.
    #[error("the database holds something unreadable in {place}: {reason}")]
    Row {
        /// Which table, and which row of it.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// A token was revoked, or has expired, before the change was written that was asked for with it. An error of its own, so that
/// it is found among the causes of any other: one that shows a [`StoreError`] as itself has the causes of that one only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token {token} was revoked, or has expired, before the change was written; nothing was changed")]
pub struct TokenEnded {
    /// Its public id.
    pub token: String,
}

/// Whether an error is the database's, and says that there is no room left for what was to be written.
pub fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    /// `SQLITE_FULL`.
    const FULL: &str = "13";
    error.downcast_ref().is_some_and(|error| code(error).is_some_and(|code| code == FULL))
}

/// Whether an error is the database's, and says that nobody may write to it.
pub fn is_read_only(error: &(dyn std::error::Error + 'static)) -> bool {
    /// `SQLITE_READONLY`, without its details.
    const READ_ONLY: i32 = 8;
    let code = error.downcast_ref().and_then(code).and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == READ_ONLY)
}

/// Whether an error is the database's, and says that others were at it for longer than anybody waits.
pub fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    /// `SQLITE_BUSY` and `SQLITE_LOCKED`, without their details.
    const BUSY: [i32; 2] = [5, 6];
    error.downcast_ref().is_some_and(|error| {
        let code = code(error).and_then(|code| code.parse::<i32>().ok());
        matches!(error, sqlx::Error::PoolTimedOut) || code.is_some_and(|code| BUSY.contains(&(code & 0xff)))
    })
}

/// What becomes of a database that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// It is made.
    Made,
    /// It is an error.
    Refused,
}

/// The code SQLite gave an error.
fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    let sqlx::Error::Database(error) = error else { return None };
    error.code()
}

impl StoreError {
    /// Why the file at a path cannot be used.
    fn open(path: &Path, source: sqlx::Error) -> Self {
        /// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, without their details.
        const DAMAGED: [i32; 2] = [11, 26];
        let code = code(&source).and_then(|code| code.parse::<i32>().ok());
        let path = path.to_owned();
        if code.is_some_and(|code| DAMAGED.contains(&(code & 0xff))) {
            return Self::Damaged { path, reason: source.to_string() };
        }
        Self::Open { path, source }
    }
}

impl Store {
    /// Opens `hub.db` in the data directory, makes it if it is not there, brings its tables up to date, and looks at
    /// [all of it](Self::check).
    ///
    /// # Errors
    /// When the file cannot be opened, is damaged, or was written by a later version.
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let store = Self::open_unchecked(data_dir).await?;
        store.check().await?;
        Ok(store)
    }

    /// The same, for those who read while they look for damage by [`check`](Self::check): looking takes a fifth of a second
    /// for a hundred thousand files. Nothing is changed before that is over, the tables not either.
    ///
    /// # Errors
    /// As [`open`](Self::open), apart from damage nobody has met yet.
    pub async fn open_unchecked(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_as(data_dir, BUSY_TIMEOUT, Absence::Made).await
    }

    /// The same, of a database that was made before: another one is not put in its place.
    ///
    /// # Errors
    /// As [`open_unchecked`](Self::open_unchecked), and [`StoreError::Absent`], after which the file, or its absence, is as
    /// it was.
    pub async fn open_existing(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_as(data_dir, BUSY_TIMEOUT, Absence::Refused).await
    }

    /// As [`open_unchecked`](Self::open_unchecked), of a store whose statements wait so long for other processes.
    #[cfg(test)]
    pub(crate) async fn open_within(data_dir: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        Self::open_as(data_dir, busy_timeout, Absence::Made).await
    }

    async fn open_as(data_dir: &Path, busy_timeout: Duration, absence: Absence) -> Result<Self, StoreError> {
        let path = data_dir.join(FILES[0]);
        let open = |source| StoreError::open(&path, source);
        // Opened, an empty file would become a database, and a log beside it be lost.
        if absence == Absence::Refused && is_empty(&path) {
            return Err(StoreError::Absent { path });
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(absence == Absence::Made)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose the last commits with the power, and a commit here is a promise to somebody.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout);
        let writer = pool(1).connect_with(options.clone()).await.map_err(open)?;
        if absence == Absence::Refused && has_no_tables(&writer).await {
            writer.close().await;
            return Err(StoreError::Absent { path });
        }
        // Tables are not brought up to date in what is damaged.
        let is_whole = if is_new_version(&writer).await {
            look_for_damage(&path, &writer).await?;
            OnceCell::from(())
        } else {
            OnceCell::new()
        };
        let migrate = |source| StoreError::Migrate { path: path.clone(), source: Box::new(source) };
        migrator().run(&writer).await.map_err(migrate)?;
        jobs::subjects::bring_up_to_date(&writer).await?;
        // Nobody waits for a connection longer than for another process.
        let reading = options.read_only(true).create_if_missing(false);
        let readers = pool(READERS).acquire_timeout(busy_timeout.max(CONNECT_TIMEOUT));
        let readers = readers.connect_with(reading.clone()).await.map_err(open)?;
        let [listers, counters] = [LISTERS, COUNTERS].map(|connections| {
            let lazy = pool(connections).acquire_timeout(busy_timeout.max(CONNECT_TIMEOUT));
            lazy.connect_lazy_with(reading.clone())
        });
        Ok(Self { writer, readers, listers, counters, path: path.into(), is_whole: is_whole.into() })
    }

    /// Looks for damage, at all of the file, unless it was found to be whole since it was opened: damage that is found later
    /// would be found by a request.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or when the file cannot be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.is_whole.get_or_try_init(|| look_for_damage(&self.path, &self.writer)).await.copied()
    }

    /// Begins a change. Immediate, because a transaction that reads first and writes later fails at once when
    /// somebody else has written in between, whatever the busy timeout says.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.check().await?;
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A watch on changes of what the registry shows, by this process or another one.
    ///
    /// # Errors
    /// When no connection is to be had.
    pub async fn watch(&self) -> Result<ChangeWatch, StoreError> {
        let mut watch =
            ChangeWatch { connection: self.readers.acquire().await?, version: None, number: None };
        watch.look().await?;
        Ok(watch)
    }

    /// Whether the database can be read: a look at one row.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT number FROM catalogue_changes LIMIT 1").fetch_optional(&self.readers).await?;
        Ok(())
    }

    /// Closes all connections, after which nothing is left in the write-ahead log.
    pub async fn close(&self) {
        self.readers.close().await;
        self.listers.close().await;
        self.counters.close().await;
        self.writer.close().await;
    }
}

/// Notices changes of what the registry shows. Keeps one of the reading connections for itself.
#[derive(Debug)]
pub struct ChangeWatch {
    connection: PoolConnection<Sqlite>,
    /// What SQLite calls this state of the file: a cheap look that says whether to look closer.
    version: Option<i64>,
    /// How often what the registry shows had changed.
    number: Option<i64>,
}

/// What has changed since somebody looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenChanges {
    /// Whether anything has.
    pub anything: bool,
    /// Whether what the registry shows has.
    pub registry: bool,
}

impl ChangeWatch {
    /// What has changed since the last call. Costs microseconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&mut self) -> Result<SeenChanges, StoreError> {
        let version: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *self.connection).await?;
        if self.version == Some(version) {
            return Ok(SeenChanges::default());
        }
        let number: i64 = sqlx::query_scalar("SELECT number FROM catalogue_changes")
            .fetch_one(&mut *self.connection)
            .await?;
        self.version = Some(version);
        Ok(SeenChanges { anything: true, registry: self.number.replace(number) != Some(number) })
    }
}

/// Connections to a file need not be renewed. The task with which the pool would look for old ones (sqlx 0.9) counts idle
/// connections by a number that can be seen below zero for a moment, and then never ends and cannot be stopped.
///
/// A transaction that SQLite has ended by itself, as it may on a full disk, leaves a connection that sqlx takes to be within
/// it for ever and that begins no other: such a connection is replaced.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// On the connection for writing: until this is over, nobody has anything to write.
async fn look_for_damage(path: &Path, writer: &SqlitePool) -> Result<(), StoreError> {
    let found = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(writer).await;
    let found: String = found.map_err(|source| StoreError::open(path, source))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.to_owned(), reason: found })
}

/// Whether the tables are to be brought to this version, or to be made. What cannot be read is not up to date either: then
/// it is looked at more closely.
async fn is_new_version(writer: &SqlitePool) -> bool {
    let last: Result<i64, _> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(writer).await;
    last.ok() != MIGRATIONS.last().map(|&(version, ..)| version)
}

/// Whether no file is there, or one without a byte. One that cannot be looked at is left to SQLite to complain of.
fn is_empty(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(found) => found.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Whether a database was begun and not made, or has lost the log that held all of it. What cannot be read is another matter.
async fn has_no_tables(writer: &SqlitePool) -> bool {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'blobs'";
    sqlx::query_scalar(tables).fetch_one(writer).await.is_ok_and(|count: i64| count == 0)
}

fn migrator() -> Migrator {
    migrator_of(MIGRATIONS)
}

fn migrator_of(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations
        .iter()
        .map(|&(version, description, sql)| {
            Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}
