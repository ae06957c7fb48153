//! Renderings that are good for longer than one catalogue: of computes that have not changed.
//!
//! An entry's text follows from a few inputs, and a digest of them says whether a text from before is still the one that
//! would be written. So a change costs the rendering of what changed, and a start, where the last process left its
//! renderings in a file, that of nothing. The file is a convenience: without it, or damaged, everything is rendered.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use phasic_hub_api::{ComputeId, GraphHash, Sha256};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::{Catalogue, Listed};
use crate::store::{ComputeRow, Role};

/// What entries look like. Whoever changes what is rendered from the same inputs raises it, so that no text from before is
/// taken for one of today; a test says when.
const FORM: u32 = 1;

/// The file in the data directory.
const FILE: &str = "registry.rendered";

/// What the file begins with.
const MAGIC: &str = "phasic-hub renderings 1";

/// A digest of all an entry's text follows from.
pub(super) type Key = Sha256;

/// Texts of entries, and what listings show of them, by what they were rendered from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Renderings(HashMap<Key, Place>);

#[derive(Debug, PartialEq, Eq)]
struct Place {
    text: Range<usize>,
    /// Which of the listed computes it is; `None` for one that was retracted.
    listed: Option<usize>,
}

/// The renderings of a catalogue, as the next one needs them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Former {
    text: Bytes,
    listed: Arc<Vec<Listed>>,
    renderings: Arc<Renderings>,
}

/// A line of the file: key, where the text begins and ends, and what listings show.
#[derive(Serialize, Deserialize)]
struct Line(Key, usize, usize, Option<(ComputeId, GraphHash, Option<Box<str>>)>);

/// What an entry is rendered from: its row, as it is to be served, under what absolute URLs begin with.
pub(super) fn key(row: &ComputeRow, base: &str) -> Key {
    let mut digest = sha2::Sha256::new();
    digest.update(FORM.to_le_bytes());
    for text in [env!("CARGO_PKG_VERSION"), base, row.id.as_str(), &row.entry] {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    for file in &row.artifacts {
        digest.update([u8::from(file.role == Role::Parent)]);
        digest.update(file.graph_hash.as_bytes());
        digest.update(file.served.sha256.as_bytes());
        digest.update(file.served.size_bytes.to_le_bytes());
    }
    <[u8; 32]>::from(digest.finalize()).into()
}

impl Renderings {
    pub(super) fn insert(&mut self, key: Key, text: Range<usize>, listed: Option<usize>) {
        self.0.insert(key, Place { text, listed });
    }
}

impl Former {
    /// The text that would be written again, and what listings show of it.
    pub(super) fn find(&self, key: &Key) -> Option<(&str, Option<&Listed>)> {
        let place = self.renderings.0.get(key)?;
        let text = std::str::from_utf8(self.text.get(place.text.clone())?).ok()?;
        let listed = match place.listed {
            Some(index) => Some(self.listed.get(index)?),
            None => None,
        };
        Some((text, listed))
    }
}

/// The file in a data directory that has a start find what the last process rendered.
#[derive(Debug)]
pub struct RenderingsFile {
    path: PathBuf,
    /// What is in it.
    written: Mutex<Arc<Renderings>>,
}

impl RenderingsFile {
    /// Reads the file, if there is one. What cannot be read or was damaged is as if it was not there, and said in the log.
    pub fn open(data_dir: &Path) -> (Self, Former) {
        let path = data_dir.join(FILE);
        let found = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Former::default()),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => parse(&bytes.into()).map_err(str::to_owned),
        };
        let former = found.unwrap_or_else(|reason| {
            let path = path.display();
            tracing::warn!(%path, reason, "cannot use what was rendered before; rendering everything anew");
            Former::default()
        });
        (Self { path, written: Mutex::new(Arc::clone(&former.renderings)) }, former)
    }

    /// Leaves a catalogue's renderings for the next process, if they are not there already. Whole or not at all, but without
    /// a promise to survive a loss of power: that would cost more than it saves.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, former: &Former) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if **written == *former.renderings {
            return Ok(());
        }
        let lines = former.lines()?;
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{MAGIC} {}", checksum(&[&lines, &former.text]))?;
        file.write_all(&lines)?;
        file.write_all(&former.text)?;
        std::fs::rename(&beside, &self.path)?;
        *written = Arc::clone(&former.renderings);
        Ok(())
    }
}

impl Former {
    /// The same with another text of the same length.
    #[cfg(test)]
    pub(super) fn with_text(&self, change: impl Fn(&str) -> String) -> Self {
        let text = change(std::str::from_utf8(&self.text).unwrap_or_default());
        Self { text: text.into(), ..self.clone() }
    }

    /// The list in front of the texts, with an empty line at its end.
    fn lines(&self) -> serde_json::Result<Vec<u8>> {
        let mut places: Vec<_> = self.renderings.0.iter().collect();
        places.sort_unstable_by_key(|(_, place)| place.text.start);
        let mut lines = Vec::new();
        for (&key, Place { text, listed }) in places {
            let listed = listed.and_then(|index| self.listed.get(index));
            let listed = listed.map(|one| (one.id.clone(), one.graph_hash, one.description.clone()));
            serde_json::to_writer(&mut lines, &Line(key, text.start, text.end, listed))?;
            lines.push(b'\n');
        }
        lines.push(b'\n');
        Ok(lines)
    }
}

fn checksum(pieces: &[&[u8]]) -> Sha256 {
    let mut digest = sha2::Sha256::new();
    for piece in pieces {
        digest.update(piece);
    }
    <[u8; 32]>::from(digest.finalize()).into()
}

fn parse(bytes: &Bytes) -> Result<Former, &'static str> {
    let end_of_line = |from: usize| {
        let length = bytes.get(from..)?.iter().position(|&byte| byte == b'\n')?;
        Some(from + length)
    };
    let mut begin = end_of_line(0).ok_or("it is no such file")? + 1;
    let head = std::str::from_utf8(&bytes[..begin]).ok().and_then(|head| head.trim_end().strip_prefix(MAGIC));
    let promised = head.ok_or("it is of another version")?.trim_start();
    if checksum(&[&bytes[begin..]]).to_string() != promised {
        return Err("it is damaged");
    }
    let (mut listed, mut renderings) = (Vec::new(), Renderings::default());
    loop {
        let end = end_of_line(begin).ok_or("it ends within its list")?;
        let line = &bytes[begin..end];
        begin = end + 1;
        if line.is_empty() {
            break;
        }
        let Line(key, first, last, shown) = serde_json::from_slice(line).map_err(|_| "a line is none")?;
        let shown = shown.map(|(id, graph_hash, description)| {
            listed.push(Listed { id, graph_hash, description });
            listed.len() - 1
        });
        renderings.insert(key, first..last, shown);
    }
    Ok(Former { text: bytes.slice(begin..), listed: listed.into(), renderings: renderings.into() })
}

impl Catalogue {
    /// What the next catalogue can take from this one.
    pub fn renderings(&self) -> Former {
        Former {
            text: self.absolute.plain.clone(),
            listed: Arc::clone(&self.computes),
            renderings: Arc::clone(&self.renderings),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use phasic_hub_api::{GraphHash, Sha256};

    use super::{FILE, Former, Listed, Renderings, RenderingsFile, key};
    use crate::blobs::StoredBlob;
    use crate::registry::Paths;
    use crate::registry::render::{self, Locations, serve};
    use crate::store::{ArtifactRow, ComputeRow, Origin, Role};

    const BASE: &str = "https://hub.example";

    fn row() -> ComputeRow {
        let hash = |byte| GraphHash::from_bytes([byte; 32]);
        let blob = |byte| StoredBlob { sha256: Sha256::from([byte; 32]), size_bytes: u64::from(byte) };
        let file = |role, byte| ArtifactRow {
            role,
            graph_hash: hash(byte),
            original: blob(byte),
            served: blob(byte + 1),
        };
        let digits = |byte: u8| format!("{byte:02x}").repeat(32);
        let entry = serde_json::json!({"graph_hash": digits(1), "x": [1.5, {"y": null}], "artifacts": {"parent":
            {"cid_or_path": "p", "sha256": digits(1), "size_bytes": 1, "z": true}, "scc": [{"scc_hash": digits(3),
            "cid_or_path": "s", "sha256": digits(3), "size_bytes": 3, "z": "ü"}]}, "metadata": {"tags": ["a", "b"]}});
        ComputeRow {
            id: "one".parse().unwrap(),
            origin: Origin::Mirror,
            upstream: None,
            entry: entry.to_string(),
            artifacts: vec![file(Role::Parent, 1), file(Role::Scc, 3)],
        }
    }

    #[test]
    fn what_entries_look_like_has_a_number_that_is_raised_with_it() {
        let row = row();
        let mut entry = row.publication().unwrap().entry;
        let locations = Locations { paths: Paths::Absolute, base: BASE, current: &|_| None };
        serve(&mut entry, &row.artifacts, &locations);
        let mut text = Vec::new();
        render::entry(row.id.as_str(), entry, &mut text).unwrap();
        // Another text under the same FORM would be served by some hubs and not by others: raise FORM with this digest.
        let form_1 = "dcf09f40f061f7f70e7a444833d37b8c936a89768c8e835c6ba9fe44f811af9e";
        assert_eq!(Sha256::of(&text).to_string(), form_1, "{}", String::from_utf8(text).unwrap());
    }

    #[test]
    fn whatever_an_entry_says_is_in_its_key() {
        let changes: [fn(&mut ComputeRow); 6] = [
            |row| row.id = "two".parse().unwrap(),
            |row| row.entry.push(' '),
            |row| row.artifacts[0].role = Role::Scc,
            |row| row.artifacts[1].graph_hash = GraphHash::from_bytes([9; 32]),
            |row| row.artifacts[0].served.size_bytes += 1,
            |row| row.artifacts[0].served.sha256 = Sha256::from([9; 32]),
        ];
        let first = key(&row(), BASE);
        assert_eq!(key(&row(), BASE), first);
        assert_ne!(key(&row(), "https://other.example"), first);
        for (index, change) in changes.iter().enumerate() {
            let mut row = row();
            change(&mut row);
            assert_ne!(key(&row, BASE), first, "change {index}");
        }
    }

    fn former() -> Former {
        let mut renderings = Renderings::default();
        renderings.insert(Sha256::of(b"1"), 2..5, Some(0));
        renderings.insert(Sha256::of(b"2"), 6..9, None);
        let listed = Listed {
            id: "one".parse().unwrap(),
            graph_hash: GraphHash::from_bytes([1; 32]),
            description: Some("a \"line\"\nand another".into()),
        };
        Former {
            text: Bytes::from_static(b"{ one,two }"),
            listed: Arc::new(vec![listed]),
            renderings: Arc::new(renderings),
        }
    }

    #[test]
    fn the_next_process_finds_what_was_rendered() {
        let directory = tempfile::tempdir().unwrap();
        let (file, nothing) = RenderingsFile::open(directory.path());
        assert!(nothing.find(&Sha256::of(b"1")).is_none());
        file.write(&former()).unwrap();
        let (file, found) = RenderingsFile::open(directory.path());
        let (text, listed) = found.find(&Sha256::of(b"1")).unwrap();
        let listed = listed.unwrap();
        assert_eq!((text, listed.id.as_str()), ("one", "one"));
        assert_eq!(
            (listed.graph_hash, listed.description.as_deref()),
            (GraphHash::from_bytes([1; 32]), Some("a \"line\"\nand another"))
        );
        assert!(matches!(found.find(&Sha256::of(b"2")), Some(("two", None))));
        // What is there already is not written again.
        std::fs::remove_file(directory.path().join(FILE)).unwrap();
        file.write(&found).unwrap();
        assert!(!directory.path().join(FILE).exists());
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        RenderingsFile::open(directory.path()).0.write(&former()).unwrap();
        let path = directory.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        let is_used = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            RenderingsFile::open(directory.path()).1.find(&Sha256::of(b"2")).is_some()
        };
        assert!(is_used(&whole));
        for place in 0..whole.len() {
            assert!(!is_used(&whole[..place]), "cut at {place}");
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(!is_used(&changed), "a bit of byte {place}");
        }
    }
}
