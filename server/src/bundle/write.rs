//! Writing a bundle: the same state gives the same bytes.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::Path;

use futures_util::TryStreamExt as _;
use phasic_hub_api::{ComputeId, Sha256};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{BLOBS, BundleError, FORMAT, MANIFEST, Manifest, REGISTRY, header};
use crate::hub::DataDirectory;
use crate::registry::{bundle_document, served_computes};
use crate::staging::Staging;
use crate::store::ComputeRow;
use crate::whole_file::{create_private, give_name};

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportReport {
    /// Computes.
    pub computes: u64,
    /// Their files, each once.
    pub blobs: u64,
    /// Bytes of the bundle.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// Writes all computes that everybody is served, or those of these ids, private ones too, to `file`, which must not be there yet. Under its name it
/// is whole or not there. Files go through as streams.
///
/// # Errors
/// When an id is unknown, a file is lost, or the bundle cannot be written.
pub async fn export(
    data: &DataDirectory,
    file: &Path,
    ids: &[ComputeId],
) -> Result<ExportReport, BundleError> {
    let rows = chosen(data, ids).await?;
    let document = bundle_document(&rows)?;
    let blobs: BTreeMap<Sha256, u64> = rows
        .iter()
        .flat_map(|row| &row.artifacts)
        .map(|artifact| (artifact.served.sha256, artifact.served.size_bytes))
        .collect();
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        blobs: blobs.len() as u64,
        registry_sha256: Sha256::of(document.as_bytes()),
    };
    let (data, file, handle) = (data.clone(), file.to_owned(), Handle::current());
    let computes = rows.len() as u64;
    let writing = move || write(&data, &file, &manifest, &document, &blobs, &handle);
    Ok(ExportReport { computes, ..tokio::task::spawn_blocking(writing).await?? })
}

/// The computes of a bundle, by id.
async fn chosen(data: &DataDirectory, ids: &[ComputeId]) -> Result<Vec<ComputeRow>, BundleError> {
    let mut rows = served_computes(&data.store, &*data.blobs).await?;
    for id in ids {
        if !rows.iter().any(|row| row.id == *id) {
            return Err(BundleError::NoCompute(id.to_string()));
        }
    }
    // A file that is carried around is no place for what is private, unless it was named.
    let private = data.store.private_ids().await?;
    rows.retain(|row| if ids.is_empty() { !private.contains(&row.id) } else { ids.contains(&row.id) });
    rows.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
    Ok(rows)
}

fn write(
    data: &DataDirectory,
    file: &Path,
    manifest: &Manifest,
    document: &str,
    blobs: &BTreeMap<Sha256, u64>,
    handle: &Handle,
) -> Result<ExportReport, BundleError> {
    if file.exists() {
        let taken =
            io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already; choose another name");
        return Err(BundleError::file(file)(taken));
    }
    let failed = |error| BundleError::file(file)(error);
    let staging = Staging::beside(file, "bundle").map_err(failed)?;
    let staged = staging.path().join("bundle");
    let mut out = Hashed {
        inner: BufWriter::new(create_private(&staged).map_err(failed)?),
        hasher: sha2::Digest::new(),
        bytes: 0,
    };
    let text = manifest.to_text()?;
    let mut tar = tar::Builder::new(&mut out);
    let mut append =
        |name: &str, size_bytes: u64, body: &mut dyn io::Read| tar.append(&header(name, size_bytes)?, body);
    append(MANIFEST, text.len() as u64, &mut text.as_bytes()).map_err(failed)?;
    append(REGISTRY, document.len() as u64, &mut document.as_bytes()).map_err(failed)?;
    for (&name, &size_bytes) in blobs {
        let open = handle.block_on(data.blobs.open(name, None))?;
        let stream = StreamReader::new(open.body.map_err(io::Error::other));
        let mut body = SyncIoBridge::new_with_handle(stream, handle.clone());
        append(&format!("{BLOBS}{name}"), size_bytes, &mut body).map_err(failed)?;
    }
    tar.into_inner().map_err(failed)?;
    let Hashed { inner, hasher, bytes } = out;
    let written = inner.into_inner().map_err(|error| failed(error.into_error()))?;
    written.sync_all().map_err(failed)?;
    give_name(&staged, file).map_err(failed)?;
    let sha256 = Sha256::from(<[u8; 32]>::from(sha2::Digest::finalize(hasher)));
    Ok(ExportReport { computes: 0, blobs: manifest.blobs, bytes, sha256 })
}

/// Hashes and counts what goes through.
struct Hashed<W> {
    inner: W,
    hasher: sha2::Sha256,
    bytes: u64,
}

impl<W: io::Write> io::Write for Hashed<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(piece)?;
        sha2::Digest::update(&mut self.hasher, &piece[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
