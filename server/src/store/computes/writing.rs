//! Computes put in place of others: what they were stays in the history, and what their names stood for stays good.

use std::collections::HashSet;

use phasic_hub_api::GraphHash;
use sqlx::Row as _;
use sqlx::{Sqlite, Transaction};

use super::rows::{digest, role};
use super::{ArtifactRow, Origin, Publication};
use crate::blobs::StoredBlob;
use crate::store::StoreError;

/// Puts a compute in place of whatever its id stood for. History is written only when something changes; says whether
/// it did. `upstream` is the one it is mirrored from; without, it is a compute of this hub.
pub(in crate::store) async fn put(
    change: &mut Transaction<'static, Sqlite>,
    upstream: Option<&str>,
    place: i64,
    publication: &Publication,
) -> Result<bool, StoreError> {
    let id = publication.id.as_str();
    let entry = publication.entry.to_value().to_string();
    let origin = if upstream.is_some() { Origin::Mirror } else { Origin::Local };
    let before = sqlx::query("SELECT upstream, entry, place FROM computes WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut **change)
        .await?;
    let unchanged = match &before {
        Some(row) => {
            row.try_get::<Option<String>, _>("upstream")?.as_deref() == upstream
                && row.try_get::<String, _>("entry")? == entry
        }
        None => false,
    };
    if let Some(row) = &before
        && unchanged
        && row.try_get::<i64, _>("place")? == place
        && has_artifacts(change, id, &publication.artifacts).await?
    {
        return Ok(false);
    }
    for artifact in &publication.artifacts {
        for blob in [artifact.original, artifact.served] {
            match upstream {
                Some(_) => find_blob(change, blob).await?,
                None => put_blob(change, blob).await?,
            }
        }
    }
    sqlx::query(
        "INSERT INTO computes (id, origin, place, entry, upstream) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO UPDATE SET \
         published_at = iif(origin = ?2 AND entry = ?4, published_at, excluded.published_at), \
         origin = ?2, place = ?3, entry = ?4, upstream = ?5",
    )
    .bind(id)
    .bind(origin.stored())
    .bind(place)
    .bind(&entry)
    .bind(upstream)
    .execute(&mut **change)
    .await?;
    if !unchanged {
        record(change, id, origin, upstream, Some(&entry)).await?;
    }
    sqlx::query("DELETE FROM compute_artifacts WHERE compute_id = ?").bind(id).execute(&mut **change).await?;
    for artifact in &publication.artifacts {
        put_artifact(change, id, artifact).await?;
    }
    Ok(!unchanged)
}

/// Whether a compute has these files, and no others.
async fn has_artifacts(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    wanted: &[ArtifactRow],
) -> Result<bool, StoreError> {
    let rows = sqlx::query(
        "SELECT role, graph_hash, original_sha256, served_sha256 FROM compute_artifacts WHERE compute_id = ?",
    )
    .bind(id)
    .fetch_all(&mut **change)
    .await?;
    let mut found = HashSet::new();
    for row in &rows {
        let hash: [u8; 32] = digest(row, "graph_hash", id)?;
        let forms: [[u8; 32]; 2] = [digest(row, "original_sha256", id)?, digest(row, "served_sha256", id)?];
        found.insert((role(row, id)?.as_str(), hash, forms));
    }
    let wanted = wanted.iter().map(|artifact| {
        let forms = [artifact.original, artifact.served].map(|blob| *blob.sha256.as_bytes());
        (artifact.role.as_str(), *GraphHash::as_bytes(&artifact.graph_hash), forms)
    });
    Ok(found == wanted.collect())
}

async fn put_artifact(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    artifact: &ArtifactRow,
) -> Result<(), StoreError> {
    let hash = &artifact.graph_hash.as_bytes()[..];
    sqlx::query(
        "INSERT INTO compute_artifacts (compute_id, role, graph_hash, original_sha256, served_sha256) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(artifact.role.as_str())
    .bind(hash)
    .bind(&artifact.original.sha256.as_bytes()[..])
    .bind(&artifact.served.sha256.as_bytes()[..])
    .execute(&mut **change)
    .await?;
    sqlx::query("INSERT OR IGNORE INTO artifact_versions (role, graph_hash, sha256) VALUES (?, ?, ?)")
        .bind(artifact.role.as_str())
        .bind(hash)
        .bind(&artifact.served.sha256.as_bytes()[..])
        .execute(&mut **change)
        .await?;
    sqlx::query(
        "INSERT OR IGNORE INTO version_computes (role, graph_hash, sha256, compute_id) VALUES (?, ?, ?, ?)",
    )
    .bind(artifact.role.as_str())
    .bind(hash)
    .bind(&artifact.served.sha256.as_bytes()[..])
    .bind(id)
    .execute(&mut **change)
    .await?;
    if artifact.original == artifact.served {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR IGNORE INTO version_originals (role, graph_hash, sha256, compute_id, original_sha256) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(artifact.role.as_str())
    .bind(hash)
    .bind(&artifact.served.sha256.as_bytes()[..])
    .bind(id)
    .bind(&artifact.original.sha256.as_bytes()[..])
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Sees to it that a blob is known already. A pass takes note of what it fetches at once, and what it found here may have
/// been collected as garbage since: nothing kept it.
async fn find_blob(change: &mut Transaction<'static, Sqlite>, blob: StoredBlob) -> Result<(), StoreError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?)")
        .bind(&blob.sha256.as_bytes()[..]);
    if found.fetch_one(&mut **change).await? { Ok(()) } else { Err(StoreError::Collected(blob.sha256)) }
}

/// Takes note of a blob that has just been stored, or made young: a collection of garbage under way leaves it alone.
pub(in crate::store) async fn put_blob(
    change: &mut Transaction<'static, Sqlite>,
    blob: StoredBlob,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO blobs (sha256, size_bytes) VALUES (?, ?)")
        .bind(&blob.sha256.as_bytes()[..])
        .bind(blob.size_bytes.cast_signed())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Appends to the history of an id.
pub(in crate::store) async fn record(
    change: &mut Transaction<'static, Sqlite>,
    id: &str,
    origin: Origin,
    upstream: Option<&str>,
    entry: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO revisions (compute_id, origin, upstream, entry) VALUES (?, ?, ?, ?)")
        .bind(id)
        .bind(origin.stored())
        .bind(upstream)
        .bind(entry)
        .execute(&mut **change)
        .await?;
    Ok(())
}
