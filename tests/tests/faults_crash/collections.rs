//! Collections of garbage, of a command beside a hub and of the hub itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::hub::{Hub, run};
use phasic_hub_tests::oracle::{self, Names};
use phasic_hub_tests::seed::Seeded;
use phasic_hub_tests::{blobs, database, http};
use serde_json::json;

use super::{cut_short, kill, start_with};

/// Only what the test asks for is collected, and what is submitted goes early.
const SETTINGS: &[(&str, &str)] =
    &[("upkeep_collect_interval_seconds", "0"), ("upkeep_keep_submitted_days", "1")];

/// Nobody has used a submission for years, and no job needs it.
const LET_GO: &str = "DELETE FROM jobs; UPDATE graphs SET submitted_at = '2020-01-01T00:00:00.000Z', used_at = NULL; \
                      UPDATE eliminations SET made_at = '2020-01-01T00:00:00.000Z', used_at = NULL";

/// A data directory whose hub has had submissions, uploads and accidents.
struct Place {
    data: tempfile::TempDir,
    admin: String,
    /// Files that stay: referred to, or pinned.
    wanted: BTreeSet<String>,
    /// A file nobody refers to that stays while it is young.
    young: String,
    /// Files that go.
    garbage: BTreeSet<String>,
}

impl Place {
    /// With an upload that is pinned.
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let hub = start_with(data.path(), SETTINGS);
        let admin = token(data.path(), &["--scope", "admin", "--scope", "publish"]);
        let client = Client { hub: &hub, token: Some(&admin) };
        assert_eq!(client.upload(b"pinned").status, 201);
        let mut wanted = BTreeSet::from([Sha256::of(b"pinned").to_string()]);
        let pin = format!("/v1/admin/pins/{}", Sha256::of(b"pinned"));
        assert_eq!(client.json("PUT", &pin, &json!({"note": "kept"})).status, 204);
        wanted.extend(named(&hub).into_values());
        kill(hub);
        let young = blobs::stray(data.path(), b"young");
        Self { data, admin, wanted, young, garbage: BTreeSet::new() }
    }

    fn path(&self) -> &Path {
        self.data.path()
    }

    /// Makes garbage of each kind: files nobody has noted, an upload nobody refers to, submissions nobody has used.
    fn litter(&mut self, hub: &Hub, round: usize) {
        for n in [40 + 2 * round, 41 + 2 * round] {
            let asked = json!({"model": {"builtin": "kingman", "constants": {"n": n}}}).to_string();
            let wait = [("Prefer", "wait=25")];
            let done = http::send(hub.address(), "POST", "/v1/eliminations", &wait, asked.as_bytes());
            let digest = done.json()["artifact"]["sha256"]
                .as_str()
                .unwrap_or_else(|| panic!("{}", done.text()))
                .to_owned();
            self.garbage.insert(digest);
        }
        let uploaded = format!("uploaded, and never published: {round}");
        assert_eq!(Client { hub, token: Some(&self.admin) }.upload(uploaded.as_bytes()).status, 201);
        self.garbage.insert(Sha256::of(uploaded.as_bytes()).to_string());
        for number in 0..10 {
            let bytes = format!("nobody wants this: {round}, {number}");
            self.garbage.insert(blobs::stray(self.path(), bytes.as_bytes()));
        }
        self.garbage.extend(database::texts(self.path(), "SELECT lower(hex(recipe_sha256)) FROM graphs"));
        self.let_go(round);
    }

    /// Sees to it that garbage is old, and all else but one file, too.
    fn let_go(&mut self, round: usize) {
        database::execute(self.path(), LET_GO);
        let young = blobs::stray(self.path(), format!("young: {round}").as_bytes());
        self.garbage.insert(std::mem::replace(&mut self.young, young));
        for digest in self.wanted.iter().chain(&self.garbage) {
            let file = blobs::path(self.path(), digest);
            if file.exists() {
                blobs::make_old(&file, Duration::from_hours(2));
            }
        }
    }

    /// Nothing that is wanted went; says how many files of garbage are left.
    fn is_whole(&self) -> usize {
        oracle::blobs_have_their_bytes(self.path());
        oracle::rows_have_their_files(self.path());
        for digest in self.wanted.iter().chain([&self.young]) {
            assert!(blobs::path(self.path(), digest).exists(), "I2: {digest} is wanted, and was collected");
        }
        self.garbage.iter().filter(|digest| blobs::path(self.path(), digest).exists()).count()
    }

    fn collection(&self) -> [&str; 6] {
        ["gc", "--remove", "--grace", "1h", "--data", self.path().to_str().unwrap()]
    }
}

/// What is served under names that somebody has given.
fn named(hub: &Hub) -> BTreeMap<String, String> {
    let mut served = oracle::served_is_whole(hub);
    served.retain(|id, _| !id.starts_with("computed-"));
    served
}

/// A collection killed at any moment has removed nothing that is wanted, and the next one removes the rest.
pub(crate) fn are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let mut place = Place::new();
    let mut hub = start_with(place.path(), SETTINGS);
    let before = named(&hub);
    place.litter(&hub, 0);
    let begun = Instant::now();
    assert!(run(&place.collection()).status.success());
    let longest = begun.elapsed().mul_f64(1.2);
    assert_eq!(place.is_whole(), 0, "garbage goes when nobody is killed");
    let (mut names, mut broken_off) = (Names::default(), 0);
    for round in 1..=times {
        place.litter(&hub, round);
        let littered = place.is_whole();
        let moment = seeded.moment(longest);
        if round % 2 == 0 {
            cut_short(&place.collection(), moment);
        } else {
            let (address, admin) = (hub.address(), place.admin.clone());
            let asking = thread::spawn(move || ask_for_a_collection(address, &admin));
            thread::sleep(moment);
            kill(hub);
            asking.join().unwrap();
            hub = start_with(place.path(), SETTINGS);
        }
        let left = place.is_whole();
        broken_off += usize::from(left > 0 && left < littered);
        assert_eq!(named(&hub), before, "I2");
        names.everything_holds(&hub, place.path());
    }
    println!("{broken_off} of {times} collections were killed between the first file and the last");
    kill(hub);
    place.let_go(times + 1);
    assert!(run(&place.collection()).status.success());
    assert_eq!(place.is_whole(), 0, "what a killed collection has left is garbage still");
    let hub = start_with(place.path(), SETTINGS);
    names.everything_holds(&hub, place.path());
    assert_eq!(named(&hub), before);
}

/// Asks a hub that is about to be killed.
fn ask_for_a_collection(address: std::net::SocketAddr, admin: &str) {
    use std::io::{Read as _, Write as _};
    let body = json!({"dry_run": false, "grace_seconds": 3600}).to_string();
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return };
    let head = format!(
        "POST /v1/admin/gc HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    // It is dead before it has read all, or answered all.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 202"), "{answer}");
}
