//! Stored files, as they lie in a data directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use phasic_hub_api::Sha256;

/// Where the bytes of a digest lie.
pub fn path(data: &Path, digest: &str) -> PathBuf {
    data.join("blobs/sha256").join(&digest[..2]).join(digest)
}

/// Stores bytes nobody refers to, as a process that died in between does; gives their digest.
pub fn stray(data: &Path, bytes: &[u8]) -> String {
    let digest = Sha256::of(bytes).to_string();
    let file = path(data, &digest);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
    digest
}

/// Makes a file look as if it had been stored so long ago.
pub fn make_old(file: &Path, age: Duration) {
    File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// How long ago a file was stored.
pub fn age(file: &Path) -> Duration {
    fs::metadata(file).unwrap().modified().unwrap().elapsed().unwrap_or_default()
}
