//! What is private, and for whom a thing is: the rows `visibility` decides by.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;

use phasic_hub_api::{ComputeId, GraphHash, IdPattern, IdPatterns, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::audit::append;
use super::computes::{digest, role};
use super::{Actor, Change, Role, Snapshot, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::{Audience, PrivateIds, Viewer};

/// The name of an artifact and one of the contents it has had.
pub type VersionKey = (Role, GraphHash, Sha256);

impl Store {
    /// The ids that are private.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn private_ids(&self) -> Result<PrivateIds, StoreError> {
        private_ids(&mut *self.readers.acquire().await?).await
    }

    /// Makes the patterns of the settings those in force, in place of the ones before.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn set_private_patterns(&self, patterns: &IdPatterns) -> Result<(), StoreError> {
        let before: Vec<String> =
            sqlx::query_scalar("SELECT pattern FROM private_ids WHERE origin = 'setting'")
                .fetch_all(&self.readers)
                .await?;
        let wanted: HashSet<_> = patterns.iter().map(ToString::to_string).collect();
        // Nobody else writes these, and a change waits until all of the file was looked at.
        if wanted == before.into_iter().collect() {
            return Ok(());
        }
        let mut change = self.begin().await?;
        sqlx::query("DELETE FROM private_ids WHERE origin = 'setting'").execute(&mut *change).await?;
        for pattern in patterns.iter() {
            sqlx::query("INSERT INTO private_ids (pattern, origin) VALUES (?, 'setting')")
                .bind(pattern.as_str())
                .execute(&mut *change)
                .await?;
        }
        let detail = serde_json::json!({"patterns": patterns});
        let told = Change { action: "privacy.settings", subject: "access.private_ids".to_owned(), detail };
        append(&mut change, &Actor::Operator, told).await?;
        Ok(change.commit().await?)
    }

    /// Makes an id private, or no longer so by itself; a pattern of the settings stays in force. Says whether anything
    /// changed.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn set_private(
        &self,
        id: &ComputeId,
        private: bool,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if !set_private(&mut change, id, private).await? {
            return Ok(false);
        }
        let detail = serde_json::json!({"private": private});
        append(&mut change, actor, Change { action: "compute.privacy", subject: id.to_string(), detail })
            .await?;
        change.commit().await?;
        Ok(true)
    }

    /// For whom each graph with a content hash was submitted.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn graph_audiences(&self, hash: GraphHash) -> Result<Vec<(Sha256, Audience)>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.definition, a.audience FROM graphs g JOIN graph_audiences a ON a.definition = g.definition \
             WHERE g.graph_hash = ?",
        )
        .bind(&hash.as_bytes()[..])
        .fetch_all(&self.readers)
        .await?;
        let place = "graph_audiences";
        rows.iter().map(|row| Ok((digest(row, "definition", place)?.into(), audience(row, place)?))).collect()
    }

    /// A blob, if there is one of this digest and the viewer may have it: the file of an elimination he sees, of a
    /// compute he sees, today or earlier, or an upload of his own.
    ///
    /// A few look-ups in indices. What is not there and what is not for the viewer take the same ones.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn visible_blob(
        &self,
        sha256: Sha256,
        viewer: &Viewer,
    ) -> Result<Option<StoredBlob>, StoreError> {
        let name = &sha256.as_bytes()[..];
        let mut snapshot = self.readers.begin().await?;
        let size: Option<i64> = sqlx::query_scalar("SELECT size_bytes FROM blobs WHERE sha256 = ?")
            .bind(name)
            .fetch_optional(&mut *snapshot)
            .await?;
        let kept_for: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM eliminations WHERE sha256 = ?1 AND (?2 OR audience IN ('', ?3))) \
             OR EXISTS (SELECT 1 FROM uploads WHERE sha256 = ?1 AND (?2 OR audience = ?3))",
        )
        .bind(name)
        .bind(viewer.sees_all())
        .bind(own(viewer))
        .fetch_one(&mut *snapshot)
        .await?;
        let holders = sqlx::query(concat!(
            "SELECT compute_id, ",
            is_private!("compute_id"),
            " AS private \
             FROM (SELECT compute_id FROM version_computes WHERE sha256 = ?1 \
             UNION SELECT compute_id FROM compute_artifacts WHERE original_sha256 = ?1)"
        ))
        .bind(name)
        .fetch_all(&mut *snapshot)
        .await?;
        let mut seen = kept_for;
        for row in &holders {
            seen |= viewer.sees_id(&compute_id(row, "version_computes")?, row.try_get("private")?);
        }
        Ok(size.filter(|_| seen).map(|size| StoredBlob { sha256, size_bytes: size.cast_unsigned() }))
    }
}

impl Snapshot {
    /// The ids that are private.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn private_ids(&mut self) -> Result<PrivateIds, StoreError> {
        private_ids(self.connection()).await
    }

    /// The computes each artifact version was served for, at any time. Versions without a row are for everybody.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn version_computes(&mut self) -> Result<HashMap<VersionKey, Vec<ComputeId>>, StoreError> {
        let rows = sqlx::query("SELECT role, graph_hash, sha256, compute_id FROM version_computes")
            .fetch_all(self.connection())
            .await?;
        let mut computes: HashMap<VersionKey, Vec<ComputeId>> = HashMap::new();
        for row in &rows {
            let place = "version_computes";
            let hash = GraphHash::from_bytes(digest(row, "graph_hash", place)?);
            let key = (role(row, place)?, hash, digest(row, "sha256", place)?.into());
            computes.entry(key).or_default().push(compute_id(row, place)?);
        }
        Ok(computes)
    }
}

async fn private_ids(connection: &mut SqliteConnection) -> Result<PrivateIds, StoreError> {
    let patterns: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT pattern FROM private_ids").fetch_all(connection).await?;
    patterns.iter().map(|text| pattern(text)).collect()
}

/// Whether the blob named by a row `b` is one everybody may have, or has given: what is counted for everybody to see.
///
/// Nearly all are files of computes, which an index tells; the others are gathered once, if there is any. Of an original
/// that is served as it came the first look tells as well.
pub(super) const EVERYBODYS: &str = concat!(
    "(EXISTS (SELECT 1 FROM version_computes c WHERE c.sha256 = b.sha256 \
     AND NOT ",
    is_private!("c.compute_id"),
    ") \
     OR b.sha256 IN (SELECT sha256 FROM eliminations WHERE audience = '' \
     UNION ALL SELECT v.sha256 FROM artifact_versions v WHERE NOT EXISTS (SELECT 1 FROM version_computes c \
     WHERE c.role = v.role AND c.graph_hash = v.graph_hash AND c.sha256 = v.sha256) \
     UNION ALL SELECT a.original_sha256 FROM compute_artifacts a WHERE a.original_sha256 <> a.served_sha256 \
     AND NOT ",
    is_private!("a.compute_id"),
    " \
     UNION ALL SELECT g.recipe_sha256 FROM graphs g JOIN graph_audiences a ON a.definition = g.definition \
     WHERE a.audience = '' UNION ALL SELECT document_sha256 FROM passes WHERE document_sha256 IS NOT NULL \
     UNION ALL SELECT document_sha256 FROM upstreams WHERE document_sha256 IS NOT NULL))"
);

/// Writes that an id is private, or no longer, within a change. Says whether it was otherwise.
pub(super) async fn set_private(
    change: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    id: &ComputeId,
    private: bool,
) -> Result<bool, StoreError> {
    let sql = if private {
        "INSERT OR IGNORE INTO private_ids (pattern, origin) VALUES (?, 'id')"
    } else {
        "DELETE FROM private_ids WHERE pattern = ? AND origin = 'id'"
    };
    Ok(sqlx::query(sql).bind(id.as_str()).execute(&mut **change).await?.rows_affected() > 0)
}

/// Whether an id is private by itself, whatever the patterns of the settings say.
pub(super) async fn is_hidden_by_id(
    change: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    id: &str,
) -> Result<bool, StoreError> {
    let found =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM private_ids WHERE pattern = ? AND origin = 'id')");
    Ok(found.bind(id).fetch_one(&mut **change).await?)
}

/// The stored text of the viewer's own audience; one nothing has for a viewer who keeps nothing for himself.
pub(super) fn own(viewer: &Viewer) -> Option<String> {
    Some(viewer.audience()).filter(|audience| !audience.is_everybody()).map(|audience| audience.text())
}

/// The patterns of the private ids a viewer sees beside those for all, as a JSON list.
pub(super) fn patterns(viewer: &Viewer) -> String {
    match viewer {
        Viewer::Ids(ids) => serde_json::json!(ids.iter().map(IdPattern::as_str).collect::<Vec<_>>()),
        Viewer::Public | Viewer::All => serde_json::json!([]),
    }
    .to_string()
}

/// The audience of a row.
pub(super) fn audience(row: &SqliteRow, place: &str) -> Result<Audience, StoreError> {
    let text: String = row.try_get("audience")?;
    Audience::from_str(&text)
        .map_err(|error| StoreError::Row { place: place.to_owned(), reason: error.to_string() })
}

fn pattern(text: &str) -> Result<IdPattern, StoreError> {
    text.parse().map_err(|error: phasic_hub_api::identifier::IdPatternError| StoreError::Row {
        place: "private_ids".to_owned(),
        reason: error.to_string(),
    })
}

fn compute_id(row: &SqliteRow, place: &str) -> Result<ComputeId, StoreError> {
    let text: String = row.try_get("compute_id")?;
    text.parse().map_err(|error: phasic_hub_api::identifier::ComputeIdError| StoreError::Row {
        place: place.to_owned(),
        reason: error.to_string(),
    })
}
