//! What must be true of a data directory whatever happened to the hub: the invariants that fault tests check.
//!
//! I1 to I4 are those of docs/reliability.md. Each function panics with the name of what is broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use serde_json::Value;

use crate::hub::{self, Hub};

/// I1: a file under `blobs/sha256/` has the bytes its name says. Gives their number.
pub fn blobs_have_their_bytes(data: &Path) -> usize {
    let mut count = 0;
    for file in files(&data.join("blobs/sha256")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        // Collected as garbage since it was listed, by somebody who is allowed to.
        let Ok(bytes) = fs::read(&file) else { continue };
        assert_eq!(Sha256::of(&bytes).to_string(), name, "I1: {} holds other bytes", file.display());
        assert_eq!(
            file.parent().unwrap().file_name().unwrap().to_str().unwrap(),
            &name[..2],
            "I1: misplaced"
        );
        count += 1;
    }
    count
}

/// I2 and I4: every file that the registry names is there and has the announced digest and size, and what an id stands
/// for is what its history says last. Gives the ids with the digests of their parents.
pub fn served_is_whole(hub: &Hub) -> BTreeMap<String, String> {
    let registry = hub.get("/registry.json").json();
    let mut served = BTreeMap::new();
    for (id, entry) in registry["computes"].as_object().unwrap() {
        let artifacts = &entry["artifacts"];
        let components = artifacts["scc"].as_array().into_iter().flatten();
        for file in std::iter::once(&artifacts["parent"]).chain(components) {
            let url = file["cid_or_path"].as_str().unwrap();
            let target = url.strip_prefix(&format!("http://{}", hub.address())).unwrap();
            let answer = hub.get(target);
            assert_eq!(answer.status, 200, "I2: {id}: {target}: {}", String::from_utf8_lossy(&answer.body));
            assert_eq!(file["sha256"], Sha256::of(&answer.body).to_string(), "I2: {id}: {target}");
            assert_eq!(file["size_bytes"], answer.body.len(), "I2: {id}: {target}");
        }
        let history = hub.get(&format!("/v1/computes/{id}/revisions?limit=1")).json();
        let latest = &history["revisions"][0]["entry"];
        assert_eq!(latest["graph_hash"], entry["graph_hash"], "I4: {id} changed without a revision");
        served.insert(id.clone(), artifacts["parent"]["sha256"].as_str().unwrap().to_owned());
    }
    served
}

/// After a restart nothing unfinished is left of those that died: below `tmp/` there are only locks, and what the hub
/// itself is writing at this moment.
pub fn nothing_is_left_unfinished(hub: &Hub, data: &Path) {
    let own = format!("{}-", hub.process_id());
    let is_left = |file: &PathBuf| {
        let directory = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        !file.ends_with("lock") && !directory.starts_with(&own)
    };
    let left: Vec<_> = files(&data.join("tmp")).into_iter().filter(is_left).collect();
    assert!(left.is_empty(), "unfinished files were not swept: {left:?}");
}

/// I9: the lines of the audit log are chained without a gap.
pub fn audit_is_whole(data: &Path) {
    let verified = hub::run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// All of the above, on a hub that has just been restarted.
pub fn everything_holds(hub: &Hub, data: &Path) -> BTreeMap<String, String> {
    blobs_have_their_bytes(data);
    nothing_is_left_unfinished(hub, data);
    audit_is_whole(data);
    assert_eq!(files(&data.join("quarantine")), Vec::<PathBuf>::new(), "I1: something was found rotten");
    served_is_whole(hub)
}

/// Everything below a directory, with sizes and digests of files and targets of links: two of these are equal when
/// nothing was changed.
pub fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let what = if kind.is_symlink() {
                fs::read_link(&path).unwrap().to_str().unwrap().into()
            } else if kind.is_dir() {
                open.push(path.clone());
                Value::Null
            } else {
                Sha256::of(&fs::read(&path).unwrap()).to_string().into()
            };
            found.insert(path, what);
        }
    }
    found
}

/// Every file below a directory; none where there is no directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
