use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use phasic_engine::trace::{Limits, eliminate};
use phasic_hub_api::ModelSource;

use super::{defined, eliminating, ptdprmc3};
use crate::admission::Admission;
use crate::blobs::{Terms, in_memory};
use crate::config::{self, Config};
use crate::hub::{DataDirectory, Hub};
use crate::models::{Named, identify, identify_watched, named};
use crate::reference;
use crate::registry::Former;
use crate::store::tests::publication;
use crate::store::{Actor, GraphRow};
use crate::visibility::Audience;
use crate::workers::Workers;

#[tokio::test]
async fn a_lost_file_is_made_again_once_there_is_memory_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let hub = Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap());
    let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
    reference::publish(Arc::clone(&hub), admission.clone()).await;
    let row = hub.data.store.computes().await.unwrap().remove(0);
    let name = row.artifacts[0].served.sha256;
    let digits = name.to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let config = Config { offline: true, ..Config::default() };
    let bad = BTreeSet::from([name]);
    let jobs = admission.take_free().unwrap();
    let mut healing = std::pin::pin!(eliminating(&hub.data, &config, &admission, &bad));
    let waiting = tokio::time::timeout(Duration::from_millis(300), &mut healing).await;
    assert!(waiting.is_err() && !path.exists(), "jobs have all the memory");
    drop(jobs);
    assert_eq!(healing.await.unwrap(), bad);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn what_a_name_stood_for_formerly_is_made_again_within_the_time_a_job_may_take() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(directory.path()).await.unwrap();
    let source: ModelSource =
        serde_json::from_str(r#"{"builtin": "rabbits", "constants": {"n": 30}}"#).unwrap();
    let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
    let graph = recipe.build(&config::Models::default()).unwrap();
    let bytes = ptdprmc3(&eliminate(&graph, &Limits::default(), &mut ()).unwrap()).unwrap();
    let put = async |bytes: Vec<u8>| {
        let terms = Terms { max_bytes: 1 << 30, sha256: None };
        data.blobs.put(in_memory(bytes), terms).await.unwrap()
    };
    let text = put(recipe.to_json().unwrap().into_bytes()).await;
    let row = GraphRow { identity: identify(&graph), recipe: text };
    data.store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
    let blob = put(bytes).await;
    let mut first = publication("mine", "");
    let graph_hash = row.identity.graph_hash;
    first.entry.graph_hash = graph_hash;
    first.entry.artifacts.parent.sha256 = blob.sha256;
    let file = &mut first.artifacts[0];
    (file.graph_hash, file.original, file.served) = (graph_hash, blob, blob);
    for version in [first, publication("mine", "other")] {
        data.store.publish_local(&version, None).await.unwrap();
    }
    let digits = blob.sha256.to_string();
    let path = directory.path().join("blobs/sha256").join(&digits[..2]).join(&digits);
    std::fs::remove_file(&path).unwrap();
    let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
    let bad = BTreeSet::from([blob.sha256]);
    let mut config = Config { offline: true, ..Config::default() };
    let usual = config.compute.job_timeout_ms;
    config.compute.job_timeout_ms = 1.try_into().unwrap();
    assert_eq!(eliminating(&data, &config, &admission, &bad).await.unwrap(), BTreeSet::new());
    config.compute.job_timeout_ms = usual;
    assert_eq!(eliminating(&data, &config, &admission, &bad).await.unwrap(), bad);
    assert!(path.exists());
}

#[test]
fn a_graph_nobody_waits_for_is_neither_built_nor_named_to_the_end() {
    let source: ModelSource =
        serde_json::from_str(r#"{"builtin": "mm1k", "constants": {"capacity": 20000}}"#).unwrap();
    let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
    let models = config::Models::default();
    let (mut building, mut naming, mut asked) = (0, 0, 0);
    let count = |count: &mut u32| {
        *count += 1;
        ControlFlow::<()>::Continue(())
    };
    let graph = recipe.build_watched(&models, &mut || count(&mut building)).unwrap();
    assert!(identify_watched(&graph, &mut || count(&mut naming)).is_continue());
    let (_, identity) = defined(&recipe, &models, &mut || count(&mut asked)).unwrap();
    assert_eq!(identity, identify(&graph));
    assert!(building > 0 && naming > 9 && asked == building + naming, "{building} {naming} {asked}");
    for most in [0, building - 1, building, building + naming / 2, asked - 1] {
        let mut looks = 0;
        let stopped = defined(&recipe, &models, &mut || {
            looks += 1;
            if looks > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(stopped.is_none() && looks == most + 1, "of {asked}: {looks} looks where {most} went on");
    }
}
