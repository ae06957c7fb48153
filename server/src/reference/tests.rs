use std::sync::Arc;
use std::time::Duration;

use phasic_engine::artifact::{Checks, Format, decode};
use phasic_engine::graph::GraphLimits;
use phasic_engine::reference::{ReferenceCompute, computes};
use phasic_hub_api::Sha256;
use phasic_hub_api::health::Finding;
use phasic_hub_api::jobs::Variant;
use phasic_hub_api::verification::Verdict;

use super::{announce, choose, definition, maintain, make, publish};
use crate::admission::Admission;
use crate::hub::{DataDirectory, Hub};
use crate::registry::Former;
use crate::registry::Paths;
use crate::store::tests::found;
use crate::store::{Actor, Condition};
use crate::workers::Workers;

pub(super) const MEMORY_BYTES: u64 = 1 << 30;

pub(super) fn admission(memory_bytes: u64) -> Admission {
    Admission::new(Workers::new("test", 1).unwrap(), memory_bytes)
}

pub(super) async fn hub(directory: &tempfile::TempDir) -> Arc<Hub> {
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let hub = Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap());
    announce(&hub);
    hub
}

#[tokio::test]
async fn a_hub_publishes_every_reference_compute_and_is_ready_then() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    assert_eq!(hub.readiness.reasons().len(), 1);
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    assert_eq!(hub.readiness.reasons(), []);
    let listed: Vec<_> = hub.catalogue().computes().iter().map(|compute| compute.id.to_string()).collect();
    let expected: Vec<_> = computes().iter().map(|compute| compute.id).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_later_start_eliminates_only_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let first = hub(&directory).await;
    publish(Arc::clone(&first), admission(MEMORY_BYTES)).await;
    let document = first.catalogue().document(Paths::Absolute).plain.clone();
    let lost = make(&computes()[2], Variant::Phasic, MEMORY_BYTES).unwrap().artifact;
    let digits = Sha256::of(&lost).to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    std::fs::remove_file(&path).unwrap();
    drop(first);
    let again = hub(&directory).await;
    assert_eq!(again.catalogue().computes().len(), computes().len() - 1, "what lost its file is withheld");
    // With no memory allowed only the one that is missing cannot be made.
    publish(Arc::clone(&again), admission(0)).await;
    assert_eq!(again.readiness.without(), ["coal_n20_theta1"]);
    publish(Arc::clone(&again), admission(MEMORY_BYTES)).await;
    assert_eq!((again.readiness.reasons(), again.readiness.without()), (vec![], vec![]));
    assert_eq!(std::fs::read(&path).unwrap(), lost);
    assert_eq!(again.catalogue().document(Paths::Absolute).plain, document);
}

/// Waits for something to become true, and not for ever.
async fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn a_running_hub_makes_anew_what_it_loses_and_is_not_ready_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    let lost = make(&computes()[2], Variant::Phasic, MEMORY_BYTES).unwrap().artifact;
    let sha256 = Sha256::of(&lost);
    let digits = sha256.to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    let admission = admission(MEMORY_BYTES);
    let (tell, tried) = tokio::sync::watch::channel(false);
    let keeper = tokio::spawn(maintain(Arc::clone(&hub), admission.clone(), tell));
    wait_until("all were tried", || *tried.borrow()).await;
    wait_until("ready", || hub.readiness.reasons().is_empty()).await;
    // As long as others have the memory nothing can be made, and the hub stays as unready as it is.
    let taken = admission.take(MEMORY_BYTES).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let before = *hub.renderings().borrow();
    for _ in 0..3 {
        hub.withdraw(sha256).await.unwrap();
    }
    assert_eq!(*hub.renderings().borrow(), before + 1, "rendered once, however often it is missed");
    let is_named = |reason: &Finding| reason.detail.contains("coal_n20_theta1");
    wait_until("not ready", || hub.readiness.reasons().iter().any(is_named)).await;
    assert_eq!(hub.catalogue().withheld().len(), 1);
    drop(taken);
    wait_until("made anew", || hub.catalogue().withheld().is_empty()).await;
    wait_until("ready again", || hub.readiness.reasons().is_empty()).await;
    assert!(!hub.catalogue().is_lost(sha256));
    assert_eq!(std::fs::read(&path).unwrap(), lost);
    keeper.abort();
}

#[tokio::test]
async fn a_file_that_is_found_wrong_though_it_is_made_anew_is_left_alone_then() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    let (tell, tried) = tokio::sync::watch::channel(false);
    let keeper = tokio::spawn(maintain(Arc::clone(&hub), admission(MEMORY_BYTES), tell));
    wait_until("all were tried", || *tried.borrow()).await;
    let made = make(&computes()[0], Variant::Phasic, MEMORY_BYTES).unwrap();
    let wrong = found(made.graph_hash, Sha256::of(&made.artifact), Verdict::Mismatch);
    hub.data.store.put_verification(&wrong).await.unwrap();
    hub.refresh().await.unwrap();
    assert_eq!(hub.catalogue().withheld().len(), 1);
    let mut renderings = hub.renderings();
    let rest = async |renderings: &mut tokio::sync::watch::Receiver<u64>| {
        for _ in 0..10 {
            if tokio::time::timeout(Duration::from_secs(1), renderings.changed()).await.is_err() {
                return;
            }
        }
        panic!("it is made again and again");
    };
    rest(&mut renderings).await;
    assert_eq!(hub.catalogue().withheld().len(), 1, "it is as wrong as it was");
    // A file that is lost is made anew all the same.
    let lost = make(&computes()[2], Variant::Phasic, MEMORY_BYTES).unwrap().artifact;
    let digits = Sha256::of(&lost).to_string();
    std::fs::remove_file(directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits)).unwrap();
    hub.withdraw(Sha256::of(&lost)).await.unwrap();
    wait_until("made anew", || hub.catalogue().withheld().len() == 1).await;
    rest(&mut renderings).await;
    keeper.abort();
}

#[tokio::test]
async fn what_cannot_be_written_and_what_is_wrong_beside_it_are_no_work_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    let made = [0, 1, 2].map(|place| make(&computes()[place], Variant::Phasic, MEMORY_BYTES).unwrap());
    let [wrong, unwritable, lost] = made.map(|made| (made.graph_hash, Sha256::of(&made.artifact)));
    let folder = |sha256: Sha256| directory.path().join("blobs/sha256").join(&sha256.to_string()[..2]);
    let file = |sha256: Sha256| folder(sha256).join(sha256.to_string());
    // One is found wrong, and of another the file is lost and a file is in the way of its folder.
    let verdict = found(wrong.0, wrong.1, Verdict::Mismatch);
    hub.data.store.put_verification(&verdict).await.unwrap();
    std::fs::rename(folder(unwritable.1), directory.path().join("aside")).unwrap();
    std::fs::write(folder(unwritable.1), "in the way").unwrap();
    hub.refresh().await.unwrap();
    assert_eq!(hub.catalogue().withheld().len(), 2);
    let (tell, tried) = tokio::sync::watch::channel(false);
    let keeper = tokio::spawn(maintain(Arc::clone(&hub), admission(MEMORY_BYTES), tell));
    wait_until("all were tried", || *tried.borrow()).await;
    let before = *hub.renderings().borrow();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*hub.renderings().borrow(), before, "what is wrong is made once");
    let named = |id: &str| hub.readiness.reasons().iter().any(|reason| reason.detail.contains(id));
    assert!(named(computes()[1].id) && !named(computes()[0].id), "{:?}", hub.readiness.reasons());
    // The others are cared for meanwhile.
    std::fs::remove_file(file(lost.1)).unwrap();
    hub.withdraw(lost.1).await.unwrap();
    wait_until("made anew", || file(lost.1).exists() && hub.catalogue().withheld().len() == 2).await;
    // And it is made as soon as its folder is there, though nothing else changes.
    std::fs::remove_file(folder(unwritable.1)).unwrap();
    std::fs::create_dir(folder(unwritable.1)).unwrap();
    wait_until("written", || file(unwritable.1).exists() && hub.readiness.reasons().is_empty()).await;
    assert_eq!(hub.catalogue().withheld().len(), 1, "it is as wrong as it was");
    keeper.abort();
}

/// The compute whose program by phasic takes the most memory, and how much.
fn largest() -> (&'static ReferenceCompute, u64) {
    let needed = |compute| (compute, choose(compute, MEMORY_BYTES).unwrap().unwrap().1);
    computes().iter().map(needed).max_by_key(|&(_, bytes)| bytes).unwrap()
}

/// The entry of a compute as it is served.
fn entry(hub: &Hub, id: &str) -> serde_json::Value {
    let document = hub.catalogue().document(Paths::Absolute).plain.clone();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    document["computes"][id].clone()
}

#[tokio::test]
async fn where_phasics_program_is_too_large_ours_is_served_and_says_so_until_there_is_memory() {
    let (compute, needed) = largest();
    let directory = tempfile::tempdir().unwrap();
    let first = hub(&directory).await;
    publish(Arc::clone(&first), admission(needed - 1)).await;
    assert_eq!((first.readiness.reasons(), first.readiness.without()), (vec![], vec![]));
    let ours = make(compute, Variant::Fast, MEMORY_BYTES).unwrap().artifact;
    let served = entry(&first, compute.id);
    let digest = Sha256::of(&ours).to_string();
    assert_eq!(served["artifacts"]["parent"]["sha256"], digest);
    let note = serde_json::json!({"variant": "fast", "variant_reason": "too_large"});
    assert_eq!(served["metadata"]["hub"], note);
    let graph = compute.build(&GraphLimits::default()).unwrap();
    let checks = Checks { graph: Some(&graph), ..Checks::default() };
    assert!(decode(&ours, &checks).is_ok());
    // Nothing is made again while nothing has changed, and phasic's own as soon as it can be.
    let renderings = *first.renderings().borrow();
    publish(Arc::clone(&first), admission(needed - 1)).await;
    assert_eq!(*first.renderings().borrow(), renderings);
    for memory_bytes in [needed, needed - 1] {
        publish(Arc::clone(&first), admission(memory_bytes)).await;
        let served = entry(&first, compute.id);
        let phasics = make(compute, Variant::Phasic, MEMORY_BYTES).unwrap().artifact;
        let digest = Sha256::of(&phasics).to_string();
        assert_eq!(
            (&served["artifacts"]["parent"]["sha256"], &served["metadata"]["hub"]),
            (&digest.into(), &serde_json::Value::Null)
        );
    }
}

#[tokio::test]
async fn a_hub_does_without_what_its_settings_leave_no_memory_for_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    publish(Arc::clone(&hub), admission(1 << 14)).await;
    assert_eq!(hub.readiness.reasons(), []);
    let (without, all) = (hub.readiness.without(), computes().len());
    assert!(without.contains(&largest().0.id) && without.len() < all, "{without:?}");
    assert_eq!(hub.catalogue().computes().len(), all - without.len());
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    assert_eq!((hub.readiness.without(), hub.catalogue().computes().len()), (vec![], all));
}

#[tokio::test]
async fn what_people_publish_under_the_id_of_a_reference_or_take_back_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory).await;
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    let ids = [0, 1].map(|place| computes()[place].id.parse().unwrap());
    let reason = Some("wrong rates");
    hub.data.store.retract(&ids[0], true, reason, &Actor::Operator).await.unwrap();
    let row = hub.data.store.computes().await.unwrap().into_iter().find(|row| row.id == ids[1]).unwrap();
    let mut theirs = row.publication().unwrap();
    theirs.entry.metadata.description = Some("ours is better".to_owned());
    hub.data.store.publish(&theirs, &Condition::Present, None, &Actor::Operator).await.unwrap();
    let entries = async || -> Vec<String> {
        let rows = hub.data.store.computes().await.unwrap();
        rows.into_iter().filter(|row| ids.contains(&row.id)).map(|row| row.entry).collect()
    };
    let before = entries().await;
    // Their files are lost, and by another release their definitions are other ones.
    for file in row.artifacts.iter().map(|file| file.served.sha256.to_string()) {
        std::fs::remove_file(directory.path().join("blobs/sha256").join(&file[..2]).join(&file)).unwrap();
    }
    hub.refresh().await.unwrap();
    assert_eq!(hub.catalogue().withheld().len(), 1);
    publish(Arc::clone(&hub), admission(MEMORY_BYTES)).await;
    assert_eq!(entries().await, before);
    assert_eq!(hub.readiness.reasons(), []);
}

#[test]
fn what_is_made_passes_every_check_of_a_loader() {
    for compute in computes() {
        let made = make(compute, Variant::Phasic, MEMORY_BYTES).unwrap();
        let graph = compute.build(&GraphLimits::default()).unwrap();
        let checks = Checks { graph: Some(&graph), hash: Some(made.graph_hash), ..Checks::default() };
        assert_eq!(decode(&made.artifact, &checks).unwrap().format, Format::Ptdprmc3, "{}", compute.id);
    }
}

#[test]
fn definitions_tell_the_computes_apart() {
    let mut digests: Vec<_> =
        computes().iter().map(|compute| definition(compute, Variant::Phasic).unwrap()).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), computes().len());
}
