//! Bundles: a registry in one file, for labs without any network.
//!
//! A bundle is a tar file that every `tar` unpacks into a directory that can be mirrored: `bundle.json`, which says what
//! it is, `registry.json`, whose entries name their files by `blobs/<sha256>`, and these files in the order of their
//! names. There is one way to write a state down: no times, no owners, entries by id. What was written in any other way
//! is refused, so that nothing can hide between or behind the members. Whether the contents are good is judged by the
//! mirror, as if they came from the web.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use serde::{Deserialize, Serialize};

pub use read::Bundle;
pub use write::{ExportReport, export};

use crate::blobs::BlobError;
use crate::registry::CatalogueError;
use crate::store::StoreError;

/// What [`Manifest::format`] must be.
const FORMAT: &str = "phasic-hub-bundle/1";

/// Names of the first two members.
const MANIFEST: &str = "bundle.json";
const REGISTRY: &str = "registry.json";

/// What the names of the others begin with.
const BLOBS: &str = "blobs/";

/// Bytes of a block of tar.
const BLOCK: usize = 512;

/// What a bundle says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    blobs: u64,
    registry_sha256: Sha256,
}

/// Why a bundle could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no bundle, or not whole, or more than one.
    #[error("{} is no bundle of this hub's kind: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A compute was named that is not here.
    #[error("this hub has no compute {0}, or does not serve it")]
    NoCompute(String),
    /// A file of a compute is lost or damaged.
    #[error("{0}; phasic-hub scrub restores what can be restored")]
    Blobs(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry could not be put together.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The document could not be written.
    #[error("the registry document cannot be rendered: {0}")]
    Render(#[from] serde_json::Error),
    /// Writing broke off.
    #[error("writing the bundle broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl BundleError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// 2 for what was asked wrongly, 4 for refused bytes, 3 for all else.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::NoCompute(_) => 2,
            Self::Invalid { .. } => 4,
            _ => 3,
        }
    }
}

impl Manifest {
    /// The one way to write it.
    fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The one header of a member.
fn header(name: &str, size_bytes: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size_bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}
