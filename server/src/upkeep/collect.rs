//! Garbage collection: mark what the database refers to, sweep the rest.
//!
//! A row of `blobs` is wanted while any foreign key of any table refers to it; a file, while it has a row. Both are
//! left alone for a grace period after their bytes were last stored, because a file is stored before its row is.

use std::time::Duration;

use phasic_hub_api::Sha256;
use serde_json::json;

use super::UpkeepError;
use crate::hub::DataDirectory;
use crate::store::{Actor, Change};

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// The blobs.
    pub removed: Vec<Sha256>,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes blobs nobody refers to whose bytes were last stored at least `grace` ago; or only says which, for a
/// `dry_run`.
///
/// # Errors
/// When database or blob store fail. What was removed until then stays removed, and was not wanted.
pub async fn collect(
    data: &DataDirectory,
    grace: Duration,
    dry_run: bool,
    actor: &Actor,
) -> Result<Collection, UpkeepError> {
    let unwanted = data.store.unreferenced_blobs().await?;
    let mut known = data.store.blobs().await?;
    if !dry_run {
        // Rows first: a file without a row is garbage the next time, a row without a file would be a lost blob.
        for &name in &unwanted {
            if data.blobs.expire(name, grace, false).await?.is_some() {
                data.store.forget_blob(name).await?;
            }
        }
        known = data.store.blobs().await?;
    }
    let mut collection = Collection::default();
    for name in data.blobs.names().await? {
        let has_row = known.binary_search_by_key(&name, |blob| blob.sha256).is_ok();
        let is_wanted = has_row && !(dry_run && unwanted.contains(&name));
        if is_wanted {
            continue;
        }
        if let Some(bytes) = data.blobs.expire(name, grace, !dry_run).await? {
            collection.removed.push(name);
            collection.bytes += bytes;
        }
    }
    if !dry_run && !collection.removed.is_empty() {
        let detail = json!({"blobs": collection.removed, "bytes": collection.bytes});
        let told = Change { action: "blob.collect", subject: "blobs".to_owned(), detail };
        data.store.tell(actor, told).await?;
    }
    Ok(collection)
}
