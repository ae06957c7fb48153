//! Restore: a data directory out of a backup. Every byte is hashed on the way; the database comes last, so that a
//! restore that broke off is no hub.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use phasic_hub_api::Sha256;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::backup::{FORMAT, Manifest, digest_of};
use super::{UpkeepError, UpkeepLock};
use crate::blobs::{BlobStore, LocalBlobs, Terms};
use crate::hub::ServeLock;
use crate::store::{self, Actor, Change, Store};

/// The manifest is small: what follows it is not read before it is understood.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Makes a data directory out of a backup, and compares it with the database inside.
///
/// # Errors
/// [`UpkeepError::Occupied`] when there is a hub already, or a file of its database; [`UpkeepError::NoBackup`] when the file is none or not whole.
/// Nothing that could be started is left behind then.
pub async fn restore(file: &Path, data_dir: &Path) -> Result<Manifest, UpkeepError> {
    let _serving = ServeLock::take(data_dir)?;
    let _upkeep = UpkeepLock::take(data_dir)?;
    let database = data_dir.join("hub.db");
    // A log without its database, too: SQLite would take it for the log of the one that is put there.
    let left = store::FILES.iter().map(|name| data_dir.join(name)).find(|file| file.exists());
    if let Some(file) = left {
        return Err(UpkeepError::Occupied { path: data_dir.to_owned(), file });
    }
    let blobs = LocalBlobs::open(data_dir)?;
    // Opened and examined in a directory of its own: until it is moved there is nothing that could be started, and nothing
    // that keeps the next restore from beginning anew.
    let staging = data_dir.join("restoring");
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(UpkeepError::file(&staging))?;
    }
    fs::create_dir(&staging).map_err(UpkeepError::file(&staging))?;
    let staged = staging.join("hub.db");
    let handle = Handle::current();
    let (tar, target) = (file.to_owned(), staged.clone());
    let manifest = tokio::task::spawn_blocking(move || {
        let mut database = File::create(&target).map_err(UpkeepError::file(&target))?;
        let manifest = walk(&tar, |part, bytes| match part {
            Part::Database => io::copy(bytes, &mut database).map(drop),
            Part::Blob(name) => keep(&blobs, name, bytes, &handle),
        })?;
        database.sync_all().map_err(UpkeepError::file(&target))?;
        let found = File::open(&target).and_then(|mut file| digest_of(&mut file));
        if found.map_err(UpkeepError::file(&target))? != manifest.database_sha256 {
            return Err(no_backup(&tar, "hub.db has another digest than the manifest says"));
        }
        Ok(manifest)
    })
    .await??;
    let store = Store::open(&staging).await?;
    let examined = examine(&store, file, data_dir, &manifest).await;
    // Closing moves what was written into the file.
    store.close().await;
    examined?;
    File::open(&staged).and_then(|file| file.sync_all()).map_err(UpkeepError::file(&staged))?;
    fs::rename(&staged, &database).map_err(UpkeepError::file(&database))?;
    fs::remove_dir_all(&staging).map_err(UpkeepError::file(&staging))?;
    File::open(data_dir).and_then(|directory| directory.sync_all()).map_err(UpkeepError::file(data_dir))?;
    // As the hub will find it.
    let store = Store::open(data_dir).await?;
    store.close().await;
    Ok(manifest)
}

/// Compares the database with the blobs beside it, and tells in it that it was restored.
async fn examine(
    store: &Store,
    file: &Path,
    data_dir: &Path,
    manifest: &Manifest,
) -> Result<(), UpkeepError> {
    let mut faults = store.faults().await?;
    let blobs = LocalBlobs::open(data_dir)?;
    for blob in store.blobs().await? {
        let found = blobs.size_bytes(blob.sha256).await?;
        if found != Some(blob.size_bytes) && !manifest.missing.contains(&blob.sha256) {
            faults.push(format!("blob {} is not in it", blob.sha256));
        }
    }
    if let Some(fault) = faults.first() {
        return Err(no_backup(file, fault));
    }
    let detail = serde_json::json!({"database_sha256": manifest.database_sha256, "blobs": manifest.blobs});
    let told = Change { action: "hub.restore", subject: file.display().to_string(), detail };
    Ok(store.tell(&Actor::Operator, told).await?)
}

/// Reads a whole backup and compares every digest; nothing is written.
pub(super) fn check(file: &Path) -> Result<(), UpkeepError> {
    let mut database = None;
    let manifest = walk(file, |part, bytes| {
        let found = digest_of(bytes)?;
        match part {
            Part::Database => database = Some(found),
            Part::Blob(name) if name != found => {
                return Err(io::Error::other(format!("blob {name} has digest {found}")));
            }
            Part::Blob(_) => {}
        }
        Ok(())
    })?;
    if database == Some(manifest.database_sha256) {
        return Ok(());
    }
    Err(no_backup(file, "hub.db has another digest than the manifest says"))
}

/// What an entry is.
enum Part {
    Database,
    Blob(Sha256),
}

/// Goes through a backup in the order it is written in, and counts.
fn walk(
    file: &Path,
    mut visit: impl FnMut(Part, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, UpkeepError> {
    let mut tar = tar::Archive::new(File::open(file).map_err(UpkeepError::file(file))?);
    // Which repeats what the file has in the place of a header: on one line.
    let broken = |error: io::Error| no_backup(file, &error.to_string().replace('\n', "\\n"));
    let (mut manifest, mut has_database, mut blobs) = (None::<Manifest>, false, 0);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if manifest.is_none() {
            if path != "manifest.json" || entry.size() > MAX_MANIFEST_BYTES {
                return Err(no_backup(file, "it does not begin with manifest.json"));
            }
            let read: Manifest = serde_json::from_reader(&mut entry).map_err(|error| broken(error.into()))?;
            if read.format != FORMAT {
                return Err(no_backup(file, &format!("its format is {:?}, not {FORMAT:?}", read.format)));
            }
            manifest = Some(read);
        } else if !has_database && path == "hub.db" {
            visit(Part::Database, &mut entry).map_err(broken)?;
            has_database = true;
        } else if let Some(name) = path.strip_prefix("blobs/").and_then(|name| name.parse().ok()) {
            visit(Part::Blob(name), &mut entry).map_err(broken)?;
            blobs += 1;
        } else {
            return Err(no_backup(file, &format!("nothing is called {path:?} in a backup")));
        }
    }
    let manifest = manifest.ok_or_else(|| no_backup(file, "it is empty"))?;
    if !has_database || blobs != manifest.blobs {
        return Err(no_backup(file, &format!("it has {blobs} of its {} blobs", manifest.blobs)));
    }
    Ok(manifest)
}

/// Stores a blob while it is read, under the digest it must have.
fn keep(blobs: &LocalBlobs, name: Sha256, from: &mut dyn Read, handle: &Handle) -> io::Result<()> {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(4);
    let body =
        futures_util::stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    let terms = Terms { max_bytes: u64::MAX, sha256: Some(name) };
    std::thread::scope(|scope| {
        let storing = scope.spawn(|| handle.block_on(blobs.put(Box::pin(body), terms)));
        let mut piece = vec![0; 64 << 10];
        let read = loop {
            match from.read(&mut piece) {
                Ok(0) => break Ok(()),
                // Whoever stores has given up, and says why.
                Ok(count) if send.blocking_send(Ok(Bytes::copy_from_slice(&piece[..count]))).is_err() => {
                    break Ok(());
                }
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        drop(send);
        let stored = storing.join().map_err(|_| io::Error::other("storing a blob broke off"))?;
        read?;
        stored.map(drop).map_err(io::Error::other)
    })
}

fn no_backup(file: &Path, reason: &str) -> UpkeepError {
    UpkeepError::NoBackup { path: file.to_owned(), reason: reason.to_owned() }
}
