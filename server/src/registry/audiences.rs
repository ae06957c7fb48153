//! What holders of tokens see beside what everybody sees: private computes, and documents that list them.
//!
//! The document everybody gets is rendered once. Private computes are rendered when somebody who sees some of them asks,
//! put in front of that text, and kept for all who see the same ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use phasic_hub_api::{ArtifactName, ComputeId};

use super::render::{self, Locations};
use super::{Catalogue, Listed, Paths, Representation};
use crate::blobs::StoredBlob;
use crate::store::{ComputeRow, StoreError};
use crate::visibility::Viewer;

/// Documents kept at a time; each is as long as the one everybody gets.
const MOST_DOCUMENTS: usize = 16;

/// Documents by which private computes they list (places in `Private::computes`), and how they name artifacts.
type Documents = HashMap<(Vec<usize>, Paths), Arc<Representation>>;

/// Private computes of one moment, and the documents that were made of them.
#[derive(Debug, Default)]
pub(super) struct Private {
    computes: Vec<PrivateCompute>,
    documents: Mutex<Documents>,
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
    /// computes are rendered and the whole is compressed: hundreds of milliseconds for ten thousand computes, on a thread
    /// that may block. Whoever asks meanwhile waits.
    ///
    /// # Errors
    /// When an entry cannot be written, which no version of the hub stores.
    pub fn document_for(
        &self,
        paths: Paths,
        viewer: &Viewer,
    ) -> Result<Arc<Representation>, serde_json::Error> {
        let key = (self.private.seen(viewer), paths);
        let mut documents = self.private.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = documents.get(&key) {
            return Ok(Arc::clone(document));
        }
        let rows: Vec<_> = key.0.iter().map(|&place| self.private.computes[place].row.clone()).collect();
        let mut own: HashMap<ArtifactName, StoredBlob> = HashMap::new();
        for artifact in rows.iter().flat_map(|row| &row.artifacts) {
            own.entry(artifact.role.name(artifact.graph_hash)).or_insert(artifact.served);
        }
        // A bare name stands for what everybody sees, where there is something.
        let current = |name| self.files.current(name).or_else(|| own.get(&name).copied());
        let private = render::document(&rows, &Locations { paths, base: &self.base, current: &current })?;
        let public = std::str::from_utf8(&self.document(paths).plain).unwrap_or_default();
        let document = Arc::new(Representation::of(render::in_front(private, public)));
        if documents.len() >= MOST_DOCUMENTS {
            documents.clear();
        }
        documents.insert(key, Arc::clone(&document));
        Ok(document)
    }
}
