//! Passes that are cut off, over a directory.

use std::fs;
use std::path::Path;

use phasic_engine::artifact::encode_ptdprmc3;
use phasic_engine::graph::GraphLimits;
use phasic_engine::trace::{Limits, eliminate};
use phasic_hub_api::Sha256;
use serde_json::{Map, Value, json};

use super::{Errand, Permissions, run};
use crate::config::{Config, Flags};
use crate::hub::DataDirectory;
use crate::store::Actor;

/// A registry with entries in this order, all good, but for the files that are `lost`.
fn registry(directory: &Path, ids: &[&str], lost: &[&str]) {
    fs::create_dir(directory.join("artifacts")).unwrap();
    let mut computes = Map::new();
    for (samples, id) in (4_i64..).zip(ids) {
        let document = phasic_engine::model::find("kingman").unwrap().read().unwrap();
        let document = document.with_constant("n", samples).unwrap();
        let graph = document.build(&GraphLimits::default()).unwrap();
        let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
        let mut bytes = Vec::new();
        encode_ptdprmc3(&trace, &mut bytes).unwrap();
        let place = format!("artifacts/{}.bin", graph.content_hash());
        let parent = json!({"cid_or_path": place, "sha256": Sha256::of(&bytes).to_string(), "size_bytes": bytes.len()});
        let entry = json!({
            "graph_hash": graph.content_hash().to_string(), "format_revision": 3,
            "artifacts": {"parent": parent, "scc": []},
            "metadata": {"description": "made for a test", "author": "nobody", "license": "MIT"},
        });
        computes.insert((*id).to_owned(), entry);
        if !lost.contains(id) {
            fs::write(directory.join(place), bytes).unwrap();
        }
    }
    let document: Value = json!({"version": "2.0", "format": "ptd_pcg", "computes": computes});
    fs::write(directory.join("registry.json"), document.to_string()).unwrap();
}

/// What so many passes have mirrored in the end, each of which has no time for more than one file.
async fn mirrored(passes: usize, is_enabled: bool, lost: &[&str]) -> Vec<String> {
    let (upstream, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    registry(upstream.path(), &["a", "b", "c", "d"], lost);
    let upstreams =
        format!("[{{name = \"dir\", url = \"{}\", enabled = {is_enabled}}}]", upstream.path().display());
    let environment = [
        ("PHASIC_HUB_MIRROR_UPSTREAMS".to_owned(), upstreams),
        ("PHASIC_HUB_MIRROR_PASS_TIMEOUT_MS".to_owned(), "1".to_owned()),
    ];
    let config = Config::load(&Flags::default(), environment).unwrap();
    let config = Config { data_dir: own.path().to_owned(), ..config };
    let data = DataDirectory::open(own.path()).await.unwrap();
    let errand = Errand::configured(&config.mirror, "dir", Permissions::default(), Actor::Operator).unwrap();
    for _ in 0..passes {
        run(&data, &config, &errand).await.unwrap().result.unwrap();
    }
    data.store.computes().await.unwrap().iter().map(|row| row.id.to_string()).collect()
}

#[tokio::test]
async fn a_pass_begins_where_the_last_one_was_cut_off_so_that_nothing_is_behind_bad_files_for_ever() {
    let mut seen = Vec::new();
    for passes in 1..=4 {
        seen.push(mirrored(passes, true, &["a", "c"]).await.concat());
    }
    assert_eq!(seen, ["", "b", "b", "bd"]);
    assert_eq!(mirrored(4, true, &[]).await.concat(), "abcd", "in the order of the document");
}

#[tokio::test]
async fn a_pass_that_nobody_but_the_operator_asks_for_is_not_cut_off() {
    assert_eq!(mirrored(1, false, &["a"]).await.concat(), "bcd");
}
