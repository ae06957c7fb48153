//! Computes and files as rows: read with every value checked.

use phasic_hub_api::GraphHash;
use phasic_hub_api::identifier::ComputeIdError;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{ArtifactRow, ComputeRow, Origin, Role};
use crate::blobs::StoredBlob;
use crate::store::StoreError;

pub(in crate::store) fn compute_row(row: &SqliteRow) -> Result<ComputeRow, StoreError> {
    let id: String = row.try_get("id")?;
    let place = || format!("computes, id {id:?}");
    let unreadable = |reason: String| StoreError::Row { place: place(), reason };
    let origin = read_origin(row, &place())?;
    let (entry, upstream) = (row.try_get("entry")?, row.try_get("upstream")?);
    let id = id.parse().map_err(|error: ComputeIdError| unreadable(error.to_string()))?;
    Ok(ComputeRow { id, origin, upstream, entry, artifacts: Vec::new() })
}

pub(in crate::store) fn read_origin(row: &SqliteRow, place: &str) -> Result<Origin, StoreError> {
    let text: String = row.try_get("origin")?;
    origin(&text).map_err(|reason| StoreError::Row { place: place.to_owned(), reason })
}

/// The origin a word stands for, or what is wrong with it.
pub(in crate::store) fn origin(text: &str) -> Result<Origin, String> {
    Origin::read(text).ok_or_else(|| format!("origin {text:?}"))
}

pub(in crate::store) fn artifact_row(row: &SqliteRow, id: &str) -> Result<ArtifactRow, StoreError> {
    let place = format!("compute_artifacts, compute {id:?}");
    Ok(ArtifactRow {
        role: role(row, &place)?,
        graph_hash: GraphHash::from_bytes(digest(row, "graph_hash", &place)?),
        original: blob(row, "original_sha256", "original_bytes", &place)?,
        served: blob(row, "served_sha256", "served_bytes", &place)?,
    })
}

pub(in crate::store) fn role(row: &SqliteRow, place: &str) -> Result<Role, StoreError> {
    let text: String = row.try_get("role")?;
    Role::read(&text)
        .ok_or_else(|| StoreError::Row { place: place.to_owned(), reason: format!("role {text:?}") })
}

pub(in crate::store) fn blob(
    row: &SqliteRow,
    sha256: &str,
    size_bytes: &str,
    place: &str,
) -> Result<StoredBlob, StoreError> {
    let size: i64 = row.try_get(size_bytes)?;
    Ok(StoredBlob { sha256: digest(row, sha256, place)?.into(), size_bytes: size.cast_unsigned() })
}

pub(in crate::store) fn digest(row: &SqliteRow, column: &str, place: &str) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Row {
        place: place.to_owned(),
        reason: format!("{column} has {} bytes instead of 32", bytes.len()),
    })
}
