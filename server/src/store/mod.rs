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
mod error;
mod graphs;
mod jobs;
mod migrations;
mod mirror;
mod opening;
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
mod watch;

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};
use tokio::sync::OnceCell;

use opening::{Absence, BUSY_TIMEOUT, look_for_damage};

pub use audit::{Actor, Chain, ChainFault, Change};
pub use browse::{BrowseFilter, DatedCompute, RevisionRow};
pub use computes::{ArtifactRow, ArtifactVersion, ComputeRow, Origin, Publication, Role};
pub use error::{StoreError, TokenEnded, is_busy, is_full, is_read_only};
pub use graphs::{EliminationPlace, EliminationRow, GraphFilter, GraphRow};
pub use jobs::{
    Cancelled, FreeMemory, JobCount, JobFilter, JobPlace, JobResult, JobRow, MOST_ATTEMPTS, MOST_OVERTAKEN,
    NewJob, QueueLimits, Queued, subject, subject_for,
};
pub use mirror::{
    Allowance, Decided, Due, Finding, MOST_REMOVED_PERCENT, PassHead, PassRecord, PublicCounts,
    Reconciliation, UpstreamIdentity, UpstreamRow, Validators, is_mass_deletion,
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
pub use watch::{ChangeWatch, SeenChanges};

/// The database in a data directory, and what SQLite may have left beside it.
pub const FILES: [&str; 4] = ["hub.db", "hub.db-wal", "hub.db-shm", "hub.db-journal"];

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
