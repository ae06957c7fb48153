//! What can be wrong with the database.

use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;

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

/// The code SQLite gave an error.
fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    let sqlx::Error::Database(error) = error else { return None };
    error.code()
}

impl StoreError {
    /// Why the file at a path cannot be used.
    pub(super) fn open(path: &Path, source: sqlx::Error) -> Self {
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
