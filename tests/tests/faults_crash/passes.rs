//! Mirror passes, of a command and of the service.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use phasic_hub_tests::chaos::{ChaosLink, Fault};
use phasic_hub_tests::hub::{sync, wait_until};
use phasic_hub_tests::oracle::Names;
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};
use phasic_hub_tests::seed::Seeded;
use phasic_hub_tests::upstream::{Reply, Upstream};

use super::{cut_short, kill, start, start_with};

/// Files that only the second document, or only the first, names.
const CHANGED: u64 = 4;

/// Two registries of one upstream, and what a mirror of each serves.
pub(crate) struct Versions {
    checkout: tempfile::TempDir,
    models: Vec<Model>,
    documents: [String; 2],
    pub(crate) served: [BTreeMap<String, String>; 2],
}

impl Versions {
    pub(crate) fn new() -> Self {
        // None of them is one of the reference computes, whose files are here already.
        let models: Vec<Model> = (21..31).map(kingman).collect();
        let version = |ids: &[(usize, &str)]| {
            let entries: Vec<_> =
                ids.iter().map(|&(model, id)| (id, entry(&models[model], &models[model].ptdprmc3))).collect();
            let served = ids
                .iter()
                .map(|&(model, id)| (id.to_owned(), Sha256::of(&models[model].ptdprmc3).to_string()));
            (document(&entries), served.collect())
        };
        // Less than a third goes, so that nobody has to agree.
        let (first, served_first) = version(&[(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e"), (5, "f")]);
        let (second, served_second) = version(&[(6, "a"), (7, "b"), (8, "c"), (3, "d"), (4, "e"), (9, "g")]);
        let checkout = tempfile::tempdir().unwrap();
        let files: Vec<_> = models.iter().map(|model| (name(model), &model.ptdprmc3[..])).collect();
        write_directory(checkout.path(), &first, &files);
        Self { checkout, documents: [first, second], served: [served_first, served_second], models }
    }

    pub(crate) fn offer(&self, version: usize) {
        fs::write(self.checkout.path().join("registry.json"), &self.documents[version]).unwrap();
    }

    pub(crate) fn path(&self) -> &str {
        self.checkout.path().to_str().unwrap()
    }
}

fn name(model: &Model) -> String {
    format!("artifacts/{}.bin", model.hash)
}

pub(crate) fn mirrored(mut served: BTreeMap<String, String>) -> BTreeMap<String, String> {
    served.retain(|id, _| phasic_engine::reference::find(id).is_none());
    served
}

/// A pass killed at any moment leaves the state of exactly one document.
pub(crate) fn commands_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let versions = Versions::new();
    let begun = Instant::now();
    assert!(sync(data.path(), versions.path(), &[]).status.success());
    let longest = begun.elapsed().mul_f64(1.2);
    let (mut state, mut names) = (0, Names::default());
    for _ in 0..times {
        let next = 1 - state;
        versions.offer(next);
        let place = data.path().to_str().unwrap();
        let arguments = ["mirror", "sync", "--from", versions.path(), "--data", place];
        let acknowledged = cut_short(&arguments, seeded.moment(longest));
        let hub = start(data.path());
        let found = mirrored(names.everything_holds(&hub, data.path()));
        if found == versions.served[next] {
            state = next;
        } else {
            assert_eq!(found, versions.served[state], "I6: the state is that of neither document");
            assert!(!acknowledged, "I3: an acknowledged pass is lost");
        }
        kill(hub);
    }
}

/// A hub killed within a pass of its own leaves the state of exactly one document, and goes on from there. Every other
/// pass is held in the middle of one of its files, so that it is known not to have ended.
pub(crate) fn hubs_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let versions = Versions::new();
    let upstream = Upstream::start();
    for model in &versions.models {
        upstream.set(&format!("/{}", name(model)), Reply::ok(&model.ptdprmc3[..]));
    }
    let link = ChaosLink::before(upstream.address(), Box::new(|_, _| Fault::None));
    let upstreams = format!(r#"[{{name = "lab", url = "{}", interval_ms = 1000}}]"#, link.url("/"));
    let settings = [("mirror_upstreams", upstreams.as_str())];
    upstream.set("/registry.json", Reply::ok(&versions.documents[0][..]));
    let hub = start_with(data.path(), &settings);
    let begun = Instant::now();
    wait_until("the first pass is done", || hub.get("/registry.json").json()["computes"].get("f").is_some());
    let longest = begun.elapsed();
    kill(hub);
    let (mut state, mut names) = (0, Names::default());
    for round in 0..times {
        let next = 1 - state;
        let (is_held, place) = (round % 2 == 0, usize::try_from(seeded.below(CHANGED)).unwrap());
        let files = AtomicUsize::new(0);
        link.set(Box::new(move |path, _| {
            let is_it = path.contains("artifacts") && files.fetch_add(1, Ordering::SeqCst) == place;
            if is_held && is_it { Fault::Stall(10) } else { Fault::None }
        }));
        let asked = link.asked().len();
        upstream.set("/registry.json", Reply::ok(&versions.documents[next][..]));
        let hub = start_with(data.path(), &settings);
        if is_held {
            let is_file = |path: &&String| path.contains("artifacts");
            wait_until("the pass is held", || link.asked()[asked..].iter().filter(is_file).count() > place);
        } else {
            std::thread::sleep(seeded.moment(longest + Duration::from_secs(1)));
        }
        kill(hub);
        // Without the upstream, so that nothing happens while it is looked at.
        let hub = start(data.path());
        let found = mirrored(names.everything_holds(&hub, data.path()));
        if found == versions.served[next] {
            assert!(!is_held, "I6: a pass that has not ended is served");
            state = next;
        } else {
            assert_eq!(found, versions.served[state], "I6: the state is that of neither document");
        }
        kill(hub);
    }
}
