//! Where `-o` leads: a file that appears whole or not at all, a device or pipe, or standard output.
//!
//! Counts and hashes what goes through. What is written is the commands' business.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use phasic_hub_api::Sha256;
use phasic_hub_client::cache::StagedFile;
use sha2::Digest as _;

use crate::failure::Failure;

/// Something to write a result to, other than the text of [`crate::output`].
pub(crate) struct Destination {
    target: Target,
    shown: String,
    digest: sha2::Sha256,
    size_bytes: u64,
}

enum Target {
    Staged(BufWriter<StagedFile>),
    /// A device or a pipe, which must not be replaced.
    Device(BufWriter<File>),
    StandardOutput(BufWriter<io::Stdout>),
}

/// What has been written.
pub(crate) struct Written {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Sha256,
}

impl Destination {
    /// `-` is standard output.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let shown = if path == Path::new("-") {
            "standard output".to_owned()
        } else {
            format!("'{}'", path.display())
        };
        let target = Target::open(path).map_err(Failure::writing(&shown))?;
        Ok(Self { target, shown, digest: sha2::Sha256::new(), size_bytes: 0 })
    }

    /// Turns an error of writing here into a failure.
    pub(crate) fn failed(&self) -> impl FnOnce(io::Error) -> Failure + use<> {
        Failure::writing(self.shown.clone())
    }

    pub(crate) fn is_standard_output(&self) -> bool {
        matches!(self.target, Target::StandardOutput(_))
    }

    /// Makes what was written visible.
    pub(crate) fn finish(self) -> Result<Written, Failure> {
        let written = match self.target {
            Target::Staged(to) => {
                to.into_inner().map_err(io::IntoInnerError::into_error).and_then(StagedFile::commit)
            }
            Target::Device(mut to) => to.flush(),
            Target::StandardOutput(mut to) => to.flush(),
        };
        written.map_err(Failure::writing(&self.shown))?;
        let sha256 = <[u8; 32]>::from(self.digest.finalize()).into();
        Ok(Written { size_bytes: self.size_bytes, sha256 })
    }
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::StandardOutput(BufWriter::new(io::stdout())));
        }
        match path.metadata() {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                File::create(path).map(|file| Self::Device(BufWriter::new(file)))
            }
            // A link stays one; what it leads to is replaced.
            Ok(_) => Ok(Self::Staged(BufWriter::new(StagedFile::create(&path.canonicalize()?)?))),
            Err(_) => Ok(Self::Staged(BufWriter::new(StagedFile::create(path)?))),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.target {
            Target::Staged(to) => to.write(bytes),
            Target::Device(to) => to.write(bytes),
            Target::StandardOutput(to) => to.write(bytes),
        }?;
        self.digest.update(&bytes[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Staged(to) => to.flush(),
            Target::Device(to) => to.flush(),
            Target::StandardOutput(to) => to.flush(),
        }
    }
}
