use std::sync::Arc;

use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::reference::computes;
use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{
    ArtifactRef, Artifacts, ComputeId, EdgeOrderDigest, GraphHash, GraphIdentity, Metadata, RegistryEntry,
    Sha256,
};

use super::Variants;
use crate::admission::Admission;
use crate::blobs::{StoredBlob, Terms, in_memory};
use crate::config::{Config, RegistryVariant};
use crate::hub::DataDirectory;
use crate::jobs::Jobs;
use crate::models::identify;
use crate::store::{
    Actor, ArtifactRow, GraphRow, JobFilter, JobRow, Publication, Role, ServedVariant, VariantReason,
    VerificationRow,
};
use crate::visibility::{Audience, Viewer};
use crate::workers::Workers;

struct Place {
    _directory: tempfile::TempDir,
    data: DataDirectory,
    variants: Variants,
}

impl Place {
    /// A hub whose queue has room for so many jobs, and where nobody works on them.
    async fn new(most_queued: i64, variant: RegistryVariant) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let Config { mut compute, models, mut registry, .. } = Config::default();
        compute.max_queued = most_queued.try_into().unwrap();
        registry.variant = variant;
        let workers = || Workers::new("test", 1).unwrap();
        let admission = Admission::new(workers(), compute.max_memory_bytes.get());
        let jobs = Arc::new(Jobs::new(data.clone(), admission, workers(), compute, models).unwrap());
        let variants = Variants::new(data.clone(), jobs, registry);
        Self { _directory: directory, data, variants }
    }

    async fn keep(&self, content: &str) -> StoredBlob {
        let terms = Terms { max_bytes: 100, sha256: None };
        self.data.blobs.put(in_memory(content.to_owned()), terms).await.unwrap()
    }

    /// Publishes a file of which it is known for which order of edges it is.
    async fn publish(&self, id: &str, graph_hash: GraphHash, order: EdgeOrderDigest) -> ComputeId {
        let blob = self.keep(id).await;
        let parent = ArtifactRef { cid_or_path: "file".to_owned(), sha256: blob.sha256, size_bytes: 1 };
        let artifacts = Artifacts { parent, scc: Vec::new() };
        let publication = Publication {
            id: id.parse().unwrap(),
            entry: RegistryEntry::new(graph_hash, 3, artifacts, Metadata::default()),
            artifacts: vec![ArtifactRow { role: Role::Parent, graph_hash, original: blob, served: blob }],
        };
        self.data.store.publish_local(&publication, None).await.unwrap();
        let found = VerificationRow {
            graph_hash,
            sha256: blob.sha256,
            verdict: Verdict::Reproduced,
            edge_order_digest: Some(order),
            definition: None,
            difference: None,
            engine: "test".to_owned(),
            limits: String::new(),
            definitions: 1,
            duration_ms: 0,
            checked_at: String::new(),
            is_asked: false,
        };
        self.data.store.put_verification(&found).await.unwrap();
        publication.id
    }

    async fn served(&self) -> Vec<ServedVariant> {
        self.data.store.snapshot().await.unwrap().served_variants().await.unwrap()
    }

    async fn jobs(&self) -> Vec<JobRow> {
        let filter = JobFilter { viewer: Viewer::All, limit: 9, ..JobFilter::default() };
        self.data.store.jobs(&filter).await.unwrap()
    }
}

fn reference(place: usize) -> Graph {
    computes()[place].build(&GraphLimits::default()).unwrap()
}

#[tokio::test]
async fn a_second_definition_of_a_hash_does_not_bring_the_wrong_program_back() {
    let place = Place::new(10, RegistryVariant::Phasic).await;
    let (hash, order) = (GraphHash::from_bytes([7; 32]), EdgeOrderDigest::from_bytes([2; 32]));
    let id = place.publish("lab", hash, order).await;
    for definition in ["theirs", "with another fixed weight"] {
        let identity = GraphIdentity {
            graph_hash: hash,
            edge_order_digest: order,
            definition: Sha256::of(definition.as_bytes()),
            vertices: 3,
            edges: 3,
            state_length: 1,
            param_length: 1,
            discrete: false,
            parallel_edges: true,
        };
        let row = GraphRow { identity, recipe: place.keep(definition).await };
        place.data.store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
    }
    let served = ServedVariant {
        id,
        graph_hash: hash,
        edge_order_digest: order,
        variant: Variant::Fast,
        blob: place.keep("theirs").await,
        reason: VariantReason::ParallelEdges,
    };
    place.data.store.serve_variants(std::slice::from_ref(&served), &[]).await.unwrap();
    place.variants.pass(None).await.unwrap();
    assert_eq!(place.served().await, [served]);
}

#[tokio::test]
async fn what_a_full_queue_has_no_room_for_is_asked_for_again_and_keeps_nothing_from_being_decided() {
    let place = Place::new(1, RegistryVariant::Fast).await;
    for (number, id) in ["one", "two"].into_iter().enumerate() {
        let graph = reference(number);
        place.publish(id, graph.content_hash(), graph.edge_order_digest()).await;
    }
    place.variants.pass(None).await.unwrap();
    let queued = place.jobs().await;
    assert_eq!(queued.len(), 1);
    place.data.store.cancel_job(&queued[0].id, None, &Actor::Operator).await.unwrap();
    place.variants.pass(None).await.unwrap();
    let definitions: std::collections::BTreeSet<_> =
        place.jobs().await.iter().map(|job| job.definition).collect();
    assert_eq!(definitions.len(), 2, "the second is asked for once there is room");
}

#[tokio::test]
async fn of_a_private_compute_no_program_is_made_that_everybody_sees() {
    let place = Place::new(10, RegistryVariant::Fast).await;
    for (number, id) in ["secret", "open"].into_iter().enumerate() {
        let graph = reference(number);
        let id = place.publish(id, graph.content_hash(), graph.edge_order_digest()).await;
        if id.as_str() == "secret" {
            assert!(place.data.store.set_private(&id, true, &Actor::Operator).await.unwrap());
        }
    }
    place.variants.pass(None).await.unwrap();
    let jobs = place.jobs().await;
    let asked: Vec<_> = jobs.iter().map(|job| job.definition).collect();
    assert_eq!(asked, [identify(&reference(1)).definition]);
}
