//! Reading a bundle: an index of its members, after which any of them can be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;

use super::{BLOBS, BLOCK, BundleError, FORMAT, MANIFEST, Manifest, REGISTRY, header};

/// A manifest has a few hundred bytes.
const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// Members of a bundle, at most.
const MAX_BLOBS: u64 = 1_000_000;

/// A bundle whose outline is in order.
#[derive(Clone, Debug)]
pub struct Bundle {
    path: PathBuf,
    registry: Member,
    registry_sha256: Sha256,
    blobs: BTreeMap<Sha256, Member>,
}

/// Where the bytes of a member are.
#[derive(Clone, Copy, Debug)]
struct Member {
    offset: u64,
    size_bytes: u64,
}

impl Bundle {
    /// Whether a file begins as a bundle does.
    pub fn is_one(path: &Path) -> bool {
        let mut begin = [0; BLOCK];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut begin));
        let name = tar::Header::from_byte_slice(&begin).path_bytes();
        read.is_ok() && *name == *MANIFEST.as_bytes()
    }

    /// Reads the outline of a bundle: every header, and no contents but the manifest. Linear in the number of members.
    ///
    /// # Errors
    /// When anything is not as it would have been written here.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(BundleError::file(path))?;
        let length = file.metadata().map_err(BundleError::file(path))?.len();
        let mut walk = Walk { file: BufReader::new(file), at: 0, length };
        walk.bundle(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                BundleError::Invalid { path: path.to_owned(), reason: error.to_string() }
            }
            _ => BundleError::file(path)(error),
        })
    }

    /// The registry document, at most `max_bytes` of it; `None` when it is longer.
    ///
    /// # Errors
    /// When the file cannot be read, or the document is not the one `bundle.json` speaks of.
    pub fn document(&self, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let document = self.read(self.registry, max_bytes)?;
        match &document {
            Some(bytes) if Sha256::of(bytes) != self.registry_sha256 => {
                Err(invalid("registry.json is not the one that bundle.json speaks of"))
            }
            _ => Ok(document),
        }
    }

    /// A file by its digest, at most `max_bytes` of it; `None` when it is longer.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn blob(&self, name: Sha256, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the bundle has no blob {name}"));
        self.read(*self.blobs.get(&name).ok_or_else(missing)?, max_bytes)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes of the contents are.
    #[cfg(test)]
    pub(super) fn contents_for_tests(&self) -> Vec<(u64, u64)> {
        let members = self.blobs.values().chain([&self.registry]);
        members.map(|member| (member.offset, member.size_bytes)).collect()
    }

    fn read(&self, member: Member, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        if member.size_bytes > max_bytes {
            return Ok(None);
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(member.offset))?;
        let mut bytes = Vec::new();
        file.take(member.size_bytes).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Goes through the file from header to header.
struct Walk {
    file: BufReader<File>,
    at: u64,
    length: u64,
}

impl Walk {
    fn bundle(&mut self, path: &Path) -> io::Result<Bundle> {
        let (name, member) = self.member()?.ok_or_else(|| invalid("it is empty"))?;
        if name != MANIFEST || member.size_bytes > MAX_MANIFEST_BYTES {
            return Err(invalid("it does not begin with bundle.json"));
        }
        let manifest = self.manifest(member)?;
        let (name, registry) = self.member()?.ok_or_else(|| invalid("it ends behind bundle.json"))?;
        if name != REGISTRY {
            return Err(invalid(format!("registry.json should follow bundle.json, not {name:?}")));
        }
        self.skip(registry)?;
        let mut blobs = BTreeMap::new();
        while let Some((name, member)) = self.member()? {
            let digest = name.strip_prefix(BLOBS).and_then(|digits| digits.parse::<Sha256>().ok());
            let digest = digest.ok_or_else(|| invalid(format!("nothing is called {name:?} in a bundle")))?;
            if blobs.last_key_value().is_some_and(|(last, _)| *last >= digest) {
                return Err(invalid(format!("the blob {digest} is not in its place")));
            }
            self.skip(member)?;
            blobs.insert(digest, member);
        }
        self.end()?;
        if blobs.len() as u64 != manifest.blobs {
            return Err(invalid(format!("it has {} of its {} blobs", blobs.len(), manifest.blobs)));
        }
        let registry_sha256 = manifest.registry_sha256;
        Ok(Bundle { path: path.to_owned(), registry, registry_sha256, blobs })
    }

    fn manifest(&mut self, member: Member) -> io::Result<Manifest> {
        let mut text = vec![0; usize::try_from(member.size_bytes).map_err(io::Error::other)?];
        self.file.read_exact(&mut text)?;
        self.at += member.size_bytes;
        self.padding(member.size_bytes)?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| invalid(format!("bundle.json: {error}")))?;
        if manifest.to_text()?.as_bytes() != text {
            return Err(invalid("bundle.json is not written as bundles have it"));
        }
        if manifest.format != FORMAT {
            return Err(invalid(format!("its format is {:?}, not {FORMAT:?}", manifest.format)));
        }
        if manifest.blobs > MAX_BLOBS {
            return Err(invalid(format!("it has {} blobs, more than {MAX_BLOBS}", manifest.blobs)));
        }
        Ok(manifest)
    }

    /// The next header, which must be the very one that is written here; `None` at the end.
    fn member(&mut self) -> io::Result<Option<(String, Member)>> {
        let mut block = [0; BLOCK];
        self.file.read_exact(&mut block).map_err(|_| invalid("it breaks off"))?;
        self.at += BLOCK as u64;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let found = tar::Header::from_byte_slice(&block);
        let size_bytes = found.entry_size().map_err(|error| invalid(error.to_string()))?;
        let name = String::from_utf8(found.path_bytes().into_owned())
            .map_err(|_| invalid("a member has a name that is no text"))?;
        let is_ours = header(&name, size_bytes).is_ok_and(|ours| ours.as_bytes() == &block);
        if !is_ours {
            return Err(invalid(format!("the header of {name:?} is not as bundles have it")));
        }
        if size_bytes > self.length.saturating_sub(self.at) {
            return Err(invalid(format!("{name:?} is longer than the file")));
        }
        Ok(Some((name, Member { offset: self.at, size_bytes })))
    }

    fn skip(&mut self, member: Member) -> io::Result<()> {
        let step = i64::try_from(member.size_bytes).map_err(io::Error::other)?;
        self.file.seek_relative(step)?;
        self.at += member.size_bytes;
        self.padding(member.size_bytes)
    }

    fn padding(&mut self, size_bytes: u64) -> io::Result<()> {
        let block = BLOCK as u64;
        self.zeros((block - size_bytes % block) % block)
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        let mut rest = [0; BLOCK];
        let rest = &mut rest[..usize::try_from(count).map_err(io::Error::other)?];
        self.file.read_exact(rest).map_err(|_| invalid("it breaks off"))?;
        self.at += count;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(invalid("there is something between its members"));
        }
        Ok(())
    }

    /// One more block of zeros, and nothing behind it.
    fn end(&mut self) -> io::Result<()> {
        self.zeros(BLOCK as u64)?;
        if self.at != self.length {
            return Err(invalid("there is something behind its end"));
        }
        Ok(())
    }
}
