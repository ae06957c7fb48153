//! Renderings that are good for longer than one catalogue: of computes that have not changed.
//!
//! An entry's text follows from a few inputs, and a digest of them says whether a text from before is still the one that
//! would be written. So a change costs the rendering of what changed, and a start, where the last process left its
//! renderings [in a file](super::left), that of nothing. Where nothing at all has changed since, which a digest of what
//! everything follows from says, a start does not even read the inputs.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use phasic_hub_api::Sha256;
use sha2::Digest as _;

use super::audiences::Private;
use super::files::Files;
use super::{Catalogue, Listed, Representation};
use crate::store::{ComputeRow, Role};
use crate::visibility::PrivateIds;

/// What entries look like. Whoever changes what is rendered from the same inputs raises it, so that no text from before is
/// taken for one of today; a test says when.
const FORM: u32 = 1;

/// A digest of what tells a program from others: what it renders may look otherwise than what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program(Sha256);

impl Program {
    /// The one with a file of this length, written at this time. Where two builds have both in common, form and version
    /// tell.
    fn of(form: u32, version: &str, length_bytes: u64, written_at: SystemTime) -> Self {
        Self(Sha256::of(format!("{form} {version:?} {length_bytes} {written_at:?}").as_bytes()))
    }

    /// The one that runs. Where its file cannot be looked at, it is another at each start, and takes no text from before.
    pub(super) fn running() -> Self {
        static RUNNING: LazyLock<Program> = LazyLock::new(|| {
            let file = std::env::current_exe().and_then(|path| path.metadata());
            let file = file.and_then(|file| Ok((file.len(), file.modified()?)));
            let (length_bytes, written_at) = file.unwrap_or_else(|_| (0, SystemTime::now()));
            Program::of(FORM, env!("CARGO_PKG_VERSION"), length_bytes, written_at)
        });
        *RUNNING
    }
}

/// A digest of all an entry's text follows from.
pub(super) type Key = Sha256;

/// A digest of all a catalogue follows from of which nothing is private.
pub(super) type State = Sha256;

/// Texts of entries, and what listings show of them, by what they were rendered from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Renderings(HashMap<Key, Place>);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) text: Range<usize>,
    /// Which of the listed computes it is; `None` for one that was retracted.
    pub(super) listed: Option<usize>,
}

/// The renderings of a catalogue, as the next one needs them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Former {
    pub(super) text: Bytes,
    pub(super) listed: Arc<Vec<Listed>>,
    pub(super) renderings: Arc<Renderings>,
    pub(super) whole: Option<Whole>,
}

/// What makes a catalogue of its renderings, where nothing is private, withheld, in doubt or lost.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) state: State,
    /// The digest of the text.
    pub(super) text: Sha256,
    pub(super) files: Arc<Files>,
}

/// What an entry is rendered from: its row, as it is to be served, under what absolute URLs begin with, by a program.
pub(super) fn key(row: &ComputeRow, base: &str, program: Program) -> Key {
    let mut digest = sha2::Sha256::new();
    digest.update(program.0.as_bytes());
    for text in [base, row.id.as_str(), &row.entry] {
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

/// What a catalogue follows from: the tables it is read from, what absolute URLs begin with, what computes and files are
/// judged by, of which [`Debug`] says all there is, and the program that makes it.
pub(super) fn state(tables: Sha256, base: &str, judged_by: &impl Debug, program: Program) -> State {
    Sha256::of(format!("{} {tables} {base:?} {judged_by:?}", program.0).as_bytes())
}

impl Renderings {
    pub(super) fn insert(&mut self, key: Key, text: Range<usize>, listed: Option<usize>) {
        self.0.insert(key, Place { text, listed });
    }

    /// All of them, in the order of their texts.
    pub(super) fn in_order(&self) -> Vec<(Key, &Place)> {
        let mut places: Vec<_> = self.0.iter().map(|(&key, place)| (key, place)).collect();
        places.sort_unstable_by_key(|(_, place)| place.text.start);
        places
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

    /// The catalogue these are from, if it follows from the same.
    pub(super) fn catalogue(&self, state: State, base: &str) -> Option<Catalogue> {
        let whole = self.whole.as_ref().filter(|whole| whole.state == state)?;
        Some(Catalogue {
            absolute: Representation::of_known(self.text.clone(), whole.text),
            relative: OnceLock::new(),
            base: base.to_owned(),
            computes: Arc::clone(&self.listed),
            renderings: Arc::clone(&self.renderings),
            private: Private::default(),
            private_ids: PrivateIds::default(),
            withheld: Vec::new(),
            doubts: Vec::new(),
            files: Arc::clone(&whole.files),
            lost: HashSet::new(),
            state: Some(state),
        })
    }

    /// What they follow from, where they make a catalogue.
    pub(super) fn state(&self) -> Option<State> {
        self.whole.as_ref().map(|whole| whole.state)
    }
}

impl Former {
    /// The same with another text of the same length.
    #[cfg(test)]
    pub(super) fn with_text(&self, change: impl Fn(&str) -> String) -> Self {
        let text = change(std::str::from_utf8(&self.text).unwrap_or_default());
        Self { text: text.into(), ..self.clone() }
    }
}

impl Catalogue {
    /// What the next catalogue can take from this one.
    pub fn renderings(&self) -> Former {
        Former {
            text: self.absolute.plain.clone(),
            listed: Arc::clone(&self.computes),
            renderings: Arc::clone(&self.renderings),
            whole: self.state.map(|state| Whole {
                state,
                text: self.absolute.sha256(),
                files: Arc::clone(&self.files),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use phasic_hub_api::{GraphHash, Sha256};

    use super::{Program, key, state};
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
        let key = |row: &ComputeRow, base| key(row, base, Program::running());
        let first = key(&row(), BASE);
        assert_eq!(key(&row(), BASE), first);
        assert_ne!(key(&row(), "https://other.example"), first);
        for (index, change) in changes.iter().enumerate() {
            let mut row = row();
            change(&mut row);
            assert_ne!(key(&row, BASE), first, "change {index}");
        }
    }

    #[test]
    fn what_another_program_has_rendered_is_not_taken() {
        let written_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let later = written_at + Duration::from_nanos(1);
        let digests = |program| {
            (key(&row(), BASE, program), state(Sha256::of(b"tables"), BASE, &["judged by"], program))
        };
        let first = digests(Program::of(1, "0.1.0", 7, written_at));
        assert_eq!(digests(Program::of(1, "0.1.0", 7, written_at)), first);
        let others = [
            ("form", Program::of(2, "0.1.0", 7, written_at)),
            ("version", Program::of(1, "0.1.1", 7, written_at)),
            ("length", Program::of(1, "0.1.0", 8, written_at)),
            ("time", Program::of(1, "0.1.0", 7, later)),
        ];
        for (what, other) in others {
            let (key, state) = digests(other);
            assert_ne!(key, first.0, "{what}, of an entry");
            assert_ne!(state, first.1, "{what}, of a catalogue");
        }
        assert_eq!(Program::running(), Program::running());
    }
}
