//! Backup: the database and all its blobs in one tar file, made beside a running hub and read again before it counts.
//!
//! `manifest.json`, `hub.db`, then `blobs/<sha256>` by name. Times and owners are left out: the same state gives the
//! same bytes but for the database, whose copy SQLite writes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use futures_util::TryStreamExt as _;
use phasic_hub_api::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Digest as _;
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::UpkeepError;
use crate::blobs::{BlobError, StoredBlob};
use crate::hub::DataDirectory;
use crate::staging::Staging;
use crate::store::{Actor, Change, Store};
use crate::whole_file::{create_private, give_name};

/// What the first entry of a backup says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `phasic-hub-backup/1`.
    pub format: String,
    /// Digest of `hub.db`.
    pub database_sha256: Sha256,
    /// Number of blobs that follow.
    pub blobs: u64,
    /// Blobs the database knows, and that were lost, rotten or unreadable when the backup was made.
    pub missing: Vec<Sha256>,
}

/// What [`Manifest::format`] must be.
pub(super) const FORMAT: &str = "phasic-hub-backup/1";

/// What was backed up.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// What the file says about itself.
    pub manifest: Manifest,
    /// Its size.
    pub bytes: u64,
}

/// Writes a backup to `file`, which must not be there yet, and reads it again. Under its name it is whole or not there.
///
/// # Errors
/// When database or blob store fail, or the file cannot be written. A blob that is lost, rotten or unreadable is no error: it is
/// named in the report, and the others are kept.
pub async fn backup(data: &DataDirectory, file: &Path, actor: &Actor) -> Result<BackupReport, UpkeepError> {
    if file.exists() {
        let source =
            io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already; choose another name");
        return Err(UpkeepError::File { path: file.to_owned(), source });
    }
    let staging = Staging::beside(file, "backup").map_err(UpkeepError::file(file))?;
    let made = make(data, staging.path(), file).await;
    let place = staging.path().to_owned();
    if let Err(error) = staging.remove() {
        // What was made is whole, and has its name.
        tracing::warn!(path = %place.display(), %error, "cannot remove the directory a backup was made in");
    }
    let report = made?;
    let detail = json!({"database_sha256": report.manifest.database_sha256, "blobs": report.manifest.blobs,
        "missing": report.manifest.missing, "bytes": report.bytes});
    let told = Change { action: "hub.backup", subject: file.display().to_string(), detail };
    data.store.tell(actor, told).await?;
    Ok(report)
}

async fn make(data: &DataDirectory, staging: &Path, file: &Path) -> Result<BackupReport, UpkeepError> {
    // The copy is given a directory of its own, as any database.
    data.store.copy_to(&staging.join("hub.db")).await?;
    let copy = Store::open(staging).await?;
    let blobs = copy.blobs().await?;
    // Closing moves what opening may have written into the file.
    copy.close().await;
    let (mut whole, mut missing) = (Vec::new(), Vec::new());
    for blob in blobs {
        match data.blobs.check(blob.sha256).await {
            Ok(_) => whole.push(blob),
            Err(BlobError::NotFound(name) | BlobError::Damaged(name)) => missing.push(name),
            // The other files are never more in need of a backup.
            Err(error) => {
                tracing::error!(blob = %blob.sha256, %error, "a stored file cannot be read");
                missing.push(blob.sha256);
            }
        }
    }
    // A hub that serves this directory puts them right; this process may not be one.
    data.store.note_unhealed(&missing.iter().copied().collect()).await?;
    let (data, staging, file) = (data.clone(), staging.to_owned(), file.to_owned());
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let written = staging.join("backup.tar");
        let database = staging.join("hub.db");
        let database_sha256 = digest(&database).map_err(UpkeepError::file(&database))?;
        let manifest =
            Manifest { format: FORMAT.to_owned(), database_sha256, blobs: whole.len() as u64, missing };
        write(&data, &manifest, &database, &whole, &written, &handle).map_err(UpkeepError::file(&written))?;
        super::restore::check(&written)?;
        let bytes = fs::metadata(&written).map_err(UpkeepError::file(&written))?.len();
        give_name(&written, &file).map_err(UpkeepError::file(&file))?;
        Ok(BackupReport { manifest, bytes })
    })
    .await?
}

fn write(
    data: &DataDirectory,
    manifest: &Manifest,
    database: &Path,
    blobs: &[StoredBlob],
    file: &Path,
    handle: &Handle,
) -> io::Result<()> {
    let mut tar = tar::Builder::new(create_private(file)?);
    let text = serde_json::to_vec(manifest)?;
    tar.append_data(&mut header(text.len() as u64), "manifest.json", &text[..])?;
    let database = File::open(database)?;
    tar.append_data(&mut header(database.metadata()?.len()), "hub.db", database)?;
    for blob in blobs {
        let open = handle.block_on(data.blobs.open(blob.sha256, None)).map_err(io::Error::other)?;
        let body = SyncIoBridge::new_with_handle(
            StreamReader::new(open.body.map_err(io::Error::other)),
            handle.clone(),
        );
        tar.append_data(&mut header(blob.size_bytes), format!("blobs/{}", blob.sha256), body)?;
    }
    tar.into_inner()?.sync_all()
}

fn header(size_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size_bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header
}

fn digest(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    digest_of(&mut file)
}

/// The digest of everything that is still to be read.
pub(super) fn digest_of(from: &mut (impl Read + ?Sized)) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Ok(Sha256::from(<[u8; 32]>::from(hasher.finalize())));
        }
        hasher.update(&piece[..count]);
    }
}
