//! Looking at jobs.

use std::fmt;
use std::str::FromStr;

use phasic_hub_api::jobs::{JobLine, JobState};
use phasic_hub_api::{EdgeOrderDigest, GraphHash};
use sqlx::Row as _;

use super::super::privacy::own;
use super::super::{Store, StoreError};
use super::{JOBS, JobRow, KEPT_LINES, job_row};
use crate::visibility::Viewer;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// That this viewer sees.
    pub viewer: Viewer,
    /// In this state only.
    pub state: Option<JobState>,
    /// Behind this place in the list.
    pub before: Option<JobPlace>,
    /// Of graphs with this content hash only.
    pub graph_hash: Option<GraphHash>,
    /// And, of these, of graphs with this order of edges only.
    pub edge_order_digest: Option<EdgeOrderDigest>,
    /// At most so many.
    pub limit: u32,
}

/// A place in the list of jobs, by what the job there is or was: it stays one when the job is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlace {
    /// When that job was submitted.
    pub submitted_at: String,
    /// Its id.
    pub id: String,
}

impl fmt::Display for JobPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.submitted_at, self.id)
    }
}

impl FromStr for JobPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A time begins with a year; ids of jobs, as cursors once were, have no slash.
        let (submitted_at, id) = text.split_once('/').ok_or(())?;
        let is_time =
            submitted_at.len() == 24 && submitted_at.starts_with(|first: char| first.is_ascii_digit());
        if !is_time || id.is_empty() {
            return Err(());
        }
        Ok(Self { submitted_at: submitted_at.to_owned(), id: id.to_owned() })
    }
}

/// Jobs in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCount {
    /// The state.
    pub state: JobState,
    /// All of them.
    pub jobs: i64,
    /// Those that are for everybody.
    pub public: i64,
}

impl Store {
    /// A job, if a viewer sees it.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn job(&self, id: &str, viewer: &Viewer) -> Result<Option<JobRow>, StoreError> {
        let sql = format!("{JOBS} WHERE id = ?1 AND (?2 OR audience IN ('', ?3))");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(viewer.sees_all())
            .bind(own(viewer))
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(job_row).transpose()
    }

    /// Jobs, the latest first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
        let sql = format!(
            "{JOBS} WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR (submitted_at, id) < (?2, ?8)) AND (?3 IS NULL OR definition IN \
             (SELECT definition FROM graphs WHERE graph_hash = ?3 AND (?7 IS NULL OR edge_order_digest = ?7))) \
             AND (?5 OR audience IN ('', ?6)) ORDER BY submitted_at DESC, id DESC LIMIT ?4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.state.map(JobState::as_str))
            .bind(filter.before.as_ref().map(|place| &place.submitted_at))
            .bind(filter.graph_hash.as_ref().map(|hash| &hash.as_bytes()[..]))
            .bind(filter.limit)
            .bind(filter.viewer.sees_all())
            .bind(own(&filter.viewer))
            .bind(filter.edge_order_digest.as_ref().map(|order| &order.as_bytes()[..]))
            .bind(filter.before.as_ref().map(|place| &place.id))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(job_row).collect()
    }

    /// How many jobs are in each state, and how many of them are for everybody; states without jobs are left out.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn job_counts(&self) -> Result<Vec<JobCount>, StoreError> {
        let sql = "SELECT state, count(*) AS jobs, sum(audience = '') AS public FROM jobs GROUP BY state";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await?;
        let count = |row: &sqlx::sqlite::SqliteRow| {
            let word: String = row.try_get("state")?;
            let known = JobState::ALL.into_iter().find(|known| known.as_str() == word);
            let unreadable =
                || StoreError::Row { place: "jobs".to_owned(), reason: format!("state {word:?}") };
            let state = known.ok_or_else(unreadable)?;
            Ok(JobCount { state, jobs: row.try_get("jobs")?, public: row.try_get("public")? })
        };
        rows.iter().map(count).collect()
    }

    /// Seconds since the first of the queued jobs that are for everybody was submitted; `None` when none waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_age_seconds(&self) -> Result<Option<f64>, StoreError> {
        let sql = "SELECT (julianday('now') - julianday(min(submitted_at))) * 86400.0 FROM jobs \
                   WHERE state = 'queued' AND audience = ''";
        let age: Option<f64> = sqlx::query_scalar(sql).fetch_one(&self.readers).await?;
        Ok(age.map(|age| age.max(0.0)))
    }

    /// What happened to a job: the first and the last lines, and how many there were between them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_log(&self, number: i64) -> Result<Vec<JobLine>, StoreError> {
        // What an earlier version has left may be longer.
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT line, at, text FROM job_log WHERE job = ?1 AND (line <= ?2 OR line > \
             (SELECT max(line) FROM job_log WHERE job = ?1) - ?2) ORDER BY line",
        )
        .bind(number)
        .bind(KEPT_LINES)
        .fetch_all(&self.readers)
        .await?;
        let (mut lines, mut last) = (Vec::with_capacity(rows.len() + 1), 0);
        for (line, at, text) in rows {
            if line > last + 1 {
                let text = format!("{} lines were left out here", line - last - 1);
                lines.push(JobLine { at: at.clone(), text });
            }
            lines.push(JobLine { at, text });
            last = line;
        }
        Ok(lines)
    }
}
