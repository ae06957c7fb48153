//! What holders of tokens see beside what everybody sees: private computes, and documents that list them.
//!
//! The document everybody gets is rendered once. Private computes are rendered when somebody who sees some of them asks,
//! put in front of that text, which is shared, and kept for all who see the same ones, within a bound on their bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phasic_hub_api::{ArtifactName, ComputeId};

use super::render::{self, Locations};
use super::{Catalogue, Listed, OwnRepresentation, Paths, Representation};
use crate::blobs::StoredBlob;
use crate::store::{ComputeRow, StoreError};
use crate::visibility::Viewer;

/// Bytes of the documents that are kept, beside what they share with that of everybody.
const KEPT_BYTES: usize = 64 << 20;

/// Which private computes a document lists (places in `Private::computes`), and how it names artifacts.
type Key = (Vec<usize>, Paths);

/// Where a document will be: whoever comes while it is rendered waits for it, and for no other.
type Place = Arc<Mutex<Option<Arc<OwnRepresentation>>>>;

/// Private computes of one moment, and the documents that were made of them.
#[derive(Debug, Default)]
pub(super) struct Private {
    computes: Vec<PrivateCompute>,
    documents: Mutex<Documents>,
}

/// Documents, the least recently used of which go first.
#[derive(Debug, Default)]
struct Documents {
    places: HashMap<Key, Kept>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Kept {
    place: Place,
    /// 0 until it is there.
    bytes: usize,
    used: u64,
}

impl Documents {
    fn place(&mut self, key: &Key) -> Place {
        self.clock += 1;
        if !self.places.contains_key(key) {
            self.places.insert(key.clone(), Kept::default());
        }
        let clock = self.clock;
        let kept = self.places.get_mut(key).map(|kept| {
            kept.used = clock;
            Arc::clone(&kept.place)
        });
        kept.unwrap_or_default()
    }

    /// Takes note of how much a document takes, and lets go of others until there is room for it.
    fn weigh(&mut self, key: &Key, bytes: usize) {
        if let Some(kept) = self.places.get_mut(key) {
            kept.bytes = bytes;
        }
        while self.places.values().map(|kept| kept.bytes).sum::<usize>() > KEPT_BYTES {
            let there = self.places.iter().filter(|(_, kept)| kept.bytes > 0);
            let Some(oldest) = there.min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone()) else {
                return;
            };
            self.places.remove(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.places.remove(key);
    }
}

#[derive(Debug)]
struct PrivateCompute {
    row: ComputeRow,
    /// What listings show; nothing for one that was retracted.
    listed: Option<Listed>,
}

impl Private {
    pub(super) fn new(rows: Vec<ComputeRow>) -> Result<Self, StoreError> {
        let mut computes = Vec::new();
        for row in rows {
            let entry = row.publication()?.entry;
            let listed = Listed::of(&row.id, &entry);
            computes.push(PrivateCompute { row, listed });
        }
        Ok(Self { computes, documents: Mutex::default() })
    }

    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The computes of a listing that a viewer sees.
    pub(super) fn listed<'a>(&'a self, viewer: &'a Viewer) -> impl Iterator<Item = &'a Listed> {
        let listed = self.computes.iter().filter_map(|compute| compute.listed.as_ref());
        listed.filter(|listed| viewer.sees_id(&listed.id, true))
    }

    /// The bytes a name stands for among the private computes a viewer sees: as a pull does it, the first one wins.
    pub(super) fn artifact(&self, name: ArtifactName, viewer: &Viewer) -> Option<StoredBlob> {
        let of_compute = |compute: &PrivateCompute| {
            let artifacts = compute.row.artifacts.iter();
            let mut found = artifacts.filter(|artifact| artifact.role.name(artifact.graph_hash) == name);
            found.next().map(|artifact| artifact.served)
        };
        let mut seen = self.seen(viewer).into_iter().map(|place| &self.computes[place]);
        seen.find_map(|compute| of_compute(compute).filter(|_| compute.listed.is_some()))
    }

    fn seen(&self, viewer: &Viewer) -> Vec<usize> {
        let sees = |id: &ComputeId| viewer.sees_id(id, true);
        (0..self.computes.len()).filter(|&place| sees(&self.computes[place].row.id)).collect()
    }
}

impl Catalogue {
    /// Whether a viewer is to have a document of his own, because he sees private computes.
    pub fn has_more_for(&self, viewer: &Viewer) -> bool {
        *viewer != Viewer::Public && !self.private.seen(viewer).is_empty()
    }

    /// The registry document with the private computes a viewer sees in front. The first time for such a viewer, private
    /// computes are rendered: hundreds of milliseconds for ten thousand of them, on a thread that may block. Whoever asks for
    /// the same meanwhile waits.
    ///
    /// # Errors
    /// When an entry cannot be written, which no version of the hub stores.
    pub fn document_for(
        &self,
        paths: Paths,
        viewer: &Viewer,
    ) -> Result<Arc<OwnRepresentation>, serde_json::Error> {
        let key = (self.private.seen(viewer), paths);
        let place = self.private.documents().place(&key);
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let everybodys = self.document(paths);
        let document = if let Some(document) = &*place {
            Arc::clone(document)
        } else {
            let head =
                self.in_front(&key, everybodys).inspect_err(|_| self.private.documents().forget(&key))?;
            let document = Arc::new(OwnRepresentation::new(head, everybodys));
            let listed = key.0.len() * size_of::<usize>();
            self.private.documents().weigh(&key, document.own_bytes() + listed);
            Arc::clone(place.insert(document))
        };
        Ok(document)
    }

    /// What comes in front of the document of everybody.
    fn in_front(&self, key: &Key, everybodys: &Representation) -> Result<String, serde_json::Error> {
        let (places, paths) = key;
        let rows: Vec<_> = places.iter().map(|&place| self.private.computes[place].row.clone()).collect();
        let mut own: HashMap<ArtifactName, StoredBlob> = HashMap::new();
        for artifact in rows.iter().flat_map(|row| &row.artifacts) {
            own.entry(artifact.role.name(artifact.graph_hash)).or_insert(artifact.served);
        }
        // A bare name stands for what everybody sees, where there is something.
        let current = |name| self.files.current(name).or_else(|| own.get(&name).copied());
        let locations = Locations { paths: *paths, base: &self.base, current: &current };
        let private = render::document(&rows, &locations)?;
        Ok(render::in_front(private, std::str::from_utf8(&everybodys.plain).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Documents, KEPT_BYTES, Key, Paths};

    #[test]
    fn documents_are_kept_within_a_bound_on_their_bytes_and_the_oldest_go_first() {
        let key = |number: usize| -> Key { (vec![number], Paths::Absolute) };
        let mut documents = Documents::default();
        let third = KEPT_BYTES / 3;
        for number in 0..3 {
            drop(documents.place(&key(number)));
            documents.weigh(&key(number), third);
        }
        drop(documents.place(&key(0)));
        drop(documents.place(&key(3)));
        documents.weigh(&key(3), third);
        let mut kept: Vec<_> = documents.places.keys().map(|(places, _)| places[0]).collect();
        kept.sort_unstable();
        assert_eq!(kept, [0, 2, 3], "the first was used again");
        drop(documents.place(&key(4)));
        documents.weigh(&key(4), KEPT_BYTES + 1);
        assert!(documents.places.is_empty(), "what never fits is not kept");
    }
}
