//! What was submitted goes when nobody has asked for it for long: graphs, results of jobs, and the entries made of them.
//!
//! Rows only; the files are the garbage collection's. When something was used is noted to the day.

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{ComputeId, Sha256};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction};

use super::audit::note;
use super::blobs::unreferenced;
use super::computes::{digest, record};
use super::mirror::read_again;
use super::{Actor, Change, Origin, Store, StoreError};
use crate::variants::COMPUTED_PREFIX;

/// What has gone, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Definitions of the graphs.
    pub graphs: Vec<Sha256>,
    /// Files of the results. Where the same file is the result of another job that stays, so does the file.
    pub eliminations: Vec<Sha256>,
    /// Entries that were listed because of these results.
    pub computes: Vec<ComputeId>,
    /// Blobs nothing refers to then.
    pub unreferenced: Vec<Sha256>,
}

/// Since when something counts as used today.
const TODAY: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')";

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// Before this nothing has been used that expires; ?1 is the number of days, with a minus.
const CUTOFF: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1 || ' days')";

/// Whether a file, `x.sha256`, is one of a compute that does not go with its result, today or as what it serves in place of
/// its own: one with a name of its own, or one that is mirrored, whatever it is called.
fn is_of_a_compute() -> String {
    format!(
        "(EXISTS (SELECT 1 FROM compute_artifacts c JOIN computes m ON m.id = c.compute_id \
         WHERE (m.origin = 'mirror' OR m.id NOT GLOB '{COMPUTED_PREFIX}*') AND x.sha256 IN (c.original_sha256, c.served_sha256)) \
         OR EXISTS (SELECT 1 FROM served_variants s WHERE s.sha256 = x.sha256))"
    )
}

impl Store {
    /// Takes note that a graph is used, at most once a day. Says whether it is here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_graph(&self, definition: Sha256) -> Result<bool, StoreError> {
        let sql =
            format!("SELECT coalesce(used_at, submitted_at) > {TODAY} FROM graphs WHERE definition = ?");
        let name = &definition.as_bytes()[..];
        let recent: Option<bool> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).fetch_optional(&self.readers).await?;
        if recent != Some(false) {
            return Ok(recent.is_some());
        }
        let mut change = self.begin().await?;
        let sql = format!("UPDATE graphs SET used_at = {NOW} WHERE definition = ?");
        let noted = sqlx::query(AssertSqlSafe(sql)).bind(name).execute(&mut *change).await?;
        change.commit().await?;
        Ok(noted.rows_affected() > 0)
    }

    /// Takes note that a result is used, at most once a day. Says whether it is here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_elimination(&self, subject: Sha256, variant: Variant) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT coalesce(used_at, made_at) > {TODAY} FROM eliminations WHERE subject = ? AND variant = ?"
        );
        let name = &subject.as_bytes()[..];
        let recent = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).bind(variant.as_str());
        let recent: Option<bool> = recent.fetch_optional(&self.readers).await?;
        if recent != Some(false) {
            return Ok(recent.is_some());
        }
        let mut change = self.begin().await?;
        let sql = format!("UPDATE eliminations SET used_at = {NOW} WHERE subject = ? AND variant = ?");
        let noted = sqlx::query(AssertSqlSafe(sql)).bind(name).bind(variant.as_str());
        let noted = noted.execute(&mut *change).await?;
        change.commit().await?;
        Ok(noted.rows_affected() > 0)
    }

    /// Takes note that files were asked for, those of results of jobs among them at most once a day.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn use_files(&self, files: &[Sha256]) -> Result<(), StoreError> {
        let names = serde_json::json!(files).to_string();
        let these = format!(
            "coalesce(used_at, made_at) <= {TODAY} AND sha256 IN (SELECT unhex(value) FROM json_each(?))"
        );
        let sql = format!("SELECT EXISTS (SELECT 1 FROM eliminations WHERE {these})");
        if !sqlx::query_scalar(AssertSqlSafe(sql)).bind(&names).fetch_one(&self.readers).await? {
            return Ok(());
        }
        let mut change = self.begin().await?;
        let sql = format!("UPDATE eliminations SET used_at = {NOW} WHERE {these}");
        sqlx::query(AssertSqlSafe(sql)).bind(&names).execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// Lets go of what was submitted and has not been used for so many days, unless a compute with a name of its own, a
    /// pin or a job needs it; or only says what that would be, for a `dry_run`. Reads each table once or twice.
    ///
    /// A result needs its graph; a compute needs its files and the graph they were verified with.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn expire_submissions(
        &self,
        days: u64,
        dry_run: bool,
        actor: &Actor,
    ) -> Result<Expired, StoreError> {
        let mut change = self.begin().await?;
        let eliminations = expire_eliminations(&mut change, days).await?;
        let computes = expire_computed(&mut change).await?;
        let addresses = forget_addresses(&mut change).await?;
        let graphs = expire_graphs(&mut change, days).await?;
        let unreferenced = unreferenced(&mut change).await?;
        let expired = Expired { graphs, eliminations, computes, unreferenced };
        if dry_run || (expired.is_nothing() && addresses == 0) {
            // What was done is undone with the change.
            return Ok(expired);
        }
        let detail = serde_json::json!({
            "days": days, "graphs": expired.graphs, "eliminations": expired.eliminations, "computes": expired.computes,
        });
        if !expired.is_nothing() {
            let told = Change { action: "submission.expire", subject: "graphs".to_owned(), detail };
            note(&mut change, actor, told).await?;
        }
        change.commit().await?;
        Ok(expired)
    }
}

impl Expired {
    fn is_nothing(&self) -> bool {
        self.graphs.is_empty() && self.eliminations.is_empty() && self.computes.is_empty()
    }
}

async fn expire_eliminations(
    change: &mut Transaction<'static, Sqlite>,
    days: u64,
) -> Result<Vec<Sha256>, StoreError> {
    let sql = format!(
        "DELETE FROM eliminations AS x WHERE coalesce(used_at, made_at) < {CUTOFF} \
         AND sha256 NOT IN (SELECT sha256 FROM pins) AND NOT {} RETURNING sha256",
        is_of_a_compute()
    );
    names(change, sql, "sha256", days).await
}

/// Entries that this hub has listed because of a result that is gone. Those that were mirrored are as their upstream has
/// them; one of them may have been hidden until now.
async fn expire_computed(change: &mut Transaction<'static, Sqlite>) -> Result<Vec<ComputeId>, StoreError> {
    let sql = format!(
        "DELETE FROM computes WHERE id GLOB '{COMPUTED_PREFIX}*' AND origin = 'local' AND NOT EXISTS (SELECT 1 FROM compute_artifacts c \
         JOIN eliminations e ON e.sha256 = c.served_sha256 WHERE c.compute_id = computes.id) RETURNING id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut **change).await?;
    let mut gone = Vec::new();
    for row in rows {
        let id: String = row.try_get("id")?;
        record(change, &id, Origin::Computed, None, None).await?;
        let unreadable = |_| StoreError::Row { place: "computes".to_owned(), reason: format!("id {id:?}") };
        gone.push(id.parse().map_err(unreadable)?);
    }
    if !gone.is_empty() {
        read_again(change, None).await?;
    }
    Ok(gone)
}

/// Addresses of files that only such entries had, once the results are gone; also of entries that were removed before. What
/// was mirrored under such an id keeps its addresses.
/// Gives their number.
async fn forget_addresses(change: &mut Transaction<'static, Sqlite>) -> Result<u64, StoreError> {
    let forgotten = sqlx::query(AssertSqlSafe(format!(
        "DELETE FROM artifact_versions AS x WHERE EXISTS (SELECT 1 FROM version_computes v WHERE v.sha256 = x.sha256) \
         AND NOT EXISTS (SELECT 1 FROM version_computes v WHERE v.sha256 = x.sha256 \
         AND (v.compute_id NOT GLOB '{COMPUTED_PREFIX}*' OR v.compute_id IN (SELECT id FROM computes) \
         OR EXISTS (SELECT 1 FROM revisions r WHERE r.compute_id = v.compute_id AND r.origin = 'mirror'))) \
         AND NOT EXISTS (SELECT 1 FROM eliminations e WHERE e.sha256 = x.sha256) AND NOT {}",
        is_of_a_compute()
    )))
    .execute(&mut **change)
    .await?;
    Ok(forgotten.rows_affected())
}

async fn expire_graphs(
    change: &mut Transaction<'static, Sqlite>,
    days: u64,
) -> Result<Vec<Sha256>, StoreError> {
    let sql = format!(
        "DELETE FROM graphs AS g WHERE coalesce(used_at, submitted_at) < {CUTOFF} \
         AND recipe_sha256 NOT IN (SELECT sha256 FROM pins) \
         AND NOT EXISTS (SELECT 1 FROM eliminations e WHERE e.definition = g.definition) \
         AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.definition = g.definition) \
         AND NOT EXISTS (SELECT 1 FROM verifications x WHERE x.definition = g.definition AND {}) \
         RETURNING definition",
        is_of_a_compute()
    );
    names(change, sql, "definition", days).await
}

async fn names(
    change: &mut Transaction<'static, Sqlite>,
    sql: String,
    column: &str,
    days: u64,
) -> Result<Vec<Sha256>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(format!("-{days}")).fetch_all(&mut **change).await?;
    let names = rows.iter().map(|row| Ok(digest(row, column, "what expires")?.into()));
    let mut names = names.collect::<Result<Vec<Sha256>, StoreError>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests;
