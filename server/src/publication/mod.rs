//! Publishing computes here: from an entry and uploaded files, or a known elimination, to what the registry lists.
//!
//! Nothing is taken on trust: every file is hashed, decoded and, where somebody has said what the graph is, made anew
//! and compared. Who may publish what is decided before; one transaction of the store decides who was first.

use std::sync::Arc;

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{
    ArtifactRef, Artifacts, ComputeId, GraphHash, GraphIdentity, Metadata, RegistryEntry, Sha256,
};

use crate::blobs::{BlobError, StoredBlob, Terms, in_memory, read_whole};
use crate::hub::Hub;
use crate::mirror::{Announced, Fault, check_sent};
use crate::reference::known_graph;
use crate::registry::{FORMAT_REVISION, say_definition};
use crate::store::{ArtifactRow, EliminationRow, Publication, Role, StoreError};
use crate::verification::{Verifier, VerifyError, misfit_of_built_in};
use crate::visibility::Viewer;

/// Why something was not published. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Files the entry names are not here, as far as the publisher can see.
    #[error(
        "this hub has not these files of the entry, or they are not yours: {}; upload each with PUT /v1/blobs/sha256/… \
         and publish again", texts(.0)
    )]
    Missing(Vec<Sha256>),
    /// A file is not what the entry says, or no program of its graph.
    #[error("the file {sha256}: {reason}")]
    File {
        /// The file.
        sha256: Sha256,
        /// What is wrong.
        reason: String,
    },
    /// The metadata contradicts the graph.
    #[error("the metadata says {field} {said}, and the graph has {found}")]
    Metadata {
        /// Which field.
        field: &'static str,
        /// What it says.
        said: u64,
        /// What is true.
        found: u64,
    },
    /// phasic would refuse to pull the entry.
    #[error("the entry says format_revision {0}, and phasic pulls entries of revision 3 at most")]
    Revision(u32),
    /// There is no elimination to publish.
    #[error(
        "this hub has no {variant} elimination of the graph {graph}; ask for one with POST /v1/eliminations, and publish \
         when it is there"
    )]
    NoElimination {
        /// The graph.
        graph: GraphHash,
        /// Which one.
        variant: &'static str,
    },
    /// There are several.
    #[error("this hub has eliminations of several definitions of the graph; say which with definition: {}", texts(.0))]
    Ambiguous(Vec<Sha256>),
    /// Plans are read by this hub and its clients only.
    #[error("phasic cannot read plans; publish the variant phasic or fast")]
    Plan,
    /// The comparison could not be made.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

fn texts(digests: &[Sha256]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A compute that may be published, and what is known about its program.
#[derive(Debug)]
pub struct Checked {
    /// What the store is to be given.
    pub publication: Publication,
    /// Whether the program was made anew and is the same.
    pub verdict: Verdict,
}

/// An elimination of this hub that is to be published.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The graph.
    pub graph: GraphHash,
    /// Which of its definitions, where it has several.
    pub definition: Option<Sha256>,
    /// Which elimination.
    pub variant: Variant,
    /// What people should know about it.
    pub metadata: Metadata,
}

/// Checks an entry and the files it names, which are read, one at a time, into memory. Files that are to be served in
/// another form are stored in it, too.
///
/// # Errors
/// [`PublishError`].
pub async fn of_entry(
    hub: &Hub,
    verifier: &Arc<Verifier>,
    id: ComputeId,
    entry: RegistryEntry,
    viewer: &Viewer,
) -> Result<Checked, PublishError> {
    if let Some(revision) = entry.format_revision.filter(|&revision| revision > FORMAT_REVISION) {
        return Err(PublishError::Revision(revision));
    }
    let store = &hub.data.store;
    let (mut blobs, mut missing) = (Vec::new(), Vec::new());
    for file in Announced::all(&entry) {
        match store.visible_blob(file.sha256, viewer).await? {
            Some(blob) => blobs.push(blob),
            None => missing.push(file.sha256),
        }
    }
    if !missing.is_empty() {
        return Err(PublishError::Missing(missing));
    }
    let mut artifacts = Vec::new();
    for (file, blob) in Announced::all(&entry).zip(blobs) {
        artifacts.push(take(hub, verifier, file, blob).await?);
    }
    let identities: Vec<_> =
        store.graphs(entry.graph_hash, viewer).await?.into_iter().map(|row| row.identity).collect();
    check_metadata(entry.graph_hash, &entry.metadata, &identities)?;
    let parent = artifacts.first().map(|artifact| artifact.served);
    let is_known = !identities.is_empty() || known_graph(entry.graph_hash).is_some();
    let verdict = match parent.filter(|_| is_known) {
        Some(blob) => compare(verifier, entry.graph_hash, blob, viewer).await?,
        None => Verdict::GraphUnknown,
    };
    Ok(Checked { publication: Publication { id, entry, artifacts }, verdict })
}

async fn take(
    hub: &Hub,
    verifier: &Verifier,
    file: Announced<'_>,
    blob: StoredBlob,
) -> Result<ArtifactRow, PublishError> {
    let wrong = |reason: String| PublishError::File { sha256: file.sha256, reason };
    if blob.size_bytes != file.size_bytes {
        return Err(wrong(format!(
            "it has {} bytes, and the entry says {}",
            blob.size_bytes, file.size_bytes
        )));
    }
    let bytes = read_whole(&*hub.data.blobs, blob).await?;
    let fault = |fault: Fault| wrong(fault.reason);
    let (served, bytes) = check_sent(file, bytes).await.map_err(fault)?;
    let bytes = Arc::new(bytes);
    match misfit_of_built_in(file.graph_hash, &bytes, verifier.limits()).await {
        // What is too large to be told is said to be, in the verdict.
        Ok(None) | Err(VerifyError::Undecided(_)) => {}
        Ok(Some(difference)) => return Err(wrong(difference)),
        Err(error) => return Err(error.into()),
    }
    let bytes = Arc::unwrap_or_clone(bytes);
    // Stored again, so that it is young, and no collection of garbage takes it before it is referred to.
    let keep = async |bytes: Vec<u8>| {
        let terms = Terms { max_bytes: bytes.len() as u64, sha256: None };
        hub.data.blobs.put(in_memory(bytes), terms).await
    };
    let original = keep(bytes).await?;
    let served = match served {
        Some(served) => keep(served).await?,
        None => original,
    };
    Ok(ArtifactRow { role: file.role, graph_hash: file.graph_hash, original, served })
}

/// Makes the program anew from every definition of the graph that the publisher sees, and compares. What takes too long for
/// somebody who waits is left to the background.
async fn compare(
    verifier: &Arc<Verifier>,
    graph_hash: GraphHash,
    blob: StoredBlob,
    viewer: &Viewer,
) -> Result<Verdict, PublishError> {
    let Some(found) = verifier.verify_now(graph_hash, blob, viewer).await? else {
        return Ok(Verdict::Pending);
    };
    if found.verdict == Verdict::Mismatch {
        let reason = found.difference.unwrap_or_else(|| "it is no program of its graph".to_owned());
        return Err(PublishError::File { sha256: blob.sha256, reason });
    }
    Ok(found.verdict)
}

fn check_metadata(
    graph_hash: GraphHash,
    metadata: &Metadata,
    identities: &[GraphIdentity],
) -> Result<(), PublishError> {
    // All definitions of a hash have as many vertices and parameters: the hash covers both.
    let sizes = identities.first().map(|identity| (identity.vertices, identity.param_length));
    let built_in =
        || known_graph(graph_hash).map(|graph| (graph.vertex_count().into(), graph.param_length() as u64));
    let Some((vertices, param_length)) = sizes.or_else(built_in) else { return Ok(()) };
    let fields =
        [("vertices", metadata.vertices, vertices), ("param_length", metadata.param_length, param_length)];
    for (field, said, found) in fields {
        if let Some(said) = said.filter(|&said| said != found) {
            return Err(PublishError::Metadata { field, said, found });
        }
    }
    Ok(())
}

/// An elimination of this hub as a compute: its entry is made here.
///
/// # Errors
/// [`PublishError`].
pub async fn of_elimination(
    hub: &Hub,
    id: ComputeId,
    chosen: Chosen,
    viewer: &Viewer,
) -> Result<Checked, PublishError> {
    let Chosen { graph, definition, variant, mut metadata } = chosen;
    if variant == Variant::Plan {
        return Err(PublishError::Plan);
    }
    let made = elimination(hub, graph, definition, variant, viewer).await?;
    let row = hub.data.store.graph(made.definition, &Viewer::All).await?;
    if let Some(identity) = row.map(|row| row.identity) {
        check_metadata(graph, &metadata, std::slice::from_ref(&identity))?;
        metadata.vertices = Some(identity.vertices);
        metadata.param_length = Some(identity.param_length);
    }
    // Read once more: what was damaged since is not published. And made young, so that no collection of garbage takes it
    // before it is referred to, should the result be let go of at this moment.
    hub.data.blobs.renew(made.blob.sha256).await?;
    let StoredBlob { sha256, size_bytes } = made.blob;
    let cid_or_path = Role::Parent.name(graph).registry_path();
    let parent = ArtifactRef { cid_or_path, sha256, size_bytes };
    let mut entry =
        RegistryEntry::new(graph, FORMAT_REVISION, Artifacts { parent, scc: Vec::new() }, metadata);
    if let Some(definition) = meant(hub, graph, definition, viewer).await? {
        entry = say_definition(&entry, definition);
    }
    let file = ArtifactRow { role: Role::Parent, graph_hash: graph, original: made.blob, served: made.blob };
    // A job's result is verified before anybody sees it.
    let verdict = if variant == Variant::Phasic { Verdict::Reproduced } else { Verdict::Equivalent };
    Ok(Checked { publication: Publication { id, entry, artifacts: vec![file] }, verdict })
}

/// The definition a publisher means: the one he names, or the only one he sees. There may be others that he does not see; he
/// can mean none of them, and that he must choose would tell him that they are there. Of what the hub builds by itself nobody
/// need say it.
async fn meant(
    hub: &Hub,
    graph: GraphHash,
    definition: Option<Sha256>,
    viewer: &Viewer,
) -> Result<Option<Sha256>, PublishError> {
    if definition.is_some() || known_graph(graph).is_some() {
        return Ok(definition);
    }
    let rows = hub.data.store.graphs(graph, viewer).await?;
    Ok(if let [row] = &*rows { Some(row.identity.definition) } else { None })
}

async fn elimination(
    hub: &Hub,
    graph: GraphHash,
    definition: Option<Sha256>,
    variant: Variant,
    viewer: &Viewer,
) -> Result<EliminationRow, PublishError> {
    let store = &hub.data.store;
    let mut found = store.eliminations(graph, viewer).await?;
    found.retain(|row| row.variant == variant);
    if let Some(wanted) = definition {
        let order = store.graph(wanted, viewer).await?.map(|row| row.identity.edge_order_digest);
        // Programs of one order of edges are the same, whichever definition had it made first.
        let fits = |row: &EliminationRow| row.definition == wanted || Some(row.edge_order_digest) == order;
        return found
            .into_iter()
            .find(fits)
            .ok_or(PublishError::NoElimination { graph, variant: variant.as_str() });
    }
    // The same file may have been made for several audiences.
    let mut definitions: Vec<_> = found.iter().map(|row| row.definition).collect();
    definitions.sort_unstable();
    definitions.dedup();
    if definitions.len() > 1 {
        return Err(PublishError::Ambiguous(definitions));
    }
    let variant = variant.as_str();
    found.into_iter().next().ok_or(PublishError::NoElimination { graph, variant })
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, IdPatterns};

    use super::{StoredBlob, meant};
    use crate::blobs::{Terms, in_memory};
    use crate::hub::{DataDirectory, Hub};
    use crate::registry::Former;
    use crate::store::tests::identity;
    use crate::store::{Actor, GraphRow};
    use crate::visibility::{Audience, Viewer};

    #[tokio::test]
    async fn a_publisher_means_the_only_definition_he_sees_and_is_told_of_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Hub::new(data, "http://hub".to_owned(), Former::default()).await.unwrap();
        let graph_hash = GraphHash::from_bytes([7; 32]);
        let terms = Terms { max_bytes: 99, sha256: None };
        let recipe: StoredBlob = hub.data.blobs.put(in_memory("{}"), terms).await.unwrap();
        let ids = |text: &str| -> IdPatterns { text.parse().unwrap() };
        for (number, audience) in [(1, Audience::Ids(ids("lab-*"))), (2, Audience::Ids(ids("others-*")))] {
            let identity = GraphIdentity {
                edge_order_digest: EdgeOrderDigest::from_bytes([number; 32]),
                definition: [number; 32].into(),
                ..identity(graph_hash, "one of two")
            };
            hub.data.store.put_graph(&GraphRow { identity, recipe }, &audience, &Actor::Hub).await.unwrap();
        }
        let meant = async |viewer: Viewer, said| meant(&hub, graph_hash, said, &viewer).await.unwrap();
        assert_eq!(meant(Viewer::holder(&ids("lab-*")), None).await, Some([1; 32].into()));
        assert_eq!(meant(Viewer::holder(&ids("others-*")), None).await, Some([2; 32].into()));
        assert_eq!(meant(Viewer::All, None).await, None, "he sees both, and has not said which");
        assert_eq!(meant(Viewer::All, Some([2; 32].into())).await, Some([2; 32].into()));
        assert_eq!(meant(Viewer::Public, None).await, None, "he sees none");
    }
}
