//! From store and blobs to a catalogue: which computes are served, and the document that lists them.
//!
//! Computes are read, judged and rendered some at a time, on as many threads as help, so that a large registry is never
//! in memory a second time beside its document.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt as _;
use phasic_hub_api::{ComputeId, EdgeOrderDigest, GraphHash, RegistryEntry, Sha256};
use serde::ser::Error as _;

use super::audiences::Private;
use super::files::Collecting;
use super::kept::{self, Former, Key, Program, Renderings, State};
use super::render::{self, Document, Locations, serve};
use super::{Catalogue, CatalogueError, Listed, Paths, Representation, Withheld, WithheldReason, note};
use crate::blobs::{BlobError, BlobStore};
use crate::reference::known_graph;
use crate::store::{
    ArtifactRow, ArtifactVersion, BlobSizes, ComputeRow, PackedCompute, ServedVariant, Snapshot, Store,
    StoreError, VariantReason, VersionKey,
};
use crate::visibility::PrivateIds;

/// Computes that are rendered at a time.
const BATCH: usize = 128;

/// Batches that are rendered while others are read.
const AT_A_TIME: usize = 2;

impl Catalogue {
    /// Reads and renders the present state. `base` is what absolute URLs begin with, without a final slash. What has not
    /// changed since `former` is taken from there.
    ///
    /// A compute is served only if all its files seem to be there, and is withheld otherwise. Takes time in
    /// proportion to the number of computes, and memory for little more than the document.
    ///
    /// # Errors
    /// When the database or the blob store fails.
    pub async fn load(
        store: &Store,
        blobs: &dyn BlobStore,
        base: &str,
        former: Former,
    ) -> Result<Self, CatalogueError> {
        Self::read(store, Some(blobs), base, former).await
    }

    /// The same, as if all files were there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load_unseen(store: &Store, base: &str, former: Former) -> Result<Self, CatalogueError> {
        Self::read(store, None, base, former).await
    }

    /// Whether a file is not there, or not whole, that should be. Looks at each of them.
    ///
    /// # Errors
    /// When the database or the blob store fails.
    pub async fn lacks_files(store: &Store, blobs: &dyn BlobStore) -> Result<bool, CatalogueError> {
        let wanted = async { store.snapshot().await?.sizes().await };
        let (there, wanted) = tokio::join!(blobs.sizes_bytes(), wanted);
        let wanted = wanted?;
        // What was stored while both were read may be missing in the one and be in the other: it is there by now.
        let seems_lost = lacking(&there?, &wanted).next().is_some();
        Ok(seems_lost && !lost(blobs, &wanted).await?.is_empty())
    }

    async fn read(
        store: &Store,
        blobs: Option<&dyn BlobStore>,
        base: &str,
        former: Former,
    ) -> Result<Self, CatalogueError> {
        // All of it from one moment: what is published in private in between must not be met as public.
        let mut snapshot = store.snapshot().await?;
        let mut rules = Rules::of(&mut snapshot, base, former).await?;
        // Nobody need know whose they are where nothing is private.
        let holders =
            if rules.private_ids.is_empty() { HashMap::new() } else { snapshot.version_computes().await? };
        // Where all files are taken to be there, all else is what it was.
        if blobs.is_none()
            && let Some(catalogue) = rules.state.and_then(|state| rules.former.catalogue(state, base))
        {
            return Ok(catalogue);
        }
        let former_versions = rules.look(&mut snapshot, blobs).await?;
        let rules = Arc::new(rules);
        let mut found = Found::default();
        found.former(&former_versions, &rules);
        let mut batches = snapshot
            .computes()
            .chunks(BATCH)
            .map(|batch| {
                let rules = Arc::clone(&rules);
                tokio::task::spawn_blocking(move || rules.read(batch))
            })
            .buffered(AT_A_TIME);
        while let Some(batch) = batches.next().await {
            found.add(batch??)?;
        }
        drop(batches);
        drop(snapshot);
        // Hashing and sorting take longer than a request should wait.
        tokio::task::spawn_blocking(move || found.finish(&rules, &holders)).await?
    }
}

/// The computes that are served, private ones too, as they are: each with the program that is served of it, and an entry that
/// says which that is, and why. What is withheld is left out.
///
/// # Errors
/// When the database or the blob store fails.
pub async fn served_computes(
    store: &Store,
    blobs: &dyn BlobStore,
) -> Result<Vec<ComputeRow>, CatalogueError> {
    let mut snapshot = store.snapshot().await?;
    let mut rules = Rules::of(&mut snapshot, "", Former::default()).await?;
    rules.look(&mut snapshot, Some(blobs)).await?;
    let mut served = Vec::new();
    let mut batches = snapshot.computes().chunks(BATCH);
    while let Some(batch) = batches.next().await {
        for packed in batch {
            let mut row = packed?.unpack(&rules.sizes)?;
            if rules.settle(&mut row).is_none() && !row.artifacts.is_empty() {
                served.push(row);
            }
        }
    }
    Ok(served)
}

/// What decides about a compute.
struct Rules {
    /// Files that are no program of their graph.
    wrong: HashSet<(GraphHash, Sha256)>,
    /// Files that may be none.
    doubted: HashSet<(GraphHash, Sha256)>,
    private_ids: PrivateIds,
    /// What is served in place of what was published.
    replaced: HashMap<ComputeId, ServedVariant>,
    /// The order of edges a file is for, where its hash stands for several.
    orders: HashMap<(GraphHash, Sha256), EdgeOrderDigest>,
    sizes: Arc<BlobSizes>,
    lost: HashSet<Sha256>,
    base: String,
    /// What need not be rendered anew.
    former: Former,
    /// What all of this and all that is read follow from; nothing where something may be private.
    state: Option<State>,
}

/// Some computes, judged and rendered.
#[derive(Default)]
struct Batch {
    /// The entries, one after the other.
    text: Vec<u8>,
    /// What was rendered from what: where each of them ends, and what listings show of it.
    entries: Vec<(Key, usize, Option<Listed>)>,
    /// The files of what is listed, compute by compute.
    named: Vec<Vec<ArtifactRow>>,
    /// Further contents of names.
    versions: Vec<ArtifactVersion>,
    private: Vec<ComputeRow>,
    withheld: Vec<Withheld>,
    doubts: Vec<ComputeId>,
}

impl Rules {
    /// Those of a moment, before anybody has looked for files.
    async fn of(snapshot: &mut Snapshot, base: &str, former: Former) -> Result<Self, CatalogueError> {
        let (wrong, doubted): (HashSet<_>, HashSet<_>) =
            snapshot.mismatches().await?.into_iter().partition(|&(hash, _)| known_graph(hash).is_some());
        let private_ids = snapshot.private_ids().await?;
        let replaced: HashMap<_, _> =
            snapshot.served_variants().await?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let orders = snapshot.ambiguous_orders().await?;
        let tables = snapshot.state_of_computes().await?;
        // In an order that depends on the members alone.
        let judged_by = (
            wrong.iter().collect::<BTreeSet<_>>(),
            doubted.iter().collect::<BTreeSet<_>>(),
            replaced.iter().collect::<BTreeMap<_, _>>(),
            orders.iter().collect::<BTreeMap<_, _>>(),
        );
        let state = || kept::state(tables, base, &judged_by, Program::running());
        let state = private_ids.is_empty().then(state);
        let (sizes, lost, base) = (Arc::default(), HashSet::new(), base.to_owned());
        Ok(Self { wrong, doubted, private_ids, replaced, orders, sizes, lost, base, former, state })
    }

    /// Reads how large files are, and looks which are not there; gives what names stood for formerly, read meanwhile.
    async fn look(
        &mut self,
        snapshot: &mut Snapshot,
        blobs: Option<&dyn BlobStore>,
    ) -> Result<Vec<ArtifactVersion>, CatalogueError> {
        self.sizes = snapshot.sizes().await?;
        // Looked for after they were counted: what is stored in between is there.
        let lost = async {
            match blobs {
                Some(blobs) => lost(blobs, &self.sizes).await,
                None => Ok(HashSet::new()),
            }
        };
        let (lost, former_versions) = tokio::join!(lost, snapshot.former_versions());
        self.lost = lost?;
        Ok(former_versions?)
    }

    /// Makes of what was published what is served, and says why it is not.
    fn settle(&self, row: &mut ComputeRow) -> Option<WithheldReason> {
        // Where phasic's own program was replaced because it is wrong, it is none to fall back upon.
        if let Some(one) = self.replaced.get(&row.id)
            && (one.reason != VariantReason::Requested || !self.lost.contains(&one.blob.sha256))
        {
            note::serve_instead(row, one);
        }
        note::say_edge_order(row, &self.orders);
        note::say_privacy(row, self.private_ids.contains(&row.id));
        self.fault(row)
    }

    fn read(&self, packed: Vec<Result<PackedCompute, StoreError>>) -> Result<Batch, CatalogueError> {
        let mut batch = Batch::default();
        for one in packed {
            self.judge(one?.unpack(&self.sizes)?, &mut batch)?;
        }
        Ok(batch)
    }

    fn judge(&self, mut row: ComputeRow, batch: &mut Batch) -> Result<(), CatalogueError> {
        let published = row.artifacts.clone();
        let mut is_named = false;
        match self.settle(&mut row) {
            Some(reason) => batch.withheld.push(Withheld { id: row.id.clone(), reason }),
            None if row.artifacts.is_empty() => {}
            None => {
                if row.artifacts.iter().any(|file| self.doubted.contains(&key(file))) {
                    batch.doubts.push(row.id.clone());
                }
                if self.private_ids.contains(&row.id) {
                    batch.private.push(row.clone());
                } else {
                    is_named = self.render(&row, batch)?;
                }
            }
        }
        // Addresses stay good for ever, but not for what was found out to be wrong.
        let others = published.iter().filter(|file| !is_named || !row.artifacts.contains(file));
        let others = others.filter(|file| !self.wrong.contains(&key(file)));
        batch.versions.extend(others.map(|&ArtifactRow { role, graph_hash, served, .. }| ArtifactVersion {
            role,
            graph_hash,
            blob: served,
        }));
        if is_named {
            batch.named.push(row.artifacts);
        }
        Ok(())
    }

    /// Why a compute cannot be served.
    fn fault(&self, row: &ComputeRow) -> Option<WithheldReason> {
        let missing = row.artifacts.iter().find(|file| self.lost.contains(&file.served.sha256));
        let wrong = || row.artifacts.iter().find(|file| self.wrong.contains(&key(file)));
        let missing = missing.map(|file| WithheldReason::Missing(file.served.sha256));
        missing.or_else(|| wrong().map(|file| WithheldReason::Mismatch(file.served.sha256)))
    }

    /// Renders a compute for everybody, and says whether it is listed and behind its names: a retracted one is neither.
    fn render(&self, row: &ComputeRow, batch: &mut Batch) -> Result<bool, CatalogueError> {
        let key = kept::key(row, &self.base, Program::running());
        let listed = if let Some((text, listed)) = self.former.find(&key) {
            batch.text.extend_from_slice(text.as_bytes());
            listed.cloned()
        } else {
            let mut entry = row.publication()?.entry;
            let listed = Listed::of(&row.id, &entry);
            let locations = Locations { paths: Paths::Absolute, base: &self.base, current: &|_| None };
            serve(&mut entry, &row.artifacts, &locations);
            render::entry(row.id.as_str(), entry, &mut batch.text)?;
            listed
        };
        let is_listed = listed.is_some();
        batch.entries.push((key, batch.text.len(), listed));
        Ok(is_listed)
    }
}

fn key(file: &ArtifactRow) -> (GraphHash, Sha256) {
    (file.graph_hash, file.served.sha256)
}

/// All that was read so far.
#[derive(Default)]
struct Found {
    document: Document,
    renderings: Renderings,
    listed: Vec<Listed>,
    files: Collecting,
    private: Vec<ComputeRow>,
    withheld: Vec<Withheld>,
    doubts: Vec<ComputeId>,
}

impl Found {
    fn former(&mut self, versions: &[ArtifactVersion], rules: &Rules) {
        let good =
            |version: &&ArtifactVersion| !rules.wrong.contains(&(version.graph_hash, version.blob.sha256));
        for version in versions.iter().filter(good) {
            self.files.add(version);
        }
    }

    fn add(&mut self, batch: Batch) -> Result<(), CatalogueError> {
        let Batch { text, entries, named, versions, private, withheld, doubts } = batch;
        let text = std::str::from_utf8(&text).map_err(serde_json::Error::custom)?;
        let mut begin = 0;
        for (key, end, listed) in entries {
            let place = self.document.push(&text[begin..end]);
            begin = end;
            let index = listed.is_some().then_some(self.listed.len());
            self.listed.extend(listed);
            self.renderings.insert(key, place, index);
        }
        for files in &named {
            self.files.add_compute(files);
        }
        for version in &versions {
            self.files.add(version);
        }
        self.private.extend(private);
        self.withheld.extend(withheld);
        self.doubts.extend(doubts);
        Ok(())
    }

    fn finish(
        self,
        rules: &Rules,
        holders: &HashMap<VersionKey, Vec<ComputeId>>,
    ) -> Result<Catalogue, CatalogueError> {
        let Self { document, renderings, mut listed, files, private, withheld, doubts } = self;
        listed.shrink_to_fit();
        let is_plain =
            private.is_empty() && withheld.is_empty() && doubts.is_empty() && rules.lost.is_empty();
        Ok(Catalogue {
            absolute: Representation::of(document.finish()),
            relative: OnceLock::new(),
            base: rules.base.clone(),
            computes: listed.into(),
            renderings: renderings.into(),
            private: Private::new(private)?,
            private_ids: rules.private_ids.clone(),
            withheld,
            doubts,
            files: Arc::new(files.finish(holders, &rules.private_ids)),
            lost: rules.lost.clone(),
            state: rules.state.filter(|_| is_plain),
        })
    }
}

impl Listed {
    /// What a listing shows of an entry; nothing of one that was retracted.
    pub(super) fn of(id: &ComputeId, entry: &RegistryEntry) -> Option<Self> {
        let description = entry.metadata.description.as_deref().map(Box::from);
        (!entry.retracted).then(|| Self { id: id.clone(), graph_hash: entry.graph_hash, description })
    }
}

/// Those of these blobs that are not there, or not whole.
async fn lost(blobs: &dyn BlobStore, wanted: &BlobSizes) -> Result<HashSet<Sha256>, BlobError> {
    Ok(lacking(&blobs.sizes_bytes().await?, wanted).collect())
}

/// Those of these blobs that are not among those that are there, or in another size.
fn lacking<'a>(there: &'a BlobSizes, wanted: &'a BlobSizes) -> impl Iterator<Item = Sha256> + 'a {
    wanted.iter().filter(|&(name, size_bytes)| there.get(name) != Some(size_bytes)).map(|(&name, _)| name)
}
