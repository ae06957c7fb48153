//! From stored computes to a registry document: the entry as published, with the files as they are served.

use std::collections::HashSet;
use std::ops::Range;
use std::{fmt, io};

use phasic_hub_api::{ArtifactName, RegistryEntry};
use serde::de::{MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize as _};
use serde_json::ser::{Formatter as _, PrettyFormatter};
use serde_json::value::RawValue;

use super::{FORMAT_REVISION, Paths};
use crate::blobs::StoredBlob;
use crate::store::{ArtifactRow, ComputeRow, Role};

/// What opens every document.
pub(super) const OPEN: &str = "{\n  \"version\": \"2.0\",\n  \"format\": \"ptd_pcg\",\n  \"computes\": {";
const CLOSE: &str = "}\n}\n";

/// A registry document that is being written, one entry after the other.
pub(super) struct Document {
    text: String,
    is_empty: bool,
}

impl Default for Document {
    fn default() -> Self {
        Self { text: OPEN.to_owned(), is_empty: true }
    }
}

impl Document {
    /// Appends an entry as [`entry`] writes it. Says where its text is.
    pub(super) fn push(&mut self, entry: &str) -> Range<usize> {
        if !self.is_empty {
            self.text.push(',');
        }
        self.is_empty = false;
        let begin = self.text.len();
        self.text.push_str(entry);
        begin..self.text.len()
    }

    fn render(&mut self, id: &str, parsed: RegistryEntry) -> Result<(), serde_json::Error> {
        let mut text = Vec::new();
        entry(id, parsed, &mut text)?;
        self.push(std::str::from_utf8(&text).map_err(serde_json::Error::custom)?);
        Ok(())
    }

    pub(super) fn finish(mut self) -> String {
        if !self.is_empty {
            self.text.push_str("\n  ");
        }
        self.text.push_str(CLOSE);
        self.text
    }
}

/// Appends the text of an entry under its id.
pub(super) fn entry(id: &str, entry: RegistryEntry, text: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    text.extend_from_slice(b"\n    ");
    serde_json::to_writer(&mut *text, id)?;
    text.extend_from_slice(b": ");
    // Two objects are open around it, which says how far it is indented.
    let (mut formatter, mut nowhere) = (PrettyFormatter::new(), io::sink());
    for _ in 0..2 {
        formatter.begin_object(&mut nowhere).map_err(serde_json::Error::io)?;
    }
    entry.into_value().serialize(&mut serde_json::Serializer::with_formatter(text, formatter))
}

/// The registry document of these computes as text. [`Locations`] say how it names files.
pub(super) fn document(
    served: &[ComputeRow],
    locations: &Locations<'_>,
) -> Result<String, serde_json::Error> {
    let mut document = Document::default();
    for row in served {
        let mut entry: RegistryEntry = serde_json::from_str(&row.entry)?;
        serve(&mut entry, &row.artifacts, locations);
        document.render(row.id.as_str(), entry)?;
    }
    Ok(document.finish())
}

/// The text of a document up to its last compute, and what separates that from what follows in another document behind what
/// opens it. Both are as [`Document`] writes them.
pub(super) fn in_front(mut first: String, second: &str) -> String {
    /// What closes a document with computes.
    const END: &str = "\n  }\n}\n";
    let Some(length) = first.strip_suffix(END).map(str::len) else { return OPEN.to_owned() };
    first.truncate(length);
    // Without computes the object is written as `{}`.
    first.push_str(if second.strip_prefix(OPEN) == Some(CLOSE) { "\n  " } else { "," });
    first
}

/// The document that names files as they lie in a registry repository, from the one that names them by absolute URLs
/// under `base`. `current` are the bytes each name stands for: a relative location carries no digest, so these are what it
/// promises, also for a second compute of one graph that was published with other ones.
pub(super) fn relative(
    absolute: &str,
    base: &str,
    current: &dyn Fn(ArtifactName) -> Option<StoredBlob>,
) -> Result<String, serde_json::Error> {
    let mut document = Document::default();
    let relocate = |role: Role, graph_hash, location: &mut String| {
        let name = role.name(graph_hash);
        let path = name.registry_path();
        // Files that are not here keep the location they were published with.
        let is_ours = location.strip_prefix(base).is_some_and(|rest| {
            rest.strip_prefix('/')
                .and_then(|rest| rest.strip_prefix(&path))
                .is_some_and(|rest| rest.starts_with("?sha256="))
        });
        if !is_ours {
            return None;
        }
        *location = path;
        current(name)
    };
    let Unparsed { computes } = serde_json::from_str(absolute)?;
    for (id, text) in computes {
        let mut entry: RegistryEntry = serde_json::from_str(text.get())?;
        let graph_hash = entry.graph_hash;
        let parent = &mut entry.artifacts.parent;
        if let Some(blob) = relocate(Role::Parent, graph_hash, &mut parent.cid_or_path) {
            (parent.sha256, parent.size_bytes) = (blob.sha256, blob.size_bytes);
        }
        for scc in &mut entry.artifacts.scc {
            if let Some(blob) = relocate(Role::Scc, scc.scc_hash, &mut scc.cid_or_path) {
                (scc.sha256, scc.size_bytes) = (blob.sha256, blob.size_bytes);
            }
        }
        document.render(&id, entry)?;
    }
    Ok(document.finish())
}

/// How a document names files.
pub(super) struct Locations<'a> {
    /// The way to name them.
    pub(super) paths: Paths,
    /// What absolute URLs begin with.
    pub(super) base: &'a str,
    /// The bytes each bare name stands for.
    pub(super) current: &'a dyn Fn(ArtifactName) -> Option<StoredBlob>,
}

impl Locations<'_> {
    /// Absolute locations carry the digest of the bytes, because an artifact's name alone does not say which bytes it
    /// stands for today: with it the address never changes its meaning and may be cached for ever.
    fn of(&self, row: &ArtifactRow) -> (String, StoredBlob) {
        let name = row.role.name(row.graph_hash);
        let path = name.registry_path();
        match self.paths {
            Paths::Absolute => (format!("{}/{path}?sha256={}", self.base, row.served.sha256), row.served),
            Paths::Blobs => (format!("blobs/{}", row.served.sha256), row.served),
            Paths::Relative => (path, (self.current)(name).unwrap_or(row.served)),
        }
    }
}

/// Makes an entry say what is served: these files, under their locations here.
pub(super) fn serve(entry: &mut RegistryEntry, files: &[ArtifactRow], locations: &Locations<'_>) {
    let find =
        |role: Role, graph_hash| files.iter().find(|row| row.role == role && row.graph_hash == graph_hash);
    if let Some(row) = find(Role::Parent, entry.graph_hash) {
        let parent = &mut entry.artifacts.parent;
        let (location, blob) = locations.of(row);
        parent.cid_or_path = location;
        (parent.sha256, parent.size_bytes) = (blob.sha256, blob.size_bytes);
    }
    // Files that were refused are not named, and none is named twice.
    let mut named = HashSet::new();
    let scc = &mut entry.artifacts.scc;
    scc.retain(|scc| find(Role::Scc, scc.scc_hash).is_some() && named.insert(scc.scc_hash));
    for scc in scc {
        if let Some(row) = find(Role::Scc, scc.scc_hash) {
            let (location, blob) = locations.of(row);
            scc.cid_or_path = location;
            (scc.sha256, scc.size_bytes) = (blob.sha256, blob.size_bytes);
        }
    }
    entry.format_revision = Some(FORMAT_REVISION);
}

/// A document whose entries are not parsed yet.
#[derive(Deserialize)]
struct Unparsed<'a> {
    #[serde(borrow, deserialize_with = "in_order")]
    computes: Vec<(String, &'a RawValue)>,
}

/// An object as a list.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, &'de RawValue)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("computes by id")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(InOrder)
}
