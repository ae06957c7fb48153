//! Scrub: every blob is hashed again; what is rotten goes to quarantine, and what is rotten or lost is made again or
//! fetched again, byte for byte, where that is possible.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use phasic_engine::artifact::{Checks, decode, encode_ptdprmc3};
use phasic_engine::trace::{Limits, eliminate};
use phasic_hub_api::{GraphHash, Sha256};
use serde_json::json;

use super::UpkeepError;
use crate::blobs::{BlobError, Terms, in_memory};
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::mirror::{self, Upstream};
use crate::reference::known_graph;
use crate::store::{Actor, ArtifactRow, Change};

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
    /// Those of both that are whole again.
    pub restored: BTreeSet<Sha256>,
}

impl ScrubReport {
    /// Blobs that are still not there.
    pub fn missing(&self) -> BTreeSet<Sha256> {
        let bad: BTreeSet<_> = self.rotten.union(&self.lost).copied().collect();
        bad.difference(&self.restored).copied().collect()
    }
}

/// Hashes every blob, and restores what can be restored: from the other form of the same artifact, by elimination of a
/// graph this hub builds itself, or from the upstream that was mirrored last, unless the settings say offline.
///
/// Takes the time of reading all bytes once. May run beside a hub, which serves the restored blobs within a second.
///
/// # Errors
/// When database or blob store fail. An upstream that cannot be asked is only logged.
pub async fn scrub(data: &DataDirectory, config: &Config) -> Result<ScrubReport, UpkeepError> {
    let mut report = ScrubReport::default();
    let mut names: BTreeSet<Sha256> = data.store.blobs().await?.iter().map(|blob| blob.sha256).collect();
    names.extend(data.blobs.names().await?);
    for name in names {
        match data.blobs.check(name).await {
            Ok(bytes) => {
                report.good += 1;
                report.good_bytes += bytes;
            }
            Err(BlobError::Damaged(_)) => drop(report.rotten.insert(name)),
            Err(BlobError::NotFound(_)) => drop(report.lost.insert(name)),
            Err(error) => return Err(error.into()),
        }
    }
    if !report.missing().is_empty() {
        remake(data, &mut report).await?;
        fetch(data, config, &mut report).await?;
        data.store.touch_catalogue().await?;
    }
    let detail = json!({
        "good": report.good, "rotten": report.rotten, "lost": report.lost, "restored": report.restored,
    });
    let told = Change { action: "blob.scrub", subject: "blobs".to_owned(), detail };
    data.store.tell(&Actor::Operator, told).await?;
    Ok(report)
}

/// Makes PTDPRMC3 files again.
async fn remake(data: &DataDirectory, report: &mut ScrubReport) -> Result<(), UpkeepError> {
    for row in data.store.computes().await? {
        for artifact in row.artifacts {
            let wanted = artifact.served.sha256;
            if !report.missing().contains(&wanted) {
                continue;
            }
            let original =
                if artifact.original == artifact.served { None } else { read(data, artifact).await? };
            let make = move || made_from(original, wanted).or_else(|| made_anew(artifact.graph_hash, wanted));
            let Some(bytes) = tokio::task::spawn_blocking(make).await? else { continue };
            let terms = Terms { max_bytes: bytes.len() as u64, sha256: Some(wanted) };
            data.blobs.put(in_memory(bytes), terms).await?;
            report.restored.insert(wanted);
        }
    }
    Ok(())
}

/// The original file of an artifact, if it is whole.
async fn read(data: &DataDirectory, artifact: ArtifactRow) -> Result<Option<Vec<u8>>, UpkeepError> {
    let name = artifact.original.sha256;
    let open = match data.blobs.open(name, None).await {
        Ok(open) => open,
        Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let pieces: Vec<bytes::Bytes> = open.body.try_collect().await.map_err(BlobError::Body)?;
    Ok(Some(pieces.concat()))
}

/// The served form of an original, if that is what was lost.
fn made_from(original: Option<Vec<u8>>, wanted: Sha256) -> Option<Vec<u8>> {
    let decoded = decode(&original?, &Checks::default()).ok()?;
    let mut bytes = Vec::new();
    encode_ptdprmc3(&decoded.trace, &mut bytes).ok()?;
    (Sha256::of(&bytes) == wanted).then_some(bytes)
}

/// The elimination of a graph that is known here, if that is what was lost.
fn made_anew(graph_hash: GraphHash, wanted: Sha256) -> Option<Vec<u8>> {
    let trace = eliminate(known_graph(graph_hash)?, &Limits::default(), &mut ()).ok()?;
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).ok()?;
    (Sha256::of(&bytes) == wanted).then_some(bytes)
}

/// Asks the upstream for what is still missing.
async fn fetch(data: &DataDirectory, config: &Config, report: &mut ScrubReport) -> Result<(), UpkeepError> {
    let missing = report.missing();
    let Some(pass) = data.store.last_pass().await?.filter(|_| !missing.is_empty()) else { return Ok(()) };
    if config.offline && pass.upstream.contains("://") && !pass.upstream.starts_with("file:") {
        return Ok(());
    }
    let upstream = match Upstream::open(&pass.upstream, &config.mirror).await {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::warn!(upstream = pass.upstream, %error, "could not ask the upstream for what is missing");
            return Ok(());
        }
    };
    mirror::fetch_again(data, &upstream, &config.mirror, &missing).await?;
    for name in missing {
        if data.blobs.size_bytes(name).await?.is_some() {
            report.restored.insert(name);
        }
    }
    Ok(())
}
