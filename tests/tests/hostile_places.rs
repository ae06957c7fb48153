//! Strings that lead away from where a hub may go, in the network and on the disk, against the real hub.
//!
//! The corpora are data (`tests/corpora`). Listeners that nobody may connect to, and a picture of the directory tree
//! before and after, are the witnesses.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use phasic_hub_tests::chaos::{ChaosLink, Fault};
use phasic_hub_tests::http;
use phasic_hub_tests::hub::{Hub, run, sync};
use phasic_hub_tests::oracle;
use phasic_hub_tests::registry::{document, entry, file, kingman};
use phasic_hub_tests::upstream::{Reply, Upstream};
use serde_json::Value;

fn corpus(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn strings(name: &str) -> Vec<String> {
    let groups = corpus(name);
    let all = groups.iter().flat_map(|group| group["strings"].as_array().unwrap());
    all.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Listeners that must not be connected to: at the port of the upstream on other addresses of this machine, and at
/// another port.
struct Canaries(Vec<TcpListener>);

impl Canaries {
    fn at(port: u16) -> Self {
        let silent = |address: (&str, u16)| {
            let listener = TcpListener::bind(address).ok()?;
            listener.set_nonblocking(true).unwrap();
            Some(listener)
        };
        let places = [("127.0.0.2", port), ("127.1.2.3", port), ("::1", port), ("127.0.0.1", 0)];
        Self(places.into_iter().filter_map(silent).collect())
    }

    fn port(&self) -> u16 {
        self.0.last().unwrap().local_addr().unwrap().port()
    }

    fn assert_untouched(&self) {
        for canary in &self.0 {
            assert!(canary.accept().is_err(), "somebody was led to {canary:?}");
        }
    }
}

/// The strings of the corpus that do not, with an upstream at 127.0.0.1, name the upstream itself.
fn places(link: &ChaosLink, canaries: &Canaries) -> Vec<String> {
    let home = link.url("").trim_start_matches("http://").to_owned();
    let port = home.rsplit(':').next().unwrap().to_owned();
    let fill = |text: String| {
        let text = text.replace("{home}", &home).replace("{canary}", &canaries.port().to_string());
        // What is written 127.0.0.1 in the corpus is the upstream here: its neighbour is as forbidden.
        text.replace("{port}", &port)
    };
    strings("ssrf.json").into_iter().map(fill).collect()
}

#[test]
fn no_redirect_and_no_location_of_the_corpus_reaches_anybody() {
    let upstream = Upstream::start();
    let link = ChaosLink::before(upstream.address(), Box::new(|_, _| Fault::None));
    let port: u16 = link.url("").rsplit(':').next().unwrap().parse().unwrap();
    let canaries = Canaries::at(port);
    let places = places(&link, &canaries);
    assert!(places.len() >= 250, "the corpus has {} strings", places.len());
    let model = kingman(5);
    let bytes = &model.ptdprmc3;

    // First as redirects of files that lie where they should, then as locations of entries.
    let redirected = |number: usize| format!("artifacts/r{number}.bin");
    let entries = |location: &dyn Fn(usize) -> String| {
        let ids: Vec<_> = (0..places.len()).map(|number| format!("r{number}")).collect();
        let entries: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(number, id)| {
                let mut entry = entry(&model, bytes);
                entry["artifacts"]["parent"] = file(&location(number), bytes);
                (id.as_str(), entry)
            })
            .collect();
        document(&entries)
    };
    let answers = places.clone();
    link.set(Box::new(move |path, _| {
        let number = path.strip_prefix("/artifacts/r").and_then(|rest| rest.strip_suffix(".bin"));
        let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else { return Fault::None };
        let head = format!("HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: {}\r\n\r\n", answers[number]);
        Fault::Instead(head.into_bytes())
    }));
    let data = tempfile::tempdir().unwrap();
    for (what, document) in
        [("redirects", entries(&redirected)), ("locations", entries(&|at| places[at].clone()))]
    {
        upstream.set("/registry.json", Reply::ok(document));
        let output = sync(data.path(), &link.url("/"), &[]);
        let report = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(report.contains(&format!("{} entries, 0 mirrored", places.len())), "{what}: {report}");
        canaries.assert_untouched();
    }
    // Whoever named 127.0.0.1 and the upstream's own port has only found the upstream, which does not know the path.
    let strange: Vec<_> = link
        .asked()
        .into_iter()
        .filter(|path| path != "/registry.json" && !path.starts_with("/artifacts/r") && path != "/x")
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Every string of the corpus in every place of a request or an entry where a name is expected.
#[test]
fn no_name_of_the_corpus_reaches_a_file_outside() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "the secret of this machine").unwrap();
    let data = directory.path().join("hub-data");
    let hub = Hub::start_with(&data, &[], &[("access_anonymous", "compute"), ("rate_per_second", "0")]);
    let token =
        run(&["token", "create", "--name", "t", "--scope", "admin", "--data", data.to_str().unwrap()]);
    let token = format!("Bearer {}", String::from_utf8(token.stdout).unwrap().trim());
    #[cfg(unix)]
    plant_links(&data, &outside);
    let names = strings("traversal.json");
    assert!(names.len() >= 250, "the corpus has {} strings", names.len());
    let before = oracle::snapshot(&outside);
    let top = listing(directory.path());
    let mut answers = 0;
    for name in &names {
        // What no request line can carry goes percent-encoded.
        let wire: String = name.bytes().map(wire).collect();
        for target in targets(&wire) {
            for (method, body) in [("GET", &b""[..]), ("DELETE", b""), ("PUT", b"x"), ("POST", b"{}")] {
                if method != "GET" && !target.starts_with("/v1/") {
                    continue;
                }
                let headers = [("Authorization", token.as_str())];
                let answer = http::send(hub.address(), method, &target, &headers, body);
                answers += 1;
                assert!(answer.status < 500, "{method} {target:?}: {} {}", answer.status, answer.text());
                let told = String::from_utf8_lossy(&answer.body);
                assert!(!told.contains("the secret of this machine"), "{method} {target:?}");
                assert!(!told.contains("root:x:"), "{method} {target:?}");
            }
        }
    }
    assert!(answers > 250);
    assert_eq!(oracle::snapshot(&outside), before, "a file outside was made, changed or removed");
    assert_eq!(listing(directory.path()), top);
    oracle::served_is_whole(&hub);
}

#[test]
fn no_entry_of_the_corpus_reaches_a_file_outside() {
    let directory = tempfile::tempdir().unwrap();
    let (checkout, outside) = (directory.path().join("checkout"), directory.path().join("outside"));
    fs::create_dir_all(checkout.join("artifacts")).unwrap();
    fs::create_dir(&outside).unwrap();
    let model = kingman(5);
    fs::write(outside.join("secret"), &model.ptdprmc3).unwrap();
    fs::write(directory.path().join("secret"), &model.ptdprmc3).unwrap();
    let data = directory.path().join("hub-data");
    let names = strings("traversal.json");
    let place = |name: &String| [name.clone(), format!("artifacts/{name}"), format!("{name}/secret")];
    let locations: Vec<_> = names.iter().flat_map(place).collect();
    let ids: Vec<_> = (0..locations.len()).map(|number| format!("e{number}")).collect();
    let mut entries: Vec<_> = ids
        .iter()
        .zip(&locations)
        .map(|(id, location)| {
            let mut entry = entry(&model, &model.ptdprmc3);
            entry["artifacts"]["parent"] = file(location, &model.ptdprmc3);
            (id.as_str(), entry)
        })
        .collect();
    // As ids, too: those name rows, and never files.
    entries.extend(names.iter().map(|name| (name.as_str(), entry(&model, &model.ptdprmc3))));
    fs::write(checkout.join("registry.json"), document(&entries)).unwrap();
    let (before, top) = (oracle::snapshot(&outside), listing(directory.path()));
    let output = sync(&data, checkout.to_str().unwrap(), &[]);
    let report = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(report.contains(" 0 mirrored"), "{report}");
    assert_eq!(oracle::snapshot(&outside), before);
    let mut expected = top;
    expected.push("hub-data".to_owned());
    expected.sort();
    assert_eq!(listing(directory.path()), expected);
}

fn listing(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// A byte as a request line may carry it.
fn wire(byte: u8) -> String {
    match byte {
        b'!'..=b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    }
}

/// Every place of a request where a name of this kind is looked up.
fn targets(name: &str) -> Vec<String> {
    let digest = "ab".repeat(32);
    vec![
        format!("/{name}"),
        format!("/artifacts/{name}"),
        format!("/artifacts/{name}.bin"),
        format!("/{name}/repo/main/registry.json"),
        format!("/owner/repo/{name}/artifacts/{digest}.bin"),
        format!("/owner/repo/main/artifacts/{name}"),
        format!("/v1/computes/{name}"),
        format!("/v1/computes/{name}/revisions"),
        format!("/v1/graphs/{name}"),
        format!("/v1/jobs/{name}"),
        format!("/v1/tokens/{name}"),
        format!("/v1/blobs/sha256/{name}"),
    ]
}

/// Links in the data directory that lead out of it, at places where blobs would be.
#[cfg(unix)]
fn plant_links(data: &Path, outside: &Path) {
    use std::os::unix::fs::symlink;
    let digest = "ab".repeat(32);
    fs::create_dir_all(data.join("blobs/sha256/ab")).unwrap();
    symlink(outside.join("secret"), data.join("blobs/sha256/ab").join(&digest)).unwrap();
    symlink(outside, data.join("blobs/sha256/cd")).unwrap();
    symlink(outside.join("secret"), data.join("quarantine").join(digest)).unwrap();
}
