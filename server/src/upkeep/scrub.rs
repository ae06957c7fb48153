//! Scrub: every blob is hashed again; what is rotten goes to quarantine, and what is rotten or lost is made again or
//! fetched again, byte for byte, where that is possible.

use std::collections::BTreeSet;

use phasic_hub_api::Sha256;
use serde_json::json;

use super::{UpkeepError, heal};
use crate::admission::Admission;
use crate::blobs::BlobError;
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::store::{Actor, Change};

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Blobs that were hashed and are as they should be.
    pub good: usize,
    /// Their bytes.
    pub good_bytes: u64,
    /// Blobs whose bytes had another digest. Their files are in `quarantine`.
    pub rotten: BTreeSet<Sha256>,
    /// Blobs the database knows and that have no file.
    pub lost: BTreeSet<Sha256>,
    /// Blobs whose files cannot be read.
    pub unreadable: BTreeSet<Sha256>,
    /// Those of all three that are whole again.
    pub restored: BTreeSet<Sha256>,
}

impl ScrubReport {
    /// Blobs that are still not there.
    pub fn missing(&self) -> BTreeSet<Sha256> {
        let bad: BTreeSet<_> =
            self.rotten.iter().chain(&self.lost).chain(&self.unreadable).copied().collect();
        bad.difference(&self.restored).copied().collect()
    }
}

/// Hashes every blob, and restores what can be restored: from the other form of the same artifact, by elimination of a
/// graph that is known here, or from the upstream it was mirrored from, unless the settings say offline.
///
/// Takes the time of reading all bytes once. May run beside a hub, which serves the restored blobs within a second.
///
/// # Errors
/// When database or blob store fail. An upstream that cannot be asked is only logged.
pub async fn scrub(
    data: &DataDirectory,
    config: &Config,
    admission: &Admission,
    actor: &Actor,
) -> Result<ScrubReport, UpkeepError> {
    let mut report = ScrubReport::default();
    let mut names: BTreeSet<Sha256> = data.store.blobs().await?.iter().map(|blob| blob.sha256).collect();
    names.extend(data.blobs.names().await?);
    for &name in &names {
        match data.blobs.check(name).await {
            Ok(bytes) => {
                report.good += 1;
                report.good_bytes += bytes;
            }
            Err(BlobError::Damaged(_)) => drop(report.rotten.insert(name)),
            // Garbage collection forgets a blob before it removes the file.
            Err(BlobError::NotFound(_)) if data.store.blob(name).await?.is_none() => {}
            Err(BlobError::NotFound(_)) => drop(report.lost.insert(name)),
            // No reason not to look at the others: that is what a dying disk answers.
            Err(error) => {
                tracing::error!(blob = %name, %error, "a stored file cannot be read");
                report.unreadable.insert(name);
            }
        }
    }
    let bad = report.missing();
    // Before anything is done about it: whatever breaks off here, a hub goes on with it.
    data.store.note_unhealed(&bad).await?;
    let good: Vec<_> = names.difference(&bad).copied().collect();
    for names in good.chunks(1000) {
        data.store.note_checks(names).await?;
    }
    if !bad.is_empty() {
        report.restored = heal::quickly(data, config, admission, &bad).await?;
        report.restored.extend(heal::eliminating(data, config, admission, &report.missing()).await?);
        data.store.note_healed(&report.restored).await?;
        data.store.touch_catalogue().await?;
    }
    let detail = json!({
        "good": report.good, "rotten": report.rotten, "lost": report.lost, "unreadable": report.unreadable,
        "restored": report.restored,
    });
    let told = Change { action: "blob.scrub", subject: "blobs".to_owned(), detail };
    data.store.tell(actor, told).await?;
    Ok(report)
}
