//! Scrub, garbage collection, backup and restore of real data directories, beside real hubs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::registry::{self, Model, model};

fn blob(data: &Path, digest: &str) -> PathBuf {
    data.join("blobs/sha256").join(&digest[..2]).join(digest)
}

fn command(data: &Path, arguments: &[&str]) -> Output {
    run(&[arguments, &["--data", data.to_str().unwrap()]].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A data directory with the reference computes and one that was mirrored as PTDPRMC1.
fn filled(checkout: &Path) -> (tempfile::TempDir, Model) {
    let data = tempfile::tempdir().unwrap();
    let mirrored = registry::kingman(4);
    let document = registry::document(&[("mine", registry::entry(&mirrored, &mirrored.ptdprmc1))]);
    let path = format!("artifacts/{}.bin", mirrored.hash);
    registry::write_directory(checkout, &document, &[(path, &mirrored.ptdprmc1)]);
    let synced = sync(data.path(), checkout.to_str().unwrap(), &[]);
    assert!(synced.status.success(), "{}", text(&synced.stderr));
    drop(Hub::start(data.path()));
    (data, mirrored)
}

#[test]
fn scrub_restores_by_elimination_by_conversion_and_from_upstream_and_names_what_it_cannot() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, mirrored) = filled(checkout.path());
    let data = data.path();
    let clean = command(data, &["scrub"]);
    assert!(
        clean.status.success() && text(&clean.stdout).contains(" 0 rotten, 0 lost, 0 unreadable, 0 restored"),
        "{clean:?}"
    );
    let digest = |bytes: &[u8]| Sha256::of(bytes).to_string();
    let (eliminated, converted) = (digest(&model("coal_n5_theta1").ptdprmc3), digest(&mirrored.ptdprmc3));
    let original = digest(&mirrored.ptdprmc1);
    let mut rotten = fs::read(blob(data, &eliminated)).unwrap();
    rotten[777] ^= 1;
    fs::write(blob(data, &eliminated), &rotten).unwrap();
    fs::remove_file(blob(data, &converted)).unwrap();
    let scrubbed = command(data, &["scrub"]);
    let listing = text(&scrubbed.stdout);
    assert!(scrubbed.status.success(), "{listing}");
    assert!(
        [&eliminated, &converted].iter().all(|name| listing.contains(&format!("restored {name}"))),
        "{listing}"
    );
    assert_eq!(fs::read(data.join("quarantine").join(&eliminated)).unwrap(), rotten);
    assert_eq!(digest(&fs::read(blob(data, &eliminated)).unwrap()), eliminated);
    assert_eq!(fs::read(blob(data, &converted)).unwrap(), mirrored.ptdprmc3);

    // Beside a hub, which looks at its files as well, and may have put them right before.
    let hub = Hub::start(data);
    fs::remove_file(blob(data, &original)).unwrap();
    fs::remove_file(blob(data, &converted)).unwrap();
    let fetched = command(data, &["scrub"]);
    assert!(fetched.status.success(), "{}", text(&fetched.stdout));
    assert_eq!(fs::read(blob(data, &original)).unwrap(), mirrored.ptdprmc1);
    wait_until("it is served", || {
        hub.get(&format!("/artifacts/{}.bin", mirrored.hash)).body == mirrored.ptdprmc3
    });

    fs::remove_file(blob(data, &original)).unwrap();
    fs::remove_file(checkout.path().join(format!("artifacts/{}.bin", mirrored.hash))).unwrap();
    let gone = command(data, &["scrub"]);
    assert_eq!(gone.status.code(), Some(4));
    assert!(text(&gone.stdout).contains(&format!("missing {original}")), "{}", text(&gone.stdout));
    assert!(text(&command(data, &["audit", "export"]).stdout).contains("\"action\":\"blob.scrub\""));
    assert!(command(data, &["audit", "verify"]).status.success());
}

#[test]
fn a_file_that_cannot_be_read_is_not_said_to_be_whole_again() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, mirrored) = filled(checkout.path());
    let data = data.path();
    fs::remove_file(checkout.path().join(format!("artifacts/{}.bin", mirrored.hash))).unwrap();
    let original = Sha256::of(&mirrored.ptdprmc1).to_string();
    // Reads of a directory fail for everybody, administrators of the machine included.
    fs::remove_file(blob(data, &original)).unwrap();
    fs::create_dir(blob(data, &original)).unwrap();
    let scrubbed = command(data, &["scrub"]);
    let listing = text(&scrubbed.stdout);
    assert_eq!(scrubbed.status.code(), Some(4), "{listing}");
    assert!(listing.contains(&format!("missing {original}")), "{listing}");
    assert!(!listing.contains(&format!("restored {original}")), "{listing}");
}

#[test]
fn garbage_is_what_nobody_refers_to_and_is_old_and_a_dry_run_only_looks() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, mirrored) = filled(checkout.path());
    let data = data.path();
    let registry = Hub::start(data).get("/registry.json?paths=relative").body;
    let stray = b"stored, and then the power went";
    let stray_digest = Sha256::of(stray).to_string();
    fs::create_dir_all(blob(data, &stray_digest).parent().unwrap()).unwrap();
    fs::write(blob(data, &stray_digest), stray).unwrap();
    // Upstream publishes the same graph as PTDPRMC3: nobody refers to the former original any more.
    let document = registry::document(&[("mine", registry::entry(&mirrored, &mirrored.ptdprmc3))]);
    let path = format!("artifacts/{}.bin", mirrored.hash);
    registry::write_directory(checkout.path(), &document, &[(path, &mirrored.ptdprmc3)]);
    assert!(sync(data, checkout.path().to_str().unwrap(), &[]).status.success());
    let replaced = Sha256::of(&mirrored.ptdprmc1).to_string();

    let young = command(data, &["gc", "--remove"]);
    assert!(text(&young.stdout).starts_with("0 blobs of 0 bytes removed"), "a day of grace: {young:?}");
    let looked = text(&command(data, &["gc", "--grace", "0"]).stdout);
    for name in [&stray_digest, &replaced] {
        assert!(looked.contains(name.as_str()) && blob(data, name).exists(), "{looked}");
    }
    assert!(looked.starts_with("2 blobs of "), "{looked}");
    let removed = command(data, &["gc", "--grace", "0", "--remove"]);
    assert!(text(&removed.stdout).starts_with("2 blobs of "), "{removed:?}");
    assert!(!blob(data, &stray_digest).exists() && !blob(data, &replaced).exists());
    assert!(command(data, &["scrub"]).status.success(), "nothing that is wanted is missing");
    let after = Hub::start(data).get("/registry.json?paths=relative").json();
    assert_eq!(
        after["computes"].as_object().unwrap().len(),
        serde_json::from_slice::<serde_json::Value>(&registry).unwrap()["computes"]
            .as_object()
            .unwrap()
            .len()
    );
}

#[test]
fn a_backup_of_a_running_hub_is_restored_byte_for_byte() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, mirrored) = filled(checkout.path());
    let hub = Hub::start(data.path());
    let place = tempfile::tempdir().unwrap();
    let (file, target) = (place.path().join("hub.tar"), place.path().join("restored"));
    let name = file.to_str().unwrap();
    let made = command(data.path(), &["backup", name]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing beside the file");
    let registry = hub.get("/registry.json?paths=relative").body;
    assert_eq!(command(data.path(), &["backup", name]).status.code(), Some(3), "it is there already");
    hub.stop();

    let restored = command(&target, &["restore", name]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let hub = Hub::start(&target);
    assert_eq!(hub.get("/registry.json?paths=relative").body, registry);
    assert_eq!(hub.get(&format!("/artifacts/{}.bin", mirrored.hash)).body, mirrored.ptdprmc3);
    hub.stop();
    assert!(command(&target, &["scrub"]).status.success());
    assert!(command(&target, &["audit", "verify"]).status.success());
    assert_eq!(command(&target, &["restore", name]).status.code(), Some(2), "there is a hub already");
}

#[test]
fn nothing_is_restored_beside_what_is_left_of_another_database() {
    let (checkout, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, _) = filled(checkout.path());
    let (file, target) = (place.path().join("hub.tar"), place.path().join("target"));
    let name = file.to_str().unwrap();
    assert!(command(data.path(), &["backup", name]).status.success());
    let hub = Hub::start(&target);
    hub.signal("KILL");
    hub.ended();
    fs::remove_file(target.join("hub.db")).unwrap();
    for left in ["hub.db-wal", "hub.db-shm"] {
        let stale = fs::read(target.join(left)).unwrap();
        let refused = command(&target, &["restore", name]);
        assert_eq!(refused.status.code(), Some(2), "{left}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(left), "{}", text(&refused.stderr));
        assert_eq!(fs::read(target.join(left)).unwrap(), stale);
        assert!(!target.join("hub.db").exists());
        fs::remove_file(target.join(left)).unwrap();
    }
    assert!(command(&target, &["restore", name]).status.success());
    assert!(command(&target, &["audit", "verify"]).status.success());
}

#[test]
fn what_a_file_is_that_is_no_backup_is_said_in_letters() {
    let place = tempfile::tempdir().unwrap();
    let (file, target) = (place.path().join("noise.tar"), place.path().join("target"));
    let noise: Vec<u8> = (0..16).flat_map(|_| 1..=255_u8).collect();
    fs::write(&file, noise).unwrap();
    let refused = command(&target, &["restore", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(4));
    let said = text(&refused.stderr);
    assert!(said.contains("is no whole backup"), "{said}");
    assert!(said.trim_end().chars().all(|letter| !letter.is_control()), "{said:?}");
}

#[test]
fn a_backup_that_is_not_whole_is_refused_and_leaves_no_hub() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, _) = filled(checkout.path());
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("hub.tar");
    assert!(command(data.path(), &["backup", file.to_str().unwrap()]).status.success());
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // In the database, in the last blob, cut within a blob, cut behind one, and no tar at all.
    let last = good.len() - 4096;
    let cases =
        [flipped(20_000), flipped(last), good[..last].to_vec(), good[..1024].to_vec(), b"hello".to_vec()];
    for (number, bytes) in cases.iter().enumerate() {
        let (broken, target) =
            (place.path().join(format!("{number}.tar")), place.path().join(number.to_string()));
        fs::write(&broken, bytes).unwrap();
        let refused = command(&target, &["restore", broken.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(4), "{number}: {}", text(&refused.stderr));
        assert!(!target.join("hub.db").exists(), "{number}");
    }
}

#[test]
fn config_check_prints_what_is_in_force_or_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hub.toml");
    fs::write(&file, "[rate]\nper_second = 7\n").unwrap();
    let checked = run(&["config", "check", "--config", file.to_str().unwrap(), "--data", "/elsewhere"]);
    let printed: serde_json::Value = serde_json::json!(text(&checked.stdout));
    assert!(checked.status.success() && printed.as_str().unwrap().contains("per_second = 7"), "{checked:?}");
    assert!(
        printed.as_str().unwrap().contains("data_dir = \"/elsewhere\""),
        "flags are heeded, and nothing is made"
    );
    assert!(!Path::new("/elsewhere").exists());
    fs::write(&file, "[rate]\nper_secnd = 7\n").unwrap();
    let wrong = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("per_secnd"), "{wrong:?}");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/hub.toml");
    assert!(run(&["config", "check", "--config", example]).status.success(), "the example for docker");
}

#[test]
fn documents_and_recipes_are_restored_from_where_they_came_from() {
    let checkout = tempfile::tempdir().unwrap();
    let (data, _) = filled(checkout.path());
    let hub = Hub::start_with(data.path(), &[], &[("access_anonymous", "compute")]);
    let kingman = |n: u32| serde_json::json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
    assert_eq!(hub.post("/v1/graphs", &kingman(12)).status, 201);
    assert_eq!(hub.post("/v1/graphs", &kingman(1201)).status, 201);
    hub.stop();
    let lost = |sql: &str| -> Vec<String> {
        let names = phasic_hub_tests::database::texts(data.path(), sql);
        for name in &names {
            fs::remove_file(blob(data.path(), name)).unwrap();
        }
        names
    };
    let document = lost("SELECT DISTINCT lower(hex(document_sha256)) FROM upstreams");
    let recipes = lost("SELECT lower(hex(recipe_sha256)) FROM graphs");
    assert_eq!((document.len(), recipes.len()), (1, 2));
    let scrubbed = command(data.path(), &["scrub"]);
    assert_eq!(scrubbed.status.code(), Some(4), "{}", text(&scrubbed.stdout));
    assert!(
        text(&scrubbed.stdout).contains("3 lost") && text(&scrubbed.stdout).contains("2 restored"),
        "{}",
        text(&scrubbed.stdout)
    );
    let is_there = |name: &String| blob(data.path(), name).exists();
    assert!(is_there(&document[0]), "upstream has the document");
    let there: Vec<_> = recipes.iter().map(is_there).collect();
    assert_eq!(
        there.iter().filter(|is_there| **is_there).count(),
        1,
        "what no built-in model gives needs a backup"
    );
}
