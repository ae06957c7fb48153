//! What a loss of power would leave: the order of writes, syncs and names before something is acknowledged.
//!
//! No power is lost here. A file that was synced before it got its name, in a directory that was synced after that, is there
//! with its bytes whatever happens then; so is a transaction whose log was synced.

use std::path::Path;

use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::hub::Hub;
use phasic_hub_tests::registry::kingman;
use serde_json::json;

use super::failing::Calls;
use super::passes::Versions;
use super::{SETTINGS, kill};

type Line = [String; 3];

fn is(line: &Line, what: &str, path: &Path) -> bool {
    line[0] == what && Path::new(&line[1]) == path
}

/// Every file that has got its name by now was synced behind its last write, and its directory after that.
fn names_are_on_disk(lines: &[Line], blobs: &Path) -> usize {
    let named = |line: &Line| {
        matches!(&*line[0], "link" | "linkat" | "rename") && Path::new(&line[2]).starts_with(blobs)
    };
    let mut count = 0;
    for (at, [_, from, to]) in lines.iter().enumerate().filter(|(_, line)| named(line)) {
        let of_file = |what| lines[..at].iter().rposition(|line| is(line, what, Path::new(from)));
        let (written, synced) = (of_file("write"), of_file("sync"));
        assert!(synced.is_some() && synced > written, "{to} got its name before its bytes were synced");
        let directory = Path::new(to).parent().unwrap();
        let is_synced = lines[at..].iter().any(|line| is(line, "sync", directory));
        assert!(is_synced, "the directory of {to} was not synced before it was acknowledged");
        count += 1;
    }
    for (at, [_, made, _]) in lines.iter().enumerate().filter(|(_, line)| line[0] == "mkdir") {
        let parent = Path::new(made).parent().unwrap();
        let is_synced = parent != blobs || lines[at..].iter().any(|line| is(line, "sync", parent));
        assert!(is_synced, "{made} was not synced where it was made");
    }
    count
}

/// Uploads, a result, a pass and a token are on disk when the hub says they are.
pub(crate) fn what_is_acknowledged_is_on_disk() {
    let (data, versions, calls) = (tempfile::tempdir().unwrap(), Versions::new(), Calls::new());
    let upstreams = format!(r#"[{{name = "lab", url = "{}", enabled = false}}]"#, versions.path());
    let settings = [SETTINGS, &[("mirror_upstreams", upstreams.as_str())]].concat();
    let wrapper = [&calls.wrapper(data.path())[..], &[calls.noting()]].concat();
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let hub = Hub::start_within(&wrapper, data.path(), &[], &settings);
    let admin = token(data.path(), &["--scope", "admin", "--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&admin) };
    let (blobs, log) = (data.path().join("blobs/sha256"), data.path().join("hub.db-wal"));
    let wait = [("Prefer", "wait=25")];
    let parted = b"in two pieces".repeat(1000);
    let path = format!("/v1/blobs/sha256/{}", phasic_hub_api::Sha256::of(&parted));
    let part = |from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{}", to - 1, parted.len());
        client.send("PUT", &path, &[("Content-Range", &range)], &parted[from..to])
    };
    let model = json!({"model": {"builtin": "kingman", "constants": {"n": 33}}}).to_string();
    let published = json!({"graph": kingman(33).hash, "metadata": {"description": "33"}});
    let brief = json!({"name": "brief", "scopes": ["read"], "expires_in_seconds": 3600});
    let deeds: [(&str, &dyn Fn() -> u16, usize); 6] = [
        ("upload", &|| client.upload(b"in one piece").status, 1),
        ("upload in parts", &|| part(0, 6000).status.max(part(6000, parted.len()).status), 1),
        ("result", &|| client.send("POST", "/v1/eliminations", &wait, model.as_bytes()).status, 1),
        ("publication", &|| client.json("PUT", "/v1/computes/mine", &published).status, 0),
        ("pass", &|| client.send("POST", "/v1/mirror/sync", &wait, b"{\"upstreams\": [\"lab\"]}").status, 7),
        ("token", &|| client.json("POST", "/v1/tokens", &brief).status, 0),
    ];
    for (what, done, files) in deeds {
        let before = calls.noted().len();
        let status = done();
        let lines = calls.noted();
        assert!(matches!(status, 200..=202), "{what}: {status}");
        let new = &lines[before..];
        let written = new.iter().position(|line| is(line, "write", &log));
        let written = written.unwrap_or_else(|| panic!("{what}: nothing was written to the database"));
        let is_synced = new[written..].iter().any(|line| is(line, "sync", &log));
        assert!(is_synced, "{what}: the log of its transaction was not synced");
        let named = names_are_on_disk(&lines, &blobs) - names_are_on_disk(&lines[..before], &blobs);
        assert!(named >= files, "{what}: {named} files got their names");
    }
    kill(hub);
}
