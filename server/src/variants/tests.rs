use std::sync::Arc;

use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::plan::{Limits, lower};
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
use crate::jobs::{Ask, Jobs, Submitted};
use crate::models::{Named, Recipe, identify, named};
use crate::preparing::Preparing;
use crate::store::tests::identity;
use crate::store::{
    Actor, ArtifactRow, FreeMemory, GraphRow, JobFilter, JobResult, JobRow, Publication, Role, ServedVariant,
    VariantReason, VerificationRow,
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
        let jobs =
            Arc::new(Jobs::new(data.clone(), admission, Preparing::new(workers()), compute, models).unwrap());
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
            edge_order_digest: Some(order),
            ..crate::store::tests::found(graph_hash, blob.sha256, Verdict::Reproduced)
        };
        self.data.store.put_verification(&found).await.unwrap();
        publication.id
    }

    async fn submit(&self, recipe: Recipe) -> Submitted {
        let jobs = &self.variants.jobs;
        jobs.submit_graph(recipe, &Audience::Everybody, "hub", &Actor::Hub).await.unwrap()
    }

    /// Does the one job there is, of the definition it gives.
    async fn do_job(&self, content: &str) -> (Sha256, StoredBlob) {
        let (blob, store) = (self.keep(content).await, &self.data.store);
        let free = FreeMemory { bytes: u64::MAX >> 1, is_all: true };
        let job = store.begin_job("test", free).await.unwrap().unwrap();
        assert_eq!(job.variant, Variant::Fast);
        let result = JobResult { blob, commands: 1, peak_memory_bytes: None };
        assert!(store.finish_job(&job, "test", result, "test").await.unwrap());
        (job.definition, blob)
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
        let known = identity(hash, definition);
        let identity = GraphIdentity { edge_order_digest: order, edges: 3, parallel_edges: true, ..known };
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

/// A graph with two edges to one vertex, with these weights that no parameter changes: to get there at all, and on the way
/// back.
fn with_parallel_edges(start: f64, back: f64) -> Recipe {
    let edges = serde_json::json!([
        [0, 1, [1.0], start],
        [1, 2, [1.0]],
        [1, 2, [3.0]],
        [2, 1, [], back],
        [2, 3, [3.0]],
        [3, 4, [1.0]],
        [3, 4, [], 1.0]
    ]);
    let document = serde_json::json!({"vertices": [[0], [1], [2], [3], [4]], "edges": edges});
    let source = serde_json::json!({"document": document}).to_string();
    match named(&serde_json::from_str(&source).unwrap()).unwrap() {
        Named::Here(recipe) => recipe,
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_program_of_a_graph_is_the_same_whatever_the_weights_that_no_parameter_changes() {
    let [first, others @ ..] = [(1.0, 1.0), (0.5, 7.0), (0.0, 0.0), (1.0, 0.0)].map(|(start, back)| {
        let graph = with_parallel_edges(start, back).build(&Config::default().models).unwrap();
        (identify(&graph), lower(&graph, &Limits::default()).unwrap())
    });
    for (identity, program) in others {
        assert_eq!(identity.graph_hash, first.0.graph_hash);
        assert_ne!(identity.definition, first.0.definition);
        assert!(program == first.1, "a weight of 0 is one like others: {identity:?}");
    }
}

#[tokio::test]
async fn a_second_definition_keeps_nobody_from_having_the_right_program_made_and_served() {
    for is_made_before in [false, true] {
        let place = Place::new(10, RegistryVariant::Phasic).await;
        let mut graphs = Vec::new();
        for start in [1.0, 0.5] {
            graphs.push(place.submit(with_parallel_edges(start, 1.0)).await);
        }
        let (first, second) = (&graphs[0].identity, &graphs[1].identity);
        assert_eq!(first.graph_hash, second.graph_hash);
        let id = place.publish("lab", first.graph_hash, first.edge_order_digest).await;
        if is_made_before {
            let (everybody, ask) = (Audience::Everybody, Ask::of_the_hub());
            let jobs = &place.variants.jobs;
            jobs.submit(&graphs[1], Variant::Fast, &everybody, ask, &Actor::Hub).await.unwrap();
        } else {
            place.variants.pass(None).await.unwrap();
        }
        let (definition, made) = place.do_job("ours").await;
        assert!(!is_made_before || definition == second.definition);
        place.variants.pass(None).await.unwrap();
        assert_eq!(place.jobs().await.len(), 1, "it is made once, whichever of them has it made");
        let served = place.served().await;
        assert_eq!((served.len(), &served[0].id, served[0].blob), (1, &id, made));
        assert_eq!(served[0].reason, VariantReason::ParallelEdges);
    }
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
