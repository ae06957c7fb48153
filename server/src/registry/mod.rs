//! The registry as it is served: rendered once per change, and then only read.
//!
//! A [`Catalogue`] is one consistent moment of store and blobs. Requests are answered from it without the database;
//! how an answer looks on the wire is the business of `http`.

mod audiences;
mod files;
mod kept;
mod left;
mod load;
mod note;
mod render;
mod representation;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Sha256};

use self::audiences::Private;
use self::files::Files;
pub use self::kept::Former;
use self::kept::{Renderings, State};
pub use self::left::RenderingsFile;
pub use self::load::served_computes;
pub(crate) use self::note::{definition_of, say_definition, say_variant};
use self::render::Locations;
pub use self::representation::{OwnRepresentation, Representation, Sent};
use crate::blobs::{BlobError, StoredBlob};
use crate::store::{ComputeRow, StoreError};
use crate::visibility::{PrivateIds, Viewer};

/// What phasic calls the revision of entries whose files are PTDPRMC3. It refuses to pull later ones, and so do we.
pub const FORMAT_REVISION: u32 = 3;

/// Everything that can be asked for at one moment.
#[derive(Debug)]
pub struct Catalogue {
    absolute: Representation,
    /// Made of the other one when somebody asks for it: each is tens of megabytes for ten thousand computes.
    relative: OnceLock<Representation>,
    base: String,
    computes: Arc<Vec<Listed>>,
    /// Where each entry is in the document, for the next catalogue.
    renderings: Arc<Renderings>,
    private: Private,
    private_ids: PrivateIds,
    withheld: Vec<Withheld>,
    doubts: Vec<ComputeId>,
    files: Arc<Files>,
    /// Blobs that should be there and are not, or not whole.
    lost: HashSet<Sha256>,
    /// What all of it follows from, where nothing is private, withheld, in doubt or lost.
    state: Option<State>,
}

/// A compute of the served document, for listings.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: ComputeId,
    /// Its graph.
    pub graph_hash: GraphHash,
    /// What its publisher says about it, in a sentence.
    pub description: Option<Box<str>>,
}

/// A compute that is stored and not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Its id.
    pub id: ComputeId,
    /// What is wrong with a file of it.
    pub reason: WithheldReason,
}

/// Why a compute is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithheldReason {
    /// A file is lost or damaged.
    #[error("its file {0} is lost or damaged")]
    Missing(Sha256),
    /// A file is no program of the graph in any order of edges; the hub knows the graph by itself.
    #[error("its file {0} is no program of its graph")]
    Mismatch(Sha256),
}

/// How the document names artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paths {
    /// Absolute URLs that carry the digest, which is what an unmodified phasic needs.
    Absolute,
    /// Relative to the registry, as they lie in a git repository.
    Relative,
    /// Relative to the registry, by digest, as they lie in a bundle.
    Blobs,
}

/// The registry document of a bundle: these computes in this order, with files as `blobs/<sha256>`.
///
/// # Errors
/// When an entry cannot be written.
pub fn bundle_document(rows: &[ComputeRow]) -> Result<String, serde_json::Error> {
    render::document(rows, &Locations { paths: Paths::Blobs, base: "", current: &|_| None })
}

/// The catalogue could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The document could not be written.
    #[error("the registry document cannot be rendered: {0}")]
    Render(#[from] serde_json::Error),
    /// Rendering broke off.
    #[error("rendering the registry document broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl Catalogue {
    /// The registry document everybody gets. With relative paths it is rendered the first time it is asked for: hundreds
    /// of milliseconds for ten thousand computes, on a thread that may block. Whoever asks meanwhile waits.
    #[expect(clippy::missing_panics_doc, reason = "the text that is read was written by this very type")]
    pub fn document(&self, paths: Paths) -> &Representation {
        match paths {
            Paths::Absolute => &self.absolute,
            Paths::Relative | Paths::Blobs => self.relative.get_or_init(|| {
                let absolute = std::str::from_utf8(&self.absolute.plain).unwrap_or_default();
                let text = render::relative(absolute, &self.base, &|name| self.files.current(name));
                Representation::of(text.expect("the document was written here"))
            }),
        }
    }

    /// The registry document everybody gets, if it is there already.
    pub fn rendered(&self, paths: Paths) -> Option<&Representation> {
        match paths {
            Paths::Absolute => Some(&self.absolute),
            Paths::Relative | Paths::Blobs => self.relative.get(),
        }
    }

    /// The computes a listing shows to everybody, in order.
    pub fn computes(&self) -> &[Listed] {
        &self.computes
    }

    /// The computes a listing shows to a viewer: those that are private first.
    pub fn computes_for<'a>(&'a self, viewer: &'a Viewer) -> impl Iterator<Item = &'a Listed> {
        self.private.listed(viewer).chain(&*self.computes)
    }

    /// Whether an id is private.
    pub fn is_private(&self, id: &ComputeId) -> bool {
        self.private_ids.contains(id)
    }

    /// What is stored and not served, private computes, too.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// What is served although a file of it fits no graph that was submitted under its hash, private computes, too.
    ///
    /// Whoever submits a graph says which one *he* means. The publisher of a compute may have meant another that meets
    /// the hash, or published our program of another order of edges; so what others submit is a reason to look, and
    /// never to withdraw.
    pub fn doubts(&self) -> &[ComputeId] {
        &self.doubts
    }

    /// Blobs that should be there and were found to be lost, or not whole.
    pub fn lost(&self) -> impl Iterator<Item = Sha256> {
        self.lost.iter().copied()
    }

    /// Whether a blob that should be there was found to be lost.
    pub fn is_lost(&self, blob: Sha256) -> bool {
        self.lost.contains(&blob)
    }

    /// Whether an artifact has this content, as far as is known here. Looks at all of them.
    pub fn promises(&self, blob: Sha256) -> bool {
        !self.is_lost(blob) && self.files.have(blob)
    }

    /// The bytes a name stands for, to a viewer: today's, or those of a digest it has had at any time, even if they are
    /// lost. Without a digest, what everybody sees comes first.
    pub fn artifact(
        &self,
        name: ArtifactName,
        digest: Option<Sha256>,
        viewer: &Viewer,
    ) -> Option<StoredBlob> {
        match digest {
            None => self.files.current(name).or_else(|| self.private.artifact(name, viewer)),
            Some(digest) => self.files.version(name, digest, viewer),
        }
    }
}
