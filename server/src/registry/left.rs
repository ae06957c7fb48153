//! The file that has a start find what the last process rendered. A convenience: without it, or damaged, everything is
//! rendered anew.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use phasic_hub_api::{ComputeId, GraphHash, Sha256};
use serde::{Deserialize, Serialize};

use super::Listed;
use super::files::Files;
use super::kept::{Former, Key, Place, Renderings, State, Whole};

/// The file in the data directory.
const FILE: &str = "registry.rendered";

/// What the file begins with.
const MAGIC: &str = "phasic-hub renderings 3";

/// Bytes of its first line: that, the bytes of list and text in twenty digits each, their digests, and what is between.
const HEAD_BYTES: usize = MAGIC.len() + 2 * (1 + 20) + 2 * (1 + 64) + 1;

/// The first line of the list in the file: the state, if there is one, and the bytes of the files at its end.
#[derive(Serialize, Deserialize)]
struct Title(Option<State>, usize);

/// A line of the list in the file: key, where the text begins and ends, and what listings show.
#[derive(Serialize, Deserialize)]
struct Line(Key, usize, usize, Option<(ComputeId, GraphHash, Option<Box<str>>)>);

/// The file in a data directory that has a start find what the last process rendered.
#[derive(Debug)]
pub struct RenderingsFile {
    path: PathBuf,
    /// What is in it.
    written: Mutex<(Arc<Renderings>, Option<State>)>,
}

impl RenderingsFile {
    /// Reads the file, if there is one. What cannot be read or was damaged is as if it was not there, and said in the log.
    pub fn open(data_dir: &Path) -> (Self, Former) {
        let path = data_dir.join(FILE);
        let found = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Former::default()),
            found => found,
        };
        let former = found.unwrap_or_else(|reason| {
            let path = path.display();
            tracing::warn!(%path, %reason, "cannot use what was rendered before; rendering everything anew");
            Former::default()
        });
        let written = (Arc::clone(&former.renderings), former.state());
        (Self { path, written: Mutex::new(written) }, former)
    }

    /// Leaves a catalogue's renderings for the next process, if they are not there already. Whole or not at all, but without
    /// a promise to survive a loss of power: that would cost more than it saves.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, former: &Former) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written.0 == *former.renderings && written.1 == former.state() {
            return Ok(());
        }
        let list = former.list()?;
        let text = former.whole.as_ref().map_or_else(|| Sha256::of(&former.text), |whole| whole.text);
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        let (list_bytes, text_bytes) = (list.len(), former.text.len());
        writeln!(file, "{MAGIC} {list_bytes:020} {text_bytes:020} {} {text}", Sha256::of(&list))?;
        file.write_all(&list)?;
        file.write_all(&former.text)?;
        std::fs::rename(&beside, &self.path)?;
        *written = (Arc::clone(&former.renderings), former.state());
        Ok(())
    }
}

impl Former {
    /// The list in front of the texts: a line for each and an empty one, and the files of all.
    fn list(&self) -> serde_json::Result<Vec<u8>> {
        let files = self.whole.as_ref().and_then(|whole| whole.files.to_bytes());
        let state = self.state().filter(|_| files.is_some());
        let files = files.unwrap_or_default();
        let mut lines = serde_json::to_vec(&Title(state, files.len()))?;
        lines.push(b'\n');
        for (key, Place { text, listed }) in self.renderings.in_order() {
            let listed = listed.and_then(|index| self.listed.get(index));
            let listed = listed.map(|one| (one.id.clone(), one.graph_hash, one.description.clone()));
            serde_json::to_writer(&mut lines, &Line(key, text.start, text.end, listed))?;
            lines.push(b'\n');
        }
        lines.push(b'\n');
        lines.extend(files);
        Ok(lines)
    }
}

/// Reads a file of renderings. The text is in memory of its own, for as long as it is served.
fn read(path: &Path) -> io::Result<Former> {
    let broken = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head)?;
    let head = std::str::from_utf8(&head).ok().and_then(|head| head.strip_suffix("\n")?.strip_prefix(MAGIC));
    let mut words = head.ok_or_else(|| broken("it is of another version"))?.split_whitespace();
    let [list_bytes, text_bytes] =
        [words.next(), words.next()].map(|word| word.and_then(|word| word.parse::<u64>().ok()));
    let promised: Vec<Sha256> = words.filter_map(|word| word.parse().ok()).collect();
    let parts = list_bytes.zip(text_bytes);
    // There is room for no more than the file has, and it has what its first line says.
    let whole = |(list, text): &(u64, u64)| {
        let all = (HEAD_BYTES as u64).checked_add(*list).and_then(|bytes| bytes.checked_add(*text));
        all == Some(size_bytes)
    };
    let (list_bytes, text_bytes) =
        parts.filter(whole).ok_or_else(|| broken("it is not as long as it says"))?;
    let mut take = |bytes: u64| {
        let mut part = Vec::new();
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        part.try_reserve_exact(bytes).map_err(io::Error::other)?;
        (&mut file).take(bytes as u64).read_to_end(&mut part)?;
        Ok::<_, io::Error>(part)
    };
    let (list, text) = (take(list_bytes)?, take(text_bytes)?);
    let digest = Sha256::of(&text);
    if promised != [Sha256::of(&list), digest] {
        return Err(broken("it is damaged"));
    }
    parse(&list, text.into(), digest).map_err(broken)
}

fn parse(list: &[u8], text: Bytes, digest: Sha256) -> Result<Former, &'static str> {
    let mut rest = list;
    let mut next_line = || {
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("it ends within its list")?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Ok::<_, &'static str>(line)
    };
    let Title(state, files_bytes) =
        serde_json::from_slice(next_line()?).map_err(|_| "its first line is none")?;
    let (mut listed, mut renderings) = (Vec::new(), Renderings::default());
    loop {
        let line = next_line()?;
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
    if rest.len() != files_bytes {
        return Err("it ends within its files");
    }
    let files = Arc::new(Files::from_bytes(rest).ok_or("its files are none")?);
    let whole = state.map(|state| Whole { state, text: digest, files });
    Ok(Former { text, listed: listed.into(), renderings: renderings.into(), whole })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use phasic_engine::graph::GraphLimits;
    use phasic_hub_api::verification::Verdict;
    use phasic_hub_api::{ArtifactName, GraphHash, Sha256};

    use super::{FILE, Former, Listed, Renderings, RenderingsFile};
    use crate::hub::DataDirectory;
    use crate::registry::tests::{BASE, fresh, hash, keep, load, publication};
    use crate::registry::{Catalogue, Paths, Sent as _};
    use crate::store::tests::found;
    use crate::store::{Actor, UpstreamIdentity};
    use crate::visibility::Viewer;

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
            whole: None,
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
        assert!(!is_used(&[&whole[..], b" "].concat()), "a byte more");
        // More than there is memory for.
        std::fs::write(&path, &whole).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
        assert!(RenderingsFile::open(directory.path()).1.find(&Sha256::of(b"2")).is_none());
    }

    /// What a start finds of a registry, and the file it is in.
    async fn leave(directory: &Path, data: &DataDirectory) -> Former {
        RenderingsFile::open(directory).0.write(&load(data).await.renderings()).unwrap();
        RenderingsFile::open(directory).1
    }

    /// The catalogue of a start, and whether it was made without reading computes and their files.
    async fn start(data: &DataDirectory, base: &str, former: &Former) -> (Catalogue, bool) {
        let catalogue = Catalogue::load_unseen(&data.store, base, former.clone()).await.unwrap();
        let is_kept = former.whole.as_ref().is_some_and(|whole| Arc::ptr_eq(&whole.files, &catalogue.files));
        (catalogue, is_kept)
    }

    #[tokio::test]
    async fn a_start_that_finds_all_as_it_was_reads_no_computes_and_serves_the_same() {
        let (directory, data) = fresh().await;
        for (id, graph, content) in
            [("a", "g", "one"), ("b", "h", "former"), ("b", "h", "two"), ("c", "g", "three")]
        {
            data.store.publish_local(&publication(&data, id, graph, content).await, None).await.unwrap();
        }
        let former = leave(directory.path(), &data).await;
        let ((kept, is_kept), (read, _)) =
            (start(&data, BASE, &former).await, start(&data, BASE, &Former::default()).await);
        assert!(is_kept);
        for paths in [Paths::Absolute, Paths::Relative] {
            let (kept, read) = (kept.document(paths), read.document(paths));
            assert_eq!((&kept.plain, kept.tag(false)), (&read.plain, read.tag(false)));
        }
        assert_eq!(format!("{:?}", kept.computes()), format!("{:?}", read.computes()));
        for graph in ["g", "h", "another"] {
            let name = ArtifactName::Parent(hash(graph));
            let digests = ["one", "two", "three", "former"].map(|content| Sha256::of(content.as_bytes()));
            for digest in digests.into_iter().map(Some).chain([None]) {
                let [kept, read] =
                    [&kept, &read].map(|catalogue| catalogue.artifact(name, digest, &Viewer::Public));
                assert_eq!(kept, read, "{graph} {digest:?}");
            }
        }
        // And leaves the same for the next start.
        RenderingsFile::open(directory.path()).0.write(&kept.renderings()).unwrap();
        assert!(start(&data, BASE, &RenderingsFile::open(directory.path()).1).await.1);
    }

    #[tokio::test]
    async fn whatever_the_registry_follows_from_is_read_where_it_has_changed() {
        let (directory, data) = fresh().await;
        let store = &data.store;
        let built_in = phasic_engine::reference::computes()[0].build(&GraphLimits::default()).unwrap();
        let built_in = built_in.content_hash();
        let mut one = publication(&data, "a", "g", "one").await;
        store.publish_local(&one, None).await.unwrap();
        store.publish_local(&publication(&data, "b", "h", "two").await, None).await.unwrap();
        let reads = async |former: &Former, base: &str, what: &str| {
            let ((found, is_kept), (read, _)) =
                (start(&data, base, former).await, start(&data, base, &Former::default()).await);
            assert!(former.whole.is_some() && !is_kept, "{what}");
            assert_eq!(found.document(Paths::Absolute).plain, read.document(Paths::Absolute).plain, "{what}");
        };
        let former = leave(directory.path(), &data).await;
        reads(&former, "https://other.example", "another address").await;
        one.entry.metadata.description = Some("other words".to_owned());
        store.publish_local(&one, None).await.unwrap();
        reads(&former, BASE, "an entry").await;
        let former = leave(directory.path(), &data).await;
        let upstream = |place| UpstreamIdentity {
            name: "lab".to_owned(),
            address: "http://lab".to_owned(),
            trust: "checked",
            place,
        };
        store.name_upstream(&upstream(1)).await.unwrap();
        let places = leave(directory.path(), &data).await;
        store.name_upstream(&upstream(2)).await.unwrap();
        reads(&places, BASE, "the order of upstreams").await;
        reads(&former, BASE, "an upstream").await;
        let former = leave(directory.path(), &data).await;
        let wrong = found(built_in, Sha256::of(b"no file of theirs"), Verdict::Mismatch);
        keep(&data, "no file of theirs").await;
        store.hold("lab", &[keep(&data, "no file of theirs").await]).await.unwrap();
        store.put_verification(&wrong).await.unwrap();
        reads(&former, BASE, "what files are judged by").await;
        let former = leave(directory.path(), &data).await;
        store.set_private(&"nobody".parse().unwrap(), true, &Actor::Hub).await.unwrap();
        reads(&former, BASE, "what is private").await;
        assert!(leave(directory.path(), &data).await.whole.is_none(), "then all is read");
    }
}
