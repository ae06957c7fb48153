//! Opening the file: connections, looks for damage, and tables brought up to date.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::OnceCell;

use super::migrations::{MIGRATIONS, migrator};
use super::{FILES, Store, StoreError, jobs};

/// How long a statement waits for another process that is writing.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long opening a connection may take at least.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections for reading.
const READERS: u32 = 4;

/// Connections for what is asked by many and reads whole tables, choosing among all computes and pages of passes, so that
/// they keep only each other waiting.
pub(super) const LISTERS: u32 = 2;

/// Connections for the state of mirrors, which metrics and the page show, too: it reads whole tables in a moment, and waits
/// for no search.
const COUNTERS: u32 = 1;

/// What becomes of a database that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is made.
    Made,
    /// It is an error.
    Refused,
}

impl Store {
    /// As [`open_unchecked`](Self::open_unchecked), of a store whose statements wait so long for other processes.
    #[cfg(test)]
    pub(crate) async fn open_within(data_dir: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        Self::open_as(data_dir, busy_timeout, Absence::Made).await
    }

    pub(super) async fn open_as(
        data_dir: &Path,
        busy_timeout: Duration,
        absence: Absence,
    ) -> Result<Self, StoreError> {
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
}

/// Connections to a file need not be renewed. The task with which the pool would look for old ones (sqlx 0.9) counts idle
/// connections by a number that can be seen below zero for a moment, and then never ends and cannot be stopped.
///
/// A transaction that SQLite has ended by itself, as it may on a full disk, leaves a connection that sqlx takes to be within
/// it for ever and that begins no other: such a connection is replaced.
pub(super) fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// On the connection for writing: until this is over, nobody has anything to write.
pub(super) async fn look_for_damage(path: &Path, writer: &SqlitePool) -> Result<(), StoreError> {
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
