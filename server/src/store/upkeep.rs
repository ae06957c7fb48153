//! What upkeep remembers: when each blob was last hashed, which blobs are pinned, and the tasks of administrators.

use std::time::Duration;

use phasic_hub_api::Sha256;
use phasic_hub_api::admin::{TaskKind, TaskState};
use sqlx::Row as _;
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteRow;

use super::audit::append;
use super::graphs::blob;
use super::{Actor, Change, Store, StoreError};
use crate::blobs::StoredBlob;

/// A blob somebody wants to keep.
#[derive(Clone, Debug)]
pub struct PinRow {
    /// The blob.
    pub blob: StoredBlob,
    /// Why.
    pub note: String,
    /// Since when, UTC.
    pub pinned_at: String,
}

/// A long action.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its place in the order of all.
    pub number: i64,
    /// Its public id.
    pub id: String,
    /// What is done.
    pub kind: TaskKind,
    /// How far it is.
    pub state: TaskState,
    /// What was asked for, in JSON.
    pub asked: String,
    /// What was found or done, in JSON.
    pub report: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was begun, UTC.
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
}

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

const TASKS: &str =
    "SELECT number, id, kind, state, asked, report, error, started_at, finished_at FROM tasks";

impl Store {
    /// Blobs that were not hashed for so long, the longest first, and at most `limit`. A blob that is stored was hashed; one
    /// that is known to be bad is not looked for here.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn blobs_due(&self, seconds: u64, limit: u32) -> Result<Vec<StoredBlob>, StoreError> {
        let rows = sqlx::query(
            "SELECT b.sha256, b.size_bytes, coalesce(c.checked_at, b.stored_at) AS at FROM blobs b \
             LEFT JOIN blob_checks c ON c.sha256 = b.sha256 \
             WHERE b.sha256 NOT IN (SELECT sha256 FROM unhealed) AND at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?1 || ' seconds') ORDER BY at, b.sha256 LIMIT ?2",
        )
        .bind(seconds.cast_signed())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| blob(row, "sha256", "blobs")).collect()
    }

    /// Takes note that these blobs were hashed now, and are whole.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn note_checks(&self, names: &[Sha256]) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for name in names {
            // Not one that was forgotten meanwhile: nothing would take the row away again.
            let sql = format!(
                "INSERT INTO blob_checks (sha256, checked_at) SELECT sha256, {NOW} FROM blobs WHERE sha256 = ? \
                 ON CONFLICT (sha256) DO UPDATE SET checked_at = excluded.checked_at"
            );
            let named = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&name.as_bytes()[..]);
            named.execute(&mut *change).await?;
        }
        Ok(change.commit().await?)
    }

    /// Seconds since the blob that was not hashed for longest was hashed, of those that are not known to be bad; `None`
    /// without any such blob.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn scrub_age_seconds(&self) -> Result<Option<f64>, StoreError> {
        let age: Option<f64> = sqlx::query_scalar(
            "SELECT (julianday('now') - julianday(min(coalesce(c.checked_at, b.stored_at)))) * 86400.0 FROM blobs b \
             LEFT JOIN blob_checks c ON c.sha256 = b.sha256 WHERE b.sha256 NOT IN (SELECT sha256 FROM unhealed)",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(age.map(|age| age.max(0.0)))
    }

    /// How long ago garbage was collected; before the first time, how long ago the oldest blob was stored. `None` without
    /// any blob.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_age(&self) -> Result<Option<Duration>, StoreError> {
        let seconds: Option<f64> = sqlx::query_scalar(
            "SELECT (julianday('now') - julianday(coalesce((SELECT max(started_at) FROM tasks WHERE kind = 'gc' \
             AND state = 'done' AND NOT json_extract(asked, '$.dry_run')), (SELECT min(stored_at) FROM blobs)))) * 86400.0",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// A blob the database knows.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn blob(&self, name: Sha256) -> Result<Option<StoredBlob>, StoreError> {
        let row = sqlx::query("SELECT sha256, size_bytes FROM blobs WHERE sha256 = ?")
            .bind(&name.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| blob(&row, "sha256", "blobs")).transpose()
    }

    /// Keeps a blob until it is unpinned. Says whether there is one of this name.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn pin(&self, name: Sha256, note: &str, actor: &Actor) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let pinned = sqlx::query(
            "INSERT INTO pins (sha256, note) VALUES (?, ?) ON CONFLICT (sha256) DO UPDATE SET note = excluded.note \
             WHERE note <> excluded.note",
        )
        .bind(&name.as_bytes()[..])
        .bind(note)
        .execute(&mut *change)
        .await;
        match pinned {
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation) => {
                return Ok(false);
            }
            Ok(pinned) if pinned.rows_affected() == 0 => return Ok(true),
            pinned => pinned?,
        };
        let detail = serde_json::json!({"note": note});
        append(&mut change, actor, Change { action: "blob.pin", subject: name.to_string(), detail }).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Takes a pin out. Says whether there was one.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn unpin(&self, name: Sha256, actor: &Actor) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let gone = sqlx::query("DELETE FROM pins WHERE sha256 = ?").bind(&name.as_bytes()[..]);
        if gone.execute(&mut *change).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let detail = serde_json::json!({});
        append(&mut change, actor, Change { action: "blob.unpin", subject: name.to_string(), detail })
            .await?;
        change.commit().await?;
        Ok(true)
    }

    /// Pins by name, behind one, and at most `limit`.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn pins(&self, after: Option<Sha256>, limit: i64) -> Result<Vec<PinRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT p.sha256, b.size_bytes, p.note, p.pinned_at FROM pins p JOIN blobs b ON b.sha256 = p.sha256 \
             WHERE ?1 IS NULL OR p.sha256 > ?1 ORDER BY p.sha256 LIMIT ?2",
        )
        .bind(after.as_ref().map(|name| &name.as_bytes()[..]))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let pin = |row: &SqliteRow| {
            Ok(PinRow {
                blob: blob(row, "sha256", "pins")?,
                note: row.try_get("note")?,
                pinned_at: row.try_get("pinned_at")?,
            })
        };
        rows.iter().map(pin).collect()
    }

    /// Takes note of a task that begins, unless one of its kind is running. Gives that one, or the new one, and whether
    /// it is new.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn begin_task(
        &self,
        id: &str,
        kind: TaskKind,
        asked: &serde_json::Value,
        actor: &Actor,
    ) -> Result<(TaskRow, bool), StoreError> {
        let mut change = self.begin().await?;
        let sql = format!("{TASKS} WHERE kind = ? AND state = 'running'");
        let running = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(kind.as_str());
        if let Some(row) = running.fetch_optional(&mut *change).await? {
            return Ok((task_row(&row)?, false));
        }
        sqlx::query("INSERT INTO tasks (id, kind, asked) VALUES (?, ?, ?)")
            .bind(id)
            .bind(kind.as_str())
            .bind(asked.to_string())
            .execute(&mut *change)
            .await?;
        let sql = format!("{TASKS} WHERE id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_one(&mut *change).await?;
        let detail = serde_json::json!({"kind": kind, "asked": asked});
        append(&mut change, actor, Change { action: "task.begin", subject: id.to_owned(), detail }).await?;
        change.commit().await?;
        Ok((task_row(&row)?, true))
    }

    /// Takes note of how a task ended: with a report, or with the sentence of an error.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn end_task(
        &self,
        id: &str,
        outcome: Result<&serde_json::Value, &str>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let state = if outcome.is_ok() { TaskState::Done } else { TaskState::Failed };
        let sql =
            format!("UPDATE tasks SET state = ?, report = ?, error = ?, finished_at = {NOW} WHERE id = ?");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(state.as_str())
            .bind(outcome.ok().map(ToString::to_string))
            .bind(outcome.err())
            .bind(id)
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Takes note that whatever was running has ended with the process that did it.
    ///
    /// Only the one process that holds the data directory may call this.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn break_off_tasks(&self) -> Result<(), StoreError> {
        let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tasks WHERE state = 'running')");
        // Mostly there are none, and a change waits until all of the file was looked at.
        if !any.fetch_one(&self.readers).await? {
            return Ok(());
        }
        let mut change = self.begin().await?;
        let sql = format!(
            "UPDATE tasks SET state = 'broken_off', error = 'the hub ended while it ran; ask again', \
             finished_at = {NOW} WHERE state = 'running'"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// The task of an id.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn task(&self, id: &str) -> Result<Option<TaskRow>, StoreError> {
        let sql = format!("{TASKS} WHERE id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(task_row).transpose()
    }

    /// Tasks behind the one of number `after`, in the order they were begun in.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn tasks(&self, after: i64, limit: i64) -> Result<Vec<TaskRow>, StoreError> {
        let sql = format!("{TASKS} WHERE number > ? ORDER BY number LIMIT ?");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after).bind(limit);
        rows.fetch_all(&self.readers).await?.iter().map(task_row).collect()
    }
}

fn task_row(row: &SqliteRow) -> Result<TaskRow, StoreError> {
    let id: String = row.try_get("id")?;
    let unreadable = |reason: String| StoreError::Row { place: format!("tasks, id {id:?}"), reason };
    let (kind, state): (String, String) = (row.try_get("kind")?, row.try_get("state")?);
    let known_kind = TaskKind::ALL.into_iter().find(|known| known.as_str() == kind);
    let known_state = TaskState::ALL.into_iter().find(|known| known.as_str() == state);
    Ok(TaskRow {
        number: row.try_get("number")?,
        kind: known_kind.ok_or_else(|| unreadable(format!("kind {kind:?}")))?,
        state: known_state.ok_or_else(|| unreadable(format!("state {state:?}")))?,
        asked: row.try_get("asked")?,
        report: row.try_get("report")?,
        error: row.try_get("error")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        id,
    })
}
