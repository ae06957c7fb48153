//! What must be true of a data directory whatever happened to the hub: the invariants that fault tests check.
//!
//! They are those of docs/reliability.md. Each function panics with the name of what is broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use phasic_hub_api::Sha256;
use serde_json::Value;

use crate::hub::{self, Hub};
use crate::{blobs, database};

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

/// I3: every file the database has taken note of is there, whoever refers to it.
pub fn rows_have_their_files(data: &Path) {
    for digest in database::texts(data, "SELECT lower(hex(sha256)) FROM blobs") {
        assert!(blobs::path(data, &digest).exists(), "I3: {digest} is lost");
    }
}

/// I2: every file that the registry names is there and has the announced digest and size. Gives the ids with the digests
/// of their parents.
pub fn served_is_whole(hub: &Hub) -> BTreeMap<String, String> {
    let served = served(hub).into_iter();
    served.map(|(id, files)| (id, files.into_iter().next().unwrap())).collect()
}

/// The digests of the files each id stands for, the parent first; all of them are asked for.
fn served(hub: &Hub) -> BTreeMap<String, Vec<String>> {
    let registry = hub.get("/registry.json").json();
    let computes = registry["computes"].as_object().unwrap();
    let whole = computes.iter().filter_map(|(id, entry)| Some((id.clone(), files_of(hub, id, entry)?)));
    whole.collect()
}

/// The digests of the files of one entry; `None` for one of nobody's name that was collected since it was listed.
fn files_of(hub: &Hub, id: &str, entry: &Value) -> Option<Vec<String>> {
    let artifacts = &entry["artifacts"];
    let components = artifacts["scc"].as_array().into_iter().flatten();
    let mut digests = Vec::new();
    for file in std::iter::once(&artifacts["parent"]).chain(components) {
        let url = file["cid_or_path"].as_str().unwrap();
        let target = url.strip_prefix(&format!("http://{}", hub.address())).unwrap();
        let answer = hub.get(target);
        if answer.status == 404 && has_gone(hub, id) {
            return None;
        }
        assert_eq!(answer.status, 200, "I2: {id}: {target}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(file["sha256"], Sha256::of(&answer.body).to_string(), "I2: {id}: {target}");
        assert_eq!(file["size_bytes"], answer.body.len(), "I2: {id}: {target}");
        digests.push(file["sha256"].as_str().unwrap().to_owned());
    }
    Some(digests)
}

/// Whether a name that nobody gave is listed no more: such a name goes with what it stood for, while others look.
fn has_gone(hub: &Hub, id: &str) -> bool {
    id.starts_with("computed-") && hub.get("/registry.json").json()["computes"].get(id).is_none()
}

/// What ids have stood for, from one look to the next.
#[derive(Default)]
pub struct Names(BTreeMap<String, (u64, Vec<String>)>);

impl Names {
    /// I4: an id that stands for other files than at the last look has a new revision. Gives the ids with the digests of
    /// their parents.
    pub fn change_by_revision(&mut self, hub: &Hub) -> BTreeMap<String, String> {
        let served = served(hub);
        for (id, digests) in &served {
            let history = hub.get(&format!("/v1/computes/{id}/revisions?limit=1")).json();
            let Some(number) = history["revisions"][0]["number"].as_u64() else {
                assert!(has_gone(hub, id), "I4: {id} has no history");
                continue;
            };
            let before = self.0.insert(id.clone(), (number, digests.clone()));
            let Some((last, former)) = before.filter(|(_, former)| former != digests) else { continue };
            assert!(
                number > last,
                "I4: {id} stood for {former:?} and stands for {digests:?}, without a revision"
            );
        }
        served.into_iter().map(|(id, files)| (id, files.into_iter().next().unwrap())).collect()
    }

    /// All of the above, on a hub that has just been restarted.
    pub fn everything_holds(&mut self, hub: &Hub, data: &Path) -> BTreeMap<String, String> {
        everything_holds(hub, data);
        self.change_by_revision(hub)
    }
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

/// I1 to I3 and I9, on a hub that has just been restarted.
pub fn everything_holds(hub: &Hub, data: &Path) -> BTreeMap<String, String> {
    blobs_have_their_bytes(data);
    rows_have_their_files(data);
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
