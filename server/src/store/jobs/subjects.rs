//! What jobs and their results are found by: the digest of whatever decides the result.
//!
//! Earlier versions found our programs by the definition they were made of. Their rows are found anew when the database is
//! brought to this version, which takes hashing that SQL cannot do.

#[cfg(test)]
mod tests;

use std::collections::hash_map::{Entry, HashMap};
use std::collections::hash_set::HashSet;

use phasic_hub_api::jobs::{JobState, Variant};
use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, Sha256};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use super::super::audit::append;
use super::super::computes::digest;
use super::super::privacy::audience;
use super::super::{Actor, Change, StoreError};
use super::{log, set_state};
use crate::visibility::Audience;

/// What decides the result of an elimination. For programs, phasic's and ours in its commands, content hash and order of
/// edges do: they read weights from the graph they are run on. Into a plan go the weights that no parameter changes, too, of
/// which neither knows.
pub fn subject(identity: &GraphIdentity, variant: Variant) -> Sha256 {
    match variant {
        Variant::Phasic | Variant::Fast => program(identity.graph_hash, identity.edge_order_digest),
        Variant::Plan => identity.definition,
    }
}

/// The subject of what is for some only: with an audience in its name it meets no request of another one.
pub fn subject_for(subject: Sha256, audience: &Audience) -> Sha256 {
    if audience.is_everybody() {
        return subject;
    }
    let mut both = subject.as_bytes().to_vec();
    both.extend(audience.text().as_bytes());
    Sha256::of(&both)
}

fn program(hash: GraphHash, order: EdgeOrderDigest) -> Sha256 {
    let mut both = hash.as_bytes().to_vec();
    both.extend(order.as_bytes());
    Sha256::of(&both)
}

/// Has the rows of earlier versions found by what they are found by today, once in the life of a database. Of several jobs
/// for one program that wait or run the first goes on, for all who have asked; of several results the latest stays.
///
/// Takes time in proportion to the number of jobs and results for our programs.
///
/// # Errors
/// When the database fails or holds what no hub writes; nothing is changed then.
pub(in crate::store) async fn bring_up_to_date(writer: &SqlitePool) -> Result<(), StoreError> {
    let is_due = "SELECT EXISTS (SELECT 1 FROM unfinished_upgrades WHERE name = 'program_subjects')";
    if !sqlx::query_scalar(is_due).fetch_one(writer).await? {
        return Ok(());
    }
    let mut change = writer.begin_with("BEGIN IMMEDIATE").await?;
    find_jobs_anew(&mut change).await?;
    find_results_anew(&mut change).await?;
    sqlx::query("DELETE FROM unfinished_upgrades WHERE name = 'program_subjects'")
        .execute(&mut *change)
        .await?;
    Ok(change.commit().await?)
}

async fn find_jobs_anew(change: &mut Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT j.number, j.id, j.subject, j.state, j.audience, g.graph_hash, g.edge_order_digest FROM jobs j \
         JOIN graphs g ON g.definition = j.definition WHERE j.variant = 'fast' ORDER BY j.state <> 'running', j.number",
    )
    .fetch_all(&mut **change)
    .await?;
    let (mut first, mut moved) = (HashMap::new(), Vec::new());
    for row in &rows {
        let (number, id): (i64, String) = (row.try_get("number")?, row.try_get("id")?);
        let (subject, wanted) = subjects(row, "jobs")?;
        let state: String = row.try_get("state")?;
        if [JobState::Queued, JobState::Running].iter().any(|under_way| under_way.as_str() == state) {
            match first.entry(wanted) {
                Entry::Vacant(free) => drop(free.insert((number, id))),
                Entry::Occupied(taken) => join(change, taken.get(), (number, &id)).await?,
            }
        }
        if subject != wanted {
            moved.push((number, wanted));
        }
    }
    // Only now: until all that are one too many have ended, two would be under way for one subject.
    for (number, subject) in moved {
        sqlx::query("UPDATE jobs SET subject = ? WHERE number = ?")
            .bind(&subject.as_bytes()[..])
            .bind(number)
            .execute(&mut **change)
            .await?;
    }
    Ok(())
}

/// Ends a job that is one too many. Who has asked for it has asked for the first one.
async fn join(
    change: &mut Transaction<'static, Sqlite>,
    (first, first_id): &(i64, String),
    (number, id): (i64, &str),
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO job_askers (job, asker, asked_at) SELECT ?1, asker, asked_at FROM job_askers WHERE job = ?2",
    )
    .bind(first)
    .bind(number)
    .execute(&mut **change)
    .await?;
    // The higher of the two priorities; and the longer of the two times, which is that of the settings where one says none.
    sqlx::query(
        "UPDATE jobs SET (priority, timeout_ms) = (SELECT max(jobs.priority, o.priority), \
         max(jobs.timeout_ms, o.timeout_ms) FROM jobs o WHERE o.number = ?2) WHERE number = ?1",
    )
    .bind(first)
    .bind(number)
    .execute(&mut **change)
    .await?;
    log(change, number, &format!("cancelled: {first_id} makes the same program")).await?;
    set_state(change, number, JobState::Cancelled, None).await?;
    let detail = serde_json::json!({"for": first_id});
    append(change, &Actor::Hub, Change { action: "job.cancel", subject: id.to_owned(), detail }).await
}

async fn find_results_anew(change: &mut Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT e.subject, e.audience, g.graph_hash, g.edge_order_digest FROM eliminations e \
         JOIN graphs g ON g.definition = e.definition WHERE e.variant = 'fast' ORDER BY e.made_at DESC, e.subject",
    )
    .fetch_all(&mut **change)
    .await?;
    let (mut taken, mut moved) = (HashSet::new(), Vec::new());
    for row in &rows {
        let (subject, wanted) = subjects(row, "eliminations")?;
        if !taken.insert(wanted) {
            sqlx::query("DELETE FROM eliminations WHERE subject = ? AND variant = 'fast'")
                .bind(&subject.as_bytes()[..])
                .execute(&mut **change)
                .await?;
        } else if subject != wanted {
            moved.push((subject, wanted));
        }
    }
    for (subject, wanted) in moved {
        sqlx::query("UPDATE eliminations SET subject = ?2 WHERE subject = ?1 AND variant = 'fast'")
            .bind(&subject.as_bytes()[..])
            .bind(&wanted.as_bytes()[..])
            .execute(&mut **change)
            .await?;
    }
    Ok(())
}

/// What a row of our programs is found by, and what it is to be found by.
fn subjects(row: &SqliteRow, place: &str) -> Result<(Sha256, Sha256), StoreError> {
    let hash = GraphHash::from_bytes(digest(row, "graph_hash", "graphs")?);
    let order = EdgeOrderDigest::from_bytes(digest(row, "edge_order_digest", "graphs")?);
    let wanted = subject_for(program(hash, order), &audience(row, place)?);
    Ok((digest(row, "subject", place)?.into(), wanted))
}
