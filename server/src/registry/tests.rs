use std::sync::Arc;

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{
    ArtifactName, ArtifactRef, Artifacts, EdgeOrderDigest, GraphHash, Metadata, ReadLimits, RegistryDocument,
    RegistryEntry, SccRef, Sha256,
};

use super::{Catalogue, Former, Paths, Sent, Withheld, WithheldReason};
use crate::blobs::{LocalBlobs, StoredBlob, Terms, in_memory};
use crate::hub::DataDirectory;
use crate::store::{Actor, ArtifactRow, Condition, Publication, Role, ServedVariant, Store, VariantReason};
use crate::visibility::Viewer;

pub(super) const BASE: &str = "https://hub.example/phasic";

pub(super) async fn fresh() -> (tempfile::TempDir, DataDirectory) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let blobs = Arc::new(LocalBlobs::open(directory.path()).unwrap());
    (directory, DataDirectory::of(store, blobs))
}

pub(super) fn hash(seed: &str) -> GraphHash {
    GraphHash::from_bytes(*Sha256::of(seed.as_bytes()).as_bytes())
}

pub(super) async fn keep(data: &DataDirectory, content: &str) -> StoredBlob {
    data.blobs.put(in_memory(content.to_owned()), Terms { max_bytes: 100, sha256: None }).await.unwrap()
}

pub(super) async fn load(data: &DataDirectory) -> Catalogue {
    Catalogue::load(&data.store, &*data.blobs, BASE, Former::default()).await.unwrap()
}

/// A compute whose files were published as `content`, and are served as they are.
pub(super) async fn publication(data: &DataDirectory, id: &str, graph: &str, content: &str) -> Publication {
    let blob = keep(data, content).await;
    let parent = ArtifactRef {
        cid_or_path: "artifacts/original".to_owned(),
        sha256: Sha256::of(b"original"),
        size_bytes: 1,
    };
    let graph_hash = hash(graph);
    Publication {
        id: id.parse().unwrap(),
        entry: RegistryEntry::new(graph_hash, 1, Artifacts { parent, scc: Vec::new() }, Metadata::default()),
        artifacts: vec![ArtifactRow { role: Role::Parent, graph_hash, original: blob, served: blob }],
    }
}

fn read(catalogue: &Catalogue, paths: Paths) -> RegistryDocument {
    let reading = RegistryDocument::read(&catalogue.document(paths).plain, &ReadLimits::default()).unwrap();
    let (document, faults) = reading.into_document();
    assert_eq!(faults, []);
    document
}

#[tokio::test]
async fn entries_name_the_served_bytes_under_the_public_address() {
    let (_directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "served").await, None).await.unwrap();
    let catalogue = load(&data).await;
    let (sha256, path) = (Sha256::of(b"served"), format!("artifacts/{}.bin", hash("g")));
    for (paths, location) in
        [(Paths::Absolute, format!("{BASE}/{path}?sha256={sha256}")), (Paths::Relative, path.clone())]
    {
        let document = read(&catalogue, paths);
        let entry = document.get("a").unwrap();
        assert_eq!(entry.artifacts.parent, ArtifactRef { cid_or_path: location, sha256, size_bytes: 6 });
        assert_eq!(entry.format_revision, Some(3));
    }
}

#[tokio::test]
async fn the_second_document_is_made_of_the_first_when_somebody_asks() {
    let (_directory, data) = fresh().await;
    let empty = load(&data).await;
    assert!(read(&empty, Paths::Relative).computes().len() == 0);
    let odd = r#"{"note": "line\nbreak \"quoted\" \\ {\"computes\": {", "deep": [[], {}, [{"x": 1e300}]]}"#;
    for id in ["a", "b"] {
        let mut publication = publication(&data, id, id, id).await;
        let mut value = publication.entry.to_value();
        value["odd"] = serde_json::from_str(odd).unwrap();
        publication.entry = RegistryEntry::from_value(value).unwrap();
        data.store.publish_local(&publication, None).await.unwrap();
    }
    let catalogue = load(&data).await;
    assert!(catalogue.rendered(Paths::Absolute).is_some() && catalogue.rendered(Paths::Relative).is_none());
    let absolute = std::str::from_utf8(&catalogue.document(Paths::Absolute).plain).unwrap();
    let relative = std::str::from_utf8(&catalogue.document(Paths::Relative).plain).unwrap();
    assert!(catalogue.rendered(Paths::Relative).is_some());
    let mut expected = absolute.replace(&format!("{BASE}/artifacts/"), "artifacts/");
    for id in ["a", "b"] {
        expected = expected.replace(&format!("?sha256={}", Sha256::of(id.as_bytes())), "");
    }
    assert_eq!(relative, expected);
    // As serde_json writes the whole of it.
    let value: serde_json::Value = serde_json::from_str(absolute).unwrap();
    assert_eq!(absolute, format!("{}\n", serde_json::to_string_pretty(&value).unwrap()));
}

#[tokio::test]
async fn a_file_that_fits_no_graph_is_withdrawn_only_where_the_hub_knows_the_graph_by_itself() {
    let (_directory, data) = fresh().await;
    let built_in = crate::verification::built_in()[0];
    for (id, graph_hash) in [("known", built_in), ("others", hash("g"))] {
        let mut publication = publication(&data, id, "g", id).await;
        publication.entry.graph_hash = graph_hash;
        publication.artifacts[0].graph_hash = graph_hash;
        data.store.publish_local(&publication, None).await.unwrap();
        let found = crate::store::tests::found(graph_hash, Sha256::of(id.as_bytes()), Verdict::Mismatch);
        data.store.put_verification(&found).await.unwrap();
    }
    let catalogue = load(&data).await;
    let reason = WithheldReason::Mismatch(Sha256::of(b"known"));
    assert_eq!(catalogue.withheld(), [Withheld { id: "known".parse().unwrap(), reason }]);
    assert_eq!(catalogue.doubts(), ["others".parse().unwrap()]);
    assert!(catalogue.promises(Sha256::of(b"others")) && !catalogue.promises(Sha256::of(b"known")));
}

#[tokio::test]
async fn components_without_a_file_are_not_named_and_none_is_named_twice() {
    let (_directory, data) = fresh().await;
    let mut publication = publication(&data, "a", "g", "parent").await;
    let scc = |seed: &str| SccRef {
        cid_or_path: "artifacts/x".to_owned(),
        scc_hash: hash(seed),
        sha256: Sha256::of(b"original"),
        size_bytes: 1,
    };
    publication.entry.artifacts.scc = vec![scc("refused"), scc("kept"), scc("kept")];
    let served = keep(&data, "component").await;
    let row = ArtifactRow { role: Role::Scc, graph_hash: hash("kept"), original: served, served };
    publication.artifacts.push(row);
    data.store.publish_local(&publication, None).await.unwrap();
    let catalogue = load(&data).await;
    let document = read(&catalogue, Paths::Relative);
    let named: Vec<_> = document.get("a").unwrap().artifacts.scc.iter().collect();
    assert_eq!(named.len(), 1);
    assert_eq!((named[0].scc_hash, named[0].sha256), (hash("kept"), served.sha256));
    assert_eq!(catalogue.artifact(ArtifactName::Scc(hash("kept")), None, &Viewer::Public), Some(served));
}

#[tokio::test]
async fn a_name_stands_for_the_first_entry_and_a_digest_for_what_it_was() {
    let (_directory, data) = fresh().await;
    let name = ArtifactName::Parent(hash("g"));
    for (id, content) in [("a", "old"), ("b", "other"), ("a", "new")] {
        data.store.publish_local(&publication(&data, id, "g", content).await, None).await.unwrap();
    }
    let catalogue = load(&data).await;
    let found = |digest| catalogue.artifact(name, digest, &Viewer::Public).map(|blob| blob.sha256);
    assert_eq!(found(None), Some(Sha256::of(b"new")));
    for content in ["old", "other", "new"] {
        let digest = Sha256::of(content.as_bytes());
        assert_eq!(found(Some(digest)), Some(digest), "{content}");
    }
    assert_eq!(found(Some(Sha256::of(b"never"))), None);
    assert_eq!(catalogue.artifact(ArtifactName::Scc(hash("g")), None, &Viewer::Public), None);
}

#[tokio::test]
async fn each_document_promises_the_bytes_its_locations_lead_to() {
    let (_directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "first").await, None).await.unwrap();
    data.store.publish_local(&publication(&data, "b", "g", "second").await, None).await.unwrap();
    let catalogue = load(&data).await;
    let promised = |paths, id: &str| read(&catalogue, paths).get(id).unwrap().artifacts.parent.sha256;
    let (first, second) = (Sha256::of(b"first"), Sha256::of(b"second"));
    assert_eq!((promised(Paths::Absolute, "a"), promised(Paths::Absolute, "b")), (first, second));
    assert_eq!((promised(Paths::Relative, "a"), promised(Paths::Relative, "b")), (first, first));
    assert_eq!(
        catalogue.artifact(ArtifactName::Parent(hash("g")), None, &Viewer::Public).unwrap().sha256,
        first
    );
}

#[tokio::test]
async fn a_retracted_compute_is_in_the_document_and_not_behind_its_name() {
    let (_directory, data) = fresh().await;
    let mut publication = publication(&data, "a", "g", "served").await;
    publication.entry.retracted = true;
    data.store.publish_local(&publication, None).await.unwrap();
    let catalogue = load(&data).await;
    assert!(read(&catalogue, Paths::Absolute).get("a").unwrap().retracted);
    assert_eq!(catalogue.computes().len(), 0);
    let name = ArtifactName::Parent(hash("g"));
    assert_eq!(catalogue.artifact(name, None, &Viewer::Public), None);
    assert!(
        catalogue.artifact(name, Some(Sha256::of(b"served")), &Viewer::Public).is_some(),
        "its address stays good"
    );
}

#[tokio::test]
async fn a_compute_whose_file_is_missing_or_cut_is_withheld() {
    let (directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "gone").await, None).await.unwrap();
    data.store.publish_local(&publication(&data, "b", "h", "here").await, None).await.unwrap();
    let digits = Sha256::of(b"gone").to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    for damage in [true, false] {
        if damage {
            std::fs::write(&path, "g").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let catalogue = load(&data).await;
        assert_eq!(read(&catalogue, Paths::Absolute).computes().len(), 1);
        assert_eq!(catalogue.withheld()[0].id.as_str(), "a");
        assert_eq!(catalogue.withheld()[0].reason, WithheldReason::Missing(Sha256::of(b"gone")));
        assert_eq!(catalogue.artifact(ArtifactName::Parent(hash("g")), None, &Viewer::Public), None);
    }
}

#[tokio::test]
async fn a_lost_replacement_of_a_wrong_program_is_withheld_and_of_another_is_the_published_one() {
    let (directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "wrong").await, None).await.unwrap();
    data.store.publish_local(&publication(&data, "b", "h", "slow").await, None).await.unwrap();
    data.store.publish_local(&publication(&data, "c", "i", "ours").await, None).await.unwrap();
    let blob = keep(&data, "ours").await;
    let one = |id: &str, graph: &str, reason| ServedVariant {
        id: id.parse().unwrap(),
        graph_hash: hash(graph),
        edge_order_digest: EdgeOrderDigest::from_bytes([1; 32]),
        variant: Variant::Fast,
        blob,
        reason,
    };
    let served = [one("a", "g", VariantReason::ParallelEdges), one("b", "h", VariantReason::Requested)];
    data.store.serve_variants(&served, &[]).await.unwrap();
    assert_eq!(load(&data).await.withheld(), []);
    let digits = blob.sha256.to_string();
    std::fs::remove_file(directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits)).unwrap();
    let catalogue = load(&data).await;
    let reason = WithheldReason::Missing(blob.sha256);
    let withheld = ["a", "c"].map(|id| Withheld { id: id.parse().unwrap(), reason });
    assert_eq!(catalogue.withheld(), withheld);
    let document = read(&catalogue, Paths::Absolute);
    assert_eq!(document.get("b").unwrap().artifacts.parent.sha256, Sha256::of(b"slow"));
}

#[tokio::test]
async fn the_compressed_document_is_the_same_document() {
    use std::io::Read as _;
    let (_directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "served").await, None).await.unwrap();
    let catalogue = load(&data).await;
    let document = catalogue.document(Paths::Absolute);
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&document.gzip()[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, document.plain);
    assert_eq!(document.tag(false), &format!("\"{}\"", Sha256::of(&text)));
}

#[tokio::test]
async fn private_computes_are_in_the_documents_of_those_who_see_them_only() {
    let (_directory, data) = fresh().await;
    for (id, graph, content) in [("a", "g", "public"), ("b", "g", "secret"), ("c", "h", "hidden")] {
        data.store.publish_local(&publication(&data, id, graph, content).await, None).await.unwrap();
    }
    let of_everybody = load(&data).await.document(Paths::Absolute).plain.clone();
    for id in ["b", "c"] {
        assert!(data.store.set_private(&id.parse().unwrap(), true, &Actor::Hub).await.unwrap());
    }
    let catalogue = load(&data).await;
    let holder = |ids: &str| Viewer::holder(&ids.parse().unwrap());
    let ids = |viewer: &Viewer| -> Vec<String> {
        catalogue.computes_for(viewer).map(|listed| listed.id.to_string()).collect()
    };
    let public = std::str::from_utf8(&catalogue.document(Paths::Absolute).plain).unwrap();
    assert!(public.contains("\"a\"") && !public.contains("\"b\"") && !public.contains("\"c\""), "{public}");
    for (viewer, expected) in [
        (Viewer::Public, &["a"][..]),
        (holder("x-*"), &["a"]),
        (holder("b"), &["b", "a"]),
        (holder("c b"), &["b", "c", "a"]),
        (Viewer::All, &["b", "c", "a"]),
    ] {
        assert_eq!(ids(&viewer), expected, "{viewer:?}");
        assert_eq!(catalogue.has_more_for(&viewer), expected.len() > 1, "{viewer:?}");
        let document = catalogue.document_for(Paths::Absolute, &viewer).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&document.pieces().concat()).unwrap();
        let listed: Vec<_> = read["computes"].as_object().unwrap().keys().collect();
        assert_eq!(listed, expected, "{viewer:?}");
        for (graph, content, seen) in [
            ("g", "public", true),
            ("g", "secret", expected.contains(&"b")),
            ("h", "hidden", expected.contains(&"c")),
        ] {
            let digest = Sha256::of(content.as_bytes());
            let name = ArtifactName::Parent(hash(graph));
            assert_eq!(
                catalogue.artifact(name, Some(digest), &viewer).is_some(),
                seen,
                "{viewer:?} {content}"
            );
            let blob = data.store.visible_blob(digest, &viewer).await.unwrap();
            assert_eq!(blob.is_some(), seen, "{viewer:?} {content}");
        }
        let bare = |graph| catalogue.artifact(ArtifactName::Parent(hash(graph)), None, &viewer);
        assert_eq!(bare("g").unwrap().sha256, Sha256::of(b"public"), "what everybody sees comes first");
        assert_eq!(bare("h").is_some(), expected.contains(&"c"), "{viewer:?}");
    }
    for id in ["b", "c"] {
        assert!(data.store.set_private(&id.parse().unwrap(), false, &Actor::Hub).await.unwrap());
    }
    assert_eq!(load(&data).await.document(Paths::Absolute).plain, of_everybody);
}

#[tokio::test]
async fn a_document_of_private_computes_alone_is_one() {
    let (_directory, data) = fresh().await;
    data.store.publish_local(&publication(&data, "a", "g", "secret").await, None).await.unwrap();
    data.store.set_private_patterns(&"a*".parse().unwrap()).await.unwrap();
    let catalogue = load(&data).await;
    let read = |document: &dyn Sent| -> serde_json::Value {
        serde_json::from_slice(&document.pieces().concat()).unwrap()
    };
    assert_eq!(read(catalogue.document(Paths::Relative))["computes"], serde_json::json!({}));
    let own = catalogue.document_for(Paths::Relative, &Viewer::All).unwrap();
    assert_eq!(read(&*own)["computes"].as_object().unwrap().len(), 1);
    let none = catalogue.document_for(Paths::Relative, &Viewer::Public).unwrap();
    assert_eq!(none.pieces().concat(), catalogue.document(Paths::Relative).plain);
}

#[tokio::test]
async fn what_is_published_in_private_while_the_registry_is_rendered_is_never_rendered_for_everybody() {
    let (_directory, data) = fresh().await;
    let mut secrets = Vec::new();
    for number in 0..100 {
        let (id, content) = (format!("secret-{number}"), format!("content {number}"));
        secrets.push(publication(&data, &id, &id, &content).await);
    }
    let publishing = tokio::spawn({
        let (store, secrets) = (data.store.clone(), secrets.clone());
        async move {
            for secret in &secrets {
                store.publish(secret, &Condition::Absent, Some(true), &Actor::Hub).await.unwrap();
            }
        }
    });
    let mut is_over = false;
    while !is_over {
        is_over = publishing.is_finished();
        let catalogue = load(&data).await;
        assert_eq!(catalogue.computes().len(), 0, "{:?}", catalogue.computes());
        for secret in &secrets {
            let (name, digest) =
                (ArtifactName::Parent(secret.entry.graph_hash), secret.artifacts[0].served.sha256);
            assert_eq!(catalogue.artifact(name, Some(digest), &Viewer::Public), None, "{}", secret.id);
        }
    }
    publishing.await.unwrap();
    assert_eq!(load(&data).await.computes_for(&Viewer::All).count(), secrets.len());
}

#[tokio::test]
async fn what_has_not_changed_is_taken_from_the_catalogue_before() {
    let (_directory, data) = fresh().await;
    let describe = |mut one: Publication, description: &str| {
        one.entry.metadata.description = Some(description.to_owned());
        one
    };
    let [first, second] =
        [publication(&data, "a", "g", "one").await, publication(&data, "b", "h", "two").await];
    let mut first = describe(first, "before");
    data.store.publish_local(&first, None).await.unwrap();
    let former = load(&data).await.renderings();
    // A mark in the text of before shows whose text it is.
    let marked = former.with_text(|text| text.replace("before", "BEFORE"));
    data.store.publish_local(&describe(second, "before"), None).await.unwrap();
    let fresh = load(&data).await;
    let again = |former, base| Catalogue::load(&data.store, &*data.blobs, base, former);
    let catalogue = again(former.clone(), BASE).await.unwrap();
    assert_eq!(catalogue.document(Paths::Absolute).plain, fresh.document(Paths::Absolute).plain);
    assert_eq!(catalogue.document(Paths::Relative).plain, fresh.document(Paths::Relative).plain);
    let listed = |catalogue: &Catalogue| format!("{:?}", catalogue.computes());
    assert_eq!(listed(&catalogue), listed(&fresh));
    let descriptions = |catalogue: &Catalogue| {
        let document = read(catalogue, Paths::Absolute);
        ["a", "b"].map(|id| document.get(id).unwrap().metadata.description.clone().unwrap())
    };
    assert_eq!(descriptions(&again(marked.clone(), BASE).await.unwrap()), ["BEFORE", "before"]);
    let elsewhere = again(marked.clone(), "https://other.example").await.unwrap();
    assert_eq!(descriptions(&elsewhere), ["before", "before"]);
    first.entry.retracted = true;
    data.store.publish_local(&first, None).await.unwrap();
    let retracted = again(marked, BASE).await.unwrap();
    assert_eq!(retracted.document(Paths::Absolute).plain, load(&data).await.document(Paths::Absolute).plain);
    assert_eq!(retracted.computes().len(), 1);
}
